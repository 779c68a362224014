// SPDX-License-Identifier: GPL-2.0-or-later
/* The events of sockets and packets, as the hooks of a recorder without kprobes make them. */
#include <string.h>

#include "gen.h"

#define NO_VLAN 65535
#define FRAME 66 /* headers in front of the payload */
#define HEADERS_READ 3
#define OUT_OF_SOCKET 4
#define NO_SSTHRESH 2147483647u
#define RTO_MIN_US 200000u
#define SOURCE_PROBE 4
#define REASON_ABORT 16 /* TCP_ABORT_ON_CLOSE, in the numbers of this schema */
#define REASON_UNKNOWN 65535
enum { TIMER_NONE = 0, TIMER_RTO = 1, TIMER_TLP = 5 };
#define LOCATION_PURGE 1
#define LOCATION_QDISC 2

static unsigned side_of(const struct end *e)
{
	return e->is_server;
}

/* ---- sockets ---- */

static void emit_facts(struct machine *m, struct cpu *c, struct end *e, unsigned old_state)
{
	struct ev_tcp_facts *v;
	bool lo = e->conn->path->kind == PATH_LO;

	gen_at(m, c, K_TCP_FACTS);
	v = EVENT_OF(m, c, G_CONN, tcp_facts);
	if (!v)
		return;
	v->sock = e->sock;
	memcpy(v->cc.s, "bbr", 4);
	v->mss = e->mss;
	v->pmtu = lo ? 65535 : e->conn->path->mtu;
	v->rto_us = RTO_MIN_US + (e->is_server ? 0 : 4000);
	v->srtt_us = e->srtt8 >> 3;
	v->snd_wnd = e->snd_wnd;
	v->cwnd = e->is_server ? 10 : 4;
	v->sndbuf = e->is_server ? lo ? 3939840 : 87040 : 16384;
	v->rcvbuf = 131072;
	v->advmss = lo ? 65483 : (uint16_t)e->mss;
	v->rcv_mss = 536;
	v->mss_clamp = lo ? 65495 : (uint16_t)(e->mss + 12);
	v->snd_wscale = v->rcv_wscale = 10;
	v->options = 7;
	v->old_state = (uint8_t)old_state;
}

void emit_state(struct machine *m, struct cpu *c, struct end *e, unsigned state, bool in_task)
{
	unsigned old_state = e->state;
	struct ev_tcp_state *v;

	e->state = (uint8_t)state;
	if (!e->seen)
		return;
	if (state == CLOSE && (old_state == ESTABLISHED || old_state == CLOSE_WAIT))
		gen_count(m, e, C_ESTAB_RESETS, 1);
	if ((old_state == ESTABLISHED || old_state == CLOSE_WAIT) &&
	    !(state == ESTABLISHED || state == CLOSE_WAIT))
		gen_count(m, e, C_CURR_ESTAB, -1);
	gen_at(m, c, K_TCP_STATE);
	v = EVENT_OF(m, c, G_CONN, tcp_state);
	if (v) {
		v->sock = e->sock;
		if (state == SYN_SENT) /* connect() has not chosen it yet */
			v->sock.flow.lport = 0;
		if (in_task)
			v->task = e->actor->task;
		v->old_state = (uint8_t)old_state;
		v->new_state = (uint8_t)state;
		v->retransmits = e->retransmits;
		v->shutdown = e->shutdown;
		v->err = e->err;
		m->truth.states++;
	}
	if (state == ESTABLISHED)
		emit_facts(m, c, e, old_state);
}

/* What reached the peer, as far as this end knows. */
static uint64_t acked_payload(const struct end *e)
{
	bool fin_acked = e->fin_out && !e->sent;

	return e->snd_una - e->iss - 1 - fin_acked;
}

void emit_destroy(struct machine *m, struct cpu *c, struct end *e, bool in_task)
{
	struct ev_tcp_destroy *v;

	if (!e->seen)
		return;
	gen_at(m, c, K_TCP_DESTROY);
	m->truth.destroyed++;
	m->truth.sock_bytes_sent += acked_payload(e);
	m->truth.sock_bytes_received += e->bytes_received - e->fin_came;
	v = EVENT_OF(m, c, G_CONN, tcp_destroy);
	if (!v)
		return;
	v->sock = e->sock;
	if (in_task)
		v->task = e->actor->task;
	v->bytes_sent = e->bytes_sent;
	v->bytes_acked = e->bytes_acked;
	v->bytes_received = e->bytes_received;
	v->bytes_retrans = e->bytes_retrans;
	v->segs_out = e->segs_out;
	v->segs_in = e->segs_in;
	v->data_segs_out = e->data_segs_out;
	v->data_segs_in = e->data_segs_in;
	v->total_retrans = e->total_retrans;
	v->lost = e->lost;
	v->srtt_us = e->srtt8 >> 3;
	v->mdev_us = e->mdev4 >> 2;
	v->min_rtt_us = e->min_rtt;
	v->cwnd = e->cwnd;
	v->mss = e->mss;
	v->err = e->err;
	v->state = e->state;
	v->shutdown = (uint8_t)(e->shutdown | (e->fin_came ? 4 : 0));
	memcpy(v->cc.s, "bbr", 4);
	v->pmtu = e->conn->path->kind == PATH_LO ? 65535 : e->conn->path->mtu;
	v->sndbuf = e->is_server ? 3939840 : 2626560;
	v->rcvbuf = 131072;
	v->rcv_mss = 536;
}

/* Values of the ACK before: the tracepoint tcp_probe stands at the start. */
void emit_rtt(struct machine *m, struct cpu *c, struct end *e, const struct packet *p)
{
	struct ev_rtt *v;

	if (!e->seen)
		return;
	gen_at(m, c, K_RTT);
	dist_add(&m->truth.rtt, e->srtt8 >> 3);
	v = EVENT_OF(m, c, G_RTT, rtt);
	if (!v)
		return;
	v->sock = e->sock;
	v->rtt_us = -1;
	v->srtt_us = e->srtt8 >> 3;
	v->mdev_us = e->mdev4 >> 2;
	v->rttvar_us = e->rttvar4;
	v->min_rtt_us = e->min_rtt;
	v->rack_rtt_us = (int32_t)e->rack_rtt;
	v->cwnd = e->cwnd;
	v->ssthresh = e->ssthresh;
	v->in_flight = tcp_in_flight(e);
	v->delivered = e->delivered;
	v->lost = e->lost;
	v->total_retrans = e->total_retrans;
	v->snd_una = e->snd_una;
	v->snd_nxt = e->snd_nxt;
	v->ack_seq = p->ack;
	v->source = SOURCE_PROBE;
	v->before = 1;
	v->ca_state = e->ca_state;
}

void emit_retransmit(struct machine *m, struct cpu *c, struct end *e, const struct seg *s)
{
	struct ev_retransmit *v;

	if (!e->seen)
		return;
	gen_at(m, c, K_RETRANSMIT);
	v = EVENT_OF(m, c, G_RETRANS, retransmit);
	if (!v)
		return;
	v->sock = e->sock;
	v->seq = s->seq;
	v->end_seq = s->end;
	v->snd_una = e->snd_una;
	v->snd_nxt = e->snd_nxt;
	v->cwnd = e->cwnd;
	v->ssthresh = e->ssthresh;
	v->in_flight = tcp_in_flight(e);
	v->rto_us = tcp_rto_us(e);
	v->srtt_us = e->srtt8 >> 3;
	v->segs = (uint16_t)tcp_segs(e, s->end - s->seq);
	v->tcp_flags = e->state == SYN_SENT ? SYN : s->flags & SEG_FIN ? FIN | ACK : ACK | PSH;
	v->state = e->state;
	v->ca_state = e->ca_state;
	v->retransmits = e->retransmits;
	v->timer = e->why == WHY_TLP ? TIMER_TLP : e->why == WHY_RTO ? TIMER_NONE : TIMER_RTO;
}

void emit_synack_retransmit(struct machine *m, struct cpu *c, struct end *e)
{
	struct ev_synack_retransmit *v;

	if (!e->seen)
		return;
	gen_at(m, c, K_SYNACK_RETRANSMIT);
	m->truth.synack_retrans++;
	v = EVENT_OF(m, c, G_RETRANS, synack_retransmit);
	if (!v)
		return;
	v->sock = e->sock;
	v->listener = e->actor->listener.cookie;
	v->seq = e->iss;
	v->mss = (uint16_t)(e->conn->path->mtu - 40);
	v->retransmits = e->retransmits;
	v->timeouts = e->retransmits;
}

void emit_reset(struct machine *m, struct cpu *c, struct end *e, unsigned direction)
{
	struct ev_reset *v;

	if (!e->seen)
		return;
	gen_at(m, c, K_RESET);
	*(direction == RST_SENT ? &m->truth.resets_sent : &m->truth.resets_received) += 1;
	v = EVENT_OF(m, c, G_RESET, reset);
	if (!v)
		return;
	v->sock = e->sock;
	if (direction == RST_SENT)
		v->task = e->actor->task;
	v->flow = e->sock.flow;
	v->netns = e->sock.netns;
	v->reason = direction == RST_SENT ? REASON_ABORT : REASON_UNKNOWN;
	v->direction = (uint8_t)direction;
	v->state = e->state;
	v->active = direction == RST_SENT;
	v->shutdown = e->shutdown;
}

void emit_drop(struct machine *m, struct cpu *c, struct end *e, const struct packet *p,
	       unsigned why)
{
	struct ev_drop *v;
	bool lo = p->from->conn->path->kind == PATH_LO;

	if (e && !e->seen)
		return;
	gen_at(m, c, K_DROP);
	*(why == DROP_PURGE ? &m->truth.drop_purge : &m->truth.drop_queue) += 1;
	v = EVENT_OF(m, c, G_DROP, drop);
	if (!v)
		return;
	if (e)
		v->sock = e->sock;
	v->flow = p->from->sock.flow;
	v->netns = p->from->conn->path->netns[side_of(why == DROP_PURGE ? p->to : p->from)];
	v->location = why == DROP_PURGE ? LOCATION_PURGE : LOCATION_QDISC;
	v->ifindex = p->from->conn->path->ifindex[side_of(p->from)];
	v->reason = why;
	v->seq = p->seq;
	v->ack_seq = p->ack;
	v->len = p->payload + 52;
	v->payload = p->payload;
	v->skb_len = why == DROP_PURGE ? p->payload : p->payload + 52 + (lo ? 0 : 14);
	v->ethertype = 2048;
	v->tcp_flags = p->flags;
	v->ttl = 64;
	v->state = e ? e->state : 0;
	v->headers = HEADERS_READ;
	v->protocol = 6;
}

/* ---- packets ---- */

static struct ev_flow swapped(const struct ev_flow *f)
{
	return (struct ev_flow){f->raddr, f->laddr, f->rport, f->lport};
}

/* The sender's flow as it is behind (wire) or before the address translation. */
static struct ev_flow sent_flow(const struct packet *p, bool wire)
{
	struct ev_flow f = p->from->sock.flow;
	const struct path *path = p->from->conn->path;

	if (path->nat && wire && !p->from->is_server)
		f.laddr = path->nat_addr;
	if (path->nat && !wire && p->from->is_server) /* its peer knows it was translated */
		f.raddr = path->nat_addr;
	return f;
}

static void fill_packet(struct ev_packet *ret, const struct packet *p, const struct ev_flow *flow,
			unsigned headers)
{
	ret->flow = *flow;
	ret->seq = p->seq;
	ret->ack_seq = p->ack;
	ret->payload = p->payload;
	ret->segs = p->segs;
	ret->tcp_flags = p->flags;
	ret->vlan = NO_VLAN;
	ret->headers = (uint16_t)headers;
}

static void tx_layer(struct machine *m, struct cpu *c, const struct packet *p, unsigned layer,
		     const struct ev_flow *flow)
{
	static const enum kind kinds[] = {
		[3] = K_TX_OUTPUT, K_TX_QDISC, K_TX_DRIVER, K_TX_SENT, K_TX_COMPLETE};
	const struct path *path = p->from->conn->path;
	struct ev_tx *v;

	if (layer != TX_IP) /* there already: the time of departure depends on it */
		gen_at(m, c, kinds[layer]);
	v = EVENT_OF(m, c, G_TX, tx);
	if (!v)
		return;
	v->layer = (uint16_t)layer;
	v->netns = path->netns[side_of(p->from)];
	v->ifindex = path->ifindex[side_of(p->from)];
	if (layer == TX_SENT)
		return;
	if (!p->no_sock)
		v->sock = p->from->sock;
	fill_packet(&v->packet, p, flow, HEADERS_READ);
	v->departure_ns = p->departure_ns;
	v->cloned = p->cloned;
}

static void rx_layer(struct machine *m, struct cpu *c, const struct packet *p, unsigned layer,
		     const struct ev_sock *sock, uint32_t rcv_nxt, const struct ev_flow *flow)
{
	static const enum kind kinds[] = {[1] = K_RX_DRIVER, K_RX_MAC, K_RX_IP,
					  K_RX_DELIVER,	     K_RX_TCP, [7] = K_RX_ESTABLISHED};
	const struct path *path = p->to->conn->path;
	struct ev_rx *v;

	gen_at(m, c, kinds[layer]);
	v = EVENT_OF(m, c, G_RX, rx);
	if (!v)
		return;
	if (sock)
		v->sock = *sock;
	fill_packet(&v->packet, p, flow, layer == RX_ESTABLISHED ? OUT_OF_SOCKET : HEADERS_READ);
	v->netns = path->netns[side_of(p->to)];
	v->ifindex = path->ifindex[side_of(p->to)];
	v->rcv_nxt = rcv_nxt;
	v->layer = (uint16_t)layer;
	v->cloned = p->cloned;
}

/* How long it was in a layer. */
static void spent(struct machine *m, unsigned layer, uint64_t *since, const struct cpu *c)
{
	dist_add(&m->truth.layer[layer], c->tick - *since);
	*since = c->tick;
}

/* From IP to the queueing discipline. */
/* departed: ticks before the first of them when TCP gave it away. */
void emit_tx(struct machine *m, struct cpu *c, struct packet *p, uint32_t departed)
{
	struct ev_flow inner = sent_flow(p, false), wire = sent_flow(p, true);

	gen_at(m, c, K_TX_IP);
	p->departure_ns = gen_ns(c->tick - departed);
	tx_layer(m, c, p, TX_IP, &inner);
	p->tick = c->tick;
	tx_layer(m, c, p, TX_OUTPUT, &wire);
	spent(m, OUT_IP, &p->tick, c);
	tx_layer(m, c, p, TX_QDISC, &wire);
	gen_count(m, p->from, C_TX_PACKETS, 1);
	gen_count(m, p->from, C_TX_BYTES, p->payload + FRAME);
	spent(m, OUT_OUTPUT, &p->tick, c);
}

/* A packet that the device cannot take as a whole goes in segments. */
void emit_split(struct machine *m, struct cpu *c, const struct packet *p)
{
	struct ev_flow wire = sent_flow(p, true);
	struct packet whole = *p;

	whole.no_sock = true;
	tx_layer(m, c, &whole, TX_COMPLETE, &wire);
}

/* Through the driver, which on lo and veth hands it to the receiving side. */
void emit_driver(struct machine *m, struct cpu *c, struct packet *p)
{
	struct ev_flow wire = sent_flow(p, true), to = swapped(&wire);
	uint64_t received;

	tx_layer(m, c, p, TX_DRIVER, &wire);
	if (!p->more)
		spent(m, OUT_QDISC, &p->tick, c);
	rx_layer(m, c, p, RX_DRIVER, NULL, 0, &to);
	received = c->tick;
	tx_layer(m, c, p, TX_SENT, &wire);
	if (!p->more)
		spent(m, OUT_DRIVER, &p->tick, c);
	p->tick = received;
}

void emit_wire_out(struct machine *m, struct cpu *c, struct packet *p)
{
	struct ev_flow wire = sent_flow(p, true);

	tx_layer(m, c, p, TX_DRIVER, &wire);
	spent(m, OUT_QDISC, &p->tick, c);
	tx_layer(m, c, p, TX_SENT, &wire);
	spent(m, OUT_DRIVER, &p->tick, c);
}

void emit_wire_in(struct machine *m, struct cpu *c, struct packet *p)
{
	struct ev_flow wire = sent_flow(p, true), to = swapped(&wire);

	rx_layer(m, c, p, RX_DRIVER, NULL, 0, &to);
	p->tick = c->tick;
}

void emit_rx(struct machine *m, struct cpu *c, struct packet *p, const struct ev_sock *sock,
	     uint32_t rcv_nxt)
{
	struct ev_flow wire = sent_flow(p, true), to = swapped(&wire);

	if (!p->to->seen)
		return;
	rx_layer(m, c, p, RX_MAC, NULL, 0, &to);
	gen_count(m, p->to, C_RX_PACKETS, 1);
	gen_count(m, p->to, C_RX_BYTES, p->payload + FRAME);
	spent(m, IN_DRIVER, &p->tick, c);
	rx_layer(m, c, p, RX_IP, NULL, 0, &to);
	spent(m, IN_MAC, &p->tick, c);
	if (p->from->conn->path->nat && !p->to->is_server) {
		wire = sent_flow(p, false);
		wire.raddr = p->to->sock.flow.laddr;
		to = swapped(&wire);
	}
	rx_layer(m, c, p, RX_DELIVER, NULL, 0, &to);
	spent(m, IN_IP, &p->tick, c);
	rx_layer(m, c, p, RX_TCP, sock, rcv_nxt, &to);
	spent(m, IN_DELIVER, &p->tick, c);
	m->truth.packets++;
}

void emit_established(struct machine *m, struct cpu *c, struct end *e, struct packet *p)
{
	if (!e->seen)
		return;
	rx_layer(m, c, p, RX_ESTABLISHED, &e->sock, e->rcv_nxt, &e->sock.flow);
	spent(m, IN_TCP, &p->tick, c);
}

/* sk_data_ready: it has no packet. */
void emit_queue(struct machine *m, struct cpu *c, struct end *e)
{
	struct ev_rx *v;

	if (!e->seen)
		return;
	gen_at(m, c, K_RX_QUEUE);
	v = EVENT_OF(m, c, G_RX, rx);
	if (!v)
		return;
	v->sock = e->sock;
	v->netns = e->sock.netns;
	v->rcv_nxt = e->rcv_nxt;
	v->layer = RX_QUEUE;
}

/* ---- calls ---- */

void emit_write(struct machine *m, struct cpu *c, struct end *e, uint32_t bytes)
{
	struct ev_tx_write *v;

	if (!e->seen)
		return;
	gen_at(m, c, K_TX_WRITE);
	v = EVENT_OF(m, c, G_TX, tx_write);
	if (!v)
		return;
	v->sock = e->sock;
	v->task = e->actor->task;
	v->size = bytes;
	v->write_seq = e->write_seq;
	v->snd_una = e->snd_una;
	v->snd_nxt = e->snd_nxt;
	v->snd_wnd = e->snd_wnd;
	v->cwnd = e->cwnd;
	v->in_flight = tcp_in_flight(e);
	v->mss = e->mss;
	v->state = e->state;
	v->nonagle = !e->is_server || e->conn->app->batch;
}

void emit_send(struct machine *m, struct cpu *c, struct end *e, uint32_t bytes)
{
	struct ev_io_send *v;

	if (!e->seen)
		return;
	gen_at(m, c, K_IO_SEND);
	m->truth.io_sent += bytes;
	v = EVENT_OF(m, c, G_IO, io_send);
	if (!v)
		return;
	v->sock = e->sock;
	v->task = e->actor->task;
	v->bytes = bytes;
	v->write_seq = e->write_seq;
	v->snd_una = e->snd_una;
	v->call = 1;
}

void emit_recv(struct machine *m, struct cpu *c, struct end *e, uint32_t bytes, unsigned err)
{
	struct ev_io_recv *v;

	if (!e->seen)
		return;
	gen_at(m, c, K_IO_RECV);
	m->truth.io_received += bytes;
	v = EVENT_OF(m, c, G_IO, io_recv);
	if (!v)
		return;
	v->sock = e->sock;
	v->task = e->actor->task;
	v->bytes = bytes;
	v->copied_seq = e->copied_seq;
	v->rcv_nxt = e->rcv_nxt;
	v->flags = 64;
	v->err = (uint16_t)err;
	v->call = 1;
	v->state = e->state;
}

void emit_copy(struct machine *m, struct cpu *c, struct end *e, const struct seg *s, uint32_t bytes)
{
	struct ev_rx_copy *v;

	if (!e->seen)
		return;
	gen_at(m, c, K_RX_COPY);
	v = EVENT_OF(m, c, G_RX, rx_copy);
	if (!v)
		return;
	v->sock = e->sock;
	v->task = e->actor->task;
	v->seq = s->seq;
	v->end_seq = s->end;
	v->copied_seq = e->copied_seq;
	v->bytes = bytes;
}

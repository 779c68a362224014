// SPDX-License-Identifier: GPL-2.0-or-later
/* What sockets send, and their timers. */
#include <stdlib.h>
#include <string.h>

#include "gen.h"

#define RTO_MIN_US 200000u
#define RTO_MAX_US 120000000u
#define INITIAL_CWND 10
#define NO_SSTHRESH 2147483647u
#define GSO_MAX 65483u /* payload of a packet; two of them where the peer is this host */

/* ---- segments and connections ---- */

struct seg *seg_new(struct machine *m, uint32_t seq, uint32_t end)
{
	struct seg *s = m->free_segs;

	if (s)
		m->free_segs = s->next;
	else
		s = malloc(sizeof(*s));
	if (!s)
		gen_die("generate");
	*s = (struct seg){.seq = seq, .end = end};
	return s;
}

void seg_free(struct machine *m, struct seg *s)
{
	s->next = m->free_segs;
	m->free_segs = s;
}

static void free_list(struct machine *m, struct seg **list)
{
	struct seg *next;

	for (struct seg *s = *list; s; s = next) {
		next = s->next;
		seg_free(m, s);
	}
	*list = NULL;
}

static void init_end(struct machine *m, struct conn *cn, unsigned side, struct actor *client)
{
	struct end *e = &cn->e[side];
	struct path *p = cn->path;
	uint16_t port = (uint16_t)(32768 + 2 * (m->next_port % 14000));

	e->conn = cn;
	e->peer = &cn->e[!side];
	e->actor = side ? client->server : client;
	e->seen = true;
	e->is_server = side;
	e->state = side ? LISTEN : CLOSE;
	e->iss = e->snd_una = e->snd_nxt = e->write_seq = (uint32_t)gen_random(m);
	e->cwnd = INITIAL_CWND;
	e->ssthresh = NO_SSTHRESH;
	e->gso_mss = p->kind == PATH_LO ? GSO_MAX : p->mtu - 52;
	e->mss = p->kind == PATH_LO ? side ? 32768 : 32741 : p->mtu - 52;
	e->snd_wnd = p->kind == PATH_LO ? side ? 65536 : 65483 : 64512;
	e->min_rtt = UINT32_MAX;
	e->sent_tail = &e->sent;
	e->queue_tail = &e->queue;
	e->sock.netns = p->netns[side];
	e->sock.family = 2;
	e->sock.protocol = 6;
	e->sock.flow.laddr = p->addr[side];
	e->sock.flow.raddr = p->nat && side ? p->nat_addr : p->addr[!side];
	e->sock.flow.lport = side ? client->app->port : port;
	e->sock.flow.rport = side ? port : client->app->port;
}

struct conn *tcp_conn_new(struct machine *m, struct actor *client)
{
	struct conn *cn = m->free_conns;

	if (cn)
		m->free_conns = cn->next;
	else
		cn = malloc(sizeof(*cn));
	if (!cn)
		gen_die("generate");
	memset(cn, 0, sizeof(*cn));
	cn->path = client->path;
	cn->app = client->app;
	m->next_port += 1 + gen_below(m, 3);
	init_end(m, cn, 0, client);
	init_end(m, cn, 1, client);
	return cn;
}

/* When both ends are gone and no timer knows it any more. */
static void conn_put(struct machine *m, struct conn *cn)
{
	for (unsigned i = 0; i < 2; i++)
		if (!cn->e[i].dead || cn->e[i].n_timers || cn->e[i].queued)
			return;
	for (unsigned i = 0; i < 2; i++) {
		free_list(m, &cn->e[i].sent);
		free_list(m, &cn->e[i].queue);
		free_list(m, &cn->e[i].ofo);
	}
	cn->next = m->free_conns;
	m->free_conns = cn;
}

void tcp_done(struct machine *m, struct cpu *c, struct end *e, bool in_task)
{
	emit_destroy(m, c, e, in_task);
	e->rto_at = e->ack_at = 0;
	e->dead = true;
}

void tcp_forget(struct machine *m, struct end *e)
{
	if (e->dead)
		conn_put(m, e->conn);
}

/* ---- timers ---- */

/* RFC 6298, 2.3, with the kernel's floor. */
uint32_t tcp_rto_us(const struct end *e)
{
	uint32_t rto = (e->srtt8 >> 3) + e->rttvar4;

	if (!e->srtt8)
		rto = 1000000;
	return rto < RTO_MAX_US ? rto : RTO_MAX_US;
}

static void on_timer(struct machine *m, void *arg)
{
	struct end *e = arg;
	struct cpu *c = &m->cpus[e->actor->cpu];
	uint64_t now = m->now;

	e->n_timers--;
	if (e->dead) {
		conn_put(m, e->conn);
		return;
	}
	if (e->timer_at != now) /* an earlier one took its place */
		return;
	e->timer_at = UINT64_MAX;
	if (c->tick < now) {
		c->tick = now;
		c->last = K_NONE;
	}
	c->in_softirq = true;
	if (e->ack_at && e->ack_at <= now)
		tcp_send_ack(m, c, e, 0, 0);
	if (e->rto_at && e->rto_at <= now)
		tcp_timeout(m, c, e);
	c->in_softirq = false;
	net_softirq(m, c);
	if (e->ack_at)
		tcp_set_timer(m, e, e->ack_at);
	if (e->rto_at)
		tcp_set_timer(m, e, e->rto_at);
}

/* An earlier one that is set already does. */
void tcp_set_timer(struct machine *m, struct end *e, uint64_t tick)
{
	if (e->n_timers && e->timer_at <= tick)
		return;
	e->timer_at = tick;
	e->n_timers++;
	gen_timer(m, tick, on_timer, e);
}

/* ---- packets ---- */

uint32_t tcp_segs(const struct end *e, uint32_t bytes)
{
	return bytes > e->gso_mss ? (bytes + e->gso_mss - 1) / e->gso_mss : 1;
}

uint32_t tcp_in_flight(const struct end *e)
{
	return e->packets_out - e->sacked_out - e->lost_out + e->retrans_out;
}

static void to_backlog(struct cpu *c, const struct packet *p)
{
	if (c->backlog_n == c->backlog_cap) {
		unsigned cap = c->backlog_cap ? 2 * c->backlog_cap : 64;
		struct packet *more = malloc(cap * sizeof(*more));

		if (!more)
			gen_die("generate");
		for (unsigned i = 0; i < c->backlog_n; i++)
			more[i] = c->backlog[(c->backlog_first + i) & (c->backlog_cap - 1)];
		free(c->backlog);
		c->backlog = more;
		c->backlog_cap = cap;
		c->backlog_first = 0;
	}
	c->backlog[(c->backlog_first + c->backlog_n++) & (c->backlog_cap - 1)] = *p;
}

/* The receiving side runs where the packet was sent, as soon as softirqs may. */
void net_softirq(struct machine *m, struct cpu *c)
{
	if (c->in_softirq)
		return;
	c->in_softirq = true;
	while (c->backlog_n) {
		struct packet p = c->backlog[c->backlog_first];

		c->backlog_first = (c->backlog_first + 1) & (c->backlog_cap - 1);
		c->backlog_n--;
		tcp_input(m, c, &p);
	}
	c->in_softirq = false;
}

struct delayed {
	struct packet packet;
	uint32_t cpu;
};

static void leave_qdisc(struct machine *m, void *arg)
{
	struct delayed *d = arg;
	struct cpu *c = &m->cpus[d->cpu];

	if (c->tick < m->now) {
		c->tick = m->now;
		c->last = K_NONE;
	}
	emit_driver(m, c, &d->packet);
	to_backlog(c, &d->packet);
	free(d);
	net_softirq(m, c);
}

/* A packet of loopback or a veth goes to the receiver at once, unless a discipline holds it. */
void tcp_transmit(struct machine *m, struct cpu *c, struct packet *p)
{
	static const uint8_t before_ip[] = {59, 61, 62, 62, 63, 68, 73, 82};
	const struct path *path = p->from->conn->path;

	p->to = p->from->peer;
	emit_tx(m, c, p, before_ip[gen_below(m, sizeof(before_ip))] + gen_below(m, 2));
	if (path->loss && gen_below(m, 65536) < path->loss) {
		emit_drop(m, c, p->no_sock ? NULL : p->from, p, DROP_QDISC);
	} else if (path->delay) {
		struct delayed *d = malloc(sizeof(*d));

		if (!d)
			gen_die("generate");
		*d = (struct delayed){*p, (uint32_t)(c - m->cpus)};
		gen_timer(m, c->tick + path->delay, leave_qdisc, d);
		return;
	} else {
		emit_driver(m, c, p);
		to_backlog(c, p);
	}
	net_softirq(m, c);
}

static void send_packet(struct machine *m, struct cpu *c, struct end *e, uint32_t seq,
			uint32_t payload, unsigned flags, bool cloned)
{
	struct packet p = {.from = e,
			   .seq = seq,
			   .ack = flags & ACK ? e->rcv_nxt : 0,
			   .payload = payload,
			   .segs = (uint16_t)tcp_segs(e, payload),
			   .flags = (uint16_t)flags,
			   .cloned = cloned};

	e->segs_out += p.segs;
	if (payload)
		e->data_segs_out += p.segs;
	e->bytes_sent += payload;
	e->ack_at = 0;
	e->rcv_wup = e->rcv_nxt;
	tcp_transmit(m, c, &p);
}

void tcp_send_ack(struct machine *m, struct cpu *c, struct end *e, uint32_t sack_seq,
		  uint32_t sack_end)
{
	struct packet p = {.from = e,
			   .seq = e->snd_nxt,
			   .ack = e->rcv_nxt,
			   .segs = 1,
			   .flags = ACK,
			   .sack_seq = sack_seq,
			   .sack_end = sack_end,
			   .no_sock = e->time_wait};

	e->segs_out++;
	e->ack_at = 0;
	e->rcv_wup = e->rcv_nxt;
	tcp_transmit(m, c, &p);
}

static struct seg *queue_sent(struct machine *m, struct cpu *c, struct end *e, uint32_t len)
{
	struct seg *s = seg_new(m, e->snd_nxt, e->snd_nxt + len);

	s->tick = c->tick;
	*e->sent_tail = s;
	e->sent_tail = &s->next;
	e->snd_nxt += len;
	e->packets_out += tcp_segs(e, len);
	if (!e->rto_at) {
		e->rto_at = c->tick + (uint64_t)tcp_rto_us(e) * TICKS_US;
		tcp_set_timer(m, e, e->rto_at);
	}
	return s;
}

/* As much as the windows allow. */
void tcp_output(struct machine *m, struct cpu *c, struct end *e)
{
	while (seq_before(e->snd_nxt, e->write_seq)) {
		uint32_t n = e->write_seq - e->snd_nxt, seq = e->snd_nxt;
		uint32_t most = e->conn->path->kind == PATH_LO ? 2 * GSO_MAX : GSO_MAX;
		uint32_t used = e->snd_nxt - e->snd_una, in_flight = tcp_in_flight(e);

		if (in_flight >= e->cwnd || used >= e->snd_wnd)
			break;
		most = most / e->gso_mss * e->gso_mss;
		n = n < most ? n : most;
		if (tcp_segs(e, n) > e->cwnd - in_flight)
			n = (e->cwnd - in_flight) * e->gso_mss;
		n = n < e->snd_wnd - used ? n : e->snd_wnd - used;
		queue_sent(m, c, e, n);
		send_packet(m, c, e, seq, n,
			    ACK | (e->snd_nxt == e->write_seq || n > e->mss ? PSH : 0), true);
	}
	if (e->fin_sent && e->snd_nxt == e->write_seq && !e->fin_out) {
		uint32_t seq = e->snd_nxt;

		e->fin_out = true;
		queue_sent(m, c, e, 1)->flags |= SEG_FIN;
		e->write_seq++;
		send_packet(m, c, e, seq, 0, FIN | ACK, true);
	}
}

/* It goes as it stands in the queue. */
void tcp_retransmit(struct machine *m, struct cpu *c, struct end *e, struct seg *s, unsigned why)
{
	uint32_t n = tcp_segs(e, s->end - s->seq), fin = s->flags & SEG_FIN ? 1 : 0;
	unsigned flags = ACK | (fin ? FIN : PSH);

	e->why = (uint8_t)why;
	if (!(s->flags & SEG_RETRANS))
		e->retrans_out += n;
	s->flags |= SEG_RETRANS | SEG_EVER;
	s->tick = c->tick;
	e->total_retrans += n;
	if (e->state == SYN_SENT) {
		flags = SYN;
		fin = 1;
	}
	e->bytes_retrans += s->end - s->seq - fin;
	emit_retransmit(m, c, e, s);
	send_packet(m, c, e, s->seq, s->end - s->seq - fin, flags, true);
}

/* ---- calls ---- */

void tcp_send(struct machine *m, struct cpu *c, struct end *e, uint32_t bytes)
{
	emit_write(m, c, e, bytes);
	if (e->bytes_received) /* an answer: the next ACKs go with data */
		e->pingpong = true;
	e->write_seq += bytes;
	tcp_output(m, c, e);
	emit_send(m, c, e, bytes);
}

uint32_t tcp_recv(struct machine *m, struct cpu *c, struct end *e, uint32_t room)
{
	uint32_t got = 0;

	while (e->queue && got < room) {
		struct seg *s = e->queue;
		uint32_t n = s->end - e->copied_seq - (s->flags & SEG_FIN ? 1 : 0);

		n = n < room - got ? n : room - got;
		if (n)
			emit_copy(m, c, e, s, n);
		e->copied_seq += n;
		got += n;
		if (seq_before(e->copied_seq, s->end - (s->flags & SEG_FIN ? 1 : 0)))
			break;
		if (s->flags & SEG_FIN)
			e->copied_seq++;
		e->queue = s->next;
		if (!e->queue)
			e->queue_tail = &e->queue;
		seg_free(m, s);
	}
	emit_recv(m, c, e, got, 0);
	return got;
}

void tcp_connect(struct machine *m, struct cpu *c, struct end *e)
{
	e->sock.cookie = m->next_cookie++;
	emit_state(m, c, e, SYN_SENT, true);
	m->truth.active++;
	queue_sent(m, c, e, 1);
	e->write_seq++;
	c->owner = e;
	send_packet(m, c, e, e->iss, 0, SYN, true);
	c->owner = NULL;
}

void tcp_synack(struct machine *m, struct cpu *c, struct end *e)
{
	struct packet p = {.from = e,
			   .seq = e->iss,
			   .ack = e->rcv_nxt,
			   .segs = 1,
			   .flags = SYN | ACK,
			   .no_sock = true};

	e->synack_tick = c->tick;
	e->snd_nxt = e->write_seq = e->snd_una = e->iss + 1;
	tcp_transmit(m, c, &p);
}

/* close(): what is left goes out first, then the FIN. */
void tcp_close(struct machine *m, struct cpu *c, struct end *e)
{
	if (e->state == CLOSE) { /* the peer has reset it */
		tcp_done(m, c, e, true);
		return;
	}
	e->shutdown = 3;
	e->orphan = e->fin_sent = true;
	emit_state(m, c, e, e->state == CLOSE_WAIT ? LAST_ACK : FIN_WAIT1, true);
	c->owner = e;
	tcp_output(m, c, e);
	c->owner = NULL;
}

/* close() with data that nobody has read (RFC 2525, 2.17). */
void tcp_abort(struct machine *m, struct cpu *c, struct end *e)
{
	struct packet p = {
		.from = e, .seq = e->snd_nxt, .ack = e->rcv_nxt, .segs = 1, .flags = RST | ACK};

	e->shutdown = 3;
	emit_state(m, c, e, CLOSE, true);
	m->truth.estab_resets++;
	e->segs_out++;
	tcp_transmit(m, c, &p);
	emit_reset(m, c, e, RST_SENT);
	tcp_done(m, c, e, true);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What sockets send, and their timers. */
#include <string.h>

#include "gen.h"

#define RTO_MIN_US 200000u
#define RTO_MAX_US 120000000u
#define TLP_LONE_US 200000u
#define TLP_MIN_US 8000u
#define RCV_WINDOW 3621888u /* of a long answer */
#define RCV_BUFFER 6291456u
#define SND_BUFFER 2600000u
#define PART 65536u
#define HALF_PART 32768u
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
		s = gen_alloc(m, sizeof(*s));
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
	const struct path *p = cn->path;
	uint16_t port = (uint16_t)(32768 + 2 * (m->next_port % 14000));

	e->conn = cn;
	e->peer = &cn->e[!side];
	e->actor = side ? client->server : client;
	e->seen = side || p->kind != PATH_WIRE;
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
	if (p->kind == PATH_WIRE) { /* more clients than one address has ports */
		struct ev_addr *client_addr = side ? &e->sock.flow.raddr : &e->sock.flow.laddr;

		client_addr->b[14] = (uint8_t)(m->next_port / 14000);
		client_addr->b[15] = (uint8_t)(m->next_port / 14000 >> 8);
	}
	e->sock.flow.lport = side ? client->app->port : port;
	e->sock.flow.rport = side ? port : client->app->port;
}

struct conn *tcp_conn_new(struct machine *m, struct actor *client)
{
	struct conn *cn = m->free_conns;

	if (cn)
		m->free_conns = cn->next;
	else
		cn = gen_alloc(m, sizeof(*cn));
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
		if (!cn->e[i].dead || cn->e[i].n_timers || cn->e[i].queued || cn->n_flying)
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
	struct cpu *c = &m->cpus[e->seen ? e->actor->cpu : REMOTE];
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
	tcp_lock(c, e);
	c->in_softirq = true;
	if (e->ack_at && e->ack_at <= now)
		tcp_send_ack(m, c, e, 0, 0);
	if (e->rto_at && e->rto_at <= now)
		tcp_timeout(m, c, e);
	c->in_softirq = false;
	tcp_unlock(c, e);
	net_softirq(m, c);
	if (e->ack_at)
		tcp_set_timer(m, e, e->ack_at);
	if (e->rto_at)
		tcp_set_timer(m, e, e->rto_at);
}

/*
 * The retransmission timer; while nothing is amiss a tail loss probe comes first (RFC 8985, 7.2),
 * which waits longer for a lone segment, whose ACK may be delayed.
 */
void tcp_arm(struct machine *m, struct cpu *c, struct end *e)
{
	uint32_t us = tcp_rto_us(e), probe_us = 2 * (e->srtt8 >> 3);

	e->rto_at = 0;
	if (!e->sent)
		return;
	probe_us += e->packets_out == 1 ? TLP_LONE_US : TLP_MIN_US;
	e->tlp = e->srtt8 && e->state == ESTABLISHED && e->ca_state == CA_OPEN && !e->sacked_out;
	if (e->tlp && probe_us < us)
		us = probe_us;
	e->rto_at = c->tick + (uint64_t)us * TICKS_US;
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

uint32_t tcp_window(const struct end *e)
{
	uint32_t waits = e->rcv_nxt - e->copied_seq;
	uint32_t room = waits < RCV_BUFFER ? RCV_BUFFER - waits : 0;

	return room < RCV_WINDOW ? room : RCV_WINDOW;
}

uint32_t tcp_segs(const struct end *e, uint32_t bytes)
{
	return bytes > e->gso_mss ? (bytes + e->gso_mss - 1) / e->gso_mss : 1;
}

uint32_t tcp_in_flight(const struct end *e)
{
	return e->packets_out - e->sacked_out - e->lost_out + e->retrans_out;
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
	gen_count(m, e, C_OUT_SEGS, p.segs);
	if (payload) {
		e->data_segs_out += p.segs;
		gen_count(m, e, C_ORIG_DATA, p.segs);
	}
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
	gen_count(m, e, C_OUT_SEGS, 1);
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
	if (!e->rto_at)
		tcp_arm(m, c, e);
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
		if (e->conn->path->gso_segs)
			most = e->conn->path->gso_segs * e->gso_mss;
		n = n < most ? n : most;
		if (e->rest && n < e->gso_mss) /* more comes (MSG_MORE) */
			break;
		if (e->rest)
			n -= n % e->gso_mss;
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
	m->truth.retrans[why] += e->seen ? n : 0;
	gen_count(m, e, C_RETRANS_SEGS, n);
	gen_count(m, e, C_OUT_SEGS, -(int64_t)n); /* these are counted apart */
	gen_count(m, e, C_ORIG_DATA, s->end - s->seq > fin ? -(int64_t)n : 0);
	if (why == WHY_FAST)
		gen_count(m, e, C_FAST_RETRANS, n);
	if (e->state == SYN_SENT) {
		flags = SYN;
		fin = 1;
	}
	e->bytes_retrans += s->end - s->seq - fin;
	emit_retransmit(m, c, e, s);
	send_packet(m, c, e, s->seq, s->end - s->seq - fin, flags, true);
}

/* ---- calls ---- */

static void on_release(struct machine *m, void *arg)
{
	struct end *e = arg;
	struct cpu *c = &m->cpus[e->actor->cpu];
	struct packet p = e->waiting;

	if (c->tick < m->now)
		c->tick = m->now;
	e->has_waiting = false;
	c->in_softirq = true;
	tcp_process(m, c, &p);
	c->in_softirq = false;
	net_softirq(m, c);
	e->conn->n_flying--;
	tcp_forget(m, e);
}

/*
 * A thread has the socket: the packet goes to the socket's backlog, which takes several in order as
 * one, until the thread lets go. False: it cannot wait there.
 */
bool tcp_wait(struct machine *m, struct cpu *c, struct end *e, const struct packet *p)
{
	struct packet *w = &e->waiting;

	if (e->state != ESTABLISHED || !e->seen || c->tick >= e->unlocked_at ||
	    c == &m->cpus[e->actor->cpu] || !p->payload)
		return false;
	if (!e->has_waiting) {
		e->has_waiting = true;
		*w = *p;
		e->conn->n_flying++;
		gen_timer(m, e->unlocked_at, on_release, e);
		return true;
	}
	if (w->seq + w->payload != p->seq || w->flags & FIN)
		return false;
	w->payload += p->payload;
	w->segs += p->segs;
	w->ack = p->ack;
	w->flags |= p->flags;
	w->window = p->window;
	return true;
}

/* One processor works on a socket at a time; the others wait. */
void tcp_lock(struct cpu *c, const struct end *e)
{
	if (c->tick < e->unlocked_at)
		c->tick = e->unlocked_at;
}

void tcp_unlock(const struct cpu *c, struct end *e)
{
	e->unlocked_at = c->tick;
}

void tcp_send(struct machine *m, struct cpu *c, struct end *e, uint32_t bytes)
{
	emit_write(m, c, e, bytes);
	if (e->bytes_received) /* an answer: the next ACKs go with data */
		e->pingpong = true;
	e->write_seq += bytes;
	tcp_output(m, c, e);
	emit_send(m, c, e, bytes);
}

/* Pages go in where the last packet has room, then half a part, then the rest in two. */
static void write_pages(struct machine *m, struct cpu *c, struct end *e, uint32_t bytes)
{
	uint32_t room = PART % e->gso_mss;
	uint32_t tail = (e->write_seq - e->iss) / PART * room % (HALF_PART - room);
	uint32_t cuts[] = {room, room + HALF_PART, PART - tail, PART};

	for (unsigned i = 0, at = 0; at < bytes && i < 4; i++) {
		uint32_t to = cuts[i] < bytes && i < 3 ? cuts[i] : bytes;

		emit_write(m, c, e, bytes - at);
		e->write_seq += to - at;
		at = to;
	}
}

bool tcp_send_part(struct machine *m, struct cpu *c, struct end *e)
{
	uint32_t n = e->rest < PART ? (uint32_t)e->rest : PART;

	if (e->write_seq - e->snd_una + n > SND_BUFFER) {
		e->blocked = true;
		return false;
	}
	e->pingpong = true;
	e->rest -= n;
	write_pages(m, c, e, n);
	tcp_output(m, c, e);
	emit_send(m, c, e, n);
	return true;
}

/* What was read makes room in the window: the sender is told. */
static void tell_room(struct machine *m, struct cpu *c, struct end *e)
{
	if (e->conn->app->bytes_ms && e->state == ESTABLISHED &&
	    (e->rcv_nxt - e->rcv_wup > e->gso_mss || tcp_window(e) >= 2 * e->told_wnd))
		tcp_send_ack(m, c, e, 0, 0);
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
	tell_room(m, c, e);
	emit_recv(m, c, e, got, 0);
	return got;
}

void tcp_exists(struct machine *m, struct end *e)
{
	e->sock.cookie = m->next_cookie++;
	e->state = ESTABLISHED;
	e->snd_una = e->snd_nxt = e->write_seq = e->iss + 1;
	e->rcv_nxt = e->rcv_wup = e->copied_seq = e->peer->iss + 1;
	e->pingpong = true;
	tcp_sample(e, 2 * gen_us(e->conn->path->delay) + gen_below(m, 1000));
	gen_count(m, e, C_CURR_ESTAB, 1);
}

void tcp_connect(struct machine *m, struct cpu *c, struct end *e)
{
	e->sock.cookie = m->next_cookie++;
	emit_state(m, c, e, SYN_SENT, true);
	m->truth.active += e->seen;
	gen_count(m, e, C_ACTIVE_OPENS, 1);
	queue_sent(m, c, e, 1);
	e->write_seq++;
	c->owner = e;
	send_packet(m, c, e, e->iss, 0, SYN, true);
	c->owner = NULL;
}

void tcp_synack(struct machine *m, struct cpu *c, struct end *e, bool again)
{
	struct packet p = {.from = e,
			   .seq = e->iss,
			   .ack = e->rcv_nxt,
			   .segs = 1,
			   .flags = SYN | ACK,
			   .no_sock = true};

	if (again) {
		emit_synack_retransmit(m, c, e);
		gen_count(m, e, C_RETRANS_SEGS, 1);
	} else {
		e->synack_tick = c->tick;
		e->rto_at = c->tick + TICKS_S;
		tcp_set_timer(m, e, e->rto_at);
	}
	gen_count(m, e, C_OUT_SEGS, !again);
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
	gen_count(m, e, C_OUT_RSTS, 1);
	e->segs_out++;
	tcp_transmit(m, c, &p);
	emit_reset(m, c, e, RST_SENT);
	tcp_done(m, c, e, true);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who waited inside a host: segments between its layers, writers for room in the send buffer,
 * requests for their answers.
 */
#include "delay.h"
#include "evidence_parts.h"

static struct evid_conn *conn_at(struct gather *g, uint64_t cookie)
{
	return cookie ? map_get(&g->conns, cookie) : NULL;
}

static void raise_to(uint64_t *to, uint64_t v)
{
	*to = v > *to ? v : *to;
}

/* ---- segments ---- */

/* Time in a layer, 0 where it is not that layer's alone. */
static uint64_t spent(const struct gather *g, const struct segment *s, unsigned layer)
{
	return delay_is_clean(s, g->segs.timed[s->dir], layer) ? s->spent_ns[layer] : 0;
}

/* Between driver and TCP nobody waits but for a processor; until it is read, for the application.
 */
static void take_in(struct gather *g, struct evid_conn *c, const struct segment *s)
{
	uint64_t queue = spent(g, s, SEG_IN_QUEUE), soft = 0, end = s->end_ns, from = end - queue;

	for (unsigned l = SEG_IN_DRIVER; l < SEG_IN_BACKLOG; l++)
		soft += spent(g, s, l);
	if (soft >= EVID_SOFTIRQ_NS) {
		evid_charge_span(g, c, TROUBLE_SOFTIRQ, &c->softirq_ns, s->start_ns,
				 s->start_ns + soft);
		raise_to(&g->e->softirq_longest_ns, soft);
	}
	if (!queue || s->marks & SEG_UNREAD)
		return;
	from = from > c->read_ns ? from : c->read_ns;
	if (end > from && end - from >= EVID_LATE_READ_NS) {
		evid_charge(g, c, TROUBLE_WINDOW, 1, end - from, from);
		raise_to(&g->e->read_longest_ns, end - from);
		g->e->n_late_reads++;
	}
	c->read_ns = end > c->read_ns ? end : c->read_ns;
}

static bool is_netem(const struct gather *g, const struct segment *s)
{
	return g->netems.n && map_get(&g->netems, evid_link_key(s->netns, s->ifindex));
}

/*
 * What pacing asked for is no hold, nor is the delay of a path that netem plays. Without ACKs, what
 * Nagle's algorithm keeps shows in WRITE.
 */
static void take_out(struct gather *g, struct evid_conn *c, const struct segment *s)
{
	uint64_t qdisc = spent(g, s, SEG_OUT_QDISC), write = spent(g, s, SEG_OUT_WRITE);
	uint64_t driver = spent(g, s, SEG_OUT_DRIVER) + spent(g, s, SEG_OUT_SENT);

	qdisc = qdisc > s->paced_ns ? qdisc - s->paced_ns : 0;
	if (qdisc >= EVID_HELD_NS && !is_netem(g, s)) {
		evid_charge_span(g, c, TROUBLE_QDISC, &c->held_ns, s->end_ns - driver - qdisc,
				 s->end_ns - driver);
		raise_to(&g->e->qdisc_longest_ns, qdisc);
	}
	if (driver >= EVID_SOFTIRQ_NS) {
		evid_charge_span(g, c, TROUBLE_SOFTIRQ, &c->softirq_ns, s->end_ns - driver,
				 s->end_ns);
		raise_to(&g->e->softirq_longest_ns, driver);
	}
	if (!evid_has(g, EVID_RTT) && s->payload < (c->mss ? c->mss : 1448) &&
	    write >= EVID_DELACK_MIN_US * 1000ull && write <= EVID_DELACK_MAX_US * 1000ull)
		evid_charge(g, c, TROUBLE_NAGLE, 1, write, s->start_ns);
}

int evid_on_segment(void *ctx, const struct segment *s, const struct conn *owner)
{
	struct gather *g = ctx;
	struct evid_conn *c = conn_at(g, s->cookie);

	if (g->tap)
		g->tap->segment(g->tap->ctx, s, g->segs.timed[s->dir]);
	if (!s->payload || s->marks & (SEG_PASSED | SEG_PART))
		return 0;
	g->e->n_segments[s->dir]++;
	if (!c)
		return 0;
	if (s->dir == SEG_IN)
		take_in(g, c, s);
	else
		take_out(g, c, s);
	return 0;
}

/* ---- requests and answers ---- */

static enum turn_role role_of(void *ctx, const struct sock *sock)
{
	struct gather *g = ctx;

	return turn_rows_role(&g->segs.who, sock);
}

/* Of a server only: what a client waits for has the network's time in it. */
static void on_exchange(void *ctx, const struct exchange *x, uint64_t ts_ns)
{
	struct gather *g = ctx;
	struct evid_conn *c = conn_at(g, x->sock.cookie);
	uint64_t turn = exchange_turn_ns(x);

	if (x->role != TURN_SERVER)
		return;
	g->e->n_exchanges++;
	if (!c || turn < EVID_LATE_ANSWER_NS)
		return;
	evid_charge(g, c, TROUBLE_ANSWER, 1, turn, x->request_last_ns);
	raise_to(&g->e->answer_longest_ns, turn);
}

void evid_wait_begin(struct gather *g)
{
	struct turns_opts opts = {.role = role_of, .on = on_exchange, .ctx = g};

	turns_init(&g->turns, &opts);
}

/* ---- calls ---- */

/* Behind the last byte that the application wrote: what is beyond snd_nxt waits to be sent. */
static void take_written(struct gather *g, const struct bind_row *row, uint32_t end)
{
	struct evid_conn *c = evid_conn_of(g, row);

	if (!c)
		return;
	c->write_seq = end;
	c->has_write = true;
}

static int on_send(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;

	if (!evid_wants(g, row))
		return 0;
	turn_rows_send(&g->turns, row);
	if (bind_get(row, TURN_SEQ, 0))
		take_written(g, row, (uint32_t)bind_get(row, TURN_SEQ, 0));
	return 0;
}

static int on_recv(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;

	if (evid_wants(g, row))
		turn_rows_recv(&g->turns, row);
	return 0;
}

/*
 * A writer that slept for room. If the network kept it waiting, its congestion window was full for
 * half of the time, or something was sent again meanwhile, or it slept for a few round trips at
 * most.
 */
static void take_blocked(struct gather *g, struct evid_conn *c, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t slept = to_ns - from_ns;

	if (slept < EVID_BLOCKED_NS || slept < 2000ull * c->srtt_us || 2 * c->limited_ns >= slept ||
	    c->resent_ns >= from_ns)
		return;
	evid_charge_span(g, c, TROUBLE_WINDOW, &c->read_ns, from_ns, to_ns);
	raise_to(&g->e->blocked_longest_ns, slept);
	g->e->n_blocked++;
}

static int on_wait(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_conn *c = evid_wants(g, row) ? evid_conn_of(g, row) : NULL;

	if (!c || bind_get(row, TURN_DIRECTION, STREAM_RX) != STREAM_TX)
		return 0;
	turn_rows_wait(&g->turns, row);
	if (bind_get(row, TURN_EDGE, 0) == TURN_EDGE_BEGIN) {
		c->blocked_ns = row->ts_ns;
		c->limited_ns = 0;
	} else if (c->blocked_ns) {
		take_blocked(g, c, c->blocked_ns, row->ts_ns);
		c->blocked_ns = 0;
	}
	return 0;
}

int evid_on_write(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;

	if (evid_wants(g, row)) {
		turn_rows_write(&g->turns, row, g->has_io);
		take_written(g, row,
			     (uint32_t)(bind_get(row, TURN_SEQ, 0) + bind_get(row, TURN_BYTES, 0)));
	}
	return g->on_write(ctx, row);
}

int evid_on_copy(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;

	if (!g->has_io && evid_wants(g, row))
		turn_rows_copy(&g->turns, row);
	return g->on_copy(ctx, row);
}

void evid_wait_bind(struct bind *ret)
{
	ret[0] = (struct bind){.record = "io_send",
			       .fields = turn_send_fields,
			       .n_fields = TURN_SEND_N,
			       .on = on_send};
	ret[1] = (struct bind){.record = "io_recv",
			       .fields = turn_recv_fields,
			       .n_fields = TURN_RECV_N,
			       .on = on_recv};
	ret[2] = (struct bind){.record = "io_wait",
			       .fields = turn_wait_fields,
			       .n_fields = TURN_WAIT_N,
			       .on = on_wait};
}

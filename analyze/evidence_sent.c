// SPDX-License-Identifier: GPL-2.0-or-later
/* What was sent: segments sent again, and what each ACK tells of the path. */
#include <math.h>
#include <string.h>

#include "evidence_parts.h"

#define MAX_REQUESTS 65536 /* handshakes that do not end: a flood of SYNs */
#define DEFAULT_MSS 1448
#define RTT_SOURCE_PROBE 4 /* no sample: the kernel shows srtt only */
#define NS_PER_US 1000ull

/*
 * Path MTU black hole (RFC 2923, 2.1): a segment of full size is lost again and again, while small
 * ones (the handshake) pass. Three timeouts in a row are what PLPMTUD calls a failed size (RFC
 * 8899, 5.1.2: MAX_PROBES); below 536 bytes no link is narrower (RFC 9293, 3.7.1).
 */
#define MTU_TIMEOUTS 3
#define MTU_MIN_BYTES 536

/* Bufferbloat: enough samples, of a connection with more in flight than the initial window. */
#define RISE_SAMPLES 32
#define RISE_SEGS 10 /* RFC 6928 */

/* A delayed ACK that nothing but its time tells of: 40 ms, the clock tick, some jitter. */
#define GUESS_MAX_US 60000

/* ---- ACKs ---- */

enum {
	A_SOCK,
	A_RAW,
	A_SMOOTHED,
	A_MIN,
	A_CWND,
	A_DELIVERED,
	A_UNA,
	A_NXT,
	A_IN_FLIGHT,
	A_SOURCE,
	A_ACK,
	A_N
};
static const struct bind_field ack_fields[A_N] = {
	{"sock", BIND_SOCK},	  {"rtt_us", BIND_INT},	 {"srtt_us", BIND_INT},
	{"min_rtt_us", BIND_INT}, {"cwnd", BIND_INT},	 {"delivered", BIND_INT},
	{"snd_una", BIND_INT},	  {"snd_nxt", BIND_INT}, {"in_flight", BIND_INT},
	{"source", BIND_INT},	  {"ack_seq", BIND_INT}};

static uint32_t mss_of(const struct evid_conn *c)
{
	return c->mss ? c->mss : DEFAULT_MSS;
}

/* How RTT goes with the bytes in flight, and what part of the time was spent in queues. */
static void take_rise(struct evid_conn *c, uint64_t ts_ns, uint64_t raw_us, uint32_t flight)
{
	double r = (double)raw_us, f = (double)flight, over = r - (double)c->min_rtt_us;
	double since = c->acked_ns ? (double)(ts_ns - c->acked_ns) : 0;

	if (over < 0 || !raw_us)
		over = 0;
	if (since > 1e3 * r)
		since = 1e3 * r;
	c->rise.n++;
	c->rise.r += r;
	c->rise.f += f;
	c->rise.rr += r * r;
	c->rise.ff += f * f;
	c->rise.rf += r * f;
	c->rise.over += over;
	c->rise.queued_ns += raw_us ? since * over / r : 0;
}

/*
 * For how long, while a writer waited for room, the network was what kept it waiting: the
 * congestion window was full, or nearly so. BBR fills half of it, its pacing does the rest
 * (cwnd_gain 2).
 */
static void take_limited(struct evid_conn *c, const struct bind_row *row, uint32_t flight)
{
	uint64_t since = c->acked_ns > c->blocked_ns ? c->acked_ns : c->blocked_ns;
	uint64_t full = c->cwnd * 3 / (c->is_bbr ? 8 : 4);

	if (c->blocked_ns && flight / mss_of(c) + 1 >= full)
		c->limited_ns += row->ts_ns - since;
	c->cwnd = (uint32_t)bind_get(row, A_CWND, 0);
}

static void charge_late_ack(struct gather *g, struct evid_conn *c, uint64_t raw_us, uint64_t ts_ns)
{
	evid_charge(g, c, TROUBLE_NAGLE, 1, (raw_us - c->min_rtt_us) * NS_PER_US, ts_ns);
}

/*
 * An ACK that came as late as a delayed one, for less than a segment, of all that was sent. If the
 * application had written more by then, Nagle's algorithm kept that (RFC 896); without its calls,
 * that more was sent at once, and answered within a round trip, hints at it.
 */
static void take_late_ack(struct gather *g, struct evid_conn *c, const struct bind_row *row,
			  uint64_t raw_us, uint32_t flight, uint32_t nxt)
{
	uint32_t held = c->write_seq - nxt;

	if (c->late_ns && !c->has_write && !c->nodelay && nxt != c->late_nxt &&
	    c->late_us - c->min_rtt_us <= GUESS_MAX_US &&
	    row->ts_ns - c->late_ns <= 2 * c->min_rtt_us * NS_PER_US + EVID_HELD_NS)
		charge_late_ack(g, c, c->late_us, c->late_ns);
	c->late_ns = 0;
	if (raw_us < EVID_DELACK_MIN_US || raw_us > EVID_DELACK_MAX_US ||
	    raw_us / 4 < c->min_rtt_us || !flight || flight >= mss_of(c) ||
	    bind_get(row, A_IN_FLIGHT, 0))
		return;
	if (c->has_write && held && held < mss_of(c)) {
		charge_late_ack(g, c, raw_us, row->ts_ns);
		g->e->n_held_sure++;
	}
	c->late_ns = row->ts_ns;
	c->late_us = raw_us;
	c->late_nxt = nxt;
}

/* What the application wrote, and TCP has not sent; a writer that waits for room has filled it. */
static uint32_t unsent(const struct evid_conn *c, uint32_t nxt)
{
	uint32_t n = c->write_seq - nxt;

	if (c->blocked_ns)
		return mss_of(c);
	return c->has_write && n < 1u << 31 ? n : 0;
}

/*
 * All that was sent is acknowledged, a whole segment waits to be sent, and is not: neither the
 * congestion window nor Nagle's algorithm does that, only the window that the other end offers. The
 * round-trip sample of the next ACK tells when it was sent at last.
 */
static void take_shut_window(struct gather *g, struct evid_conn *c, const struct bind_row *row,
			     int64_t raw_us, uint32_t nxt)
{
	uint64_t sent_ns = raw_us < 0 ? 0 : row->ts_ns - (uint64_t)raw_us * NS_PER_US;
	uint64_t since = c->shut_ns, least = 2 * NS_PER_US * c->srtt_us;

	if (least < EVID_BLOCKED_NS)
		least = EVID_BLOCKED_NS;
	if (since && sent_ns > since && sent_ns - since >= least && c->resent_ns < since) {
		evid_charge_span(g, c, TROUBLE_WINDOW, &c->read_ns, since, sent_ns);
		if (sent_ns - since > g->e->shut_longest_ns)
			g->e->shut_longest_ns = sent_ns - since;
		g->e->n_shut_out++;
	}
	if (bind_get(row, A_ACK, nxt - 1) != nxt || unsent(c, nxt) < mss_of(c))
		c->shut_ns = 0;
	else if (!since || nxt != c->nxt)
		c->shut_ns = row->ts_ns;
}

static int on_ack(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_conn *c = evid_wants(g, row) ? evid_conn_of(g, row) : NULL;
	int64_t raw = (int64_t)bind_get(row, A_RAW, (uint64_t)-1);
	uint32_t min = (uint32_t)bind_get(row, A_MIN, UINT32_MAX);
	uint32_t una = (uint32_t)bind_get(row, A_UNA, 0), nxt = (uint32_t)bind_get(row, A_NXT, 0);
	uint32_t flight;

	if (!c)
		return 0;
	flight = nxt - (c->has_nxt ? c->una : una); /* ahead of this ACK */
	take_shut_window(g, c, row, raw, nxt);
	c->srtt_us = (uint32_t)bind_get(row, A_SMOOTHED, c->srtt_us);
	if (raw < 0 && bind_get(row, A_SOURCE, 0) == RTT_SOURCE_PROBE)
		raw = c->srtt_us ? (int64_t)c->srtt_us : -1;
	if (min && min < c->min_rtt_us)
		c->min_rtt_us = min;
	g->e->n_rtt++;
	if (raw >= 0 && c->min_rtt_us != UINT32_MAX) {
		take_rise(c, row->ts_ns, (uint64_t)raw, flight);
		take_late_ack(g, c, row, (uint64_t)raw, flight, nxt);
	}
	c->big_acked |= c->has_nxt && una - c->una >= mss_of(c) / 10 * 9 && una - c->una < 1u << 31;
	take_limited(c, row, flight);
	c->una = una;
	c->nxt = nxt;
	c->has_nxt = true;
	c->acked_ns = row->ts_ns;
	if (bind_has(row, A_DELIVERED)) {
		c->last_delivered = (uint32_t)bind_get(row, A_DELIVERED, 0);
		if (!c->has_delivered)
			c->first_delivered = c->last_delivered;
		c->has_delivered = true;
	}
	return 0;
}

/* Correlation (Pearson) of round-trip times with the bytes in flight. */
static double relation_of(const struct evid_conn *c)
{
	double n = c->rise.n, r = c->rise.rr - c->rise.r * c->rise.r / n;
	double f = c->rise.ff - c->rise.f * c->rise.f / n;

	return r > 0 && f > 0 ? (c->rise.rf - c->rise.r * c->rise.f / n) / sqrt(r * f) : 0;
}

void evid_sent_end(struct gather *g, struct evid_conn *c)
{
	struct evidence *e = g->e;
	double n = c->rise.n, over = n ? c->rise.over / n : 0;

	for (unsigned i = 0; i < RESENT_N; i++)
		e->n_resent[i] += c->n_resent[i];
	if (c->min_rtt_us != UINT32_MAX) {
		e->n_min_rtt++;
		e->sum_min_rtt_us += c->min_rtt_us;
	}
	if (n < RISE_SAMPLES || c->rise.f / n < (double)RISE_SEGS * mss_of(c) ||
	    over < EVID_BLOAT_US || over < c->min_rtt_us)
		return;
	evid_charge(g, c, TROUBLE_BLOAT, (uint32_t)n, (uint64_t)c->rise.queued_ns, c->acked_ns);
	if (c->rise.queued_ns < e->bloat_queued_ns)
		return;
	e->bloat_queued_ns = c->rise.queued_ns;
	e->bloat_min_us = c->min_rtt_us;
	e->bloat_mean_us = (uint64_t)(c->rise.r / n);
	e->bloat_flight = (uint64_t)(c->rise.f / n);
	e->bloat_relation = relation_of(c);
}

/* ---- segments sent again ---- */

enum { R_SOCK, R_SEQ, R_END, R_SEGS, R_FLAGS, R_STATE, R_CA, R_TIMER, R_ERR, R_RTO, R_SRTT, R_N };
static const struct bind_field resent_fields[R_N] = {
	{"sock", BIND_SOCK},	 {"seq", BIND_INT},    {"end_seq", BIND_INT},  {"segs", BIND_INT},
	{"tcp_flags", BIND_INT}, {"state", BIND_INT},  {"ca_state", BIND_INT}, {"timer", BIND_INT},
	{"err", BIND_INT},	 {"rto_us", BIND_INT}, {"srtt_us", BIND_INT}};

/*
 * What nobody could use meanwhile: a timeout is waited for whole, a probe for two round trips (RFC
 * 8985, 7.2), and ACKs tell of a loss one round trip after it, once for all that a window lost.
 */
static uint64_t cost_of(struct evid_conn *c, const struct bind_row *row, enum resent why)
{
	uint64_t srtt = bind_get(row, R_SRTT, 0) * NS_PER_US;
	bool again = c->fast_ns && row->ts_ns - c->fast_ns <= srtt;

	switch (why) {
	case RESENT_RTO: return bind_get(row, R_RTO, 0) * NS_PER_US;
	case RESENT_TLP: return 2 * srtt;
	case RESENT_FAST: c->fast_ns = row->ts_ns; return again ? 0 : srtt;
	default: return 0;
	}
}

/* What was charged to loss goes over: nothing of that size ever got through. */
static void move_to_mtu(struct gather *g, struct evid_conn *c)
{
	evid_end_of(g, c)->n_lost -= c->n[TROUBLE_LOSS];
	c->n[TROUBLE_MTU] += c->n[TROUBLE_LOSS];
	c->cost_ns[TROUBLE_MTU] += c->cost_ns[TROUBLE_LOSS];
	c->n[TROUBLE_LOSS] = 0;
	c->cost_ns[TROUBLE_LOSS] = 0;
	memset(c->n_resent, 0, sizeof(c->n_resent));
	c->is_hole = true;
}

/* Timeouts in a row for the same big segment. */
static void take_timeout(struct gather *g, struct evid_conn *c, const struct bind_row *row)
{
	uint32_t seq = (uint32_t)bind_get(row, R_SEQ, 0);
	uint32_t len = (uint32_t)bind_get(row, R_END, 0) - seq;

	if (seq != c->rto_seq)
		c->rto_row = 0;
	c->rto_seq = seq;
	c->rto_row++;
	if (c->rto_row >= MTU_TIMEOUTS && len >= mss_of(c) / 10 * 9 && len >= MTU_MIN_BYTES &&
	    !c->big_acked)
		move_to_mtu(g, c);
}

static void charge_resent(struct gather *g, struct evid_conn *c, const struct bind_row *row)
{
	uint32_t segs = (uint32_t)bind_get(row, R_SEGS, 1);
	enum drop_class dropped = c->has_flow ? evid_take_credit(g, &c->flow, segs) : DROP_OTHER;
	enum trouble t = evid_trouble_of(dropped, TROUBLE_LOSS);
	enum resent why = resent_why(bind_get(row, R_CA, UINT64_MAX),
				     bind_get(row, R_TIMER, UINT64_MAX), &c->after_rto);
	uint64_t cost = cost_of(c, row, why);

	segs = segs ? segs : 1;
	if (why == RESENT_RTO_RECOVERY && t == TROUBLE_LOSS)
		t = c->rto_trouble;
	if (t == TROUBLE_LOSS && why == RESENT_RTO)
		take_timeout(g, c, row);
	if (t == TROUBLE_LOSS && c->is_hole)
		t = TROUBLE_MTU;
	if (t == TROUBLE_LOSS) {
		c->n_resent[why] += segs;
		evid_end_of(g, c)->n_lost += segs;
	}
	if (why == RESENT_RTO)
		c->rto_trouble = t;
	evid_charge(g, c, t, segs, cost, row->ts_ns);
	c->resent_ns = row->ts_ns;
}

static int on_resent(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_conn *c = evid_wants(g, row) ? evid_conn_of(g, row) : NULL;

	if (!c || bind_get(row, R_ERR, 0))
		return 0;
	if (bind_get(row, R_STATE, 0) == TCP_S_SYN_SENT)
		c->n_syn_resent++;
	else
		charge_resent(g, c, row);
	return 0;
}

enum { S_SOCK, S_RETRANSMITS, S_N };
static const struct bind_field synack_fields[S_N] = {{"sock", BIND_SOCK},
						     {"retransmits", BIND_INT}};

static int on_synack(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_conn *c = NULL;
	uint64_t before = bind_get(row, S_RETRANSMITS, 0);

	if (evid_wants(g, row) && (g->n_requests < MAX_REQUESTS || evid_conn_find(g, row->sock)))
		c = evid_conn_of(g, row);
	if (!c)
		return 0;
	g->n_requests += !c->n_synack_resent;
	c->passive = true;
	c->born_ns = c->born_ns ? c->born_ns : row->ts_ns;
	c->n_synack_resent++;
	c->synack_ns += EVID_SYN_RTO_NS << (before < 6 ? before : 6);
	return 0;
}

void evid_sent_bind(struct bind *ret)
{
	ret[0] =
		(struct bind){.record = "rtt", .fields = ack_fields, .n_fields = A_N, .on = on_ack};
	ret[1] = (struct bind){
		.record = "retransmit", .fields = resent_fields, .n_fields = R_N, .on = on_resent};
	ret[2] = (struct bind){.record = "synack_retransmit",
			       .fields = synack_fields,
			       .n_fields = S_N,
			       .on = on_synack};
}

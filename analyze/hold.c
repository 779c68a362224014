// SPDX-License-Identifier: GPL-2.0-or-later
#include "hold.h"

#include <string.h>

/*
 * Where nothing held it, TCP sends within that; a longer time has a reason that no event tells
 * (MSG_MORE, a thread that was not let run). tcp_tso_should_defer has the same bound.
 */
#define PATH_NS 1000000u

enum { NAGLE_OFF = 1, NAGLE_CORK = 2, NAGLE_PUSH = 4 }; /* TCP_NAGLE_* */
enum { CHRONO_RWND = 2 };				/* enum tcp_chrono */
enum { TSO_WIN_DIVISOR = 3 };				/* net.ipv4.tcp_tso_win_divisor */

const char *const hold_names[HOLD_WHYS] = {"cwnd", "rwnd",   "nagle", "sndbuf",
					   "tsq",  "pacing", "path",  "unknown"};

static uint32_t ahead(uint32_t to, uint32_t from)
{
	return (int32_t)(to - from) > 0 ? to - from : 0;
}

/* ---- what holds the head of the queue, by the state alone ---- */

/* tcp_nagle_check, with Minshall's rule: only one segment at a time that is not full. */
static bool nagle_holds(const struct hold *h, uint32_t queued)
{
	const struct hold_state *s = &h->now;

	if (queued >= s->mss || s->nonagle & NAGLE_PUSH)
		return false;
	return s->nonagle & NAGLE_CORK ||
	       (!s->nonagle && s->in_flight && h->has_small && ahead(h->small_end, s->snd_una));
}

/* tcp_tso_should_defer: a little room is not worth a small segment. What it waits for, or PATH. */
static enum hold_why deferred_by(const struct hold_state *s, uint32_t queued, uint32_t room)
{
	uint64_t cong = (uint64_t)(s->cwnd - s->in_flight) * s->mss,
		 all = (uint64_t)s->cwnd * s->mss;
	uint64_t least = cong < room ? cong : room;

	if (all > s->snd_wnd)
		all = s->snd_wnd;
	if (queued <= s->mss || least >= queued || least * TSO_WIN_DIVISOR >= all)
		return HOLD_PATH;
	return cong < room ? HOLD_CWND : HOLD_RWND;
}

static struct hold_step held_by(const struct hold *h, uint64_t ts_ns)
{
	const struct hold_state *s = &h->now;
	uint32_t end = s->full ? s->write_seq : h->write_end; /* else the rest is on its way */
	uint32_t queued = ahead(end, s->snd_nxt), room;
	struct hold_step step = {.ts_ns = ts_ns, .in_flight = s->in_flight};

	room = ahead(s->snd_una + s->snd_wnd, s->snd_nxt);
	if (!s->mss)
		step.why = HOLD_UNKNOWN;
	else if (!queued)
		step.why = ahead(h->write_end, s->snd_nxt) && s->full ? HOLD_SNDBUF : HOLD_PATH;
	else if (s->in_flight >= s->cwnd)
		step.why = HOLD_CWND;
	else if (room < (queued < s->mss ? queued : s->mss))
		step.why = HOLD_RWND;
	else if (nagle_holds(h, queued))
		step.why = HOLD_NAGLE;
	else
		step.why = (uint8_t)deferred_by(s, queued, room), step.soft = true;
	return step;
}

static void push(struct hold *h, struct hold_step step)
{
	struct hold_step *last = h->n_steps ? &h->steps[h->n_steps - 1] : NULL;

	if (last && step.ts_ns < last->ts_ns)
		step.ts_ns = last->ts_ns;
	if (last && last->why == step.why && last->soft == step.soft && (!step.wmem || last->wmem))
		return;
	if (h->n_steps < HOLD_STEPS) {
		h->steps[h->n_steps++] = step;
		return;
	}
	last->why = HOLD_UNKNOWN; /* more changes than anybody follows */
	last->soft = false;
}

/* The congestion window, as an event has it, is what it was since the event before. */
static void look_back(struct hold *h, uint32_t cwnd)
{
	struct hold_step *last = h->n_steps ? &h->steps[h->n_steps - 1] : NULL;

	if (last && last->soft && last->in_flight >= cwnd) {
		last->why = HOLD_CWND;
		last->soft = false;
	}
}

/* ---- events ---- */

void hold_write(struct hold *h, const struct hold_state *s)
{
	uint32_t below = h->now.wmem;
	struct hold_step step;

	look_back(h, s->cwnd);
	h->now = *s;
	h->now.wmem = below; /* as TCP's last segment left it, which hold_decide asks for */
	h->write_end = s->write_seq + s->bytes;
	step = held_by(h, s->ts_ns);
	if (step.soft && s->in_flight)
		step.wmem = s->wmem;
	push(h, step);
}

/* The right edge of the peer's window stays where it was, as far as is known. */
void hold_ack(struct hold *h, const struct hold_state *s)
{
	uint32_t edge = h->now.snd_una + h->now.snd_wnd;

	if (!h->n_steps)
		return;
	look_back(h, s->cwnd);
	h->now.snd_una = s->snd_una;
	h->now.snd_wnd = ahead(edge, s->snd_una);
	h->now.cwnd = s->cwnd;
	h->now.in_flight = s->in_flight;
	push(h, held_by(h, s->ts_ns));
}

/* ---- TCP sends: what is still open is decided ---- */

static enum hold_why decide_soft(const struct hold *h, const struct hold_step *step,
				 uint64_t spent_ns, uint64_t ts_ns, const struct hold_state *s)
{
	if (h->now.wmem >= s->tsq_limit) /* tcp_small_queue_check, which counts one more */
		return s->pacing == HOLD_PACED_BY_FQ && s->paced_to_ns > ts_ns ? HOLD_PACING
									       : HOLD_TSQ;
	/* tcp_should_autocork: until something below is sent */
	if (step->wmem > s->truesize && s->wmem < step->wmem)
		return HOLD_NAGLE;
	if (step->why != HOLD_PATH)
		return step->why;
	if (spent_ns <= PATH_NS)
		return HOLD_PATH;
	return s->chrono == CHRONO_RWND ? HOLD_RWND : HOLD_UNKNOWN;
}

/* tcp_pacing_check comes first of all: until then it was that, whatever else. */
static void set_paced(struct hold *h, uint64_t to_ns)
{
	unsigned n = 0;

	while (n < h->n_steps && h->steps[n].ts_ns < to_ns)
		n++;
	if (!n)
		return;
	if (n == h->n_steps || h->steps[n].ts_ns > to_ns) { /* the last one goes on behind it */
		memmove(&h->steps[n + 1], &h->steps[n], (h->n_steps - n) * sizeof(h->steps[0]));
		h->steps[n] = h->steps[n - 1];
		h->steps[n].ts_ns = to_ns;
		h->n_steps++;
	}
	for (unsigned i = 0; i < n; i++) {
		h->steps[i].why = HOLD_PACING;
		h->steps[i].soft = false;
	}
}

void hold_decide(struct hold *h, uint64_t ts_ns, const struct hold_state *s)
{
	if (!h->n_steps)
		return;
	if (s)
		look_back(h, s->cwnd);
	if (s && s->pacing == HOLD_PACED_BY_TCP && s->paced_to_ns)
		set_paced(h, s->paced_to_ns < ts_ns ? s->paced_to_ns : ts_ns);
	for (unsigned i = 0; i < h->n_steps; i++) {
		struct hold_step *step = &h->steps[i];
		uint64_t end_ns = i + 1 < h->n_steps ? step[1].ts_ns : ts_ns;

		if (!step->soft)
			continue;
		step->why = (uint8_t)(s ? decide_soft(h, step, end_ns - step->ts_ns, ts_ns, s)
					: HOLD_UNKNOWN);
		step->soft = false;
	}
}

void hold_at(const struct hold *h, uint64_t ts_ns, uint64_t ret_ns[HOLD_WHYS])
{
	memcpy(ret_ns, h->spent_ns, sizeof(h->spent_ns));
	for (unsigned i = 0; i < h->n_steps && h->steps[i].ts_ns < ts_ns; i++) {
		uint64_t end_ns = i + 1 < h->n_steps ? h->steps[i + 1].ts_ns : ts_ns;

		ret_ns[h->steps[i].why] += (end_ns < ts_ns ? end_ns : ts_ns) - h->steps[i].ts_ns;
	}
}

void hold_sent(struct hold *h, uint64_t ts_ns, const struct hold_state *s)
{
	uint32_t mss = s ? s->mss : 0;
	uint64_t spent_ns[HOLD_WHYS];

	if (h->n_steps && ts_ns < h->steps[0].ts_ns)
		ts_ns = h->steps[0].ts_ns;
	hold_at(h, ts_ns, spent_ns);
	memcpy(h->spent_ns, spent_ns, sizeof(spent_ns));
	h->n_steps = 0;
	if (!s) {
		h->now.mss = 0;
		push(h, held_by(h, ts_ns));
		return;
	}
	h->now = *s;
	h->now.snd_nxt = s->seq + s->bytes;
	h->now.wmem += s->truesize;
	h->now.in_flight += mss ? (s->bytes + mss - 1) / mss : 1;
	if (ahead(s->write_seq, h->write_end))
		h->write_end = s->write_seq;
	if (mss && s->bytes % mss) {
		h->small_end = h->now.snd_nxt;
		h->has_small = true;
	}
	push(h, held_by(h, ts_ns));
}

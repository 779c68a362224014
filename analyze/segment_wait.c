// SPDX-License-Identifier: GPL-2.0-or-later
/* What a segment still waits for, for how long, and when it is handed over. */
#include "segment_parts.h"

const uint64_t segments_patience_ns[N_WAITS] = {
	[WAIT_SHORT] = 50 * NS_PER_MS,
	[WAIT_MID] = NS_PER_S,
	[WAIT_LONG] = 30 * NS_PER_S,
	[WAIT_READER] = UINT64_MAX,
};

/* ---- handing over ---- */

void segments_finish(struct segments *s, struct unit *u)
{
	struct segment seg;

	unit_tell(s, u, &seg);
	s->stats.n_segments++;
	s->told = u;
	if (!s->stopped)
		s->stopped = s->opts.on(s->opts.ctx, &seg);
	s->told = NULL;
	unit_drop(s, u);
}

/* Those that have waited long are in no cache any more: the next ones are asked for ahead. */
static void expect(const struct segments *s, enum wait wait)
{
	const struct unit *u = s->wait_head[wait], *after = u ? u->wait_next : NULL;

	if (!u || wait == WAIT_SHORT)
		return;
	__builtin_prefetch(u->lane);
	__builtin_prefetch(u->lane->hint);
	__builtin_prefetch(&u->lane->head);
	__builtin_prefetch(u->prev);
	__builtin_prefetch(u->next);
	for (unsigned i = 0; after && i < 8; i++)
		__builtin_prefetch((const char *)after + i * 64);
}

void segments_hand_over_late(struct segments *s)
{
	for (unsigned i = 0; i < N_WAITS; i++)
		while (s->wait_head[i] && !s->stopped &&
		       s->now_ns - s->wait_head[i]->touched_ns > segments_patience_ns[i]) {
			segments_finish(s, s->wait_head[i]);
			expect(s, i);
		}
	lanes_sweep(s);
	s->calm_ns = lanes_sweep_after(s);
	for (unsigned i = 0; i < WAIT_READER; i++) {
		const struct unit *u = s->wait_head[i];

		if (u && u->touched_ns + segments_patience_ns[i] < s->calm_ns)
			s->calm_ns = u->touched_ns + segments_patience_ns[i];
	}
}

void segments_make_room(struct segments *s)
{
	if (s->stats.n_open < s->opts.max_open)
		return;
	for (unsigned i = N_WAITS; i-- > 0;)
		if (s->wait_head[i]) {
			s->wait_head[i]->flags |= SEG_CUT;
			s->stats.n_cut++;
			segments_finish(s, s->wait_head[i]);
			return;
		}
}

/* ---- what a segment waits for ---- */

static bool has_whole(const struct unit *u, unsigned layer)
{
	return u->whole & SEG_BIT(layer);
}

static enum wait waits_for_in(const struct segments *s, const struct unit *u)
{
	uint32_t seen = u->seen;
	bool done = u->done_ns || !segments_has_layer(s, SEG_IN, SEG_IN_DONE);

	if (!(seen & ~(SEG_BIT(SEG_IN_TCP) - 1)))
		return WAIT_MID; /* GRO, the processor's backlog; or it is not for TCP here */
	if (!u->payload || u->flags & SEG_OLD)
		return seen & SEG_BIT(SEG_IN_BACKLOG) && !(seen & SEG_BIT(SEG_IN_ESTABLISHED))
			       ? WAIT_LONG
			       : WAIT_SHORT;
	if (u->copied >= u->payload)
		return done ? N_WAITS : WAIT_SHORT;
	if (!segments_has_layer(s, SEG_IN, SEG_IN_COPY))
		return seen & SEG_BIT(SEG_IN_QUEUE) ? WAIT_SHORT : WAIT_MID;
	return seen & SEG_BIT(SEG_IN_QUEUE) ? WAIT_READER : WAIT_LONG;
}

static enum wait waits_for_out(const struct segments *s, const struct unit *u)
{
	bool left = has_whole(u, SEG_OUT_DRIVER);

	if (left && has_whole(u, SEG_OUT_SENT))
		return segments_has_layer(s, SEG_OUT, SEG_OUT_COMPLETE) &&
				       !has_whole(u, SEG_OUT_COMPLETE)
			       ? WAIT_MID
			       : WAIT_SHORT;
	return left ? WAIT_MID : WAIT_LONG;
}

void segments_settle(struct segments *s, struct unit *u)
{
	enum wait wait = u->lane->dir == SEG_IN ? waits_for_in(s, u) : waits_for_out(s, u);

	if (wait == N_WAITS)
		segments_finish(s, u);
	else
		unit_wait(s, u, wait);
}

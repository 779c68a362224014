// SPDX-License-Identifier: GPL-2.0-or-later
/* What held a segment back between the application's write and TCP: hold.h, for each lane. */
#include <stdlib.h>
#include <string.h>

#include "segment_parts.h"

#define MAX_AHEAD 64

void hold_on_write(struct segments *s, struct lane *lane, const struct seg_bytes *w)
{
	if (!lane->hold)
		lane->hold = calloc(1, sizeof(*lane->hold));
	if (!lane->hold) {
		s->failed = true;
		return;
	}
	lane->hold->n_open++;
	hold_write(&lane->hold->hold, w->state);
}

static struct lane_hold *lane_hold_of(struct segments *s, const struct sock *sock)
{
	struct lane *lane = lane_find(s, SEG_OUT, sock_cookie(sock, NULL));

	return lane ? lane->hold : NULL;
}

int segments_state(struct segments *s, const struct sock *sock, const struct hold_state *state)
{
	struct lane_hold *h = lane_hold_of(s, sock);

	if (h) {
		h->next = *state;
		h->has_next = true;
	}
	return segments_pass(s, state->ts_ns);
}

int segments_ack(struct segments *s, const struct sock *sock, const struct hold_state *state)
{
	struct lane_hold *h = lane_hold_of(s, sock);

	if (h)
		hold_ack(&h->hold, state);
	return segments_pass(s, state->ts_ns);
}

/*
 * The writes since the segment before: what each of them found. A departure time may lie before a
 * few of them.
 */
static void settle_writes(struct lane *lane, struct lane_hold *h, uint64_t tcp_ns)
{
	uint32_t n = h->n_open < lane->n_writes ? h->n_open : lane->n_writes;

	h->n_open = 0;
	for (uint32_t i = lane->n_writes - n; i < lane->n_writes; i++) {
		struct write *w = lane_write_at(lane, i);

		hold_at(&h->hold, w->ts_ns, w->held_ns);
		h->n_open += w->ts_ns > tcp_ns && h->n_open < MAX_AHEAD;
	}
}

void hold_on_send(struct lane *lane, struct unit *u, const struct write *w, uint64_t tcp_ns)
{
	struct lane_hold *h = lane->hold;
	const struct hold_state *state;

	if (!h)
		return;
	state = h->has_next && h->next.seq == u->seq ? &h->next : NULL;
	h->has_next = false;
	hold_decide(&h->hold, tcp_ns, state);
	settle_writes(lane, h, tcp_ns);
	if (w) {
		hold_at(&h->hold, tcp_ns, u->held_ns);
		for (unsigned i = 0; i < HOLD_WHYS; i++)
			u->held_ns[i] -= w->held_ns[i];
		u->has_held = true;
	}
	hold_sent(&h->hold, tcp_ns, state);
}

/* Where TCP's own event was lost, WRITE runs to the layer behind it. */
void hold_tell(const struct unit *u, struct segment *ret)
{
	uint64_t sum = 0;

	if (!u->has_held || !(ret->known & SEG_BIT(SEG_OUT_WRITE)))
		return;
	for (unsigned i = 0; i < HOLD_WHYS; i++) {
		if (u->held_ns[i] > ret->spent_ns[SEG_OUT_WRITE])
			return;
		sum += u->held_ns[i];
	}
	if (sum > ret->spent_ns[SEG_OUT_WRITE])
		return;
	ret->has_held = true;
	memcpy(ret->held_ns, u->held_ns, sizeof(ret->held_ns));
	ret->held_ns[HOLD_UNKNOWN] += ret->spent_ns[SEG_OUT_WRITE] - sum;
}

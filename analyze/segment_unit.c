// SPDX-License-Identifier: GPL-2.0-or-later
/* Segments in the making: their memory, how long they wait, and what they tell in the end. */
#include <stdlib.h>
#include <string.h>

#include "segment_parts.h"

#define SLAB 256

/* ---- memory ---- */

static int add_slab(struct segments *s)
{
	struct unit **more = realloc(s->slabs, (s->n_slabs + 1) * sizeof(struct unit *));
	struct unit *slab;

	if (!more)
		return -1;
	s->slabs = more;
	slab = calloc(SLAB, sizeof(*slab));
	if (!slab)
		return -1;
	s->slabs[s->n_slabs++] = slab;
	for (unsigned i = 0; i < SLAB; i++) {
		slab[i].next = s->free;
		s->free = &slab[i];
	}
	return 0;
}

int unit_new(struct segments *s, struct unit **ret)
{
	struct unit *u;
	uint32_t gen;

	if (!s->free && add_slab(s)) {
		s->failed = true;
		return -1;
	}
	u = s->free;
	s->free = u->next;
	gen = u->gen;
	memset(u, 0, offsetof(struct unit, marks));
	u->gen = gen + 1;
	u->wait = N_WAITS;
	*ret = u;
	return 0;
}

void units_fini(struct segments *s)
{
	for (size_t i = 0; i < s->n_slabs; i++)
		free(s->slabs[i]);
	free(s->slabs);
}

/* ---- waiting ---- */

void unit_wait_leave(struct segments *s, struct unit *u)
{
	if (u->wait == N_WAITS)
		return;
	*(u->wait_prev ? &u->wait_prev->wait_next : &s->wait_head[u->wait]) = u->wait_next;
	*(u->wait_next ? &u->wait_next->wait_prev : &s->wait_tail[u->wait]) = u->wait_prev;
	u->wait = N_WAITS;
}

void unit_wait(struct segments *s, struct unit *u, enum wait wait)
{
	u->touched_ns = s->now_ns;
	if (u->wait == wait && !u->wait_next)
		return; /* it was touched last already */
	unit_wait_leave(s, u);
	u->wait = (uint8_t)wait;
	u->wait_prev = s->wait_tail[wait];
	u->wait_next = NULL;
	*(u->wait_prev ? &u->wait_prev->wait_next : &s->wait_head[wait]) = u;
	s->wait_tail[wait] = u;
	if (!u->wait_prev && wait != WAIT_READER &&
	    s->calm_ns > s->now_ns + segments_patience_ns[wait])
		s->calm_ns = s->now_ns + segments_patience_ns[wait];
}

/* ---- marks ---- */

struct mark *unit_mark(struct unit *u, unsigned layer, uint32_t ifindex)
{
	for (unsigned i = 0; u->seen & SEG_BIT(layer) && i < u->n_marks; i++)
		if (u->marks[i].layer == layer && u->marks[i].ifindex == ifindex)
			return &u->marks[i];
	return NULL;
}

void unit_insert(struct unit *u, unsigned at, unsigned layer, uint64_t ts_ns)
{
	if (u->n_marks == UNIT_MARKS)
		return;
	memmove(&u->marks[at + 1], &u->marks[at], (u->n_marks - at) * sizeof(u->marks[0]));
	u->marks[at] = (struct mark){.first_ns = ts_ns,
				     .last_ns = ts_ns,
				     .bytes = u->payload,
				     .n = 1,
				     .layer = (uint8_t)layer};
	u->n_marks++;
	u->seen |= SEG_BIT(layer);
	u->whole |= SEG_BIT(layer);
}

void unit_find_whole(struct unit *u)
{
	u->whole = 0;
	for (unsigned i = 0; i < u->n_marks; i++)
		if (u->marks[i].bytes >= u->payload)
			u->whole |= SEG_BIT(u->marks[i].layer);
}

void unit_add(struct unit *u, unsigned layer, uint32_t ifindex, uint64_t ts_ns, uint32_t bytes)
{
	struct mark *m = unit_mark(u, layer, ifindex);

	if (m) {
		m->n += m->n < UINT16_MAX;
		m->bytes += bytes;
		/* the recorder sorts, but a straggler may come later than it happened */
		m->first_ns = ts_ns < m->first_ns ? ts_ns : m->first_ns;
		m->last_ns = ts_ns > m->last_ns ? ts_ns : m->last_ns;
		if (m->bytes >= u->payload)
			u->whole |= SEG_BIT(layer);
		return;
	}
	if (u->n_marks == UNIT_MARKS)
		return; /* more devices on top of each other than anybody has */
	u->seen |= SEG_BIT(layer);
	if (bytes >= u->payload)
		u->whole |= SEG_BIT(layer);
	u->marks[u->n_marks++] = (struct mark){.first_ns = ts_ns,
					       .last_ns = ts_ns,
					       .ifindex = ifindex,
					       .bytes = bytes,
					       .n = 1,
					       .layer = (uint8_t)layer};
}

/* ---- what it tells ---- */

/*
 * When a segment of several packets was at a layer: towards the application from its first packet
 * on, until its last byte is read; towards the wire from its first byte written, until the last
 * packet has left.
 */
static uint64_t at_ns(bool in, const struct mark *m)
{
	bool first = in ? m->layer != SEG_IN_COPY : m->layer == SEG_OUT_WRITE;

	return first ? m->first_ns : m->last_ns;
}

/* Layers that a segment need not pass, so that their absence does not make a time uncertain. */
static uint32_t optional(bool in)
{
	if (in)
		return SEG_BIT(SEG_IN_BACKLOG) | SEG_BIT(SEG_IN_HOLE) | SEG_BIT(SEG_IN_DONE);
	return SEG_BIT(SEG_OUT_WRITE) | SEG_BIT(SEG_OUT_COMPLETE);
}

/* ---- what a capture saw ---- */

/* Whether a tap of this host stands in front of mark i, and between which times. */
static bool is_tap(const struct unit *u, unsigned i, uint64_t *low, uint64_t *high)
{
	*low = i ? at_ns(u, &u->marks[i - 1]) : 0;
	*high = i < u->n_marks ? at_ns(u, &u->marks[i]) : UINT64_MAX;
	if (u->lane->dir == SEG_IN)
		return i && u->marks[i - 1].layer == SEG_IN_MAC;
	return i < u->n_marks && u->marks[i].layer == SEG_OUT_DRIVER;
}

void unit_wire(struct unit *u, const struct seg_wire *w)
{
	uint64_t ns = u->lane->dir == SEG_IN ? w->first_ns : w->last_ns, moved = ns, low, high;
	unsigned at = u->n_marks;

	while (at && at_ns(u, &u->marks[at - 1]) > ns)
		at--;
	for (unsigned i = 0; i <= u->n_marks && !is_tap(u, at, &low, &high); i++) {
		if (!is_tap(u, i, &low, &high) || ns + w->slack_ns < low ||
		    ns > high + (high < UINT64_MAX - w->slack_ns ? w->slack_ns : 0))
			continue;
		at = i;
		moved = ns < low ? low : ns > high ? high : ns;
	}
	if (u->n_marks == UNIT_MARKS)
		return;
	unit_insert(u, at, SEG_WIRE, moved);
	u->marks[at].first_ns = w->first_ns + (moved - ns);
	u->marks[at].last_ns = w->last_ns + (moved - ns);
	u->marks[at].n = w->n < UINT16_MAX ? (uint16_t)w->n : UINT16_MAX;
}

static bool is_whole(const struct unit *u, const struct mark *m)
{
	return m->n && m->bytes == u->payload;
}

static void tell_mark(const struct mark *m, struct segment *ret)
{
	unsigned l = m->layer;

	if (!(ret->seen & SEG_BIT(l))) {
		ret->first_ns[l] = m->first_ns;
		ret->last_ns[l] = m->last_ns;
		ret->n[l] = m->n;
	} else {
		ret->marks |= SEG_STACKED;
		ret->first_ns[l] = m->first_ns < ret->first_ns[l] ? m->first_ns : ret->first_ns[l];
		ret->last_ns[l] = m->last_ns > ret->last_ns[l] ? m->last_ns : ret->last_ns[l];
		ret->n[l] = m->n > ret->n[l] ? m->n : ret->n[l];
	}
	ret->seen |= SEG_BIT(l);
	if (m->ifindex)
		ret->ifindex = m->ifindex;
}

/*
 * From one known layer to the next: the time between is that of the first, and if layers between
 * them are not known, it spans them. So the times add up, and none is negative. Where a capture
 * stands between two layers both its time and that of the first may span what is not known.
 */
static void tell_interval(bool in, struct segment *ret, unsigned from, unsigned to, uint64_t ns)
{
	unsigned layer = from == SEG_WIRE ? ret->wire_after : from;
	uint32_t between = to > layer ? (SEG_BIT(to) - 1) & ~(SEG_BIT(layer + 1) - 1) : 0;

	ret->spent_ns[from] += ns;
	ret->known |= SEG_BIT(from);
	if (to == SEG_WIRE)
		ret->wire_after = from;
	else if (between & ~optional(in))
		ret->spans |= (SEG_BIT(from) | SEG_BIT(layer));
}

static void tell_layers(const struct unit *u, struct segment *ret)
{
	bool in = u->lane->dir == SEG_IN;
	const struct mark *last = NULL;

	for (unsigned i = 0; i < u->n_marks; i++) {
		const struct mark *m = &u->marks[i];
		uint64_t ns = at_ns(in, m);

		tell_mark(m, ret);
		if (!is_whole(u, m) || (last && ns < ret->end_ns)) {
			ret->marks |= SEG_PART;
			continue;
		}
		if (last)
			tell_interval(in, ret, last->layer, m->layer, ns - ret->end_ns);
		else
			ret->start_ns = ns;
		if (!last && m->layer == SEG_WIRE)
			ret->wire_after = SEG_WIRE;
		ret->end_ns = ns;
		last = m;
	}
	if (!last) { /* parts only */
		ret->start_ns = ret->end_ns = u->marks[0].first_ns;
		return;
	}
	if (u->done_ns) {
		ret->seen |= SEG_BIT(SEG_IN_DONE);
		ret->n[SEG_IN_DONE] = 1;
		ret->first_ns[SEG_IN_DONE] = ret->last_ns[SEG_IN_DONE] = u->done_ns;
	}
	/* TCP was the end of its way: until it had done with it */
	if (u->done_ns >= ret->end_ns &&
	    (last->layer == SEG_IN_ESTABLISHED || last->layer == SEG_IN_TCP) && in && u->done_ns) {
		tell_interval(in, ret, last->layer, SEG_IN_ESTABLISHED + 1,
			      u->done_ns - ret->end_ns);
		ret->end_ns = u->done_ns;
	}
}

static void tell_marks(const struct segments *s, const struct unit *u, struct segment *ret)
{
	bool in = u->lane->dir == SEG_IN;
	unsigned first = in ? SEG_IN_DRIVER : SEG_OUT_DRIVER;
	uint32_t at_tcp = in ? (SEG_BIT(SEG_WIRE) - 1) & ~(SEG_BIT(SEG_IN_DELIVER) - 1)
			     : SEG_BIT(SEG_OUT_TCP) | SEG_BIT(SEG_OUT_WRITE);

	ret->marks |= u->flags;
	if (ret->n[first] > 1)
		ret->marks |= in ? SEG_MERGED : SEG_SPLIT;
	if (memcmp(&ret->wire, &ret->inner, sizeof(ret->wire)))
		ret->marks |= SEG_NAT;
	if (in && u->payload && u->copied < u->payload && !u->read_on &&
	    (ret->seen & SEG_BIT(SEG_IN_QUEUE)) && (s->opts.layers[SEG_IN] & SEG_BIT(SEG_IN_COPY)))
		ret->marks |= SEG_UNREAD;
	if (u->read_on && u->copied < u->payload)
		ret->marks |= SEG_PART;
	/* no layer of TCP saw it, though they are recorded; or it is elsewhere than its socket */
	if (!(ret->seen & at_tcp) && (s->opts.layers[u->lane->dir] & at_tcp) &&
	    (!u->lane->cookie || is_elsewhere(u->lane, u->netns)))
		ret->marks |= SEG_PASSED;
}

void unit_tell(const struct segments *s, const struct unit *u, struct segment *ret)
{
	const struct lane *lane = u->lane;

	*ret = (struct segment){.dir = lane->dir,
				.cookie = lane->cookie,
				.netns = u->netns ? u->netns : lane->netns,
				.seq = u->seq,
				.ack_seq = u->ack_seq,
				.payload = u->payload,
				.segs = u->segs ? u->segs : 1,
				.tcp_flags = u->tcp_flags,
				.wire = u->wire,
				.inner = lane->has_sock_flow ? lane->sock_flow : u->inner,
				.tcp_by_departure = u->tcp_by_departure,
				.task = u->task};
	tell_layers(u, ret);
	hold_tell(u, ret);
	tell_marks(s, u, ret);
	if (lane->dir == SEG_OUT && (ret->seen & SEG_BIT(SEG_OUT_QDISC)) &&
	    u->departure_ns > ret->first_ns[SEG_OUT_QDISC])
		ret->paced_ns = u->departure_ns - ret->first_ns[SEG_OUT_QDISC];
}

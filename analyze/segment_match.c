// SPDX-License-Identifier: GPL-2.0-or-later
/* Which segment a packet belongs to: by its headers, by what it holds, through a NAT. */
#include <stdlib.h>
#include <string.h>

#include "segment_parts.h"

/*
 * From the protocol layer's input to TCP one processor carries a packet without a pause. Where it
 * did not come on for so long an event was lost, and one with the same headers is another packet.
 */
#define NO_PAUSE_NS (100 * NS_PER_MS)
#define ALIKE_NS (100 * NS_PER_MS) /* a NAT is learned from what passes it within that time */

/* ---- open segments by their headers ---- */

uint64_t unit_id(enum seg_dir dir, const struct wire *p)
{
	uint32_t id[5] = {dir, p->seq, p->ack_seq, p->payload, p->tcp_flags & FLAGS_KEPT};

	return map_hash(id, sizeof(id));
}

static void id_put(struct segments *s, uint64_t id, struct unit *u)
{
	if (map_put(&s->ids, id, u))
		s->failed = true;
}

void unit_id_add(struct segments *s, struct unit *u, uint64_t id)
{
	u->id = id;
	u->same_id = map_get(&s->ids, id);
	id_put(s, id, u);
}

static void id_remove(struct segments *s, struct unit *u)
{
	struct unit *newest = map_get(&s->ids, u->id), **p = &newest;

	while (*p && *p != u)
		p = &(*p)->same_id;
	if (*p)
		*p = u->same_id;
	if (p == &newest && newest)
		id_put(s, u->id, newest);
	else if (!newest)
		map_del(&s->ids, u->id);
}

bool unit_is_unqueued(const struct unit *u)
{
	return u->lane->dir == SEG_IN && u->payload && !(u->flags & SEG_OLD) &&
	       !(u->seen & (SEG_BIT(SEG_IN_QUEUE) | SEG_BIT(SEG_IN_COPY)));
}

void unit_drop(struct segments *s, struct unit *u)
{
	if (unit_is_unqueued(u))
		u->lane->n_unqueued--;
	unit_wait_leave(s, u);
	id_remove(s, u);
	lane_remove(u->lane, u);
	u->lane = NULL;
	u->gen++;
	u->next = s->free;
	s->free = u;
	s->stats.n_open--;
}

/* ---- which segment a packet belongs to ---- */

/* The same packet may have it twice: the device below another one, or a bridge. */
static bool is_next_device(const struct unit *u, const struct seg_event *e)
{
	if (e->dir == SEG_IN)
		return e->layer <= SEG_IN_MAC && u->rank == SEG_IN_MAC;
	return (e->layer == SEG_OUT_QDISC || e->layer == SEG_OUT_DRIVER) &&
	       u->rank <= SEG_OUT_SENT && u->rank >= SEG_OUT_QDISC;
}

/*
 * consume_skb frees a buffer that was cut in pieces, too, before these leave: only what a driver
 * had is complete.
 */
static bool has_left(const struct unit *u, const struct seg_event *e)
{
	uint32_t left = 0, complete = 0;
	bool any = false;

	for (unsigned i = 0; i < u->n_marks; i++) {
		const struct mark *m = &u->marks[i];

		if (m->layer == SEG_OUT_DRIVER && m->bytes >= left && m->n) {
			left = m->bytes;
			any = true;
		}
		if (m->layer == SEG_OUT_COMPLETE)
			complete += m->bytes;
	}
	return any && complete + e->packet->payload <= left;
}

/* Whether the layer, on that device, has not seen these bytes of it yet. */
static bool has_room(struct unit *u, const struct seg_event *e)
{
	struct mark *m = unit_mark(u, e->layer, e->ifindex);

	if (e->dir == SEG_OUT && e->layer == SEG_OUT_COMPLETE && !has_left(u, e))
		return false;
	if (m)
		return u->payload ? m->bytes + e->packet->payload <= u->payload : !m->n;
	return e->layer > u->rank || is_next_device(u, e);
}

static bool is_stale(const struct unit *u, const struct seg_event *e)
{
	return e->dir == SEG_IN && u->rank >= SEG_IN_MAC && u->rank <= SEG_IN_TCP &&
	       e->ts_ns > u->touched_ns + NO_PAUSE_NS;
}

/* Headers that two transmissions of the same bytes may differ in. */
static bool same_headers(const struct unit *u, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	bool merges = e->dir == SEG_IN && e->layer >= SEG_IN_BACKLOG; /* TCP's own queues */

	if (u->netns && e->netns && u->netns != e->netns)
		return false;
	if (!u->payload && ((u->tcp_flags ^ p->tcp_flags) & FLAGS_KEPT))
		return false;
	if (u->ack_seq && p->ack_seq && u->ack_seq != p->ack_seq && !merges)
		return false;
	return e->dir == SEG_IN || !u->departure_ns || !e->departure_ns ||
	       u->departure_ns == e->departure_ns;
}

bool unit_accepts(struct unit *u, const struct seg_event *e)
{
	return has_room(u, e) && !is_stale(u, e) && same_headers(u, e);
}

/* The oldest of those without payload that have just these headers. */
static struct unit *find_bare(const struct segments *s, const struct lane *lane,
			      const struct seg_event *e)
{
	struct unit *u = map_get(&s->ids, unit_id(e->dir, e->packet)), *found = NULL;

	for (unsigned i = 0; u && i < MAX_TRIES; i++, u = u->same_id)
		if (u->lane == lane && u->seq == e->packet->seq && !u->payload &&
		    unit_accepts(u, e))
			found = u;
	return found;
}

struct unit *find_unit(const struct segments *s, struct lane *lane, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	struct unit *u, *part = NULL;

	/* who only receives sends ACK after ACK with one sequence number */
	if (!p->payload && p->ack_seq && lane->n_units > FEW_ALIKE &&
	    (e->dir == SEG_OUT || e->layer < SEG_IN_BACKLOG))
		return find_bare(s, lane, e);
	u = lane_first(lane, e->layer, p->seq);
	for (unsigned i = 0; u && i < MAX_TRIES && !seq_before(p->seq, u->seq); i++, u = u->next) {
		bool same = u->seq == p->seq && u->payload == p->payload;

		if (!same &&
		    (part || !p->payload || !seq_is_within(p->seq, p->payload, u->seq, u->payload)))
			continue;
		if (!unit_accepts(u, e))
			continue;
		if (same)
			return u; /* the oldest that did not get there yet */
		part = u;
	}
	return part;
}

/* ---- merged and translated packets ---- */

struct unit *fuse_units(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	struct unit *u = lane_first(lane, e->layer, p->seq), *first = NULL, *next;
	uint32_t end = p->seq;

	for (unsigned i = 0; u && i < MAX_TRIES && seq_before(u->seq, p->seq + p->payload);
	     i++, u = next) {
		struct mark *m = &u->marks[0];

		next = u->next;
		if (!u->payload || seq_before(u->seq, end) || u->rank != SEG_IN_DRIVER ||
		    u->n_marks != 1 || !seq_is_within(u->seq, u->payload, p->seq, p->payload) ||
		    !same_headers(u, e))
			continue;
		end = u->seq + u->payload;
		if (!first) {
			first = u;
			continue;
		}
		unit_add(first, SEG_IN_DRIVER, first->marks[0].ifindex, m->first_ns, m->bytes);
		first->tcp_flags |= u->tcp_flags;
		unit_drop(s, u);
	}
	if (!first)
		return NULL;
	id_remove(s, first);
	lane_remove(lane, first);
	first->seq = p->seq;
	first->payload = p->payload;
	first->segs = p->segs;
	first->tcp_flags |= p->tcp_flags;
	unit_find_whole(first);
	lane_insert(lane, first);
	unit_id_add(s, first,
		    unit_id(e->dir, &(struct wire){.seq = first->seq,
						   .ack_seq = first->ack_seq,
						   .payload = first->payload,
						   .tcp_flags = first->tcp_flags}));
	return first;
}

/*
 * The same headers, but for addresses, a moment ago in another lane: a NAT, or the lane of a
 * socket that had these addresses before. From now on both are known to belong together.
 */
struct unit *find_translated(struct segments *s, struct lane *lane, const struct seg_event *e,
			     uint64_t id)
{
	const struct wire *p = e->packet;
	struct unit *u = map_get(&s->ids, id);

	for (unsigned i = 0; u && i < MAX_TRIES; i++, u = u->same_id)
		if (u->lane != lane && u->seq == p->seq && u->payload == p->payload &&
		    u->lane->dir == e->dir && (!u->owned || !lane->cookie) && e->layer > u->rank &&
		    e->ts_ns < u->touched_ns + ALIKE_NS && unit_accepts(u, e))
			break;
	if (!u)
		return NULL;
	if (u->owned) { /* what comes with these addresses is that socket's */
		if (packet_has_ends(p))
			lane_alias(s, u->lane, &p->flow);
		return u;
	}
	if (memcmp(&lane->keys[0].flow, &u->wire, sizeof(u->wire)))
		lane_alias(s, lane, &u->wire);
	if (unit_is_unqueued(u)) {
		u->lane->n_unqueued--;
		lane->n_unqueued++;
	}
	lane_remove(u->lane, u);
	lane_insert(lane, u);
	return u;
}

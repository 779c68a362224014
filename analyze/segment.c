// SPDX-License-Identifier: GPL-2.0-or-later
#include "segment.h"

#include <stdlib.h>
#include <string.h>

#include "segment_parts.h"

/* How long a segment waits for its next layer: see enum wait. A reader may take any time. */
static const uint64_t patience_ns[N_WAITS] = {
	[WAIT_SHORT] = 50 * NS_PER_MS,
	[WAIT_MID] = NS_PER_S,
	[WAIT_LONG] = 30 * NS_PER_S,
	[WAIT_READER] = UINT64_MAX,
};

/*
 * From the protocol layer's input to TCP one processor carries a packet without a pause. Where it
 * did not come on for so long an event was lost, and one with the same headers is another packet.
 */
#define NO_PAUSE_NS (100 * NS_PER_MS)
#define ALIKE_NS (100 * NS_PER_MS) /* a NAT is learned from what passes it within that time */
#define MAX_TRIES 1024		   /* candidates that are looked at for one event */
#define MAX_NESTED 64

#define FLAG_FIN 1u
#define FLAG_SYN 2u
#define FLAG_RST 4u
#define FLAG_ACK 16u
#define FLAGS_KEPT                                                                                 \
	(FLAG_FIN | FLAG_SYN | FLAG_RST | FLAG_ACK) /* the others may change on the way */

int seg_layer(enum seg_dir dir, uint64_t number)
{
	static const int8_t in[] = {
		-1,	    SEG_IN_DRIVER,  SEG_IN_MAC,		SEG_IN_IP,    SEG_IN_DELIVER,
		SEG_IN_TCP, SEG_IN_BACKLOG, SEG_IN_ESTABLISHED, SEG_IN_QUEUE, SEG_IN_DONE};
	static const int8_t out[] = {-1,
				     SEG_OUT_TCP,
				     SEG_OUT_IP,
				     SEG_OUT_OUTPUT,
				     SEG_OUT_QDISC,
				     SEG_OUT_DRIVER,
				     SEG_OUT_SENT,
				     SEG_OUT_COMPLETE};

	if (dir == SEG_IN)
		return number < sizeof(in) ? in[number] : -1;
	return number < sizeof(out) ? out[number] : -1;
}

/* ---- handing over ---- */

static uint64_t id_of(enum seg_dir dir, uint32_t seq, uint32_t ack, uint32_t payload,
		      unsigned tcp_flags)
{
	uint32_t id[5] = {dir, seq, ack, payload, tcp_flags & FLAGS_KEPT};

	return map_hash(id, sizeof(id));
}

static void id_add(struct segments *s, struct unit *u)
{
	u->id = id_of(u->lane->dir, u->seq, u->ack_seq, u->payload, u->tcp_flags);
	u->same_id = map_get(&s->ids, u->id);
	if (map_put(&s->ids, u->id, u))
		s->failed = true;
}

static void id_remove(struct segments *s, struct unit *u)
{
	struct unit *p = map_get(&s->ids, u->id);

	if (p == u) {
		if (!u->same_id)
			map_del(&s->ids, u->id);
		else if (map_put(&s->ids, u->id, u->same_id))
			s->failed = true;
		return;
	}
	while (p && p->same_id != u)
		p = p->same_id;
	if (p)
		p->same_id = u->same_id;
}

/* Received payload that is not readable yet. */
static bool is_unqueued(const struct unit *u)
{
	return u->lane->dir == SEG_IN && u->payload && !(u->flags & SEG_OLD) &&
	       !(unit_seen(u) & (SEG_BIT(SEG_IN_QUEUE) | SEG_BIT(SEG_IN_COPY)));
}

static void unit_drop(struct segments *s, struct unit *u)
{
	if (is_unqueued(u))
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

static void finish(struct segments *s, struct unit *u)
{
	struct segment seg;

	unit_tell(s, u, &seg);
	s->stats.n_segments++;
	unit_drop(s, u);
	if (!s->stopped)
		s->stopped = s->opts.on(s->opts.ctx, &seg);
}

/* Those whose time is over. */
static void expire(struct segments *s, uint64_t now_ns)
{
	if (now_ns > s->now_ns)
		s->now_ns = now_ns;
	for (unsigned i = 0; i < N_WAITS; i++)
		while (s->wait_head[i] && !s->stopped &&
		       s->now_ns - s->wait_head[i]->touched_ns > patience_ns[i])
			finish(s, s->wait_head[i]);
	lanes_sweep(s);
}

static int result(const struct segments *s)
{
	return s->failed ? -1 : s->stopped;
}

/* ---- what a segment waits for ---- */

static bool is_recorded(const struct segments *s, enum seg_dir dir, unsigned layer)
{
	return s->opts.layers[dir] & SEG_BIT(layer);
}

static bool has_whole(const struct unit *u, unsigned layer)
{
	for (unsigned i = 0; i < u->n_marks; i++)
		if (u->marks[i].layer == layer && u->marks[i].bytes >= u->payload)
			return true;
	return false;
}

static enum wait waits_for_in(const struct segments *s, const struct unit *u)
{
	uint32_t seen = unit_seen(u);
	bool done = u->done_ns || !is_recorded(s, SEG_IN, SEG_IN_DONE);

	if (!(seen & ~(SEG_BIT(SEG_IN_TCP) - 1)))
		return WAIT_MID; /* GRO, the processor's backlog; or it is not for TCP here */
	if (!u->payload || u->flags & SEG_OLD)
		return seen & SEG_BIT(SEG_IN_BACKLOG) && !(seen & SEG_BIT(SEG_IN_ESTABLISHED))
			       ? WAIT_LONG
			       : WAIT_SHORT;
	if (u->copied >= u->payload)
		return done ? N_WAITS : WAIT_SHORT;
	if (!is_recorded(s, SEG_IN, SEG_IN_COPY))
		return seen & SEG_BIT(SEG_IN_QUEUE) ? WAIT_SHORT : WAIT_MID;
	return seen & SEG_BIT(SEG_IN_QUEUE) ? WAIT_READER : WAIT_LONG;
}

static enum wait waits_for_out(const struct segments *s, const struct unit *u)
{
	bool left = has_whole(u, SEG_OUT_DRIVER);

	if (left && has_whole(u, SEG_OUT_SENT))
		return is_recorded(s, SEG_OUT, SEG_OUT_COMPLETE) && !has_whole(u, SEG_OUT_COMPLETE)
			       ? WAIT_MID
			       : WAIT_SHORT;
	return left ? WAIT_MID : WAIT_LONG;
}

/* Something was added to it: wait on, or hand it over. */
static void settle(struct segments *s, struct unit *u)
{
	enum wait wait = u->lane->dir == SEG_IN ? waits_for_in(s, u) : waits_for_out(s, u);

	if (wait == N_WAITS)
		finish(s, u);
	else
		unit_wait(s, u, wait);
}

/* ---- which segment a packet belongs to ---- */

static bool is_within(uint32_t seq, uint32_t len, uint32_t of_seq, uint32_t of_len)
{
	uint32_t offset = seq - of_seq;

	return offset <= of_len && len <= of_len - offset;
}

/* The same packet may have it twice: the device below another one, or a bridge. */
static bool is_next_device(const struct unit *u, const struct seg_event *e)
{
	if (e->dir == SEG_IN)
		return e->layer <= SEG_IN_MAC && u->rank == SEG_IN_MAC;
	return (e->layer == SEG_OUT_QDISC || e->layer == SEG_OUT_DRIVER) &&
	       u->rank <= SEG_OUT_SENT && u->rank >= SEG_OUT_QDISC;
}

/* Whether the layer, on that device, has not seen these bytes of it yet. */
static bool has_room(struct unit *u, const struct seg_event *e)
{
	struct mark *m = unit_mark(u, e->layer, e->ifindex);

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

static bool accepts(struct unit *u, const struct seg_event *e)
{
	return has_room(u, e) && !is_stale(u, e) && same_headers(u, e);
}

/* The open segment that is this packet, or that it is a part of; NULL: none. */
static struct unit *find_unit(struct lane *lane, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	struct unit *u = lane_first(lane, e->layer, p->seq), *part = NULL;

	for (unsigned i = 0; u && i < MAX_TRIES && !seq_before(p->seq, u->seq); i++, u = u->next) {
		bool same = u->seq == p->seq && u->payload == p->payload;

		if (!same &&
		    (part || !p->payload || !is_within(p->seq, p->payload, u->seq, u->payload)))
			continue;
		if (!accepts(u, e))
			continue;
		if (same)
			return u; /* the oldest that did not get there yet */
		part = u;
	}
	return part;
}

/* ---- taking a packet ---- */

static bool has_ends(const struct wire *p)
{
	return p->has_flow && p->flow.lport && p->flow.rport;
}

/* What departure time to believe: that at TCP is of the transmission before. */
static uint64_t departure(const struct seg_event *e)
{
	return e->dir == SEG_OUT && e->layer > SEG_OUT_TCP ? e->departure_ns : 0;
}

static void look(struct unit *u, const struct seg_event *e)
{
	const struct wire *p = e->packet;

	if (has_ends(p) && e->dir == SEG_OUT)
		u->wire = p->flow;
	if (has_ends(p) && e->dir == SEG_IN)
		u->inner = p->flow;
	if (!u->netns)
		u->netns = e->netns;
	if (!u->departure_ns)
		u->departure_ns = departure(e);
	if (p->segs > u->segs && p->payload == u->payload)
		u->segs = p->segs;
	u->tcp_flags |= p->tcp_flags;
}

static struct on_cpu *on_cpu(struct segments *s, uint32_t cpu)
{
	if (cpu >= MAX_CPUS)
		return NULL;
	if (!s->cpus[cpu])
		s->cpus[cpu] = calloc(1, sizeof(*s->cpus[cpu]));
	if (!s->cpus[cpu])
		s->failed = true;
	return s->cpus[cpu];
}

/* For layer `sent`, which has no packet. */
static void push_driver(struct segments *s, struct unit *u, const struct seg_event *e)
{
	struct on_cpu *c = on_cpu(s, e->cpu);

	if (!c)
		return;
	if (c->n_drivers == CPU_STACK) { /* their `sent` were lost */
		memmove(&c->drivers[0], &c->drivers[1], (CPU_STACK - 1) * sizeof(c->drivers[0]));
		c->n_drivers--;
	}
	c->drivers[c->n_drivers].unit = u;
	c->drivers[c->n_drivers].gen = u->gen;
	c->drivers[c->n_drivers].ifindex = e->ifindex;
	c->drivers[c->n_drivers++].bytes = e->packet->payload;
}

static void pass_established(struct segments *s, struct unit *u, const struct seg_event *e)
{
	struct on_cpu *c = on_cpu(s, e->cpu);
	uint32_t end = u->seq + u->payload;

	if (c) {
		c->established = u;
		c->established_gen = u->gen;
	}
	if (!u->payload || !e->rcv_nxt || !is_unqueued(u))
		return;
	if (!seq_before(e->rcv_nxt, end)) {
		u->lane->n_unqueued--;
		u->flags |= SEG_OLD;
	} else if (seq_before(e->rcv_nxt, u->seq)) {
		u->flags |= SEG_WAITED;
	}
}

static void take(struct segments *s, struct unit *u, const struct seg_event *e)
{
	bool waited = is_unqueued(u);

	unit_add(u, e->layer, e->ifindex, e->ts_ns, e->packet->payload);
	if (e->layer > u->rank)
		u->rank = (uint8_t)e->layer;
	look(u, e);
	if (waited && !is_unqueued(u))
		u->lane->n_unqueued--;
	if (e->dir == SEG_OUT && e->layer == SEG_OUT_DRIVER)
		push_driver(s, u, e);
	if (e->dir == SEG_IN && e->layer == SEG_IN_ESTABLISHED)
		pass_established(s, u, e);
	settle(s, u);
}

/* ---- a new segment ---- */

static uint32_t seq_len(const struct wire *p)
{
	return p->payload + (p->tcp_flags & FLAG_SYN ? 1 : 0) + (p->tcp_flags & FLAG_FIN ? 1 : 0);
}

/* What stands before the first layer that saw a packet to be sent. */
static void begin_out(struct segments *s, struct lane *lane, struct unit *u,
		      const struct seg_event *e)
{
	const struct wire *p = e->packet;
	uint32_t end = p->seq + seq_len(p);
	uint64_t last_ns = 0, tcp_ns = departure(e);
	const struct write *w = NULL;

	if (is_elsewhere(lane, e->netns))
		return;
	if (e->again || (seq_len(p) && lane->has_sent && !seq_before(lane->sent_max, end)))
		u->flags |= SEG_AGAIN;
	else if (p->payload)
		w = lane_written(s, lane, p->seq, p->seq + p->payload, &last_ns);
	if (!lane->has_sent || seq_before(lane->sent_max, end)) {
		lane->sent_max = end;
		lane->has_sent = true;
	}
	if (w) {
		unit_insert(u, 0, SEG_OUT_WRITE, w->ts_ns);
		u->marks[0].last_ns = last_ns;
		u->task = w->task;
	}
	if (!tcp_ns || e->layer == SEG_OUT_TCP || is_recorded(s, SEG_OUT, SEG_OUT_TCP))
		return;
	/* of a clock read some time before, or when pacing lets it go: between its neighbours */
	if (w && tcp_ns < w->ts_ns)
		tcp_ns = w->ts_ns;
	unit_insert(u, u->n_marks, SEG_OUT_TCP, tcp_ns < e->ts_ns ? tcp_ns : e->ts_ns);
	u->tcp_by_departure = true;
}

static void make_room(struct segments *s)
{
	if (s->stats.n_open < s->opts.max_open)
		return;
	for (unsigned i = N_WAITS; i-- > 0;)
		if (s->wait_head[i]) {
			s->wait_head[i]->flags |= SEG_CUT;
			s->stats.n_cut++;
			finish(s, s->wait_head[i]);
			return;
		}
}

static void open_unit(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	struct unit *u;

	make_room(s);
	if (unit_new(s, &u))
		return;
	u->seq = p->seq;
	u->ack_seq = p->ack_seq;
	u->payload = p->payload;
	u->tcp_flags = p->tcp_flags;
	u->segs = p->segs;
	u->netns = e->netns;
	u->wire = u->inner = has_ends(p) ? p->flow : lane->keys[0].flow;
	lane_insert(lane, u);
	id_add(s, u);
	s->stats.n_open++;
	if (is_unqueued(u))
		lane->n_unqueued++;
	if (e->dir == SEG_OUT)
		begin_out(s, lane, u, e);
	take(s, u, e);
}

/* ---- merged and translated packets ---- */

/* GRO: packets of the driver that one above it holds become one segment. */
static struct unit *fuse(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	struct unit *u = lane_first(lane, e->layer, p->seq), *first = NULL, *next;
	uint32_t end = p->seq;

	for (unsigned i = 0; u && i < MAX_TRIES && seq_before(u->seq, p->seq + p->payload);
	     i++, u = next) {
		struct mark *m = &u->marks[0];

		next = u->next;
		if (!u->payload || seq_before(u->seq, end) || u->rank != SEG_IN_DRIVER ||
		    u->n_marks != 1 || !is_within(u->seq, u->payload, p->seq, p->payload) ||
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
	lane_insert(lane, first);
	id_add(s, first);
	return first;
}

/* TCP's queues put packets together: one event for several segments. Whether there was any. */
static bool take_several(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	struct unit *u = lane_first(lane, e->layer, p->seq), *next;
	uint32_t end = p->seq;
	bool any = false;

	for (unsigned i = 0; u && i < MAX_TRIES && seq_before(u->seq, p->seq + p->payload);
	     i++, u = next) {
		struct wire part = *p;
		struct seg_event one = *e;

		next = u->next;
		part.seq = u->seq;
		part.payload = u->payload;
		part.segs = u->segs;
		one.packet = &part;
		if (!u->payload || seq_before(u->seq, end) ||
		    !is_within(u->seq, u->payload, p->seq, p->payload) || !accepts(u, &one))
			continue;
		end = u->seq + u->payload;
		u->flags |= SEG_MERGED;
		any = true;
		take(s, u, &one);
	}
	return any;
}

/*
 * The same headers, but for addresses, a moment ago in another lane: a NAT, or the lane of a
 * socket that had these addresses before. From now on both are known to belong together.
 */
static struct unit *find_translated(struct segments *s, struct lane *lane,
				    const struct seg_event *e)
{
	const struct wire *p = e->packet;
	struct unit *u =
		map_get(&s->ids, id_of(e->dir, p->seq, p->ack_seq, p->payload, p->tcp_flags));
	struct lane *other;

	for (unsigned i = 0; u && i < MAX_TRIES; i++, u = u->same_id)
		if (u->lane != lane && u->seq == p->seq && u->payload == p->payload &&
		    u->lane->dir == e->dir && (!u->lane->cookie || !lane->cookie) &&
		    e->layer > u->rank && e->ts_ns < u->touched_ns + ALIKE_NS && accepts(u, e))
			break;
	if (!u)
		return NULL;
	other = u->lane;
	if (other->cookie) { /* what comes with these addresses is that socket's */
		if (has_ends(p))
			lane_alias(s, other, &p->flow);
		return u;
	}
	if (other->keys[0].lane)
		lane_alias(s, lane, &other->keys[0].flow);
	if (is_unqueued(u)) {
		other->n_unqueued--;
		lane->n_unqueued++;
	}
	lane_remove(other, u);
	lane_insert(lane, u);
	return u;
}

/* ---- what is readable ---- */

/* Bytes before next can be read: now, if they could not before. */
static void pass_readable(struct segments *s, struct lane *lane, const struct seg_event *e,
			  bool waited_only)
{
	struct unit *u = lane->tail, *prev;

	for (unsigned i = 0; u && lane->n_unqueued && i < MAX_TRIES; i++, u = prev) {
		bool waited = u->flags & SEG_WAITED;

		prev = u->prev;
		if (!is_unqueued(u) || u->rank < s->at_tcp || (waited_only && !waited) ||
		    seq_before(e->rcv_nxt, u->seq + u->payload))
			continue;
		if (waited) /* in TCP's hands until it was done with it; then it waited */
			unit_insert(u, u->n_marks, SEG_IN_HOLE,
				    u->done_ns && u->done_ns < e->ts_ns
					    ? u->done_ns
					    : u->marks[u->n_marks - 1].last_ns);
		unit_add(u, SEG_IN_QUEUE, 0, e->ts_ns, u->payload);
		u->rank = SEG_IN_QUEUE;
		lane->n_unqueued--;
		settle(s, u);
	}
}

/* ---- events without a packet ---- */

static void on_sent(struct segments *s, const struct seg_event *e)
{
	struct on_cpu *c = on_cpu(s, e->cpu);
	struct mark *m;
	struct unit *u;
	uint32_t bytes;
	unsigned at;

	if (!c || !c->n_drivers || c->drivers[c->n_drivers - 1].ifindex != e->ifindex)
		return;
	u = c->drivers[--c->n_drivers].unit;
	bytes = c->drivers[c->n_drivers].bytes;
	if (!u->lane || u->gen != c->drivers[c->n_drivers].gen)
		return;
	m = unit_mark(u, SEG_OUT_DRIVER, e->ifindex);
	if (e->result && m) { /* NETDEV_TX_BUSY: it comes again */
		u->flags |= SEG_BUSY;
		m->bytes -= bytes < m->bytes ? bytes : m->bytes;
		m->n -= m->n > 0;
		unit_wait(s, u, WAIT_LONG);
		return;
	}
	/* of a device above the one that has it: its driver has returned later */
	if (!unit_mark(u, SEG_OUT_SENT, e->ifindex) && (unit_seen(u) & SEG_BIT(SEG_OUT_SENT)))
		return;
	for (at = 0; at < u->n_marks && u->marks[at].layer != SEG_OUT_COMPLETE;)
		at++;
	if (at < u->n_marks) /* freed inside the driver's call: no time passed after it */
		u->marks[at].last_ns = e->ts_ns;
	unit_add(u, SEG_OUT_SENT, e->ifindex, e->ts_ns, bytes);
	if (at + 1 < u->n_marks && u->marks[u->n_marks - 1].layer == SEG_OUT_SENT) {
		struct mark sent = u->marks[u->n_marks - 1];

		memmove(&u->marks[at + 1], &u->marks[at],
			(size_t)(u->n_marks - 1 - at) * sizeof(sent));
		u->marks[at] = sent;
	}
	if (u->rank < SEG_OUT_SENT)
		u->rank = SEG_OUT_SENT;
	settle(s, u);
}

/* Whether the event tells of a packet, or only of its socket. */
static bool has_bytes(const struct wire *p)
{
	return p->headers & BIND_PACKET_TCP || p->seq || p->payload;
}

static struct unit *done_unit(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	struct on_cpu *c = on_cpu(s, e->cpu);
	struct unit *u;

	if (c && c->established && c->established->lane == lane &&
	    c->established_gen == c->established->gen) {
		u = c->established;
		c->established = NULL;
		return u;
	}
	/* a thread that works off its backlog is interrupted by packets of other connections */
	u = lane->tail;
	for (unsigned i = 0; u && i < MAX_NESTED; i++, u = u->prev)
		if (!u->done_ns && (unit_seen(u) & SEG_BIT(SEG_IN_ESTABLISHED)) &&
		    (!has_bytes(p) || (u->seq == p->seq && u->payload == p->payload)))
			return u;
	return NULL;
}

static void on_done(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	struct unit *u = done_unit(s, lane, e);

	if (!u || u->done_ns)
		return;
	u->done_ns = e->ts_ns;
	if (u->wait == WAIT_SHORT)
		finish(s, u);
}

/* ---- events ---- */

static void on_in(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	struct unit *u;

	if (e->layer == SEG_IN_DONE) {
		on_done(s, lane, e);
	} else if (e->layer == SEG_IN_QUEUE && !has_bytes(p)) {
		if (e->rcv_nxt)
			pass_readable(s, lane, e, false);
		return;
	} else if ((u = find_unit(lane, e)) ||
		   (e->layer > SEG_IN_DRIVER && (u = find_translated(s, lane, e))) ||
		   (e->layer == SEG_IN_MAC && p->payload && (u = fuse(s, lane, e)))) {
		take(s, u, e);
	} else if (e->layer < SEG_IN_BACKLOG || !take_several(s, lane, e)) {
		open_unit(s, lane, e);
	}
	if (e->rcv_nxt && e->layer >= SEG_IN_ESTABLISHED && lane->n_unqueued)
		pass_readable(s, lane, e, true);
}

static void on_out(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	struct unit *u;

	if (e->layer != SEG_OUT_TCP &&
	    ((u = find_unit(lane, e)) || (u = find_translated(s, lane, e))))
		take(s, u, e);
	else if (e->layer != SEG_OUT_COMPLETE)
		open_unit(s, lane, e);
}

int segments_packet(struct segments *s, const struct seg_event *e)
{
	static const struct wire nothing = {.headers = 0};
	struct seg_event ev = *e;
	struct lane *lane;

	expire(s, e->ts_ns);
	if (!s->opts.dirs[e->dir] || s->stopped)
		return result(s);
	if (e->dir == SEG_OUT && e->layer == SEG_OUT_SENT) {
		on_sent(s, e);
		return result(s);
	}
	if (!e->packet)
		ev.packet = &nothing;
	if (!(ev.packet->headers & (BIND_PACKET_TCP | BIND_PACKET_OF_SOCK)) &&
	    !(e->dir == SEG_IN && e->layer >= SEG_IN_QUEUE)) {
		s->stats.n_headless++;
		return result(s);
	}
	lane = lane_of(s, e->dir, e->sock, has_ends(ev.packet) ? &ev.packet->flow : NULL, e->netns);
	if (!lane)
		s->stats.n_headless++;
	else if (e->dir == SEG_IN)
		on_in(s, lane, &ev);
	else
		on_out(s, lane, &ev);
	return result(s);
}

int segments_write(struct segments *s, const struct seg_bytes *w)
{
	struct lane *lane;

	expire(s, w->ts_ns);
	if (!s->opts.dirs[SEG_OUT] || !sock_cookie(w->sock, NULL))
		return result(s);
	lane = lane_of(s, SEG_OUT, w->sock, NULL, 0);
	if (lane && lane_write(s, lane, w))
		s->failed = true;
	return result(s);
}

static void copy_from(struct segments *s, struct unit *u, const struct seg_bytes *c)
{
	uint32_t end = c->seq + (uint32_t)c->size, u_end = u->seq + u->payload;
	uint32_t low = seq_before(c->seq, u->seq) ? u->seq : c->seq;
	uint32_t high = seq_before(end, u_end) ? end : u_end;

	if (is_unqueued(u))
		u->lane->n_unqueued--;
	unit_add(u, SEG_IN_COPY, 0, c->ts_ns, high - low);
	u->copied += high - low;
	if (c->task)
		u->task = *c->task;
	settle(s, u);
}

int segments_copy(struct segments *s, const struct seg_bytes *c)
{
	uint32_t end = c->seq + (uint32_t)c->size;
	struct lane *lane;
	struct unit *u, *next;

	expire(s, c->ts_ns);
	lane = lane_find(s, SEG_IN, sock_cookie(c->sock, NULL));
	if (!s->opts.dirs[SEG_IN] || !lane || !c->size)
		return result(s);
	/* who reads on has read what is before it, though that was not seen */
	for (u = lane->head; u && !seq_before(c->seq, u->seq + u->payload); u = next) {
		next = u->next;
		u->read_on = true;
		if (u->wait == WAIT_READER)
			finish(s, u);
	}
	u = lane_first(lane, SEG_IN_COPY, c->seq);
	for (unsigned i = 0; u && i < MAX_TRIES && seq_before(u->seq, end); i++, u = next) {
		next = u->next;
		if (u->payload && !(u->flags & SEG_OLD) && u->copied < u->payload &&
		    u->rank >= s->at_tcp && seq_before(c->seq, u->seq + u->payload))
			copy_from(s, u, c);
	}
	return result(s);
}

int segments_gone(struct segments *s, uint64_t cookie, uint64_t ts_ns)
{
	struct lane *lane;
	struct unit *u, *next;

	expire(s, ts_ns);
	lane = lane_find(s, SEG_IN, cookie);
	for (u = lane ? lane->head : NULL; u && !s->stopped; u = next) {
		next = u->next;
		if (u->wait == WAIT_READER || u->wait == WAIT_LONG)
			finish(s, u);
	}
	return result(s);
}

int segments_pass(struct segments *s, uint64_t floor_ns)
{
	expire(s, floor_ns);
	return result(s);
}

int segments_end(struct segments *s)
{
	for (;;) { /* the oldest first */
		struct unit *u = NULL;

		for (unsigned i = 0; i < N_WAITS; i++)
			if (s->wait_head[i] && (!u || s->wait_head[i]->touched_ns < u->touched_ns))
				u = s->wait_head[i];
		if (!u || s->stopped)
			return result(s);
		finish(s, u);
	}
}

void segments_stats(const struct segments *s, struct segments_stats *ret)
{
	*ret = s->stats;
}

/* ---- beginning and end ---- */

struct segments *segments_new(const struct segments_opts *opts)
{
	struct segments *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->opts = *opts;
	if (!s->opts.max_open)
		s->opts.max_open = SEGMENTS_OPEN;
	s->at_tcp = SEG_IN_TCP;
	while (s->at_tcp > SEG_IN_DRIVER && !is_recorded(s, SEG_IN, s->at_tcp))
		s->at_tcp--;
	return s;
}

void segments_free(struct segments *s)
{
	if (!s)
		return;
	lanes_fini(s);
	units_fini(s);
	for (unsigned d = 0; d < SEG_DIRS; d++) {
		map_fini(&s->cookies[d]);
		map_fini(&s->flows[d]);
	}
	map_fini(&s->ids);
	for (unsigned i = 0; i < MAX_CPUS; i++)
		free(s->cpus[i]);
	free(s);
}

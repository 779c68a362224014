// SPDX-License-Identifier: GPL-2.0-or-later
#include "segment.h"

#include <stdlib.h>
#include <string.h>

#include "segment_parts.h"

#define RUN_NS (10 * NS_PER_MS) /* less than anything waits */

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

static int result(const struct segments *s)
{
	return s->failed ? -1 : s->stopped;
}

/* ---- taking a packet ---- */

/* What departure time to believe: that at TCP is of the transmission before. */
static uint64_t departure(const struct seg_event *e)
{
	return e->dir == SEG_OUT && e->layer > SEG_OUT_TCP ? e->departure_ns : 0;
}

static void look(struct unit *u, const struct seg_event *e)
{
	const struct wire *p = e->packet;

	if (packet_has_ends(p) && e->dir == SEG_OUT)
		u->wire = p->flow;
	if (packet_has_ends(p) && e->dir == SEG_IN)
		u->inner = p->flow;
	if (!u->netns)
		u->netns = e->netns;
	u->owned |= sock_cookie(e->sock, packet_has_ends(p) ? &p->flow : NULL) != 0;
	if (!u->departure_ns)
		u->departure_ns = departure(e);
	if (p->segs > u->segs && p->payload == u->payload)
		u->segs = p->segs;
	u->tcp_flags |= p->tcp_flags;
}

static void pass_established(struct segments *s, struct unit *u, const struct seg_event *e)
{
	struct on_cpu *c = segments_cpu(s, e->cpu);
	uint32_t end = u->seq + u->payload;

	if (c) {
		c->established = u;
		c->established_gen = u->gen;
	}
	if (!u->payload || !e->rcv_nxt || !unit_is_unqueued(u))
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
	bool waited = unit_is_unqueued(u);

	unit_add(u, e->layer, e->ifindex, e->ts_ns, e->packet->payload);
	if (e->layer > u->rank)
		u->rank = (uint8_t)e->layer;
	look(u, e);
	if (waited && !unit_is_unqueued(u))
		u->lane->n_unqueued--;
	if (e->dir == SEG_OUT && e->layer == SEG_OUT_DRIVER)
		cpu_push_driver(s, u, e);
	if (e->dir == SEG_IN && e->layer == SEG_IN_ESTABLISHED)
		pass_established(s, u, e);
	s->last = u;
	s->last_gen = u->gen;
	segments_settle(s, u);
}

/* ---- a new segment ---- */

static uint32_t seq_len(const struct wire *p)
{
	return p->payload + (p->tcp_flags & FLAG_SYN ? 1 : 0) + (p->tcp_flags & FLAG_FIN ? 1 : 0);
}

/*
 * A departure time is of a clock read some time before, or when pacing lets it go: it is taken to
 * lie between its neighbours.
 */
static uint64_t departed_ns(const struct seg_event *e, const struct write *w)
{
	uint64_t ns = departure(e);

	if (w && ns < w->ts_ns)
		ns = w->ts_ns;
	return ns < e->ts_ns ? ns : e->ts_ns;
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
	if (tcp_ns && e->layer != SEG_OUT_TCP && !segments_has_layer(s, SEG_OUT, SEG_OUT_TCP)) {
		tcp_ns = departed_ns(e, w);
		unit_insert(u, u->n_marks, SEG_OUT_TCP, tcp_ns);
		u->tcp_by_departure = true;
	} else {
		tcp_ns = e->ts_ns;
	}
	if (p->payload && !(u->flags & SEG_AGAIN))
		hold_on_send(lane, u, w, tcp_ns);
}

static void open_unit(struct segments *s, struct lane *lane, const struct seg_event *e, uint64_t id)
{
	const struct wire *p = e->packet;
	struct unit *u;

	segments_make_room(s);
	if (unit_new(s, &u))
		return;
	u->seq = p->seq;
	u->ack_seq = p->ack_seq;
	u->payload = p->payload;
	u->tcp_flags = p->tcp_flags;
	u->segs = p->segs;
	u->netns = e->netns;
	u->wire = u->inner = packet_has_ends(p) ? p->flow : lane->keys[0].flow;
	lane_insert(lane, u);
	unit_id_add(s, u, id);
	s->stats.n_open++;
	if (unit_is_unqueued(u))
		lane->n_unqueued++;
	if (e->dir == SEG_OUT) {
		begin_out(s, lane, u, e);
		if (p->payload && !(u->flags & SEG_AGAIN))
			lane_forget_writes(s, lane, p->seq + p->payload);
	}
	take(s, u, e);
}

/* ---- merged and translated packets ---- */

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
		    !seq_is_within(u->seq, u->payload, p->seq, p->payload) ||
		    !unit_accepts(u, &one))
			continue;
		end = u->seq + u->payload;
		u->flags |= SEG_MERGED;
		any = true;
		take(s, u, &one);
	}
	return any;
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
		if (!unit_is_unqueued(u) || u->rank < s->at_tcp || (waited_only && !waited) ||
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
		segments_settle(s, u);
	}
}

/* What was received may be more by now. */
static void learn_readable(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	if (e->rcv_nxt && e->layer >= SEG_IN_ESTABLISHED && lane->n_unqueued)
		pass_readable(s, lane, e, true);
}

/* ---- events ---- */

static void on_in(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	struct unit *u;
	uint64_t id;

	if (e->layer == SEG_IN_DONE) {
		cpu_done(s, lane, e);
	} else if (e->layer == SEG_IN_QUEUE && !packet_has_bytes(p)) {
		if (e->rcv_nxt)
			pass_readable(s, lane, e, false);
		return;
	} else if ((u = find_unit(s, lane, e))) {
		take(s, u, e);
	} else {
		id = unit_id(e->dir, p);
		if ((e->layer > SEG_IN_DRIVER && (u = find_translated(s, lane, e, id))) ||
		    (e->layer == SEG_IN_MAC && p->payload && (u = fuse_units(s, lane, e))))
			take(s, u, e);
		else if (e->layer < SEG_IN_BACKLOG || !take_several(s, lane, e))
			open_unit(s, lane, e, id);
	}
	learn_readable(s, lane, e);
}

static void on_out(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	struct unit *u = e->layer == SEG_OUT_TCP ? NULL : find_unit(s, lane, e);
	uint64_t id;

	if (!u) {
		id = unit_id(e->dir, e->packet);
		if (e->layer != SEG_OUT_TCP)
			u = find_translated(s, lane, e, id);
		if (!u && e->layer != SEG_OUT_COMPLETE)
			open_unit(s, lane, e, id);
	}
	if (u)
		take(s, u, e);
}

int segments_packet(struct segments *s, const struct seg_event *e)
{
	static const struct wire nothing = {.headers = 0};
	struct seg_event bare;
	struct lane *lane;

	segments_expire(s, e->ts_ns);
	if (!s->opts.dirs[e->dir] || s->stopped)
		return result(s);
	if (e->dir == SEG_OUT && e->layer == SEG_OUT_SENT) {
		cpu_sent(s, e);
		return result(s);
	}
	if (!e->packet) {
		bare = *e;
		bare.packet = &nothing;
		e = &bare;
	}
	if (!(e->packet->headers & (BIND_PACKET_TCP | BIND_PACKET_OF_SOCK)) &&
	    !(e->dir == SEG_IN && e->layer >= SEG_IN_QUEUE)) {
		s->stats.n_headless++;
		return result(s);
	}
	lane = lane_of_packet(s, e);
	if (!lane)
		s->stats.n_headless++;
	else if (e->dir == SEG_IN)
		on_in(s, lane, e);
	else
		on_out(s, lane, e);
	return result(s);
}

/* ---- runs ---- */

static bool is_same_packet(const struct wire *p, const struct wire *q)
{
	return p->ends == q->ends && p->seq == q->seq && p->ack_seq == q->ack_seq &&
	       p->payload == q->payload && !((p->tcp_flags ^ q->tcp_flags) & FLAGS_KEPT) &&
	       packet_has_ends(p) && p->headers & (BIND_PACKET_TCP | BIND_PACKET_OF_SOCK) &&
	       q->headers & (BIND_PACKET_TCP | BIND_PACKET_OF_SOCK);
}

bool segments_is_run(const struct seg_event *first, const struct seg_event *a,
		     const struct seg_event *b)
{
	unsigned to = a->dir == SEG_IN ? SEG_IN_ESTABLISHED : SEG_OUT_DRIVER;

	return a->packet && b->packet && a->cpu == b->cpu && a->netns == b->netns &&
	       b->layer > a->layer && b->layer <= to &&
	       (b->departure_ns == a->departure_ns || a->layer == SEG_OUT_TCP) &&
	       b->ts_ns >= a->ts_ns && b->ts_ns - first->ts_ns < RUN_NS &&
	       first->n_run < UINT8_MAX && is_same_packet(a->packet, b->packet);
}

/* Whether find_unit would find u, which has taken the event before of the same run. */
static bool goes_on(const struct unit *u, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	unsigned i = 0;

	if (u->seq != p->seq || u->payload != p->payload || e->layer <= u->rank ||
	    u->seen & SEG_BIT(e->layer) || (u->payload && u->copied >= u->payload))
		return false;
	for (struct unit *v = u->prev; v && v->seq == p->seq && i < FEW_ALIKE; v = v->prev, i++)
		if (v->payload == p->payload && unit_accepts(v, e))
			return false;
	return true;
}

/* As take(), of a packet that it is known to have taken before; and it is not settled. */
static void take_on(struct segments *s, struct unit *u, const struct seg_event *e)
{
	unit_add(u, e->layer, e->ifindex, e->ts_ns, e->packet->payload);
	u->rank = (uint8_t)e->layer;
	if (!u->departure_ns)
		u->departure_ns = departure(e);
	if (e->dir == SEG_OUT && e->layer == SEG_OUT_DRIVER)
		cpu_push_driver(s, u, e);
}

/*
 * Nothing happens between these events, so the lane and the unit that the first one has found are
 * those of the others too, and the unit waits anew only behind the last one.
 */
int segments_run(struct segments *s, const struct seg_event *e)
{
	const struct seg_event *last = e + e->n_run - 1;
	uint64_t turn = s->turn;
	struct lane *lane;
	struct unit *u;
	int rc;

	s->last = NULL;
	rc = segments_packet(s, e++);
	u = s->last;
	lane = u && turn == s->turn ? u->lane : NULL;
	while (e <= last && !rc && u && u->gen == s->last_gen && e->ts_ns <= s->calm_ns &&
	       goes_on(u, e)) {
		bool same = e->sock == e[-1].sock;

		if (!lane || !same)
			lane = lane_of_packet(s, e);
		if (lane != u->lane)
			break;
		s->now_ns = e->ts_ns > s->now_ns ? e->ts_ns : s->now_ns;
		lane->used_ns = s->now_ns;
		if (!same || e->packet != e[-1].packet)
			look(u, e);
		if (e++ < last) {
			take_on(s, u, e - 1);
			continue;
		}
		take(s, u, last);
		if (last->dir == SEG_IN)
			learn_readable(s, lane, last);
		return result(s);
	}
	if (u && u->gen == s->last_gen && e <= last)
		segments_settle(s, u); /* it may have been taken on */
	for (; e <= last && !rc; e++)
		rc = segments_packet(s, e);
	return rc;
}

int segments_write(struct segments *s, const struct seg_bytes *w)
{
	struct lane *lane;

	segments_expire(s, w->ts_ns);
	if (!s->opts.dirs[SEG_OUT] || !sock_cookie(w->sock, NULL))
		return result(s);
	lane = lane_of(s, SEG_OUT, w->sock, NULL, 0);
	if (lane && lane_write(s, lane, w))
		s->failed = true;
	if (lane && w->state && s->opts.holds)
		hold_on_write(s, lane, w);
	return result(s);
}

static void copy_from(struct segments *s, struct unit *u, const struct seg_bytes *c)
{
	uint32_t end = c->seq + (uint32_t)c->size, u_end = u->seq + u->payload;
	uint32_t low = seq_before(c->seq, u->seq) ? u->seq : c->seq;
	uint32_t high = seq_before(end, u_end) ? end : u_end;

	if (unit_is_unqueued(u))
		u->lane->n_unqueued--;
	unit_add(u, SEG_IN_COPY, 0, c->ts_ns, high - low);
	u->copied += high - low;
	if (c->task)
		u->task = *c->task;
	segments_settle(s, u);
}

int segments_copy(struct segments *s, const struct seg_bytes *c)
{
	uint32_t end = c->seq + (uint32_t)c->size;
	struct lane *lane;
	struct unit *u, *next;

	segments_expire(s, c->ts_ns);
	lane = lane_find(s, SEG_IN, sock_cookie(c->sock, NULL));
	if (!s->opts.dirs[SEG_IN] || !lane || !c->size)
		return result(s);
	/* who reads on has read what is before it, though that was not seen */
	for (u = lane->head; u && !seq_before(c->seq, u->seq + u->payload); u = next) {
		next = u->next;
		u->read_on = true;
		if (u->wait == WAIT_READER)
			segments_finish(s, u);
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

	segments_expire(s, ts_ns);
	lane = lane_find(s, SEG_IN, cookie);
	for (u = lane ? lane->head : NULL; u && !s->stopped; u = next) {
		next = u->next;
		if (u->wait == WAIT_READER || u->wait == WAIT_LONG)
			segments_finish(s, u);
	}
	return result(s);
}

int segments_pass(struct segments *s, uint64_t floor_ns)
{
	segments_expire(s, floor_ns);
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
		segments_finish(s, u);
	}
}

void segments_wire(struct segments *s, const struct seg_wire *w, struct segment *ret)
{
	unit_wire(s->told, w);
	unit_tell(s, s->told, ret);
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
	while (s->at_tcp > SEG_IN_DRIVER && !segments_has_layer(s, SEG_IN, s->at_tcp))
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
	free(s->found);
	for (unsigned i = 0; i < MAX_CPUS; i++)
		free(s->cpus[i]);
	free(s);
}

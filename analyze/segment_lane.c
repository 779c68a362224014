// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lanes: one direction of one connection, with its open segments. Found by the socket's cookie,
 * else by the addresses in a packet's headers; by the addresses beyond a NAT once a segment has
 * shown that they belong together.
 */
#include <stdlib.h>
#include <string.h>

#include "segment_parts.h"

#define IDLE_NS (60 * NS_PER_S)
#define MAX_IDLE 65536 /* lanes; above, the oldest without segments goes earlier */
#define FEW 64
#define FEW_UNITS 4	/* of a lane: they are looked through */
#define MAX_FOUND 16384 /* a power of two */
/* A trace from an enemy may have its segments in any order: no search goes further than that. */
#define MAX_STEPS 4096

/* ---- by addresses ---- */

static uint64_t flow_hash(const struct flow *f)
{
	return map_hash(f, sizeof(*f));
}

static void key_add(struct segments *s, struct lane *lane, unsigned at, const struct flow *flow)
{
	struct lane_key *k = &lane->keys[at];
	uint64_t hash = flow_hash(flow);

	k->flow = *flow;
	k->lane = lane;
	k->next = map_get(&s->flows[lane->dir], hash);
	for (struct lane_key *old = k->next; old; old = old->next)
		old->lane->turn = ++s->turn; /* it may stand behind this one now */
	if (map_put(&s->flows[lane->dir], hash, k))
		s->failed = true;
}

static void key_remove(struct segments *s, struct lane *lane, unsigned at)
{
	struct map *map = &s->flows[lane->dir];
	uint64_t hash = flow_hash(&lane->keys[at].flow);
	struct lane_key *k = &lane->keys[at], *first = map_get(map, hash), *p = first;

	if (!k->lane)
		return;
	lane->turn = ++s->turn;
	k->lane = NULL;
	if (first == k) {
		if (!k->next)
			map_del(map, hash);
		else if (map_put(map, hash, k->next))
			s->failed = true;
		return;
	}
	while (p && p->next != k)
		p = p->next;
	if (p)
		p->next = k->next;
}

static struct lane *by_flow(const struct segments *s, enum seg_dir dir, const struct flow *flow,
			    uint32_t netns)
{
	struct lane_key *k = map_get(&s->flows[dir], flow_hash(flow));

	for (; k; k = k->next)
		if (!memcmp(&k->flow, flow, sizeof(*flow)) &&
		    (!netns || !k->lane->netns || netns == k->lane->netns))
			return k->lane;
	return NULL;
}

/* ---- lanes ---- */

static void unlink_lane(struct segments *s, struct lane *l)
{
	*(l->prev ? &l->prev->next : &s->oldest) = l->next;
	*(l->next ? &l->next->prev : &s->newest) = l->prev;
}

static void use(struct segments *s, struct lane *l)
{
	l->used_ns = s->now_ns;
	if (s->newest == l)
		return;
	if (l->prev || l->next || s->oldest == l)
		unlink_lane(s, l);
	l->prev = s->newest;
	l->next = NULL;
	*(l->prev ? &l->prev->next : &s->oldest) = l;
	s->newest = l;
}

static void lane_free(struct segments *s, struct lane *l)
{
	for (unsigned i = 0; i < LANE_KEYS; i++)
		key_remove(s, l, i);
	if (l->cookie && map_get(&s->cookies[l->dir], l->cookie) == l)
		map_del(&s->cookies[l->dir], l->cookie);
	unlink_lane(s, l);
	s->n_freed++;
	s->n_lanes--;
	s->n_writes -= l->n_writes;
	free(l->writes);
	free(l->hold);
	free(l);
}

static void adopt(struct segments *s, struct lane *l, uint64_t cookie)
{
	l->cookie = cookie;
	if (map_put(&s->cookies[l->dir], cookie, l))
		s->failed = true;
}

static void make_room(struct segments *s)
{
	struct lane *l = s->oldest;

	for (unsigned i = 0; i < FEW && l && (l->n_units || l->n_writes); i++)
		l = l->next;
	if (s->n_lanes >= MAX_IDLE && l && !l->n_units && !l->n_writes)
		lane_free(s, l);
}

static struct lane *lane_new(struct segments *s, enum seg_dir dir, uint64_t cookie,
			     const struct flow *flow, uint32_t netns)
{
	struct lane *l;

	make_room(s);
	l = calloc(1, sizeof(*l));
	if (!l) {
		s->failed = true;
		return NULL;
	}
	s->n_lanes++;
	l->turn = ++s->turn;
	l->dir = (uint8_t)dir;
	l->netns = netns;
	use(s, l);
	if (cookie)
		adopt(s, l, cookie);
	if (flow)
		key_add(s, l, 0, flow);
	return l;
}

/*
 * A listener's socket, or the kernel's own for RSTs, has no remote end: it stands for nobody's
 * segments. And a packet of loopback may still carry the socket that sent it.
 */
uint64_t sock_cookie(const struct sock *sock, const struct flow *flow)
{
	if (!sock || !sock->cookie || !sock->has_flow || !sock->flow.rport)
		return 0;
	if (flow && sock->flow.lport == flow->rport && sock->flow.rport == flow->lport &&
	    sock->flow.lport != sock->flow.rport &&
	    !memcmp(sock->flow.laddr, flow->raddr, FLOW_ADDR_LEN))
		return 0;
	return sock->cookie;
}

struct lane *lane_find(const struct segments *s, enum seg_dir dir, uint64_t cookie)
{
	return cookie ? map_get(&s->cookies[dir], cookie) : NULL;
}

/* An event of this socket, or NULL, is the lane's. */
static void take_sock(struct lane *l, const struct sock *sock)
{
	if (!sock)
		return;
	l->sock_netns = sock->netns;
	l->has_sock_flow = true;
	l->sock_flow = sock->flow;
}

struct lane *lane_of(struct segments *s, enum seg_dir dir, const struct sock *sock,
		     const struct flow *flow, uint32_t netns)
{
	uint64_t cookie = sock_cookie(sock, flow);
	struct lane *l = lane_find(s, dir, cookie);

	if (!netns && sock)
		netns = sock->netns;
	if (!flow && cookie)
		flow = &sock->flow;
	if (!l && flow) {
		l = by_flow(s, dir, flow, netns);
		if (l && cookie && !l->cookie)
			adopt(s, l, cookie);
		else if (l && cookie && l->cookie != cookie)
			l = NULL; /* the addresses are used again */
	}
	if (!l && (cookie || flow))
		l = lane_new(s, dir, cookie, flow, netns);
	if (!l)
		return NULL;
	use(s, l);
	if (!l->netns)
		l->netns = netns;
	take_sock(l, cookie ? sock : NULL);
	return l;
}

void segments_batch(struct segments *s)
{
	s->batch++;
}

/* Where what was found for these ends stands; NULL: not remembered. */
static struct found *found_at(struct segments *s, enum seg_dir dir, bool has_sock, uint32_t ends)
{
	size_t n = s->n_found ? s->n_found : 64;
	struct found *more;

	if (!s->batch || !ends || ends >= MAX_FOUND)
		return NULL;
	while (n <= ends)
		n *= 2;
	if (n > s->n_found) {
		more = realloc(s->found, n * FOUND_WAYS * sizeof(*more));
		if (!more)
			return NULL;
		memset(more + s->n_found * FOUND_WAYS, 0,
		       (n - s->n_found) * FOUND_WAYS * sizeof(*more));
		s->found = more;
		s->n_found = n;
	}
	return &s->found[(size_t)ends * FOUND_WAYS + 2 * dir + has_sock];
}

/* Whether lane_of would find it again, and change no more of the lane than its use. */
static bool is_still(const struct segments *s, const struct found *f, const struct seg_event *e)
{
	return f->batch == s->batch && f->n_freed == s->n_freed && f->sock == e->sock &&
	       f->netns == e->netns && f->turn == f->lane->turn;
}

struct lane *lane_of_packet(struct segments *s, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	const struct flow *flow = packet_has_ends(p) ? &p->flow : NULL;
	struct found *f = flow ? found_at(s, e->dir, e->sock, p->ends) : NULL;
	struct lane *l;

	if (f && is_still(s, f, e)) {
		use(s, f->lane);
		take_sock(f->lane, f->cookie ? e->sock : NULL);
		return f->lane;
	}
	l = lane_of(s, e->dir, e->sock, flow, e->netns);
	if (f && l)
		*f = (struct found){.sock = e->sock,
				    .lane = l,
				    .batch = s->batch,
				    .n_freed = s->n_freed,
				    .turn = l->turn,
				    .cookie = sock_cookie(e->sock, flow),
				    .netns = e->netns};
	return l;
}

void lane_alias(struct segments *s, struct lane *lane, const struct flow *flow)
{
	if (lane->keys[1].lane && !memcmp(&lane->keys[1].flow, flow, sizeof(*flow)))
		key_remove(s, lane, 1); /* to stand in front again */
	else if (lane->keys[1].lane)
		key_remove(s, lane, 1);
	key_add(s, lane, 1, flow);
}

uint64_t lanes_sweep_after(const struct segments *s)
{
	return s->swept_ns + NS_PER_S - 1;
}

/* Room for writes, of lanes that have rested for a second. */
static void free_writes(struct segments *s, uint64_t since_last_ns)
{
	struct lane *l = s->newest;

	while (l && s->now_ns - l->used_ns < NS_PER_S)
		l = l->prev;
	for (; l && s->now_ns - l->used_ns <= NS_PER_S + since_last_ns; l = l->prev) {
		if (l->n_writes)
			continue;
		free(l->writes);
		l->writes = NULL;
		l->w_first = l->cap_writes = 0;
	}
}

void lanes_sweep(struct segments *s)
{
	struct lane *next;

	if (s->now_ns - s->swept_ns < NS_PER_S)
		return;
	free_writes(s, s->now_ns - s->swept_ns);
	s->swept_ns = s->now_ns;
	for (struct lane *l = s->oldest; l && s->now_ns - l->used_ns > IDLE_NS; l = next) {
		next = l->next;
		if (!l->n_units && !l->n_writes)
			lane_free(s, l);
	}
}

void lanes_fini(struct segments *s)
{
	struct lane *next;

	for (struct lane *l = s->oldest; l; l = next) {
		next = l->next;
		free(l->writes);
		free(l->hold);
		free(l);
	}
}

/* ---- their units ---- */

void lane_insert(struct lane *lane, struct unit *u)
{
	struct unit *after = lane->tail;

	for (unsigned i = 0; i < MAX_STEPS && after && seq_before(u->seq, after->seq); i++)
		after = after->prev;
	u->lane = lane;
	u->prev = after;
	u->next = after ? after->next : lane->head;
	*(u->prev ? &u->prev->next : &lane->head) = u;
	*(u->next ? &u->next->prev : &lane->tail) = u;
	lane->n_units++;
	if (u->payload > lane->max_payload)
		lane->max_payload = u->payload;
}

void lane_remove(struct lane *lane, struct unit *u)
{
	for (unsigned i = 0; lane->has_hints && i < SEG_LAYERS; i++)
		if (lane->hint[i] == u)
			lane->hint[i] = u->next ? u->next : u->prev;
	*(u->prev ? &u->prev->next : &lane->head) = u->next;
	*(u->next ? &u->next->prev : &lane->tail) = u->prev;
	u->prev = u->next = NULL;
	lane->n_units--;
	if (!lane->n_units)
		lane->max_payload = 0;
	if (lane->has_hints && lane->n_units <= FEW_UNITS) {
		memset(lane->hint, 0, sizeof(lane->hint));
		lane->has_hints = false;
	}
}

struct unit *lane_first(struct lane *lane, unsigned layer, uint32_t seq)
{
	uint32_t low = seq - lane->max_payload;
	struct unit *u = lane->tail; /* the newest ones are near */

	if (lane->n_units <= FEW_UNITS) {
		while (u && u->prev && !seq_before(u->prev->seq, low))
			u = u->prev;
		return u && seq_before(u->seq, low) ? NULL : u;
	}
	u = lane->hint[layer] ? lane->hint[layer] : lane->tail;
	for (unsigned i = 0; i < MAX_STEPS && u && u->prev && !seq_before(u->prev->seq, low); i++)
		u = u->prev;
	for (unsigned i = 0; i < MAX_STEPS && u && seq_before(u->seq, low); i++)
		u = u->next;
	lane->hint[layer] = u;
	lane->has_hints = true;
	return u;
}

/* ---- what was written ---- */

struct write *lane_write_at(const struct lane *l, uint32_t i)
{
	return &l->writes[(l->w_first + i) & (l->cap_writes - 1)];
}

static int grow_writes(struct lane *l)
{
	uint32_t cap = l->cap_writes ? l->cap_writes * 2 : 2;
	struct write *more = calloc(cap, sizeof(*more));

	if (!more)
		return -1;
	for (uint32_t i = 0; i < l->n_writes; i++)
		more[i] = *lane_write_at(l, i);
	free(l->writes);
	l->writes = more;
	l->cap_writes = cap;
	l->w_first = 0;
	return 0;
}

static void forget_write(struct segments *s, struct lane *l)
{
	l->w_first = (l->w_first + 1) & (l->cap_writes - 1);
	l->n_writes--;
	s->n_writes--;
}

/* A write that did not fit into the send buffer as a whole is followed by one for the rest. */
int lane_write(struct segments *s, struct lane *l, const struct seg_bytes *w)
{
	struct write *last = l->n_writes ? lane_write_at(l, l->n_writes - 1) : NULL;

	if (!w->size ||
	    (w->again && last && last->seq == w->seq && w->task && last->task.tid == w->task->tid))
		return 0;
	if (last && seq_before(w->seq, last->end))
		last->end = w->seq;
	if (s->n_writes >= SEGMENTS_WRITES && !l->n_writes) {
		s->stats.n_writes_cut++;
		return 0;
	}
	if (s->n_writes >= SEGMENTS_WRITES) {
		s->stats.n_writes_cut++;
		forget_write(s, l);
	}
	if (l->n_writes == l->cap_writes && grow_writes(l))
		return -1;
	*lane_write_at(l, l->n_writes++) = (struct write){
		.ts_ns = w->ts_ns,
		.seq = w->seq,
		.end = w->seq + (uint32_t)(w->size > INT32_MAX ? INT32_MAX : w->size),
		.task = w->task ? *w->task : (struct task){0}};
	s->n_writes++;
	return 0;
}

void lane_forget_writes(struct segments *s, struct lane *l, uint32_t before)
{
	while (l->n_writes && !seq_before(before, lane_write_at(l, 0)->end))
		forget_write(s, l);
}

const struct write *lane_written(struct segments *s, struct lane *l, uint32_t seq, uint32_t end,
				 uint64_t *ret_last_ns)
{
	lane_forget_writes(s, l, seq);
	if (!l->n_writes || seq_before(seq, lane_write_at(l, 0)->seq))
		return NULL;
	for (uint32_t i = 0; i < l->n_writes && seq_before(lane_write_at(l, i)->seq, end); i++)
		*ret_last_ns = lane_write_at(l, i)->ts_ns;
	return lane_write_at(l, 0);
}

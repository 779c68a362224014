/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "generation.h"
#include "schema.h"

#define MIN_SLOTS 1024
#define N_SHORTS 16384 /* a power of two */
#define WAYS 4
#define SHORT_NS 130000000000ull /* longer than any request or TIME_WAIT lives by default */

enum { TCP_SYN_SENT = 2, TCP_SYN_RECV = 3, TCP_FIN_WAIT2 = 5, TCP_TIME_WAIT = 6, TCP_CLOSE = 7 };
enum { TCP_LISTEN = 10, TCP_CLOSING = 11, TCP_NEW_SYN_RECV = 12 };
enum { IPPROTO_TCP = 6 };

struct ends { /* as much of the two ends as tells sockets apart; 0: not known */
	uint64_t raddr;
	uint32_t netns;
	uint16_t lport, rport;
};

struct rec_generation_slot {
	uint64_t skaddr; /* 0: free */
	uint64_t id;
	uint64_t cookie; /* the real one, 0 not seen */
	/* of a snapshot's row: when it was read, and who lived here before that */
	uint64_t since_ns, before;
	struct ends ends;
	bool ended, doubtful;
};

struct rec_generation_short {
	uint64_t key, id, ts_ns;
};

enum short_kind { REQUEST = 1, TIME_WAIT = 2 };

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

int rec_generation_init(struct rec_generation *g, bool blind, size_t max)
{
	const struct tape_schema *schema = tape_schema_builtin();

	*g = (struct rec_generation){
		.n_slots = MIN_SLOTS, .max = max ? max : REC_GENERATION_MAX, .blind = blind};
	for (size_t i = 0; i < schema->n_records; i++) {
		const struct tape_record *rec = &schema->records[i];

		for (unsigned f = 0; f < rec->n_fields && !rec->is_table && rec->id < 256; f++) {
			if (rec->fields[f].table == EV_TABLE_sock)
				g->sock_at[rec->id] = (uint16_t)tape_field_offset(rec, f);
		}
	}
	g->slots = calloc(g->n_slots, sizeof(*g->slots));
	g->shorts = calloc(N_SHORTS, sizeof(*g->shorts));
	if (g->slots && g->shorts)
		return 0;
	rec_generation_fini(g);
	return -1;
}

void rec_generation_fini(struct rec_generation *g)
{
	free(g->slots);
	free(g->shorts);
	*g = (struct rec_generation){0};
}

static uint64_t new_id(struct rec_generation *g, bool doubtful)
{
	g->n_doubtful += doubtful;
	return (REC_GENERATION_BASE | (doubtful ? REC_GENERATION_DOUBTFUL : 0)) + ++g->last;
}

/* ---- requests and sockets in TIME_WAIT: structs of their own, short, with the same ends ---- */

/* Where that one is, or may be put: the oldest of its set. */
static struct rec_generation_short *short_of(struct rec_generation *g, const struct ev_sock *s,
					     enum short_kind kind, uint64_t *ret_key)
{
	uint64_t key = kind, words[4];
	struct rec_generation_short *set, *best;

	memcpy(words, &s->flow.laddr, 16);
	memcpy(words + 2, &s->flow.raddr, 16);
	for (int i = 0; i < 4; i++)
		key = mix(key ^ words[i]);
	key = mix(key ^ ((uint64_t)s->netns << 32 | (uint32_t)s->flow.lport << 16 | s->flow.rport));
	*ret_key = key;
	set = best = &g->shorts[(key & (N_SHORTS - 1)) & ~(size_t)(WAYS - 1)];
	for (int i = 0; i < WAYS; i++) {
		if (set[i].id && set[i].key == key)
			return &set[i];
		if (set[i].ts_ns < best->ts_ns)
			best = &set[i];
	}
	return best;
}

static void put_short(struct rec_generation *g, const struct ev_sock *s, enum short_kind kind,
		      uint64_t id, uint64_t now_ns)
{
	uint64_t key;
	struct rec_generation_short *sh = short_of(g, s, kind, &key);

	*sh = (struct rec_generation_short){key, id, now_ns};
}

/* Its number, 0 if it is not known. */
static uint64_t find_short(struct rec_generation *g, const struct ev_sock *s, enum short_kind kind,
			   uint64_t now_ns)
{
	uint64_t key;
	const struct rec_generation_short *sh = short_of(g, s, kind, &key);

	return sh->id && sh->key == key && now_ns - sh->ts_ns < SHORT_NS ? sh->id : 0;
}

/* A request keeps its number when it becomes a socket, as it would keep its cookie. */
static uint64_t take_request(struct rec_generation *g, const struct ev_sock *s, uint64_t now_ns)
{
	uint64_t id = find_short(g, s, REQUEST, now_ns);

	if (id)
		put_short(g, s, REQUEST, 0, 0);
	return id;
}

static uint64_t see_request(struct rec_generation *g, const struct ev_sock *s, uint64_t now_ns)
{
	uint64_t id = find_short(g, s, REQUEST, now_ns);

	if (!id)
		id = new_id(g, false);
	put_short(g, s, REQUEST, id, now_ns);
	return id;
}

/* ---- the table of sockets ---- */

static struct rec_generation_slot *slot_of(struct rec_generation *g, uint64_t skaddr)
{
	size_t mask = g->n_slots - 1, i = mix(skaddr) & mask;

	while (g->slots[i].skaddr && g->slots[i].skaddr != skaddr)
		i = (i + 1) & mask;
	return &g->slots[i];
}

/* A table of n_slots, without the sockets that have ended. Without memory all stays as it is. */
static void rebuild(struct rec_generation *g, size_t n_slots)
{
	struct rec_generation_slot *old = g->slots;
	size_t n_old = g->n_slots;

	g->slots = calloc(n_slots, sizeof(*g->slots));
	if (!g->slots) {
		g->slots = old;
		return;
	}
	g->n_slots = n_slots;
	g->n -= g->n_ended;
	g->n_ended = 0;
	for (size_t i = 0; i < n_old; i++) {
		if (old[i].skaddr && !old[i].ended)
			*slot_of(g, old[i].skaddr) = old[i];
	}
	free(old);
}

/* Each rebuild makes room for so many sockets that its cost does not count. */
static void make_room(struct rec_generation *g)
{
	if (g->n < g->n_slots / 4 * 3 && g->n < g->max)
		return;
	if (g->n_ended >= g->n / 4)
		rebuild(g, g->n_slots);
	else if (g->n_slots / 2 < g->max)
		rebuild(g, g->n_slots * 2);
}

/* The socket's slot, free (skaddr 0) if it is a new one; NULL: there is no room. */
static struct rec_generation_slot *get_slot(struct rec_generation *g, uint64_t skaddr)
{
	struct rec_generation_slot *s = slot_of(g, skaddr);

	if (s->skaddr)
		return s;
	make_room(g);
	return g->n < g->max && g->n < g->n_slots - 1 ? slot_of(g, skaddr) : NULL;
}

/* ---- is it the same socket? ---- */

static struct ends ends_of(const struct ev_sock *s)
{
	struct ends e = {0, s->netns, s->flow.lport, s->flow.rport};
	uint64_t words[2];

	memcpy(words, &s->flow.raddr, 16);
	if (e.rport)
		e.raddr = mix(words[0]) ^ words[1];
	return e;
}

static bool differ(uint64_t a, uint64_t b)
{
	return a && b && a != b;
}

static bool may_be_same(const struct ends *a, const struct ends *b)
{
	return !differ(a->netns, b->netns) && !differ(a->lport, b->lport) &&
	       !differ(a->rport, b->rport) && !(a->rport && b->rport && a->raddr != b->raddr);
}

/* What was not known yet: the port that connect() chose, say. */
static void learn(struct ends *ends, const struct ends *now)
{
	if (!ends->netns)
		ends->netns = now->netns;
	if (!ends->lport)
		ends->lport = now->lport;
	if (!ends->rport) {
		ends->rport = now->rport;
		ends->raddr = now->raddr;
	}
}

static bool is_change(const struct ev_head *r, unsigned from, unsigned to)
{
	const struct ev_tcp_state *e = (const struct ev_tcp_state *)r;

	return r->type == EV_tcp_state && e->old_state == from && e->new_state == to;
}

/* The child of a listener: a socket that did not exist before. */
static bool is_birth(const struct ev_head *r)
{
	return is_change(r, TCP_LISTEN, TCP_SYN_RECV);
}

/* How a socket of a process starts; and starts again, after it was disconnected. */
static bool is_start(const struct ev_head *r)
{
	return is_change(r, TCP_CLOSE, TCP_SYN_SENT) || is_change(r, TCP_CLOSE, TCP_LISTEN);
}

/*
 * What comes after tcp_destroy_sock: the kernel frees queued packets (drop), and a qdisc still
 * holds sent ones, which keep the memory of the socket (tx). They have the ends that the socket
 * had, but for the local port.
 */
static bool is_leftover(const struct rec_generation_slot *s, const struct ev_head *r,
			const struct ends *ends)
{
	return (r->type == EV_drop || r->type == EV_bad_csum || r->type == EV_tx) && ends->rport &&
	       ends->rport == s->ends.rport && may_be_same(&s->ends, ends);
}

static bool is_same(const struct rec_generation *g, const struct rec_generation_slot *s,
		    const struct ev_head *r, const struct ev_sock *sock, const struct ends *ends)
{
	if (!s->skaddr || is_birth(r) || differ(s->cookie, sock->cookie))
		return false;
	if (s->ended)
		return is_leftover(s, r, ends);
	if (s->cookie && s->cookie == sock->cookie)
		return true;
	/* its end would have been seen, even where its ends have changed */
	if (!g->blind && !s->doubtful && sock->protocol == IPPROTO_TCP && r->type != EV_snap_sock)
		return true;
	return may_be_same(&s->ends, ends);
}

/* ---- records ---- */

/*
 * Probes run before the snapshot is taken, so this record is older than what the row told: of the
 * same socket, or of one that ended in between.
 */
static uint64_t see_older(struct rec_generation *g, struct rec_generation_slot *s,
			  const struct ev_head *r, const struct ends *ends)
{
	uint64_t id;

	if (r->type != EV_tcp_destroy && may_be_same(&s->ends, ends))
		return s->id;
	if (!s->before || is_birth(r))
		s->before = new_id(g, false);
	id = s->before;
	if (r->type == EV_tcp_destroy)
		s->before = 0;
	return id;
}

/* No place is certain until something was seen to begin, or nothing was known of it. */
static void begin(struct rec_generation *g, struct rec_generation_slot *s, const struct ev_head *r,
		  const struct ev_sock *sock, const struct ends *ends)
{
	bool lived = s->skaddr && !s->ended && !is_birth(r);
	bool certain = !lived || differ(s->cookie, sock->cookie);
	uint64_t id = is_birth(r) ? take_request(g, sock, r->ts_ns) : 0;

	g->n += !s->skaddr;
	g->n_ended -= s->ended;
	*s = (struct rec_generation_slot){
		.skaddr = sock->skaddr,
		.id = id ? id : new_id(g, !certain),
		.cookie = sock->cookie,
		.since_ns = r->type == EV_snap_sock ? r->ts_ns : 0,
		.ends = *ends,
	};
}

/* Its last record, or nearly; of an MPTCP socket's end nothing else is told. */
static bool is_end(const struct ev_head *r, const struct ev_sock *sock)
{
	return r->type == EV_tcp_destroy ||
	       (r->type == EV_tcp_state && sock->protocol != IPPROTO_TCP &&
		((const struct ev_tcp_state *)r)->new_state == TCP_CLOSE);
}

static void take_note(struct rec_generation *g, struct rec_generation_slot *s,
		      const struct ev_head *r, const struct ev_sock *sock, const struct ends *ends)
{
	s->doubtful = false; /* since here it is */
	if (is_start(r))
		s->ends = *ends;
	else
		learn(&s->ends, ends);
	if (sock->cookie)
		s->cookie = sock->cookie;
	if (is_change(r, TCP_FIN_WAIT2, TCP_CLOSE) || is_change(r, TCP_CLOSING, TCP_CLOSE))
		put_short(g, sock, TIME_WAIT, s->id, r->ts_ns);
	if (is_end(r, sock) && !s->ended) {
		s->ended = true;
		g->n_ended++;
	}
}

static uint64_t see_full(struct rec_generation *g, const struct ev_head *r,
			 const struct ev_sock *sock)
{
	struct rec_generation_slot *s = get_slot(g, sock->skaddr);
	struct ends ends = ends_of(sock);

	if (!s) {
		g->n_without++;
		return 0;
	}
	if (s->skaddr && r->ts_ns < s->since_ns)
		return see_older(g, s, r, &ends);
	if (!is_same(g, s, r, sock, &ends))
		begin(g, s, r, sock, &ends);
	take_note(g, s, r, sock, &ends);
	return s->id;
}

/* The state of a socket that may be a short one. */
static unsigned state_of(const struct ev_head *r)
{
	return r->type == EV_reset ? ((const struct ev_reset *)r)->state : 0;
}

void rec_generation_see(struct rec_generation *g, struct ev_head *r)
{
	unsigned at = r->type < 256 ? g->sock_at[r->type] : 0;
	struct ev_sock *sock = (struct ev_sock *)((char *)r + at);

	if (!at)
		return;
	if (r->type == EV_synack_retransmit) {
		struct ev_synack_retransmit *e = (struct ev_synack_retransmit *)r;
		const struct rec_generation_slot *s = slot_of(g, e->listener);

		sock->cookie = see_request(g, sock, r->ts_ns);
		e->listener = s->id; /* it came as an address; a free slot has 0 */
	} else if (!sock->skaddr) {
		sock->cookie = 0;
	} else if (state_of(r) == TCP_NEW_SYN_RECV) {
		sock->cookie = see_request(g, sock, r->ts_ns);
	} else if (state_of(r) == TCP_TIME_WAIT) {
		sock->cookie = find_short(g, sock, TIME_WAIT, r->ts_ns);
	} else {
		sock->cookie = see_full(g, r, sock);
	}
}

void rec_generation_lost(struct rec_generation *g)
{
	for (size_t i = 0; i < g->n_slots; i++) {
		struct rec_generation_slot *s = &g->slots[i];

		if (!s->skaddr || s->ended || s->doubtful)
			continue;
		s->doubtful = true;
		g->n_doubtful++;
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "join.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "segment_read.h"

#define FLAGS 7u /* FIN, SYN, RST */

struct reading { /* of one end */
	struct segment_read read;
	struct join *join;
	enum join_end end;
};

void join_fini(struct join *j)
{
	for (unsigned i = 0; i < JOIN_ENDS; i++) {
		input_close(j->sides[i].in);
		by_who_fini(&j->sides[i].who);
		free(j->sides[i].conns);
		map_fini(&j->sides[i].by_flow);
	}
	free(j->segments);
	free(j->pairs);
	map_fini(&j->by_key);
}

/* ---- what is kept ---- */

/* Room for one more of n. false: no memory. */
static bool make_room(void **list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? 2 * *cap : 256;
	void *p = n < *cap ? *list : realloc(*list, more * size);

	if (!p)
		return false;
	if (n >= *cap)
		*cap = more;
	*list = p;
	return true;
}

/* Its number from 1; 0: there are too many, or no memory, which is in *failed. */
static uint32_t conn_of(struct join_side *side, const struct segment *s, bool *failed)
{
	struct {
		struct flow flow;
		uint32_t netns;
	} key = {s->inner, s->netns};
	uint64_t hash = map_hash(&key, sizeof(key));
	uint32_t number = (uint32_t)(uintptr_t)map_get(&side->by_flow, hash);

	if (number || side->n_conns >= JOIN_MAX)
		return number;
	if (!make_room((void **)&side->conns, side->n_conns, &side->cap_conns,
		       sizeof(*side->conns)) ||
	    map_put(&side->by_flow, hash, (void *)(uintptr_t)(side->n_conns + 1))) {
		*failed = true;
		return 0;
	}
	side->conns[side->n_conns++] = (struct join_conn){.flow = s->inner};
	return (uint32_t)side->n_conns;
}

/*
 * When it went onto the wire, or came from it; whether that is known. What the driver's call tells
 * (SENT) is too late: a virtual device may have handed the packet to its other end by then.
 */
static bool wire_time(const struct segment *s, uint64_t *ret)
{
	int layer = s->dir == SEG_OUT ? SEG_OUT_DRIVER : SEG_IN_DRIVER;
	int step = s->dir == SEG_OUT ? -1 : 1, last = s->dir == SEG_OUT ? SEG_OUT_TCP : SEG_IN_TCP;

	while (layer != last && !(s->seen & SEG_BIT(layer)))
		layer += step;
	*ret = s->first_ns[layer];
	return s->seen & SEG_BIT(layer) && *ret >= s->start_ns && *ret <= s->end_ns;
}

static uint64_t key_of(const struct segment *s, enum skew_way way)
{
	uint32_t key[4] = {s->seq, s->ack_seq, s->payload != 0, (s->tcp_flags & FLAGS) << 1 | way};

	return map_hash(key, sizeof(key));
}

/* Of the client: each is kept. 0, or -1: no memory. */
static int keep(struct join *j, const struct join_segment *s, uint64_t key)
{
	size_t at = (uintptr_t)map_get(&j->by_key, key);

	if (at) {
		j->segments[at - 1].seen[JOIN_CLIENT] = 2;
		j->sides[JOIN_CLIENT].n_twice++;
		return 0;
	}
	if (j->n >= JOIN_MAX) {
		j->sides[JOIN_CLIENT].n_left_out++;
		return 0;
	}
	if (!make_room((void **)&j->segments, j->n, &j->cap, sizeof(*j->segments)) ||
	    map_put(&j->by_key, key, (void *)(uintptr_t)(j->n + 1)))
		return -1;
	j->segments[j->n++] = *s;
	return 0;
}

/* Of the server: where the client's is. */
static void match(struct join *j, const struct join_segment *s, uint64_t key)
{
	struct join_side *side = &j->sides[JOIN_SERVER];
	size_t at = (uintptr_t)map_get(&j->by_key, key);
	struct join_segment *have = at ? &j->segments[at - 1] : NULL;

	if (!have) {
		side->n_alone++;
		return;
	}
	if (have->seen[JOIN_SERVER]) {
		have->seen[JOIN_SERVER] = 2;
		side->n_twice++;
		return;
	}
	have->seen[JOIN_SERVER] = s->seen[JOIN_SERVER];
	have->wire_ns[JOIN_SERVER] = s->wire_ns[JOIN_SERVER];
	have->far_ns[JOIN_SERVER] = s->far_ns[JOIN_SERVER];
	have->conn[JOIN_SERVER] = s->conn[JOIN_SERVER];
}

/* As soon as what it is grouped by is known. */
static void group(struct reading *r, struct join_conn *c, const struct segment *s,
		  const struct conn *owner)
{
	struct join *j = r->join;
	struct sock sock = {
		.cookie = s->cookie, .flow = s->inner, .netns = s->netns, .has_flow = true};
	struct task room;
	struct by_event e = {.sock = &sock, .task = conn_task(owner, &room)};
	struct by_id id;

	if (!j->groups || j->group_end != r->end || c->group)
		return;
	if (!e.task && s->task.pid)
		e.task = &s->task;
	if (by_id(&r->read.who, j->groups->key, &e, &id))
		c->group = by_groups_get(j->groups, &r->read.who, &e);
}

struct by_group *join_group(const struct join *j, const struct join_conn *client)
{
	static const struct by_event nobody;
	const struct join_conn *c = client;

	if (!j->groups)
		return NULL;
	if (j->group_end == JOIN_SERVER)
		c = &j->sides[JOIN_SERVER].conns[j->pairs[client->pair - 1].conn[JOIN_SERVER]];
	return c->group ? c->group : by_groups_get(j->groups, &j->sides[j->group_end].who, &nobody);
}

static int on_segment(void *ctx, const struct segment *s, const struct conn *owner)
{
	struct reading *r = ctx;
	struct join_side *side = &r->join->sides[r->end];
	bool out = s->dir == SEG_OUT, failed = false;
	struct join_segment seg = {.seq = s->seq, .payload = s->payload, .tcp_flags = s->tcp_flags};
	uint32_t conn;

	if (s->marks & SEG_PASSED || !wire_time(s, &seg.wire_ns[r->end]))
		return 0;
	conn = conn_of(side, s, &failed);
	side->n_segments += conn != 0;
	side->n_left_out += !conn;
	if (!conn)
		return failed ? fail_nomem(r->join->run->fail) : 0;
	if (!side->conns[conn - 1].cookie)
		side->conns[conn - 1].cookie = s->cookie;
	group(r, &side->conns[conn - 1], s, owner);
	seg.conn[r->end] = conn - 1;
	seg.way = out == (r->end == JOIN_CLIENT) ? SKEW_TO_SERVER : SKEW_TO_CLIENT;
	seg.far_ns[r->end] = out ? s->start_ns : s->end_ns;
	seg.seen[r->end] = s->marks & (SEG_AGAIN | SEG_OLD) ? 2 : 1;
	if (r->end == JOIN_CLIENT)
		return keep(r->join, &seg, key_of(s, seg.way)) ? fail_nomem(r->join->run->fail) : 0;
	match(r->join, &seg, key_of(s, seg.way));
	return 0;
}

static int read_end(struct join *j, enum join_end end, const struct input_opts *opts)
{
	struct cmd_run run = *j->run;
	struct reading r = {
		.read = {.dirs = {true, true}, .on = on_segment, .ctx = &r}, .join = j, .end = end};
	int rc;

	run.path = run.paths[end];
	if (input_open(&run.in, run.path, opts, run.out, run.fail))
		return -1;
	j->sides[end].in = run.in;
	if (input_is_pipe(run.in))
		return fail_set(run.fail, STATUS_USAGE,
				"reads traces more than once: not from a pipe");
	rc = segment_read_begin(&r.read, &run);
	if (!rc)
		rc = segment_read_run(&r.read);
	j->sides[end].who = r.read.who;
	r.read.who = (struct by_who){0};
	segment_read_fini(&r.read);
	return rc;
}

/* ---- connections ---- */

/* How many segments two connections share, into j->pairs; each knows the best it is part of. */
static int count_pairs(struct join *j)
{
	struct map map = {0};
	size_t cap = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < j->n; i++) {
		const struct join_segment *s = &j->segments[i];
		uint64_t hash = map_hash(s->conn, sizeof(s->conn));
		size_t at = (uintptr_t)map_get(&map, hash);

		if (s->seen[JOIN_CLIENT] != 1 || s->seen[JOIN_SERVER] != 1)
			continue;
		if (!at) {
			if (!make_room((void **)&j->pairs, j->n_pairs, &cap, sizeof(*j->pairs)) ||
			    map_put(&map, hash, (void *)(uintptr_t)(j->n_pairs + 1)))
				rc = fail_nomem(j->run->fail);
			else
				j->pairs[j->n_pairs++] = (struct join_pair){
					.conn = {s->conn[0], s->conn[1]}, .n = 1};
			continue;
		}
		j->pairs[at - 1].n++;
	}
	map_fini(&map);
	return rc;
}

static void choose_pairs(struct join *j)
{
	for (size_t i = 0; i < j->n_pairs; i++)
		for (unsigned end = 0; end < JOIN_ENDS; end++) {
			struct join_conn *c = &j->sides[end].conns[j->pairs[i].conn[end]];

			if (!c->pair || j->pairs[c->pair - 1].n < j->pairs[i].n)
				c->pair = (uint32_t)i + 1;
		}
	for (size_t i = 0; i < j->n_pairs; i++) {
		struct join_conn *c = &j->sides[JOIN_CLIENT].conns[j->pairs[i].conn[JOIN_CLIENT]];
		struct join_conn *s = &j->sides[JOIN_SERVER].conns[j->pairs[i].conn[JOIN_SERVER]];

		if (c->pair != i + 1 || s->pair != i + 1 || j->pairs[i].n < JOIN_MIN_SEGMENTS)
			continue;
		c->joined = s->joined = true;
		j->n_joined_pairs++;
	}
}

static bool is_joined(const struct join *j, const struct join_segment *s)
{
	const struct join_conn *c = &j->sides[JOIN_CLIENT].conns[s->conn[JOIN_CLIENT]];

	return s->seen[JOIN_CLIENT] == 1 && s->seen[JOIN_SERVER] == 1 && c->joined &&
	       j->pairs[c->pair - 1].conn[JOIN_SERVER] == s->conn[JOIN_SERVER];
}

static int by_wire(const void *a, const void *b)
{
	const struct join_segment *x = a, *y = b;
	uint64_t v = x->wire_ns[JOIN_CLIENT], w = y->wire_ns[JOIN_CLIENT];

	return v != w ? (v < w ? -1 : 1) : (x->seq > y->seq) - (x->seq < y->seq);
}

/* Only what was joined stays, in the order of the client's time. */
static void keep_joined(struct join *j)
{
	struct join_side *client = &j->sides[JOIN_CLIENT];
	size_t n = 0;

	for (size_t i = 0; i < j->n; i++) {
		const struct join_segment *s = &j->segments[i];

		client->n_alone += !s->seen[JOIN_SERVER];
		if (is_joined(j, s))
			j->segments[n++] = *s;
	}
	j->n = n;
	client->n_joined = j->sides[JOIN_SERVER].n_joined = n;
	map_fini(&j->by_key);
	j->by_key = (struct map){0};
	if (n)
		qsort(j->segments, n, sizeof(*j->segments), by_wire);
}

/* ---- clocks ---- */

static int find_clocks(struct join *j)
{
	struct fail *fail = j->run->fail;
	struct skew skew = {0};
	int rc = 0;

	for (size_t i = 0; i < j->n; i++)
		skew_add(&skew, j->segments[i].way, j->segments[i].wire_ns[JOIN_CLIENT],
			 j->segments[i].wire_ns[JOIN_SERVER]);
	if (skew.failed)
		rc = fail_nomem(fail);
	else if (!skew.hulls[SKEW_TO_SERVER].n || !skew.hulls[SKEW_TO_CLIENT].n)
		rc = fail_set(
			fail, STATUS_LACKS,
			j->n ? "%s and %s have segments of one direction only in common: the "
			       "clocks need both"
			     : "%s and %s have no connection in common: nothing that one sent "
			       "is in the other (a proxy between them makes connections of "
			       "its own)",
			j->run->paths[0], j->run->paths[1]);
	else if (!skew_solve(&skew, &j->line))
		rc = fail_set(fail, STATUS_LACKS,
			      "no offset and drift of up to %.0f ppm fits: segments would arrive "
			      "%.3f ms before they were sent. One of the hosts slept, or its clock "
			      "was slewed meanwhile: choose a part by --from and --to",
			      SKEW_MAX_PPM, j->line.misfit / 1e6);
	skew_fini(&skew);
	return rc;
}

int64_t join_network_ns(const struct join *j, const struct join_segment *s)
{
	uint64_t theta = (uint64_t)skew_theta(&j->line, s->wire_ns[JOIN_CLIENT]);
	uint64_t ns = s->wire_ns[JOIN_SERVER] - s->wire_ns[JOIN_CLIENT] - theta;

	return (int64_t)(s->way == SKEW_TO_SERVER ? ns : -ns);
}

int join_read(struct join *j, struct cmd_run *run)
{
	static const struct input_opts all = {0};

	j->run = run;
	if (read_end(j, JOIN_CLIENT, run->input_opts) || read_end(j, JOIN_SERVER, &all) ||
	    count_pairs(j))
		return -1;
	choose_pairs(j);
	keep_joined(j);
	return find_clocks(j);
}

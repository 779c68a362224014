// SPDX-License-Identifier: GPL-2.0-or-later
/* The connections of a trace, their services, and what each trouble took of them. */
#include <stdlib.h>
#include <string.h>

#include "evidence_parts.h"

#define MAX_ENDS 16384
#define SEGMENTS_COME_NS 2000000000ull /* behind the end of their socket: segment.c's patience */

/* ---- tolls ---- */

/* By their ends where they are alike, so that the output is the same each time. */
static bool is_worse(const struct toll_conn *a, const struct toll_conn *b)
{
	if (a->cost_ns != b->cost_ns)
		return a->cost_ns > b->cost_ns;
	if (a->n != b->n)
		return a->n > b->n;
	return memcmp(&a->flow, &b->flow, sizeof(a->flow)) < 0;
}

static void take_worst(struct toll *t, const struct toll_conn *c)
{
	unsigned at = TOLL_WORST;

	while (at && c->n && (!t->worst[at - 1].n || is_worse(c, &t->worst[at - 1])))
		at--;
	if (at == TOLL_WORST)
		return;
	memmove(&t->worst[at + 1], &t->worst[at], (TOLL_WORST - 1 - at) * sizeof(*t->worst));
	t->worst[at] = *c;
}

static void take_time(struct toll *t, uint64_t from_ns, uint64_t to_ns)
{
	if (!from_ns)
		return;
	t->first_ns = t->first_ns && t->first_ns < from_ns ? t->first_ns : from_ns;
	t->last_ns = to_ns > t->last_ns ? to_ns : t->last_ns;
}

void toll_add(struct toll *t, const struct toll_conn *c, uint64_t at_ns, bool failed)
{
	t->n += c->n;
	t->cost_ns += c->cost_ns;
	t->n_conns++;
	t->n_failed += failed;
	take_time(t, at_ns, at_ns);
	take_worst(t, c);
}

void toll_merge(struct toll *t, const struct toll *from)
{
	t->n += from->n;
	t->cost_ns += from->cost_ns;
	t->n_conns += from->n_conns;
	t->n_failed += from->n_failed;
	take_time(t, from->first_ns, from->last_ns);
	for (unsigned i = 0; i < TOLL_WORST; i++)
		take_worst(t, &from->worst[i]);
}

/* ---- connections ---- */

bool evid_wants(struct gather *g, const struct bind_row *row)
{
	g->e->n_seen += !row->snapshot;
	return !g->all_rows || input_wants_row(g->run->in, row);
}

static uint64_t key_of(const struct sock *s)
{
	return s->cookie ? s->cookie : map_hash(&s->flow, sizeof(s->flow));
}

struct evid_conn *evid_conn_find(struct gather *g, const struct sock *s)
{
	return s ? map_get(&g->conns, key_of(s)) : NULL;
}

static struct evid_conn *make(struct gather *g, const struct sock *s)
{
	struct evid_conn *c = calloc(1, sizeof(*c));

	if (!c || map_put(&g->conns, key_of(s), c)) {
		free(c);
		g->failed = true;
		return NULL;
	}
	c->key = key_of(s);
	c->cookie = s->cookie;
	c->min_rtt_us = UINT32_MAX;
	return c;
}

struct evid_conn *evid_conn_of(struct gather *g, const struct bind_row *row)
{
	const struct sock *s = row->sock;
	struct evid_conn *c;
	void **place;

	if (!s || (!s->cookie && !s->has_flow))
		return NULL;
	place = per_sock_at(&g->of_sock, row);
	c = place ? *place : NULL;
	if (c && !c->dead)
		return c;
	c = evid_conn_find(g, s);
	if (!c)
		c = make(g, s);
	if (c && s->has_flow && (!c->has_flow || (s->flow.lport && s->flow.rport))) {
		c->flow = s->flow;
		c->has_flow = true;
	}
	if (place)
		*place = c;
	return c;
}

void evid_learn_owner(struct gather *g, struct evid_conn *c)
{
	struct sock s = {.cookie = c->cookie};
	const struct conn *conn = conn_find(&g->segs.who.conns, &s);

	if (!conn || !conn->has_owner)
		return;
	c->pid = conn->pid;
	memcpy(c->comm, conn->comm, sizeof(c->comm));
}

struct toll_conn evid_share(struct gather *g, struct evid_conn *c)
{
	struct toll_conn ret = {
		.flow = c->flow, .has_flow = c->has_flow, .cookie = c->cookie, .n = 1};

	evid_learn_owner(g, c);
	ret.pid = c->pid;
	memcpy(ret.comm, c->comm, sizeof(ret.comm));
	return ret;
}

void evid_charge(struct gather *g, struct evid_conn *c, enum trouble t, uint32_t n,
		 uint64_t cost_ns, uint64_t ts_ns)
{
	c->n[t] += n;
	c->cost_ns[t] += cost_ns;
	take_time(&g->e->tolls[t], ts_ns, ts_ns);
}

void evid_fail(struct evid_conn *c, enum trouble t)
{
	c->failed |= 1u << t;
}

void evid_charge_span(struct gather *g, struct evid_conn *c, enum trouble t, uint64_t *until_ns,
		      uint64_t from_ns, uint64_t to_ns)
{
	uint64_t from = from_ns > *until_ns ? from_ns : *until_ns;

	evid_charge(g, c, t, 1, to_ns > from ? to_ns - from : 0, from_ns);
	*until_ns = to_ns > *until_ns ? to_ns : *until_ns;
}

/* ---- services ---- */

static uint64_t end_key(const uint8_t addr[FLOW_ADDR_LEN], uint16_t port)
{
	struct {
		uint8_t addr[FLOW_ADDR_LEN];
		uint64_t port;
	} id = {.port = port};

	memcpy(id.addr, addr, sizeof(id.addr));
	return map_hash(&id, sizeof(id));
}

struct evid_end *evid_end_at(struct gather *g, const uint8_t addr[FLOW_ADDR_LEN], uint16_t port)
{
	uint64_t key = end_key(addr, port);
	struct evid_end *end = map_get(&g->ends, key);

	if (end || g->ends.n >= MAX_ENDS)
		return end ? end : &g->rest;
	end = calloc(1, sizeof(*end));
	if (!end || map_put(&g->ends, key, end)) {
		free(end);
		g->failed = true;
		return &g->rest;
	}
	memcpy(end->flow.laddr, addr, FLOW_ADDR_LEN);
	end->flow.lport = port;
	return end;
}

struct evid_end *evid_end_of(struct gather *g, struct evid_conn *c)
{
	struct sock s = {.cookie = c->cookie, .flow = c->flow, .has_flow = c->has_flow};
	bool ours;

	if (c->end)
		return c->end;
	if (!c->has_flow)
		return &g->rest;
	ours = c->active || (!c->passive && turn_rows_role(&g->segs.who, &s) == TURN_CLIENT);
	c->end = ours ? evid_end_at(g, c->flow.raddr, c->flow.rport)
		      : evid_end_at(g, c->flow.laddr, c->flow.lport);
	return c->end;
}

static bool is_full(const struct evid_end *end)
{
	return end && (end->overflows || end->was_full);
}

static const uint8_t any_addr[2][FLOW_ADDR_LEN] = {{0}, {[10] = 0xff, [11] = 0xff}};

/* Its accept queue was full, or that of the listener at any address. */
static bool overflowed(const struct gather *g, const struct evid_end *end)
{
	for (unsigned i = 0; i < 2; i++)
		if (is_full(map_get(&g->ends, end_key(any_addr[i], end->flow.lport))))
			return true;
	return is_full(end) ||
	       (!evid_has(g, EVID_LISTEN) && end->n_born && g->e->counters[EVC_LISTEN_OVERFLOWS]);
}

uint64_t evid_end_waited(const struct gather *g, const struct evid_end *end)
{
	uint64_t last = end->waited_ns;

	for (unsigned i = 0; i < 2; i++) {
		const struct evid_end *k = map_get(&g->ends, end_key(any_addr[i], end->flow.lport));

		if (k && k->waited_ns > last)
			last = k->waited_ns;
	}
	return last;
}

static void settle_end(struct gather *g, const struct evid_end *end)
{
	struct toll *tolls = g->e->tolls;

	if (!end->n_connects)
		toll_merge(&tolls[TROUBLE_RESET], &end->resets);
	if (overflowed(g, end)) {
		toll_merge(&tolls[TROUBLE_OVERFLOW], &end->stuck);
		toll_merge(&tolls[TROUBLE_OVERFLOW], &end->failed);
		return;
	}
	toll_merge(&tolls[end->n_lost ? TROUBLE_LOSS : TROUBLE_SYN], &end->stuck);
	toll_merge(&tolls[TROUBLE_SYN], &end->failed);
	toll_merge(&tolls[TROUBLE_ACCEPT], &end->accepts);
}

/* ---- the end of a connection ---- */

/* This host has both of its connections' ends. */
static bool is_here(const struct evid_end *end)
{
	return end->n_connects && end->n_born;
}

/* A path that loses its data has lost its SYN as well. */
static void settle_stuck(struct gather *g, struct evid_conn *c, struct toll_conn *share)
{
	struct evid_end *end;

	if (!c->stuck_n)
		return;
	end = evid_end_of(g, c);
	share->n = c->stuck_n;
	share->cost_ns = c->stuck_ns;
	if (c->n[TROUBLE_LOSS] && !overflowed(g, end))
		evid_charge(g, c, TROUBLE_LOSS, c->stuck_n, c->stuck_ns, c->stuck_since_ns);
	else
		toll_add(&end->stuck, share, c->stuck_since_ns, false);
}

/* Its tolls are added up. */
static void end_conn(struct gather *g, struct evid_conn *c, uint64_t now_ns)
{
	struct evidence *e = g->e;
	struct toll_conn share = evid_share(g, c);

	evid_connect_pending(g, c, now_ns);
	evid_connect_synacks(g, c);
	evid_connect_unaccepted(g, c, now_ns);
	evid_sent_end(g, c);
	settle_stuck(g, c, &share);
	if (!c->data_segs && c->has_delivered)
		c->data_segs = c->last_delivered - c->first_delivered;
	e->n_data_segs += c->data_segs;
	if (c->n[TROUBLE_LOSS])
		e->n_lossy_here += is_here(evid_end_of(g, c));
	if (c->active || c->established || c->has_nxt) {
		uint64_t since = c->born_ns ? c->born_ns : input_from(g->run->in);

		e->n_conns++;
		e->life_ns += now_ns > since ? now_ns - since : 0;
	}
	for (unsigned t = 0; t < TROUBLE_N; t++) {
		share.n = c->n[t];
		share.cost_ns = c->cost_ns[t];
		if (share.n)
			toll_add(&e->tolls[t], &share, 0, c->failed >> t & 1);
	}
}

/* What the last rows of a chunk know of it stays valid until the next one. */
static void forget(struct gather *g, struct evid_conn *c)
{
	map_del(&g->conns, c->key);
	c->dead = true;
	c->next = g->dead;
	g->dead = c;
}

void evid_conn_gone(struct gather *g, struct evid_conn *c, uint64_t ts_ns)
{
	if (c->gone_ns)
		return;
	c->gone_ns = ts_ns;
	*g->last_gone = c;
	g->last_gone = &c->next;
}

void evid_conns_sweep(struct gather *g, uint64_t floor_ns)
{
	uint64_t wait = g->all_rows ? SEGMENTS_COME_NS : 0;
	struct evid_conn *c;

	while (g->gone && floor_ns >= g->gone->gone_ns + wait) {
		c = g->gone;
		g->gone = c->next;
		end_conn(g, c, c->gone_ns);
		forget(g, c);
	}
	if (!g->gone)
		g->last_gone = &g->gone;
	while (g->dead) {
		c = g->dead;
		g->dead = c->next;
		free(c);
	}
	per_sock_clear(&g->of_sock);
}

void evid_conns_finish(struct gather *g)
{
	for (size_t i = 0; i < g->conns.cap; i++) {
		struct evid_conn *c = g->conns.slots[i].value;

		if (c)
			end_conn(g, c, c->gone_ns ? c->gone_ns : input_last(g->run->in));
	}
	settle_end(g, &g->rest);
	for (size_t i = 0; i < g->ends.cap; i++)
		if (g->ends.slots[i].value)
			settle_end(g, g->ends.slots[i].value);
}

void evid_conns_fini(struct gather *g)
{
	while (g->dead) {
		struct evid_conn *c = g->dead;

		g->dead = c->next;
		free(c);
	}
	for (size_t i = 0; i < g->conns.cap; i++)
		free(g->conns.slots[i].value);
	for (size_t i = 0; i < g->ends.cap; i++)
		free(g->ends.slots[i].value);
	map_fini(&g->conns);
	map_fini(&g->ends);
	per_sock_fini(&g->of_sock);
}

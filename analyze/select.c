// SPDX-License-Identifier: GPL-2.0-or-later
#include "select.h"

#include <stdlib.h>
#include <string.h>

#include "pcapf.h"

/* Bytes; libpcap's optimizer takes its time, and a trace may be hostile. */
#define MAX_RECORDED 400

/* A connection's number as it is printed: 42, 0x2a, of a merged trace 1:0x2a (text.h). */
static bool parse_cookie(const char *s, uint64_t *ret)
{
	const char *colon = strchr(s, ':');
	char host[4] = "";
	uint64_t h = 0;

	if (colon) {
		if (colon - s > 3)
			return false;
		memcpy(host, s, (size_t)(colon - s));
		s = colon + 1;
		if (!opt_number(host, 255, &h))
			return false;
	}
	if (!opt_number(s, UINT64_MAX >> (colon ? 8 : 0), ret))
		return false;
	*ret |= h << 56;
	return *ret != 0;
}

int select_init(struct select *s, const struct select_opts *opts, struct fail *fail)
{
	*s = (struct select){.opts = *opts};
	s->by_owner = opts->pid.given || opts->comm;
	if (opts->conn && !parse_cookie(opts->conn, &s->cookie))
		return fail_set(fail, STATUS_USAGE,
				"--conn takes a connection's number as it is printed (0x2a or 42), "
				"not '%s'",
				opts->conn);
	return opts->filter ? pcapf_new(&s->filter, opts->filter, fail) : 0;
}

void select_recorded(struct select *s, const char *expression)
{
	struct fail ignored; /* the words are the trace's, not the user's */

	if (strlen(expression) <= MAX_RECORDED)
		(void)pcapf_new(&s->recorded, expression, &ignored);
}

static void free_flows(struct map *m)
{
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].key)
			free(m->slots[i].value);
	map_fini(m);
}

void select_fini(struct select *s)
{
	filter_free(s->filter);
	filter_free(s->recorded);
	map_fini(&s->owned);
	map_fini(&s->matched);
	free_flows(&s->unbound);
	free_flows(&s->bound);
}

bool select_is_active(const struct select *s)
{
	return s->by_owner || s->filter || s->cookie || s->recorded;
}

/* ---- local ports ---- */

/* At the start of a connect the kernel has not chosen the local port yet. */
static bool is_unbound(const struct sock *s)
{
	return s->has_flow && s->cookie && !s->flow.lport && s->flow.rport && !s->filled;
}

static bool same_remote(const struct flow *a, const struct flow *b)
{
	return a->rport == b->rport && !memcmp(a->raddr, b->raddr, FLOW_ADDR_LEN);
}

static void fill(struct sock *s, const struct flow *from)
{
	if (!from || !same_remote(&s->flow, from))
		return;
	s->flow = *from;
	s->filled = true;
}

/*
 * Give the unbound rows of a chunk the port that the same socket has in another row; where a socket
 * connected twice to the same remote the port is not certain, so there none is filled in. Returns
 * how many rows are unbound still.
 */
static uint32_t fill_from_chunk(struct select *s, struct bind_tables *t)
{
	struct map seen = {0};
	uint32_t left = 0;

	for (uint32_t i = 0; i < t->n_socks; i++)
		if (is_unbound(&t->socks[i]) && map_put(&seen, t->socks[i].cookie, &t->socks[i]))
			s->failed = true;
	for (uint32_t i = 0; seen.n && i < t->n_socks; i++) {
		struct sock *k = &t->socks[i];
		struct sock *other = k->cookie ? map_get(&seen, k->cookie) : NULL;

		if (!other || !k->has_flow || !k->flow.lport || k->filled)
			continue;
		if (is_unbound(other) && same_remote(&other->flow, &k->flow)) {
			fill(other, &k->flow);
		} else if (other->filled && same_remote(&other->flow, &k->flow) &&
			   other->flow.lport != k->flow.lport) {
			other->flow.lport = 0; /* and stays so: `filled` */
			map_del(&seen, k->cookie);
		}
	}
	map_fini(&seen);
	for (uint32_t i = 0; i < t->n_socks; i++)
		left += is_unbound(&t->socks[i]);
	return left;
}

/* Remember across chunks: which sockets wait for their port, then what it was. */
static void learn_ports(struct select *s, struct bind_tables *t)
{
	for (uint32_t i = 0; s->unbound.n && i < t->n_socks; i++) {
		struct sock *k = &t->socks[i];
		struct flow *f = k->cookie ? map_get(&s->unbound, k->cookie) : NULL;

		if (!f || !k->has_flow || !k->flow.lport || !same_remote(f, &k->flow))
			continue;
		*f = k->flow;
		map_del(&s->unbound, k->cookie);
		free(map_get(&s->bound, k->cookie));
		if (map_put(&s->bound, k->cookie, f)) {
			free(f);
			s->failed = true;
		}
	}
	if (!fill_from_chunk(s, t))
		return;
	for (uint32_t i = 0; i < t->n_socks; i++) {
		struct sock *k = &t->socks[i];
		struct flow *f;

		if (!is_unbound(k) || map_get(&s->unbound, k->cookie))
			continue;
		f = malloc(sizeof(*f));
		if (f)
			*f = k->flow;
		if (!f || map_put(&s->unbound, k->cookie, f)) {
			free(f);
			s->failed = true;
		}
	}
}

/* By the addresses of the row; where the remote end was wiped, by those that the socket had. */
static bool matches(struct select *s, const struct sock *k, bool learn)
{
	bool whole = learn && k->has_flow && k->flow.lport && k->flow.rport;

	if (k->has_flow && pcapf_match(s->filter, &k->flow)) {
		if (whole && k->cookie && map_put(&s->matched, k->cookie, &s->opts))
			s->failed = true;
		return true;
	}
	return k->cookie && k->has_flow && !k->flow.rport && map_get(&s->matched, k->cookie);
}

/* A start that was recorded since its port might have matched, and no more of that socket. */
static bool is_orphan(const struct select *s, const struct sock *k)
{
	return s->recorded && is_unbound(k) && !pcapf_match(s->recorded, &k->flow);
}

static bool is_chosen(struct select *s, const struct sock *k, bool learn)
{
	return (!s->filter || matches(s, k, learn)) && (!s->cookie || k->cookie == s->cookie) &&
	       !is_orphan(s, k);
}

void select_sock(struct select *s, struct sock *k)
{
	k->selected = is_chosen(s, k, true);
}

void select_packet(struct select *s, struct sock *k)
{
	k->selected = is_chosen(s, k, false);
}

void select_forget(struct select *s, const struct sock *sock)
{
	if (!sock || !sock->cookie)
		return;
	map_del(&s->matched, sock->cookie);
	map_del(&s->owned, sock->cookie);
}

void select_tables(struct select *s, struct bind_tables *t)
{
	if (fill_from_chunk(s, t) && s->bound.n)
		for (uint32_t i = 0; i < t->n_socks; i++)
			if (is_unbound(&t->socks[i]))
				fill(&t->socks[i], map_get(&s->bound, t->socks[i].cookie));
	for (uint32_t i = 0; i < t->n_socks; i++)
		select_sock(s, &t->socks[i]);
}

/* ---- owners ---- */

static bool is_owner(const struct select *s, const struct task *task)
{
	return task && (!s->opts.pid.given || task->pid == s->opts.pid.v) &&
	       (!s->opts.comm || !strcmp(task->comm, s->opts.comm));
}

void select_learn(struct select *s, const struct sock *sock, const struct task *task)
{
	static char yes;

	if (s->by_owner && sock && sock->cookie && is_owner(s, task) &&
	    map_put(&s->owned, sock->cookie, &yes))
		s->failed = true;
}

bool select_has(const struct select *s, const struct sock *sock, const struct task *task)
{
	if (sock ? (s->filter || s->cookie || s->recorded) && !sock->selected
		 : s->filter || s->cookie)
		return false;
	if (!s->by_owner)
		return true;
	return sock && sock->cookie ? map_get(&s->owned, sock->cookie) != NULL : is_owner(s, task);
}

/* The columns of a record that tell whose a socket is; 0 rows if it does not. */
static int decode_owners(const struct tape_schema *schema, size_t record, struct tape_chunk *chunk,
			 struct bind *ret, struct tape_error *err)
{
	static const struct bind_field fields[] = {{"sock", BIND_SOCK}, {"task", BIND_TASK}};
	int rc;

	*ret = (struct bind){
		.record = schema->records[record].name, .fields = fields, .n_fields = 2};
	bind_schema(ret, schema);
	if (ret->index[0] < 0 || ret->index[1] < 0)
		return 0;
	rc = bind_chunk(ret, chunk, err);
	if (!ret->have[0] || !ret->have[1])
		ret->n_rows = 0;
	return rc;
}

int select_first_decode(const struct select *s, const struct tape_schema *schema,
			struct tape_chunk *chunk, struct tape_error *err)
{
	struct bind b;
	int rc = 0;

	for (size_t i = 0; s->by_owner && !rc && i < schema->n_records; i++)
		rc = decode_owners(schema, i, chunk, &b, err);
	return rc;
}

/* Whoever appears with a socket in any record that has both. */
static int learn_owners(struct select *s, const struct tape_schema *schema, size_t record,
			struct tape_chunk *chunk, const struct bind_tables *t,
			struct tape_error *err)
{
	struct bind b;
	int rc = decode_owners(schema, record, chunk, &b, err);

	for (uint32_t k = 0; !rc && k < b.n_rows; k++)
		select_learn(s, bind_sock(t, tape_column_get(&b.cols[0], k)),
			     bind_task(t, tape_column_get(&b.cols[1], k)));
	return rc;
}

int select_first_pass(struct select *s, const struct tape_schema *schema, struct tape_chunk *chunk,
		      struct bind_tables *t, struct tape_error *err)
{
	int rc = 0;

	learn_ports(s, t);
	for (uint32_t i = 0; s->filter && i < t->n_socks; i++)
		select_sock(s, &t->socks[i]);
	for (size_t i = 0; s->by_owner && !rc && i < schema->n_records; i++)
		rc = learn_owners(s, schema, i, chunk, t, err);
	if (!rc && s->failed)
		rc = tape_fail(err, TAPE_E_NOMEM, 0, "no memory to choose connections");
	return rc;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "by.h"

#include <stdlib.h>
#include <string.h>

#include "interval.h"

#define MAX_NAMES 65536 /* a hostile trace may have more */
#define MAX_NAME_LEN 4096

static const char *const key_names[BY_N] = {
	[BY_CONN] = "conn",	      [BY_PID] = "pid",	      [BY_TID] = "tid",
	[BY_COMM] = "comm",	      [BY_CGROUP] = "cgroup", [BY_NETNS] = "netns",
	[BY_REMOTE] = "remote",	      [BY_LOCAL] = "local",   [BY_LISTENER] = "listener",
	[BY_INTERFACE] = "interface",
};

int by_parse(const char *name, uint32_t keys, enum by_key *ret, struct fail *fail)
{
	struct text words = {0};
	int rc;

	if (!name)
		return 0;
	for (int i = 0; i < BY_N; i++) {
		if (!(keys & BY_BIT(i)))
			continue;
		if (!strcmp(name, key_names[i])) {
			*ret = (enum by_key)i;
			text_fini(&words);
			return 0;
		}
		if (words.len)
			text_puts(&words, keys >> (i + 1) ? ", " : " or ");
		text_puts(&words, key_names[i]);
	}
	rc = fail_set(fail, STATUS_USAGE, "--by takes %.*s, not '%s'", (int)words.len, words.s,
		      name);
	text_fini(&words);
	return rc;
}

int by_check_counts(bool count, const char *by, const struct opt_fixed *interval, struct fail *fail)
{
	enum by_key key;

	if ((by || interval->given) && !count)
		return fail_set(fail, STATUS_USAGE, "--by and -i go with -c");
	if (interval_check(interval, fail))
		return -1;
	return by_parse(by, BY_OF_SOCKETS, &key, fail);
}

/* ---- who is who ---- */

enum kind { CGROUP = 1, NETNS, INTERFACE };

static uint64_t name_key(enum kind kind, uint64_t a, uint64_t b)
{
	uint64_t id[] = {kind, a, b};

	return map_hash(id, sizeof(id));
}

static const char *name_of(const struct by_who *w, enum kind kind, uint64_t a, uint64_t b)
{
	return a ? map_get(&w->names, name_key(kind, a, b)) : NULL;
}

const char *by_cgroup_name(const struct by_who *w, uint64_t cgroup)
{
	return name_of(w, CGROUP, cgroup, 0);
}

const char *by_netns_name(const struct by_who *w, uint32_t netns)
{
	return name_of(w, NETNS, netns, 0);
}

const char *by_interface_name(const struct by_who *w, uint32_t netns, uint32_t ifindex)
{
	return name_of(w, INTERFACE, netns, ifindex);
}

enum { N_NAME, N_ID, N_IFINDEX, N_N };
static const struct bind_field cgroup_fields[] = {{"path", BIND_STR}, {"cgroup", BIND_INT}};
static const struct bind_field netns_fields[] = {{"name", BIND_STR}, {"netns", BIND_INT}};
static const struct bind_field link_fields[] = {
	{"name", BIND_STR}, {"netns", BIND_INT}, {"ifindex", BIND_INT}};

static int take_name(struct by_who *w, const struct bind_row *row, enum kind kind, uint64_t b)
{
	uint64_t a = bind_get(row, N_ID, 0), key = name_key(kind, a, b);
	size_t len = 0;
	const char *name = bind_str(row, N_NAME, &len);
	char *copy, *old;

	if (!name || !len || !a || (w->names.n >= MAX_NAMES && !map_get(&w->names, key)))
		return 0;
	copy = strndup(name, len < MAX_NAME_LEN ? len : MAX_NAME_LEN);
	old = copy ? map_get(&w->names, key) : NULL;
	if (!copy || map_put(&w->names, key, copy)) {
		free(copy);
		w->failed = true;
		return 0;
	}
	free(old);
	return 0;
}

static int on_cgroup(void *ctx, const struct bind_row *row)
{
	return take_name(ctx, row, CGROUP, 0);
}

static int on_netns(void *ctx, const struct bind_row *row)
{
	return take_name(ctx, row, NETNS, 0);
}

static int on_link(void *ctx, const struct bind_row *row)
{
	return take_name(ctx, row, INTERFACE, bind_get(row, N_IFINDEX, 0));
}

static uint64_t end_key(uint32_t netns, const uint8_t addr[FLOW_ADDR_LEN], uint16_t port)
{
	struct by_id id = {.a = netns, .b = port};

	memcpy(id.bytes, addr, sizeof(id.bytes));
	return map_hash(&id, sizeof(id));
}

/* There may be several at a port, and the port may serve otherwise later on: none is forgotten. */
static void take_listener(struct by_who *w, const struct sock *s)
{
	uint64_t key;

	if (!s || !s->has_flow || !s->flow.lport || w->listeners.n >= MAX_NAMES)
		return;
	key = end_key(s->netns, s->flow.laddr, s->flow.lport);
	w->failed |= map_put(&w->listeners, key, w); /* that it is there is all */
}

static int on_state(void *ctx, const struct bind_row *row)
{
	struct by_who *w = ctx;
	struct conn_change ch;

	conn_change_take(&w->conns, row, &ch);
	conn_change_apply(&w->conns, &ch);
	if (ch.new_state == TCP_S_LISTEN)
		take_listener(w, row->sock);
	return 0;
}

static int on_snapshot(void *ctx, const struct bind_row *row)
{
	struct by_who *w = ctx;

	conn_take_snapshot(&w->conns, row);
	if (bind_get(row, SNAP_STATE, 0) == TCP_S_LISTEN)
		take_listener(w, row->sock);
	return 0;
}

void by_bind(struct bind ret[BY_N_BINDS])
{
	conn_track(ret + BY_BIND_CONN);
	ret[BY_BIND_CONN + CONN_TRACK_STATE].on = on_state;
	ret[BY_BIND_CONN + CONN_TRACK_SNAPSHOT].on = on_snapshot;
	ret[BY_BIND_CGROUP] = (struct bind){
		.record = "snap_cgroup", .fields = cgroup_fields, .n_fields = 2, .on = on_cgroup};
	ret[BY_BIND_NETNS] = (struct bind){
		.record = "snap_netns", .fields = netns_fields, .n_fields = 2, .on = on_netns};
	ret[BY_BIND_LINK] = (struct bind){
		.record = "snap_link", .fields = link_fields, .n_fields = N_N, .on = on_link};
}

bool by_needs_conns(enum by_key key)
{
	return !(BY_BIT(key) & (BY_BIT(BY_ALL) | BY_BIT(BY_NETNS) | BY_BIT(BY_REMOTE) |
				BY_BIT(BY_LOCAL) | BY_BIT(BY_INTERFACE)));
}

bool by_who_failed(const struct by_who *w)
{
	return w->failed || w->conns.failed;
}

void by_who_fini(struct by_who *w)
{
	for (size_t i = 0; i < w->names.cap; i++)
		free(w->names.slots[i].value);
	map_fini(&w->names);
	map_fini(&w->listeners);
	conn_table_fini(&w->conns);
}

/* ---- ids ---- */

/*
 * Where a connection was accepted: at its own address, or at any. The listener may not be known
 * (it was not chosen, or the snapshot does not have it): then the end that accepted it stands for
 * it.
 */
static bool id_listener(const struct by_who *w, const struct sock *s, struct by_id *ret)
{
	static const uint8_t any[2][FLOW_ADDR_LEN] = {{0}, {[10] = 0xff, [11] = 0xff}};
	const uint8_t *addrs[] = {s->flow.laddr, any[0], any[1]};
	const struct conn *c = conn_find(&w->conns, s);
	const uint8_t *found = NULL;

	if (!s->has_flow || !s->flow.lport || (c && c->active))
		return false;
	for (size_t i = 0; !found && i < sizeof(addrs) / sizeof(addrs[0]); i++)
		if (map_get(&w->listeners, end_key(s->netns, addrs[i], s->flow.lport)))
			found = addrs[i];
	if (!found && c && c->born_ns)
		found = s->flow.laddr;
	if (!found)
		return false;
	ret->a = s->netns;
	ret->b = s->flow.lport;
	memcpy(ret->bytes, found, FLOW_ADDR_LEN);
	return true;
}

/* MPTCP sockets that were accepted share their listener's cookie: hence the ends. */
static void id_conn(const struct sock *s, uint32_t pid, struct by_id *ret)
{
	ret->a = s->cookie;
	ret->b = (uint64_t)pid << 32 | (uint32_t)s->flow.lport << 16 | s->flow.rport;
	memcpy(ret->bytes, s->flow.raddr, FLOW_ADDR_LEN);
}

/* The local address, of which a host has few, as a hash: an id has room for one. */
static void id_target(const struct sock *s, struct by_id *ret)
{
	if (!s->has_flow)
		return;
	ret->a = map_hash(s->flow.laddr, FLOW_ADDR_LEN);
	ret->b = s->flow.rport;
	memcpy(ret->bytes, s->flow.raddr, FLOW_ADDR_LEN);
}

static void id_of_sock(const struct by_who *w, enum by_key key, const struct by_event *e,
		       struct by_id *ret)
{
	const struct sock *s = e->sock;

	switch (key) {
	case BY_CALLER: id_conn(s, e->task ? e->task->pid : 0, ret); break;
	case BY_TARGET: id_target(s, ret); break;
	case BY_CONN: id_conn(s, 0, ret); break;
	case BY_NETNS: ret->a = s->netns; break;
	case BY_INTERFACE:
		if (e->ifindex) {
			ret->a = s->netns;
			ret->b = e->ifindex;
		}
		break;
	case BY_REMOTE: memcpy(ret->bytes, s->flow.raddr, s->has_flow ? FLOW_ADDR_LEN : 0); break;
	case BY_LOCAL: memcpy(ret->bytes, s->flow.laddr, s->has_flow ? FLOW_ADDR_LEN : 0); break;
	case BY_LISTENER: id_listener(w, s, ret); break;
	default: break;
	}
}

static void id_of_task(enum by_key key, const struct task *t, struct by_id *ret)
{
	switch (key) {
	case BY_PID: ret->a = t->pid; break;
	case BY_TID: ret->a = t->tid ? t->pid : 0, ret->b = t->tid; break;
	case BY_COMM: memcpy(ret->bytes, t->comm, strnlen(t->comm, EV_COMM_LEN)); break;
	case BY_CGROUP: ret->a = t->cgroup; break;
	default: break;
	}
}

bool by_id(const struct by_who *w, enum by_key key, const struct by_event *e, struct by_id *ret)
{
	static const struct by_id unknown;

	*ret = unknown;
	if (e->sock)
		id_of_sock(w, key, e, ret);
	if (e->task)
		id_of_task(key, e->task, ret);
	return memcmp(ret, &unknown, sizeof(unknown)) != 0;
}

/* ---- groups ---- */

static void open_group(struct by_group *g, enum by_key key, const struct by_id *id,
		       const struct by_event *e)
{
	g->id = *id;
	if (e->sock)
		g->sock = *e->sock;
	if (e->task)
		g->task = *e->task;
	g->ifindex = e->ifindex;
	if (key == BY_LISTENER)
		memcpy(g->sock.flow.laddr, id->bytes, FLOW_ADDR_LEN);
}

/* Another event of it: a process is named by its main thread, if that is seen. */
static void see(struct by_group *g, const struct task *task)
{
	if (task && (!g->task.pid || (task->tid == task->pid && task->pid == g->task.pid)))
		g->task = *task;
}

static bool list(struct by_groups *gs, struct by_group *g)
{
	size_t cap = gs->cap ? 2 * gs->cap : 64;
	struct by_group **more;

	if (gs->n == gs->cap) {
		more = realloc(gs->list, cap * sizeof(*more));
		if (!more)
			return false;
		gs->list = more;
		gs->cap = cap;
	}
	gs->list[gs->n++] = g;
	return true;
}

/* Into the table; the list has it already. */
static void enter(struct by_groups *gs, struct by_group *g)
{
	uint64_t hash = map_hash(&g->id, sizeof(g->id));

	g->next = map_get(&gs->map, hash);
	if (map_put(&gs->map, hash, g))
		gs->failed = true;
}

void *by_groups_get(struct by_groups *gs, const struct by_who *w, const struct by_event *e)
{
	struct by_group *g;
	struct by_id id;

	by_id(w, gs->key, e, &id);
	for (g = map_get(&gs->map, map_hash(&id, sizeof(id))); g; g = g->next) {
		if (!memcmp(&g->id, &id, sizeof(id))) {
			see(g, e->task);
			return g;
		}
	}
	if (gs->n >= gs->max) {
		gs->n_left_out++;
		return NULL;
	}
	g = calloc(1, gs->size);
	if (!g || !list(gs, g)) {
		free(g);
		gs->failed = true;
		return NULL;
	}
	open_group(g, gs->key, &id, e);
	enter(gs, g);
	return g;
}

int by_compare(const struct by_group *x, const struct by_group *y)
{
	const struct by_id *v = &x->id, *w = &y->id;

	if (v->a != w->a)
		return v->a < w->a ? -1 : 1;
	if (v->b != w->b)
		return v->b < w->b ? -1 : 1;
	return memcmp(v->bytes, w->bytes, sizeof(v->bytes));
}

static int compare(const void *a, const void *b)
{
	return by_compare(*(const struct by_group *const *)a, *(const struct by_group *const *)b);
}

void by_groups_sort(struct by_groups *gs)
{
	if (gs->n)
		qsort(gs->list, gs->n, sizeof(struct by_group *), compare);
}

void by_groups_keep(struct by_groups *gs, bool (*keep)(struct by_group *g))
{
	size_t n = 0;

	map_fini(&gs->map);
	gs->map = (struct map){0};
	for (size_t i = 0; i < gs->n; i++) {
		if (!keep(gs->list[i])) {
			free(gs->list[i]);
			continue;
		}
		gs->list[n++] = gs->list[i];
		enter(gs, gs->list[n - 1]);
	}
	gs->n = n;
}

void by_groups_fini(struct by_groups *gs)
{
	for (size_t i = 0; i < gs->n; i++)
		free(gs->list[i]);
	free(gs->list);
	map_fini(&gs->map);
}

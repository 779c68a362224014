// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "by.h"
#include "cells.h"

#define MAX_NAMES 65536 /* a hostile trace may have more */
#define MAX_NAME_LEN 4096

static const char *const key_names[BY_N] = {"conn",   "pid",   "tid",	"comm",
					    "cgroup", "netns", "remote"};

int by_parse(const char *name, enum by_key *ret, struct fail *fail)
{
	*ret = BY_CONN;
	if (!name)
		return 0;
	for (int i = 0; i < BY_N; i++) {
		if (!strcmp(name, key_names[i])) {
			*ret = (enum by_key)i;
			return 0;
		}
	}
	return fail_set(fail, STATUS_USAGE,
			"--by takes conn, pid, tid, comm, cgroup, netns or remote");
}

/* MPTCP sockets that were accepted share their listener's cookie: hence the ends. */
static void id_conn(const struct sock *s, const struct task *t, struct by_id *ret)
{
	ret->a = s->cookie;
	ret->b = (uint64_t)(t ? t->pid : 0) << 32 | (uint32_t)s->flow.lport << 16 | s->flow.rport;
	memcpy(ret->bytes, s->flow.raddr, FLOW_ADDR_LEN);
}

bool by_id(enum by_key key, const struct sock *s, const struct task *t, struct by_id *ret)
{
	bool of_sock = key == BY_CONN || key == BY_REMOTE || key == BY_NETNS;

	*ret = (struct by_id){0};
	if (of_sock ? !s || (key == BY_REMOTE && !s->has_flow) : !t)
		return false;
	switch (key) {
	case BY_CONN: id_conn(s, t, ret); break;
	case BY_PID: ret->a = t->pid; break;
	case BY_TID: ret->a = t->pid, ret->b = t->tid; break;
	case BY_COMM: memcpy(ret->bytes, t->comm, strnlen(t->comm, EV_COMM_LEN)); break;
	case BY_CGROUP: ret->a = t->cgroup; break;
	case BY_NETNS: ret->a = s->netns; break;
	case BY_REMOTE: memcpy(ret->bytes, s->flow.raddr, FLOW_ADDR_LEN); break;
	case BY_N: break;
	}
	return true;
}

void by_open(struct by_group *g, const struct by_id *id, const struct sock *sock,
	     const struct task *task)
{
	*g = (struct by_group){.id = *id};
	if (sock)
		g->sock = *sock;
	if (task)
		g->task = *task;
}

void by_see(struct by_group *g, const struct task *task)
{
	if (task && task->tid == task->pid && task->pid == g->task.pid)
		g->task = *task;
}

/* ---- names ---- */

enum { N_NAME, N_ID, N_N };
static const struct bind_field cgroup_fields[N_N] = {{"path", BIND_STR}, {"cgroup", BIND_INT}};
static const struct bind_field netns_fields[N_N] = {{"name", BIND_STR}, {"netns", BIND_INT}};

#define NETNS_BIT (UINT64_C(1) << 63) /* both kinds are in one map */

static int take(struct by_names *n, uint64_t key, const struct bind_row *row)
{
	size_t len = 0;
	const char *name = bind_str(row, N_NAME, &len);
	char *copy, *old;

	if (!name || !len || !key || (n->map.n >= MAX_NAMES && !map_get(&n->map, key)))
		return 0;
	copy = strndup(name, len < MAX_NAME_LEN ? len : MAX_NAME_LEN);
	old = copy ? map_get(&n->map, key) : NULL;
	if (!copy || map_put(&n->map, key, copy)) {
		free(copy);
		n->failed = true;
		return 0;
	}
	free(old);
	return 0;
}

static int on_cgroup(void *ctx, const struct bind_row *row)
{
	return take(ctx, bind_get(row, N_ID, 0) & ~NETNS_BIT, row);
}

static int on_netns(void *ctx, const struct bind_row *row)
{
	return take(ctx, bind_get(row, N_ID, 0) | NETNS_BIT, row);
}

void by_bind(struct bind ret[BY_N_BINDS])
{
	ret[BY_BIND_CGROUP] = (struct bind){
		.record = "snap_cgroup", .fields = cgroup_fields, .n_fields = N_N, .on = on_cgroup};
	ret[BY_BIND_NETNS] = (struct bind){
		.record = "snap_netns", .fields = netns_fields, .n_fields = N_N, .on = on_netns};
}

void by_names_fini(struct by_names *n)
{
	for (size_t i = 0; i < n->map.cap; i++)
		free(n->map.slots[i].value);
	map_fini(&n->map);
}

/* ---- cells ---- */

enum { C_PID, C_TID, C_COMM, C_CGROUP, C_PATH, C_NETNS, C_NAME, C_REMOTE, C_ENDS };
static const struct out_col by_cols[BY_N_COLS] = {
	{"PID", "pid", 7, true},
	{"TID", "tid", 7, true},
	{"COMM", "comm", 15, true},
	{NULL, "cgroup", 0, false},
	{"CGROUP", "cgroup_path", 40, true},
	{"NETNS", "netns", 10, true},
	{"NAME", "netns_name", 15, true},
	{"RADDR", NULL, 39, true},
	CELLS_ENDS_COLS("", NULL),
};

void by_show_cols(enum by_key key, struct out_col cols[BY_N_COLS])
{
	bool task = key == BY_CONN || key == BY_PID || key == BY_TID;

	memcpy(cols, by_cols, sizeof(by_cols));
	cols[C_PID].hidden = !task;
	cols[C_TID].hidden = key != BY_TID;
	cols[C_COMM].hidden = !task && key != BY_COMM;
	cols[C_PATH].hidden = key != BY_CGROUP;
	cols[C_NETNS].hidden = cols[C_NAME].hidden = key != BY_NETNS;
	cols[C_REMOTE].hidden = key != BY_REMOTE;
	for (int i = 0; i < 3; i++) /* the others have no title */
		cols[C_ENDS + i].hidden = key != BY_CONN;
}

static void cell_name(struct out *o, const struct by_names *n, bool known, uint64_t key)
{
	const char *name = known && key ? map_get(&n->map, key) : NULL;

	if (name)
		out_str(o, name);
	else
		out_none(o);
}

static void cell_known(struct out *o, bool known, uint64_t v)
{
	if (known)
		out_u64(o, v);
	else
		out_none(o);
}

/* In place of the ends, where the group is a remote address. */
static void cells_remote(struct out *o, const struct flow *f)
{
	for (int i = 0; i < 3; i++)
		out_const(o, "");
	for (int i = 0; i < 3; i++)
		out_none(o);
	cell_addr(o, f->raddr);
	out_none(o);
}

void by_cells(struct out *o, enum by_key key, const struct by_group *g, const struct by_names *n)
{
	bool task = (key == BY_CONN || key == BY_PID || key == BY_TID) && g->task.pid;
	bool cgroup = (task || key == BY_CGROUP) && g->task.cgroup;
	bool netns = (key == BY_CONN || key == BY_NETNS) && g->sock.netns;
	char addr[FLOW_TEXT_LEN];

	cell_known(o, task, g->task.pid);
	cell_known(o, key == BY_TID, g->task.tid);
	if (task || key == BY_COMM)
		out_str_cut(o, g->task.comm);
	else
		out_none(o);
	cell_known(o, cgroup, g->task.cgroup);
	if (key == BY_CGROUP && !out_is_json(o) && !out_is_csv(o) &&
	    !map_get(&n->map, g->task.cgroup & ~NETNS_BIT))
		cell_known(o, cgroup, g->task.cgroup);
	else
		cell_name(o, n, cgroup, g->task.cgroup & ~NETNS_BIT);
	cell_known(o, netns, g->sock.netns);
	cell_name(o, n, netns, g->sock.netns | NETNS_BIT);
	out_const(o, key == BY_REMOTE ? flow_addr_text(g->sock.flow.raddr, addr) : "");
	if (key == BY_REMOTE)
		cells_remote(o, &g->sock.flow);
	else
		cells_ends(o, key == BY_CONN && g->sock.has_flow ? &g->sock.flow : NULL, "-", NULL);
}

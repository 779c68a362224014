// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape states: every change of a TCP state, and the time spent in the old one, as bcc's
 * tcpstates. The order is that of the trace, but for what hold() says.
 */
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "cmd.h"

#define LOOK_AHEAD 1024 /* changes that are searched for the next one of a connection */

static struct {
	bool time, timestamp, wide;
	struct cells_filter filter;
} opts;

static const struct opt_row rows[] = {
	{'T', "time", NULL, OPT_FLAG, offsetof(__typeof__(opts), time),
	 "a column with the time of day"},
	{'t', "timestamp", NULL, OPT_FLAG, offsetof(__typeof__(opts), timestamp),
	 "a column with the seconds since the start of the trace"},
	{'w', "wide", NULL, OPT_FLAG, offsetof(__typeof__(opts), wide),
	 "columns wide enough for IPv6"},
	CELLS_PORT_ROWS(opts),
	CELLS_FAMILY_ROWS(opts),
};

enum { COL_TIME, COL_TIME_S, COL_LADDR = 6, COL_RADDR = 8 };
static const struct out_col columns[] = {
	CELLS_TIME_COLS,
	{"COOKIE", "conn", 12, false},
	CELLS_TASK_COLS,
	{"LADDR", "laddr", 15, false},
	{"LPORT", "lport", 5, false},
	{"RADDR", "raddr", 15, false},
	{"RPORT", "rport", 5, false},
	{"OLDSTATE", "old_state", 11, false},
	{"->", NULL, 2, false},
	{"NEWSTATE", "new_state", 11, false},
	{"MS", "ms", 0, false},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

struct line {
	struct conn_change change;
	uint64_t cookie;
	struct flow flow;
	struct task task;
	bool has_flow, has_task;
	unsigned chunks; /* that it waited for, if it is held */
};

struct states {
	struct conn_table conns; /* first: conn_track() */
	struct cmd_run *run;
	struct map held; /* cookie -> struct line that we own, see hold() */
};

static void print(struct states *s, const struct line *l)
{
	const struct conn_change *ch = &l->change;
	struct out *o = s->run->out;

	if (!cells_filter_has(&opts.filter, l->has_flow ? &l->flow : NULL))
		return;

	cell_clock(o, s->run->in, ch->ts_ns);
	cell_seconds(o, s->run->in, ch->ts_ns);
	cell_cookie(o, l->cookie);
	cells_task(o, l->has_task ? &l->task : NULL, ch->conn);
	cells_flow(o, l->has_flow ? &l->flow : NULL);
	cell_state(o, s->run->in, ch->old_state);
	out_const(o, "->");
	cell_state(o, s->run->in, ch->new_state);
	if (ch->since_ns)
		cell_ms(o, ch->ts_ns - ch->since_ns, 3);
	else if (ch->old_state == TCP_S_CLOSE)
		cell_ms(o, 0, 3); /* a new socket: no time before, as tcpstates has it */
	else
		out_none(o);
	out_end_row(o);
}

/* The next change of the same socket in this chunk; -1 if there is none near. */
static int64_t find_next(const struct bind_row *row, const struct sock **ret)
{
	const struct bind *b = row->bind;

	for (uint32_t k = row->k + 1; k < b->n_rows && k - row->k < LOOK_AHEAD; k++) {
		*ret = bind_sock(row->tables, tape_column_get(&b->cols[ST_SOCK], k));
		if (*ret && (*ret)->cookie == row->sock->cookie && (*ret)->has_flow)
			return k;
	}
	return -1;
}

/*
 * The local port of a connect that starts: input.c fills it in where one port is possible. A socket
 * that connected before had another one, which older recorders tell here: the change that follows
 * decides, if it is an answer; without one the port of the connect before is not believed.
 */
static uint16_t port_of_start(const struct bind_row *row, const struct conn *c)
{
	const struct sock *next = NULL;
	int64_t k = find_next(row, &next);
	uint16_t lport = k >= 0 && next->flow.lport ? next->flow.lport : row->sock->flow.lport;
	bool is_answer = k >= 0 && row->bind->have[ST_NEW] &&
			 tape_column_get(&row->bind->cols[ST_NEW], (uint32_t)k) != TCP_S_CLOSE;

	if (c && c->unbound && c->state_ns && !is_answer &&
	    (lport == c->flow.lport || lport == c->old_lport))
		return 0;
	return lport;
}

static void set_flow(struct line *l, const struct bind_row *row)
{
	const struct sock *s = row->sock;

	if (!s || !s->has_flow)
		return;
	l->has_flow = true;
	l->flow = s->flow;
	if (l->change.new_state == TCP_S_SYN_SENT && s->cookie)
		l->flow.lport = port_of_start(row, l->change.conn);
	else if (conn_undid_connect(&l->change, s))
		l->flow.lport = 0;
}

/*
 * A pipe may end its chunk between the start of a connect and the change that tells its port: that
 * one line is held until then, at most for one more chunk.
 */
static bool hold(struct states *s, const struct line *l)
{
	struct line *copy;

	if (!input_is_pipe(s->run->in) || l->change.new_state != TCP_S_SYN_SENT || !l->has_flow ||
	    l->flow.lport || !l->cookie || map_get(&s->held, l->cookie))
		return false;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return false;
	*copy = *l;
	copy->change.conn = NULL; /* it may be gone by then */
	if (!map_put(&s->held, l->cookie, copy))
		return true;
	free(copy);
	return false;
}

static void release(struct states *s, uint64_t cookie, const struct flow *flow)
{
	struct line *l = cookie && s->held.n ? map_del(&s->held, cookie) : NULL;

	if (!l)
		return;
	if (flow && flow->lport)
		l->flow.lport = flow->lport;
	print(s, l);
	free(l);
}

static int on_state(void *ctx, const struct bind_row *row)
{
	struct states *s = ctx;
	struct line l = {.cookie = row->sock ? row->sock->cookie : 0};

	conn_change_take(&s->conns, row, &l.change);
	set_flow(&l, row);
	release(s, l.cookie, l.has_flow ? &l.flow : NULL);
	if (row->task) {
		l.has_task = true;
		l.task = *row->task;
	}
	if (!hold(s, &l))
		print(s, &l);
	conn_change_apply(&s->conns, &l.change);
	return 0;
}

/* A chunk is over: what was held through it waits no longer. */
static int on_chunk(void *ctx, uint64_t floor_ns)
{
	struct states *s = ctx;
	uint64_t *due = NULL;
	size_t n = 0;

	if (s->held.n)
		due = calloc(s->held.n, sizeof(*due));
	for (size_t i = 0; due && i < s->held.cap; i++) {
		struct line *l = s->held.slots[i].value;

		if (l && l->chunks++)
			due[n++] = l->cookie;
	}
	for (size_t i = 0; i < n; i++)
		release(s, due[i], NULL);
	free(due);
	return 0;
}

static void release_all(struct states *s)
{
	on_chunk(s, 0);
	on_chunk(s, 0);
	map_fini(&s->held);
}

static int check(int *n_operands, char **operands, struct fail *fail)
{
	return cells_filter_check(&opts.filter, fail);
}

static int run(struct cmd_run *run)
{
	struct states s = {.run = run};
	struct out_col cols[N_COLUMNS];
	struct bind binds[CONN_TRACK_N];
	struct input_job job = {
		.binds = binds, .n_binds = CONN_TRACK_N, .on_chunk = on_chunk, .ctx = &s};
	int rc;

	if (input_needs(run->in, "conn", "tcp_state", run->fail))
		return -1;
	conn_track(binds);
	binds[CONN_TRACK_STATE].on = on_state;
	memcpy(cols, columns, sizeof(cols));
	cols[COL_TIME].hidden = !opts.time;
	cols[COL_TIME_S].hidden = !opts.timestamp;
	if (opts.wide)
		cols[COL_LADDR].width = cols[COL_RADDR].width = 39;
	out_table(run->out, cols, N_COLUMNS);
	rc = input_run(run->in, &job, run->fail);
	if (!rc && s.conns.failed)
		rc = fail_nomem(run->fail);
	release_all(&s);
	conn_table_fini(&s.conns);
	return rc;
}

const struct cmd cmd_states = {
	.name = "states",
	.summary = "state changes, with the time spent in the old state (tcpstates)",
	.about = "COOKIE is the kernel's number of the socket, which is not used twice (--conn "
		 "takes it).\n"
		 "PID is the thread that made the change; with * the owner of the connection, "
		 "where it was\n"
		 "made by no thread (a packet, a timer); - where neither is known. MS is - where "
		 "the old\n"
		 "state began before the trace. LPORT of CLOSE -> SYN_SENT is the port that the "
		 "kernel chose\n"
		 "right after. On a pipe that one line waits for the next event of the socket, at "
		 "most for one\n"
		 "more chunk; 0 where none came by then, or none at all.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "conn",
	.local_ports = true,
	.check = check,
	.run = run,
};

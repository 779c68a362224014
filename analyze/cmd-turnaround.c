// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape turnaround: requests and answers. Of a server, how long from the last byte of a request
 * read to the first byte of the answer written; of a client, from the request written to the first
 * byte of the answer read.
 */
#include <stdlib.h>
#include <string.h>

#include "by.h"
#include "cells.h"
#include "cmd.h"
#include "dist.h"
#include "slowest.h"
#include "turn_read.h"

#define MAX_SLOWEST 100000
#define KEYS (BY_OF_SOCKETS | BY_BIT(BY_TID))
#define NS_PER_S 1000000000ull

static struct {
	bool server, client, percentiles, hist, ms, timestamp;
	struct opt_u32 slowest;
	struct opt_fixed interval, least;
	const char *by;
	struct cells_filter filter;
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	{'s', "server", NULL, OPT_FLAG, AT(server), "only what this host answered"},
	{'c', "client", NULL, OPT_FLAG, AT(client), "only what this host asked"},
	{0, "slowest", "N", OPT_U32, AT(slowest), "the N that took longest, the slowest first"},
	{0, "min", "MS", OPT_FIXED, AT(least), "only those that took so many milliseconds"},
	{0, "percentiles", NULL, OPT_FLAG, AT(percentiles),
	 "instead: the distribution; percentiles are off by less than\n"
	 "1 % of the value"},
	{0, "hist", NULL, OPT_FLAG, AT(hist), "instead: a histogram"},
	{'m', "millisecond", NULL, OPT_FLAG, AT(ms), "of milliseconds instead of microseconds"},
	{0, "by", "KEY", OPT_STR, AT(by), "one for each tid, " BY_OF_SOCKETS_HELP},
	INTERVAL_ROW(opts, "one for each interval"),
	{'t', "timestamp", NULL, OPT_FLAG, AT(timestamp),
	 "the time of day, not seconds since the start of the trace"},
	CELLS_PORT_ROWS(opts),
	CELLS_FAMILY_ROWS(opts),
};

static const struct out_col columns[] = {
	CELLS_TIME_COLS,
	{"PID", "pid", 7, false},
	{"COMM", "comm", 15, false},
	CELLS_ENDS_COLS("", "role"),
	{"REQUEST", "request_bytes", -8, false},
	{"ANSWER", "answer_bytes", -8, false},
	{"TURN(ms)", "turn_ms", -10, false},
	{"TOTAL(ms)", "total_ms", -10, false},
	{NULL, "request_ms", 0, false},
	{NULL, "answer_ms", 0, false},
	{NULL, "conn", 0, false},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

struct turnaround {
	struct turn_read read;
	struct dist dist;
	struct slowest slowest; /* of struct exchange */
	struct out_col cols[N_COLUMNS];
	bool is_dist;
};

/* ---- exchanges ---- */

static void cell_duration(struct out *o, uint64_t from_ns, uint64_t to_ns)
{
	cell_ms(o, to_ns - from_ns, 3);
}

static void print(struct turnaround *t, const struct exchange *x)
{
	const struct flow *f = x->sock.has_flow ? &x->sock.flow : NULL;
	bool server = x->role == TURN_SERVER;
	struct out *o = t->read.run->out;

	cell_clock(o, t->read.run->in, x->request_first_ns);
	cell_seconds(o, t->read.run->in, x->request_first_ns);
	cell_known(o, x->task.pid, x->task.pid);
	if (x->task.pid)
		out_str_cut(o, x->task.comm);
	else
		out_none(o);
	cells_ends(o, f, server ? "<-" : "->", server ? "server" : "client");
	out_u64(o, x->request_bytes);
	out_u64(o, x->answer_bytes);
	cell_ms(o, exchange_turn_ns(x), 3);
	cell_duration(o, x->request_first_ns, x->answer_last_ns);
	cell_duration(o, x->request_first_ns, x->request_last_ns);
	cell_duration(o, x->answer_first_ns, x->answer_last_ns);
	cell_cookie(o, x->sock.cookie);
	out_end_row(o);
}

static bool is_faster(const void *a, const void *b)
{
	const struct exchange *x = a, *y = b;
	uint64_t v = exchange_turn_ns(x), w = exchange_turn_ns(y);

	return v != w ? v < w : x->request_first_ns > y->request_first_ns;
}

static bool is_wanted(const struct exchange *x)
{
	if ((opts.server || opts.client) && !(x->role == TURN_SERVER ? opts.server : opts.client))
		return false;
	if (opts.least.given && (double)exchange_turn_ns(x) < opts.least.v * 1e6)
		return false;
	return cells_filter_has(&opts.filter, x->sock.has_flow ? &x->sock.flow : NULL);
}

static void on_exchange(void *ctx, const struct exchange *x, uint64_t ts_ns)
{
	struct turnaround *t = ctx;
	struct by_event e = {.sock = &x->sock, .task = x->task.pid ? &x->task : NULL};
	struct dist_group *g;

	if (!is_wanted(x))
		return;
	if (t->is_dist) {
		dist_pass(&t->dist, ts_ns);
		g = dist_group(&t->dist, &e);
		if (g)
			dist_add(&t->dist, g, x->sock.has_flow ? &x->sock.flow : NULL, ts_ns,
				 exchange_turn_ns(x));
	} else if (opts.slowest.given) {
		slowest_add(&t->slowest, x);
	} else {
		print(t, x);
	}
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	struct turnaround *t = ctx;

	if (t->is_dist)
		dist_pass(&t->dist, floor_ns);
	return 0;
}

/* ---- the command ---- */

static int check(int *n_operands, char **operands, struct fail *fail)
{
	enum by_key by;

	if (opts.percentiles + opts.hist + opts.slowest.given > 1)
		return fail_set(fail, STATUS_USAGE,
				"--percentiles, --hist and --slowest exclude each other");
	if ((opts.by || opts.interval.given || opts.ms) && !opts.percentiles && !opts.hist)
		return fail_set(fail, STATUS_USAGE,
				"--by, -i and -m go with --percentiles or --hist");
	if (opts.slowest.given && (!opts.slowest.v || opts.slowest.v > MAX_SLOWEST))
		return fail_set(fail, STATUS_USAGE, "--slowest takes 1 to %d", MAX_SLOWEST);
	if (by_parse(opts.by, KEYS, &by, fail) || interval_check(&opts.interval, fail))
		return -1;
	return cells_filter_check(&opts.filter, fail);
}

static int begin(struct turnaround *t, struct cmd_run *run)
{
	struct dist_opts dist = {.by = BY_ALL,
				 .value = "turnaround",
				 .per_us = 1000,
				 .ms = opts.ms,
				 .percentiles = opts.percentiles,
				 .time_of_day = opts.timestamp,
				 .interval = opts.interval};

	if (turn_read_begin(&t->read, run))
		return -1;
	dist.group = t->read.has_io ? "io" : "rx";
	if (opts.interval.given)
		t->read.patience_ns = NS_PER_S;
	t->is_dist = opts.percentiles || opts.hist;
	if (t->is_dist) {
		if (by_parse(opts.by, KEYS, &dist.by, run->fail))
			return -1;
		dist_begin(&t->dist, run, &t->read.who, &dist);
		return 0;
	}
	if (opts.slowest.given &&
	    slowest_init(&t->slowest, opts.slowest.v, sizeof(struct exchange), is_faster))
		return fail_nomem(run->fail);
	memcpy(t->cols, columns, sizeof(columns));
	t->cols[0].hidden = !opts.timestamp;
	t->cols[1].hidden = opts.timestamp;
	out_table(run->out, t->cols, N_COLUMNS);
	return 0;
}

static int finish(struct turnaround *t)
{
	if (t->is_dist && dist_finish(&t->dist, t->read.run->fail))
		return -1;
	slowest_sort(&t->slowest);
	for (size_t i = 0; i < t->slowest.n; i++)
		print(t, slowest_at(&t->slowest, i));
	turn_read_note(&t->read);
	return 0;
}

static int run(struct cmd_run *run)
{
	struct turnaround t = {.read = {.on = on_exchange, .on_chunk = on_chunk, .ctx = &t}};
	int rc = begin(&t, run);

	if (!rc)
		rc = turn_read_run(&t.read);
	if (!rc)
		rc = finish(&t);
	slowest_fini(&t.slowest);
	dist_fini(&t.dist);
	turn_read_fini(&t.read);
	return rc;
}

const struct cmd cmd_turnaround = {
	.name = "turnaround",
	.summary = "requests and answers: who waited how long for whom",
	.about =
		"TURN is, of what this host answered (<-), the time from the last byte of a "
		"request read\n"
		"to the first byte of the answer written; of what it asked (->), from the "
		"request written\n"
		"to the first byte of the answer read. TOTAL is from the first byte of the request "
		"to the\n"
		"last one of the answer. A request is all that came one way before something went "
		"the\n"
		"other way. Left out, and counted in a note: requests and answers that overlap "
		"(pipelining,\n"
		"streams), what has no answer, and exchanges with bytes that no event tells of. An "
		"exchange is\n"
		"told when it is over: with the next request, or the end of the connection; with "
		"-i also a\n"
		"second after its last byte. It needs a recording with -e +io (or +rx,+tx).\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.check = check,
	.run = run,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape turnaround: requests and answers. Of a server, how long from the last byte of a request
 * read to the first byte of the answer written; of a client, from the request written to the first
 * byte of the answer read. Out of the calls that send and receive (group io), or, where a recording
 * has no such group, out of what they copied (rx_copy, tx_write).
 */
#include <inttypes.h>
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
	struct by_who who; /* first: by_bind() */
	struct cmd_run *run;
	struct turns turns;
	struct dist dist;
	struct slowest slowest; /* of struct exchange */
	struct out_col cols[N_COLUMNS];
	bool has_io, is_dist;
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
	struct out *o = t->run->out;

	cell_clock(o, t->run->in, x->request_first_ns);
	cell_seconds(o, t->run->in, x->request_first_ns);
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

static enum turn_role role_of(void *ctx, const struct sock *sock)
{
	return turn_read_role(&((struct turnaround *)ctx)->who, sock);
}

/* ---- calls ---- */

static int on_send(void *ctx, const struct bind_row *row)
{
	turn_read_send(&((struct turnaround *)ctx)->turns, row);
	return 0;
}

static int on_recv(void *ctx, const struct bind_row *row)
{
	turn_read_recv(&((struct turnaround *)ctx)->turns, row);
	return 0;
}

static int on_wait(void *ctx, const struct bind_row *row)
{
	turn_read_wait(&((struct turnaround *)ctx)->turns, row);
	return 0;
}

static int on_write(void *ctx, const struct bind_row *row)
{
	struct turnaround *t = ctx;

	turn_read_write(&t->turns, row, t->has_io);
	return 0;
}

static int on_copy(void *ctx, const struct bind_row *row)
{
	struct turnaround *t = ctx;

	if (!t->has_io)
		turn_read_copy(&t->turns, row);
	return 0;
}

enum { ACK_SOCK, ACK_SEQ, ACK_N };
static const struct bind_field ack_fields[ACK_N] = {{"sock", BIND_SOCK}, {"ack_seq", BIND_INT}};

static int on_ack(void *ctx, const struct bind_row *row)
{
	struct turnaround *t = ctx;

	if (bind_has(row, ACK_SEQ))
		turns_ack(&t->turns, row->sock, (uint32_t)bind_get(row, ACK_SEQ, 0));
	return 0;
}

static int on_destroy(void *ctx, const struct bind_row *row)
{
	struct turnaround *t = ctx;

	turns_gone(&t->turns, row->sock, row->ts_ns);
	conn_drop(&t->who.conns, conn_find(&t->who.conns, row->sock));
	return 0;
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	struct turnaround *t = ctx;

	turns_pass(&t->turns, floor_ns);
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

/* Which events tell of the calls. */
static int choose_source(struct turnaround *t)
{
	struct input *in = t->run->in;
	struct fail other;

	t->has_io = !input_needs(in, "io", "io_send", t->run->fail) &&
		    !input_needs(in, "io", "io_recv", t->run->fail);
	if (t->has_io || (!input_needs(in, "rx", "rx_copy", &other) &&
			  !input_needs(in, "tx", "tx_write", &other))) {
		*t->run->fail = (struct fail){0};
		return 0;
	}
	return -1;
}

static int begin(struct turnaround *t)
{
	struct dist_opts dist = {.by = BY_ALL,
				 .value = "turnaround",
				 .per_us = 1000,
				 .ms = opts.ms,
				 .percentiles = opts.percentiles,
				 .time_of_day = opts.timestamp,
				 .interval = opts.interval};
	struct turns_opts turns = {.role = role_of, .on = on_exchange, .ctx = t};

	if (choose_source(t))
		return -1;
	dist.group = t->has_io ? "io" : "rx";
	if (opts.interval.given)
		turns.patience_ns = NS_PER_S;
	turns_init(&t->turns, &turns);
	t->is_dist = opts.percentiles || opts.hist;
	if (t->is_dist) {
		if (by_parse(opts.by, KEYS, &dist.by, t->run->fail))
			return -1;
		dist_begin(&t->dist, t->run, &t->who, &dist);
		return 0;
	}
	if (opts.slowest.given &&
	    slowest_init(&t->slowest, opts.slowest.v, sizeof(struct exchange), is_faster))
		return fail_nomem(t->run->fail);
	memcpy(t->cols, columns, sizeof(columns));
	t->cols[0].hidden = !opts.timestamp;
	t->cols[1].hidden = opts.timestamp;
	out_table(t->run->out, t->cols, N_COLUMNS);
	return 0;
}

static void note_left_out(const struct turnaround *t)
{
	const struct turns_stats *s = &t->turns.stats;
	struct out *o = t->run->out;
	struct fail fail;

	if (s->n_overlaps)
		out_note(o,
			 "%" PRIu64 " exchanges are left out: requests and answers overlap "
			 "(pipelining, streams)",
			 s->n_overlaps);
	if (s->n_gaps)
		out_note(o,
			 "%" PRIu64 " exchanges are left out: bytes moved in them that no event "
			 "tells of (lost, splice, TLS in the kernel)",
			 s->n_gaps);
	if (s->n_unanswered)
		out_note(o, "%" PRIu64 " requests had no answer", s->n_unanswered);
	if (s->n_one_way)
		out_note(o, "%" PRIu64 " connections moved bytes one way only", s->n_one_way);
	if (s->n_without_role)
		out_note(o,
			 "%" PRIu64 " connections are left out: the trace does not tell who "
			 "connected (record with group conn, or the snapshot)",
			 s->n_without_role);
	if (s->n_cut)
		out_note(o, "%" PRIu64 " quiet connections were forgotten: there were more than %u",
			 s->n_cut, TURNS_OPEN);
	if (input_needs(t->run->in, "rtt", "rtt", &fail))
		out_note(o, "overlapping requests are not recognised as such: acknowledgments are "
			    "not in this trace (group rtt)");
}

static int finish(struct turnaround *t)
{
	uint64_t last = input_last(t->run->in);

	turns_pass(&t->turns, last);
	turns_end(&t->turns, last);
	if (t->turns.failed || by_who_failed(&t->who))
		return fail_nomem(t->run->fail);
	if (t->is_dist && dist_finish(&t->dist, t->run->fail))
		return -1;
	slowest_sort(&t->slowest);
	for (size_t i = 0; i < t->slowest.n; i++)
		print(t, slowest_at(&t->slowest, i));
	note_left_out(t);
	return 0;
}

enum { N_OWN = 6 };

static int run(struct cmd_run *run)
{
	struct turnaround t = {.run = run};
	struct bind binds[N_OWN + BY_N_BINDS] = {
		{.record = "io_send",
		 .fields = turn_send_fields,
		 .n_fields = TURN_SEND_N,
		 .on = on_send},
		{.record = "io_recv",
		 .fields = turn_recv_fields,
		 .n_fields = TURN_RECV_N,
		 .on = on_recv},
		{.record = "io_wait",
		 .fields = turn_wait_fields,
		 .n_fields = TURN_WAIT_N,
		 .on = on_wait},
		{.record = "tx_write",
		 .fields = turn_write_fields,
		 .n_fields = TURN_SEND_N,
		 .on = on_write},
		{.record = "rx_copy",
		 .fields = turn_copy_fields,
		 .n_fields = TURN_SEND_N,
		 .on = on_copy},
		{.record = "rtt", .fields = ack_fields, .n_fields = ACK_N, .on = on_ack},
	};
	struct input_job job = {.binds = binds,
				.n_binds = N_OWN + BY_N_BINDS,
				.on_chunk = on_chunk,
				.tcp_only = true,
				.ctx = &t};
	int rc = begin(&t);

	by_bind(binds + N_OWN);
	binds[N_OWN + BY_BIND_CONN + CONN_TRACK_DESTROY].on = on_destroy;
	if (!rc)
		rc = input_run(run->in, &job, run->fail);
	if (!rc)
		rc = finish(&t);
	turns_fini(&t.turns);
	slowest_fini(&t.slowest);
	dist_fini(&t.dist);
	by_who_fini(&t.who);
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

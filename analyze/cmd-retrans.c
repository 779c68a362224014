// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape retrans: segments that were sent again, SYN-ACKs too, and tail loss probes, as bcc's
 * tcpretrans. The cause is named here (resent.h).
 */
#include <stdlib.h>
#include <string.h>

#include "by.h"
#include "cells.h"
#include "cmd.h"
#include "interval.h"
#include "outcome.h"
#include "resent.h"

#define MAX_GROUPS (1 << 20) /* a hostile trace may have more */

static struct {
	bool count, probes, timestamp, verbose;
	const char *by;
	struct opt_fixed interval;
	struct cells_filter filter;
} opts;

static const struct opt_row rows[] = {
	{'c', "count", NULL, OPT_FLAG, offsetof(__typeof__(opts), count),
	 "counts of segments by cause, one line a connection"},
	{0, "by", "KEY", OPT_STR, offsetof(__typeof__(opts), by),
	 "with -c: one for each " BY_OF_SOCKETS_HELP},
	INTERVAL_ROW(opts, "with -c: a table for each interval"),
	{'l', "lossprobe", NULL, OPT_FLAG, offsetof(__typeof__(opts), probes),
	 "also tail loss probes that are due with new data to send"},
	{'t', "timestamp", NULL, OPT_FLAG, offsetof(__typeof__(opts), timestamp),
	 "a column with the seconds since the start of the trace"},
	{'v', "verbose", NULL, OPT_FLAG, offsetof(__typeof__(opts), verbose),
	 "also tries that failed inside this machine, and more columns"},
	CELLS_PORT_ROWS(opts),
	CELLS_FAMILY_ROWS(opts),
};

enum cause { C_FAST, C_RTO, C_RTO_RECOVERY, C_TLP, C_LOSS, C_SYNACK, C_TLP_NEW, C_UNKNOWN, C_N };
static const char *const cause_names[C_N] = {
	[C_FAST] = "fast",	 [C_RTO] = "RTO",	  [C_RTO_RECOVERY] = "RTO-recovery",
	[C_TLP] = "TLP",	 [C_LOSS] = "loss",	  [C_SYNACK] = "SYN-ACK",
	[C_TLP_NEW] = "TLP-new", [C_UNKNOWN] = "unknown",
};

enum { COL_TIME_S = 1, N_VERBOSE = 6 };
static const struct out_col columns[] = {
	{"TIME", "time", 8, false},
	{"TIME(s)", "time_s", 9, true},
	CELLS_TASK_COLS,
	{"IP", "ip", 2, false},
	CELLS_ENDS_COLS("T>", "type"),
	{"STATE", "state", 11, false},
	{"SEQ", "seq", 10, false},
	{"LEN", "len", 5, false},
	{"CAUSE", "cause", 12, false},
	{"SEGS", "segs", 4, true},
	{"ERROR", "error", 8, true},
	{"TIMEOUTS", "timeouts", 8, true},
	{"RTO(ms)", "rto_ms", 9, true},
	{"CWND", "cwnd", 5, true},
	{"CONN", "conn", 0, true},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct out_col time_columns[] = {CELLS_TIME_COLS};
static const struct out_col count_columns[] = {
	{"SEGS", "segs", 6, false},	 {"FAST", "fast", 6, false},
	{"RTO", "rto", 6, false},	 {"RTO-REC", "rto_recovery", 7, false},
	{"TLP", "tlp", 6, false},	 {"OTHER", "other", 6, false},
	{"SYN-ACK", "synack", 7, false}, {"TLP-NEW", "tlp_new", 7, true},
};
#define N_COUNTS (sizeof(count_columns) / sizeof(count_columns[0]))
enum { N_TIMES = 2 };
#define N_COUNT_COLUMNS (N_TIMES + BY_N_COLS + N_COUNTS)

enum { FLAG_FIN = 1, FLAG_SYN = 2 }; /* tcp_flags of a segment */

enum { MARK_RTO = 1 }; /* in state Loss since a timeout that the trace has */

struct tally {
	struct by_group by;
	uint64_t n[C_N], n_segs;
};

struct retrans {
	struct by_who who; /* first: by_bind() */
	struct cmd_run *run;
	struct by_groups tallies;
	struct interval interval;
	uint64_t n_failed;
};

struct line {
	const struct bind_row *row;
	const struct conn *owner;
	char type;
	enum cause cause;
	unsigned state, segs, err, timeouts;
	uint32_t seq, len, rto_us, cwnd;
	bool has_len, has_numbers;
};

/* ---- counts ---- */

static void count(struct retrans *r, const struct line *l)
{
	struct task room;
	struct by_event e = {.sock = l->row->sock, .task = conn_task(l->owner, &room)};
	struct tally *t = by_groups_get(&r->tallies, &r->who, &e);

	if (!t)
		return;
	t->n[l->cause] += l->segs;
	t->n_segs += l->cause == C_TLP_NEW ? 0 : l->segs;
}

static void print_tally(struct retrans *r, const struct tally *t)
{
	struct out *o = r->run->out;

	cell_clock(o, r->run->in, r->interval.from_ns);
	cell_seconds(o, r->run->in, r->interval.from_ns);
	by_cells(o, &r->who, r->tallies.key, &t->by);
	out_u64(o, t->n_segs);
	out_u64(o, t->n[C_FAST]);
	out_u64(o, t->n[C_RTO]);
	out_u64(o, t->n[C_RTO_RECOVERY]);
	out_u64(o, t->n[C_TLP]);
	out_u64(o, t->n[C_LOSS] + t->n[C_UNKNOWN]);
	out_u64(o, t->n[C_SYNACK]);
	out_u64(o, t->n[C_TLP_NEW]);
	out_end_row(o);
}

static int by_segs(const void *a, const void *b)
{
	const struct tally *x = *(const struct tally *const *)a;
	const struct tally *y = *(const struct tally *const *)b;

	if (x->n_segs != y->n_segs)
		return x->n_segs > y->n_segs ? -1 : 1;
	return by_compare(&x->by, &y->by);
}

static bool is_kept(struct by_group *g)
{
	return false;
}

static void print_tallies(struct retrans *r)
{
	if (r->tallies.n)
		qsort(r->tallies.list, r->tallies.n, sizeof(*r->tallies.list), by_segs);
	for (size_t i = 0; i < r->tallies.n; i++)
		print_tally(r, (const struct tally *)r->tallies.list[i]);
	by_groups_keep(&r->tallies, is_kept);
}

/* Nothing before ts_ns is still to come: print the interval if it is over. */
static void pass(struct retrans *r, uint64_t ts_ns)
{
	if (!interval_is_over(&r->interval, ts_ns))
		return;
	print_tallies(r);
	interval_skip(&r->interval, ts_ns);
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	pass(ctx, floor_ns);
	return 0;
}

static void print_last(struct retrans *r)
{
	print_tallies(r);
	if (r->tallies.n_left_out)
		out_note(r->run->out, "%llu events beyond the first %d rows are left out",
			 (unsigned long long)r->tallies.n_left_out, MAX_GROUPS);
}

/* ---- lines ---- */

static void print(struct retrans *r, const struct line *l)
{
	const struct sock *s = l->row->sock;
	const struct flow *flow = s && s->has_flow ? &s->flow : NULL;
	struct out *o = r->run->out;
	char mark[3] = {l->type, '>'}, type[2] = {l->type};

	if (!cells_filter_has(&opts.filter, flow))
		return;
	if (opts.count) {
		pass(r, l->row->ts_ns);
		count(r, l);
		return;
	}
	cell_clock(o, r->run->in, l->row->ts_ns);
	cell_seconds(o, r->run->in, l->row->ts_ns);
	cells_task(o, NULL, l->owner);
	cell_version(o, flow);
	cells_ends(o, flow, mark, type);
	cell_state(o, r->run->in, l->state);
	cell_known(o, true, l->seq);
	cell_known(o, l->has_len, l->len);
	out_str(o, cause_names[l->cause]);
	cell_known(o, true, l->segs);
	cell_errno(o, l->err);
	cell_known(o, true, l->timeouts);
	if (l->has_numbers)
		cell_ms(o, (uint64_t)l->rto_us * 1000, 3);
	else
		out_none(o);
	cell_known(o, l->has_numbers, l->cwnd);
	cell_cookie(o, s ? s->cookie : 0);
	out_end_row(o);
}

enum {
	R_SOCK,
	R_SEQ,
	R_END,
	R_SEGS,
	R_FLAGS,
	R_STATE,
	R_CA,
	R_TIMEOUTS,
	R_TIMER,
	R_ERR,
	R_RTO,
	R_CWND,
	R_N
};
static const struct bind_field retransmit_fields[R_N] = {
	[R_SOCK] = {"sock", BIND_SOCK},	     [R_SEQ] = {"seq", BIND_INT},
	[R_END] = {"end_seq", BIND_INT},     [R_SEGS] = {"segs", BIND_INT},
	[R_FLAGS] = {"tcp_flags", BIND_INT}, [R_STATE] = {"state", BIND_INT},
	[R_CA] = {"ca_state", BIND_INT},     [R_TIMEOUTS] = {"retransmits", BIND_INT},
	[R_TIMER] = {"timer", BIND_INT},     [R_ERR] = {"err", BIND_INT},
	[R_RTO] = {"rto_us", BIND_INT},	     [R_CWND] = {"cwnd", BIND_INT},
};

static enum cause cause_of(const struct bind_row *row, struct conn *c)
{
	static const enum cause causes[RESENT_N] = {
		[RESENT_FAST] = C_FAST,	    [RESENT_RTO] = C_RTO,
		[RESENT_TLP] = C_TLP,	    [RESENT_RTO_RECOVERY] = C_RTO_RECOVERY,
		[RESENT_GIVEN_UP] = C_LOSS, [RESENT_UNKNOWN] = C_UNKNOWN,
	};
	bool after_rto = c && c->marks & MARK_RTO;
	enum resent why = resent_why(bind_get(row, R_CA, UINT64_MAX),
				     bind_get(row, R_TIMER, UINT64_MAX), &after_rto);

	if (c)
		c->marks = after_rto ? c->marks | MARK_RTO : c->marks & ~(unsigned)MARK_RTO;
	return causes[why];
}

static int on_retransmit(void *ctx, const struct bind_row *row)
{
	struct retrans *r = ctx;
	struct conn *c = conn_get(&r->who.conns, row->sock);
	unsigned flags = (unsigned)bind_get(row, R_FLAGS, 0);
	struct line l = {
		.row = row,
		.owner = c,
		.type = 'R',
		.cause = cause_of(row, c),
		.state = (unsigned)bind_get(row, R_STATE, 0),
		.segs = (unsigned)bind_get(row, R_SEGS, 1),
		.err = (unsigned)bind_get(row, R_ERR, 0),
		.timeouts = (unsigned)bind_get(row, R_TIMEOUTS, 0),
		.seq = (uint32_t)bind_get(row, R_SEQ, 0),
		.rto_us = (uint32_t)bind_get(row, R_RTO, 0),
		.cwnd = (uint32_t)bind_get(row, R_CWND, 0),
		.has_len = bind_has(row, R_END) && bind_has(row, R_SEQ),
		.has_numbers = true,
	};

	l.len = (uint32_t)bind_get(row, R_END, 0) - l.seq - !!(flags & FLAG_SYN) -
		!!(flags & FLAG_FIN);
	r->n_failed += l.err != 0;
	if (!l.err || (opts.verbose && !opts.count))
		print(r, &l);
	return 0;
}

enum { S_SOCK, S_LISTENER, S_SEQ, S_TIMEOUTS, S_N };
static const struct bind_field synack_fields[S_N] = {
	[S_SOCK] = {"sock", BIND_SOCK},
	[S_LISTENER] = {"listener", BIND_INT},
	[S_SEQ] = {"seq", BIND_INT},
	[S_TIMEOUTS] = {"timeouts", BIND_INT},
};

static int on_synack(void *ctx, const struct bind_row *row)
{
	struct retrans *r = ctx;
	struct sock listener = {.cookie = bind_get(row, S_LISTENER, 0)};
	struct line l = {
		.row = row,
		.owner = conn_find(&r->who.conns, &listener),
		.type = 'S',
		.cause = C_SYNACK,
		.state = TCP_S_NEW_SYN_RECV,
		.segs = 1,
		.timeouts = (unsigned)bind_get(row, S_TIMEOUTS, 0),
		.seq = (uint32_t)bind_get(row, S_SEQ, 0),
		.has_len = true,
	};

	print(r, &l);
	return 0;
}

enum { P_SOCK, P_NXT, P_WRITE, P_STATE, P_OUT, P_RTO, P_CWND, P_N };
static const struct bind_field probe_fields[P_N] = {
	[P_SOCK] = {"sock", BIND_SOCK},	     [P_NXT] = {"snd_nxt", BIND_INT},
	[P_WRITE] = {"write_seq", BIND_INT}, [P_STATE] = {"state", BIND_INT},
	[P_OUT] = {"outstanding", BIND_INT}, [P_RTO] = {"rto_us", BIND_INT},
	[P_CWND] = {"cwnd", BIND_INT},
};

/* One that sends a segment again is told by its retransmit. */
static int on_probe(void *ctx, const struct bind_row *row)
{
	struct retrans *r = ctx;
	uint32_t nxt = (uint32_t)bind_get(row, P_NXT, 0), end = (uint32_t)bind_get(row, P_WRITE, 0);
	struct line l = {
		.row = row,
		.owner = conn_find(&r->who.conns, row->sock),
		.type = 'L',
		.cause = C_TLP_NEW,
		.state = (unsigned)bind_get(row, P_STATE, 0),
		.segs = 1,
		.seq = nxt,
		.rto_us = (uint32_t)bind_get(row, P_RTO, 0),
		.cwnd = (uint32_t)bind_get(row, P_CWND, 0),
		.has_numbers = true,
	};

	if (opts.probes && end != nxt && !bind_get(row, P_OUT, 0))
		print(r, &l);
	return 0;
}

/* ---- the command ---- */

static void notes(struct retrans *r)
{
	const char *why;

	if (input_has_probe(r->run->in, "synack_retransmit", &why) == META_NO)
		out_note(r->run->out, "retransmits of SYN-ACKs are not in this trace: %s",
			 why ? why : "no hook");
	if (opts.probes && input_has_probe(r->run->in, "loss_probe", &why) == META_NO)
		out_note(r->run->out,
			 "tail loss probes that sent new data are not in this trace: %s",
			 why ? why : "no hook");
}

static void set_table(struct retrans *r, struct out_col *cols, struct out_col *count_cols)
{
	memcpy(cols, columns, sizeof(columns));
	memcpy(count_cols, time_columns, sizeof(time_columns));
	count_cols[0].hidden = !opts.interval.given;
	count_cols[1].hidden = !opts.interval.given || opts.interval.v >= 1;
	by_cols(r->tallies.key, count_cols + N_TIMES);
	memcpy(count_cols + N_TIMES + BY_N_COLS, count_columns, sizeof(count_columns));
	cols[COL_TIME_S].hidden = !opts.timestamp;
	for (size_t i = N_COLUMNS - N_VERBOSE; i < N_COLUMNS; i++)
		cols[i].hidden = !opts.verbose;
	count_cols[N_COUNT_COLUMNS - 1].hidden = !opts.probes;
	if (opts.count)
		out_table(r->run->out, count_cols, N_COUNT_COLUMNS);
	else
		out_table(r->run->out, cols, N_COLUMNS);
}

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (by_check_counts(opts.count, opts.by, &opts.interval, fail))
		return -1;
	return cells_filter_check(&opts.filter, fail);
}

static int run(struct cmd_run *run)
{
	struct retrans r = {
		.run = run,
		.tallies = {.key = BY_CONN, .size = sizeof(struct tally), .max = MAX_GROUPS},
	};
	struct out_col cols[N_COLUMNS], count_cols[N_COUNT_COLUMNS];
	struct bind binds[3 + BY_N_BINDS] = {
		{.record = "retransmit",
		 .fields = retransmit_fields,
		 .n_fields = R_N,
		 .on = on_retransmit},
		{.record = "synack_retransmit",
		 .fields = synack_fields,
		 .n_fields = S_N,
		 .on = on_synack},
		{.record = "loss_probe", .fields = probe_fields, .n_fields = P_N, .on = on_probe},
	};
	struct input_job job = {
		.binds = binds, .n_binds = 3 + BY_N_BINDS, .on_chunk = on_chunk, .ctx = &r};
	int rc;

	if (input_needs(run->in, "retrans", "retransmit", run->fail) ||
	    by_parse(opts.by, BY_OF_SOCKETS, &r.tallies.key, run->fail))
		return -1;
	by_bind(binds + 3);
	interval_begin(&r.interval, &opts.interval, input_from(run->in));
	notes(&r);
	set_table(&r, cols, count_cols);
	rc = input_run(run->in, &job, run->fail);
	if (!rc)
		print_last(&r);
	if (!rc && r.n_failed && (!opts.verbose || opts.count))
		out_note(run->out,
			 "%llu tries to send a segment again failed inside this machine; they are "
			 "left out (-v tells them)",
			 (unsigned long long)r.n_failed);
	if (!rc && (r.tallies.failed || by_who_failed(&r.who)))
		rc = fail_nomem(run->fail);
	by_groups_fini(&r.tallies);
	by_who_fini(&r.who);
	return rc;
}

const struct cmd cmd_retrans = {
	.name = "retrans",
	.summary = "segments sent again, and why (tcpretrans)",
	.about = "T>: R> a segment, S> a SYN-ACK, L> a tail loss probe due with new data (-l),\n"
		 "sent unless the device's queue is full. CAUSE: "
		 "fast (ACKs\n"
		 "told of the loss); RTO (the retransmission timer expired, SYNs too); "
		 "RTO-recovery (what ACKs\n"
		 "let out after that); TLP (a tail loss probe, RFC 8985); loss (given up for lost "
		 "without a\n"
		 "timeout in this trace: the path's MTU shrank, or the timeout is older); SYN-ACK. "
		 "LEN is\n"
		 "payload, 0 for SYN and FIN; SEGS more than 1 is a GSO packet. The counts are "
		 "those "
		 "of\n"
		 "RetransSegs (nstat), which also counts tries that failed. PID is the known "
		 "owner's.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "retrans",
	.check = check,
	.run = run,
};

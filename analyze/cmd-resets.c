// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape resets: who reset whom, in which state and why: every RST that this host sent, also where
 * there was no socket, and those that came for a socket.
 */
#include <string.h>

#include "cells.h"
#include "cmd.h"
#include "labels.h"
#include "names.h"
#include "resets_count.h"
#include "stacks.h"

static struct {
	bool timestamp, verbose, sent, received, no_stacks, count;
	const char *by;
	struct opt_fixed interval;
	struct cells_filter filter;
} opts;

static const struct opt_row rows[] = {
	{'s', "sent", NULL, OPT_FLAG, offsetof(__typeof__(opts), sent), "only those sent"},
	{'r', "received", NULL, OPT_FLAG, offsetof(__typeof__(opts), received),
	 "only those received"},
	{'c', "count", NULL, OPT_FLAG, offsetof(__typeof__(opts), count),
	 "counts, one line a state, a reason and who decided"},
	{0, "by", "KEY", OPT_STR, offsetof(__typeof__(opts), by),
	 "with -c: one for each " BY_OF_SOCKETS_HELP},
	INTERVAL_ROW(opts, "with -c: a table for each interval"),
	{'t', "timestamp", NULL, OPT_FLAG, offsetof(__typeof__(opts), timestamp),
	 "a column with the seconds since the start of the trace"},
	{'v', "verbose", NULL, OPT_FLAG, offsetof(__typeof__(opts), verbose),
	 "columns with the segment that provoked it, and the namespace"},
	{'S', "no-stacks", NULL, OPT_FLAG, offsetof(__typeof__(opts), no_stacks),
	 "leave out the call stacks, where they were recorded\n"
	 "(tcptape-record --stacks)"},
	CELLS_PORT_ROWS(opts),
	CELLS_FAMILY_ROWS(opts),
};

enum { COL_TIME_S = 1, N_VERBOSE = 5 };
static const struct out_col columns[] = {
	{"TIME", "time", 8, false},
	{"TIME(s)", "time_s", 9, true},
	CELLS_TASK_COLS,
	{"IP", "ip", 2, false},
	CELLS_ENDS_COLS("RST", "direction"),
	{"STATE", "state", 12, false},
	{"BY", "by", 8, false},
	{"REASON", "reason", 24, false},
	{"FLAGS", "flags", 7, true},
	{"SEQ", "seq", 10, true},
	{"ACK", "ack_seq", 10, true},
	{"NETNS", "netns", 10, true},
	{"CONN", "conn", 0, true},
	STACKS_COL,
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

#define NO_REASON 65535

enum { SENT = 1, RECEIVED = 2 }; /* unit rst_direction */

struct resets {
	struct by_who who; /* first: by_bind() */
	struct cmd_run *run;
	struct resets_count counts;
	struct names reasons;
	struct labels stacks;
};

enum {
	R_SOCK,
	R_TASK,
	R_FLOW,
	R_NETNS,
	R_SEQ,
	R_ACK,
	R_REASON,
	R_FLAGS,
	R_DIRECTION,
	R_STATE,
	R_ACTIVE,
	R_STACK,
	R_N
};
static const struct bind_field reset_fields[R_N] = {
	[R_SOCK] = {"sock", BIND_SOCK},
	[R_TASK] = {"task", BIND_TASK},
	[R_FLOW] = {"flow", BIND_FLOW},
	[R_NETNS] = {"netns", BIND_INT},
	[R_SEQ] = {"seq", BIND_INT},
	[R_ACK] = {"ack_seq", BIND_INT},
	[R_REASON] = {"reason", BIND_INT},
	[R_FLAGS] = {"tcp_flags", BIND_INT},
	[R_DIRECTION] = {"direction", BIND_INT},
	[R_STATE] = {"state", BIND_INT},
	[R_ACTIVE] = {"active", BIND_INT},
	[R_STACK] = {"stack", BIND_INT},
};

static void cell_flags(struct out *o, unsigned flags)
{
	static const char letters[] = "FSRPAUECN"; /* as tcpdump, from bit 0 */
	char text[sizeof(letters)];
	size_t n = 0;

	for (unsigned i = 0; letters[i]; i++)
		if (flags >> i & 1)
			text[n++] = letters[i];
	out_strn(o, text, n);
}

/* Before 6.10 the kernel gives none. */
static void cell_reason(void *ctx, uint64_t reason)
{
	struct resets *r = ctx;
	struct out *o = r->run->out;
	const char *name = names_get(&r->reasons, reason);

	if (reason == NO_REASON)
		out_none(o);
	else if (name)
		out_str(o, name);
	else
		out_u64(o, reason);
}

/*
 * tcp_close and others set CLOSE, then send the RST: the state before is the one of interest. It is
 * known where state changes are recorded. 0: none.
 */
static unsigned state_before(const struct bind_row *row, const struct conn *c)
{
	unsigned state = (unsigned)bind_get(row, R_STATE, 0);

	return state == TCP_S_CLOSE && bind_get(row, R_ACTIVE, 0) && c && c->marks ? c->marks
										   : state;
}

/* Who decided: the peer; the process that holds the socket, or the kernel for it; TCP's answer. */
static const char *by(const struct bind_row *row)
{
	if (bind_get(row, R_DIRECTION, 0) == RECEIVED)
		return "peer";
	if (!bind_get(row, R_ACTIVE, 0))
		return "answer";
	return row->task ? "process" : "kernel";
}

static void print_segment(struct out *o, const struct bind_row *row)
{
	unsigned flags = (unsigned)bind_get(row, R_FLAGS, 0);

	if (bind_get(row, R_ACTIVE, 0) || bind_get(row, R_DIRECTION, 0) != SENT) {
		for (int i = 0; i < 3; i++)
			out_none(o);
		return;
	}
	cell_flags(o, flags);
	out_u64(o, bind_get(row, R_SEQ, 0));
	out_u64(o, bind_get(row, R_ACK, 0));
}

/* A listener's socket, or none, stands for the ends that the segment names. */
static void count(struct resets *r, const struct bind_row *row, const struct conn *c,
		  const struct flow *flow)
{
	struct reset_kind kind = {.is_sent = bind_get(row, R_DIRECTION, 0) == SENT,
				  .by = by(row),
				  .state = state_before(row, c),
				  .reason = bind_get(row, R_REASON, NO_REASON)};
	struct sock sock = row->sock ? *row->sock : (struct sock){0};
	struct task room;
	struct by_event e = {.sock = &sock, .task = row->task ? row->task : conn_task(c, &room)};

	if (!sock.has_flow || !sock.flow.rport)
		sock.cookie = 0;
	if (!sock.netns)
		sock.netns = (uint32_t)bind_get(row, R_NETNS, 0);
	if (flow) {
		sock.flow = *flow;
		sock.has_flow = true;
	}
	resets_count_pass(&r->counts, row->ts_ns);
	resets_count_add(&r->counts, &e, &kind);
}

static void print(struct resets *r, const struct bind_row *row, const struct conn *c,
		  const struct flow *flow)
{
	struct out *o = r->run->out;
	bool is_sent = bind_get(row, R_DIRECTION, 0) == SENT;
	uint64_t netns = bind_get(row, R_NETNS, 0);
	const char *stack =
		opts.no_stacks ? NULL : labels_get(&r->stacks, bind_get(row, R_STACK, 0));

	cell_clock(o, r->run->in, row->ts_ns);
	cell_seconds(o, r->run->in, row->ts_ns);
	cells_task(o, row->task, c);
	if (flow)
		out_u64(o, flow_version(flow));
	else
		out_none(o);
	cells_ends(o, flow, is_sent ? "->" : "<-", is_sent ? "sent" : "received");
	if (state_before(row, c))
		cell_state(o, r->run->in, state_before(row, c));
	else
		out_none(o);
	out_str(o, by(row));
	cell_reason(r, bind_get(row, R_REASON, NO_REASON));
	print_segment(o, row);
	if (netns)
		out_u64(o, netns);
	else
		out_none(o);
	cell_cookie(o, row->sock ? row->sock->cookie : 0);
	cell_stack(o, stack);
	out_end_row(o);
	stack_lines(o, stack);
}

static int on_reset(void *ctx, const struct bind_row *row)
{
	struct resets *r = ctx;
	bool is_sent = bind_get(row, R_DIRECTION, 0) == SENT;
	const struct conn *c = conn_find(&r->who.conns, row->sock);
	struct flow flow;
	bool has_flow =
		bind_has(row, R_FLOW) && bind_flow(row->tables, bind_get(row, R_FLOW, 0), &flow);

	if ((opts.sent && !opts.received && !is_sent) || (opts.received && !opts.sent && is_sent) ||
	    !cells_filter_has(&opts.filter, has_flow ? &flow : NULL))
		return 0;
	if (opts.count)
		count(r, row, c, has_flow ? &flow : NULL);
	else
		print(r, row, c, has_flow ? &flow : NULL);
	return 0;
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	struct resets *r = ctx;

	if (opts.count)
		resets_count_pass(&r->counts, floor_ns);
	return 0;
}

static int on_stack(void *ctx, const struct bind_row *row)
{
	struct resets *r = ctx;

	labels_take(&r->stacks, row);
	return 0;
}

static int on_state(void *ctx, const struct bind_row *row)
{
	struct resets *r = ctx;
	struct conn_change ch;

	conn_change_take(&r->who.conns, row, &ch);
	if (ch.conn)
		ch.conn->marks = ch.new_state == TCP_S_CLOSE ? ch.old_state : 0;
	conn_change_apply(&r->who.conns, &ch);
	return 0;
}

static void notes(struct resets *r)
{
	const char *why, *hooks = input_hooks(r->run->in, "reset");

	if (input_has_probe(r->run->in, "reset", &why) == META_NO || !hooks || opts.received)
		return;
	if (!r->reasons.n && !strstr(hooks, "tcp_v4_send_reset"))
		out_note(r->run->out, "RSTs that were sent without a socket (to a closed port) are "
				      "not in this trace: the hook of that kernel missed them");
	if (!r->reasons.n)
		out_note(r->run->out, "the reasons are not known: kernels before 6.10 have none");
}

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (by_check_counts(opts.count, opts.by, &opts.interval, fail))
		return -1;
	return cells_filter_check(&opts.filter, fail);
}

static int begin_counts(struct resets *r)
{
	enum by_key key = BY_ALL;

	r->counts = (struct resets_count){.out = r->run->out,
					  .in = r->run->in,
					  .who = &r->who,
					  .cell_reason = cell_reason,
					  .ctx = r};
	interval_begin(&r->counts.interval, &opts.interval, input_from(r->run->in));
	if (by_parse(opts.by, BY_OF_SOCKETS, &key, r->run->fail))
		return -1;
	if (resets_count_begin(&r->counts, key, opts.interval.given, opts.interval.v >= 1))
		return fail_nomem(r->run->fail);
	return 0;
}

static void begin_rows(struct resets *r, struct out_col *cols)
{
	memcpy(cols, columns, sizeof(columns));
	cols[COL_TIME_S].hidden = !opts.timestamp;
	for (size_t i = N_COLUMNS - 1 - N_VERBOSE; i < N_COLUMNS - 1; i++) /* and the stack */
		cols[i].hidden = !opts.verbose;
	out_table(r->run->out, cols, N_COLUMNS);
}

static int run(struct cmd_run *run)
{
	struct resets r = {.run = run};
	struct out_col cols[N_COLUMNS];
	struct bind binds[BY_N_BINDS + 2];
	struct input_job job = {
		.binds = binds, .n_binds = BY_N_BINDS + 2, .on_chunk = on_chunk, .ctx = &r};
	int rc = 0;

	if (input_needs(run->in, "reset", "reset", run->fail))
		return -1;
	if (names_init(&r.reasons, input_schema(run->in), "rst_reason"))
		return fail_nomem(run->fail);
	by_bind(binds);
	binds[BY_BIND_CONN + CONN_TRACK_STATE].on = on_state;
	binds[BY_N_BINDS] = (struct bind){
		.record = "reset", .fields = reset_fields, .n_fields = R_N, .on = on_reset};
	binds[BY_N_BINDS + 1] = (struct bind){.record = "snap_stack",
					      .fields = stack_fields,
					      .n_fields = LABEL_N,
					      .on = on_stack};
	notes(&r);
	if (opts.count)
		rc = begin_counts(&r);
	else
		begin_rows(&r, cols);
	if (!rc)
		rc = input_run(run->in, &job, run->fail);
	if (!rc && opts.count)
		resets_count_end(&r.counts);
	if (!rc &&
	    (by_who_failed(&r.who) || r.stacks.failed || r.counts.failed || r.counts.groups.failed))
		rc = fail_nomem(run->fail);
	names_fini(&r.reasons);
	labels_fini(&r.stacks);
	resets_count_fini(&r.counts);
	by_who_fini(&r.who);
	return rc;
}

const struct cmd cmd_resets = {
	.name = "resets",
	.summary = "who reset whom, in which state, why",
	.about =
		"RST: -> this host sent it, <- it came. BY: peer; process (it closed with data "
		"unread, or\n"
		"with SO_LINGER 0, or the like); kernel (the same for a socket without a thread "
		"at work:\n"
		"a timer gave up, memory ran out); answer (to a segment that fits no connection). "
		"STATE is\n"
		"that before the reset where state changes were recorded; - without a socket. "
		"REASON is the\n"
		"kernel's own (since Linux 6.10). PID is marked as in states. RSTs that end a "
		"handshake not\n"
		"yet complete (EmbryonicRsts), or come in TIME_WAIT, have no hook and are not in a "
		"trace.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "reset",
	.check = check,
	.run = run,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape life: one line a connection, when it is over: how long, how much, how it ended, as bcc's
 * tcplife. What still lives at the end of the trace is printed too.
 */
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "cmd.h"
#include "facts.h"
#include "outcome.h"

static struct {
	bool time, timestamp, wide, facts;
	struct opt_u32 pid;
	struct cells_filter filter;
} opts;

static const struct opt_row rows[] = {
	{'T', "time", NULL, OPT_FLAG, offsetof(__typeof__(opts), time),
	 "a column with the time of day when it ended"},
	{'t', "timestamp", NULL, OPT_FLAG, offsetof(__typeof__(opts), timestamp),
	 "a column with the seconds since the start of the trace"},
	{'w', "wide", NULL, OPT_FLAG, offsetof(__typeof__(opts), wide),
	 "columns with retransmits, round-trip times and the cookie;\n"
	 "addresses wide enough for IPv6"},
	{'F', "facts", NULL, OPT_FLAG, offsetof(__typeof__(opts), facts),
	 "columns with congestion control, MSS, path MTU (first>last,\n"
	 "if it changed) and what was agreed on"},
	{'p', "owner-pid", "PID", OPT_U32, offsetof(__typeof__(opts), pid), "only of this process"},
	CELLS_PORT_ROWS(opts),
	CELLS_FAMILY_ROWS(opts),
};

enum {
	COL_TIME,
	COL_TIME_S,
	COL_LADDR = 5,
	COL_RADDR = 7,
	COL_RETRANS = 13,
	COL_COOKIE = 17,
	COL_FACTS
};
static const struct out_col columns[] = {
	CELLS_TIME_COLS,
	CELLS_TASK_COLS,
	{"LADDR", "laddr", 15, false},
	{"LPORT", "lport", 5, false},
	{"RADDR", "raddr", 15, false},
	{"RPORT", "rport", 5, false},
	{"TX_KB", "tx_bytes", -6, false},
	{"RX_KB", "rx_bytes", -6, false},
	{"MS", "ms", -10, false},
	{NULL, "ms_is_least", 0, false},
	{"RETRANS", "retransmits", -7, true},
	{"SRTT(us)", "srtt_us", -8, true},
	{"MINRTT(us)", "min_rtt_us", -10, true},
	{NULL, "segs_out", 0, false},
	{"COOKIE", "conn", 12, true},
	FACTS_COLS,
	{"END", NULL, 0, false},
	{NULL, "end", 0, false},
	{NULL, "error", 0, false},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

enum { MARK_FIN_CAME = 1, MARK_ENDED = 2 };
enum { SHUTDOWN_FIN_CAME = 4 }; /* bit of tcp_destroy.shutdown, where the recorder sets it */

enum {
	D_SOCK,
	D_TASK,
	D_SENT,
	D_ACKED,
	D_RECEIVED,
	D_RETRANS_BYTES,
	D_RETRANS,
	D_SRTT,
	D_MIN_RTT,
	D_SEGS_OUT,
	D_STATE,
	D_SHUTDOWN,
	D_FACTS,
	D_N = D_FACTS + FACT_N
};
static const struct bind_field destroy_fields[D_N] = {
	[D_SOCK] = {"sock", BIND_SOCK},
	[D_TASK] = {"task", BIND_TASK},
	[D_SENT] = {"bytes_sent", BIND_INT},
	[D_ACKED] = {"bytes_acked", BIND_INT},
	[D_RECEIVED] = {"bytes_received", BIND_INT},
	[D_RETRANS_BYTES] = {"bytes_retrans", BIND_INT},
	[D_RETRANS] = {"total_retrans", BIND_INT},
	[D_SRTT] = {"srtt_us", BIND_INT},
	[D_MIN_RTT] = {"min_rtt_us", BIND_INT},
	[D_SEGS_OUT] = {"segs_out", BIND_INT},
	[D_STATE] = {"state", BIND_INT},
	[D_SHUTDOWN] = {"shutdown", BIND_INT},
	FACT_FIELDS,
};
_Static_assert(D_N <= BIND_MAX_FIELDS, "raise BIND_MAX_FIELDS");

enum { F_SOCK, F_FACTS, F_N = F_FACTS + FACT_N };
static const struct bind_field fact_fields[F_N] = {{"sock", BIND_SOCK}, FACT_FIELDS};

/* snap_sock: as conn_snap_fields, and the facts. */
enum { SNAP_FACTS = SNAP_N, SNAP_ALL = SNAP_FACTS + FACT_N };

struct life {
	struct conn_table conns; /* first: conn_track() */
	struct cmd_run *run;
	struct facts_table facts;
	bool has_destroy;
};

/* ---- printing ---- */

static bool is_wanted(const struct conn *c)
{
	return (!opts.pid.given || (c->has_owner && c->pid == opts.pid.v)) &&
	       cells_filter_has(&opts.filter, c->has_flow ? &c->flow : NULL);
}

static void print_bytes(struct out *o, const uint64_t *bytes)
{
	if (!bytes)
		out_none(o);
	else
		out_u64(o, out_is_json(o) || out_is_csv(o) ? *bytes : *bytes / 1024);
}

/*
 * Payload that reached the other end. bytes_acked counts a SYN and a FIN of ours too, bytes_sent
 * counts what was lost: the smaller of them has neither, but for the SYN of a client that sent no
 * more.
 */
static bool get_tx(const struct bind_row *row, const struct conn *c, uint64_t *ret)
{
	uint64_t acked = bind_get(row, D_ACKED, 0), sent = bind_get(row, D_SENT, 0);
	uint64_t again = bind_get(row, D_RETRANS_BYTES, 0);

	if (!bind_has(row, D_ACKED))
		return false;
	if (acked && c->active)
		acked--;
	if (bind_has(row, D_SENT) && bind_has(row, D_RETRANS_BYTES) && sent >= again &&
	    sent - again < acked)
		acked = sent - again;
	*ret = acked;
	return true;
}

/* Payload that came; bytes_received counts the other end's FIN too. */
static bool get_rx(const struct bind_row *row, const struct conn *c, uint64_t *ret)
{
	uint64_t n = bind_get(row, D_RECEIVED, 0);

	if (!bind_has(row, D_RECEIVED))
		return false;
	if (n && ((c->marks & MARK_FIN_CAME) || (bind_get(row, D_SHUTDOWN, 0) & SHUTDOWN_FIN_CAME)))
		n--;
	*ret = n;
	return true;
}

static void print_field(struct out *o, const struct bind_row *row, unsigned field, uint64_t none)
{
	uint64_t v = row ? bind_get(row, field, none) : none;

	if (v == none)
		out_none(o);
	else
		out_u64(o, v);
}

static void print_duration(struct out *o, const struct conn *c, uint64_t end_ns)
{
	uint64_t since = c->born_ns ? c->born_ns : c->known_ns;

	if (since && since <= end_ns) {
		out_mark(o, c->born_ns ? NULL : ">=", NULL);
		cell_ms(o, end_ns - since, 2);
	} else {
		out_none(o);
	}
	out_bool(o, !c->born_ns);
}

static void print_end(struct out *o, const struct conn *c, enum outcome end)
{
	char text[OUTCOME_TEXT_LEN];

	out_const(o, outcome_text(end, c->err, c->soft_err, text));
	out_str(o, outcome_name(end));
	cell_errno(o, c->err);
}

/* row: tcp_destroy, NULL without one. */
static void print(struct life *l, const struct conn *c, const struct bind_row *row, uint64_t end_ns,
		  enum outcome end)
{
	struct out *o = l->run->out;
	struct task room;
	uint64_t tx, rx;

	if (!is_wanted(c))
		return;
	cell_clock(o, l->run->in, end_ns);
	cell_seconds(o, l->run->in, end_ns);
	cells_task(o, conn_task(c, &room), NULL);
	cells_flow(o, c->has_flow ? &c->flow : NULL);
	print_bytes(o, row && get_tx(row, c, &tx) ? &tx : NULL);
	print_bytes(o, row && get_rx(row, c, &rx) ? &rx : NULL);
	print_duration(o, c, end_ns);
	print_field(o, row, D_RETRANS, UINT64_MAX);
	print_field(o, row, D_SRTT, 0);
	print_field(o, row, D_MIN_RTT, UINT32_MAX);
	print_field(o, row, D_SEGS_OUT, UINT64_MAX);
	cell_cookie(o, c->cookie);
	cells_facts(o, facts_find(&l->facts, c->cookie));
	print_end(o, c, end);
	out_end_row(o);
}

/* ---- events ---- */

static bool is_connection(const struct conn *c)
{
	return !c->listens && (c->born_ns || c->was_established);
}

/* The first sign of how it ends counts, unless a reset or a time-out cuts the rest short. */
static void learn_end(struct conn *c, const struct conn_change *ch, const struct sock *sock)
{
	enum outcome now = outcome_of_close(ch);

	if (outcome_ends_connect(ch) && ch->new_state == TCP_S_CLOSE)
		now = outcome_of_connect(ch, sock);
	if (ch->new_state == TCP_S_CLOSE_WAIT || ch->new_state == TCP_S_CLOSING ||
	    ch->new_state == TCP_S_LAST_ACK)
		c->marks |= MARK_FIN_CAME;
	if (now == OUTCOME_NONE)
		return;
	if (!c->reason || (now != OUTCOME_LOCAL_CLOSE && now != OUTCOME_REMOTE_CLOSE)) {
		c->reason = now;
		c->err = ch->err;
		c->soft_err = ch->soft_err;
	}
}

/* Over, but its totals are still to come; or never, if the trace has no tcp_destroy. */
static void end_without_totals(struct life *l, const struct conn *c)
{
	if (is_connection(c) && (c->marks & MARK_ENDED))
		print(l, c, NULL, c->state_ns, (enum outcome)c->reason);
}

static int on_state(void *ctx, const struct bind_row *row)
{
	struct life *l = ctx;
	struct conn_change ch;

	conn_change_take(&l->conns, row, &ch);
	if (!ch.conn)
		return 0;
	if (ch.new_state == TCP_S_SYN_SENT) { /* the socket is used again */
		end_without_totals(l, ch.conn);
		facts_forget(&l->facts, ch.conn->cookie);
	} else {
		learn_end(ch.conn, &ch, row->sock);
	}
	if (ch.new_state == TCP_S_CLOSE) {
		ch.conn->marks |= MARK_ENDED;
		if (!l->has_destroy && is_connection(ch.conn))
			print(l, ch.conn, NULL, ch.ts_ns, (enum outcome)ch.conn->reason);
		if (!l->has_destroy) {
			ch.conn->marks &= ~(unsigned)MARK_ENDED;
			facts_forget(&l->facts, ch.conn->cookie);
		}
	}
	conn_change_apply(&l->conns, &ch);
	return 0;
}

static int on_destroy(void *ctx, const struct bind_row *row)
{
	struct life *l = ctx;
	struct conn *c = conn_get(&l->conns, row->sock);
	const struct bind_row *totals = row;
	uint64_t end_ns = row->ts_ns;

	struct facts *f;

	if (!c)
		return 0;
	conn_own(c, row->task, false);
	f = facts_find(&l->facts, c->cookie);
	if (f)
		facts_take_end(f, row, D_FACTS);
	if (row->sock->has_flow && c->flow.rport && !row->sock->flow.rport)
		totals = NULL; /* tcp_disconnect wiped them, with the remote end */
	if (c->state == TCP_S_CLOSE && c->state_ns)
		end_ns = c->state_ns;
	if (l->has_destroy && is_connection(c))
		print(l, c, totals, end_ns, (enum outcome)c->reason);
	conn_drop(&l->conns, c);
	facts_forget(&l->facts, row->sock->cookie);
	return 0;
}

static int on_snapshot(void *ctx, const struct bind_row *row)
{
	struct life *l = ctx;
	struct facts *f;

	conn_take_snapshot(&l->conns, row);
	if (bind_get(row, SNAP_STATE, 0) == TCP_S_LISTEN)
		return 0;
	f = facts_get(&l->facts, row->sock);
	if (f && !row->stale)
		facts_take(f, row, SNAP_FACTS);
	return 0;
}

static int on_facts(void *ctx, const struct bind_row *row)
{
	struct life *l = ctx;
	struct facts *f = facts_get(&l->facts, row->sock);

	if (f)
		facts_take(f, row, F_FACTS);
	return 0;
}

/* ---- what lives at the end ---- */

static bool is_left(const struct conn *c)
{
	return conn_state_is_open(c->state) || (c->marks & MARK_ENDED);
}

static int print_open(struct life *l)
{
	const struct conn **left = conn_sorted(&l->conns, is_left);

	if (!left)
		return fail_nomem(l->run->fail);
	for (size_t i = 0; left[i]; i++) {
		const struct conn *c = left[i];

		if (c->marks & MARK_ENDED)
			end_without_totals(l, c);
		else
			print(l, c, NULL, input_last(l->run->in),
			      c->connect_ns ? OUTCOME_PENDING : OUTCOME_OPEN);
	}
	free(left);
	return 0;
}

static int check(int *n_operands, char **operands, struct fail *fail)
{
	return cells_filter_check(&opts.filter, fail);
}

static void begin_table(struct life *l, struct out_col cols[N_COLUMNS])
{
	memcpy(cols, columns, sizeof(columns));
	cols[COL_TIME].hidden = !opts.time;
	cols[COL_TIME_S].hidden = !opts.timestamp;
	for (unsigned i = COL_RETRANS; i <= COL_COOKIE; i++)
		cols[i].hidden = !opts.wide;
	for (unsigned i = COL_FACTS; i < COL_FACTS + FACTS_N_SHOWN; i++)
		cols[i].hidden = !opts.facts;
	if (opts.wide)
		cols[COL_LADDR].width = cols[COL_RADDR].width = 39;
	out_table(l->run->out, cols, N_COLUMNS);
}

static int run(struct cmd_run *run)
{
	struct life l = {.run = run, .conns.held_marks = MARK_ENDED};
	struct out_col cols[N_COLUMNS];
	const struct bind_field snap_fields[SNAP_ALL] = {conn_snap_fields[SNAP_SOCK],
							 conn_snap_fields[SNAP_TASK],
							 conn_snap_fields[SNAP_STATE], FACT_FIELDS};
	struct bind binds[CONN_TRACK_N + 1];
	struct input_job job = {
		.binds = binds, .n_binds = CONN_TRACK_N + 1, .tcp_only = true, .ctx = &l};
	const char *why;
	int rc;

	if (input_needs(run->in, "conn", "tcp_state", run->fail))
		return -1;
	l.has_destroy = input_has_probe(run->in, "tcp_destroy", &why) != META_NO;
	if (!l.has_destroy)
		out_note(run->out, "the totals of connections are not in this trace: %s",
			 why ? why : "no hook");
	conn_track(binds);
	binds[CONN_TRACK_STATE].on = on_state;
	binds[CONN_TRACK_SNAPSHOT] = (struct bind){.record = "snap_sock",
						   .fields = snap_fields,
						   .n_fields = SNAP_ALL,
						   .on = on_snapshot};
	binds[CONN_TRACK_DESTROY] = (struct bind){.record = "tcp_destroy",
						  .fields = destroy_fields,
						  .n_fields = D_N,
						  .on = on_destroy};
	binds[CONN_TRACK_N] = (struct bind){
		.record = "tcp_facts", .fields = fact_fields, .n_fields = F_N, .on = on_facts};
	begin_table(&l, cols);
	rc = input_run(run->in, &job, run->fail);
	if (!rc)
		rc = print_open(&l);
	if (!rc && (l.conns.failed || l.facts.failed))
		rc = fail_nomem(run->fail);
	facts_table_fini(&l.facts);
	conn_table_fini(&l.conns);
	return rc;
}

const struct cmd cmd_life = {
	.name = "life",
	.summary = "one line a connection: duration, bytes, how it ended (tcplife)",
	.about = "MS runs from the first SYN (sent, or its connection's first sight) to the last "
		 "state;\n"
		 ">= where the connection is older than the trace. TX_KB is payload that was "
		 "acknowledged,\n"
		 "RX_KB payload that came in order; in --json and --csv bytes. PID is who "
		 "connected,\n"
		 "accepted, or had it open when the recording began. END: local-close, "
		 "remote-close (who\n"
		 "sent the first FIN), reset-by-local, reset-by-remote, timeout, for a connect "
		 "that failed\n"
		 "its outcome as in connlat; open, or pending for a connect: still there when the "
		 "trace\n"
		 "ended, its bytes unknown. Bytes are - also where a reset or a disconnect wiped "
		 "the "
		 "socket before\n"
		 "it ended. Of MPTCP each subflow is a line. -F: OPTIONS as ss has them (us: "
		 "timestamps in\n"
		 "microseconds; tfo: data in the SYN); in --json and --csv also the peer's MSS, "
		 "window scales and\n"
		 "the last sizes of the buffers.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "conn",
	.check = check,
	.run = run,
};

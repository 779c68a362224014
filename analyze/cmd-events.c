// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape events: connect, accept and close of each connection, once each, as bcc's tcptracer. A
 * connect has its outcome, a close who began it.
 */
#include <string.h>

#include "cells.h"
#include "cmd.h"
#include "outcome.h"

static struct {
	const char *only;
	bool timestamp, verbose;
	struct opt_u32 pid, uid;
	bool print_uid;
	struct cells_filter filter;
} opts;

static const struct opt_row rows[] = {
	{'r', "only", "TYPE", OPT_STR, offsetof(__typeof__(opts), only),
	 "only connect, accept or close"},
	{'t', "timestamp", NULL, OPT_FLAG, offsetof(__typeof__(opts), timestamp),
	 "a column with the seconds since the start of the trace"},
	{'v', "verbose", NULL, OPT_FLAG, offsetof(__typeof__(opts), verbose),
	 "columns with the network namespace and the cookie"},
	{'p', "event-pid", "PID", OPT_U32, offsetof(__typeof__(opts), pid),
	 "only events of this process"},
	CELLS_UID_ROWS(opts),
	CELLS_PORT_ROWS(opts),
	CELLS_FAMILY_ROWS(opts),
};

enum { COL_TIME_S = 0, COL_UID = 2, COL_NETNS = 12, COL_COOKIE = 13 };
static const struct out_col columns[] = {
	{"TIME(s)", "time_s", 9, true}, {"TYPE", "type", 7, false},
	{"UID", "uid", 5, true},	CELLS_TASK_COLS,
	{"IP", "ip", 2, false},		{"SADDR", "laddr", 16, false},
	{"SPORT", "lport", 5, false},	{"DADDR", "raddr", 16, false},
	{"DPORT", "rport", 5, false},	{"RESULT", NULL, 24, false},
	{"NETNS", "netns", 10, true},	{"COOKIE", "conn", 12, true},
	{NULL, "outcome", 0, false},	{NULL, "error", 0, false},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

enum { MARK_CLOSED = 1, MARK_ACCEPTED = 2 };

struct events {
	struct conn_table conns; /* first: conn_track() */
	struct cmd_run *run;
	bool has_accept, has_error; /* hooks in this recording */
};

struct line {
	const char *type;
	uint64_t ts_ns;
	const struct sock *sock;
	const struct task *task;
	const struct conn *owner;
	enum outcome outcome;
	unsigned err, soft_err;
};

static bool has_uid(const struct line *l)
{
	return l->sock && l->sock->has_uid;
}

static bool is_wanted(const struct line *l)
{
	if (opts.uid.given && !(has_uid(l) && l->sock->uid == opts.uid.v))
		return false;
	if (opts.only && strcmp(opts.only, l->type))
		return false;
	if (opts.pid.given &&
	    !(l->task ? l->task->pid == opts.pid.v
		      : l->owner && l->owner->has_owner && l->owner->pid == opts.pid.v))
		return false;
	return cells_filter_has(&opts.filter, l->sock && l->sock->has_flow ? &l->sock->flow : NULL);
}

static void print_outcome(struct out *o, const struct line *l)
{
	if (l->outcome == OUTCOME_NONE)
		out_none(o);
	else
		out_str(o, outcome_name(l->outcome));
	cell_errno(o, l->err);
}

/* Who connected is known also when the answer came by a packet. */
static void print_who(struct out *o, const struct line *l)
{
	struct task room;

	if (!l->task && !strcmp(l->type, "connect"))
		cells_task(o, conn_task(l->owner, &room), NULL);
	else
		cells_task(o, l->task, l->owner);
}

static void print(struct events *e, const struct line *l)
{
	const struct flow *flow = l->sock && l->sock->has_flow ? &l->sock->flow : NULL;
	struct out *o = e->run->out;
	char text[OUTCOME_TEXT_LEN];
	struct flow no_port;

	if (!is_wanted(l))
		return;
	if (flow && l->outcome == OUTCOME_LOCAL_ERROR && l->owner && l->owner->unbound) {
		no_port = *flow; /* what it holds is of another connect of that socket */
		no_port.lport = 0;
		flow = &no_port;
	} else if (flow && !flow->lport && l->outcome != OUTCOME_LOCAL_ERROR && l->owner &&
		   l->owner->has_flow) {
		flow = &l->owner->flow;
	}
	cell_seconds(o, e->run->in, l->ts_ns);
	out_str(o, l->type);
	cell_known(o, has_uid(l), has_uid(l) ? l->sock->uid : 0);
	print_who(o, l);
	cell_version(o, flow);
	cells_flow(o, flow);
	out_const(o, l->outcome == OUTCOME_NONE
			     ? "-"
			     : outcome_text(l->outcome, l->err, l->soft_err, text));
	if (l->sock && l->sock->netns)
		out_u64(o, l->sock->netns);
	else
		out_none(o);
	cell_cookie(o, l->sock ? l->sock->cookie : 0);
	print_outcome(o, l);
	out_end_row(o);
}

static void print_change(struct events *e, const struct bind_row *row, const struct conn_change *ch,
			 const char *type, enum outcome outcome)
{
	bool is_ok = outcome == OUTCOME_OK || outcome == OUTCOME_NONE;

	print(e, &(struct line){
			 .type = type,
			 .ts_ns = ch->ts_ns,
			 .sock = row->sock,
			 .task = row->task,
			 .owner = ch->conn,
			 .outcome = outcome,
			 .err = is_ok ? 0 : ch->err,
			 .soft_err = is_ok ? 0 : ch->soft_err,
		 });
}

/* Only what was a connection can be closed; what closes in SYN_SENT or LISTEN was none. */
static bool is_close(const struct conn_change *ch)
{
	switch (ch->old_state) {
	case TCP_S_ESTABLISHED:
		return ch->new_state == TCP_S_FIN_WAIT1 || ch->new_state == TCP_S_CLOSE;
	case TCP_S_CLOSE_WAIT:
		return ch->new_state == TCP_S_LAST_ACK || ch->new_state == TCP_S_CLOSE;
	case TCP_S_SYN_RECV: /* shut down before the handshake's last ACK was processed */
		return ch->new_state == TCP_S_FIN_WAIT1 && ch->conn && ch->conn->was_established;
	default: return false;
	}
}

static enum outcome close_kind(const struct conn_change *ch)
{
	if (ch->old_state == TCP_S_CLOSE_WAIT && ch->new_state == TCP_S_LAST_ACK)
		return OUTCOME_REMOTE_CLOSE;
	return outcome_of_close(ch);
}

/* A local error is told by connect_error, which has its errno and follows at once. */
static void end_of_connect(struct events *e, const struct bind_row *row,
			   const struct conn_change *ch)
{
	enum outcome outcome = outcome_of_connect(ch, row->sock);

	if (outcome != OUTCOME_LOCAL_ERROR || !e->has_error)
		print_change(e, row, ch, "connect", outcome);
}

static int on_state(void *ctx, const struct bind_row *row)
{
	struct events *e = ctx;
	struct conn_change ch;

	conn_change_take(&e->conns, row, &ch);
	if (outcome_ends_connect(&ch))
		end_of_connect(e, row, &ch);
	else if (ch.old_state == TCP_S_SYN_RECV && ch.new_state == TCP_S_ESTABLISHED &&
		 !e->has_accept)
		print_change(e, row, &ch, "accept", OUTCOME_NONE);
	if (is_close(&ch) && !(ch.conn && (ch.conn->marks & MARK_CLOSED))) {
		print_change(e, row, &ch, "close", close_kind(&ch));
		if (ch.conn)
			ch.conn->marks |= MARK_CLOSED;
	}
	conn_change_apply(&e->conns, &ch);
	return 0;
}

static int on_accept(void *ctx, const struct bind_row *row)
{
	struct events *e = ctx;
	struct conn *c = conn_get(&e->conns, row->sock);

	conn_own(c, row->task, true);
	if (e->has_accept)
		print(e, &(struct line){.type = "accept",
					.ts_ns = row->ts_ns,
					.sock = row->sock,
					.task = row->task,
					.owner = c});
	return 0;
}

enum { CE_SOCK, CE_TASK, CE_ERR, CE_DADDR, CE_DPORT, CE_N };
static const struct bind_field error_fields[CE_N] = {
	[CE_SOCK] = {"sock", BIND_SOCK},  [CE_TASK] = {"task", BIND_TASK},
	[CE_ERR] = {"err", BIND_INT},	  [CE_DADDR] = {"daddr", BIND_ADDR},
	[CE_DPORT] = {"dport", BIND_INT},
};

static int on_error(void *ctx, const struct bind_row *row)
{
	struct events *e = ctx;
	struct conn *c = conn_find(&e->conns, row->sock);

	print(e, &(struct line){.type = "connect",
				.ts_ns = row->ts_ns,
				.sock = row->sock,
				.task = row->task,
				.owner = c,
				.outcome = OUTCOME_LOCAL_ERROR,
				.err = (unsigned)bind_get(row, CE_ERR, 0)});
	return 0;
}

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (!opts.only || !strcmp(opts.only, "connect") || !strcmp(opts.only, "accept") ||
	    !strcmp(opts.only, "close"))
		return cells_filter_check(&opts.filter, fail);
	return fail_set(fail, STATUS_USAGE, "-r takes connect, accept or close, not '%s'",
			opts.only);
}

static void note_absent(struct events *e)
{
	const char *why;

	e->has_accept = input_has_probe(e->run->in, "tcp_accept", &why) != META_NO;
	if (!e->has_accept && (!opts.only || !strcmp(opts.only, "accept")))
		out_note(e->run->out,
			 "accept is the moment the connection was established, not accept()'s "
			 "return, and its process is not known: %s",
			 why ? why : "no hook");
	e->has_error = input_has_probe(e->run->in, "connect_error", &why) != META_NO;
	if (!e->has_error && (!opts.only || !strcmp(opts.only, "connect")))
		out_note(e->run->out,
			 "connects that failed inside this machine before a SYN (no route, no "
			 "address) are not in this trace: %s",
			 why ? why : "no hook");
}

static int run(struct cmd_run *run)
{
	struct events e = {.run = run};
	struct out_col cols[N_COLUMNS];
	struct bind binds[CONN_TRACK_N + 1];
	struct input_job job = {.binds = binds,
				.n_binds = CONN_TRACK_N + 1,
				.tcp_only = true,
				.uids = true,
				.ctx = &e};
	int rc;

	if (input_needs(run->in, "conn", "tcp_state", run->fail))
		return -1;
	conn_track(binds);
	binds[CONN_TRACK_STATE].on = on_state;
	binds[CONN_TRACK_ACCEPT].on = on_accept;
	binds[CONN_TRACK_N] = (struct bind){.record = "connect_error",
					    .fields = error_fields,
					    .n_fields = CE_N,
					    .on = on_error};
	note_absent(&e);
	memcpy(cols, columns, sizeof(cols));
	cols[COL_TIME_S].hidden = !opts.timestamp;
	cols[COL_UID].hidden = !opts.print_uid;
	cols[COL_NETNS].hidden = cols[COL_COOKIE].hidden = !opts.verbose;
	out_table(run->out, cols, N_COLUMNS);
	rc = input_run(run->in, &job, run->fail);
	if (!rc && e.conns.failed)
		rc = fail_nomem(run->fail);
	conn_table_fini(&e.conns);
	return rc;
}

const struct cmd cmd_events = {
	.name = "events",
	.summary = "connect, accept and close (tcptracer)",
	.about =
		"A connect is told when it ended, with its outcome as in connlat; an accept when "
		"accept()\n"
		"returned, or, where the recorder had no hook for that, when the connection was\n"
		"established; a close once a connection: local-close (this host sent the first "
		"FIN),\n"
		"remote-close (this host closed after the other end did), reset-by-local,\n"
		"reset-by-remote, timeout. SADDR and SPORT are always the ends on this host. PID "
		"is\n"
		"marked as in states. The one accept() of a thread that was waiting in it when the "
		"recording\n"
		"began is not told where accept()'s return is what was recorded. Of MPTCP each "
		"subflow is\n"
		"a connection.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "conn",
	.check = check,
	.run = run,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape connlat: how long each connect of this host took, and what came of it, as bcc's
 * tcpconnlat. From the state change CLOSE -> SYN_SENT to the one that ends SYN_SENT: the kernel's
 * own view, the same for blocking and non-blocking sockets.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "cmd.h"
#include "connlat_count.h"
#include "dist.h"
#include "outcome.h"

static struct {
	bool timestamp, lport;
	struct opt_u32 pid, uid;
	bool print_uid;
	struct opt_fixed min_ms;
	bool count, percentiles, hist, ms;
	struct opt_fixed interval;
	const char *by;
	struct cells_filter filter;
} opts;

/* Who connects has no listener of his own. */
#define KEYS (BY_OF_SOCKETS & ~BY_BIT(BY_LISTENER))

static const struct opt_row rows[] = {
	{'t', "timestamp", NULL, OPT_FLAG, offsetof(__typeof__(opts), timestamp),
	 "a column with the seconds since the start of the trace, when\n"
	 "the connect ended"},
	{'L', "lport", NULL, OPT_FLAG, offsetof(__typeof__(opts), lport),
	 "a column with the local port"},
	{'p', "connect-pid", "PID", OPT_U32, offsetof(__typeof__(opts), pid),
	 "only connects that this process made"},
	{'P', "port", "PORTS", OPT_STR, offsetof(__typeof__(opts), filter.remote_ports),
	 "only connects to these ports: 80,443"},
	CELLS_UID_ROWS(opts),
	CELLS_FAMILY_ROWS(opts),
	{'m', "min", "MS", OPT_FIXED, offsetof(__typeof__(opts), min_ms),
	 "only those that took at least so many milliseconds"},
	{'c', "count", NULL, OPT_FLAG, offsetof(__typeof__(opts), count),
	 "instead: how many, and how they ended, one line for each local\n"
	 "address, remote address and port"},
	{0, "percentiles", NULL, OPT_FLAG, offsetof(__typeof__(opts), percentiles),
	 "instead: the distribution of those that are ok; percentiles are\n"
	 "off by less than 1 % of the value"},
	{0, "hist", NULL, OPT_FLAG, offsetof(__typeof__(opts), hist),
	 "instead: a histogram of those that are ok"},
	{0, "millisecond", NULL, OPT_FLAG, offsetof(__typeof__(opts), ms),
	 "of milliseconds instead of microseconds"},
	{0, "by", "KEY", OPT_STR, offsetof(__typeof__(opts), by),
	 "one for each conn, pid, comm, cgroup, netns, remote or local\n"
	 "(address)"},
	INTERVAL_ROW(opts, "one for each interval"),
};

enum { COL_TIME_S = 0, COL_UID = 1, COL_LPORT = 7 };
static const struct out_col columns[] = {
	{"TIME(s)", "time_s", 9, true},
	{"UID", "uid", 5, true},
	CELLS_TASK_COLS,
	{"IP", "ip", 2, false},
	{"SADDR", "laddr", 16, false},
	{"LPORT", "lport", 6, true},
	{"DADDR", "raddr", 16, false},
	{"DPORT", "rport", 5, false},
	{"LAT(ms)", "lat_ms", 9, false},
	{"SYNRETR", "syn_retransmits", 7, false},
	{"RESULT", NULL, 11, false},
	{NULL, "outcome", 0, false},
	{NULL, "error", 0, false},
	{NULL, "conn", 0, false},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

enum { MARK_HELD = 1 }; /* ended with a local error whose errno may follow */

enum { CE_SOCK, CE_TASK, CE_DADDR, CE_DPORT, CE_ERR, CE_N };
static const struct bind_field error_fields[CE_N] = {
	[CE_SOCK] = {"sock", BIND_SOCK},   [CE_TASK] = {"task", BIND_TASK},
	[CE_DADDR] = {"daddr", BIND_ADDR}, [CE_DPORT] = {"dport", BIND_INT},
	[CE_ERR] = {"err", BIND_INT},
};

enum { RE_SOCK, RE_ERR, RE_N };
static const struct bind_field resent_fields[RE_N] = {
	[RE_SOCK] = {"sock", BIND_SOCK},
	[RE_ERR] = {"err", BIND_INT},
};

struct connlat {
	struct by_who who; /* first: by_bind() */
	struct cmd_run *run;
	struct dist dist;
	bool is_dist;
	struct connlat_count counts;
	uint64_t n_not_ok;
	bool hold;	 /* connect_error events tell the errno of local errors */
	bool has_resent; /* retransmits were recorded: conn->reason counts SYNs sent again */
};

struct attempt {
	const struct conn *conn;	   /* may be NULL */
	const struct task *task;	   /* of the event, if conn has no owner */
	const struct flow *flow;	   /* NULL: not known */
	uint64_t cookie, start_ns, end_ns; /* start_ns 0: not known */
	enum outcome outcome;
	unsigned err, soft_err, retransmits;
	bool has_retransmits;
	const struct sock *sock; /* of the event; NULL: there was none */
};

/* -1: not known. */
static int64_t uid_of(const struct attempt *a)
{
	if (a->conn && a->conn->has_uid)
		return a->conn->uid;
	return a->sock && a->sock->has_uid ? (int64_t)a->sock->uid : -1;
}

static bool is_wanted(const struct attempt *a)
{
	double ms = a->start_ns ? (double)(a->end_ns - a->start_ns) / 1e6 : -1;

	if (opts.pid.given &&
	    !(a->conn && a->conn->has_owner ? a->conn->pid == opts.pid.v
					    : a->task && a->task->pid == opts.pid.v))
		return false;
	if (opts.uid.given && uid_of(a) != opts.uid.v)
		return false;
	if (!cells_filter_has(&opts.filter, a->flow))
		return false;
	return !opts.min_ms.given || ms >= opts.min_ms.v;
}

static void print_who(struct out *o, const struct attempt *a)
{
	struct task room;
	const struct task *owner = conn_task(a->conn, &room);

	cells_task(o, owner ? owner : a->task, NULL); /* connect() runs in its caller: no guess */
}

static void add_ok(struct connlat *l, const struct attempt *a, const struct by_event *e)
{
	struct dist_group *g;

	if (a->outcome != OUTCOME_OK || !a->start_ns || a->end_ns < a->start_ns) {
		l->n_not_ok++;
		return;
	}
	dist_pass(&l->dist, a->end_ns);
	g = dist_group(&l->dist, e);
	if (g)
		dist_add(&l->dist, g, a->flow, a->end_ns, a->end_ns - a->start_ns);
}

static void add(struct connlat *l, const struct attempt *a)
{
	struct sock sock = {.cookie = a->cookie, .netns = a->conn ? a->conn->netns : 0};
	struct by_event e = {.sock = &sock};
	struct task room;

	if (a->flow) {
		sock.flow = *a->flow;
		sock.has_flow = true;
	}
	e.task = conn_task(a->conn, &room);
	if (!e.task)
		e.task = a->task;
	if (l->is_dist) {
		add_ok(l, a, &e);
		return;
	}
	connlat_count_pass(&l->counts, a->end_ns);
	connlat_count_add(&l->counts, &e, a->outcome);
}

static void print(struct connlat *l, const struct attempt *a)
{
	const struct flow *flow = a->flow;
	struct out *o = l->run->out;
	char text[OUTCOME_TEXT_LEN];
	struct flow no_port;

	if (!is_wanted(a))
		return;
	if (l->is_dist || opts.count) {
		add(l, a);
		return;
	}
	if (flow && a->outcome == OUTCOME_LOCAL_ERROR && a->conn && a->conn->unbound) {
		no_port = *flow; /* what it holds is of another connect of that socket */
		no_port.lport = 0;
		flow = &no_port;
	}
	cell_seconds(o, l->run->in, a->end_ns);
	cell_known(o, uid_of(a) >= 0, (uint64_t)uid_of(a));
	print_who(o, a);
	cell_version(o, flow);
	cells_flow(o, flow);
	if (a->start_ns) {
		out_mark(o, a->outcome == OUTCOME_PENDING ? ">=" : NULL, NULL);
		cell_ms(o, a->end_ns - a->start_ns, 3);
	} else {
		out_none(o);
	}
	if (a->has_retransmits)
		out_u64(o, a->retransmits);
	else
		out_none(o);
	out_const(o, outcome_text(a->outcome, a->err, a->soft_err, text));
	out_str(o, outcome_name(a->outcome));
	cell_errno(o, a->err);
	cell_cookie(o, a->cookie);
	out_end_row(o);
}

/* ---- local errors: connect_error comes right after the state changes, if it is recorded ---- */

static void print_held(struct connlat *l, struct conn *c, unsigned err)
{
	struct attempt a = {
		.conn = c,
		.flow = c->has_flow ? &c->flow : NULL,
		.cookie = c->cookie,
		.start_ns = c->born_ns,
		.end_ns = c->state_ns,
		.outcome = OUTCOME_LOCAL_ERROR,
		.err = err,
	};

	c->marks &= ~(unsigned)MARK_HELD;
	print(l, &a);
}

static int on_error(void *ctx, const struct bind_row *row)
{
	struct connlat *l = ctx;
	struct conn *c = conn_find(&l->who.conns, row->sock);
	struct attempt a = {
		.conn = c, .task = row->task, .end_ns = row->ts_ns, .outcome = OUTCOME_LOCAL_ERROR};
	unsigned err = (unsigned)bind_get(row, CE_ERR, 0);

	if (c && (c->marks & MARK_HELD)) {
		print_held(l, c, err);
		return 0;
	}
	a.sock = row->sock;
	a.flow = row->sock && row->sock->has_flow ? &row->sock->flow : NULL;
	a.cookie = row->sock ? row->sock->cookie : 0;
	a.err = err;
	print(l, &a);
	return 0;
}

/* ---- state changes ---- */

static void end_of_connect(struct connlat *l, const struct bind_row *row,
			   const struct conn_change *ch)
{
	struct attempt a = {
		.conn = ch->conn,
		.task = row->task,
		.sock = row->sock,
		.flow = row->sock && row->sock->has_flow ? &row->sock->flow : NULL,
		.cookie = row->sock ? row->sock->cookie : 0,
		.start_ns = ch->conn ? ch->conn->connect_ns : 0,
		.end_ns = ch->ts_ns,
		.outcome = outcome_of_connect(ch, row->sock),
		.err = ch->err,
		.soft_err = ch->soft_err,
	};

	/* The answer clears icsk_retransmits (tcp_ack) before the state changes. */
	a.retransmits = ch->retransmits ? ch->retransmits : ch->conn ? ch->conn->reason : 0;
	a.has_retransmits = a.retransmits || (l->has_resent && ch->conn) ||
			    (ch->has_retransmits && ch->new_state == TCP_S_CLOSE);
	if (a.outcome == OUTCOME_LOCAL_ERROR && l->hold && ch->conn)
		ch->conn->marks |= MARK_HELD;
	else
		print(l, &a);
}

static int on_state(void *ctx, const struct bind_row *row)
{
	struct connlat *l = ctx;
	struct conn_change ch;

	conn_change_take(&l->who.conns, row, &ch);
	if (ch.conn && (ch.conn->marks & MARK_HELD))
		print_held(l, ch.conn, 0);
	if (outcome_ends_connect(&ch))
		end_of_connect(l, row, &ch);
	conn_change_apply(&l->who.conns, &ch);
	if (ch.conn && ch.new_state == TCP_S_SYN_SENT)
		ch.conn->reason = 0;
	return 0;
}

/* A SYN that was sent again. */
static int on_resent(void *ctx, const struct bind_row *row)
{
	struct connlat *l = ctx;
	struct conn *c = conn_find(&l->who.conns, row->sock);

	if (c && c->connect_ns && !bind_get(row, RE_ERR, 0))
		c->reason++;
	return 0;
}

static int on_destroy(void *ctx, const struct bind_row *row)
{
	struct connlat *l = ctx;
	struct conn *c = conn_find(&l->who.conns, row->sock);

	if (c && (c->marks & MARK_HELD))
		print_held(l, c, 0);
	conn_drop(&l->who.conns, c);
	return 0;
}

/* ---- what is pending at the end ---- */

static bool is_pending(const struct conn *c)
{
	return c->connect_ns || (c->marks & MARK_HELD);
}

static int print_pending(struct connlat *l)
{
	const struct conn **pending = conn_sorted(&l->who.conns, is_pending);

	if (!pending)
		return fail_nomem(l->run->fail);
	for (size_t i = 0; pending[i]; i++) {
		const struct conn *c = pending[i];
		struct attempt a = {
			.conn = c,
			.flow = c->has_flow ? &c->flow : NULL,
			.cookie = c->cookie,
			.start_ns = c->born_ns,
			.end_ns = c->connect_ns ? input_last(l->run->in) : c->state_ns,
			.outcome = c->connect_ns ? OUTCOME_PENDING : OUTCOME_LOCAL_ERROR,
		};

		if (a.end_ns < a.start_ns)
			a.end_ns = a.start_ns;
		print(l, &a);
	}
	free(pending);
	return 0;
}

/* As bcc takes it: the number stands behind; only one trace is read, so it can be nothing else. */
static int check(int *n_operands, char **operands, struct fail *fail)
{
	enum by_key by;
	char *end;
	double ms;

	if (opts.count + opts.percentiles + opts.hist > 1)
		return fail_set(fail, STATUS_USAGE,
				"-c, --percentiles and --hist exclude each other");
	if (by_parse(opts.by, KEYS, &by, fail) || interval_check(&opts.interval, fail))
		return -1;
	if (cells_filter_check(&opts.filter, fail))
		return -1;
	if ((opts.by || opts.interval.given) && !opts.count && !opts.percentiles && !opts.hist)
		return fail_set(fail, STATUS_USAGE,
				"--by and -i go with -c, --percentiles or --hist");
	if (opts.ms && !opts.percentiles && !opts.hist)
		return fail_set(fail, STATUS_USAGE,
				"--millisecond goes with --percentiles or --hist");

	if (*n_operands != 2 || opts.min_ms.given)
		return 0;
	ms = strtod(operands[1], &end);
	if (end == operands[1] || *end || !(ms >= 0))
		return 0;
	opts.min_ms = (struct opt_fixed){true, ms};
	*n_operands = 1;
	return 0;
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	struct connlat *l = ctx;

	if (l->is_dist)
		dist_pass(&l->dist, floor_ns);
	if (opts.count)
		connlat_count_pass(&l->counts, floor_ns);
	return 0;
}

static int begin_counts(struct connlat *l)
{
	enum by_key key = BY_TARGET;

	if (by_parse(opts.by, KEYS, &key, l->run->fail))
		return -1;
	l->counts.out = l->run->out;
	l->counts.in = l->run->in;
	l->counts.who = &l->who;
	interval_begin(&l->counts.interval, &opts.interval, input_from(l->run->in));
	if (connlat_count_begin(&l->counts, key, opts.interval.given, opts.interval.v >= 1))
		return fail_nomem(l->run->fail);
	return 0;
}

static int begin_table(struct connlat *l, struct out_col *cols)
{
	struct dist_opts dist = {.by = BY_ALL,
				 .value = "connect",
				 .per_us = 1000,
				 .ms = opts.ms,
				 .percentiles = opts.percentiles,
				 .interval = opts.interval};

	if (opts.count)
		return begin_counts(l);
	l->is_dist = opts.percentiles || opts.hist;
	if (by_parse(opts.by, KEYS, &dist.by, l->run->fail))
		return -1;
	if (l->is_dist) {
		dist_begin(&l->dist, l->run, &l->who, &dist);
		return 0;
	}
	memcpy(cols, columns, sizeof(columns));
	cols[COL_TIME_S].hidden = !opts.timestamp;
	cols[COL_UID].hidden = !opts.print_uid;
	cols[COL_LPORT].hidden = !opts.lport;
	out_table(l->run->out, cols, N_COLUMNS);
	return 0;
}

static int finish_dist(struct connlat *l)
{
	if (l->n_not_ok)
		out_note(l->run->out,
			 "%" PRIu64 " connects that failed, or are pending, or began before the "
			 "trace are not in the distribution",
			 l->n_not_ok);
	return dist_finish(&l->dist, l->run->fail);
}

enum { N_OWN = 4 };

static int run(struct cmd_run *run)
{
	struct connlat l = {.run = run, .who.conns.held_marks = MARK_HELD};
	struct out_col cols[N_COLUMNS];
	struct bind names[BY_N_BINDS], binds[N_OWN + BY_BIND_CONN] = {
					       {.record = "tcp_state",
						.fields = conn_state_fields,
						.n_fields = ST_N,
						.on = on_state},
					       {.record = "connect_error",
						.fields = error_fields,
						.n_fields = CE_N,
						.on = on_error},
					       {.record = "tcp_destroy",
						.fields = conn_state_fields,
						.n_fields = 1,
						.on = on_destroy},
					       {.record = "retransmit",
						.fields = resent_fields,
						.n_fields = RE_N,
						.on = on_resent},
				       };
	struct input_job job = {.binds = binds,
				.n_binds = N_OWN + BY_BIND_CONN,
				.on_chunk = on_chunk,
				.tcp_only = true,
				.uids = true,
				.ctx = &l};
	const char *why;
	int rc;

	by_bind(names);
	memcpy(binds + N_OWN, names, BY_BIND_CONN * sizeof(*names));
	if (input_needs(run->in, "conn", "tcp_state", run->fail))
		return -1;
	l.hold = input_has_probe(run->in, "connect_error", &why) != META_NO;
	l.has_resent = input_hooks(run->in, "retransmit") != NULL;
	if (!l.hold)
		out_note(run->out,
			 "connects that failed inside this machine before a SYN (no route, no "
			 "address) are not in this trace: %s",
			 why ? why : "no hook");
	if (begin_table(&l, cols))
		return -1;
	rc = input_run(run->in, &job, run->fail);
	if (!rc)
		rc = print_pending(&l);
	if (!rc && l.is_dist)
		rc = finish_dist(&l);
	if (!rc && opts.count)
		connlat_count_end(&l.counts);
	if (!rc && (by_who_failed(&l.who) || l.counts.groups.failed))
		rc = fail_nomem(run->fail);
	dist_fini(&l.dist);
	connlat_count_fini(&l.counts);
	by_who_fini(&l.who);
	return rc;
}

const struct cmd cmd_connlat = {
	.name = "connlat",
	.summary = "connect latency and outcome (tcpconnlat)",
	.about = "The minimum may also stand behind the file, as tcpconnlat takes it: connlat FILE "
		 "10.\n"
		 "RESULT: ok; refused (an RST came back); timeout (nothing did); unreachable "
		 "(ICMP); aborted\n"
		 "(the socket was closed before an answer); local-error (no SYN left this host); "
		 "error, with\n"
		 "its errno; pending (no answer yet when the trace ended; LAT is how long it had "
		 "waited).\n"
		 "SYNRETR counts SYNs that were sent again; - where group retrans was not "
		 "recorded, since an\n"
		 "answer clears the kernel's count. LAT is - where the connect began before the "
		 "trace.\n"
		 "Of MPTCP each subflow is a connect.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "conn",
	.check = check,
	.run = run,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape drops: packets that the kernel threw away, why and where, as bcc's tcpdrop; those without
 * a socket too (closed ports, firewalls, queues).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interval.h"
#include "packet.h"
#include "stacks.h"

static struct {
	bool timestamp, all, count, no_stacks;
	struct opt_fixed interval;
	struct cells_filter filter;
} opts;

static const struct opt_row rows[] = {
	{'t', "timestamp", NULL, OPT_FLAG, offsetof(__typeof__(opts), timestamp),
	 "seconds since the start of the trace, not the time of day"},
	{'c', "count", NULL, OPT_FLAG, offsetof(__typeof__(opts), count),
	 "how many, by reason and place"},
	INTERVAL_ROW(opts, "with -c: a table for each interval"),
	{'a', "all", NULL, OPT_FLAG, offsetof(__typeof__(opts), all),
	 "also what a closing socket has left in its queues, though\n"
	 "there is no payload in it (the FIN of the other side)"},
	{'S', "no-stacks", NULL, OPT_FLAG, offsetof(__typeof__(opts), no_stacks),
	 "leave out the call stacks, where they were recorded\n"
	 "(tcptape-record --stacks)"},
	CELLS_FAMILY_ROWS(opts),
};

enum { COL_TIME, COL_TIME_S };
static const struct out_col columns[] = {
	CELLS_TIME_COLS,
	CELLS_TASK_COLS,
	{"IP", "ip", 2, false},
	{"SADDR:SPORT", NULL, 21, false},
	{">", NULL, 1, false},
	{"DADDR:DPORT", NULL, 21, false},
	CELLS_PACKET_FLOW_COLS,
	{"STATE", "state", 11, false},
	{"(FLAGS)", NULL, 11, false},
	{NULL, "flags", 0, false},
	{"REASON", "reason", 20, false},
	{"LOCATION", "location", 0, false},
	CELLS_PACKET_REST_COLS,
	STACKS_COL,
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct out_col count_columns[] = {
	CELLS_TIME_COLS,
	{"COUNT", "count", -9, false},
	{"PAYLOAD", "payload", -10, false},
	{"REASON", "reason", 20, false},
	{"LOCATION", "location", 0, false},
	STACKS_COL,
};
#define N_COUNT_COLUMNS (sizeof(count_columns) / sizeof(count_columns[0]))

struct tally {
	uint64_t reason, location, n, payload;
	const char *where, *stack;
};

struct drops {
	struct packets packets;
	struct out *out;
	struct map tallies; /* of reason and location -> struct tally that we own */
	struct interval interval;
	uint64_t n_left_out;
	bool failed;
};

/* ---- rows ---- */

static void cells_reason(struct drops *d, uint64_t reason, const char *where)
{
	char text[PACKET_REASON_LEN];

	if (reason)
		out_str(d->out, packet_reason(&d->packets, reason, text));
	else
		out_none(d->out); /* a kernel before 5.17 */
	if (where)
		out_str(d->out, where);
	else
		out_none(d->out);
}

static void print(struct drops *d, const struct packet *p)
{
	char flags[PACKET_FLAGS_LEN], text[PACKET_FLAGS_LEN + 2];
	struct out *o = d->out;

	packet_flags(p->tcp_flags, flags);
	snprintf(text, sizeof(text), "(%s)", flags);
	cell_clock(o, d->packets.in, p->ts_ns);
	cell_seconds(o, d->packets.in, p->ts_ns);
	cells_task(o, NULL, p->conn);
	if (p->has_flow) {
		out_u64(o, flow_version(&p->flow));
		cell_end_of(o, p->flow.laddr, p->flow.lport, p->has_tcp || p->flow.lport);
		out_const(o, ">");
		cell_end_of(o, p->flow.raddr, p->flow.rport, p->has_tcp || p->flow.rport);
	} else {
		out_none(o);
		out_none(o);
		out_const(o, ">");
		out_none(o);
	}
	cells_packet_flow(o, p);
	cell_packet_state(o, d->packets.in, p);
	if (p->has_tcp) {
		out_str(o, text);
		out_str(o, flags);
	} else {
		out_none(o);
		out_none(o);
	}
	cells_reason(d, p->reason, p->where);
	cells_packet_rest(o, p);
	cell_stack(o, p->stack);
	out_end_row(o);
	stack_lines(o, p->stack);
}

/* ---- counts ---- */

static void count(struct drops *d, const struct packet *p)
{
	/* one string a stack: its address stands for it */
	uint64_t id[] = {p->reason, p->location, (uintptr_t)p->stack},
		 key = map_hash(id, sizeof(id));
	struct tally *t = map_get(&d->tallies, key);

	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t || map_put(&d->tallies, key, t)) {
			free(t);
			d->failed = true;
			return;
		}
		t->reason = p->reason;
		t->location = p->location;
		t->where = p->where;
		t->stack = p->stack;
	}
	t->n++;
	t->payload += p->payload;
}

static int by_count(const void *a, const void *b)
{
	const struct tally *x = *(const struct tally *const *)a;
	const struct tally *y = *(const struct tally *const *)b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	if (x->reason != y->reason)
		return x->reason < y->reason ? -1 : 1;
	if (x->location != y->location)
		return x->location < y->location ? -1 : 1;
	return strcmp(x->stack ? x->stack : "", y->stack ? y->stack : "");
}

static void forget_counts(struct drops *d)
{
	for (size_t i = 0; i < d->tallies.cap; i++)
		free(d->tallies.slots[i].value);
	map_fini(&d->tallies);
	d->tallies = (struct map){0};
}

/* What the interval brought; the next one begins anew. */
static void print_counts(struct drops *d)
{
	struct tally **v = calloc(d->tallies.n + 1, sizeof(struct tally *));
	size_t n = 0;

	d->failed |= !v;
	for (size_t i = 0; v && i < d->tallies.cap; i++)
		if (d->tallies.slots[i].value)
			v[n++] = d->tallies.slots[i].value;
	if (n)
		qsort(v, n, sizeof(struct tally *), by_count);
	for (size_t i = 0; i < n; i++) {
		cell_clock(d->out, d->packets.in, d->interval.from_ns);
		cell_seconds(d->out, d->packets.in, d->interval.from_ns);
		out_u64(d->out, v[i]->n);
		out_u64(d->out, v[i]->payload);
		cells_reason(d, v[i]->reason, v[i]->where);
		cell_stack(d->out, v[i]->stack);
		out_end_row(d->out);
		stack_lines(d->out, v[i]->stack);
	}
	free(v);
	forget_counts(d);
}

/* Nothing before ts_ns is still to come: print the interval if it is over. */
static void pass(void *ctx, uint64_t ts_ns)
{
	struct drops *d = ctx;

	if (!interval_is_over(&d->interval, ts_ns))
		return;
	print_counts(d);
	interval_skip(&d->interval, ts_ns);
}

/* ---- reading ---- */

/*
 * close() frees what lies in the receive queue: the other side's FIN, mostly. The kernel names that
 * QUEUE_PURGE since 6.8; before, only the place tells. Without payload nothing was lost by it.
 */
static bool is_leftover(const struct drops *d, const struct packet *p)
{
	static const char *const places[] = {"sk_stream_kill_queues+", "inet_sock_destruct+",
					     "skb_queue_purge"};
	char text[PACKET_REASON_LEN];

	if (!p->has_tcp || p->payload || p->tcp_flags & 2 /* SYN */)
		return false;
	if (!strcmp(packet_reason(&d->packets, p->reason, text), "QUEUE_PURGE"))
		return true;
	for (size_t i = 0; p->where && i < sizeof(places) / sizeof(places[0]); i++)
		if (!strncmp(p->where, places[i], strlen(places[i])))
			return true;
	return false;
}

static int on_packet(void *ctx, const struct packet *p)
{
	struct drops *d = ctx;
	struct packet bare;

	if (opts.no_stacks) {
		bare = *p;
		bare.stack = NULL;
		p = &bare;
	}
	pass(d, p->ts_ns);
	if (!opts.all && is_leftover(d, p))
		d->n_left_out++;
	else if (opts.count)
		count(d, p);
	else
		print(d, p);
	return 0;
}

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (opts.interval.given && !opts.count)
		return fail_set(fail, STATUS_USAGE, "-i goes with -c");
	if (interval_check(&opts.interval, fail))
		return -1;
	return cells_filter_check(&opts.filter, fail);
}

static int run(struct cmd_run *run)
{
	struct drops d = {.out = run->out};
	struct out_col cols[N_COLUMNS], count_cols[N_COUNT_COLUMNS];
	int rc;

	if (input_needs(run->in, "drop", "drop", run->fail))
		return -1;
	d.packets.on = on_packet;
	d.packets.ctx = &d;
	memcpy(cols, columns, sizeof(cols));
	cols[COL_TIME].hidden = opts.timestamp;
	cols[COL_TIME_S].hidden = !opts.timestamp;
	memcpy(count_cols, count_columns, sizeof(count_cols));
	count_cols[COL_TIME].hidden = !opts.interval.given;
	count_cols[COL_TIME_S].hidden = !opts.interval.given || opts.interval.v >= 1;
	if (opts.count)
		out_table(run->out, count_cols, N_COUNT_COLUMNS);
	else
		out_table(run->out, cols, N_COLUMNS);
	interval_begin(&d.interval, &opts.interval, input_from(run->in));
	d.packets.pass = pass;
	rc = packets_run(&d.packets, run, &opts.filter, false);
	if (!rc && opts.count)
		print_counts(&d);
	if (!rc && d.failed)
		rc = fail_nomem(run->fail);
	if (d.n_left_out)
		out_note(run->out,
			 "%llu packets without payload, left over in sockets that were closed, "
			 "are no loss and not shown (-a shows them)",
			 (unsigned long long)d.n_left_out);
	forget_counts(&d);
	packets_fini(&d.packets);
	return rc;
}

const struct cmd cmd_drops = {
	.name = "drops",
	.summary = "packets that the kernel dropped: why, and where (tcpdrop)",
	.about = "A packet stands as it was on the wire, source first; -f takes it if it or its "
		 "connection\n"
		 "matches. REASON is the recorded kernel's own name for it, LOCATION the place in "
		 "its code.\n"
		 "PID is the owner of the connection, if it is known; STATE that of the socket: - "
		 "where there\n"
		 "was none, or where the kernel does not tell it (received packets, before Linux "
		 "6.11).\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "drop",
	.check = check,
	.run = run,
};

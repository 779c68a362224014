// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape top: bytes that processes sent and received, by connection, as bcc's tcptop; and how long
 * they slept in these calls. Only what a call returned counts, not what it asked for. A sleep is
 * divided among the intervals that it touches. What moved past all hooks (and past us) shows in the
 * sequence numbers of the next call: it is told as a note.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "by.h"
#include "calls.h"
#include "cells.h"
#include "cmd.h"
#include "interval.h"
#include "streams.h"

#define KEYS (BY_OF_SOCKETS | BY_BIT(BY_TID))
#define MAX_ENTRIES (1 << 20) /* of each table here: a hostile trace may ask for more */
#define MAX_IDLE 100000	      /* intervals that only sleepers are in; more are told as one */
#define TEXT_ROWS 20	      /* of an interval, unless -r tells */

static struct {
	struct opt_fixed interval;
	struct opt_u32 rows, pid;
	const char *sort, *by;
	bool verbose;
	struct cells_filter filter;
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	INTERVAL_ROW(opts, "a table for each interval, else one of all"),
	{'b', "by", "KEY", OPT_STR, AT(by), "instead add up by tid, " BY_OF_SOCKETS_HELP},
	{'s', "sort", "COLUMN", OPT_STR, AT(sort),
	 "most first of: all (bytes both ways, the default), sent, received,\n"
	 "wait"},
	{'r', "rows", "N", OPT_U32, AT(rows),
	 "so many rows of each interval, 0 all; unless told 20 with -i as text,\n"
	 "else all"},
	{'p', "caller", "PID", OPT_U32, AT(pid),
	 "only calls of this process (--pid: of all on its connections)"},
	CELLS_PORT_ROWS(opts),
	CELLS_FAMILY_ROWS(opts),
	{'v', "verbose", NULL, OPT_FLAG, AT(verbose), "columns for calls and failures"},
};

enum { COL_TIME, COL_TIME_S, COL_BY, COL_SUMS = COL_BY + BY_N_COLS };
enum { SUM_RX_ERROR = 2, SUM_TX_ERROR, SUM_VERBOSE = 6, N_SUMS = 10 };
static const struct out_col sum_cols[N_SUMS] = {
	{"RX_KB", "rx_bytes", -9, false},     {"TX_KB", "tx_bytes", -9, false},
	{"RX+-", "rx_bytes_error", -8, true}, {"TX+-", "tx_bytes_error", -8, true},
	{"RX_WAIT", "rx_wait_ms", -9, false}, {"TX_WAIT", "tx_wait_ms", -9, false},
	{"RX_CALLS", "rx_calls", -8, true},   {"TX_CALLS", "tx_calls", -8, true},
	{"AGAIN", "again", -6, true},	      {"ERRORS", "errors", -6, true},
};
#define N_COLUMNS (COL_SUMS + N_SUMS)

struct sums {
	struct call_sums io;
	uint64_t wait_ns[2];	  /* by direction: TX, RX */
	struct estimate worth[2]; /* of bytes, if they stand for those of more connections */
};
enum { TX = STREAM_TX, RX = STREAM_RX };

struct item { /* a row of output */
	struct by_group group;
	struct sums sums;
	unsigned n_waiting; /* threads that point here */
};

struct thread {		   /* that was seen in a call */
	struct item *item; /* it sleeps; NULL: not */
	uint64_t since_ns, weight;
	unsigned direction;
};

struct top {
	struct by_who who; /* first: by_bind() */
	struct cmd_run *run;
	struct out_col cols[N_COLUMNS];
	struct by_groups items;
	struct map threads; /* by tid */
	struct streams streams;
	const struct weight_group *weights;
	struct estimates estimates, estimates_all; /* of rows of the interval; of all */
	struct sums all;  /* bytes, and what that is worth, if connections were left out */
	bool is_weighted; /* rows are of several connections, and stand for those left out too */
	struct interval interval;
	bool has_wait, failed;
	uint64_t n_cut;
	size_t n_waiting, n_idle;
};

/* ---- tables ---- */

/* The row that an event belongs to; NULL: none, or no memory. */
static struct item *find(struct top *t, const struct sock *sock, const struct task *task)
{
	struct by_event e = {.sock = sock, .task = task};

	return by_groups_get(&t->items, &t->who, &e);
}

/* Made if need be; NULL: too many, or no memory. */
static struct thread *thread(struct top *t, const struct task *task)
{
	struct thread *th = task->tid ? map_get(&t->threads, task->tid) : NULL;

	if (th || !task->tid || t->threads.n >= MAX_ENTRIES)
		return th;
	th = calloc(1, sizeof(*th));
	if (!th || map_put(&t->threads, task->tid, th)) {
		free(th);
		t->failed = true;
		return NULL;
	}
	return th;
}

static void fini(struct top *t)
{
	by_groups_fini(&t->items);
	for (size_t i = 0; i < t->threads.cap; i++)
		free(t->threads.slots[i].value);
	map_fini(&t->threads);
	streams_fini(&t->streams);
	estimates_fini(&t->estimates);
	estimates_fini(&t->estimates_all);
	by_who_fini(&t->who);
}

/* A new interval: only the rows remain that threads still sleep in. */
static bool is_slept_in(struct by_group *g)
{
	struct item *i = (struct item *)g;

	i->sums = (struct sums){0};
	return i->n_waiting;
}

/* ---- printing ---- */

static uint64_t weight(const struct item *i)
{
	const struct sums *s = &i->sums;

	if (opts.sort && !strcmp(opts.sort, "sent"))
		return s->io.bytes[TX];
	if (opts.sort && !strcmp(opts.sort, "received"))
		return s->io.bytes[RX];
	if (opts.sort && !strcmp(opts.sort, "wait"))
		return s->wait_ns[TX] + s->wait_ns[RX];
	return s->io.bytes[TX] + s->io.bytes[RX];
}

static int by_weight(const void *a, const void *b)
{
	const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
	uint64_t v = weight(x), w = weight(y);

	if (v != w)
		return v > w ? -1 : 1;
	return by_compare(&x->group, &y->group);
}

static void cell_wait(struct top *t, uint64_t ns)
{
	if (t->has_wait)
		cell_ms(t->run->out, ns, 1);
	else
		out_none(t->run->out);
}

static void print(struct top *t, const struct item *i)
{
	const struct sums *s = &i->sums;
	struct out *o = t->run->out;

	cell_clock(o, t->run->in, t->interval.from_ns);
	cell_seconds(o, t->run->in, t->interval.from_ns);
	by_cells(o, &t->who, t->items.key, &i->group);
	cell_kb(o, s->io.bytes[RX]);
	cell_kb(o, s->io.bytes[TX]);
	cell_kb(o, (uint64_t)estimate_error(&s->worth[RX]));
	cell_kb(o, (uint64_t)estimate_error(&s->worth[TX]));
	cell_wait(t, s->wait_ns[RX]);
	cell_wait(t, s->wait_ns[TX]);
	out_u64(o, s->io.calls[RX]);
	out_u64(o, s->io.calls[TX]);
	out_u64(o, s->io.again);
	out_u64(o, s->io.errors);
	out_end_row(o);
}

static size_t max_rows(const struct out *o)
{
	if (opts.rows.given)
		return opts.rows.v ? opts.rows.v : SIZE_MAX;
	return opts.interval.given && !out_is_json(o) && !out_is_csv(o) ? TEXT_ROWS : SIZE_MAX;
}

static void print_all(struct top *t)
{
	size_t max = max_rows(t->run->out), n = 0;

	if (t->items.n)
		qsort(t->items.list, t->items.n, sizeof(*t->items.list), by_weight);
	for (size_t k = 0; k < t->items.n; k++) {
		const struct item *i = (const struct item *)t->items.list[k];
		const struct sums *s = &i->sums;

		if (!s->io.calls[TX] && !s->io.calls[RX] && !s->wait_ns[TX] && !s->wait_ns[RX])
			continue;
		if (n++ < max)
			print(t, i);
		else
			t->n_cut++;
	}
}

/* ---- intervals and sleepers ---- */

/* Add what all sleepers have slept by to_ns. */
static void settle(struct top *t, uint64_t to_ns)
{
	for (size_t i = 0; t->n_waiting && i < t->threads.cap; i++) {
		struct thread *th = t->threads.slots[i].value;

		if (!th || !th->item || to_ns <= th->since_ns)
			continue;
		th->item->sums.wait_ns[th->direction] += th->weight * (to_ns - th->since_ns);
		th->since_ns = to_ns;
	}
}

/*
 * Nothing before ts_ns is still to come: print the intervals that are over. Those that only
 * sleepers are in are printed too.
 */
static void pass(struct top *t, uint64_t ts_ns)
{
	uint64_t to = input_to(t->run->in);

	ts_ns = ts_ns < to ? ts_ns : to;
	while (interval_is_over(&t->interval, ts_ns)) {
		settle(t, t->interval.next_ns);
		print_all(t);
		by_groups_keep(&t->items, is_slept_in);
		estimates_fini(&t->estimates);
		if (!t->n_waiting || t->n_idle >= MAX_IDLE) {
			interval_skip(&t->interval, ts_ns);
			continue;
		}
		t->n_idle += interval_is_over(&t->interval, ts_ns - t->interval.step_ns);
		interval_step(&t->interval);
	}
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	pass(ctx, floor_ns);
	return 0;
}

static void wake(struct top *t, struct thread *th)
{
	th->item->n_waiting--;
	t->n_waiting--;
	th->item = NULL;
}

/* The thread has come back from a call: if it seems to sleep, its end was lost. */
static void see_thread(struct top *t, const struct task *task)
{
	struct thread *th;

	if (!t->has_wait || !task)
		return;
	th = thread(t, task);
	if (th && th->item)
		wake(t, th);
}

static bool is_wanted(const struct sock *s, const struct task *task)
{
	return cells_filter_has(&opts.filter, s && s->has_flow ? &s->flow : NULL) &&
	       (!opts.pid.given || (task && task->pid == opts.pid.v));
}

enum { W_SOCK, W_TASK, W_DIRECTION, W_EDGE, W_N };
static const struct bind_field wait_fields[W_N] = {
	{"sock", BIND_SOCK}, {"task", BIND_TASK}, {"direction", BIND_INT}, {"edge", BIND_INT}};
enum { EDGE_BEGIN = 1 };

static void fall_asleep(struct top *t, struct thread *th, const struct bind_row *row,
			uint64_t since_ns)
{
	th->item = find(t, row->sock, row->task);
	if (!th->item)
		return;
	th->item->n_waiting++;
	t->n_waiting++;
	th->since_ns = since_ns;
	th->weight = t->is_weighted ? weight_at(t->weights, row->ts_ns) : 1;
	th->direction = bind_get(row, W_DIRECTION, 0) == RX;
}

/*
 * A thread that is seen for the first time when it stops has slept since the start. What else does
 * not come in pairs was lost, and adds nothing.
 */
static int on_wait(void *ctx, const struct bind_row *row)
{
	struct top *t = ctx;
	bool begins = bind_get(row, W_EDGE, 0) == EDGE_BEGIN, is_new;
	struct thread *th;

	pass(t, row->ts_ns);
	if (!row->task || !is_wanted(row->sock, row->task))
		return 0;
	is_new = !map_get(&t->threads, row->task->tid);
	th = thread(t, row->task);
	if (!th)
		return 0;
	if (!begins && is_new)
		fall_asleep(t, th, row, t->interval.from_ns);
	if (!begins && th->item)
		th->item->sums.wait_ns[th->direction] += th->weight * (row->ts_ns - th->since_ns);
	if (th->item)
		wake(t, th);
	if (begins)
		fall_asleep(t, th, row, row->ts_ns);
	return 0;
}

/* ---- calls ---- */

/* Into a row; and the bytes of all connections together, which are known so well. */
static void add_calls(struct top *t, struct item *i, const struct sock *sock,
		      const struct call_sums *s, uint64_t weight)
{
	const struct flow *f = sock && sock->has_flow ? &sock->flow : NULL;
	uint64_t row_weight = t->is_weighted ? weight : 1;

	call_sums_add(&t->all.io, s, weight);
	call_sums_add(&i->sums.io, s, row_weight);
	for (int d = TX; d <= RX; d++) {
		if (!s->calls[d])
			continue;
		estimate_add(&t->estimates_all, &t->all.worth[d], f, s->bytes[d], weight);
		estimate_add(&t->estimates, &i->sums.worth[d], f, s->bytes[d], row_weight);
	}
}

static int take(struct top *t, const struct bind_row *row, unsigned direction)
{
	struct call_sums sums = {.again = 0};
	struct call call;
	struct item *i;

	call_get(row->bind, row->k, direction, &call);
	call_add(&sums, &call, direction);
	pass(t, row->ts_ns);
	if (call.has_seq)
		streams_call(&t->streams, row->sock, direction, call.seq, call.bytes, call.at_end);
	see_thread(t, row->task);
	i = is_wanted(row->sock, row->task) ? find(t, row->sock, row->task) : NULL;
	if (i)
		add_calls(t, i, row->sock, &sums, weight_at(t->weights, row->ts_ns));
	return 0;
}

static int on_send(void *ctx, const struct bind_row *row)
{
	return take(ctx, row, TX);
}

static int on_recv(void *ctx, const struct bind_row *row)
{
	return take(ctx, row, RX);
}

static const struct bind_field destroy_fields[] = {{"sock", BIND_SOCK}};

static int on_destroy(void *ctx, const struct bind_row *row)
{
	struct top *t = ctx;

	if (row->sock)
		streams_end(&t->streams, row->sock);
	conn_drop(&t->who.conns, conn_find(&t->who.conns, row->sock));
	return 0;
}

/* ---- the calls of a chunk at once ---- */

/* Of connections no more than their ends is asked for, but to tell who accepted them. */
enum { BIND_SEND, BIND_RECV, BIND_WAIT, BIND_DESTROY, N_OWN };

/* Not where threads sleep: when they do, the order of their calls matters. */
static bool digest(const void *ctx, struct input_chunk *chunk, void *calls)
{
	const struct calls_chunk c = {
		.binds = {[TX] = &chunk->binds[BIND_SEND], [RX] = &chunk->binds[BIND_RECV]},
		.destroy = &chunk->binds[BIND_DESTROY],
		.tables = chunk->tables,
		.types = chunk->types,
		.n_events = chunk->n_events,
	};

	return !chunk->binds[BIND_WAIT].n_rows && calls_add_up(calls, &c);
}

static bool on_digest(void *ctx, const struct input_chunk *chunk, void *digest)
{
	const struct bind_tables *tables = chunk->tables;
	const struct calls *c = digest;
	struct top *t = ctx;

	if (interval_is_over(&t->interval, chunk->to_ns))
		return false;
	calls_to_streams(c, tables, &t->streams);
	for (uint32_t i = 0; i < c->n; i++) {
		const struct calls_of *of = &c->list[i];
		const struct sock *sock = bind_sock(tables, of->sock);
		const struct task *task = bind_task(tables, of->task);
		struct item *item;

		see_thread(t, task);
		if (!is_wanted(sock, task))
			continue;
		item = find(t, sock, task);
		if (item)
			add_calls(t, item, sock, &of->sums, 1);
		else
			t->items.n_left_out += of->sums.calls[TX] + of->sums.calls[RX] - 1;
	}
	return true;
}

static void digest_fini(void *digest)
{
	calls_fini(digest);
}

/* ---- the command ---- */

static int check(int *n_operands, char **operands, struct fail *fail)
{
	static const char *const sorts[] = {"all", "sent", "received", "wait"};
	bool known = !opts.sort;
	enum by_key by;

	for (size_t i = 0; !known && i < sizeof(sorts) / sizeof(*sorts); i++)
		known = !strcmp(opts.sort, sorts[i]);
	if (!known)
		return fail_set(fail, STATUS_USAGE, "-s takes all, sent, received or wait");
	if (by_parse(opts.by, KEYS, &by, fail) || interval_check(&opts.interval, fail))
		return -1;
	return cells_filter_check(&opts.filter, fail);
}

static void begin_table(struct top *t)
{
	static const struct out_col time_cols[] = {CELLS_TIME_COLS};

	memcpy(t->cols, time_cols, sizeof(time_cols));
	t->cols[COL_TIME].hidden = !opts.interval.given;
	t->cols[COL_TIME_S].hidden = !opts.interval.given || opts.interval.v >= 1;
	by_cols(t->items.key, t->cols + COL_BY);
	memcpy(t->cols + COL_SUMS, sum_cols, sizeof(sum_cols));
	for (int i = SUM_RX_ERROR; i <= SUM_TX_ERROR; i++)
		t->cols[COL_SUMS + i].hidden =
			!t->is_weighted || !input_is_sampled(t->run->in, "io");
	for (int i = SUM_VERBOSE; i < N_SUMS; i++)
		t->cols[COL_SUMS + i].hidden = !opts.verbose;
	out_table(t->run->out, t->cols, N_COLUMNS);
}

static void finish(struct top *t)
{
	uint64_t last = input_last(t->run->in), to = input_to(t->run->in);
	struct out *o = t->run->out;

	last = to < last ? to : last;
	pass(t, last);
	settle(t, last);
	print_all(t);
	streams_end(&t->streams, NULL);
	if (t->streams.n_past)
		out_note(o,
			 "%" PRIu64 " bytes received and %" PRIu64 " sent on %" PRIu64
			 " connections are in no call above, as their sequence numbers tell: "
			 "lost events, splice and zero-copy where the kernel has no hook, the "
			 "kernel's own calls, TLS records' framing",
			 t->streams.past_bytes[RX], t->streams.past_bytes[TX], t->streams.n_past);
	if (t->all.worth[RX].n_conns || t->all.worth[TX].n_conns)
		out_note(o,
			 "all connections together: %" PRIu64
			 " bytes received, +-%.0f, and %" PRIu64
			 " sent, +-%.0f (one standard error), estimated from %" PRIu64
			 " connections%s",
			 t->all.io.bytes[RX], estimate_error(&t->all.worth[RX]),
			 t->all.io.bytes[TX], estimate_error(&t->all.worth[TX]),
			 t->all.worth[RX].n_conns > t->all.worth[TX].n_conns
				 ? t->all.worth[RX].n_conns
				 : t->all.worth[TX].n_conns,
			 t->is_weighted ? ""
					: "; each row is of one of them, and stands for itself");
	if (t->n_cut)
		out_note(o, "%" PRIu64 " rows are not shown (-r 0 shows all)", t->n_cut);
	if (t->items.n_left_out)
		out_note(o, "%" PRIu64 " events beyond the first %d rows are left out",
			 t->items.n_left_out, MAX_ENTRIES);
}

static int run(struct cmd_run *run)
{
	struct top t = {
		.run = run,
		.items = {.key = BY_CALLER, .size = sizeof(struct item), .max = MAX_ENTRIES},
	};
	struct bind binds[N_OWN + BY_N_BINDS] = {
		[BIND_SEND] = {.record = "io_send",
			       .fields = calls_fields[TX],
			       .n_fields = CALL_FLAGS,
			       .on = on_send},
		[BIND_RECV] = {.record = "io_recv",
			       .fields = calls_fields[RX],
			       .n_fields = CALL_N,
			       .on = on_recv},
		[BIND_WAIT] = {.record = "io_wait",
			       .fields = wait_fields,
			       .n_fields = W_N,
			       .on = on_wait},
		[BIND_DESTROY] = {.record = "tcp_destroy",
				  .fields = destroy_fields,
				  .n_fields = 1,
				  .on = on_destroy},
	};
	struct input_job job = {.binds = binds,
				.digest_size = sizeof(struct calls),
				.digest = digest,
				.on_digest = on_digest,
				.digest_fini = digest_fini,
				.on_chunk = on_chunk,
				.ctx = &t};
	int rc;

	if (input_needs(run->in, "io", NULL, run->fail) ||
	    by_parse(opts.by, KEYS, &t.items.key, run->fail))
		return -1;
	job.n_digested = t.items.key == BY_LISTENER ? 0 : 2; /* which may be told on the way */
	job.n_binds = N_OWN + (t.items.key == BY_LISTENER ? BY_BIND_CONN + CONN_TRACK_DESTROY
							  : BY_BIND_CONN);
	by_bind(binds + N_OWN);
	interval_begin(&t.interval, &opts.interval, input_from(run->in));
	t.has_wait = calls_note_absent(run->in, run->out);
	t.weights = input_weights(run->in, "io");
	t.is_weighted = t.items.key != BY_CALLER && t.items.key != BY_CONN;
	begin_table(&t);
	rc = input_run(run->in, &job, run->fail);
	if (!rc && (t.failed || t.items.failed || t.estimates.failed || t.estimates_all.failed ||
		    by_who_failed(&t.who) || t.streams.failed))
		rc = fail_nomem(run->fail);
	if (!rc)
		finish(&t);
	fini(&t);
	return rc;
}

const struct cmd cmd_top = {
	.name = "top",
	.summary = "bytes by connection and process (tcptop, tcp_bytes)",
	.about =
		"What calls returned, not what they asked for: RX_KB was taken out of the socket "
		"(not by MSG_PEEK),\n"
		"TX_KB was taken into its send buffer; both in 1024 bytes, exact in --json and "
		"--csv. RX_WAIT and\n"
		"TX_WAIT are milliseconds that threads slept in such calls, for data and for room "
		"in the send buffer;\n"
		"not in poll or epoll. AGAIN: calls that would have had to sleep. PID and COMM are "
		"who called, named\n"
		"by the main thread if it called too. Rows are by connection and process, unless "
		"--by\n"
		"tells. Live, with another table each second:\n"
		"  tcptape-record -e +io -o - | tcptape top -i 1 -\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "io",
	.check = check,
	.run = run,
};

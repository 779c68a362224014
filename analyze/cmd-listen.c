// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape listen: accept and SYN queues of the listeners: a line for each listener, each sample, or
 * bcc's tcpsynbl's histogram of the accept queue at each new connection.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "clock.h"
#include "cmd.h"
#include "interval.h"
#include "hist.h"

#define MAX_LISTENERS 65536 /* so that a hostile trace has a bound */

static struct {
	bool each, hist, timestamp;
	struct opt_fixed interval;
	struct cells_filter filter;
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	{0, "each", NULL, OPT_FLAG, AT(each), "each sample of a listener that is not idle"},
	{0, "hist", NULL, OPT_FLAG, AT(hist),
	 "histograms of the accept queue, as each new connection found it"},
	INTERVAL_ROW(opts, "a table, or histograms, for each interval"),
	{'T', "timestamp", NULL, OPT_FLAG, AT(timestamp),
	 "the time of day: a column, or above histograms"},
	CELLS_FAMILY_ROWS(opts),
};

enum { Q_SOCK, Q_BACKLOG, Q_MAX, Q_SYN, Q_YOUNG, Q_DROPS, Q_SAMPLE, Q_N };
static const struct bind_field queue_fields[Q_N] = {
	{"sock", BIND_SOCK},	 {"backlog", BIND_INT},	  {"max_backlog", BIND_INT},
	{"syn_queue", BIND_INT}, {"syn_young", BIND_INT}, {"drops", BIND_INT},
	{"sample", BIND_INT},
};
enum { C_SOCK, C_BACKLOG, C_MAX, C_SYN, C_KIND, C_N };
static const struct bind_field child_fields[C_N] = {
	{"sock", BIND_SOCK},	 {"backlog", BIND_INT}, {"max_backlog", BIND_INT},
	{"syn_queue", BIND_INT}, {"kind", BIND_INT},
};
enum { SAMPLE_FIRST = 1, KIND_ACK = 1 };

struct listener {
	uint64_t cookie;
	struct flow flow;
	uint32_t netns;
	bool sampled, seen;		      /* seen: in this interval */
	uint64_t max_backlog, max_syn, limit; /* largest queues seen */
	uint64_t drops_before, drops;
	uint64_t children, overflows;
	struct hist hist;
};

struct listen {
	struct cmd_run *run;
	struct map map; /* cookie -> struct listener */
	struct listener **listeners;
	size_t n, cap;
	uint64_t n_left_out;
	bool has_children, failed;
	struct interval interval;
	struct out_col cols[16];
};

static struct listener *add(struct listen *l, const struct sock *s)
{
	struct listener *k, **more;

	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;

		more = realloc(l->listeners, cap * sizeof(*more));
		if (!more)
			return NULL;
		l->listeners = more;
		l->cap = cap;
	}
	k = calloc(1, sizeof(*k));
	if (!k || map_put(&l->map, s->cookie, k)) {
		free(k);
		return NULL;
	}
	k->cookie = s->cookie;
	k->netns = s->netns;
	if (s->has_flow)
		k->flow = s->flow;
	hist_init(&k->hist, 1, false);
	l->listeners[l->n++] = k;
	return k;
}

/* -4, -6: by the address at which it listens. */
static bool is_wanted(const struct sock *s)
{
	return cells_filter_has(&opts.filter, s && s->has_flow ? &s->flow : NULL);
}

/* NULL: its cookie is not known, or there are too many. */
static struct listener *find(struct listen *l, const struct sock *s)
{
	struct listener *k = s && s->cookie ? map_get(&l->map, s->cookie) : NULL;

	if (k || !s || !s->cookie)
		return k;
	if (l->n == MAX_LISTENERS) {
		l->n_left_out++;
		return NULL;
	}
	k = add(l, s);
	l->failed |= !k;
	return k;
}

static void raise_to(uint64_t *to, uint64_t v)
{
	*to = v > *to ? v : *to;
}

static void cell_value(struct out *o, const struct bind_row *row, unsigned field)
{
	if (bind_has(row, field))
		out_u64(o, bind_get(row, field, 0));
	else
		out_none(o);
}

static void print_each(struct listen *l, const struct bind_row *row)
{
	struct out *o = l->run->out;
	const struct sock *s = row->sock;

	cell_clock(o, l->run->in, row->ts_ns);
	cell_seconds(o, l->run->in, row->ts_ns);
	cell_cookie(o, s ? s->cookie : 0);
	cell_addr(o, s && s->has_flow ? s->flow.laddr : NULL);
	if (s && s->has_flow)
		out_u64(o, s->flow.lport);
	else
		out_none(o);
	if (s && s->netns)
		out_u64(o, s->netns);
	else
		out_none(o);
	for (unsigned f = Q_BACKLOG; f <= Q_DROPS; f++)
		cell_value(o, row, f);
	out_end_row(o);
}

static void pass(struct listen *l, uint64_t ts_ns);

static int on_queue(void *ctx, const struct bind_row *row)
{
	struct listen *l = ctx;
	struct listener *k;
	uint64_t drops = bind_get(row, Q_DROPS, 0);

	pass(l, row->ts_ns);
	if (!is_wanted(row->sock))
		return 0;
	k = find(l, row->sock);
	if (opts.each)
		print_each(l, row);
	if (!k)
		return 0;
	k->seen = true;
	/* One that began to listen while it was recorded had none before. */
	if (!k->sampled && (bind_get(row, Q_SAMPLE, 0) == SAMPLE_FIRST ||
			    input_from(l->run->in) > input_start(l->run->in)))
		k->drops_before = drops;
	k->sampled = true;
	k->drops = drops;
	raise_to(&k->max_backlog, bind_get(row, Q_BACKLOG, 0));
	raise_to(&k->max_syn, bind_get(row, Q_SYN, 0));
	raise_to(&k->limit, bind_get(row, Q_MAX, 0));
	return 0;
}

static int on_child(void *ctx, const struct bind_row *row)
{
	struct listen *l = ctx;
	struct listener *k = is_wanted(row->sock) ? find(l, row->sock) : NULL;
	uint64_t backlog = bind_get(row, C_BACKLOG, 0), max = bind_get(row, C_MAX, UINT64_MAX);

	pass(l, row->ts_ns);
	if (!k)
		return 0;
	k->seen = true;
	if (backlog > max)
		k->overflows++;
	else if (bind_get(row, C_KIND, 0) == KIND_ACK)
		k->children++;
	if (bind_get(row, C_KIND, 0) == KIND_ACK)
		hist_add(&k->hist, backlog);
	raise_to(&k->max_backlog, backlog);
	raise_to(&k->max_syn, bind_get(row, C_SYN, 0));
	raise_to(&k->limit, bind_get(row, C_MAX, 0));
	return 0;
}

/* ---- printing ---- */

static const struct out_col summary_columns[] = {
	CELLS_TIME_COLS,
	{"COOKIE", "conn", 10, false},
	{"LADDR", "laddr", 15, false},
	{"LPORT", "lport", 5, false},
	{"NETNS", "netns", 10, false},
	{"MAXQ", "max_accept_queue", -5, false},
	{"LIMIT", "limit", -5, false},
	{"MAXSYN", "max_syn_queue", -6, false},
	{"CHILDREN", "children", -8, false},
	{"OVERFLOWS", "overflows", -9, false},
	{"DROPS", "drops", -7, false},
};
enum { E_TIME };
static const struct out_col each_columns[] = {
	{"TIME", "time", 8, true},
	{"TIME(s)", "time_s", 10, false},
	{"COOKIE", "conn", 10, false},
	{"LADDR", "laddr", 15, false},
	{"LPORT", "lport", 5, false},
	{"NETNS", "netns", 10, false},
	{"ACCEPTQ", "accept_queue", -7, false},
	{"LIMIT", "limit", -5, false},
	{"SYNQ", "syn_queue", -5, false},
	{"YOUNG", "syn_young", -5, false},
	{"DROPS", "drops", -7, false},
};
#define N_COLS(cols) (sizeof(cols) / sizeof((cols)[0]))

static void print_summary(struct listen *l)
{
	struct out *o = l->run->out;

	for (size_t i = 0; i < l->n; i++) {
		const struct listener *k = l->listeners[i];

		if (!k->seen)
			continue;
		cell_clock(o, l->run->in, l->interval.from_ns);
		cell_seconds(o, l->run->in, l->interval.from_ns);
		cell_cookie(o, k->cookie);
		cell_addr(o, k->flow.laddr);
		out_u64(o, k->flow.lport);
		out_u64(o, k->netns);
		out_u64(o, k->max_backlog);
		out_u64(o, k->limit);
		out_u64(o, k->max_syn);
		if (l->has_children) {
			out_u64(o, k->children);
			out_u64(o, k->overflows);
		} else {
			out_none(o);
			out_none(o);
		}
		if (k->sampled)
			out_u64(o, k->drops - k->drops_before);
		else
			out_none(o);
		out_end_row(o);
	}
}

static void print_hist(struct listen *l, const struct listener *k)
{
	char addr[FLOW_TEXT_LEN];
	struct text *t;
	struct json *j;

	flow_addr_text(k->flow.laddr, addr);
	if (!out_is_json(l->run->out)) {
		t = out_line(l->run->out);
		if (opts.interval.given)
			text_fmt(t, "+%.6fs ", input_seconds(l->run->in, l->interval.from_ns));
		text_fmt(t, "%s:%u, namespace %" PRIu32 ", limit %" PRIu64 "\n", addr,
			 k->flow.lport, k->netns, k->limit);
		hist_draw(&k->hist, "backlog", t);
		out_end_line(l->run->out);
		return;
	}
	j = out_object(l->run->out);
	json_fixed(j, "time_s", input_seconds(l->run->in, l->interval.from_ns), 9);
	json_cookie(j, "conn", k->cookie);
	json_str(j, "laddr", addr, strlen(addr));
	json_u64(j, "lport", k->flow.lport);
	json_u64(j, "netns", k->netns);
	json_u64(j, "limit", k->limit);
	hist_json(&k->hist, j);
	out_end_object(l->run->out);
}

static void print_all(struct listen *l)
{
	char time[16];

	if (opts.hist && opts.timestamp && !out_is_json(l->run->out)) {
		clock_time_of_day(input_wall(l->run->in, l->interval.from_ns), time);
		text_fmt(out_line(l->run->out), "%s\n", time);
	}
	for (size_t i = 0; opts.hist && i < l->n; i++)
		if (l->listeners[i]->hist.n)
			print_hist(l, l->listeners[i]);
	if (!opts.hist && !opts.each)
		print_summary(l);
}

static void begin_anew(struct listener *k)
{
	k->seen = false;
	k->max_backlog = k->max_syn = 0;
	k->children = k->overflows = 0;
	k->drops_before = k->drops;
	hist_clear(&k->hist);
}

/* Nothing before ts_ns is still to come: print the interval if it is over. */
static void pass(struct listen *l, uint64_t ts_ns)
{
	if (!interval_is_over(&l->interval, ts_ns))
		return;
	print_all(l);
	for (size_t i = 0; i < l->n; i++)
		begin_anew(l->listeners[i]);
	interval_skip(&l->interval, ts_ns);
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	pass(ctx, floor_ns);
	return 0;
}

/* ---- the command ---- */

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (opts.interval.given && opts.each)
		return fail_set(fail, STATUS_USAGE, "--each and -i exclude each other");
	return interval_check(&opts.interval, fail);
}

static int begin(struct listen *l)
{
	const char *event = opts.hist ? "listen_child" : "listen_queue", *why;
	struct out *o = l->run->out;

	if (input_needs(l->run->in, "listen", event, l->run->fail))
		return -1;
	if (opts.hist && out_is_csv(o))
		return fail_set(l->run->fail, STATUS_USAGE, "--hist prints text, or JSON");
	l->has_children = input_has_probe(l->run->in, "listen_child", &why) == META_YES;
	if (opts.each) {
		memcpy(l->cols, each_columns, sizeof(each_columns));
		l->cols[E_TIME].hidden = !opts.timestamp;
		out_table(o, l->cols, N_COLS(each_columns));
	} else if (!opts.hist) {
		memcpy(l->cols, summary_columns, sizeof(summary_columns));
		l->cols[E_TIME].hidden = !opts.interval.given && !opts.timestamp;
		l->cols[E_TIME + 1].hidden = !opts.interval.given || opts.interval.v >= 1;
		out_table(o, l->cols, N_COLS(summary_columns));
	}
	interval_begin(&l->interval, &opts.interval, input_from(l->run->in));
	return 0;
}

static void finish(struct listen *l)
{
	print_all(l);
	if (!l->has_children && !opts.each)
		out_note(l->run->out,
			 "this kernel let the recorder sample the queues only: MAXQ and MAXSYN "
			 "can have been higher in between; what overflowed is in DROPS, and in "
			 "tcptape info --counters");
	if (l->n_left_out)
		out_note(l->run->out, "%" PRIu64 " rows of listeners beyond the first %d left out",
			 l->n_left_out, MAX_LISTENERS);
}

static int run(struct cmd_run *run)
{
	struct listen l = {.run = run};
	struct bind binds[] = {
		{.record = "listen_queue", .fields = queue_fields, .n_fields = Q_N, .on = on_queue},
		{.record = "listen_child", .fields = child_fields, .n_fields = C_N, .on = on_child},
	};
	struct input_job job = {.binds = binds, .n_binds = 2, .on_chunk = on_chunk, .ctx = &l};
	int rc = begin(&l);

	if (!rc)
		rc = input_run(run->in, &job, run->fail);
	if (!rc && l.failed)
		rc = fail_nomem(run->fail);
	if (!rc)
		finish(&l);
	for (size_t i = 0; i < l.n; i++)
		free(l.listeners[i]);
	free(l.listeners);
	map_fini(&l.map);
	return rc;
}

const struct cmd cmd_listen = {
	.name = "listen",
	.summary = "accept and SYN queues of listeners, overflows, drops (tcpsynbl)",
	.about =
		"MAXQ and MAXSYN are the longest accept queue and SYN queue seen. A queue takes "
		"one "
		"more than its\n"
		"LIMIT; what comes then is an overflow. OVERFLOWS, CHILDREN and --hist need a hook "
		"at each new\n"
		"connection (fentry or kprobe); DROPS is sk_drops, which counts overflows and "
		"other "
		"refusals.\n"
		"Idle listeners are sampled at the start and the end only.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "listen",
	.check = check,
	.run = run,
};

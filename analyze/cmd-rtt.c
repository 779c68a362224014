// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape rtt: histograms of round-trip times, as bcc's tcprtt, of the smoothed value at each ACK
 * or of the raw samples. Without a choice of connections it runs over whole columns.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "by.h"
#include "cells.h"
#include "clock.h"
#include "cmd.h"
#include "hist.h"
#include "names.h"

#define MAX_GROUPS 16384 /* with a histogram each: a hostile trace may have more */
#define NS_PER_S 1e9

static struct {
	struct opt_fixed interval, duration;
	bool timestamp, ms, by_laddr, by_raddr, mean, raw, percentiles, each;
	struct opt_u32 lport, rport;
	const char *laddr, *raddr, *by;
	enum by_key key; /* what -b, -B or --by says */
	uint8_t laddr_b[FLOW_ADDR_LEN], raddr_b[FLOW_ADDR_LEN];
	struct cells_filter filter;
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	{'i', "interval", "SECONDS", OPT_FIXED, AT(interval), "a summary for each interval"},
	{'d', "duration", "SECONDS", OPT_FIXED, AT(duration), "only the first so many seconds"},
	{'T', "timestamp", NULL, OPT_FLAG, AT(timestamp), "the time of day with each summary"},
	{'m', "millisecond", NULL, OPT_FLAG, AT(ms), "milliseconds instead of microseconds"},
	{'p', "lport", "PORT", OPT_PORT, AT(lport), "only this local port"},
	{'P', "rport", "PORT", OPT_PORT, AT(rport), "only this remote port"},
	{'a', "laddr", "ADDRESS", OPT_STR, AT(laddr), "only this local address"},
	{'A', "raddr", "ADDRESS", OPT_STR, AT(raddr), "only this remote address"},
	CELLS_FAMILY_ROWS(opts),
	{'b', "byladdr", NULL, OPT_FLAG, AT(by_laddr),
	 "a histogram for each local address: --by local"},
	{'B', "byraddr", NULL, OPT_FLAG, AT(by_raddr),
	 "a histogram for each remote address: --by remote"},
	{0, "by", "KEY", OPT_STR, AT(by), "one for each " BY_OF_SOCKETS_HELP},
	{'e', "extension", NULL, OPT_FLAG, AT(mean), "the mean with each histogram"},
	{0, "raw", NULL, OPT_FLAG, AT(raw), "raw samples instead of the smoothed value (srtt)"},
	{0, "percentiles", NULL, OPT_FLAG, AT(percentiles),
	 "a line of figures instead of a histogram; percentiles are\n"
	 "off by less than 1 % of the value, the rest is exact"},
	{0, "each", NULL, OPT_FLAG, AT(each), "each value, one a line"},
};

enum { R_SOCK, R_RTT, R_SRTT, R_SOURCE, R_N };
static const struct bind_field rtt_fields[R_N] = {
	[R_SOCK] = {"sock", BIND_SOCK},
	[R_RTT] = {"rtt_us", BIND_INT},
	[R_SRTT] = {"srtt_us", BIND_INT},
	[R_SOURCE] = {"source", BIND_INT},
};

struct group {
	struct by_group by;
	struct hist hist;
	uint64_t n_recorded; /* hist.n, if connections were left out, is an estimate */
	struct estimate n;   /* what that is worth */
};

struct rtt {
	struct by_who who; /* first: by_bind() */
	struct cmd_run *run;
	struct by_groups groups; /* in the order they were met */
	struct group *all;	 /* the one group, where there is no key */
	const struct weight_group *weights;
	struct estimates estimates;
	struct names sources;
	uint64_t next_ns, end_ns; /* of the interval; of -d */
	uint64_t n_events, n_values, n_probe;
	uint64_t probe;		/* the value of source that means: no sample visible */
	bool has_probe, failed; /* failed: no memory */
	struct out_col cols[BY_N_COLS + 18];
};

/* ---- groups ---- */

/* NULL: no memory, or above the bound. */
static struct group *find_group(struct rtt *r, const struct sock *sock)
{
	struct task room;
	struct by_event e = {.sock = sock};
	struct group *g;

	if (by_needs_conns(opts.key))
		e.task = conn_task(conn_find(&r->who.conns, sock), &room);
	g = by_groups_get(&r->groups, &r->who, &e);
	if (g && !g->hist.unit)
		hist_init(&g->hist, opts.ms ? 1000 : 1, opts.percentiles);
	return g;
}

static struct group *group_at(const struct rtt *r, size_t i)
{
	return (struct group *)r->groups.list[i];
}

static void fini(struct rtt *r)
{
	for (size_t i = 0; i < r->groups.n; i++)
		hist_fini(&group_at(r, i)->hist);
	by_groups_fini(&r->groups);
	by_who_fini(&r->who);
	estimates_fini(&r->estimates);
	names_fini(&r->sources);
}

/* ---- printing ---- */

static const struct out_col time_columns[] = {CELLS_TIME_COLS};
enum { P_ERROR = 1 };
static const struct out_col percentile_columns[] = {
	{"N", "n", -10, false},	       {"N+-", "n_error", -9, true},   {"MIN", "min", -9, false},
	{"P50", "p50", -9, false},     {"P90", "p90", -9, false},      {"P99", "p99", -9, false},
	{"P99.9", "p99_9", -9, false}, {"MAX", "max", -9, false},      {"MEAN", "mean", -9, false},
	{"UNIT", "unit", 0, false},    {NULL, "n_recorded", 0, false},
};
static const struct out_col bucket_columns[] = {
	{NULL, "unit", 0, false},
	{NULL, "low", 0, false},
	{NULL, "high", 0, false},
	{NULL, "count", 0, false},
};
static const struct out_col each_columns[] = {
	{"TIME(s)", "time_s", 12, false},   {"RTT(us)", "rtt_us", -9, false},
	{"SRTT(us)", "srtt_us", -9, false}, {"COOKIE", "conn", 12, false},
	{"LADDR", "laddr", 15, false},	    {"LPORT", "lport", 5, false},
	{"RADDR", "raddr", 15, false},	    {"RPORT", "rport", 5, false},
	{"SOURCE", "source", 0, false},
};
#define N_COLS(cols) (sizeof(cols) / sizeof((cols)[0]))

static const char *unit_name(void)
{
	return opts.ms ? "msecs" : "usecs";
}

static void cells_group(struct rtt *r, const struct group *g, uint64_t at_ns)
{
	struct out *o = r->run->out;

	cell_clock(o, r->run->in, at_ns);
	cell_seconds(o, r->run->in, at_ns);
	by_cells(o, &r->who, opts.key, &g->by);
}

static void print_percentiles(struct rtt *r, const struct group *g, uint64_t at_ns)
{
	struct out *o = r->run->out;

	cells_group(r, g, at_ns);
	out_u64(o, g->hist.n);
	out_fixed(o, estimate_error(&g->n), 0);
	cells_percentiles(o, &g->hist, opts.ms ? 1000 : 1, opts.ms ? 3 : 0, opts.ms ? 3 : 1);
	out_str(o, unit_name());
	out_u64(o, g->n_recorded);
	out_end_row(o);
}

static void print_picture(struct rtt *r, const struct group *g)
{
	struct text *t = out_line(r->run->out);

	if (opts.key != BY_ALL)
		by_text(t, &r->who, opts.key, &g->by);
	else if (opts.mean)
		text_puts(t, "All Addresses = *******");
	if (opts.mean)
		text_fmt(t, " [AVG %.1f]", hist_mean(&g->hist) / g->hist.unit);
	if (opts.key != BY_ALL || opts.mean)
		text_putc(t, '\n');
	hist_draw(&g->hist, unit_name(), t);
	out_end_line(r->run->out);
}

static void print_json(struct rtt *r, const struct group *g, uint64_t at_ns)
{
	struct json *j = out_object(r->run->out);

	json_fixed(j, "time_s", input_seconds(r->run->in, at_ns), 9);
	by_json(j, &r->who, opts.key, &g->by);
	json_str(j, "value", opts.raw ? "rtt" : "srtt", opts.raw ? 3 : 4);
	json_str(j, "unit", unit_name(), strlen(unit_name()));
	json_u64(j, "n", g->hist.n);
	json_fixed(j, "n_error", estimate_error(&g->n), 1);
	json_u64(j, "n_recorded", g->n_recorded);
	json_fixed(j, "mean", hist_mean(&g->hist) / g->hist.unit, 3);
	json_fixed(j, "min", (double)g->hist.min / g->hist.unit, 3);
	json_fixed(j, "max", (double)g->hist.max / g->hist.unit, 3);
	hist_json(&g->hist, j);
	out_end_object(r->run->out);
}

static void print_buckets(struct rtt *r, const struct group *g, uint64_t at_ns)
{
	struct out *o = r->run->out;

	for (unsigned i = 0; i < HIST_SLOTS; i++) {
		if (!g->hist.slots[i])
			continue;
		cells_group(r, g, at_ns);
		out_str(o, unit_name());
		out_u64(o, hist_low(i));
		out_u64(o, hist_high(i));
		out_u64(o, g->hist.slots[i]);
		out_end_row(o);
	}
}

/* Groups of other intervals are not kept: there may be many. */
static bool begin_anew(struct by_group *by)
{
	struct group *g = (struct group *)by;

	g->n_recorded = 0;
	g->n = (struct estimate){0};
	if (opts.key == BY_ALL)
		hist_clear(&g->hist);
	else
		hist_fini(&g->hist);
	return opts.key == BY_ALL;
}

/* All groups, for what came until at_ns; then they begin anew. */
static void print_groups(struct rtt *r, uint64_t at_ns)
{
	struct out *o = r->run->out;
	char time[16];

	by_groups_sort(&r->groups);
	if (opts.timestamp && !opts.percentiles && !out_is_json(o) && !out_is_csv(o)) {
		clock_time_of_day(input_wall(r->run->in, at_ns), time);
		text_fmt(out_line(o), "%s\n", time);
	}
	for (size_t i = 0; i < r->groups.n; i++) {
		struct group *g = group_at(r, i);

		if (!g->hist.n)
			continue;
		if (opts.percentiles)
			print_percentiles(r, g, at_ns);
		else if (out_is_json(o))
			print_json(r, g, at_ns);
		else if (out_is_csv(o))
			print_buckets(r, g, at_ns);
		else
			print_picture(r, g);
		r->failed |= g->hist.failed;
	}
	by_groups_keep(&r->groups, begin_anew);
	estimates_fini(&r->estimates);
}

static void begin_table(struct rtt *r)
{
	struct out *o = r->run->out;
	unsigned n = N_COLS(time_columns) + BY_N_COLS;
	const struct out_col *cols = opts.percentiles ? percentile_columns : bucket_columns;
	unsigned n_cols = opts.percentiles ? N_COLS(percentile_columns) : N_COLS(bucket_columns);

	if (opts.each) {
		out_table(o, each_columns, N_COLS(each_columns));
		return;
	}
	if (!opts.percentiles && !out_is_csv(o))
		return;
	memcpy(r->cols, time_columns, sizeof(time_columns));
	r->cols[0].hidden = !opts.timestamp;
	r->cols[1].hidden = !opts.interval.given;
	by_cols(opts.key, r->cols + N_COLS(time_columns));
	memcpy(r->cols + n, cols, n_cols * sizeof(*cols));
	if (opts.percentiles)
		r->cols[n + P_ERROR].hidden = !input_is_sampled(r->run->in, "rtt");
	out_table(o, r->cols, n + n_cols);
}

/* ---- values ---- */

static uint64_t interval_ns(void)
{
	return (uint64_t)(opts.interval.v * NS_PER_S);
}

static bool has_values(const struct rtt *r)
{
	for (size_t i = 0; i < r->groups.n; i++)
		if (group_at(r, i)->hist.n)
			return true;
	return false;
}

/* Nothing before now_ns is still to come: print the interval if it is over. */
static void pass_interval(struct rtt *r, uint64_t now_ns)
{
	uint64_t step = interval_ns();

	if (!opts.interval.given || now_ns < r->next_ns)
		return;
	if (has_values(r))
		print_groups(r, r->next_ns);
	r->next_ns += (now_ns - r->next_ns) / step * step + step;
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	pass_interval(ctx, floor_ns);
	return 0;
}

static bool is_wanted(const struct bind_row *row)
{
	const struct flow *f = row->sock && row->sock->has_flow ? &row->sock->flow : NULL;

	if (!cells_filter_has(&opts.filter, f))
		return false;
	if (!f)
		return !opts.lport.given && !opts.rport.given && !opts.laddr && !opts.raddr;
	return (!opts.lport.given || f->lport == opts.lport.v) &&
	       (!opts.rport.given || f->rport == opts.rport.v) &&
	       (!opts.laddr || !memcmp(f->laddr, opts.laddr_b, FLOW_ADDR_LEN)) &&
	       (!opts.raddr || !memcmp(f->raddr, opts.raddr_b, FLOW_ADDR_LEN));
}

static void print_each(struct rtt *r, const struct bind_row *row, int64_t rtt, uint64_t srtt)
{
	uint64_t source = bind_get(row, R_SOURCE, UINT64_MAX);
	const char *name = names_get(&r->sources, source);
	struct out *o = r->run->out;

	cell_seconds(o, r->run->in, row->ts_ns);
	if (rtt >= 0)
		out_u64(o, (uint64_t)rtt);
	else
		out_none(o);
	if (srtt)
		out_u64(o, srtt);
	else
		out_none(o);
	cell_cookie(o, row->sock ? row->sock->cookie : 0);
	cells_flow(o, row->sock && row->sock->has_flow ? &row->sock->flow : NULL);
	if (name)
		out_str(o, name);
	else if (bind_has(row, R_SOURCE))
		out_u64(o, source);
	else
		out_none(o);
	out_end_row(o);
}

static int on_row(void *ctx, const struct bind_row *row)
{
	struct rtt *r = ctx;
	int64_t rtt = (int64_t)bind_get(row, R_RTT, (uint64_t)-1);
	uint64_t srtt = bind_get(row, R_SRTT, 0);
	uint64_t weight = 1;
	struct group *g;

	if (row->ts_ns > r->end_ns || !is_wanted(row))
		return 0;
	pass_interval(r, row->ts_ns);
	r->n_events++;
	r->n_probe += r->has_probe && bind_get(row, R_SOURCE, r->probe + 1) == r->probe;
	if (opts.raw ? rtt < 0 : !srtt) /* no sample; not yet one */
		return 0;
	r->n_values++;
	if (opts.each) {
		print_each(r, row, rtt, srtt);
		return 0;
	}
	g = r->all ? r->all : find_group(r, row->sock);
	if (!g)
		return 0;
	if (opts.key != BY_CONN) /* which stands for itself alone */
		weight = weight_at(r->weights, row->ts_ns);
	hist_add_n(&g->hist, opts.raw ? (uint64_t)rtt : srtt, weight);
	g->n_recorded++;
	estimate_add(&r->estimates, &g->n,
		     row->sock && row->sock->has_flow ? &row->sock->flow : NULL, 1, weight);
	return 0;
}

/* The same over whole columns, for one histogram of everything. */
static int on_columns(void *ctx, const struct bind *b)
{
	struct rtt *r = ctx;
	unsigned field = opts.raw ? R_RTT : R_SRTT;
	const struct tape_column *col = &b->cols[field];
	struct hist *h = &r->all->hist;
	uint64_t before = h->n;

	r->n_events += b->n_rows;
	for (uint32_t i = 0; r->has_probe && b->have[R_SOURCE] && i < b->n_rows; i++)
		r->n_probe += tape_column_get(&b->cols[R_SOURCE], i) == r->probe;
	if (!b->have[field])
		return 0;
	if (col->width == 4 && !opts.raw) {
		const uint32_t *v = col->values;

		for (uint32_t i = 0; i < b->n_rows; i++)
			if (v[i])
				hist_add(h, v[i]);
	} else {
		for (uint32_t i = 0; i < b->n_rows; i++) {
			int64_t v = (int64_t)tape_column_get(col, i);

			if (opts.raw ? v >= 0 : v != 0)
				hist_add(h, (uint64_t)v);
		}
	}
	r->n_values += h->n - before;
	r->all->n_recorded += h->n - before;
	return 0;
}

/* ---- the command ---- */

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (opts.by_laddr + opts.by_raddr + (opts.by != NULL) > 1)
		return fail_set(fail, STATUS_USAGE, "-b, -B and --by exclude each other");
	opts.key = opts.by_laddr ? BY_LOCAL : opts.by_raddr ? BY_REMOTE : BY_ALL;
	if (by_parse(opts.by, BY_OF_SOCKETS, &opts.key, fail))
		return -1;
	if (opts.laddr && !flow_addr_parse(opts.laddr, opts.laddr_b))
		return fail_set(fail, STATUS_USAGE, "-a takes an IP address, not '%s'", opts.laddr);
	if (opts.raddr && !flow_addr_parse(opts.raddr, opts.raddr_b))
		return fail_set(fail, STATUS_USAGE, "-A takes an IP address, not '%s'", opts.raddr);
	if (opts.interval.given && (opts.interval.v < 1e-6 || opts.interval.v > 1e9))
		return fail_set(fail, STATUS_USAGE, "-i takes seconds, from 0.000001");
	if (opts.duration.given && opts.duration.v > 1e9)
		return fail_set(fail, STATUS_USAGE, "-d takes seconds");
	return 0;
}

static bool needs_rows(void)
{
	return opts.interval.given || opts.duration.given || opts.each || opts.key != BY_ALL ||
	       opts.lport.given || opts.rport.given || opts.laddr || opts.raddr || opts.filter.v4 ||
	       opts.filter.v6;
}

static int begin(struct rtt *r)
{
	const struct tape_schema *s = input_schema(r->run->in);

	if (input_needs(r->run->in, "rtt", "rtt", r->run->fail) ||
	    (opts.raw && input_needs_field(r->run->in, "rtt", "rtt_us", r->run->fail)))
		return -1;
	if (opts.key == BY_ALL) {
		r->all = find_group(r, NULL);
		if (!r->all)
			return fail_nomem(r->run->fail);
	}
	r->weights = input_weights(r->run->in, "rtt");
	if (names_init(&r->sources, s, "rtt_source"))
		return fail_nomem(r->run->fail);
	for (size_t i = 0; i < r->sources.n; i++)
		if (!strcmp(r->sources.rows[i]->name, "probe")) {
			r->probe = r->sources.rows[i]->value;
			r->has_probe = true;
		}
	r->end_ns = UINT64_MAX;
	if (opts.duration.given)
		r->end_ns = input_from(r->run->in) + (uint64_t)(opts.duration.v * NS_PER_S);
	if (opts.interval.given)
		r->next_ns = input_from(r->run->in) + interval_ns();
	begin_table(r);
	return 0;
}

/* How good the numbers of a picture are; tables have it in their columns. */
static void note_estimate(struct rtt *r)
{
	const struct group *g = r->all;

	if (!g || !g->n.n_conns || opts.interval.given)
		return;
	out_note(r->run->out,
		 "%" PRIu64 " values, +-%.0f (one standard error), are estimated from %" PRIu64
		 " that were recorded, of %" PRIu64 " connections",
		 g->hist.n, estimate_error(&g->n), g->n_recorded, g->n.n_conns);
	if (r->estimates.n_over)
		out_note(r->run->out,
			 "the error is too small: %" PRIu64
			 " values are of connections beyond the first %u",
			 r->estimates.n_over, ESTIMATE_MAX_CONNS);
}

static int finish(struct rtt *r)
{
	uint64_t last = input_last(r->run->in);

	if (opts.raw && !r->n_values && r->n_events && r->n_probe == r->n_events)
		return fail_set(
			r->run->fail, STATUS_LACKS,
			"%s: the trace has no raw samples: this kernel let the recorder use "
			"tcp_probe "
			"only; record with tcptape-record -e rtt on a kernel with fexit or kprobes",
			r->run->path);
	for (size_t i = 0; i < r->groups.n; i++)
		r->failed |= group_at(r, i)->hist.failed;
	if (r->failed || r->groups.failed || r->estimates.failed || by_who_failed(&r->who))
		return fail_nomem(r->run->fail);
	note_estimate(r);
	if (has_values(r))
		print_groups(r, opts.interval.given && r->next_ns < last ? r->next_ns : last);
	if (r->groups.n_left_out)
		out_note(r->run->out,
			 "%" PRIu64 " values of groups beyond the first %d are left out",
			 r->groups.n_left_out, MAX_GROUPS);
	if (!r->n_values)
		out_note(r->run->out, "no round-trip times among the chosen events");
	return 0;
}

static int run(struct cmd_run *run)
{
	struct rtt r = {
		.run = run,
		.groups = {.key = opts.key, .size = sizeof(struct group), .max = MAX_GROUPS},
	};
	struct bind binds[1 + BY_N_BINDS] = {
		{.record = "rtt", .fields = rtt_fields, .n_fields = R_N, .on = on_row}};
	struct input_job job = {.binds = binds,
				.n_binds = 1,
				.on_chunk = on_chunk,
				.ctx = &r,
				.on_columns = needs_rows() ? NULL : on_columns};
	int rc = begin(&r);

	by_bind(binds + 1);
	if (opts.key != BY_ALL)
		job.n_binds += by_needs_conns(opts.key) ? BY_N_BINDS : BY_BIND_CONN;
	if (!rc)
		rc = input_run(run->in, &job, run->fail);
	if (!rc)
		rc = finish(&r);
	fini(&r);
	return rc;
}

const struct cmd cmd_rtt = {
	.name = "rtt",
	.summary = "histograms of round-trip times (tcprtt)",
	.about = "The value is srtt, the kernel's smoothed round-trip time at each ACK that it "
		 "processed, as\n"
		 "tcprtt shows it; with --raw the samples that the kernel measured, which need a "
		 "recording\n"
		 "made with fexit or a kprobe. ACKs of connections without a sample yet are not "
		 "counted.\n"
		 "Intervals count from the start of the trace, or from --from; empty ones are not "
		 "printed.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "rtt",
	.check = check,
	.run = run,
};

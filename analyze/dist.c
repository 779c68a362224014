// SPDX-License-Identifier: GPL-2.0-or-later
#include "dist.h"

#include <inttypes.h>
#include <string.h>

#include "cells.h"
#include "clock.h"

#define MAX_GROUPS 16384 /* with a histogram each: a hostile trace may have more */

static const struct out_col time_columns[] = {CELLS_TIME_COLS};
static const struct out_col percentile_columns[] = {
	{"N", "n", -10, false},	       {"N+-", "n_error", -9, true},   {"MIN", "min", -9, false},
	{"P50", "p50", -9, false},     {"P90", "p90", -9, false},      {"P99", "p99", -9, false},
	{"P99.9", "p99_9", -9, false}, {"MAX", "max", -9, false},      {"MEAN", "mean", -9, false},
	{"UNIT", "unit", 0, false},    {NULL, "n_recorded", 0, false},
};
enum { P_ERROR = 1 };
static const struct out_col bucket_columns[] = {
	{NULL, "unit", 0, false},
	{NULL, "low", 0, false},
	{NULL, "high", 0, false},
	{NULL, "count", 0, false},
};
#define N_COLS(cols) (sizeof(cols) / sizeof((cols)[0]))
_Static_assert(DIST_MAX_COLUMNS >= BY_N_COLS + N_COLS(time_columns) + N_COLS(percentile_columns),
	       "DIST_MAX_COLUMNS");

/* ---- groups ---- */

static uint32_t unit_of(const struct dist *d)
{
	return d->opts.per_us * (d->opts.ms ? 1000 : 1);
}

struct dist_group *dist_group(struct dist *d, const struct by_event *e)
{
	struct dist_group *g = by_groups_get(&d->groups, d->who, e);

	if (g && !g->hist.unit)
		hist_init(&g->hist, unit_of(d), d->opts.percentiles);
	return g;
}

/* A connection that is a group of its own stands for itself alone. */
void dist_add(struct dist *d, struct dist_group *g, const struct flow *flow, uint64_t ts_ns,
	      uint64_t v)
{
	uint64_t weight = d->opts.by == BY_CONN ? 1 : weight_at(d->weights, ts_ns);

	hist_add_n(&g->hist, v, weight);
	g->n_recorded++;
	estimate_add(&d->estimates, &g->estimate, flow, 1, weight);
}

static struct dist_group *group_at(const struct dist *d, size_t i)
{
	return (struct dist_group *)d->groups.list[i];
}

static bool has_values(const struct dist *d)
{
	for (size_t i = 0; i < d->groups.n; i++)
		if (group_at(d, i)->hist.n)
			return true;
	return false;
}

void dist_fini(struct dist *d)
{
	for (size_t i = 0; i < d->groups.n; i++)
		hist_fini(&group_at(d, i)->hist);
	by_groups_fini(&d->groups);
	estimates_fini(&d->estimates);
}

/* ---- printing ---- */

static const char *unit_name(const struct dist *d)
{
	return d->opts.ms ? "msecs" : "usecs";
}

static void cells_group(struct dist *d, const struct dist_group *g)
{
	struct out *o = d->run->out;

	cell_clock(o, d->run->in, d->interval.from_ns);
	cell_seconds(o, d->run->in, d->interval.from_ns);
	by_cells(o, d->who, d->opts.by, &g->by);
}

static void print_percentiles(struct dist *d, const struct dist_group *g)
{
	unsigned decimals = unit_of(d) == 1 ? 0 : 3;
	struct out *o = d->run->out;

	cells_group(d, g);
	out_u64(o, g->hist.n);
	out_fixed(o, estimate_error(&g->estimate), 0);
	cells_percentiles(o, &g->hist, unit_of(d), decimals, decimals ? decimals : 1);
	out_str(o, unit_name(d));
	out_u64(o, g->n_recorded);
	out_end_row(o);
}

static void print_picture(struct dist *d, const struct dist_group *g)
{
	struct text *t = out_line(d->run->out);

	if (d->opts.by != BY_ALL)
		by_text(t, d->who, d->opts.by, &g->by);
	else if (d->opts.mean)
		text_puts(t, "All Addresses = *******");
	if (d->opts.mean)
		text_fmt(t, " [AVG %.1f]", hist_mean(&g->hist) / g->hist.unit);
	if (d->opts.by != BY_ALL || d->opts.mean)
		text_putc(t, '\n');
	hist_draw(&g->hist, unit_name(d), t);
	out_end_line(d->run->out);
}

static void print_json(struct dist *d, const struct dist_group *g)
{
	struct json *j = out_object(d->run->out);

	json_fixed(j, "time_s", input_seconds(d->run->in, d->interval.from_ns), 9);
	by_json(j, d->who, d->opts.by, &g->by);
	json_str(j, "value", d->opts.value, strlen(d->opts.value));
	json_str(j, "unit", unit_name(d), strlen(unit_name(d)));
	json_u64(j, "n", g->hist.n);
	json_fixed(j, "n_error", estimate_error(&g->estimate), 1);
	json_u64(j, "n_recorded", g->n_recorded);
	json_fixed(j, "mean", hist_mean(&g->hist) / g->hist.unit, 3);
	json_fixed(j, "min", (double)g->hist.min / g->hist.unit, 3);
	json_fixed(j, "max", (double)g->hist.max / g->hist.unit, 3);
	hist_json(&g->hist, j);
	out_end_object(d->run->out);
}

static void print_buckets(struct dist *d, const struct dist_group *g)
{
	struct out *o = d->run->out;

	for (unsigned i = 0; i < HIST_SLOTS; i++) {
		if (!g->hist.slots[i])
			continue;
		cells_group(d, g);
		out_str(o, unit_name(d));
		out_u64(o, hist_low(i));
		out_u64(o, hist_high(i));
		out_u64(o, g->hist.slots[i]);
		out_end_row(o);
	}
}

static void print_group(struct dist *d, const struct dist_group *g)
{
	if (d->opts.percentiles)
		print_percentiles(d, g);
	else if (out_is_json(d->run->out))
		print_json(d, g);
	else if (out_is_csv(d->run->out))
		print_buckets(d, g);
	else
		print_picture(d, g);
}

/* Groups of other intervals are not kept: there may be many. */
static bool is_of_all(struct by_group *by)
{
	static const struct by_id all;
	struct dist_group *g = (struct dist_group *)by;
	bool keep = !memcmp(&by->id, &all, sizeof(all));

	g->n_recorded = 0;
	g->estimate = (struct estimate){0};
	if (keep)
		hist_clear(&g->hist);
	else
		hist_fini(&g->hist);
	return keep;
}

/* All groups, for what came in the interval; then they begin anew. */
static void print_groups(struct dist *d)
{
	struct out *o = d->run->out;
	char time[16];

	by_groups_sort(&d->groups);
	if (d->opts.time_of_day && !d->opts.percentiles && !out_is_json(o) && !out_is_csv(o)) {
		clock_time_of_day(input_wall(d->run->in, d->interval.from_ns), time);
		text_fmt(out_line(o), "%s\n", time);
	}
	for (size_t i = 0; i < d->groups.n; i++) {
		struct dist_group *g = group_at(d, i);

		if (g->hist.n)
			print_group(d, g);
		d->failed |= g->hist.failed;
	}
	by_groups_keep(&d->groups, is_of_all);
	d->failed |= d->estimates.failed;
	estimates_fini(&d->estimates);
}

/* ---- the whole ---- */

void dist_begin(struct dist *d, struct cmd_run *run, const struct by_who *who,
		const struct dist_opts *opts)
{
	unsigned n = N_COLS(time_columns) + BY_N_COLS;
	const struct out_col *cols = opts->percentiles ? percentile_columns : bucket_columns;
	unsigned n_cols = opts->percentiles ? N_COLS(percentile_columns) : N_COLS(bucket_columns);

	*d = (struct dist){
		.opts = *opts,
		.run = run,
		.who = who,
		.groups = {.key = opts->by, .size = sizeof(struct dist_group), .max = MAX_GROUPS},
		.weights = opts->group ? input_weights(run->in, opts->group) : NULL,
	};
	interval_begin(&d->interval, &opts->interval, input_from(run->in));
	if (!opts->percentiles && !out_is_csv(run->out))
		return;
	memcpy(d->cols, time_columns, sizeof(time_columns));
	d->cols[0].hidden = !opts->time_of_day;
	d->cols[1].hidden = !opts->interval.given;
	by_cols(opts->by, d->cols + N_COLS(time_columns));
	memcpy(d->cols + n, cols, n_cols * sizeof(*cols));
	if (opts->percentiles)
		d->cols[n + P_ERROR].hidden =
			!opts->group || !input_is_sampled(run->in, opts->group);
	out_table(run->out, d->cols, n + n_cols);
}

void dist_pass(struct dist *d, uint64_t ts_ns)
{
	if (!interval_is_over(&d->interval, ts_ns))
		return;
	if (has_values(d))
		print_groups(d);
	interval_skip(&d->interval, ts_ns);
}

/* How good the numbers of a picture are; tables have it in their columns. */
static void note_estimate(struct dist *d)
{
	const struct dist_group *g = d->groups.n ? group_at(d, 0) : NULL;

	if (!g || d->opts.by != BY_ALL || !g->estimate.n_conns || d->opts.interval.given)
		return;
	out_note(d->run->out,
		 "%" PRIu64 " values, +-%.0f (one standard error), are estimated from %" PRIu64
		 " that were recorded, of %" PRIu64 " connections",
		 g->hist.n, estimate_error(&g->estimate), g->n_recorded, g->estimate.n_conns);
	if (d->estimates.n_over)
		out_note(d->run->out,
			 "the error is too small: %" PRIu64
			 " values are of connections beyond the first %u",
			 d->estimates.n_over, ESTIMATE_MAX_CONNS);
}

int dist_finish(struct dist *d, struct fail *fail)
{
	for (size_t i = 0; i < d->groups.n; i++)
		d->failed |= group_at(d, i)->hist.failed;
	if (d->failed || d->groups.failed || d->estimates.failed)
		return fail_nomem(fail);
	note_estimate(d);
	if (has_values(d))
		print_groups(d);
	if (d->groups.n_left_out)
		out_note(d->run->out,
			 "%" PRIu64 " values of groups beyond the first %d are left out",
			 d->groups.n_left_out, MAX_GROUPS);
	return 0;
}

unsigned dist_n_binds(enum by_key by)
{
	if (by == BY_ALL)
		return 0;
	return by_needs_conns(by) ? BY_N_BINDS : BY_BIND_CONN;
}

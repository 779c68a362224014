// SPDX-License-Identifier: GPL-2.0-or-later
/* Distributions of the times in each layer, for all segments or for groups of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delay.h"
#include "hist.h"

#define MAX_GROUPS 2048 /* with some 100 KiB each */
#define TOTAL SEG_LAYERS

struct group {
	struct by_group by;
	struct hist hists[SEG_LAYERS + 1];     /* nanoseconds; the last one: of the whole */
	struct estimate worth[SEG_LAYERS + 1]; /* of their n */
	uint64_t n_unknown[SEG_LAYERS + 1];
	uint64_t n;   /* recorded */
	struct held { /* parts of WRITE; NULL: none yet */
		struct hist hist;
		struct estimate worth;
	} * held;
};

static const struct out_col columns[] = {
	{"LAYER", "layer", 18, false},	   {"N", "n", -9, false},
	{"N+-", "n_error", -7, true},	   {"MIN(us)", "min_us", -10, false},
	{"P50", "p50_us", -10, false},	   {"P90", "p90_us", -10, false},
	{"P99", "p99_us", -10, false},	   {"P99.9", "p99_9_us", -10, false},
	{"MAX", "max_us", -10, false},	   {"MEAN", "mean_us", -10, false},
	{"UNKNOWN", "unknown", -9, false},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))
enum { C_ERROR = 2 };

static const struct out_col bucket_columns[] = {
	{NULL, "layer", 0, false},
	{NULL, "low_us", 0, false},
	{NULL, "high_us", 0, false},
	{NULL, "count", 0, false},
};
#define N_BUCKET_COLUMNS (sizeof(bucket_columns) / sizeof(bucket_columns[0]))

enum { N_TIMES = 2 };
static const struct out_col time_columns[] = {CELLS_TIME_COLS};

struct delay_dist {
	struct delay_dist_opts opts;
	struct out *out;
	struct by_groups groups;
	struct group *only; /* of this interval, if all is one group */
	struct interval interval;
	struct estimates estimates;
	struct out_col cols[N_TIMES + BY_N_COLS + N_COLUMNS];
	bool failed;
};

/* ---- groups ---- */

static void begin_table(struct delay_dist *d)
{
	bool picture = d->opts.picture;

	if (picture && !out_is_json(d->out) && !out_is_csv(d->out))
		return;
	memcpy(d->cols, time_columns, sizeof(time_columns));
	d->cols[0].hidden = !d->opts.interval.given;
	d->cols[1].hidden = !d->opts.interval.given || d->opts.interval.v >= 1;
	by_cols(d->opts.by, d->cols + N_TIMES);
	memcpy(d->cols + N_TIMES + BY_N_COLS, picture ? bucket_columns : columns,
	       picture ? sizeof(bucket_columns) : sizeof(columns));
	if (!picture)
		d->cols[N_TIMES + BY_N_COLS + C_ERROR].hidden = !d->opts.sampled;
	out_table(d->out, d->cols, N_TIMES + BY_N_COLS + (picture ? N_BUCKET_COLUMNS : N_COLUMNS));
}

struct delay_dist *delay_dist_new(const struct delay_dist_opts *opts, struct out *out)
{
	struct delay_dist *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->opts = *opts;
	d->out = out;
	d->groups = (struct by_groups){
		.key = opts->by, .size = sizeof(struct group), .max = MAX_GROUPS};
	interval_begin(&d->interval, &opts->interval, input_from(opts->in));
	begin_table(d);
	return d;
}

static void group_fini(struct group *g)
{
	for (unsigned k = 0; k <= TOTAL; k++)
		hist_fini(&g->hists[k]);
	for (unsigned i = 0; g->held && i < HOLD_WHYS; i++)
		hist_fini(&g->held[i].hist);
	free(g->held);
}

void delay_dist_free(struct delay_dist *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->groups.n; i++)
		group_fini((struct group *)d->groups.list[i]);
	by_groups_fini(&d->groups);
	estimates_fini(&d->estimates);
	free(d);
}

static struct group *group_of(struct delay_dist *d, const struct segment *s,
			      const struct conn *owner)
{
	struct sock sock;
	struct by_event e = {.sock = &sock, .ifindex = s->ifindex};
	struct task room;
	struct group *g;

	if (d->only)
		return d->only;
	sock = (struct sock){
		.cookie = s->cookie, .flow = s->inner, .netns = s->netns, .has_flow = true};
	e.task = s->task.pid ? &s->task : conn_task(owner, &room);
	g = by_groups_get(&d->groups, d->opts.who, &e);
	if (d->opts.by == BY_ALL)
		d->only = g;
	if (g && !g->n)
		for (unsigned k = 0; k <= TOTAL; k++)
			hist_init(&g->hists[k], d->opts.picture ? 1000 : 0, !d->opts.picture);
	return g;
}

/* A layer that a segment had no reason to pass, or where its way ended, is not unknown. */
static bool is_missed(const struct segment *s, uint32_t recorded, unsigned layer)
{
	uint32_t kernel = s->seen & (SEG_BIT(SEG_WIRE) - 1);

	if (delay_detours(s->dir) & SEG_BIT(layer))
		return false;
	if (s->dir == SEG_OUT && layer == SEG_OUT_SENT)
		return false; /* devices without hardware complete nothing */
	if (s->dir == SEG_OUT && layer == SEG_OUT_WRITE)
		return s->payload && !(s->marks & SEG_AGAIN);
	if (s->dir == SEG_IN && layer == SEG_IN_QUEUE)
		return s->payload && !(s->marks & (SEG_OLD | SEG_UNREAD));
	if (s->dir == SEG_IN && layer == SEG_IN_ESTABLISHED)
		return s->payload && s->seen & SEG_BIT(layer);
	if (layer == SEG_WIRE)
		return !(s->seen & SEG_BIT(layer));
	if (s->seen & SEG_BIT(layer) && !(kernel >> (layer + 1)) && !s->payload)
		return false;
	return recorded & SEG_BIT(layer);
}

static void add_value(struct delay_dist *d, struct hist *hist, struct estimate *worth,
		      const struct segment *s, uint64_t ns, uint64_t weight)
{
	hist_add_n(hist, ns, weight);
	if (weight > 1)
		estimate_add(&d->estimates, worth, &s->wire, 1, weight);
}

/* Of those that were held by it. */
static void add_held(struct delay_dist *d, struct group *g, const struct segment *s,
		     uint64_t weight)
{
	if (!g->held) {
		g->held = calloc(HOLD_WHYS, sizeof(*g->held));
		for (unsigned i = 0; g->held && i < HOLD_WHYS; i++)
			hist_init(&g->held[i].hist, d->opts.picture ? 1000 : 0, !d->opts.picture);
	}
	d->failed |= !g->held;
	for (unsigned i = 0; g->held && i < HOLD_WHYS; i++)
		if (s->held_ns[i])
			add_value(d, &g->held[i].hist, &g->held[i].worth, s, s->held_ns[i], weight);
}

void delay_dist_add(struct delay_dist *d, const struct segment *s, const struct conn *owner,
		    uint64_t weight)
{
	struct group *g = group_of(d, s, owner);

	if (!g)
		return;
	g->n++;
	if (d->opts.by == BY_CONN) /* one connection's row stands for itself alone */
		weight = 1;
	add_value(d, &g->hists[TOTAL], &g->worth[TOTAL], s, s->end_ns - s->start_ns, weight);
	if (s->has_held && delay_is_clean(s, d->opts.recorded, SEG_OUT_WRITE))
		add_held(d, g, s, weight);
	for (const struct delay_layer *l = delay_layers_of(s->dir, d->opts.recorded); l->title;
	     l++) {
		bool known = s->known & SEG_BIT(l->layer), spans = s->spans & SEG_BIT(l->layer);

		if (known && (!spans || delay_is_clean(s, d->opts.recorded, l->layer)))
			add_value(d, &g->hists[l->layer], &g->worth[l->layer], s,
				  s->spent_ns[l->layer], weight);
		else if (is_missed(s, d->opts.recorded, l->layer))
			g->n_unknown[l->layer] += weight;
	}
}

/* ---- printing ---- */

static void cells_group(struct delay_dist *d, const struct group *g, const char *layer)
{
	cell_clock(d->out, d->opts.in, d->interval.from_ns);
	cell_seconds(d->out, d->opts.in, d->interval.from_ns);
	by_cells(d->out, d->opts.who, d->opts.by, &g->by);
	out_str(d->out, layer);
}

static void print_percentiles(struct delay_dist *d, const struct group *g, const struct hist *h,
			      const struct estimate *worth, uint64_t n_unknown, const char *title)
{
	struct out *o = d->out;

	cells_group(d, g, title);
	out_u64(o, h->n);
	out_fixed(o, estimate_error(worth), 0);
	cells_percentiles(o, h, 1000, 3, 3);
	out_u64(o, n_unknown);
	out_end_row(o);
}

static void print_picture(struct delay_dist *d, const struct group *g, const struct hist *h,
			  const char *title)
{
	if (!h->n)
		return;
	if (!out_is_json(d->out) && !out_is_csv(d->out)) {
		struct text *t = out_line(d->out);

		if (d->opts.interval.given)
			text_fmt(t, "+%.6fs  ", input_seconds(d->opts.in, d->interval.from_ns));
		if (d->opts.by != BY_ALL) {
			by_text(t, d->opts.who, d->opts.by, &g->by);
			text_puts(t, "  ");
		}
		text_fmt(t, "%s\n", title);
		hist_draw(h, "usecs", t);
		out_end_line(d->out);
		return;
	}
	for (unsigned i = 0; i < HIST_SLOTS; i++) {
		if (!h->slots[i])
			continue;
		cells_group(d, g, title);
		out_u64(d->out, hist_low(i));
		out_u64(d->out, hist_high(i));
		out_u64(d->out, h->slots[i]);
		out_end_row(d->out);
	}
}

static void print_layer(struct delay_dist *d, const struct group *g, unsigned layer,
			const char *title)
{
	if (d->opts.picture)
		print_picture(d, g, &g->hists[layer], title);
	else
		print_percentiles(d, g, &g->hists[layer], &g->worth[layer], g->n_unknown[layer],
				  title);
}

/* What WRITE was: only what there was. */
static void print_held(struct delay_dist *d, const struct group *g)
{
	bool text = !out_is_json(d->out) && !out_is_csv(d->out);
	char title[32];

	for (unsigned i = 0; g->held && i < HOLD_WHYS; i++) {
		const struct held *held = &g->held[i];

		if (!held->hist.n)
			continue;
		snprintf(title, sizeof(title), text ? "WRITE:%s" : "write_%s", hold_names[i]);
		if (d->opts.picture)
			print_picture(d, g, &held->hist, title);
		else
			print_percentiles(d, g, &held->hist, &held->worth, 0, title);
	}
}

static void print_group(struct delay_dist *d, const struct group *g)
{
	bool text = !out_is_json(d->out) && !out_is_csv(d->out);
	char title[DELAY_TITLE_LEN];

	print_layer(d, g, TOTAL, text ? "TOTAL" : "total");
	for (const struct delay_layer *l = delay_layers_of(d->opts.dir, d->opts.recorded); l->title;
	     l++) {
		uint32_t span = delay_span(d->opts.dir, d->opts.recorded, l->layer);

		if (!span)
			continue;
		delay_title(d->opts.dir, span, title);
		print_layer(d, g, l->layer, text ? title : l->name);
		if (l->layer == SEG_OUT_WRITE && d->opts.dir == SEG_OUT)
			print_held(d, g);
	}
}

/* Groups of other intervals are not kept. */
static bool is_kept(struct by_group *by)
{
	group_fini((struct group *)by);
	return false;
}

static void print_groups(struct delay_dist *d)
{
	by_groups_sort(&d->groups);
	for (size_t i = 0; i < d->groups.n; i++) {
		const struct group *g = (const struct group *)d->groups.list[i];

		print_group(d, g);
		for (unsigned k = 0; k <= TOTAL; k++)
			d->failed |= g->hists[k].failed;
		for (unsigned k = 0; g->held && k < HOLD_WHYS; k++)
			d->failed |= g->held[k].hist.failed;
	}
	by_groups_keep(&d->groups, is_kept);
	d->only = NULL;
	d->failed |= d->estimates.failed;
	estimates_fini(&d->estimates);
}

void delay_dist_pass(struct delay_dist *d, uint64_t ts_ns)
{
	if (!interval_is_over(&d->interval, ts_ns))
		return;
	print_groups(d);
	interval_skip(&d->interval, ts_ns);
}

bool delay_dist_print(struct delay_dist *d)
{
	print_groups(d);
	if (d->groups.n_left_out)
		out_note(d->out,
			 "%" PRIu64
			 " segments of further groups are left out: there are more than %d",
			 d->groups.n_left_out, MAX_GROUPS);
	return !d->failed && !d->groups.failed;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The page's data. Times are seconds since the start of the trace; cells and bins by number. */
#include <string.h>

#include "clock.h"
#include "info.h"
#include "report.h"

static void json_cstr(struct json *j, const char *key, const char *s)
{
	if (s)
		json_str(j, key, s, strlen(s));
	else
		json_null(j, key);
}

/* ---- summary ---- */

static void json_types(struct report *r, struct json *j)
{
	const struct tape_schema *s = input_schema(r->run->in);

	json_open(j, "types", '[');
	for (size_t k = 0; k < s->n_records; k++) {
		if (!r->n_of_record[k] || s->records[k].is_table || s->records[k].id == TAPE_COMMON)
			continue;
		json_open(j, NULL, '{');
		json_cstr(j, "name", s->records[k].name);
		json_cstr(j, "group", s->records[k].group);
		json_u64(j, "count", r->n_of_record[k]);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void json_summary(struct report *r, struct json *j)
{
	static const char *const metas[] = {"host", "kernel.release", "command", "note", "groups"};
	struct input *in = r->run->in;
	const struct evidence *e = &r->evidence;
	struct tape_end end;
	char date[40];

	tape_reader_end(input_reader(in), &end);
	json_open(j, "summary", '{');
	json_cstr(j, "file", r->run->path);
	json_cstr(j, "tcptape", TCPTAPE_VERSION);
	json_cstr(j, "recorder", tape_reader_info(input_reader(in))->writer);
	for (size_t i = 0; i < sizeof(metas) / sizeof(metas[0]); i++)
		json_cstr(j, metas[i], input_meta(in, metas[i]));
	if (input_wall(in, r->axis.start_ns)) {
		clock_date(input_wall(in, r->axis.start_ns), date);
		json_cstr(j, "start", date);
	}
	json_fixed(j, "from_s", input_seconds(in, r->axis.from_ns), 9);
	json_fixed(j, "to_s", input_seconds(in, r->axis.to_ns), 9);
	json_bool(j, "closed", end.closed);
	json_bool(j, "truncated", end.truncated);
	json_u64(j, "events", r->n_events);
	json_u64(j, "lost", e->n_lost);
	json_u64(j, "weight", e->weight);
	json_bool(j, "chosen", input_selects(in) || input_has_window(in));
	json_u64(j, "connects", e->n_connects);
	json_u64(j, "connected", e->n_connected);
	json_u64(j, "connections", r->n_conns);
	json_close(j, '}');
	json_types(r, j);
}

static void json_finding(struct json *j, const struct finding *f)
{
	const char *at = f->evidence.s, *end = at + f->evidence.len;

	json_open(j, NULL, '{');
	json_cstr(j, "cause", f->cause->name);
	json_cstr(j, "title", f->cause->title);
	json_fixed(j, "cost_ms", (double)f->cost_ns / 1e6, 3);
	json_u64(j, "connections", f->n_conns);
	json_u64(j, "failures", f->n_failed);
	json_cstr(j, "confidence", confidence_name(f->confidence));
	json_str(j, "reason", f->reason.s, f->reason.len);
	json_open(j, "evidence", '[');
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		json_str(j, NULL, at, (size_t)(stop - at));
		at = stop + 1;
	}
	json_close(j, ']');
	json_cstr(j, "next", f->next);
	json_close(j, '}');
}

static void json_explain(struct report *r, struct json *j)
{
	json_open(j, "causes", '[');
	for (unsigned i = 0; i < r->explain.n; i++)
		json_finding(j, &r->explain.findings[i]);
	json_close(j, ']');
	json_open(j, "not_looked_for", '[');
	for (unsigned i = 0; i < EXPLAIN_CAUSES; i++)
		if (!explain_can(&r->evidence, explain_causes[i]))
			json_cstr(j, NULL, explain_causes[i]->name);
	json_close(j, ']');
}

/* ---- charts ---- */

static void json_figures(struct json *j, const struct hist *h, double per_us)
{
	static const double parts[] = {0.5, 0.9, 0.99};

	json_u64(j, NULL, h->n);
	for (unsigned i = 0; i < 3; i++)
		json_fixed(j, NULL, (double)hist_percentile(h, parts[i]) / per_us, 3);
	json_fixed(j, NULL, (double)h->max / per_us, 3);
	json_fixed(j, NULL, hist_mean(h) / per_us, 3);
}

/* "figures": n, p50, p90, p99, max, mean; bins: number, the same; cells: bin, cell, count. */
static void json_series(struct json *j, const struct report_series *s, unsigned n_bins)
{
	json_open(j, NULL, '{');
	json_cstr(j, "name", s->name);
	json_cstr(j, "title", s->title);
	json_cstr(j, "command", s->command);
	json_u64(j, "per_us", s->per_us);
	json_open(j, "figures", '[');
	json_figures(j, &s->all, s->per_us);
	json_close(j, ']');
	json_open(j, "bins", '[');
	for (unsigned b = 0; b < n_bins; b++) {
		if (!s->bins[b].n)
			continue;
		json_open(j, NULL, '[');
		json_u64(j, NULL, b);
		json_figures(j, &s->bins[b], s->per_us);
		json_close(j, ']');
	}
	json_close(j, ']');
	json_open(j, "cells", '[');
	for (unsigned b = 0; b < n_bins; b++)
		for (unsigned c = 0; c < REPORT_CELLS; c++) {
			if (!s->cells[b][c])
				continue;
			json_open(j, NULL, '[');
			json_u64(j, NULL, b);
			json_u64(j, NULL, c);
			json_u64(j, NULL, s->cells[b][c]);
			json_close(j, ']');
		}
	json_close(j, ']');
	json_close(j, '}');
}

static void json_lane(struct json *j, const struct report_lane *l, unsigned n_bins)
{
	json_open(j, NULL, '{');
	json_cstr(j, "name", l->name);
	json_cstr(j, "title", l->title);
	json_cstr(j, "command", l->command);
	json_u64(j, "n", l->n);
	json_open(j, "bins", '[');
	for (unsigned b = 0; b < n_bins; b++)
		json_u64(j, NULL, l->bins[b]);
	json_close(j, ']');
	json_open(j, "why", '[');
	for (unsigned i = 0; i < l->n_reasons; i++) {
		json_open(j, NULL, '[');
		json_cstr(j, NULL, l->reasons[i].text);
		json_u64(j, NULL, l->reasons[i].n);
		json_close(j, ']');
	}
	json_close(j, ']');
	json_u64(j, "other", l->n_other);
	json_close(j, '}');
}

/* bins: number, then what a segment spent in each layer on average, us. */
static void json_layers(struct json *j, const struct report_layers *l, enum seg_dir dir,
			unsigned n_bins)
{
	json_open(j, NULL, '{');
	json_cstr(j, "name", l->total->name);
	json_cstr(j, "title", l->total->title);
	json_cstr(j, "command", l->total->command);
	json_open(j, "layers", '[');
	for (const struct delay_layer *d = delay_layers(dir); d->title; d++) {
		if (!l->all[d->layer].n)
			continue;
		json_open(j, NULL, '[');
		json_cstr(j, NULL, d->name);
		json_figures(j, &l->all[d->layer], 1000);
		json_close(j, ']');
	}
	json_close(j, ']');
	json_open(j, "bins", '[');
	for (unsigned b = 0; b < n_bins; b++) {
		double n = (double)l->total->bins[b].n;

		if (!l->total->bins[b].n)
			continue;
		json_open(j, NULL, '[');
		json_u64(j, NULL, b);
		for (const struct delay_layer *d = delay_layers(dir); d->title; d++)
			if (l->all[d->layer].n)
				json_fixed(j, NULL, l->sum_ns[b][d->layer] / n / 1e3, 3);
		json_close(j, ']');
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void json_charts(struct report *r, struct json *j)
{
	unsigned n = r->axis.n;

	json_open(j, "axis", '{');
	json_fixed(j, "from_s", input_seconds(r->run->in, r->axis.from_ns), 9);
	json_fixed(j, "step_s", (double)r->axis.step_ns / 1e9, 9);
	json_u64(j, "n", n);
	json_close(j, '}');
	json_open(j, "series", '[');
	for (unsigned i = 0; i < SERIES_N; i++)
		if (r->series[i] && r->series[i]->all.n)
			json_series(j, r->series[i], n);
	json_close(j, ']');
	json_open(j, "lanes", '[');
	for (unsigned i = 0; i < LANE_N; i++)
		if (r->has_lane[i])
			json_lane(j, &r->lanes[i], n);
	json_close(j, ']');
	json_open(j, "layers", '[');
	for (unsigned d = 0; d < SEG_DIRS; d++)
		if (r->layers[d].has)
			json_layers(j, &r->layers[d], (enum seg_dir)d, n);
	json_close(j, ']');
}

/* ---- lists ---- */

static void json_conns(struct report *r, struct json *j)
{
	uint64_t n = 0;

	slowest_sort(&r->most);
	slowest_sort(&r->slowest);
	json_open(j, "connections", '[');
	for (size_t i = 0; i < r->most.n; i++, n++) {
		const struct report_conn *c = slowest_at(&r->most, i);

		json_number(j, NULL, c->json);
	}
	for (size_t i = 0; i < r->slowest.n; i++) {
		const struct report_conn *c = slowest_at(&r->slowest, i);
		bool is_there = false;

		for (size_t k = 0; k < r->most.n && !is_there; k++)
			is_there = ((const struct report_conn *)slowest_at(&r->most, k))->number ==
				   c->number;
		if (!is_there)
			json_number(j, NULL, c->json);
		n += !is_there;
	}
	json_close(j, ']');
	json_u64(j, "connections_left_out", r->n_conns - n);
}

static void json_losses(struct report *r, struct json *j)
{
	struct input *in = r->run->in;
	size_t n, shown = 0;
	const struct tape_loss *l = tape_reader_losses(input_reader(in), &n);

	json_open(j, "losses", '[');
	for (size_t i = 0; i < n; i++) {
		if (l[i].from_ns > input_to(in) || l[i].to_ns < input_from(in) ||
		    shown++ >= REPORT_LOSSES)
			continue;
		json_open(j, NULL, '{');
		json_fixed(j, "from_s", input_seconds(in, l[i].from_ns), 6);
		json_fixed(j, "to_s", input_seconds(in, l[i].to_ns), 6);
		json_u64(j, "count", l[i].count);
		json_cstr(j, "group", l[i].group);
		json_cstr(j, "reason", info_loss_reason(l[i].reason));
		json_close(j, '}');
	}
	json_close(j, ']');
	json_u64(j, "losses_left_out", shown > REPORT_LOSSES ? shown - REPORT_LOSSES : 0);
}

void report_json(struct report *r, struct json *j)
{
	json_open(j, NULL, '{');
	json_summary(r, j);
	json_explain(r, j);
	json_charts(r, j);
	json_conns(r, j);
	json_losses(r, j);
	json_open(j, "missing", '[');
	for (unsigned i = 0; i < r->n_missing; i++) {
		json_open(j, NULL, '{');
		json_cstr(j, "what", r->missing[i].what);
		json_cstr(j, "why", r->missing[i].why);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
}

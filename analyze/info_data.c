// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "info.h"

/* ---- JSON ---- */

static void json_cstr(struct json *j, const char *key, const char *s)
{
	json_str(j, key, s, strlen(s));
}

static void json_lists(struct info *i, struct json *j)
{
	const struct tape_schema *s = input_schema(i->run->in);
	struct tape_reader *r = input_reader(i->run->in);
	size_t n;
	const struct tape_meta *m = tape_reader_meta(r, &n);

	json_open(j, "meta", '[');
	for (size_t k = 0; k < n; k++) {
		json_open(j, NULL, '{');
		json_cstr(j, "key", m[k].key);
		json_cstr(j, "value", m[k].value);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_open(j, "types", '[');
	for (size_t k = 0; k < s->n_records; k++) {
		if (!i->sums[k].n || s->records[k].id == TAPE_COMMON)
			continue;
		json_open(j, NULL, '{');
		json_cstr(j, "name", s->records[k].name);
		json_cstr(j, "group", s->records[k].is_table ? "table" : s->records[k].group);
		json_u64(j, "count", i->sums[k].n);
		if (i->has_stored)
			json_u64(j, "bytes", i->sums[k].stored);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void json_faults(struct info *i, struct json *j)
{
	struct tape_reader *r = input_reader(i->run->in);
	size_t n;
	const struct tape_loss *l = tape_reader_losses(r, &n);
	const struct tape_damage *d;

	json_open(j, "losses", '[');
	for (size_t k = 0; k < n; k++) {
		json_open(j, NULL, '{');
		json_fixed(j, "from_s", input_seconds(i->run->in, l[k].from_ns), 9);
		json_fixed(j, "to_s", input_seconds(i->run->in, l[k].to_ns), 9);
		json_u64(j, "count", l[k].count);
		json_cstr(j, "group", l[k].group);
		json_cstr(j, "reason", info_loss_reason(l[k].reason));
		if (l[k].cpu != TAPE_CPU_UNKNOWN)
			json_u64(j, "cpu", l[k].cpu);
		json_close(j, '}');
	}
	json_close(j, ']');
	d = tape_reader_damage(r, &n);
	json_open(j, "damage", '[');
	for (size_t k = 0; k < n; k++) {
		json_open(j, NULL, '{');
		json_u64(j, "offset", d[k].offset);
		json_u64(j, "bytes", d[k].bytes);
		json_cstr(j, "text", d[k].text);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void json_part(struct info *i, struct json *j)
{
	if (!i->part.any)
		return;
	json_cstr(j, "recording_id", i->part.id);
	json_cstr(j, "recording_kind", i->part.kind);
	json_u64(j, "part", i->part.number);
	json_u64(j, "events_before", i->part.before);
	json_bool(j, "last_part", i->part.last);
	if (!i->has_gap || !i->gap.known || i->gap.backward)
		return;
	json_u64(j, "missing_parts", i->gap.first ? i->gap.last - i->gap.first + 1 : 0);
	json_u64(j, "missing_events", i->gap.twice ? 0 : i->gap.events);
	json_u64(j, "repeated_events", i->gap.twice ? i->gap.events : 0);
}

static void json_rates(struct info *i, struct json *j)
{
	const struct weights *w = input_rates(i->run->in);

	json_open(j, "rates", '[');
	for (size_t k = 0; k < w->n; k++) {
		for (size_t s = 0; s < w->groups[k].n; s++) {
			const struct weight_step *step = &w->groups[k].steps[s];

			json_open(j, NULL, '{');
			json_fixed(j, "time_s", input_seconds(i->run->in, step->from_ns), 9);
			json_cstr(j, "group", w->groups[k].name);
			json_u64(j, "weight", step->weight);
			json_cstr(j, "cause", info_rate_cause(step->cause));
			json_u64(j, "rate", step->rate);
			json_u64(j, "budget", step->budget);
			json_close(j, '}');
		}
	}
	json_close(j, ']');
}

void info_json(struct info *i)
{
	const struct tape_file_info *f = tape_reader_info(input_reader(i->run->in));
	struct json *j = out_object(i->run->out);
	uint64_t start = input_start(i->run->in);
	uint64_t end = i->end.closed ? i->end.end_ns : i->last_ns;
	char date[40];

	json_cstr(j, "file", i->run->path);
	json_cstr(j, "recorder", f->writer);
	json_u64(j, "format_major", f->major);
	json_u64(j, "format_minor", f->minor);
	json_u64(j, "cpus", f->n_cpus);
	json_u64(j, "start_mono_ns", start);
	if (input_wall(i->run->in, start)) {
		clock_date(input_wall(i->run->in, start), date);
		json_cstr(j, "start", date);
	}
	json_fixed(j, "duration_s", end > start ? (double)(end - start) / 1e9 : 0, 9);
	json_bool(j, "closed", i->end.closed);
	json_bool(j, "truncated", i->end.truncated);
	json_u64(j, "events", i->n_events);
	json_u64(j, "snapshot_rows", i->n_snapshot);
	json_u64(j, "chunks", i->n_chunks);
	json_u64(j, "chunk_bytes", i->bytes);
	json_u64(j, "lost", i->end.lost);
	json_u64(j, "late", i->n_stragglers);
	json_part(i, j);
	json_lists(i, j);
	json_faults(i, j);
	json_rates(i, j);
	out_end_object(i->run->out);
}

/* ---- CSV: a row a fact, with the names that JSON has ---- */

static void csv_str(struct info *i, const char *key, const char *value)
{
	out_str(i->run->out, i->run->path);
	out_str(i->run->out, key);
	out_str(i->run->out, value);
	out_end_row(i->run->out);
}

static void csv_fmt(struct info *i, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void csv_fmt(struct info *i, const char *key, const char *fmt, ...)
{
	char value[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	csv_str(i, key, value);
}

static void csv_lists(struct info *i)
{
	const struct tape_schema *s = input_schema(i->run->in);
	char key[256];
	size_t n;
	const struct tape_meta *m = tape_reader_meta(input_reader(i->run->in), &n);

	for (size_t k = 0; k < n; k++) {
		snprintf(key, sizeof(key), "meta.%s", m[k].key);
		csv_str(i, key, m[k].value);
	}
	for (size_t k = 0; k < s->n_records; k++) {
		if (!i->sums[k].n || s->records[k].id == TAPE_COMMON)
			continue;
		snprintf(key, sizeof(key), "count.%s", s->records[k].name);
		csv_fmt(i, key, "%" PRIu64, i->sums[k].n);
		if (!i->has_stored)
			continue;
		snprintf(key, sizeof(key), "bytes.%s", s->records[k].name);
		csv_fmt(i, key, "%" PRIu64, i->sums[k].stored);
	}
}

static void csv_faults(struct info *i)
{
	size_t n;
	const struct tape_loss *l = tape_reader_losses(input_reader(i->run->in), &n);
	const struct tape_damage *d;

	for (size_t k = 0; k < n; k++)
		csv_fmt(i, "loss", "%.9f to %.9f s: %" PRIu64 " of %.64s: %s",
			input_seconds(i->run->in, l[k].from_ns),
			input_seconds(i->run->in, l[k].to_ns), l[k].count,
			l[k].group[0] ? l[k].group : "?", info_loss_reason(l[k].reason));
	for (size_t k = 0; k < input_rates(i->run->in)->n; k++) {
		const struct weight_group *g = &input_rates(i->run->in)->groups[k];

		for (size_t s = 0; s < g->n; s++)
			csv_fmt(i, "rate", "%.9f s: %.16s 1 in %" PRIu64 ": %s",
				input_seconds(i->run->in, g->steps[s].from_ns), g->name,
				g->steps[s].weight, info_rate_cause(g->steps[s].cause));
	}
	d = tape_reader_damage(input_reader(i->run->in), &n);
	for (size_t k = 0; k < n; k++)
		csv_fmt(i, "damage", "byte %" PRIu64 ", %" PRIu64 " bytes: %.160s", d[k].offset,
			d[k].bytes, d[k].text);
}

static void csv_part(struct info *i)
{
	if (!i->part.any)
		return;
	csv_str(i, "recording_id", i->part.id);
	csv_str(i, "recording_kind", i->part.kind);
	csv_fmt(i, "part", "%" PRIu64, i->part.number);
	csv_fmt(i, "events_before", "%" PRIu64, i->part.before);
	csv_str(i, "last_part", i->part.last ? "true" : "false");
	if (!i->has_gap || !i->gap.known || i->gap.backward)
		return;
	csv_fmt(i, "missing_parts", "%" PRIu64, i->gap.first ? i->gap.last - i->gap.first + 1 : 0);
	csv_fmt(i, "missing_events", "%" PRIu64, i->gap.twice ? 0 : i->gap.events);
	csv_fmt(i, "repeated_events", "%" PRIu64, i->gap.twice ? i->gap.events : 0);
}

void info_csv(struct info *i)
{
	const struct tape_file_info *f = tape_reader_info(input_reader(i->run->in));
	uint64_t start = input_start(i->run->in);
	uint64_t end = i->end.closed ? i->end.end_ns : i->last_ns;
	char date[40];

	csv_str(i, "recorder", f->writer);
	csv_fmt(i, "format", "%u.%u", f->major, f->minor);
	csv_fmt(i, "cpus", "%u", f->n_cpus);
	csv_fmt(i, "start_mono_ns", "%" PRIu64, start);
	if (input_wall(i->run->in, start)) {
		clock_date(input_wall(i->run->in, start), date);
		csv_str(i, "start", date);
	}
	csv_fmt(i, "duration_s", "%.9f", end > start ? (double)(end - start) / 1e9 : 0);
	csv_str(i, "closed", i->end.closed ? "true" : "false");
	csv_str(i, "truncated", i->end.truncated ? "true" : "false");
	csv_fmt(i, "events", "%" PRIu64, i->n_events);
	csv_fmt(i, "snapshot_rows", "%" PRIu64, i->n_snapshot);
	csv_fmt(i, "chunks", "%" PRIu64, i->n_chunks);
	csv_fmt(i, "chunk_bytes", "%" PRIu64, i->bytes);
	csv_fmt(i, "lost", "%" PRIu64, i->end.lost);
	csv_fmt(i, "late", "%" PRIu64, i->n_stragglers);
	csv_part(i);
	csv_lists(i);
	csv_faults(i);
}

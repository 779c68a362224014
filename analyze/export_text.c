// SPDX-License-Identifier: GPL-2.0-or-later
/* Events as CSV, a file for each kind, and as JSON lines, in one file and in their order. */
#include <string.h>

#include "clock.h"
#include "export.h"

/* ---- CSV ---- */

static void csv_header(struct text *t, const struct flat *flat)
{
	text_puts(t, "time,time_s,ts_ns,cpu");
	for (unsigned i = 0; i < flat->n; i++) {
		text_putc(t, ',');
		text_puts(t, flat->columns[i].name);
	}
	text_puts(t, "\n");
}

static void csv_row(struct export *x, struct text *t, const struct flat_table *table, uint32_t i)
{
	uint64_t ns = flat_run_ns(&x->flat, table->events[i]), wall = input_wall(x->run->in, ns);
	struct flat_value v;
	char date[40];
	uint32_t cpu;

	if (wall) {
		clock_date(wall, date);
		text_puts(t, date);
	}
	text_fmt(t, ",%.9f,%llu,", input_seconds(x->run->in, ns), (unsigned long long)ns);
	if (flat_run_cpu(&x->flat, table->events[i], &cpu))
		text_u64(t, cpu);
	for (unsigned k = 0; k < table->flat.n; k++) {
		text_putc(t, ',');
		flat_get(&table->flat.columns[k], &table->data[k], table->rows[i], &v);
		if (v.is == FLAT_IS_TEXT)
			text_csv(t, v.s, v.len);
		else if (v.is == FLAT_IS_INT)
			text_fmt(t, "%lld", (long long)v.v);
		else if (v.is == FLAT_IS_UINT)
			text_u64(t, v.v);
	}
	text_puts(t, "\n");
}

static int csv_table(void *ctx, struct flat_run *run, struct flat_table *table)
{
	struct export *x = ctx;
	bool is_new;
	struct export_file *f = export_table(x, table, "csv", &is_new);

	if (!f)
		return -1;
	if (is_new)
		csv_header(&f->text, &table->flat);
	for (uint32_t i = 0; i < table->n; i++) {
		csv_row(x, &f->text, table, i);
		if (export_flush(x, f, false))
			return -1;
	}
	return 0;
}

int export_csv(struct export *x)
{
	x->flat.on_table = csv_table;
	return flat_run(&x->flat);
}

/* ---- JSON lines ---- */

static void json_row(struct export *x, struct json *j, const struct flat_table *table, uint32_t i)
{
	uint64_t ns = flat_run_ns(&x->flat, table->events[i]), wall = input_wall(x->run->in, ns);
	const char *event = table->flat.rec->name;
	struct flat_value v;
	char date[40];
	uint32_t cpu;

	j->comma = false;
	json_open(j, NULL, '{');
	json_str(j, "event", event, strlen(event));
	if (wall) {
		clock_date(wall, date);
		json_str(j, "time", date, strlen(date));
	} else {
		json_null(j, "time");
	}
	json_fixed(j, "time_s", input_seconds(x->run->in, ns), 9);
	json_u64(j, "ts_ns", ns);
	if (flat_run_cpu(&x->flat, table->events[i], &cpu))
		json_u64(j, "cpu", cpu);
	else
		json_null(j, "cpu");
	for (unsigned k = 0; k < table->flat.n; k++) {
		const char *key = table->flat.columns[k].name;

		flat_get(&table->flat.columns[k], &table->data[k], table->rows[i], &v);
		switch (v.is) {
		case FLAT_IS_TEXT: json_str(j, key, v.s, v.len); break;
		case FLAT_IS_INT: json_i64(j, key, (int64_t)v.v); break;
		case FLAT_IS_UINT: json_u64(j, key, v.v); break;
		default: json_null(j, key);
		}
	}
	json_close(j, '}');
	text_putc(j->t, '\n');
}

static int json_chunk(void *ctx, struct flat_run *run)
{
	struct export *x = ctx;
	struct json j = {.t = &x->one.text};

	for (uint32_t i = 0; i < run->n_events; i++) {
		json_row(x, &j, run->order[i].table, run->order[i].i);
		if (export_flush(x, &x->one, false))
			return -1;
	}
	return 0;
}

int export_jsonl(struct export *x)
{
	x->flat.on_chunk = json_chunk;
	return export_open(x, &x->one, NULL, NULL) ? -1 : flat_run(&x->flat);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "flat_run.h"

#include <stdlib.h>
#include <string.h>

static int choose(struct flat_run *run, const char *events)
{
	for (size_t i = 0; i < run->n_tables; i++)
		run->tables[i].on = !events && !run->tables[i].flat.rec->is_table &&
				    run->tables[i].flat.rec->id;
	for (const char *p = events; p && *p;) {
		size_t len = strcspn(p, ","), i = 0;

		while (i < run->n_tables && (run->tables[i].flat.rec->is_table ||
					     strlen(run->tables[i].flat.rec->name) != len ||
					     memcmp(run->tables[i].flat.rec->name, p, len)))
			i++;
		if (i == run->n_tables)
			return fail_set(run->fail, STATUS_LACKS,
					"this trace knows no event '%.*s'; tcptape info lists its "
					"events",
					(int)len, p);
		run->tables[i].on = true;
		p += len + (p[len] == ',');
	}
	return 0;
}

int flat_run_init(struct flat_run *run, struct input *in, const char *events, struct fail *fail)
{
	const struct tape_schema *schema = input_schema(in);

	run->in = in;
	run->fail = fail;
	run->n_tables = schema->n_records;
	run->tables = calloc(run->n_tables + 1, sizeof(*run->tables));
	if (!run->tables || record_set_init(&run->set, schema))
		return fail_nomem(fail);
	for (size_t i = 0; i < run->n_tables; i++) {
		struct flat_table *t = &run->tables[i];

		if (flat_init(&t->flat, schema, &schema->records[i]))
			return fail_nomem(fail);
		t->data = calloc(t->flat.n + 1, sizeof(*t->data));
		if (!t->data)
			return fail_nomem(fail);
	}
	return choose(run, events);
}

void flat_run_fini(struct flat_run *run)
{
	for (size_t i = 0; run->tables && i < run->n_tables; i++) {
		flat_fini(&run->tables[i].flat);
		free(run->tables[i].data);
		free(run->tables[i].rows);
		free(run->tables[i].events);
	}
	if (run->set.records)
		record_set_fini(&run->set);
	free(run->tables);
	free(run->order);
}

/* ---- chunks ---- */

static bool wants(void *ctx, const struct tape_chunk *chunk)
{
	const struct flat_run *run = ctx;

	for (size_t i = 0; i < run->n_tables; i++)
		if (run->tables[i].on && tape_chunk_rows(chunk, run->tables[i].flat.rec->id))
			return true;
	return false;
}

/* On some thread: what is decoded stays with the chunk. */
static int decode(const void *ctx, struct tape_chunk *chunk, struct tape_error *err)
{
	const struct flat_run *run = ctx;
	struct flat_data data;
	int damage = 0;

	for (size_t i = 0; i < run->n_tables; i++) {
		const struct flat_table *t = &run->tables[i];

		for (unsigned k = 0;
		     t->on && tape_chunk_rows(chunk, t->flat.rec->id) && k < t->flat.n; k++) {
			int rc = flat_load(&data, &t->flat.columns[k], chunk, t->flat.rec->id, err);

			if (rc == TAPE_E_NOMEM)
				return rc;
			damage = rc ? rc : damage;
		}
	}
	return damage;
}

/* Room for n numbers of each array. */
static int reserve(struct flat_run *run, struct flat_table *t, uint32_t n)
{
	uint32_t *rows, *events;

	if (n <= t->room)
		return 0;
	rows = realloc(t->rows, n * sizeof(*rows));
	t->rows = rows ? rows : t->rows;
	events = realloc(t->events, n * sizeof(*events));
	t->events = events ? events : t->events;
	if (!rows || !events)
		return fail_nomem(run->fail);
	t->room = n;
	return 0;
}

static int begin_chunk(struct flat_run *run, uint32_t n)
{
	for (size_t i = 0; i < run->n_tables; i++) {
		struct flat_table *t = &run->tables[i];
		uint32_t n_rows = t->on ? tape_chunk_rows(run->chunk, t->flat.rec->id) : 0;

		t->n = 0;
		if (reserve(run, t, n_rows))
			return -1;
		for (unsigned k = 0; n_rows && k < t->flat.n; k++)
			flat_load(&t->data[k], &t->flat.columns[k], run->chunk, t->flat.rec->id,
				  NULL); /* damage was told by decode */
	}
	if (n > run->room) {
		struct flat_event *more = realloc(run->order, n * sizeof(*more));

		if (!more)
			return fail_nomem(run->fail);
		run->order = more;
		run->room = n;
	}
	run->n_events = 0;
	return record_set_load(&run->set, run->chunk) < 0 ? fail_nomem(run->fail) : 0;
}

uint64_t flat_run_ns(const struct flat_run *run, uint32_t event)
{
	return record_get(&run->set.records[0], TAPE_COMMON_TS, event);
}

bool flat_run_cpu(const struct flat_run *run, uint32_t event, uint32_t *ret)
{
	*ret = (uint32_t)record_get(&run->set.records[0], TAPE_COMMON_CPU, event);
	return run->set.records[0].fields[TAPE_COMMON_CPU].have;
}

/* all: no event of the chunk is left out. */
static void take_event(struct flat_run *run, uint32_t i, const struct bind_tables *tables, bool all)
{
	struct picked who;
	uint32_t k;
	const struct record *r = record_set_event(&run->set, i, &k);
	struct flat_table *t = r ? &run->tables[r - run->set.records] : NULL;

	if (!t || !t->on || k >= r->n_rows ||
	    (!all && !pick(run->in, r, k, flat_run_ns(run, i), tables, &who)))
		return;
	t->rows[t->n] = k;
	t->events[t->n] = i;
	run->order[run->n_events].table = t;
	run->order[run->n_events++].i = t->n++;
}

static int on_chunk(void *ctx, struct tape_chunk *chunk, const struct bind_tables *tables)
{
	const struct tape_chunk_head *head = tape_chunk_head(chunk);
	struct flat_run *run = ctx;
	bool all;
	uint32_t n;

	run->chunk = chunk;
	if (begin_chunk(run, tape_chunk_rows(chunk, TAPE_COMMON)))
		return -1;
	n = record_set_n_events(&run->set);
	all = !input_selects(run->in) && head->ts_min >= input_from(run->in) &&
	      head->ts_max <= input_to(run->in);
	for (uint32_t i = 0; i < n; i++)
		take_event(run, i, tables, all);
	for (size_t i = 0; run->on_table && i < run->n_tables; i++) {
		struct flat_table *t = &run->tables[i];

		t->seen |= t->n > 0;
		if (t->n && run->on_table(run->ctx, run, t))
			return -1;
	}
	return run->on_chunk && run->n_events ? run->on_chunk(run->ctx, run) : 0;
}

int flat_run(struct flat_run *run)
{
	struct input_job job = {
		.raw_wants = wants, .raw_decode = decode, .on_raw = on_chunk, .ctx = run};

	for (size_t i = 0; i < run->n_tables; i++)
		run->set.records[i].on = run->tables[i].on;
	record_set_ready(&run->set);
	return input_run(run->in, &job, run->fail);
}

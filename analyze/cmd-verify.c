// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * verify: reads all of a trace and holds what it says of itself against what it holds: checksums
 * and block numbers (the reader's part), every column of every chunk, times against their bounds
 * and the order promised, counts, the index, the end. docs/format.md says what must be.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "pass.h"

struct verify {
	struct cmd_run *run;
	uint64_t n_chunks, n_snapshots, n_read;
	uint64_t n_events;  /* n_read, and those of chunks that were left out */
	uint64_t n_strange; /* columns of a newer version */
	uint64_t floor_ns, lost;
	uint64_t n_found, first_at;
	bool after_damage; /* counts go on from what the next chunk says */
	size_t n_damage;   /* of the reader's list, so far shown */
	const struct tape_index_entry *index;
	size_t n_index, next_index;
};

static const struct out_col cols[] = {
	{"OFFSET", "offset", -12, false},
	{"BYTES", "bytes", -10, false},
	{"WHAT", "what", 0, false},
};

static void found(struct verify *v, uint64_t offset, uint64_t bytes, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void found(struct verify *v, uint64_t offset, uint64_t bytes, const char *fmt, ...)
{
	struct out *o = v->run->out;
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!v->n_found)
		out_table(o, cols, sizeof(cols) / sizeof(cols[0]));
	if (!v->n_found++ || offset < v->first_at)
		v->first_at = offset;
	out_u64(o, offset);
	if (bytes)
		out_u64(o, bytes);
	else
		out_none(o);
	out_str(o, text);
	out_end_row(o);
}

/* What the reader met and left out since the call before. */
static void show_damage(struct verify *v)
{
	size_t n;
	const struct tape_damage *d = tape_reader_damage(input_reader(v->run->in), &n);

	v->after_damage |= n > v->n_damage;
	for (; v->n_damage < n; v->n_damage++)
		found(v, d[v->n_damage].offset, d[v->n_damage].bytes, "%s", d[v->n_damage].text);
}

/* ---- one chunk ---- */

struct work { /* what a chunk tells by itself */
	uint64_t min_ns, max_ns, n_strange;
	bool has_times, no_memory;
	struct tape_error *faults; /* of its columns */
	size_t n_faults;
};

static void add_fault(struct work *w, const struct tape_error *err)
{
	struct tape_error *more = realloc(w->faults, (w->n_faults + 1) * sizeof(*more));

	w->no_memory |= !more;
	if (!more)
		return;
	w->faults = more;
	w->faults[w->n_faults++] = *err;
}

static void decode_times(struct work *w, struct tape_chunk *chunk)
{
	struct tape_column ts;

	w->min_ns = UINT64_MAX;
	w->max_ns = 0;
	w->has_times = !tape_chunk_column(chunk, TAPE_COMMON, TAPE_COMMON_TS, &ts, NULL);
	for (uint32_t i = 0; w->has_times && i < ts.n; i++) {
		uint64_t t = tape_column_get(&ts, i);

		w->min_ns = t < w->min_ns ? t : w->min_ns;
		w->max_ns = t > w->max_ns ? t : w->max_ns;
	}
}

/* On some thread: decode all that the schema knows. */
static void decode(void *ctx, struct tape_chunk *chunk, void *work)
{
	const struct verify *v = ctx;
	const struct tape_schema *s = input_schema(v->run->in);
	struct work *w = work;
	struct tape_column col;
	struct tape_error err;

	w->n_faults = w->n_strange = 0;
	decode_times(w, chunk);
	for (size_t k = 0; k < s->n_records; k++) {
		const struct tape_record *rec = &s->records[k];

		for (unsigned f = 0; tape_chunk_rows(chunk, rec->id) && f < rec->n_fields; f++) {
			int rc = tape_chunk_column(chunk, rec->id, f, &col, &err);

			w->no_memory |= rc == TAPE_E_NOMEM;
			w->n_strange += rc == TAPE_E_UNKNOWN;
			if (rc && rc != TAPE_E_NOMEM && rc != TAPE_E_UNKNOWN && rc != TAPE_E_ABSENT)
				add_fault(w, &err);
		}
	}
}

static void fini_work(void *ctx, void *work)
{
	free(((struct work *)work)->faults);
}

static int check_columns(struct verify *v, const struct work *w, const struct tape_chunk *chunk)
{
	if (w->no_memory)
		return fail_nomem(v->run->fail);
	v->n_strange += w->n_strange;
	for (size_t i = 0; i < w->n_faults; i++)
		found(v, tape_chunk_offset(chunk), 0, "%s", w->faults[i].text);
	return 0;
}

/* Events earlier than the floor of the chunk before, which few chunks have. */
static uint64_t count_late(const struct verify *v, const struct work *w, struct tape_chunk *chunk)
{
	struct tape_column ts;
	uint64_t late = 0;

	if (w->min_ns >= v->floor_ns ||
	    tape_chunk_column(chunk, TAPE_COMMON, TAPE_COMMON_TS, &ts, NULL))
		return 0;
	for (uint32_t i = 0; i < ts.n; i++)
		late += tape_column_get(&ts, i) < v->floor_ns;
	return late;
}

/* Times against the header's bounds, and against the floor of the chunk before. */
static void check_times(struct verify *v, const struct work *w, struct tape_chunk *chunk)
{
	const struct tape_chunk_head *h = tape_chunk_head(chunk);
	uint64_t at = tape_chunk_offset(chunk), late;

	if (!w->has_times) {
		found(v, at, 0, "chunk at byte %" PRIu64 ": its events have no times", at);
		return;
	}
	if (w->min_ns != h->ts_min || w->max_ns != h->ts_max)
		found(v, at, 0, "chunk at byte %" PRIu64 ": its times are not those of its header",
		      at);
	if (tape_chunk_is_snapshot(chunk))
		return;
	late = count_late(v, w, chunk);
	if (late != h->n_stragglers)
		found(v, at, 0,
		      "chunk at byte %" PRIu64 ": %" PRIu64
		      " events are earlier than was promised, its header says %" PRIu32,
		      at, late, h->n_stragglers);
	if (h->ts_floor < h->ts_max || h->ts_floor < v->floor_ns)
		found(v, at, 0, "chunk at byte %" PRIu64 ": the promised order is taken back", at);
	v->floor_ns = h->ts_floor > v->floor_ns ? h->ts_floor : v->floor_ns;
}

/* Sums that run through the file; where something was left out they are taken as they come. */
static void check_sums(struct verify *v, const struct tape_chunk *chunk)
{
	const struct tape_chunk_head *h = tape_chunk_head(chunk);
	uint64_t at = tape_chunk_offset(chunk);

	if (!v->after_damage && h->first_event != v->n_events)
		found(v, at, 0,
		      "chunk at byte %" PRIu64 ": %" PRIu64 " events are before it, not %" PRIu64,
		      at, v->n_events, h->first_event);
	if (h->lost < v->lost)
		found(v, at, 0, "chunk at byte %" PRIu64 ": the sum of lost events falls", at);
	v->lost = h->lost;
	v->n_events = h->first_event;
	if (tape_chunk_is_snapshot(chunk)) {
		v->n_snapshots++;
	} else {
		v->n_chunks++;
		v->n_events += h->n_events;
		v->n_read += h->n_events;
	}
	v->after_damage = false;
}

/* The index must name each chunk, and no other place. Entries of what was left out are passed over.
 */
static void check_index(struct verify *v, const struct tape_chunk *chunk)
{
	const struct tape_chunk_head *h = tape_chunk_head(chunk);
	uint64_t at = tape_chunk_offset(chunk);
	const struct tape_index_entry *e;

	while (v->next_index < v->n_index && v->index[v->next_index].offset < at) {
		e = &v->index[v->next_index++];
		if (!v->after_damage)
			found(v, e->offset, 0,
			      "the index names byte %" PRIu64 ", where no chunk is", e->offset);
	}
	if (!v->index)
		return;
	e = v->next_index < v->n_index ? &v->index[v->next_index] : NULL;
	if (!e || e->offset != at) {
		found(v, at, 0, "the index leaves out the chunk at byte %" PRIu64, at);
		return;
	}
	v->next_index++;
	if (e->ts_min != h->ts_min || e->ts_max != h->ts_max)
		found(v, at, 0, "the index gives the chunk at byte %" PRIu64 " other times", at);
}

static int check_chunk(void *ctx, struct tape_chunk *chunk, void *work)
{
	struct verify *v = ctx;

	input_reached(v->run->in, tape_chunk_head(chunk)->ts_max);
	show_damage(v);
	check_index(v, chunk);
	check_sums(v, chunk);
	check_times(v, work, chunk);
	return check_columns(v, work, chunk) || out_flush(v->run->out) ? -1 : 0;
}

/* An error that ends the reading is a fault like the others, unless it is ours. */
static int check_chunks(struct verify *v)
{
	struct tape_pass pass = {.n_workers = input_workers(v->run->in),
				 .map = decode,
				 .reduce = check_chunk,
				 .work_size = sizeof(struct work),
				 .work_fini = fini_work,
				 .ctx = v};
	struct tape_error err;
	int rc = tape_pass_run(&pass, input_reader(v->run->in), &err);

	if (rc == 1)
		return -1;
	show_damage(v);
	if (rc == TAPE_E_NOMEM || rc == TAPE_E_IO)
		return fail_tape(v->run->fail, v->run->path, &err);
	if (rc) {
		found(v, err.offset, 0, "%s", err.text);
		v->after_damage = true;
	}
	return 0;
}

/* ---- the whole ---- */

static void check_end(struct verify *v)
{
	struct tape_end end;

	tape_reader_end(input_reader(v->run->in), &end);
	if (end.truncated)
		found(v, end.truncated_at, 0, "the trace ends inside a block");
	if (!end.closed)
		return;
	if (!v->after_damage && end.n_events != v->n_events)
		found(v, 0, 0, "the end speaks of %" PRIu64 " events, there are %" PRIu64,
		      end.n_events, v->n_events);
	if (end.lost < v->lost)
		found(v, 0, 0, "the end speaks of %" PRIu64 " lost events, the chunks of %" PRIu64,
		      end.lost, v->lost);
	if (input_is_pipe(v->run->in))
		return;
	if (!v->index && v->n_chunks + v->n_snapshots)
		out_note(v->run->out, "there is no index: finding a time takes longer");
	for (; v->next_index < v->n_index && !v->after_damage; v->next_index++)
		found(v, v->index[v->next_index].offset, 0,
		      "the index names byte %" PRIu64 ", where no chunk is",
		      v->index[v->next_index].offset);
}

static void say(struct verify *v)
{
	struct out *o = v->run->out;
	struct json *j;

	if (out_is_json(o)) {
		j = out_object(o);
		json_str(j, "file", v->run->path, strlen(v->run->path));
		json_u64(j, "events", v->n_read);
		json_u64(j, "chunks", v->n_chunks);
		json_u64(j, "snapshots", v->n_snapshots);
		json_u64(j, "found", v->n_found);
		out_end_object(o);
	} else if (!out_is_csv(o)) {
		struct text *t = out_line(o);

		text_safe(t, v->run->path, strlen(v->run->path));
		text_fmt(t, ": %" PRIu64 " events in %" PRIu64 " chunks, %" PRIu64 " snapshots: ",
			 v->n_read, v->n_chunks, v->n_snapshots);
		if (v->n_found)
			text_fmt(t, "%" PRIu64 " fault%s", v->n_found, v->n_found == 1 ? "" : "s");
		else
			text_puts(t, "good");
		out_end_line(o);
	}
	if (v->n_strange)
		out_note(o, "%" PRIu64 " columns are written in a newer way and were not looked at",
			 v->n_strange);
}

static int run(struct cmd_run *run)
{
	struct verify v = {.run = run};

	if (!input_is_pipe(run->in))
		v.index = tape_reader_index(input_reader(run->in), &v.n_index);
	if (check_chunks(&v))
		return -1;
	check_end(&v);
	say(&v);
	if (!v.n_found)
		return 0;
	return fail_set(run->fail, STATUS_FOUND, "%s: damaged, first at byte %" PRIu64 "",
			run->path, v.first_at);
}

const struct cmd cmd_verify = {
	.name = "verify",
	.summary = "checks every checksum, column, count and time of a trace",
	.about = "Each fault is a line with its place in the file; the exit status is 1 if there "
		 "is\n"
		 "one. A trace that was not closed is no fault, but is said.\n",
	.many_files = true,
	.plain_input = true,
	.run = run,
};

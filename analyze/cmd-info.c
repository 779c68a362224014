// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape info: what a trace holds, how it was recorded and what is missing. Of a file only the
 * block headers are read, so its size does not matter much.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "cmd.h"
#include "crosscheck.h"
#include "layout.h"

#define MAX_SUMS 64 /* of losses, by group and reason */

static struct {
	bool all, counters;
	bool has_header; /* of CSV: one for all files */
} opts;

static const struct opt_row rows[] = {
	{'v', "all", NULL, OPT_FLAG, 0, "all metadata, and each interval of loss"},
	{'c', "counters", NULL, OPT_FLAG, offsetof(__typeof__(opts), counters),
	 "instead: the kernel's counters over the recording, beside the events of the\n"
	 "same kind that were recorded"},
};

struct type_sum { /* of one record type */
	uint64_t n, stored;
};

struct info {
	struct cmd_run *run;
	struct type_sum *sums; /* by place in the schema */
	uint64_t n_events, n_snapshot, n_chunks, n_snapshots, bytes, n_stragglers, first_ns,
		last_ns;
	bool has_stored;
	struct tape_end end;
};

/* ---- reading ---- */

static void add_stored(struct info *i, struct tape_chunk *chunk)
{
	const struct tape_schema *s = input_schema(i->run->in);

	for (size_t k = 0; k < s->n_records; k++)
		for (unsigned f = 0; f < s->records[k].n_fields; f++) {
			size_t bytes = tape_chunk_column_stored(chunk, s->records[k].id, f);

			i->sums[k].stored += bytes;
			i->has_stored |= bytes != 0;
		}
}

static void add_chunk(struct info *i, struct tape_chunk *chunk)
{
	const struct tape_schema *s = input_schema(i->run->in);
	const struct tape_chunk_head *head = tape_chunk_head(chunk);
	bool snapshot = tape_chunk_is_snapshot(chunk);

	for (size_t k = 0; k < s->n_records; k++)
		i->sums[k].n += tape_chunk_rows(chunk, s->records[k].id);
	add_stored(i, chunk);
	*(snapshot ? &i->n_snapshot : &i->n_events) += head->n_events;
	*(snapshot ? &i->n_snapshots : &i->n_chunks) += 1;
	i->bytes += tape_chunk_stored_len(chunk);
	i->n_stragglers += head->n_stragglers;
	input_reached(i->run->in, head->ts_max);
	if (snapshot)
		return;
	if (!i->first_ns || head->ts_min < i->first_ns)
		i->first_ns = head->ts_min;
	i->last_ns = head->ts_max > i->last_ns ? head->ts_max : i->last_ns;
}

static int read_all(struct info *i)
{
	struct tape_reader *r = input_reader(i->run->in);
	struct tape_chunk *chunk;
	struct tape_error err;
	int rc;

	while ((rc = input_is_pipe(i->run->in) ? tape_reader_next(r, &chunk, &err)
					       : tape_reader_next_header(r, &chunk, &err)) == 1)
		add_chunk(i, chunk);
	tape_reader_end(r, &i->end);
	return rc ? fail_tape(i->run->fail, i->run->path, &err) : 0;
}

/* ---- printing ---- */

static const char *loss_reason(uint8_t reason)
{
	static const char *const names[] = {
		[TAPE_LOSS_RING] = "ring full",
		[TAPE_LOSS_RECURSION] = "program was running already",
		[TAPE_LOSS_MISSED] = "kprobe missed",
		[TAPE_LOSS_UNRECORDED] = "not written",
		[TAPE_LOSS_DAMAGED] = "damaged, and not saved by repair",
		[TAPE_LOSS_UNTOLD] = "the record of why was damaged",
	};

	return reason < sizeof(names) / sizeof(names[0]) && names[reason] ? names[reason] : "other";
}

static void line(struct out *o, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void line(struct out *o, const char *key, const char *fmt, ...)
{
	struct text *t = out_line(o);
	size_t start = t->len;
	char value[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	text_safe(t, key, strlen(key));
	text_pad(t, start, 14);
	text_putc(t, ' ');
	text_safe(t, value, strlen(value));
	out_end_line(o);
}

static void print_times(struct info *i)
{
	struct out *o = i->run->out;
	uint64_t start = input_start(i->run->in);
	uint64_t end = i->end.closed ? i->end.end_ns : i->last_ns;
	char from[40], to[40];

	if (end < start)
		end = start;
	if (input_wall(i->run->in, start)) {
		clock_date(input_wall(i->run->in, start), from);
		clock_date(input_wall(i->run->in, end), to);
		line(o, "start", "%s", from);
		line(o, "end", "%s%s", to,
		     i->end.closed ? "" : " (last event; the recording was not closed)");
	}
	line(o, "duration", "%.3f s", (double)(end - start) / 1e9);
}

static void print_clocks(struct info *i)
{
	size_t n;
	const struct tape_clock *c = tape_reader_clocks(input_reader(i->run->in), &n);
	double drift = 0;

	if (!n) {
		line(i->run->out, "clock", "no relation to wall-clock time");
		return;
	}
	if (n > 1)
		drift = (double)(int64_t)((c[n - 1].real_ns - c[0].real_ns) -
					  (c[n - 1].mono_ns - c[0].mono_ns)) /
			1e3;
	line(i->run->out, "clock",
	     "%zu reading%s, +-%.3f us; wall time moved %+.3f us against monotonic", n,
	     n == 1 ? "" : "s", (double)c[0].uncertainty_ns / 1e3, drift);
}

static void print_size(struct info *i)
{
	struct out *o = i->run->out;
	struct stat st;
	uint64_t bytes = i->bytes;

	if (!input_is_pipe(i->run->in) && !stat(i->run->path, &st))
		bytes = (uint64_t)st.st_size;
	line(o, "size",
	     "%" PRIu64 " bytes, %" PRIu64 " chunks, %" PRIu64 " snapshots; %.2f bytes an event",
	     bytes, i->n_chunks, i->n_snapshots,
	     i->n_events ? (double)bytes / (double)i->n_events : 0);
	line(o, "closed", "%s",
	     i->end.closed	? "yes"
	     : i->end.truncated ? "no, and the last block is incomplete"
				: "no");
}

/* The lines that tell how it was recorded; the rest (limits, sysctls) only with --all. */
static bool is_short(const char *key)
{
	static const char *const prefixes[] = {"host",	  "machine",  "kernel.release", "note",
					       "command", "option.",  "groups",		"probe.",
					       "absent.", "identity", "repair."};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(key, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static void print_meta(struct info *i, bool in_short)
{
	size_t n;
	const struct tape_meta *m = tape_reader_meta(input_reader(i->run->in), &n);

	for (size_t k = 0; k < n; k++)
		if (is_short(m[k].key) == in_short)
			line(i->run->out, m[k].key, "%s", m[k].value);
}

static void print_types(struct info *i, bool snapshot)
{
	const struct tape_schema *s = input_schema(i->run->in);
	struct text *t = out_line(i->run->out);

	text_fmt(t, "\n%-14s %12s %12s  %s\n", snapshot ? "SNAPSHOT" : "EVENT", "COUNT",
		 i->has_stored ? "BYTES" : "", "GROUP");
	for (size_t k = 0; k < s->n_records; k++) {
		const struct tape_record *rec = &s->records[k];
		size_t start = t->len;

		if (!i->sums[k].n || rec->id == TAPE_COMMON)
			continue;
		if (rec->is_table ? snapshot : !strcmp(rec->group, "snapshot") != snapshot)
			continue;
		text_safe(t, rec->name, strlen(rec->name));
		text_pad(t, start, 14);
		text_fmt(t, " %12" PRIu64, i->sums[k].n);
		if (i->has_stored)
			text_fmt(t, " %12" PRIu64, i->sums[k].stored);
		else
			text_fmt(t, " %12s", "");
		text_puts(t, "  ");
		if (rec->is_table)
			text_puts(t, "(table)");
		else
			text_safe(t, rec->group, strlen(rec->group));
		out_end_line(i->run->out);
	}
}

static void print_loss_each(struct info *i, const struct tape_loss *l, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		char cpu[16] = "?";

		if (l[k].cpu != TAPE_CPU_UNKNOWN)
			snprintf(cpu, sizeof(cpu), "%u", l[k].cpu);
		line(i->run->out, "", "+%.6f to +%.6f s: %" PRIu64 " of %s on cpu %s: %s",
		     input_seconds(i->run->in, l[k].from_ns), input_seconds(i->run->in, l[k].to_ns),
		     l[k].count, l[k].group[0] ? l[k].group : "?", cpu, loss_reason(l[k].reason));
	}
}

struct loss_sum {
	const struct tape_loss *first; /* of this group and reason */
	uint64_t count, intervals, from_ns, to_ns;
};

/* Where it is added up; NULL: a hostile trace has more groups than that. */
static struct loss_sum *find_sum(struct loss_sum sums[MAX_SUMS], size_t *n,
				 const struct tape_loss *l)
{
	for (size_t k = 0; k < *n; k++)
		if (sums[k].first->reason == l->reason && !strcmp(sums[k].first->group, l->group))
			return &sums[k];
	if (*n == MAX_SUMS)
		return NULL;
	sums[*n] = (struct loss_sum){.first = l, .from_ns = l->from_ns, .to_ns = l->to_ns};
	return &sums[(*n)++];
}

/* By group and reason. */
static void print_loss_sums(struct info *i, const struct tape_loss *l, size_t n)
{
	struct loss_sum sums[MAX_SUMS];
	size_t n_sums = 0;

	for (size_t k = 0; k < n; k++) {
		struct loss_sum *s = find_sum(sums, &n_sums, &l[k]);

		if (!s)
			continue;
		s->count += l[k].count;
		s->intervals++;
		s->from_ns = l[k].from_ns < s->from_ns ? l[k].from_ns : s->from_ns;
		s->to_ns = l[k].to_ns > s->to_ns ? l[k].to_ns : s->to_ns;
	}
	for (size_t k = 0; k < n_sums; k++)
		line(i->run->out, "",
		     "%" PRIu64 " of %s in %" PRIu64 " intervals, +%.3f to +%.3f s: %s",
		     sums[k].count, sums[k].first->group[0] ? sums[k].first->group : "?",
		     sums[k].intervals, input_seconds(i->run->in, sums[k].from_ns),
		     input_seconds(i->run->in, sums[k].to_ns), loss_reason(sums[k].first->reason));
}

static void print_losses(struct info *i)
{
	size_t n, n_damage;
	const struct tape_loss *l = tape_reader_losses(input_reader(i->run->in), &n);
	const struct tape_damage *d = tape_reader_damage(input_reader(i->run->in), &n_damage);

	line(i->run->out, "lost", "%" PRIu64 " events", i->end.lost);
	if (opts.all)
		print_loss_each(i, l, n);
	else
		print_loss_sums(i, l, n);
	if (i->n_stragglers)
		line(i->run->out, "late", "%" PRIu64 " events came too late to be sorted in",
		     i->n_stragglers);
	line(i->run->out, "damage", "%s", n_damage ? "" : "none");
	for (size_t k = 0; k < n_damage; k++)
		line(i->run->out, "", "byte %" PRIu64 ", %" PRIu64 " bytes: %s", d[k].offset,
		     d[k].bytes, d[k].text);
}

static void print_text(struct info *i)
{
	const struct tape_file_info *f = tape_reader_info(input_reader(i->run->in));
	struct out *o = i->run->out;

	line(o, "file", "%s", i->run->path);
	line(o, "recorder", "%s; format %u.%u; %u cpus", f->writer, f->major, f->minor, f->n_cpus);
	print_times(i);
	print_clocks(i);
	print_size(i);
	line(o, "events", "%" PRIu64 ", and %" PRIu64 " things that existed", i->n_events,
	     i->n_snapshot);
	print_losses(i);
	print_meta(i, true);
	if (opts.all)
		print_meta(i, false);
	print_types(i, false);
	if (i->n_snapshot)
		print_types(i, true);
}

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
		json_cstr(j, "reason", loss_reason(l[k].reason));
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

static void print_json(struct info *i)
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
	json_lists(i, j);
	json_faults(i, j);
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
			l[k].group[0] ? l[k].group : "?", loss_reason(l[k].reason));
	d = tape_reader_damage(input_reader(i->run->in), &n);
	for (size_t k = 0; k < n; k++)
		csv_fmt(i, "damage", "byte %" PRIu64 ", %" PRIu64 " bytes: %.160s", d[k].offset,
			d[k].bytes, d[k].text);
}

static void begin_csv(struct info *i)
{
	static const struct out_col columns[] = {
		{NULL, "file", 0, false}, {NULL, "key", 0, false}, {NULL, "value", 0, false}};

	if (opts.has_header)
		return;
	opts.has_header = true;
	out_table(i->run->out, columns, 3);
}

static void print_csv(struct info *i)
{
	const struct tape_file_info *f = tape_reader_info(input_reader(i->run->in));
	uint64_t start = input_start(i->run->in);
	uint64_t end = i->end.closed ? i->end.end_ns : i->last_ns;
	char date[40];

	begin_csv(i);
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
	csv_lists(i);
	csv_faults(i);
}

/* A file of a newer minor version reads; what of it this program leaves out, as far as headers
 * tell. */
static void note_newer(struct info *i)
{
	const struct tape_file_info *f = tape_reader_info(input_reader(i->run->in));
	const struct tape_schema *s = input_schema(i->run->in);
	uint64_t known = 0, fields = 0;

	for (size_t k = 0; k < s->n_records; k++) {
		const struct tape_record *rec = &s->records[k];

		if (!rec->is_table && rec->id != TAPE_COMMON)
			known += i->sums[k].n;
		for (unsigned n = 0; n < rec->n_fields; n++)
			fields += rec->fields[n].type == TAPE_TYPE_UNKNOWN;
	}
	if (f->minor > TAPE_VERSION_MINOR)
		out_note(i->run->out,
			 "format %u.%u is newer than this program's %d.%d: what was added since is "
			 "left "
			 "out",
			 f->major, f->minor, TAPE_VERSION_MAJOR, TAPE_VERSION_MINOR);
	if (fields)
		out_note(i->run->out, "%" PRIu64 " fields are of a type that is not known here",
			 fields);
	if (i->n_events + i->n_snapshot > known)
		out_note(i->run->out,
			 "%" PRIu64 " events are of types that the trace does not describe",
			 i->n_events + i->n_snapshot - known);
}

static int run(struct cmd_run *run)
{
	struct info i = {.run = run};
	int rc;

	if (opts.counters)
		return crosscheck_run(run);
	i.sums = calloc(input_schema(run->in)->n_records + 1, sizeof(*i.sums));
	if (!i.sums)
		return fail_nomem(run->fail);
	rc = read_all(&i);
	if (!rc && out_is_json(run->out))
		print_json(&i);
	else if (!rc && out_is_csv(run->out))
		print_csv(&i);
	else if (!rc)
		print_text(&i);
	if (!rc)
		note_newer(&i);
	free(i.sums);
	return rc;
}

const struct cmd cmd_info = {
	.name = "info",
	.summary = "what a trace holds: host, time, probes and hooks, counts, loss, sizes",
	.about = "Only the headers of a file's blocks are read, so damage inside a block is not "
		 "found here:\n"
		 "every command that reads the events finds it. --csv has a row a fact: file, "
		 "key, value.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.many_files = true,
	.plain_input = true,
	.run = run,
};

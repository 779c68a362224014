// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape info: what a trace holds, how it was recorded and what is missing. Of a file only the
 * block headers are read, so its size does not matter much.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "crosscheck.h"
#include "info.h"
#include "layout.h"

static struct {
	bool all, counters;
	bool has_header;    /* of CSV: one for all files */
	struct part before; /* the file before, if it is one of several of a recording */
} opts;

static const struct opt_row rows[] = {
	{'v', "all", NULL, OPT_FLAG, 0, "all metadata, and each interval of loss"},
	{'c', "counters", NULL, OPT_FLAG, offsetof(__typeof__(opts), counters),
	 "instead: the kernel's counters over the recording, beside the\n"
	 "events of the same kind that were recorded"},
};

/* ---- reading ---- */

static void add_chunk(struct info *i, struct tape_chunk *chunk)
{
	const struct tape_schema *s = input_schema(i->run->in);
	const struct tape_chunk_head *head = tape_chunk_head(chunk);
	bool snapshot = tape_chunk_is_snapshot(chunk);

	for (size_t k = 0; k < s->n_records; k++) {
		uint32_t n_rows = tape_chunk_rows(chunk, s->records[k].id);
		size_t stored = n_rows ? tape_chunk_record_stored(chunk, s->records[k].id) : 0;

		i->sums[k].n += n_rows;
		i->sums[k].stored += stored;
		i->has_stored |= stored != 0;
	}
	i->n_rates += weights_are_in(s, chunk);
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
					       : tape_reader_next_header(r, &chunk, &err)) == 1) {
		add_chunk(i, chunk);
		if (input_is_pipe(i->run->in) && input_learn_rates(i->run->in, chunk, i->run->fail))
			return -1;
	}
	tape_reader_end(r, &i->end);
	if (!rc && !input_is_pipe(i->run->in) && i->n_rates) {
		rc = tape_reader_rewind(r, &err);
		if (!rc)
			return input_read_rates(i->run->in, i->run->fail);
	}
	return rc ? fail_tape(i->run->fail, i->run->path, &err) : 0;
}

/* ---- the command ---- */

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

static void begin_csv(struct info *i)
{
	static const struct out_col columns[] = {
		{NULL, "file", 0, false}, {NULL, "key", 0, false}, {NULL, "value", 0, false}};

	if (opts.has_header)
		return;
	opts.has_header = true;
	out_table(i->run->out, columns, 3);
}

static int run(struct cmd_run *run)
{
	struct info i = {.run = run, .all = opts.all};
	const struct tape_meta *meta;
	size_t n_meta;
	int rc;

	if (opts.counters)
		return crosscheck_run(run);
	i.sums = calloc(input_schema(run->in)->n_records + 1, sizeof(*i.sums));
	if (!i.sums)
		return fail_nomem(run->fail);
	rc = read_all(&i);
	meta = tape_reader_meta(input_reader(run->in), &n_meta);
	part_read(&i.part, meta, n_meta, i.n_events, i.end.closed);
	i.has_gap = opts.before.any && i.part.any;
	if (i.has_gap)
		i.gap = part_between(&opts.before, &i.part);
	opts.before = i.part;
	if (!rc && out_is_json(run->out)) {
		info_json(&i);
	} else if (!rc && out_is_csv(run->out)) {
		begin_csv(&i);
		info_csv(&i);
	} else if (!rc) {
		info_text(&i);
	}
	if (!rc)
		note_newer(&i);
	free(i.sums);
	return rc;
}

const struct cmd cmd_info = {
	.name = "info",
	.summary = "what a trace holds: host, time, probes and hooks, counts, loss, sizes",
	.about = "Of a recording in several files, give them in order: each says whether it\n"
		 "follows the one before it, or what is missing.\n"
		 "\n"
		 "Only the headers of a file's blocks are read, so damage inside a block is not "
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

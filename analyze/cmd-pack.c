// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pack: the same trace, as small as it gets: larger chunks, and a compressor that takes its time.
 * Chunks that this version cannot tell all of, or that are damaged, are copied as they are.
 */
#include <stdio.h>

#include "cmd.h"
#include "derive.h"

#define LEVEL 19
#define CHUNK_EVENTS (256u << 10)
/* Of records: decoded, with what predictions need, they stay below the ceilings of a chunk. */
#define CHUNK_BYTES (24u << 20)

static struct pack_opts {
	const char *output;
	bool force;
} opts;

static const struct opt_row rows[] = {
	{'o', "output", "FILE", OPT_STR, offsetof(struct pack_opts, output),
	 "the trace to write; - is standard output"},
	{0, "force", NULL, OPT_FLAG, offsetof(struct pack_opts, force), "overwrite FILE"},
};

struct pack {
	struct cmd_run *run;
	struct derive d;
	struct derive_source source;
	uint32_t n_open; /* events of the chunk that is not written yet */
	uint64_t floor_ns;
};

static int check(int *n_operands, char **operands, struct fail *fail)
{
	return opts.output ? 0 : fail_set(fail, STATUS_USAGE, "-o FILE: where to?");
}

static int decode(const void *ctx, struct tape_chunk *chunk, struct tape_error *err)
{
	const struct pack *p = ctx;

	return derive_decode(input_schema(p->run->in), chunk, err);
}

static int flush(struct pack *p)
{
	struct tape_error err;

	p->n_open = 0;
	return derive_written(&p->d, tape_writer_flush(p->d.w, p->floor_ns, &err), &err);
}

/* The open chunk has room for that one's events too; a snapshot stays between its neighbours. */
static bool has_room(const struct pack *p, const struct tape_chunk *chunk)
{
	uint64_t n = tape_chunk_head(chunk)->n_events, bytes = tape_writer_open_bytes(p->d.w);

	if (!p->n_open)
		return true;
	return !tape_chunk_is_snapshot(chunk) && p->n_open + n <= CHUNK_EVENTS &&
	       bytes + bytes * n / p->n_open <= CHUNK_BYTES;
}

static int on_chunk(void *ctx, struct tape_chunk *chunk, const struct bind_tables *tables)
{
	struct pack *p = ctx;
	const struct tape_schema *schema = input_schema(p->run->in);
	size_t n_losses = p->source.n_losses;
	int all;

	if (derive_facts(&p->d, &p->source, NULL))
		return -1;
	if (p->source.n_losses != n_losses)
		p->n_open = 0; /* a loss closes the chunk before it */
	all = derive_rows_tell_all(&p->d, chunk, schema);
	if (all < 0 || ((!all || !has_room(p, chunk)) && flush(p)))
		return -1;
	if (!all)
		return derive_copy(&p->d, chunk);
	if (derive_rows(&p->d, chunk, schema, NULL, NULL, NULL))
		return -1;
	if (tape_chunk_is_snapshot(chunk))
		return flush(p);
	p->n_open += tape_chunk_head(chunk)->n_events;
	p->floor_ns = tape_chunk_head(chunk)->ts_floor;
	return 0;
}

static int write_all(struct pack *p)
{
	struct input_job job = {.raw_decode = decode, .on_raw = on_chunk, .ctx = p};

	derive_line_of(&p->d, p->run->path, p->source.reader);
	if (derive_facts(&p->d, &p->source, NULL) || input_run(p->run->in, &job, p->run->fail) ||
	    flush(p) || derive_facts(&p->d, &p->source, NULL))
		return -1;
	return derive_close_one(&p->d, &p->source, input_last(p->run->in));
}

static int run(struct cmd_run *run)
{
	struct tape_reader *reader = input_reader(run->in);
	const struct tape_file_info *info = tape_reader_info(reader);
	struct pack p = {.run = run, .d.file.fd = -1, .source.reader = reader};
	char *path = (char *)(uintptr_t)run->path;
	struct derive_how how = {.command = "pack",
				 .output = opts.output,
				 .force = opts.force,
				 .paths = &path,
				 .n_paths = 1,
				 .writer = {.writer = info->writer,
					    .n_cpus = info->n_cpus,
					    .start_ns = info->start_ns,
					    .level = LEVEL,
					    .chunk_events = CHUNK_EVENTS + 1,
					    .chunk_bytes = CHUNK_BYTES + CHUNK_BYTES / 4}};
	int rc;

	how.writer.schema = tape_reader_schema_text(reader, &how.writer.schema_len);
	rc = derive_begin(&p.d, &how, run->fail);
	if (!rc)
		rc = write_all(&p);
	return derive_end(&p.d, rc);
}

const struct cmd cmd_pack = {
	.name = "pack",
	.summary = "writes a trace anew, as small as it gets",
	.about = "Chunks of up to 262,144 events, and the strongest compression: for what is kept. "
		 "All\n"
		 "that commands show stays the same; they need more memory for larger chunks.\n"
		 "\n"
		 "FILE gets mode 0600.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.plain_input = true,
	.check = check,
	.run = run,
};

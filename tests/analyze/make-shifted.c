// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * make-shifted TRACE OUT ORIGIN OFFSET PPM: the same trace as a host would have recorded it whose
 * CLOCK_MONOTONIC was OFFSET ns ahead at ORIGIN, and gained PPM millionths on the other one: each
 * time t is t + OFFSET + PPM / 10^6 x (t - ORIGIN), in whole nanoseconds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "derive.h"
#include "fail.h"

static struct shift {
	uint64_t origin_ns;
	int64_t offset_ns;
	double drift;
} shift;

static uint64_t shifted(uint64_t ns)
{
	double since = (double)(int64_t)(ns - shift.origin_ns);

	return ns + (uint64_t)shift.offset_ns + (uint64_t)llround(since * shift.drift);
}

static int edit(void *ctx, struct ev_head *e)
{
	const struct tape_record *rec = tape_schema_record(tape_schema_builtin(), e->type);

	e->ts_ns = shifted(e->ts_ns);
	for (unsigned i = 0; i < rec->n_fields; i++) {
		uint8_t *at = (uint8_t *)e + tape_field_offset(rec, i);
		uint64_t ns;

		if (strcmp(rec->fields[i].name, "departure_ns") &&
		    strcmp(rec->fields[i].name, "paced_to_ns"))
			continue;
		memcpy(&ns, at, sizeof(ns));
		ns = ns ? shifted(ns) : 0;
		memcpy(at, &ns, sizeof(ns));
	}
	return 0;
}

static bool shift_clock(void *ctx, struct tape_clock *c)
{
	c->mono_ns = shifted(c->mono_ns);
	return true;
}

static bool shift_loss(void *ctx, struct tape_loss *l)
{
	l->from_ns = shifted(l->from_ns);
	l->to_ns = shifted(l->to_ns);
	return true;
}

static int write_all(struct derive *d, struct tape_reader *r)
{
	const struct derive_rules rules = {.clock = shift_clock, .loss = shift_loss};
	struct derive_source source = {.reader = r};
	struct tape_error err;
	struct tape_chunk *chunk;
	struct tape_end end;
	int rc;

	while ((rc = tape_reader_next(r, &chunk, &err)) > 0) {
		uint64_t floor_ns = tape_chunk_head(chunk)->ts_floor;

		if (derive_facts(d, &source, &rules) ||
		    derive_rows(d, chunk, tape_reader_schema(r), NULL, edit, NULL) ||
		    derive_written(d, tape_writer_flush(d->w, shifted(floor_ns), &err), &err))
			return -1;
	}
	tape_reader_end(r, &end);
	if (rc || derive_facts(d, &source, &rules))
		return rc ? derive_written(d, rc, &err) : -1;
	return derive_close(d, end.closed, shifted(end.end_ns));
}

int main(int argc, char **argv)
{
	struct fail fail = {0};
	struct derive d = {.fail = &fail, .file.fd = -1};
	struct derive_how how = {.command = "shifted", .force = true, .n_paths = 1};
	struct tape_reader *r;
	struct tape_error err;
	int rc;

	if (argc != 6)
		return 2;
	shift = (struct shift){strtoull(argv[3], NULL, 10), strtoll(argv[4], NULL, 10),
			       strtod(argv[5], NULL) / 1e6};
	if (tape_reader_open(&r, argv[1], &err)) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_FAILURE;
	}
	how.output = argv[2];
	how.paths = &argv[1];
	how.writer.writer = tape_reader_info(r)->writer;
	how.writer.n_cpus = tape_reader_info(r)->n_cpus;
	how.writer.start_ns = shifted(tape_reader_info(r)->start_ns);
	how.writer.schema = tape_reader_schema_text(r, &how.writer.schema_len);
	rc = derive_begin(&d, &how, &fail);
	if (!rc)
		rc = write_all(&d, r);
	rc = derive_end(&d, rc);
	if (rc)
		fprintf(stderr, "%s\n", fail.text);
	tape_reader_close(r);
	return rc ? EXIT_FAILURE : 0;
}

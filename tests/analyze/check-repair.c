// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "check-repair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "forge.h"

static char text[1024];

static int memfd_of(const uint8_t *p, size_t len, char path[32])
{
	int fd = sample_memfd(path);

	if (len && write(fd, p, len) != (ssize_t)len)
		abort();
	return fd;
}

static int repair_bytes(const uint8_t *p, size_t len, struct bytes *ret, struct repair *r)
{
	char from[32], to[32];
	int in = memfd_of(p, len, from);
	struct outfile file = {.fd = sample_memfd(to), .path = to};
	struct fail fail;
	int rc = repair_run(r, from, from, false, &file, &fail);

	if (!rc)
		sample_read_back(file.fd, ret);
	else
		snprintf(text, sizeof(text), "%s", fail.text);
	repair_fini(r);
	close(file.fd);
	close(in);
	return rc;
}

const char *check_verify(const struct bytes *b)
{
	struct out_opts opts = {0};
	char path[32];
	int fd = memfd_of(b->p, b->len, path), saved, said;
	struct fail fail = {0};
	struct cmd_run run = {.path = path, .fail = &fail, .out = out_new(&opts)};
	ssize_t n;
	int rc;

	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	said = sample_memfd((char[32]){0});
	dup2(said, STDOUT_FILENO);
	rc = cmd_verify.run(&run);
	out_flush(run.out);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	out_free(run.out);
	n = pread(said, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(said);
	close(fd);
	return rc ? text : NULL;
}

/* The next chunk whose events have times and types, which repair cannot do without. */
static int next_usable(struct tape_reader *r, struct tape_chunk **c, struct tape_column *ts,
		       struct tape_column *types)
{
	int rc;

	while ((rc = tape_reader_next(r, c, NULL)) == 1)
		if (!tape_chunk_column(*c, TAPE_COMMON, TAPE_COMMON_TYPE, types, NULL) &&
		    !tape_chunk_column(*c, TAPE_COMMON, TAPE_COMMON_TS, ts, NULL))
			break;
	return rc;
}

static bool same_column(const struct tape_column *a, const struct tape_column *b)
{
	if (a->n != b->n || a->width != b->width)
		return false;
	if (a->type != TAPE_STR)
		return !memcmp(a->values, b->values, (size_t)a->n * a->width);
	return !memcmp(a->str_start, b->str_start, (a->n + 1) * sizeof(*a->str_start)) &&
	       !memcmp(a->values, b->values, a->str_start[a->n]);
}

/* Every column: the same values, or unavailable in both. */
static bool same_columns(struct tape_chunk *a, struct tape_chunk *b, const struct tape_schema *s)
{
	for (size_t i = 0; i < s->n_records; i++)
		for (unsigned f = 0; f < s->records[i].n_fields; f++) {
			struct tape_column x, y;
			int rx = tape_chunk_column(a, s->records[i].id, f, &x, NULL);
			int ry = tape_chunk_column(b, s->records[i].id, f, &y, NULL);

			if (!rx != !ry || (!rx && !same_column(&x, &y)))
				return false;
		}
	return true;
}

/* The damaged trace against the repaired one; the reader may refuse or leave the former. */
static const char *compare(struct tape_reader *was, struct tape_reader *is)
{
	struct tape_column ts, types;
	struct tape_chunk *a, *b;
	int ra, rb;

	for (;;) {
		ra = was ? next_usable(was, &a, &ts, &types) : 0;
		rb = next_usable(is, &b, &ts, &types);
		if (ra != 1 || rb != 1)
			break;
		if (tape_chunk_is_snapshot(a) != tape_chunk_is_snapshot(b))
			return "a chunk became a snapshot, or the other way round";
		if (!same_columns(a, b, tape_reader_schema(is)))
			return "a column has other values, or is there in one only";
	}
	if (ra == 1)
		return "an intact chunk is missing";
	if (rb < 0)
		return "the repaired trace cannot be read to its end";
	return rb == 1 && was && !ra ? "there is a chunk that was not there" : NULL;
}

static const char *compare_bytes(const struct bytes *was, const struct bytes *is)
{
	struct tape_reader *a = NULL, *b;
	const char *why;

	if (forge_open(is, &b, NULL))
		return "the repaired trace cannot be opened";
	if (forge_open(was, &a, NULL))
		a = NULL;
	why = compare(a, b);
	tape_reader_close(a);
	tape_reader_close(b);
	return why;
}

const char *check_repair(const uint8_t *p, size_t len, struct bytes *ret, struct repair *r,
			 bool *refused)
{
	struct bytes was = {.p = (uint8_t *)(uintptr_t)p, .len = len}, again = {0};
	struct tape_reader *reader;
	struct repair second;
	const char *why = NULL;
	int rc = repair_bytes(p, len, ret, r);

	if (refused)
		*refused = rc;
	if (rc) {
		if (forge_open(&was, &reader, NULL))
			return NULL; /* nor can it be read */
		while ((rc = tape_reader_next(reader, &(struct tape_chunk *){0}, NULL)) == 1)
			;
		tape_reader_close(reader);
		return rc ? NULL : "a trace that can be read was refused";
	}
	why = check_verify(ret);
	if (!why)
		why = compare_bytes(&was, ret);
	if (!why && (repair_bytes(ret->p, ret->len, &again, &second) || second.n_finds ||
		     !second.closed || second.n_missing || second.out.n_events != r->out.n_events))
		why = "what was repaired is repaired again";
	bytes_free(&again);
	return why;
}

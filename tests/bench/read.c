/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * read FILE [WORKERS [ROUNDS]]: how fast a trace is read by one worker and by WORKERS (default 2),
 * in turns, so that what else the machine does meets both; medians of ROUNDS (default 7). Once all
 * columns are decoded ("full"), once time, type and the socket references of the commonest event
 * are ("three"). Prints events a second, the ratio, and the largest resident set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "pass.h"

enum { MAX_ROUNDS = 99 };

struct reading {
	const struct tape_schema *schema;
	int record; /* place in the schema of the one that is decoded, -1: all */
	uint64_t n_events;
};

static void decode_record(const struct tape_record *rec, unsigned n_fields,
			  struct tape_chunk *chunk)
{
	struct tape_column col;

	for (unsigned f = 0; tape_chunk_rows(chunk, rec->id) && f < n_fields; f++)
		tape_chunk_column(chunk, rec->id, f, &col, NULL);
}

static void decode(void *ctx, struct tape_chunk *chunk, void *work)
{
	const struct reading *r = ctx;

	if (r->record >= 0) {
		decode_record(&r->schema->records[0], 2, chunk);
		decode_record(&r->schema->records[r->record], 1, chunk);
		return;
	}
	for (size_t i = 0; i < r->schema->n_records; i++)
		decode_record(&r->schema->records[i], r->schema->records[i].n_fields, chunk);
}

static int count(void *ctx, struct tape_chunk *chunk, void *work)
{
	((struct reading *)ctx)->n_events += tape_chunk_head(chunk)->n_events;
	return 0;
}

/* The event that the first full chunk has most of. */
static int commonest(const struct tape_schema *s, struct tape_reader *r)
{
	struct tape_chunk *chunk;
	uint32_t most = 0;
	int ret = 0;

	while (tape_reader_next_header(r, &chunk, NULL) == 1)
		for (size_t i = 0; i < s->n_records; i++)
			if (!s->records[i].is_table &&
			    tape_chunk_rows(chunk, s->records[i].id) > most) {
				most = tape_chunk_rows(chunk, s->records[i].id);
				ret = (int)i;
			}
	return ret;
}

/* Seconds that one reading took. */
static double run(const char *path, unsigned n_workers, bool full, uint64_t *n_events)
{
	struct tape_reader *r;
	struct reading reading = {.record = -1};
	struct tape_pass pass = {
		.n_workers = n_workers, .map = decode, .reduce = count, .ctx = &reading};
	struct timespec a, b;
	struct tape_error err;

	if (tape_reader_open(&r, path, &err))
		goto failed;
	reading.schema = tape_reader_schema(r);
	if (!full)
		reading.record = commonest(reading.schema, r);
	if (tape_reader_rewind(r, &err))
		goto failed;
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (tape_pass_run(&pass, r, &err))
		goto failed;
	clock_gettime(CLOCK_MONOTONIC, &b);
	tape_reader_close(r);
	*n_events = reading.n_events;
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
failed:
	fprintf(stderr, "read: %s: %s\n", path, err.text);
	exit(1);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void compare(const char *path, bool full, unsigned n_workers, unsigned n_rounds)
{
	double one[MAX_ROUNDS], more[MAX_ROUNDS], ratio[MAX_ROUNDS];
	uint64_t n = 0;

	for (unsigned i = 0; i < n_rounds; i++) {
		one[i] = run(path, 1, full, &n);
		more[i] = run(path, n_workers, full, &n);
		ratio[i] = one[i] / more[i];
	}
	qsort(one, n_rounds, sizeof(*one), by_value);
	qsort(more, n_rounds, sizeof(*more), by_value);
	qsort(ratio, n_rounds, sizeof(*ratio), by_value);
	printf("%-5s 1 worker %6.1f M events/s, %u workers %6.1f M events/s, ratio of pairs %.2f\n",
	       full ? "full" : "three", (double)n / one[n_rounds / 2] / 1e6, n_workers,
	       (double)n / more[n_rounds / 2] / 1e6, ratio[n_rounds / 2]);
}

int main(int argc, char **argv)
{
	unsigned n_workers = argc > 2 ? (unsigned)atoi(argv[2]) : 2;
	unsigned n_rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 7;
	struct rusage use;

	if (argc < 2 || !n_workers || !n_rounds || n_rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: read FILE [WORKERS [ROUNDS]]\n");
		return 2;
	}
	compare(argv[1], true, n_workers, n_rounds);
	compare(argv[1], false, n_workers, n_rounds);
	getrusage(RUSAGE_SELF, &use);
	printf("largest resident set %ld KiB\n", use.ru_maxrss);
	return 0;
}

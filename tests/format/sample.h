/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Made-up events of every type of the built-in schema, filled field by field by walking the table,
 * so a new event is tested the day it is added; and traces made of them. Everything follows from a
 * seed. Memory that cannot be had ends the test program.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunk.h"
#include "events.h"
#include "schema.h"

#define SAMPLE_FILE_ID 0x1122334455667788u
#define SAMPLE_START_NS 1000000000u

union sample {
	struct ev_head head;
	uint8_t bytes[1024];
};

/* Small steps of a random generator (splitmix64). */
uint64_t sample_random(uint64_t *state);

/* The event records of the built-in schema, in its order; NULL after the last. */
const struct tape_record *sample_event(size_t i);

/*
 * Fill *ret with an event of that type. The same seed gives the same event. Sockets and tasks come
 * from small pools, in which the first is "none"; values come from all magnitudes.
 */
void sample_fill(const struct tape_record *rec, uint64_t seed, uint64_t ts_ns, union sample *ret);

/*
 * Compare row `row` of the record's columns with what was added; pointers: POINTER fields were
 * kept. Returns the name of the first field that differs, else NULL.
 */
const char *sample_differs(struct tape_chunk *c, const struct tape_record *rec, uint32_t row,
			   const union sample *expected, bool pointers);

/* A file in memory, which forge.h and the readers take. */
struct bytes {
	uint8_t *p;
	size_t len, cap;
};

void bytes_add(struct bytes *b, const void *p, size_t len);
void bytes_free(struct bytes *b);

/* A trace: META, CLOCK, a snapshot, then n_chunks chunks of n_events each with a LOSS between. */
struct sample_opts {
	unsigned n_chunks, n_events;
	bool pointers, open_end; /* open_end: neither INDEX nor END */
	bool small;		 /* a schema of few types, to keep the file small */
};

void sample_trace(const struct sample_opts *opts, struct bytes *ret);

/* A descriptor of a nameless file, and the path by which it can be opened again. */
int sample_memfd(char path[32]);
/* All that was written to it. */
void sample_read_back(int fd, struct bytes *ret);

#endif

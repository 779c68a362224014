/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forging traces: blocks with any content but right checksums, so that tests reach what stands
 * behind the checksums. Appends to a struct bytes; ends the program without memory.
 */
#ifndef FORGE_H
#define FORGE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "layout.h"
#include "sample.h"

struct tape_reader;

struct forge {
	struct bytes out;
	uint64_t file_id;
	uint32_t seq;
};

/* Append a block with right checksums and padding; returns its offset. */
size_t forge_block(struct forge *f, unsigned type, unsigned flags, const void *head, size_t hdr_len,
		   const void *payload, size_t payload_len);

/* FILE of this version, SCHEMA with that text (NULL: the built-in one), CLOCK. */
void forge_front(struct forge *f, const char *schema);
size_t forge_file(struct forge *f, unsigned major, unsigned minor);
size_t forge_end(struct forge *f, uint64_t index_offset);

struct forge_column {
	unsigned record, field, transform, layout, flags;
	const void *body;
	size_t len;	/* bytes of the body as stored */
	size_t raw_len; /* as the directory says; 0: len */
	unsigned extra; /* bytes appended to the directory entry */
};

#define FORGE_MAX 24

/* A chunk of n_events events of type tcp_state, unless counts and columns say otherwise. */
struct forge_chunk {
	uint64_t ts_min, ts_max;
	uint32_t n_events, flags;
	unsigned n_counts;
	uint64_t counts[FORGE_MAX][2]; /* record id, rows */
	unsigned n_columns;
	struct forge_column columns[FORGE_MAX];
	const uint8_t *guesses[FORGE_MAX]; /* 4 bytes: what a column is predicted from; or NULL */
	int claim_records, claim_columns;  /* added to what the header says */
	size_t pad;			   /* zeros at the end of the payload */
	size_t head_extra;		   /* and at the end of the type header */
};

/* A good chunk: n events with ts, type, cpu and old_state columns, all constant. */
struct forge_chunk forge_chunk(uint32_t n);
size_t forge_put_chunk(struct forge *f, const struct forge_chunk *c);

struct forge_entry { /* of an INDEX block */
	uint64_t offset, len, ts_min, ts_max;
	unsigned type;
	uint64_t record, rows; /* its one count; record 0: none */
};

/* An INDEX block as the writer makes it; returns its offset. */
size_t forge_index(struct forge *f, const struct forge_entry *e, size_t n);

/*
 * Recompute every checksum of a trace in place, from its start on; blocks get the magic and the
 * file id of the first. A block whose lengths reach past the end is left as it is.
 */
void forge_fix(uint8_t *p, size_t len);

/* Open these bytes as a file. */
int forge_open(const struct bytes *b, struct tape_reader **ret, struct tape_error *err);

/* Rewrite a chunk's payload without compression, as SCHEMA and META too: for fuzzing. */
void forge_unpack(const struct bytes *trace, struct forge *ret);

#endif

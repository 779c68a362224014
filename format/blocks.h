/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The blocks of a trace that is being written, to a file descriptor, append-only: each is numbered
 * and checksummed, chunks are told what stands before them, SCHEMA is repeated, INDEX and END are
 * made of what was written. Owns its index and its copy of the schema, not the descriptor. What is
 * in a chunk is the business of the caller.
 *
 * All functions that write return 0, or negative and *err.
 */
#ifndef TAPE_BLOCKS_H
#define TAPE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block.h"
#include "index.h"
#include "writer.h" /* struct tape_meta, tape_clock, tape_loss */

struct tape_blocks {
	int fd;
	/* gets each block instead of fd, see struct tape_writer_opts; NULL: fd does */
	int (*put)(void *ctx, struct tape_block_head *h, const void *type_head,
		   const void *payload);
	void *ctx;
	uint64_t file_id, bytes; /* bytes: of whole blocks, handed to write(2) with success */
	uint32_t seq;
	uint64_t n_events, lost, floor_ns; /* so far; floor of the last CHUNK */
	struct tape_index index;
	uint8_t *schema; /* the payload, to be repeated */
	size_t schema_len;
	unsigned schema_flags;
	uint64_t schema_at;
};

void tape_blocks_init(struct tape_blocks *b, int fd, uint64_t file_id);
void tape_blocks_fini(struct tape_blocks *b);

/* Go back to an earlier state, of which *then is a copy; the file is the caller's to cut. */
void tape_blocks_restore(struct tape_blocks *b, const struct tape_blocks *then);

/* A block with that type header and payload, as they are. */
int tape_blocks_put(struct tape_blocks *b, enum tape_block type, unsigned flags, const void *head,
		    size_t hdr_len, const void *payload, size_t payload_len,
		    struct tape_error *err);

int tape_blocks_file(struct tape_blocks *b, uint32_t n_cpus, uint64_t start_ns, const char *writer,
		     struct tape_error *err);

/* SCHEMA: a text, which is compressed if that makes it smaller; or the payload of another's. */
int tape_blocks_schema(struct tape_blocks *b, const char *text, size_t len, struct tape_error *err);
int tape_blocks_schema_as_is(struct tape_blocks *b, unsigned flags, const void *payload, size_t len,
			     struct tape_error *err);

int tape_blocks_meta(struct tape_blocks *b, const struct tape_meta *meta, size_t n,
		     struct tape_error *err);
int tape_blocks_clock(struct tape_blocks *b, const struct tape_clock *clock,
		      struct tape_error *err);

/* One block of n records, none if n is 0. A count is cut where the sum would not fit 64 bits. */
int tape_blocks_loss(struct tape_blocks *b, const struct tape_loss *loss, size_t n,
		     struct tape_error *err);

/*
 * A chunk that comes next: fill in what depends on its place, first_event, lost and ts_floor, which
 * is raised where it must be. ts_max must be there.
 */
void tape_blocks_place(const struct tape_blocks *b, enum tape_block type,
		       struct tape_chunk_head *h);

/* CHUNK or SNAPSHOT, placed; head: the whole type header, of which the first part is *h, packed. */
int tape_blocks_chunk(struct tape_blocks *b, enum tape_block type, const struct tape_chunk_head *h,
		      const void *head, size_t hdr_len, const void *payload, size_t payload_len,
		      struct tape_error *err);

/* INDEX and END. */
int tape_blocks_end(struct tape_blocks *b, uint64_t end_ns, struct tape_error *err);

#endif

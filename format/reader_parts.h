/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What reader.c (what to read), walk.c (from block to block) and pass.c (several chunks at a time)
 * share; nobody else includes it.
 */
#ifndef TAPE_READER_PARTS_H
#define TAPE_READER_PARTS_H

#include "block.h"
#include "facts.h"
#include "reader.h"
#include "source.h"

#define READER_MAX_DAMAGE 1000 /* places that are listed; more are counted into the last */

/* How far the lists are that a reader shows: a pass reads ahead of what it has handed over. */
struct tape_seen {
	size_t n_meta, n_clocks, n_losses, n_damage;
	struct tape_end end;
};

/* A chunk that was read ahead: it owns its payload. */
struct tape_fetch {
	struct tape_chunk *chunk;
	struct tape_buffer buf;
	struct tape_seen seen;
	bool has_payload;
};

typedef bool tape_wants_fn(void *ctx, const struct tape_chunk *chunk);

struct tape_reader {
	struct tape_source src;
	struct tape_facts facts;
	struct tape_chunk *chunk; /* of tape_reader_next */
	struct tape_seen seen;
	struct tape_damage damage[READER_MAX_DAMAGE];
	size_t n_damage;
	uint64_t resync_hashed, resync_passed; /* bytes, since the start */
	uint64_t from_ns, to_ns;
	uint64_t pending; /* length of the block that was dealt with, still to be passed over */
	uint32_t next_seq;
	bool jumped, header_only;
	struct tape_index_entry *index;
	size_t n_index, next_index;
	bool index_tried;
	bool by_block;		      /* tape_reader_open_blocks */
	uint64_t n_heads, n_payloads; /* that were read */
};

/* ---- walk.c ---- */

void tape_walk_note(struct tape_reader *r, uint64_t offset, uint64_t bytes, const char *text);

/* The header of the block at the source's position; 1 in *v, 0 end of the data. */
int tape_walk_head(struct tape_reader *r, struct tape_block_view *v, struct tape_error *err);

/* Bring the payload into view and check it; 1 good, 0 the data ends in it, 2 damaged (noted). */
int tape_walk_payload(struct tape_reader *r, struct tape_block_view *v, struct tape_error *err);

/* ---- reader.c ---- */

/*
 * As tape_reader_next, but the chunk and its payload go into *f, and what the reader shows of the
 * trace stays as it is until tape_reader_show. wants (NULL: all): of a file, the payload of a chunk
 * that it refuses is not read.
 */
int tape_reader_fetch(struct tape_reader *r, struct tape_fetch *f, tape_wants_fn *wants, void *ctx,
		      struct tape_error *err);

/* Show the lists as far as that; NULL: all that was read. */
void tape_reader_show(struct tape_reader *r, const struct tape_seen *seen);

#endif

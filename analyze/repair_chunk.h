/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A part of repair.h: one chunk, checked column by column, and its header without what is damaged.
 */
#ifndef ANA_REPAIR_CHUNK_H
#define ANA_REPAIR_CHUNK_H

#include "block.h"
#include "chunk.h"

struct repair_chunk {
	struct tape_chunk *chunk; /* parsed */
	struct tape_chunk_head h; /* as it must be written */
	uint8_t *head;		  /* the whole type header; the caller frees it */
	size_t head_len;
	unsigned n_bad;		 /* columns that cannot be decoded */
	struct tape_error first; /* the first of them */
};

/*
 * Decode every column of the chunk in view. A damaged one gets a field number that no record has
 * (docs/format.md, 12), so that readers find it unavailable; all bodies stay as they are. Negative:
 * the chunk is of no use.
 */
int repair_chunk_check(struct repair_chunk *c, const struct tape_block_view *v,
		       struct tape_error *err);

/* Events that are earlier than that. */
uint32_t repair_chunk_stragglers(struct repair_chunk *c, uint64_t floor_ns);

#endif

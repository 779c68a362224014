/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The INDEX block: where each chunk lies and which time it covers. Written once, at the end; a
 * reader that finds none, or a damaged one, walks the block headers instead.
 */
#ifndef TAPE_INDEX_H
#define TAPE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunk.h"

/* ---- writing: entries are encoded as they come ---- */

struct tape_index {
	uint8_t *p;
	size_t len, cap;
	uint64_t n, last_offset, last_ts;
	bool overflow; /* too long, or no memory: the file gets no index */
};

/* A chunk of len bytes was written at offset; type_head: its type header, which has the counts. */
void tape_index_add(struct tape_index *x, unsigned block_type, uint64_t offset, uint64_t len,
		    const struct tape_chunk_head *h, const void *type_head, size_t type_head_len);

/* The payload of the INDEX block, which the caller frees; NULL if there is nothing to write. */
void *tape_index_payload(const struct tape_index *x, size_t *ret_len);
void tape_index_fini(struct tape_index *x);

/* ---- reading ---- */

struct tape_index_entry {
	uint64_t offset, len, ts_min, ts_max;
	uint8_t type;
};

/*
 * Parse a payload, which may come from an enemy: entries must rise, not overlap, and end before
 * `limit` (the offset of the INDEX block). NULL if they do not, or no memory. The caller frees the
 * array.
 */
struct tape_index_entry *tape_index_parse(const void *payload, size_t len, uint64_t limit,
					  size_t *ret_n);

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Memory of the decoded columns of one chunk: blocks that are kept for the next one. */
#ifndef TAPE_ARENA_H
#define TAPE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena_block {
	uint8_t *p;
	size_t cap;
};

struct arena { /* zeros: empty */
	struct arena_block *blocks;
	size_t n_blocks, current, used;
	size_t total; /* asked for since the last reset */
};

/* len bytes, aligned to 16, valid until the next reset; NULL: no memory. */
void *tape_arena_alloc(struct arena *a, size_t len);

/*
 * Forget what was allocated. Several blocks become one of their size, so that a file with chunks of
 * ever other sizes cannot collect blocks; memory stays below the ceilings of one chunk. An eighth
 * more lets the next chunk, which is about as large, do with that one block.
 */
void tape_arena_reset(struct arena *a);

size_t tape_arena_cap(const struct arena *a); /* bytes that it holds */
void tape_arena_fini(struct arena *a);	      /* leaves it empty */

#endif

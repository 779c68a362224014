// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "arena.h"

#include <stdlib.h>

#define ARENA_BLOCK (1u << 20)

void *tape_arena_alloc(struct arena *a, size_t len)
{
	struct arena_block *blocks;

	len = (len + 15) & ~(size_t)15;
	a->total += len;
	for (; a->current < a->n_blocks; a->current++, a->used = 0)
		if (a->blocks[a->current].cap - a->used >= len) {
			a->used += len;
			return a->blocks[a->current].p + a->used - len;
		}
	blocks = realloc(a->blocks, (a->n_blocks + 1) * sizeof(*blocks));
	if (!blocks)
		return NULL;
	a->blocks = blocks;
	blocks[a->n_blocks].cap = len > ARENA_BLOCK ? len : ARENA_BLOCK;
	blocks[a->n_blocks].p = malloc(blocks[a->n_blocks].cap);
	if (!blocks[a->n_blocks].p)
		return NULL;
	a->used = len;
	return blocks[a->n_blocks++].p;
}

void tape_arena_reset(struct arena *a)
{
	size_t total = a->total;

	if (a->n_blocks > 1) {
		while (a->n_blocks)
			free(a->blocks[--a->n_blocks].p);
		a->current = a->used = 0;
		tape_arena_alloc(a,
				 total + total / 8); /* without memory, the next one will say so */
	}
	a->current = a->used = a->total = 0;
}

size_t tape_arena_cap(const struct arena *a)
{
	size_t cap = 0;

	for (size_t i = 0; i < a->n_blocks; i++)
		cap += a->blocks[i].cap;
	return cap;
}

void tape_arena_fini(struct arena *a)
{
	while (a->n_blocks)
		free(a->blocks[--a->n_blocks].p);
	free(a->blocks);
	*a = (struct arena){0};
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A chunk of which some columns are written anew and the others stay as they stand, undecoded: for
 * one event in a hundred thousand nothing else has to be touched. Not every chunk can be had so;
 * its rows must be written anew then.
 */
#ifndef TAPE_PATCH_H
#define TAPE_PATCH_H

#include "chunk.h"

enum tape_patch_what {
	TAPE_PATCH_KEEP,
	TAPE_PATCH_EDIT,
	TAPE_PATCH_DROP,
	TAPE_PATCH_ROWS, /* the chunk cannot be had so */
};

struct tape_patch_rules {
	enum tape_patch_what (*what)(const void *ctx, const struct tape_record *rec,
				     unsigned field);
	/* n values of the field's width, which is not 0; in place. 0, or a code, which is handed
	 * on. */
	int (*edit)(void *ctx, const struct tape_record *rec, unsigned field, void *values,
		    size_t n);
	void *ctx;
};

struct tape_patch;

int tape_patch_new(struct tape_patch **ret, int level, struct tape_error *err);
void tape_patch_free(struct tape_patch *p); /* NULL allowed */

/*
 * Decode what will be edited, on any thread. 1; 0 where the rows must be written anew: columns that
 * stand in one frame, that are unknown to this build, damaged, or predicted from one that changes;
 * or negative and *err.
 */
int tape_patch_decode(struct tape_chunk *c, const struct tape_patch_rules *rules,
		      struct tape_error *err);

/*
 * The chunk's type header and payload with those columns edited or left out; valid until the next
 * call. The header's fields of fixed places are the chunk's own, but for n_columns, which *head has
 * too. Returns as tape_patch_decode.
 */
int tape_patch_chunk(struct tape_patch *p, struct tape_chunk *c,
		     const struct tape_patch_rules *rules, struct tape_chunk_made *ret,
		     struct tape_error *err);

#endif

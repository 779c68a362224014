/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Transforms that predict a value from others: what is written is the zigzag of the difference, so
 * a good guess leaves zeros. Each has an inverse that runs over the same inputs. Arrays of width 4
 * or 8 in host order; all inputs of a column were checked before: keys are below the room of last.
 */
#ifndef TAPE_PREDICT_H
#define TAPE_PREDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec.h"

/*
 * What a value is predicted from (docs/format.md, Predictions). of and plus are columns of the same
 * rows, in the width of the values; NULL: the column itself, nothing.
 */
struct tape_guess {
	const void *of, *plus;
	bool plus_now;	       /* LAST: plus of this row, not of the row that of is taken from */
	const uint32_t *keys;  /* LAST, CROSS, SAME */
	void *last;	       /* a value for each key, as they are before the first row */
	const uint64_t *times; /* LAST: guess where the last value of a key but 0 is 0; NULL: 0 */
};

/* In place, n >= 1 values. The transform is ROW, LAST or CROSS, the width 4 or 8. */
void tape_predict(enum tape_transform t, void *values, size_t n, unsigned width,
		  const struct tape_guess *g);
void tape_unpredict(enum tape_transform t, void *values, size_t n, unsigned width,
		    const struct tape_guess *g);

/*
 * SMOOTH: the value before of that key, drawn to this row's sample by an eighth; with plus: by a
 * quarter to how far the sample is from plus of the row before (RFC 6298, 2.3), as the kernel has
 * it. Width 4; last has two values for each key.
 */
void tape_smooth(uint32_t *values, size_t n, const struct tape_guess *g);
void tape_unsmooth(uint32_t *values, size_t n, const struct tape_guess *g);

/* References: NEXT, against the one after the highest so far; SAME, against the last with that key.
 */
void tape_next(uint32_t *refs, size_t n);
void tape_unnext(uint32_t *refs, size_t n);
void tape_same(uint32_t *refs, size_t n, const uint32_t *keys, uint32_t *last);
void tape_unsame(uint32_t *refs, size_t n, const uint32_t *keys, uint32_t *last);

/* The other direction of the stream with that key. */
static inline uint32_t tape_opposite(uint32_t key)
{
	return key ? ((key - 1) ^ 1) + 1 : 0;
}

#endif

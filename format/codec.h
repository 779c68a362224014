/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Column encodings: values <-> bytes. A transform (none, delta) turns values into small numbers, a
 * layout writes them down; zstd runs afterwards, elsewhere. Integers are arrays of width 1, 2, 4 or
 * 8 in host order; TAPE_ADDR and TAPE_COMM are arrays of 16 bytes; strings come with n + 1 offsets.
 * Decoding takes input from an enemy, and must consume the body exactly.
 */
#ifndef TAPE_CODEC_H
#define TAPE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* Values are on disk (docs/format.md, Encodings). */
enum tape_transform {
	TAPE_T_NONE = 0,
	TAPE_T_DELTA = 1, /* zigzag of the difference to the value before, modulo 2^(8 width);
			     first: to 0 */
	TAPE_T_KEYED = 2, /* the same, but to the value before of the same key: the row's first
			     reference */
	/* predict.h; what they guess from stands in the directory */
	TAPE_T_ROW = 3,	   /* another column of the same row */
	TAPE_T_LAST = 4,   /* the last row of the same key */
	TAPE_T_CROSS = 5,  /* the last row of the opposite key */
	TAPE_T_NEXT = 6,   /* reference: the row after the highest so far */
	TAPE_T_SAME = 7,   /* reference: as the last one of the same key */
	TAPE_T_SMOOTH = 8, /* smoothed from a column of samples, or from their deviation */
	TAPE_N_TRANSFORMS
};

enum tape_layout {
	TAPE_L_CONST = 0,  /* one value */
	TAPE_L_PLANES = 1, /* u8 k; k planes of low bytes; varint m; m gaps; m high parts */
	TAPE_L_VARINT = 2, /* LEB128 each */
	TAPE_L_FIXED = 3, /* 16-byte values: first value, u16 mask of varying bytes, their planes */
	TAPE_L_STRINGS = 4, /* n varint lengths, then the bytes */
};

/*
 * The transform KEYED: keys are n references, all below n_keys; last has room for n_keys values of
 * that width (1, 2, 4, 8) and is overwritten.
 */
void tape_keyed(void *values, size_t n, unsigned width, const uint32_t *keys, size_t n_keys,
		void *last);
void tape_unkeyed(void *values, size_t n, unsigned width, const uint32_t *keys, size_t n_keys,
		  void *last);

/* Room that tape_encode needs for n values of that width, whatever they are. */
size_t tape_encode_bound(size_t n, unsigned width);

/*
 * Encode n >= 1 integers (width 1, 2, 4, 8) or 16-byte values (width 16). Integers are overwritten
 * (with the transformed values). Returns the bytes written to out; *layout is the one chosen.
 */
size_t tape_encode(void *values, size_t n, unsigned width, enum tape_transform transform,
		   uint8_t *out, enum tape_layout *layout);

/*
 * Decode n values of that width into values; KEYED ones are still to be handed to tape_unkeyed.
 * TAPE_E_CORRUPT if the body does not hold exactly them,
 * TAPE_E_UNKNOWN for an unknown transform or layout.
 */
int tape_decode(const uint8_t *body, size_t len, unsigned transform, unsigned layout, size_t n,
		unsigned width, void *values, struct tape_error *err);

/* Strings: starts has n + 1 offsets into bytes. Bound: 5 * n + all bytes. */
size_t tape_encode_strings(const char *bytes, const uint32_t *starts, size_t n, uint8_t *out);

/* Fills starts (n + 1) and points *bytes into body. */
int tape_decode_strings(const uint8_t *body, size_t len, size_t n, uint32_t *starts,
			const char **bytes, struct tape_error *err);

#endif

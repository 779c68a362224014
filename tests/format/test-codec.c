// SPDX-License-Identifier: GPL-2.0-or-later
#include "codec.h"

#include <string.h>

#include "cursor.h"
#include "layout.h"
#include "sample.h"
#include "suite.h"

static const unsigned widths[] = {1, 2, 4, 8, 16};
static const size_t counts[] = {1, 2, 3, 511, 512, 513, 65536};

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_N 65536
#define KEYS 7

static void *need(size_t len)
{
	void *p = malloc(len + !len);

	ck_assert_ptr_nonnull(p);
	return p;
}

/* ---- shapes of columns ---- */

enum shape { ZERO, ONES, SMALL, RISING, FALLING, RANDOM, RARE, ALTERNATING, MAGNITUDES, N_SHAPES };

static uint64_t shaped(enum shape shape, size_t i, uint64_t *state)
{
	uint64_t r = sample_random(state);

	switch (shape) {
	case ZERO: return 0;
	case ONES: return UINT64_MAX;
	case SMALL: return r % 5;
	case RISING: return 1000 * i + r % 100;
	case FALLING: return UINT64_MAX - 77 * i;
	case RANDOM: return r;
	case RARE: return r % 100 ? r % 200 : r;
	case ALTERNATING: return i & 1 ? UINT64_MAX : 0;
	default: return r >> (sample_random(state) % 64);
	}
}

static void fill(enum shape shape, unsigned width, size_t n, uint64_t seed, uint8_t *out)
{
	uint64_t state = seed;

	for (size_t i = 0; i < n; i++, out += width) {
		uint64_t v = shaped(shape, i, &state);

		memset(out, (int)(v >> 56), width);
		memcpy(out, &v, width < 8 ? width : 8); /* the low bytes: hosts are little-endian */
	}
}

/* Encode, decode, compare; the body has an exact allocation, so that ASan sees every over-read. */
static enum tape_layout round_trip(const uint8_t *values, size_t n, unsigned width,
				   enum tape_transform transform)
{
	size_t bound = tape_encode_bound(n, width), len;
	uint8_t *work = need(n * width), *out = need(bound), *body;
	enum tape_layout layout;
	struct tape_error err;

	memcpy(work, values, n * width);
	len = tape_encode(work, n, width, transform, out, &layout);
	ck_assert_uint_le(len, bound);
	body = need(len);
	memcpy(body, out, len);
	memset(work, 0x5a, n * width);
	ck_assert_int_eq(tape_decode(body, len, transform, layout, n, width, work, &err), 0);
	ck_assert_mem_eq(work, values, n * width);
	/* no shorter and no longer body is taken for it */
	ck_assert_int_eq(tape_decode(body, len - 1, transform, layout, n, width, work, &err),
			 TAPE_E_CORRUPT);
	free(body);
	out[len] = 0;
	if (len < bound)
		ck_assert_int_eq(tape_decode(out, len + 1, transform, layout, n, width, work, &err),
				 TAPE_E_CORRUPT);
	free(work);
	free(out);
	return layout;
}

START_TEST(test_codec__every_shape_width_and_count)
{
	uint8_t *values = need(MAX_N * 16);

	for (size_t w = 0; w < N(widths); w++)
		for (size_t c = 0; c < N(counts); c++)
			for (int shape = 0; shape < N_SHAPES; shape++) {
				fill(shape, widths[w], counts[c], 1 + c, values);
				round_trip(values, counts[c], widths[w], TAPE_T_NONE);
				if (widths[w] < 16)
					round_trip(values, counts[c], widths[w], TAPE_T_DELTA);
			}
	free(values);
}
END_TEST

START_TEST(test_codec__random_columns)
{
	uint8_t *values = need(2000 * 16);

	for (uint64_t seed = 1; seed <= 2000; seed++) {
		uint64_t state = seed;
		unsigned width = widths[sample_random(&state) % N(widths)];
		size_t n = 1 + sample_random(&state) % (seed % 10 ? 40 : 1999);
		enum shape shape = (enum shape)(sample_random(&state) % N_SHAPES);

		fill(shape, width, n, seed, values);
		round_trip(values, n, width, width < 16 && seed & 1 ? TAPE_T_DELTA : TAPE_T_NONE);
	}
	free(values);
}
END_TEST

START_TEST(test_codec__which_layout)
{
	uint8_t *values = need(512 * 16);

	fill(ONES, 4, 512, 1, values);
	ck_assert_int_eq(round_trip(values, 512, 4, TAPE_T_NONE), TAPE_L_CONST);
	fill(SMALL, 4, 512, 1, values);
	ck_assert_int_eq(round_trip(values, 511, 4, TAPE_T_NONE), TAPE_L_VARINT);
	ck_assert_int_eq(round_trip(values, 512, 4, TAPE_T_NONE), TAPE_L_PLANES);
	ck_assert_int_eq(round_trip(values, 2, 16, TAPE_T_NONE), TAPE_L_FIXED);
	free(values);
}
END_TEST

/* Values that need all their bytes stand in planes, not one by one as exceptions. */
START_TEST(test_codec__wide_values_take_their_width)
{
	size_t n = 4096;
	uint64_t state = 1, *values = need(n * 8);
	uint8_t *out = need(tape_encode_bound(n, 8));
	enum tape_layout layout;

	for (size_t i = 0; i < n; i++)
		values[i] = 0xffff888000000000 + (sample_random(&state) >> 34);
	ck_assert_uint_le(tape_encode(values, n, 8, TAPE_T_NONE, out, &layout), 8 * n + 2);
	free(values);
	free(out);
}
END_TEST

/* A byte is never written as a varint, which could take two. */
START_TEST(test_codec__bytes_are_planes)
{
	static const uint8_t values[] = {255, 0, 128};

	ck_assert_int_eq(round_trip(values, 3, 1, TAPE_T_NONE), TAPE_L_PLANES);
}
END_TEST

/* Long values only where the blocks that tell how long all are do not look: no plane is left out.
 */
START_TEST(test_codec__what_a_sample_misses)
{
	for (unsigned w = 0; w < 4; w++) {
		unsigned width = widths[w];
		uint8_t *values = need(MAX_N * width), *out = need(tape_encode_bound(MAX_N, width));
		enum tape_layout layout;

		for (size_t i = 0; i < MAX_N; i++)
			memset(values + i * width, i % (8 * 255) < 255 ? 0 : 0xff, width);
		ck_assert_int_eq(round_trip(values, MAX_N, width, TAPE_T_NONE), TAPE_L_PLANES);
		ck_assert_uint_eq(tape_encode(values, MAX_N, width, TAPE_T_NONE, out, &layout),
				  1 + MAX_N * width + 1);
		free(values);
		free(out);
	}
}
END_TEST

/* The worked example of docs/format.md. */
START_TEST(test_codec__bytes_on_disk)
{
	static const uint8_t planes[] = {1,    10,  0, 44, 9, /* k = 1, the low bytes */
					 1,    2,	      /* one exception, two before it */
					 0x81, 0x02};	      /* 0x101 << 8 | 44 = 65836 */
	static const uint8_t varints[] = {0x14, 0x13, 0x00, 0xa8, 0x02};
	static const uint32_t plane_values[] = {10, 0, 65836, 9};
	static const uint16_t delta_values[] = {10, 0, 0, 148}; /* differences 10 -10 0 148 */
	uint32_t v32[4];
	uint16_t v16[4];
	struct tape_error err;

	ck_assert_int_eq(tape_decode(planes, 9, TAPE_T_NONE, TAPE_L_PLANES, 4, 4, v32, &err), 0);
	ck_assert_mem_eq(v32, plane_values, sizeof(v32));
	ck_assert_int_eq(tape_decode(varints, 5, TAPE_T_DELTA, TAPE_L_VARINT, 4, 2, v16, &err), 0);
	ck_assert_mem_eq(v16, delta_values, sizeof(v16));
}
END_TEST

static void round_trip_keyed(const uint8_t *values, size_t n, unsigned width, uint64_t seed)
{
	uint8_t *work = need(n * width), *last = need(KEYS * width);
	uint32_t *keys = need(n * sizeof(*keys));

	for (size_t i = 0; i < n; i++)
		keys[i] = (uint32_t)(sample_random(&seed) % KEYS);
	memcpy(work, values, n * width);
	tape_keyed(work, n, width, keys, KEYS, last);
	tape_unkeyed(work, n, width, keys, KEYS, last);
	ck_assert_mem_eq(work, values, n * width);
	free(work);
	free(last);
	free(keys);
}

START_TEST(test_codec__keyed_comes_back)
{
	uint8_t *values = need(MAX_N * 16);

	for (size_t w = 0; w < N(widths); w++)
		for (int shape = 0; shape < N_SHAPES && widths[w] < 16; shape++) {
			fill(shape, widths[w], 1000, 1 + w, values);
			round_trip_keyed(values, 1000, widths[w], w);
		}
	free(values);
}
END_TEST

/* The worked example of docs/format.md. */
START_TEST(test_codec__keyed_on_disk)
{
	static const uint32_t keys[] = {1, 2, 1, 2};
	static const uint8_t body[] = {0x14, 0xe8, 0x07, 0x04, 0x02};
	static const uint16_t expected[] = {10, 500, 12, 501};
	uint16_t v[4], last[3];
	struct tape_error err;

	ck_assert_int_eq(tape_decode(body, 5, TAPE_T_KEYED, TAPE_L_VARINT, 4, 2, v, &err), 0);
	tape_unkeyed(v, 4, 2, keys, 3, last);
	ck_assert_mem_eq(v, expected, sizeof(v));
	tape_keyed(v, 4, 2, keys, 3, last);
	ck_assert_uint_eq(v[1], 1000);
	ck_assert_uint_eq(v[2], 4);
}
END_TEST

/* ---- bodies that are not good ---- */

static int decode(const void *bytes, size_t len, unsigned transform, unsigned layout, size_t n,
		  unsigned width)
{
	uint8_t *body = need(len), *values = need(n * width);
	struct tape_error err;
	int rc;

	memcpy(body, bytes, len);
	rc = tape_decode(body, len, transform, layout, n, width, values, &err);
	free(body);
	free(values);
	return rc;
}

#define BAD(layout, n, width, ...)                                                                 \
	do {                                                                                       \
		static const uint8_t body_[] = {__VA_ARGS__};                                      \
		ck_assert_int_eq(decode(body_, sizeof(body_), TAPE_T_NONE, layout, n, width),      \
				 TAPE_E_CORRUPT);                                                  \
	} while (0)

START_TEST(test_codec__malformed_bodies)
{
	BAD(TAPE_L_CONST, 3, 4, 1, 2, 3);
	BAD(TAPE_L_CONST, 3, 4, 1, 2, 3, 4, 5);
	BAD(TAPE_L_VARINT, 2, 2, 1);				/* one value of two */
	BAD(TAPE_L_VARINT, 1, 2, 0xff, 0xff, 0x07);		/* 0x1ffff in 16 bits */
	BAD(TAPE_L_VARINT, 1, 1, 0x80, 0x02);			/* 256 in 8 bits */
	BAD(TAPE_L_PLANES, 2, 2, 3, 1, 2, 3, 4, 5, 6, 0);	/* 3 planes of 2 bytes */
	BAD(TAPE_L_PLANES, 2, 2, 1, 7);				/* half a plane */
	BAD(TAPE_L_PLANES, 2, 2, 1, 7, 7);			/* no count of exceptions */
	BAD(TAPE_L_PLANES, 2, 2, 1, 7, 7, 3, 0, 0, 0, 1, 1, 1); /* three exceptions of two */
	BAD(TAPE_L_PLANES, 2, 2, 1, 7, 7, 1, 2, 1);		/* position 2 of 2 */
	BAD(TAPE_L_PLANES, 2, 2, 1, 7, 7, 2, 1, 0, 1, 1);	/* second position 2 */
	BAD(TAPE_L_PLANES, 2, 2, 1, 7, 7, 1, 0, 0x80, 0x02);	/* high part of 9 bits */
	BAD(TAPE_L_PLANES, 1, 2, 2, 7, 7, 1, 0, 1);		/* exception beside all planes */
	BAD(TAPE_L_PLANES, 2, 2, 1, 7, 7, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	    0x01, 1); /* a gap that would wrap */
	BAD(TAPE_L_FIXED, 2, 16, 1, 2, 3);
	BAD(TAPE_L_FIXED, 2, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 9);
}
END_TEST

START_TEST(test_codec__unknown_ways)
{
	static const uint8_t body[32];

	for (unsigned layout = 5; layout < 256; layout += 50)
		ck_assert_int_eq(decode(body, 32, 0, layout, 4, 4), TAPE_E_UNKNOWN);
	ck_assert_int_eq(decode(body, 4, TAPE_N_TRANSFORMS, TAPE_L_CONST, 4, 4), TAPE_E_UNKNOWN);
	ck_assert_int_eq(decode(body, 32, 255, TAPE_L_CONST, 4, 4), TAPE_E_UNKNOWN);
	ck_assert_int_eq(decode(body, 18, 1, TAPE_L_FIXED, 4, 16), TAPE_E_UNKNOWN);
	ck_assert_int_eq(decode(body, 18, 0, TAPE_L_FIXED, 4, 4), TAPE_E_UNKNOWN);
	ck_assert_int_eq(decode(body, 16, 0, TAPE_L_CONST, 4, 16), TAPE_E_UNKNOWN);
	ck_assert_int_eq(decode(body, 4, 0, TAPE_L_STRINGS, 4, 4), TAPE_E_UNKNOWN);
}
END_TEST

/* Any bytes in any layout: a verdict, and under ASan no access outside body and values. */
START_TEST(test_codec__random_bodies)
{
	uint64_t state = 42;
	uint8_t body[64];

	for (unsigned i = 0; i < 20000; i++) {
		size_t len = sample_random(&state) % sizeof(body);
		unsigned width = widths[sample_random(&state) % N(widths)];
		int rc;

		for (size_t k = 0; k < len; k++)
			body[k] = (uint8_t)(sample_random(&state) >> (sample_random(&state) % 64));
		rc = decode(body, len, i % 3, i % 6, 1 + sample_random(&state) % 40, width);
		ck_assert(rc == 0 || rc == TAPE_E_CORRUPT || rc == TAPE_E_UNKNOWN);
	}
}
END_TEST

/* ---- strings ---- */

START_TEST(test_codec__strings)
{
	static const char bytes[] = "abcdefgh";
	static const uint32_t starts[] = {1, 1, 4, 4, 8};
	uint8_t out[64], *body;
	uint32_t found[5];
	const char *text;
	struct tape_error err;
	size_t len = tape_encode_strings(bytes, starts, 4, out);

	ck_assert_uint_eq(len, 4 + 7);
	body = need(len);
	memcpy(body, out, len);
	ck_assert_int_eq(tape_decode_strings(body, len, 4, found, &text, &err), 0);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(found[i], starts[i] - 1);
	ck_assert_mem_eq(text, "bcdefgh", 7);
	ck_assert_int_eq(tape_decode_strings(body, len - 1, 4, found, &text, &err), TAPE_E_CORRUPT);
	ck_assert_int_eq(tape_decode_strings(body, 2, 4, found, &text, &err), TAPE_E_CORRUPT);
	ck_assert_int_eq(tape_decode_strings(body, len, 3, found, &text, &err), TAPE_E_CORRUPT);
	free(body);
}
END_TEST

START_TEST(test_codec__string_ceiling)
{
	uint8_t *body = need(2 + TAPE_MAX_STR + 1);
	uint32_t starts[2];
	const char *text;
	struct tape_error err;

	for (unsigned more = 0; more < 2; more++) {
		struct tape_out o = tape_out(body, 2);

		memset(body, 'x', 2 + TAPE_MAX_STR + 1);
		tape_out_varint(&o, TAPE_MAX_STR + more);
		ck_assert_int_eq(
			tape_decode_strings(body, 2 + TAPE_MAX_STR + more, 1, starts, &text, &err),
			more ? TAPE_E_LIMIT : 0);
	}
	ck_assert_str_eq(err.text, "a string of 4097 bytes, at most 4096");
	free(body);
}
END_TEST

SUITE("codec", test_codec__what_a_sample_misses, test_codec__every_shape_width_and_count,
      test_codec__random_columns, test_codec__which_layout,
      test_codec__wide_values_take_their_width, test_codec__bytes_are_planes,
      test_codec__bytes_on_disk, test_codec__keyed_comes_back, test_codec__keyed_on_disk,
      test_codec__malformed_bodies, test_codec__unknown_ways, test_codec__random_bodies,
      test_codec__strings, test_codec__string_ceiling)

// SPDX-License-Identifier: GPL-2.0-or-later
#include "pan.h"

#include <stdlib.h>
#include <string.h>

#include "suite.h"

/* The key and the addresses of the sample that comes with the authors' Crypto-PAn 1.0. */
static const uint8_t key[PAN_KEY_LEN] = {21,  34, 23,  141, 51, 164, 207, 128, 19,  10,	 91,
					 22,  73, 144, 125, 16, 216, 152, 143, 131, 121, 121,
					 101, 39, 98,  87,  76, 45,  42,  132, 34,  2};

static void v4(uint8_t addr[PAN_ADDR_LEN], const uint8_t bytes[4])
{
	memset(addr, 0, PAN_ADDR_LEN);
	addr[10] = addr[11] = 0xff;
	memcpy(addr + 12, bytes, 4);
}

START_TEST(test_pan__of_the_authors)
{
	static const uint8_t pairs[][2][4] = {
		{{128, 11, 68, 132}, {135, 242, 180, 132}},
		{{129, 118, 74, 4}, {134, 136, 186, 123}},
		{{130, 132, 252, 244}, {133, 68, 164, 234}},
		{{141, 223, 7, 43}, {141, 167, 8, 160}},
		{{141, 233, 145, 108}, {141, 129, 237, 235}},
		{{152, 163, 225, 39}, {151, 140, 114, 167}},
		{{156, 29, 3, 236}, {147, 225, 12, 42}},
		{{165, 247, 96, 84}, {162, 9, 99, 234}},
		{{166, 107, 77, 190}, {160, 132, 178, 185}},
		{{192, 102, 249, 13}, {252, 138, 62, 131}},
	};
	struct pan *p = pan_new(key, true);

	ck_assert_ptr_nonnull(p);
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		uint8_t got[PAN_ADDR_LEN], want[PAN_ADDR_LEN];

		v4(got, pairs[i][0]);
		v4(want, pairs[i][1]);
		ck_assert_int_eq(pan_addr(p, got), 0);
		ck_assert_mem_eq(got, want, PAN_ADDR_LEN);
	}
	pan_free(p);
}
END_TEST

static unsigned common_bits(const uint8_t *a, const uint8_t *b)
{
	unsigned i = 0;

	while (i < 8 * PAN_ADDR_LEN && !((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1))
		i++;
	return i;
}

static void random_addr(uint8_t addr[PAN_ADDR_LEN], bool is_v4)
{
	uint8_t bytes[PAN_ADDR_LEN];

	for (unsigned i = 0; i < PAN_ADDR_LEN; i++)
		bytes[i] = (uint8_t)(rand() >> 7);
	if (is_v4)
		v4(addr, bytes);
	else
		memcpy(addr, bytes, PAN_ADDR_LEN);
}

/* Pairs that share any number of bits share as many afterwards: so no two become one either. */
START_TEST(test_pan__keeps_prefixes)
{
	srand(3);
	for (unsigned strict = 0; strict < 2; strict++) {
		struct pan *p = pan_new(key, strict);

		for (unsigned i = 0; i < 20000; i++) {
			uint8_t a[PAN_ADDR_LEN], b[PAN_ADDR_LEN];
			unsigned from = i & 1 ? 96 : 0, flip, before;

			random_addr(a, i & 1);
			random_addr(b, i & 1);
			flip = from + (unsigned)rand() % (128 - from);
			memcpy(b, a, flip / 8);
			if (flip % 8) {
				uint8_t mask = (uint8_t)(0xff00u >> flip % 8);

				b[flip / 8] =
					(uint8_t)((a[flip / 8] & mask) | (b[flip / 8] & ~mask));
			}
			before = common_bits(a, b);
			ck_assert_int_eq(pan_addr(p, a), 0);
			ck_assert_int_eq(pan_addr(p, b), 0);
			ck_assert_uint_eq(common_bits(a, b), before);
		}
		pan_free(p);
	}
}
END_TEST

static bool is_private(const uint8_t *a)
{
	return a[12] == 10 || (a[12] == 172 && (a[13] & 0xf0) == 16) ||
	       (a[12] == 192 && a[13] == 168) || a[12] == 127 || a[12] >= 224;
}

START_TEST(test_pan__special_ranges)
{
	static const uint8_t stay[][4] = {{10, 1, 2, 3},    {172, 16, 0, 1},  {172, 31, 255, 254},
					  {192, 168, 7, 9}, {127, 0, 0, 1},   {169, 254, 1, 1},
					  {100, 64, 0, 1},  {224, 0, 0, 251}, {0, 0, 0, 0}};
	static const uint8_t link_local[PAN_ADDR_LEN] = {0xfe, 0x80, [15] = 7};
	struct pan *p = pan_new(key, false);
	uint8_t a[PAN_ADDR_LEN], b[PAN_ADDR_LEN];
	unsigned n_changed = 0;

	for (unsigned i = 0; i < sizeof(stay) / sizeof(stay[0]); i++) {
		v4(a, stay[i]);
		v4(b, stay[i]);
		ck_assert_int_eq(pan_addr(p, a), 0);
		ck_assert_mem_eq(a, b, PAN_ADDR_LEN);
	}
	memcpy(a, link_local, PAN_ADDR_LEN);
	ck_assert_int_eq(pan_addr(p, a), 0);
	ck_assert_mem_eq(a, link_local, PAN_ADDR_LEN);
	srand(5);
	for (unsigned i = 0; i < 20000; i++) { /* and nothing else gets there */
		random_addr(a, true);
		memcpy(b, a, PAN_ADDR_LEN);
		ck_assert_int_eq(pan_addr(p, a), 0);
		ck_assert_int_eq(is_private(a), is_private(b));
		n_changed += memcmp(a, b, PAN_ADDR_LEN) != 0;
	}
	ck_assert_uint_gt(n_changed, 15000);
	pan_free(p);
}
END_TEST

START_TEST(test_pan__names)
{
	static const uint8_t other[PAN_KEY_LEN] = {1};
	struct pan *p = pan_new(key, false), *q = pan_new(other, false);
	char a[PAN_NAME_LEN], b[PAN_NAME_LEN], c[PAN_NAME_LEN];

	pan_name(p, "proc", "curl", 4, a);
	pan_name(p, "proc", "curl", 4, b);
	pan_name(q, "proc", "curl", 4, c);
	ck_assert_str_eq(a, b);
	ck_assert_str_ne(a, c);
	ck_assert_uint_eq(strlen(a), 15);
	pan_name(p, "proc", "wget", 4, b);
	ck_assert_str_ne(a, b);
	pan_name(p, "proc", "", 0, b);
	ck_assert_str_eq(b, "");
	pan_free(p);
	pan_free(q);
}
END_TEST

SUITE("pan", test_pan__of_the_authors, test_pan__keeps_prefixes, test_pan__special_ranges,
      test_pan__names)

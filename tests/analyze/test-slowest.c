// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdint.h>
#include <stdlib.h>

#include "slowest.h"
#include "suite.h"

static bool is_faster(const void *a, const void *b)
{
	return *(const uint32_t *)a < *(const uint32_t *)b;
}

static int descending(const void *a, const void *b)
{
	return is_faster(a, b) ? 1 : is_faster(b, a) ? -1 : 0;
}

/* Against sorting all of them, for every bound from none to more than there are. */
START_TEST(test_slowest__like_sorting)
{
	uint32_t all[200], x = 1;
	struct slowest s;

	for (size_t i = 0; i < 200; i++)
		all[i] = (x = x * 1664525 + 1013904223) >> 25; /* many are equal */
	for (size_t max = 0; max <= 210; max += 7) {
		uint32_t sorted[200];

		ck_assert_int_eq(slowest_init(&s, max, sizeof(*all), is_faster), 0);
		for (size_t i = 0; i < 200; i++) {
			sorted[i] = all[i];
			slowest_add(&s, &all[i]);
		}
		qsort(sorted, 200, sizeof(*sorted), descending);
		slowest_sort(&s);
		ck_assert_uint_eq(s.n, max < 200 ? max : 200);
		for (size_t i = 0; i < s.n; i++)
			ck_assert_uint_eq(*(uint32_t *)slowest_at(&s, i), sorted[i]);
		slowest_fini(&s);
	}
}
END_TEST

SUITE("slowest", test_slowest__like_sorting)

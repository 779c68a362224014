// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdbool.h>
#include <string.h>

#include "map.h"
#include "suite.h"

#define N 20000

static char values[N];

START_TEST(test_map__empty)
{
	struct map m = {0};

	ck_assert_ptr_null(map_get(&m, 1));
	ck_assert_ptr_null(map_del(&m, 1));
	map_fini(&m);
}
END_TEST

START_TEST(test_map__put_again_replaces)
{
	struct map m = {0};

	ck_assert_int_eq(map_put(&m, 7, &values[0]), 0);
	ck_assert_int_eq(map_put(&m, 7, &values[1]), 0);
	ck_assert_uint_eq(m.n, 1);
	ck_assert_ptr_eq(map_get(&m, 7), &values[1]);
	ck_assert_ptr_eq(map_del(&m, 7), &values[1]);
	ck_assert_ptr_null(map_get(&m, 7));
	ck_assert_uint_eq(m.n, 0);
	map_fini(&m);
}
END_TEST

static uint64_t key(size_t i, unsigned way)
{
	return way == 0 ? i + 1 : way == 1 ? (i + 1) << 40 : UINT64_MAX - i;
}

/* Random puts and removals against a plain array of what must be there. */
START_TEST(test_map__against_an_array)
{
	for (unsigned way = 0; way < 3; way++) {
		static bool there[N];
		struct map m = {0};
		uint64_t state = way;
		size_t n = 0;

		memset(there, 0, sizeof(there));
		for (unsigned step = 0; step < 100000; step++) {
			size_t i;

			state = state * 6364136223846793005u + 1442695040888963407u;
			i = (state >> 33) % (step < 50000 ? N : 200); /* grows, then crowds */
			if (state >> 63) {
				if (map_put(&m, key(i, way), &values[i]))
					ck_abort_msg("no memory");
				n += !there[i];
				there[i] = true;
			} else {
				if (map_del(&m, key(i, way)) != (there[i] ? &values[i] : NULL))
					ck_abort_msg("step %u", step);
				n -= there[i];
				there[i] = false;
			}
			if (m.n != n) /* ck_assert itself is too slow for so many */
				ck_abort_msg("step %u: %zu entries, not %zu", step, m.n, n);
		}
		for (size_t i = 0; i < N; i++)
			ck_assert_ptr_eq(map_get(&m, key(i, way)), there[i] ? &values[i] : NULL);
		map_fini(&m);
	}
}
END_TEST

/* Removed entries are really gone: many short lives do not make it grow. */
START_TEST(test_map__size_follows_what_lives)
{
	struct map m = {0};

	for (uint64_t i = 1; i <= 100000; i++) {
		if (map_put(&m, i, &values[0]) || (i > 10 && !map_del(&m, i - 10)))
			ck_abort_msg("entry %d", (int)i);
	}
	ck_assert_uint_eq(m.n, 10);
	ck_assert_uint_le(m.cap, 64);
	map_fini(&m);
}
END_TEST

START_TEST(test_map__hash)
{
	ck_assert_uint_ne(map_hash("", 0), 0);
	ck_assert_uint_eq(map_hash("abcdefghi", 9), map_hash("abcdefghi", 9));
	ck_assert_uint_ne(map_hash("abcdefghi", 9), map_hash("abcdefghj", 9));
	ck_assert_uint_ne(map_hash("abcdefgh", 8), map_hash("bacdefgh", 8));
}
END_TEST

SUITE("map", test_map__empty, test_map__put_again_replaces, test_map__against_an_array,
      test_map__size_follows_what_lives, test_map__hash)

// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "hist.h"
#include "suite.h"

static uint64_t next(uint64_t *state) /* splitmix64 */
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

START_TEST(test_hist__slots_are_powers_of_two)
{
	ck_assert_uint_eq(hist_slot(0), 0);
	for (unsigned k = 0; k < 64; k++) {
		uint64_t power = 1ull << k;

		ck_assert_uint_eq(hist_slot(power), k + 1);
		ck_assert_uint_eq(hist_slot(power | (power - 1)), k + 1);
		ck_assert_uint_eq(hist_low(k + 1), power);
		ck_assert_uint_eq(hist_high(k + 1), power | (power - 1));
	}
}
END_TEST

/* What bcc's print_log2_hist (src/python/bcc/table.py) draws of 0 0 1 2 3 8 15. */
START_TEST(test_hist__looks_like_tcprtt)
{
	static const char expected[] =
		"     usecs               : count     distribution\n"
		"         0 -> 1          : 3        |****************************************|\n"
		"         2 -> 3          : 2        |**************************              |\n"
		"         4 -> 7          : 0        |                                        |\n"
		"         8 -> 15         : 2        |**************************              |\n";
	static const uint64_t values[] = {0, 0, 1, 2, 3, 8, 15};
	struct text t = {0};
	struct hist h;

	hist_init(&h, 1, false);
	for (size_t i = 0; i < 7; i++)
		hist_add(&h, values[i]);
	hist_draw(&h, "usecs", &t);
	ck_assert_uint_eq(t.len, sizeof(expected) - 1);
	ck_assert_mem_eq(t.s, expected, t.len);
	text_fini(&t);
	hist_fini(&h);
}
END_TEST

/* From 2^32 on bcc draws wide columns and 20 stars. */
START_TEST(test_hist__wide_as_tcprtt)
{
	static const char last_line[] =
		"          4294967296 -> 8589934591           : 1        |********************|\n";
	struct text t = {0};
	struct hist h;

	hist_init(&h, 1, false);
	hist_add(&h, 1ull << 32);
	hist_draw(&h, "usecs", &t);
	ck_assert_uint_gt(t.len, sizeof(last_line));
	ck_assert_mem_eq(t.s + t.len - strlen(last_line), last_line, strlen(last_line));
	text_fini(&t);
	hist_fini(&h);
}
END_TEST

START_TEST(test_hist__milliseconds)
{
	struct hist h;

	hist_init(&h, 1000, true);
	hist_add(&h, 999);
	hist_add(&h, 3999);
	ck_assert_uint_eq(h.slots[0], 1);
	ck_assert_uint_eq(h.slots[2], 1); /* 2 -> 3 */
	ck_assert_uint_eq(h.sum, 4998);	  /* sums stay in microseconds */
	ck_assert_uint_eq(hist_percentile(&h, 1), 3999);
	hist_fini(&h);
}
END_TEST

START_TEST(test_hist__empty)
{
	struct text t = {0};
	struct hist h;

	hist_init(&h, 1, true);
	ck_assert_uint_eq(hist_percentile(&h, 0.5), 0);
	ck_assert(hist_mean(&h) == 0);
	hist_draw(&h, "usecs", &t);
	ck_assert_uint_eq(t.len, 0);
	hist_fini(&h);
}
END_TEST

START_TEST(test_hist__small_values_are_exact)
{
	struct hist h;

	hist_init(&h, 1, true);
	for (uint64_t v = 1; v <= 200; v++)
		hist_add(&h, v);
	for (unsigned p = 1; p <= 100; p++)
		ck_assert_uint_eq(hist_percentile(&h, p / 100.0), (uint64_t)ceil(p / 100.0 * 200));
	ck_assert_uint_eq(hist_percentile(&h, 0), 1);
	ck_assert(hist_mean(&h) == 100.5);
	ck_assert(h.min == 1 && h.max == 200);
	hist_fini(&h);
}
END_TEST

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Against the sorted values, over 1 us to years: off by 1/256 at most, as hist.h says. */
START_TEST(test_hist__percentiles_against_a_sort)
{
	static const double parts[] = {0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1};
	enum { N = 20000 };
	static uint64_t values[N];

	for (uint64_t seed = 1; seed <= 12; seed++) {
		uint64_t state = seed;
		struct hist h;

		hist_init(&h, 1, true);
		for (size_t i = 0; i < N; i++) {
			values[i] = next(&state) >> (next(&state) % (5 * seed) + 4);
			hist_add(&h, values[i]);
		}
		qsort(values, N, sizeof(values[0]), by_value);
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			size_t rank = (size_t)ceil(parts[i] * N);
			double exact = (double)values[rank ? rank - 1 : 0];
			double got = (double)hist_percentile(&h, parts[i]);

			ck_assert_msg(fabs(got - exact) <= exact / 256 + 0.5,
				      "seed %d, %g: %g for %g", (int)seed, parts[i], got, exact);
		}
		hist_fini(&h);
	}
}
END_TEST

START_TEST(test_hist__clear_begins_anew)
{
	struct hist h;

	hist_init(&h, 1, true);
	hist_add(&h, 1000000);
	hist_add(&h, 3);
	hist_clear(&h);
	ck_assert_uint_eq(hist_percentile(&h, 1), 0);
	hist_add(&h, 7);
	ck_assert_uint_eq(h.n, 1);
	ck_assert_uint_eq(hist_percentile(&h, 0.5), 7);
	ck_assert(h.min == 7 && h.max == 7 && h.sum == 7);
	hist_fini(&h);
}
END_TEST

START_TEST(test_hist__largest_value)
{
	struct text t = {0};
	struct hist h;

	hist_init(&h, 1, true);
	hist_add(&h, UINT64_MAX);
	hist_add(&h, 0);
	ck_assert_uint_eq(hist_percentile(&h, 1), UINT64_MAX);
	ck_assert_uint_eq(hist_percentile(&h, 0.5), 0);
	hist_draw(&h, "usecs", &t);
	text_putc(&t, '\0');
	ck_assert_ptr_nonnull(strstr(t.s, " 9223372036854775808 -> 18446744073709551615 : 1 "));
	text_fini(&t);
	hist_fini(&h);
}
END_TEST

SUITE("hist", test_hist__slots_are_powers_of_two, test_hist__looks_like_tcprtt,
      test_hist__wide_as_tcprtt, test_hist__milliseconds, test_hist__empty,
      test_hist__small_values_are_exact, test_hist__percentiles_against_a_sort,
      test_hist__clear_begins_anew, test_hist__largest_value)

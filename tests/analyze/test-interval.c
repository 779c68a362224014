// SPDX-License-Identifier: GPL-2.0-or-later
#include "interval.h"
#include "suite.h"

START_TEST(test_interval__none)
{
	struct opt_fixed none = {0};
	struct interval iv = {0};

	ck_assert(!interval_is_over(&iv, UINT64_MAX)); /* not begun */
	interval_begin(&iv, &none, 5000);
	ck_assert(!interval_is_over(&iv, UINT64_MAX - 1));
	ck_assert_uint_eq(interval_skip(&iv, 9000), 0);
	ck_assert_uint_eq(iv.from_ns, 5000);
}
END_TEST

START_TEST(test_interval__steps)
{
	struct opt_fixed half = {.given = true, .v = 0.5};
	struct interval iv;

	interval_begin(&iv, &half, 1000);
	ck_assert(!interval_is_over(&iv, 500000999));
	ck_assert(interval_is_over(&iv, 500001000));
	ck_assert_uint_eq(interval_skip(&iv, 500001000), 0); /* the next one, none between */
	ck_assert_uint_eq(iv.from_ns, 500001000);
	ck_assert_uint_eq(interval_skip(&iv, 2100001000), 2);
	ck_assert_uint_eq(iv.from_ns, 2000001000);
	ck_assert_uint_eq(iv.next_ns, 2500001000);
	interval_step(&iv);
	ck_assert_uint_eq(iv.from_ns, 2500001000);
}
END_TEST

/* A hostile trace may have any times. */
START_TEST(test_interval__end_of_time)
{
	struct opt_fixed long_one = {.given = true, .v = 1e9};
	struct interval iv;

	interval_begin(&iv, &long_one, UINT64_MAX - 1000);
	ck_assert(!interval_is_over(&iv, UINT64_MAX));
	interval_step(&iv);
	ck_assert_uint_eq(iv.from_ns, UINT64_MAX - 1000);
}
END_TEST

START_TEST(test_interval__check)
{
	struct opt_fixed tiny = {.given = true, .v = 1e-7}, none = {0};
	struct fail fail;

	ck_assert_int_eq(interval_check(&tiny, &fail), -1);
	ck_assert_int_eq(fail.status, STATUS_USAGE);
	ck_assert_int_eq(interval_check(&none, &fail), 0);
}
END_TEST

SUITE("interval", test_interval__none, test_interval__steps, test_interval__end_of_time,
      test_interval__check)

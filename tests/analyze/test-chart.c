// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "chart.h"
#include "suite.h"

static struct chart chart;

static void draw(unsigned width, unsigned height, bool utf8, uint64_t from_ns, uint64_t to_ns,
		 chart_lost_fn *lost, struct text *t)
{
	struct chart_look look = {
		.width = width, .height = height, .utf8 = utf8, .from_ns = from_ns, .to_ns = to_ns};

	text_clear(t);
	chart_draw(&chart, &look, 1, "x", lost, NULL, t);
	text_putc(t, '\0');
}

/* A peak of one value stays, whatever time passes behind it. */
START_TEST(test_chart__peaks_stay)
{
	uint64_t ns = 5000000;
	uint32_t max = 0;

	memset(&chart, 0, sizeof(chart));
	for (int i = 0; i < 100000; i++, ns += 1000003)
		chart_add(&chart, ns, i == 33333 ? 900 : 10);
	ck_assert_uint_eq(chart.from_ns, 5000000);
	ck_assert(chart.step_ns * CHART_BINS >= 100000ull * 1000003);
	ck_assert(chart.step_ns * CHART_BINS < 2 * 2 * 100000ull * 1000003);
	for (int i = 0; i < CHART_BINS; i++)
		max = chart.bins[i].any && chart.bins[i].max > max ? chart.bins[i].max : max;
	ck_assert_uint_eq(max, 900);
	ck_assert(chart_has(&chart, 5000000, 5000001));
	ck_assert(!chart_has(&chart, 0, 5000000));
	chart_add(&chart, 1, 7); /* a straggler counts as the first */
	ck_assert_uint_eq(chart.bins[0].min, 7);
}
END_TEST

START_TEST(test_chart__ascii)
{
	struct text t = {0};

	memset(&chart, 0, sizeof(chart));
	chart_add(&chart, 1000000, 0);
	chart_add(&chart, 2000000, 99);
	chart_add(&chart, 4000000, 50);
	draw(4, 2, false, 1000000, 5000000, NULL, &t);
	ck_assert_str_eq(t.s, "       99 x  * *\n        0 x *\n");
	text_fini(&t);
}
END_TEST

/* Two dots wide, four high; both ends of what one column holds, and what lies between. */
START_TEST(test_chart__braille)
{
	struct text t = {0};

	memset(&chart, 0, sizeof(chart));
	chart_add(&chart, 1000000, 0);
	chart_add(&chart, 1000000, 3);
	chart_add(&chart, 1500000, 3);
	draw(2, 1, true, 1000000, 3000000, NULL, &t);
	ck_assert_str_eq(t.s, "        3 x \xe2\xa1\x8f\n"); /* left: all four, right: the top */
	text_fini(&t);
}
END_TEST

static bool lost(const void *ctx, uint64_t from_ns, uint64_t to_ns)
{
	return from_ns < 3500000 && to_ns > 2500000;
}

START_TEST(test_chart__gap)
{
	struct text t = {0};

	memset(&chart, 0, sizeof(chart));
	chart_add(&chart, 1000000, 9);
	chart_add(&chart, 4900000, 9);
	draw(4, 1, false, 1000000, 5000000, lost, &t);
	ck_assert_str_eq(t.s, "        9 x *??*\n");
	text_fini(&t);
}
END_TEST

START_TEST(test_chart__empty)
{
	struct text t = {0};

	memset(&chart, 0, sizeof(chart));
	draw(4, 1, false, 1000000, 5000000, lost, &t);
	ck_assert_str_eq(t.s, "");
	text_fini(&t);
}
END_TEST

SUITE("chart", test_chart__peaks_stay, test_chart__ascii, test_chart__braille, test_chart__gap,
      test_chart__empty)

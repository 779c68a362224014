// SPDX-License-Identifier: GPL-2.0-or-later
/* Against printed tables and worked examples, which are named where they are used. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "hist.h"
#include "metric.h"
#include "stats.h"
#include "suite.h"

/* Abramowitz and Stegun, table 26.10, percentage points of the t-distribution. */
static const struct {
	double p, df, t;
} points[] = {
	{0.95, 1, 6.314},    {0.95, 2, 2.920},	{0.95, 10, 1.812},  {0.95, 120, 1.658},
	{0.975, 1, 12.706},  {0.975, 4, 2.776}, {0.975, 30, 2.042}, {0.995, 5, 4.032},
	{0.9995, 8, 5.041},  {0.75, 3, 0.765},	{0.9, 20, 1.325},   {0.99, 1, 31.821},
	{0.975, 1e6, 1.960},
};

START_TEST(test_stats__t_table)
{
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		double p = points[i].p, df = points[i].df, t = points[i].t;

		ck_assert_double_eq_tol(stats_t_quantile(p, df), t, 0.0006 * fmax(1, t / 4));
		ck_assert_double_eq_tol(stats_t_quantile(1 - p, df), -t, 0.0006 * fmax(1, t / 4));
		ck_assert_double_eq_tol(stats_t_cdf(stats_t_quantile(p, df), df), p, 1e-9);
	}
}
END_TEST

START_TEST(test_stats__t_tails)
{
	/* df 1 is Cauchy's distribution, which has a formula */
	for (double t = -1e6; t <= 1e6; t += 1.7e5)
		ck_assert_double_eq_tol(stats_t_cdf(t, 1), 0.5 + atan(t) / M_PI, 1e-12);
	ck_assert_double_eq_tol(stats_t_cdf(0, 7.3), 0.5, 1e-12);
	ck_assert(stats_t_cdf(-40, 8) > 0 && stats_t_cdf(-40, 8) < 1e-9);
}
END_TEST

START_TEST(test_stats__mean_of_recordings)
{
	const double values[] = {1, 2, 3, 4, 5}, none[5] = {0}, wide[] = {9, 9, 9, 9, 9};
	struct stats_mean m = stats_mean_of(values, none, 5, 0.05);

	ck_assert_double_eq_tol(m.mean, 3, 1e-12);
	ck_assert_double_eq_tol(m.var, 2.5 / 5, 1e-12);
	ck_assert_double_eq(m.df, 4);
	/* they lie closer together than each is known: chance */
	m = stats_mean_of(values, wide, 5, 0.05);
	ck_assert_double_eq_tol(m.var, 9. / 5, 1e-12);
	/* one tells nothing of the spread */
	m = stats_mean_of(values, wide, 1, 0.5);
	ck_assert_double_eq_tol(m.mean, 1, 1e-12);
	ck_assert_double_eq_tol(m.var, 9.25, 1e-12);
}
END_TEST

/*
 * Equal variances and sizes are the pooled t-test: means 10 and 12, s^2 = 2.5 of 5 values each, so
 * se = 1 and df = 8; t(0.975, 8) = 2.306.
 */
START_TEST(test_stats__welch)
{
	struct stats_mean a = {10, 0.5, 4}, b = {12, 0.5, 4};
	struct stats_shift s = stats_welch(&a, &b, 0, 0);

	ck_assert_double_eq_tol(s.shift, 2, 1e-12);
	ck_assert_double_eq_tol(s.low, 2 - 2.306, 0.0005);
	ck_assert_double_eq_tol(s.high, 2 + 2.306, 0.0005);
	ck_assert_double_eq_tol(s.p_above, stats_t_cdf(-2, 8), 1e-12);
	ck_assert_double_eq_tol(s.p_below, stats_t_cdf(2, 8), 1e-12);
	/* of a margin as wide as the shift it is half and half */
	s = stats_welch(&a, &b, 2, 3);
	ck_assert_double_eq_tol(s.p_above, 0.5, 1e-12);
	ck_assert_double_eq_tol(s.p_below, stats_t_cdf(5, 8), 1e-12);
	/* a mean without spread takes no degrees of freedom from the other */
	b = (struct stats_mean){12, 0, 1e6};
	s = stats_welch(&a, &b, 0, 0);
	ck_assert_double_eq_tol(s.high - s.shift, sqrt(0.5) * 2.776, 0.001);
}
END_TEST

/* Holm (1979), on four p-values: 0.005 x 4, 0.01 x 3, 0.03 x 2; 0.04 is not below the one before.
 */
START_TEST(test_stats__holm)
{
	const double p[] = {0.01, 0.04, 0.03, 0.005}, want[] = {0.03, 0.06, 0.06, 0.02};
	double got[4], one;

	stats_holm(p, got, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_double_eq_tol(got[i], want[i], 1e-12);
	stats_holm((const double[]){0.9, 0.9}, got, 2);
	ck_assert_double_eq(got[0], 1);
	one = 0.02;
	stats_holm(&one, got, 1);
	ck_assert_double_eq_tol(got[0], 0.02, 1e-12);
	stats_holm(NULL, NULL, 0);
}
END_TEST

/* ---- quantiles ---- */

START_TEST(test_stats__quantiles)
{
	struct hist all, part;

	hist_init(&all, 1, true);
	hist_init(&part, 1, true);
	for (unsigned v = 0; v < 100; v++)
		hist_add(&all, v);
	/* v stands for all of [v, v + 1) */
	ck_assert_double_eq_tol(hist_quantile(&all, NULL, 0.5), 50, 1e-9);
	ck_assert_double_eq_tol(hist_quantile(&all, NULL, 0.995), 99.5, 1e-9);
	for (unsigned v = 0; v < 50; v++)
		hist_add(&part, v);
	ck_assert_double_eq_tol(hist_quantile(&all, &part, 0.5), 75, 1e-9);
	hist_merge(&part, &all);
	ck_assert_uint_eq(part.n, 150);
	ck_assert_uint_eq(part.max, 99);
	ck_assert_double_eq_tol(hist_quantile(&part, NULL, 1. / 3), 25, 1e-9);
	/* steps of 1/128 of a power of two */
	hist_clear(&all);
	for (unsigned v = 1000000; v < 1200000; v += 100)
		hist_add(&all, v);
	ck_assert_double_eq_tol(hist_quantile(&all, NULL, 0.5), 1100000, 1000);
	hist_fini(&all);
	hist_fini(&part);
}
END_TEST

/* A thousand connections with times around 1 ms: what is known of the median, and of what is not.
 */
START_TEST(test_stats__figure_of_times)
{
	struct metric_figure f;
	struct metric m = {.n_conns = 1000};
	double within;

	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(metric_add(&m, i % METRIC_PARTS, 900000 + i * 200), 0);
	ck_assert_int_eq(metric_figure(&m, METRIC_CONNECT, 0, &f), 0);
	ck_assert(f.known);
	ck_assert_uint_eq(f.n, 1000);
	ck_assert_double_eq_tol(exp(f.log), 1000, 2); /* microseconds */
	/*
	 * Of a uniform distribution of width w the median of n has the standard deviation
	 * w / (2 sqrt(n)): 200 us / 63 are 3.2 us, or 0.0032 of it. Parts that are as alike as
	 * these know it better than chance would.
	 */
	within = sqrt(f.var);
	ck_assert(within < 0.0032);
	/* p99 has 10 samples beyond it, and needs them */
	ck_assert_int_eq(metric_figure(&m, METRIC_CONNECT, 2, &f), 0);
	ck_assert(f.known);
	metric_fini(&m);
	m.n_conns = 7;
	ck_assert_int_eq(metric_add(&m, 0, 5), 0);
	ck_assert_int_eq(metric_figure(&m, METRIC_CONNECT, 0, &f), 0);
	ck_assert(!f.known);
	metric_fini(&m);
}
END_TEST

/* One connection that is slow at all times moves the median by its part, and that is told. */
START_TEST(test_stats__figure_of_clusters)
{
	struct metric_figure even, uneven;
	struct metric m = {.n_conns = 160};

	for (unsigned i = 0; i < 16000; i++)
		metric_add(&m, i % METRIC_PARTS, 1000 + i / METRIC_PARTS);
	ck_assert_int_eq(metric_figure(&m, METRIC_RTT_RAW, 0, &even), 0);
	metric_fini(&m);
	m.n_conns = 160;
	for (unsigned i = 0; i < 16000; i++) /* the same times, but alike within a part */
		metric_add(&m, i / 1000, 1000 + i / METRIC_PARTS);
	ck_assert_int_eq(metric_figure(&m, METRIC_RTT_RAW, 0, &uneven), 0);
	metric_fini(&m);
	ck_assert_double_eq_tol(even.log, uneven.log, 1e-6);
	ck_assert(uneven.var > 100 * even.var);
}
END_TEST

START_TEST(test_stats__figure_of_rates)
{
	struct metric_figure f;
	struct metric m = {0};

	for (unsigned i = 0; i < METRIC_PARTS; i++) {
		m.num[i] = 25;
		m.den[i] = 1000;
	}
	ck_assert_int_eq(metric_figure(&m, METRIC_RETRANSMITS, 0, &f), 0);
	ck_assert(f.known);
	ck_assert_uint_eq(f.n, 400);
	ck_assert_double_eq_tol(exp(f.log), 0.025, 0.0001);
	ck_assert_double_eq_tol(sqrt(f.var), 0.05, 0.001); /* Poisson: 1 / sqrt(400) */
	for (unsigned i = 0; i < METRIC_PARTS; i++)
		m.num[i] = i == 3 ? 400 : 0; /* all in one connection */
	ck_assert_int_eq(metric_figure(&m, METRIC_RETRANSMITS, 0, &f), 0);
	ck_assert(sqrt(f.var) > 1);
	/* of no connection: no part takes them away */
	m.num[3] = 0;
	m.loose = 400;
	ck_assert_int_eq(metric_figure(&m, METRIC_RETRANSMITS, 0, &f), 0);
	ck_assert_uint_eq(f.n, 400);
	ck_assert_double_eq_tol(exp(f.log), 0.025, 0.0001);
	ck_assert(sqrt(f.var) < 0.1);
	memset(&m, 0, sizeof(m));
	ck_assert_int_eq(metric_figure(&m, METRIC_RETRANSMITS, 0, &f), 0);
	ck_assert(!f.known);
}
END_TEST

/* Benjamini and Hochberg 1995, table of 15 p-values: the first four are below 0.05. */
START_TEST(test_stats__fdr)
{
	static const double p[15] = {0.0278, 0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0298, 0.0344,
				     0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.000};
	double got[15];

	ck_assert_int_eq(stats_fdr(p, got, 15), 0);
	for (unsigned i = 0; i < 15; i++)
		ck_assert(p[i] <= 0.0095 ? got[i] <= 0.05 : got[i] > 0.05);
	ck_assert_double_eq_tol(got[1], 0.0001 * 15, 1e-12);
	ck_assert_double_eq_tol(got[4], 0.0095 * 15 / 4, 1e-12);
	/* 0.0298 x 15 / 7 is less than 0.0278 x 15 / 6 */
	ck_assert_double_eq_tol(got[0], 0.0298 * 15 / 7, 1e-12);
	ck_assert_double_eq_tol(got[14], 1, 1e-12);
	ck_assert_int_eq(stats_fdr(NULL, NULL, 0), 0);
}
END_TEST

SUITE("stats", test_stats__t_table, test_stats__t_tails, test_stats__mean_of_recordings,
      test_stats__welch, test_stats__holm, test_stats__fdr, test_stats__quantiles,
      test_stats__figure_of_times, test_stats__figure_of_clusters, test_stats__figure_of_rates)

// SPDX-License-Identifier: GPL-2.0-or-later
/* Of generated series, whose relation is known: none, or one that was planted. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relate.h"
#include "stats.h"
#include "suite.h"

enum { MAX_SERIES = 16, MAX_WINDOWS = 500, LAGS = 3, RUNS = 200 };

static uint64_t state;

static double uniform(void) /* xorshift64* (Vigna 2016), (0, 1) */
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return ((double)(state * UINT64_C(2685821657736338717) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void) /* Box and Muller */
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

static struct relate_series series[MAX_SERIES];
static double values[MAX_SERIES][MAX_WINDOWS];

/* First-order noise, whose value goes on into the next one by phi. */
static void noise(unsigned s, size_t n, double phi)
{
	double v = normal() / sqrt(1 - phi * phi);

	for (size_t i = 0; i < n; i++) {
		values[s][i] = v;
		v = phi * v + normal();
	}
}

/* What happens now and then, in bursts: the tops of such noise, and 0 between. */
static void bursts(unsigned s, size_t n, double phi)
{
	noise(s, n, phi);
	for (size_t i = 0; i < n; i++)
		values[s][i] = fmax(0, floor(values[s][i] * sqrt(1 - phi * phi) * 2 - 2.6));
}

static void prepare(unsigned n_series, size_t n)
{
	for (unsigned s = 0; s < n_series; s++) {
		series[s].v = malloc(n * sizeof(double));
		memcpy(series[s].v, values[s], n * sizeof(double));
		ck_assert_int_eq(relate_prepare(&series[s], n), 0);
	}
}

static void end(unsigned n_series)
{
	for (unsigned s = 0; s < n_series; s++)
		relate_fini(&series[s]);
}

/* Pairs among the series that are called related, by the thresholds of the command. */
static unsigned related(unsigned n_series, size_t n, struct relate_pair *first)
{
	struct relate_pair pairs[MAX_SERIES * MAX_SERIES];
	double p[MAX_SERIES * MAX_SERIES], adjusted[MAX_SERIES * MAX_SERIES];
	size_t n_pairs = 0;
	unsigned found = 0;

	for (unsigned x = 0; x < n_series; x++)
		for (unsigned y = x + 1; y < n_series; y++)
			if (relate(&series[x], &series[y], n, LAGS, &pairs[n_pairs])) {
				pairs[n_pairs].x = x;
				pairs[n_pairs].y = y;
				p[n_pairs] = pairs[n_pairs].p;
				n_pairs++;
			}
	ck_assert_int_eq(stats_fdr(p, adjusted, n_pairs), 0);
	for (size_t i = 0; i < n_pairs; i++)
		if (adjusted[i] <= 0.05) {
			*first = pairs[i];
			found++;
		}
	return found;
}

/* 200 runs of twelve unrelated series each, of several lengths and memories: any relation in 5 % of
 * the runs at most. */
START_TEST(test_relate__noise)
{
	static const struct {
		size_t n;
		double phi;
		unsigned n_rare; /* of the twelve */
	} kinds[] = {{60, 0, 0},    {60, 0.6, 6},   {120, 0, 0},   {120, 0, 12},
		     {120, 0.5, 0}, {120, 0.5, 12}, {120, 0.8, 6}, {120, 0.9, 0},
		     {300, 0.7, 0}, {300, 0.7, 12}, {300, 0.95, 4}};

	unsigned all = 0;

	state = 88172645463325252u;
	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct relate_pair first;
		unsigned false_runs = 0;

		for (unsigned run = 0; run < RUNS; run++) {
			for (unsigned s = 0; s < 12; s++)
				(s < kinds[k].n_rare ? bursts : noise)(s, kinds[k].n, kinds[k].phi);
			prepare(12, kinds[k].n);
			false_runs += related(12, kinds[k].n, &first) > 0;
			end(12);
		}
		printf("n %zu, phi %.2f, %u rare: %u of %d runs\n", kinds[k].n, kinds[k].phi,
		       kinds[k].n_rare, false_runs, RUNS);
		/* at a true 5 % there are more than 16 of 200 in one of 50 kinds */
		ck_assert_uint_le(false_runs, 16);
		all += false_runs;
	}
	ck_assert_uint_le(all, RUNS * (sizeof(kinds) / sizeof(kinds[0])) / 20);
}
END_TEST

/* y follows x two windows later, with as much noise of its own: found, and at that lag. */
static void plant(double sign)
{
	unsigned found = 0, at_lag = 0;
	struct relate_pair first;

	state = 424242;
	for (unsigned run = 0; run < RUNS; run++) {
		for (unsigned s = 0; s < 12; s++)
			noise(s, 150, 0.5);
		for (size_t i = 150; i-- > 2;)
			values[7][i] = sign * values[2][i - 2] + values[7][i];
		prepare(12, 150);
		if (related(12, 150, &first) && first.x == 2 && first.y == 7) {
			found++;
			at_lag += first.lag == 2 && first.rho * sign > 0;
		}
		end(12);
	}
	ck_assert_uint_ge(found, RUNS * 95 / 100);
	ck_assert_uint_ge(at_lag, found * 95 / 100);
}

START_TEST(test_relate__planted)
{
	plant(1);
	plant(-1);
}
END_TEST

START_TEST(test_relate__ranks)
{
	static const double v[] = {3, NAN, 1, 3, 100};
	/* worked by hand: sorted 1 3 3 100, the threes share rank 1.5 of 0 to 3 */
	static const double want[] = {0, NAN, -1.5 / 4, 0, 1.5 / 4};

	memcpy(values[0], v, sizeof(v));
	prepare(1, 5);
	ck_assert(series[0].n == 4 && series[0].usual == 3 && series[0].n_usual == 2);
	for (unsigned i = 0; i < 5; i++)
		ck_assert(isnan(want[i]) ? isnan(series[0].ranks[i])
					 : fabs(series[0].ranks[i] - want[i]) < 1e-12);
	end(1);
}
END_TEST

START_TEST(test_relate__too_little)
{
	struct relate_pair p;

	state = 7;
	for (unsigned s = 0; s < 3; s++)
		noise(s, 40, 0);
	for (unsigned i = 0; i < 40; i++)
		values[1][i] = 7; /* does not move */
	for (unsigned i = 0; i < 25; i++)
		values[2][i] = NAN;
	prepare(3, 40);
	ck_assert(!relate(&series[0], &series[1], 40, LAGS, &p));
	ck_assert(!relate(&series[0], &series[2], 40, LAGS, &p));
	ck_assert(relate(&series[0], &series[0], 40, LAGS, &p));
	ck_assert(p.rho > 0.999 && p.lag == 0 && p.n == 40);
	end(3);
}
END_TEST

/* The evidence are the windows in which both are at their extremes. */
START_TEST(test_relate__evidence)
{
	struct relate_pair p;

	for (unsigned i = 0; i < 100; i++)
		values[0][i] = values[1][i] = (i * 37 + 11) % 100;
	values[0][50] = values[1][50] = 1000;
	prepare(2, 100);
	ck_assert(relate(&series[0], &series[1], 100, 0, &p));
	ck_assert_uint_eq(p.strongest[0], 50);
	end(2);
}
END_TEST

SUITE("relate", test_relate__noise, test_relate__planted, test_relate__ranks,
      test_relate__too_little, test_relate__evidence)

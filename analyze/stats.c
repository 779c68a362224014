// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define SMALLEST 1e-300
#define MAX_STEPS 500

/* The continued fraction of I_x(a, b), by Lentz's method. */
static double beta_fraction(double x, double a, double b)
{
	double c = 1, d = 1 - (a + b) * x / (a + 1), f;

	d = 1 / (fabs(d) < SMALLEST ? SMALLEST : d);
	f = d;
	for (int m = 1; m < MAX_STEPS; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double before = f;

		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < SMALLEST ? SMALLEST : d);
		c = fabs(c) < SMALLEST ? SMALLEST : c;
		f *= d * c;
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < SMALLEST ? SMALLEST : d);
		c = fabs(c) < SMALLEST ? SMALLEST : c;
		f *= d * c;
		if (fabs(f - before) <= fabs(f) * DBL_EPSILON)
			break;
	}
	return f;
}

/* I_x(a, b); it converges fast below the mean, so the other side is taken from the mirror. */
static double incomplete_beta(double x, double a, double b)
{
	double front;

	if (x <= 0)
		return 0;
	if (x >= 1)
		return 1;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(x, a, b) / a;
	return 1 - front * beta_fraction(1 - x, b, a) / b;
}

double stats_t_cdf(double t, double df)
{
	double tail = incomplete_beta(df / (df + t * t), df / 2, 0.5) / 2;

	return t > 0 ? 1 - tail : tail;
}

double stats_t_quantile(double p, double df)
{
	double low = -1, high = 1;

	while (stats_t_cdf(low, df) > p && low > -1e12)
		low *= 2;
	while (stats_t_cdf(high, df) < p && high < 1e12)
		high *= 2;
	for (int i = 0; i < 200 && high - low > 1e-12 * (1 + fabs(low)); i++) {
		double middle = (low + high) / 2;

		if (stats_t_cdf(middle, df) < p)
			low = middle;
		else
			high = middle;
	}
	return (low + high) / 2;
}

struct stats_mean stats_mean_of(const double *values, const double *inner, size_t n, double floor)
{
	struct stats_mean m = {0};
	double within = 0, between = 0;

	for (size_t i = 0; i < n; i++) {
		m.mean += values[i] / (double)n;
		within += inner[i] / (double)n;
	}
	if (n == 1) {
		m.var = within + floor * floor;
		m.df = 1e6; /* the floor is not estimated */
		return m;
	}
	for (size_t i = 0; i < n; i++)
		between += (values[i] - m.mean) * (values[i] - m.mean) / (double)(n - 1);
	m.var = fmax(within, between) / (double)n;
	m.df = (double)(n - 1);
	return m;
}

struct stats_shift stats_welch(const struct stats_mean *a, const struct stats_mean *b, double above,
			       double below)
{
	double var = a->var + b->var, se = sqrt(fmax(var, 1e-18)), df, reach;
	struct stats_shift s = {.shift = b->mean - a->mean};

	df = a->var * a->var / a->df + b->var * b->var / b->df;
	df = df > 0 ? var * var / df : fmin(a->df, b->df);
	reach = stats_t_quantile(0.975, df) * se;
	s.low = s.shift - reach;
	s.high = s.shift + reach;
	s.p_above = stats_t_cdf((above - s.shift) / se, df);
	s.p_below = stats_t_cdf((below + s.shift) / se, df);
	return s;
}

struct test {
	double p;
	size_t at;
};

static int by_p(const void *a, const void *b)
{
	const struct test *x = a, *y = b;

	return (x->p > y->p) - (x->p < y->p);
}

static struct test *sorted_tests(const double *p, size_t n)
{
	struct test *sorted = malloc((n + 1) * sizeof(*sorted));

	for (size_t i = 0; sorted && i < n; i++)
		sorted[i] = (struct test){p[i], i};
	if (sorted)
		qsort(sorted, n, sizeof(*sorted), by_p);
	return sorted;
}

int stats_holm(const double *p, double *ret, size_t n)
{
	struct test *sorted = sorted_tests(p, n);
	double most = 0;

	for (size_t i = 0; sorted && i < n; i++) {
		most = fmax(most, fmin(1, sorted[i].p * (double)(n - i)));
		ret[sorted[i].at] = most;
	}
	if (!sorted)
		return -1;
	free(sorted);
	return 0;
}

int stats_fdr(const double *p, double *ret, size_t n)
{
	struct test *sorted = sorted_tests(p, n);
	double least = 1;

	for (size_t i = n; sorted && i-- > 0;) {
		least = fmin(least, sorted[i].p * (double)n / (double)(i + 1));
		ret[sorted[i].at] = least;
	}
	if (!sorted)
		return -1;
	free(sorted);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The statistics that compare rests on. Nothing in here knows of traces.
 */
#ifndef ANA_STATS_H
#define ANA_STATS_H

#include <stddef.h>

/*
 * P(T <= t) of Student's distribution, df > 0 and not necessarily whole; by the incomplete beta
 * function (Abramowitz and Stegun 26.7.1), its continued fraction as DLMF 8.17.22.
 */
double stats_t_cdf(double t, double df);

/* The t of which stats_t_cdf is p, 0 < p < 1. */
double stats_t_quantile(double p, double df);

/* A mean of independent values, or of one: what is known of it. */
struct stats_mean {
	double mean, var; /* var: of the mean itself, not of the values */
	double df;	  /* of var */
};

/*
 * The mean of n >= 1 values. inner: of each value the variance that it has in itself; a spread
 * between values that is smaller than it is taken for chance, and inner's mean used instead. A
 * single value has inner, and `floor`, a standard deviation that stands for the spread between
 * values that were not seen.
 */
struct stats_mean stats_mean_of(const double *values, const double *inner, size_t n, double floor);

struct stats_shift {
	double shift, low, high; /* of b against a, with its 95 % confidence interval */
	double p_above, p_below; /* one-sided: of shifts this far that are not outside margin */
};

/*
 * Welch's test (1947), with Satterthwaite's degrees of freedom (1946), of a shift above `above`,
 * and of one below -below; both >= 0.
 */
struct stats_shift stats_welch(const struct stats_mean *a, const struct stats_mean *b, double above,
			       double below);

/*
 * Holm's step-down (1979): p adjusted so that among all that are below alpha, there is a false one
 * with probability alpha at most, whatever their dependence.
 */
int stats_holm(const double *p, double *ret, size_t n); /* -1: no memory */

/*
 * Benjamini and Hochberg's step-up (Journal of the Royal Statistical Society B 57, 1995): p
 * adjusted so that of those below alpha a part of alpha is false, on average; and if none is true,
 * there is any with probability alpha at most. For tests that are independent, or positively
 * dependent.
 */
int stats_fdr(const double *p, double *ret, size_t n); /* -1: no memory */

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which series of values move together: Spearman's rank correlation at a lag, and how likely chance
 * is. Values of neighbouring windows depend on each other, so a series of n says less than n
 * independent values would: Bartlett's variance of a correlation between two series takes the place
 * of 1/n. Nothing in here knows of traces.
 */
#ifndef ANA_RELATE_H
#define ANA_RELATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELATE_EVIDENCE 3
#define RELATE_MIN_WINDOWS 20 /* that both series must have */
#define RELATE_MIN_MOVES 5    /* of these, with another value than the most frequent one */

struct relate_series {
	double *v; /* one for each window; NAN: it has none */
	/* made by relate_prepare */
	double *ranks; /* from -1/2 to 1/2, their mean 0; NAN as v */
	double *auto_corr;
	size_t n;	/* windows with a value */
	double usual;	/* its most frequent value */
	size_t n_usual; /* how often */
};

struct relate_pair {
	unsigned x, y; /* the caller's numbers */
	int lag;       /* windows that y is behind x: the one of the largest |rho| */
	double rho;
	size_t n;	    /* windows that both have, at that lag */
	double n_effective; /* independent ones that would say as much */
	double p; /* of one as far from 0 in two unrelated series, at any of the lags tried */
	double p_adjusted;		   /* the caller's, for all pairs tried */
	size_t strongest[RELATE_EVIDENCE]; /* windows of x that speak for it; SIZE_MAX: none */
};

/* Ranks (ties share their mean) and autocorrelations of a series of n windows; -1: no memory. */
int relate_prepare(struct relate_series *s, size_t n);
void relate_fini(struct relate_series *s); /* v too */

/*
 * Of two prepared series, at lags up to max_lag either way, into all but x, y, p_adjusted of *ret.
 * false: too few windows have both, or one does not move in them. The p of the best lag is
 * multiplied by the number of lags (Bonferroni).
 */
bool relate(const struct relate_series *x, const struct relate_series *y, size_t n,
	    unsigned max_lag, struct relate_pair *ret);

#endif

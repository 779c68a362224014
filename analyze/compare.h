/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two sides of recordings against each other. A recording is one value of each figure, in
 * logarithms, so a shift is a ratio; the spread between the recordings of a side says how much a
 * figure moves by itself, since samples of one recording depend on each other. The verdicts of all
 * figures together are wrong with probability COMPARE_ALPHA at most, in each direction (Holm).
 */
#ifndef ANA_COMPARE_H
#define ANA_COMPARE_H

#include "recording.h"
#include "stats.h"

#define COMPARE_ALPHA 0.05
#define COMPARE_MAX_RECORDINGS 64 /* of a side */
/*
 * Spread between recordings, as a standard deviation of the logarithm, that is assumed where a side
 * has a single one: what quantiles and rates of the same load did on a machine left alone.
 */
#define COMPARE_FLOOR_TIME 0.05
#define COMPARE_FLOOR_RATE 0.25

enum compare_verdict { COMPARE_SAME, COMPARE_WORSE, COMPARE_BETTER, COMPARE_UNKNOWN, COMPARE_N };

struct compare_side {
	struct recording *v;
	size_t n;
};

struct compare_row {
	enum metric_id id;
	unsigned quantile;
	const struct by_group *group; /* of some recording; as that one has it */
	const struct recording *of;   /* which has the names for it */
	double tolerance;
	struct stats_mean mean[2]; /* base, new; of logarithms */
	bool known[2], provisional;
	size_t n_recordings[2];
	uint64_t n[2], conns[2];
	double den[2];		  /* of a rate */
	struct stats_shift shift; /* if both are known */
	double p;		  /* adjusted, of the verdict's direction; 1: nothing to say */
	enum compare_verdict verdict;
};

struct compare {
	struct compare_row *rows;
	size_t n, cap;
	size_t count[COMPARE_N];
	double tolerance[METRIC_N][METRIC_MAX_QUANTILES]; /* set by the caller */
	enum by_key key;
};

/* "rtt.raw.p99=10%,connect=5%" on top of the defaults. 0, or -1 and *fail. */
int compare_tolerances(struct compare *c, const char *list, struct fail *fail);

/* Fill rows. -1: no memory. */
int compare_run(struct compare *c, const struct compare_side *base,
		const struct compare_side *next);
void compare_fini(struct compare *c);

const char *compare_verdict_name(enum compare_verdict v);

#endif

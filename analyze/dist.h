/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The distribution of a time, for all commands that show one: a histogram as bcc's tools draw it,
 * or a line of percentiles, for each group of --by and each interval of -i. Values are counted in
 * microseconds, or nanoseconds where that is what the caller has.
 */
#ifndef ANA_DIST_H
#define ANA_DIST_H

#include "by.h"
#include "cmd.h"
#include "hist.h"
#include "interval.h"
#include "weights.h"

struct dist_opts {
	enum by_key by;
	const char *value;	   /* "srtt": what is counted, in JSON */
	uint32_t per_us;	   /* values are so many to a microsecond: 1 or 1000 */
	bool ms;		   /* shown in milliseconds, not microseconds */
	bool percentiles;	   /* a line of figures instead of a picture */
	bool mean, time_of_day;	   /* with it */
	struct opt_fixed interval; /* not given: one of all */
	const char *group;	   /* of the events, which may be sampled; NULL: they are not */
};

#define DIST_MAX_COLUMNS (BY_N_COLS + 18)

struct dist_group {
	struct by_group by;
	struct hist hist;
	uint64_t n_recorded;	  /* hist.n is an estimate, if connections were left out */
	struct estimate estimate; /* what that is worth */
};

struct dist {
	struct dist_opts opts;
	struct cmd_run *run;
	const struct by_who *who;
	struct by_groups groups;
	struct interval interval;
	const struct weight_group *weights; /* what a value stands for */
	struct estimates estimates;
	struct out_col cols[DIST_MAX_COLUMNS];
	bool failed; /* no memory for a histogram */
};

/* Begin the table. who stays the caller's: what its binds (by.h) learn names the groups. */
void dist_begin(struct dist *d, struct cmd_run *run, const struct by_who *who,
		const struct dist_opts *opts);
void dist_fini(struct dist *d);

/* Where the values of such an event go; NULL: too many groups, or no memory. Valid up to the end
 * of the interval; where there is no key, to dist_fini. */
struct dist_group *dist_group(struct dist *d, const struct by_event *e);

/* A value of that time, of a connection (flow NULL: not known), for those that were left out too.
 */
void dist_add(struct dist *d, struct dist_group *g, const struct flow *flow, uint64_t ts_ns,
	      uint64_t v);

/* Nothing before ts_ns is still to come: print the interval if it is over. */
void dist_pass(struct dist *d, uint64_t ts_ns);

/* The trace ends: print what is left, and notes. 0, or -1 and *fail: no memory. */
int dist_finish(struct dist *d, struct fail *fail);

/* The binds of by_bind() that the key needs. */
unsigned dist_n_binds(enum by_key by);

#endif

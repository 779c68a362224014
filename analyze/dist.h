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

struct dist_opts {
	enum by_key by;
	const char *value;	   /* "srtt": what is counted, in JSON */
	uint32_t per_us;	   /* values are so many to a microsecond: 1 or 1000 */
	bool ms;		   /* shown in milliseconds, not microseconds */
	bool percentiles;	   /* a line of figures instead of a picture */
	bool mean, time_of_day;	   /* with it */
	struct opt_fixed interval; /* not given: one of all */
};

#define DIST_MAX_COLUMNS (BY_N_COLS + 16)

struct dist {
	struct dist_opts opts;
	struct cmd_run *run;
	const struct by_who *who;
	struct by_groups groups;
	struct interval interval;
	struct out_col cols[DIST_MAX_COLUMNS];
	bool failed; /* no memory for a histogram */
};

/* Begin the table. who stays the caller's: what its binds (by.h) learn names the groups. */
void dist_begin(struct dist *d, struct cmd_run *run, const struct by_who *who,
		const struct dist_opts *opts);
void dist_fini(struct dist *d);

/* Where the values of such an event go; NULL: too many groups, or no memory. Valid up to the end
 * of the interval; where there is no key, to dist_fini. */
struct hist *dist_hist(struct dist *d, const struct by_event *e);

/* Nothing before ts_ns is still to come: print the interval if it is over. */
void dist_pass(struct dist *d, uint64_t ts_ns);

/* The trace ends: print what is left, and notes. 0, or -1 and *fail: no memory. */
int dist_finish(struct dist *d, struct fail *fail);

/* The binds of by_bind() that the key needs. */
unsigned dist_n_binds(enum by_key by);

#endif

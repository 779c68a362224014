/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcptape connlat -c: how many connects there were, and what became of them, in intervals. */
#ifndef ANA_CONNLAT_COUNT_H
#define ANA_CONNLAT_COUNT_H

#include "by.h"
#include "interval.h"
#include "outcome.h"

struct connlat_count {
	struct out *out; /* these are set by the caller */
	struct input *in;
	const struct by_who *who;
	struct by_groups groups;
	struct interval interval;

	struct out_col *cols;
};

/* Begin the table. 0, -1: no memory. */
int connlat_count_begin(struct connlat_count *c, enum by_key key, bool with_interval, bool with_s);
void connlat_count_add(struct connlat_count *c, const struct by_event *e, enum outcome outcome);
/* Nothing before ts_ns is still to come: print the interval if it is over. */
void connlat_count_pass(struct connlat_count *c, uint64_t ts_ns);
void connlat_count_end(struct connlat_count *c);
void connlat_count_fini(struct connlat_count *c);

#endif

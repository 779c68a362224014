/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcptape resets -c: how many RSTs of one kind there were, by --by, in intervals. */
#ifndef ANA_RESETS_COUNT_H
#define ANA_RESETS_COUNT_H

#include "by.h"
#include "interval.h"

struct reset_kind {
	bool is_sent;
	const char *by;	 /* a constant: "peer" */
	unsigned state;	 /* 0: none */
	uint64_t reason; /* in the kernel's numbers */
};

struct resets_count {
	struct out *out; /* these are set by the caller */
	struct input *in;
	const struct by_who *who;
	struct by_groups groups;
	struct interval interval;
	void (*cell_reason)(void *ctx, uint64_t reason);
	void *ctx;

	bool failed;
	struct out_col *cols;
};

/* Begin the table. 0, -1: no memory. */
int resets_count_begin(struct resets_count *c, enum by_key key, bool with_interval, bool with_s);
void resets_count_add(struct resets_count *c, const struct by_event *e,
		      const struct reset_kind *kind);
/* Nothing before ts_ns is still to come: print the interval if it is over. */
void resets_count_pass(struct resets_count *c, uint64_t ts_ns);
void resets_count_end(struct resets_count *c);
void resets_count_fini(struct resets_count *c);

#endif

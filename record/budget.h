/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many of a group's connections are recorded: --sample from the start, and fewer while there
 * are more events than --max-rate allows. Counts what is recorded, in windows of a second, and
 * makes a `rate` record of each change, as a source for the drain. The caller says what time it is,
 * and sets the thresholds that programs read (bpf/thin.h). Owns nothing.
 *
 * The budget: groups of the control ring may take 7/8 of it, and share that: one that wants less
 * than its part leaves the rest to the others. Bulk groups have what these do not use, 1/8 at
 * least. So bulk groups thin out first, all alike, and a storm in one control group is no harm to
 * the others. A weight rises at once by as many powers of two as it takes, and falls by one at a
 * time, after it would have left half of the room free for some seconds: the more, the more often
 * that was too early.
 */
#ifndef REC_BUDGET_H
#define REC_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "drain.h"
#include "groups.h"

#define REC_MAX_WEIGHT (1u << 20)

struct rec_thin {	   /* of a group; bulk groups are all alike */
	uint64_t weight;   /* one connection in so many */
	unsigned calm;	   /* windows in a row in which a smaller weight would have done */
	unsigned patience; /* how many it takes */
	bool eased;	   /* the last change was to a smaller one */
};

struct rec_budget {
	struct rec_source source;	  /* first, so that a pointer to it is one to the budget */
	uint64_t events_s;		  /* 0: no bound */
	uint32_t sample;		  /* weight of bulk groups if nothing else bears on them */
	uint32_t groups;		  /* recorded: 1 << enum tape_group */
	uint64_t from_ns;		  /* of the window */
	uint64_t n_seen;		  /* in it, of all groups */
	uint64_t seen[TAPE_N_GROUPS];	  /* in it */
	uint64_t left_out[TAPE_N_GROUPS]; /* since the start, when the window began */
	struct rec_thin thin[TAPE_N_GROUPS];
	struct ev_rate rates[64]; /* wait for the drain, from `at` up to `n` */
	unsigned at, n;
	bool changed; /* ever: something was left out for the budget */
};

/* Begins a window; with sample > 1 there are records already. */
void rec_budget_init(struct rec_budget *b, uint64_t events_s, uint32_t sample, uint32_t groups,
		     uint64_t now_ns);

/* A record of that group was written. One that is older than the window does not count. */
static inline void rec_budget_see(struct rec_budget *b, enum tape_group g, uint64_t ts_ns)
{
	bool counts = ts_ns >= b->from_ns;

	b->seen[g] += counts;
	b->n_seen += counts;
}

/* The window is over, or has taken all that the budget allows: decide. */
bool rec_budget_is_due(const struct rec_budget *b, uint64_t now_ns);

/*
 * Set the weights by what was seen and left out (events since the start, by group); a new window
 * begins. True: some weight has changed.
 */
bool rec_budget_decide(struct rec_budget *b, uint64_t now_ns,
		       const uint64_t left_out[TAPE_N_GROUPS]);

/* Of a hash of 32 bits, those from here on are recorded: bpf/thin.h. */
uint32_t rec_budget_floor(const struct rec_budget *b, enum tape_group g);

/*
 * The rates that hold now, of groups of which not all is recorded, as at now_ns: for the start of a
 * further file. Returns how many of ret[TAPE_N_GROUPS] were filled.
 */
unsigned rec_budget_rates(const struct rec_budget *b, uint64_t now_ns, struct ev_rate *ret);

/* Say them again, through the drain: whoever reads a part of the file must not look far back. */
void rec_budget_repeat(struct rec_budget *b, uint64_t now_ns);

#endif

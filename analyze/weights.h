/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an event stands for where the recorder left connections out (--sample, --max-rate): so many
 * by group and time, out of the records `rate`; and what estimates are worth that are made of it.
 *
 * Which connections are recorded is chosen by their ends, each with the same chance 1/w: a cluster
 * sample, of which one connection, both of its ends together, is a cluster. Its sum y gives the
 * estimate w y of the whole (Horvitz and Thompson, "A generalization of sampling without
 * replacement from a finite universe", JASA 47, 1952), and the estimated variance of that is the
 * sum over the recorded connections of w (w - 1) y^2. Where w changed on the way, a connection adds
 * (1 - 1/w_max) (sum of w y)^2, which is not less than it should be.
 */
#ifndef ANA_WEIGHTS_H
#define ANA_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bind.h"
#include "map.h"

#define WEIGHTS_MAX_GROUPS 16
#define WEIGHTS_MAX (1u << 20) /* a hostile trace may say more */

struct weight_step {
	uint64_t from_ns, weight;
	uint64_t rate, budget; /* events a second that led to it; that were allowed, 0 any */
	uint32_t cause;
};

struct weight_group {
	char name[16];
	struct weight_step *steps; /* in the order of time */
	size_t n, cap;
};

struct weights {
	struct weight_group groups[WEIGHTS_MAX_GROUPS];
	size_t n;
	bool failed; /* no memory */
};

void weights_fini(struct weights *w);

/* Learn from a chunk what it has of rates. 0, or negative and *err. Again is no harm. */
int weights_learn(struct weights *w, const struct tape_schema *schema, struct tape_chunk *chunk,
		  struct tape_error *err);
bool weights_are_in(const struct tape_schema *schema, const struct tape_chunk *chunk);

/* That of a name, empty if nothing is known of it yet; valid as long as w. NULL: too many. */
const struct weight_group *weights_of(struct weights *w, const char *group);

/* All events up to that time stand for themselves. */
bool weights_are_plain(const struct weights *w, uint64_t to_ns);

uint64_t weight_search(const struct weight_group *g, uint64_t ts_ns);

/* How many events one of that time stands for. g may be NULL. */
static inline uint64_t weight_at(const struct weight_group *g, uint64_t ts_ns)
{
	return g && g->n ? weight_search(g, ts_ns) : 1;
}

/* ---- what an estimate is worth ---- */

#define ESTIMATE_MAX_CONNS (1u << 20)

struct estimate {	  /* of one sum */
	double variance;  /* so far */
	uint64_t n_conns; /* that it is made of, where they stand for others */
};

struct estimates { /* totals of connections */
	struct map conns;
	uint64_t n_over; /* events of connections for which there was no room: not in the bound */
	bool failed;
};

void estimates_fini(struct estimates *s);

/*
 * A connection adds v, which stands for weight * v, to the sum e. Nothing to do where weight is 1.
 * flow NULL: not known, a connection of its own.
 */
void estimate_add(struct estimates *s, struct estimate *e, const struct flow *flow, uint64_t v,
		  uint64_t weight);

/* One standard error. */
double estimate_error(const struct estimate *e);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of a recording that makes several (tcptape-record --rotate, --ring): which one this is, and
 * whether it follows the one before it. All of it is what META lines say, which may come from an
 * enemy.
 */
#ifndef ANA_PART_H
#define ANA_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "writer.h" /* struct tape_meta */

struct part {
	bool any; /* else it is the only file of its recording */
	char id[20], kind[8];
	uint64_t number; /* from 1 */
	uint64_t before; /* events of the recording before this file */
	uint64_t n_events;
	bool last; /* none follows */
};

void part_read(struct part *p, const struct tape_meta *meta, size_t n, uint64_t n_events,
	       bool closed);

/* What lies between two files of one recording, in this order. */
struct part_gap {
	bool known;	      /* they are of one recording */
	bool backward;	      /* the second one is the earlier, or the same */
	uint64_t first, last; /* numbers of the files that are missing; first 0: none */
	uint64_t events;      /* that are in neither, or, if `twice`, in both */
	bool twice;
};

struct part_gap part_between(const struct part *a, const struct part *b);

/* The same in words, "follows the file before" or what is wrong. */
void part_tell(const struct part_gap *g, char *buf, size_t len);

#endif

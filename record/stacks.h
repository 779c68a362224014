/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Call stacks of events (--stacks). Probes emit return addresses behind the record; none of them
 * goes into a file. A stack that is new becomes a snap_stack row with the names of its places, and
 * in the event stands its number. Memory is taken at the first stack, and bounded: what comes when
 * it is full has number 0, and is counted.
 */
#ifndef REC_STACKS_H
#define REC_STACKS_H

#include "symbols.h"

#define REC_STACKS_MAX 4096 /* different ones, each up to 0.5 KiB */

struct rec_stack;

struct rec_stacks {
	struct rec_stack **slots; /* by hash, 2 * REC_STACKS_MAX; NULL until the first one */
	uint32_t n;
	uint64_t n_refused;
	uint16_t at[256],
		len[256]; /* by event id: offset of the field, length of the record; 0 none */
};

/* pointers: records have the kernel addresses that events end with. */
void rec_stacks_init(struct rec_stacks *s, bool pointers);
void rec_stacks_fini(struct rec_stacks *s);

/*
 * Replace the number of addresses behind a record by the stack's id, cut them off, and write the
 * row of a new one. 0, or the writer's error.
 */
int rec_stacks_see(struct rec_stacks *s, struct rec_symbols *symbols, struct ev_head *record,
		   struct tape_writer *w, struct tape_error *err);

#endif

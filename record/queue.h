/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records of one source, held back and sorted by time: a fixed arena of bytes and a sorted list.
 * Owns its memory, which never grows. Input is nearly sorted (CPUs race for the ring), so putting
 * a record in its place is a step or two from the end. No clock, no BPF.
 */
#ifndef REC_QUEUE_H
#define REC_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events.h"

#define REC_MAX_RECORD 1024 /* bytes; the largest record is about 250 */

struct rec_queue_item {
	uint64_t ts_ns;
	struct ev_head *record; /* in the arena */
};

struct rec_queue {
	char *arena, *spare; /* of cap bytes each; compacting changes to the other one */
	size_t used, cap;    /* bytes */
	struct rec_queue_item *items;
	size_t head, n, max_items; /* items[head .. n) wait */
};

/* Room for cap bytes of records. -1: no memory. */
int rec_queue_init(struct rec_queue *q, size_t cap);
void rec_queue_fini(struct rec_queue *q);

/* True if a record of any size can be added. */
bool rec_queue_has_room(const struct rec_queue *q);

/*
 * Copy a record to its place; equal times stay in the order of arrival. Needs room. False: its size
 * is none that a record can have, and it was left out.
 */
bool rec_queue_add(struct rec_queue *q, const struct ev_head *record);

/* The number that wait, and the i-th of them, earliest first. */
static inline size_t rec_queue_len(const struct rec_queue *q)
{
	return q->n - q->head;
}
static inline const struct rec_queue_item *rec_queue_at(const struct rec_queue *q, size_t i)
{
	return &q->items[q->head + i];
}

/* Take the earliest; it stays valid until rec_queue_compact. Needs one to be there. */
struct ev_head *rec_queue_pop(struct rec_queue *q);

/* Give the memory of what was taken free again. Moves records. */
void rec_queue_compact(struct rec_queue *q);

#endif

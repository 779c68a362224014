/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "queue.h"

#define MIN_RECORD 64 /* bytes; smaller ones only waste arena */

int rec_queue_init(struct rec_queue *q, size_t cap)
{
	*q = (struct rec_queue){.cap = cap, .max_items = cap / MIN_RECORD};
	q->arena = malloc(cap);
	q->spare = malloc(cap);
	q->items = malloc(q->max_items * sizeof(*q->items));
	if (q->arena && q->spare && q->items)
		return 0;
	rec_queue_fini(q);
	return -1;
}

void rec_queue_fini(struct rec_queue *q)
{
	free(q->arena);
	free(q->spare);
	free(q->items);
	*q = (struct rec_queue){0};
}

bool rec_queue_has_room(const struct rec_queue *q)
{
	return q->cap - q->used >= REC_MAX_RECORD && q->n < q->max_items;
}

bool rec_queue_add(struct rec_queue *q, const struct ev_head *record)
{
	struct ev_head *copy = (struct ev_head *)(q->arena + q->used);
	size_t i = q->n;

	if (record->size < sizeof(*record) || record->size > REC_MAX_RECORD)
		return false; /* what is in a ring is not ours to trust */
	assert(q->n < q->max_items);
	q->n++;
	memcpy(copy, record, record->size);
	q->used += (record->size + 7) & ~(size_t)7;
	for (; i > q->head && q->items[i - 1].ts_ns > record->ts_ns; i--)
		q->items[i] = q->items[i - 1];
	q->items[i] = (struct rec_queue_item){record->ts_ns, copy};
	return true;
}

struct ev_head *rec_queue_pop(struct rec_queue *q)
{
	assert(q->head < q->n);
	return q->items[q->head++].record;
}

/* Copy the waiting records to the other arena, in order of time. */
static void change_arena(struct rec_queue *q)
{
	char *to = q->spare;

	for (size_t i = 0; i < q->n; i++) {
		struct ev_head *record = q->items[i].record;
		size_t size = record->size;

		q->items[i].record = memcpy(to, record, size);
		to += (size + 7) & ~(size_t)7;
	}
	q->used = (size_t)(to - q->spare);
	q->spare = q->arena;
	q->arena = to - q->used;
}

void rec_queue_compact(struct rec_queue *q)
{
	if (!q->head)
		return;
	memmove(q->items, q->items + q->head, rec_queue_len(q) * sizeof(*q->items));
	q->n -= q->head;
	q->head = 0;
	if (q->n)
		change_arena(q);
	else
		q->used = 0;
}

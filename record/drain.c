/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <assert.h>
#include <string.h>

#include "drain.h"

void rec_drain_init(struct rec_drain *d, uint64_t hold_ns, rec_sink_fn *sink, void *ctx)
{
	memset(d, 0, sizeof(*d));
	d->hold_ns = hold_ns;
	d->sink = sink;
	d->ctx = ctx;
}

int rec_drain_add(struct rec_drain *d, struct rec_source *s, size_t cap)
{
	assert(d->n < REC_MAX_SOURCES);
	if (rec_queue_init(&d->queues[d->n], cap) < 0)
		return -1;
	d->sources[d->n++] = s;
	return 0;
}

void rec_drain_fini(struct rec_drain *d)
{
	for (unsigned i = 0; i < d->n; i++)
		rec_queue_fini(&d->queues[i]);
	d->n = 0;
}

/* True if the queue became full before the source was empty. */
static bool fill(struct rec_drain *d, struct rec_source *s, struct rec_queue *q)
{
	bool full;

	while (!(full = !rec_queue_has_room(q))) {
		const struct ev_head *record = s->next(s);

		if (!record)
			break;
		d->n_bad += !rec_queue_add(q, record);
	}
	s->done(s);
	return full;
}

/* A queue's first record, in a heap: the earliest is on top. An empty queue's is the end of time.
 */
struct first {
	uint64_t ts_ns;
	unsigned queue;
};

static struct first first_of(const struct rec_drain *d, unsigned i)
{
	const struct rec_queue *q = &d->queues[i];

	return (struct first){rec_queue_len(q) ? rec_queue_at(q, 0)->ts_ns : UINT64_MAX, i};
}

static bool is_earlier(const struct first *a, const struct first *b)
{
	return a->ts_ns < b->ts_ns || (a->ts_ns == b->ts_ns && a->queue < b->queue);
}

/* Let heap[at] sink to its place. */
static void sink_down(struct first *heap, unsigned n, unsigned at)
{
	struct first moving = heap[at];

	for (unsigned child; (child = 2 * at + 1) < n; at = child) {
		child += child + 1 < n && is_earlier(&heap[child + 1], &heap[child]);
		if (!is_earlier(&heap[child], &moving))
			break;
		heap[at] = heap[child];
	}
	heap[at] = moving;
}

/* What is earlier than limit_ns, of all queues, in the order of time. */
static int hand_on(struct rec_drain *d, uint64_t limit_ns, uint64_t *n)
{
	struct first heap[REC_MAX_SOURCES];

	for (unsigned i = 0; i < d->n; i++)
		heap[i] = first_of(d, i);
	for (unsigned i = d->n / 2; i-- > 0;)
		sink_down(heap, d->n, i);
	for (; d->n && heap[0].ts_ns < limit_ns; ++*n) {
		struct rec_queue *q = &d->queues[heap[0].queue];
		int r = d->sink(d->ctx, rec_queue_pop(q), q);

		if (r < 0)
			return r;
		heap[0] = first_of(d, heap[0].queue);
		sink_down(heap, d->n, 0);
	}
	if (limit_ns > d->floor_ns && limit_ns != UINT64_MAX)
		d->floor_ns = limit_ns;
	for (unsigned i = 0; i < d->n; i++)
		rec_queue_compact(&d->queues[i]);
	return 0;
}

/* A full queue and nothing old enough: give up half of the fullest one's hold-back time. */
static int make_room(struct rec_drain *d)
{
	uint64_t limit_ns = 0;

	for (unsigned i = 0; i < d->n; i++) {
		struct rec_queue *q = &d->queues[i];
		size_t len = rec_queue_len(q);

		if (!rec_queue_has_room(q) && len && rec_queue_at(q, len / 2)->ts_ns >= limit_ns)
			limit_ns = rec_queue_at(q, len / 2)->ts_ns + 1;
	}
	return hand_on(d, limit_ns, &d->n_forced);
}

static uint64_t before(uint64_t ts_ns, uint64_t by_ns)
{
	return ts_ns > by_ns ? ts_ns - by_ns : 0;
}

/*
 * Everything earlier has been read from all sources. Of a source that has more than its queue could
 * take, only what lies hold_ns before the last record read is complete.
 */
static uint64_t complete_until(const struct rec_drain *d, uint64_t now_ns)
{
	uint64_t limit_ns = now_ns == UINT64_MAX ? now_ns : before(now_ns, d->hold_ns);

	for (unsigned i = 0; i < d->n; i++) {
		const struct rec_queue *q = &d->queues[i];
		uint64_t last_ns;

		if (rec_queue_has_room(q))
			continue;
		last_ns = rec_queue_at(q, rec_queue_len(q) - 1)->ts_ns;
		if (before(last_ns, d->hold_ns) < limit_ns)
			limit_ns = before(last_ns, d->hold_ns);
	}
	return limit_ns;
}

int rec_drain_run(struct rec_drain *d, uint64_t now_ns)
{
	uint64_t n = 0;
	bool full = false;
	int r;

	for (unsigned i = 0; i < d->n; i++)
		full |= fill(d, d->sources[i], &d->queues[i]);
	r = hand_on(d, complete_until(d, now_ns), &n);
	if (r < 0 || !full)
		return r;
	if (!n) {
		r = make_room(d);
		if (r < 0)
			return r;
	}
	return 1;
}

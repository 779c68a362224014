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

/* The time of the first record that waits, the end of time if none does. */
static uint64_t first_ns(const struct rec_queue *q)
{
	return rec_queue_len(q) ? rec_queue_at(q, 0)->ts_ns : UINT64_MAX;
}

/* The index of the smallest of n times; *ret_next: the smallest of the others. */
static unsigned earliest(const uint64_t *times, unsigned n, uint64_t *ret_next)
{
	uint64_t best_ns = UINT64_MAX, next_ns = UINT64_MAX;
	unsigned best = 0;

	for (unsigned i = 0; i < n; i++) {
		if (times[i] < best_ns) {
			next_ns = best_ns;
			best_ns = times[i];
			best = i;
		} else if (times[i] < next_ns) {
			next_ns = times[i];
		}
	}
	*ret_next = next_ns;
	return best;
}

/*
 * What is earlier than limit_ns, in the order of time: from the queue with the earliest record as
 * many as are earlier than the others' first, and again.
 */
static int hand_on(struct rec_drain *d, uint64_t limit_ns, uint64_t *n)
{
	uint64_t times[REC_MAX_SOURCES], next_ns;

	for (unsigned i = 0; i < d->n; i++)
		times[i] = first_ns(&d->queues[i]);
	while (d->n) {
		unsigned i = earliest(times, d->n, &next_ns);
		struct rec_queue *q = &d->queues[i];

		if (times[i] >= limit_ns)
			break;
		for (; times[i] <= next_ns && times[i] < limit_ns; ++*n) {
			int r = d->sink(d->ctx, rec_queue_pop(q), q);

			if (r < 0)
				return r;
			times[i] = first_ns(q);
		}
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes records out of all sources, holds them back, and hands them on in the order of time: the
 * sources are read one after the other, and each is only nearly sorted. Owns the queues, not the
 * sources. Memory is fixed. Knows neither BPF nor a clock: the caller says what time it is.
 */
#ifndef REC_DRAIN_H
#define REC_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue.h"

#define REC_MAX_SOURCES 40

/* Where records come from: a BPF ring, or an array in a test. */
struct rec_source {
	/* The next record, NULL if there is none now. Valid until done(). */
	const struct ev_head *(*next)(struct rec_source *s);
	/* What next() gave so far has been copied: its room may be used again. */
	void (*done)(struct rec_source *s);
};

/*
 * Gets each record in order. ahead: the queue that it came from, so what followed it there. May
 * change the record. A negative result ends the run and is returned by it.
 */
typedef int rec_sink_fn(void *ctx, struct ev_head *record, const struct rec_queue *ahead);

struct rec_drain {
	struct rec_source *sources[REC_MAX_SOURCES];
	struct rec_queue queues[REC_MAX_SOURCES];
	unsigned n;
	rec_sink_fn *sink;
	void *ctx;
	uint64_t hold_ns;  /* how long records are held back; sources are sorted but for that */
	uint64_t floor_ns; /* all that is earlier was handed on; later records may be stragglers */
	uint64_t n_forced; /* records handed on too early, for want of room */
	uint64_t n_bad;	   /* records left out for their size; the caller may take and reset it */
};

void rec_drain_init(struct rec_drain *d, uint64_t hold_ns, rec_sink_fn *sink, void *ctx);

/* Add a source with a queue of cap bytes. -1: no memory. At most REC_MAX_SOURCES. */
int rec_drain_add(struct rec_drain *d, struct rec_source *s, size_t cap);
void rec_drain_fini(struct rec_drain *d);

/*
 * Read what is there, as far as there is room, and hand on what is older than hold_ns. now_ns: the
 * time before the call; UINT64_MAX: nothing more will come, hand on everything. Returns 1 if a
 * source may have more, 0 if all were empty, negative from the sink.
 */
int rec_drain_run(struct rec_drain *d, uint64_t now_ns);

#endif

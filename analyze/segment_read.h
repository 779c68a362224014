/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the groups rx and tx of a trace through segment.h, for any command that speaks of
 * segments: which layers the recording has, whose connection a segment is, and which of them the
 * user asked for.
 */
#ifndef ANA_SEGMENT_READ_H
#define ANA_SEGMENT_READ_H

#include "by.h"
#include "cmd.h"
#include "segment.h"

struct segment_read {
	struct by_who who; /* first: its binds find it */
	struct cmd_run *run;
	struct segments *segments;
	bool dirs[SEG_DIRS];	   /* wanted, set by the caller */
	uint32_t layers[SEG_DIRS]; /* bits: have a hook in this recording, or it does not tell */
	uint32_t timed[SEG_DIRS];  /* these, and those whose time is known without a hook */
	bool tells_buffers;	   /* tx_write is of each buffer that a call fills */
	bool holds;		   /* what held a segment back is told: segment.held_ns */
	uint64_t n_outside;	   /* not chosen, or not in the window */
	/* Of each segment that was chosen, as soon as it is complete. owner NULL: not known. */
	int (*on)(void *ctx, const struct segment *s, const struct conn *owner);
	void *ctx;
};

/* The layers of this recording, into r->layers; -1 and fail: it has none of a wanted direction. */
int segment_read_begin(struct segment_read *r, struct cmd_run *run);

/* All of it. 0, or -1 and run->fail. */
int segment_read_run(struct segment_read *r);
void segment_read_fini(struct segment_read *r);

#endif

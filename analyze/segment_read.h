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
	bool holds;	    /* what held a segment back is told: segment.held_ns; whoever does
			       not ask for that may say so between begin and open */
	uint64_t n_outside; /* not chosen, or not in the window */
	/* Of each segment that was chosen, as soon as it is complete. owner NULL: not known. */
	int (*on)(void *ctx, const struct segment *s, const struct conn *owner);
	void *ctx;
};

/* The layers of this recording, into r->layers; -1 and fail: it has none of a wanted direction. */
int segment_read_begin(struct segment_read *r, struct cmd_run *run);

/*
 * For a command that reads more than segments in one go: begin, then open, which fills the binds of
 * a job with all_rows and margin_ns whose ctx begins with *r; segment_read_chunk behind each chunk,
 * close behind the last. 0, or -1 and run->fail (segment_read_chunk: negative).
 */
enum {
	SEGMENT_READ_RX,
	SEGMENT_READ_COPY,
	SEGMENT_READ_TX,
	SEGMENT_READ_WRITE,
	SEGMENT_READ_BY, /* those of by_bind() */
	SEGMENT_READ_N = SEGMENT_READ_BY + BY_N_BINDS
};
int segment_read_open(struct segment_read *r, struct bind binds[SEGMENT_READ_N]);
int segment_read_chunk(struct segment_read *r, uint64_t floor_ns);
int segment_read_close(struct segment_read *r);

/* All of it. 0, or -1 and run->fail. */
int segment_read_run(struct segment_read *r);
void segment_read_fini(struct segment_read *r);

#endif

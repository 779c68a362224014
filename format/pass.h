/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One pass over the chunks of a trace, several of them at a time: `map` runs on worker threads, for
 * the work that a chunk needs by itself (decoding), `reduce` on the caller's thread, chunk after
 * chunk in the order of the file. What the reader shows of the trace (clocks, losses, damage) is,
 * in `reduce`, what stands before that chunk, however far was read ahead.
 *
 * Chunks in memory: four for each worker but the caller, and two, of which most still wait to be
 * decoded; and not another one while those that are there would take more than 12 MiB a worker.
 * With one worker everything runs on the caller's thread, and no thread is made. A pipe is waited
 * for only when all that was read is reduced.
 */
#ifndef TAPE_PASS_H
#define TAPE_PASS_H

#include "reader.h"

#define TAPE_MAX_WORKERS 64

struct tape_pass {
	unsigned n_workers; /* threads that map, the caller's among them; 0 is 1 */
	/*
	 * NULL: all chunks. Of a file, the payload of a chunk that this refuses by its header is
	 * not even read; it is not mapped, and reduced without columns. Runs on the caller's
	 * thread.
	 */
	bool (*wants)(void *ctx, const struct tape_chunk *chunk);
	/* Touches nothing but the chunk, *work and what is constant. May be NULL. */
	void (*map)(void *ctx, struct tape_chunk *chunk, void *work);
	/* Not 0 ends the pass. NULL for tape_pass_next. */
	int (*reduce)(void *ctx, struct tape_chunk *chunk, void *work);
	/*
	 * Memory that goes with a chunk from map to reduce, zeroed once, then left as it is from
	 * chunk to chunk; work_fini (may be NULL) frees what it points to.
	 */
	size_t work_size;
	void (*work_fini)(void *ctx, void *work);
	void *ctx;
};

/*
 * The same where the caller asks for chunk after chunk. begin: 0, end with tape_pass_end (NULL
 * allowed). next: 1 and *ret, valid until the next call; 0 at the end; negative on an error that
 * ends the reading. Files only; the reader is the pass's until it ends.
 */
struct tape_pass_run;
int tape_pass_begin(struct tape_pass_run **ret, const struct tape_pass *p, struct tape_reader *r,
		    struct tape_error *err);
int tape_pass_next(struct tape_pass_run *run, struct tape_chunk **ret, struct tape_error *err);
void tape_pass_end(struct tape_pass_run *run);

/* From where the reader is to the end: 0; 1 reduce ended it; negative an error of reading. */
int tape_pass_run(const struct tape_pass *p, struct tape_reader *r, struct tape_error *err);

#endif

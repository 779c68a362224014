/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Bytes of a trace from a file or a pipe, behind one window that grows as data arrives, never by
 * what a header claims. Owns the descriptor (but standard input) and the buffer.
 */
#ifndef TAPE_SOURCE_H
#define TAPE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct tape_buffer {
	uint8_t *p;
	size_t cap;
};

struct tape_source {
	int fd;
	bool seekable;
	uint64_t size; /* of a file, when it was opened */
	uint64_t pos;  /* in the data, of the window's first byte */
	struct tape_buffer buf;
	size_t start, len; /* the window is buf[start .. start + len) */
	bool eof;
	uint64_t n_read; /* bytes that were read so far, some of them more than once */
	/*
	 * Called before a pipe is waited for, NULL allowed: not 0 ends the reading with TAPE_E_IO.
	 * What it was told, the caller knows.
	 */
	int (*before_wait)(void *ctx);
	void *wait_ctx;
};

/* "-" is standard input, which is seekable too if it is a regular file. */
int tape_source_open(struct tape_source *s, const char *path, struct tape_error *err);
void tape_source_fini(struct tape_source *s);

/*
 * Make at least len bytes from pos on visible; *got is how many there are (less than len only at
 * the end of the data). The pointer is valid until the next call. Reads no further than it must, so
 * a pipe is not waited for.
 */
int tape_source_peek(struct tape_source *s, size_t len, const uint8_t **ret, size_t *got,
		     struct tape_error *err);

/* Move pos forward; a pipe reads and forgets. */
int tape_source_skip(struct tape_source *s, uint64_t len, struct tape_error *err);

/*
 * Hand over the buffer with the window, whose first len bytes the caller wants to keep, and go on
 * behind them with the buffer that *buf has so far (it may be empty).
 */
int tape_source_take(struct tape_source *s, size_t len, struct tape_buffer *buf,
		     struct tape_error *err);

/* Move pos anywhere; seekable sources only. */
void tape_source_seek(struct tape_source *s, uint64_t pos);

#endif

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

struct tape_source {
	int fd;
	bool seekable;
	uint64_t size; /* of a file, when it was opened */
	uint64_t pos;  /* in the data, of the window's first byte */
	uint8_t *buf;
	size_t start, len, cap; /* the window is buf[start .. start + len) */
	bool eof;
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

/* Move pos anywhere; seekable sources only. */
void tape_source_seek(struct tape_source *s, uint64_t pos);

#endif

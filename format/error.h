/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Errors of the format library. A function that can fail returns 0 (iterators: 1 item, 0 end) or a
 * negative enum tape_err and fills the caller's struct tape_error once, where most is known. The
 * library never prints and never exits.
 */
#ifndef TAPE_ERROR_H
#define TAPE_ERROR_H

#include <stdint.h>

enum tape_err {
	TAPE_E_IO = -1,	       /* the operating system refused: errno is in sys_errno */
	TAPE_E_NOMEM = -2,     /* no memory */
	TAPE_E_NOT_TAPE = -3,  /* the data does not start as a trace does */
	TAPE_E_VERSION = -4,   /* a container of a version this library cannot read */
	TAPE_E_TRUNCATED = -5, /* the data ends inside something that began well */
	TAPE_E_CORRUPT = -6,   /* the data contradicts itself or a checksum */
	TAPE_E_LIMIT = -7,     /* a count or length above its ceiling in layout.h */
	TAPE_E_UNKNOWN = -8,   /* a column written in a way this library does not know */
	TAPE_E_ABSENT = -9,    /* the chunk does not hold that column */
};

struct tape_error {
	enum tape_err code;
	int sys_errno;	 /* for TAPE_E_IO, else 0 */
	uint64_t offset; /* byte of the file that the text speaks of */
	char text[256];	 /* where, what was expected, what was found; no newline */
};

/* Fill *err (NULL is allowed) and return code, so that a caller can `return tape_fail(...)`. */
int tape_fail(struct tape_error *err, enum tape_err code, uint64_t offset, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* As tape_fail with TAPE_E_IO; the text ends with what errno says. */
int tape_fail_errno(struct tape_error *err, uint64_t offset, const char *what);

#endif

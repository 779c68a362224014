/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors of the recorder. A function that can fail returns 0 or a negative number and fills the
 * caller's struct rec_error once, with words for the user: what failed, why, what to do. Only
 * main.c prints it.
 */
#ifndef REC_FAIL_H
#define REC_FAIL_H

#include <stdbool.h>

struct rec_error {
	char text[640]; /* no newline at the end */
};

/* Fill *err and return -1, so that a caller can `return rec_fail(...)`. */
int rec_fail(struct rec_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* True if errno value e says that we have run out of something, not what the kernel can do. */
bool rec_fail_is_fatal(int e);

#endif

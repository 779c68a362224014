/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a part of the analyzer says that it could not go on: an exit status and one sentence. It is
 * filled once, where most is known, and printed by main.c alone. The text may quote the trace, so
 * main.c escapes it.
 */
#ifndef ANA_FAIL_H
#define ANA_FAIL_H

#include "error.h"

enum {
	STATUS_DONE = 0,
	STATUS_FOUND =
		1, /* damage in the file, or a file that is no trace; no memory, failed output */
	STATUS_USAGE = 2, /* bad usage, or the file cannot be opened */
	STATUS_LACKS = 3, /* the trace does not hold what the command needs */
};

struct fail {
	int status;
	char text[640];
};

/* Fill *f and return -1, so that a caller can `return fail_set(...)`. */
int fail_set(struct fail *f, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same out of an error of the format library; path is the file that was read. */
int fail_tape(struct fail *f, const char *path, const struct tape_error *err);

int fail_nomem(struct fail *f);

#endif

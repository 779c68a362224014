// SPDX-License-Identifier: GPL-2.0-or-later
#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int fail_set(struct fail *f, int status, const char *fmt, ...)
{
	va_list ap;

	f->status = status;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return -1;
}

int fail_tape(struct fail *f, const char *path, const struct tape_error *err)
{
	const char *name = !*path ? "''" : strcmp(path, "-") ? path : "standard input";

	switch (err->code) {
	case TAPE_E_IO: return fail_set(f, STATUS_USAGE, "%s: %s", name, err->text);
	case TAPE_E_NOMEM: return fail_nomem(f);
	default: return fail_set(f, STATUS_FOUND, "%s: %s", name, err->text);
	}
}

int fail_nomem(struct fail *f)
{
	return fail_set(f, STATUS_FOUND, "out of memory");
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "fail.h"

int rec_fail(struct rec_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

bool rec_fail_is_fatal(int e)
{
	return e == EMFILE || e == ENFILE || e == ENOMEM;
}

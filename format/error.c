// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int tape_fail(struct tape_error *err, enum tape_err code, uint64_t offset, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	err->sys_errno = 0;
	err->offset = offset;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

int tape_fail_errno(struct tape_error *err, uint64_t offset, const char *what)
{
	int e = errno;

	tape_fail(err, TAPE_E_IO, offset, "%s: %s", what, strerror(e));
	if (err)
		err->sys_errno = e;
	return TAPE_E_IO;
}

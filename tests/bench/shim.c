/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For LD_PRELOAD under trace-cmd, where the kernel refuses writes to the switches of the function
 * tracer (EPERM, though this very root may trace events): it switches them off before any
 * recording, and ends when it cannot. Here they are /dev/null. Events do not depend on them.
 *
 * It also ends without a file if the length of /proc/kallsyms changes while it copies it, as it
 * does whenever somebody loads a BPF program: so it gets the copy that SHIM_KALLSYMS names.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int open64(const char *path, int flags, ...)
{
	int (*next)(const char *, int, ...) =
		(int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
	const char *name = strrchr(path, '/');
	int mode = 0;
	va_list args;

	if (flags & O_CREAT) {
		va_start(args, flags);
		mode = va_arg(args, int);
		va_end(args);
	}
	name = name ? name + 1 : path;
	if (!strcmp(name, "ftrace_enabled") || !strncmp(name, "set_ftrace_", 11))
		path = "/dev/null";
	if (!strcmp(path, "/proc/kallsyms") && getenv("SHIM_KALLSYMS"))
		path = getenv("SHIM_KALLSYMS");
	return next(path, flags, mode);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_stdout(struct outfile *o, struct fail *fail)
{
	if (isatty(STDOUT_FILENO))
		return fail_set(fail, STATUS_USAGE,
				"-o -: standard output is a terminal, which a trace is not for");
	o->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (o->fd < 0)
		return fail_set(fail, STATUS_FOUND, "standard output: %s", strerror(errno));
	return 0;
}

static int open_failed(const char *path, int e, struct fail *fail)
{
	struct stat st;

	if (e == EEXIST && !stat(path, &st) && S_ISDIR(st.st_mode))
		return fail_set(fail, STATUS_FOUND, "%s is a directory; a file was expected", path);
	if (e == EEXIST)
		return fail_set(fail, STATUS_FOUND, "%s exists; --force overwrites it", path);
	if (e == ELOOP)
		return fail_set(fail, STATUS_FOUND,
				"%s is a symbolic link, which is not followed; name its target",
				path);
	return fail_set(fail, STATUS_FOUND, "cannot create %s: %s", path, strerror(e));
}

static bool same_file(int fd, const struct stat *st)
{
	struct stat other;

	return fd >= 0 && !fstat(fd, &other) && other.st_dev == st->st_dev &&
	       other.st_ino == st->st_ino;
}

/* An existing one: what may not be overwritten even with --force. */
static int take_over(struct outfile *o, bool force, int input, struct fail *fail)
{
	struct stat st;

	if (fstat(o->fd, &st))
		return fail_set(fail, STATUS_FOUND, "%s: %s", o->path, strerror(errno));
	if (same_file(input, &st))
		return fail_set(fail, STATUS_USAGE, "%s is the trace itself", o->path);
	if (!S_ISREG(st.st_mode))
		return 0; /* a FIFO, /dev/null */
	if (!force)
		return open_failed(o->path, EEXIST, fail);
	if (st.st_nlink > 1)
		return fail_set(fail, STATUS_FOUND,
				"%s has other names too (hard links); remove it first", o->path);
	if (fchmod(o->fd, 0600) || ftruncate(o->fd, 0))
		return fail_set(fail, STATUS_FOUND, "emptying %s: %s", o->path, strerror(errno));
	return 0;
}

int outfile_open(struct outfile *o, const char *path, bool force, int input, struct fail *fail)
{
	int flags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
	struct stat st;
	bool special;

	*o = (struct outfile){.fd = -1, .path = path};
	if (!strcmp(path, "-"))
		return open_stdout(o, fail);
	special = !lstat(path, &st) && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode));
	if (!special)
		o->fd = open(path, flags | O_CREAT | O_EXCL, 0600);
	o->created = o->fd >= 0;
	if (special || (o->fd < 0 && errno == EEXIST && force))
		o->fd = open(path, flags);
	if (o->fd < 0)
		return open_failed(path, errno, fail);
	if (!o->created && take_over(o, force, input, fail)) {
		close(o->fd);
		o->fd = -1;
		return -1;
	}
	return 0;
}

int outfile_close(struct outfile *o, bool keep, struct fail *fail)
{
	int rc;

	if (o->fd < 0)
		return 0;
	rc = close(o->fd);
	o->fd = -1;
	if (o->created && (!keep || rc))
		unlink(o->path);
	if (rc)
		return fail_set(fail, STATUS_FOUND, "closing %s: %s", o->path, strerror(errno));
	return 0;
}

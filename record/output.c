/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "output.h"
#include "sudo.h"

void rec_output_default(char *buf, size_t len)
{
	char host[256] = "host", when[32];
	time_t now = time(NULL);
	struct tm tm;

	gethostname(host, sizeof(host) - 1);
	for (char *p = host; *p; p++) {
		if (*p == '/')
			*p = '_';
	}
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	snprintf(buf, len, "%s-%s.tcptape", host, when);
}

static int open_stdout(struct rec_output *out, struct rec_error *err)
{
	struct stat st;

	if (isatty(STDOUT_FILENO))
		return rec_fail(err, "-o -: standard output is a terminal; redirect it, as in "
				     "'tcptape-record -o - | tcptape rtt -'");
	out->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (out->fd < 0)
		return rec_fail(err, "standard output: %s", strerror(errno));
	/* Not to be cut: someone else may have written to it before us. */
	out->regular = !fstat(out->fd, &st) && S_ISREG(st.st_mode) && !st.st_size;
	return 0;
}

static int open_failed(const char *path, int e, struct rec_error *err)
{
	struct stat st;

	if (e == EEXIST && !stat(path, &st) && S_ISDIR(st.st_mode))
		return rec_fail(err, "%s is a directory; a file was expected", path);
	if (e == EEXIST)
		return rec_fail(err, "%s exists; --force overwrites it", path);
	if (e == ELOOP)
		return rec_fail(
			err, "%s is a symbolic link, which is not followed; name its target", path);
	return rec_fail(err, "cannot create %s: %s", path, strerror(e));
}

/* Mode 0600, and the owner whom a new file gets. */
static int make_ours(struct rec_output *out, struct rec_owner owner, struct rec_error *err)
{
	/* in this order: what is given away is not ours to change */
	if (fchmod(out->fd, 0600) < 0 || fchown(out->fd, owner.uid, owner.gid) < 0)
		return rec_fail(err, "setting owner and mode of %s: %s", out->path,
				strerror(errno));
	return 0;
}

/* A FIFO or a device such as /dev/null is opened as it is; anything else must be new, or force. */
static int open_path(struct rec_output *out, bool force, struct rec_error *err)
{
	int flags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
	struct stat st;
	bool exists = !fstatat(out->dir_fd, out->name, &st, AT_SYMLINK_NOFOLLOW);
	bool special = exists && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode));

	if (exists && S_ISDIR(st.st_mode))
		return rec_fail(err, "%s is a folder; the name of a file was expected", out->path);
	if (!special)
		out->fd = openat(out->dir_fd, out->name, flags | O_CREAT | O_EXCL, 0600);
	out->created = out->fd >= 0;
	if (special || (out->fd < 0 && errno == EEXIST && force))
		out->fd = openat(out->dir_fd, out->name, flags);
	if (out->fd < 0)
		return open_failed(out->path, errno, err);
	if (fstat(out->fd, &st) < 0)
		return rec_fail(err, "%s: %s", out->path, strerror(errno));
	out->regular = S_ISREG(st.st_mode);
	if (out->regular && !out->created && !force) /* it took the place of a FIFO just now */
		return open_failed(out->path, EEXIST, err);
	if (out->regular && st.st_nlink > 1)
		return rec_fail(err, "%s has other names too (hard links); remove it first",
				out->path);
	return out->created ? make_ours(out, rec_sudo_owner(), err) : 0;
}

int rec_output_open(struct rec_output *out, const char *path, bool force, struct rec_error *err)
{
	*out = (struct rec_output){.fd = -1, .held_fd = -1, .dir_fd = AT_FDCWD, .name = out->path};
	if (path && strlen(path) >= sizeof(out->path))
		return rec_fail(err, "the name of the output file is too long");
	if (path)
		memcpy(out->path, path, strlen(path) + 1);
	else
		rec_output_default(out->path, sizeof(out->path));
	return path && !strcmp(path, "-") ? open_stdout(out, err) : open_path(out, force, err);
}

int rec_output_open_at(struct rec_output *out, int dir_fd, const char *dir, const char *name,
		       struct rec_owner owner, int *ret_errno, struct rec_error *err)
{
	size_t at;

	*out = (struct rec_output){.fd = -1, .held_fd = -1, .dir_fd = dir_fd, .regular = true};
	at = (size_t)snprintf(out->path, sizeof(out->path), "%s", dir);
	snprintf(out->path + at, sizeof(out->path) - at, "%s", name);
	out->name = out->path + at;
	out->fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	*ret_errno = errno;
	out->created = out->fd >= 0;
	if (out->fd < 0)
		return open_failed(out->path, *ret_errno, err);
	return make_ours(out, owner, err);
}

static int empty(struct rec_output *out, struct rec_error *err)
{
	if (out->created || !strcmp(out->path, "-"))
		return 0;
	if (ftruncate(out->fd, 0) < 0)
		return rec_fail(err, "emptying %s: %s", out->path, strerror(errno));
	return make_ours(out, rec_sudo_owner(), err);
}

int rec_output_begin(struct rec_output *out, bool hold, struct rec_error *err)
{
	int fd;

	if (!out->regular)
		return 0;
	if (!hold)
		return empty(out, err);
	fd = memfd_create("tcptape", MFD_CLOEXEC);
	if (fd < 0)
		return rec_fail(err, "memfd_create: %s", strerror(errno));
	out->held_fd = out->fd;
	out->fd = fd;
	return 0;
}

/* From the start of one file to the position of another. -1: errno. */
static int copy(int from, int to)
{
	char buf[65536];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(from, buf, sizeof(buf), at)) > 0) {
		ssize_t done = write(to, buf, (size_t)n);

		if (done < 0 && errno != EINTR)
			return -1;
		at += done > 0 ? done : 0;
	}
	return (int)n;
}

int rec_output_release(struct rec_output *out, struct rec_error *err)
{
	int memory = out->fd, number, r;

	if (out->held_fd < 0)
		return 0;
	out->fd = out->held_fd;
	r = empty(out, err);
	if (!r && copy(memory, out->fd) < 0)
		r = rec_fail(err, "writing %s: %s", out->path, strerror(errno));
	number = dup3(out->fd, memory, O_CLOEXEC); /* closes the memory, and takes its number */
	if (!r && number < 0)
		r = rec_fail(err, "writing %s: %s", out->path, strerror(errno));
	close(out->held_fd);
	out->held_fd = -1;
	out->fd = memory;
	if (r < 0)
		rec_output_cut(out, 0);
	return r;
}

void rec_output_cut(struct rec_output *out, uint64_t bytes)
{
	if (!out->regular || ftruncate(out->fd, (off_t)bytes) < 0)
		return;
	lseek(out->fd, (off_t)bytes, SEEK_SET);
}

uint64_t rec_output_room(const struct rec_output *out)
{
	struct statvfs st;

	if (!out->regular || fstatvfs(out->held_fd >= 0 ? out->held_fd : out->fd, &st) < 0 ||
	    !st.f_blocks)
		return UINT64_MAX;
	return (uint64_t)st.f_bavail * st.f_frsize;
}

int rec_output_close(struct rec_output *out, bool remove, struct rec_error *err)
{
	int r;

	if (out->fd < 0)
		return 0;
	if (out->held_fd >= 0)
		close(out->held_fd);
	out->held_fd = -1;
	r = close(out->fd);
	out->fd = -1;
	if (remove && out->created)
		unlinkat(out->dir_fd, out->name, 0);
	if (r < 0)
		return rec_fail(err, "closing %s: %s", out->path, strerror(errno));
	return 0;
}

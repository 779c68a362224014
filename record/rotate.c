/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rotate.h"

#define ENDING ".tcptape"
#define DIGITS 6
#define MAX_NUMBER 999999999ul

/* Take the path apart: folder, stem, ending. */
static int split(struct rec_parts *p, const char *path, struct rec_error *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t dir_len = (size_t)(name - path), len = strlen(name), end = strlen(ENDING);
	bool has_ending = len > end && !strcmp(name + len - end, ENDING);

	if (has_ending)
		len -= end;
	if (!len || len >= sizeof(p->stem) || dir_len + len + 32 >= sizeof(p->dir))
		return rec_fail(err, "-o %.60s: no name, or too long a one, for several files",
				path);
	memcpy(p->dir, path, dir_len);
	p->dir[dir_len] = '\0';
	memcpy(p->stem, name, len);
	p->stem[len] = '\0';
	snprintf(p->suffix, sizeof(p->suffix), "%s", has_ending ? ENDING : "");
	return 0;
}

unsigned long rec_parts_number(const struct rec_parts *p, const char *name)
{
	size_t stem = strlen(p->stem), digits;
	unsigned long n;

	if (strncmp(name, p->stem, stem) || name[stem] != '-')
		return 0;
	name += stem + 1;
	digits = strspn(name, "0123456789");
	if (digits < DIGITS || digits > 9 || (digits > DIGITS && *name == '0') ||
	    strcmp(name + digits, p->suffix))
		return 0;
	n = strtoul(name, NULL, 10);
	return n;
}

/* Look at all files of the pattern: the highest number; those up to `last` are removed. */
static unsigned long scan(const struct rec_parts *p, unsigned long last)
{
	int fd = openat(p->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	unsigned long highest = 0, n;
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((e = readdir(dir))) {
		n = rec_parts_number(p, e->d_name);
		if (n && n <= last)
			unlinkat(p->dir_fd, e->d_name, 0);
		else if (n > highest)
			highest = n;
	}
	closedir(dir);
	return highest;
}

int rec_parts_init(struct rec_parts *p, const char *output, unsigned keep, struct rec_error *err)
{
	char path[4096];

	*p = (struct rec_parts){.dir_fd = -1, .keep = keep, .owner = rec_sudo_owner()};
	if (!output)
		rec_output_default(path, sizeof(path));
	if (split(p, output ? output : path, err) < 0)
		return -1;
	p->dir_fd = open(*p->dir ? p->dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir_fd < 0 || faccessat(p->dir_fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return rec_fail(err, "cannot make files in %s: %s", *p->dir ? p->dir : ".",
				strerror(errno));
	p->number = scan(p, 0);
	return 0;
}

void rec_parts_fini(struct rec_parts *p)
{
	if (p->dir_fd >= 0)
		close(p->dir_fd);
	p->dir_fd = -1;
}

int rec_parts_open(struct rec_parts *p, struct rec_output *out, int *ret_errno,
		   struct rec_error *err)
{
	unsigned long number = p->number + 1;
	char name[256];

	*ret_errno = EOVERFLOW;
	if (number > MAX_NUMBER)
		return rec_fail(err, "%s%s: no further number for a file", p->dir, p->stem);
	if (p->keep && number > p->keep)
		scan(p, number - p->keep);
	snprintf(name, sizeof(name), "%s-%0*lu%s", p->stem, DIGITS, number, p->suffix);
	if (rec_output_open_at(out, p->dir_fd, p->dir, name, p->owner, ret_errno, err) < 0)
		return -1;
	p->number = number;
	return 0;
}

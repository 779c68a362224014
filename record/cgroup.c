/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"

#define FILEID_KERNFS 0xfe /* include/linux/exportfs.h: the handle is the 64-bit id */

void rec_cgroup_open(struct rec_cgroup_mount *m)
{
	FILE *f = setmntent("/proc/mounts", "re");
	struct mntent *e;

	*m = (struct rec_cgroup_mount){.fd = -1};
	if (!f)
		return;
	while ((e = getmntent(f)) && strcmp(e->mnt_type, "cgroup2"))
		;
	if (e && strlen(e->mnt_dir) < sizeof(m->path)) {
		strcpy(m->path, e->mnt_dir);
		m->fd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	endmntent(f);
}

void rec_cgroup_close(struct rec_cgroup_mount *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

static int open_by_id(const struct rec_cgroup_mount *m, uint64_t id)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} u = {.h = {.handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS}};

	memcpy(u.h.f_handle, &id, sizeof(id));
	return m->fd < 0 ? -1 : open_by_handle_at(m->fd, &u.h, O_PATH | O_CLOEXEC);
}

void rec_cgroup_path(const struct rec_cgroup_mount *m, uint64_t id, char *buf, size_t len)
{
	char link[40], full[4096];
	int fd = open_by_id(m, id);
	size_t skip = strlen(m->path);
	ssize_t n;

	*buf = '\0';
	if (fd < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, full, sizeof(full) - 1);
	close(fd);
	if (n < (ssize_t)skip || memcmp(full, m->path, skip))
		return;
	full[n] = '\0';
	snprintf(buf, len, "%s", full[skip] ? full + skip : "/");
}

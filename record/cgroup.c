/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

#define PATH_LEN 4400

/* The folder of a process's cgroup, into path[PATH_LEN]. false: not found. */
static bool folder_of_pid(const struct rec_cgroup_mount *m, unsigned pid, char *path)
{
	char name[40], line[4096];
	bool found = false;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%u/cgroup", pid);
	f = m->fd < 0 ? NULL : fopen(name, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "0::", 3)) /* the others are v1 hierarchies */
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(path, PATH_LEN, "%s%s", m->path, line + 3);
		found = true;
	}
	fclose(f);
	return found;
}

/* kernfs: the inode number is the id. 0: it is not there. */
static uint64_t id_of(const char *folder)
{
	struct stat st;

	return stat(folder, &st) ? 0 : st.st_ino;
}

uint64_t rec_cgroup_of_pid(const struct rec_cgroup_mount *m, unsigned pid)
{
	char folder[PATH_LEN];

	return folder_of_pid(m, pid, folder) ? id_of(folder) : 0;
}

bool rec_cgroup_has_pid(const struct rec_cgroup_mount *m, uint64_t id, unsigned pid)
{
	char folder[PATH_LEN], *slash;

	if (!folder_of_pid(m, pid, folder))
		return false;
	while (id_of(folder) != id) {
		slash = strrchr(folder, '/');
		if (!slash || (size_t)(slash - folder) < strlen(m->path))
			return false;
		*slash = '\0';
	}
	return true;
}

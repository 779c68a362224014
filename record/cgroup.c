/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"

#define FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define MAX_DEPTH 64
#define PATH_LEN 4400

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
		m->fd = open(m->path, FOLDER);
	}
	endmntent(f);
}

void rec_cgroup_close(struct rec_cgroup_mount *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

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

bool rec_cgroup_path_of_pid(const struct rec_cgroup_mount *m, uint64_t id, unsigned pid, char *buf,
			    size_t len)
{
	char folder[PATH_LEN];
	bool found = pid && folder_of_pid(m, pid, folder) && id_of(folder) == id;

	snprintf(buf, len, "%s", found ? folder + strlen(m->path) : "");
	return found;
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

struct search {
	const uint64_t *ids;
	size_t n, n_left;
	void (*found)(void *ctx, size_t i, const char *path);
	void *ctx;
	char path[4096];
};

static void look(struct search *s, uint64_t id)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->ids[i] != id)
			continue;
		s->found(s->ctx, i, *s->path ? s->path : "/");
		s->n_left--;
	}
}

/* The folder fd, which is closed, and all below it; s->path is its path, `len` long. */
static void search(struct search *s, int fd, size_t len, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		close(fd);
		return;
	}
	while (s->n_left && (e = readdir(dir))) {
		size_t more = strlen(e->d_name) + 1;
		int below;

		if (e->d_type != DT_DIR || *e->d_name == '.' || len + more >= sizeof(s->path))
			continue;
		s->path[len] = '/';
		memcpy(s->path + len + 1, e->d_name, more);
		look(s, e->d_ino);
		below = depth < MAX_DEPTH && s->n_left ? openat(dirfd(dir), e->d_name, FOLDER) : -1;
		if (below >= 0)
			search(s, below, len + more, depth + 1);
	}
	s->path[len] = '\0';
	closedir(dir);
}

void rec_cgroup_find(const struct rec_cgroup_mount *m, const uint64_t *ids, size_t n,
		     void (*found)(void *ctx, size_t i, const char *path), void *ctx)
{
	struct search s = {.ids = ids, .n = n, .n_left = n, .found = found, .ctx = ctx};
	int fd = m->fd < 0 ? -1 : openat(m->fd, ".", FOLDER);
	struct stat st;

	if (fd < 0)
		return;
	if (!fstat(fd, &st))
		look(&s, st.st_ino);
	search(&s, fd, 0, 0);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "owners.h"

#define BREATH_FDS 512

struct table { /* inode -> row, open addressing */
	struct ev_snap_sock *socks;
	uint32_t *rows; /* index + 1, 0 free */
	unsigned *seen; /* by index: pid that counted it last */
	size_t mask;
};

struct process {
	unsigned pid;
	bool known; /* task is filled */
	struct ev_task task;
};

static size_t slot(const struct table *t, uint64_t inode)
{
	size_t i = (size_t)((inode * 0x9e3779b97f4a7c15u) >> 20) & t->mask;

	while (t->rows[i] && t->socks[t->rows[i] - 1].inode != inode)
		i = (i + 1) & t->mask;
	return i;
}

static int table_init(struct table *t, struct ev_snap_sock *socks, size_t n)
{
	size_t cap = 64;

	while (cap < 2 * n)
		cap *= 2;
	*t = (struct table){.socks = socks, .mask = cap - 1};
	t->rows = calloc(cap, sizeof(*t->rows));
	t->seen = calloc(n, sizeof(*t->seen));
	if (!t->rows || !t->seen)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (socks[i].inode)
			t->rows[slot(t, socks[i].inode)] = (uint32_t)i + 1;
	}
	return 0;
}

static void read_comm(unsigned pid, struct ev_comm *comm)
{
	char path[40], name[EV_COMM_LEN + 1] = "";
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, name, EV_COMM_LEN);
	close(fd);
	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	memcpy(comm->s, name, strlen(name));
}

static void count(struct table *t, uint64_t inode, struct process *p,
		  const struct rec_cgroup_mount *m)
{
	uint32_t row = t->rows[slot(t, inode)];
	struct ev_snap_sock *s;

	if (!row || t->seen[row - 1] == p->pid)
		return; /* not TCP, or one more descriptor of the same process */
	t->seen[row - 1] = p->pid;
	s = &t->socks[row - 1];
	if (!p->known) {
		p->task = (struct ev_task){.pid = p->pid, .tid = p->pid};
		p->task.cgroup = rec_cgroup_of_pid(m, p->pid);
		read_comm(p->pid, &p->task.comm);
		p->known = true;
	}
	if (!s->n_owners)
		s->task = p->task;
	if (s->n_owners < 255)
		s->n_owners++;
}

/* -1: breathe said so. */
static int scan_process(struct table *t, unsigned pid, const struct rec_cgroup_mount *m,
			int (*breathe)(void *ctx), void *ctx)
{
	struct process p = {.pid = pid};
	char path[40], target[64];
	struct dirent *e;
	unsigned n_read = 0;
	int r = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (!r && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

		if (breathe && ++n_read % BREATH_FDS == 0)
			r = breathe(ctx);
		if (n <= 8 || memcmp(target, "socket:[", 8))
			continue;
		target[n] = '\0';
		count(t, strtoull(target + 8, NULL, 10), &p, m);
	}
	closedir(dir);
	return r;
}

int rec_owners_find(struct ev_snap_sock *socks, size_t n, const struct rec_cgroup_mount *m,
		    int (*breathe)(void *ctx), void *ctx)
{
	DIR *dir = n ? opendir("/proc") : NULL;
	struct dirent *e;
	struct table t;
	int r;

	if (!dir)
		return 0;
	r = table_init(&t, socks, n) < 0 ? REC_OWNERS_NO_MEMORY : 0;
	while (!r && (e = readdir(dir))) {
		unsigned long pid = strtoul(e->d_name, NULL, 10);

		if (pid)
			r = scan_process(&t, (unsigned)pid, m, breathe, ctx);
	}
	free(t.rows);
	free(t.seen);
	closedir(dir);
	return r;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
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
	bool *settled;	/* by index: it has an owner that is chosen */
	size_t mask;
};

struct process {
	unsigned pid;
	bool known;  /* the rest is filled */
	bool chosen; /* nobody is if there is no selection */
	struct ev_task task;
};

static bool is_chosen(const struct rec_chooser *c, unsigned pid)
{
	uint32_t key = pid;
	uint8_t one;

	return rec_select_is_on(c->select) && (!bpf_map_lookup_elem(c->pids_fd, &key, &one) ||
					       rec_select_has(c->select, c->mount, pid));
}

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
	t->settled = calloc(n, sizeof(*t->settled));
	if (!t->rows || !t->seen || !t->settled)
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

static void count(struct table *t, uint64_t inode, struct process *p, const struct rec_chooser *c)
{
	uint32_t row = t->rows[slot(t, inode)];
	struct ev_snap_sock *s;

	if (!row || t->seen[row - 1] == p->pid)
		return; /* not TCP, or one more descriptor of the same process */
	t->seen[row - 1] = p->pid;
	s = &t->socks[row - 1];
	if (!p->known) {
		p->task = (struct ev_task){.pid = p->pid, .tid = p->pid};
		p->task.cgroup = rec_cgroup_of_pid(c->mount, p->pid);
		p->chosen = is_chosen(c, p->pid);
		read_comm(p->pid, &p->task.comm);
		p->known = true;
	}
	if (!s->n_owners || (p->chosen && !t->settled[row - 1]))
		s->task = p->task;
	t->settled[row - 1] |= p->chosen;
	if (s->n_owners < 255)
		s->n_owners++;
}

/* NULL, and errno. */
static DIR *open_files(unsigned pid)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	return opendir(path);
}

/* The inode number of the next socket among a process's files: 1; no socket: 0; the end: -1. */
static int next_file(DIR *dir, uint64_t *ret_inode)
{
	struct dirent *e = readdir(dir);
	char target[64];
	ssize_t n;

	if (!e)
		return -1;
	n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
	if (n <= 8 || memcmp(target, "socket:[", 8))
		return 0;
	target[n] = '\0';
	*ret_inode = strtoull(target + 8, NULL, 10);
	return 1;
}

/* -1: breathe said so. */
static int scan_process(struct table *t, unsigned pid, const struct rec_chooser *c,
			int (*breathe)(void *ctx), void *ctx)
{
	struct process p = {.pid = pid};
	DIR *dir = open_files(pid);
	unsigned n_read = 0;
	uint64_t inode;
	int file, r = 0;

	if (!dir)
		return 0;
	while (!r && (file = next_file(dir, &inode)) >= 0) {
		if (breathe && ++n_read % BREATH_FDS == 0)
			r = breathe(ctx);
		if (file)
			count(t, inode, &p, c);
	}
	closedir(dir);
	return r;
}

static void seed_process(unsigned pid, int old_fd, struct rec_seed *ret)
{
	DIR *dir = open_files(pid);
	uint8_t one = 1;
	uint64_t inode;
	int file;

	ret->n_processes++;
	if (!dir) {
		ret->n_closed++;
		return;
	}
	while ((file = next_file(dir, &inode)) >= 0) {
		if (file && bpf_map_update_elem(old_fd, &inode, &one, BPF_ANY))
			ret->error = errno;
	}
	closedir(dir);
}

void rec_owners_seed(const struct rec_chooser *c, int old_fd, struct rec_seed *ret)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	*ret = (struct rec_seed){0};
	while (dir && (e = readdir(dir))) {
		unsigned long pid = strtoul(e->d_name, NULL, 10);

		if (pid && is_chosen(c, (unsigned)pid))
			seed_process((unsigned)pid, old_fd, ret);
	}
	if (dir)
		closedir(dir);
}

int rec_owners_find(struct ev_snap_sock *socks, size_t n, const struct rec_chooser *c,
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
			r = scan_process(&t, (unsigned)pid, c, breathe, ctx);
	}
	free(t.rows);
	free(t.seen);
	free(t.settled);
	closedir(dir);
	return r;
}

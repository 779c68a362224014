/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snapshot.h"

#define MAX_BYTES (256u << 20) /* about 1.4 million sockets; the rest is left out, and said */
#define BREATH_ROWS 1024

struct rows { /* struct ev_snap_sock after each other, as the iterator gives them */
	char *bytes;
	size_t len, cap;
};

/* Read one iterator to its end. 0, or -errno. */
static int read_all(int fd, struct rows *rows)
{
	for (;;) {
		ssize_t n;

		if (rows->cap - rows->len < 65536) {
			size_t cap = rows->cap ? 2 * rows->cap : 1u << 18;
			char *bytes = cap > MAX_BYTES ? NULL : realloc(rows->bytes, cap);

			if (!bytes)
				return -ENOMEM;
			rows->bytes = bytes;
			rows->cap = cap;
		}
		n = read(fd, rows->bytes + rows->len, rows->cap - rows->len);
		if (n < 0 && errno == EAGAIN)
			continue; /* the iterator has yielded */
		if (n <= 0)
			return n < 0 ? -errno : 0;
		rows->len += (size_t)n;
	}
}

static int walk_here(const struct rec_object *o, struct rows *rows)
{
	int fd = bpf_iter_create(bpf_link__fd(o->iter)), r;

	if (fd < 0)
		return fd;
	r = read_all(fd, rows);
	close(fd);
	return r;
}

/* The iterator walks the namespace in which it is created. */
static int walk(const struct rec_object *o, const struct rec_netns *ns, int home, struct rows *rows)
{
	int ns_fd = open(ns->path, O_RDONLY | O_CLOEXEC), fd, r;

	if (ns_fd < 0)
		return -errno;
	if (setns(ns_fd, CLONE_NEWNET) < 0) {
		r = -errno;
		close(ns_fd);
		return r;
	}
	close(ns_fd);
	fd = bpf_iter_create(bpf_link__fd(o->iter));
	r = fd < 0 ? fd : 0;
	if (setns(home, CLONE_NEWNET) < 0)
		r = -errno;
	if (fd < 0)
		return r;
	if (!r)
		r = read_all(fd, rows);
	close(fd);
	return r;
}

static int breathe(const struct rec_snapshot_job *job)
{
	return job->breathe ? job->breathe(job->ctx) : 0;
}

static int walk_all(const struct rec_snapshot_job *job, const struct rec_netns_list *l,
		    struct rows *rows, struct rec_snapshot_result *ret)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), stop = 0;

	for (size_t i = 0; i < l->n && !stop; i++) {
		/* our own is the first, and takes no privilege */
		int r = !i	   ? walk_here(job->object, rows)
			: home < 0 ? -EBADF
				   : walk(job->object, &l->v[i], home, rows);

		stop = breathe(job);
		if (!r) {
			ret->n_netns++;
			continue;
		}
		snprintf(ret->trouble, sizeof(ret->trouble),
			 "sockets of network namespace %u are missing: %s", l->v[i].inode,
			 strerror(-r));
	}
	if (home >= 0)
		close(home);
	return stop;
}

static int write_rows(const struct rec_snapshot_job *job, struct rows *rows,
		      struct rec_snapshot_result *ret, struct tape_error *err)
{
	struct ev_snap_sock *socks = (struct ev_snap_sock *)rows->bytes;
	size_t n = rows->len / sizeof(*socks);
	const struct rec_chooser chooser = {job->select, job->object->pids_fd, &job->places->mount};
	int r = rec_owners_find(socks, n, &chooser, job->breathe, job->ctx);

	if (r == REC_OWNERS_NO_MEMORY)
		snprintf(ret->trouble, sizeof(ret->trouble), "no memory to find socket owners");
	else if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		r = rec_places_see(job->places, &socks[i].head, job->writer, err);
		if (job->generation)
			rec_generation_see(job->generation, &socks[i].head);
		if (r >= 0)
			r = tape_writer_event(job->writer, &socks[i].head, err);
		if (r >= 0 && i % BREATH_ROWS == BREATH_ROWS - 1)
			r = breathe(job);
		if (r < 0)
			return r;
	}
	ret->n_socks = n;
	return 0;
}

void rec_snapshot_seed(struct rec_object *o, const struct rec_chooser *c, size_t *ret_n,
		       char trouble[256])
{
	const struct rec_snapshot_job job = {.object = o};
	struct rec_snapshot_result result = {0};
	struct rec_netns_list l;
	struct rows rows = {0};
	struct rec_seed seed;

	*trouble = '\0';
	rec_netns_find(&l);
	rec_object_seeding(o, true);
	for (int i = 0; o->iter && i < 2; i++) {
		rec_owners_seed(c, o->old_fd, &seed);
		rows.len = 0;
		walk_all(&job, &l, &rows, &result);
	}
	rec_object_seeding(o, false);
	*ret_n = rows.len / sizeof(struct ev_snap_sock);
	if (!o->iter)
		snprintf(trouble, 256, "connections older than the recording are missing: %s",
			 o->iter_why);
	else if (seed.error)
		snprintf(trouble, 256, "some connections older than the recording are missing: %s",
			 strerror(seed.error));
	else if (seed.n_closed)
		snprintf(trouble, 256,
			 "of %u of %u processes we may not see which sockets they have",
			 seed.n_closed, seed.n_processes);
	else
		snprintf(trouble, 256, "%s", result.trouble);
	free(rows.bytes);
	rec_netns_free(&l);
}

int rec_snapshot_take(const struct rec_snapshot_job *job, struct rec_snapshot_result *ret,
		      struct tape_error *err)
{
	struct rec_netns_list l;
	struct rows rows = {0};
	int r;

	*ret = (struct rec_snapshot_result){0};
	rec_netns_find(&l);
	r = rec_places_add_netns(job->places, &l, job->writer, err);
	if (r >= 0 && !job->object->iter)
		snprintf(ret->trouble, sizeof(ret->trouble), "no list of sockets: %s",
			 job->object->iter_why);
	else if (r >= 0)
		r = walk_all(job, &l, &rows, ret);
	if (r >= 0)
		r = write_rows(job, &rows, ret, err);
	free(rows.bytes);
	rec_netns_free(&l);
	return r;
}

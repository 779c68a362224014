/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "iter.h"
#include "owner.h"
#include "owners.h"
#include "snapshot.h"

#define BREATH_ROWS 1024

struct walk { /* of the sockets, while it goes on */
	const struct rec_snapshot_job *job;
	struct rec_snapshot_result *ret;
	struct tape_error *err;
	struct rec_owners owners;
	struct rec_iter iter;
};

/* 0, or what breathe says; *ret_e: 0, or -errno. */
static int read_owners(struct walk *w, int *ret_e)
{
	const struct rec_snapshot_job *job = w->job;
	int r = 0, stop = 0;
	void *row;

	*ret_e = rec_iter_open(&w->iter, bpf_link__fd(job->object->iters[REC_ITER_OWNERS]),
			       sizeof(struct tape_owner));
	for (unsigned n = 1; !*ret_e && !stop && (r = rec_iter_next(&w->iter, &row)) == 1; n++) {
		const struct tape_owner *e = row;
		struct ev_task task = {e->cgroup, e->pid, e->pid, e->comm};

		rec_owners_add(&w->owners, e->inode, &task);
		if (n % BREATH_ROWS == 0 && job->breathe)
			stop = job->breathe(job->ctx);
	}
	rec_iter_close(&w->iter);
	*ret_e = *ret_e ? *ret_e : r;
	return stop;
}

static int find_owners(struct walk *w)
{
	char *trouble = w->ret->trouble;
	int e = 0, stop = 0;

	if (!w->job->object->iters[REC_ITER_OWNERS]) {
		snprintf(trouble, sizeof(w->ret->trouble), "no owners of sockets: %s",
			 w->job->object->iter_why[REC_ITER_OWNERS]);
		return 0;
	}
	stop = read_owners(w, &e);
	if (e)
		snprintf(trouble, sizeof(w->ret->trouble), "owners of sockets are missing: %s",
			 strerror(-e));
	if (w->owners.incomplete)
		snprintf(trouble, sizeof(w->ret->trouble),
			 "owners of some sockets are missing: no room for more than %zu",
			 w->owners.n);
	return stop;
}

/* The iterator walks the namespace in which it is opened. 0, or -errno. */
static int open_in(struct rec_iter *it, int link_fd, const struct rec_netns *ns, int home)
{
	int ns_fd = open(ns->path, O_RDONLY | O_CLOEXEC), r;

	if (ns_fd < 0)
		return -errno;
	r = setns(ns_fd, CLONE_NEWNET) < 0 ? -errno : 0;
	close(ns_fd);
	if (r < 0)
		return r;
	r = rec_iter_open(it, link_fd, sizeof(struct ev_snap_sock));
	if (setns(home, CLONE_NEWNET) < 0) {
		r = r ? r : -errno;
		rec_iter_close(it);
	}
	return r;
}

static int write_row(struct walk *w, struct ev_snap_sock *sock)
{
	const struct rec_snapshot_job *job = w->job;
	int r;

	sock->n_owners = rec_owners_of(&w->owners, sock->inode, &sock->task);
	r = rec_places_see(job->places, &sock->head, job->writer, w->err);
	if (job->generation)
		rec_generation_see(job->generation, &sock->head);
	if (r >= 0)
		r = tape_writer_event(job->writer, &sock->head, w->err);
	if (r >= 0 && ++w->ret->n_socks % BREATH_ROWS == 0 && job->breathe)
		r = job->breathe(job->ctx);
	return r;
}

/* As read_owners. */
static int write_rows(struct walk *w, int *ret_e)
{
	int r = 0, stop = 0;
	void *row;

	while (!stop && (r = rec_iter_next(&w->iter, &row)) == 1)
		stop = write_row(w, row);
	*ret_e = r < 0 ? r : 0;
	rec_iter_close(&w->iter);
	return stop;
}

/* Our own is the first of the list, and takes no privilege. */
static int walk_all(struct walk *w, const struct rec_netns_list *l)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), stop = 0;
	int link_fd = bpf_link__fd(w->job->object->iters[REC_ITER_SOCKS]);

	for (size_t i = 0; i < l->n && !stop; i++) {
		int e = !i	   ? rec_iter_open(&w->iter, link_fd, sizeof(struct ev_snap_sock))
			: home < 0 ? -EBADF
				   : open_in(&w->iter, link_fd, &l->v[i], home);

		if (!e)
			stop = write_rows(w, &e);
		if (!e)
			w->ret->n_netns++;
		else if (e != -ENOENT) /* it has gone since */
			snprintf(w->ret->trouble, sizeof(w->ret->trouble),
				 "sockets of network namespace %u are missing: %s", l->v[i].inode,
				 strerror(-e));
	}
	if (home >= 0)
		close(home);
	return stop;
}

/* Owners first: so a socket is written as it is met, and no list of them grows. */
static int walk_socks(struct walk *w, const struct rec_netns_list *l)
{
	const struct rec_snapshot_job *job = w->job;
	int r;

	if (!job->object->iters[REC_ITER_SOCKS]) {
		snprintf(w->ret->trouble, sizeof(w->ret->trouble), "no list of sockets: %s",
			 job->object->iter_why[REC_ITER_SOCKS]);
		return 0;
	}
	rec_owners_init(&w->owners);
	r = find_owners(w);
	if (!r)
		r = walk_all(w, l);
	rec_owners_fini(&w->owners);
	return r;
}

int rec_snapshot_take(const struct rec_snapshot_job *job, struct rec_snapshot_result *ret,
		      struct tape_error *err)
{
	struct walk w = {.job = job, .ret = ret, .err = err};
	struct rec_netns_list l;
	int r;

	*ret = (struct rec_snapshot_result){0};
	rec_netns_find(&l);
	r = rec_places_add_netns(job->places, &l, job->writer, err);
	if (r >= 0)
		r = walk_socks(&w, &l);
	rec_netns_free(&l);
	return r;
}

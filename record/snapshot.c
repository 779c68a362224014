/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
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
	struct rec_chooser chooser;
	struct rec_owners owners;
	uint32_t last_pid; /* whose files the iterator is at */
	bool last_chosen;
	struct rec_iter iter;
};

/* Nobody is if there is no selection. */
static bool is_chosen(struct walk *w, uint32_t pid)
{
	const struct rec_chooser *c = &w->chooser;
	uint8_t one;

	if (pid != w->last_pid && rec_select_is_on(c->select))
		w->last_chosen = !bpf_map_lookup_elem(c->pids_fd, &pid, &one) ||
				 rec_select_has(c->select, c->mount, pid);
	w->last_pid = pid;
	return w->last_chosen;
}

static int open_owners(struct walk *w)
{
	w->last_pid = 0;
	w->last_chosen = false;
	return rec_iter_open(&w->iter, bpf_link__fd(w->job->object->iters[REC_ITER_OWNERS]),
			     sizeof(struct tape_owner));
}

/* 0, or what breathe says; *ret_e: 0, or -errno. */
static int read_owners(struct walk *w, int *ret_e)
{
	const struct rec_snapshot_job *job = w->job;
	int r = 0, stop = 0;
	void *row;

	*ret_e = open_owners(w);
	for (unsigned n = 1; !*ret_e && !stop && (r = rec_iter_next(&w->iter, &row)) == 1; n++) {
		const struct tape_owner *e = row;
		struct ev_task task = {e->cgroup, e->pid, e->pid, e->comm};

		rec_owners_add(&w->owners, e->inode, &task, is_chosen(w, e->pid));
		if (n % BREATH_ROWS == 0 && job->breathe)
			stop = job->breathe(job->ctx);
	}
	rec_iter_close(&w->iter);
	*ret_e = *ret_e ? *ret_e : r;
	return stop;
}

/* Tell the kernel (old_fd, of the map `old`) which sockets the processes that are chosen have open.
 */
static int seed_owners(struct walk *w, int old_fd)
{
	int e = open_owners(w), r;
	uint8_t one = 1;
	void *row;

	if (e)
		return e;
	while ((r = rec_iter_next(&w->iter, &row)) == 1) {
		const struct tape_owner *o = row;

		if (is_chosen(w, o->pid) && bpf_map_update_elem(old_fd, &o->inode, &one, BPF_ANY))
			e = -errno;
	}
	rec_iter_close(&w->iter);
	return r ? r : e;
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

	if (!job->writer) { /* the walk itself was wanted */
		w->ret->n_socks++;
		return 0;
	}
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

/* 0, or -errno. */
static int seed_once(struct walk *w, const struct rec_netns_list *l, int old_fd)
{
	int e = seed_owners(w, old_fd);

	w->ret->n_socks = 0;
	walk_all(w, l);
	return e;
}

void rec_snapshot_seed(struct rec_object *o, const struct rec_chooser *c, size_t *ret_n,
		       char trouble[256])
{
	const struct rec_snapshot_job job = {.object = o};
	struct rec_snapshot_result result = {0};
	struct walk w = {.job = &job, .ret = &result, .chooser = *c};
	const char *why = NULL;
	struct rec_netns_list l;
	int e = 0;

	for (int i = 0; i < REC_N_ITERS && !why; i++)
		why = o->iters[i] ? NULL : o->iter_why[i];
	rec_netns_find(&l);
	rec_object_seeding(o, true);
	for (int i = 0; !why && i < 2; i++)
		e = seed_once(&w, &l, o->old_fd);
	rec_object_seeding(o, false);
	*ret_n = result.n_socks;
	if (why)
		snprintf(trouble, 256, "connections older than the recording are missing: %s", why);
	else if (e)
		snprintf(trouble, 256, "some connections older than the recording are missing: %s",
			 strerror(-e));
	else
		memcpy(trouble, result.trouble, sizeof(result.trouble));
	rec_netns_free(&l);
}

int rec_snapshot_take(const struct rec_snapshot_job *job, struct rec_snapshot_result *ret,
		      struct tape_error *err)
{
	struct walk w = {.job = job,
			 .ret = ret,
			 .err = err,
			 .chooser = {job->select, job->object->pids_fd, &job->places->mount}};
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "owners.h"

#define MAX_TASKS (1u << 16)

struct rec_owner {
	uint32_t inode; /* sock_alloc: get_next_ino gives 32 bits; 0 free */
	uint32_t task : 24, n : 8;
	/* the task that counted it last: of two descriptors of its, one counts */
	uint32_t last : 24, chosen : 1; /* chosen: `task` is */
};

void rec_owners_init(struct rec_owners *o)
{
	*o = (struct rec_owners){0};
}

void rec_owners_fini(struct rec_owners *o)
{
	free(o->v);
	free(o->tasks);
	rec_owners_init(o);
}

/* Where the inode stands, or would. */
static struct rec_owner *slot(const struct rec_owners *o, uint32_t inode)
{
	size_t i = (size_t)((inode * 0x9e3779b97f4a7c15u) >> 32) & (o->cap - 1);

	while (o->v[i].inode && o->v[i].inode != inode)
		i = (i + 1) & (o->cap - 1);
	return &o->v[i];
}

static bool grow(struct rec_owners *o)
{
	struct rec_owners more = {.cap = o->cap ? 2 * o->cap : 1024};

	if (more.cap > REC_OWNERS_SLOTS)
		return false;
	more.v = calloc(more.cap, sizeof(*more.v));
	if (!more.v)
		return false;
	for (size_t i = 0; i < o->cap; i++) {
		if (o->v[i].inode)
			*slot(&more, o->v[i].inode) = o->v[i];
	}
	free(o->v);
	o->v = more.v;
	o->cap = more.cap;
	return true;
}

/* The number of a process; -1: there is no room. */
static int task_of(struct rec_owners *o, const struct ev_task *process)
{
	size_t cap = o->cap_tasks ? 2 * o->cap_tasks : 64;
	struct ev_task *tasks;

	if (o->n_tasks && o->tasks[o->n_tasks - 1].pid == process->pid)
		return (int)o->n_tasks - 1;
	if (o->n_tasks == o->cap_tasks) {
		tasks = cap > MAX_TASKS ? NULL : realloc(o->tasks, cap * sizeof(*tasks));
		if (!tasks)
			return -1;
		o->tasks = tasks;
		o->cap_tasks = cap;
	}
	o->tasks[o->n_tasks] = *process;
	return (int)o->n_tasks++;
}

void rec_owners_add(struct rec_owners *o, uint64_t inode, const struct ev_task *process,
		    bool chosen)
{
	struct rec_owner *at;
	int task = task_of(o, process);

	if (!inode || inode > UINT32_MAX)
		return;
	if (task < 0 || (4 * (o->n + 1) > 3 * o->cap && !grow(o))) {
		o->incomplete = true;
		return;
	}
	at = slot(o, (uint32_t)inode);
	if (!at->inode) {
		*at = (struct rec_owner){.inode = (uint32_t)inode, .task = (uint32_t)task};
		o->n++;
	} else if (at->last == (uint32_t)task) {
		return;
	}
	at->last = (uint32_t)task;
	if (chosen && !at->chosen)
		at->task = (uint32_t)task;
	at->chosen |= chosen;
	if (at->n < 255)
		at->n++;
}

uint8_t rec_owners_of(const struct rec_owners *o, uint64_t inode, struct ev_task *ret_task)
{
	const struct rec_owner *at =
		o->cap && inode && inode <= UINT32_MAX ? slot(o, (uint32_t)inode) : NULL;

	if (!at || !at->inode)
		return 0;
	*ret_task = o->tasks[at->task];
	return at->n;
}

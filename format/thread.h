/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* One piece of work on a thread of its own; signals stay with the caller's. */
#ifndef TAPE_THREAD_H
#define TAPE_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

struct tape_thread {
	pthread_t id;
	bool is_on; /* was started, and not joined */
	void (*work)(void *ctx);
	void *ctx;
};

static inline void *tape_thread_main(void *thread)
{
	struct tape_thread *t = thread;

	t->work(t->ctx);
	return NULL;
}

/* 0; else there is no thread to be had, and nothing was done. *t must stay where it is. */
static inline int tape_thread_start(struct tape_thread *t, void (*work)(void *ctx), void *ctx)
{
	sigset_t all, before;

	t->work = work;
	t->ctx = ctx;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	t->is_on = !pthread_create(&t->id, NULL, tape_thread_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return t->is_on ? 0 : -1;
}

static inline void tape_thread_join(struct tape_thread *t)
{
	if (t->is_on)
		pthread_join(t->id, NULL);
	t->is_on = false;
}

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
#include "batches.h"

#include <errno.h>
#include <stdlib.h>

#include "thread.h"

#define BATCH_BYTES (128u << 10)

struct batch {
	char *p;
	size_t len, cap;
};

struct batches {
	int (*work)(void *ctx, const char *p, size_t len);
	void *ctx;
	struct batch noted; /* the caller's */
	bool no_memory;
	struct tape_thread thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t has_work, is_done;
	struct batch given;
	bool busy, quit;
	int err;
};

/* ---- the thread ---- */

static void give(void *arg)
{
	struct batches *b = arg;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		int err;

		while (!b->busy && !b->quit)
			pthread_cond_wait(&b->has_work, &b->lock);
		if (!b->busy)
			break;
		pthread_mutex_unlock(&b->lock);
		err = b->work(b->ctx, b->given.p, b->given.len);
		pthread_mutex_lock(&b->lock);
		b->err = err;
		b->busy = false;
		pthread_cond_signal(&b->is_done);
	}
	pthread_mutex_unlock(&b->lock);
}

/* ---- the caller ---- */

void *batches_room(struct batches *b, size_t len)
{
	struct batch *n = &b->noted;
	size_t cap = n->cap ? 2 * n->cap : BATCH_BYTES + 4096;
	char *more;

	if (n->cap - n->len < len) {
		while (cap - n->len < len)
			cap *= 2;
		more = realloc(n->p, cap);
		b->no_memory |= !more;
		if (!more)
			return NULL;
		n->p = more;
		n->cap = cap;
	}
	n->len += len;
	return n->p + n->len - len;
}

/* With the lock held: until the thread has nothing to do. */
static void wait_idle(struct batches *b)
{
	while (b->busy)
		pthread_cond_wait(&b->is_done, &b->lock);
}

void batches_submit(struct batches *b)
{
	struct batch done;

	if (!b->noted.len)
		return;
	pthread_mutex_lock(&b->lock);
	wait_idle(b);
	done = b->given;
	b->given = b->noted;
	b->busy = true;
	pthread_cond_signal(&b->has_work);
	pthread_mutex_unlock(&b->lock);
	b->noted = done;
	b->noted.len = 0;
}

void batches_noted(struct batches *b)
{
	if (b->noted.len >= BATCH_BYTES)
		batches_submit(b);
}

void batches_drain(struct batches *b)
{
	batches_submit(b);
	pthread_mutex_lock(&b->lock);
	wait_idle(b);
	pthread_mutex_unlock(&b->lock);
}

bool batches_is_empty(const struct batches *b)
{
	return !b->noted.len;
}

int batches_error(struct batches *b)
{
	int err;

	pthread_mutex_lock(&b->lock);
	err = b->err;
	pthread_mutex_unlock(&b->lock);
	return b->no_memory ? ENOMEM : err;
}

struct batches *batches_new(int (*work)(void *ctx, const char *p, size_t len), void *ctx)
{
	struct batches *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->work = work;
	b->ctx = ctx;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->has_work, NULL);
	pthread_cond_init(&b->is_done, NULL);
	if (!tape_thread_start(&b->thread, give, b))
		return b;
	free(b);
	return NULL;
}

void batches_free(struct batches *b)
{
	if (!b)
		return;
	batches_drain(b);
	pthread_mutex_lock(&b->lock);
	b->quit = true;
	pthread_cond_signal(&b->has_work);
	pthread_mutex_unlock(&b->lock);
	tape_thread_join(&b->thread);
	pthread_cond_destroy(&b->is_done);
	pthread_cond_destroy(&b->has_work);
	pthread_mutex_destroy(&b->lock);
	free(b->noted.p);
	free(b->given.p);
	free(b);
}

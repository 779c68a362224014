// SPDX-License-Identifier: GPL-2.0-or-later
#include "out_aside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "thread.h"

#define BATCH_BYTES (128u << 10)

struct note {
	uint8_t kind;
	uint8_t arg;
	uint16_t col;
	uint32_t len; /* of the string behind it, which ends with NUL; 0 none */
	union {
		uint64_t v;
		double real;
		const char *mark;
	};
};

struct batch {
	char *p;
	size_t len, cap;
};

struct aside {
	struct out *to;
	struct batch noted; /* the caller's */
	bool no_memory;
	struct tape_thread thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t has_work, is_done;
	struct batch work;
	bool busy, quit;
	int err;
};

/* ---- the thread ---- */

static void replay_one(struct out *o, const struct note *n, const char *s)
{
	switch ((enum aside_kind)n->kind) {
	case ASIDE_NONE: out_none(o); break;
	case ASIDE_U64: out_u64(o, n->v); break;
	case ASIDE_FIXED: out_fixed(o, n->real, n->arg); break;
	case ASIDE_NUMBER: out_number(o, s); break;
	case ASIDE_STR: out_strn(o, s, (size_t)n->v); break;
	case ASIDE_CUT: out_str_cut(o, s); break;
	case ASIDE_CONST: out_const(o, s); break;
	case ASIDE_LIST: out_list(o, s, (char)n->arg); break;
	case ASIDE_BOOL: out_bool(o, n->v); break;
	case ASIDE_MARK: out_mark(o, n->len ? s : NULL, n->mark); break;
	case ASIDE_END_ROW: out_end_row(o); break;
	}
}

static void replay(struct out *o, const struct batch *b)
{
	for (size_t at = 0; at < b->len;) {
		struct note n;

		memcpy(&n, b->p + at, sizeof(n));
		at += sizeof(n);
		if (n.kind < ASIDE_MARK)
			out_seek(o, n.col);
		replay_one(o, &n, b->p + at);
		at += n.len;
	}
}

static void work(void *arg)
{
	struct aside *a = arg;

	pthread_mutex_lock(&a->lock);
	for (;;) {
		int err;

		while (!a->busy && !a->quit)
			pthread_cond_wait(&a->has_work, &a->lock);
		if (!a->busy)
			break;
		pthread_mutex_unlock(&a->lock);
		replay(a->to, &a->work);
		err = out_flush(a->to);
		pthread_mutex_lock(&a->lock);
		a->err = err;
		a->busy = false;
		pthread_cond_signal(&a->is_done);
	}
	pthread_mutex_unlock(&a->lock);
}

/* ---- the caller ---- */

/* With the lock held: until the thread has nothing to do. */
static void wait_idle(struct aside *a)
{
	while (a->busy)
		pthread_cond_wait(&a->is_done, &a->lock);
}

static void submit(struct aside *a)
{
	struct batch done;

	pthread_mutex_lock(&a->lock);
	wait_idle(a);
	done = a->work;
	a->work = a->noted;
	a->busy = true;
	pthread_cond_signal(&a->has_work);
	pthread_mutex_unlock(&a->lock);
	a->noted = done;
	a->noted.len = 0;
}

static void *room(struct aside *a, size_t len)
{
	struct batch *b = &a->noted;
	size_t cap = b->cap ? 2 * b->cap : BATCH_BYTES + 4096;
	char *more;

	if (b->cap - b->len < len) {
		while (cap - b->len < len)
			cap *= 2;
		more = realloc(b->p, cap);
		a->no_memory |= !more;
		if (!more)
			return NULL;
		b->p = more;
		b->cap = cap;
	}
	b->len += len;
	return b->p + b->len - len;
}

static void put(struct aside *a, struct note *n, const char *s, size_t len)
{
	char *p;

	n->len = s ? (uint32_t)len + 1 : 0;
	p = room(a, sizeof(*n) + n->len);
	if (!p)
		return;
	memcpy(p, n, sizeof(*n));
	if (!s)
		return;
	memcpy(p + sizeof(*n), s, len);
	p[sizeof(*n) + len] = '\0';
}

void aside_cell(struct aside *a, unsigned col, enum aside_kind kind, unsigned arg,
		const struct out_cell *cell)
{
	struct note n = {.kind = (uint8_t)kind, .arg = (uint8_t)arg, .col = (uint16_t)col};

	if (kind == ASIDE_FIXED)
		n.real = cell->real;
	else
		n.v = kind == ASIDE_STR ? cell->len : cell->v;
	put(a, &n, cell->s, cell->len);
}

void aside_mark(struct aside *a, const char *before, const char *behind)
{
	struct note n = {.kind = ASIDE_MARK, .mark = behind};

	put(a, &n, before, before ? strlen(before) : 0);
}

void aside_end_row(struct aside *a)
{
	struct note n = {.kind = ASIDE_END_ROW};

	put(a, &n, NULL, 0);
	if (a->noted.len >= BATCH_BYTES)
		submit(a);
}

struct out *aside_drain(struct aside *a)
{
	if (a->noted.len)
		submit(a);
	pthread_mutex_lock(&a->lock);
	wait_idle(a);
	pthread_mutex_unlock(&a->lock);
	return a->to;
}

int aside_flush(struct aside *a)
{
	int err;

	if (a->no_memory)
		return ENOMEM;
	if (!a->noted.len)
		return out_flush(aside_drain(a)); /* lines that are no table's */
	submit(a);
	pthread_mutex_lock(&a->lock);
	err = a->err;
	pthread_mutex_unlock(&a->lock);
	return err;
}

struct aside *aside_new(struct out *to)
{
	struct aside *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->to = to;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->has_work, NULL);
	pthread_cond_init(&a->is_done, NULL);
	if (!tape_thread_start(&a->thread, work, a))
		return a;
	free(a);
	return NULL;
}

void aside_free(struct aside *a)
{
	if (!a)
		return;
	aside_drain(a);
	pthread_mutex_lock(&a->lock);
	a->quit = true;
	pthread_cond_signal(&a->has_work);
	pthread_mutex_unlock(&a->lock);
	tape_thread_join(&a->thread);
	pthread_cond_destroy(&a->has_work);
	pthread_cond_destroy(&a->is_done);
	pthread_mutex_destroy(&a->lock);
	free(a->noted.p);
	free(a->work.p);
	out_free(a->to);
	free(a);
}

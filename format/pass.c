// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "pass.h"

#include <pthread.h>
#include <stdlib.h>

#include "reader_parts.h"
#include "thread.h"

#define QUEUED_A_THREAD 3 /* chunks that wait, so that none waits for one */
#define MAX_SLOTS ((1 + QUEUED_A_THREAD) * TAPE_MAX_WORKERS + 2)
#define BYTES_A_WORKER (12u << 20)
#define KEEP_BUFFER (4u << 20) /* a larger one is not kept for the next chunk */

enum state { QUEUED, MAPPING, DONE };

struct slot { /* a chunk on its way */
	struct tape_fetch fetch;
	enum state state;
	size_t bytes;		   /* that it may take, at most */
	struct tape_chunk *memory; /* where its memory comes from, once it is mapped */
	void *work;
};

struct tape_pass_run {
	struct tape_pass p;
	struct tape_reader *r;
	unsigned n_slots, n_threads, max_threads;
	int stopped; /* what reduce returned */
	bool at_end; /* of reading, which ended so: */
	int rc;
	struct tape_error err;
	bool is_held; /* tape_pass_next gave the oldest chunk away */
	struct tape_thread threads[TAPE_MAX_WORKERS];

	pthread_mutex_t lock;		    /* of what follows, and of each slot's state */
	pthread_cond_t has_queued, is_done; /* for the workers; for the caller */
	unsigned first, n, n_queued;	    /* slots in use, in the order of the file, in a ring */
	size_t bytes;			    /* of these */
	bool quit;
	/*
	 * Memory for decoded columns that no chunk has, last used on top: a few of them go round,
	 * and stay in the caches, however many chunks wait.
	 */
	struct tape_chunk *spare[MAX_SLOTS];
	unsigned n_spare;
	struct slot slots[MAX_SLOTS];
};

static struct slot *at(struct tape_pass_run *run, unsigned i)
{
	return &run->slots[(run->first + i) % run->n_slots];
}

/* ---- mapping ---- */

/* Map the oldest chunk that waits. Called, and returns, with the lock held. */
static void map_one(struct tape_pass_run *run)
{
	struct slot *s = NULL;

	for (unsigned i = 0; i < run->n && (!s || s->state != QUEUED); i++)
		s = at(run, i);
	s->state = MAPPING;
	s->memory = run->spare[--run->n_spare];
	tape_chunk_swap_memory(s->fetch.chunk, s->memory);
	run->n_queued--;
	pthread_mutex_unlock(&run->lock);
	if (run->p.map)
		run->p.map(run->p.ctx, s->fetch.chunk, s->work);
	pthread_mutex_lock(&run->lock);
	s->state = DONE;
	pthread_cond_signal(&run->is_done);
}

static void worker(void *arg)
{
	struct tape_pass_run *run = arg;

	pthread_mutex_lock(&run->lock);
	for (;;) {
		while (!run->n_queued && !run->quit)
			pthread_cond_wait(&run->has_queued, &run->lock);
		if (run->quit)
			break;
		map_one(run);
	}
	pthread_mutex_unlock(&run->lock);
}

/* Threads are made as work comes: a small trace needs none. Without one the caller does it all. */
static void add_thread(struct tape_pass_run *run)
{
	if (run->n_threads >= run->max_threads)
		return;
	if (tape_thread_start(&run->threads[run->n_threads], worker, run))
		run->max_threads = run->n_threads;
	else
		run->n_threads++;
}

/* ---- the caller's thread; all with the lock held ---- */

static bool has_room(const struct tape_pass_run *run)
{
	return run->n < run->n_slots &&
	       (!run->n || run->bytes < (size_t)BYTES_A_WORKER * (run->max_threads + 1));
}

/* Read the next chunk and queue it: 1, 0 at the end, or negative. */
static int read_one(struct tape_pass_run *run, struct tape_error *err)
{
	struct slot *s = at(run, run->n);
	int rc;

	pthread_mutex_unlock(&run->lock); /* slots beyond n are nobody else's */
	rc = tape_reader_fetch(run->r, &s->fetch, run->p.wants, run->p.ctx, err);
	pthread_mutex_lock(&run->lock);
	run->at_end = rc != 1;
	if (rc != 1)
		return rc;
	s->bytes = tape_chunk_memory(s->fetch.chunk) + s->fetch.buf.cap;
	run->bytes += s->bytes;
	run->n++;
	s->state = s->fetch.has_payload ? QUEUED : DONE;
	if (s->state == DONE)
		return 1;
	if (run->n_queued++)
		add_thread(run);
	pthread_cond_signal(&run->has_queued);
	return 1;
}

/* What a rare large chunk took is not kept for the ones to come. */
static void keep_little(struct tape_fetch *f)
{
	tape_chunk_trim(f->chunk, BYTES_A_WORKER);
	if (f->buf.cap > KEEP_BUFFER) {
		free(f->buf.p);
		f->buf = (struct tape_buffer){0};
	}
}

/* The oldest chunk was reduced: it leaves. */
static void let_go(struct tape_pass_run *run)
{
	struct slot *s = at(run, 0);

	keep_little(&s->fetch);
	if (s->memory) {
		tape_chunk_swap_memory(s->memory, s->fetch.chunk);
		run->spare[run->n_spare++] = s->memory;
		s->memory = NULL;
	}
	run->bytes -= s->bytes;
	run->first = (run->first + 1) % run->n_slots;
	run->n--;
}

/* The oldest chunk is mapped. */
static void reduce_one(struct tape_pass_run *run)
{
	struct slot *s = at(run, 0);

	pthread_mutex_unlock(&run->lock);
	tape_reader_show(run->r, &s->fetch.seen);
	run->stopped = run->p.reduce(run->p.ctx, s->fetch.chunk, s->work);
	pthread_mutex_lock(&run->lock);
	let_go(run);
}

/* One step towards an empty ring. */
static void advance(struct tape_pass_run *run)
{
	if (at(run, 0)->state == DONE)
		reduce_one(run);
	else if (run->n_queued)
		map_one(run);
	else
		pthread_cond_wait(&run->is_done, &run->lock);
}

/* The pipe has nothing to be read: what it gave so far is told meanwhile. */
static int before_wait(void *ctx)
{
	struct tape_pass_run *run = ctx;

	pthread_mutex_lock(&run->lock);
	while (run->n && !run->stopped)
		advance(run);
	pthread_mutex_unlock(&run->lock);
	return run->stopped;
}

/* Workers first; then what is finished; then help them. */
static bool reads_on(struct tape_pass_run *run)
{
	return !run->at_end && has_room(run) &&
	       (!run->n || run->n_queued < QUEUED_A_THREAD * run->max_threads ||
		(run->max_threads && at(run, 0)->state != DONE));
}

static int run_all(struct tape_pass_run *run, struct tape_error *err)
{
	int rc = 0;

	pthread_mutex_lock(&run->lock);
	while (!run->stopped && (!run->at_end || run->n)) {
		if (reads_on(run))
			rc = read_one(run, err);
		else
			advance(run);
	}
	pthread_mutex_unlock(&run->lock);
	return run->stopped ? 1 : rc;
}

int tape_pass_next(struct tape_pass_run *run, struct tape_chunk **ret, struct tape_error *err)
{
	struct slot *s;

	pthread_mutex_lock(&run->lock);
	if (run->is_held)
		let_go(run);
	while (reads_on(run) || (run->n && at(run, 0)->state != DONE)) {
		if (reads_on(run))
			run->rc = read_one(run, &run->err);
		else
			advance(run);
	}
	run->is_held = run->n > 0;
	s = at(run, 0);
	pthread_mutex_unlock(&run->lock);
	tape_reader_show(run->r, run->is_held ? &s->fetch.seen : NULL);
	if (!run->is_held && run->rc < 0)
		*err = run->err;
	*ret = run->is_held ? s->fetch.chunk : NULL;
	return run->is_held ? 1 : run->rc;
}

/* ---- the whole ---- */

static int make_slots(struct tape_pass_run *run, struct tape_error *err)
{
	unsigned n = run->p.n_workers < 1 ? 1 : run->p.n_workers;
	int rc = 0;

	n = n > TAPE_MAX_WORKERS ? TAPE_MAX_WORKERS : n;
	run->max_threads = n - 1;
	run->n_slots = n > 1 ? 2 + (1 + QUEUED_A_THREAD) * run->max_threads : 1;
	for (unsigned i = 0; i < run->n_slots && !rc; i++) {
		rc = tape_chunk_new(&run->slots[i].fetch.chunk, err);
		if (!rc)
			rc = tape_chunk_new(&run->spare[run->n_spare++], err);
		run->slots[i].work = calloc(1, run->p.work_size + 1);
		if (!rc && !run->slots[i].work)
			rc = tape_fail(err, TAPE_E_NOMEM, 0, "no memory to read a trace");
	}
	return rc;
}

void tape_pass_end(struct tape_pass_run *run)
{
	if (!run)
		return;
	tape_reader_show(run->r, NULL);
	pthread_mutex_lock(&run->lock);
	run->quit = true;
	pthread_cond_broadcast(&run->has_queued);
	pthread_mutex_unlock(&run->lock);
	for (unsigned i = 0; i < run->n_threads; i++)
		tape_thread_join(&run->threads[i]);
	while (run->n_spare)
		tape_chunk_free(run->spare[--run->n_spare]);
	for (unsigned i = 0; i < run->n_slots; i++) {
		struct slot *s = &run->slots[i];

		tape_chunk_free(s->memory);
		if (s->work && run->p.work_fini)
			run->p.work_fini(run->p.ctx, s->work);
		free(s->work);
		tape_chunk_free(s->fetch.chunk);
		free(s->fetch.buf.p);
	}
	pthread_cond_destroy(&run->is_done);
	pthread_cond_destroy(&run->has_queued);
	pthread_mutex_destroy(&run->lock);
	free(run);
}

int tape_pass_begin(struct tape_pass_run **ret, const struct tape_pass *p, struct tape_reader *r,
		    struct tape_error *err)
{
	struct tape_pass_run *run = calloc(1, sizeof(*run));
	int rc;

	if (!run)
		return tape_fail(err, TAPE_E_NOMEM, 0, "no memory to read a trace");
	run->p = *p;
	run->r = r;
	pthread_mutex_init(&run->lock, NULL);
	pthread_cond_init(&run->has_queued, NULL);
	pthread_cond_init(&run->is_done, NULL);
	rc = make_slots(run, err);
	if (rc)
		tape_pass_end(run);
	else
		*ret = run;
	return rc;
}

int tape_pass_run(const struct tape_pass *p, struct tape_reader *r, struct tape_error *err)
{
	struct tape_pass_run *run;
	int rc = tape_pass_begin(&run, p, r, err);

	if (rc)
		return rc;
	r->src.before_wait = before_wait;
	r->src.wait_ctx = run;
	rc = run_all(run, err);
	r->src.before_wait = NULL;
	tape_pass_end(run);
	return rc;
}

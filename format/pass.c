// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "pass.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "reader_parts.h"

#define MORE_SLOTS 3 /* than workers, so that none waits for another one's chunk */
#define BYTES_A_WORKER (12u << 20)
#define KEEP_BUFFER (4u << 20) /* a larger one is not kept for the next chunk */

enum state { QUEUED, MAPPING, DONE };

struct slot { /* a chunk on its way */
	struct tape_fetch fetch;
	enum state state;
	size_t bytes; /* that it may take, at most */
	void *work;
};

struct run {
	const struct tape_pass *p;
	struct tape_reader *r;
	unsigned n_slots, n_threads, max_threads;
	int stopped; /* what reduce returned */
	pthread_t threads[TAPE_MAX_WORKERS];

	pthread_mutex_t lock;		    /* of what follows, and of each slot's state */
	pthread_cond_t has_queued, is_done; /* for the workers; for the caller */
	unsigned first, n, n_queued;	    /* slots in use, in the order of the file, in a ring */
	size_t bytes;			    /* of these */
	bool quit;
	struct slot slots[TAPE_MAX_WORKERS + MORE_SLOTS];
};

static struct slot *at(struct run *run, unsigned i)
{
	return &run->slots[(run->first + i) % run->n_slots];
}

/* ---- mapping ---- */

/* Map the oldest chunk that waits. Called, and returns, with the lock held. */
static void map_one(struct run *run)
{
	struct slot *s = NULL;

	for (unsigned i = 0; i < run->n && (!s || s->state != QUEUED); i++)
		s = at(run, i);
	s->state = MAPPING;
	run->n_queued--;
	pthread_mutex_unlock(&run->lock);
	if (run->p->map)
		run->p->map(run->p->ctx, s->fetch.chunk, s->work);
	pthread_mutex_lock(&run->lock);
	s->state = DONE;
	pthread_cond_signal(&run->is_done);
}

static void *worker(void *arg)
{
	struct run *run = arg;

	pthread_mutex_lock(&run->lock);
	for (;;) {
		while (!run->n_queued && !run->quit)
			pthread_cond_wait(&run->has_queued, &run->lock);
		if (run->quit)
			break;
		map_one(run);
	}
	pthread_mutex_unlock(&run->lock);
	return NULL;
}

/* Threads are made as work comes: a small trace needs none. Without one the caller does it all. */
static void add_thread(struct run *run)
{
	sigset_t all, before;

	if (run->n_threads >= run->max_threads)
		return;
	sigfillset(&all); /* signals are the caller's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&run->threads[run->n_threads], NULL, worker, run))
		run->max_threads = run->n_threads;
	else
		run->n_threads++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the caller's thread; all with the lock held ---- */

static bool has_room(const struct run *run)
{
	return run->n < run->n_slots &&
	       (!run->n || run->bytes < (size_t)BYTES_A_WORKER * (run->max_threads + 1));
}

/* Read the next chunk and queue it: 1, 0 at the end, or negative. */
static int read_one(struct run *run, struct tape_error *err)
{
	struct slot *s = at(run, run->n);
	int rc;

	pthread_mutex_unlock(&run->lock); /* slots beyond n are nobody else's */
	rc = tape_reader_fetch(run->r, &s->fetch, run->p->wants, run->p->ctx, err);
	pthread_mutex_lock(&run->lock);
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

/* The oldest chunk is mapped: it leaves. */
static void reduce_one(struct run *run)
{
	struct slot *s = at(run, 0);

	pthread_mutex_unlock(&run->lock);
	tape_reader_show(run->r, &s->fetch.seen);
	run->stopped = run->p->reduce(run->p->ctx, s->fetch.chunk, s->work);
	keep_little(&s->fetch);
	pthread_mutex_lock(&run->lock);
	run->bytes -= s->bytes;
	run->first = (run->first + 1) % run->n_slots;
	run->n--;
}

/* One step towards an empty ring. */
static void advance(struct run *run)
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
	struct run *run = ctx;

	pthread_mutex_lock(&run->lock);
	while (run->n && !run->stopped)
		advance(run);
	pthread_mutex_unlock(&run->lock);
	return run->stopped;
}

static int run_all(struct run *run, struct tape_error *err)
{
	int rc = 1;

	pthread_mutex_lock(&run->lock);
	while (!run->stopped && (rc == 1 || run->n)) {
		/* workers first; then what is finished; then help them */
		if (rc == 1 && has_room(run) &&
		    (!run->n || run->n_queued < run->max_threads || at(run, 0)->state != DONE))
			rc = read_one(run, err);
		else
			advance(run);
	}
	run->quit = true;
	pthread_cond_broadcast(&run->has_queued);
	pthread_mutex_unlock(&run->lock);
	return run->stopped ? 1 : rc;
}

/* ---- the whole ---- */

static int begin(struct run *run, struct tape_error *err)
{
	unsigned n = run->p->n_workers < 1 ? 1 : run->p->n_workers;
	int rc = 0;

	n = n > TAPE_MAX_WORKERS ? TAPE_MAX_WORKERS : n;
	run->max_threads = n - 1;
	run->n_slots = n > 1 ? n + MORE_SLOTS : 1;
	for (unsigned i = 0; i < run->n_slots && !rc; i++) {
		rc = tape_chunk_new(&run->slots[i].fetch.chunk, err);
		run->slots[i].work = calloc(1, run->p->work_size + 1);
		if (!rc && !run->slots[i].work)
			rc = tape_fail(err, TAPE_E_NOMEM, 0, "no memory to read a trace");
	}
	return rc;
}

static void end(struct run *run)
{
	for (unsigned i = 0; i < run->n_threads; i++)
		pthread_join(run->threads[i], NULL);
	for (unsigned i = 0; i < run->n_slots; i++) {
		struct slot *s = &run->slots[i];

		if (s->work && run->p->work_fini)
			run->p->work_fini(run->p->ctx, s->work);
		free(s->work);
		tape_chunk_free(s->fetch.chunk);
		free(s->fetch.buf.p);
	}
	pthread_cond_destroy(&run->is_done);
	pthread_cond_destroy(&run->has_queued);
	pthread_mutex_destroy(&run->lock);
	free(run);
}

int tape_pass_run(const struct tape_pass *p, struct tape_reader *r, struct tape_error *err)
{
	struct run *run = calloc(1, sizeof(*run));
	int rc;

	if (!run)
		return tape_fail(err, TAPE_E_NOMEM, 0, "no memory to read a trace");
	run->p = p;
	run->r = r;
	pthread_mutex_init(&run->lock, NULL);
	pthread_cond_init(&run->has_queued, NULL);
	pthread_cond_init(&run->is_done, NULL);
	rc = begin(run, err);
	if (!rc) {
		r->src.before_wait = before_wait;
		r->src.wait_ctx = run;
		rc = run_all(run, err);
		r->src.before_wait = NULL;
	}
	tape_reader_show(r, NULL);
	end(run);
	return rc;
}

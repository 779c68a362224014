// SPDX-License-Identifier: GPL-2.0-or-later
/* Several chunks at a time: what reduce sees must not depend on how many. */
#define _GNU_SOURCE
#include "pass.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forge.h"
#include "layout.h"
#include "sample.h"
#include "suite.h"

static struct tape_error err;

static const unsigned worker_counts[] = {0, 1, 2, 3, 8, 1000};
#define N_COUNTS (sizeof(worker_counts) / sizeof(worker_counts[0]))
#define MAX_CHUNKS 64

/* What was seen of one chunk, and of the trace by then. */
struct line {
	uint64_t offset, ts_min, lost_by_then;
	uint64_t sum; /* of all that its columns hold, and of what could not be decoded */
	size_t n_losses, n_clocks, n_meta, n_damage;
	bool has_payload;
};

struct log {
	struct tape_reader *r;
	struct line lines[MAX_CHUNKS];
	size_t n;
	int rc;		  /* of the reading */
	unsigned stop_at; /* reduce ends it there; 0: never */
	bool (*wants)(void *ctx, const struct tape_chunk *chunk);
	atomic_int n_mapped, max_mapped; /* and not reduced */
};

static uint64_t add(uint64_t sum, const void *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ ((const uint8_t *)p)[i]) * 0x100000001b3u;
	return sum;
}

static uint64_t sum_of(const struct tape_schema *s, struct tape_chunk *chunk)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n_records; i++)
		for (unsigned f = 0; f < s->records[i].n_fields; f++) {
			struct tape_column col;
			int rc = tape_chunk_column(chunk, s->records[i].id, f, &col, NULL);

			sum = add(sum, &rc, sizeof(rc));
			if (!rc && col.type == TAPE_STR)
				sum = add(sum, col.values, col.str_start[col.n]);
			else if (!rc)
				sum = add(sum, col.values, (size_t)col.n * col.width);
		}
	return sum;
}

static void add_line(struct log *log, const struct tape_chunk *chunk, uint64_t sum)
{
	struct line *l = &log->lines[log->n++];
	struct tape_end end;

	ck_assert_uint_le(log->n, MAX_CHUNKS);
	memset(l, 0, sizeof(*l)); /* padding is compared too */
	l->offset = tape_chunk_offset(chunk);
	l->ts_min = tape_chunk_head(chunk)->ts_min;
	l->has_payload = tape_chunk_has_payload(chunk);
	l->sum = sum;
	tape_reader_losses(log->r, &l->n_losses);
	tape_reader_clocks(log->r, &l->n_clocks);
	tape_reader_meta(log->r, &l->n_meta);
	tape_reader_damage(log->r, &l->n_damage);
	tape_reader_end(log->r, &end);
	l->lost_by_then = end.lost;
}

/* The same by tape_reader_next, which the pass is held against. */
static void read_one_by_one(struct tape_reader *r, struct log *ret)
{
	struct tape_chunk *chunk;

	*ret = (struct log){.r = r};
	while ((ret->rc = tape_reader_next(r, &chunk, &err)) == 1)
		add_line(ret, chunk, sum_of(tape_reader_schema(r), chunk));
}

/* Later chunks are often ready before earlier ones. */
static void map(void *ctx, struct tape_chunk *chunk, void *work)
{
	struct log *log = ctx;
	int n = ++log->n_mapped, max = log->max_mapped;

	while (n > max && !atomic_compare_exchange_weak(&log->max_mapped, &max, n))
		;
	usleep((useconds_t)(tape_chunk_head(chunk)->ts_min / 1000 * 7919 % 3000));
	*(uint64_t *)work = sum_of(tape_reader_schema(log->r), chunk);
}

static int reduce(void *ctx, struct tape_chunk *chunk, void *work)
{
	struct log *log = ctx;

	add_line(log, chunk, tape_chunk_has_payload(chunk) ? *(uint64_t *)work : 0);
	log->n_mapped -= tape_chunk_has_payload(chunk);
	return log->stop_at && log->n == log->stop_at ? 5 : 0;
}

static void run(struct tape_reader *r, unsigned n_workers, struct log *ret)
{
	struct tape_pass pass = {.n_workers = n_workers,
				 .wants = ret->wants,
				 .map = map,
				 .reduce = reduce,
				 .work_size = sizeof(uint64_t),
				 .ctx = ret};

	ret->r = r;
	ret->rc = tape_pass_run(&pass, r, &err);
}

/* The same by tape_pass_next. */
static void pull(struct tape_reader *r, unsigned n_workers, struct log *ret)
{
	struct tape_pass pass = {
		.n_workers = n_workers, .map = map, .work_size = sizeof(uint64_t), .ctx = ret};
	struct tape_pass_run *run;
	struct tape_chunk *chunk;

	ret->r = r;
	if (tape_pass_begin(&run, &pass, r, &err))
		ck_abort_msg("%s", err.text);
	while ((ret->rc = tape_pass_next(run, &chunk, &err)) == 1) {
		add_line(ret, chunk, sum_of(tape_reader_schema(r), chunk));
		ret->n_mapped--;
	}
	tape_pass_end(run);
}

static struct tape_reader *open_bytes(const struct bytes *b)
{
	struct tape_reader *r;

	if (forge_open(b, &r, &err))
		ck_abort_msg("%s", err.text);
	return r;
}

/* The facts at the end are the same too. */
static void same_end(const struct tape_reader *a, const struct tape_reader *b)
{
	struct tape_end x, y;
	size_t n, m;
	const struct tape_damage *d = tape_reader_damage(a, &n), *e = tape_reader_damage(b, &m);

	ck_assert_uint_eq(n, m);
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq(d[i].offset, e[i].offset);
		ck_assert_uint_eq(d[i].bytes, e[i].bytes);
		ck_assert_str_eq(d[i].text, e[i].text);
	}
	tape_reader_end(a, &x);
	tape_reader_end(b, &y);
	ck_assert(x.closed == y.closed && x.truncated == y.truncated);
	ck_assert_uint_eq(x.truncated_at, y.truncated_at);
	ck_assert_uint_eq(x.lost, y.lost);
}

static void same_lines(const struct log *a, const struct log *b)
{
	ck_assert_int_eq(a->rc, b->rc);
	ck_assert_uint_eq(a->n, b->n);
	ck_assert_mem_eq(a->lines, b->lines, a->n * sizeof(a->lines[0]));
}

/* These bytes read alike by any number of workers; returns how many chunks and places of damage. */
static size_t holds_for(const struct bytes *b, size_t *ret_damage)
{
	struct tape_reader *alone = open_bytes(b);
	struct log want;

	read_one_by_one(alone, &want);
	for (size_t i = 0; i < 2 * N_COUNTS; i++) {
		struct tape_reader *r = open_bytes(b);
		struct log got = {0};
		unsigned count = worker_counts[i / 2];
		unsigned n = count > TAPE_MAX_WORKERS ? TAPE_MAX_WORKERS : count;

		(i % 2 ? pull : run)(r, count, &got);
		same_lines(&want, &got);
		same_end(alone, r);
		ck_assert_int_eq(got.n_mapped, 0);
		ck_assert_int_le(got.max_mapped, n > 1 ? 4 * (int)n - 2 : 1);
		tape_reader_close(r);
	}
	tape_reader_damage(alone, ret_damage);
	tape_reader_close(alone);
	return want.n;
}

START_TEST(test_pass__order_and_contents)
{
	static const struct sample_opts opts = {.n_chunks = 30, .n_events = 40};
	struct bytes b = {0};
	size_t n_damage;

	sample_trace(&opts, &b);
	ck_assert_uint_eq(holds_for(&b, &n_damage), 31); /* and the snapshot */
	ck_assert_uint_eq(n_damage, 0);
	bytes_free(&b);
}
END_TEST

/* Damage of one chunk stays with it, and is told in its place. */
START_TEST(test_pass__damage)
{
	static const struct sample_opts opts = {.n_chunks = 20, .n_events = 40};
	struct bytes b = {0};
	size_t n_damage, len;

	sample_trace(&opts, &b);
	len = b.len;
	for (unsigned i = 1; i < 9; i++)
		b.p[len / 9 * i] ^= 0x55;
	ck_assert_uint_lt(holds_for(&b, &n_damage), 20);
	ck_assert_uint_ge(n_damage, 4);
	for (b.len = len / 2; b.len < len / 2 + 64; b.len += 9) /* cut in the middle */
		ck_assert_uint_ge(holds_for(&b, &n_damage), 5);
	bytes_free(&b);
}
END_TEST

/* A column that cannot be decoded: right checksums, wrong contents. */
START_TEST(test_pass__undecodable)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk bad = forge_chunk(3), good = forge_chunk(3);
	size_t n_damage;

	bad.columns[2].layout = 99;
	forge_front(&f, NULL);
	for (unsigned i = 0; i < 12; i++) {
		good.ts_min = bad.ts_min = 1000 * i;
		good.ts_max = bad.ts_max = 1000 * i + 999;
		forge_put_chunk(&f, i % 3 ? &good : &bad);
	}
	ck_assert_uint_eq(holds_for(&f.out, &n_damage), 12);
	ck_assert_uint_eq(n_damage, 0);
	bytes_free(&f.out);
}
END_TEST

/* An error that ends the reading comes behind all chunks before it, and behind no other. */
START_TEST(test_pass__error)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk good = forge_chunk(3);

	forge_front(&f, NULL);
	for (unsigned i = 0; i < 9; i++) {
		if (i == 7) /* must be understood, and is not */
			forge_block(&f, 77, 0, NULL, 0, "?", 1);
		forge_put_chunk(&f, &good);
	}
	for (size_t i = 0; i < 2 * N_COUNTS; i++) {
		struct tape_reader *r = open_bytes(&f.out);
		struct log got = {0};

		(i % 2 ? pull : run)(r, worker_counts[i / 2], &got);
		ck_assert_int_eq(got.rc, TAPE_E_VERSION);
		ck_assert_uint_eq(got.n, 7);
		tape_reader_close(r);
	}
	bytes_free(&f.out);
}
END_TEST

START_TEST(test_pass__stop)
{
	static const struct sample_opts opts = {.n_chunks = 20, .n_events = 40};
	struct bytes b = {0};

	sample_trace(&opts, &b);
	for (size_t i = 0; i < N_COUNTS; i++) {
		struct tape_reader *r = open_bytes(&b);
		struct log got = {.stop_at = 4};

		run(r, worker_counts[i], &got);
		ck_assert_int_eq(got.rc, 1);
		ck_assert_uint_eq(got.n, 4);
		ck_assert_int_eq(tape_reader_rewind(r, &err), 0); /* and it can be read again */
		got = (struct log){0};
		run(r, worker_counts[i], &got);
		ck_assert_int_eq(got.rc, 0);
		ck_assert_uint_eq(got.n, 21);
		tape_reader_close(r);
	}
	bytes_free(&b);
}
END_TEST

/* ---- not wanted ---- */

static bool wants_some(void *ctx, const struct tape_chunk *chunk)
{
	return tape_chunk_head(chunk)->ts_min % 3 == 0;
}

START_TEST(test_pass__wants)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk chunk = forge_chunk(3);
	struct tape_reader_stats before, stats;

	forge_front(&f, NULL);
	chunk.pad = 100000; /* that only wanted ones cost */
	for (unsigned i = 0; i < 30; i++) {
		chunk.ts_min = chunk.ts_max = 1000 + i;
		forge_put_chunk(&f, &chunk);
	}
	for (size_t i = 0; i < N_COUNTS; i++) {
		struct tape_reader *r = open_bytes(&f.out);
		struct log got = {.wants = wants_some};

		tape_reader_stats(r, &before);
		run(r, worker_counts[i], &got);
		tape_reader_stats(r, &stats);
		ck_assert_int_eq(got.rc, 0);
		ck_assert_uint_eq(got.n, 30);
		for (unsigned k = 0; k < 30; k++) {
			ck_assert_uint_eq(got.lines[k].ts_min, 1000 + k);
			ck_assert(got.lines[k].has_payload == ((1000 + k) % 3 == 0));
		}
		ck_assert_uint_eq(stats.n_payloads - before.n_payloads, 10);
		ck_assert_uint_ge(stats.bytes, 10 * chunk.pad);
		ck_assert_uint_lt(stats.bytes, 12 * chunk.pad);
		tape_reader_close(r);
	}
	bytes_free(&f.out);
}
END_TEST

/* ---- pipes ---- */

START_TEST(test_pass__pipe_gives_the_same)
{
	static const struct sample_opts opts = {.n_chunks = 30, .n_events = 40};
	struct bytes b = {0};
	struct tape_reader *r;
	struct log want;

	sample_trace(&opts, &b);
	b.p[b.len / 3] ^= 1;
	r = open_bytes(&b);
	read_one_by_one(r, &want);
	tape_reader_close(r);
	for (size_t i = 0; i < N_COUNTS; i++) {
		struct log got = {0};
		char path[32];
		int fds[2];
		pid_t child;

		ck_assert_int_eq(pipe(fds), 0);
		child = fork();
		ck_assert_int_ge(child, 0);
		if (!child) {
			close(fds[0]);
			for (size_t at = 0, n; at < b.len; at += n) {
				n = b.len - at < 5000 ? b.len - at : 5000;
				if (write(fds[1], b.p + at, n) != (ssize_t)n)
					_exit(1);
			}
			_exit(0);
		}
		close(fds[1]);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
		ck_assert_int_eq(tape_reader_open(&r, path, &err), 0);
		run(r, worker_counts[i], &got);
		ck_assert_uint_eq(want.n, got.n);
		for (size_t k = 0; k < want.n; k++) {
			ck_assert_uint_eq(want.lines[k].offset, got.lines[k].offset);
			ck_assert_uint_eq(want.lines[k].sum, got.lines[k].sum);
			ck_assert_uint_eq(want.lines[k].n_losses, got.lines[k].n_losses);
			ck_assert_uint_eq(want.lines[k].n_damage, got.lines[k].n_damage);
		}
		tape_reader_close(r);
		close(fds[0]);
		waitpid(child, NULL, 0);
	}
	bytes_free(&b);
}
END_TEST

struct feed { /* a trace that goes into a pipe as it is read */
	const struct bytes *b;
	size_t at;	    /* written so far */
	const size_t *ends; /* of the chunks */
	unsigned n, n_reduced;
	int fd;
};

static void feed_up_to(struct feed *f, size_t end)
{
	ck_assert_int_eq(write(f->fd, f->b->p + f->at, end - f->at), (ssize_t)(end - f->at));
	f->at = end;
}

/* The rest of the chunk after this one, and half of the next: who waits for more waits for ever. */
static int feed_next(void *ctx, struct tape_chunk *chunk, void *work)
{
	struct feed *f = ctx;
	unsigned i = ++f->n_reduced;

	if (i + 1 < f->n)
		feed_up_to(f, (f->ends[i] + f->ends[i + 1]) / 2 / 8 * 8);
	else if (i < f->n)
		feed_up_to(f, f->ends[i]);
	else
		close(f->fd);
	return 0;
}

static void map_nothing(void *ctx, struct tape_chunk *chunk, void *work)
{
}

START_TEST(test_pass__pipe_is_not_waited_for)
{
	struct forge forge = {.file_id = 1};
	struct forge_chunk chunk = forge_chunk(3);
	size_t ends[12];

	forge_front(&forge, NULL);
	for (unsigned k = 0; k < 12; k++) {
		forge_put_chunk(&forge, &chunk);
		ends[k] = forge.out.len;
	}
	for (size_t i = 0; i < N_COUNTS; i++) {
		struct feed f = {.b = &forge.out, .ends = ends, .n = 12};
		struct tape_pass pass = {.n_workers = worker_counts[i],
					 .map = map_nothing,
					 .reduce = feed_next,
					 .ctx = &f};
		struct tape_reader *r;
		char path[32];
		int fds[2];

		ck_assert_int_eq(pipe(fds), 0);
		f.fd = fds[1];
		feed_up_to(&f, (f.ends[0] + f.ends[1]) / 2 / 8 * 8);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
		ck_assert_int_eq(tape_reader_open(&r, path, &err), 0);
		ck_assert_int_eq(tape_pass_run(&pass, r, &err), 0);
		ck_assert_uint_eq(f.n_reduced, f.n);
		tape_reader_close(r);
		close(fds[0]);
	}
	bytes_free(&forge.out);
}
END_TEST

SUITE("pass", test_pass__order_and_contents, test_pass__damage, test_pass__undecodable,
      test_pass__error, test_pass__stop, test_pass__wants, test_pass__pipe_gives_the_same,
      test_pass__pipe_is_not_waited_for)

// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading what the writer wrote, in every way. Damage is in bad-*.c. */
#define _GNU_SOURCE
#include "reader.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dump.h"
#include "forge.h"
#include "layout.h"
#include "sample.h"
#include "suite.h"

static struct tape_error err;

static const struct sample_opts three_chunks = {.n_chunks = 3, .n_events = 40};

static struct tape_reader *open_bytes(const struct bytes *b)
{
	struct tape_reader *r;

	if (forge_open(b, &r, &err))
		ck_abort_msg("%s", err.text);
	return r;
}

static char *dump_bytes(const struct bytes *b)
{
	struct tape_reader *r = open_bytes(b);
	int rc;
	char *text = dump_reader(r, &rc);
	size_t n;

	ck_assert_int_eq(rc, 0);
	tape_reader_damage(r, &n);
	ck_assert_uint_eq(n, 0);
	tape_reader_close(r);
	return text;
}

/* ---- file and pipe ---- */

/* A child writes b into the returned end of a pipe, a few bytes at a time. */
static int pipe_of(const struct bytes *b, size_t step, pid_t *child)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	*child = fork();
	ck_assert_int_ge(*child, 0);
	if (*child) {
		close(fds[1]);
		return fds[0];
	}
	for (size_t at = 0, n; at < b->len; at += n) {
		n = b->len - at < step ? b->len - at : step;
		if (write(fds[1], b->p + at, n) != (ssize_t)n)
			_exit(1);
	}
	_exit(0);
}

static char *dump_pipe(const struct bytes *b, size_t step)
{
	char path[32], *text;
	pid_t child;
	int fd = pipe_of(b, step, &child), rc;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	text = dump_path(path, &rc, &err);
	ck_assert_int_eq(rc, 0);
	close(fd);
	waitpid(child, NULL, 0);
	return text;
}

START_TEST(test_reader__pipe_gives_the_same)
{
	static const size_t steps[] = {97, 4096, 1 << 20};
	struct bytes b = {0};
	char *file, *piped;

	sample_trace(&three_chunks, &b);
	file = dump_bytes(&b);
	for (unsigned i = 0; i < 3; i++) {
		piped = dump_pipe(&b, steps[i]);
		ck_assert_str_eq(piped, file);
		free(piped);
	}
	free(file);
	bytes_free(&b);
}
END_TEST

START_TEST(test_reader__standard_input)
{
	struct bytes b = {0};
	char *file, *piped;
	pid_t child;
	int fd, rc;

	sample_trace(&three_chunks, &b);
	file = dump_bytes(&b);
	fd = pipe_of(&b, 1000, &child);
	ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	piped = dump_path("-", &rc, &err);
	ck_assert_int_eq(rc, 0);
	ck_assert_str_eq(piped, file);
	waitpid(child, NULL, 0);
	close(fd);
	free(piped);
	free(file);
	bytes_free(&b);
}
END_TEST

/* What is whole is returned before more arrives: the live mode depends on it. */
START_TEST(test_reader__pipe_is_not_waited_for)
{
	struct tape_writer_opts opts = {.file_id = 1};
	struct tape_clock clock = {1, 2, 3, 4};
	struct tape_writer *w;
	struct tape_reader *r;
	struct tape_chunk *c;
	union sample e;
	char path[32];
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	ck_assert_int_eq(tape_writer_open(&w, fds[1], &opts, &err), 0);
	ck_assert_int_eq(tape_writer_clock(w, &clock, &err), 0);
	ck_assert_int_eq(tape_reader_open(&r, path, &err), 0);
	for (unsigned i = 0; i < 3; i++) {
		sample_fill(sample_event(0), i, 1000 * i, &e);
		ck_assert_int_eq(tape_writer_event(w, &e.head, &err), 0);
		ck_assert_int_eq(tape_writer_flush(w, 0, &err), 0);
		ck_assert_int_eq(tape_reader_next(r, &c, &err), 1);
		ck_assert_uint_eq(tape_chunk_head(c)->ts_min, 1000 * i);
	}
	ck_assert(!tape_reader_seekable(r));
	tape_writer_free(w);
	close(fds[1]);
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 0);
	tape_reader_close(r);
	close(fds[0]);
}
END_TEST

/* ---- again, by headers, by window ---- */

START_TEST(test_reader__rewind_gives_the_same)
{
	struct bytes b = {0};
	struct tape_reader *r;
	struct tape_chunk *c;
	char *once, *again;
	int rc;

	sample_trace(&three_chunks, &b);
	once = dump_bytes(&b);
	r = open_bytes(&b);
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 1); /* from the middle too */
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(tape_reader_rewind(r, &err), 0);
		again = dump_reader(r, &rc);
		ck_assert_str_eq(again, once);
		free(again);
	}
	tape_reader_close(r);
	free(once);
	bytes_free(&b);
}
END_TEST

START_TEST(test_reader__headers_only)
{
	struct bytes b = {0};
	struct tape_reader *r, *q;
	struct tape_chunk *c, *d;
	struct tape_column col;
	struct tape_end end;

	sample_trace(&three_chunks, &b);
	r = open_bytes(&b);
	q = open_bytes(&b);
	while (tape_reader_next_header(r, &c, &err) == 1) {
		ck_assert_int_eq(tape_reader_next(q, &d, &err), 1);
		ck_assert_mem_eq(tape_chunk_head(c), tape_chunk_head(d),
				 sizeof(struct tape_chunk_head));
		ck_assert_uint_eq(tape_chunk_offset(c), tape_chunk_offset(d));
		ck_assert_int_eq(tape_chunk_column(c, 0, 0, &col, &err), TAPE_E_ABSENT);
	}
	ck_assert_int_eq(tape_reader_next(q, &d, &err), 0);
	tape_reader_end(r, &end);
	ck_assert(end.closed);
	tape_reader_close(r);
	tape_reader_close(q);
	bytes_free(&b);
}
END_TEST

/* Both kinds of call by turns, on one reader. */
START_TEST(test_reader__headers_and_chunks_mixed)
{
	struct bytes b = {0};
	struct tape_reader *r;
	struct tape_column col;
	struct tape_chunk *c;

	sample_trace(&three_chunks, &b);
	r = open_bytes(&b);
	ck_assert_int_eq(tape_reader_next_header(r, &c, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 1);
	ck_assert_int_eq(tape_chunk_column(c, 0, 0, &col, &err), 0);
	ck_assert_int_eq(tape_reader_next_header(r, &c, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 0);
	tape_reader_close(r);
	bytes_free(&b);
}
END_TEST

/* The chunks (by offset) that a window gives; 0-terminated. */
static void window(const struct bytes *b, uint64_t from, uint64_t to, uint64_t offsets[10])
{
	struct tape_reader *r = open_bytes(b);
	struct tape_chunk *c;
	unsigned n = 0;

	tape_reader_window(r, from, to);
	while (tape_reader_next(r, &c, &err) == 1 && n < 9) {
		const struct tape_chunk_head *h = tape_chunk_head(c);

		ck_assert(tape_chunk_is_snapshot(c) || (h->ts_max >= from && h->ts_min <= to));
		offsets[n++] = tape_chunk_offset(c);
	}
	offsets[n] = 0;
	tape_reader_close(r);
}

START_TEST(test_reader__window_with_and_without_index)
{
	struct sample_opts opts = {.n_chunks = 5, .n_events = 20, .open_end = true};
	struct bytes with = {0}, without = {0};
	uint64_t mins[10], maxs[10], a[10], b[10];
	struct tape_reader *r;
	struct tape_chunk *c;
	unsigned n = 0;

	sample_trace(&opts, &without);
	opts.open_end = false;
	sample_trace(&opts, &with);
	r = open_bytes(&with);
	for (; tape_reader_next_header(r, &c, &err) == 1; n++) {
		mins[n] = tape_chunk_head(c)->ts_min;
		maxs[n] = tape_chunk_head(c)->ts_max;
	}
	tape_reader_close(r);
	ck_assert_uint_eq(n, 6);
	for (unsigned i = 1; i < n; i++)
		for (unsigned k = i; k < n; k++) {
			window(&with, maxs[i], mins[k], a);
			window(&without, maxs[i], mins[k], b);
			ck_assert_mem_eq(a, b, sizeof(a[0]) * (k - i + 3));
			ck_assert_uint_ne(a[k - i + 1], 0); /* the snapshot, then i to k */
			ck_assert_uint_eq(a[k - i + 2], 0);
		}
	window(&with, 0, 1, a); /* before everything */
	ck_assert_uint_eq(a[1], 0);
	window(&with, UINT64_MAX, UINT64_MAX, a);
	ck_assert_uint_eq(a[1], 0);
	bytes_free(&with);
	bytes_free(&without);
}
END_TEST

/* A window that leaves nothing out is no window, index or not. */
START_TEST(test_reader__whole_window_gives_the_same)
{
	struct bytes b = {0};
	struct tape_reader *r;
	char *all, *windowed;
	int rc;

	sample_trace(&three_chunks, &b);
	all = dump_bytes(&b);
	r = open_bytes(&b);
	tape_reader_window(r, 0, UINT64_MAX);
	windowed = dump_reader(r, &rc);
	ck_assert_str_eq(windowed, all);
	free(windowed);
	ck_assert_int_eq(tape_reader_rewind(r, &err), 0);
	windowed = dump_reader(r, &rc);
	ck_assert_str_eq(windowed, all);
	free(windowed);
	tape_reader_close(r);
	free(all);
	bytes_free(&b);
}
END_TEST

/* ---- ends ---- */

START_TEST(test_reader__not_closed_is_said)
{
	struct sample_opts opts = {.n_chunks = 2, .n_events = 10, .open_end = true};
	struct bytes b = {0};
	struct tape_reader *r;
	struct tape_chunk *c;
	struct tape_end end;

	sample_trace(&opts, &b);
	r = open_bytes(&b);
	while (tape_reader_next(r, &c, &err) == 1)
		;
	tape_reader_end(r, &end);
	ck_assert(!end.closed && !end.truncated);
	ck_assert_uint_eq(end.lost, 3); /* of the LOSS block between the chunks */
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 0); /* and again 0 */
	tape_reader_close(r);
	bytes_free(&b);
}
END_TEST

START_TEST(test_reader__repeated_schema)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);
	struct tape_reader *r;
	struct tape_chunk *chunk;

	forge_front(&f, NULL);
	forge_put_chunk(&f, &c);
	forge_block(&f, TAPE_BLOCK_SCHEMA, 0, NULL, 0, "anything", 8);
	forge_put_chunk(&f, &c);
	r = open_bytes(&f.out);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 0);
	tape_reader_close(r);
	bytes_free(&f.out);
}
END_TEST

START_TEST(test_reader__no_such_file)
{
	struct tape_reader *r;

	ck_assert_int_eq(tape_reader_open(&r, "/no/such/file", &err), TAPE_E_IO);
	ck_assert_int_eq(err.sys_errno, ENOENT);
	ck_assert_str_eq(err.text, "open: No such file or directory");
	ck_assert_int_eq(tape_reader_open(&r, "/tmp", &err), TAPE_E_IO);
	ck_assert_int_eq(err.sys_errno, EISDIR);
}
END_TEST

SUITE("reader", test_reader__pipe_gives_the_same, test_reader__standard_input,
      test_reader__pipe_is_not_waited_for, test_reader__rewind_gives_the_same,
      test_reader__headers_only, test_reader__headers_and_chunks_mixed,
      test_reader__window_with_and_without_index, test_reader__whole_window_gives_the_same,
      test_reader__not_closed_is_said, test_reader__repeated_schema, test_reader__no_such_file)

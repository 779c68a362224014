// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>

#include "labels.h"
#include "reader.h"
#include "suite.h"

static struct rec_labels l;
static struct tape_error err;

static void see_cgroup(uint64_t id, const char *path)
{
	struct ev_snap_cgroup row = {
		.head = {1, 0, EV_snap_cgroup, sizeof(row)},
		.cgroup = id,
		.path = {path, strlen(path)},
	};

	rec_labels_see(&l, &row.head);
}

static void see_symbol(uint64_t id, const char *name)
{
	struct ev_snap_symbol row = {
		.head = {1, 0, EV_snap_symbol, sizeof(row)},
		.id = id,
		.name = {name, strlen(name)},
	};

	rec_labels_see(&l, &row.head);
}

static void on_row(void *ctx, const struct ev_head *row)
{
	rec_labels_see(ctx, row);
}

/* Write them as a session does, which hands them back; the rows that a reader then counts. */
static uint32_t written(unsigned type)
{
	struct tape_writer_opts opts = {.file_id = 7, .on_row = on_row, .ctx = &l};
	char path[] = "/tmp/tcptape-labels.XXXXXX";
	int fd = mkstemp(path);
	struct tape_chunk *chunk;
	struct tape_reader *r;
	struct tape_writer *w;
	uint32_t n = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(tape_writer_open(&w, fd, &opts, &err), 0);
	ck_assert_int_eq(rec_labels_write(&l, 5, w, &err), 0);
	ck_assert_int_eq(tape_writer_close(w, 6, &err), 0);
	tape_writer_free(w);
	close(fd);
	ck_assert_int_eq(tape_reader_open(&r, path, &err), 0);
	while (tape_reader_next(r, &chunk, &err) == 1)
		n += tape_chunk_rows(chunk, type);
	tape_reader_close(r);
	unlink(path);
	return n;
}

START_TEST(test_labels__kept_once_each)
{
	char path[] = "/a";

	rec_labels_init(&l);
	see_cgroup(1, path);
	path[1] = 'x'; /* it keeps a copy */
	see_cgroup(2, "/b");
	see_symbol(1, "tcp_v4_rcv+0x1");
	see_cgroup(1, "/new"); /* in place of the first */
	ck_assert_uint_eq(l.n, 3);
	ck_assert_uint_eq(written(EV_snap_cgroup), 2);
	ck_assert_uint_eq(written(EV_snap_symbol), 1); /* and once more, unchanged */
	ck_assert_uint_eq(l.n, 3);
	ck_assert_uint_eq(((struct ev_snap_cgroup *)l.v[0])->path.len, 4);
	ck_assert(!memcmp(((struct ev_snap_cgroup *)l.v[0])->path.s, "/new", 4));
	rec_labels_fini(&l);
}
END_TEST

START_TEST(test_labels__sockets_are_not_kept)
{
	struct ev_snap_sock sock = {.head = {1, 0, EV_snap_sock, sizeof(sock)}};

	rec_labels_init(&l);
	rec_labels_see(&l, &sock.head);
	ck_assert_uint_eq(l.n, 0);
	ck_assert_uint_eq(l.n_refused, 0);
	rec_labels_fini(&l);
}
END_TEST

START_TEST(test_labels__bounded)
{
	rec_labels_init(&l);
	for (unsigned i = 1; i <= 100; i++)
		see_symbol(i, "f+0x1");
	for (unsigned i = 1; i < REC_LABELS_MAX; i++)
		see_cgroup(i, "/a/cgroup");
	ck_assert(l.forgot); /* what comes and goes; symbols stay */
	ck_assert_uint_le(l.n, REC_LABELS_MAX);
	ck_assert_uint_eq(l.n_refused, 0);
	ck_assert_uint_eq(written(EV_snap_symbol), 100);
	for (unsigned i = 101; i <= 2 * REC_LABELS_MAX; i++)
		see_symbol(i, "g+0x1");
	ck_assert_uint_eq(l.n, REC_LABELS_MAX);
	ck_assert_uint_eq(l.n_refused, REC_LABELS_MAX);
	rec_labels_fini(&l);
}
END_TEST

SUITE("labels", test_labels__kept_once_each, test_labels__sockets_are_not_kept,
      test_labels__bounded)

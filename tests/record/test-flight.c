// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cursor.h"
#include "flight.h"
#include "reader.h"
#include "record.h"
#include "suite.h"
#include "writer.h"

#define MS 1000000ull
#define A_CHUNK 200 /* events */

static struct rec_flight f;
static struct tape_writer *w;
static struct tape_error err;
static struct rec_error rerr;
static uint64_t now_ns, random_state;

static int put(void *ctx, struct tape_block_head *h, const void *type_head, const void *payload)
{
	return rec_flight_put(&f, h, type_head, payload, now_ns);
}

static void begin(size_t bytes, uint64_t keep_ns, const char *path)
{
	struct tape_writer_opts opts = {
		.file_id = 5, .put = put, .chunk_events = A_CHUNK, .level = 1};
	struct tape_clock clock = {1, 2, 3, 4};

	now_ns = random_state = 0;
	ck_assert_msg(!rec_flight_open(&f, bytes, keep_ns, path, &rerr), "%s", rerr.text);
	ck_assert_int_eq(tape_writer_open(&w, -1, &opts, &err), 0);
	ck_assert_int_eq(tape_writer_clock(w, &clock, &err), 0);
}

/* Events number from .. to, one a millisecond; noise, so that chunks are of different lengths. */
static void add(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct ev_tcp_accept e = record_make(i * MS, i);

		e.max_backlog = i % 1000 < 500 ? (uint32_t)record_random(&random_state) : 0;
		now_ns = e.head.ts_ns;
		ck_assert_int_eq(tape_writer_event(w, &e.head, &err), 0);
	}
	ck_assert_int_eq(tape_writer_flush(w, 0, &err), 0);
}

static void end(bool remove)
{
	tape_writer_free(w);
	rec_flight_close(&f, remove);
}

/* Copy all blocks into a file as a session does; it must be whole. The numbers in it: *ret_first,
 * and how many. */
static uint32_t dump(uint32_t *ret_first)
{
	struct tape_writer_opts opts = {.file_id = 6};
	char path[] = "/tmp/tcptape-flight.XXXXXX";
	struct tape_clock clock = {1, 2, 3, 4};
	const struct tape_schema *schema;
	struct tape_writer *to;
	struct tape_reader *r;
	struct tape_chunk *chunk;
	struct tape_column col;
	struct tape_block_view v;
	struct tape_end e;
	uint32_t n = 0;
	int fd = mkstemp(path);

	ck_assert_int_eq(tape_writer_open(&to, fd, &opts, &err), 0);
	ck_assert_int_eq(tape_writer_clock(to, &clock, &err), 0);
	rec_flight_rewind(&f);
	while (rec_flight_next(&f, &v))
		ck_assert_int_eq(tape_writer_take(to, &v, &err), 0);
	ck_assert_int_eq(tape_writer_close(to, now_ns, &err), 0);
	tape_writer_free(to);
	close(fd);
	ck_assert_int_eq(tape_reader_open(&r, path, &err), 0);
	schema = tape_reader_schema(r);
	ck_assert_ptr_nonnull(schema);
	while (tape_reader_next(r, &chunk, &err) == 1) {
		ck_assert_uint_eq(tape_chunk_head(chunk)->first_event, n);
		ck_assert_int_eq(tape_chunk_column(chunk, EV_tcp_accept, 2, &col, &err), 0);
		for (uint32_t i = 0; i < col.n; i++, n++) {
			if (!n)
				*ret_first = (uint32_t)tape_column_get(&col, 0);
			ck_assert_uint_eq(tape_column_get(&col, i), *ret_first + n);
		}
	}
	tape_reader_end(r, &e);
	ck_assert(e.closed && e.n_events == n);
	tape_reader_close(r);
	unlink(path);
	return n;
}

START_TEST(test_flight__keeps_the_newest)
{
	uint32_t first, n, last = 0;

	begin(64 << 10, 0, NULL);
	for (uint32_t to = 100; to < 60000; to += 77 + to / 7) {
		uint64_t first_event, ts;

		add(last, to);
		last = to;
		n = dump(&first);
		ck_assert_uint_eq(first + n, to); /* up to the newest, without a gap */
		ck_assert(rec_flight_oldest(&f, &first_event, &ts));
		ck_assert_uint_eq(first_event, first);
		ck_assert_uint_eq(ts, first * MS);
	}
	ck_assert(f.has_clock);
	ck_assert_uint_gt(first, 0);
	/* it is full but for the place that one chunk leaves at the end, and one that did not fit
	 */
	ck_assert_uint_gt(n, 5000);
	end(false);
}
END_TEST

START_TEST(test_flight__what_is_old_goes)
{
	uint32_t first, n;

	begin(16 << 20, 2000 * MS, NULL);
	for (uint32_t i = 0; i < 100; i++)
		add(i * 1000, (i + 1) * 1000);
	n = dump(&first);
	ck_assert_uint_eq(first + n, 100000);
	ck_assert_uint_ge(n, 2000);
	ck_assert_uint_le(n, 2000 + 2 * A_CHUNK);
	ck_assert_uint_lt(f.at, 1 << 20); /* and not all of the memory was touched */
	end(false);
}
END_TEST

/* While the file is written events come in, and overtake. */
START_TEST(test_flight__dropped_under_the_cursor)
{
	struct tape_block_view v;
	uint64_t next_event = 0;
	unsigned n = 0;

	begin(64 << 10, 0, NULL);
	add(0, 30000);
	rec_flight_rewind(&f);
	while (rec_flight_next(&f, &v) && n < 1000) {
		if (v.h.type == TAPE_BLOCK_CHUNK) {
			uint64_t first = tape_le(v.type_head + 24, 8);

			ck_assert_uint_ge(first, next_event); /* never back */
			next_event = first + tape_le(v.type_head + 40, 4);
		}
		add(30000 + n * 1000, 31000 + n * 1000);
		n++;
	}
	ck_assert_uint_gt(f.n_passed, 0);
	ck_assert_uint_eq(n, 1000); /* new blocks are met, so the caller must know where to end */
	end(false);
}
END_TEST

START_TEST(test_flight__in_a_file)
{
	char dir[] = "/tmp/tcptape-ring.XXXXXX", path[64], old[80];
	struct tape_reader *r;
	struct tape_block_view v;
	uint32_t seen = 0, low = UINT32_MAX, high = 0;
	struct stat st;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/ring", dir);
	snprintf(old, sizeof(old), "%s.old", path);
	begin(64 << 10, 0, path);
	add(0, 60000);
	end(false); /* as if it was killed: nothing is written at the end */
	ck_assert_int_eq(tape_reader_open_blocks(&r, path, &err), 0);
	ck_assert_int_eq(tape_reader_next_block(r, &v, &err), 1);
	ck_assert_int_eq(v.h.type, TAPE_BLOCK_FILE);
	ck_assert_int_eq(tape_reader_next_block(r, &v, &err), 1);
	ck_assert_int_eq(v.h.type, TAPE_BLOCK_SCHEMA);
	while (tape_reader_next_block(r, &v, &err) == 1) {
		ck_assert_ptr_nonnull(v.payload);
		low = v.h.seq < low ? v.h.seq : low;
		high = v.h.seq > high ? v.h.seq : high;
		seen++;
	}
	tape_reader_close(r);
	ck_assert_uint_gt(seen, 10);
	ck_assert_uint_eq(seen, high - low + 1); /* no stale block, none is missing */
	begin(64 << 10, 0, path);
	ck_assert(!stat(old, &st)); /* the one of before is kept */
	end(true);
	ck_assert(stat(path, &st));
	unlink(old);
	ck_assert(!rmdir(dir));
}
END_TEST

SUITE("flight", test_flight__keeps_the_newest, test_flight__what_is_old_goes,
      test_flight__dropped_under_the_cursor, test_flight__in_a_file)

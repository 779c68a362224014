// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a command reads: of a time window, of chunks without its events. Bytes and blocks are
 * counted, not seconds.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmd.h"
#include "suite.h"
#include "writer.h"

#define S 1000000000ull
#define START (5000 * S)
#define N_CHUNKS 400 /* one a second */
#define N_EVENTS 2000

static char path[32];
static uint64_t size;
static int fd = -1;

/* Bytes that do not shrink: one step of a random generator (splitmix64). */
static uint32_t noise(uint64_t i)
{
	i *= 0x9e3779b97f4a7c15ull;
	i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9ull;
	return (uint32_t)(i >> 20);
}

static void add(struct tape_writer *w, unsigned chunk, unsigned i)
{
	uint64_t ts = START + chunk * S + i * (S / N_EVENTS);
	struct ev_rtt rtt = {.head = {ts, 0, EV_rtt, sizeof(rtt)}};
	struct ev_tcp_state state = {.head = {ts, 0, EV_tcp_state, sizeof(state)}};

	rtt.rtt_us = (int32_t)(noise(ts) >> 1);
	rtt.srtt_us = noise(ts + 1);
	rtt.snd_una = noise(ts + 2);
	rtt.sock.cookie = 1 + noise(ts + 3) % 100;
	state.sock.cookie = 1;
	state.old_state = state.new_state = 1;
	ck_assert_int_eq(tape_writer_event(w, &rtt.head, NULL), 0);
	if (chunk % 100 == 50 && !i) /* in few chunks */
		ck_assert_int_eq(tape_writer_event(w, &state.head, NULL), 0);
}

static void write_trace(bool closed)
{
	struct tape_writer_opts opts = {.writer = "test", .n_cpus = 1, .start_ns = START};
	struct tape_clock clock = {.mono_ns = START, .real_ns = START, .boot_ns = START};
	struct tape_meta meta = {"groups", "conn,rtt"};
	struct tape_writer *w;

	fd = memfd_create("trace", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(tape_writer_open(&w, fd, &opts, NULL), 0);
	ck_assert_int_eq(tape_writer_meta(w, &meta, 1, NULL), 0);
	ck_assert_int_eq(tape_writer_clock(w, &clock, NULL), 0);
	for (unsigned k = 0; k < N_CHUNKS; k++) {
		for (unsigned i = 0; i < N_EVENTS; i++)
			add(w, k, i);
		ck_assert_int_eq(tape_writer_flush(w, 0, NULL), 0);
	}
	if (closed)
		ck_assert_int_eq(tape_writer_close(w, START + N_CHUNKS * S, NULL), 0);
	size = tape_writer_offset(w);
	tape_writer_free(w);
}

struct seen {
	uint64_t n_rows, min_s, max_s;
	struct tape_reader_stats stats;
};

static int on_row(void *ctx, const struct bind_row *row)
{
	struct seen *seen = ctx;
	uint64_t s = (row->ts_ns - START) / S;

	seen->n_rows++;
	seen->min_s = s < seen->min_s ? s : seen->min_s;
	seen->max_s = s > seen->max_s ? s : seen->max_s;
	return 0;
}

static struct seen read_trace(const char *record, const char *from, const char *to, bool ports)
{
	static const struct bind_field fields[] = {{"sock", BIND_SOCK}};
	struct bind bind = {.record = record, .fields = fields, .n_fields = 1, .on = on_row};
	struct seen seen = {.min_s = UINT64_MAX};
	struct input_job job = {.binds = &bind, .n_binds = 1, .ctx = &seen};
	struct input_opts opts = {.from = from, .to = to, .local_ports = ports};
	struct out_opts out_opts = {.csv = true};
	struct out *out = out_new(&out_opts);
	struct fail fail = {0};
	struct input *in;

	ck_assert_int_eq(input_open(&in, path, &opts, out, &fail), 0);
	ck_assert_int_eq(input_run(in, &job, &fail), 0);
	tape_reader_stats(input_reader(in), &seen.stats);
	input_close(in);
	out_free(out);
	return seen;
}

/* Of a closed file: the chunks of the window, the front (twice with a first pass) and the index. */
START_TEST(test_window__closed)
{
	struct seen all, seen;

	write_trace(true);
	all = read_trace("rtt", NULL, NULL, false);
	ck_assert_uint_eq(all.n_rows, N_CHUNKS * N_EVENTS);
	ck_assert_uint_ge(all.stats.bytes, size - 8 * (N_CHUNKS + 16)); /* padding is not read */
	for (int ports = 0; ports <= 1; ports++) {
		unsigned passes = 1 + (unsigned)ports;

		seen = read_trace("rtt", "+200s", "+203.999s", ports);
		ck_assert_uint_eq(seen.min_s, 200);
		ck_assert_uint_eq(seen.max_s, 203);
		ck_assert_uint_ge(seen.n_rows, 4 * N_EVENTS - 2);
		ck_assert_uint_le(seen.n_rows, 4 * N_EVENTS);
		/*
		 * 4 chunks; FILE, SCHEMA, META, CLOCK; INDEX (to find the chunks, and where it
		 * stands), END. The first pass looks for ports in at most 4 more. One more looks
		 * for what was said of sampling, in headers.
		 */
		ck_assert_uint_le(seen.stats.n_payloads,
				  passes * (4 + 4 + 3) + (ports ? 4 : 0) + 4 + 3);
		ck_assert_uint_le(seen.stats.bytes,
				  passes * (size * 15 / 1000 + 32768) + (ports ? size / 100 : 0));
	}
	close(fd);
}
END_TEST

START_TEST(test_window__from_the_end)
{
	struct seen seen;

	write_trace(true);
	seen = read_trace("rtt", "-4s", NULL, false);
	ck_assert_uint_eq(seen.min_s, N_CHUNKS - 4);
	ck_assert_uint_le(seen.stats.bytes, size * 15 / 1000 + 3 * 32768);
	close(fd);
}
END_TEST

/*
 * Without an index the headers are walked, twice: a page of each block, and the payloads of the
 * window.
 */
START_TEST(test_window__open)
{
	struct seen seen;

	write_trace(false);
	seen = read_trace("rtt", "+200s", "+203.999s", false);
	ck_assert_uint_ge(seen.n_rows, 4 * N_EVENTS - 2);
	ck_assert_uint_le(seen.stats.n_payloads, 4 + 4 + 4);
	ck_assert_uint_le(seen.stats.bytes, size * 15 / 1000 + 2 * 4096 * (N_CHUNKS + 16));
	close(fd);
}
END_TEST

/* Chunks without an event of the command are passed over. */
START_TEST(test_window__rare)
{
	struct seen seen;

	write_trace(true);
	seen = read_trace("tcp_state", NULL, NULL, false);
	ck_assert_uint_eq(seen.n_rows, N_CHUNKS / 100);
	ck_assert_uint_le(seen.stats.n_payloads, N_CHUNKS / 100 + 6);
	close(fd);
}
END_TEST

SUITE("window", test_window__closed, test_window__from_the_end, test_window__open,
      test_window__rare)

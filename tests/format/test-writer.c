// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dump.h"
#include "layout.h"
#include "reader.h"
#include "sample.h"
#include "suite.h"

static struct tape_error err;

static const struct tape_writer_opts opts = {
	.file_id = SAMPLE_FILE_ID, .writer = "test 1", .n_cpus = 2, .start_ns = 100};

static void must(int rc)
{
	if (rc)
		ck_abort_msg("%s", err.text);
}

static struct tape_writer *open_writer(int fd, const struct tape_writer_opts *o)
{
	struct tape_writer *w;

	must(tape_writer_open(&w, fd, o, &err));
	return w;
}

static int put_event(struct tape_writer *w, size_t kind, uint64_t seed, uint64_t ts)
{
	union sample e;

	sample_fill(sample_event(kind), seed, ts, &e);
	return tape_writer_event(w, &e.head, &err);
}

static struct tape_reader *open_reader(const char *path)
{
	struct tape_reader *r;

	must(tape_reader_open(&r, path, &err));
	return r;
}

static const struct tape_chunk_head *next(struct tape_reader *r)
{
	struct tape_chunk *c;
	int rc = tape_reader_next(r, &c, &err);

	ck_assert_msg(rc >= 0, "%s", err.text);
	return rc ? tape_chunk_head(c) : NULL;
}

static void undamaged(const struct tape_reader *r)
{
	size_t n;
	const struct tape_damage *d = tape_reader_damage(r, &n);

	if (n)
		ck_abort_msg("%s", d->text);
}

/* ---- what describes a trace ---- */

START_TEST(test_writer__metadata_comes_back)
{
	static const struct tape_meta in[] = {
		{"a", "plain"},
		{"b", "tab\t nl\n bs\\ \\t \\\\n end\\"},
		{"a", ""},
		{"c.d", "\x01\x7f\xff \xc3\xa9"},
	};
	struct tape_clock clock = {1, 2, 3, 4}, later = {10, 20, 30, 40};
	const struct tape_file_info *info;
	const struct tape_clock *clocks;
	const struct tape_meta *meta;
	struct tape_reader *r;
	struct tape_end end;
	char path[32];
	int fd = sample_memfd(path);
	struct tape_writer *w = open_writer(fd, &opts);
	size_t n;

	must(tape_writer_meta(w, in, 3, &err));
	must(tape_writer_clock(w, &clock, &err));
	must(tape_writer_meta(w, in + 3, 1, &err));
	must(tape_writer_meta(w, NULL, 0, &err));
	must(tape_writer_clock(w, &later, &err));
	must(tape_writer_close(w, 777, &err));
	tape_writer_free(w);

	r = open_reader(path);
	info = tape_reader_info(r);
	ck_assert_uint_eq(info->major, TAPE_VERSION_MAJOR);
	ck_assert_uint_eq(info->minor, TAPE_VERSION_MINOR);
	ck_assert_uint_eq(info->n_cpus, 2);
	ck_assert_uint_eq(info->start_ns, 100);
	ck_assert_uint_eq(info->file_id, SAMPLE_FILE_ID);
	ck_assert_str_eq(info->writer, "test 1");
	meta = tape_reader_meta(r, &n);
	ck_assert_uint_eq(n, 4);
	for (size_t i = 0; i < n; i++) {
		ck_assert_str_eq(meta[i].key, in[i].key);
		ck_assert_str_eq(meta[i].value, in[i].value);
	}
	clocks = tape_reader_clocks(r, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_mem_eq(&clocks[0], &clock, sizeof(clock));
	ck_assert_mem_eq(&clocks[1], &later, sizeof(later));
	ck_assert_ptr_null(next(r));
	tape_reader_end(r, &end);
	ck_assert(end.closed && !end.truncated);
	ck_assert_uint_eq(end.end_ns, 777);
	undamaged(r);
	tape_reader_close(r);
	close(fd);
}
END_TEST

START_TEST(test_writer__long_program_name_is_cut)
{
	char name[200], path[32];
	struct tape_writer_opts o = opts;
	int fd = sample_memfd(path);
	struct tape_reader *r;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	o.writer = name;
	tape_writer_free(open_writer(fd, &o));
	r = open_reader(path);
	ck_assert_uint_eq(strlen(tape_reader_info(r)->writer), 63);
	tape_reader_close(r);
	close(fd);
}
END_TEST

/* A reader would refuse it, so the writer does. */
START_TEST(test_writer__too_much_text)
{
	char path[32], *text = malloc(TAPE_MAX_TEXT + 1);
	struct tape_meta meta = {"k", text};
	struct tape_writer_opts o = opts;
	int fd = sample_memfd(path);
	struct tape_writer *w = open_writer(fd, &opts);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', TAPE_MAX_TEXT);
	text[TAPE_MAX_TEXT] = '\0';
	ck_assert_int_eq(tape_writer_meta(w, &meta, 1, &err), TAPE_E_LIMIT);
	ck_assert_str_eq(err.text, "metadata of 1048579 bytes, at most 1048576 in one block");
	tape_writer_free(w);
	o.names = text;
	ck_assert_int_eq(tape_writer_open(&w, fd, &o, &err), TAPE_E_LIMIT);
	free(text);
	close(fd);
}
END_TEST

/* ---- losses ---- */

START_TEST(test_writer__losses)
{
	struct tape_loss loss[] = {
		{10, 20, 5, 3, TAPE_LOSS_RING, "rtt"},
		{20, 30, 7, TAPE_CPU_UNKNOWN, TAPE_LOSS_MISSED, "counters"}, /* all 8 bytes */
	};
	const struct tape_chunk_head *h;
	const struct tape_loss *found;
	struct tape_writer_stats stats;
	struct tape_reader *r;
	struct tape_end end;
	char path[32];
	int fd = sample_memfd(path);
	struct tape_writer *w = open_writer(fd, &opts);
	size_t n;

	must(put_event(w, 0, 1, 1000));
	must(tape_writer_loss(w, loss, 2, &err)); /* closes the chunk before it */
	must(tape_writer_loss(w, loss, 0, &err));
	must(put_event(w, 0, 2, 2000));
	must(tape_writer_close(w, 0, &err));
	tape_writer_stats(w, &stats);
	ck_assert_uint_eq(stats.lost, 12);
	tape_writer_free(w);

	r = open_reader(path);
	h = next(r);
	ck_assert_uint_eq(h->lost, 0);
	tape_reader_losses(r, &n);
	ck_assert_uint_eq(n, 0);
	h = next(r);
	ck_assert_uint_eq(h->lost, 12);
	found = tape_reader_losses(r, &n);
	ck_assert_uint_eq(n, 2);
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq(found[i].from_ns, loss[i].from_ns);
		ck_assert_uint_eq(found[i].to_ns, loss[i].to_ns);
		ck_assert_uint_eq(found[i].count, loss[i].count);
		ck_assert_uint_eq(found[i].cpu, loss[i].cpu);
		ck_assert_uint_eq(found[i].reason, loss[i].reason);
		ck_assert_str_eq(found[i].group, loss[i].group);
	}
	ck_assert_ptr_null(next(r));
	tape_reader_end(r, &end);
	ck_assert_uint_eq(end.lost, 12);
	tape_reader_close(r);
	close(fd);
}
END_TEST

/* ---- chunks, floors, stragglers ---- */

START_TEST(test_writer__chunk_closes_when_full)
{
	struct tape_writer_opts o = opts;
	const struct tape_chunk_head *h;
	struct tape_reader *r;
	char path[32];
	int fd = sample_memfd(path);
	struct tape_writer *w;

	o.chunk_events = 10;
	w = open_writer(fd, &o);
	for (unsigned i = 0; i < 25; i++)
		must(put_event(w, 0, i, 1000 + i));
	ck_assert_uint_eq(tape_writer_open_since(w), 1020);
	must(tape_writer_close(w, 0, &err));
	tape_writer_free(w);
	r = open_reader(path);
	for (unsigned i = 0; i < 25; i += 10) {
		h = next(r);
		ck_assert_uint_eq(h->n_events, i < 20 ? 10 : 5);
		ck_assert_uint_eq(h->first_event, i);
		ck_assert_uint_eq(h->ts_min, 1000 + i);
	}
	ck_assert_ptr_null(next(r));
	undamaged(r);
	tape_reader_close(r);
	close(fd);
}
END_TEST

START_TEST(test_writer__floors_and_stragglers)
{
	const struct tape_chunk_head *h;
	struct tape_writer_stats stats;
	struct tape_reader *r;
	char path[32];
	int fd = sample_memfd(path);
	struct tape_writer *w = open_writer(fd, &opts);

	must(put_event(w, 0, 1, 2000));
	must(put_event(w, 0, 2, 1900)); /* late, but within its chunk */
	must(tape_writer_flush(w, 5000, &err));
	must(put_event(w, 0, 3, 4999));	       /* before the floor: a straggler */
	must(put_event(w, 0, 4, 5000));	       /* on the floor: none */
	must(tape_writer_flush(w, 100, &err)); /* a floor never sinks */
	must(put_event(w, 0, 5, 6000));
	must(tape_writer_flush(w, 0, &err));
	must(tape_writer_flush(w, 0, &err)); /* nothing open: nothing written */
	ck_assert_uint_eq(tape_writer_open_since(w), 0);
	must(tape_writer_close(w, 0, &err));
	tape_writer_stats(w, &stats);
	ck_assert_uint_eq(stats.n_stragglers, 1);
	ck_assert_uint_eq(stats.n_chunks, 3);
	ck_assert_uint_eq(stats.n_events, 5);
	tape_writer_free(w);

	r = open_reader(path);
	h = next(r);
	ck_assert_uint_eq(h->ts_min, 1900);
	ck_assert_uint_eq(h->ts_max, 2000);
	ck_assert_uint_eq(h->ts_floor, 5000);
	ck_assert_uint_eq(h->n_stragglers, 0);
	h = next(r);
	ck_assert_uint_eq(h->n_stragglers, 1);
	ck_assert_uint_eq(h->ts_floor, 5000);
	h = next(r);
	ck_assert_uint_eq(h->ts_floor, 6000);
	ck_assert_ptr_null(next(r));
	tape_reader_close(r);
	close(fd);
}
END_TEST

START_TEST(test_writer__snapshot_in_its_own_block)
{
	struct ev_snap_netns e = {.head = {.ts_ns = 9, .type = EV_snap_netns, .size = sizeof(e)},
				  .name = {"blue", 4}};
	struct tape_writer_stats stats;
	struct tape_reader *r;
	struct tape_chunk *c;
	char path[32];
	int fd = sample_memfd(path);
	struct tape_writer *w = open_writer(fd, &opts);

	must(put_event(w, 0, 1, 1000));
	must(tape_writer_event(w, &e.head, &err));
	must(tape_writer_close(w, 0, &err));
	tape_writer_stats(w, &stats);
	ck_assert_uint_eq(stats.n_snapshot, 1);
	ck_assert_uint_eq(stats.n_events, 1);
	tape_writer_free(w);
	r = open_reader(path);
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 1);
	ck_assert(tape_chunk_is_snapshot(c));
	ck_assert_uint_eq(tape_chunk_rows(c, EV_snap_netns), 1);
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 1);
	ck_assert(!tape_chunk_is_snapshot(c));
	tape_reader_close(r);
	close(fd);
}
END_TEST

/* Paths of 4 KB: chunks must close before their columns pass the reader's ceiling. */
START_TEST(test_writer__long_strings_close_chunks)
{
	static char text[4000];
	struct ev_snap_cgroup e = {.head = {.ts_ns = 9, .type = EV_snap_cgroup, .size = sizeof(e)},
				   .path = {text, sizeof(text)}};
	unsigned n_chunks = 0, n = 20000;
	uint64_t n_found = 0;
	struct tape_reader *r;
	struct tape_chunk *c;
	char path[32];
	int fd = sample_memfd(path);
	struct tape_writer *w = open_writer(fd, &opts);

	memset(text, 'p', sizeof(text));
	for (unsigned i = 0; i < n; i++)
		must(tape_writer_event(w, &e.head, &err));
	must(tape_writer_close(w, 0, &err));
	tape_writer_free(w);
	r = open_reader(path);
	while (tape_reader_next(r, &c, &err) == 1) {
		struct tape_column col;

		must(tape_chunk_column(c, EV_snap_cgroup, 1, &col, &err));
		n_found += col.n;
		n_chunks++;
	}
	undamaged(r);
	ck_assert_uint_eq(n_found, n);
	ck_assert_uint_gt(n_chunks, 5);
	tape_reader_close(r);
	close(fd);
}
END_TEST

/* ---- a disk that is full ---- */

START_TEST(test_writer__full_device)
{
	struct tape_writer *w;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(tape_writer_open(&w, fd, &opts, &err), TAPE_E_IO);
	ck_assert_int_eq(err.sys_errno, ENOSPC);
	ck_assert_str_eq(err.text, "write: No space left on device");
	ck_assert_uint_eq(err.offset, 0);
	close(fd);
}
END_TEST

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit = {bytes, RLIM_INFINITY};

	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The file ends at a size limit; cut at tape_writer_offset and closed, it is a whole trace. */
START_TEST(test_writer__file_size_limit)
{
	char path[] = "/tmp/tape-test-XXXXXX";
	int fd = mkstemp(path);
	struct tape_writer *w = open_writer(fd, &opts);
	uint64_t offset, n_events = 0;
	struct tape_writer_stats stats;
	struct tape_reader *r;
	struct tape_end end;
	int rc = 0;

	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(20000);
	for (uint64_t i = 0; !rc; i++) {
		rc = put_event(w, 0, i, 1000 + i);
		if (!rc && i % 100 == 99)
			rc = tape_writer_flush(w, 0, &err);
	}
	ck_assert_int_eq(rc, TAPE_E_IO);
	ck_assert_int_eq(err.sys_errno, EFBIG);
	offset = tape_writer_offset(w);
	ck_assert_uint_eq(err.offset, offset);
	ck_assert_uint_le(offset, 20000);
	ck_assert_uint_gt(offset, 0);
	limit_file_size(RLIM_INFINITY);
	ck_assert_int_eq(ftruncate(fd, (off_t)offset), 0);
	ck_assert_int_eq(lseek(fd, (off_t)offset, SEEK_SET), (off_t)offset);
	must(tape_writer_close(w, 0, &err));
	tape_writer_stats(w, &stats);
	tape_writer_free(w);

	r = open_reader(path);
	for (const struct tape_chunk_head *h; (h = next(r));)
		n_events += h->n_events;
	undamaged(r);
	tape_reader_end(r, &end);
	ck_assert(end.closed && !end.truncated);
	ck_assert_uint_eq(end.n_events, n_events);
	ck_assert_uint_eq(stats.n_events, n_events);
	tape_reader_close(r);
	close(fd);
	unlink(path);
}
END_TEST

/* The same while the disk stays full: the last chunks make room for a record of the loss. */
START_TEST(test_writer__full_disk_tells_its_loss)
{
	char path[] = "/tmp/tape-test-XXXXXX";
	int fd = mkstemp(path), rc = 0;
	struct tape_writer *w = open_writer(fd, &opts);
	struct tape_loss loss = {0, 1 << 20, 0, TAPE_CPU_UNKNOWN, TAPE_LOSS_UNRECORDED, ""};
	uint64_t n_added = 0, n_read = 0, last = 0;
	struct tape_reader *r;
	struct tape_end end;

	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(30000);
	while (!rc) {
		rc = put_event(w, 0, n_added, 1000 + n_added);
		if (++n_added % 20 == 0 && !rc)
			rc = tape_writer_flush(w, 0, &err);
	}
	ck_assert_int_eq(rc, TAPE_E_IO);
	ck_assert(tape_writer_give_up(w, true, &loss.count, &loss.from_ns));
	ck_assert_int_eq(ftruncate(fd, (off_t)tape_writer_offset(w)), 0);
	lseek(fd, (off_t)tape_writer_offset(w), SEEK_SET);
	ck_assert_uint_ge(30000 - tape_writer_offset(w), 8192);
	must(tape_writer_loss(w, &loss, 1, &err));
	must(tape_writer_close(w, 0, &err));
	limit_file_size(RLIM_INFINITY);
	tape_writer_free(w);

	r = open_reader(path);
	for (const struct tape_chunk_head *h; (h = next(r)); last = h->ts_max)
		n_read += h->n_events;
	undamaged(r);
	tape_reader_end(r, &end);
	ck_assert(end.closed && !end.truncated);
	ck_assert_uint_gt(n_read, 0);
	ck_assert_uint_eq(loss.from_ns, last);
	ck_assert_uint_eq(end.lost, loss.count);
	ck_assert_uint_eq(n_read + end.lost, n_added);
	tape_reader_close(r);
	close(fd);
	unlink(path);
}
END_TEST

START_TEST(test_writer__reader_of_the_pipe_is_gone)
{
	struct tape_writer *w;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(fds), 0);
	w = open_writer(fds[1], &opts);
	close(fds[0]);
	must(put_event(w, 0, 1, 1));
	ck_assert_int_eq(tape_writer_flush(w, 0, &err), TAPE_E_IO);
	ck_assert_int_eq(err.sys_errno, EPIPE);
	tape_writer_free(w);
	close(fds[1]);
}
END_TEST

START_TEST(test_writer__free_of_nothing)
{
	tape_writer_free(NULL);
	tape_reader_close(NULL);
	tape_build_free(NULL);
	tape_chunk_free(NULL);
	tape_schema_free(NULL);
}
END_TEST

SUITE("writer", test_writer__metadata_comes_back, test_writer__long_program_name_is_cut,
      test_writer__too_much_text, test_writer__losses, test_writer__chunk_closes_when_full,
      test_writer__floors_and_stragglers, test_writer__snapshot_in_its_own_block,
      test_writer__long_strings_close_chunks, test_writer__full_device,
      test_writer__file_size_limit, test_writer__full_disk_tells_its_loss,
      test_writer__reader_of_the_pipe_is_gone, test_writer__free_of_nothing)

// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmd.h"
#include "conn.h"
#include "writer.h"
#include "suite.h"

#define S 1000000000ull
#define START (5000 * S) /* the machine had been up for a while */
#define WALL (1700000000 * S)

static const struct cmd *const cmds[] = {&cmd_info,   &cmd_dump,   &cmd_rtt, &cmd_connlat,
					 &cmd_states, &cmd_events, &cmd_life};
#define N_CMDS (sizeof(cmds) / sizeof(cmds[0]))

/* ---- a trace: a snapshot at +1 ms, a chunk that ends at +1 s, one at +2 s; closed at +3 s ---- */

static char trace[64 << 10];
static size_t n_front, n_snapshot, n_first, n_second, n_all; /* bytes up to the end of each part */

static void add_state(struct tape_writer *w, uint64_t ts_ns, uint8_t from, uint8_t to)
{
	struct ev_tcp_state e = {
		.head = {ts_ns, 0, EV_tcp_state, sizeof(e)}, .old_state = from, .new_state = to};

	e.sock.cookie = 1;
	e.sock.flow.rport = 80;
	e.sock.flow.lport = from == TCP_S_CLOSE ? 0 : 4000;
	e.sock.family = 2;
	ck_assert_int_eq(tape_writer_event(w, &e.head, NULL), 0);
}

static void add_rtt(struct tape_writer *w, uint64_t ts_ns)
{
	struct ev_rtt e = {.head = {ts_ns, 0, EV_rtt, sizeof(e)}, .rtt_us = 500, .srtt_us = 600};

	e.sock.cookie = 1;
	ck_assert_int_eq(tape_writer_event(w, &e.head, NULL), 0);
}

static size_t flush(struct tape_writer *w)
{
	ck_assert_int_eq(tape_writer_flush(w, 0, NULL), 0);
	return tape_writer_offset(w);
}

static void write_trace(void)
{
	struct tape_writer_opts opts = {.writer = "test 1", .n_cpus = 1, .start_ns = START};
	struct tape_clock clock = {.mono_ns = START, .real_ns = WALL, .boot_ns = START};
	struct tape_meta meta = {"groups", "conn,rtt"};
	struct ev_snap_sock old = {.head = {START + S / 1000, 0, EV_snap_sock, sizeof(old)},
				   .state = TCP_S_LISTEN};
	int fd = memfd_create("trace", 0);
	struct tape_writer *w;

	old.sock.cookie = 9;
	ck_assert_int_eq(tape_writer_open(&w, fd, &opts, NULL), 0);
	n_front = tape_writer_offset(w);
	ck_assert_int_eq(tape_writer_meta(w, &meta, 1, NULL), 0);
	ck_assert_int_eq(tape_writer_clock(w, &clock, NULL), 0);
	ck_assert_int_eq(tape_writer_event(w, &old.head, NULL), 0);
	n_snapshot = flush(w);
	add_state(w, START + S / 2, TCP_S_CLOSE, TCP_S_SYN_SENT);
	add_state(w, START + S, TCP_S_SYN_SENT, TCP_S_ESTABLISHED);
	n_first = flush(w);
	add_rtt(w, START + 2 * S);
	n_second = flush(w);
	ck_assert_int_eq(tape_writer_close(w, START + 3 * S, NULL), 0);
	n_all = tape_writer_offset(w);
	tape_writer_free(w);
	ck_assert_uint_le(n_all, sizeof(trace));
	ck_assert_int_eq(pread(fd, trace, n_all, 0), (ssize_t)n_all);
	close(fd);
}

/* ---- running a command on the first bytes of it ---- */

static char said[64 << 10];
static int out_fd, trace_fd;
static char path[32];

/* Check reports through a pipe of its own, so standard output and error can be ours. */
static void setup(void)
{
	write_trace();
	out_fd = memfd_create("out", 0);
	trace_fd = memfd_create("cut", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", trace_fd);
	fflush(NULL);
	ck_assert_int_eq(dup2(out_fd, 1), 1);
	ck_assert_int_eq(dup2(out_fd, 2), 2);
}

/* What a command prints, notes included, as JSON; its status, with the failure at the end. */
static int run(const struct cmd *cmd, size_t len, const struct input_opts *opts, bool pipe_it)
{
	struct out_opts out_opts = {.json = true};
	struct out *out = out_new(&out_opts);
	struct fail fail = {0};
	struct cmd_run r = {.out = out, .path = pipe_it ? "-" : path, .fail = &fail};
	int ends[2], rc;
	ssize_t n;

	ck_assert_int_eq(ftruncate(trace_fd, 0) | ftruncate(out_fd, 0), 0);
	ck_assert_int_eq(pwrite(trace_fd, trace, len, 0), (ssize_t)len);
	lseek(out_fd, 0, SEEK_SET);
	if (pipe_it) {
		ck_assert_int_eq(pipe(ends), 0);
		ck_assert_int_eq(write(ends[1], trace, len), (ssize_t)len);
		dup2(ends[0], 0);
		close(ends[0]);
		close(ends[1]);
	}
	rc = input_open(&r.in, r.path, opts, out, &fail);
	if (!rc) {
		rc = cmd->run(&r);
		if (!rc)
			rc = input_finish(r.in, cmd->group, &fail);
		input_close(r.in);
	}
	ck_assert_int_eq(out_finish(out), 0);
	out_free(out);
	n = pread(out_fd, said, sizeof(said) - 1, 0);
	ck_assert_int_ge(n, 0);
	said[n] = '\0';
	return rc ? fail.status : STATUS_DONE;
}

/* SIGKILL at any moment: the note says how far the trace reaches, and never nonsense. */
static const char *expected_note(size_t len)
{
	if (len == n_all)
		return NULL;
	return len < n_snapshot ? "nothing had been written yet"
	       : len < n_first	? "it reaches to +0.001s"
	       : len < n_second ? "it reaches to +1.000s"
				: "it reaches to +2.000s";
}

static bool says(const char *note)
{
	if (note && strstr(note, "nothing had been") && strstr(said, "no whole chunk of events"))
		return true; /* cut inside one */
	return note ? strstr(said, note) != NULL : !strstr(said, "not closed");
}

static void cut_everywhere(bool pipe_it)
{
	static const struct input_opts none;

	setup();
	for (size_t len = n_front; len <= n_all; len++) {
		/* a block counts also if all that is missing are its 0 to 7 bytes of padding */
		size_t padded = len + 7 < n_all ? len + 7 : n_all;

		for (size_t i = 0; i < N_CMDS; i++) {
			ck_assert_int_eq(run(cmds[i], len, &none, pipe_it), STATUS_DONE);
			ck_assert_msg(says(expected_note(len)) || says(expected_note(padded)),
				      "%s of %zu bytes: %s", cmds[i]->name, len, said);
			ck_assert_ptr_null(strstr(said, "+-"));
		}
	}
}

START_TEST(test_input__cut_at_any_byte)
{
	cut_everywhere(false);
}
END_TEST

START_TEST(test_input__cut_at_any_byte_of_a_pipe)
{
	cut_everywhere(true);
}
END_TEST

/* ---- --from, --to ---- */

static unsigned n_lines(const char *word)
{
	unsigned n = 0;

	for (const char *p = said; (p = strstr(p, word)); p++)
		n++;
	return n;
}

/* The events are at +0.5, +1 and +2 s; the trace ends at +3 s. WALL is 22:13:20 UTC. */
START_TEST(test_input__window)
{
	static const struct {
		const char *from, *to;
		unsigned n_states, n_rtts;
	} rows[] = {
		{NULL, NULL, 2, 1},
		{"+0.5s", "+1s", 2, 0}, /* both ends belong to it */
		{"+500.001ms", NULL, 1, 1},
		{NULL, "+999.999ms", 1, 0},
		{"+1.1s", NULL, 0, 1},
		{"-1s", NULL, 0, 1},
		{"-0.9s", NULL, 0, 0},
		{NULL, "-2s", 2, 0},
		{"22:13:21Z", NULL, 1, 1},
		{"22:13:21Z", "22:13:21.5Z", 1, 0},
		{"2023-11-14T22:13:21Z", "2023-11-14T22:13:22Z", 1, 1},
		{"2023-11-14T22:13:23Z", NULL, 0, 0},
		{"1970-01-01T00:00:00Z", NULL, 2, 1}, /* before the machine started */
		{NULL, "1970-01-02T00:00:00Z", 0, 0},
		{"+100000h", NULL, 0, 0},
	};

	setup();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct input_opts opts = {.from = rows[i].from, .to = rows[i].to};

		ck_assert_int_eq(run(&cmd_dump, n_all, &opts, false), STATUS_DONE);
		ck_assert_msg(n_lines("\"tcp_state\"") == rows[i].n_states &&
				      n_lines("\"rtt\"") == rows[i].n_rtts,
			      "--from %s --to %s: %s", rows[i].from, rows[i].to, said);
	}
}
END_TEST

START_TEST(test_input__window_of_a_recording_that_was_not_closed)
{
	struct input_opts opts = {.from = "-1s"};

	setup();
	ck_assert_int_eq(run(&cmd_dump, n_second, &opts, false), STATUS_DONE);
	ck_assert_uint_eq(n_lines("\"tcp_state\""), 1); /* it ends at +2 s: from +1 s on */
	ck_assert_uint_eq(n_lines("\"rtt\""), 1);
	opts = (struct input_opts){.from = "+100s"};
	ck_assert_int_eq(run(&cmd_dump, n_second, &opts, false), STATUS_DONE);
	ck_assert_ptr_nonnull(strstr(said, "not closed"));
	ck_assert_ptr_null(strstr(said, "reaches to")); /* nobody looked */
	ck_assert_ptr_null(strstr(said, "nothing had been written"));
}
END_TEST

START_TEST(test_input__cut_in_the_first_chunk)
{
	struct input_opts opts = {0};

	setup();
	ck_assert_int_eq(run(&cmd_dump, (n_front + n_snapshot) / 2, &opts, false), STATUS_DONE);
	ck_assert_ptr_nonnull(strstr(said, "no whole chunk of events is there"));
	ck_assert_ptr_null(strstr(said, "nothing had been written"));
}
END_TEST

START_TEST(test_input__window_refused)
{
	struct input_opts bad = {.from = "yesterday"}, end = {.to = "-1s"},
			  wall = {.from = "1:0:0Z"}, empty = {.from = "+1s", .to = "+0.5s"};

	setup();
	ck_assert_int_eq(run(&cmd_dump, n_all, &bad, false), STATUS_USAGE);
	ck_assert_int_eq(run(&cmd_dump, n_all, &end, true), STATUS_USAGE); /* a pipe: no end yet */
	ck_assert_int_eq(run(&cmd_dump, n_all, &empty, false), STATUS_USAGE);
	ck_assert_int_eq(run(&cmd_dump, n_front, &wall, false), STATUS_LACKS); /* no CLOCK block */
}
END_TEST

SUITE("input", test_input__cut_at_any_byte, test_input__cut_at_any_byte_of_a_pipe,
      test_input__window, test_input__window_of_a_recording_that_was_not_closed,
      test_input__cut_in_the_first_chunk, test_input__window_refused)

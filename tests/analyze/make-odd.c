// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * make-odd FILE PART: a trace of what the sample traces do not show: a sampled recording, one of
 * several files, with a loss, a call stack, and calls and packets without an owner.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "writer.h"

#define S 1000000000ull
#define START (1000 * S)

static int add(struct tape_writer *w, const void *e)
{
	return tape_writer_event(w, e, NULL);
}

/* Two listeners of the same limit: a connection for one, two for the other; and one that does
 * nothing. */
static int add_sockets(struct tape_writer *w)
{
	struct ev_listen_child e = {
		.head = {START + S, 0, EV_listen_child, sizeof(e)}, .max_backlog = 128, .kind = 1};
	struct ev_snap_sock old = {.head = {START, 0, EV_snap_sock, sizeof(old)}, .state = 1};
	int rc;

	old.sock.cookie = 200;
	old.sock.flow.lport = 9000;
	old.sock.flow.rport = 443;
	rc = add(w, &old);
	for (unsigned i = 0; i < 3; i++) {
		e.sock.cookie = 100 + i % 2;
		e.sock.flow.lport = (uint16_t)(8001 + i % 2);
		rc |= add(w, &e);
	}
	return rc;
}

static int add_events(struct tape_writer *w)
{
	static const char rtt[] = "rtt", frames[] = "tcp_drop+0x1;tcp_rcv_established+0x2";
	struct ev_rate rate = {.head = {START, 0, EV_rate, sizeof(rate)},
			       .group = {rtt, 3},
			       .weight = 4,
			       .cause = 1};
	struct ev_snap_stack stack = {.head = {START, 0, EV_snap_stack, sizeof(stack)},
				      .id = 1,
				      .frames = {frames, sizeof(frames) - 1}};
	struct ev_drop drop = {.head = {START + S / 2, 0, EV_drop, sizeof(drop)}, .stack = 1};
	struct ev_reset reset = {.head = {START + S / 2, 0, EV_reset, sizeof(reset)}, .stack = 1};
	struct ev_rtt ack = {
		.head = {START + S, 0, EV_rtt, sizeof(ack)}, .rtt_us = 7, .srtt_us = 9};
	struct tape_loss loss = {
		.from_ns = START + S, .to_ns = START + 2 * S, .count = 5, .group = "rtt"};
	int rc = add(w, &rate) | add(w, &stack) | add(w, &drop) | add(w, &reset);

	for (unsigned i = 0; i < 9000; i++) { /* columns are then compressed one by one */
		ack.head.ts_ns += 1000;
		ack.sock.cookie = i % 3 + 1;
		ack.sock.flow.lport = (uint16_t)(4000 + i % 3);
		ack.sock.flow.rport = 80;
		rc |= add(w, &ack);
	}
	return rc | add_sockets(w) | tape_writer_flush(w, 0, NULL) |
	       tape_writer_loss(w, &loss, 1, NULL);
}

int main(int argc, char **argv)
{
	struct tape_writer_opts opts = {.writer = "make-odd 1", .n_cpus = 1, .start_ns = START};
	struct tape_clock clock = {.mono_ns = START, .real_ns = 1700000000 * S, .boot_ns = START};
	struct tape_meta meta[] = {{"groups", "conn,rtt,drop,reset,listen"},
				   {"recording.id", "0123456789abcdef"},
				   {"recording.kind", "rotate"},
				   {"recording.part", argv[2]},
				   {"recording.events_before", "100"}};
	struct tape_writer *w;
	int fd = argc == 3 ? open(argv[1], O_CREAT | O_TRUNC | O_RDWR, 0600) : -1;

	if (fd < 0 || tape_writer_open(&w, fd, &opts, NULL))
		return 1;
	if (tape_writer_meta(w, meta, 5, NULL) | tape_writer_clock(w, &clock, NULL) |
	    add_events(w) | tape_writer_close(w, START + 3 * S, NULL))
		return 1;
	tape_writer_free(w);
	return 0;
}

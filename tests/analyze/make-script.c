// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * make-script FILE: a trace whose texts would be markup on a page that did not escape them: the
 * process, the host, the note, the file's writer, the group of a loss. It lost events in the first
 * of its two seconds.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "writer.h"

#define S 1000000000ull
#define START (1000 * S)

static int add_events(struct tape_writer *w)
{
	struct ev_tcp_destroy e = {.head = {START + S, 0, EV_tcp_destroy, sizeof(e)},
				   .bytes_sent = 1000,
				   .srtt_us = 7,
				   .state = 7};
	struct ev_rtt rtt = {
		.head = {START + S, 0, EV_rtt, sizeof(rtt)}, .srtt_us = 7000, .rtt_us = 7000};
	struct ev_snap_sock old = {.head = {START, 0, EV_snap_sock, sizeof(old)}, .state = 1};
	struct tape_loss loss = {
		.from_ns = START, .to_ns = START + S, .count = 3, .group = "<b>x</b>"};

	memcpy(&e.task.comm, "<script>", 8);
	e.task.pid = e.task.tid = 17;
	e.sock.cookie = 1;
	e.sock.flow.lport = 4000;
	e.sock.flow.rport = 80;
	old.sock = rtt.sock = e.sock;
	old.task = e.task;
	return tape_writer_event(w, &old.head, NULL) | tape_writer_event(w, &rtt.head, NULL) |
	       tape_writer_event(w, &e.head, NULL) | tape_writer_flush(w, 0, NULL) |
	       tape_writer_loss(w, &loss, 1, NULL);
}

int main(int argc, char **argv)
{
	struct tape_writer_opts opts = {.writer = "</script><i>1", .n_cpus = 1, .start_ns = START};
	struct tape_clock clock = {.mono_ns = START, .real_ns = 1700000000 * S, .boot_ns = START};
	struct tape_meta meta[] = {{"groups", "conn,rtt"},
				   {"host", "<img src=x onerror=alert(1)>"},
				   {"note", "</script><script>document.title='bad'</script>"}};
	struct tape_writer *w;
	int fd = argc == 2 ? open(argv[1], O_CREAT | O_TRUNC | O_RDWR, 0600) : -1;

	if (fd < 0 || tape_writer_open(&w, fd, &opts, NULL))
		return 1;
	if (tape_writer_meta(w, meta, 3, NULL) | tape_writer_clock(w, &clock, NULL) |
	    add_events(w) | tape_writer_close(w, START + 2 * S, NULL))
		return 1;
	tape_writer_free(w);
	return 0;
}

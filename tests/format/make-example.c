// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * make-example FILE: the file of docs/format.md, "A file, byte by byte", as today's writer makes
 * it. example.tcptape is what the first writer of version 1 made, which readers must read forever.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "writer.h"

static const struct ev_tcp_state opened = {
	.head = {.ts_ns = 1000000500, .cpu = 1, .type = EV_tcp_state, .size = sizeof(opened)},
	.sock = {.cookie = 77,
		 .flow = {.laddr.b = {[10] = 0xff, 0xff, 10, 0, 0, 2},
			  .raddr.b = {[10] = 0xff, 0xff, 10, 0, 0, 1},
			  .lport = 40000,
			  .rport = 443},
		 .netns = 4026531840,
		 .uid = 1000,
		 .family = 2,
		 .protocol = 6},
	.task = {.cgroup = 5, .pid = 300, .tid = 301, .comm.s = "curl"},
	.old_state = 7,
	.new_state = 2,
};

static void must(int rc, const struct tape_error *err)
{
	if (rc) {
		fprintf(stderr, "%s\n", err->text);
		exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	static const struct tape_writer_opts opts = {.file_id = 0x1122334455667788,
						     .writer = "tcptape-record 0.1.0",
						     .n_cpus = 2,
						     .start_ns = 1000000000};
	static const struct tape_clock clock = {1000000000, 1700000000000000000, 1000000005, 40};
	static const struct tape_meta meta = {"host", "web1"};
	struct ev_tcp_state e = opened;
	struct tape_writer *w;
	struct tape_error err;
	int fd = argc == 2 ? open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0666) : -1;

	if (fd < 0)
		return 2;
	must(tape_writer_open(&w, fd, &opts, &err), &err);
	must(tape_writer_meta(w, &meta, 1, &err), &err);
	must(tape_writer_clock(w, &clock, &err), &err);
	must(tape_writer_event(w, &e.head, &err), &err);
	e.head.ts_ns += 1500;
	e.task = (struct ev_task){0}; /* in softirq */
	e.old_state = 2;
	e.new_state = 1;
	must(tape_writer_event(w, &e.head, &err), &err);
	must(tape_writer_close(w, 1000003000, &err), &err);
	tape_writer_free(w);
	return close(fd) ? EXIT_FAILURE : EXIT_SUCCESS;
}

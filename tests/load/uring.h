/* SPDX-License-Identifier: GPL-2.0-or-later */
/* io_uring by its system calls, for move.c: one request after the other. */
#ifndef LOAD_URING_H
#define LOAD_URING_H

#include <linux/io_uring.h>
#include <sys/types.h>

enum { URING_SEND = IORING_OP_SEND, URING_RECV = IORING_OP_RECV };

struct uring {
	int fd;
	char *ring;
	struct io_uring_sqe *sqe;
	struct io_uring_params p;
};

/* -1 and errno: this kernel has none, or not of that kind. Closed with the process. */
int uring_open(struct uring *u);

/* Submit one request, wait for it; as the system call of that name returns. */
ssize_t uring_call(struct uring *u, unsigned char op, int fd, void *buf, size_t n);

#endif

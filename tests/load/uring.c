// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uring.h"

int uring_open(struct uring *u)
{
	size_t len;

	*u = (struct uring){0};
	u->fd = (int)syscall(SYS_io_uring_setup, 1, &u->p);
	if (u->fd < 0)
		return -1;
	len = u->p.cq_off.cqes + u->p.cq_entries * sizeof(struct io_uring_cqe);
	u->ring = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, IORING_OFF_SQ_RING);
	u->sqe = mmap(NULL, sizeof(*u->sqe), PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
		      IORING_OFF_SQES);
	if (u->ring == MAP_FAILED || u->sqe == MAP_FAILED ||
	    !(u->p.features & IORING_FEAT_SINGLE_MMAP))
		return -1;
	return 0;
}

static unsigned *uring_at(struct uring *u, unsigned offset)
{
	return (unsigned *)(u->ring + offset);
}

ssize_t uring_call(struct uring *u, unsigned char op, int fd, void *buf, size_t n)
{
	struct io_uring_cqe *cqes = (struct io_uring_cqe *)(u->ring + u->p.cq_off.cqes);
	unsigned *head = uring_at(u, u->p.cq_off.head), tail = *uring_at(u, u->p.sq_off.tail);
	ssize_t result;

	*u->sqe = (struct io_uring_sqe){
		.opcode = op, .fd = fd, .addr = (uintptr_t)buf, .len = (unsigned)n};
	*uring_at(u, u->p.sq_off.array) = 0;
	__atomic_store_n(uring_at(u, u->p.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, u->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -1;
	result = cqes[*head & *uring_at(u, u->p.cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	errno = result < 0 ? (int)-result : 0;
	return result;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of a BPF iterator, one after the other, in memory that does not grow with their number. */
#ifndef REC_ITER_H
#define REC_ITER_H

#include <stddef.h>

struct rec_iter {
	int fd;
	size_t row_bytes, at, len;
	_Alignas(8) char buf[65536]; /* twice what the kernel gives at once (bpf_seq_read) */
};

/* Begin a walk of what the link walks, in the network namespace that we are in. 0, or -errno. */
int rec_iter_open(struct rec_iter *it, int link_fd, size_t row_bytes);

/* 1: *ret_row, valid until the next call; 0: there is none left; or -errno. */
int rec_iter_next(struct rec_iter *it, void **ret_row);

void rec_iter_close(struct rec_iter *it);

#endif

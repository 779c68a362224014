/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "iter.h"

int rec_iter_open(struct rec_iter *it, int link_fd, size_t row_bytes)
{
	it->row_bytes = row_bytes;
	it->at = it->len = 0;
	it->fd = bpf_iter_create(link_fd);
	return it->fd < 0 ? -errno : 0;
}

int rec_iter_next(struct rec_iter *it, void **ret_row)
{
	while (it->len - it->at < it->row_bytes) {
		ssize_t n;

		memmove(it->buf, it->buf + it->at, it->len - it->at);
		it->len -= it->at;
		it->at = 0;
		n = read(it->fd, it->buf + it->len, sizeof(it->buf) - it->len);
		if (n < 0 && errno == EAGAIN)
			continue; /* the walk has yielded */
		if (n <= 0)
			return n < 0 ? -errno : 0;
		it->len += (size_t)n;
	}
	*ret_row = it->buf + it->at;
	it->at += it->row_bytes;
	return 1;
}

void rec_iter_close(struct rec_iter *it)
{
	if (it->fd >= 0)
		close(it->fd);
	it->fd = -1;
}

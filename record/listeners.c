/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "listeners.h"

enum { REGULAR, FIRST, LAST }; /* unit sample */

/* Keys in the series beside the counters' names, of which there are fewer. */
enum { ID_QUEUES = 1 << 24, ID_DROPS };

/* True if something is in its queues, or was. */
static bool see(struct rec_series *s, struct ev_listen_queue *e, bool last)
{
	uint64_t queues = (uint64_t)e->backlog << 32 | e->syn_queue, before;
	/* before Linux 5.12 a cookie is there only by chance, and numbers are given later */
	uint64_t key = e->sock.cookie ? e->sock.cookie : e->sock.skaddr;
	uint32_t lo = (uint32_t)key, hi = (uint32_t)(key >> 32);
	bool new_queues, new_drops, moved;

	moved = rec_series_moved(s, lo, ID_QUEUES, hi, queues, &before, &new_queues);
	moved |= rec_series_moved(s, lo, ID_DROPS, hi, e->drops, &before, &new_drops);
	e->sample = last ? LAST : s->interval_us && !s->all ? REGULAR : FIRST;
	if (moved || queues || new_queues || e->sample != REGULAR)
		rec_series_emit(s, &e->head);
	return moved || queues;
}

int rec_listeners_sample(struct rec_series *s, int iter_fd, bool last)
{
	struct ev_listen_queue rows[64];
	int fd = bpf_iter_create(iter_fd);
	bool busy = false;
	ssize_t n;

	if (fd < 0)
		return fd;
	/* EAGAIN is the program's way to end the walk, see listen_queue in bpf/listen.bpf.c */
	while ((n = read(fd, rows, sizeof(rows))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(*rows); i++)
			busy |= see(s, &rows[i], last);
	}
	n = n < 0 && errno != EAGAIN ? -errno : busy;
	close(fd);
	return (int)n;
}

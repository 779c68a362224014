/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A BPF ring buffer as a source of records. Reads the ring's pages itself instead of through
 * libbpf's callback, so that the drain decides how much to take, and the consumer position is
 * published once a batch. Owns the mapping, not the map's descriptor.
 */
#ifndef REC_RING_H
#define REC_RING_H

#include <stddef.h>
#include <stdint.h>

#include "drain.h"
#include "fail.h"

struct rec_ring {
	struct rec_source source; /* first, so that a pointer to it is one to the ring */
	int fd;		/* of the map; poll it edge-triggered: it wakes when BPF forces it */
	uint64_t size;	/* bytes of data, a power of two */
	uint64_t at;	/* read up to here */
	uint64_t n_bad; /* records whose length contradicts itself; the caller may reset it */
	uint64_t *consumer;
	const uint64_t *producer;
	const char *data;
};

int rec_ring_open(struct rec_ring *r, int map_fd, uint64_t size, struct rec_error *err);
void rec_ring_close(struct rec_ring *r);

#endif

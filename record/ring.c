/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring.h"

/*
 * Layout (kernel/bpf/ringbuf.c): a page with the consumer position, then a page with the producer
 * position, then the data, mapped twice, so that a record never wraps. Each record: u32 length with
 * BPF_RINGBUF_BUSY_BIT and BPF_RINGBUF_DISCARD_BIT, u32 offset, data, up to a multiple of 8.
 */
static const struct ev_head *ring_next(struct rec_source *s)
{
	struct rec_ring *r = (struct rec_ring *)s;
	uint64_t end = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);

	while (r->at < end) {
		const char *p = r->data + (r->at & (r->size - 1));
		uint32_t word = __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
		uint32_t len = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		const struct ev_head *record = (const struct ev_head *)(p + BPF_RINGBUF_HDR_SZ);

		if (word & BPF_RINGBUF_BUSY_BIT)
			return NULL; /* reserved, not yet submitted; what follows must wait */
		r->at += (len + BPF_RINGBUF_HDR_SZ + 7) & ~(uint64_t)7;
		if (word & BPF_RINGBUF_DISCARD_BIT)
			continue;
		if (len >= sizeof(*record) && record->size == len)
			return record;
		r->n_bad++;
	}
	return NULL;
}

static void ring_done(struct rec_source *s)
{
	struct rec_ring *r = (struct rec_ring *)s;

	__atomic_store_n(r->consumer, r->at, __ATOMIC_RELEASE);
}

int rec_ring_open(struct rec_ring *r, int map_fd, uint64_t size, struct rec_error *err)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *rest;

	*r = (struct rec_ring){.source = {ring_next, ring_done}, .fd = map_fd, .size = size};
	r->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (r->consumer == MAP_FAILED) {
		r->consumer = NULL;
		return rec_fail(err, "mapping a ring buffer: %s", strerror(errno));
	}
	rest = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, map_fd, (off_t)page);
	if (rest == MAP_FAILED) {
		int e = errno;

		rec_ring_close(r);
		return rec_fail(err, "mapping a ring buffer of %llu bytes: %s",
				(unsigned long long)size, strerror(e));
	}
	r->producer = (const uint64_t *)rest;
	r->data = rest + page;
	r->at = *r->consumer;
	return 0;
}

void rec_ring_close(struct rec_ring *r)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (r->producer)
		munmap((void *)(uintptr_t)r->producer, page + 2 * r->size);
	if (r->consumer)
		munmap(r->consumer, page);
	*r = (struct rec_ring){0};
}

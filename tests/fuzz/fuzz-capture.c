// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A capture beside a trace. The first byte of the input says how it is read: 0 to 3, one packet of
 * that link type; else a file. What was kept of a file is found by what it says of itself.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture.h"
#include "fuzz.h"

#define MAX_LOOKED_FOR 64

/* Bytes behind its end may be missing on the wire, but none that it has is not there. */
static void try_packet(enum capture_link link, const uint8_t *data, size_t len)
{
	struct captured k = {0};
	struct flow flow = {0};

	if (capture_packet(link, data, (uint32_t)len, (uint32_t)len, &k, &flow) == CAPTURE_IS_TCP &&
	    k.payload > UINT16_MAX + len)
		abort();
}

static void look_for(struct capture *c, const struct captured *k)
{
	struct capture_wanted w = {.flow = c->flows[k->flow],
				   .seq = k->seq,
				   .ack_seq = k->ack_seq,
				   .payload = k->payload,
				   .tcp_flags = k->tcp_flags,
				   .first_ns = k->wall_ns,
				   .last_ns = k->wall_ns};
	bool was_taken = k->taken;
	struct capture_found found;
	enum capture_lack lack = capture_find(c, &w, &found);

	if (lack == CAPTURE_UNKNOWN || lack == CAPTURE_OUTSIDE || (!was_taken && !found.n) ||
	    (lack == CAPTURE_HAS && found.first_ns > found.last_ns))
		abort();
}

static void try_file(const uint8_t *data, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[32];
	struct capture c;
	struct fail fail;

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!capture_read(&c, path, 0, UINT64_MAX, &fail)) {
		capture_sort_by_key(&c);
		for (size_t i = 0; i < c.n && i < MAX_LOOKED_FOR; i++)
			look_for(&c, &c.packets[i]);
	}
	capture_fini(&c);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	if (*data <= CAPTURE_RAW)
		try_packet((enum capture_link) * data, data + 1, len - 1);
	else
		try_file(data + 1, len - 1);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <time.h>

#include "clock.h"

#define TRIES 3
#define MOVED_NS 100000

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t rec_now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

struct tape_clock rec_clock_read(void)
{
	struct tape_clock best = {.uncertainty_ns = UINT64_MAX};

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = rec_now_ns();
		uint64_t real = read_ns(CLOCK_REALTIME);
		uint64_t boot = read_ns(CLOCK_BOOTTIME);
		uint64_t after = rec_now_ns();

		if (after - before >= best.uncertainty_ns)
			continue;
		best.uncertainty_ns = after - before;
		best.mono_ns = before + (after - before) / 2;
		best.real_ns = real;
		best.boot_ns = boot;
	}
	return best;
}

bool rec_clock_moved(const struct tape_clock *a, const struct tape_clock *b)
{
	int64_t moved = (int64_t)(b->real_ns - a->real_ns) - (int64_t)(b->mono_ns - a->mono_ns);
	uint64_t bound = MOVED_NS + a->uncertainty_ns + b->uncertainty_ns;

	return (uint64_t)llabs(moved) > bound;
}

uint64_t rec_thread_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

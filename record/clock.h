/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks: reading them together for CLOCK blocks, and telling when wall time has moved against
 * CLOCK_MONOTONIC. Nanoseconds.
 */
#ifndef REC_CLOCK_H
#define REC_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "writer.h"

uint64_t rec_thread_cpu_ns(void);
uint64_t rec_now_ns(void); /* CLOCK_MONOTONIC, as bpf_ktime_get_ns */

/* Read all three; the best of a few tries, so that a preemption in between does not count. */
struct tape_clock rec_clock_read(void);

/* True if wall time has been stepped or slewed by more than 100 us between the two. */
bool rec_clock_moved(const struct tape_clock *a, const struct tape_clock *b);

#endif

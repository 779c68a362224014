/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -i SECONDS, for all commands that have it: an interval is told as soon as nothing of it can
 * follow, from a pipe too. The caller asks with the time of each event, and with the floor of each
 * chunk. Intervals count from the start of the trace, or from --from. Times in nanoseconds.
 */
#ifndef ANA_INTERVAL_H
#define ANA_INTERVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "fail.h"
#include "opt.h"

struct interval {
	uint64_t step_ns;	   /* 0: all is one */
	uint64_t from_ns, next_ns; /* next_ns UINT64_MAX: the last one */
};

#define INTERVAL_ROW(opts, help)                                                                   \
	{                                                                                          \
		'i', "interval", "SECONDS", OPT_FIXED, offsetof(__typeof__(opts), interval), help  \
	}

/* 0, or -1 and *fail: it is no interval. */
int interval_check(const struct opt_fixed *seconds, struct fail *fail);

/* Not given: one interval, which no time ends. */
void interval_begin(struct interval *iv, const struct opt_fixed *seconds, uint64_t from_ns);

/* Nothing before ts_ns is still to come: the interval is over. Print it, then go on. */
static inline bool interval_is_over(const struct interval *iv, uint64_t ts_ns)
{
	return iv->step_ns && ts_ns >= iv->next_ns && iv->next_ns != UINT64_MAX;
}

/* To the one that ts_ns is in; returns how many were left out between: nothing was in them. */
uint64_t interval_skip(struct interval *iv, uint64_t ts_ns);

/* To the next one. */
void interval_step(struct interval *iv);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Made-up records: a time and a number by which a test knows it again. */
#ifndef RECORD_H
#define RECORD_H

#include <stdint.h>

#include "events.h"

static inline struct ev_tcp_accept record_make(uint64_t ts_ns, uint32_t number)
{
	struct ev_tcp_accept e = {.head = {ts_ns, 0, EV_tcp_accept, sizeof(e)}, .backlog = number};

	return e;
}

static inline uint32_t record_number(const struct ev_head *record)
{
	return ((const struct ev_tcp_accept *)record)->backlog;
}

/* splitmix64 */
static inline uint64_t record_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

#endif

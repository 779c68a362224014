/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes that no recorded call tells of: io_send and io_recv carry the end of what was ever written
 * and read, so what moved between two calls of a socket beyond what the second one did passed by
 * other ways, or its event was lost.
 */
#ifndef ANA_STREAMS_H
#define ANA_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "bind.h"
#include "map.h"

enum { STREAM_TX, STREAM_RX }; /* values of unit direction */

struct streams {
	struct map map;			/* cookie -> what its last calls left, of live sockets */
	uint64_t past_bytes[2], n_past; /* of sockets that have ended; and how many sockets */
	bool failed;			/* no memory */
};

/*
 * A call that moved so many bytes, and left this sequence number. at_end: it found the end of the
 * stream, whose FIN takes a number too.
 */
void streams_call(struct streams *s, const struct sock *sock, unsigned direction, uint32_t seq,
		  uint64_t bytes, bool at_end);

/* The calls of one socket one after the other, without those before and behind them. */
struct stream_part {
	bool any[2], at_end;
	uint32_t begin[2],
		end[2]; /* sequence numbers: of the first call's bytes; left by the last */
	int64_t past[2];
};

static inline void stream_part_call(struct stream_part *p, unsigned direction, uint32_t seq,
				    uint64_t bytes, bool at_end)
{
	uint32_t begin = seq - (uint32_t)bytes;

	if (p->any[direction])
		p->past[direction] += (int32_t)(begin - p->end[direction]);
	else
		p->begin[direction] = begin;
	p->any[direction] = true;
	p->end[direction] = seq;
	p->at_end |= at_end;
}

/* As streams_call for each of them. */
void streams_add(struct streams *s, const struct sock *sock, const struct stream_part *p);

/* The socket has ended; NULL: so has the trace. */
void streams_end(struct streams *s, const struct sock *sock);
void streams_fini(struct streams *s);

#endif

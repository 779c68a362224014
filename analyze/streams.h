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
/* The socket has ended; NULL: so has the trace. */
void streams_end(struct streams *s, const struct sock *sock);
void streams_fini(struct streams *s);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls that send and receive (records io_send, io_recv): what one says; and those of a whole chunk
 * added up by socket and thread, which any thread can do, and which costs a table's lookup once a
 * chunk instead of once a call.
 */
#ifndef ANA_CALLS_H
#define ANA_CALLS_H

#include "input.h"
#include "streams.h"

/* The fields of both, in the order of calls_fields; io_send has those before CALL_FLAGS. */
enum { CALL_SOCK, CALL_TASK, CALL_BYTES, CALL_ERR, CALL_SEQ, CALL_FLAGS, CALL_STATE, CALL_N };
extern const struct bind_field calls_fields[2][CALL_N]; /* by direction: STREAM_TX, STREAM_RX */

struct call {
	uint64_t bytes, err;
	uint32_t seq;
	bool has_seq; /* seq is behind these bytes */
	bool at_end;  /* it found the end of the stream */
};

/* Row k of direction's record. */
void call_get(const struct bind *b, uint32_t k, unsigned direction, struct call *ret);

struct call_sums {
	uint64_t bytes[2], calls[2]; /* by direction */
	uint64_t again, errors;	     /* EAGAIN; all other failures */
};
void call_add(struct call_sums *s, const struct call *c, unsigned direction);
void call_sums_add(struct call_sums *to, const struct call_sums *s, uint64_t weight);

/* Notes on what of calls this trace lacks; returns whether sleeps in them may be there. */
bool calls_note_absent(struct input *in, struct out *out);

/* ---- of a chunk ---- */

struct calls_of { /* a socket and a thread: references, 0 none */
	uint32_t sock, task;
	uint32_t next; /* of the same socket, plus 1; 0 none */
	struct call_sums sums;
};

struct calls_sock {
	uint32_t first;		  /* struct calls_of, plus 1 */
	uint32_t last_at, end_at; /* the event, plus 1, of its last call, and of its end; 0 none */
	struct stream_part part;
};

struct calls {			  /* zeroed once, then used again for chunk after chunk */
	struct calls_of *list;	  /* in the order in which they were first seen */
	struct calls_sock *socks; /* by reference; 0: of what has none */
	uint32_t n, cap, n_socks, cap_socks;
};

/* What calls_add_up goes through: the binds are loaded, the tables as well. */
struct calls_chunk {
	const struct bind *binds[2]; /* by direction */
	const struct bind *destroy;  /* whose field 0 is the socket */
	const struct bind_tables *tables;
	const uint16_t *types; /* of the events */
	uint32_t n_events;
};

/*
 * False: no memory, or the order of its events tells more than sums do: a socket's end before its
 * calls, or calls by two rows of one socket, whose addresses may differ.
 */
bool calls_add_up(struct calls *c, const struct calls_chunk *chunk);
/* Their sequence numbers. */
void calls_to_streams(const struct calls *c, const struct bind_tables *tables, struct streams *s);
void calls_fini(struct calls *c);

#endif

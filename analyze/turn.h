/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests and answers: what a connection's calls that send and receive say of who waited for whom.
 * A request is what came one way until something went the other way, an answer what goes back until
 * the next request begins. Which way requests go is the connection's role, told by the caller.
 *
 * Left out, and counted: exchanges during which bytes moved that no event tells of (a gap in the
 * sequence numbers: a lost event, a call without a hook); those that overlap: a request began
 * before the answer before it was over, as acknowledgments show, or an answer before its request
 * was; and what has no answer. Requests sent together count as one: their limits are the
 * application's.
 *
 * Times are CLOCK_MONOTONIC nanoseconds. Memory is bounded: TURNS_OPEN connections, above that the
 * one that has been quiet for longest is forgotten.
 */
#ifndef ANA_TURN_H
#define ANA_TURN_H

#include "bind.h"
#include "map.h"
#include "streams.h"

#define TURNS_OPEN 65536u

enum turn_role { TURN_UNKNOWN, TURN_SERVER, TURN_CLIENT };

struct exchange {
	enum turn_role role;
	struct sock sock;
	struct task task; /* a server's: who answered; a client's: who asked. pid 0: not known */
	uint64_t request_first_ns, request_last_ns; /* bytes of it */
	uint64_t answer_first_ns, answer_last_ns;
	uint64_t request_bytes, answer_bytes;
};

static inline uint64_t exchange_turn_ns(const struct exchange *x)
{
	return x->answer_first_ns - x->request_last_ns;
}

struct turn_event { /* bytes went to the application, or came from it */
	uint64_t ts_ns;
	const struct sock *sock;
	const struct task *task; /* NULL: not known */
	unsigned direction;	 /* STREAM_TX, STREAM_RX */
	uint64_t bytes;
	uint32_t end_seq; /* behind the last of them */
	uint32_t unread;  /* received bytes that still wait in the socket */
};

struct turns_opts {
	uint64_t patience_ns; /* an answer is over when nothing came for so long; 0: never */
	uint32_t max_open;    /* 0: TURNS_OPEN */
	enum turn_role (*role)(void *ctx, const struct sock *sock);
	/* An exchange is over, at ts_ns; calls come in the order of that. */
	void (*on)(void *ctx, const struct exchange *x, uint64_t ts_ns);
	void *ctx;
};

struct turns_stats {
	uint64_t n_exchanges, n_gaps, n_overlaps, n_unanswered;
	uint64_t n_one_way;	 /* connections on which bytes went one way only */
	uint64_t n_without_role; /* connections */
	uint64_t n_cut;
};

struct turn; /* of a connection */

struct turns {
	struct turns_opts opts;
	struct map map;		      /* cookie -> struct turn */
	struct turn *oldest, *newest; /* by when bytes moved */
	struct turns_stats stats;
	bool failed; /* no memory; the caller asks at the end */
};

void turns_init(struct turns *t, const struct turns_opts *opts);
void turns_fini(struct turns *t);

/* In the order of time. */
void turns_data(struct turns *t, const struct turn_event *e);
/* A call that sends has begun, at ts_ns; turns_data tells its end. */
void turns_begin(struct turns *t, const struct sock *sock, uint64_t ts_ns);
/* The peer has all bytes before that. */
void turns_ack(struct turns *t, const struct sock *sock, uint32_t ack_seq);
/* The socket is gone. */
void turns_gone(struct turns *t, const struct sock *sock, uint64_t ts_ns);
/* Nothing before floor_ns follows. */
void turns_pass(struct turns *t, uint64_t floor_ns);
void turns_end(struct turns *t, uint64_t ts_ns);

#endif

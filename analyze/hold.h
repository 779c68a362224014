/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why TCP did not yet send what the application had written: the time of one socket, cut at each
 * event that tells its state (tx_write, tx_state, rtt), and each piece given to what held the head
 * of the send queue then. The rules are those of tcp_write_xmit, in its order; docs/design.md,
 * "What holds a segment back". What only a later event proves stays open until TCP sends again.
 *
 * The caller keeps one struct hold a socket, zeroed at first, and hands it events in the order of
 * time.
 */
#ifndef ANA_HOLD_H
#define ANA_HOLD_H

#include <stdbool.h>
#include <stdint.h>

enum hold_why {
	HOLD_CWND,    /* the congestion window is full */
	HOLD_RWND,    /* so is the window that the peer offers */
	HOLD_NAGLE,   /* too little for a segment: Nagle, TCP_CORK, autocork */
	HOLD_SNDBUF,  /* not in the send buffer yet, which is full of what was sent */
	HOLD_TSQ,     /* enough of it is in the queues below: TCP small queues */
	HOLD_PACING,  /* not yet, says the pacing rate */
	HOLD_PATH,    /* nothing: the way through the code */
	HOLD_UNKNOWN, /* not to be told from what was recorded */
	HOLD_WHYS
};

extern const char *const hold_names[HOLD_WHYS]; /* "cwnd" */

enum { HOLD_PACED_BY_TCP = 1, HOLD_PACED_BY_FQ = 2 }; /* hold_state.pacing */

struct hold_state { /* what an event tells; names as there */
	uint64_t ts_ns, paced_to_ns;
	uint32_t seq, bytes; /* the segment; tx_write: what is to be written */
	uint32_t write_seq, snd_una, snd_nxt, snd_wnd, cwnd, in_flight, mss;
	uint32_t wmem, truesize, tsq_limit;
	uint8_t nonagle, pacing, chrono;
	bool full;
};

#define HOLD_STEPS 8

struct hold_step { /* what held the queue from ts_ns to the next step */
	uint64_t ts_ns;
	uint32_t in_flight;
	uint32_t wmem; /* of a write: it was queued behind so much below TCP; else 0 */
	uint8_t why;
	bool soft; /* unless what follows proves another reason */
};

struct hold {
	uint64_t spent_ns[HOLD_WHYS]; /* up to the first step */
	struct hold_step steps[HOLD_STEPS + 1];
	unsigned n_steps;      /* 0: nothing is known of it yet */
	struct hold_state now; /* as the newest event left it */
	uint32_t write_end;    /* of all that was written, also what is not in the send buffer */
	uint32_t small_end;    /* of the last segment sent that was not full */
	bool has_small;
};

/* The application writes: tx_write. */
void hold_write(struct hold *h, const struct hold_state *s);
/* An ACK was taken: rtt, with the values after it. Of s: ts_ns, snd_una, cwnd, in_flight. */
void hold_ack(struct hold *h, const struct hold_state *s);

/*
 * TCP sends bytes from s->seq on, at ts_ns. s NULL: its tx_state was lost. First hold_decide, after
 * which hold_at tells what was spent up to any time since the decision before; then hold_sent.
 */
void hold_decide(struct hold *h, uint64_t ts_ns, const struct hold_state *s);
void hold_at(const struct hold *h, uint64_t ts_ns, uint64_t ret_ns[HOLD_WHYS]);
void hold_sent(struct hold *h, uint64_t ts_ns, const struct hold_state *s);

#endif

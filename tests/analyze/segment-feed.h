/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of segment.h share: events as the probes would write them, in time order, fed to
 * a joiner, and the segments that it makes of them. Times are in us here; the joiner has ns.
 */
#ifndef SEGMENT_FEED_H
#define SEGMENT_FEED_H

#include "segment.h"

#define MSS 1000
#define ACK 16
#define SYN 2
#define FIN 1
#define US 1000ull
#define S_US 1000000ull

extern struct segment got[4096]; /* what was handed over */
extern unsigned n_got;
extern struct segments *segs;
extern struct segments_opts opts;   /* max_open may be set before begin() */
extern const struct seg_wire *wire; /* what a capture saw of what is handed over; NULL: nothing */

/* What the next events have in common; a test sets what matters to it. */
extern struct seg_event ev;
extern struct wire pk;
extern struct sock sk;

struct flow flow_of(unsigned local, unsigned lport, unsigned remote, unsigned rport);

/* A joiner with hooks at these layers; begin(): at all. */
void begin_with(uint32_t in, uint32_t out);
void begin(void);
void end(void); /* of the trace */
void done(void);

/* An event at a layer, at a time, with the socket or without. */
void at(enum seg_dir dir, unsigned layer, uint64_t us, const struct sock *sock);
void in(unsigned layer, uint64_t us);
void out(unsigned layer, uint64_t us);
void copy(uint64_t us, uint32_t seq, uint32_t bytes);
void write_at(uint64_t us, uint32_t seq, uint32_t bytes);
void sent(uint64_t us, uint32_t ifindex, uint32_t result);

/* The socket tells that bytes up to next can be read; or that it is done with a packet. */
void at_socket(unsigned layer, uint64_t us, uint32_t next);

/* All layers up to the socket's queue, or down to that one, one us after the other. */
void receive(uint64_t us);
void send_down(uint64_t us, unsigned to);

/* The time in a layer, which is that of no other layer too. */
void is_us(const struct segment *s, unsigned layer, uint64_t us);
void is_unknown(const struct segment *s, unsigned layer);
uint64_t total_us(const struct segment *s);

#endif

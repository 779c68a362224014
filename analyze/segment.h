/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Joins what the layers saw of a TCP packet (events rx, rx_copy, tx, tx_write) to segments: when
 * it entered each layer, how long it was there. A segment is known by its headers (addresses,
 * ports, seq, ack, payload, flags) and its socket's cookie, never by a kernel address; the rules
 * stand in docs/design.md, "One segment over layers".
 *
 * What is called a segment here is what TCP handed down, or what was handed up to IP: GSO and GRO
 * may let it stand for several on the wire. Times are CLOCK_MONOTONIC nanoseconds. Memory is
 * bounded: SEGMENTS_OPEN segments that are not complete yet; above that the one that has waited
 * longest is handed over as it is, and counted.
 */
#ifndef ANA_SEGMENT_H
#define ANA_SEGMENT_H

#include "bind.h"
#include "hold.h"
#include "map.h"

enum seg_dir { SEG_IN, SEG_OUT, SEG_DIRS };

/* In the order in which a packet passes them. A layer's time is from there to the next one. */
enum seg_in_layer {
	SEG_IN_DRIVER,
	SEG_IN_MAC,
	SEG_IN_IP,
	SEG_IN_DELIVER,
	SEG_IN_TCP,
	SEG_IN_BACKLOG,
	SEG_IN_ESTABLISHED,
	SEG_IN_HOLE,  /* TCP has it, but bytes before it are missing */
	SEG_IN_QUEUE, /* readable */
	SEG_IN_COPY,  /* its last byte went to the application */
	SEG_IN_DONE,  /* aside: tcp_rcv_established has ended */
};
enum seg_out_layer {
	SEG_OUT_WRITE, /* the application wrote its first byte */
	SEG_OUT_TCP,
	SEG_OUT_IP,
	SEG_OUT_OUTPUT,
	SEG_OUT_QDISC,
	SEG_OUT_DRIVER,
	SEG_OUT_SENT,
	SEG_OUT_COMPLETE,
};
/* Aside, in both directions: a capture saw it. It stands where that time falls. */
#define SEG_WIRE 11
#define SEG_LAYERS 12

/* Layers as bits. */
#define SEG_BIT(layer) (1u << (layer))

/* The layer that a number of enum rx_layer or tx_layer means; -1: not known. */
int seg_layer(enum seg_dir dir, uint64_t number);

/* What a segment went through. */
enum seg_mark {
	SEG_MERGED = 1,	    /* GRO, or TCP's queues, put several packets together: n[] tells */
	SEG_SPLIT = 2,	    /* GSO cut it */
	SEG_AGAIN = 4,	    /* a retransmission */
	SEG_PART = 8,	    /* of some layer only parts were seen: its time is not known */
	SEG_OLD = 16,	    /* nothing in it that had not been received before */
	SEG_WAITED = 32,    /* bytes before it were missing when it came */
	SEG_UNREAD = 64,    /* nobody had read all of it when the trace ended */
	SEG_PASSED = 128,   /* never was at this host's TCP: forwarded, or dropped before */
	SEG_BUSY = 256,	    /* the driver was busy, at least once */
	SEG_NAT = 512,	    /* addresses or ports differ between layers */
	SEG_STACKED = 1024, /* went through several devices: their times are added up */
	SEG_CUT = 2048,	    /* handed over early, for lack of room */
};

struct segment {
	enum seg_dir dir;
	struct flow wire, inner; /* nearest to the wire; nearest to the socket; local end is ours */
	uint64_t cookie;	 /* 0: not known */
	uint32_t netns, ifindex, seq, ack_seq, payload;
	uint16_t segs, tcp_flags;
	uint32_t marks;		       /* enum seg_mark */
	uint64_t start_ns, end_ns;     /* of the first and last layer that is known */
	uint32_t known;		       /* bits: layers whose time is known */
	uint32_t spans;		       /* bits: it includes the unknown layers behind it */
	uint32_t seen;		       /* bits: layers that saw it, at least in part */
	uint64_t spent_ns[SEG_LAYERS]; /* they add up to end_ns - start_ns */
	uint16_t n[SEG_LAYERS];	       /* packets that the layer saw of it */
	uint64_t first_ns[SEG_LAYERS], last_ns[SEG_LAYERS]; /* if seen: of these packets */
	uint64_t paced_ns;     /* of the time behind TCP: how long pacing asked for */
	bool tcp_by_departure; /* the time at TCP is the packet's departure time, not an event */
	struct task task; /* who wrote its first byte, or read its last one; pid 0: not known */
	bool has_held;
	uint64_t held_ns[HOLD_WHYS]; /* if has_held: they add up to spent_ns[SEG_OUT_WRITE] */
	unsigned wire_after;	     /* if SEG_WIRE saw it: behind that layer; SEG_WIRE: none */
};

struct seg_event { /* a row of rx or tx */
	uint64_t ts_ns, departure_ns;
	const struct sock *sock;   /* NULL: none */
	const struct wire *packet; /* NULL: none */
	uint32_t cpu, netns, ifindex, rcv_nxt, result;
	uint8_t dir;   /* enum seg_dir */
	uint8_t layer; /* enum seg_in_layer, seg_out_layer */
	bool again;
	uint8_t n_run; /* for segments_run */
};

struct seg_bytes { /* a row of rx_copy or tx_write */
	uint64_t ts_ns, size;
	const struct sock *sock;
	const struct task *task; /* NULL: none */
	uint32_t seq;
	bool again;			/* a write that has waited for room may be told once more */
	const struct hold_state *state; /* of the writer's socket; NULL: not recorded */
};

#define SEGMENTS_OPEN 65536u
#define SEGMENTS_WRITES 65536u

struct segments_opts {
	uint32_t layers[SEG_DIRS]; /* bits: layers that have a hook in this recording */
	bool dirs[SEG_DIRS];	   /* which are wanted */
	bool holds;		   /* tx_state is recorded */
	uint32_t max_open;	   /* 0: SEGMENTS_OPEN */
	int (*on)(void *ctx, const struct segment *s); /* negative: stop */
	void *ctx;
};

struct segments;

/* NULL: no memory. */
struct segments *segments_new(const struct segments_opts *opts);
void segments_free(struct segments *s); /* NULL allowed; hands nothing over */

/*
 * The events that follow share the tables that their sockets and packets stand in, up to the next
 * call. Not needed, but it makes them faster; then it is needed whenever the tables change.
 */
void segments_batch(struct segments *s);

/* Events in the order of time; what is complete by then is handed over. 0, or what `on` returned,
 * or -1: no memory. */
int segments_packet(struct segments *s, const struct seg_event *e);
/*
 * The same as segments_packet for each of e->n_run events that stand one behind the other, but with
 * less work: one packet on its way through layers that follow each other, as segments_is_run says.
 */
int segments_run(struct segments *s, const struct seg_event *e);
/* Whether b goes on with a run that began with first, and whose last event so far is a. */
bool segments_is_run(const struct seg_event *first, const struct seg_event *a,
		     const struct seg_event *b);
int segments_write(struct segments *s, const struct seg_bytes *w);
int segments_copy(struct segments *s, const struct seg_bytes *c);
/* tx_state, ahead of the segment that it is about; rtt, with the values after an ACK. */
int segments_state(struct segments *s, const struct sock *sock, const struct hold_state *state);
int segments_ack(struct segments *s, const struct sock *sock, const struct hold_state *state);
/* The socket is gone: what is in its queue will not be read. */
int segments_gone(struct segments *s, uint64_t cookie, uint64_t ts_ns);
/* Nothing before floor_ns follows. */
int segments_pass(struct segments *s, uint64_t floor_ns);
/* The trace ends: hand over what is left. */
int segments_end(struct segments *s);

struct seg_wire { /* packets of a capture */
	uint64_t first_ns, last_ns;
	uint32_t n;
	uint64_t slack_ns; /* how much these times may be off */
};
/*
 * Within `on`: a capture saw the segment that is handed over. Tell it again, into *ret, with layer
 * SEG_WIRE where that time falls among the others; at the place of this host's own taps if it is no
 * farther than slack_ns from there: in front of the driver's call (dev_hard_start_xmit), behind the
 * device's input (__netif_receive_skb_core).
 */
void segments_wire(struct segments *s, const struct seg_wire *w, struct segment *ret);

struct segments_stats {
	uint64_t n_segments, n_headless, n_cut, n_writes_cut;
	uint32_t n_open;
};
void segments_stats(const struct segments *s, struct segments_stats *ret);

#endif

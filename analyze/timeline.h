/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The story of one connection, for tcptape timeline: its rows and sums (timeline_rows.c), what a
 * capture has of it (timeline_wire.c) and its picture (timeline_draw.c). Which events it is made
 * of, the command knows.
 */
#ifndef ANA_TIMELINE_H
#define ANA_TIMELINE_H

#include "capture.h"
#include "chart.h"
#include "cmd.h"
#include "record.h"

struct timeline_opts {
	bool verbose, packets, no_events;
	const char *chart; /* "utf8", "ascii", "none"; NULL: as the locale has it */
	const char *pcap;  /* a capture; NULL: none */
};

struct range {
	uint32_t min, max;
	bool any;
};

struct acks { /* a sum of ACKs; n 0: none */
	uint64_t n, from_ns;
	struct range rtt, srtt, cwnd, in_flight;
};

struct calls { /* a sum of calls; by direction: sent, received */
	uint64_t n[2], bytes[2], n_failed, from_ns;
	struct task task;
};

#define TIMELINE_ENDS 8

struct timeline_wire {
	struct capture capture; /* its packets only, by time */
	size_t next;
	uint64_t n_told;
	struct flow ends[TIMELINE_ENDS]; /* of the socket; then others that it has on the wire */
	unsigned n_ends;
};

struct timeline {
	const struct timeline_opts *opts;
	struct cmd_run *run;
	struct record_set set;
	uint64_t cookie;
	struct flow flow;
	bool has_flow;
	uint64_t first_ns, last_ns, row_ns; /* of its events; of the last row */
	struct acks acks;
	struct calls calls;
	/* A row of the snapshot, which stands before events that are older: ts_ns 0 none. */
	struct {
		uint64_t ts_ns;
		struct task task;
		bool has_task;
		struct text details;
	} held;
	size_t n_losses; /* told */
	struct timeline_wire wire;
	struct chart rtt, cwnd, in_flight, retransmits, drops, resets;
};

struct timeline_event {
	const struct record *r;
	uint32_t k;
	uint64_t ts_ns;
	const struct sock *sock;
	const struct task *task;
	bool snapshot;
};

void timeline_begin(struct timeline *t); /* the table */
void timeline_take(struct timeline *t, const struct timeline_event *e);
/* Losses that were met since: events of this connection may be among them. */
void timeline_take_losses(struct timeline *t);
/* The trace ends: what is not told yet. */
void timeline_end(struct timeline *t);

void timeline_draw(struct timeline *t);

/* What is summed up so far, then a row of no event. */
void timeline_row(struct timeline *t, uint64_t ts_ns, const char *name, const struct text *details);

/* Read the capture, and the trace for the addresses. 0, or -1 and fail. */
int timeline_wire_begin(struct timeline *t, const char *path);
/* Nothing before to_ns follows: tell the packets up to then. */
void timeline_wire_pass(struct timeline *t, uint64_t to_ns);
void timeline_wire_end(struct timeline *t); /* notes, if there is a capture */

#endif

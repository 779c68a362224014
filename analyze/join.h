/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two traces of the same connections, one of each end: which segments are in both, and what the two
 * clocks differ by (skew.h). A segment is known by sequence and acknowledgment number, whether it
 * has payload, and SYN, FIN, RST; not by addresses, which a NAT changes, nor by its length, since
 * GSO and GRO let one stand for several: its first bytes decide. What was sent again, or is in one
 * of the traces twice, is not joined. Two connections are the same if each shares more segments
 * with the other than with any third one, and at least JOIN_MIN_SEGMENTS.
 *
 * On the wire is what is sent from the call of the first device's driver on, and what is received
 * from the first layer on that saw it. Times are CLOCK_MONOTONIC nanoseconds of the host that says
 * them. Memory is bounded: JOIN_MAX segments of the client, and connections of each, are kept.
 */
#ifndef ANA_JOIN_H
#define ANA_JOIN_H

#include "by.h"
#include "cmd.h"
#include "map.h"
#include "skew.h"

#define JOIN_MAX (1u << 20)
#define JOIN_MIN_SEGMENTS 2

enum join_end { JOIN_CLIENT, JOIN_SERVER, JOIN_ENDS };

struct join_conn { /* as one end sees it */
	struct flow flow;
	uint64_t cookie; /* 0: not known */
	uint32_t pair;	 /* of those that it may be part of, the best one; from 1 */
	bool joined;
	struct by_group *group; /* of join.groups; NULL: not known */
};

struct join_segment {
	uint64_t wire_ns[JOIN_ENDS];
	uint64_t
		far_ns[JOIN_ENDS]; /* the sender's: its first layer; the receiver's: its last one */
	uint32_t conn[JOIN_ENDS];  /* in join_side.conns */
	uint32_t seq, payload;
	uint16_t tcp_flags;
	uint8_t way;		 /* enum skew_way */
	uint8_t seen[JOIN_ENDS]; /* 0, 1, 2: twice, or it may be */
};

struct join_side {
	struct input *in;
	struct by_who who; /* names its groups */
	struct join_conn *conns;
	size_t n_conns, cap_conns;
	struct map by_flow; /* hash -> number in conns, from 1 */
	uint64_t n_segments, n_alone, n_twice, n_joined, n_left_out;
};

struct join_pair {
	uint32_t conn[JOIN_ENDS], n;
};

struct join {
	struct cmd_run *run;
	struct join_side sides[JOIN_ENDS];
	struct join_segment *segments; /* behind join_read: those of both, by client's wire_ns */
	size_t n, cap;
	struct map by_key; /* hash -> number in segments, from 1 */
	struct join_pair *pairs;
	size_t n_pairs, n_joined_pairs; /* connections */
	struct skew_line line;
	/* --by, set by the command: whose connections are grouped; NULL: nobody's */
	struct by_groups *groups;
	enum join_end group_end;
};

/* Open and read run->paths. 0, or -1 and run->fail; in any case join_fini. */
int join_read(struct join *j, struct cmd_run *run);
void join_fini(struct join *j);

/* The group of a connection that was joined; NULL: there are none, or too many. */
struct by_group *join_group(const struct join *j, const struct join_conn *client);

/* Of a segment that was joined: its time from end to end, and between the hosts. */
int64_t join_network_ns(const struct join *j, const struct join_segment *s);
static inline uint64_t join_at_end_ns(const struct join_segment *s, enum join_end end)
{
	bool out = (s->way == SKEW_TO_SERVER) == (end == JOIN_CLIENT);

	return out ? s->wire_ns[end] - s->far_ns[end] : s->far_ns[end] - s->wire_ns[end];
}

#endif

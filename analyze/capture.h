/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A capture of packets (pcap or pcapng, by libpcap's reader; Ethernet, Linux cooked v1 and v2, raw
 * IP): of each TCP packet what tells which segment of a trace it is. Times are the capture's own,
 * nanoseconds since 1970. Memory is bounded: CAPTURE_MAX packets are kept, of the time that is
 * asked for. A packet that was cut short is taken if its TCP header is there; its length is what
 * its IP header says.
 */
#ifndef ANA_CAPTURE_H
#define ANA_CAPTURE_H

#include "cmd.h"
#include "flow.h"
#include "map.h"

#define CAPTURE_MAX (1u << 22)
/* How far from where it is looked for a packet may be: before TCP sends it again. */
#define CAPTURE_NEAR_NS 100000000ull

/* Which way it passed the host that captured; only Linux cooked headers tell. */
enum capture_way { CAPTURE_ANY, CAPTURE_IN, CAPTURE_OUT };

struct captured {
	uint64_t wall_ns, key;
	uint32_t flow, seq, ack_seq, payload; /* flow: in capture.flows */
	uint16_t tcp_flags;
	uint8_t way; /* enum capture_way */
	bool taken;  /* it is a segment's */
};

struct capture {
	const char *path;
	struct captured *packets;
	struct flow *flows; /* local: the source */
	size_t n, cap, n_flows, cap_flows;
	struct map by_flow;	    /* hash -> number in flows, from 1 */
	uint64_t first_ns, last_ns; /* of all packets, also those of no TCP */
	bool has_ns;		    /* its times are finer than a microsecond */
	uint64_t n_all, n_short, n_over;
};

/*
 * Read it, "-" is standard input; keep what lies within from_ns and to_ns. path stays the caller's.
 * 0, or -1 and *fail: it cannot be opened, is none, or is damaged. In any case capture_fini.
 */
int capture_read(struct capture *c, const char *path, uint64_t from_ns, uint64_t to_ns,
		 struct fail *fail);
/* The same beside the trace of run->in: of its window, if it has one. */
int capture_read_beside(struct capture *c, const char *path, struct cmd_run *run);
void capture_fini(struct capture *c);
/* What of it is not there. */
void capture_note_limits(const struct capture *c, struct out *out);

/* Sort the packets: by time; or by what capture_find looks for. */
void capture_sort_by_time(struct capture *c);
void capture_sort_by_key(struct capture *c);

/* The number of those ends, the source first, in flows; -1: it has nothing of them. */
int64_t capture_flow(const struct capture *c, const struct flow *flow);

/* ---- which packets a segment is ---- */

struct capture_wanted {
	struct flow flow; /* local: the source */
	uint32_t seq, ack_seq, payload;
	uint16_t tcp_flags;
	enum capture_way way;
	uint64_t first_ns, last_ns; /* when its packets must have passed, roughly */
};

struct capture_found { /* n 0: nothing */
	uint64_t first_ns, last_ns;
	uint32_t n;
};

enum capture_lack {
	CAPTURE_HAS,
	CAPTURE_PART,	 /* some of its packets are missing */
	CAPTURE_MISSED,	 /* the connection is there, it is not */
	CAPTURE_FAR,	 /* it is, but more than CAPTURE_NEAR_NS away */
	CAPTURE_OUTSIDE, /* of the capture's time */
	CAPTURE_UNKNOWN, /* nothing of the connection is there */
	CAPTURE_LACKS
};
extern const char *const capture_lacks[CAPTURE_LACKS]; /* names */

/*
 * The packets that are this segment, the nearest ones in time; each is found once. Sorted by key,
 * which capture_sort_by_key does.
 */
enum capture_lack capture_find(struct capture *c, const struct capture_wanted *w,
			       struct capture_found *ret);

/* ---- one packet (capture_packet.c) ---- */

enum capture_link {
	CAPTURE_ETHERNET,
	CAPTURE_COOKED,	 /* LINKTYPE_LINUX_SLL */
	CAPTURE_COOKED2, /* LINKTYPE_LINUX_SLL2 */
	CAPTURE_RAW,	 /* IPv4 or IPv6 */
};

enum capture_verdict { CAPTURE_IS_TCP, CAPTURE_IS_OTHER, CAPTURE_IS_SHORT };

/* Of len bytes, wire_len before it was cut: ret->way, seq, ack_seq, payload, tcp_flags; *flow. */
enum capture_verdict capture_packet(enum capture_link link, const uint8_t *p, uint32_t len,
				    uint32_t wire_len, struct captured *ret, struct flow *flow);

#endif

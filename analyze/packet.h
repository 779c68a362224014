/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets that the kernel refused, as drops and inerrs read them: records drop and bad_csum, with
 * the names of reasons and places, and with the owner that the connection has elsewhere in the
 * trace. Owns its tables; a struct packet lives while its row is looked at.
 */
#ifndef ANA_PACKET_H
#define ANA_PACKET_H

#include "cells.h"
#include "cmd.h"
#include "labels.h"
#include "names.h"

struct packet {
	uint64_t ts_ns;
	const struct sock *sock;   /* NULL: none, or the hook does not tell */
	const struct conn *conn;   /* the same, as known so far; NULL: not known */
	struct flow flow;	   /* local end: source, remote end: destination */
	bool has_flow;		   /* false: no header was read, and there was no socket */
	bool has_tcp;		   /* the TCP header was read: ports, seq, flags */
	bool is_csum;		   /* of bad_csum: there is no reason and no place */
	unsigned state, tcp_flags; /* 0: not known */
	uint32_t netns, ifindex, seq, len, payload;
	uint64_t reason, location;
	const char *where; /* "symbol+offset", NULL: not known */
	const char *stack; /* as labels_get; NULL: not recorded */
};

struct packets {
	struct conn_table conns; /* first: conn_track() */
	struct input *in;
	const struct cells_filter *filter;
	struct names reasons, subsystems;
	struct labels places, stacks;
	int (*on)(void *ctx, const struct packet *p);
	void (*pass)(void *ctx, uint64_t floor_ns); /* nothing earlier follows; may be NULL */
	void *ctx;
	bool nameless; /* a place without a name was met */
};

/*
 * Read all rows of drop and, if want_csum, of bad_csum, each by `on`, which returns 0 or negative
 * to stop. Rows that cells_filter leaves out are not handed over. 0, or -1 and run->fail.
 */
int packets_run(struct packets *ps, struct cmd_run *run, const struct cells_filter *filter,
		bool want_csum);
void packets_fini(struct packets *ps);

/* "NETFILTER_DROP"; a reason without a name as SUBSYSTEM_NUMBER or just its number. In buf or not.
 */
#define PACKET_REASON_LEN 64
const char *packet_reason(const struct packets *ps, uint64_t reason, char buf[PACKET_REASON_LEN]);

/* "SYN|ACK"; "" none. Returns buf. */
#define PACKET_FLAGS_LEN 48
const char *packet_flags(unsigned flags, char buf[PACKET_FLAGS_LEN]);

/* "10.0.0.1:80", "[fd00::1]:80"; one cell, for the text table only. */
void cell_end_of(struct out *o, const uint8_t *addr, uint16_t port, bool has_port);

/* Cells: state (or -), then saddr sport daddr dport for JSON and CSV. */
void cell_packet_state(struct out *o, const struct input *in, const struct packet *p);
void cells_packet_flow(struct out *o, const struct packet *p);

/* Five cells for JSON and CSV: conn netns ifindex seq payload. */
void cells_packet_rest(struct out *o, const struct packet *p);

#define CELLS_PACKET_FLOW_COLS                                                                     \
	{NULL, "saddr", 0, false}, {NULL, "sport", 0, false}, {NULL, "daddr", 0, false},           \
	{                                                                                          \
		NULL, "dport", 0, false                                                            \
	}
#define CELLS_PACKET_REST_COLS                                                                     \
	{NULL, "conn", 0, false}, {NULL, "netns", 0, false}, {NULL, "ifindex", 0, false},          \
		{NULL, "seq", 0, false},                                                           \
	{                                                                                          \
		NULL, "payload", 0, false                                                          \
	}

#endif

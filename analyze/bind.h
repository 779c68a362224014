/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Columns by name. A command names the record types and fields that it uses; they are looked up in
 * the schema of the file, once, and their columns decoded once a chunk. A field that the file does
 * not have, or has as something else, is "not recorded", which is not the same as 0: ask bind_has.
 * The tables of a chunk (sockets, tasks, packets) are decoded here too, into plain arrays.
 */
#ifndef ANA_BIND_H
#define ANA_BIND_H

#include <stdbool.h>
#include <stdint.h>

#include "chunk.h"
#include "flow.h"
#include "schema.h"

#define BIND_MAX_FIELDS 24
#define BIND_MPTCP 262 /* sk_protocol of an MPTCP connection; its subflows are TCP sockets */

struct sock {		 /* a row of table sock */
	uint64_t cookie; /* 0: unknown */
	struct flow flow;
	uint32_t netns;	   /* 0: not recorded */
	uint16_t protocol; /* sk_protocol; 0: not recorded */
	uint32_t uid;	   /* of who created it */
	bool has_uid;
	bool has_flow;
	bool filled;   /* the local port was not set yet, and comes from elsewhere in the trace */
	bool selected; /* by the options of the user (select.h) */
};

struct task {		 /* a row of table task */
	uint64_t cgroup; /* 0: not recorded */
	uint32_t pid, tid;
	char comm[EV_COMM_LEN + 1]; /* may hold anything */
};

/* What was read of a packet (its field `headers`). */
#define BIND_PACKET_IP 1
#define BIND_PACKET_TCP 2
#define BIND_PACKET_OF_SOCK 4 /* out of the socket instead */

struct wire { /* a row of table packet; fields that are not recorded are 0 */
	struct flow flow;
	bool has_flow;
	uint32_t ends; /* the reference to the flow, 0 none: the same in all rows that have it */
	uint32_t seq, ack_seq, payload;
	uint16_t segs, tcp_flags, vlan, headers;
};

enum bind_kind {
	BIND_INT,
	BIND_ADDR,
	BIND_SOCK,
	BIND_TASK,
	BIND_FLOW,
	BIND_STR,
	BIND_COMM,
	BIND_PACKET,
};

struct bind_field {
	const char *name;
	enum bind_kind kind;
};

struct bind_row;
struct bind_tables;

struct bind {
	/* what the command wants; `on` returns 0, or negative to stop the reading */
	const char *record;
	const struct bind_field *fields;
	unsigned n_fields;
	int (*on)(void *ctx, const struct bind_row *row);
	/* Instead of on, with no fields: that there was such an event is all. */
	int (*on_time)(void *ctx, uint64_t ts_ns);

	/* of the file, then of the chunk */
	const struct tape_record *rec; /* NULL: the file knows no such record */
	int index[BIND_MAX_FIELDS];    /* -1: not recorded */
	int sock_field, task_field;    /* which of the fields they are, -1 none */
	int packet_field;
	int flow_field;		      /* a packet's own addresses */
	bool ends_socket;	      /* tcp_destroy: nothing of that socket follows */
	int daddr_field, dport_field; /* the remote end that was asked for */
	struct tape_column cols[BIND_MAX_FIELDS];
	bool have[BIND_MAX_FIELDS];
	uint32_t n_rows;
	const uint32_t *socks, *tasks, *packets; /* the columns of these references; NULL: none */
};

struct bind_row { /* one event, while `on` runs */
	const struct bind *bind;
	uint64_t ts_ns;
	uint32_t cpu;
	uint32_t k;		 /* row of the columns */
	bool snapshot;		 /* it is so, rather than it happened */
	bool stale;		 /* a snapshot of another time: only the owner is for sure */
	const struct sock *sock; /* NULL: none, or not recorded */
	const struct task *task;
	const struct wire *packet;
	const struct bind_tables *tables;
};

/* Look everything up in a file's schema. */
void bind_schema(struct bind *b, const struct tape_schema *schema);

/* Decode the columns of one chunk. 0, or a negative error: damage or no memory. */
int bind_chunk(struct bind *b, struct tape_chunk *chunk, struct tape_error *err);

static inline bool bind_has(const struct bind_row *row, unsigned field)
{
	return row->bind->have[field];
}

/* The value of an integer field in row k, or of a reference; `missing` if it was not recorded. */
static inline uint64_t bind_value(const struct bind *b, unsigned field, uint32_t k,
				  uint64_t missing)
{
	return b->have[field] ? tape_column_get(&b->cols[field], k) : missing;
}

static inline uint64_t bind_get(const struct bind_row *row, unsigned field, uint64_t missing)
{
	return bind_value(row->bind, field, row->k, missing);
}

/* 16 bytes, NULL if not recorded. */
static inline const uint8_t *bind_addr(const struct bind_row *row, unsigned field)
{
	if (!row->bind->have[field])
		return NULL;
	return (const uint8_t *)row->bind->cols[field].values + (size_t)row->k * FLOW_ADDR_LEN;
}

/* EV_COMM_LEN bytes, padded with NUL but not ended by one; NULL if not recorded. */
static inline const char *bind_comm(const struct bind_row *row, unsigned field)
{
	if (!row->bind->have[field])
		return NULL;
	return (const char *)row->bind->cols[field].values + (size_t)row->k * EV_COMM_LEN;
}

/*
 * One column: 1 and *ret; 0 if this chunk does not hold it in a form that is known; negative:
 * damage or no memory.
 */
int bind_column(struct tape_chunk *chunk, unsigned record, unsigned field, struct tape_column *ret,
		struct tape_error *err);

/* Text, not NUL-terminated; NULL if not recorded. */
static inline const char *bind_str(const struct bind_row *row, unsigned field, size_t *ret_len)
{
	const struct tape_column *col = &row->bind->cols[field];

	if (!row->bind->have[field])
		return NULL;
	*ret_len = col->str_start[row->k + 1] - col->str_start[row->k];
	return (const char *)col->values + col->str_start[row->k];
}

struct bind_flows { /* columns of table flow, as the chunk has them */
	struct tape_column laddr, raddr, lport, rport;
	uint32_t n;
};

/* The sockets, tasks and packets of one chunk. Reused from chunk to chunk. */
struct bind_tables {
	struct bind_flows flows;
	struct sock *socks;
	struct task *tasks;
	struct wire *packets;
	uint32_t n_socks, n_tasks, n_packets, cap_socks, cap_tasks, cap_packets;
	/* set by the caller, before a chunk is loaded: the rest is not decoded, and has no rows */
	bool want_flows, want_socks, want_tasks, want_packets;
	bool want_uids; /* of socks */
};

void bind_tables_fini(struct bind_tables *t);
int bind_tables_load(struct bind_tables *t, const struct tape_schema *schema,
		     struct tape_chunk *chunk, struct tape_error *err);

/* The flow that a reference means; false for none. Valid while the chunk is. */
bool bind_flow(const struct bind_tables *t, uint64_t ref, struct flow *ret);

/* The row that a reference means; NULL for none. */
static inline const struct sock *bind_sock(const struct bind_tables *t, uint64_t ref)
{
	return ref && ref <= t->n_socks ? &t->socks[ref - 1] : NULL;
}
static inline const struct task *bind_task(const struct bind_tables *t, uint64_t ref)
{
	return ref && ref <= t->n_tasks ? &t->tasks[ref - 1] : NULL;
}
static inline const struct wire *bind_packet(const struct bind_tables *t, uint64_t ref)
{
	return ref && ref <= t->n_packets ? &t->packets[ref - 1] : NULL;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What evidence_*.c share: a trace that is being read. */
#ifndef ANA_EVIDENCE_PARTS_H
#define ANA_EVIDENCE_PARTS_H

#include "evidence.h"
#include "labels.h"
#include "names.h"
#include "per_sock.h"
#include "segment_read.h"
#include "turn_rows.h"

/*
 * A service: the end that connections of this host go to, or were accepted at. What is to blame for
 * those that got stuck is known when all is read.
 */
struct evid_end {
	struct flow flow;	   /* local end: the service's */
	struct toll stuck, failed; /* connects that took SYNs or SYN-ACKs sent again; in vain */
	struct toll accepts;	   /* accepted late, or never */
	struct toll resets;	   /* by who accepted it */
	uint32_t n_connects;	   /* of this host */
	uint32_t n_born;	   /* accepted by this host's TCP */
	uint32_t n_lost;	   /* segments with data, in either direction */
	uint64_t overflows, drops; /* of its listener */
	uint32_t first_drops;
	uint32_t backlog, max_backlog;
	uint64_t waited_ns; /* sampled last when its queue was not empty */
	bool has_drops, was_full;
};

struct evid_refused { /* for their sequence number: those within a window of the first, and others
		       */
	uint32_t seq, n_near, n_far;
};

/* A flow some of whose packets were dropped, in whatever direction. */
struct evid_path {
	struct evid_refused refused[2];
	uint32_t n[DROP_CLASSES];      /* packets */
	uint32_t credit[DROP_CLASSES]; /* segments that no retransmit has been charged to yet */
	uint32_t n_syns;
};

struct evid_conn {
	uint64_t key, cookie;
	struct flow flow;
	bool has_flow, dead;
	struct evid_conn *next; /* of those that are gone */
	uint64_t gone_ns, data_segs;
	struct evid_end *end; /* NULL: not known yet */
	uint32_t pid;	      /* as in toll_conn; whoever is gone has it */
	char comm[EV_COMM_LEN + 1];

	uint32_t n[TROUBLE_N];
	uint64_t cost_ns[TROUBLE_N];
	uint32_t failed; /* bits of enum trouble */

	/* its handshake */
	bool active, passive, established, born;
	uint64_t born_ns, connect_ns, established_ns; /* established_ns: and not accepted yet */
	uint32_t n_syn_resent, n_synack_resent;
	uint64_t synack_ns;
	uint32_t stuck_n; /* SYNs of a connect that worked in the end; whose fault is not known */
	uint64_t stuck_ns, stuck_since_ns;

	/* what it sends */
	uint32_t mss, srtt_us, min_rtt_us, una, nxt;
	uint32_t first_delivered, last_delivered, rto_seq, rto_row;
	uint32_t n_resent[RESENT_N]; /* of those charged to loss */
	uint64_t acked_ns, fast_ns, resent_ns;
	enum trouble rto_trouble; /* what the last timeout was charged to */
	uint32_t cwnd;
	bool has_nxt, has_delivered, is_bbr, after_rto, big_acked, is_hole;
	struct {
		double n, r, f, rr, ff, rf, over, queued_ns;
	} rise; /* of RTT with bytes in flight */

	/* Nagle */
	uint32_t write_seq, late_nxt;
	uint64_t late_ns, late_us;
	bool has_write, nodelay;

	/* waits: up to there they are counted */
	uint64_t blocked_ns, read_ns, held_ns, softirq_ns;
	uint64_t limited_ns; /* of the writer's wait: the network kept it waiting */
	uint64_t shut_ns;    /* since then it has something to send, nothing in flight; 0: not so */
	uint32_t buf_locks;
};

#define EVID_RECENT 64

struct evid_failure { /* a connect that failed, and may have been one of two tries */
	uint64_t ts_ns;
	uint32_t netns;
	uint16_t port;
	uint8_t version; /* 0: none */
	uint8_t trouble;
};

struct evid_moved { /* a counter, by its id */
	char *name; /* NULL: not known */
	int64_t by;
};

struct gather {
	struct segment_read segs; /* first: its binds, and those of by.h, find it */
	struct evidence *e;
	struct cmd_run *run;
	const struct evidence_tap *tap; /* NULL: none */
	struct map conns, ends, paths;
	struct labels places;
	struct map netems;		     /* interfaces whose queueing discipline plays a path */
	struct evid_conn *gone, **last_gone; /* sockets that ended; segments may still come */
	struct evid_conn *dead;		     /* until the chunk ends */
	struct per_sock of_sock;	     /* struct evid_conn */
	struct evid_end rest;		     /* of ends above the bound */
	uint32_t n_requests;
	struct evid_failure recent[EVID_RECENT];
	unsigned next_recent;
	struct names reasons, rst_reasons;
	struct evid_moved *moved;
	size_t n_moved;
	uint64_t n_bad_csum;
	struct turns turns;
	bool has_io, all_rows, failed;
	bool calls_old_wrong; /* the kernel has one reason for both (evidence_drop.c) */
	/* what they did before */
	int (*on_state)(void *ctx, const struct bind_row *row);
	int (*on_accept)(void *ctx, const struct bind_row *row);
	int (*on_destroy)(void *ctx, const struct bind_row *row);
	int (*on_link)(void *ctx, const struct bind_row *row);
	int (*on_copy)(void *ctx, const struct bind_row *row);
	int (*on_write)(void *ctx, const struct bind_row *row);
};

static inline bool evid_has(const struct gather *g, enum evid_source s)
{
	return g->e->has & EVID_BIT(s);
}

/* ---- evidence_conn.c ---- */

/* The row is not left out by the user's choice. */
bool evid_wants(struct gather *g, const struct bind_row *row);
/* The connection of a row, made if need be; NULL: none is known, or no memory. */
struct evid_conn *evid_conn_of(struct gather *g, const struct bind_row *row);
struct evid_conn *evid_conn_find(struct gather *g, const struct sock *s); /* NULL: not there */
/* Who has it, as far as known by now. */
void evid_learn_owner(struct gather *g, struct evid_conn *c);
/* One share of it in a toll, that cost nothing. */
struct toll_conn evid_share(struct gather *g, struct evid_conn *c);
/* Its service; never NULL. */
struct evid_end *evid_end_of(struct gather *g, struct evid_conn *c);
struct evid_end *evid_end_at(struct gather *g, const uint8_t addr[FLOW_ADDR_LEN], uint16_t port);

/* When a connection was last seen to wait for accept() there; 0 never. */
uint64_t evid_end_waited(const struct gather *g, const struct evid_end *end);

void evid_charge(struct gather *g, struct evid_conn *c, enum trouble t, uint32_t n,
		 uint64_t cost_ns, uint64_t ts_ns);
void evid_fail(struct evid_conn *c, enum trouble t);
/* The same where time is charged once: from *until_ns on. */
void evid_charge_span(struct gather *g, struct evid_conn *c, enum trouble t, uint64_t *until_ns,
		      uint64_t from_ns, uint64_t to_ns);

/* Its socket ended. */
void evid_conn_gone(struct gather *g, struct evid_conn *c, uint64_t ts_ns);
/* Behind a chunk: nothing before floor_ns follows. */
void evid_conns_sweep(struct gather *g, uint64_t floor_ns);
void evid_conns_finish(struct gather *g);
void evid_conns_fini(struct gather *g);

/* ---- evidence_connect.c ---- */

int evid_on_state(void *ctx, const struct bind_row *row);
int evid_on_accept(void *ctx, const struct bind_row *row);
int evid_on_destroy(void *ctx, const struct bind_row *row);
extern const struct bind_field evid_destroy_fields[];
extern const unsigned evid_n_destroy_fields;
#define EVID_CONNECT_BINDS 2 /* connect_error, tcp_facts */
void evid_connect_bind(struct bind *ret);
/* What was still under way. */
void evid_connect_pending(struct gather *g, struct evid_conn *c, uint64_t last);
/* What a connection's SYN-ACKs say, at its end. */
void evid_connect_synacks(struct gather *g, struct evid_conn *c);
void evid_connect_unaccepted(struct gather *g, struct evid_conn *c, uint64_t now_ns);

/* ---- evidence_sent.c ---- */

#define EVID_SENT_BINDS 3 /* rtt, retransmit, synack_retransmit */
void evid_sent_bind(struct bind *ret);
void evid_sent_end(struct gather *g, struct evid_conn *c); /* bufferbloat, of a whole connection */

/* ---- evidence_drop.c ---- */

#define EVID_DROP_BINDS 4	       /* drop, bad_csum, reset, snap_symbol */
int evid_drop_begin(struct gather *g); /* -1: no memory */
void evid_drop_bind(struct bind *ret);
/* What dropped packets of this flow; DROP_OTHER: nothing that is known. */
enum drop_class evid_dropped(const struct gather *g, const struct flow *f);
/* The same for so many segments that were sent again: each drop explains its own. */
enum drop_class evid_take_credit(struct gather *g, const struct flow *f, uint32_t segs);
enum trouble evid_trouble_of(enum drop_class c, enum trouble otherwise);

/* ---- evidence_machine.c ---- */

#define EVID_MACHINE_BINDS 5 /* counter, snap_counter, nic_stat, listen_queue, listen_child */
void evid_machine_bind(struct bind *ret);
void evid_machine_finish(struct gather *g);
int evid_on_link(void *ctx, const struct bind_row *row);
extern const struct bind_field evid_link_fields[];
extern const unsigned evid_n_link_fields;

static inline uint64_t evid_link_key(uint32_t netns, uint32_t ifindex)
{
	return ((uint64_t)netns << 32 | ifindex) + 1;
}

/* ---- evidence_wait.c ---- */

#define EVID_WAIT_BINDS 3 /* io_send, io_recv, io_wait */
void evid_wait_bind(struct bind *ret);
int evid_on_copy(void *ctx, const struct bind_row *row);
int evid_on_write(void *ctx, const struct bind_row *row);
int evid_on_segment(void *ctx, const struct segment *s, const struct conn *owner);
void evid_wait_begin(struct gather *g);

#endif

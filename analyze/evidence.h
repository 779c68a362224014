/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a trace shows of troubles: the facts that the causes of explain.h look at, collected in one
 * reading. Plain numbers; which of them mean that something is wrong is the causes' business.
 *
 * A toll is what one kind of trouble took: events, time that somebody waited, connections, and
 * those connections that failed by it. Each wait counts once: a connect that got stuck is charged
 * to a full accept queue, a firewall, a path that loses data too, or else to lost SYNs; a segment
 * that was sent again is charged to the drop of it that the trace has, else to loss. Where a trace
 * has both ends of a connection, failures count at the end that connected.
 *
 * Memory follows the live connections; the tables of services, of flows with drops and of names are
 * bounded. Times are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef ANA_EVIDENCE_H
#define ANA_EVIDENCE_H

#include "cmd.h"
#include "flow.h"
#include "resent.h"

enum trouble {
	TROUBLE_OVERFLOW, /* accept queue full */
	TROUBLE_SYN,
	TROUBLE_REFUSED,
	TROUBLE_UNREACHABLE,
	TROUBLE_NO_PORT,
	TROUBLE_LOSS,
	TROUBLE_BLOAT,
	TROUBLE_RTT,	/* connects that took the path's time */
	TROUBLE_WINDOW, /* data that waited for its reader, writers that waited for room */
	TROUBLE_ACCEPT,
	TROUBLE_ANSWER,
	TROUBLE_NAGLE,
	TROUBLE_QDISC,
	TROUBLE_SOFTIRQ,
	TROUBLE_FIREWALL,
	TROUBLE_BAD, /* segments refused for what was in them */
	TROUBLE_RESET,
	TROUBLE_MEMORY,
	TROUBLE_BUFFER, /* a buffer of fixed size kept it slow */
	TROUBLE_MTU,
	TROUBLE_N
};

#define TOLL_WORST 3

struct toll_conn { /* of one connection */
	struct flow flow;
	bool has_flow;
	uint64_t cookie, n, cost_ns;
	uint32_t pid; /* of its owner; 0: not known */
	char comm[EV_COMM_LEN + 1];
};

struct toll {
	uint64_t n, cost_ns;
	uint64_t first_ns, last_ns; /* of its events; 0: none */
	uint32_t n_conns, n_failed;
	struct toll_conn worst[TOLL_WORST]; /* by cost, then n; the worst first */
};

/*
 * What counts as a wait. Shorter ones are what ordinary machines do, and are not charged.
 */
/* CoDel's target for a standing queue (RFC 8289, 4.3) */
#define EVID_HELD_NS 5000000ull
/* how long net_rx_action may work before it gives way (netdev_budget_usecs) */
#define EVID_SOFTIRQ_NS 2000000ull
/* an event loop reads what is there within a time slice or two (some 3 ms each) */
#define EVID_LATE_READ_NS 20000000ull
/* the same of accept(), behind a burst */
#define EVID_LATE_ACCEPT_NS 50000000ull
/* longer than a context switch and a look into memory or a disk; a person notices ten of them */
#define EVID_LATE_ANSWER_NS 10000000ull
/* a writer that is blocked for longer than that waits for no ACK of an ordinary path */
#define EVID_BLOCKED_NS 50000000ull
/* first timeout of a SYN, and of its answer (RFC 6298, 2.1; TCP_TIMEOUT_INIT) */
#define EVID_SYN_RTO_NS 1000000000ull
/* TCP_DELACK_MIN and TCP_DELACK_MAX, 40 and 200 ms, with room for the clock tick and the path */
#define EVID_DELACK_MIN_US 35000
#define EVID_DELACK_MAX_US 250000
/* a standing queue that anybody notices: four times CoDel's target; and as long as the path */
#define EVID_BLOAT_US 20000

/* One connection's share; failed: it came to nothing. */
void toll_add(struct toll *t, const struct toll_conn *c, uint64_t at_ns, bool failed);
void toll_merge(struct toll *t, const struct toll *from);

/* What of the recording there is. */
enum evid_source {
	EVID_STATE,
	EVID_ACCEPT,
	EVID_ERROR, /* connect_error */
	EVID_RTT,
	EVID_RETRANS,
	EVID_RESET,
	EVID_DROP,
	EVID_COUNTER,
	EVID_LISTEN,
	EVID_RX,
	EVID_TX,
	EVID_IO,
	EVID_CALLS, /* requests and answers: io, or rx and tx */
	EVID_N
};
#define EVID_BIT(source) (1u << (source))

/* Why packets were dropped, as far as causes tell them apart. */
enum drop_class {
	DROP_OTHER,
	DROP_FIREWALL,
	DROP_CHECKSUM,
	DROP_SEQUENCE, /* sequence or acknowledgment number, timestamp, flags, header */
	DROP_QDISC,
	DROP_BUFFER,  /* receive buffer, memory */
	DROP_WINDOW,  /* the receiver's window was closed */
	DROP_BACKLOG, /* of a processor */
	DROP_MTU,
	DROP_ROUTE,  /* no route, no neighbour */
	DROP_ACCEPT, /* accept queue full, where the kernel says so */
	DROP_CLASSES
};

struct drop_tally {
	uint64_t n;
	uint64_t first_ns, last_ns;
	uint32_t n_retried; /* SYNs of a flow that had lost one to the same class before */
	char what[96];	    /* reason and place of the first one */
};

/* Kernel counters by name, over all namespaces: what they moved by while the trace was made. */
#define EVID_COUNTERS(X)                                                                           \
	X(LISTEN_OVERFLOWS, "TcpExt.ListenOverflows")                                              \
	X(LISTEN_DROPS, "TcpExt.ListenDrops")                                                      \
	X(IN_CSUM, "Tcp.InCsumErrors")                                                             \
	X(IN_ERRS, "Tcp.InErrs")                                                                   \
	X(OUT_SEGS, "Tcp.OutSegs")                                                                 \
	X(IN_SEGS, "Tcp.InSegs")                                                                   \
	X(SACK_REORDER, "TcpExt.TCPSACKReorder")                                                   \
	X(RENO_REORDER, "TcpExt.TCPRenoReorder")                                                   \
	X(TS_REORDER, "TcpExt.TCPTSReorder")                                                       \
	X(DSACK, "TcpExt.TCPDSACKRecv")                                                            \
	X(DSACK_OFO, "TcpExt.TCPDSACKOfoRecv")                                                     \
	X(SPURIOUS_RTO, "TcpExt.TCPSpuriousRTOs")                                                  \
	X(OFO_QUEUE, "TcpExt.TCPOFOQueue")                                                         \
	X(WIN_PROBE, "TcpExt.TCPWinProbe")                                                         \
	X(TO_ZERO_WINDOW, "TcpExt.TCPToZeroWindowAdv")                                             \
	X(DELAYED_ACKS, "TcpExt.DelayedACKs")                                                      \
	X(PRUNE, "TcpExt.PruneCalled")                                                             \
	X(RCV_PRUNED, "TcpExt.RcvPruned")                                                          \
	X(OFO_PRUNED, "TcpExt.OfoPruned")                                                          \
	X(BACKLOG_DROP, "TcpExt.TCPBacklogDrop")                                                   \
	X(RCVQ_DROP, "TcpExt.TCPRcvQDrop")                                                         \
	X(PRESSURES, "TcpExt.TCPMemoryPressures")                                                  \
	X(ABORT_MEMORY, "TcpExt.TCPAbortOnMemory")                                                 \
	X(WQUEUE_TOO_BIG, "TcpExt.TCPWqueueTooBig")                                                \
	X(MTUP_FAIL, "TcpExt.TCPMTUPFail")                                                         \
	X(MTUP_SUCCESS, "TcpExt.TCPMTUPSuccess")                                                   \
	X(FRAG_FAILS, "Ip.FragFails")                                                              \
	X(SKIPPED_SEQ, "TcpExt.TCPACKSkippedSeq")                                                  \
	X(SOFTNET_PROCESSED, "softnet.processed")                                                  \
	X(SOFTNET_DROPPED, "softnet.dropped")                                                      \
	X(SOFTNET_SQUEEZED, "softnet.time_squeeze")

enum evid_count {
#define X(id, name) EVC_##id,
	EVID_COUNTERS(X)
#undef X
		EVC_N
};
const char *evidence_counter_name(enum evid_count c);

struct evid_reset { /* resets of one kind */
	uint64_t n;
	uint8_t state;
	bool sent, active, by_process;
	char reason[32]; /* "" the kernel does not tell */
};
#define EVID_RESET_KINDS 16

struct evid_nic { /* a counter of an interface that speaks of drops or errors */
	char name[48];
	uint64_t n;
};
#define EVID_NICS 8

struct evid_listener { /* the one with most overflows */
	struct flow flow;
	bool has_flow;
	uint64_t overflows;	       /* 0: the trace does not tell which it was */
	uint32_t backlog, max_backlog; /* largest seen */
};

struct evidence {
	uint32_t has; /* EVID_BIT of what is recorded */
	uint64_t start_ns, from_ns, last_ns;
	uint64_t n_events, n_lost; /* of the whole trace */
	uint64_t n_seen;	   /* events that were looked at here */
	bool tells_reasons;	   /* why packets are dropped: since Linux 5.17 */
	uint64_t weight; /* of rtt, rx, tx, io one connection in so many is there; 1: all */

	uint64_t n_conns;     /* that the events speak of */
	uint64_t n_connects;  /* of this host, pending ones too */
	uint64_t n_connected; /* of them */
	uint64_t life_ns;     /* of all of them together, in the window */
	uint64_t n_accepts, n_exchanges;
	uint64_t n_data_segs;	     /* sent, of connections whose number is known */
	uint64_t n_resent[RESENT_N]; /* of those in TROUBLE_LOSS */
	uint64_t n_lossy_here;	     /* connections of it whose other end is this host, too */
	uint64_t n_synack_resent;
	uint64_t n_fallbacks[TROUBLE_N]; /* connects that failed, and worked by the other family */
	uint64_t n_rtt;
	uint64_t n_segments[2]; /* with payload: in, out */
	uint64_t n_unaccepted;
	uint64_t n_late_reads; /* of TROUBLE_WINDOW: data that waited while nobody read */
	uint64_t n_shut_out;   /* data that a closed window kept from being sent, also in there */
	uint64_t n_blocked;    /* writers that waited for room, and are in TROUBLE_WINDOW */
	uint64_t n_held_sure;  /* of TROUBLE_NAGLE: bytes are known to have waited */
	uint64_t n_min_rtt, sum_min_rtt_us; /* connections, and of their smallest RTT */
	double bloat_queued_ns;
	uint64_t bloat_min_us, bloat_mean_us, bloat_flight; /* of the worst connection */
	double bloat_relation; /* rank of rise: correlation of RTT and bytes in flight there */
	uint64_t read_longest_ns, shut_longest_ns, blocked_longest_ns, qdisc_longest_ns,
		softirq_longest_ns, answer_longest_ns, accept_longest_ns;
	uint64_t closing_resets; /* of connections that their own client threw away */
	uint64_t timeouts;	 /* established connections that gave up */

	struct toll tolls[TROUBLE_N];
	struct drop_tally drops[DROP_CLASSES];
	uint64_t counters[EVC_N];
	struct evid_reset resets[EVID_RESET_KINDS];
	unsigned n_resets;
	struct evid_nic nics[EVID_NICS];
	unsigned n_nics;
	struct evid_listener listener;
};

/* Sees what the reading joins on its way, for a command that shows it too. */
struct segment;
struct evidence_tap {
	/* Each segment that was chosen; recorded: layers as bits. Where there are rx and tx. */
	void (*segment)(void *ctx, const struct segment *s, uint32_t recorded);
	void *ctx;
};

/* Read the trace. tap may be NULL. 0, or -1 and run->fail. */
int evidence_read_with(struct evidence *e, struct cmd_run *run, const struct evidence_tap *tap);
int evidence_read(struct evidence *e, struct cmd_run *run);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model of a machine whose TCP is recorded. Processors run threads of applications, which use
 * sockets; sockets send packets over paths; every hook that a recorder would have there makes an
 * event. Nothing is read back: what the trace must show (truth.c) comes from the model.
 *
 * Everything follows from the seed, by integers only, so that it is the same on every machine. Time
 * is counted in ticks of the modelled machine's clock (TICK_PS). One thread.
 */
#ifndef GEN_H
#define GEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events.h"
#include "schema.h"
#include "writer.h"

/* ---- time and chance ---- */

#define TICK_PS 10015u
#define TICKS_US 100u /* nearly: where it need not be exact */
#define TICKS_MS (TICKS_US * 1000u)
#define TICKS_S (TICKS_MS * 1000ull)
#define START_TICK (TICKS_S * 850) /* since boot, when recording begins */

/* Where hooks run: what measure.py measures the gaps between. */
enum kind {
	K_NONE,
	K_TX_WRITE,
	K_IO_SEND,
	K_IO_RECV,
	K_RX_COPY,
	K_TX_IP,
	K_TX_OUTPUT,
	K_TX_QDISC,
	K_TX_DRIVER,
	K_TX_SENT,
	K_TX_COMPLETE,
	K_RX_DRIVER,
	K_RX_MAC,
	K_RX_IP,
	K_RX_DELIVER,
	K_RX_TCP,
	K_RX_ESTABLISHED,
	K_RX_QUEUE,
	K_RTT,
	K_TCP_STATE,
	K_TCP_FACTS,
	K_TCP_DESTROY,
	K_DROP,
	K_RETRANSMIT,
	K_SYNACK_RETRANSMIT,
	K_RESET,
	N_KINDS
};

#define GAP_POINTS 16
struct gap {
	uint8_t from, to; /* enum kind */
	uint16_t q[GAP_POINTS + 1];
};

struct stalls {		   /* a processor does something else */
	uint32_t every_us; /* after so long, in the mean */
	uint32_t us[GAP_POINTS + 1];
};

enum profile { P_KEEP, P_REDIS, P_SHORT, P_BULK, P_VETH, N_PROFILES };

enum {
	G_CONN = 1,
	G_RTT = 2,
	G_RETRANS = 4,
	G_RESET = 8,
	G_DROP = 16,
	G_COUNTERS = 32,
	G_LISTEN = 64,
	G_NIC = 128,
	G_RX = 256,
	G_TX = 512,
	G_IO = 1024,
};

/* ---- TCP ---- */

enum {
	ESTABLISHED = 1,
	SYN_SENT,
	SYN_RECV,
	FIN_WAIT1,
	FIN_WAIT2,
	CLOSE = 7,
	CLOSE_WAIT,
	LAST_ACK,
	LISTEN
};
enum { CA_OPEN, CA_DISORDER, CA_CWR, CA_RECOVERY, CA_LOSS };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

enum { WHY_FAST, WHY_RTO, WHY_RTO_RECOVERY, WHY_TLP, N_WHYS };
enum { SEG_SACKED = 1, SEG_LOST = 2, SEG_RETRANS = 4, SEG_FIN = 8, SEG_EVER = 16 };
struct seg { /* sent and not acknowledged, or received and not read */
	struct seg *next;
	uint64_t tick;
	uint32_t seq, end;
	uint16_t flags;
};

struct actor;
struct conn;
struct app;
struct machine;

struct packet {
	struct end *from, *to;
	uint64_t departure_ns, tick; /* tick: when the last hook saw it */
	uint32_t seq, ack, payload, sack_seq, sack_end, window;
	uint16_t segs, flags;
	bool cloned, no_sock;
	bool more; /* another part of what was cut follows */
};

struct end { /* one socket */
	struct ev_sock sock;
	struct conn *conn;
	struct end *peer;
	struct actor *actor;
	bool seen; /* it is in the recorded machine */
	bool tlp;  /* what the timer is set for */
	bool is_server, orphan, fin_came, fin_sent, fin_out, pingpong, dead, time_wait;
	uint8_t state, ca_state, retransmits, shutdown, n_timers, why;
	uint16_t err;
	uint64_t synack_tick;
	uint64_t timer_at; /* tick of the earliest timer that is set */
	uint32_t iss, snd_una, snd_nxt, write_seq, rcv_nxt, copied_seq, rcv_wup, high_seq;
	uint32_t snd_wnd, cwnd, ssthresh, mss, gso_mss;
	uint32_t srtt8, mdev4, mdev_max4, rttvar4; /* us, times 8 and 4 as the kernel keeps them */
	uint32_t rtt_seq, min_rtt, rack_rtt;
	uint32_t told_wnd;    /* window that the peer was told */
	uint64_t unlocked_at; /* tick */
	uint32_t packets_out, sacked_out, lost_out, retrans_out;
	uint32_t delivered, lost, total_retrans;
	uint64_t bytes_sent, bytes_acked, bytes_received, bytes_retrans;
	uint32_t segs_out, segs_in, data_segs_out, data_segs_in;
	struct seg *sent, **sent_tail, *queue, **queue_tail, *ofo;
	uint64_t rto_at, ack_at; /* ticks; 0 not set */
	struct packet waiting;	 /* in its backlog, while a thread has it */
	bool has_waiting;
	/* of the application */
	uint32_t want, have; /* bytes of the message that it waits for, and that came */
	uint32_t to_send;    /* bytes of the answer or request under way */
	uint64_t rest;	     /* bytes of a long answer that are not written yet */
	int64_t budget;	     /* bytes that a client with a limit may read for now */
	bool blocked;	     /* the send buffer is full */
	uint32_t left;	     /* exchanges until it closes */
	uint8_t queued;	     /* bits: W_* that its actor has in its queue */
};

struct conn {
	struct end e[2]; /* who connects, who accepts */
	struct conn *next;
	const struct path *path;
	const struct app *app;
	unsigned n_flying; /* packets that a discipline holds */
};

enum path_kind { PATH_LO, PATH_VETH, PATH_WIRE };
struct path {
	enum path_kind kind;
	uint32_t netns[2], ifindex[2];
	uint32_t mtu;
	uint64_t delay;	   /* ticks each way, in a queueing discipline; 0 none */
	uint32_t loss;	   /* of 65536 */
	uint32_t gso_segs; /* of a packet, at most; 0: as many as fit */
	uint32_t cwnd;	   /* where its congestion window stops to grow */
	struct ev_addr addr[2];
	bool nat; /* the client's address is another one on the wire */
	struct ev_addr nat_addr;
};

/* ---- applications ---- */

enum { W_READ = 1, W_WRITE = 2, W_CONNECT = 4, W_THINK = 8 }; /* W_THINK: a timer runs */
struct work {
	struct end *end;
	uint64_t tick; /* not before */
	uint8_t what;
};

struct actor { /* a thread that waits in epoll */
	struct ev_task task;
	const struct app *app;
	struct ev_sock listener; /* of a server */
	struct actor *server;	 /* of a client: whom it connects to */
	const struct path *path; /* of a client */
	uint32_t n_open;	 /* connections of a client */
	uint32_t cpu;
	bool queued;
	bool stopping;	   /* no more requests */
	struct work *ring; /* what epoll tells it */
	uint32_t first, n, cap;
	struct end **answers; /* of a batch: the last one comes first */
	uint32_t n_answers, n_batch;
};

/* A load: what its client asks for, and what the server does. */
struct app {
	enum profile profile;
	const char *client, *server; /* names of the threads */
	uint16_t port;
	uint32_t n_conns;	/* that the client keeps open */
	uint32_t request;	/* bytes */
	uint32_t answer;	/* bytes */
	uint32_t answer_spread; /* answers differ by up to so many bytes */
	uint32_t exchanges;	/* requests a connection; 0: no end */
	uint32_t pipeline;	/* requests that are sent together */
	bool server_closes;
	bool batch;	   /* the server reads all it can, then answers */
	uint32_t preempts; /* of 256 times that the server is woken, it runs at once */
	uint32_t bytes_ms; /* that the client takes; 0: no limit. The server writes in parts */
	uint32_t think_us; /* between an answer and the next request, in the mean */
	bool exists;	   /* its connections are older than the trace */
	bool aborts;	   /* the client ends with answers unread */
};

/* ---- the machine ---- */

struct timer {
	uint64_t tick, order;
	void (*fire)(struct machine *m, void *arg);
	void *arg;
};

#define MAX_CPUS 2
#define REMOTE MAX_CPUS
#define MAX_RUN 16
struct cpu {
	uint64_t tick, stall_at;
	enum kind last;
	bool in_softirq;
	struct end *owner; /* whose lock the thread holds that runs */
	struct actor *run[MAX_RUN];
	unsigned n_run;
	uint8_t *fifo; /* events that are made but not written: others may be earlier */
	size_t fifo_first, fifo_end, fifo_cap;
	struct packet *backlog; /* ring: received packets that wait for the softirq */
	unsigned backlog_first, backlog_n, backlog_cap;
};

enum {
	OUT_IP,
	OUT_OUTPUT,
	OUT_QDISC,
	OUT_DRIVER,
	IN_DRIVER,
	IN_MAC,
	IN_IP,
	IN_DELIVER,
	IN_TCP,
	IN_ESTABLISHED,
	N_LAYERS
};

#define DIST_EXACT 65536
#define DIST_CELLS (DIST_EXACT + 56 * 256)
struct dist { /* values, counted: exact below DIST_EXACT, else to 0.4 % */
	uint64_t n, sum, min, max;
	uint32_t cells[DIST_CELLS];
};

#define BACKLOG 511
enum { SAMPLE_REGULAR, SAMPLE_FIRST, SAMPLE_LAST };
enum counter {
	C_ACTIVE_OPENS,
	C_PASSIVE_OPENS,
	C_ATTEMPT_FAILS,
	C_ESTAB_RESETS,
	C_CURR_ESTAB,
	C_IN_SEGS,
	C_OUT_SEGS,
	C_RETRANS_SEGS,
	C_OUT_RSTS,
	C_OVERFLOWS,
	C_TIMEOUTS,
	C_LOSS_PROBES,
	C_FAST_RETRANS,
	C_ORIG_DATA,
	C_DELIVERED,
	FIRST_NIC_COUNTER,
	C_RX_BYTES = FIRST_NIC_COUNTER,
	C_RX_PACKETS,
	C_TX_BYTES,
	C_TX_PACKETS,
	N_COUNTERS
};

/* What the trace must show. */
struct truth {
	uint64_t active, active_ok, passive, destroyed, states, packets, exchanges;
	uint64_t sock_bytes_sent, sock_bytes_received, io_sent, io_received;
	uint64_t retrans[N_WHYS], synack_retrans; /* segments */
	uint64_t drop_purge, drop_queue, resets_sent, resets_received;
	struct dist rtt, layer[N_LAYERS];
};

struct options {
	const char *scenario, *out, *truth;
	uint64_t seed, events, chunk;
	uint32_t groups;
	int level;
};

struct arena;

struct machine {
	struct options opts;
	struct tape_writer *writer;
	struct tape_error err;
	bool failed;
	uint64_t random[4];
	uint64_t n_events, next_clock, now; /* now: tick of the timer that fires */
	enum profile profile;
	bool two_cpus; /* client and server run on different processors */
	uint16_t gaps[N_PROFILES][N_KINDS][N_KINDS]; /* 1 + row of the profile's table */
	struct cpu cpus[MAX_CPUS + 1]; /* the last one: other machines, all together */
	struct timer *timers;	       /* heap */
	size_t n_timers, cap_timers;
	uint64_t order, next_cookie;
	struct arena *arena;
	struct conn *free_conns;
	struct seg *free_segs;
	struct delayed *free_delayed;
	uint32_t next_port;
	struct actor actors[MAX_RUN];
	unsigned n_actors;
	const struct path *path; /* between clients and servers */
	uint64_t counts[2][N_COUNTERS], sampled[2][N_COUNTERS], sampled_at;
	struct truth truth;
};

/* ---- core.c: time, chance, processors, what is written ---- */

uint64_t gen_random(struct machine *m);
uint32_t gen_below(struct machine *m, uint32_t n); /* 0 to n - 1 */
uint64_t gen_ns(uint64_t tick);
uint32_t gen_us(uint64_t ticks);
uint64_t gen_last_tick(const struct machine *m); /* of the processor that is farthest */

void gen_init(struct machine *m, int fd);
/* All that is made is written, and the file closed. */
void gen_finish(struct machine *m);
void gen_fini(struct machine *m);
/* Memory that stays until gen_fini; who frees it keeps a list of its own. */
void *gen_alloc(struct machine *m, size_t size);
void gen_die(const char *what) __attribute__((noreturn));

/* The hook of that kind runs on a processor: its clock moves on by a measured gap. */
void gen_at(struct machine *m, struct cpu *c, enum kind kind);
/* An event there and then, zeroed but for its head; NULL: its group is not recorded. */
void *gen_event(struct machine *m, struct cpu *c, uint32_t group, unsigned id, size_t size);
#define EVENT_OF(m, c, group, name) gen_event(m, c, group, EV_##name, sizeof(struct ev_##name))

void gen_timer(struct machine *m, uint64_t tick, void (*fire)(struct machine *, void *), void *arg);
void gen_wake(struct machine *m, struct actor *a, struct end *e, unsigned what, uint64_t tick);
bool gen_step(struct machine *m); /* false: nothing will ever happen again */
void gen_flush(struct machine *m, uint64_t floor_tick);
void dist_add(struct dist *d, uint64_t v);
uint32_t dist_cell(uint64_t v);
uint64_t dist_value(uint32_t cell);

/* ---- tcp_out.c, tcp_in.c: sockets ---- */

/* Behind the hook of tcp_v4_rcv. */
void tcp_process(struct machine *m, struct cpu *c, struct packet *p);
bool tcp_wait(struct machine *m, struct cpu *c, struct end *e, const struct packet *p);
void tcp_lock(struct cpu *c, const struct end *e);
void tcp_unlock(const struct cpu *c, struct end *e);
struct conn *tcp_conn_new(struct machine *m, struct actor *client);
void tcp_exists(struct machine *m, struct end *e); /* established before the trace began */
void tcp_connect(struct machine *m, struct cpu *c, struct end *e);
/* Of a long answer a part, as sendfile() does. False: the send buffer is full. */
bool tcp_send_part(struct machine *m, struct cpu *c, struct end *e);
void tcp_send(struct machine *m, struct cpu *c, struct end *e, uint32_t bytes);
uint32_t tcp_recv(struct machine *m, struct cpu *c, struct end *e, uint32_t room);
void tcp_close(struct machine *m, struct cpu *c, struct end *e);
void tcp_abort(struct machine *m, struct cpu *c, struct end *e); /* by an RST */

uint32_t tcp_rto_us(const struct end *e);
uint32_t tcp_segs(const struct end *e, uint32_t bytes);
uint32_t tcp_in_flight(const struct end *e);
void tcp_output(struct machine *m, struct cpu *c, struct end *e);
void tcp_send_ack(struct machine *m, struct cpu *c, struct end *e, uint32_t sack_seq,
		  uint32_t sack_end);
void tcp_retransmit(struct machine *m, struct cpu *c, struct end *e, struct seg *s, unsigned why);
uint32_t tcp_window(const struct end *e);
void tcp_transmit(struct machine *m, struct cpu *c, struct packet *p);
void tcp_set_timer(struct machine *m, struct end *e, uint64_t tick);
void tcp_synack(struct machine *m, struct cpu *c, struct end *e, bool again);
void tcp_arm(struct machine *m, struct cpu *c, struct end *e);
void tcp_timeout(struct machine *m, struct cpu *c, struct end *e);
void tcp_sample(struct end *e, uint32_t rtt_us);
void tcp_forget(struct machine *m, struct end *e); /* its thread has done with it */
void tcp_done(struct machine *m, struct cpu *c, struct end *e, bool in_task);
void tcp_input(struct machine *m, struct cpu *c, struct packet *p); /* in the softirq */
void net_softirq(struct machine *m, struct cpu *c);
struct seg *seg_new(struct machine *m, uint32_t seq, uint32_t end);
void seg_free(struct machine *m, struct seg *s);

static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* ---- emit.c: events of sockets and packets ---- */

enum { RX_DRIVER = 1, RX_MAC, RX_IP, RX_DELIVER, RX_TCP, RX_BACKLOG, RX_ESTABLISHED, RX_QUEUE };
enum { TX_TCP = 1, TX_IP, TX_OUTPUT, TX_QDISC, TX_DRIVER, TX_SENT, TX_COMPLETE };
enum { DROP_QDISC = 5, DROP_PURGE = 6 }; /* in the numbers of this trace's schema */
enum { RST_SENT = 1, RST_RECEIVED };

void emit_state(struct machine *m, struct cpu *c, struct end *e, unsigned state, bool in_task);
void emit_destroy(struct machine *m, struct cpu *c, struct end *e, bool in_task);
void emit_rtt(struct machine *m, struct cpu *c, struct end *e, const struct packet *p);
void emit_reset(struct machine *m, struct cpu *c, struct end *e, unsigned direction);
void emit_retransmit(struct machine *m, struct cpu *c, struct end *e, const struct seg *s);
void emit_synack_retransmit(struct machine *m, struct cpu *c, struct end *e);
void emit_drop(struct machine *m, struct cpu *c, struct end *e, const struct packet *p,
	       unsigned why);
void emit_tx(struct machine *m, struct cpu *c, struct packet *p, uint32_t departed);
/* The hooks where a network card's driver has it, to send and received. */
void emit_wire_out(struct machine *m, struct cpu *c, struct packet *p);
void emit_wire_in(struct machine *m, struct cpu *c, struct packet *p);
void emit_split(struct machine *m, struct cpu *c, const struct packet *p);
void emit_driver(struct machine *m, struct cpu *c, struct packet *p);
void emit_rx(struct machine *m, struct cpu *c, struct packet *p, const struct ev_sock *sock,
	     uint32_t rcv_nxt);
void emit_established(struct machine *m, struct cpu *c, struct end *e, struct packet *p);
void emit_queue(struct machine *m, struct cpu *c, struct end *e);
void emit_write(struct machine *m, struct cpu *c, struct end *e, uint32_t bytes);
void emit_send(struct machine *m, struct cpu *c, struct end *e, uint32_t bytes);
void emit_recv(struct machine *m, struct cpu *c, struct end *e, uint32_t bytes, unsigned err);
void emit_copy(struct machine *m, struct cpu *c, struct end *e, const struct seg *s,
	       uint32_t bytes);

/* ---- app.c ---- */

void app_step(struct machine *m, struct cpu *c, struct actor *a);
void app_readable(struct machine *m, struct cpu *c, struct end *e);
void app_writable(struct machine *m, struct cpu *c, struct end *e);
void app_connected(struct machine *m, struct cpu *c, struct end *e);
/* Start a load; returns its client. */
struct actor *app_start(struct machine *m, const struct app *app);

/* ---- head.c: what stands before the events ---- */

void head_write(struct machine *m, const char *const *groups, size_t n);

void head_sock(struct machine *m, const struct end *e);	      /* a snap_sock, existing */
void head_listener(struct machine *m, const struct actor *a); /* a snap_sock */

/* ---- samples.c ---- */

void gen_count(struct machine *m, const struct end *e, enum counter counter, int64_t n);
void sample_start(struct machine *m);
void sample_take(struct machine *m, unsigned sample);

/* ---- truth.c ---- */

int truth_write(const struct machine *m, const char *path);

#endif

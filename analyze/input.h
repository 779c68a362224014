/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trace as a command sees it: opened, cut to a time window, reduced to the chosen connections,
 * its events handed over one by one in the order of the file, which is that of time. Damage, loss
 * and a missing end are collected and told once. Times are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef ANA_INPUT_H
#define ANA_INPUT_H

#include "bind.h"
#include "clock.h"
#include "fail.h"
#include "meta.h"
#include "opt.h"
#include "out.h"
#include "reader.h"
#include "select.h"
#include "weights.h"

struct input_opts {
	const char *from, *to;
	struct select_opts select;
	bool whole;	    /* also what a cut trace holds outside its window */
	bool local_ports;   /* find the local ports of starting connects first (files only) */
	unsigned n_workers; /* at most; 0: as many as there are */
};

/*
 * How far outside a window commands look: for what the layers saw of segments that cross its edges,
 * and behind it for the port of a socket, chosen in connect(), which stands in its next event: over
 * two SYNs sent again (RFC 6298). tcptape cut keeps that much too.
 */
#define INPUT_MARGIN_NS 2000000000ull
#define INPUT_LOOK_BEHIND_NS 4000000000ull

extern const struct opt_row input_opt_rows[];
extern const size_t input_n_opt_rows;

struct input;

/* 0 and *ret, or -1 and *fail. path and opts stay the caller's, and must live as long. */
int input_open(struct input **ret, const char *path, const struct input_opts *opts, struct out *out,
	       struct fail *fail);
void input_close(struct input *in); /* NULL allowed */

struct tape_reader *input_reader(struct input *in);
uint64_t input_conn(const struct input *in); /* --conn; 0: not given */
/* Threads that a pass over the trace may use (pass.h): TCPTAPE_WORKERS, or the processors. */
unsigned input_all_workers(void);
unsigned input_workers(const struct input *in);
const struct tape_schema *input_schema(const struct input *in);
bool input_is_pipe(const struct input *in);

/* First and last moment of the window; without --from the start of the trace. */
uint64_t input_from(const struct input *in);
uint64_t input_to(const struct input *in);
uint64_t input_start(const struct input *in); /* of the trace */
/* Whether there is a window at all, and whether only some connections are chosen. */
bool input_has_window(const struct input *in);
bool input_selects(const struct input *in);
/* The name that the trace gives to a TCP state, NULL without one. */
const char *input_state_name(const struct input *in, unsigned state);

double input_seconds(const struct input *in, uint64_t ts_ns);  /* since the start of the trace */
uint64_t input_wall(const struct input *in, uint64_t ts_ns);   /* ns since 1970, 0 unknown */
uint64_t input_mono(const struct input *in, uint64_t wall_ns); /* the other way */
struct clock_text *input_clock_text(struct input *in);	       /* room for clock_text() */

/*
 * 0 if the trace can have what the command needs; else -1, *fail filled with exit status 3 and what
 * tcptape-record would have to be told. record NULL: any of the group.
 */
int input_needs(struct input *in, const char *group, const char *record, struct fail *fail);

/* The same for a field that some recorder did not have. */
int input_needs_field(struct input *in, const char *record, const char *field, struct fail *fail);

/* Whether an event has a hook in this recording, as far as the trace says. */
enum meta_answer input_has_probe(struct input *in, const char *event, const char **why);

/* The hooks that an event had in this recording ("tp_btf:tcp_probe"), NULL if it does not say. */
const char *input_hooks(struct input *in, const char *event);

/* Why an event that was recorded lacks some of its hooks; NULL: it has all. */
const char *input_lost_part(struct input *in, const char *event);
/* The first META line of that key, NULL if there is none. */
const char *input_meta(struct input *in, const char *key);

/*
 * The options by which the recorder chose connections, "-p 17 -f 'port 80'", into buf; cuts at len.
 * false: it took all.
 */
bool input_choice(const struct input *in, char *buf, size_t len);

/*
 * What an event of a group stands for; valid as long as in, and complete up to the chunk in hand.
 * NULL: no trace can tell so many groups.
 */
const struct weight_group *input_weights(struct input *in, const char *group);

/* All of them, from the chunks that have any from where the reader of a file is, up to the end of
 * the window. It is then at the end. */
int input_read_rates(struct input *in, struct fail *fail);
/* From a chunk, where the command reads a pipe itself. */
int input_learn_rates(struct input *in, struct tape_chunk *chunk, struct fail *fail);
const struct weights *input_rates(const struct input *in);

/* It is known already that not all connections of the group are there. */
bool input_is_sampled(struct input *in, const char *group);

struct input_row {
	uint32_t event; /* where it stands among all events */
	uint32_t k : 24, bind : 8;
};

struct input_chunk { /* decoded */
	const struct bind *binds;
	const struct bind_tables *tables;
	const uint64_t *ts_ns; /* of all events, also those of no bind */
	const uint16_t *types;
	const uint32_t *cpus; /* NULL: not recorded, or not wanted */
	uint32_t n_events;
	struct input_row *rows; /* of all binds */
	uint32_t n_rows;
	uint64_t to_ns; /* the latest event's time */
};

struct input_job {
	struct bind *binds;
	unsigned n_binds;
	/*
	 * Instead of row by row, a whole chunk of binds[0], where no row must be left out: it runs
	 * over the columns. NULL: always row by row.
	 */
	int (*on_columns)(void *ctx, const struct bind *bind);
	/*
	 * The rows of the first n_digested binds at once, of chunks in which no row must be left
	 * out and each stands for itself: digest (on any thread; it may only look at the rest)
	 * makes of them what on_digest (in order, before the other rows) takes. Where one of them
	 * says no, they come row by row. A digest is zeroed once, then used for chunk after chunk.
	 * on_digest NULL: they come in order with all others, by their bind's on_digested; digest
	 * may take out rows of which another one tells.
	 */
	unsigned n_digested;
	size_t digest_size;
	bool (*digest)(const void *ctx, struct input_chunk *chunk, void *digest);
	bool (*on_digest)(void *ctx, const struct input_chunk *chunk, void *digest);
	void (*digest_fini)(void *digest);
	/* Behind each chunk: nothing earlier than floor_ns follows. May be NULL. */
	int (*on_chunk)(void *ctx, uint64_t floor_ns);
	bool tcp_only;	/* leave out MPTCP sockets: their subflows are the connections */
	bool uids;	/* sock.uid is wanted */
	bool wants_cpu; /* bind_row.cpu; else it is 0 */
	/*
	 * All rows, whether chosen or not, and of files also those up to margin_ns outside the
	 * window: for commands that join events first, and then ask input_wants about the whole.
	 */
	bool all_rows;
	uint64_t margin_ns;
	/*
	 * Instead of binds: each chunk of which raw_wants (NULL: all) says so, and its tables.
	 * raw_decode (NULL: nothing) runs before on_raw, on some thread: it may decode columns of
	 * the chunk, and change nothing else. 0, or negative: damage, in *err, for the verdict.
	 */
	bool (*raw_wants)(void *ctx, const struct tape_chunk *chunk);
	int (*raw_decode)(const void *ctx, struct tape_chunk *chunk, struct tape_error *err);
	int (*on_raw)(void *ctx, struct tape_chunk *chunk, const struct bind_tables *tables);
	bool raw_packets; /* `tables` has them too */
	void *ctx;
};

/* Read it all. 0, or -1 and *fail; a negative return of a callback stops with *fail as the callback
 * left it. */
int input_run(struct input *in, const struct input_job *job, struct fail *fail);

/*
 * The tables of a chunk, where a command reads the chunks itself; sockets know whether they are
 * chosen. 0; or -1 and *fail; or -1 and fail->status 0: the chunk is damaged, which is remembered.
 */
int input_tables(struct input *in, struct tape_chunk *chunk, struct bind_tables *tables,
		 struct fail *fail);

/* Back to the beginning, for another input_run. Files only. 0, or -1 and *fail. */
int input_rewind(struct input *in, struct fail *fail);

/* The row passes the window and the selection: for on_raw. */
bool input_wants(struct input *in, uint64_t ts_ns, const struct sock *sock,
		 const struct task *task);

/*
 * The same of a row of a job with all_rows: by its socket, or its packet; it is true of a
 * snapshot's, which tell what is so.
 */
bool input_wants_row(struct input *in, const struct bind_row *row);

/*
 * The socket of an event that tells the remote end which was asked for (connect_error): the same
 * with that end, in *room. daddr NULL: sock itself. sock may be NULL.
 */
const struct sock *input_asked(struct input *in, const struct sock *sock, const uint8_t *daddr,
			       uint64_t dport, struct sock *room);

/*
 * Who an event is about, for input_wants, if it tells a packet's own addresses: the socket, or just
 * an end of the wire, in *room. It is chosen if the socket or the packet is.
 */
const struct sock *input_packet(struct input *in, const struct sock *sock, const struct flow *flow,
				struct sock *room);

/* A column could not be decoded: part of the verdict. */
void input_damaged(struct input *in, const struct tape_error *err);

/* The trace holds something of that time: for a command that reads the chunks itself. */
void input_reached(struct input *in, uint64_t ts_ns);

/*
 * The notes on what may bias results that rest on this group, and the verdict: -1 and *fail if the
 * file is damaged.
 */
int input_finish(struct input *in, const char *group, struct fail *fail);

/* Last time that the trace is known to cover: its end, or the last event of one that was not
 * closed. */
uint64_t input_last(const struct input *in);

#endif

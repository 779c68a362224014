/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which connections the user asked for: -f, --conn, --pid, --comm. A connection is chosen as a
 * whole: by its addresses also before its local port is known, and by its owner also where an event
 * has none (softirq). On a file both are found in a first pass; on a pipe they are as known so far.
 * Memory: one entry for each chosen connection of an owner.
 */
#ifndef ANA_SELECT_H
#define ANA_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "bind.h"
#include "fail.h"
#include "map.h"
#include "opt.h"

struct select_opts {
	const char *filter, *conn, *comm;
	struct opt_u32 pid;
};

struct filter;

struct select {
	struct select_opts opts;
	struct filter *filter;
	struct filter *recorded; /* -f of the recorder, if it has guessed local ports */
	uint64_t cookie;	 /* --conn; 0: any */
	bool by_owner;		 /* --pid or --comm */
	struct map owned;	 /* cookies that belong to that owner */
	struct map matched;	 /* cookies of connections whose addresses match */
	/* cookie -> struct flow that we own: sockets whose local port a later chunk tells */
	struct map unbound, bound;
	bool failed; /* no memory */
};

int select_init(struct select *s, const struct select_opts *opts, struct fail *fail);
/*
 * The recorder's -f, where it lets starts of connects through whose local port was not known: those
 * that turned out not to match are left out. One that cannot be taken is none.
 */
void select_recorded(struct select *s, const char *expression);
void select_fini(struct select *s);

/* Whether anything is left out at all. */
bool select_is_active(const struct select *s);

/*
 * First pass: learn from one chunk, of which the tables are loaded. 0 or negative, *err filled.
 * select_first_decode decodes the columns that this takes, on any thread.
 */
int select_first_decode(const struct select *s, const struct tape_schema *schema,
			struct tape_chunk *chunk, struct tape_error *err);
int select_first_pass(struct select *s, const struct tape_schema *schema, struct tape_chunk *chunk,
		      struct bind_tables *tables, struct tape_error *err);

/* Fill in the local ports of sockets and set `selected`, for the tables of a chunk. */
void select_tables(struct select *s, struct bind_tables *tables);

/* Set `selected` of one socket. */
void select_sock(struct select *s, struct sock *sock);

/* The same, where the flow is that of a packet: a SYN's is not its socket's, which listens. */
void select_packet(struct select *s, struct sock *sock);

/* This task has that socket: so far not known to be the chosen owner's, maybe. */
void select_learn(struct select *s, const struct sock *sock, const struct task *task);

/* The socket is gone: on a pipe, forget what was remembered of it. */
void select_forget(struct select *s, const struct sock *sock);

/* Whether to show an event; both may be NULL. */
bool select_has(const struct select *s, const struct sock *sock, const struct task *task);

#endif

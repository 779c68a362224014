/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connections that live at the moment that is being read: who they are, in which state since
 * when, who owns them. Keyed by socket cookie, since addresses are used again. Memory follows the
 * number of live connections: an entry is freed when its socket is destroyed, and closed ones are
 * swept out where a trace does not tell that.
 */
#ifndef ANA_CONN_H
#define ANA_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "bind.h"
#include "map.h"

/* include/net/tcp_states.h; what a trace holds may be another number. */
enum tcp_state {
	TCP_S_UNKNOWN = 0,
	TCP_S_ESTABLISHED = 1,
	TCP_S_SYN_SENT = 2,
	TCP_S_SYN_RECV = 3,
	TCP_S_FIN_WAIT1 = 4,
	TCP_S_FIN_WAIT2 = 5,
	TCP_S_TIME_WAIT = 6,
	TCP_S_CLOSE = 7,
	TCP_S_CLOSE_WAIT = 8,
	TCP_S_LAST_ACK = 9,
	TCP_S_LISTEN = 10,
	TCP_S_CLOSING = 11,
	TCP_S_NEW_SYN_RECV = 12,
};

/* How the owner of a connection is known; the better, the higher. */
enum conn_owner {
	OWNER_UNKNOWN,
	OWNER_SNAPSHOT, /* had it open when the snapshot was taken, the first of several maybe */
	OWNER_SEEN,	/* an event of it happened in the owner's context */
	OWNER_MADE,	/* connected, or accepted it */
};

struct conn {
	uint64_t cookie;
	struct flow flow; /* with the local port as soon as it is known */
	uint32_t netns;
	uint32_t uid; /* of who created the socket */
	bool has_flow, has_owner, has_uid;
	enum conn_owner owner_from;
	uint64_t cgroup; /* of the owner; 0 not recorded */
	uint32_t pid;	 /* of the owner: who connected, accepted, or had it open in a snapshot */
	char comm[EV_COMM_LEN + 1];

	unsigned state;	     /* TCP_S_UNKNOWN: not known */
	uint64_t state_ns;   /* since when; 0 not known: older than the trace */
	uint64_t born_ns;    /* of this connection: SYN sent, or SYN received; 0 not known */
	uint64_t known_ns;   /* it existed by then at the latest */
	uint64_t connect_ns; /* a connect() of this host is under way since; 0 none */
	bool active;	     /* this host connected */
	bool was_established, listens;
	bool unbound; /* it connected without a port of its own: the kernel chooses one each time */
	uint16_t old_lport; /* of the connect before this one; 0 none */
	unsigned marks;	    /* for the command */
	unsigned reason;    /* for the command */
	uint16_t err, soft_err;
	uint32_t retransmits;
};

struct conn_table {
	struct map map;
	size_t n_closed, sweep_at; /* closed sockets, and how many of them are too many */
	unsigned held_marks;	   /* an entry with one of them holds what is not printed yet */
	bool failed;		   /* no memory; the caller asks at the end */
};

void conn_table_fini(struct conn_table *t);

/* The connection of a socket, made if need be; NULL if its cookie is not known. */
struct conn *conn_get(struct conn_table *t, const struct sock *s);
struct conn *conn_find(const struct conn_table *t, const struct sock *s); /* NULL: not there */
void conn_drop(struct conn_table *t, struct conn *c);

/* This task has it. The first one known stays, unless `sure` (it connected or accepted). */
void conn_own(struct conn *c, const struct task *task, bool sure);

/* "snapshot", "seen", "owner": the last one connected or accepted. NULL: it has none. */
const char *conn_owner_name(const struct conn *c);

/* The owner as a task, in *room; NULL: not known. Which thread it was is not told: tid 0. */
const struct task *conn_task(const struct conn *c, struct task *room);

/*
 * Those that `wanted` says yes to, oldest first (by the first SYN, else by when they were first
 * known), then NULL. The caller frees the array, not what it points to; NULL: no memory.
 */
const struct conn **conn_sorted(const struct conn_table *t, bool (*wanted)(const struct conn *c));

/* ---- state changes ---- */

/* The fields of tcp_state, in the order of conn_state_fields. */
enum { ST_SOCK, ST_TASK, ST_OLD, ST_NEW, ST_RETRANSMITS, ST_ERR, ST_SOFT_ERR, ST_N };
extern const struct bind_field conn_state_fields[ST_N];

/* The fields of snap_sock. */
enum { SNAP_SOCK, SNAP_TASK, SNAP_STATE, SNAP_N };
extern const struct bind_field conn_snap_fields[SNAP_N];

struct conn_change {
	struct conn *conn; /* NULL: cookie not known */
	uint64_t ts_ns;
	unsigned old_state, new_state;
	uint64_t since_ns; /* entered the old state; 0 not known */
	uint32_t retransmits;
	uint16_t err, soft_err;
	bool has_err, has_retransmits, in_task;
	/* of a connect that starts: what apply gives to conn, which has the attempt before till
	 * then */
	const struct sock *sock;
	const struct task *task;
};

/*
 * Take a tcp_state row: first what it is, as things stood before; then, when the command has
 * looked, conn_change_apply, while the row is there.
 */
void conn_change_take(struct conn_table *t, const struct bind_row *row, struct conn_change *ret);
void conn_change_apply(struct conn_table *t, const struct conn_change *ch);

/*
 * Whether connect() itself gave up, on a socket that had connected before: its local port is still
 * that of the connect before (inet_sport stays until the kernel has chosen another). s: of the row.
 */
bool conn_undid_connect(const struct conn_change *ch, const struct sock *s);

/* Take a snap_sock row; of a stale one only the owner. */
struct conn *conn_take_snapshot(struct conn_table *t, const struct bind_row *row);

/*
 * Binds that keep a table up to date, for commands that ask only who a connection is and whose. The
 * ctx of the job must point to the table (or to a struct that begins with it).
 */
enum { CONN_TRACK_STATE, CONN_TRACK_ACCEPT, CONN_TRACK_SNAPSHOT, CONN_TRACK_DESTROY, CONN_TRACK_N };
void conn_track(struct bind ret[CONN_TRACK_N]);

bool conn_state_is_open(unsigned state); /* of a connection that can still move data, or ends */

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
#include "conn.h"

#include <stdlib.h>
#include <string.h>

#define SWEEP_AT 4096

const struct bind_field conn_state_fields[ST_N] = {
	[ST_SOCK] = {"sock", BIND_SOCK},
	[ST_TASK] = {"task", BIND_TASK},
	[ST_OLD] = {"old_state", BIND_INT},
	[ST_NEW] = {"new_state", BIND_INT},
	[ST_RETRANSMITS] = {"retransmits", BIND_INT},
	[ST_ERR] = {"err", BIND_INT},
	[ST_SOFT_ERR] = {"soft_err", BIND_INT},
};

const struct bind_field conn_snap_fields[SNAP_N] = {
	[SNAP_SOCK] = {"sock", BIND_SOCK},
	[SNAP_TASK] = {"task", BIND_TASK},
	[SNAP_STATE] = {"state", BIND_INT},
};

void conn_table_fini(struct conn_table *t)
{
	for (size_t i = 0; i < t->map.cap; i++)
		free(t->map.slots[i].value);
	map_fini(&t->map);
}

struct conn *conn_find(const struct conn_table *t, const struct sock *s)
{
	return s && s->cookie ? map_get(&t->map, s->cookie) : NULL;
}

struct conn *conn_get(struct conn_table *t, const struct sock *s)
{
	struct conn *c = conn_find(t, s);

	if (!s || !s->cookie)
		return NULL;
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c || map_put(&t->map, s->cookie, c)) {
			free(c);
			t->failed = true;
			return NULL;
		}
		c->cookie = s->cookie;
	}
	/* before bind() the local port is missing, after tcp_disconnect the remote end */
	if (s->has_flow && (!c->has_flow || !c->flow.rport || (s->flow.lport && s->flow.rport))) {
		c->flow = s->flow;
		c->has_flow = true;
	}
	c->netns = s->netns ? s->netns : c->netns;
	if (s->has_uid) {
		c->uid = s->uid;
		c->has_uid = true;
	}
	return c;
}

static bool port_is_stale(const struct conn *c, const struct sock *s)
{
	return c->unbound && c->old_lport && s && s->has_flow && s->flow.lport == c->old_lport;
}

bool conn_undid_connect(const struct conn_change *ch, const struct sock *s)
{
	return ch->conn && ch->old_state == TCP_S_SYN_SENT && ch->new_state == TCP_S_CLOSE &&
	       ch->in_task && !ch->err && port_is_stale(ch->conn, s);
}

void conn_drop(struct conn_table *t, struct conn *c)
{
	if (!c)
		return;
	if (c->state == TCP_S_CLOSE && t->n_closed)
		t->n_closed--;
	map_del(&t->map, c->cookie);
	free(c);
}

/* A work queue holds a socket's lock for somebody else (MPTCP's subflows). */
static bool is_kworker(const struct task *task)
{
	return !strncmp(task->comm, "kworker/", 8);
}

void conn_own(struct conn *c, const struct task *task, bool sure)
{
	if (!c || !task || !task->pid || (c->has_owner && !sure) || is_kworker(task))
		return;
	c->has_owner = true;
	c->owner_from = sure ? OWNER_MADE : OWNER_SEEN;
	c->pid = task->pid;
	c->cgroup = task->cgroup;
	memcpy(c->comm, task->comm, sizeof(c->comm));
}

const char *conn_owner_name(const struct conn *c)
{
	static const char *const names[] = {
		[OWNER_SNAPSHOT] = "snapshot", [OWNER_SEEN] = "seen", [OWNER_MADE] = "owner"};

	return c && c->has_owner ? names[c->owner_from] : NULL;
}

const struct task *conn_task(const struct conn *c, struct task *room)
{
	if (!c || !c->has_owner)
		return NULL;
	*room = (struct task){.pid = c->pid, .cgroup = c->cgroup};
	memcpy(room->comm, c->comm, sizeof(room->comm));
	return room;
}

static uint64_t began(const struct conn *c)
{
	return c->born_ns ? c->born_ns : c->known_ns;
}

static int by_age(const void *a, const void *b)
{
	const struct conn *x = *(const struct conn *const *)a, *y = *(const struct conn *const *)b;

	if (began(x) != began(y))
		return began(x) < began(y) ? -1 : 1;
	return x->cookie < y->cookie ? -1 : x->cookie > y->cookie;
}

const struct conn **conn_sorted(const struct conn_table *t, bool (*wanted)(const struct conn *c))
{
	const struct conn **ret = calloc(t->map.n + 1, sizeof(*ret));
	size_t n = 0;

	if (!ret)
		return NULL;
	for (size_t i = 0; i < t->map.cap; i++) {
		const struct conn *c = t->map.slots[i].value;

		if (c && wanted(c))
			ret[n++] = c;
	}
	qsort(ret, n, sizeof(*ret), by_age);
	return ret;
}

/* ---- state changes ---- */

/*
 * A child is a copy of its listener, and not all recorders can tell them apart; an accepted MPTCP
 * socket even goes from LISTEN to ESTABLISHED, and through all later states, with its listener's
 * cookie.
 */
static bool is_of_child(const struct conn *c, const struct conn_change *ch)
{
	if (ch->old_state == TCP_S_LISTEN && ch->new_state == TCP_S_ESTABLISHED)
		return true;
	if (!c || !c->listens)
		return false;
	if (ch->old_state == TCP_S_LISTEN)
		return ch->new_state != TCP_S_CLOSE && ch->new_state != TCP_S_LISTEN;
	return ch->new_state != TCP_S_LISTEN;
}

void conn_change_take(struct conn_table *t, const struct bind_row *row, struct conn_change *ret)
{
	struct conn *c;

	*ret = (struct conn_change){
		.ts_ns = row->ts_ns,
		.old_state = (unsigned)bind_get(row, ST_OLD, TCP_S_UNKNOWN),
		.new_state = (unsigned)bind_get(row, ST_NEW, TCP_S_UNKNOWN),
		.retransmits = (uint32_t)bind_get(row, ST_RETRANSMITS, 0),
		.err = (uint16_t)bind_get(row, ST_ERR, 0),
		.soft_err = (uint16_t)bind_get(row, ST_SOFT_ERR, 0),
		.has_err = bind_has(row, ST_ERR),
		.has_retransmits = bind_has(row, ST_RETRANSMITS),
		.in_task = row->task != NULL,
	};
	c = conn_find(t, row->sock);
	if (is_of_child(c, ret))
		return;
	if (c && ret->new_state == TCP_S_SYN_SENT) { /* the command may still tell the one before */
		ret->sock = row->sock;
		ret->task = row->task;
	} else {
		c = conn_get(t, row->sock);
		conn_own(c, row->task, ret->new_state == TCP_S_SYN_SENT);
		if (c && ret->new_state == TCP_S_SYN_SENT)
			c->unbound = row->sock->filled || !row->sock->flow.lport;
	}
	ret->conn = c;
	if (conn_undid_connect(ret, row->sock))
		c->flow.lport = 0;
	if (c && c->state == ret->old_state)
		ret->since_ns = c->state_ns;
}

/* The socket is used again: from now on it is about that connect. */
static void begin_again(struct conn *c, const struct conn_change *ch)
{
	const struct sock *s = ch->sock;

	conn_own(c, ch->task, true);
	if (!s || !s->has_flow)
		return;
	if (c->state_ns && c->has_flow && c->flow.lport) /* not out of a snapshot */
		c->old_lport = c->flow.lport;
	c->unbound |= s->filled || !s->flow.lport;
	c->flow = s->flow;
	c->has_flow = true;
	if (port_is_stale(c, s))
		c->flow.lport = 0;
}

static void begin(struct conn *c, const struct conn_change *ch)
{
	c->born_ns = ch->ts_ns;
	c->known_ns = ch->ts_ns;
	c->was_established = false;
	c->marks = c->reason = 0;
	c->err = c->soft_err = 0;
}

static bool is_sweepable(const struct conn_table *t, const struct conn *c)
{
	return c->state == TCP_S_CLOSE && !(c->marks & t->held_marks);
}

/*
 * Sockets that were closed but not destroyed: many if the trace has no tcp_destroy, or where
 * programs do not close what has ended. Those that hold something stay.
 */
static void sweep(struct conn_table *t)
{
	struct map keep = {0};
	size_t n_kept = 0;

	if (t->n_closed < SWEEP_AT || t->n_closed < t->sweep_at || t->n_closed <= t->map.n / 2)
		return;
	for (size_t i = 0; i < t->map.cap; i++) {
		struct conn *c = t->map.slots[i].value;

		if (c && !is_sweepable(t, c) && map_put(&keep, c->cookie, c)) {
			map_fini(&keep); /* no memory: they stay */
			return;
		}
	}
	for (size_t i = 0; i < t->map.cap; i++) {
		struct conn *c = t->map.slots[i].value;

		if (c && is_sweepable(t, c))
			free(c);
		else if (c)
			n_kept += c->state == TCP_S_CLOSE;
	}
	map_fini(&t->map);
	t->map = keep;
	t->n_closed = n_kept;
	t->sweep_at = 2 * n_kept; /* so that the work stays linear */
}

void conn_change_apply(struct conn_table *t, const struct conn_change *ch)
{
	struct conn *c = ch->conn;

	if (!c)
		return;
	if (ch->new_state == TCP_S_SYN_SENT) {
		begin_again(c, ch);
		begin(c, ch);
		c->connect_ns = ch->ts_ns;
		c->active = true;
	} else if (ch->new_state == TCP_S_SYN_RECV && ch->old_state == TCP_S_LISTEN) {
		begin(c, ch);
	} else if (ch->old_state == TCP_S_SYN_RECV && !c->known_ns) {
		begin(c, ch);
	}
	if (ch->new_state == TCP_S_ESTABLISHED)
		c->was_established = true;
	if (ch->new_state == TCP_S_ESTABLISHED || ch->new_state == TCP_S_CLOSE)
		c->connect_ns = 0;
	c->listens = ch->new_state == TCP_S_LISTEN;
	if (!c->known_ns)
		c->known_ns = ch->ts_ns;
	if (c->state == TCP_S_CLOSE && t->n_closed)
		t->n_closed--;
	t->n_closed += ch->new_state == TCP_S_CLOSE;
	c->state = ch->new_state;
	c->state_ns = ch->ts_ns;
	sweep(t);
}

struct conn *conn_take_snapshot(struct conn_table *t, const struct bind_row *row)
{
	struct conn *c = conn_get(t, row->sock);
	bool had_owner = c && c->has_owner;

	if (!c)
		return NULL;
	conn_own(c, row->task, false);
	if (!had_owner && c->has_owner)
		c->owner_from = OWNER_SNAPSHOT;
	if (row->stale)
		return c;
	if (c->state == TCP_S_UNKNOWN) {
		c->state = (unsigned)bind_get(row, SNAP_STATE, TCP_S_UNKNOWN);
		c->was_established = conn_state_is_open(c->state) && c->state != TCP_S_SYN_SENT &&
				     c->state != TCP_S_SYN_RECV;
		c->listens = c->state == TCP_S_LISTEN;
		t->n_closed += c->state == TCP_S_CLOSE;
	}
	if (!c->known_ns)
		c->known_ns = row->ts_ns;
	return c;
}

/* ---- tracking ---- */

static int track_state(void *ctx, const struct bind_row *row)
{
	struct conn_change ch;

	conn_change_take(ctx, row, &ch);
	conn_change_apply(ctx, &ch);
	return 0;
}

static int track_accept(void *ctx, const struct bind_row *row)
{
	struct conn *c = conn_get(ctx, row->sock);

	if (c)
		conn_own(c, row->task, true);
	return 0;
}

static int track_snapshot(void *ctx, const struct bind_row *row)
{
	conn_take_snapshot(ctx, row);
	return 0;
}

static int track_destroy(void *ctx, const struct bind_row *row)
{
	struct conn *c = conn_find(ctx, row->sock);

	if (c)
		conn_drop(ctx, c);
	return 0;
}

void conn_track(struct bind ret[CONN_TRACK_N])
{
	static const struct bind_field whose[] = {{"sock", BIND_SOCK}, {"task", BIND_TASK}};

	ret[CONN_TRACK_STATE] = (struct bind){.record = "tcp_state",
					      .fields = conn_state_fields,
					      .n_fields = ST_N,
					      .on = track_state};
	ret[CONN_TRACK_ACCEPT] = (struct bind){
		.record = "tcp_accept", .fields = whose, .n_fields = 2, .on = track_accept};
	ret[CONN_TRACK_SNAPSHOT] = (struct bind){.record = "snap_sock",
						 .fields = conn_snap_fields,
						 .n_fields = SNAP_N,
						 .on = track_snapshot};
	ret[CONN_TRACK_DESTROY] = (struct bind){
		.record = "tcp_destroy", .fields = whose, .n_fields = 2, .on = track_destroy};
}

bool conn_state_is_open(unsigned state)
{
	return state >= TCP_S_ESTABLISHED && state <= TCP_S_CLOSING && state != TCP_S_CLOSE &&
	       state != TCP_S_LISTEN && state != TCP_S_TIME_WAIT;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "turn.h"

#include <stdlib.h>
#include <string.h>

enum phase { IDLE, REQUEST, ANSWER };

struct turn {
	struct turn *prev, *next; /* by touched_ns */
	uint64_t touched_ns;
	enum phase phase;
	struct exchange x;
	bool has_gap, overlaps; /* of x */
	uint64_t begun_ns;	/* of a call that sends; 0: none is under way */
	bool moved[2], knows_seq[2], knows_ack;
	uint32_t seq[2], ack_seq, unread;
	unsigned n_since_ack; /* requests that began since the last acknowledgment */
};

void turns_init(struct turns *t, const struct turns_opts *opts)
{
	*t = (struct turns){.opts = *opts};
	if (!t->opts.max_open)
		t->opts.max_open = TURNS_OPEN;
}

/* ---- connections, by when they moved something ---- */

static void leave(struct turns *t, struct turn *c)
{
	*(c->prev ? &c->prev->next : &t->oldest) = c->next;
	*(c->next ? &c->next->prev : &t->newest) = c->prev;
}

static void enter(struct turns *t, struct turn *c)
{
	c->prev = t->newest;
	c->next = NULL;
	*(t->newest ? &t->newest->next : &t->oldest) = c;
	t->newest = c;
}

static void touch(struct turns *t, struct turn *c, uint64_t ts_ns)
{
	c->touched_ns = ts_ns;
	if (c == t->newest)
		return;
	leave(t, c);
	enter(t, c);
}

void turns_fini(struct turns *t)
{
	for (size_t i = 0; i < t->map.cap; i++)
		free(t->map.slots[i].value);
	map_fini(&t->map);
}

/* ---- exchanges ---- */

/* What is known of it by now is all. */
static void finish(struct turns *t, struct turn *c, uint64_t ts_ns)
{
	if (c->phase != IDLE && c->has_gap)
		t->stats.n_gaps++;
	else if (c->phase == ANSWER && c->overlaps)
		t->stats.n_overlaps++;
	else if (c->phase == REQUEST)
		t->stats.n_unanswered++;
	else if (c->phase == ANSWER) {
		t->stats.n_exchanges++;
		t->opts.on(t->opts.ctx, &c->x, ts_ns);
	}
	c->phase = IDLE;
	c->has_gap = c->overlaps = false;
}

static void end(struct turns *t, struct turn *c, uint64_t ts_ns)
{
	if (c->moved[STREAM_TX] != c->moved[STREAM_RX])
		t->stats.n_one_way++;
	else
		finish(t, c, ts_ns);
	leave(t, c);
	map_del(&t->map, c->x.sock.cookie);
	free(c);
}

static struct turn *begin(struct turns *t, const struct sock *sock, uint64_t ts_ns)
{
	struct turn *c;

	if (t->map.n >= t->opts.max_open) {
		t->stats.n_cut++;
		end(t, t->oldest, ts_ns);
	}
	c = calloc(1, sizeof(*c));
	if (!c || map_put(&t->map, sock->cookie, c)) {
		free(c);
		t->failed = true;
		return NULL;
	}
	c->x.sock = *sock;
	c->x.role = t->opts.role(t->opts.ctx, sock);
	t->stats.n_without_role += c->x.role == TURN_UNKNOWN;
	enter(t, c);
	return c;
}

/* RFC 9293, 3.4: modulo 2^32. */
static bool is_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* Bytes that no event before told of; whether some before them are missing. */
static uint64_t new_bytes(struct turn *c, const struct turn_event *e, bool *ret_gap)
{
	uint32_t before = c->seq[e->direction], n = (uint32_t)e->bytes;
	unsigned fin = e->direction == STREAM_RX; /* may be read with the last bytes */

	*ret_gap = false;
	if (c->knows_seq[e->direction]) {
		*ret_gap = is_before(before + fin, e->end_seq - n);
		if (!is_before(before, e->end_seq))
			return 0; /* looked at again, or a write that was tried again */
		if (!*ret_gap && e->end_seq - before < n)
			n = e->end_seq - before;
	}
	c->knows_seq[e->direction] = true;
	c->seq[e->direction] = e->end_seq;
	return n;
}

/*
 * The peer did not have all that was sent when it sent what is there now. Each request and each
 * answer brings an acknowledgment: where there was none for longer, they are not recorded.
 */
static bool is_unacked(const struct turn *c)
{
	return c->knows_ack && c->n_since_ack <= 1 && c->knows_seq[STREAM_TX] &&
	       is_before(c->ack_seq, c->seq[STREAM_TX]);
}

static void take_task(struct exchange *x, const struct turn_event *e)
{
	if (e->task && e->direction == STREAM_TX)
		x->task = *e->task;
}

/* Events that came late to the recorder stand behind their time. */
static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void take_request(struct turns *t, struct turn *c, const struct turn_event *e, uint64_t n,
			 bool has_gap, bool had_unacked)
{
	struct exchange *x = &c->x;

	if (c->phase != REQUEST) {
		finish(t, c, e->ts_ns);
		c->phase = REQUEST;
		c->has_gap = has_gap;
		/* what a client sends next carries the acknowledgment of the whole answer */
		c->overlaps = x->role == TURN_SERVER && had_unacked;
		c->n_since_ack++;
		x->sock = *e->sock;
		x->task = (struct task){0};
		x->request_bytes = x->answer_bytes = 0;
		x->request_first_ns = e->ts_ns;
		if (x->role == TURN_CLIENT && c->begun_ns)
			x->request_first_ns = c->begun_ns;
	}
	take_task(x, e);
	x->request_bytes += n;
	x->request_last_ns = later(x->request_first_ns, e->ts_ns);
	c->unread = e->unread;
}

static void take_answer(struct turn *c, const struct turn_event *e, uint64_t n, bool had_unacked)
{
	struct exchange *x = &c->x;

	if (c->phase == IDLE)
		return; /* nobody asked: a greeting, or what is pushed */
	if (c->phase == REQUEST) {
		c->phase = ANSWER;
		x->answer_first_ns = e->ts_ns;
		if (x->role == TURN_SERVER) {
			take_task(x, e);
			if (c->begun_ns > x->request_last_ns)
				x->answer_first_ns = c->begun_ns;
			c->overlaps |= c->unread > 0;
		} else {
			/* what answers a request acknowledges it */
			c->overlaps |= had_unacked;
		}
		x->answer_first_ns = later(x->request_last_ns, x->answer_first_ns);
	}
	x->answer_bytes += n;
	x->answer_last_ns = later(x->answer_first_ns, e->ts_ns);
}

/* ---- events ---- */

void turns_data(struct turns *t, const struct turn_event *e)
{
	bool had_unacked, has_gap;
	struct turn *c;
	uint64_t n;

	if (!e->sock || !e->sock->cookie || !e->bytes || e->bytes >= 1u << 31)
		return;
	c = map_get(&t->map, e->sock->cookie);
	if (c && memcmp(&c->x.sock.flow, &e->sock->flow, sizeof(c->x.sock.flow))) {
		end(t, c, e->ts_ns); /* the socket has connected again */
		c = NULL;
	}
	if (!c)
		c = begin(t, e->sock, e->ts_ns);
	if (!c)
		return;
	had_unacked = is_unacked(c);
	n = new_bytes(c, e, &has_gap);
	c->has_gap |= has_gap;
	if (n && c->x.role != TURN_UNKNOWN) {
		touch(t, c, e->ts_ns);
		c->moved[e->direction] = true;
		if ((e->direction == STREAM_RX) == (c->x.role == TURN_SERVER))
			take_request(t, c, e, n, has_gap, had_unacked);
		else
			take_answer(c, e, n, had_unacked);
	}
	if (e->direction == STREAM_TX)
		c->begun_ns = 0;
}

static struct turn *find(const struct turns *t, const struct sock *sock)
{
	return sock && sock->cookie ? map_get(&t->map, sock->cookie) : NULL;
}

void turns_begin(struct turns *t, const struct sock *sock, uint64_t ts_ns)
{
	struct turn *c = find(t, sock);

	if (c && !c->begun_ns)
		c->begun_ns = ts_ns;
}

void turns_ack(struct turns *t, const struct sock *sock, uint32_t ack_seq)
{
	struct turn *c = find(t, sock);

	if (!c || (c->knows_ack && is_before(ack_seq, c->ack_seq)))
		return;
	c->knows_ack = true;
	c->n_since_ack = 0;
	c->ack_seq = ack_seq;
}

void turns_gone(struct turns *t, const struct sock *sock, uint64_t ts_ns)
{
	struct turn *c = find(t, sock);

	if (c)
		end(t, c, ts_ns);
}

void turns_pass(struct turns *t, uint64_t floor_ns)
{
	uint64_t patience = t->opts.patience_ns;

	if (!patience)
		return;
	for (struct turn *c = t->oldest; c && floor_ns > c->touched_ns + patience; c = c->next)
		if (c->phase == ANSWER)
			finish(t, c, floor_ns);
}

void turns_end(struct turns *t, uint64_t ts_ns)
{
	while (t->oldest)
		end(t, t->oldest, ts_ns);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "recording_collect.h"

#include <stdlib.h>
#include <xxhash.h>

#include "delay.h"
#include "outcome.h"
#include "per_sock.h"
#include "segment_read.h"
#include "turn_rows.h"

#define BIT(metric) (1ull << (metric))
_Static_assert(METRIC_N <= 64, "bits of struct link");
#define SEGMENTS_COME_NS 2000000000ull /* behind the end of their socket: segment.c's patience */

/* What is remembered of a connection while it lives. */
struct link {
	struct link *next; /* of those that are gone */
	uint64_t key, gone_ns;
	uint64_t counted; /* bits: metrics that have it among their connections */
	uint64_t established_ns;
	uint32_t first_delivered, last_delivered, min_rtt_us, resent;
	unsigned part;
	bool born, has_delivered;
	struct recording_group *group;
};

struct collect {
	struct segment_read segs; /* first: its binds, and those of by.h, find it */
	struct turns turns;
	struct recording *r;
	struct cmd_run *run;
	struct map links;
	struct per_sock of_sock;	/* struct link */
	struct link *gone, **last_gone; /* sockets that ended; segments may still come */
	bool has_turns, all_rows, failed;
	/* what they did before */
	int (*on_state)(void *ctx, const struct bind_row *row);
	int (*on_accept)(void *ctx, const struct bind_row *row);
	int (*on_destroy)(void *ctx, const struct bind_row *row);
	int (*on_write)(void *ctx, const struct bind_row *row);
};

/* ---- connections ---- */

static uint64_t key_of(const struct sock *s)
{
	return s->cookie ? s->cookie : map_hash(&s->flow, sizeof(s->flow));
}

/* The same in each run of the program. */
static unsigned part_of(const struct sock *s)
{
	return (s->cookie ? XXH3_64bits(&s->cookie, sizeof(s->cookie))
			  : XXH3_64bits(&s->flow, sizeof(s->flow))) %
	       METRIC_PARTS;
}

static struct recording_group *group_of(struct collect *c, const struct sock *s)
{
	struct by_groups *groups = &c->r->groups;
	struct by_event e = {.sock = s};
	struct task room;

	if (by_needs_conns(groups->key))
		e.task = conn_task(conn_find(&c->segs.who.conns, s), &room);
	return by_groups_get(groups, &c->segs.who, &e);
}

static struct link *make_link(struct collect *c, const struct sock *s)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l || map_put(&c->links, key_of(s), l)) {
		free(l);
		c->failed = true;
		return NULL;
	}
	l->key = key_of(s);
	l->part = part_of(s);
	l->min_rtt_us = UINT32_MAX;
	return l;
}

/* Addresses alone may be another connection's by now. */
static bool is_over(const struct link *l, const struct sock *s)
{
	return l->gone_ns && !s->cookie;
}

/* NULL: no memory, or of a group too many. */
static struct link *link_of(struct collect *c, const struct sock *s, struct link *known)
{
	struct link *l = known ? known : map_get(&c->links, key_of(s));

	if (!l || is_over(l, s))
		l = make_link(c, s);
	if (!l)
		return NULL;
	if (!l->group || by_needs_conns(c->r->groups.key)) /* the owner may be known by now */
		l->group = group_of(c, s);
	return l->group ? l : NULL;
}

/* NULL also: not chosen, or of no socket. */
static struct link *link_at(struct collect *c, const struct bind_row *row)
{
	struct link *l;
	void **place;

	if (!row->sock || (c->all_rows && !input_wants_row(c->run->in, row)))
		return NULL;
	place = per_sock_at(&c->of_sock, row);
	l = link_of(c, row->sock, place ? *place : NULL);
	if (place)
		*place = l;
	return l;
}

static void end_link(struct collect *c, struct link *l, uint64_t ts_ns)
{
	if (l->gone_ns)
		return;
	l->gone_ns = ts_ns;
	*c->last_gone = l;
	c->last_gone = &l->next;
}

/* Behind a chunk: nothing before floor_ns follows. */
static void sweep(struct collect *c, uint64_t floor_ns)
{
	uint64_t wait = c->all_rows ? SEGMENTS_COME_NS : 0;

	per_sock_clear(&c->of_sock);
	while (c->gone && floor_ns >= c->gone->gone_ns + wait) {
		struct link *l = c->gone;

		c->gone = l->next;
		if (map_get(&c->links, l->key) == l)
			map_del(&c->links, l->key);
		free(l);
	}
	if (!c->gone)
		c->last_gone = &c->gone;
}

static void count_conn(struct link *l, struct recording_group *g, enum metric_id id)
{
	g->metrics[id].n_conns += !(l->counted & BIT(id));
	l->counted |= BIT(id);
}

static void add_time(struct collect *c, struct link *l, enum metric_id id, uint64_t v)
{
	count_conn(l, l->group, id);
	c->failed |= metric_add(&l->group->metrics[id], l->part, v) < 0;
}

static void add_rate(struct link *l, enum metric_id id, double num, double den)
{
	count_conn(l, l->group, id);
	l->group->metrics[id].num[l->part] += num;
	l->group->metrics[id].den[l->part] += den;
}

/* ---- events ---- */

static void take_change(struct collect *c, struct link *l, const struct bind_row *row,
			const struct conn_change *ch)
{
	if (outcome_ends_connect(ch)) {
		enum outcome end = outcome_of_connect(ch, row->sock);

		if (end == OUTCOME_OK && ch->conn && ch->conn->connect_ns)
			add_time(c, l, METRIC_CONNECT, ch->ts_ns - ch->conn->connect_ns);
		add_rate(l, METRIC_CONNECT_FAILED, end != OUTCOME_OK, 1);
	}
	if (ch->new_state == TCP_S_SYN_SENT || ch->new_state == TCP_S_SYN_RECV) {
		l->born = true;
		add_rate(l, METRIC_CONNECTIONS, 1, 0);
		add_rate(l, METRIC_RESETS, 0, 1);
	}
	if (ch->new_state == TCP_S_ESTABLISHED && ch->old_state == TCP_S_SYN_RECV)
		l->established_ns = ch->ts_ns;
}

static int on_state(void *ctx, const struct bind_row *row)
{
	struct collect *c = ctx;
	struct link *l = link_at(c, row);
	struct conn_change ch;

	if (l) {
		conn_change_take(&c->segs.who.conns, row, &ch);
		take_change(c, l, row, &ch);
	}
	return c->on_state(ctx, row);
}

static int on_accept(void *ctx, const struct bind_row *row)
{
	struct collect *c = ctx;
	struct link *l;

	c->on_accept(ctx, row);
	l = link_at(c, row);
	if (l && l->established_ns && row->ts_ns >= l->established_ns) {
		add_time(c, l, METRIC_ACCEPT, row->ts_ns - l->established_ns);
		l->established_ns = 0;
	}
	return 0;
}

enum { RTT_SOCK, RTT_RAW, RTT_SMOOTHED, RTT_MIN, RTT_DELIVERED, RTT_ACK, RTT_N };
static const struct bind_field rtt_fields[RTT_N] = {
	{"sock", BIND_SOCK},	  {"rtt_us", BIND_INT},	   {"srtt_us", BIND_INT},
	{"min_rtt_us", BIND_INT}, {"delivered", BIND_INT}, {"ack_seq", BIND_INT}};

static int on_rtt(void *ctx, const struct bind_row *row)
{
	struct collect *c = ctx;
	struct link *l = link_at(c, row);
	int64_t raw = (int64_t)bind_get(row, RTT_RAW, (uint64_t)-1);
	uint64_t smoothed = bind_get(row, RTT_SMOOTHED, 0);
	uint32_t min = (uint32_t)bind_get(row, RTT_MIN, UINT32_MAX);

	if (!l)
		return 0;
	if (raw >= 0)
		add_time(c, l, METRIC_RTT_RAW, (uint64_t)raw);
	if (smoothed)
		add_time(c, l, METRIC_RTT_SMOOTHED, smoothed);
	if (min < l->min_rtt_us)
		l->min_rtt_us = min;
	if (bind_has(row, RTT_DELIVERED)) {
		l->last_delivered = (uint32_t)bind_get(row, RTT_DELIVERED, 0);
		if (!l->has_delivered)
			l->first_delivered = l->last_delivered;
		l->has_delivered = true;
	}
	if (c->has_turns && bind_has(row, RTT_ACK))
		turns_ack(&c->turns, row->sock, (uint32_t)bind_get(row, RTT_ACK, 0));
	return 0;
}

enum { RE_SOCK, RE_SEGS, RE_ERR, RE_N };
static const struct bind_field resent_fields[RE_N] = {
	{"sock", BIND_SOCK}, {"segs", BIND_INT}, {"err", BIND_INT}};

static int on_resent(void *ctx, const struct bind_row *row)
{
	struct link *l = link_at(ctx, row);

	if (l && !bind_get(row, RE_ERR, 0))
		l->resent += (uint32_t)bind_get(row, RE_SEGS, 1);
	return 0;
}

static const struct bind_field sock_fields[] = {{"sock", BIND_SOCK}};

/* One of no known connection belongs to the group of what is not known. */
static int count_event(struct collect *c, const struct bind_row *row, enum metric_id id)
{
	struct link *l = link_at(c, row);
	struct recording_group *g;

	if (l) {
		add_rate(l, id, 1, 0);
		return 0;
	}
	if (c->all_rows && !input_wants_row(c->run->in, row))
		return 0;
	g = by_groups_get(&c->r->groups, &c->segs.who, &(struct by_event){0});
	if (g)
		g->metrics[id].loose++;
	return 0;
}

static int on_reset(void *ctx, const struct bind_row *row)
{
	return count_event(ctx, row, METRIC_RESETS);
}

static int on_drop(void *ctx, const struct bind_row *row)
{
	return count_event(ctx, row, METRIC_DROPS);
}

/* ---- the end of a connection ---- */

/*
 * Segments that it sent: its own total, if all of its life was seen, else what was delivered
 * between its first and its last ACK. Retransmits count only where that is known, so that a
 * recording of a sample of the ACKs gives the same rate.
 */
static void flush(struct collect *c, struct link *l, uint64_t data_segs)
{
	if (!l->group)
		return;
	if (l->min_rtt_us != UINT32_MAX)
		add_time(c, l, METRIC_RTT_MIN, l->min_rtt_us);
	if (!data_segs && l->has_delivered)
		data_segs = l->last_delivered - l->first_delivered;
	if (!data_segs)
		return;
	add_rate(l, METRIC_RETRANSMITS, l->resent, (double)data_segs);
	add_rate(l, METRIC_DROPS, 0, (double)data_segs);
}

enum { END_SOCK, END_TASK, END_SEGS, END_ACKED, END_RECEIVED, END_N };
static const struct bind_field end_fields[END_N] = {{"sock", BIND_SOCK},
						    {"task", BIND_TASK},
						    {"data_segs_out", BIND_INT},
						    {"bytes_acked", BIND_INT},
						    {"bytes_received", BIND_INT}};

static int on_destroy(void *ctx, const struct bind_row *row)
{
	struct collect *c = ctx;
	struct link *l = link_at(c, row);

	if (l && !l->gone_ns) {
		if (l->born)
			add_rate(l, METRIC_BYTES,
				 (double)(bind_get(row, END_ACKED, 0) +
					  bind_get(row, END_RECEIVED, 0)),
				 0);
		flush(c, l, l->born ? bind_get(row, END_SEGS, 0) : 0);
		end_link(c, l, row->ts_ns);
	}
	if (c->has_turns)
		turns_gone(&c->turns, row->sock, row->ts_ns);
	return c->on_destroy(ctx, row); /* segments, as long as the connection is there */
}

static void fini_links(struct collect *c)
{
	sweep(c, UINT64_MAX);
	for (size_t i = 0; i < c->links.cap; i++) {
		struct link *l = c->links.slots[i].key ? c->links.slots[i].value : NULL;

		if (l)
			flush(c, l, 0);
		free(l);
	}
	map_fini(&c->links);
	per_sock_fini(&c->of_sock);
}

/* ---- requests and answers ---- */

static enum turn_role role_of(void *ctx, const struct sock *sock)
{
	return turn_rows_role(&((struct collect *)ctx)->segs.who, sock);
}

static void on_exchange(void *ctx, const struct exchange *x, uint64_t ts_ns)
{
	struct collect *c = ctx;
	struct by_event e = {.sock = &x->sock, .task = x->task.pid ? &x->task : NULL};
	struct recording_group *g = by_groups_get(&c->r->groups, &c->segs.who, &e);
	struct link *l = link_of(c, &x->sock, NULL);
	enum metric_id id = x->role == TURN_SERVER ? METRIC_TURN_SERVER : METRIC_TURN_CLIENT;

	if (!g || !l)
		return;
	count_conn(l, g, id);
	c->failed |= metric_add(&g->metrics[id], l->part, exchange_turn_ns(x)) < 0;
}

static bool wants_call(const struct collect *c, const struct bind_row *row)
{
	return c->has_turns && (!c->all_rows || input_wants_row(c->run->in, row));
}

static int on_send(void *ctx, const struct bind_row *row)
{
	struct collect *c = ctx;

	if (wants_call(c, row))
		turn_rows_send(&c->turns, row);
	return 0;
}

static int on_recv(void *ctx, const struct bind_row *row)
{
	struct collect *c = ctx;

	if (wants_call(c, row))
		turn_rows_recv(&c->turns, row);
	return 0;
}

static int on_wait(void *ctx, const struct bind_row *row)
{
	struct collect *c = ctx;

	if (wants_call(c, row))
		turn_rows_wait(&c->turns, row);
	return 0;
}

static int on_write(void *ctx, const struct bind_row *row)
{
	struct collect *c = ctx;

	if (wants_call(c, row))
		turn_rows_write(&c->turns, row, true);
	return c->on_write(ctx, row);
}

/* ---- segments ---- */

static int on_segment(void *ctx, const struct segment *s, const struct conn *owner)
{
	struct collect *c = ctx;
	struct sock sock = {
		.cookie = s->cookie, .netns = s->netns, .flow = s->inner, .has_flow = true};
	bool in = s->dir == SEG_IN, is_new;
	unsigned total = in ? METRIC_DELAY_IN : METRIC_DELAY_OUT;
	unsigned first = in ? METRIC_DELAY_IN_LAYER : METRIC_DELAY_OUT_LAYER;
	struct link *l;

	if (!s->payload || s->marks & SEG_PASSED)
		return 0;
	l = link_of(c, &sock, NULL);
	if (!l)
		return 0;
	is_new = !(l->counted & BIT(total));
	add_time(c, l, total, s->end_ns - s->start_ns);
	for (const struct delay_layer *d = delay_layers(s->dir); d->title; d++) {
		struct metric *m = &l->group->metrics[first + d->layer];

		m->n_conns += is_new;
		if (delay_is_clean(s, c->segs.timed[s->dir], d->layer))
			c->failed |= metric_add(m, l->part, s->spent_ns[d->layer]) < 0;
	}
	return 0;
}

/* ---- the reading ---- */

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	struct collect *c = ctx;
	int rc = c->all_rows ? segment_read_chunk(&c->segs, floor_ns) : 0;

	turns_pass(&c->turns, floor_ns);
	sweep(c, floor_ns);
	return rc;
}

enum { OWN_BINDS = 7, N_BINDS = SEGMENT_READ_N + OWN_BINDS };

static void take_over(struct collect *c, struct bind *binds)
{
	const struct bind own[OWN_BINDS] = {
		{.record = "rtt", .fields = rtt_fields, .n_fields = RTT_N, .on = on_rtt},
		{.record = "retransmit",
		 .fields = resent_fields,
		 .n_fields = RE_N,
		 .on = on_resent},
		{.record = "reset", .fields = sock_fields, .n_fields = 1, .on = on_reset},
		{.record = "drop", .fields = sock_fields, .n_fields = 1, .on = on_drop},
		{.record = "io_send",
		 .fields = turn_send_fields,
		 .n_fields = TURN_SEND_N,
		 .on = on_send},
		{.record = "io_recv",
		 .fields = turn_recv_fields,
		 .n_fields = TURN_RECV_N,
		 .on = on_recv},
		{.record = "io_wait",
		 .fields = turn_wait_fields,
		 .n_fields = TURN_WAIT_N,
		 .on = on_wait},
	};
	struct bind *track = binds + SEGMENT_READ_BY + BY_BIND_CONN;

	c->on_state = track[CONN_TRACK_STATE].on;
	c->on_accept = track[CONN_TRACK_ACCEPT].on;
	c->on_destroy = track[CONN_TRACK_DESTROY].on;
	c->on_write = binds[SEGMENT_READ_WRITE].on;
	track[CONN_TRACK_STATE].on = on_state;
	track[CONN_TRACK_ACCEPT].on = on_accept;
	track[CONN_TRACK_DESTROY].on = on_destroy;
	track[CONN_TRACK_DESTROY].fields = end_fields;
	track[CONN_TRACK_DESTROY].n_fields = END_N;
	binds[SEGMENT_READ_WRITE].on = on_write;
	memcpy(binds + SEGMENT_READ_N, own, sizeof(own));
}

/* What is not asked for is not decoded: segments at the front, calls at the end. */
static int open_binds(struct collect *c, struct bind *binds, struct input_job *job)
{
	unsigned first = c->all_rows ? 0 : SEGMENT_READ_BY;

	c->segs.run = c->run;
	c->segs.on = on_segment;
	c->segs.ctx = c;
	if (!c->all_rows)
		by_bind(binds + SEGMENT_READ_BY);
	else if (segment_read_begin(&c->segs, c->run))
		return -1;
	c->segs.holds = false; /* no metric has it */
	if (c->all_rows && segment_read_open(&c->segs, binds))
		return -1;
	take_over(c, binds);
	job->binds = binds + first;
	job->n_binds = (c->has_turns ? N_BINDS : N_BINDS - 3) - first;
	return 0;
}

static int read_all(struct collect *c)
{
	struct turns_opts turns = {.role = role_of, .on = on_exchange, .ctx = c};
	struct bind binds[N_BINDS] = {0};
	struct input_job job = {.on_chunk = on_chunk,
				.tcp_only = true,
				.all_rows = c->all_rows,
				.margin_ns = c->all_rows ? INPUT_MARGIN_NS : 0,
				.ctx = c};
	uint64_t last;

	turns_init(&c->turns, &turns);
	if (open_binds(c, binds, &job))
		return -1;
	if (input_run(c->run->in, &job, c->run->fail))
		return c->run->fail->status ? -1 : fail_nomem(c->run->fail);
	last = input_last(c->run->in);
	turns_pass(&c->turns, last);
	turns_end(&c->turns, last);
	if (c->all_rows)
		return segment_read_close(&c->segs);
	return by_who_failed(&c->segs.who) ? fail_nomem(c->run->fail) : 0;
}

int recording_collect(struct recording *r, struct cmd_run *run)
{
	struct collect c = {.r = r, .run = run};
	int rc;

	c.last_gone = &c.gone;
	c.has_turns = r->has[METRIC_TURN_SERVER];
	c.segs.dirs[SEG_IN] = r->has[METRIC_DELAY_IN];
	c.segs.dirs[SEG_OUT] = r->has[METRIC_DELAY_OUT];
	c.all_rows = c.segs.dirs[SEG_IN] || c.segs.dirs[SEG_OUT];
	rc = read_all(&c);
	fini_links(&c);
	if (!rc && (c.failed || c.turns.failed))
		rc = fail_nomem(run->fail);
	turns_fini(&c.turns);
	r->who = c.segs.who; /* the groups' names */
	c.segs.who = (struct by_who){0};
	segment_read_fini(&c.segs);
	return rc;
}

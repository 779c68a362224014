// SPDX-License-Identifier: GPL-2.0-or-later
#include "recording.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "delay.h"
#include "outcome.h"
#include "segment_read.h"
#include "turn_read.h"

#define BIT(metric) (1ull << (metric))
_Static_assert(METRIC_N <= 64, "bits of struct link");

/* What is remembered of a connection while it lives. */
struct link {
	uint64_t counted; /* bits: metrics that have it among their connections */
	uint64_t established_ns;
	uint32_t first_delivered, last_delivered, min_rtt_us, resent;
	unsigned part;
	bool born, has_delivered;
	struct recording_group *group;
};

struct collect {
	struct by_who who; /* first: its binds find it */
	struct recording *r;
	struct cmd_run *run;
	struct map links; /* by cookie */
	bool failed;
	int (*on_state)(void *ctx, const struct bind_row *row);
	int (*on_accept)(void *ctx, const struct bind_row *row);
	int (*on_destroy)(void *ctx, const struct bind_row *row);
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

static struct recording_group *group_of(struct recording *r, const struct by_who *who,
					const struct sock *s)
{
	struct task room;
	struct by_event e = {.sock = s};

	if (by_needs_conns(r->groups.key))
		e.task = conn_task(conn_find(&who->conns, s), &room);
	return by_groups_get(&r->groups, who, &e);
}

/* NULL: no socket, no memory, or of a group too many. */
static struct link *link_of(struct collect *c, const struct sock *s)
{
	struct link *l = s ? map_get(&c->links, key_of(s)) : NULL;

	if (!s)
		return NULL;
	if (!l) {
		uint64_t key = key_of(s);

		l = calloc(1, sizeof(*l));
		if (!l || map_put(&c->links, key, l)) {
			free(l);
			c->failed = true;
			return NULL;
		}
		l->part = part_of(s);
		l->min_rtt_us = UINT32_MAX;
	}
	if (!l->group || by_needs_conns(c->r->groups.key)) /* the owner may be known by now */
		l->group = group_of(c->r, &c->who, s);
	return l->group ? l : NULL;
}

static void count_conn(struct link *l, enum metric_id id)
{
	l->group->metrics[id].n_conns += !(l->counted & BIT(id));
	l->counted |= BIT(id);
}

static void add_time(struct collect *c, struct link *l, enum metric_id id, uint64_t v)
{
	count_conn(l, id);
	c->failed |= metric_add(&l->group->metrics[id], l->part, v) < 0;
}

static void add_rate(struct link *l, enum metric_id id, double num, double den)
{
	count_conn(l, id);
	l->group->metrics[id].num[l->part] += num;
	l->group->metrics[id].den[l->part] += den;
}

/* ---- events ---- */

static int on_state(void *ctx, const struct bind_row *row)
{
	struct collect *c = ctx;
	struct link *l = link_of(c, row->sock);
	struct conn_change ch;

	conn_change_take(&c->who.conns, row, &ch);
	if (l && outcome_ends_connect(&ch)) {
		enum outcome end = outcome_of_connect(&ch, row->sock);

		if (end == OUTCOME_OK && ch.conn && ch.conn->connect_ns)
			add_time(c, l, METRIC_CONNECT, ch.ts_ns - ch.conn->connect_ns);
		add_rate(l, METRIC_CONNECT_FAILED, end != OUTCOME_OK, 1);
	}
	if (l && (ch.new_state == TCP_S_SYN_SENT || ch.new_state == TCP_S_SYN_RECV)) {
		l->born = true;
		add_rate(l, METRIC_CONNECTIONS, 1, 0);
		add_rate(l, METRIC_RESETS, 0, 1);
	}
	if (l && ch.new_state == TCP_S_ESTABLISHED && ch.old_state == TCP_S_SYN_RECV)
		l->established_ns = ch.ts_ns;
	return c->on_state(ctx, row);
}

static int on_accept(void *ctx, const struct bind_row *row)
{
	struct collect *c = ctx;
	struct link *l;

	c->on_accept(ctx, row);
	l = link_of(c, row->sock);
	if (l && l->established_ns && row->ts_ns >= l->established_ns) {
		add_time(c, l, METRIC_ACCEPT, row->ts_ns - l->established_ns);
		l->established_ns = 0;
	}
	return 0;
}

enum { RTT_SOCK, RTT_RAW, RTT_SMOOTHED, RTT_MIN, RTT_DELIVERED, RTT_N };
static const struct bind_field rtt_fields[RTT_N] = {{"sock", BIND_SOCK},
						    {"rtt_us", BIND_INT},
						    {"srtt_us", BIND_INT},
						    {"min_rtt_us", BIND_INT},
						    {"delivered", BIND_INT}};

static int on_rtt(void *ctx, const struct bind_row *row)
{
	struct collect *c = ctx;
	struct link *l = link_of(c, row->sock);
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
	return 0;
}

enum { RE_SOCK, RE_SEGS, RE_ERR, RE_N };
static const struct bind_field resent_fields[RE_N] = {
	{"sock", BIND_SOCK}, {"segs", BIND_INT}, {"err", BIND_INT}};

static int on_resent(void *ctx, const struct bind_row *row)
{
	struct link *l = link_of(ctx, row->sock);

	if (l && !bind_get(row, RE_ERR, 0))
		l->resent += (uint32_t)bind_get(row, RE_SEGS, 1);
	return 0;
}

static const struct bind_field sock_fields[] = {{"sock", BIND_SOCK}};

/* One of no known connection belongs to the group of what is not known. */
static int count_event(struct collect *c, const struct bind_row *row, enum metric_id id)
{
	struct link *l = link_of(c, row->sock);
	struct recording_group *g;

	if (l) {
		add_rate(l, id, 1, 0);
		return 0;
	}
	g = by_groups_get(&c->r->groups, &c->who, &(struct by_event){0});
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
	struct link *l = link_of(c, row->sock);

	if (l) {
		if (l->born)
			add_rate(l, METRIC_BYTES,
				 (double)(bind_get(row, END_ACKED, 0) +
					  bind_get(row, END_RECEIVED, 0)),
				 0);
		flush(c, l, l->born ? bind_get(row, END_SEGS, 0) : 0);
		free(map_del(&c->links, key_of(row->sock)));
	}
	return c->on_destroy(ctx, row);
}

static void flush_all(struct collect *c)
{
	for (size_t i = 0; i < c->links.cap; i++) {
		struct link *l = c->links.slots[i].key ? c->links.slots[i].value : NULL;

		if (l)
			flush(c, l, 0);
		free(l);
	}
	map_fini(&c->links);
}

/* ---- requests and answers, and segments, in passes of their own ---- */

/* A pass, and the connections that count among those of a metric already. */
struct collect_more {
	struct recording *r;
	struct map seen;
	bool failed;
};

static bool is_first(struct collect_more *c, const struct sock *s, enum metric_id id)
{
	uint64_t key[] = {key_of(s), id}, seen = map_hash(key, sizeof(key));

	if (map_get(&c->seen, seen))
		return false;
	c->failed |= map_put(&c->seen, seen, c);
	return true;
}

struct collect_turns {
	struct turn_read read;
	struct collect_more more;
};

static void on_exchange(void *ctx, const struct exchange *x, uint64_t ts_ns)
{
	struct collect_turns *c = ctx;
	struct by_event e = {.sock = &x->sock, .task = x->task.pid ? &x->task : NULL};
	struct recording_group *g = by_groups_get(&c->more.r->groups, &c->read.who, &e);
	enum metric_id id = x->role == TURN_SERVER ? METRIC_TURN_SERVER : METRIC_TURN_CLIENT;

	if (!g)
		return;
	g->metrics[id].n_conns += is_first(&c->more, &x->sock, id);
	c->more.failed |= metric_add(&g->metrics[id], part_of(&x->sock), exchange_turn_ns(x)) < 0;
}

static int read_turns(struct recording *r, struct cmd_run *run)
{
	struct collect_turns c = {.read = {.on = on_exchange, .ctx = &c}, .more = {.r = r}};
	int rc = turn_read_begin(&c.read, run);

	if (!rc)
		rc = turn_read_run(&c.read);
	if (!rc && c.more.failed)
		rc = fail_nomem(run->fail);
	turn_read_fini(&c.read);
	map_fini(&c.more.seen);
	return rc;
}

struct collect_segments {
	struct segment_read read; /* first: its binds find it */
	struct collect_more more;
};

static void add_segment(struct collect_segments *c, struct recording_group *g,
			const struct segment *s, const struct sock *sock)
{
	bool in = s->dir == SEG_IN;
	unsigned total = in ? METRIC_DELAY_IN : METRIC_DELAY_OUT;
	unsigned first = in ? METRIC_DELAY_IN_LAYER : METRIC_DELAY_OUT_LAYER;
	unsigned part = part_of(sock);
	bool is_new = is_first(&c->more, sock, total);

	g->metrics[total].n_conns += is_new;
	c->more.failed |= metric_add(&g->metrics[total], part, s->end_ns - s->start_ns) < 0;
	for (const struct delay_layer *l = delay_layers(s->dir); l->title; l++) {
		struct metric *m = &g->metrics[first + l->layer];

		m->n_conns += is_new;
		if (delay_is_clean(s, c->read.timed[s->dir], l->layer))
			c->more.failed |= metric_add(m, part, s->spent_ns[l->layer]) < 0;
	}
}

static int on_segment(void *ctx, const struct segment *s, const struct conn *owner)
{
	struct collect_segments *c = ctx;
	struct sock sock = {
		.cookie = s->cookie, .netns = s->netns, .flow = s->inner, .has_flow = true};
	struct task room;
	struct by_event e = {.sock = &sock, .task = conn_task(owner, &room)};
	struct recording_group *g;

	if (!s->payload || s->marks & SEG_PASSED)
		return 0;
	g = by_groups_get(&c->more.r->groups, &c->read.who, &e);
	if (g)
		add_segment(c, g, s, &sock);
	return 0;
}

static int read_segments(struct recording *r, struct cmd_run *run)
{
	struct collect_segments c = {.more = {.r = r}};
	int rc;

	c.read.dirs[SEG_IN] = r->has[METRIC_DELAY_IN];
	c.read.dirs[SEG_OUT] = r->has[METRIC_DELAY_OUT];
	c.read.on = on_segment;
	c.read.ctx = &c;
	rc = segment_read_begin(&c.read, run);
	if (!rc)
		rc = segment_read_run(&c.read);
	if (!rc && c.more.failed)
		rc = fail_nomem(run->fail);
	segment_read_fini(&c.read);
	map_fini(&c.more.seen);
	return rc;
}

/* ---- the recording ---- */

static int read_events(struct recording *r, struct cmd_run *run)
{
	struct collect c = {.r = r, .run = run};
	struct bind binds[4 + BY_N_BINDS] = {
		{.record = "rtt", .fields = rtt_fields, .n_fields = RTT_N, .on = on_rtt},
		{.record = "retransmit",
		 .fields = resent_fields,
		 .n_fields = RE_N,
		 .on = on_resent},
		{.record = "reset", .fields = sock_fields, .n_fields = 1, .on = on_reset},
		{.record = "drop", .fields = sock_fields, .n_fields = 1, .on = on_drop},
	};
	struct bind *track = binds + 4 + BY_BIND_CONN;
	struct input_job job = {
		.binds = binds, .n_binds = 4 + BY_N_BINDS, .tcp_only = true, .ctx = &c};
	int rc;

	by_bind(binds + 4);
	c.on_state = track[CONN_TRACK_STATE].on;
	c.on_accept = track[CONN_TRACK_ACCEPT].on;
	c.on_destroy = track[CONN_TRACK_DESTROY].on;
	track[CONN_TRACK_STATE].on = on_state;
	track[CONN_TRACK_ACCEPT].on = on_accept;
	track[CONN_TRACK_DESTROY].on = on_destroy;
	track[CONN_TRACK_DESTROY].fields = end_fields;
	track[CONN_TRACK_DESTROY].n_fields = END_N;
	rc = input_run(run->in, &job, run->fail);
	flush_all(&c);
	if (!rc && (c.failed || by_who_failed(&c.who)))
		rc = fail_nomem(run->fail);
	r->who = c.who; /* the groups' names */
	return rc;
}

/* Parts of META that must be alike, and that may explain a difference. */
static void take_meta(struct recording *r, struct input *in)
{
	static const char *const same[] = {"groups",	    "kernel.release", "probe.",
					   "option.filter", "option.sample",  "option.pid",
					   "option.comm",   "option.cgroup",  "option.netns"};
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(input_reader(in), &n);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(same) / sizeof(same[0]); k++) {
			size_t len = strlen(same[k]);

			if (!strncmp(meta[i].key, same[k], len) &&
			    (!meta[i].key[len] || same[k][len - 1] == '.'))
				text_fmt(&r->like, "%s=%s\n", meta[i].key, meta[i].value);
		}
		if (!strncmp(meta[i].key, "sysctl.", 7) || !strcmp(meta[i].key, "host"))
			text_fmt(&r->settings, "%s=%s\n", meta[i].key, meta[i].value);
	}
}

static void take_hooks(struct recording *r, struct input *in)
{
	const char *why;
	bool reads = input_has_probe(in, "io_recv", &why) == META_YES;

	for (unsigned id = 0; id < METRIC_N; id++)
		r->has[id] = metric_defs[id].name &&
			     input_has_probe(in, metric_defs[id].needs, &why) == META_YES;
	r->has[METRIC_TURN_SERVER] &= reads;
	r->has[METRIC_TURN_CLIENT] &= reads;
}

static int make_figures(struct recording *r)
{
	for (size_t i = 0; i < r->groups.n; i++) {
		struct recording_group *g = (struct recording_group *)r->groups.list[i];

		for (unsigned id = 0; id < METRIC_N; id++) {
			const struct metric_def *def = &metric_defs[id];

			if (!r->has[id])
				continue;
			if (!strcmp(def->unit, "/s"))
				g->metrics[id].den[0] = r->seconds;
			for (unsigned k = 0; k < METRIC_MAX_QUANTILES; k++)
				if ((def->kind == METRIC_TIME ? def->quantiles >> k & 1 : !k) &&
				    metric_figure(&g->metrics[id], id, k, &g->figures[id][k]))
					return -1;
			metric_fini(&g->metrics[id]);
		}
	}
	return 0;
}

static void take_end(struct recording *r, struct input *in)
{
	uint64_t from = input_from(in), last = input_last(in);
	struct tape_end end;

	r->seconds = last > from ? (double)(last - from) / 1e9 : 1e-9;
	tape_reader_end(input_reader(in), &end);
	r->n_events = end.n_events;
	r->n_lost = end.lost;
	take_meta(r, in);
	take_hooks(r, in);
}

static int read_all(struct recording *r, struct cmd_run *run)
{
	int rc = read_events(r, run);

	if (rc)
		return rc;
	take_end(r, run->in);
	if (r->has[METRIC_TURN_SERVER]) {
		rc = input_rewind(run->in, run->fail);
		rc = rc ? rc : read_turns(r, run);
	}
	if (!rc && (r->has[METRIC_DELAY_IN] || r->has[METRIC_DELAY_OUT])) {
		rc = input_rewind(run->in, run->fail);
		rc = rc ? rc : read_segments(r, run);
	}
	return rc ? rc : input_finish(run->in, NULL, run->fail);
}

int recording_read(struct recording *r, const struct input_opts *opts, struct cmd_run *run,
		   enum by_key key)
{
	int rc = input_open(&run->in, r->path, opts, run->out, run->fail);

	if (rc)
		return rc;
	r->groups = (struct by_groups){
		.key = key, .size = sizeof(struct recording_group), .max = RECORDING_MAX_GROUPS};
	rc = read_all(r, run);
	if (!rc && (make_figures(r) || r->groups.failed || r->like.failed || r->settings.failed))
		rc = fail_nomem(run->fail);
	input_close(run->in);
	run->in = NULL;
	return rc;
}

void recording_fini(struct recording *r)
{
	for (size_t i = 0; i < r->groups.n; i++)
		for (unsigned id = 0; id < METRIC_N; id++)
			metric_fini(&((struct recording_group *)r->groups.list[i])->metrics[id]);
	by_groups_fini(&r->groups);
	by_who_fini(&r->who);
	text_fini(&r->like);
	text_fini(&r->settings);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "correlate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "delay.h"
#include "outcome.h"
#include "segment_read.h"

#define NS_PER_MS 1e6
#define US_PER_MS 1e3
#define SYN 2
#define KEY(m, ...) ((struct windows_key){.metric = m, ##__VA_ARGS__})

struct link { /* what is remembered of a connection while it lives */
	uint64_t established_ns;
	uint32_t acked_seq;
	bool has_acked;
};

/* ---- groups and connections ---- */

static struct windows_group *group_of(struct correlate *c, const struct sock *s)
{
	struct by_groups *gs = &c->windows.groups;
	struct by_event e = {.sock = s};
	struct windows_group *g;
	struct task room;

	if (by_needs_conns(gs->key))
		e.task = conn_task(conn_find(&c->who.conns, s), &room);
	g = by_groups_get(gs, &c->who, &e);
	if (g && !g->rtt.unit)
		hist_init(&g->rtt, 1, true);
	return g;
}

static void add(struct correlate *c, const struct bind_row *row, struct windows_key key,
		enum windows_kind kind, double v)
{
	struct windows_group *g = row->sock ? group_of(c, row->sock) : NULL;

	key.b = !row->sock;
	if (g || !row->sock)
		windows_add(&c->windows, g, key, kind, row->ts_ns, v);
}

static uint64_t key_of(const struct sock *s)
{
	return s->cookie ? s->cookie : map_hash(&s->flow, sizeof(s->flow));
}

static struct link *link_of(struct correlate *c, const struct sock *s)
{
	struct link *l = s ? map_get(&c->links, key_of(s)) : NULL;

	if (l || !s)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l || map_put(&c->links, key_of(s), l)) {
		free(l);
		c->failed = true;
		return NULL;
	}
	return l;
}

static void forget(struct correlate *c)
{
	for (size_t i = 0; i < c->links.cap; i++)
		if (c->links.slots[i].key)
			free(c->links.slots[i].value);
	map_fini(&c->links);
}

/* ---- events ---- */

enum { R_SOCK, R_RAW, R_MIN, R_CWND, R_FLIGHT, R_UNA, R_N };
static const struct bind_field rtt_fields[R_N] = {{"sock", BIND_SOCK},	    {"rtt_us", BIND_INT},
						  {"min_rtt_us", BIND_INT}, {"cwnd", BIND_INT},
						  {"in_flight", BIND_INT},  {"snd_una", BIND_INT}};

static void end_rtt_window(struct windows *w, struct windows_group *g)
{
	if (g->rtt.n) {
		windows_set(w, g, KEY(CORR_RTT_P50), g->rtt_at,
			    hist_quantile(&g->rtt, NULL, 0.5) / US_PER_MS);
		windows_set(w, g, KEY(CORR_RTT_P90), g->rtt_at,
			    hist_quantile(&g->rtt, NULL, 0.9) / US_PER_MS);
	}
	hist_clear(&g->rtt);
}

static void add_sample(struct correlate *c, struct windows_group *g, const struct bind_row *row,
		       uint32_t raw)
{
	uint32_t min = (uint32_t)bind_get(row, R_MIN, UINT32_MAX);
	size_t at = windows_at(&c->windows, row->ts_ns);

	if (at != g->rtt_at)
		end_rtt_window(&c->windows, g);
	g->rtt_at = at;
	hist_add(&g->rtt, raw);
	if (min != UINT32_MAX && raw >= min)
		windows_add(&c->windows, g, KEY(CORR_RTT_OVER_MIN), WINDOWS_MEAN, row->ts_ns,
			    (raw - min) / US_PER_MS);
}

/* Bytes that the ACK took from between snd_una and snd_nxt. */
static void add_acked(struct correlate *c, struct windows_group *g, const struct bind_row *row)
{
	struct link *l = link_of(c, row->sock);
	uint32_t una = (uint32_t)bind_get(row, R_UNA, 0);

	if (!l || !bind_has(row, R_UNA))
		return;
	windows_add(&c->windows, g, KEY(CORR_BYTES_ACKED), WINDOWS_SUM, row->ts_ns,
		    l->has_acked && una - l->acked_seq < 1u << 31 ? una - l->acked_seq : 0);
	l->acked_seq = una;
	l->has_acked = true;
}

static int on_rtt(void *ctx, const struct bind_row *row)
{
	struct correlate *c = ctx;
	struct windows_group *g = row->sock ? group_of(c, row->sock) : NULL;
	int64_t raw = (int32_t)bind_get(row, R_RAW, (uint64_t)-1);

	if (!g)
		return 0;
	if (raw >= 0)
		add_sample(c, g, row, (uint32_t)raw);
	if (bind_has(row, R_CWND))
		windows_add(&c->windows, g, KEY(CORR_CWND), WINDOWS_MEAN, row->ts_ns,
			    (double)bind_get(row, R_CWND, 0));
	if (bind_has(row, R_FLIGHT))
		windows_add(&c->windows, g, KEY(CORR_IN_FLIGHT), WINDOWS_MEAN, row->ts_ns,
			    (double)bind_get(row, R_FLIGHT, 0));
	add_acked(c, g, row);
	return 0;
}

enum { RE_SOCK, RE_SEGS, RE_FLAGS, RE_ERR, RE_N };
static const struct bind_field resent_fields[RE_N] = {
	{"sock", BIND_SOCK}, {"segs", BIND_INT}, {"tcp_flags", BIND_INT}, {"err", BIND_INT}};

static int on_resent(void *ctx, const struct bind_row *row)
{
	bool syn = bind_get(row, RE_FLAGS, 0) & SYN;

	if (!bind_get(row, RE_ERR, 0))
		add(ctx, row, KEY(syn ? CORR_SYN_RETRANSMITS : CORR_RETRANSMITS), WINDOWS_SUM,
		    (double)bind_get(row, RE_SEGS, 1));
	return 0;
}

static int on_synack(void *ctx, const struct bind_row *row)
{
	add(ctx, row, KEY(CORR_SYN_RETRANSMITS), WINDOWS_SUM, 1);
	return 0;
}

static int on_reset(void *ctx, const struct bind_row *row)
{
	add(ctx, row, KEY(CORR_RESETS), WINDOWS_SUM, 1);
	return 0;
}

static const struct bind_field sock_fields[] = {{"sock", BIND_SOCK}};
enum { D_SOCK, D_REASON, D_PAYLOAD, D_FLAGS, D_N };
static const struct bind_field drop_fields[D_N] = {
	{"sock", BIND_SOCK}, {"reason", BIND_INT}, {"payload", BIND_INT}, {"tcp_flags", BIND_INT}};

/* What lay in a queue that close() freed, the other side's FIN mostly, is no loss. */
static bool is_leftover(const struct correlate *c, const struct bind_row *row)
{
	const char *name = names_get(&c->reasons, bind_get(row, D_REASON, 0));

	return !bind_get(row, D_PAYLOAD, 0) && !(bind_get(row, D_FLAGS, 0) & SYN) &&
	       (!name || !strcmp(name, "QUEUE_PURGE") || !strcmp(name, "NOT_SPECIFIED"));
}

static int on_drop(void *ctx, const struct bind_row *row)
{
	if (!is_leftover(ctx, row))
		add(ctx, row, KEY(CORR_DROPS, .a = (uint32_t)bind_get(row, D_REASON, 0)),
		    WINDOWS_SUM, 1);
	return 0;
}

static const struct bind_field queue_fields[] = {{"sock", BIND_SOCK}, {"backlog", BIND_INT}};
enum { Q_BACKLOG = 1 };

static int on_listener(void *ctx, const struct bind_row *row)
{
	struct correlate *c = ctx;

	windows_add(&c->windows, NULL, KEY(CORR_ACCEPT_QUEUE), WINDOWS_MOST, row->ts_ns,
		    (double)bind_get(row, Q_BACKLOG, 0));
	return 0;
}

enum { N_SKBS, N_BYTES, N_NETNS, N_IF, N_QUEUE, N_DIR, N_INTERVAL, N_N };
static const struct bind_field nic_fields[N_N] = {{"skbs", BIND_INT},	    {"bytes", BIND_INT},
						  {"netns", BIND_INT},	    {"ifindex", BIND_INT},
						  {"queue", BIND_INT},	    {"direction", BIND_INT},
						  {"interval_us", BIND_INT}};
enum { RECEIVE = 1 };

/* A sample stands for the interval before it: as a rate, in the windows that this covers. */
static int on_nic(void *ctx, const struct bind_row *row)
{
	struct correlate *c = ctx;
	struct windows *w = &c->windows;
	uint32_t queue =
		(uint32_t)bind_get(row, N_QUEUE, 0) << 1 | (bind_get(row, N_DIR, 0) == RECEIVE);
	uint32_t of[] = {(uint32_t)bind_get(row, N_IF, 0), queue,
			 (uint32_t)bind_get(row, N_NETNS, 0)};
	uint64_t ns = bind_get(row, N_INTERVAL, 0) * 1000;
	size_t last = windows_at(w, row->ts_ns);
	size_t first = ns < row->ts_ns ? windows_at(w, row->ts_ns - ns) : 0;
	double seconds = (double)ns / 1e9;

	for (size_t at = first; ns && at <= last; at++) {
		windows_set(w, NULL, KEY(CORR_NIC_SKBS, .a = of[0], .b = of[1], .c = of[2]), at,
			    (double)bind_get(row, N_SKBS, 0) / seconds);
		windows_set(w, NULL, KEY(CORR_NIC_BYTES, .a = of[0], .b = of[1], .c = of[2]), at,
			    (double)bind_get(row, N_BYTES, 0) / seconds);
	}
	return 0;
}

static int on_state(void *ctx, const struct bind_row *row)
{
	struct correlate *c = ctx;
	struct conn_change ch;
	struct link *l;

	conn_change_take(&c->who.conns, row, &ch);
	if (outcome_ends_connect(&ch)) {
		bool ok = outcome_of_connect(&ch, row->sock) == OUTCOME_OK;

		add(c, row, KEY(CORR_CONNECT_FAILED), WINDOWS_SUM, !ok);
		if (ok && ch.conn && ch.conn->connect_ns)
			add(c, row, KEY(CORR_CONNECT), WINDOWS_MEAN,
			    (double)(ch.ts_ns - ch.conn->connect_ns) / NS_PER_MS);
	}
	if (ch.new_state == TCP_S_ESTABLISHED && ch.old_state == TCP_S_SYN_RECV) {
		l = link_of(c, row->sock);
		if (l)
			l->established_ns = ch.ts_ns;
	}
	return c->on_state(ctx, row);
}

static int on_accept(void *ctx, const struct bind_row *row)
{
	struct correlate *c = ctx;
	struct link *l = link_of(c, row->sock);

	c->on_accept(ctx, row);
	if (l && l->established_ns && row->ts_ns >= l->established_ns)
		add(c, row, KEY(CORR_ACCEPT_WAIT), WINDOWS_MEAN,
		    (double)(row->ts_ns - l->established_ns) / NS_PER_MS);
	return 0;
}

static int on_destroy(void *ctx, const struct bind_row *row)
{
	struct correlate *c = ctx;

	if (row->sock)
		free(map_del(&c->links, key_of(row->sock)));
	return c->on_destroy(ctx, row);
}

enum { OWN_BINDS = 8 };

static int read_events(struct correlate *c)
{
	struct bind binds[OWN_BINDS + BY_N_BINDS] = {
		{.record = "rtt", .fields = rtt_fields, .n_fields = R_N, .on = on_rtt},
		{.record = "retransmit",
		 .fields = resent_fields,
		 .n_fields = RE_N,
		 .on = on_resent},
		{.record = "synack_retransmit",
		 .fields = sock_fields,
		 .n_fields = 1,
		 .on = on_synack},
		{.record = "reset", .fields = sock_fields, .n_fields = 1, .on = on_reset},
		{.record = "drop", .fields = drop_fields, .n_fields = D_N, .on = on_drop},
		{.record = "listen_queue",
		 .fields = queue_fields,
		 .n_fields = 2,
		 .on = on_listener},
		{.record = "listen_child",
		 .fields = queue_fields,
		 .n_fields = 2,
		 .on = on_listener},
		{.record = "nic_queue", .fields = nic_fields, .n_fields = N_N, .on = on_nic},
	};
	struct bind *track = binds + OWN_BINDS + BY_BIND_CONN;
	struct input_job job = {
		.binds = binds, .n_binds = OWN_BINDS + BY_N_BINDS, .tcp_only = true, .ctx = c};
	int rc;

	by_bind(binds + OWN_BINDS);
	c->on_state = track[CONN_TRACK_STATE].on;
	c->on_accept = track[CONN_TRACK_ACCEPT].on;
	c->on_destroy = track[CONN_TRACK_DESTROY].on;
	track[CONN_TRACK_STATE].on = on_state;
	track[CONN_TRACK_ACCEPT].on = on_accept;
	track[CONN_TRACK_DESTROY].on = on_destroy;
	rc = input_run(c->run->in, &job, c->run->fail);
	forget(c);
	for (size_t i = 0; i < c->windows.groups.n; i++)
		end_rtt_window(&c->windows, (struct windows_group *)c->windows.groups.list[i]);
	return rc;
}

/* Each is spread over the time in which it was lost. */
static void add_losses(struct correlate *c)
{
	struct windows *w = &c->windows;
	size_t n;
	const struct tape_loss *l = tape_reader_losses(input_reader(c->run->in), &n);

	for (size_t i = 0; i < n; i++) {
		size_t first = windows_at(w, l[i].from_ns), last = windows_at(w, l[i].to_ns);

		for (size_t at = first; at <= last; at++)
			windows_add(w, NULL, KEY(CORR_LOST), WINDOWS_SUM,
				    w->from_ns + at * w->width_ns,
				    (double)l[i].count / (double)(last - first + 1));
	}
}

/* ---- segments, in a pass of their own ---- */

struct correlate_segments {
	struct segment_read read; /* first: its binds find it */
	struct correlate *c;
};

static int on_segment(void *ctx, const struct segment *s, const struct conn *owner)
{
	struct correlate_segments *cs = ctx;
	struct windows *w = &cs->c->windows;
	struct sock sock = {
		.cookie = s->cookie, .netns = s->netns, .flow = s->inner, .has_flow = true};
	struct task room;
	struct by_event e = {.sock = &sock, .task = conn_task(owner, &room)};
	uint32_t metric = s->dir == SEG_IN ? CORR_IN : CORR_OUT;
	struct windows_group *g;

	if (!s->payload || s->marks & SEG_PASSED)
		return 0;
	g = by_groups_get(&w->groups, &cs->read.who, &e);
	if (!g)
		return 0;
	if (!g->rtt.unit)
		hist_init(&g->rtt, 1, true);
	windows_add(w, g, KEY(metric), WINDOWS_MEAN, s->start_ns,
		    (double)(s->end_ns - s->start_ns) / NS_PER_MS);
	for (const struct delay_layer *l = delay_layers(s->dir); l->title; l++)
		if (delay_is_clean(s, cs->read.timed[s->dir], l->layer))
			windows_add(w, g, KEY(metric, .a = l->layer + 1), WINDOWS_MEAN, s->start_ns,
				    (double)s->spent_ns[l->layer] / NS_PER_MS);
	return 0;
}

static int read_segments(struct correlate *c)
{
	struct correlate_segments cs = {.c = c};
	const char *why;
	int rc;

	cs.read.dirs[SEG_IN] = input_has_probe(c->run->in, "rx", &why) == META_YES;
	cs.read.dirs[SEG_OUT] = input_has_probe(c->run->in, "tx", &why) == META_YES;
	if (!cs.read.dirs[SEG_IN] && !cs.read.dirs[SEG_OUT])
		return 0;
	cs.read.on = on_segment;
	cs.read.ctx = &cs;
	rc = input_rewind(c->run->in, c->run->fail);
	if (!rc)
		rc = segment_read_begin(&cs.read, c->run);
	if (!rc)
		rc = segment_read_run(&cs.read);
	segment_read_fini(&cs.read);
	return rc;
}

/* ---- how long the windows are ---- */

struct span {
	uint64_t from_ns, to_ns, n_samples, n_other;
};

static int on_any(struct span *s, const struct bind_row *row, uint64_t *n)
{
	if (row->snapshot)
		return 0;
	if (!s->from_ns)
		s->from_ns = row->ts_ns;
	s->to_ns = row->ts_ns;
	++*n;
	return 0;
}

static int on_sample(void *ctx, const struct bind_row *row)
{
	struct span *s = ctx;

	return on_any(s, row, &s->n_samples);
}

static int on_other(void *ctx, const struct bind_row *row)
{
	struct span *s = ctx;

	return on_any(s, row, &s->n_other);
}

static int find_span(struct correlate *c, struct span *s)
{
	static const char *const others[] = {"tcp_state", "retransmit", "drop", "rx", "tx"};
	struct bind binds[6] = {
		{.record = "rtt", .fields = sock_fields, .n_fields = 1, .on = on_sample}};
	struct input_job job = {.binds = binds, .n_binds = 6, .tcp_only = true, .ctx = s};

	for (unsigned i = 0; i < 5; i++)
		binds[i + 1] = (struct bind){
			.record = others[i], .fields = sock_fields, .n_fields = 1, .on = on_other};
	if (input_run(c->run->in, &job, c->run->fail))
		return -1;
	return input_rewind(c->run->in, c->run->fail);
}

int correlate_read(struct correlate *c, struct cmd_run *run, uint64_t width_ns, enum by_key key)
{
	struct span s = {0};
	int rc;

	memset(c, 0, sizeof(*c));
	c->run = run;
	if (names_init(&c->reasons, input_schema(run->in), "drop_reason"))
		return fail_nomem(run->fail);
	if (find_span(c, &s))
		return -1;
	if (!width_ns)
		width_ns = windows_width(s.from_ns, s.to_ns, s.n_samples ? s.n_samples : s.n_other);
	if (windows_begin(&c->windows, s.from_ns, s.to_ns, width_ns, key))
		return fail_set(run->fail, STATUS_USAGE,
				"there would be more than %d windows: -w takes %.3g s or more here",
				WINDOWS_MAX, (double)(s.to_ns - s.from_ns) / 1e9 / WINDOWS_MAX);
	rc = read_events(c);
	if (!rc)
		add_losses(c);
	if (!rc)
		rc = read_segments(c);
	if (!rc && (c->failed || windows_finish(&c->windows) || by_who_failed(&c->who)))
		rc = fail_nomem(run->fail);
	return rc;
}

void correlate_fini(struct correlate *c)
{
	forget(c);
	windows_fini(&c->windows);
	by_who_fini(&c->who);
	names_fini(&c->reasons);
}

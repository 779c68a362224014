// SPDX-License-Identifier: GPL-2.0-or-later
/* What is sampled: kernel counters, counters of interfaces, and the queues of listeners. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evidence_parts.h"

#define MAX_COUNTERS 65536
#define MAX_LINKS 65536

const char *evidence_counter_name(enum evid_count c)
{
	static const char *const names[EVC_N] = {
#define X(id, name) [EVC_##id] = name,
		EVID_COUNTERS(X)
#undef X
	};

	return names[c];
}

/* ---- counters ---- */

static struct evid_moved *moved_at(struct gather *g, uint64_t id)
{
	struct evid_moved *more;
	size_t n;

	if (id >= MAX_COUNTERS)
		return NULL;
	if (id < g->n_moved)
		return &g->moved[id];
	n = id + 256;
	more = realloc(g->moved, n * sizeof(*more));
	if (!more) {
		g->failed = true;
		return NULL;
	}
	memset(more + g->n_moved, 0, (n - g->n_moved) * sizeof(*more));
	g->moved = more;
	g->n_moved = n;
	return &g->moved[id];
}

/* Of counter and of nic_stat; the first sample of a series says what it stood at. */
enum { C_ID, C_DELTA, C_INTERVAL, C_N };
static const struct bind_field counter_fields[C_N] = {
	{"counter", BIND_INT}, {"delta", BIND_INT}, {"interval_us", BIND_INT}};

static int on_counter(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_moved *m =
		evid_wants(g, row) ? moved_at(g, bind_get(row, C_ID, MAX_COUNTERS)) : NULL;

	if (m && bind_get(row, C_INTERVAL, 0))
		m->by += (int64_t)bind_get(row, C_DELTA, 0);
	return 0;
}

enum { N_ID, N_NAME, N_N };
static const struct bind_field name_fields[N_N] = {{"counter", BIND_INT}, {"name", BIND_STR}};

static int on_name(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_moved *m = moved_at(g, bind_get(row, N_ID, MAX_COUNTERS));
	size_t len = 0;
	const char *name = bind_str(row, N_NAME, &len);

	if (m && name && !m->name) {
		m->name = strndup(name, len);
		g->failed |= !m->name;
	}
	return 0;
}

/* Of an interface or its driver: what speaks of packets that it lost. */
static bool is_of_loss(const char *name)
{
	static const char *const words[] = {"drop", "err", "fifo", "miss", "no_buf", "discard"};
	bool kernels = !strncmp(name, "TcpExt.", 7) || !strncmp(name, "Tcp.", 4) ||
		       !strncmp(name, "Ip", 2) || !strncmp(name, "Icmp", 4) ||
		       !strncmp(name, "Udp", 3) || !strncmp(name, "softnet.", 8) ||
		       !strncmp(name, "sockstat", 8) || !strncmp(name, "MPTcpExt.", 9);

	for (size_t i = 0; !kernels && i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(name, words[i]))
			return true;
	return false;
}

void evid_machine_finish(struct gather *g)
{
	struct evidence *e = g->e;

	for (size_t i = 0; i < g->n_moved; i++) {
		const struct evid_moved *m = &g->moved[i];
		uint64_t by = m->by > 0 ? (uint64_t)m->by : 0;

		for (unsigned k = 0; m->name && k < EVC_N; k++)
			if (!strcmp(m->name, evidence_counter_name(k)))
				e->counters[k] += by;
		if (m->name && by && e->n_nics < EVID_NICS && is_of_loss(m->name)) {
			snprintf(e->nics[e->n_nics].name, sizeof(e->nics->name), "%s", m->name);
			e->nics[e->n_nics++].n = by;
		}
		free(m->name);
	}
	free(g->moved);
	g->moved = NULL;
	g->n_moved = 0;
}

/* ---- listeners ---- */

enum { Q_SOCK, Q_BACKLOG, Q_MAX, Q_DROPS, Q_N };
static const struct bind_field queue_fields[Q_N] = {
	{"sock", BIND_SOCK}, {"backlog", BIND_INT}, {"max_backlog", BIND_INT}, {"drops", BIND_INT}};

static struct evid_end *listener_of(struct gather *g, const struct bind_row *row)
{
	const struct sock *s = row->sock;

	return evid_wants(g, row) && s && s->has_flow ? evid_end_at(g, s->flow.laddr, s->flow.lport)
						      : NULL;
}

/* The listener that a reader wants to know is the one with most overflows, or the longest queue. */
static void show_listener(struct gather *g, const struct evid_end *end)
{
	struct evid_listener *l = &g->e->listener;

	if (l->has_flow && end->overflows < l->overflows)
		return;
	if (l->has_flow && end->overflows == l->overflows && end->backlog < l->backlog)
		return;
	*l = (struct evid_listener){.flow = end->flow,
				    .has_flow = true,
				    .overflows = end->overflows,
				    .backlog = end->backlog,
				    .max_backlog = end->max_backlog};
}

static void take_queue(struct gather *g, struct evid_end *end, const struct bind_row *row)
{
	uint32_t backlog = (uint32_t)bind_get(row, Q_BACKLOG, 0);
	uint32_t max = (uint32_t)bind_get(row, Q_MAX, 0);

	end->backlog = backlog > end->backlog ? backlog : end->backlog;
	end->max_backlog = max > end->max_backlog ? max : end->max_backlog;
}

/* A queue takes one more than its limit (sk_acceptq_is_full). */
static int on_queue(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_end *end = listener_of(g, row);
	uint32_t drops = (uint32_t)bind_get(row, Q_DROPS, 0);

	if (!end)
		return 0;
	take_queue(g, end, row);
	if (bind_get(row, Q_BACKLOG, 0))
		end->waited_ns = row->ts_ns;
	if (!end->has_drops)
		end->first_drops = drops;
	end->has_drops = true;
	end->drops = drops - end->first_drops;
	end->was_full |= end->drops && bind_get(row, Q_BACKLOG, 0) > bind_get(row, Q_MAX, 0);
	show_listener(g, end);
	return 0;
}

static int on_child(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_end *end = listener_of(g, row);

	if (!end)
		return 0;
	take_queue(g, end, row);
	end->overflows += bind_get(row, Q_BACKLOG, 0) > bind_get(row, Q_MAX, 0);
	show_listener(g, end);
	return 0;
}

/* ---- interfaces ---- */

enum { L_NAME, L_NETNS, L_IFINDEX, L_QDISC, L_N }; /* as by.c has them, and one more */
const struct bind_field evid_link_fields[] = {
	{"name", BIND_STR}, {"netns", BIND_INT}, {"ifindex", BIND_INT}, {"qdisc", BIND_STR}};
const unsigned evid_n_link_fields = L_N;

int evid_on_link(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	size_t len = 0;
	const char *qdisc = bind_str(row, L_QDISC, &len);
	uint64_t key = evid_link_key((uint32_t)bind_get(row, L_NETNS, 0),
				     (uint32_t)bind_get(row, L_IFINDEX, 0));

	if (qdisc && len == 5 && !memcmp(qdisc, "netem", 5) && g->netems.n < MAX_LINKS)
		g->failed |= map_put(&g->netems, key, g) != 0;
	return g->on_link(ctx, row);
}

void evid_machine_bind(struct bind *ret)
{
	ret[0] = (struct bind){
		.record = "counter", .fields = counter_fields, .n_fields = C_N, .on = on_counter};
	ret[1] = (struct bind){
		.record = "nic_stat", .fields = counter_fields, .n_fields = C_N, .on = on_counter};
	ret[2] = (struct bind){
		.record = "snap_counter", .fields = name_fields, .n_fields = N_N, .on = on_name};
	ret[3] = (struct bind){
		.record = "listen_queue", .fields = queue_fields, .n_fields = Q_N, .on = on_queue};
	ret[4] = (struct bind){.record = "listen_child",
			       .fields = queue_fields,
			       .n_fields = Q_DROPS,
			       .on = on_child};
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape nic: throughput of each queue of each interface, as LMP's nic_throughput; and the
 * counters of interfaces and drivers that moved.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "cmd.h"
#include "interval.h"
#include "map.h"

#define MAX_QUEUES 65536 /* of each kind below, so that a hostile trace has a bound */
#define NO_QUEUE 65535
#define NAME_LEN 64
#define NS_PER_S 1e9

static struct {
	struct opt_fixed interval;
	const char *name;
	bool stats;
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	INTERVAL_ROW(opts, "a table for each interval"),
	{'n', "name", "NAME", OPT_STR, AT(name), "only this interface"},
	{0, "stats", NULL, OPT_FLAG, AT(stats),
	 "instead: what the counters of the interfaces and their drivers moved"},
};

enum { Q_SKBS, Q_SEGS, Q_BYTES, Q_NETNS, Q_IF, Q_INTERVAL, Q_QUEUE, Q_DIR, Q_N };
static const struct bind_field queue_fields[Q_N] = {
	{"skbs", BIND_INT},  {"segs", BIND_INT},      {"bytes", BIND_INT},
	{"netns", BIND_INT}, {"ifindex", BIND_INT},   {"interval_us", BIND_INT},
	{"queue", BIND_INT}, {"direction", BIND_INT},
};
enum { S_DELTA, S_NETNS, S_COUNTER, S_IF, S_INTERVAL, S_N };
static const struct bind_field stat_fields[S_N] = {
	{"delta", BIND_INT},   {"netns", BIND_INT},	  {"counter", BIND_INT},
	{"ifindex", BIND_INT}, {"interval_us", BIND_INT},
};
enum { L_NAME, L_NETNS, L_IF, L_N };
static const struct bind_field link_fields[L_N] = {
	{"name", BIND_STR}, {"netns", BIND_INT}, {"ifindex", BIND_INT}};
enum { N_NAME, N_ID, N_N };
static const struct bind_field name_fields[N_N] = {{"name", BIND_STR}, {"counter", BIND_INT}};

/* One row of output; kind tells the tables apart, sub: queue and direction, or the counter. */
enum kind { LINK = 1, COUNTER, QUEUE, STAT };
struct item {
	struct key {
		uint32_t kind, netns, ifindex, sub;
	} key;
	char name[NAME_LEN]; /* LINK, COUNTER */
	uint64_t skbs, segs, bytes;
	int64_t moved;
	struct item *next; /* of the same hash */
};

struct nic {
	struct cmd_run *run;
	struct map map;
	struct item **items; /* QUEUE and STAT, sorted before they are printed */
	size_t n, cap;
	size_t n_all;
	struct interval interval;
	uint64_t longest_us; /* between two samples */
	uint64_t n_left_out;
	bool failed;
};

static bool list(struct nic *n, struct item *item)
{
	size_t cap = n->cap ? 2 * n->cap : 64;
	struct item **more;

	if (n->n == n->cap) {
		more = realloc(n->items, cap * sizeof(*more));
		if (!more)
			return false;
		n->items = more;
		n->cap = cap;
	}
	n->items[n->n++] = item;
	return true;
}

static struct item *find(struct nic *n, struct key key, bool make)
{
	uint64_t hash = map_hash(&key, sizeof(key));
	struct item *first = map_get(&n->map, hash), *i;

	for (i = first; i; i = i->next)
		if (!memcmp(&i->key, &key, sizeof(key)))
			return i;
	if (!make)
		return NULL;
	if (n->n_all == MAX_QUEUES) {
		n->n_left_out++;
		return NULL;
	}
	i = calloc(1, sizeof(*i));
	if (!i) {
		n->failed = true;
		return NULL;
	}
	i->key = key;
	i->next = first;
	if (map_put(&n->map, hash, i)) {
		n->failed = true;
		free(i);
		return NULL;
	}
	n->n_all++;
	if (key.kind >= QUEUE && !list(n, i))
		n->failed = true;
	return i;
}

static void fini(struct nic *n)
{
	for (size_t i = 0; i < n->map.cap; i++)
		for (struct item *k = n->map.slots[i].value, *next; k; k = next) {
			next = k->next;
			free(k);
		}
	map_fini(&n->map);
	free(n->items);
}

/* The name of an interface, or its number. */
static const char *link_name(struct nic *n, const struct key *k, char room[16])
{
	const struct item *l = find(n, (struct key){LINK, k->netns, k->ifindex, 0}, false);

	snprintf(room, 16, "if%" PRIu32, k->ifindex);
	return l ? l->name : room;
}

static bool wanted(struct nic *n, const struct key *k)
{
	char room[16];

	return !opts.name || !strcmp(link_name(n, k, room), opts.name);
}

/* ---- printing ---- */

static const struct out_col queue_columns[] = {
	{"TIME(s)", "time_s", 10, false},    {"IFACE", "iface", 15, false},
	{"NETNS", "netns", 10, false},	     {"DIR", "direction", 3, false},
	{"QUEUE", "queue", -5, false},	     {"AVG_SIZE", "avg_size", -9, false},
	{"BPS", "bytes_per_s", -14, false},  {"PPS", "packets_per_s", -12, false},
	{"SKB/S", "skbs_per_s", -12, false}, {NULL, "bytes", 0, false},
	{NULL, "packets", 0, false},	     {NULL, "skbs", 0, false},
};
static const struct out_col stat_columns[] = {
	{"IFACE", "iface", 15, false},
	{"NETNS", "netns", 10, false},
	{"COUNTER", "counter", 28, false},
	{"MOVED", "moved", -14, false},
};
#define N_COLS(cols) (sizeof(cols) / sizeof((cols)[0]))

static int by_key(const void *a, const void *b)
{
	const struct key *x = &(*(struct item *const *)a)->key,
			 *y = &(*(struct item *const *)b)->key;

	if (x->netns != y->netns)
		return x->netns < y->netns ? -1 : 1;
	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return x->sub < y->sub ? -1 : x->sub > y->sub;
}

static void print_queue(struct nic *n, const struct item *i, double seconds)
{
	uint32_t queue = i->key.sub & 0xffff;
	struct out *o = n->run->out;
	char room[16];

	cell_seconds(o, n->run->in, n->interval.from_ns);
	out_str(o, link_name(n, &i->key, room));
	out_u64(o, i->key.netns);
	out_str(o, i->key.sub >> 16 ? "rx" : "tx");
	if (i->key.sub >> 16 && queue == NO_QUEUE)
		out_none(o);
	else
		out_u64(o, queue);
	out_fixed(o, i->segs ? (double)i->bytes / (double)i->segs : 0, 2);
	out_fixed(o, (double)i->bytes / seconds, 2);
	out_fixed(o, (double)i->segs / seconds, 2);
	out_fixed(o, (double)i->skbs / seconds, 2);
	out_u64(o, i->bytes);
	out_u64(o, i->segs);
	out_u64(o, i->skbs);
	out_end_row(o);
}

/* Print what the interval brought, and begin anew. */
static void print_queues(struct nic *n, uint64_t to_ns)
{
	double seconds =
		to_ns > n->interval.from_ns ? (double)(to_ns - n->interval.from_ns) / NS_PER_S : 1;

	qsort(n->items, n->n, sizeof(struct item *), by_key);
	for (size_t k = 0; k < n->n; k++) {
		struct item *i = n->items[k];

		if (i->skbs && wanted(n, &i->key))
			print_queue(n, i, seconds);
		i->skbs = i->segs = i->bytes = 0;
	}
}

static void print_stats(struct nic *n)
{
	struct out *o = n->run->out;
	char room[16];

	if (n->n)
		qsort(n->items, n->n, sizeof(struct item *), by_key);
	for (size_t k = 0; k < n->n; k++) {
		const struct item *i = n->items[k];
		const struct item *c = find(n, (struct key){COUNTER, 0, 0, i->key.sub}, false);

		if (!i->moved || !wanted(n, &i->key))
			continue;
		out_str(o, link_name(n, &i->key, room));
		out_u64(o, i->key.netns);
		out_str(o, c ? c->name : "?");
		out_fixed(o, (double)i->moved, 0);
		out_end_row(o);
	}
}

/* ---- reading ---- */

static void take_name(struct nic *n, struct key key, const struct bind_row *row, unsigned field)
{
	size_t len;
	const char *name = bind_str(row, field, &len);
	struct item *i = name ? find(n, key, true) : NULL;

	if (!i)
		return;
	len = len < NAME_LEN ? len : NAME_LEN - 1;
	memcpy(i->name, name, len);
	i->name[len] = '\0';
}

static int on_link(void *ctx, const struct bind_row *row)
{
	struct key key = {LINK, (uint32_t)bind_get(row, L_NETNS, 0),
			  (uint32_t)bind_get(row, L_IF, 0), 0};

	take_name(ctx, key, row, L_NAME);
	return 0;
}

static int on_name(void *ctx, const struct bind_row *row)
{
	if (opts.stats)
		take_name(ctx, (struct key){COUNTER, 0, 0, (uint32_t)bind_get(row, N_ID, 0)}, row,
			  N_NAME);
	return 0;
}

/* Print the interval if it is over at ts_ns. */
static void pass(struct nic *n, uint64_t ts_ns)
{
	if (!interval_is_over(&n->interval, ts_ns))
		return;
	if (n->n)
		print_queues(n, n->interval.next_ns);
	interval_skip(&n->interval, ts_ns);
}

static int on_queue(void *ctx, const struct bind_row *row)
{
	struct nic *n = ctx;
	uint64_t us = bind_get(row, Q_INTERVAL, 0), middle = row->ts_ns - us * 500;
	struct key key = {QUEUE, (uint32_t)bind_get(row, Q_NETNS, 0),
			  (uint32_t)bind_get(row, Q_IF, 0),
			  (uint32_t)(bind_get(row, Q_DIR, 0) << 16 |
				     (bind_get(row, Q_QUEUE, NO_QUEUE) & 0xffff))};
	struct item *i;

	if (opts.stats)
		return 0;
	pass(n, middle < row->ts_ns ? middle : row->ts_ns);
	n->longest_us = us > n->longest_us ? us : n->longest_us;
	i = find(n, key, true);
	if (!i)
		return 0;
	i->skbs += bind_get(row, Q_SKBS, 0);
	i->segs += bind_get(row, Q_SEGS, 0);
	i->bytes += bind_get(row, Q_BYTES, 0);
	return 0;
}

static int on_stat(void *ctx, const struct bind_row *row)
{
	struct key key = {STAT, (uint32_t)bind_get(row, S_NETNS, 0),
			  (uint32_t)bind_get(row, S_IF, 0), (uint32_t)bind_get(row, S_COUNTER, 0)};
	struct item *i = opts.stats ? find(ctx, key, true) : NULL;

	if (i)
		i->moved += (int64_t)bind_get(row, S_DELTA, 0);
	return 0;
}

/* ---- the command ---- */

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (opts.interval.given && opts.stats)
		return fail_set(fail, STATUS_USAGE, "--stats and -i exclude each other");
	return interval_check(&opts.interval, fail);
}

static void finish(struct nic *n)
{
	uint64_t last = input_last(n->run->in), to = input_to(n->run->in);

	last = to < last ? to : last;
	if (opts.stats)
		print_stats(n);
	else if (n->n)
		print_queues(n, n->interval.next_ns < last ? n->interval.next_ns : last);
	if (opts.interval.given && n->longest_us > 1.5e6 * opts.interval.v)
		out_note(n->run->out,
			 "the recorder sampled up to %.3f s apart, so shorter intervals say "
			 "nothing more (tcptape-record --interval)",
			 (double)n->longest_us / 1e6);
	if (n->n_left_out)
		out_note(n->run->out, "%" PRIu64 " rows beyond the first %d queues are left out",
			 n->n_left_out, MAX_QUEUES);
}

static int run(struct cmd_run *run)
{
	struct nic n = {.run = run};
	struct bind binds[] = {
		{.record = "nic_queue", .fields = queue_fields, .n_fields = Q_N, .on = on_queue},
		{.record = "nic_stat", .fields = stat_fields, .n_fields = S_N, .on = on_stat},
		{.record = "snap_link", .fields = link_fields, .n_fields = L_N, .on = on_link},
		{.record = "snap_counter", .fields = name_fields, .n_fields = N_N, .on = on_name},
	};
	struct input_job job = {.binds = binds, .n_binds = 4, .ctx = &n};
	int rc;

	if (input_needs(run->in, "nic", opts.stats ? "nic_stat" : "nic_queue", run->fail))
		return -1;
	interval_begin(&n.interval, &opts.interval, input_from(run->in));
	if (opts.stats)
		out_table(run->out, stat_columns, N_COLS(stat_columns));
	else
		out_table(run->out, queue_columns, N_COLS(queue_columns));
	rc = input_run(run->in, &job, run->fail);
	if (!rc && n.failed)
		rc = fail_nomem(run->fail);
	if (!rc)
		finish(&n);
	fini(&n);
	return rc;
}

const struct cmd cmd_nic = {
	.name = "nic",
	.summary = "throughput of interfaces and their queues (nic_throughput, netqtop)",
	.about =
		"BPS is bytes a second with link-layer headers, PPS packets a second; a buffer "
		"(SKB) can be many\n"
		"packets: it is counted after software segmentation when sent, after GRO when "
		"received, its\n"
		"header once. QUEUE - means that the driver did not say which. Interfaces carry no "
		"connections:\n"
		"-f, --conn, --pid and --comm leave nothing.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "nic",
	.check = check,
	.run = run,
};

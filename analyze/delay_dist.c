// SPDX-License-Identifier: GPL-2.0-or-later
/* Distributions of the times in each layer, for all segments or for groups of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delay.h"
#include "hist.h"
#include "map.h"

#define MAX_GROUPS 2048 /* with some 100 KiB each */
#define TOTAL SEG_LAYERS
#define KEY_LEN 64

struct group {
	char name[KEY_LEN];
	struct hist hists[SEG_LAYERS + 1]; /* nanoseconds; the last one: of the whole */
	uint64_t n_unknown[SEG_LAYERS + 1];
	uint64_t n;
};

struct delay_dist {
	struct delay_dist_opts opts;
	struct out *out;
	struct map map;
	struct group *groups[MAX_GROUPS];
	size_t n_groups;
	uint64_t n_left_out;
	bool failed;
	struct out_col cols[16];
};

/* ---- layers ---- */

const struct delay_layer *delay_layers(enum seg_dir dir)
{
	static const struct delay_layer in[] = {
		{SEG_IN_DRIVER, "driver", "DRIVER", "driver_us"},
		{SEG_IN_MAC, "mac", "MAC", "mac_us"},
		{SEG_IN_IP, "ip", "IP", "ip_us"},
		{SEG_IN_DELIVER, "deliver", "DELIVER", "deliver_us"},
		{SEG_IN_TCP, "tcp", "TCP", "tcp_us"},
		{SEG_IN_BACKLOG, "backlog", "BACKLOG", "backlog_us"},
		{SEG_IN_ESTABLISHED, "established", "ESTAB", "established_us"},
		{SEG_IN_HOLE, "hole", "HOLE", "hole_us"},
		{SEG_IN_QUEUE, "queue", "QUEUE", "queue_us"},
		{0, NULL, NULL, NULL},
	};
	static const struct delay_layer out[] = {
		{SEG_OUT_WRITE, "write", "WRITE", "write_us"},
		{SEG_OUT_TCP, "tcp", "TCP", "tcp_us"},
		{SEG_OUT_IP, "ip", "IP", "ip_us"},
		{SEG_OUT_OUTPUT, "output", "OUTPUT", "output_us"},
		{SEG_OUT_QDISC, "qdisc", "QDISC", "qdisc_us"},
		{SEG_OUT_DRIVER, "driver", "DRIVER", "driver_us"},
		{SEG_OUT_SENT, "sent", "SENT", "sent_us"},
		{0, NULL, NULL, NULL},
	};

	return dir == SEG_IN ? in : out;
}

/* Not passed by every segment, so nobody's time is also theirs. */
static uint32_t detours(enum seg_dir dir)
{
	return dir == SEG_IN ? SEG_BIT(SEG_IN_BACKLOG) | SEG_BIT(SEG_IN_HOLE) : 0;
}

static unsigned last_layer(enum seg_dir dir)
{
	return dir == SEG_IN ? SEG_IN_COPY : SEG_OUT_COMPLETE;
}

uint32_t delay_span(enum seg_dir dir, uint32_t recorded, unsigned layer)
{
	uint32_t span = SEG_BIT(layer);

	if (!(recorded & SEG_BIT(layer)))
		return 0;
	for (unsigned l = layer + 1; l <= last_layer(dir); l++) {
		if (recorded & SEG_BIT(l) && !(detours(dir) & SEG_BIT(l)))
			return span;
		if (!(recorded & SEG_BIT(l)) && !(detours(dir) & SEG_BIT(l)))
			span |= SEG_BIT(l);
	}
	/* nothing behind it tells when it ends; but TCP's end is told */
	return layer == SEG_IN_ESTABLISHED && dir == SEG_IN ? SEG_BIT(layer) : 0;
}

void delay_title(enum seg_dir dir, uint32_t span, char buf[DELAY_TITLE_LEN])
{
	size_t used = 0;

	*buf = '\0';
	for (const struct delay_layer *l = delay_layers(dir); l->title; l++)
		if (span & SEG_BIT(l->layer))
			used += (size_t)snprintf(buf + used, DELAY_TITLE_LEN - used, "%s%s",
						 used ? "+" : "", l->title);
}

bool delay_is_clean(const struct segment *s, uint32_t recorded, unsigned layer)
{
	uint32_t missed = 0;

	if (!(s->known & SEG_BIT(layer)))
		return false;
	if (!(s->spans & SEG_BIT(layer)))
		return true;
	for (unsigned l = layer + 1; l <= last_layer(s->dir); l++) {
		if (s->known & SEG_BIT(l))
			break;
		missed |= SEG_BIT(l) & ~detours(s->dir) & ~SEG_BIT(last_layer(s->dir));
	}
	/* the layer where it ended tells no time, but was there */
	return !(missed & recorded & ~s->seen);
}

/* ---- groups ---- */

struct delay_dist *delay_dist_new(const struct delay_dist_opts *opts, struct out *out)
{
	struct delay_dist *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->opts = *opts;
	d->out = out;
	return d;
}

void delay_dist_free(struct delay_dist *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n_groups; i++) {
		for (unsigned k = 0; k <= TOTAL; k++)
			hist_fini(&d->groups[i]->hists[k]);
		free(d->groups[i]);
	}
	map_fini(&d->map);
	free(d);
}

static void name_of(const struct delay_dist *d, const struct segment *s, const struct conn *owner,
		    char buf[KEY_LEN])
{
	const struct flow *f = &s->inner;
	bool own = s->task.pid;
	char addr[FLOW_TEXT_LEN];

	snprintf(buf, KEY_LEN, "-");
	switch (d->opts.by) {
	case DELAY_REMOTE: flow_addr_text(f->raddr, buf); break;
	case DELAY_LOCAL:
		flow_addr_text(f->laddr, addr);
		snprintf(buf, KEY_LEN, flow_addr_is_v4(f->laddr) ? "%s:%u" : "[%s]:%u", addr,
			 f->lport);
		break;
	case DELAY_CONN:
		if (s->cookie)
			snprintf(buf, KEY_LEN, "0x%" PRIx64, s->cookie);
		break;
	case DELAY_PID:
		if (own || (owner && owner->has_owner))
			snprintf(buf, KEY_LEN, "%u", own ? s->task.pid : owner->pid);
		break;
	case DELAY_COMM:
		if (own || (owner && owner->has_owner))
			snprintf(buf, KEY_LEN, "%s", own ? s->task.comm : owner->comm);
		break;
	case DELAY_NETNS: snprintf(buf, KEY_LEN, "%u", s->netns); break;
	case DELAY_INTERFACE: snprintf(buf, KEY_LEN, "%u/%u", s->netns, s->ifindex); break;
	case DELAY_ALL: break;
	}
}

static struct group *group_of(struct delay_dist *d, const char *name)
{
	uint64_t hash = map_hash(name, strlen(name));
	struct group *g = map_get(&d->map, hash);

	if (g)
		return g;
	if (d->n_groups == MAX_GROUPS) {
		d->n_left_out++;
		return NULL;
	}
	g = calloc(1, sizeof(*g));
	if (!g || map_put(&d->map, hash, g)) {
		free(g);
		d->failed = true;
		return NULL;
	}
	snprintf(g->name, sizeof(g->name), "%s", name);
	for (unsigned k = 0; k <= TOTAL; k++)
		hist_init(&g->hists[k], 1000, !d->opts.picture);
	d->groups[d->n_groups++] = g;
	return g;
}

/* A layer that a segment had no reason to pass, or where its way ended, is not unknown. */
static bool is_missed(const struct segment *s, uint32_t recorded, unsigned layer)
{
	if (detours(s->dir) & SEG_BIT(layer))
		return false;
	if (s->dir == SEG_OUT && layer == SEG_OUT_WRITE)
		return s->payload && !(s->marks & SEG_AGAIN);
	if (s->dir == SEG_IN && layer == SEG_IN_QUEUE)
		return s->payload && !(s->marks & (SEG_OLD | SEG_UNREAD));
	if (s->dir == SEG_IN && layer == SEG_IN_ESTABLISHED)
		return s->payload && s->seen & SEG_BIT(layer);
	if (s->seen & SEG_BIT(layer) && !(s->seen >> (layer + 1)) && !s->payload)
		return false;
	return recorded & SEG_BIT(layer);
}

void delay_dist_add(struct delay_dist *d, const struct segment *s, const struct conn *owner)
{
	char name[KEY_LEN];
	struct group *g;

	name_of(d, s, owner, name);
	g = group_of(d, name);
	if (!g)
		return;
	g->n++;
	hist_add(&g->hists[TOTAL], s->end_ns - s->start_ns);
	for (const struct delay_layer *l = delay_layers(s->dir); l->title; l++) {
		if (delay_is_clean(s, d->opts.recorded, l->layer))
			hist_add(&g->hists[l->layer], s->spent_ns[l->layer]);
		else if (is_missed(s, d->opts.recorded, l->layer))
			g->n_unknown[l->layer]++;
	}
}

/* ---- printing ---- */

enum { C_GROUP };
static const struct out_col columns[] = {
	{"GROUP", "group", 22, true},
	{"LAYER", "layer", 18, false},
	{"N", "n", -9, false},
	{"MIN(us)", "min_us", -10, false},
	{"P50", "p50_us", -10, false},
	{"P90", "p90_us", -10, false},
	{"P99", "p99_us", -10, false},
	{"P99.9", "p99_9_us", -10, false},
	{"MAX", "max_us", -10, false},
	{"MEAN", "mean_us", -10, false},
	{"UNKNOWN", "unknown", -9, false},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct out_col bucket_columns[] = {
	{NULL, "group", 0, false},   {NULL, "layer", 0, false}, {NULL, "low_us", 0, false},
	{NULL, "high_us", 0, false}, {NULL, "count", 0, false},
};

static void cells_group(struct delay_dist *d, const struct group *g, const char *layer)
{
	if (d->opts.by == DELAY_ALL)
		out_none(d->out);
	else
		out_str(d->out, g->name);
	out_str(d->out, layer);
}

static void cell_us(struct out *o, double ns)
{
	out_fixed(o, ns / 1000, 3);
}

static void print_percentiles(struct delay_dist *d, const struct group *g, unsigned layer,
			      const char *title)
{
	static const double parts[] = {0.5, 0.9, 0.99, 0.999};
	const struct hist *h = &g->hists[layer];
	struct out *o = d->out;

	cells_group(d, g, title);
	out_u64(o, h->n);
	if (h->n)
		cell_us(o, (double)h->min);
	else
		out_none(o);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (h->n)
			cell_us(o, (double)hist_percentile(h, parts[i]));
		else
			out_none(o);
	}
	if (h->n) {
		cell_us(o, (double)h->max);
		cell_us(o, hist_mean(h));
	} else {
		out_none(o);
		out_none(o);
	}
	out_u64(o, g->n_unknown[layer]);
	out_end_row(o);
}

static void print_picture(struct delay_dist *d, const struct group *g, unsigned layer,
			  const char *title)
{
	const struct hist *h = &g->hists[layer];

	if (!h->n)
		return;
	if (!out_is_json(d->out) && !out_is_csv(d->out)) {
		struct text *t = out_line(d->out);

		if (d->opts.by != DELAY_ALL) {
			text_safe(t, g->name, strlen(g->name));
			text_puts(t, "  ");
		}
		text_fmt(t, "%s\n", title);
		hist_draw(h, "usecs", t);
		out_end_line(d->out);
		return;
	}
	for (unsigned i = 0; i < HIST_SLOTS; i++) {
		if (!h->slots[i])
			continue;
		cells_group(d, g, title);
		out_u64(d->out, hist_low(i));
		out_u64(d->out, hist_high(i));
		out_u64(d->out, h->slots[i]);
		out_end_row(d->out);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct group *const *)a)->name, (*(struct group *const *)b)->name);
}

static void begin_table(struct delay_dist *d)
{
	if (d->opts.picture) {
		if (out_is_json(d->out) || out_is_csv(d->out))
			out_table(d->out, bucket_columns,
				  sizeof(bucket_columns) / sizeof(bucket_columns[0]));
		return;
	}
	memcpy(d->cols, columns, sizeof(columns));
	d->cols[C_GROUP].hidden = d->opts.by == DELAY_ALL;
	out_table(d->out, d->cols, N_COLUMNS);
}

static void print_group(struct delay_dist *d, const struct group *g)
{
	void (*print)(struct delay_dist *, const struct group *, unsigned, const char *) =
		d->opts.picture ? print_picture : print_percentiles;
	bool text = !out_is_json(d->out) && !out_is_csv(d->out);
	char title[DELAY_TITLE_LEN];

	print(d, g, TOTAL, text ? "TOTAL" : "total");
	for (const struct delay_layer *l = delay_layers(d->opts.dir); l->title; l++) {
		uint32_t span = delay_span(d->opts.dir, d->opts.recorded, l->layer);

		if (!span)
			continue;
		delay_title(d->opts.dir, span, title);
		print(d, g, l->layer, text ? title : l->name);
	}
}

bool delay_dist_print(struct delay_dist *d)
{
	begin_table(d);
	qsort(d->groups, d->n_groups, sizeof(d->groups[0]), by_name);
	for (size_t i = 0; i < d->n_groups; i++) {
		print_group(d, d->groups[i]);
		for (unsigned k = 0; k <= TOTAL; k++)
			d->failed |= d->groups[i]->hists[k].failed;
	}
	if (d->n_left_out)
		out_note(d->out,
			 "%" PRIu64
			 " segments of further groups are left out: there are more than %d",
			 d->n_left_out, MAX_GROUPS);
	return !d->failed;
}

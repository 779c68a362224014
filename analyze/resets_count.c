// SPDX-License-Identifier: GPL-2.0-or-later
#include "resets_count.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"

#define MAX_GROUPS 65536
#define MAX_KINDS 256 /* of one group: a hostile trace may have any reason */

struct tally {
	struct reset_kind kind;
	uint64_t n;
};

struct group {
	struct by_group by;
	struct tally *tallies;
	size_t n, cap;
};

struct line { /* of the table */
	const struct group *group;
	const struct tally *tally;
};

enum { N_TIMES = 2, C_RST = 1 };
static const struct out_col time_columns[] = {CELLS_TIME_COLS};
static const struct out_col count_columns[] = {
	{"COUNT", "count", -9, false}, {"RST", NULL, 3, false},
	{NULL, "direction", 0, false}, {"BY", "by", 8, false},
	{"STATE", "state", 12, false}, {"REASON", "reason", 0, false},
};
#define N_COUNTS (sizeof(count_columns) / sizeof(count_columns[0]))
#define N_COLUMNS (N_TIMES + BY_N_COLS + N_COUNTS)

int resets_count_begin(struct resets_count *c, enum by_key key, bool with_interval, bool with_s)
{
	c->cols = calloc(N_COLUMNS, sizeof(*c->cols));
	if (!c->cols)
		return -1;
	c->groups = (struct by_groups){.key = key, .size = sizeof(struct group), .max = MAX_GROUPS};
	memcpy(c->cols, time_columns, sizeof(time_columns));
	c->cols[0].hidden = !with_interval;
	c->cols[1].hidden = !with_interval || with_s;
	by_cols(key, c->cols + N_TIMES);
	memcpy(c->cols + N_TIMES + BY_N_COLS, count_columns, sizeof(count_columns));
	out_table(c->out, c->cols, N_COLUMNS);
	return 0;
}

static bool is_same(const struct reset_kind *a, const struct reset_kind *b)
{
	return a->is_sent == b->is_sent && a->state == b->state && a->reason == b->reason &&
	       !strcmp(a->by, b->by);
}

/* NULL: no memory, or one kind too many. */
static struct tally *tally_of(struct resets_count *c, struct group *g,
			      const struct reset_kind *kind)
{
	struct tally *more;

	for (size_t i = 0; i < g->n; i++)
		if (is_same(&g->tallies[i].kind, kind))
			return &g->tallies[i];
	if (g->n == MAX_KINDS) {
		c->groups.n_left_out++;
		return NULL;
	}
	if (g->n == g->cap) {
		more = realloc(g->tallies, (g->cap * 2 + 4) * sizeof(*more));
		if (!more) {
			c->failed = true;
			return NULL;
		}
		g->tallies = more;
		g->cap = g->cap * 2 + 4;
	}
	g->tallies[g->n] = (struct tally){.kind = *kind};
	return &g->tallies[g->n++];
}

void resets_count_add(struct resets_count *c, const struct by_event *e,
		      const struct reset_kind *kind)
{
	struct group *g = by_groups_get(&c->groups, c->who, e);
	struct tally *t = g ? tally_of(c, g, kind) : NULL;

	if (t)
		t->n++;
}

/* ---- printing ---- */

static void print(struct resets_count *c, const struct line *l)
{
	const struct reset_kind *k = &l->tally->kind;
	struct out *o = c->out;

	cell_clock(o, c->in, c->interval.from_ns);
	cell_seconds(o, c->in, c->interval.from_ns);
	by_cells(o, c->who, c->groups.key, &l->group->by);
	out_u64(o, l->tally->n);
	out_const(o, k->is_sent ? "->" : "<-");
	out_str(o, k->is_sent ? "sent" : "received");
	out_str(o, k->by);
	if (k->state)
		cell_state(o, c->in, k->state);
	else
		out_none(o);
	c->cell_reason(c->ctx, k->reason);
	out_end_row(o);
}

static int compare_kinds(const struct reset_kind *x, const struct reset_kind *y)
{
	int by = strcmp(x->by, y->by);

	if (by)
		return by;
	if (x->state != y->state)
		return x->state < y->state ? -1 : 1;
	return x->reason < y->reason ? -1 : x->reason > y->reason;
}

static int most_first(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int by;

	if (x->tally->n != y->tally->n)
		return x->tally->n > y->tally->n ? -1 : 1;
	by = by_compare(&x->group->by, &y->group->by);
	return by ? by : compare_kinds(&x->tally->kind, &y->tally->kind);
}

static bool is_kept(struct by_group *g)
{
	free(((struct group *)g)->tallies);
	return false;
}

static void print_all(struct resets_count *c)
{
	size_t n = 0, at = 0;
	struct line *lines;

	for (size_t i = 0; i < c->groups.n; i++)
		n += ((const struct group *)c->groups.list[i])->n;
	lines = calloc(n + 1, sizeof(*lines));
	c->failed |= !lines;
	for (size_t i = 0; lines && i < c->groups.n; i++) {
		const struct group *g = (const struct group *)c->groups.list[i];

		for (size_t k = 0; k < g->n; k++)
			lines[at++] = (struct line){g, &g->tallies[k]};
	}
	if (lines)
		qsort(lines, n, sizeof(*lines), most_first);
	for (size_t i = 0; i < at; i++)
		print(c, &lines[i]);
	free(lines);
	by_groups_keep(&c->groups, is_kept);
}

void resets_count_pass(struct resets_count *c, uint64_t ts_ns)
{
	if (!interval_is_over(&c->interval, ts_ns))
		return;
	print_all(c);
	interval_skip(&c->interval, ts_ns);
}

void resets_count_end(struct resets_count *c)
{
	print_all(c);
	if (c->groups.n_left_out)
		out_note(c->out, "%" PRIu64 " RSTs beyond the first %d groups are left out",
			 c->groups.n_left_out, MAX_GROUPS);
}

void resets_count_fini(struct resets_count *c)
{
	by_groups_keep(&c->groups, is_kept);
	by_groups_fini(&c->groups);
	free(c->cols);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "connlat_count.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"

#define MAX_GROUPS 65536

struct tally {
	struct by_group by;
	uint64_t n, of[OUTCOME_PENDING + 1]; /* by enum outcome */
};

enum { N_TIMES = 2 };
static const struct out_col time_columns[] = {CELLS_TIME_COLS};
static const struct out_col count_columns[] = {
	{"CONNECTS", "connects", -8, false},
	/* in the order of enum outcome */
	{"OK", "ok", -7, false},
	{"REFUSED", "refused", -7, false},
	{"TIMEOUT", "timeout", -7, false},
	{"UNREACH", "unreachable", -7, false},
	{"ABORTED", "aborted", -7, false},
	{"LOCAL", "local_error", -7, false},
	{"ERROR", "other_error", -7, false},
	{"PENDING", "pending", -7, false},
};
#define N_COUNTS (sizeof(count_columns) / sizeof(count_columns[0]))
#define N_COLUMNS (N_TIMES + BY_N_COLS + N_COUNTS)
_Static_assert(N_COUNTS == 1 + OUTCOME_PENDING, "a column for each outcome of a connect");

int connlat_count_begin(struct connlat_count *c, enum by_key key, bool with_interval, bool with_s)
{
	c->cols = calloc(N_COLUMNS, sizeof(*c->cols));
	if (!c->cols)
		return -1;
	c->groups = (struct by_groups){.key = key, .size = sizeof(struct tally), .max = MAX_GROUPS};
	memcpy(c->cols, time_columns, sizeof(time_columns));
	c->cols[0].hidden = !with_interval;
	c->cols[1].hidden = !with_interval || with_s;
	by_cols(key, c->cols + N_TIMES);
	memcpy(c->cols + N_TIMES + BY_N_COLS, count_columns, sizeof(count_columns));
	out_table(c->out, c->cols, N_COLUMNS);
	return 0;
}

void connlat_count_add(struct connlat_count *c, const struct by_event *e, enum outcome outcome)
{
	struct tally *t = by_groups_get(&c->groups, c->who, e);

	if (!t)
		return;
	t->n++;
	t->of[outcome]++;
}

/* ---- printing ---- */

/* Of equally many: in the order of the ends, as ids of targets are hashes. */
static int most_first(const void *a, const void *b)
{
	const struct tally *x = *(const struct tally *const *)a;
	const struct tally *y = *(const struct tally *const *)b;
	const struct flow *f = &x->by.sock.flow, *g = &y->by.sock.flow;
	int by;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	by = memcmp(f->laddr, g->laddr, FLOW_ADDR_LEN);
	if (!by)
		by = memcmp(f->raddr, g->raddr, FLOW_ADDR_LEN);
	if (!by)
		by = (int)f->rport - (int)g->rport;
	return by ? by : by_compare(&x->by, &y->by);
}

static bool is_kept(struct by_group *g)
{
	return false;
}

static void print_all(struct connlat_count *c)
{
	struct by_groups *gs = &c->groups;

	if (gs->n)
		qsort(gs->list, gs->n, sizeof(*gs->list), most_first);
	for (size_t i = 0; i < gs->n; i++) {
		const struct tally *t = (const struct tally *)gs->list[i];

		cell_clock(c->out, c->in, c->interval.from_ns);
		cell_seconds(c->out, c->in, c->interval.from_ns);
		by_cells(c->out, c->who, gs->key, &t->by);
		out_u64(c->out, t->n);
		for (unsigned k = OUTCOME_OK; k <= OUTCOME_PENDING; k++)
			out_u64(c->out, t->of[k]);
		out_end_row(c->out);
	}
	by_groups_keep(gs, is_kept);
}

void connlat_count_pass(struct connlat_count *c, uint64_t ts_ns)
{
	if (!interval_is_over(&c->interval, ts_ns))
		return;
	print_all(c);
	interval_skip(&c->interval, ts_ns);
}

void connlat_count_end(struct connlat_count *c)
{
	print_all(c);
	if (c->groups.n_left_out)
		out_note(c->out, "%" PRIu64 " connects beyond the first %d groups are left out",
			 c->groups.n_left_out, MAX_GROUPS);
}

void connlat_count_fini(struct connlat_count *c)
{
	by_groups_fini(&c->groups);
	free(c->cols);
}

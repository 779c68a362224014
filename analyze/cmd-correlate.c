// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape correlate: what moves with what. Metrics over windows of time, each pair of them compared
 * by rank, at lags; what chance would not do, with the windows that show it.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "correlate.h"
#include "stats.h"

#define ALPHA 0.05
#define MIN_RHO 0.3 /* a weaker relation explains less than a tenth of what moves */
#define MAX_PAIRS 200000
#define DEFAULT_LAG 3

static struct {
	struct opt_fixed window;
	struct opt_u32 lag;
	const char *by;
	enum by_key key;
	bool all;
} opts;

#define KEYS                                                                                       \
	(BY_BIT(BY_CONN) | BY_BIT(BY_PID) | BY_BIT(BY_COMM) | BY_BIT(BY_CGROUP) |                  \
	 BY_BIT(BY_NETNS) | BY_BIT(BY_REMOTE) | BY_BIT(BY_LOCAL) | BY_BIT(BY_LISTENER))

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	{'w', "window", "SECONDS", OPT_FIXED, AT(window),
	 "width of a window; else so that there are 50 to 500"},
	{0, "lag", "N", OPT_U32, AT(lag), "follow for up to so many windows (3, at most 20)"},
	{0, "by", "KEY", OPT_STR, AT(by), "one for each " BY_OF_SOCKETS_HELP},
	{'a', "all", NULL, OPT_FLAG, AT(all), "all pairs that were tried, related or not"},
};

/* One pair that was tried, and whose series they are. */
struct tried {
	struct relate_pair pair;
	const struct windows_group *group;  /* NULL: of the machine alone */
	const struct windows_series *x, *y; /* y follows x, or moves at the same time */
};

struct show {
	struct correlate c;
	struct cmd_run *run;
	struct tried *pairs;
	size_t n, cap;
	uint64_t n_identities, n_untried;
	struct out_col cols[BY_N_COLS + 12 + 3 * RELATE_EVIDENCE];
	unsigned n_cols;
	bool failed;
};

/* ---- pairs ---- */

static struct tried *more(struct show *s)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 256;
		struct tried *v = s->n < MAX_PAIRS ? realloc(s->pairs, cap * sizeof(*v)) : NULL;

		if (!v) {
			s->failed = true;
			return NULL;
		}
		s->pairs = v;
		s->cap = cap;
	}
	return &s->pairs[s->n];
}

static void try(struct show *s, const struct windows_group *g, const struct windows_series *x,
		const struct windows_series *y)
{
	unsigned lag = opts.lag.given ? opts.lag.v : DEFAULT_LAG;
	struct tried *t;

	if (correlate_is_identity(&x->key, &y->key)) {
		s->n_identities++;
		return;
	}
	t = more(s);
	if (!t)
		return;
	*t = (struct tried){.group = g, .x = x, .y = y};
	if (!relate(&x->is, &y->is, s->c.windows.n, lag, &t->pair)) {
		s->n_untried++;
		return;
	}
	if (t->pair.lag < 0) { /* x follows y: told the other way round */
		t->x = y;
		t->y = x;
		for (unsigned k = 0; k < RELATE_EVIDENCE; k++)
			if (t->pair.strongest[k] != SIZE_MAX)
				t->pair.strongest[k] -= (size_t)-t->pair.lag;
		t->pair.lag = -t->pair.lag;
	}
	s->n++;
}

/* Of each group all pairs, and each of its series with each of the machine's; the machine's own. */
static void try_all(struct show *s)
{
	struct windows_group *m = &s->c.windows.machine;
	struct by_groups *gs = &s->c.windows.groups;

	for (size_t i = 0; i < gs->n; i++) {
		struct windows_group *g = (struct windows_group *)gs->list[i];

		for (size_t x = 0; x < g->n; x++) {
			for (size_t y = x + 1; y < g->n; y++)
				try(s, g, &g->series[x], &g->series[y]);
			for (size_t y = 0; y < m->n; y++)
				try(s, g, &g->series[x], &m->series[y]);
		}
	}
	for (size_t x = 0; x < m->n; x++)
		for (size_t y = x + 1; y < m->n; y++)
			try(s, NULL, &m->series[x], &m->series[y]);
}

static bool is_related(const struct tried *t)
{
	return t->pair.p_adjusted <= ALPHA && fabs(t->pair.rho) >= MIN_RHO;
}

/* Related ones first, by what chance would do; then by |rho|. */
static int by_strength(const void *a, const void *b)
{
	const struct tried *x = a, *y = b;

	if (is_related(x) != is_related(y))
		return is_related(x) ? -1 : 1;
	if (x->pair.p != y->pair.p)
		return x->pair.p < y->pair.p ? -1 : 1;
	return (fabs(x->pair.rho) < fabs(y->pair.rho)) - (fabs(x->pair.rho) > fabs(y->pair.rho));
}

static int judge(struct show *s)
{
	double *p = calloc(2 * s->n + 1, sizeof(*p));

	for (size_t i = 0; p && i < s->n; i++)
		p[i] = s->pairs[i].pair.p;
	if (!p || stats_fdr(p, p + s->n, s->n)) {
		free(p);
		return fail_nomem(s->run->fail);
	}
	for (size_t i = 0; i < s->n; i++)
		s->pairs[i].pair.p_adjusted = p[s->n + i];
	free(p);
	if (s->n)
		qsort(s->pairs, s->n, sizeof(*s->pairs), by_strength);
	return 0;
}

/* ---- printing ---- */

static const struct out_col pair_columns[] = {
	{"RHO", "rho", -6, false},
	{"LAG(ms)", "lag_ms", -7, false},
	{"WINDOWS", "windows", -7, false},
	{"INDEP", "independent", -6, false},
	{NULL, "p", 0, false},
	{"P", "p_adjusted", -8, false},
	{"REL", "related", 3, true},
	{"FIRST", "first", 22, false},
	{"THEN", "then", 22, false},
	{NULL, "first_unit", 0, false},
	{NULL, "then_unit", 0, false},
	{"STRONGEST WINDOWS: FIRST, THEN", NULL, 0, false},
};
enum { COL_REL = 6, N_PAIR_COLS = sizeof(pair_columns) / sizeof(pair_columns[0]) };
static const struct out_col window_columns[3 * RELATE_EVIDENCE] = {
	{NULL, "time_1_s", 0, false}, {NULL, "first_1", 0, false}, {NULL, "then_1", 0, false},
	{NULL, "time_2_s", 0, false}, {NULL, "first_2", 0, false}, {NULL, "then_2", 0, false},
	{NULL, "time_3_s", 0, false}, {NULL, "first_3", 0, false}, {NULL, "then_3", 0, false},
};

static void begin_table(struct show *s)
{
	struct out_col *c = s->cols;

	by_cols(opts.key, c);
	c += BY_N_COLS;
	memcpy(c, pair_columns, sizeof(pair_columns));
	c[COL_REL].hidden = !opts.all;
	c += N_PAIR_COLS;
	memcpy(c, window_columns, sizeof(window_columns));
	s->n_cols = BY_N_COLS + N_PAIR_COLS + 3 * RELATE_EVIDENCE;
	out_table(s->run->out, s->cols, s->n_cols);
}

static void cell_p(struct out *o, double p)
{
	char buf[32];

	if (out_is_json(o) || out_is_csv(o)) {
		out_fixed(o, p, 9);
		return;
	}
	snprintf(buf, sizeof(buf), p < 1e-4 ? "<0.0001" : "%.4f", p);
	out_str(o, buf);
}

static uint64_t time_of(const struct show *s, size_t window)
{
	return s->c.windows.from_ns + window * s->c.windows.width_ns;
}

/* The windows in words: "+2.350s 120.5ms 80segs, ...". */
static void cell_evidence(struct show *s, const struct tried *t)
{
	struct text text = {0};

	for (unsigned k = 0; k < RELATE_EVIDENCE; k++) {
		size_t at = t->pair.strongest[k];

		if (at == SIZE_MAX)
			continue;
		text_fmt(&text, "%s+%.3fs %.6g%s, %.6g%s", text.len ? "; " : "",
			 input_seconds(s->run->in, time_of(s, at)), t->x->is.v[at],
			 correlate_unit(&t->x->key), t->y->is.v[at + (size_t)t->pair.lag],
			 correlate_unit(&t->y->key));
	}
	text_putc(&text, 0);
	s->failed |= text.failed;
	out_const(s->run->out, text.failed ? "" : text.s);
	text_fini(&text);
}

static void cells_windows(struct show *s, const struct tried *t)
{
	struct out *o = s->run->out;

	for (unsigned k = 0; k < RELATE_EVIDENCE; k++) {
		size_t at = t->pair.strongest[k];

		if (at == SIZE_MAX) {
			for (unsigned i = 0; i < 3; i++)
				out_none(o);
			continue;
		}
		out_fixed(o, input_seconds(s->run->in, time_of(s, at)), 9);
		out_fixed(o, t->x->is.v[at], 6);
		out_fixed(o, t->y->is.v[at + (size_t)t->pair.lag], 6);
	}
}

static void cell_name(struct show *s, const struct windows_series *series)
{
	struct text name = {0};

	correlate_name(&s->c, &series->key, &name);
	s->failed |= name.failed;
	out_strn(s->run->out, name.s, name.len);
	text_fini(&name);
}

static void print_pair(struct show *s, const struct tried *t)
{
	static const struct by_group nobody;
	struct out *o = s->run->out;

	by_cells(o, &s->c.who, opts.key, t->group ? &t->group->group : &nobody);
	out_fixed(o, t->pair.rho, 3);
	out_fixed(o, (double)t->pair.lag * (double)s->c.windows.width_ns / 1e6, 3);
	out_u64(o, t->pair.n);
	out_fixed(o, t->pair.n_effective, 1);
	cell_p(o, t->pair.p);
	cell_p(o, t->pair.p_adjusted);
	out_bool(o, is_related(t));
	cell_name(s, t->x);
	cell_name(s, t->y);
	out_str(o, correlate_unit(&t->x->key));
	out_str(o, correlate_unit(&t->y->key));
	cell_evidence(s, t);
	cells_windows(s, t);
	out_end_row(o);
}

static void print_notes(struct show *s, size_t n_related)
{
	const struct windows *w = &s->c.windows;
	struct out *o = s->run->out;

	out_note(o,
		 "%zu windows of %.6g ms; %zu relations among %zu pairs that were tried: rank "
		 "correlations of %.1f or more, of which chance makes %.0f %% on average "
		 "(Benjamini and Hochberg)",
		 w->n, (double)w->width_ns / 1e6, n_related, s->n, MIN_RHO, 100 * ALPHA);
	if (s->n_untried)
		out_note(o,
			 "%" PRIu64 " pairs were not tried: fewer than %d windows have both, or "
			 "one of them does not move",
			 s->n_untried, RELATE_MIN_WINDOWS);
	if (w->n_left_out || w->groups.n_left_out)
		out_note(o,
			 "there are more than %d series: choose connections by -f, or a wider "
			 "--by",
			 WINDOWS_MAX_SERIES);
}

/* ---- the command ---- */

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (by_parse(opts.by, KEYS, &opts.key, fail))
		return -1;
	if (opts.lag.given && opts.lag.v > 20)
		return fail_set(fail, STATUS_USAGE, "--lag takes at most 20 windows");
	if (opts.window.given && !(opts.window.v >= 1e-6 && opts.window.v <= 1e6))
		return fail_set(fail, STATUS_USAGE, "-w takes 0.000001 to 1000000 seconds");
	return 0;
}

static int print(struct show *s)
{
	size_t n_related = 0;

	if (judge(s))
		return -1;
	begin_table(s);
	for (size_t i = 0; i < s->n; i++) {
		n_related += is_related(&s->pairs[i]);
		if (opts.all || is_related(&s->pairs[i]))
			print_pair(s, &s->pairs[i]);
	}
	print_notes(s, n_related);
	return s->failed ? fail_nomem(s->run->fail) : 0;
}

static int run(struct cmd_run *run)
{
	struct show s = {.run = run};
	uint64_t width = opts.window.given ? (uint64_t)(opts.window.v * 1e9) : 0;
	int rc;

	if (input_is_pipe(run->in))
		return fail_set(run->fail, STATUS_USAGE,
				"correlate reads a trace more than once: not from a pipe");
	rc = correlate_read(&s.c, run, width, opts.key);
	if (!rc) {
		by_groups_sort(&s.c.windows.groups);
		try_all(&s);
		rc = s.failed
			     ? fail_set(
				       run->fail, STATUS_USAGE,
				       "there are more than %d pairs: choose connections by -f, or "
				       "a wider --by",
				       MAX_PAIRS)
			     : print(&s);
	}
	free(s.pairs);
	correlate_fini(&s.c);
	return rc;
}

const struct cmd cmd_correlate = {
	.name = "correlate",
	.summary = "what moves with what: metrics over windows, compared by rank, at lags",
	.no_pipe = true,
	.about =
		"Each pair of metrics is compared by Spearman's rank correlation, RHO, at lags of "
		"up to --lag\n"
		"windows; the lag told is that of the strongest one: THEN follows FIRST by so "
		"much. "
		"WINDOWS have\n"
		"both; INDEP is how many independent ones would say as much (Bartlett), as "
		"neighbours are alike.\n"
		"P is how often chance alone gives a pair as strong, corrected for all lags and "
		"pairs tried\n"
		"(Benjamini and Hochberg): of what is told, one in twenty is chance; and where "
		"nothing is related,\n"
		"nothing is told in 19 of 20 traces. A relation has P of 0.05 or less and RHO of "
		"0.3 or more either\n"
		"way; it says nothing about which is the cause. Pairs made of the same numbers are "
		"left out.\n"
		"Metrics: rtt.p50 rtt.p90 rtt.over_min (above the connection's least), cwnd, "
		"in_flight, bytes_acked,\n"
		"retransmits, syn_retransmits, resets, drops.REASON, connect, connect_failed, "
		"accept_wait,\n"
		"accept_queue, in.LAYER and out.LAYER (delay), nic.NAME.QUEUE.rx and .tx, "
		"events_lost: what the\n"
		"trace has of them.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.check = check,
	.run = run,
};

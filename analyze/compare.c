// SPDX-License-Identifier: GPL-2.0-or-later
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *compare_verdict_name(enum compare_verdict v)
{
	static const char *const names[COMPARE_N] = {
		[COMPARE_SAME] = "same",
		[COMPARE_WORSE] = "worse",
		[COMPARE_BETTER] = "better",
		[COMPARE_UNKNOWN] = "not enough data",
	};

	return names[v];
}

/* ---- tolerances ---- */

/* The figures that "rtt.raw" or "rtt.raw.p99" means; how many. */
static unsigned set_tolerance(struct compare *c, const char *name, size_t len, double part)
{
	unsigned n = 0;

	for (unsigned id = 0; id < METRIC_N; id++) {
		const char *word = metric_defs[id].name;
		size_t word_len = word ? strlen(word) : 0;

		if (!word || len < word_len || memcmp(name, word, word_len))
			continue;
		for (unsigned k = 0; k < METRIC_MAX_QUANTILES; k++) {
			const char *q = metric_quantile_name(k);

			if (len != word_len &&
			    (name[word_len] != '.' || len != word_len + 1 + strlen(q) ||
			     memcmp(name + word_len + 1, q, strlen(q))))
				continue;
			c->tolerance[id][k] = part;
			n++;
		}
	}
	return n;
}

int compare_tolerances(struct compare *c, const char *list, struct fail *fail)
{
	for (unsigned id = 0; id < METRIC_N; id++)
		for (unsigned k = 0; k < METRIC_MAX_QUANTILES; k++)
			c->tolerance[id][k] = metric_defs[id].tolerance * (1 << k);
	while (list && *list) {
		size_t len = strcspn(list, ",");
		const char *eq = memchr(list, '=', len);
		char *end;
		double part;

		if (!eq)
			return fail_set(fail, STATUS_USAGE,
					"--tolerance takes METRIC=PERCENT, as rtt.raw.p99=10%%, "
					"not '%.*s'",
					(int)len, list);
		part = strtod(eq + 1, &end) / 100;
		if (end == eq + 1 || !(part >= 0) || part > 1e6 ||
		    end + (*end == '%') != list + len)
			return fail_set(fail, STATUS_USAGE,
					"--tolerance takes a percentage, not '%.*s'",
					(int)(list + len - eq - 1), eq + 1);
		if (!set_tolerance(c, list, (size_t)(eq - list), part))
			return fail_set(fail, STATUS_USAGE,
					"no metric '%.*s' (tcptape compare --help lists them)",
					(int)(eq - list), list);
		list += len + (list[len] == ',');
	}
	return 0;
}

/* ---- rows ---- */

/* The same group in another recording: numbers of namespaces are of their machine. */
static bool same_group(enum by_key key, const struct by_group *x, const struct by_group *y)
{
	return (key == BY_LISTENER || x->id.a == y->id.a) && x->id.b == y->id.b &&
	       !memcmp(x->id.bytes, y->id.bytes, sizeof(x->id.bytes));
}

static const struct recording_group *find_group(const struct recording *r, enum by_key key,
						const struct by_group *like)
{
	for (size_t i = 0; i < r->groups.n; i++)
		if (same_group(key, r->groups.list[i], like))
			return (const struct recording_group *)r->groups.list[i];
	return NULL;
}

static void take_side(const struct compare *c, struct compare_row *row, unsigned which,
		      const struct compare_side *side)
{
	bool is_time = metric_defs[row->id].kind == METRIC_TIME;
	double values[COMPARE_MAX_RECORDINGS], inner[COMPARE_MAX_RECORDINGS];
	size_t n = 0;

	for (size_t i = 0; i < side->n; i++) {
		const struct recording_group *g = find_group(&side->v[i], c->key, row->group);
		const struct metric_figure *f;

		if (!g || !side->v[i].has[row->id])
			continue;
		f = &g->figures[row->id][row->quantile];
		row->n[which] += f->n;
		row->conns[which] += f->conns;
		row->den[which] += f->den;
		if (!f->known)
			continue;
		values[n] = f->log;
		inner[n++] = f->var;
	}
	row->n_recordings[which] = n;
	row->known[which] = n > 0 && 2 * n >= side->n;
	if (row->known[which])
		row->mean[which] = stats_mean_of(values, inner, n,
						 is_time ? COMPARE_FLOOR_TIME : COMPARE_FLOOR_RATE);
	row->provisional |= n == 1;
}

/* How far up the logarithm may go before it matters: the tolerance, or to the least rate that does.
 */
static double room(const struct compare_row *row, const struct stats_mean *from)
{
	double least = metric_defs[row->id].least;

	return fmax(log1p(row->tolerance), least > 0 ? log(least) - from->mean : 0);
}

static void test(struct compare_row *row)
{
	row->shift = stats_welch(&row->mean[0], &row->mean[1], room(row, &row->mean[0]),
				 room(row, &row->mean[1]));
}

static int add_row(struct compare *c, const struct compare_row *row)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;
		struct compare_row *more = realloc(c->rows, cap * sizeof(*more));

		if (!more)
			return -1;
		c->rows = more;
		c->cap = cap;
	}
	c->rows[c->n++] = *row;
	return 0;
}

/* srtt stands in where a kernel shows no samples. */
static bool has_raw(const struct compare_side *side, enum by_key key, const struct by_group *group)
{
	for (size_t i = 0; i < side->n; i++) {
		const struct recording_group *g = find_group(&side->v[i], key, group);

		if (g && g->figures[METRIC_RTT_RAW][0].n)
			return true;
	}
	return false;
}

static int add_group(struct compare *c, const struct compare_side sides[2],
		     const struct recording *of, const struct by_group *group)
{
	for (unsigned id = 0; id < METRIC_N; id++) {
		const struct metric_def *def = &metric_defs[id];
		unsigned quantiles = def->kind == METRIC_TIME ? def->quantiles : 1;

		if (!def->name || (id == METRIC_RTT_SMOOTHED && has_raw(&sides[0], c->key, group) &&
				   has_raw(&sides[1], c->key, group)))
			continue;
		for (unsigned k = 0; quantiles >> k; k++) {
			struct compare_row row = {.id = id,
						  .quantile = k,
						  .group = group,
						  .of = of,
						  .tolerance = c->tolerance[id][k],
						  .p = 1,
						  .verdict = COMPARE_UNKNOWN};

			if (!(quantiles >> k & 1))
				continue;
			take_side(c, &row, 0, &sides[0]);
			take_side(c, &row, 1, &sides[1]);
			if (def->kind == METRIC_TIME ? !row.n[0] && !row.n[1]
						     : !row.known[0] && !row.known[1])
				continue;
			if (row.known[0] && row.known[1])
				test(&row);
			if (add_row(c, &row))
				return -1;
		}
	}
	return 0;
}

static bool is_listed(const struct compare *c, const struct by_group *group)
{
	for (size_t i = 0; i < c->n; i++)
		if (same_group(c->key, c->rows[i].group, group))
			return true;
	return false;
}

/* ---- verdicts ---- */

static bool is_tested(const struct compare_row *row)
{
	return row->known[0] && row->known[1] && metric_defs[row->id].kind != METRIC_LOAD;
}

/* An upper bound of a rate: of none in den, 3 / den (rule of three; Hanley and Lippman-Hand 1983).
 */
static double highest_rate(const struct compare_row *row, unsigned side)
{
	const struct stats_mean *m = &row->mean[side];

	return row->n[side] ? exp(m->mean + 2 * sqrt(m->var)) : 3 / row->den[side];
}

/* The interval lies inside what does not matter; or both rates are below the least that does. */
static bool is_same(const struct compare_row *row)
{
	double least = metric_defs[row->id].least;

	if (row->shift.high < room(row, &row->mean[0]) &&
	    row->shift.low > -room(row, &row->mean[1]))
		return true;
	return least > 0 && highest_rate(row, 0) < least && highest_rate(row, 1) < least;
}

static void judge(struct compare_row *row, double above, double below)
{
	row->p = fmin(above, below);
	if (above < COMPARE_ALPHA)
		row->verdict = COMPARE_WORSE;
	else if (below < COMPARE_ALPHA)
		row->verdict = COMPARE_BETTER;
	else if (is_same(row))
		row->verdict = COMPARE_SAME;
}

static int judge_all(struct compare *c)
{
	double *p = calloc(4 * c->n + 1, sizeof(*p)), *adjusted = p ? p + 2 * c->n : NULL;
	size_t n = 0;

	if (!p)
		return -1;
	for (size_t i = 0; i < c->n; i++) {
		if (!is_tested(&c->rows[i]))
			continue;
		p[n] = c->rows[i].shift.p_above;
		p[c->n + n++] = c->rows[i].shift.p_below;
	}
	if (stats_holm(p, adjusted, n) || stats_holm(p + c->n, adjusted + c->n, n)) {
		free(p);
		return -1;
	}
	n = 0;
	for (size_t i = 0; i < c->n; i++) {
		struct compare_row *row = &c->rows[i];

		if (!is_tested(row))
			continue;
		judge(row, adjusted[n], adjusted[c->n + n]);
		c->count[row->verdict]++;
		n++;
	}
	free(p);
	return 0;
}

int compare_run(struct compare *c, const struct compare_side *base, const struct compare_side *next)
{
	const struct compare_side sides[] = {*base, *next};

	for (unsigned s = 0; s < 2; s++)
		for (size_t i = 0; i < sides[s].n; i++) {
			struct recording *r = &sides[s].v[i];

			by_groups_sort(&r->groups);
			for (size_t k = 0; k < r->groups.n; k++)
				if (!is_listed(c, r->groups.list[k]) &&
				    add_group(c, sides, r, r->groups.list[k]))
					return -1;
		}
	return judge_all(c);
}

void compare_fini(struct compare *c)
{
	free(c->rows);
}

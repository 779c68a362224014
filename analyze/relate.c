// SPDX-License-Identifier: GPL-2.0-or-later
#include "relate.h"

#include <math.h>
#include <stdlib.h>

#include "stats.h"

/* Autocorrelations beyond this part of a series are mostly noise (Pyper and Peterman, Canadian
 * Journal of Fisheries and Aquatic Sciences 55, 1998). */
#define AUTO_PART 5

void relate_fini(struct relate_series *s)
{
	free(s->v);
	free(s->ranks);
	free(s->auto_corr);
	*s = (struct relate_series){0};
}

/* ---- a series ---- */

struct place {
	double v;
	size_t at;
};

static int by_value(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->v > y->v) - (x->v < y->v);
}

/* Equal values share the mean of their ranks. */
static void give_ranks(const struct place *sorted, size_t n, double *ranks)
{
	for (size_t first = 0, end; first < n; first = end) {
		for (end = first + 1; end < n && sorted[end].v == sorted[first].v; end++)
			;
		for (size_t i = first; i < end; i++)
			ranks[sorted[i].at] =
				((double)(first + end - 1) / 2 - (double)(n - 1) / 2) / (double)n;
	}
}

static void find_usual(struct relate_series *s, const struct place *sorted)
{
	s->n_usual = 0;
	for (size_t first = 0, end; first < s->n; first = end) {
		for (end = first + 1; end < s->n && sorted[end].v == sorted[first].v; end++)
			;
		if (end - first <= s->n_usual)
			continue;
		s->n_usual = end - first;
		s->usual = sorted[first].v;
	}
}

/*
 * Of ranks, whose mean is 0, over the pairs of windows that have both; each from its own number of
 * pairs, as Pyper and Peterman found least biased.
 */
static void correlate_with_itself(const double *r, size_t n, double *ret)
{
	for (size_t k = 0; k <= n / AUTO_PART; k++) {
		double sum = 0;
		size_t pairs = 0;

		for (size_t i = 0; i + k < n; i++) {
			if (isnan(r[i]) || isnan(r[i + k]))
				continue;
			sum += r[i] * r[i + k];
			pairs++;
		}
		ret[k] = pairs ? sum / (double)pairs : 0;
	}
	for (size_t k = n / AUTO_PART + 1; k-- > 0;)
		ret[k] = ret[0] > 0 ? ret[k] / ret[0] : 0;
}

int relate_prepare(struct relate_series *s, size_t n)
{
	struct place *places = malloc((n + 1) * sizeof(*places));

	s->ranks = malloc((n + 1) * sizeof(*s->ranks));
	s->auto_corr = malloc((n / AUTO_PART + 1) * sizeof(*s->auto_corr));
	if (!places || !s->ranks || !s->auto_corr) {
		free(places);
		return -1;
	}
	s->n = 0;
	for (size_t i = 0; i < n; i++) {
		s->ranks[i] = NAN;
		if (!isnan(s->v[i]))
			places[s->n++] = (struct place){s->v[i], i};
	}
	qsort(places, s->n, sizeof(*places), by_value);
	give_ranks(places, s->n, s->ranks);
	find_usual(s, places);
	free(places);
	correlate_with_itself(s->ranks, n, s->auto_corr);
	return 0;
}

/* ---- two ---- */

struct span { /* windows of x that have a partner in y */
	size_t from, to;
};

static struct span span_of(size_t n, int lag)
{
	size_t by = (size_t)abs(lag);

	if (by >= n)
		return (struct span){0, 0};
	return lag < 0 ? (struct span){by, n} : (struct span){0, n - by};
}

/* The two values that stand beside each other at a lag. */
struct both {
	double a, b;	       /* ranks */
	bool a_moves, b_moves; /* they are not the usual value */
};

static bool pair_at(const struct relate_series *x, const struct relate_series *y, size_t i, int lag,
		    struct both *ret)
{
	size_t k = (size_t)((long)i + lag);

	ret->a = x->ranks[i];
	ret->b = y->ranks[k];
	ret->a_moves = x->v[i] != x->usual;
	ret->b_moves = y->v[k] != y->usual;
	return !isnan(ret->a) && !isnan(ret->b);
}

struct table { /* what is known of all pairs at a lag */
	size_t n, x_moves, y_moves, both_move;
	double rho;
};

/* Pearson's r of the ranks; false: too few, or hardly anything moves there. */
static bool correlation(const struct relate_series *x, const struct relate_series *y, size_t n,
			int lag, struct table *t)
{
	struct span s = span_of(n, lag);
	double sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0, k, vx, vy;
	struct both v;

	*t = (struct table){0};
	for (size_t i = s.from; i < s.to; i++) {
		if (!pair_at(x, y, i, lag, &v))
			continue;
		sx += v.a;
		sy += v.b;
		sxx += v.a * v.a;
		syy += v.b * v.b;
		sxy += v.a * v.b;
		t->n++;
		t->x_moves += v.a_moves;
		t->y_moves += v.b_moves;
		t->both_move += v.a_moves && v.b_moves;
	}
	if (t->n < RELATE_MIN_WINDOWS || t->x_moves < RELATE_MIN_MOVES ||
	    t->y_moves < RELATE_MIN_MOVES)
		return false;
	k = (double)t->n;
	vx = sxx - sx * sx / k;
	vy = syy - sy * sy / k;
	if (vx < 1e-9 || vy < 1e-9)
		return false;
	t->rho = fmax(-1, fmin(1, (sxy - sx * sy / k) / sqrt(vx * vy)));
	return true;
}

/*
 * How many independent pairs of values say as much as n of two series that are unrelated, but each
 * related to itself: n / (1 + 2 sum over k of (1 - k/n) rho_x(k) rho_y(k)), never more than n
 * (Bartlett, Journal of the Royal Statistical Society 98, 1935; for means Bayley and Hammersley,
 * Supplement 8, 1946).
 */
static double effective(const struct relate_series *x, const struct relate_series *y, size_t n,
			size_t pairs)
{
	double sum = 1, m = (double)pairs;

	for (size_t k = 1; k <= n / AUTO_PART && k < pairs; k++)
		sum += 2 * (1 - (double)k / m) * x->auto_corr[k] * y->auto_corr[k];
	return m / fmax(1, sum);
}

/* Student's t of a correlation between so many independent pairs; both sides. */
static double chance(double rho, double pairs)
{
	double df = pairs - 2, r2 = fmin(rho * rho, 1 - 1e-12);

	return df < 1 ? 1 : 2 * stats_t_cdf(-fabs(rho) * sqrt(df / (1 - r2)), df);
}

static double log_choose(double n, double k)
{
	return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

/*
 * Of n windows x moves in a, y in b: how often chance has both in k or more of them (Fisher's exact
 * test, one-sided).
 */
static double coincidence(double n, double a, double b, double k)
{
	double most = fmin(a, b), p = 0;

	for (k = fmax(k, fmax(0, a + b - n)); k <= most; k++)
		p += exp(log_choose(a, k) + log_choose(n - a, b - k) - log_choose(n, b));
	return fmin(1, p);
}

/*
 * Of two series that mostly have their usual value, Student's t makes too much of windows in which
 * both move: what is asked then is how many these are. Of dependent windows there are fewer, all
 * counts in proportion.
 */
static double chance_of_rare(const struct relate_series *x, const struct relate_series *y,
			     const struct table *t, double independent)
{
	double part = independent / (double)t->n;

	if (2 * x->n_usual <= x->n || 2 * y->n_usual <= y->n || t->rho < 0)
		return 0;
	return fmin(1, 2 * coincidence(floor(independent), ceil(part * (double)t->x_moves),
				       ceil(part * (double)t->y_moves),
				       floor(part * (double)t->both_move)));
}

/*
 * The windows in which both are furthest from their middle, on the sides that rho says: one where x
 * is high, one where it is low, then others.
 */
static void find_strongest(const struct relate_series *x, const struct relate_series *y, size_t n,
			   struct relate_pair *p)
{
	struct span s = span_of(n, p->lag);

	for (unsigned k = 0; k < RELATE_EVIDENCE; k++) {
		double best = 0;

		p->strongest[k] = SIZE_MAX;
		for (size_t i = s.from; i < s.to; i++) {
			struct both w;
			bool taken = false;
			double v;

			for (unsigned m = 0; m < k; m++)
				taken |= p->strongest[m] == i;
			if (taken || !pair_at(x, y, i, p->lag, &w) || (k == 0 && w.a < 0) ||
			    (k == 1 && w.a > 0))
				continue;
			v = p->rho < 0 ? -w.a * w.b : w.a * w.b;
			if (v > best) {
				best = v;
				p->strongest[k] = i;
			}
		}
	}
}

bool relate(const struct relate_series *x, const struct relate_series *y, size_t n,
	    unsigned max_lag, struct relate_pair *ret)
{
	unsigned tried = 0;
	struct table t;

	ret->p = 2;
	for (int lag = -(int)max_lag; lag <= (int)max_lag; lag++) {
		double p, m;

		if (!correlation(x, y, n, lag, &t))
			continue;
		tried++;
		m = effective(x, y, n, t.n);
		p = fmax(chance(t.rho, m), chance_of_rare(x, y, &t, m));
		if (p > ret->p || (p == ret->p && abs(lag) >= abs(ret->lag)))
			continue;
		ret->p = p;
		ret->rho = t.rho;
		ret->lag = lag;
		ret->n = t.n;
		ret->n_effective = m;
	}
	if (!tried)
		return false;
	ret->p = fmin(1, ret->p * tried);
	find_strongest(x, y, n, ret);
	return true;
}

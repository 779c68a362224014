// SPDX-License-Identifier: GPL-2.0-or-later
#include "skew.h"

#include <math.h>
#include <stdlib.h>

#define STEPS 120    /* of each search: 2/3 to that power is nothing of a double */
#define STAMP_NS 1.0 /* times are whole nanoseconds, so a difference is off by less */
#define MAX_B (SKEW_MAX_PPM * 1e-6)

void skew_fini(struct skew *s)
{
	for (unsigned i = 0; i < SKEW_WAYS; i++)
		free(s->hulls[i].p);
}

/* ---- hulls ---- */

/* Whether b lies on the outer side of the way from a to c: sign 1 below it, -1 above. */
static bool is_outside(const struct skew_point *a, const struct skew_point *b,
		       const struct skew_point *c, double sign)
{
	return sign * ((b->v - a->v) * (c->t - a->t) - (c->v - a->v) * (b->t - a->t)) < 0;
}

void skew_add(struct skew *s, enum skew_way way, uint64_t client_ns, uint64_t server_ns)
{
	struct skew_hull *h = &s->hulls[way];
	double sign = way == SKEW_TO_SERVER ? 1 : -1;
	uint64_t v = server_ns - client_ns;
	struct skew_point p, *more;

	if (!s->begun) {
		s->begun = true;
		s->t_ns = client_ns;
		s->v_ns = (int64_t)v;
	}
	s->last_ns = client_ns;
	p.t = (double)(client_ns - s->t_ns);
	p.v = (double)(int64_t)(v - (uint64_t)s->v_ns) + sign * STAMP_NS;
	if (h->n && h->p[h->n - 1].t == p.t) {
		if (sign * (h->p[h->n - 1].v - p.v) <= 0)
			return;
		h->n--;
	}
	while (h->n > 1 && !is_outside(&h->p[h->n - 2], &h->p[h->n - 1], &p, sign))
		h->n--;
	if (h->n == h->cap) {
		h->cap = h->cap ? 2 * h->cap : 64;
		more = realloc(h->p, h->cap * sizeof(*more));
		if (!more) {
			h->cap = h->n;
			s->failed = true;
			return;
		}
		h->p = more;
	}
	h->p[h->n++] = p;
}

/* ---- lines ---- */

/* The highest line of slope b that stays below all points to the server: its value at 0. */
static double highest(const struct skew *s, double b)
{
	const struct skew_hull *h = &s->hulls[SKEW_TO_SERVER];
	double a = INFINITY;

	for (size_t i = 0; i < h->n; i++)
		a = fmin(a, h->p[i].v - b * h->p[i].t);
	return a;
}

/* The lowest one that stays above all points to the client. */
static double lowest(const struct skew *s, double b)
{
	const struct skew_hull *h = &s->hulls[SKEW_TO_CLIENT];
	double a = -INFINITY;

	for (size_t i = 0; i < h->n; i++)
		a = fmax(a, h->p[i].v - b * h->p[i].t);
	return a;
}

/* Room for a line of that slope: concave in b, as the smallest of lines less the largest of lines.
 */
static double room(const struct skew *s, double b, double t)
{
	return highest(s, b) - lowest(s, b);
}

/* Values at t of the outermost lines of that slope: concave too, the second one turned round. */
static double high_at(const struct skew *s, double b, double t)
{
	return highest(s, b) + b * t;
}
static double low_at(const struct skew *s, double b, double t)
{
	return -(lowest(s, b) + b * t);
}

/* The slope between lo and hi where f, which is concave, is largest. */
static double best_slope(const struct skew *s, double lo, double hi, double t,
			 double (*f)(const struct skew *s, double b, double t))
{
	for (unsigned i = 0; i < STEPS; i++) {
		double left = lo + (hi - lo) / 3, right = hi - (hi - lo) / 3;

		if (f(s, left, t) < f(s, right, t))
			lo = left;
		else
			hi = right;
	}
	return (lo + hi) / 2;
}

/* From a slope that fits towards one that may not: the last that does. */
static double last_slope(const struct skew *s, double fits, double out)
{
	if (room(s, out, 0) >= 0)
		return out;
	for (unsigned i = 0; i < STEPS; i++) {
		double middle = (fits + out) / 2;

		if (room(s, middle, 0) >= 0)
			fits = middle;
		else
			out = middle;
	}
	return fits;
}

/*
 * The estimate is the mean of the four lines that are outermost at the two ends: the region is
 * convex, so it lies in it, and no packet arrives before it was sent.
 */
bool skew_solve(const struct skew *s, struct skew_line *ret)
{
	double end = (double)(s->last_ns - s->t_ns), b = best_slope(s, -MAX_B, MAX_B, 0, room);
	double lo, hi, at[2] = {0, end}, high[2], low[2], mean[2];

	*ret = (struct skew_line){.from_ns = s->t_ns, .to_ns = s->last_ns, .v_ns = s->v_ns};
	if (room(s, b, 0) < 0) {
		ret->misfit = -room(s, b, 0) / 2;
		return false;
	}
	lo = last_slope(s, b, -MAX_B);
	hi = last_slope(s, b, MAX_B);
	for (unsigned i = 0; i < 2; i++) {
		double up = best_slope(s, lo, hi, at[i], high_at);
		double down = best_slope(s, lo, hi, at[i], low_at);

		high[i] = high_at(s, up, at[i]);
		low[i] = -low_at(s, down, at[i]);
		ret->a += (highest(s, up) + lowest(s, down)) / 4;
		ret->b += (up + down) / 4;
	}
	for (unsigned i = 0; i < 2; i++)
		mean[i] = ret->a + ret->b * at[i];
	ret->from_bound = fmax(high[0] - mean[0], mean[0] - low[0]);
	ret->to_bound = fmax(high[1] - mean[1], mean[1] - low[1]);
	ret->drift_bound = fmax(hi - ret->b, ret->b - lo);
	return true;
}

int64_t skew_theta(const struct skew_line *l, uint64_t client_ns)
{
	return (int64_t)((uint64_t)l->v_ns +
			 (uint64_t)llround(l->a +
					   l->b * (double)(int64_t)(client_ns - l->from_ns)));
}

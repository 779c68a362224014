// SPDX-License-Identifier: GPL-2.0-or-later
#include "windows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEWEST = 50, MOST = 500, SAMPLES_EACH = 8 };

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high)
{
	return v < low ? low : v > high ? high : v;
}

uint64_t windows_width(uint64_t from_ns, uint64_t to_ns, uint64_t n_samples)
{
	uint64_t span = to_ns > from_ns ? to_ns - from_ns : 1, step = 1;
	uint64_t most = span / clamp(n_samples / SAMPLES_EACH, FEWEST, MOST);

	for (unsigned i = 0; i < 60; i++) { /* 1 2 5 10 ... */
		uint64_t next = i % 3 == 1 ? step / 2 * 5 : step * 2;

		if (next > most && span / step <= MOST)
			break;
		step = next;
	}
	return step;
}

int windows_begin(struct windows *w, uint64_t from_ns, uint64_t to_ns, uint64_t width_ns,
		  enum by_key key)
{
	memset(w, 0, sizeof(*w));
	w->from_ns = from_ns;
	w->width_ns = width_ns ? width_ns : 1;
	w->groups.key = key;
	w->groups.size = sizeof(struct windows_group);
	w->groups.max = WINDOWS_MAX_SERIES;
	if (to_ns > from_ns && (to_ns - from_ns) / w->width_ns >= WINDOWS_MAX)
		return -1;
	w->n = to_ns > from_ns ? (to_ns - from_ns) / w->width_ns + 1 : 1;
	return 0;
}

static void group_fini(struct windows_group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		relate_fini(&g->series[i].is);
		free(g->series[i].n);
	}
	free(g->series);
	hist_fini(&g->rtt);
}

void windows_fini(struct windows *w)
{
	for (size_t i = 0; i < w->groups.n; i++)
		group_fini((struct windows_group *)w->groups.list[i]);
	group_fini(&w->machine);
	by_groups_fini(&w->groups);
}

size_t windows_at(const struct windows *w, uint64_t ts_ns)
{
	uint64_t at = ts_ns > w->from_ns ? (ts_ns - w->from_ns) / w->width_ns : 0;

	return at < w->n ? (size_t)at : w->n - 1;
}

static struct windows_series *make(struct windows *w, struct windows_group *g,
				   struct windows_key key, enum windows_kind kind)
{
	struct windows_series s = {.key = key, .kind = kind};

	if (g->n == g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 8;
		struct windows_series *more = realloc(g->series, cap * sizeof(*more));

		if (!more)
			return NULL;
		g->series = more;
		g->cap = cap;
	}
	s.n = calloc(w->n, sizeof(*s.n));
	s.is.v = calloc(w->n, sizeof(*s.is.v));
	if (!s.n || !s.is.v) {
		free(s.n);
		free(s.is.v);
		return NULL;
	}
	w->n_series++;
	g->series[g->n] = s;
	return &g->series[g->n++];
}

/* NULL: too many, or no memory. */
static struct windows_series *find(struct windows *w, struct windows_group *g,
				   struct windows_key key, enum windows_kind kind)
{
	struct windows_series *s;

	for (size_t i = 0; i < g->n; i++)
		if (!memcmp(&g->series[i].key, &key, sizeof(key)))
			return &g->series[i];
	if (w->n_series == WINDOWS_MAX_SERIES) {
		w->n_left_out++;
		return NULL;
	}
	s = make(w, g, key, kind);
	w->failed |= !s;
	return s;
}

void windows_add(struct windows *w, struct windows_group *g, struct windows_key key,
		 enum windows_kind kind, uint64_t ts_ns, double v)
{
	struct windows_series *s = find(w, g ? g : &w->machine, key, kind);
	size_t at = windows_at(w, ts_ns);

	if (!s)
		return;
	if (kind == WINDOWS_MOST)
		s->is.v[at] = fmax(s->is.v[at], v);
	else
		s->is.v[at] += v;
	s->n[at]++;
}

void windows_set(struct windows *w, struct windows_group *g, struct windows_key key, size_t at,
		 double v)
{
	struct windows_series *s = find(w, g ? g : &w->machine, key, WINDOWS_MEAN);

	if (!s)
		return;
	s->is.v[at] = v;
	s->n[at] = 1;
}

static int finish_group(struct windows *w, struct windows_group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct windows_series *s = &g->series[i];

		for (size_t k = 0; k < w->n && s->kind == WINDOWS_MEAN; k++)
			s->is.v[k] = s->n[k] ? s->is.v[k] / s->n[k] : NAN;
		if (relate_prepare(&s->is, w->n))
			return -1;
	}
	return 0;
}

int windows_finish(struct windows *w)
{
	int rc = finish_group(w, &w->machine);

	for (size_t i = 0; !rc && i < w->groups.n; i++)
		rc = finish_group(w, (struct windows_group *)w->groups.list[i]);
	return w->failed || w->groups.failed ? -1 : rc;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* The least of 1, 2, 5, 10, ... ms of which REPORT_BINS cover it: times on the page are round. */
void report_axis_set(struct report_axis *a, uint64_t start_ns, uint64_t from_ns, uint64_t to_ns)
{
	static const uint64_t factors[] = {2, 5, 10};
	uint64_t span = to_ns > from_ns ? to_ns - from_ns : 0, ten = 1000000, step = ten;

	for (unsigned k = 0; span / step >= REPORT_BINS; k = (k + 1) % 3) {
		step = ten * factors[k];
		if (k == 2)
			ten *= 10;
	}
	*a = (struct report_axis){.start_ns = start_ns,
				  .from_ns = from_ns,
				  .to_ns = to_ns,
				  .step_ns = step,
				  .n = (unsigned)(span / step) + 1};
}

bool report_axis_bin(const struct report_axis *a, uint64_t ts_ns, unsigned *ret)
{
	if (ts_ns < a->from_ns || (ts_ns - a->from_ns) / a->step_ns >= a->n)
		return false;
	*ret = (unsigned)((ts_ns - a->from_ns) / a->step_ns);
	return true;
}

/* ---- distributions ---- */

struct report_series *report_series_new(const char *name, const char *title, const char *command,
					unsigned per_us)
{
	struct report_series *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->name = name;
	s->title = title;
	s->command = command;
	s->per_us = per_us;
	hist_init(&s->all, 1, true);
	for (unsigned i = 0; i < REPORT_BINS; i++)
		hist_init(&s->bins[i], 1, true);
	return s;
}

void report_series_free(struct report_series *s)
{
	if (!s)
		return;
	hist_fini(&s->all);
	for (unsigned i = 0; i < REPORT_BINS; i++)
		hist_fini(&s->bins[i]);
	free(s);
}

/* The power of two, and which of REPORT_STEPS equal parts of it. */
static unsigned cell_of(uint64_t v)
{
	unsigned slot = hist_slot(v);
	unsigned part = slot > 2 ? (unsigned)(v >> (slot - 3)) & 3 : slot == 2 ? (v & 1) * 2 : 0;

	return slot * REPORT_STEPS + part;
}

void report_series_add(struct report_series *s, const struct report_axis *a, uint64_t ts_ns,
		       uint64_t v, uint64_t weight)
{
	unsigned bin;

	hist_add_n(&s->all, v, weight);
	if (!report_axis_bin(a, ts_ns, &bin))
		return;
	hist_add_n(&s->bins[bin], v, weight);
	s->cells[bin][cell_of(v)] += weight;
}

bool report_series_failed(const struct report_series *s)
{
	bool failed = s->all.failed;

	for (unsigned i = 0; i < REPORT_BINS; i++)
		failed |= s->bins[i].failed;
	return failed;
}

/* ---- events ---- */

static struct report_reason *find_reason(struct report_lane *l, const char *why, size_t len)
{
	struct report_reason *r = l->reasons;

	if (len >= sizeof(r->text))
		len = sizeof(r->text) - 1;
	for (; r < l->reasons + l->n_reasons; r++)
		if (!strncmp(r->text, why, len) && !r->text[len])
			return r;
	if (l->n_reasons == REPORT_REASONS)
		return NULL;
	memcpy(r->text, why, len);
	l->n_reasons++;
	return r;
}

void report_lane_add(struct report_lane *l, const struct report_axis *a, uint64_t ts_ns,
		     const char *why, size_t len)
{
	struct report_reason *r = find_reason(l, why, len);
	unsigned bin;

	l->n++;
	*(r ? &r->n : &l->n_other) += 1;
	if (report_axis_bin(a, ts_ns, &bin))
		l->bins[bin]++;
}

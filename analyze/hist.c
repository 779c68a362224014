// SPDX-License-Identifier: GPL-2.0-or-later
#include "hist.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STARS 40

void hist_init(struct hist *h, uint32_t unit, bool with_fine)
{
	*h = (struct hist){.min = UINT64_MAX, .unit = unit, .with_fine = with_fine};
}

void hist_fini(struct hist *h)
{
	for (unsigned i = 0; i < HIST_SLOTS; i++)
		free(h->fine[i]);
	memset(h->fine, 0, sizeof(h->fine));
}

void hist_clear(struct hist *h)
{
	for (unsigned i = 0; i < HIST_SLOTS; i++)
		if (h->fine[i])
			memset(h->fine[i], 0, HIST_FINE * sizeof(h->fine[i][0]));
	memset(h->slots, 0, sizeof(h->slots));
	h->n = h->sum = h->max = 0;
	h->min = UINT64_MAX;
}

/* Bits that are dropped of the values of a slot: 0 up to 2^8, so small values are exact. */
static unsigned fine_shift(unsigned slot)
{
	return slot > HIST_FINE_BITS + 1 ? slot - 1 - HIST_FINE_BITS : 0;
}

void hist_add_fine(struct hist *h, uint64_t v, uint64_t n)
{
	unsigned slot = hist_slot(v);

	if (!h->fine[slot]) {
		h->fine[slot] = calloc(HIST_FINE, sizeof(h->fine[slot][0]));
		if (!h->fine[slot]) {
			h->failed = true;
			return;
		}
	}
	h->fine[slot][v >> fine_shift(slot) & (HIST_FINE - 1)] += n;
}

double hist_mean(const struct hist *h)
{
	return h->n ? (double)h->sum / (double)h->n : 0;
}

/* The middle of step k of a slot, inside what was really seen. */
static uint64_t fine_value(const struct hist *h, unsigned slot, unsigned k)
{
	unsigned shift = fine_shift(slot);
	uint64_t low = slot <= HIST_FINE_BITS ? k : (uint64_t)(HIST_FINE + k) << shift;
	uint64_t v = low + ((1ULL << shift) - 1) / 2;

	return v < h->min ? h->min : v > h->max ? h->max : v;
}

uint64_t hist_percentile(const struct hist *h, double part)
{
	uint64_t want = (uint64_t)ceil(part * (double)h->n), seen = 0;

	if (!want)
		want = 1;
	if (want >= h->n)
		return h->n ? h->max : 0;
	for (unsigned slot = 0; slot < HIST_SLOTS; slot++) {
		if (!h->fine[slot])
			continue;
		for (unsigned k = 0; k < HIST_FINE; k++) {
			seen += h->fine[slot][k];
			if (h->fine[slot][k] && seen >= want)
				return fine_value(h, slot, k);
		}
	}
	return h->n ? h->max : 0;
}

void hist_merge(struct hist *h, const struct hist *b)
{
	for (unsigned slot = 0; slot < HIST_SLOTS; slot++) {
		h->slots[slot] += b->slots[slot];
		if (!b->fine[slot])
			continue;
		if (!h->fine[slot])
			h->fine[slot] = calloc(HIST_FINE, sizeof(h->fine[slot][0]));
		if (!h->fine[slot]) {
			h->failed = true;
			return;
		}
		for (unsigned k = 0; k < HIST_FINE; k++)
			h->fine[slot][k] += b->fine[slot][k];
	}
	h->n += b->n;
	h->sum += b->sum;
	h->min = b->min < h->min ? b->min : h->min;
	h->max = b->max > h->max ? b->max : h->max;
}

double hist_quantile(const struct hist *h, const struct hist *without, double part)
{
	double want = part * (double)(h->n - (without ? without->n : 0)), seen = 0, last = 0;

	for (unsigned slot = 0; slot < HIST_SLOTS; slot++) {
		unsigned shift = fine_shift(slot);

		for (unsigned k = 0; h->fine[slot] && k < HIST_FINE; k++) {
			uint64_t n = h->fine[slot][k], low;

			if (without && without->fine[slot])
				n -= without->fine[slot][k];
			if (!n)
				continue;
			low = slot <= HIST_FINE_BITS ? k : (uint64_t)(HIST_FINE + k) << shift;
			last = (double)low + (double)(1ULL << shift);
			if (seen + (double)n >= want)
				return (double)low +
				       (double)(1ULL << shift) * (want - seen) / (double)n;
			seen += (double)n;
		}
	}
	return last;
}

void hist_draw(const struct hist *h, const char *unit, struct text *t)
{
	static const char stars[STARS + 1] = "****************************************";
	uint64_t most = 1, row[HIST_SLOTS];
	unsigned last = 0, width;
	bool wide;

	memcpy(row, h->slots, sizeof(row));
	row[1] += row[0]; /* 0 and 1 share the first line */
	for (unsigned i = 1; i < HIST_SLOTS; i++) {
		if (row[i])
			last = i;
		most = row[i] > most ? row[i] : most;
	}
	wide = last > 32;
	width = wide ? STARS / 2 : STARS;
	if (last)
		text_fmt(t,
			 wide ? "               %-29s : count     distribution\n"
			      : "     %-19s : count     distribution\n",
			 unit);
	for (unsigned i = 1; i <= last; i++) {
		uint64_t low = i == 1 ? 0 : 1ULL << (i - 1);
		uint64_t high = i == 64 ? UINT64_MAX : (1ULL << i) - 1;
		int n = (int)((double)row[i] * width / (double)most);

		text_fmt(t, "%*" PRIu64 " -> %-*" PRIu64 " : %-8" PRIu64 " |%-*.*s|\n",
			 wide ? 20 : 10, low, wide ? 20 : 10, high, row[i], (int)width, n, stars);
	}
}

void hist_json(const struct hist *h, struct json *j)
{
	json_open(j, "buckets", '[');
	for (unsigned i = 0; i < HIST_SLOTS; i++) {
		if (!h->slots[i])
			continue;
		json_open(j, NULL, '{');
		json_u64(j, "low", hist_low(i));
		json_u64(j, "high", hist_high(i));
		json_u64(j, "count", h->slots[i]);
		json_close(j, '}');
	}
	json_close(j, ']');
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Histograms of non-negative integers (microseconds, mostly). Powers of two for the picture; and,
 * where percentiles are asked for, 128 equal steps in each power of two, so that a percentile is
 * off by at most 1/256 of its value. Count, sum, smallest and largest are exact. The fine part is
 * allocated for the powers of two that occur: 1 KiB each.
 */
#ifndef ANA_HIST_H
#define ANA_HIST_H

#include <stdbool.h>
#include <stdint.h>

#include "json.h"
#include "text.h"

#define HIST_SLOTS 65 /* slot 0: value 0; slot k: 2^(k-1) to 2^k - 1 */
#define HIST_FINE_BITS 7
#define HIST_FINE (1u << HIST_FINE_BITS)

struct hist {
	uint64_t slots[HIST_SLOTS];
	uint64_t *fine[HIST_SLOTS]; /* HIST_FINE counts each, NULL until needed */
	uint64_t n, sum, min, max;
	uint32_t unit; /* the picture counts in so many: 1000 shows microseconds as milliseconds; 0:
			  there is no picture */
	bool with_fine, failed; /* failed: no memory for the fine part */
};

void hist_init(struct hist *h, uint32_t unit, bool with_fine);
void hist_fini(struct hist *h);
void hist_clear(struct hist *h);

void hist_add_fine(struct hist *h, uint64_t v, uint64_t n);

static inline unsigned hist_slot(uint64_t v)
{
	return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

/* A value that was seen n times. */
static inline void hist_add_n(struct hist *h, uint64_t v, uint64_t n)
{
	if (h->unit)
		h->slots[hist_slot(h->unit == 1 ? v : v / h->unit)] += n;
	h->n += n;
	h->sum += v * n;
	if (v < h->min)
		h->min = v;
	if (v > h->max)
		h->max = v;
	if (h->with_fine)
		hist_add_fine(h, v, n);
}

static inline void hist_add(struct hist *h, uint64_t v)
{
	hist_add_n(h, v, 1);
}

/* The values of a slot of the picture. */
static inline uint64_t hist_low(unsigned slot)
{
	return slot ? 1ULL << (slot - 1) : 0;
}
static inline uint64_t hist_high(unsigned slot)
{
	return slot == 64 ? UINT64_MAX : (1ULL << slot) - 1;
}

double hist_mean(const struct hist *h);

/* The value that part (0 to 1) of all are not above. Needs with_fine; 0 for an empty histogram. */
uint64_t hist_percentile(const struct hist *h, double part);

/* Add what b counted; with_fine as b has it. */
void hist_merge(struct hist *h, const struct hist *b);

/*
 * As hist_percentile, but between the values of a step in proportion, a value v standing for all of
 * [v, v + 1); of what h has and `without` (a part of it; NULL: nothing) has not.
 */
double hist_quantile(const struct hist *h, const struct hist *without, double part);

/* "buckets": those that are not empty, as low, high, count. */
void hist_json(const struct hist *h, struct json *j);

/* The picture that the bcc tools draw. */
void hist_draw(const struct hist *h, const char *unit, struct text *t);

#endif

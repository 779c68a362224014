/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A value over time as a small picture for the terminal, in braille or in ASCII. Values fall into
 * bins that keep their smallest and largest, so that a peak shows however short it is; when time
 * runs past the last bin, two become one. Where values were lost, a gap is marked.
 */
#ifndef ANA_CHART_H
#define ANA_CHART_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

#define CHART_BINS 1024

struct chart_bin {
	uint32_t min, max;
	bool any;
};

struct chart {			   /* zeroed: empty */
	uint64_t from_ns, step_ns; /* of the bins; step_ns 0: nothing yet */
	uint64_t last_ns;
	struct chart_bin bins[CHART_BINS];
};

/* In the order of time, more or less: what is earlier than the first value counts as that. */
void chart_add(struct chart *c, uint64_t ts_ns, uint32_t v);

/* Whether any value is of [from_ns, to_ns). */
bool chart_has(const struct chart *c, uint64_t from_ns, uint64_t to_ns);

struct chart_look {
	unsigned width, height; /* characters */
	bool utf8;
	uint64_t from_ns, to_ns; /* what the width stands for */
};

/* Whether something of [from_ns, to_ns) was lost. */
typedef bool chart_lost_fn(const void *ctx, uint64_t from_ns, uint64_t to_ns);

/*
 * `height` lines of a scale and the picture: the largest value at the top, 0 at the bottom. per:
 * values are divided by it for the scale; lost may be NULL.
 */
void chart_draw(const struct chart *c, const struct chart_look *look, double per, const char *unit,
		chart_lost_fn *lost, const void *ctx, struct text *t);

/* The time at which that column of the picture begins. */
uint64_t chart_column_ns(const struct chart_look *look, unsigned column);

/* Characters in front of the picture. */
#define CHART_MARGIN 12

#endif

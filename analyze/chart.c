// SPDX-License-Identifier: GPL-2.0-or-later
#include "chart.h"

#include <stdio.h>
#include <string.h>

#define FIRST_STEP_NS 1000
#define DOTS_WIDE 2 /* of a braille character */
#define DOTS_HIGH 4

/* ---- bins ---- */

static void merge(struct chart_bin *to, const struct chart_bin *b)
{
	if (!b->any)
		return;
	to->min = to->any && to->min < b->min ? to->min : b->min;
	to->max = to->any && to->max > b->max ? to->max : b->max;
	to->any = true;
}

static void halve(struct chart *c)
{
	for (unsigned i = 0; i < CHART_BINS; i++) {
		struct chart_bin b = {0};

		if (i < CHART_BINS / 2) {
			merge(&b, &c->bins[2 * i]);
			merge(&b, &c->bins[2 * i + 1]);
		}
		c->bins[i] = b;
	}
	c->step_ns *= 2;
}

void chart_add(struct chart *c, uint64_t ts_ns, uint32_t v)
{
	struct chart_bin b = {v, v, true};

	if (!c->step_ns) {
		c->step_ns = FIRST_STEP_NS;
		c->from_ns = ts_ns;
	}
	if (ts_ns < c->from_ns)
		ts_ns = c->from_ns;
	while ((ts_ns - c->from_ns) / c->step_ns >= CHART_BINS)
		halve(c);
	merge(&c->bins[(ts_ns - c->from_ns) / c->step_ns], &b);
	c->last_ns = ts_ns > c->last_ns ? ts_ns : c->last_ns;
}

/* All values of a stretch of time: those of the bins that begin in it, or hold all of it. */
static struct chart_bin stretch(const struct chart *c, uint64_t from_ns, uint64_t to_ns)
{
	struct chart_bin ret = {0};
	uint64_t i = from_ns > c->from_ns ? (from_ns - c->from_ns) / c->step_ns : 0;

	if (to_ns <= c->from_ns)
		return ret;
	for (; i < CHART_BINS && c->from_ns + i * c->step_ns < to_ns; i++)
		merge(&ret, &c->bins[i]);
	return ret;
}

bool chart_has(const struct chart *c, uint64_t from_ns, uint64_t to_ns)
{
	return c->step_ns && stretch(c, from_ns, to_ns).any;
}

static uint32_t largest(const struct chart *c)
{
	uint32_t max = 0;

	for (unsigned i = 0; i < CHART_BINS; i++)
		if (c->bins[i].any && c->bins[i].max > max)
			max = c->bins[i].max;
	return max;
}

/* ---- drawing ---- */

struct canvas { /* what of the picture is asked for */
	const struct chart *c;
	const struct chart_look *look;
	uint32_t max;
	chart_lost_fn *lost;
	const void *ctx;
};

/* The time at which column `at` of n begins. */
static uint64_t column_ns(const struct chart_look *look, unsigned at, unsigned n)
{
	uint64_t all = look->to_ns - look->from_ns;

	return look->from_ns + all / n * at + all % n * at / n;
}

uint64_t chart_column_ns(const struct chart_look *look, unsigned column)
{
	return column_ns(look, column, look->width);
}

static bool is_lost(const struct canvas *v, unsigned at, unsigned n)
{
	return v->lost && v->lost(v->ctx, column_ns(v->look, at, n), column_ns(v->look, at + 1, n));
}

/* Whether the values of column `at` of n cross level `level` of n_levels, counted from below. */
static bool is_set(const struct canvas *v, unsigned at, unsigned n, unsigned level,
		   unsigned n_levels)
{
	struct chart_bin b =
		stretch(v->c, column_ns(v->look, at, n), column_ns(v->look, at + 1, n));
	double per = v->max ? (double)n_levels / ((double)v->max + 1) : 0;

	return b.any && level >= (unsigned)(b.min * per) && level <= (unsigned)(b.max * per);
}

/* U+2800 and a bit a dot: 1 2 4 64 down the left side, 8 16 32 128 down the right one. */
static void put_braille(struct text *t, unsigned dots)
{
	char s[3] = {(char)0xe2, (char)(0xa0 | dots >> 6), (char)(0x80 | (dots & 0x3f))};

	text_add(t, s, 3);
}

static void put_utf8(const struct canvas *v, unsigned row, unsigned at, struct text *t)
{
	static const uint8_t bits[DOTS_WIDE][DOTS_HIGH] = {{64, 4, 2, 1}, {128, 32, 16, 8}};
	unsigned width = v->look->width * DOTS_WIDE, height = v->look->height * DOTS_HIGH, dots = 0;

	for (unsigned x = 0; x < DOTS_WIDE; x++)
		for (unsigned y = 0; y < DOTS_HIGH; y++)
			if (is_set(v, at * DOTS_WIDE + x, width, row * DOTS_HIGH + y, height))
				dots |= bits[x][y];
	if (!dots && is_lost(v, at, v->look->width))
		text_puts(t, "\xe2\x96\x91"); /* a light shade */
	else if (!dots)
		text_putc(t, ' ');
	else
		put_braille(t, dots);
}

static void put_ascii(const struct canvas *v, unsigned row, unsigned at, struct text *t)
{
	bool set = is_set(v, at, v->look->width, row, v->look->height);

	text_putc(t, set ? '*' : is_lost(v, at, v->look->width) ? '?' : ' ');
}

static void put_scale(struct text *t, double v, const char *unit)
{
	char text[CHART_MARGIN + 8];
	int n = snprintf(text, sizeof(text), v < 100 && v != (unsigned)v ? "%.1f %s" : "%.0f %s", v,
			 unit);

	text_fmt(t, "%*s ", CHART_MARGIN - 1, n < (int)sizeof(text) ? text : "");
}

void chart_draw(const struct chart *c, const struct chart_look *look, double per, const char *unit,
		chart_lost_fn *lost, const void *ctx, struct text *t)
{
	struct canvas v = {.c = c, .look = look, .max = largest(c), .lost = lost, .ctx = ctx};

	if (!c->step_ns)
		return;
	for (unsigned row = look->height; row-- > 0;) {
		if (row == look->height - 1 && v.max)
			put_scale(t, v.max / per, unit);
		else if (!row)
			put_scale(t, 0, unit);
		else
			text_fmt(t, "%*s", CHART_MARGIN, "");
		for (unsigned at = 0; at < look->width; at++)
			(look->utf8 ? put_utf8 : put_ascii)(&v, row, at, t);
		while (t->len && t->s[t->len - 1] == ' ')
			t->len--;
		text_putc(t, '\n');
	}
}

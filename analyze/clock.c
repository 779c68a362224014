// SPDX-License-Identifier: GPL-2.0-or-later
#include "clock.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000ULL
#define MAX_YEAR 2500 /* 2^64 ns end in 2554 */

/* By how much wall time went ahead of the other clock between two readings. */
static int64_t ahead(const struct tape_clock *c)
{
	return (int64_t)(c[1].real_ns - c[0].real_ns - (c[1].mono_ns - c[0].mono_ns));
}

/*
 * An interval in which the clocks ran apart by more than 1 in 100 is no pace: one of them was set,
 * or the machine slept. There each goes on at the other's pace, until the next reading.
 */
bool clock_was_set(const struct tape_clock *c)
{
	int64_t dx = (int64_t)(c[1].mono_ns - c[0].mono_ns), by = ahead(c), slack = dx / 100;

	if (dx <= 0)
		return true;
	for (int i = 0; i < 2; i++)
		slack += (int64_t)(c[i].uncertainty_ns < NS_PER_S ? c[i].uncertainty_ns : NS_PER_S);
	return by > slack || by < -slack;
}

/* y at x on the line through (x0, y0), of which (x1, y1) tells the pace, unless it is no line. */
static uint64_t on_line(uint64_t x, uint64_t x0, uint64_t y0, uint64_t x1, uint64_t y1)
{
	int64_t dx = (int64_t)(x1 - x0), off = (int64_t)(x - x0);
	int64_t apart = (int64_t)(y1 - y0 - (x1 - x0));

	if (dx <= 0 || apart > dx / 100 || apart < -(dx / 100))
		return y0 + (uint64_t)off;
	return y0 + (uint64_t)off + (uint64_t)(int64_t)((double)off * (double)apart / (double)dx);
}

uint64_t clock_wall(const struct tape_clock *c, size_t n, uint64_t mono_ns)
{
	size_t i = 0, beyond = n;

	if (!n)
		return 0;
	if (n == 1)
		return c->real_ns + (mono_ns - c->mono_ns);
	/* Once for each event: a trace may hold a million readings. They are sorted by mono_ns. */
	while (beyond - i > 1) {
		size_t middle = i + (beyond - i) / 2;

		if (c[middle].mono_ns <= mono_ns)
			i = middle;
		else
			beyond = middle;
	}
	if (i == n - 1 && !clock_was_set(&c[i - 1]))
		i--; /* its pace goes on */
	if (i == n - 1)
		return c[i].real_ns + (mono_ns - c[i].mono_ns);
	return on_line(mono_ns, c[i].mono_ns, c[i].real_ns, c[i + 1].mono_ns, c[i + 1].real_ns);
}

/* What wall time would be at the next reading, had nobody set it. */
static uint64_t runs_until(const struct tape_clock *c)
{
	return clock_was_set(c) ? c->real_ns + (c[1].mono_ns - c->mono_ns) : c[1].real_ns;
}

/* The reading after which wall_ns was, n: none. What is behind the last one counts if no other
 * does. */
static size_t reading_of(const struct tape_clock *c, size_t n, uint64_t wall_ns, bool last)
{
	size_t found = n;

	for (size_t i = 0; i + 1 < n && (last || found == n); i++) {
		if (c[i].real_ns <= wall_ns && wall_ns < runs_until(&c[i]))
			found = i;
	}
	return n && found == n && c[n - 1].real_ns <= wall_ns ? n - 1 : found;
}

uint64_t clock_mono(const struct tape_clock *c, size_t n, uint64_t wall_ns, bool last)
{
	size_t i = reading_of(c, n, wall_ns, last);

	if (!n)
		return 0;
	/* skipped, as somebody set the clock forward: the time at which it was */
	for (size_t k = 0; i == n && k + 1 < n; k++) {
		if (runs_until(&c[k]) <= wall_ns && wall_ns < c[k + 1].real_ns)
			return c[k + 1].mono_ns;
	}
	if (i == n)
		i = 0; /* before the first */
	if (i == n - 1 && i && !clock_was_set(&c[i - 1]))
		i--;
	if (i == n - 1)
		return c[i].mono_ns + (wall_ns - c[i].real_ns);
	return on_line(wall_ns, c[i].real_ns, c[i].mono_ns, c[i + 1].real_ns, c[i + 1].mono_ns);
}

void clock_time_of_day(uint64_t wall_ns, char ret[16])
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	struct tm tm = {0};

	if (!localtime_r(&s, &tm) || !strftime(ret, 16, "%H:%M:%S", &tm))
		snprintf(ret, 16, "?");
}

void clock_date(uint64_t wall_ns, char ret[40])
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	struct tm tm = {0};
	size_t len;

	if (!gmtime_r(&s, &tm) || !(len = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &tm)))
		snprintf(ret, 40, "?");
	else
		snprintf(ret + len, 40 - len, ".%03uZ", (unsigned)(wall_ns % NS_PER_S / 1000000));
}

const char *clock_text(struct clock_text *t, uint64_t wall_ns, bool date)
{
	unsigned ms = (unsigned)(wall_ns % NS_PER_S / 1000000);

	if (!t->text[0] || t->date != date || t->s != wall_ns / NS_PER_S) {
		t->s = wall_ns / NS_PER_S;
		t->date = date;
		if (date)
			clock_date(wall_ns, t->text);
		else
			clock_time_of_day(wall_ns, t->text);
		t->len = strlen(t->text);
	}
	if (date && t->len > 4) { /* its milliseconds stand before the Z */
		t->text[t->len - 4] = (char)('0' + ms / 100);
		t->text[t->len - 3] = (char)('0' + ms / 10 % 10);
		t->text[t->len - 2] = (char)('0' + ms % 10);
	}
	return t->text;
}

/* Seconds with a fraction, and a unit: s (or none), ms, us, m, h. */
static bool parse_span(const char *s, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"m", 60e9}, {"h", 3600e9}};
	char *end;
	double v;

	if (!isdigit((unsigned char)s[0]) && s[0] != '.')
		return false;
	v = strtod(s, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(end, units[i].name) && v >= 0 && v * units[i].ns < 9e18) {
			*ret_ns = (uint64_t)(v * units[i].ns + 0.5);
			return true;
		}
	return false;
}

/* The rest of a time of day: [.frac][Z]. */
static bool parse_tail(const char *s, uint64_t *ret_ns, bool *utc)
{
	uint64_t unit = NS_PER_S / 10;

	*ret_ns = 0;
	if (*s == '.')
		for (s++; isdigit((unsigned char)*s); s++, unit /= 10)
			*ret_ns += (uint64_t)(*s - '0') * unit;
	*utc = *s == 'Z';
	return !s[*utc];
}

static bool tm_is_sane(const struct tm *tm)
{
	return tm->tm_year >= 70 && tm->tm_year < MAX_YEAR - 1900 && tm->tm_mon >= 0 &&
	       tm->tm_mon < 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31 && tm->tm_hour >= 0 &&
	       tm->tm_hour < 24 && tm->tm_min >= 0 && tm->tm_min < 60 && tm->tm_sec >= 0 &&
	       tm->tm_sec < 61;
}

bool clock_parse(const char *s, struct clock_point *ret)
{
	struct tm tm = {.tm_isdst = -1};
	uint64_t frac;
	int used = 0;

	*ret = (struct clock_point){0};
	if (s[0] == '+' || s[0] == '-') {
		ret->kind = s[0] == '+' ? CLOCK_AFTER_START : CLOCK_BEFORE_END;
		return parse_span(s + 1, &ret->ns);
	}
	ret->kind = CLOCK_WALL;
	if (sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) == 6 &&
	    used) {
		tm.tm_year -= 1900;
		tm.tm_mon--;
		if (!tm_is_sane(&tm) || !parse_tail(s + used, &frac, &ret->utc))
			return false;
		ret->ns = (uint64_t)(ret->utc ? timegm(&tm) : mktime(&tm)) * NS_PER_S + frac;
		return true;
	}
	tm = (struct tm){.tm_year = 70, .tm_mday = 1};
	if (sscanf(s, "%2d:%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 3 || !used ||
	    !tm_is_sane(&tm) || !parse_tail(s + used, &frac, &ret->utc))
		return false;
	ret->of_day = true;
	ret->ns = (uint64_t)(tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec) * NS_PER_S + frac;
	return true;
}

uint64_t clock_on_day(const struct clock_point *p, uint64_t near_ns)
{
	time_t s = (time_t)(near_ns / NS_PER_S);
	uint64_t of_day = p->ns / NS_PER_S, ns;
	struct tm tm = {0};

	if (!(p->utc ? gmtime_r(&s, &tm) : localtime_r(&s, &tm)))
		return near_ns;
	tm.tm_hour = (int)(of_day / 3600);
	tm.tm_min = (int)(of_day / 60 % 60);
	tm.tm_sec = (int)(of_day % 60);
	tm.tm_isdst = -1;
	ns = (uint64_t)(p->utc ? timegm(&tm) : mktime(&tm)) * NS_PER_S + p->ns % NS_PER_S;
	if (ns < near_ns && near_ns - ns > 12 * 3600 * NS_PER_S)
		ns += 24 * 3600 * NS_PER_S;
	return ns;
}

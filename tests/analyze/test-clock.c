// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>
#include <time.h>

#include "clock.h"
#include "suite.h"

#define S 1000000000ull
#define WALL (1700000000 * S)

static struct tape_clock at(uint64_t mono_ns, uint64_t real_ns)
{
	return (struct tape_clock){.mono_ns = mono_ns, .real_ns = real_ns};
}

START_TEST(test_clock__no_reading)
{
	ck_assert_uint_eq(clock_wall(NULL, 0, 5 * S), 0);
}
END_TEST

START_TEST(test_clock__one_reading)
{
	struct tape_clock c = at(100 * S, WALL);

	ck_assert_uint_eq(clock_wall(&c, 1, 100 * S), WALL);
	ck_assert_uint_eq(clock_wall(&c, 1, 90 * S), WALL - 10 * S);
	ck_assert_uint_eq(clock_wall(&c, 1, 110 * S + 1), WALL + 10 * S + 1);
	ck_assert_uint_eq(clock_mono(&c, 1, WALL + 5 * S, false), 105 * S);
}
END_TEST

/* The wall clock gains 1 ms in 10 s (NTP slews), then loses it. */
START_TEST(test_clock__interpolates)
{
	struct tape_clock c[] = {at(100 * S, WALL), at(110 * S, WALL + 10 * S + 1000000),
				 at(120 * S, WALL + 20 * S)};

	ck_assert_uint_eq(clock_wall(c, 3, 100 * S), WALL);
	ck_assert_uint_eq(clock_wall(c, 3, 105 * S), WALL + 5 * S + 500000);
	ck_assert_uint_eq(clock_wall(c, 3, 110 * S), WALL + 10 * S + 1000000);
	ck_assert_uint_eq(clock_wall(c, 3, 115 * S), WALL + 15 * S + 500000);
	ck_assert_uint_eq(clock_mono(c, 3, WALL + 10 * S + 1000000, false), 110 * S);
	for (uint64_t m = 95 * S; m < 125 * S; m += S / 3) /* there and back, to the microsecond */
		ck_assert_uint_lt(clock_mono(c, 3, clock_wall(c, 3, m), m & 1) + 1000 - m, 2000);
}
END_TEST

START_TEST(test_clock__goes_on_outside)
{
	struct tape_clock c[] = {at(100 * S, WALL), at(110 * S, WALL + 10 * S + 1000000),
				 at(120 * S, WALL + 20 * S + 1000000)};

	ck_assert_uint_eq(clock_wall(c, 3, 90 * S), WALL - 10 * S - 1000000);
	ck_assert_uint_eq(clock_wall(c, 3, 130 * S), WALL + 30 * S + 1000000);
}
END_TEST

/* Somebody sets the clock forward by an hour, or back: between the readings time runs on. */
START_TEST(test_clock__a_step_is_no_pace)
{
	for (int sign = -1; sign <= 1; sign += 2) {
		uint64_t hour = (uint64_t)(sign * 3600 * (int64_t)S);
		struct tape_clock c[] = {at(100 * S, WALL), at(110 * S, WALL + 10 * S + hour),
					 at(120 * S, WALL + 20 * S + hour)};

		ck_assert_uint_eq(clock_wall(c, 3, 104 * S), WALL + 4 * S);
		ck_assert_uint_eq(clock_wall(c, 3, 110 * S), WALL + 10 * S + hour);
		ck_assert_uint_eq(clock_wall(c, 3, 115 * S), WALL + 15 * S + hour);
	}
}
END_TEST

/* Forward by an hour at 112 s, which was read at once: what it skipped is that moment. */
START_TEST(test_clock__wall_time_that_was_skipped)
{
	const uint64_t hour = 3600 * S;
	struct tape_clock c[] = {at(100 * S, WALL), at(110 * S, WALL + 10 * S),
				 at(112 * S, WALL + 12 * S + hour),
				 at(120 * S, WALL + 20 * S + hour)};

	for (int last = 0; last < 2; last++) {
		ck_assert_uint_eq(clock_mono(c, 4, WALL - 5 * S, last), 95 * S);
		ck_assert_uint_eq(clock_mono(c, 4, WALL + 11 * S, last), 111 * S);
		ck_assert_uint_eq(clock_mono(c, 4, WALL + 12 * S, last), 112 * S);
		ck_assert_uint_eq(clock_mono(c, 4, WALL + 1800 * S, last), 112 * S);
		ck_assert_uint_eq(clock_mono(c, 4, WALL + 13 * S + hour, last), 113 * S);
		ck_assert_uint_eq(clock_mono(c, 4, WALL + 25 * S + hour, last), 125 * S);
	}
}
END_TEST

/* Back by 5 s at 112 s: some times were twice, and a window of them has both. */
START_TEST(test_clock__wall_time_that_was_twice)
{
	struct tape_clock c[] = {at(100 * S, WALL), at(110 * S, WALL + 10 * S),
				 at(112 * S, WALL + 7 * S), at(120 * S, WALL + 15 * S)};

	ck_assert_uint_eq(clock_mono(c, 4, WALL + 8 * S, false), 108 * S);
	ck_assert_uint_eq(clock_mono(c, 4, WALL + 8 * S, true), 113 * S);
	ck_assert_uint_eq(clock_mono(c, 4, WALL + 11 * S, false), 111 * S);
	ck_assert_uint_eq(clock_mono(c, 4, WALL + 11 * S, true), 116 * S);
	ck_assert_uint_eq(clock_mono(c, 4, WALL + 6 * S, true), 106 * S);
	ck_assert_uint_eq(clock_mono(c, 4, WALL + 14 * S, false), 119 * S);
}
END_TEST

/* Back by an hour: times after that are before the trace's start, but in it. */
START_TEST(test_clock__wall_time_before_the_start)
{
	const uint64_t hour = 3600 * S;
	struct tape_clock c[] = {at(100 * S, WALL), at(112 * S, WALL + 12 * S - hour),
				 at(120 * S, WALL + 20 * S - hour)};

	ck_assert_uint_eq(clock_mono(c, 3, WALL + 13 * S - hour, false), 113 * S);
	ck_assert_uint_eq(clock_mono(c, 3, WALL + 11 * S, true), 111 * S);
	ck_assert(clock_was_set(&c[0]));
	ck_assert(!clock_was_set(&c[1]));
}
END_TEST

/* Readings come from a file: whatever they hold, the sanitizers must have nothing to say. */
START_TEST(test_clock__hostile_readings)
{
	static const uint64_t values[] = {0, 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};

	for (unsigned i = 0; i < 625; i++) {
		struct tape_clock c[] = {at(values[i % 5], values[i / 5 % 5]),
					 at(values[i / 25 % 5], values[i / 125])};

		for (unsigned k = 0; k < 5; k++) {
			clock_wall(c, 2, values[k]);
			clock_mono(c, 2, values[k], i & 1);
		}
	}
}
END_TEST

START_TEST(test_clock__date)
{
	char s[40];

	clock_date(WALL + 123999999, s);
	ck_assert_str_eq(s, "2023-11-14T22:13:20.123Z"); /* date -u -d @1700000000 */
	clock_date(0, s);
	ck_assert_str_eq(s, "1970-01-01T00:00:00.000Z");
	clock_date(UINT64_MAX, s);
	ck_assert_str_eq(s, "2554-07-21T23:34:33.709Z"); /* date -u -d @18446744073 */
}
END_TEST

START_TEST(test_clock__time_of_day_is_local)
{
	char s[16];

	setenv("TZ", "XXX-05:30", 1);
	tzset();
	clock_time_of_day(WALL, s);
	ck_assert_str_eq(s, "03:43:20");
}
END_TEST

/* As one by one, whatever was asked for before. */
START_TEST(test_clock__text_is_remembered)
{
	struct clock_text t = {0};
	char s[40];

	for (uint64_t i = 0; i < 60; i++) {
		uint64_t wall = WALL + i * 217 * S / 1000;

		clock_date(wall, s);
		ck_assert_str_eq(clock_text(&t, wall, true), s);
		if (i % 3)
			continue;
		clock_time_of_day(wall, s);
		ck_assert_str_eq(clock_text(&t, wall, false), s);
	}
}
END_TEST

START_TEST(test_clock__parse_spans)
{
	static const struct {
		const char *s;
		enum clock_kind kind;
		uint64_t ns;
	} rows[] = {
		{"+1.5s", CLOCK_AFTER_START, S + S / 2}, {"+0", CLOCK_AFTER_START, 0},
		{"-10s", CLOCK_BEFORE_END, 10 * S},	 {"+250ms", CLOCK_AFTER_START, S / 4},
		{"-3us", CLOCK_BEFORE_END, 3000},	 {"+2m", CLOCK_AFTER_START, 120 * S},
		{"-1h", CLOCK_BEFORE_END, 3600 * S},	 {"+.5", CLOCK_AFTER_START, S / 2},
		{"+0.000000001", CLOCK_AFTER_START, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct clock_point p;

		ck_assert_msg(clock_parse(rows[i].s, &p), "%s", rows[i].s);
		ck_assert_int_eq(p.kind, rows[i].kind);
		ck_assert_msg(p.ns == rows[i].ns, "%s: %ju", rows[i].s, (uintmax_t)p.ns);
	}
}
END_TEST

START_TEST(test_clock__parse_wall)
{
	struct clock_point p;

	setenv("TZ", "XXX-05:30", 1);
	tzset();
	ck_assert(clock_parse("2023-11-14T22:13:20Z", &p));
	ck_assert(p.kind == CLOCK_WALL && !p.of_day && p.utc);
	ck_assert_uint_eq(p.ns, WALL);
	ck_assert(clock_parse("2023-11-15T03:43:20", &p)); /* local */
	ck_assert_uint_eq(p.ns, WALL);
	ck_assert(clock_parse("2023-11-14T22:13:20.25Z", &p));
	ck_assert_uint_eq(p.ns, WALL + S / 4);
	ck_assert(clock_parse("13:05:00.2", &p));
	ck_assert(p.kind == CLOCK_WALL && p.of_day && !p.utc);
	ck_assert_uint_eq(p.ns, (13 * 3600 + 5 * 60) * S + S / 5);
	ck_assert(clock_parse("13:05:00.1234567899Z", &p)); /* below a ns: cut */
	ck_assert(p.utc);
	ck_assert_uint_eq(p.ns, (13 * 3600 + 5 * 60) * S + 123456789);
}
END_TEST

START_TEST(test_clock__parse_refuses)
{
	static const char *const bad[] = {
		"",
		"+",
		"-",
		"5",
		"+x",
		"+1x",
		"+-1",
		"+ 1",
		"+1s ",
		"+nan",
		"+inf",
		"+1e30",
		"24:00:00",
		"12:60:00",
		"12:00",
		"12:00:00x",
		"12:00:00ZZ",
		"-1:00:00",
		"2023-11-14",
		"2023-11-14 22:13:20",
		"2023-13-01T00:00:00Z",
		"2023-00-01T00:00:00Z",
		"2023-01-32T00:00:00Z",
		"2023-01-00T00:00:00Z",
		"1969-12-31T23:59:59Z",
		"9999-01-01T00:00:00Z",
		"2023-11-14T22:13:20+01:00",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct clock_point p;

		ck_assert_msg(!clock_parse(bad[i], &p), "'%s' was taken", bad[i]);
	}
}
END_TEST

/* 22:13:20 UTC: the recording begins */
START_TEST(test_clock__on_day)
{
	struct clock_point p;

	ck_assert(clock_parse("22:14:00Z", &p));
	ck_assert_uint_eq(clock_on_day(&p, WALL), WALL + 40 * S);
	ck_assert(clock_parse("22:00:00Z", &p)); /* shortly before: the same day */
	ck_assert_uint_eq(clock_on_day(&p, WALL), WALL - 800 * S);
	ck_assert(clock_parse("00:10:00Z", &p)); /* past midnight: the next one */
	ck_assert_uint_eq(clock_on_day(&p, WALL), WALL + (3600 + 46 * 60 + 40 + 600) * S);
	setenv("TZ", "XXX-05:30", 1);
	tzset();
	ck_assert(clock_parse("03:43:21.5", &p)); /* local */
	ck_assert_uint_eq(clock_on_day(&p, WALL), WALL + S + S / 2);
}
END_TEST

SUITE("clock", test_clock__no_reading, test_clock__one_reading, test_clock__interpolates,
      test_clock__goes_on_outside, test_clock__a_step_is_no_pace,
      test_clock__wall_time_that_was_skipped, test_clock__wall_time_that_was_twice,
      test_clock__wall_time_before_the_start, test_clock__hostile_readings, test_clock__date,
      test_clock__time_of_day_is_local, test_clock__text_is_remembered, test_clock__parse_spans,
      test_clock__parse_wall, test_clock__parse_refuses, test_clock__on_day)

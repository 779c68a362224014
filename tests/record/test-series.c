// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "series.h"
#include "suite.h"

#define MS 1000000u

static struct rec_series s;
static uint64_t before;
static bool first;

static bool moved(uint32_t netns, uint32_t id, uint32_t part, uint64_t value)
{
	return rec_series_moved(&s, netns, id, part, value, &before, &first);
}

/* Take the next record; a copy of its head. */
static const struct ev_head *next(void)
{
	return s.source.next(&s.source);
}

START_TEST(test_series__only_what_moves)
{
	rec_series_init(&s);
	rec_series_begin(&s, MS);
	ck_assert_uint_eq(s.interval_us, 0);
	ck_assert(moved(1, 1, 0, 5) && first && before == 0);
	ck_assert(!moved(1, 2, 0, 0) && first); /* zeros are left out of the first sample */
	rec_series_begin(&s, 3 * MS);
	ck_assert_uint_eq(s.interval_us, 2000);
	ck_assert(!moved(1, 1, 0, 5) && !first);
	ck_assert(moved(1, 2, 0, 1) && !first && before == 0);
	rec_series_begin(&s, 4 * MS);
	ck_assert(moved(1, 1, 0, 3) && before == 5); /* a gauge falls */
	rec_series_fini(&s);
}
END_TEST

START_TEST(test_series__each_key_for_itself)
{
	rec_series_init(&s);
	rec_series_begin(&s, MS);
	for (uint32_t i = 1; i <= 30000; i++) { /* grows several times */
		moved(i, 7, 0, i);
		moved(7, i + 30000, 1, i);
		moved(7, 7, i + 60000, i);
	}
	rec_series_begin(&s, 2 * MS);
	for (uint32_t i = 1; i <= 30000; i++) {
		ck_assert(!moved(i, 7, 0, i) && !first && before == i);
		ck_assert(!moved(7, i + 30000, 1, i) && before == i);
		ck_assert(!moved(7, 7, i + 60000, i) && before == i);
	}
	ck_assert(!s.failed);
	rec_series_fini(&s);
}
END_TEST

START_TEST(test_series__memory_follows_what_lives)
{
	rec_series_init(&s);
	for (uint32_t sample = 1; sample <= 3000; sample++) { /* a namespace comes and goes */
		rec_series_begin(&s, sample * (uint64_t)MS);
		for (uint32_t id = 1; id <= 300; id++)
			ck_assert(moved(sample, id, 0, sample));
	}
	ck_assert_uint_le(s.cap_slots, 4096);
	rec_series_fini(&s);
}
END_TEST

START_TEST(test_series__names_are_told_once)
{
	const struct ev_snap_counter *row;
	uint32_t ids[2000];
	char name[32];
	struct ev_str text;

	rec_series_init(&s);
	rec_series_begin(&s, MS);
	for (uint32_t i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "c%u ", i);
		ids[i] = rec_series_name(&s, "Tcp", name, strlen(name) - 1);
	}
	for (uint32_t i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "Tcp.c%u", i);
		row = (const struct ev_snap_counter *)next();
		ck_assert_uint_eq(row->head.type, EV_snap_counter);
		ck_assert_uint_eq(row->head.ts_ns, MS);
		ck_assert_uint_eq(row->counter, ids[i]);
		ck_assert_uint_eq(row->name.len, strlen(name));
		ck_assert_mem_eq(row->name.s, name, row->name.len);
	}
	ck_assert_ptr_null(next());
	s.source.done(&s.source);
	ck_assert_uint_eq(rec_series_name(&s, "Tcp", "c7", 2), ids[7]);
	text = rec_series_text(&s, "eth0");
	ck_assert_uint_eq(text.len, 4);
	ck_assert_ptr_null(next()); /* neither tells a name */
	rec_series_fini(&s);
}
END_TEST

START_TEST(test_series__records_wait_until_they_are_taken)
{
	struct ev_counter e = {.head = {.type = EV_counter, .size = sizeof(e)}};

	rec_series_init(&s);
	for (uint64_t i = 0; i < 5000; i++) {
		rec_series_begin(&s, i * MS);
		e.value = i;
		rec_series_emit(&s, &e.head);
		if (i % 3 == 1)
			s.source.done(&s.source); /* what is not taken stays */
	}
	for (uint64_t i = 0; i < 5000; i++) {
		const struct ev_counter *got = (const struct ev_counter *)next();

		ck_assert_uint_eq(got->value, i);
		ck_assert_uint_eq(got->head.ts_ns, i * MS);
	}
	ck_assert_ptr_null(next());
	s.source.done(&s.source);
	ck_assert_uint_eq(s.len, 0);
	rec_series_fini(&s);
}
END_TEST

SUITE("series", test_series__only_what_moves, test_series__each_key_for_itself,
      test_series__memory_follows_what_lives, test_series__names_are_told_once,
      test_series__records_wait_until_they_are_taken)

// SPDX-License-Identifier: GPL-2.0-or-later
#include "queue.h"
#include "record.h"
#include "suite.h"

#define CAP (16u << 10)

static struct rec_queue q;

static void add(uint64_t ts_ns, uint32_t number)
{
	struct ev_tcp_accept e = record_make(ts_ns, number);

	ck_assert(rec_queue_has_room(&q));
	rec_queue_add(&q, &e.head);
}

static void expect_next(uint64_t ts_ns, uint32_t number)
{
	struct ev_head *record;

	ck_assert_uint_gt(rec_queue_len(&q), 0);
	ck_assert_uint_eq(rec_queue_at(&q, 0)->ts_ns, ts_ns);
	record = rec_queue_pop(&q);
	ck_assert_uint_eq(record->ts_ns, ts_ns);
	ck_assert_uint_eq(record_number(record), number);
}

START_TEST(test_queue__nearly_sorted_input_comes_out_sorted)
{
	static const uint64_t times[] = {10, 30, 20, 40, 35, 34, 50, 5};
	static const uint32_t order[] = {7, 0, 2, 1, 5, 4, 3, 6};

	ck_assert_int_eq(rec_queue_init(&q, CAP), 0);
	for (uint32_t i = 0; i < 8; i++)
		add(times[i], i);
	for (uint32_t i = 0; i < 8; i++)
		expect_next(times[order[i]], order[i]);
	ck_assert_uint_eq(rec_queue_len(&q), 0);
	rec_queue_fini(&q);
}
END_TEST

START_TEST(test_queue__equal_times_stay_in_order_of_arrival)
{
	ck_assert_int_eq(rec_queue_init(&q, CAP), 0);
	add(7, 0);
	add(9, 1);
	add(7, 2);
	add(9, 3);
	add(7, 4);
	for (uint32_t i = 0; i <= 4; i += 2)
		expect_next(7, i);
	expect_next(9, 1);
	expect_next(9, 3);
	rec_queue_fini(&q);
}
END_TEST

START_TEST(test_queue__a_late_one_does_not_overtake_what_was_taken)
{
	ck_assert_int_eq(rec_queue_init(&q, CAP), 0);
	add(10, 0);
	add(20, 1);
	expect_next(10, 0);
	add(1, 2);
	expect_next(1, 2);
	expect_next(20, 1);
	rec_queue_fini(&q);
}
END_TEST

START_TEST(test_queue__full_until_compacted)
{
	uint32_t n = 0;

	ck_assert_int_eq(rec_queue_init(&q, CAP), 0);
	for (; rec_queue_has_room(&q); n++)
		add(n, n);
	/* all of it but the room of one largest record, which events.h keeps below 1 KiB */
	ck_assert_uint_ge(n * sizeof(struct ev_tcp_accept), CAP - 1024 - 8 * n);
	for (uint32_t i = 0; i < n; i++)
		expect_next(i, i);
	ck_assert(!rec_queue_has_room(&q)); /* what was taken is still valid */
	rec_queue_compact(&q);
	ck_assert(rec_queue_has_room(&q));
	ck_assert_uint_eq(rec_queue_len(&q), 0);
	rec_queue_fini(&q);
}
END_TEST

START_TEST(test_queue__full_also_of_small_records)
{
	struct ev_head tiny = {.size = sizeof(tiny), .type = 999};
	size_t n = 0;

	ck_assert_int_eq(rec_queue_init(&q, CAP), 0);
	for (; rec_queue_has_room(&q) && n < CAP; n++)
		rec_queue_add(&q, &tiny);
	ck_assert_uint_le(n, CAP / sizeof(tiny));
	ck_assert_uint_eq(rec_queue_len(&q), n);
	rec_queue_fini(&q);
}
END_TEST

START_TEST(test_queue__compaction_keeps_contents_and_order)
{
	uint32_t next_in = 0, next_out = 0;

	ck_assert_int_eq(rec_queue_init(&q, CAP), 0);
	for (unsigned round = 0; round < 50; round++) { /* many times around both arenas */
		uint32_t waiting;

		while (rec_queue_has_room(&q)) {
			add(next_in ^ 1, next_in ^ 1); /* 1 0 3 2 5 4: neighbours swapped */
			next_in++;
		}
		if (next_in % 2) { /* whole pairs, so that the order is known */
			waiting = (uint32_t)rec_queue_len(&q) - 2;
		} else {
			waiting = (uint32_t)rec_queue_len(&q);
		}
		for (uint32_t take = 1 + waiting * (round % 3) / 3; take; take--, next_out++)
			expect_next(next_out, next_out);
		rec_queue_compact(&q);
		ck_assert(rec_queue_has_room(&q));
	}
	rec_queue_fini(&q);
}
END_TEST

START_TEST(test_queue__records_of_all_sizes_survive)
{
	struct {
		struct ev_head head;
		uint8_t bytes[1000];
	} e;

	ck_assert_int_eq(rec_queue_init(&q, CAP), 0);
	for (uint16_t size = sizeof(e.head); rec_queue_has_room(&q); size = size % 900 + 33) {
		if (size < sizeof(e.head))
			continue;
		memset(e.bytes, size & 0xff, sizeof(e.bytes));
		e.head = (struct ev_head){size, 0, 999, size};
		rec_queue_add(&q, &e.head);
	}
	rec_queue_pop(&q);
	rec_queue_compact(&q);
	while (rec_queue_len(&q)) {
		const struct ev_head *record = rec_queue_pop(&q);
		const uint8_t *bytes = (const uint8_t *)(record + 1);

		ck_assert_uint_eq(record->size, record->ts_ns);
		for (size_t i = 0; i < record->size - sizeof(*record); i++)
			ck_assert_uint_eq(bytes[i], record->size & 0xff);
	}
	rec_queue_fini(&q);
}
END_TEST

START_TEST(test_queue__an_impossible_size_is_left_out)
{
	struct ev_tcp_accept e = record_make(5, 1);

	ck_assert_int_eq(rec_queue_init(&q, CAP), 0);
	e.head.size = REC_MAX_RECORD + 1;
	ck_assert(!rec_queue_add(&q, &e.head));
	e.head.size = sizeof(e.head) - 1;
	ck_assert(!rec_queue_add(&q, &e.head));
	ck_assert_uint_eq(rec_queue_len(&q), 0);
	add(6, 2);
	expect_next(6, 2);
	rec_queue_fini(&q);
}
END_TEST

SUITE("queue", test_queue__nearly_sorted_input_comes_out_sorted,
      test_queue__equal_times_stay_in_order_of_arrival,
      test_queue__a_late_one_does_not_overtake_what_was_taken, test_queue__full_until_compacted,
      test_queue__full_also_of_small_records, test_queue__compaction_keeps_contents_and_order,
      test_queue__records_of_all_sizes_survive, test_queue__an_impossible_size_is_left_out)

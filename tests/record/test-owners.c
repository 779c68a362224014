// SPDX-License-Identifier: GPL-2.0-or-later
#include "owners.h"
#include "suite.h"

static struct rec_owners o;

static void add(uint64_t inode, uint32_t pid)
{
	struct ev_task process = {.pid = pid};

	rec_owners_add(&o, inode, &process, pid >= 1000000);
}

static void expect(uint64_t inode, uint32_t pid, unsigned n)
{
	struct ev_task task = {0};

	ck_assert_uint_eq(rec_owners_of(&o, inode, &task), n);
	ck_assert_uint_eq(task.pid, pid);
}

START_TEST(test_owners__the_first_process_counts_and_each_once)
{
	rec_owners_init(&o);
	expect(1, 0, 0);
	add(1, 10);
	add(2, 10);
	add(1, 10); /* dup() */
	add(1, 11);
	add(3, 11);
	add(1, 11);
	expect(1, 10, 2);
	expect(2, 10, 1);
	expect(3, 11, 1);
	expect(4, 0, 0);
	expect(0, 0, 0);
	expect(1ull << 32 | 1, 0, 0);
	rec_owners_fini(&o);
	rec_owners_fini(&o);
}
END_TEST

START_TEST(test_owners__who_is_chosen_comes_first)
{
	rec_owners_init(&o);
	add(1, 10);
	add(1, 1000000);
	add(1, 1000001);
	add(1, 11);
	add(2, 10);
	expect(1, 1000000, 4);
	expect(2, 10, 1);
	rec_owners_fini(&o);
}
END_TEST

START_TEST(test_owners__more_processes_than_a_byte_counts)
{
	rec_owners_init(&o);
	for (uint32_t pid = 1; pid <= 300; pid++)
		add(7, pid);
	expect(7, 1, 255);
	rec_owners_fini(&o);
}
END_TEST

/* Memory has a bound, and what was there before it is reached stays known. */
START_TEST(test_owners__bounded)
{
	const uint64_t room = REC_OWNERS_SLOTS / 4 * 3;

	rec_owners_init(&o);
	for (uint64_t i = 1; i <= room; i++)
		add(i, (uint32_t)(i / 1000 + 1));
	ck_assert(!o.incomplete);
	for (uint64_t i = room + 1; i <= room + 1000; i++)
		add(i, 1);
	ck_assert(o.incomplete);
	ck_assert_uint_eq(o.cap, REC_OWNERS_SLOTS);
	for (uint64_t i = 1; i <= room; i++)
		expect(i, (uint32_t)(i / 1000 + 1), 1);
	expect(room + 1, 0, 0);
	rec_owners_fini(&o);
}
END_TEST

SUITE("owners", test_owners__the_first_process_counts_and_each_once,
      test_owners__who_is_chosen_comes_first, test_owners__more_processes_than_a_byte_counts,
      test_owners__bounded)

// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "budget.h"
#include "suite.h"

#define S 1000000000ull
#define STEP (S / 100)

static struct rec_budget b;
static uint64_t now_ns;
static uint64_t wants[TAPE_N_GROUPS]; /* events a second */
static uint64_t left_out[TAPE_N_GROUPS];
static uint64_t took[TAPE_N_GROUPS]; /* recorded in the last second */
static uint64_t elephant; /* of wants[rtt]: one connection, which only weight 1 records */
static unsigned n_changes;

static void begin(uint64_t events_s, uint32_t sample)
{
	memset(wants, 0, sizeof(wants));
	memset(left_out, 0, sizeof(left_out));
	n_changes = 0;
	elephant = 0;
	now_ns = 5 * S;
	rec_budget_init(&b, events_s, sample, (1u << TAPE_N_GROUPS) - 1, now_ns);
}

static uint64_t recorded(int g, uint64_t n, uint64_t whole)
{
	uint64_t of_whole = b.thin[g].weight == 1 ? whole : 0;

	return (n - whole) / b.thin[g].weight + of_whole;
}

/* Record for a second, in steps. */
static uint64_t run_second(void)
{
	uint64_t sum = 0;

	memset(took, 0, sizeof(took));
	for (uint64_t end = now_ns + S; now_ns < end;) {
		now_ns += STEP;
		for (int g = 0; g < TAPE_N_GROUPS; g++) {
			uint64_t n = wants[g] / 100;
			uint64_t whole = g == TAPE_GROUP_rtt ? elephant / 100 : 0;
			uint64_t r = recorded(g, n, whole);

			for (uint64_t i = 0; i < r; i++)
				rec_budget_see(&b, (enum tape_group)g, now_ns);
			left_out[g] += n - r;
			took[g] += r;
			sum += r;
		}
		if (rec_budget_is_due(&b, now_ns))
			n_changes += rec_budget_decide(&b, now_ns, left_out);
	}
	return sum;
}

static void run_seconds(int n)
{
	while (n--)
		run_second();
}

static const struct ev_rate *next(void)
{
	return (const struct ev_rate *)b.source.next(&b.source);
}

START_TEST(test_budget__a_sample_is_told_first)
{
	const struct ev_rate *e;
	unsigned n = 0;

	begin(0, 4);
	while ((e = next())) {
		ck_assert_uint_eq(e->weight, 4);
		ck_assert_uint_eq(e->cause, 1);
		ck_assert_uint_eq(e->head.ts_ns, 5 * S);
		n++;
	}
	ck_assert_uint_eq(n, 4); /* rtt rx tx io */
	ck_assert_uint_eq(rec_budget_floor(&b, TAPE_GROUP_rx), 3u << 30);
	ck_assert_uint_eq(rec_budget_floor(&b, TAPE_GROUP_conn), 0);
	ck_assert(!rec_budget_is_due(&b, 100 * S)); /* no bound, nothing to decide */
}
END_TEST

START_TEST(test_budget__nothing_happens_within_it)
{
	begin(100000, 1);
	wants[TAPE_GROUP_rtt] = 60000;
	wants[TAPE_GROUP_conn] = 30000;
	run_seconds(100);
	ck_assert_uint_eq(n_changes, 0);
	ck_assert_ptr_null(next());
}
END_TEST

START_TEST(test_budget__bulk_is_thinned_and_recovers)
{
	const struct ev_rate *e;
	uint64_t last = 1;

	begin(100000, 1);
	wants[TAPE_GROUP_rtt] = 600000;
	wants[TAPE_GROUP_rx] = 400000;
	ck_assert_uint_le(run_second(), 200000); /* what the first window took, and the rest */
	for (int i = 0; i < 50; i++)
		ck_assert_uint_le(run_second(), 100000);
	ck_assert_uint_eq(b.thin[TAPE_GROUP_rtt].weight, 16);
	ck_assert_uint_eq(n_changes, 1);
	wants[TAPE_GROUP_rtt] = wants[TAPE_GROUP_rx] = 1000;
	run_seconds(4 * 3 + 1);
	ck_assert_uint_eq(b.thin[TAPE_GROUP_tx].weight, 1);
	ck_assert_uint_eq(n_changes, 1 + 4);
	while ((e = next())) {
		ck_assert(e->cause == (e->weight > last ? 2 : 3) || e->weight == last);
		ck_assert_uint_eq(e->budget, 100000);
		last = e->weight;
	}
	ck_assert_uint_eq(last, 1);
}
END_TEST

START_TEST(test_budget__recovers_to_the_sample)
{
	begin(100000, 3);
	wants[TAPE_GROUP_io] = 2000000;
	run_seconds(10);
	ck_assert_uint_eq(b.thin[TAPE_GROUP_io].weight, 24);
	wants[TAPE_GROUP_io] = 10;
	run_seconds(20);
	ck_assert_uint_eq(b.thin[TAPE_GROUP_io].weight, 3);
}
END_TEST

START_TEST(test_budget__bulk_gives_way_to_control)
{
	begin(100000, 1);
	wants[TAPE_GROUP_rtt] = 90000;
	wants[TAPE_GROUP_conn] = 60000;
	run_seconds(10);
	ck_assert_uint_eq(took[TAPE_GROUP_conn], 60000);
	ck_assert_uint_le(took[TAPE_GROUP_rtt], 40000);
	ck_assert_uint_gt(took[TAPE_GROUP_rtt], 0);
}
END_TEST

START_TEST(test_budget__a_storm_harms_no_other_control_group)
{
	begin(100000, 1);
	wants[TAPE_GROUP_drop] = 700000;
	wants[TAPE_GROUP_reset] = 700000;
	wants[TAPE_GROUP_conn] = 20000;
	wants[TAPE_GROUP_rtt] = 5000;
	run_second();
	for (int i = 0; i < 30; i++) {
		ck_assert_uint_le(run_second(), 100000);
		ck_assert_uint_eq(took[TAPE_GROUP_conn], 20000);
		ck_assert_uint_ge(took[TAPE_GROUP_drop], 10000);
		ck_assert_uint_ge(took[TAPE_GROUP_reset], 10000);
		ck_assert_uint_eq(took[TAPE_GROUP_rtt], 5000);
	}
	wants[TAPE_GROUP_drop] = wants[TAPE_GROUP_reset] = 0;
	run_seconds(40);
	ck_assert_uint_eq(b.thin[TAPE_GROUP_drop].weight, 1);
}
END_TEST

/* Load around a step, or one connection that is most of it: no change every few seconds. */
START_TEST(test_budget__does_not_swing)
{
	begin(100000, 1);
	elephant = 1000000;
	wants[TAPE_GROUP_rtt] = elephant + 20000;
	run_seconds(300);
	ck_assert_uint_le(n_changes, 2);
	begin(100000, 1);
	for (int i = 0; i < 300; i++) {
		wants[TAPE_GROUP_rtt] = i % 10 < 5 ? 190000 : 20000; /* 5 s each */
		run_second();
	}
	ck_assert_uint_le(n_changes, 24);
}
END_TEST

START_TEST(test_budget__a_weight_has_an_end)
{
	uint64_t huge = UINT32_MAX;

	begin(1, 1);
	rec_budget_see(&b, TAPE_GROUP_rtt, now_ns);
	left_out[TAPE_GROUP_conn] = huge;
	rec_budget_decide(&b, now_ns, left_out);
	ck_assert_uint_eq(b.thin[TAPE_GROUP_conn].weight, REC_MAX_WEIGHT);
	ck_assert_uint_eq(rec_budget_floor(&b, TAPE_GROUP_conn), UINT32_MAX - 4095);
}
END_TEST

START_TEST(test_budget__a_further_file_is_told)
{
	struct ev_rate now[TAPE_N_GROUPS];

	begin(100000, 1);
	ck_assert_uint_eq(rec_budget_rates(&b, now_ns, now), 0);
	wants[TAPE_GROUP_rtt] = 1000000;
	run_second();
	ck_assert_uint_eq(rec_budget_rates(&b, 9 * S, now), 4);
	ck_assert_uint_eq(now[0].weight, b.thin[TAPE_GROUP_rtt].weight);
	ck_assert_uint_eq(now[0].head.ts_ns, 9 * S);
}
END_TEST

/* Numbers of connections are even over 32 bits (test-flow-hash.c): of those, one in so many is
 * kept. */
START_TEST(test_budget__a_floor_leaves_one_in_so_many)
{
	uint32_t last = 0;

	for (uint64_t weight = 1; weight <= REC_MAX_WEIGHT; weight += 1 + weight / 100) {
		uint64_t kept, all;

		b.thin[TAPE_GROUP_rx].weight = weight;
		kept = (1ull << 32) - rec_budget_floor(&b, TAPE_GROUP_rx);
		all = kept * weight;
		ck_assert_uint_le(all, 1ull << 32);
		ck_assert_uint_lt((1ull << 32) - all, weight);
		/* whom a weight keeps, every smaller one does */
		ck_assert_uint_ge(rec_budget_floor(&b, TAPE_GROUP_rx), last);
		last = rec_budget_floor(&b, TAPE_GROUP_rx);
	}
}
END_TEST

SUITE("budget", test_budget__a_floor_leaves_one_in_so_many, test_budget__a_sample_is_told_first,
      test_budget__nothing_happens_within_it, test_budget__bulk_is_thinned_and_recovers,
      test_budget__recovers_to_the_sample, test_budget__bulk_gives_way_to_control,
      test_budget__a_storm_harms_no_other_control_group, test_budget__does_not_swing,
      test_budget__a_weight_has_an_end, test_budget__a_further_file_is_told)

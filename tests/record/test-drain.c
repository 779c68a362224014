// SPDX-License-Identifier: GPL-2.0-or-later
#include "drain.h"
#include "record.h"
#include "suite.h"

#define CAP (64u << 10)
#define HOLD 10

/* A source out of an array; what is not there yet at `now` is not given. */
struct fake {
	struct rec_source source;
	const struct ev_tcp_accept *records;
	const uint64_t *arrival; /* when a record becomes readable; NULL: at once */
	size_t n, at, n_done;
	bool endless; /* after the array it goes on, a record every ns */
	struct ev_tcp_accept more;
};

static uint64_t now;

static const struct ev_head *fake_next(struct rec_source *s)
{
	struct fake *f = (struct fake *)s;

	if (f->at == f->n) {
		f->more.head.ts_ns++;
		f->more.backlog++;
		return f->endless ? &f->more.head : NULL;
	}
	if (f->arrival && f->arrival[f->at] > now)
		return NULL;
	return &f->records[f->at++].head;
}

static void fake_done(struct rec_source *s)
{
	((struct fake *)s)->n_done++;
}

static struct fake fake(const struct ev_tcp_accept *records, size_t n)
{
	return (struct fake){.source = {fake_next, fake_done}, .records = records, .n = n};
}

#define MAX_OUT 100000

static struct {
	uint64_t ts_ns[MAX_OUT];
	uint32_t number[MAX_OUT];
	size_t n;
	const struct rec_drain *drain;
	int result;
} out;

static int sink(void *ctx, struct ev_head *record, const struct rec_queue *ahead)
{
	if (ctx != &out || out.n == MAX_OUT)
		ck_abort_msg("%zu records", out.n);
	out.ts_ns[out.n] = record->ts_ns;
	out.number[out.n++] = record_number(record);
	return out.result;
}

static void start(struct rec_drain *d, struct fake **fakes, unsigned n, size_t cap)
{
	memset(&out, 0, sizeof(out));
	out.drain = d;
	rec_drain_init(d, HOLD, sink, &out);
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(rec_drain_add(d, &fakes[i]->source, cap), 0);
}

static void fill(struct ev_tcp_accept *records, size_t n, const uint64_t *times, uint32_t number)
{
	for (size_t i = 0; i < n; i++)
		records[i] = record_make(times[i], number + (uint32_t)i);
}

START_TEST(test_drain__two_sources_merge_in_time_order)
{
	static const uint64_t a_times[] = {100, 130, 120, 160}, b_times[] = {90, 125, 126, 200};
	static const uint32_t order[] = {10, 0, 2, 11, 12, 1, 3, 13};
	struct ev_tcp_accept a[4], b[4];
	struct fake fa = fake(a, 4), fb = fake(b, 4), *fakes[] = {&fa, &fb};
	struct rec_drain d;

	fill(a, 4, a_times, 0);
	fill(b, 4, b_times, 10);
	start(&d, fakes, 2, CAP);
	ck_assert_int_eq(rec_drain_run(&d, 1000), 0);
	ck_assert_uint_eq(out.n, 8);
	for (size_t i = 0; i < 8; i++)
		ck_assert_uint_eq(out.number[i], order[i]);
	ck_assert_uint_eq(d.n_forced, 0);
	ck_assert_uint_ge(fa.n_done, 1); /* the ring's room was given back */
	ck_assert_uint_ge(fb.n_done, 1);
	rec_drain_fini(&d);
}
END_TEST

START_TEST(test_drain__holds_back_what_is_young)
{
	static const uint64_t times[] = {100, 189, 190, 195};
	struct ev_tcp_accept a[4];
	struct fake fa = fake(a, 4), *fakes[] = {&fa};
	struct rec_drain d;

	fill(a, 4, times, 0);
	start(&d, fakes, 1, CAP);
	ck_assert_int_eq(rec_drain_run(&d, 200), 0); /* 200 - HOLD = 190 */
	ck_assert_uint_eq(out.n, 2);
	ck_assert_uint_eq(d.floor_ns, 190);
	ck_assert_int_eq(rec_drain_run(&d, 201), 0);
	ck_assert_uint_eq(out.n, 3);
	ck_assert_int_eq(rec_drain_run(&d, UINT64_MAX), 0); /* the end: all of it */
	ck_assert_uint_eq(out.n, 4);
	ck_assert_uint_eq(d.n_forced, 0);
	rec_drain_fini(&d);
}
END_TEST

START_TEST(test_drain__holds_back_from_the_first_moment_on)
{
	static const uint64_t times[] = {1, 2};
	struct ev_tcp_accept a[2];
	struct fake fa = fake(a, 2), *fakes[] = {&fa};
	struct rec_drain d;

	fill(a, 2, times, 0);
	start(&d, fakes, 1, CAP);
	ck_assert_int_eq(rec_drain_run(&d, HOLD - 5), 0); /* the clock is younger than HOLD */
	ck_assert_uint_eq(out.n, 0);
	ck_assert_uint_eq(d.floor_ns, 0);
	rec_drain_fini(&d);
}
END_TEST

START_TEST(test_drain__a_straggler_comes_out_and_the_floor_stays)
{
	static const uint64_t times[] = {100, 150}, arrival[] = {0, 300};
	struct ev_tcp_accept a[2];
	struct fake fa = fake(a, 2), *fakes[] = {&fa};
	struct rec_drain d;

	fill(a, 2, times, 0);
	fa.arrival = arrival; /* the second is 150 late, of HOLD 10 */
	start(&d, fakes, 1, CAP);
	now = 200;
	rec_drain_run(&d, now);
	ck_assert_uint_eq(d.floor_ns, 190);
	now = 300;
	rec_drain_run(&d, now);
	ck_assert_uint_eq(out.n, 2);
	ck_assert_uint_eq(out.ts_ns[1], 150);
	ck_assert_uint_eq(d.floor_ns, 290);
	rec_drain_fini(&d);
}
END_TEST

START_TEST(test_drain__full_queue_of_young_records_gives_way)
{
	static struct ev_tcp_accept a[10000];
	struct fake fa = fake(a, 10000), *fakes[] = {&fa};
	struct rec_drain d;

	for (uint32_t i = 0; i < 10000; i++)
		a[i] = record_make(1000, i); /* all at one time, none of them HOLD old */
	start(&d, fakes, 1, 8 << 10);
	ck_assert_int_eq(rec_drain_run(&d, 1005), 1);
	ck_assert_uint_gt(d.n_forced, 0);
	ck_assert_uint_eq(d.n_forced, out.n);
	ck_assert_uint_gt(d.floor_ns, 1000); /* and it says so */
	while (rec_drain_run(&d, 1005) == 1)
		;
	while (rec_drain_run(&d, UINT64_MAX) == 1)
		;
	ck_assert_uint_eq(out.n, 10000);
	for (uint32_t i = 0; i < 10000; i++)
		ck_assert_uint_eq(out.number[i], i);
	rec_drain_fini(&d);
}
END_TEST

START_TEST(test_drain__full_queue_of_old_records_forces_nothing)
{
	static struct ev_tcp_accept a[10000];
	struct fake fa = fake(a, 10000), *fakes[] = {&fa};
	struct rec_drain d;

	for (uint32_t i = 0; i < 10000; i++)
		a[i] = record_make(i, i);
	start(&d, fakes, 1, 8 << 10);
	while (rec_drain_run(&d, 1000000) == 1)
		;
	ck_assert_uint_eq(out.n, 10000);
	ck_assert_uint_eq(d.n_forced, 0);
	rec_drain_fini(&d);
}
END_TEST

/* The other source's old records wait for those of the full one that are not read yet. */
START_TEST(test_drain__full_source_keeps_the_other_from_going_ahead)
{
	static struct ev_tcp_accept a[1000];
	static const uint64_t b_times[] = {900};
	struct ev_tcp_accept b[1];
	struct fake fa = fake(a, 1000), fb = fake(b, 1), *fakes[] = {&fa, &fb};
	struct rec_drain d;

	for (uint32_t i = 0; i < 1000; i++)
		a[i] = record_make(i, i);
	fill(b, 1, b_times, 5000);
	start(&d, fakes, 2, 8 << 10);
	while (rec_drain_run(&d, 1000000) == 1)
		;
	ck_assert_uint_eq(out.n, 1001);
	for (size_t i = 1; i < out.n; i++)
		ck_assert_uint_ge(out.ts_ns[i], out.ts_ns[i - 1]);
	rec_drain_fini(&d);
}
END_TEST

START_TEST(test_drain__source_that_never_runs_dry)
{
	static const uint64_t times[] = {1000};
	struct ev_tcp_accept a[1], b[1];
	struct fake fa = fake(a, 0), fb = fake(b, 1), *fakes[] = {&fa, &fb};
	struct rec_drain d;

	fa.endless = true;
	fa.more = record_make(0, 0);
	fill(b, 1, times, 999999);
	start(&d, fakes, 2, 8 << 10);
	for (unsigned i = 0; i < 200; i++) {
		size_t had = out.n;

		ck_assert_int_eq(rec_drain_run(&d, 1000000), 1); /* each call ends, */
		ck_assert_uint_gt(out.n, had);			 /* and gets on */
	}
	ck_assert_uint_ge(out.n, 1001);
	for (size_t i = 0; i < out.n; i++)
		ck_assert_uint_eq(out.ts_ns[i], i < 1000 ? i + 1 : i); /* b's is the 1001st */
	ck_assert_uint_eq(out.number[1000], 999999);
	rec_drain_fini(&d);
}
END_TEST

START_TEST(test_drain__sink_can_stop_it)
{
	static const uint64_t times[] = {1, 2, 3};
	struct ev_tcp_accept a[3];
	struct fake fa = fake(a, 3), *fakes[] = {&fa};
	struct rec_drain d;

	fill(a, 3, times, 0);
	start(&d, fakes, 1, CAP);
	out.result = -7;
	ck_assert_int_eq(rec_drain_run(&d, 1000), -7);
	ck_assert_uint_eq(out.n, 1);
	rec_drain_fini(&d);
}
END_TEST

#define N_SOURCES 3
#define N_EACH 3000
#define N_MANY 33 /* two kinds of ring on a large machine, and the samples */

/* Records of one source: each is readable late by less than HOLD, and they race a little. */
static void make_race(uint64_t *seed, struct ev_tcp_accept *records, uint64_t *arrival,
		      uint32_t number)
{
	uint64_t ts = 100;

	for (uint32_t i = 0; i < N_EACH; i++) {
		ts += record_random(seed) % 4;
		arrival[i] = ts;
		if (i && arrival[i] < arrival[i - 1])
			arrival[i] = arrival[i - 1];
		records[i] = record_make(ts - record_random(seed) % (HOLD - 1), number + i);
	}
}

static void check_race(const struct rec_drain *d)
{
	static bool seen[N_SOURCES * N_EACH];

	memset(seen, 0, sizeof(seen));
	ck_assert_uint_eq(out.n, N_SOURCES * N_EACH);
	for (size_t i = 0; i < out.n; i++) {
		/* ck_assert itself is too slow for so many */
		if (out.number[i] >= N_SOURCES * N_EACH || seen[out.number[i]])
			ck_abort_msg("record %u came twice", out.number[i]);
		seen[out.number[i]] = true;
		if (i && !d->n_forced && out.ts_ns[i] < out.ts_ns[i - 1])
			ck_abort_msg("record %u is out of order", out.number[i]);
	}
}

/*
 * With room enough: each record once, in order, and none below a floor that was stated before. The
 * caller may come at any time; it says the time from before its look, never a later one.
 */
START_TEST(test_drain__property_exactly_once_in_order)
{
	static struct ev_tcp_accept records[N_SOURCES][N_EACH];
	static uint64_t arrival[N_SOURCES][N_EACH];

	for (uint64_t trial = 1; trial <= 20; trial++) {
		struct fake f[N_SOURCES], *fakes[N_SOURCES];
		uint64_t seed = trial;
		struct rec_drain d;

		for (uint32_t i = 0; i < N_SOURCES; i++) {
			make_race(&seed, records[i], arrival[i], i * N_EACH);
			f[i] = fake(records[i], N_EACH);
			f[i].arrival = arrival[i];
			fakes[i] = &f[i];
		}
		start(&d, fakes, N_SOURCES, 1 << 20);
		for (now = 0; now < 4 * N_EACH + 200; now += record_random(&seed) % 100) {
			uint64_t floor_ns = d.floor_ns;
			size_t had = out.n;

			rec_drain_run(&d, now);
			ck_assert_uint_ge(d.floor_ns, floor_ns);
			for (size_t i = had; i < out.n; i++) {
				if (out.ts_ns[i] < floor_ns || out.ts_ns[i] + HOLD >= now)
					ck_abort_msg("floor %ju, now %ju: %ju", (uintmax_t)floor_ns,
						     (uintmax_t)now, (uintmax_t)out.ts_ns[i]);
			}
		}
		while (rec_drain_run(&d, UINT64_MAX) == 1)
			;
		ck_assert_uint_eq(d.n_forced, 0);
		check_race(&d);
		rec_drain_fini(&d);
	}
}
END_TEST

/* A large machine: many rings, some of which have nothing, or stop. */
START_TEST(test_drain__many_sources_merge_in_time_order)
{
	static struct ev_tcp_accept records[N_MANY][N_EACH / 10];
	struct fake f[N_MANY], *fakes[N_MANY];
	size_t n = 0, had = 0;
	struct rec_drain d;
	uint64_t seed = 7;

	for (uint32_t i = 0; i < N_MANY; i++) {
		size_t n_here = i % 5 ? record_random(&seed) % (N_EACH / 10) : 0;
		uint64_t ts = 100;

		for (uint32_t k = 0; k < n_here; k++) {
			ts += record_random(&seed) % 50;
			records[i][k] = record_make(ts, i * (N_EACH / 10) + k);
		}
		f[i] = fake(records[i], n_here);
		fakes[i] = &f[i];
		n += n_here;
	}
	start(&d, fakes, N_MANY, CAP);
	for (now = 0; now < 20000; now += 500) {
		ck_assert_int_eq(rec_drain_run(&d, now), 0);
		for (size_t i = had; i < out.n; i++)
			ck_assert_uint_lt(out.ts_ns[i] + HOLD, now);
		had = out.n;
	}
	ck_assert_uint_eq(out.n, n);
	for (size_t i = 1; i < n; i++)
		ck_assert_uint_ge(out.ts_ns[i], out.ts_ns[i - 1]);
	ck_assert_uint_eq(d.n_forced, 0);
	rec_drain_fini(&d);
}
END_TEST

/* With queues that are far too small: still each record once; out of order only where forced. */
START_TEST(test_drain__property_exactly_once_in_small_queues)
{
	static struct ev_tcp_accept records[N_SOURCES][N_EACH];
	static uint64_t arrival[N_SOURCES][N_EACH];

	for (uint64_t trial = 100; trial < 110; trial++) {
		struct fake f[N_SOURCES], *fakes[N_SOURCES];
		uint64_t seed = trial;
		struct rec_drain d;

		for (uint32_t i = 0; i < N_SOURCES; i++) {
			make_race(&seed, records[i], arrival[i], i * N_EACH);
			f[i] = fake(records[i], N_EACH);
			f[i].arrival = arrival[i];
			fakes[i] = &f[i];
		}
		start(&d, fakes, N_SOURCES, 2 << 10);
		for (now = 0; now < 4 * N_EACH + 200; now += record_random(&seed) % 1000)
			rec_drain_run(&d, now);
		while (rec_drain_run(&d, UINT64_MAX) == 1)
			;
		check_race(&d);
		rec_drain_fini(&d);
	}
}
END_TEST

SUITE("drain", test_drain__two_sources_merge_in_time_order, test_drain__holds_back_what_is_young,
      test_drain__holds_back_from_the_first_moment_on,
      test_drain__a_straggler_comes_out_and_the_floor_stays,
      test_drain__full_queue_of_young_records_gives_way,
      test_drain__full_queue_of_old_records_forces_nothing,
      test_drain__full_source_keeps_the_other_from_going_ahead,
      test_drain__source_that_never_runs_dry, test_drain__sink_can_stop_it,
      test_drain__property_exactly_once_in_order, test_drain__many_sources_merge_in_time_order,
      test_drain__property_exactly_once_in_small_queues)

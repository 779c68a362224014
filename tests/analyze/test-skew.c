// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdlib.h>

#include "skew.h"
#include "suite.h"

enum { N = 500 };
#define NS_PER_S 1e9

static uint32_t state;
static double uniform(void)
{
	return (double)((state = state * 1664525 + 1013904223) >> 8) / (1 << 24);
}

/* Packets over 100 s, both ways, with waits that are mostly short, under a known line. */
static void feed(struct skew *s, double offset_ns, double drift, double there_ns, double back_ns)
{
	for (unsigned i = 0; i < N; i++) {
		double t = 100 * NS_PER_S * i / N, wait = -log(1 - uniform()) * 2e6;
		double theta = offset_ns + drift * t;
		uint64_t client = 5000000000u + (uint64_t)t;

		if (i % 2)
			skew_add(s, SKEW_TO_SERVER, client,
				 client + (uint64_t)llround(theta + there_ns + wait));
		else
			skew_add(s, SKEW_TO_CLIENT, client,
				 client + (uint64_t)llround(theta - back_ns - wait));
	}
}

/* Whatever the two ways take, the truth is within the bound, at both ends, and so is the drift. */
START_TEST(test_skew__truth_within_bound)
{
	for (state = 1; state < 400000000; state += 1999993) {
		double offset = (uniform() - 0.5) * 4e9, drift = (uniform() - 0.5) * 3e-3;
		double there = uniform() * 5e7, back = uniform() * 5e7;
		uint32_t was = state;
		struct skew s = {0};
		struct skew_line l;
		double end;

		feed(&s, offset, drift, there, back);
		ck_assert(skew_solve(&s, &l));
		end = offset + drift * (double)(l.to_ns - l.from_ns);
		ck_assert(fabs((double)skew_theta(&l, l.from_ns) - offset) <= l.from_bound + 1);
		ck_assert(fabs((double)skew_theta(&l, l.to_ns) - end) <= l.to_bound + 1);
		ck_assert(fabs(l.b - drift) <= l.drift_bound);
		/* and the bound is worth something: half the round trip, and the waits of the best
		 */
		ck_assert(l.from_bound < (there + back) / 2 + 1e7);
		ck_assert(l.drift_bound < 2 * (there + back + 1e7) / (double)(l.to_ns - l.from_ns));
		skew_fini(&s);
		state = was;
	}
}
END_TEST

/* No packet arrives before it was sent, by the estimate. */
START_TEST(test_skew__estimate_fits_all)
{
	struct {
		enum skew_way way;
		uint64_t client, server;
	} all[N];
	struct skew s = {0};
	struct skew_line l;

	state = 7;
	for (unsigned i = 0; i < N; i++) {
		uint64_t client = 1000000u * i, wait = (uint64_t)(uniform() * 3e5);
		int64_t theta = 77777 + i * 200; /* 200 ppm */

		all[i].way = uniform() < 0.5 ? SKEW_TO_SERVER : SKEW_TO_CLIENT;
		all[i].client = client;
		all[i].server =
			client + (uint64_t)theta + (all[i].way == SKEW_TO_SERVER ? wait : -wait);
		skew_add(&s, all[i].way, client, all[i].server);
	}
	ck_assert(skew_solve(&s, &l));
	for (unsigned i = 0; i < N; i++) {
		int64_t way =
			(int64_t)(all[i].server - all[i].client) - skew_theta(&l, all[i].client);

		ck_assert_int_ge(all[i].way == SKEW_TO_SERVER ? way : -way, -2); /* whole ns */
	}
	skew_fini(&s);
}
END_TEST

/* A clock that steps by more than the network has room for fits no line; a smaller step does. */
START_TEST(test_skew__step)
{
	for (unsigned ms = 1; ms <= 100; ms += 33) {
		struct skew s = {0};
		struct skew_line l;

		for (uint64_t i = 0; i < 100; i++) {
			uint64_t client = i * 10000, theta = i < 50 ? 0 : ms * 1000000ull;

			skew_add(&s, SKEW_TO_SERVER, client, client + theta + 10000000);
			skew_add(&s, SKEW_TO_CLIENT, client, client + theta - 10000000);
		}
		ck_assert_int_eq(skew_solve(&s, &l), ms <= 20);
		if (ms > 20) /* drift may take 2 us of it */
			ck_assert(fabs(l.misfit - (ms - 20) * 1e6 / 2) < 2000);
		skew_fini(&s);
	}
}
END_TEST

SUITE("skew", test_skew__truth_within_bound, test_skew__estimate_fits_all, test_skew__step)

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What estimates are worth, against all samples that there could have been: each connection of a
 * small population is recorded or not, so the mean over all outcomes, each by its chance, is exact.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reader.h"
#include "suite.h"
#include "weights.h"
#include "writer.h"

#define N_CONNS 10

/* What they add: alike, very unlike, and one that adds nothing. */
static const uint64_t sums[N_CONNS] = {1, 1, 2, 3, 5, 8, 100, 1000, 0, 17};

static struct flow flow_of(unsigned conn, bool other_end)
{
	struct flow f = {.lport = (uint16_t)(40000 + conn), .rport = 80};
	struct flow g = {.lport = 80, .rport = (uint16_t)(40000 + conn)};

	f.laddr[15] = g.raddr[15] = 1;
	f.raddr[15] = g.laddr[15] = 2;
	return other_end ? g : f;
}

struct moments { /* over all samples */
	double chance, sum, sum2, variance;
};

static void add_sample(struct moments *m, double chance, double estimate, double error)
{
	m->chance += chance;
	m->sum += chance * estimate;
	m->sum2 += chance * estimate * estimate;
	m->variance += chance * error * error;
}

static bool near(double a, double b)
{
	return fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b));
}

static double whole(void)
{
	double sum = 0;

	for (int i = 0; i < N_CONNS; i++)
		sum += (double)sums[i];
	return sum;
}

/* The sum comes in parts, from one end or from both. */
static void record(struct estimates *s, struct estimate *e, unsigned conn, uint64_t v,
		   uint64_t weight, bool both_ends)
{
	struct flow f = flow_of(conn, false), g = flow_of(conn, true);

	estimate_add(s, e, &f, v / 2, weight);
	estimate_add(s, e, both_ends ? &g : &f, v - v / 2, weight);
}

static struct moments all_samples(uint64_t weight, bool both_ends)
{
	const double p = 1 / (double)weight;
	struct moments m = {0};

	for (unsigned set = 0; set < 1u << N_CONNS; set++) {
		struct estimates s = {0};
		struct estimate e = {0};
		double chance = 1, estimate = 0;

		for (unsigned i = 0; i < N_CONNS; i++) {
			bool in = set >> i & 1;

			chance *= in ? p : 1 - p;
			if (!in)
				continue;
			record(&s, &e, i, sums[i], weight, both_ends);
			estimate += (double)(weight * sums[i]);
		}
		ck_assert_uint_eq(e.n_conns, (unsigned)__builtin_popcount(set));
		add_sample(&m, chance, estimate, estimate_error(&e));
		estimates_fini(&s);
	}
	return m;
}

START_TEST(test_weights__the_error_is_that_of_all_samples)
{
	static const uint64_t weights[] = {2, 3, 16, 1000};

	for (int i = 0; i < 4; i++) {
		for (int both = 0; both < 2; both++) {
			struct moments m = all_samples(weights[i], both);

			ck_assert(near(m.chance, 1));
			ck_assert(near(m.sum, whole())); /* no bias */
			ck_assert(near(m.variance, m.sum2 - m.sum * m.sum));
		}
	}
}
END_TEST

/* Recorded at weight w, and again at w2 of which the connections are among those of the smaller
 * one. */
static struct moments all_changes(uint64_t w, uint64_t w2)
{
	const uint64_t low = w < w2 ? w : w2, high = w < w2 ? w2 : w;
	/* of a connection: never, only while the weight is low, always */
	const double p[3] = {1 - 1 / (double)low, 1 / (double)low - 1 / (double)high,
			     1 / (double)high};
	struct moments m = {0};

	for (unsigned set = 0; set < 729; set++) { /* 6 connections */
		struct estimates s = {0};
		struct estimate e = {0};
		double chance = 1, estimate = 0;

		for (unsigned i = 0, rest = set; i < 6; i++, rest /= 3) {
			const uint64_t n = sums[i + 2];
			struct flow f = flow_of(i, false);

			chance *= p[rest % 3];
			if (rest % 3 == 2 || (rest % 3 == 1 && w == low)) {
				estimate_add(&s, &e, &f, n, w);
				estimate += (double)(n * w);
			}
			if (rest % 3 == 2 || (rest % 3 == 1 && w2 == low)) {
				estimate_add(&s, &e, &f, 3 * n, w2);
				estimate += (double)(3 * n * w2);
			}
		}
		add_sample(&m, chance, estimate, estimate_error(&e));
		estimates_fini(&s);
	}
	return m;
}

START_TEST(test_weights__the_error_is_not_too_small_where_the_weight_changed)
{
	static const uint64_t pairs[][2] = {{2, 16}, {16, 2}, {4, 8}, {3, 1000}, {1000, 3}};

	for (int i = 0; i < 5; i++) {
		struct moments m = all_changes(pairs[i][0], pairs[i][1]);
		double variance = m.sum2 - m.sum * m.sum;

		ck_assert(near(m.chance, 1));
		ck_assert(near(m.sum, 4 * (2 + 3 + 5 + 8 + 100 + 1000)));
		ck_assert_double_ge(m.variance, variance * (1 - 1e-9));
		ck_assert_double_le(m.variance, variance * 2);
	}
}
END_TEST

/* One connection in w of n alike, each with y: w y sqrt(n / w) sqrt(1 - 1/w), n / w of them. */
START_TEST(test_weights__the_error_of_many_alike)
{
	struct estimates s = {0};
	struct estimate e = {0};

	for (unsigned i = 0; i < 400; i++)
		record(&s, &e, i, 7, 25, false);
	ck_assert(near(estimate_error(&e), 25 * 7 * 20 * sqrt(1 - 1 / 25.)));
	ck_assert_uint_eq(e.n_conns, 400);
	estimates_fini(&s);
}
END_TEST

START_TEST(test_weights__sums_do_not_mix)
{
	struct estimates s = {0};
	struct estimate a = {0}, b = {0};
	struct flow f = flow_of(1, false);

	estimate_add(&s, &a, &f, 10, 2);
	estimate_add(&s, &b, &f, 30, 2);
	ck_assert(near(estimate_error(&a), 10 * sqrt(2)));
	ck_assert(near(estimate_error(&b), 30 * sqrt(2)));
	estimate_add(&s, &a, NULL, 5, 2); /* of no known connection: one of its own */
	ck_assert(near(a.variance, 2 * 100 + 2 * 25));
	ck_assert_uint_eq(a.n_conns, 2);
	estimates_fini(&s);
}
END_TEST

START_TEST(test_weights__what_stands_for_itself_has_no_error)
{
	struct estimates s = {0};
	struct estimate e = {0};

	record(&s, &e, 1, 1000, 1, true);
	ck_assert_double_eq(estimate_error(&e), 0);
	ck_assert_uint_eq(e.n_conns, 0);
	estimates_fini(&s);
}
END_TEST

START_TEST(test_weights__connections_are_bounded_and_the_rest_is_counted)
{
	struct estimates s = {0};
	struct estimate e = {0};
	struct flow f = {.rport = 80};

	for (uint32_t i = 0; i < ESTIMATE_MAX_CONNS + 5; i++) {
		memcpy(f.laddr, &i, sizeof(i));
		estimate_add(&s, &e, &f, 1, 4);
	}
	ck_assert(!s.failed);
	ck_assert_uint_eq(e.n_conns, ESTIMATE_MAX_CONNS);
	ck_assert_uint_eq(s.n_over, 5);
	ck_assert(near(e.variance, 12. * ESTIMATE_MAX_CONNS));
	estimates_fini(&s);
}
END_TEST

/* ---- the weight of a time, out of records `rate` ---- */

static void add_rate(struct tape_writer *w, uint64_t ts_ns, const char *group, uint64_t weight)
{
	struct ev_rate e = {.head = {ts_ns, 0, EV_rate, sizeof(e)},
			    .group = {group, (uint32_t)strlen(group)},
			    .weight = weight,
			    .budget = 1000,
			    .cause = 2};

	ck_assert_int_eq(tape_writer_event(w, &e.head, NULL), 0);
}

static void learn(struct weights *weights, int fd)
{
	struct tape_error err;
	struct tape_reader *r;
	struct tape_chunk *c;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(tape_reader_open(&r, path, &err), 0);
	while (tape_reader_next(r, &c, &err) == 1) {
		ck_assert(weights_are_in(tape_reader_schema(r), c));
		ck_assert_int_eq(weights_learn(weights, tape_reader_schema(r), c, &err), 0);
	}
	tape_reader_close(r);
}

START_TEST(test_weights__of_a_time)
{
	struct tape_writer_opts opts = {.writer = "test 1", .n_cpus = 1, .start_ns = 100};
	struct weights weights = {0};
	const struct weight_group *rtt, *conn;
	struct tape_writer *w;
	int fd = memfd_create("trace", 0);

	ck_assert_int_eq(tape_writer_open(&w, fd, &opts, NULL), 0);
	add_rate(w, 1000, "rtt", 4);
	add_rate(w, 2000, "rtt", 4); /* said again */
	add_rate(w, 3000, "conn", 2);
	ck_assert_int_eq(tape_writer_flush(w, 0, NULL), 0);
	add_rate(w, 5000, "rtt", 16);
	add_rate(w, 6000, "rtt", 1);
	add_rate(w, 7000, "rtt", UINT64_MAX); /* of a hostile trace */
	ck_assert_int_eq(tape_writer_close(w, 8000, NULL), 0);
	tape_writer_free(w);
	learn(&weights, fd);
	learn(&weights, fd); /* no harm */
	close(fd);

	rtt = weights_of(&weights, "rtt");
	conn = weights_of(&weights, "conn");
	ck_assert_uint_eq(rtt->n, 4);
	ck_assert_uint_eq(weight_at(rtt, 999), 1);
	ck_assert_uint_eq(weight_at(rtt, 1000), 4);
	ck_assert_uint_eq(weight_at(rtt, 4999), 4);
	ck_assert_uint_eq(weight_at(rtt, 5000), 16);
	ck_assert_uint_eq(weight_at(rtt, 6500), 1);
	ck_assert_uint_eq(weight_at(rtt, UINT64_MAX), WEIGHTS_MAX);
	ck_assert_uint_eq(weight_at(conn, 5000), 2);
	ck_assert_uint_eq(weight_at(weights_of(&weights, "drop"), 5000), 1);
	ck_assert_uint_eq(weight_at(NULL, 5000), 1);
	ck_assert(weights_are_plain(&weights, 999) && !weights_are_plain(&weights, 1000));
	weights_fini(&weights);
}
END_TEST

START_TEST(test_weights__too_many_groups)
{
	struct weights weights = {0};
	char name[16];

	for (int i = 0; i < WEIGHTS_MAX_GROUPS; i++) {
		snprintf(name, sizeof(name), "group%d", i);
		ck_assert_ptr_nonnull(weights_of(&weights, name));
	}
	ck_assert_ptr_null(weights_of(&weights, "one more"));
	ck_assert_ptr_nonnull(weights_of(&weights, "group7"));
	ck_assert_ptr_null(weights_of(&weights, "a name that is too long"));
	weights_fini(&weights);
}
END_TEST

SUITE("weights", test_weights__the_error_is_that_of_all_samples,
      test_weights__the_error_is_not_too_small_where_the_weight_changed,
      test_weights__the_error_of_many_alike, test_weights__sums_do_not_mix,
      test_weights__what_stands_for_itself_has_no_error,
      test_weights__connections_are_bounded_and_the_rest_is_counted, test_weights__of_a_time,
      test_weights__too_many_groups)

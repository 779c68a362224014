// SPDX-License-Identifier: GPL-2.0-or-later
/* Which causes pass, in which order, how sure: of facts that are made up here. */
#include <string.h>

#include "explain.h"
#include "suite.h"

#define MS 1000000ull

/* A healthy machine of which all is recorded. */
static struct evidence healthy(void)
{
	return (struct evidence){.has = EVID_BIT(EVID_N) - 1,
				 .start_ns = 1,
				 .from_ns = 1,
				 .last_ns = 10000 * MS,
				 .n_events = 100000,
				 .tells_reasons = true,
				 .weight = 1,
				 .n_conns = 1000,
				 .life_ns = 1000 * 100 * MS,
				 .n_connects = 1000,
				 .n_connected = 1000,
				 .n_accepts = 1000,
				 .n_exchanges = 10000,
				 .n_data_segs = 100000,
				 .n_segments = {100000, 100000},
				 .n_min_rtt = 1000,
				 .sum_min_rtt_us = 1000 * 500};
}

static void toll(struct evidence *e, enum trouble t, uint64_t n, uint64_t cost_ns, unsigned failed)
{
	e->tolls[t] = (struct toll){
		.n = n, .cost_ns = cost_ns, .n_conns = (uint32_t)n, .n_failed = failed};
}

static const struct finding *find(const struct explain *x, const char *name)
{
	for (unsigned i = 0; i < x->n; i++)
		if (!strcmp(x->findings[i].cause->name, name))
			return &x->findings[i];
	return NULL;
}

static bool finds(const struct evidence *e, const char *name)
{
	struct explain x;
	bool found;

	explain_run(&x, e);
	ck_assert(!x.failed);
	found = find(&x, name) != NULL;
	if (found)
		ck_assert_uint_gt(find(&x, name)->reason.len, 0);
	explain_fini(&x);
	return found;
}

START_TEST(test_explain__nothing_wrong)
{
	struct evidence e = healthy();
	struct explain x;

	explain_run(&x, &e);
	ck_assert_uint_eq(x.n, 0);
	explain_fini(&x);
}
END_TEST

/* At the threshold, and one below. */
START_TEST(test_explain__thresholds)
{
	static const struct {
		const char *name;
		enum trouble trouble;
		uint64_t at; /* tolls */
	} rows[] = {
		{"syn-lost", TROUBLE_SYN, 10},
		{"refused", TROUBLE_REFUSED, 50},
		{"unreachable", TROUBLE_UNREACHABLE, 50},
		{"ports-exhausted", TROUBLE_NO_PORT, 1},
		{"late-accept", TROUBLE_ACCEPT, 10},
		{"late-answer", TROUBLE_ANSWER, 500},
		{"nagle", TROUBLE_NAGLE, 3},
		{"qdisc-hold", TROUBLE_QDISC, 1000},
		{"softirq-delay", TROUBLE_SOFTIRQ, 10000},
		{"resets", TROUBLE_RESET, 10},
		{"mtu-black-hole", TROUBLE_MTU, 1},
		{"bufferbloat", TROUBLE_BLOAT, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct evidence e = healthy();

		toll(&e, rows[i].trouble, rows[i].at, MS, (unsigned)rows[i].at);
		ck_assert_msg(finds(&e, rows[i].name), "%s", rows[i].name);
		toll(&e, rows[i].trouble, rows[i].at - 1, MS, (unsigned)rows[i].at - 1);
		ck_assert_msg(!finds(&e, rows[i].name), "%s", rows[i].name);
	}
}
END_TEST

START_TEST(test_explain__thresholds_of_counters)
{
	static const struct {
		const char *name;
		enum evid_count counter;
		uint64_t at;
	} rows[] = {
		{"accept-queue", EVC_LISTEN_OVERFLOWS, 1},
		{"reordering", EVC_SACK_REORDER, 100},
		{"receiver-window", EVC_WIN_PROBE, 1},
		{"softirq-delay", EVC_SOFTNET_DROPPED, 1},
		{"memory", EVC_PRESSURES, 1},
		{"bad-segments", EVC_IN_CSUM, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct evidence e = healthy();

		e.counters[rows[i].counter] = rows[i].at;
		ck_assert_msg(finds(&e, rows[i].name), "%s", rows[i].name);
		e.counters[rows[i].counter] = rows[i].at - 1;
		ck_assert_msg(!finds(&e, rows[i].name), "%s", rows[i].name);
	}
}
END_TEST

/* What healthy machines do by the thousand. */
START_TEST(test_explain__ordinary_counters)
{
	struct evidence e = healthy();

	e.counters[EVC_TO_ZERO_WINDOW] = 500;
	e.counters[EVC_DELAYED_ACKS] = 5000;
	e.counters[EVC_SOFTNET_SQUEEZED] = 5000;
	e.counters[EVC_IN_SEGS] = 10000000;
	e.counters[EVC_IN_CSUM] = 50;
	e.drops[DROP_OTHER].n = 5000;
	e.drops[DROP_FIREWALL].n = 5000; /* scanners */
	e.drops[DROP_SEQUENCE].n = 2;
	e.closing_resets = 1000;
	ck_assert(!finds(&e, "receiver-window"));
	ck_assert(!finds(&e, "nagle"));
	ck_assert(!finds(&e, "softirq-delay"));
	ck_assert(!finds(&e, "bad-segments"));
	ck_assert(!finds(&e, "firewall"));
	ck_assert(!finds(&e, "resets"));
}
END_TEST

START_TEST(test_explain__readers_and_writers)
{
	struct evidence e = healthy();

	e.n_late_reads = 999;			     /* of 100,000 segments */
	toll(&e, TROUBLE_WINDOW, 999, 4999 * MS, 0); /* of 100 s */
	ck_assert(!finds(&e, "receiver-window"));
	e.n_late_reads = 1000;
	ck_assert(finds(&e, "receiver-window"));
	e.n_late_reads = 1;
	toll(&e, TROUBLE_WINDOW, 1, 5000 * MS, 0);
	ck_assert(finds(&e, "receiver-window"));
	e = healthy();
	e.n_blocked = 1;
	toll(&e, TROUBLE_WINDOW, 1, MS, 0);
	ck_assert(finds(&e, "receiver-window"));
}
END_TEST

START_TEST(test_explain__tries_by_the_other_family)
{
	struct evidence e = healthy();

	toll(&e, TROUBLE_UNREACHABLE, 500, MS, 500);
	e.n_fallbacks[TROUBLE_UNREACHABLE] = 500;
	toll(&e, TROUBLE_REFUSED, 500, MS, 500);
	e.n_fallbacks[TROUBLE_REFUSED] = 451;
	ck_assert(!finds(&e, "unreachable"));
	ck_assert(!finds(&e, "refused"));
	e.n_fallbacks[TROUBLE_REFUSED] = 450;
	ck_assert(finds(&e, "refused"));
}
END_TEST

/* 100,000 segments with data. */
START_TEST(test_explain__loss)
{
	struct evidence e = healthy();

	toll(&e, TROUBLE_LOSS, 100, 1000 * MS, 0);
	e.n_resent[RESENT_FAST] = 99;
	ck_assert(!finds(&e, "loss"));
	e.n_resent[RESENT_RTO] = 1;
	ck_assert(finds(&e, "loss"));
	/* probes alone */
	memset(e.n_resent, 0, sizeof(e.n_resent));
	e.n_resent[RESENT_TLP] = 999;
	ck_assert(!finds(&e, "loss"));
	e.n_resent[RESENT_TLP] = 1000;
	ck_assert(finds(&e, "loss"));
	/* in vain, as segments overtook each other */
	memset(e.n_resent, 0, sizeof(e.n_resent));
	e.n_resent[RESENT_FAST] = 150;
	e.counters[EVC_DSACK] = 100;
	ck_assert(finds(&e, "loss"));
	e.counters[EVC_SACK_REORDER] = 120;
	ck_assert(!finds(&e, "loss"));
	ck_assert(finds(&e, "reordering"));
	/* a single one of two segments is none */
	e = healthy();
	e.n_data_segs = 2;
	toll(&e, TROUBLE_LOSS, 1, MS, 0);
	e.n_resent[RESENT_RTO] = 1;
	ck_assert(!finds(&e, "loss"));
	/* but a connection that gave up */
	toll(&e, TROUBLE_LOSS, 1, MS, 1);
	ck_assert(finds(&e, "loss"));
}
END_TEST

/* Before Linux 5.17 only counters tell that TCP dropped what was sent again. */
START_TEST(test_explain__lost_for_memory)
{
	struct evidence e = healthy();

	toll(&e, TROUBLE_LOSS, 4, 800 * MS, 0);
	e.n_resent[RESENT_RTO] = 120;
	e.n_lossy_here = 4;
	e.counters[EVC_RCVQ_DROP] = 4;
	ck_assert(finds(&e, "loss")); /* drops would tell */
	e.tells_reasons = false;
	ck_assert(!finds(&e, "loss"));
	ck_assert(finds(&e, "memory"));
	e.counters[EVC_RCVQ_DROP] = 3;
	ck_assert(finds(&e, "loss"));
	e.counters[EVC_RCVQ_DROP] = 4;
	e.n_lossy_here = 3; /* one of them sends to another host */
	ck_assert(finds(&e, "loss"));
}
END_TEST

START_TEST(test_explain__held_here_is_no_bloat)
{
	struct evidence e = healthy();

	toll(&e, TROUBLE_BLOAT, 100, 1000 * MS, 0);
	toll(&e, TROUBLE_QDISC, 5000, 499 * MS, 0);
	ck_assert(finds(&e, "bufferbloat") && finds(&e, "qdisc-hold"));
	toll(&e, TROUBLE_QDISC, 5000, 500 * MS, 0);
	ck_assert(!finds(&e, "bufferbloat") && finds(&e, "qdisc-hold"));
}
END_TEST

START_TEST(test_explain__a_long_path_is_told_last)
{
	struct evidence e = healthy();

	e.sum_min_rtt_us = e.n_min_rtt * 99999;
	ck_assert(!finds(&e, "path-rtt"));
	e.sum_min_rtt_us = e.n_min_rtt * 100000;
	ck_assert(finds(&e, "path-rtt"));
	toll(&e, TROUBLE_NO_PORT, 1, 0, 1);
	ck_assert(!finds(&e, "path-rtt"));
}
END_TEST

START_TEST(test_explain__ranked_by_cost)
{
	struct evidence e = healthy();
	struct explain x;

	toll(&e, TROUBLE_NAGLE, 100, 2500 * MS, 0);
	toll(&e, TROUBLE_NO_PORT, 3, 0, 3); /* as much as 3 s */
	toll(&e, TROUBLE_ANSWER, 1000, 2600 * MS, 0);
	explain_run(&x, &e);
	ck_assert_uint_eq(x.n, 3);
	ck_assert_str_eq(x.findings[0].cause->name, "ports-exhausted");
	ck_assert_str_eq(x.findings[1].cause->name, "late-answer");
	ck_assert_str_eq(x.findings[2].cause->name, "nagle");
	explain_fini(&x);
}
END_TEST

static enum confidence sure(const struct evidence *e, const char *name)
{
	struct explain x;
	enum confidence c;

	explain_run(&x, e);
	ck_assert_ptr_nonnull(find(&x, name));
	c = find(&x, name)->confidence;
	explain_fini(&x);
	return c;
}

START_TEST(test_explain__less_sure)
{
	struct evidence e = healthy();

	toll(&e, TROUBLE_QDISC, 5000, MS, 0);
	toll(&e, TROUBLE_REFUSED, 100, MS, 100);
	ck_assert_int_eq(sure(&e, "qdisc-hold"), CONFIDENCE_HIGH);
	/* 1 % lost is little, more is not */
	e.n_lost = 1010;
	ck_assert_int_eq(sure(&e, "qdisc-hold"), CONFIDENCE_HIGH);
	e.n_lost = 1020;
	ck_assert_int_eq(sure(&e, "qdisc-hold"), CONFIDENCE_MEDIUM);
	ck_assert_int_eq(sure(&e, "refused"), CONFIDENCE_MEDIUM);
	/* connections were chosen, of what is sampled */
	e.n_lost = 0;
	e.weight = 8;
	ck_assert_int_eq(sure(&e, "qdisc-hold"), CONFIDENCE_MEDIUM);
	ck_assert_int_eq(sure(&e, "refused"), CONFIDENCE_HIGH);
	e.n_lost = 50000;
	ck_assert_int_eq(sure(&e, "qdisc-hold"), CONFIDENCE_LOW);
}
END_TEST

START_TEST(test_explain__not_looked_for)
{
	struct evidence e = healthy();

	toll(&e, TROUBLE_QDISC, 5000, MS, 0);
	e.has &= ~EVID_BIT(EVID_TX);
	ck_assert(!finds(&e, "qdisc-hold"));
	for (unsigned i = 0; i < EXPLAIN_CAUSES; i++) {
		ck_assert(explain_causes[i]->needs);
		ck_assert(!explain_can(&(struct evidence){0}, explain_causes[i]));
		ck_assert_str_ne(explain_causes[i]->record, "");
	}
}
END_TEST

START_TEST(test_explain__toll)
{
	struct toll t = {0}, u = {0};

	for (unsigned i = 1; i <= 5; i++) {
		struct toll_conn c = {.cookie = i, .n = 1, .cost_ns = i == 3 ? 100 : i};

		toll_add(&t, &c, 1000 - i, i & 1);
	}
	ck_assert_uint_eq(t.n, 5);
	ck_assert_uint_eq(t.cost_ns, 1 + 2 + 100 + 4 + 5);
	ck_assert_uint_eq(t.n_conns, 5);
	ck_assert_uint_eq(t.n_failed, 3);
	ck_assert_uint_eq(t.first_ns, 995);
	ck_assert_uint_eq(t.last_ns, 999);
	ck_assert_uint_eq(t.worst[0].cookie, 3);
	ck_assert_uint_eq(t.worst[1].cookie, 5);
	ck_assert_uint_eq(t.worst[2].cookie, 4);
	toll_add(&u, &(struct toll_conn){.cookie = 9, .n = 2, .cost_ns = 50}, 5, false);
	toll_merge(&t, &u);
	ck_assert_uint_eq(t.n, 7);
	ck_assert_uint_eq(t.first_ns, 5);
	ck_assert_uint_eq(t.worst[1].cookie, 9);
	ck_assert_uint_eq(t.worst[2].cookie, 5);
}
END_TEST

SUITE("explain", test_explain__nothing_wrong, test_explain__thresholds,
      test_explain__thresholds_of_counters, test_explain__ordinary_counters,
      test_explain__readers_and_writers, test_explain__tries_by_the_other_family,
      test_explain__loss, test_explain__lost_for_memory, test_explain__held_here_is_no_bloat,
      test_explain__a_long_path_is_told_last, test_explain__ranked_by_cost, test_explain__less_sure,
      test_explain__not_looked_for, test_explain__toll)

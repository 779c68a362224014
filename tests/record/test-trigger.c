// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "suite.h"
#include "trigger.h"

#define MS 1000000ull
#define S 1000000000ull

static struct rec_rule rules[REC_MAX_TRIGGERS];
static struct rec_trigger t;
static struct rec_error err;

static void begin(const char *a, const char *b)
{
	ck_assert_msg(!rec_rule_parse(&rules[0], a, &err), "%s", err.text);
	if (b)
		ck_assert_msg(!rec_rule_parse(&rules[1], b, &err), "%s", err.text);
	ck_assert(!rec_trigger_init(&t, rules, b ? 2 : 1, 0));
}

static bool fired(void)
{
	return rec_trigger_due_ns(&t) != UINT64_MAX;
}

static void rtt(uint64_t ts_ns, int32_t rtt_us, uint32_t srtt_us, unsigned source)
{
	struct ev_rtt e = {.head = {ts_ns, 0, EV_rtt, sizeof(e)},
			   .rtt_us = rtt_us,
			   .srtt_us = srtt_us,
			   .source = (uint8_t)source};

	rec_trigger_see(&t, &e.head);
}

static void state(uint64_t ts_ns, uint64_t cookie, unsigned from, unsigned to)
{
	struct ev_tcp_state e = {.head = {ts_ns, 0, EV_tcp_state, sizeof(e)},
				 .sock = {.cookie = cookie},
				 .old_state = (uint8_t)from,
				 .new_state = (uint8_t)to};

	e.sock.flow.laddr.b[10] = e.sock.flow.laddr.b[11] = 0xff;
	e.sock.flow.laddr.b[12] = 10;
	e.sock.flow.rport = 443;
	rec_trigger_see(&t, &e.head);
}

static void drop(uint64_t ts_ns)
{
	struct ev_drop e = {.head = {ts_ns, 0, EV_drop, sizeof(e)}};

	rec_trigger_see(&t, &e.head);
}

START_TEST(test_trigger__rules)
{
	static const struct {
		const char *text;
		int kind;
		uint64_t limit;
	} good[] = {
		{"rtt>200ms", REC_ON_RTT, 200000},    {"rtt>1.5s", REC_ON_RTT, 1500000},
		{"rtt>50us", REC_ON_RTT, 50},	      {"connect>1s", REC_ON_CONNECT, 1000000},
		{"retrans>50/s", REC_ON_RETRANS, 50}, {"drop>100/s", REC_ON_DROP, 100},
		{"reset", REC_ON_RESET, 0},	      {"overflow", REC_ON_OVERFLOW, 0},
	};
	static const char *const bad[] = {
		"",	   "rtt",	   "rtt>",	"rtt>200",     "rtt>0ms",  "rtt>-1ms",
		"rtt<1ms", "rtt>1m",	   "rtt>nanms", "drop>100",    "drop>0/s", "drop>1ms",
		"reset>1", "overflow>1/s", "resets",	"connect>1/s", "rtt>1ms ", "foo>1s",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(!rec_rule_parse(rules, good[i].text, &err), "%s", good[i].text);
		ck_assert_int_eq(rules->kind, good[i].kind);
		ck_assert_uint_eq(rules->limit, good[i].limit);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(rec_rule_parse(rules, bad[i], &err) < 0, "'%s' was taken", bad[i]);
}
END_TEST

START_TEST(test_trigger__rtt)
{
	begin("rtt>200ms", NULL);
	rtt(1, 200000, 999999, 1); /* the raw sample counts, and must be above */
	rtt(2, -1, 999999, 0);	   /* an ACK without a sample */
	ck_assert(!fired());
	rtt(3, 200001, 1, 1);
	ck_assert_uint_eq(rec_trigger_due_ns(&t), 3);
	ck_assert_str_eq(t.first.value, "200.001 ms");
	rec_trigger_done(&t, 4);
	rtt(20 * S, -1, 300000, 4); /* tcp_probe: the smoothed one */
	ck_assert(fired());
	rec_trigger_fini(&t);
}
END_TEST

START_TEST(test_trigger__connect)
{
	begin("connect>1s", NULL);
	for (uint64_t i = 1; i <= 1000; i++) /* they collide, and each is known again */
		state(i, i, 7, 2);
	for (uint64_t i = 1; i <= 1000; i += 2)
		state(S, i, 2, 1);
	ck_assert(!fired());
	ck_assert_uint_eq(t.n_connects, 500);
	for (uint64_t i = 4; i <= 1000; i += 2)
		state(S, i, 2, 7);
	rec_trigger_look(&t, S + 2);
	ck_assert(!fired());
	rec_trigger_look(&t, S + 100 * MS); /* nobody answers */
	ck_assert_uint_eq(rec_trigger_due_ns(&t), S + 100 * MS);
	ck_assert_str_eq(t.first.whose, "10.0.0.0:0 - [::]:443");
	ck_assert_ptr_nonnull(strstr(t.first.value, "still open"));
	rec_trigger_look(&t, S + 200 * MS);
	state(3 * S, 2, 2, 1); /* it was told */
	ck_assert_uint_eq(t.n_more, 0);
	ck_assert_uint_eq(t.n_connects, 0);
	rec_trigger_done(&t, 3 * S);
	state(20 * S, 5, 7, 2);
	state(22 * S, 5, 2, 1); /* answered late, before anybody looked */
	ck_assert_str_eq(t.first.value, "2000 ms");
	rec_trigger_fini(&t);
}
END_TEST

START_TEST(test_trigger__connects_are_bounded)
{
	begin("connect>1s", NULL);
	for (uint64_t i = 1; i <= 3 * REC_TRIGGER_CONNECTS; i++)
		state(i, i, 7, 2);
	ck_assert_uint_le(t.n_connects, REC_TRIGGER_CONNECTS);
	for (uint64_t i = 1; i <= 3 * REC_TRIGGER_CONNECTS; i++)
		state(S / 2, i, 2, 1);
	ck_assert_uint_eq(t.n_connects, 0);
	ck_assert(!fired());
	state(S, 9, 7, 2); /* its end gets lost: forgotten after 20 minutes */
	rec_trigger_look(&t, 1300 * S);
	ck_assert_uint_eq(t.n_connects, 0);
	rec_trigger_fini(&t);
}
END_TEST

START_TEST(test_trigger__rate)
{
	begin("drop>100/s", "reset");
	for (uint64_t i = 0; i < 1000; i++) /* 100 a second, for ten seconds */
		drop(5 * S + i * 10 * MS);
	ck_assert(!fired());
	for (uint64_t i = 0; i < 101; i++)
		drop(60 * S + i * MS);
	ck_assert_uint_eq(rec_trigger_due_ns(&t), 60 * S + 100 * MS);
	ck_assert_ptr_eq(t.first.rule, &rules[0]);
	ck_assert_str_eq(t.first.value, "101/s");
	rec_trigger_fini(&t);
}
END_TEST

START_TEST(test_trigger__rest_and_after)
{
	struct ev_reset e = {.head = {S, 0, EV_reset, sizeof(e)}};

	ck_assert(!rec_rule_parse(rules, "reset", &err));
	ck_assert(!rec_trigger_init(&t, rules, 1, 5 * S));
	rec_trigger_see(&t, &e.head);
	ck_assert_uint_eq(rec_trigger_due_ns(&t), 6 * S);
	e.head.ts_ns = 2 * S;
	rec_trigger_see(&t, &e.head); /* it does not put the file off */
	ck_assert_uint_eq(rec_trigger_due_ns(&t), 6 * S);
	ck_assert_uint_eq(t.n_more, 1);
	rec_trigger_done(&t, 6 * S);
	e.head.ts_ns = 7 * S;
	rec_trigger_see(&t, &e.head);
	ck_assert(!fired());
	ck_assert_uint_eq(t.n_quiet, 1);
	e.head.ts_ns = 6 * S + REC_TRIGGER_REST_NS;
	rec_trigger_see(&t, &e.head);
	ck_assert(fired());
	rec_trigger_fini(&t);
}
END_TEST

START_TEST(test_trigger__overflow)
{
	static const char name[] = "TcpExt.ListenOverflows";
	struct ev_listen_child child = {
		.head = {S, 0, EV_listen_child, sizeof(child)}, .backlog = 5, .max_backlog = 5};
	struct ev_snap_counter row = {.head = {S, 0, EV_snap_counter, sizeof(row)},
				      .name = {name, strlen(name)},
				      .counter = 12};
	struct ev_counter e = {.head = {S, 0, EV_counter, sizeof(e)}, .counter = 12, .delta = 3};

	begin("overflow", NULL);
	rec_trigger_see(&t, &child.head); /* full, but it is taken */
	rec_trigger_see(&t, &e.head);	  /* not known what it counts */
	rec_trigger_see(&t, &row.head);
	rec_trigger_see(&t, &e.head); /* the first sample has what was before */
	ck_assert(!fired());
	e.interval_us = 1000000;
	rec_trigger_see(&t, &e.head);
	ck_assert_str_eq(t.first.value, "3");
	rec_trigger_done(&t, S);
	child.head.ts_ns = 30 * S;
	child.backlog = 6;
	rec_trigger_see(&t, &child.head);
	ck_assert(fired());
	rec_trigger_fini(&t);
}
END_TEST

SUITE("trigger", test_trigger__rules, test_trigger__rtt, test_trigger__connect,
      test_trigger__connects_are_bounded, test_trigger__rate, test_trigger__rest_and_after,
      test_trigger__overflow)

// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "select.h"
#include "suite.h"

static struct select s;

static void start(struct select_opts opts)
{
	struct fail fail = {0};

	ck_assert_msg(!select_init(&s, &opts, &fail), "%s", fail.text);
}

static struct sock sock(uint64_t cookie, uint16_t lport, const char *raddr, uint16_t rport)
{
	struct sock k = {
		.cookie = cookie, .has_flow = true, .flow = {.lport = lport, .rport = rport}};

	ck_assert(flow_addr_parse("10.0.0.1", k.flow.laddr));
	ck_assert(flow_addr_parse(raddr, k.flow.raddr));
	return k;
}

static void tables(struct sock *socks, uint32_t n)
{
	struct bind_tables t = {.socks = socks, .n_socks = n};

	select_tables(&s, &t);
}

START_TEST(test_select__nothing_asked_for)
{
	struct sock k = sock(1, 4000, "10.0.0.2", 80);

	start((struct select_opts){0});
	ck_assert(!select_is_active(&s));
	tables(&k, 1);
	ck_assert(select_has(&s, &k, NULL));
	ck_assert(select_has(&s, NULL, NULL));
	select_fini(&s);
}
END_TEST

START_TEST(test_select__cookie)
{
	static const char *const spellings[] = {"42", "0x2a", "0X2A"};
	static const char *const bad[] = {"", "0", "0x", "4x", "-1", "18446744073709551616", "x"};
	struct sock socks[] = {sock(42, 1, "10.0.0.2", 80), sock(43, 2, "10.0.0.2", 80)};
	struct fail fail;

	for (size_t i = 0; i < 3; i++) {
		start((struct select_opts){.conn = spellings[i]});
		tables(socks, 2);
		ck_assert(select_has(&s, &socks[0], NULL));
		ck_assert(!select_has(&s, &socks[1], NULL));
		ck_assert(!select_has(&s, NULL, NULL));
		select_fini(&s);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct select_opts opts = {.conn = bad[i]};

		ck_assert_msg(select_init(&s, &opts, &fail) == -1, "'%s'", bad[i]);
		ck_assert_int_eq(fail.status, STATUS_USAGE);
	}
}
END_TEST

/* An owner's connection is shown also where an event has no task (softirq), once it is known. */
START_TEST(test_select__owner)
{
	static const struct task curl = {.pid = 7, .comm = "curl"},
				 nginx = {.pid = 8, .comm = "nginx"};
	struct sock socks[] = {sock(1, 1, "10.0.0.2", 80), sock(2, 2, "10.0.0.2", 80)};
	struct sock no_cookie = sock(0, 3, "10.0.0.2", 80);

	start((struct select_opts){.comm = "curl"});
	tables(socks, 2);
	ck_assert(!select_has(&s, &socks[0], NULL));
	select_learn(&s, &socks[0], &curl);
	select_learn(&s, &socks[1], &nginx);
	ck_assert(select_has(&s, &socks[0], NULL));
	ck_assert(select_has(&s, &socks[0], &nginx)); /* passed on to another process */
	ck_assert(!select_has(&s, &socks[1], NULL));
	ck_assert(select_has(&s, &no_cookie, &curl)); /* all that is known is the event's task */
	ck_assert(!select_has(&s, &no_cookie, &nginx));
	ck_assert(select_has(&s, NULL, &curl));
	select_forget(&s, &socks[0]);
	ck_assert(!select_has(&s, &socks[0], NULL));
	select_fini(&s);
}
END_TEST

START_TEST(test_select__pid_and_comm_both_hold)
{
	static const struct task curl7 = {.pid = 7, .comm = "curl"},
				 curl8 = {.pid = 8, .comm = "curl"},
				 wget7 = {.pid = 7, .comm = "wget"};
	struct sock socks[] = {sock(1, 1, "10.0.0.2", 80), sock(2, 2, "10.0.0.2", 80),
			       sock(3, 3, "10.0.0.2", 80)};

	start((struct select_opts){.comm = "curl", .pid = {true, 7}});
	select_learn(&s, &socks[0], &curl7);
	select_learn(&s, &socks[1], &curl8);
	select_learn(&s, &socks[2], &wget7);
	ck_assert(select_has(&s, &socks[0], NULL));
	ck_assert(!select_has(&s, &socks[1], NULL));
	ck_assert(!select_has(&s, &socks[2], NULL));
	select_fini(&s);
}
END_TEST

START_TEST(test_select__filter)
{
	struct sock socks[] = {
		sock(1, 4000, "10.0.0.2", 80), sock(2, 4001, "10.0.0.2", 443), {.cookie = 3}};

	start((struct select_opts){.filter = "port 443"});
	tables(socks, 3);
	ck_assert(!select_has(&s, &socks[0], NULL));
	ck_assert(select_has(&s, &socks[1], NULL));
	ck_assert(!select_has(&s, &socks[2], NULL)); /* no addresses */
	ck_assert(!select_has(&s, NULL, NULL));
	select_fini(&s);
}
END_TEST

/* tcp_disconnect wiped the remote end: the socket still is the one that matched. */
START_TEST(test_select__filter_remembers_a_wiped_end)
{
	struct sock whole = sock(1, 4000, "10.0.0.2", 443), wiped = sock(1, 4000, "0.0.0.0", 0);
	struct sock other = sock(2, 4000, "0.0.0.0", 0);

	start((struct select_opts){.filter = "port 443"});
	tables(&wiped, 1);
	ck_assert(!select_has(&s, &wiped, NULL)); /* not known yet */
	tables(&whole, 1);
	tables(&wiped, 1);
	tables(&other, 1);
	ck_assert(select_has(&s, &wiped, NULL));
	ck_assert(!select_has(&s, &other, NULL));
	select_forget(&s, &wiped);
	tables(&wiped, 1);
	ck_assert(!select_has(&s, &wiped, NULL));
	select_fini(&s);
}
END_TEST

/* The start of a connect has no local port: it comes from a later row of the same socket. */
START_TEST(test_select__unbound_gets_its_port)
{
	struct sock socks[] = {sock(1, 0, "10.0.0.2", 80), sock(1, 4000, "10.0.0.2", 80),
			       sock(2, 0, "10.0.0.2", 80)};

	start((struct select_opts){.filter = "port 4000"});
	tables(socks, 3);
	ck_assert(socks[0].filled && socks[0].flow.lport == 4000);
	ck_assert(select_has(&s, &socks[0], NULL));
	ck_assert(!socks[2].filled && !select_has(&s, &socks[2], NULL));
	select_fini(&s);
}
END_TEST

START_TEST(test_select__unbound_to_another_remote)
{
	struct sock socks[] = {sock(1, 0, "10.0.0.2", 80), sock(1, 4000, "10.0.0.2", 81),
			       sock(1, 4001, "10.0.0.3", 80)};

	start((struct select_opts){0});
	tables(socks, 3);
	ck_assert_uint_eq(socks[0].flow.lport, 0); /* that was another connect of the socket */
	select_fini(&s);
}
END_TEST

START_TEST(test_select__unbound_twice_to_one_remote)
{
	struct sock socks[] = {sock(1, 0, "10.0.0.2", 80), sock(1, 4000, "10.0.0.2", 80),
			       sock(1, 4001, "10.0.0.2", 80)};

	start((struct select_opts){0});
	tables(socks, 3);
	ck_assert_uint_eq(socks[0].flow.lport, 0); /* which of them is not certain */
	select_fini(&s);
}
END_TEST

SUITE("select", test_select__nothing_asked_for, test_select__cookie, test_select__owner,
      test_select__pid_and_comm_both_hold, test_select__filter,
      test_select__filter_remembers_a_wiped_end, test_select__unbound_gets_its_port,
      test_select__unbound_to_another_remote, test_select__unbound_twice_to_one_remote)

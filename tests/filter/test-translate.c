// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A translated filter says of each flow what libpcap's own machine says of its headers: for all
 * pairs of these expressions and flows.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "machine.h"
#include "suite.h"

#define ROOM 2048

static const char *const parts[] = {
	"ip",
	"ip6",
	"host 10.0.0.1",
	"src host 10.0.0.2",
	"dst 10.0.0.2 or src 2001:db8::1",
	"host 2001:db8::1",
	"net 10.0.0.0/24",
	"net 10.0.0.0/31",
	"src net 127.0.0.0/8",
	"net 2001:db8::/32",
	"dst net 2001:db8:0:5::/64",
	"net 2001:db8::8000/113",
	"net 128.0.0.0/1",
	"port 80",
	"src port 80",
	"dst port 65535 and host 10.0.0.1",
	"portrange 80-443",
	"portrange 32768-65535",
	"src portrange 1-79",
	"tcp port 443",
	"ip6 and port 443",
	"port 0",
	"host 255.255.255.254",
};
#define N_PARTS (sizeof(parts) / sizeof(*parts))

static const char *const addresses[] = {
	"::ffff:10.0.0.1",
	"::ffff:10.0.0.2",
	"::ffff:127.0.0.1",
	"::ffff:0.0.0.0",
	"2001:db8::1",
	"2001:db8:0:5:80::8001",
	"2001:db8::8001",
	"::",
	"::1",
	"::ffff:255.255.255.254",
};
#define N_ADDRESSES (sizeof(addresses) / sizeof(*addresses))
static const uint16_t ports[] = {0, 1, 79, 80, 443, 444, 32767, 32768, 65535};
#define N_PORTS (sizeof(ports) / sizeof(*ports))

static struct filter *filter_of(const char *expression)
{
	struct filter *f = NULL;
	char why[256] = "";

	ck_assert_msg(!filter_new(&f, expression, why, sizeof(why)), "%s: %s", expression, why);
	return f;
}

static unsigned compare_ports(const struct filter *f, const struct filter_insn *insns,
			      const char *expression, struct filter_flow *flow)
{
	unsigned n = 0;

	for (size_t i = 0; i < N_PORTS * N_PORTS; i++) {
		bool it;

		flow->lport = ports[i / N_PORTS];
		flow->rport = ports[i % N_PORTS];
		it = machine_run(insns, ROOM, flow);
		ck_assert_msg(it == filter_match(f, flow), "'%s', %u to %u: %d", expression,
			      flow->lport, flow->rport, it);
		n += it;
	}
	return n;
}

/* Where it may go on behind instruction i. Returns whether that is news. */
static bool go_on(const struct filter_insn *insns, int i, bool *reached)
{
	bool jumps = (insns[i].code & 7) == 5 || (insns[i].code & 7) == 6;
	bool ends = insns[i].code == 0x95, always = insns[i].code == 0x05, news = false;
	int to = i + 1 + insns[i].off;

	if (jumps && !ends) {
		ck_assert(to >= 0 && to < ROOM);
		news |= !reached[to];
		reached[to] = true;
	}
	if (!ends && !always && i + 1 < ROOM) {
		news |= !reached[i + 1];
		reached[i + 1] = true;
	}
	return news;
}

/* As the kernel's check_cfg: a way to each instruction, whatever the conditions say. */
static void check_ways(const struct filter_insn *insns, const char *expression)
{
	bool reached[ROOM] = {true}, news = true;

	while (news) {
		news = false;
		for (int i = 0; i < ROOM; i++)
			if (reached[i])
				news |= go_on(insns, i, reached);
	}
	for (int i = 0; i < ROOM; i++)
		ck_assert_msg(reached[i], "'%s': no way to instruction %d", expression, i);
}

/* Returns how many flows match. */
static unsigned compare(const char *expression)
{
	static struct filter_insn insns[ROOM];
	struct filter *f;
	struct filter_flow flow;
	unsigned n = 0;
	char why[256];

	if (filter_new(&f, expression, why, sizeof(why))) { /* as "ip and not ip" */
		ck_assert_msg(strstr(why, "rejects all packets"), "%s: %s", expression, why);
		return 0;
	}
	ck_assert_msg(filter_translate(f, insns, ROOM) > 0, "%s", expression);
	check_ways(insns, expression);
	for (size_t i = 0; i < N_ADDRESSES * N_ADDRESSES; i++) {
		ck_assert(inet_pton(AF_INET6, addresses[i / N_ADDRESSES], flow.laddr) == 1);
		ck_assert(inet_pton(AF_INET6, addresses[i % N_ADDRESSES], flow.raddr) == 1);
		n += compare_ports(f, insns, expression, &flow);
	}
	filter_free(f);
	return n;
}

START_TEST(test_translate__one)
{
	unsigned all = N_ADDRESSES * N_ADDRESSES * N_PORTS * N_PORTS;
	char negated[128];

	ck_assert_uint_eq(compare(""), all);
	for (size_t i = 0; i < N_PARTS; i++) {
		unsigned n = compare(parts[i]);

		ck_assert_msg(n > 0 && n < all, "%s: %u of %u", parts[i], n, all);
		snprintf(negated, sizeof(negated), "not (%s)", parts[i]);
		compare(negated);
		snprintf(negated, sizeof(negated), "(%s) or not (%s)", parts[i], parts[i]);
		ck_assert_uint_eq(compare(negated), all);
	}
}
END_TEST

START_TEST(test_translate__two)
{
	static const char *const joins[] = {"(%s) and (%s)", "(%s) or (%s)", "(%s) and not (%s)"};
	char text[256];

	for (size_t i = 0; i < N_PARTS * N_PARTS; i++) {
		for (size_t j = 0; j < 3; j++) {
			snprintf(text, sizeof(text), joins[j], parts[i / N_PARTS],
				 parts[i % N_PARTS]);
			compare(text);
		}
	}
}
END_TEST

/* The room is the kernel's: what does not fit is refused, and all of it has an instruction. */
START_TEST(test_translate__room)
{
	struct filter *f = filter_of("host 2001:db8::1 or src port 80");
	struct filter_insn insns[ROOM];
	int n = filter_translate(f, insns, ROOM);

	ck_assert_int_gt(n, 0);
	for (int i = 0; i < ROOM; i++)
		ck_assert_int_ne(insns[i].code, 0);
	ck_assert_int_eq(filter_translate(f, insns, (size_t)n + 1), n);
	ck_assert_int_eq(filter_translate(f, insns, (size_t)n), -1);
	filter_free(f);
}
END_TEST

/* One port of each range: what they say of a flow, all ports between say too. */
START_TEST(test_translate__ports)
{
	static const char *const texts[] = {"port 40000", "portrange 40000-40010 or port 50000",
					    "not port 40000", "port 80", "portrange 1000-60000"};
	static const int wanted[] = {3, 6, 3, 1, 2};

	for (size_t i = 0; i < 5; i++) {
		struct filter *f = filter_of(texts[i]);
		struct filter_flow flow = {.rport = 9};
		uint16_t some[16];
		int n = filter_ports(f, 32768, 60999, some, 16), match = 0, all = 0, sum = 0;

		ck_assert_int_le(wanted[i], n);
		for (int k = 0; k < n; k++) {
			flow.lport = some[k];
			match |= 1 << filter_match(f, &flow);
		}
		for (unsigned port = 32768; port <= 60999; port++) {
			flow.lport = (uint16_t)port;
			sum += filter_match(f, &flow);
			all |= 1 << filter_match(f, &flow);
		}
		ck_assert_msg(match == all, "%s: %d of them, %d matching", texts[i], n, sum);
		ck_assert_int_eq(filter_ports(f, 32768, 60999, some, n > 1 ? n - 1 : 1),
				 n > 1 ? -1 : 1);
		filter_free(f);
	}
}
END_TEST

SUITE("translate", test_translate__one, test_translate__two, test_translate__room,
      test_translate__ports)

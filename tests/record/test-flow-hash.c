// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "flow_hash.h"
#include "suite.h"

struct end {
	uint8_t addr[16] __attribute__((aligned(8)));
	uint16_t port;
};

static struct end end_of(const char *addr, uint16_t port)
{
	struct end e = {.addr = {[10] = 0xff, [11] = 0xff}, .port = port};

	ck_assert(inet_pton(AF_INET, addr, e.addr + 12) == 1 ||
		  inet_pton(AF_INET6, addr, e.addr) == 1);
	return e;
}

static uint32_t hash(const struct end *l, const struct end *r)
{
	return tape_flow_hash(l->addr, l->port, r->addr, r->port);
}

START_TEST(test_flow_hash__is_that_of_both_ends)
{
	struct end a = end_of("10.0.0.1", 40000), b = end_of("10.0.0.2", 80);
	struct end mapped = end_of("::ffff:10.0.0.1", 40000), c = end_of("fd00::1", 80);
	struct end crossed = end_of("10.0.0.1", 80), other = end_of("10.0.0.2", 40000);

	ck_assert_uint_eq(hash(&a, &b), hash(&b, &a));
	ck_assert_uint_eq(hash(&mapped, &b), hash(&a, &b));
	ck_assert_uint_eq(hash(&a, &c), hash(&c, &a));
	ck_assert_uint_ne(hash(&crossed, &other), hash(&a, &b));
	ck_assert_uint_ne(hash(&a, &a), 0); /* a connection to itself is like any other */
}
END_TEST

/*
 * Fixed for ever: two versions of the recorder must choose alike. The numbers are those of the same
 * arithmetic in Python.
 */
START_TEST(test_flow_hash__is_the_same_on_every_machine)
{
	struct end a = end_of("10.0.0.1", 40000), b = end_of("10.0.0.2", 80);
	struct end c = end_of("2001:db8::1", 50000), d = end_of("2001:db8::2", 443);

	ck_assert_uint_eq(hash(&a, &b), 3962616931u);
	ck_assert_uint_eq(hash(&c, &d), 18425559u);
}
END_TEST

/*
 * Connections that differ in one port, or in the last byte of an address, as those of one client
 * do: counts of 64 equal parts of the range, as chi-square with 63 degrees of freedom (below 120 in
 * all but 2 of 10^5 cases).
 */
static double chi_square(bool ports, bool v6)
{
	uint32_t counts[64] = {0}, n = 0;
	double sum = 0;

	for (unsigned i = 0; i < 60000; i++) {
		struct end a = end_of(v6 ? "fd00::1" : "10.0.0.1", 40000);
		struct end b = end_of(v6 ? "fd00::2" : "10.0.0.2", 80);

		if (ports)
			a.port = (uint16_t)i;
		else
			memcpy(a.addr + 14, (uint16_t[]){htons((uint16_t)i)}, 2);
		counts[hash(&a, &b) >> 26]++;
		n++;
	}
	for (int i = 0; i < 64; i++)
		sum += (counts[i] - n / 64.0) * (counts[i] - n / 64.0) / (n / 64.0);
	return sum;
}

START_TEST(test_flow_hash__spreads_evenly)
{
	for (int i = 0; i < 4; i++)
		ck_assert_double_lt(chi_square(i & 1, i & 2), 120);
}
END_TEST

SUITE("flow-hash", test_flow_hash__is_that_of_both_ends,
      test_flow_hash__is_the_same_on_every_machine, test_flow_hash__spreads_evenly)

// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "flow.h"
#include "suite.h"

/* As text, and as RFC 5952 wants it back. */
START_TEST(test_flow__addresses_both_ways)
{
	static const struct {
		const char *in, *out;
		bool v4;
	} rows[] = {
		{"10.1.2.3", "10.1.2.3", true},
		{"0.0.0.0", "0.0.0.0", true},
		{"255.255.255.255", "255.255.255.255", true},
		{"::ffff:10.1.2.3", "10.1.2.3", true}, /* v4-mapped is IPv4 */
		{"::", "::", false},
		{"::1", "::1", false},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1", false},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t addr[FLOW_ADDR_LEN];
		char buf[FLOW_TEXT_LEN];

		ck_assert(flow_addr_parse(rows[i].in, addr));
		ck_assert_str_eq(flow_addr_text(addr, buf), rows[i].out);
		ck_assert_int_eq(flow_addr_is_v4(addr), rows[i].v4);
	}
}
END_TEST

START_TEST(test_flow__v4_is_mapped_in_network_order)
{
	static const uint8_t expected[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3};
	uint8_t addr[FLOW_ADDR_LEN];

	ck_assert(flow_addr_parse("10.1.2.3", addr));
	ck_assert_mem_eq(addr, expected, sizeof(expected));
}
END_TEST

START_TEST(test_flow__no_addresses)
{
	static const char *const bad[] = {"",	       "10.1.2",    "10.1.2.256",
					  "localhost", "10.1.2.3 ", "10.1.2.3/8",
					  "::1%lo",    "1::2::3",   ":"};
	uint8_t addr[FLOW_ADDR_LEN];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!flow_addr_parse(bad[i], addr), "'%s'", bad[i]);
}
END_TEST

START_TEST(test_flow__version)
{
	struct flow f = {0};

	ck_assert_uint_eq(flow_version(&f), 6);
	ck_assert(flow_addr_parse("10.1.2.3", f.raddr));
	ck_assert_uint_eq(flow_version(&f), 4); /* AF_INET6 socket, :: bound, IPv4 remote */
	ck_assert(flow_addr_parse("::1", f.raddr));
	ck_assert_uint_eq(flow_version(&f), 6);
	ck_assert(flow_addr_parse("127.0.0.1", f.laddr));
	ck_assert_uint_eq(flow_version(&f), 4);
}
END_TEST

SUITE("flow", test_flow__addresses_both_ways, test_flow__v4_is_mapped_in_network_order,
      test_flow__no_addresses, test_flow__version)

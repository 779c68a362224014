// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "pcapf.h"
#include "suite.h"

static struct flow tuple(const char *laddr, uint16_t lport, const char *raddr, uint16_t rport)
{
	struct flow f = {.lport = lport, .rport = rport};

	ck_assert(flow_addr_parse(laddr, f.laddr) && flow_addr_parse(raddr, f.raddr));
	return f;
}

static bool matches(const char *expression, const struct flow *f)
{
	struct filter *p = NULL;
	struct fail fail = {0};
	bool yes;

	ck_assert_msg(!pcapf_new(&p, expression, &fail), "%s: %s", expression, fail.text);
	yes = pcapf_match(p, f);
	filter_free(p);
	return yes;
}

static void expect(const struct flow *f, const char *const *yes, const char *const *no)
{
	for (; *yes; yes++)
		ck_assert_msg(matches(*yes, f), "'%s' did not match", *yes);
	for (; *no; no++)
		ck_assert_msg(!matches(*no, f), "'%s' matched", *no);
}

START_TEST(test_pcapf__ipv4)
{
	static const char *const yes[] = {
		"",
		"ip",
		"tcp",
		"ip and tcp",
		"host 10.0.0.1",
		"host 192.168.7.9",
		"src host 10.0.0.1",
		"dst host 10.0.0.1", /* the answers go there */
		"net 192.168.0.0/16",
		"net 192.168",
		"net 192.168.7.0 mask 255.255.255.0",
		"port 443",
		"port 40000",
		"src port 443",
		"tcp port 443",
		"tcp dst port 443",
		"port 443 or 80",
		"portrange 440-450",
		"portrange 39999-40000",
		"host 10.0.0.1 and host 192.168.7.9",
		"src 10.0.0.1 and dst port 443",
		"src 192.168.7.9 and src port 443",
		"not port 80",
		"! port 80",
		"(port 80 or port 443) && host 10.0.0.1",
		"port https",
		NULL,
	};
	static const char *const no[] = {
		"ip6",
		"host 10.0.0.2",
		"net 192.168.8.0/24",
		"port 80",
		"portrange 444-39999",
		"src 10.0.0.1 and src port 443", /* the two ends mixed up */
		"not tcp",
		"not host 10.0.0.1",
		"host 10.0.0.1 and not port 443",
		"host ::1",
		"host ::ffff:10.0.0.1",
		NULL,
	};
	struct flow f = tuple("10.0.0.1", 40000, "192.168.7.9", 443);
	struct flow turned = tuple("192.168.7.9", 443, "10.0.0.1", 40000);

	expect(&f, yes, no);
	expect(&turned, yes, no); /* either direction */
}
END_TEST

START_TEST(test_pcapf__ipv6)
{
	static const char *const yes[] = {
		"ip6",
		"tcp",
		"ip6 and tcp",
		"host 2001:db8::1",
		"src host 2001:db8::1",
		"dst host 2001:db8::1",
		"net 2001:db8::/32",
		"net 2001:db8:0:5::/64",
		"port 443",
		"tcp port 443",
		"portrange 400-500",
		"src host 2001:db8::1 and dst port 443",
		"host 2001:db8::1 or host 10.0.0.1",
		NULL,
	};
	static const char *const no[] = {
		"ip",		"host 2001:db8::2", "net 2001:db8:0:6::/64",
		"port 80",	"host 10.0.0.1",    "src host 2001:db8::1 and src port 443",
		"not port 443", "host 0.0.0.1",	    NULL,
	};
	struct flow f = tuple("2001:db8::1", 40000, "2001:db8:0:5::9", 443);
	struct flow turned = tuple("2001:db8:0:5::9", 443, "2001:db8::1", 40000);

	expect(&f, yes, no);
	expect(&turned, yes, no);
}
END_TEST

/* Before connect() has bound the socket: the remote end counts, the local one is 0. */
START_TEST(test_pcapf__unbound)
{
	static const char *const yes[] = {"port 443", "host 192.168.7.9", NULL};
	static const char *const no[] = {"port 40000", "ip6", NULL};
	struct flow f = tuple("0.0.0.0", 0, "192.168.7.9", 443);

	expect(&f, yes, no);
}
END_TEST

/* Ports beyond 32767 and addresses with high bytes: nothing is sign-extended on the way. */
START_TEST(test_pcapf__high_values)
{
	static const char *const yes[] = {"port 65535", "portrange 60000-65535",
					  "host 255.255.255.254", NULL};
	static const char *const no[] = {"port 32767", "portrange 0-59999", NULL};
	struct flow f = tuple("255.255.255.254", 65535, "254.253.252.251", 60000);

	expect(&f, yes, no);
}
END_TEST

/* What a connection does not have is refused, and the text names it. */
START_TEST(test_pcapf__refused)
{
	static const struct {
		const char *expression, *names;
	} rows[] = {
		{"tcp[13] & 2 != 0", "'tcp[13]'"},
		{"tcp[tcpflags] & tcp-syn != 0", "'tcp[tcpflags]'"},
		{"ip[8] < 5", "'ip[8]'"},
		{"port 80 and ip6[6] = 6", "'ip6[6]'"},
		{"len > 100", "'len'"},
		{"less 100", "'less'"},
		{"greater 100", "'greater'"},
		{"vlan", "'vlan'"},
		{"vlan 5 and port 80", "'vlan'"},
		{"mpls", "'mpls'"},
		{"ether host 00:11:22:33:44:55", "'ether'"},
		{"ether proto 0x800", "'ether'"},
		{"arp", "'arp'"},
		{"udp port 53", "'udp'"},
		{"icmp", "'icmp'"},
		{"ip proto 6", "'proto'"},
		{"ip6 protochain 6", "'protochain'"},
		{"broadcast", "'broadcast'"},
		{"ip multicast", "'multicast'"},
		{"gateway 10.0.0.1", "'gateway'"},
		{"inbound", "'inbound'"},
		{"host example.com", "'example.com'"},
		{"host localhost", "'localhost'"},
		{"localhost", "'localhost'"},
		{"net loopback", "'loopback'"},
		{"PORT 80", "'PORT'"},
		{"port 80 and x", "'x'"},
		/* libpcap's own words */
		{"port", "-f: "},
		{"port 65536", "-f: "},
		{"port nosuchservice", "-f: "},
		{"host 300.1.1.1", "-f: "},
		{"net 10.0.0.1/8", "-f: "},
		{"(port 80", "-f: "},
		{"port 80)", "-f: "},
		{"and", "-f: "},
		{"10.0.0.1", "-f: "}, /* tcpdump wants a word before it too */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct filter *p = NULL;
		struct fail fail = {0};

		ck_assert_msg(pcapf_new(&p, rows[i].expression, &fail) == -1, "'%s' was taken",
			      rows[i].expression);
		ck_assert_int_eq(fail.status, STATUS_USAGE);
		ck_assert_msg(strstr(fail.text, rows[i].names), "'%s': %s", rows[i].expression,
			      fail.text);
		ck_assert_ptr_null(p);
	}
}
END_TEST

START_TEST(test_pcapf__too_long)
{
	static char s[5000];
	struct filter *p = NULL;
	struct fail fail = {0};

	memset(s, ' ', sizeof(s) - 1);
	ck_assert_int_eq(pcapf_new(&p, s, &fail), -1);
	ck_assert_ptr_nonnull(strstr(fail.text, "4096"));
	filter_free(NULL);
}
END_TEST

SUITE("pcapf", test_pcapf__ipv4, test_pcapf__ipv6, test_pcapf__unbound, test_pcapf__high_values,
      test_pcapf__refused, test_pcapf__too_long)

// SPDX-License-Identifier: GPL-2.0-or-later
// mends: nat-breaks-the-key
/* A segment over several devices, addresses and network namespaces: whose it is. */
#include <string.h>

#include "segment-feed.h"
#include "suite.h"

/* ---- devices ---- */

/* A VLAN over another device: both have a qdisc and a driver. Hold shows in QDISC, in either. */
START_TEST(test_segment__stacked_devices)
{
	begin();
	send_down(100, SEG_OUT_QDISC); /* at 104 */
	out(SEG_OUT_DRIVER, 150);
	ev.ifindex = 1;
	out(SEG_OUT_QDISC, 151);
	out(SEG_OUT_DRIVER, 171);
	sent(175, 1, 0);
	sent(176, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(got[0].marks, SEG_STACKED);
	ck_assert_uint_eq(got[0].spent_ns[SEG_OUT_QDISC], (46 + 20) * US);
	ck_assert_uint_eq(got[0].spent_ns[SEG_OUT_DRIVER], (1 + 4) * US);
	ck_assert_uint_eq(got[0].end_ns, 175 * US);
	done();
}
END_TEST

/* A bridge hands a packet on as its own: the layers below IP see it twice. */
START_TEST(test_segment__bridge)
{
	begin();
	in(SEG_IN_DRIVER, 100);
	in(SEG_IN_MAC, 103);
	ev.ifindex = 5;
	in(SEG_IN_DRIVER, 105);
	in(SEG_IN_MAC, 106);
	in(SEG_IN_IP, 108);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(got[0].spent_ns[SEG_IN_DRIVER], 4 * US);
	ck_assert_uint_eq(got[0].spent_ns[SEG_IN_MAC], 4 * US);
	done();
}
END_TEST

/* `sent` has no packet: it belongs to the last packet of that processor and device. */
START_TEST(test_segment__sent_by_processor)
{
	begin();
	send_down(100, SEG_OUT_DRIVER);
	ev.cpu = 1;
	pk.seq += MSS;
	send_down(101, SEG_OUT_DRIVER);
	sent(115, 2, 0);
	ev.cpu = 0;
	sent(110, 9, 0); /* another device's: not ours */
	sent(112, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 2);
	is_us(&got[0], SEG_OUT_DRIVER, got[0].seq == 1 ? 7 : 9);
	is_us(&got[1], SEG_OUT_DRIVER, got[1].seq == 1 ? 7 : 9);
	done();
}
END_TEST

START_TEST(test_segment__busy_driver)
{
	begin();
	send_down(100, SEG_OUT_DRIVER);
	sent(106, 2, 16);
	out(SEG_OUT_DRIVER, 300);
	sent(302, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(got[0].marks, SEG_BUSY);
	is_us(&got[0], SEG_OUT_QDISC, 300 - 104);
	is_us(&got[0], SEG_OUT_DRIVER, 2);
	done();
}
END_TEST

/* The buffer is freed inside the driver's call: no time passes after that. */
START_TEST(test_segment__complete_before_sent)
{
	begin();
	send_down(100, SEG_OUT_DRIVER);
	out(SEG_OUT_COMPLETE, 106);
	sent(108, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 1);
	is_us(&got[0], SEG_OUT_DRIVER, 3);
	is_us(&got[0], SEG_OUT_SENT, 0);
	done();
}
END_TEST

/* ---- NAT, and whose a packet is ---- */

START_TEST(test_segment__nat_on_the_way_in)
{
	struct flow before = flow_of(9, 8080, 2, 5000); /* redirected to 10.0.0.1:80 */

	begin();
	for (unsigned i = 0; i < 2; i++) {
		pk.seq = 1 + i * MSS;
		pk.flow = before;
		for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_IP; l++)
			in(l, 100 + 100 * i + l);
		pk.flow = sk.flow;
		in(SEG_IN_DELIVER, 103 + 100 * i);
		in(SEG_IN_TCP, 104 + 100 * i);
		in(SEG_IN_ESTABLISHED, 105 + 100 * i);
		in(SEG_IN_QUEUE, 106 + 100 * i);
		copy(150 + 100 * i, pk.seq, MSS);
	}
	end();
	ck_assert_uint_eq(n_got, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(got[i].marks, SEG_NAT);
		ck_assert(!memcmp(&got[i].wire, &before, sizeof(before)));
		ck_assert(!memcmp(&got[i].inner, &sk.flow, sizeof(before)));
		ck_assert_uint_eq(got[i].cookie, 7);
		ck_assert_uint_eq(total_us(&got[i]), 50);
	}
	done();
}
END_TEST

START_TEST(test_segment__nat_on_the_way_out)
{
	struct flow after = flow_of(9, 4444, 2, 5000);

	for (unsigned with_sock = 0; with_sock < 2; with_sock++) {
		begin();
		for (unsigned i = 0; i < 2; i++) {
			pk.seq = 1 + i * MSS;
			pk.flow = sk.flow;
			out(SEG_OUT_TCP, 100 * i + 100);
			out(SEG_OUT_IP, 100 * i + 101);
			pk.flow = after;
			for (unsigned l = SEG_OUT_OUTPUT; l <= SEG_OUT_DRIVER; l++)
				at(SEG_OUT, l, 100 * i + 100 + l, with_sock ? &sk : NULL);
		}
		end();
		ck_assert_uint_eq(n_got, 2);
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_uint_eq(got[i].marks, SEG_NAT);
			ck_assert(!memcmp(&got[i].wire, &after, sizeof(after)));
			ck_assert(!memcmp(&got[i].inner, &sk.flow, sizeof(after)));
			ck_assert_uint_eq(total_us(&got[i]), 5);
		}
	}
	done();
}
END_TEST

/* Loopback: the same packet is one that was sent and one that was received, each of its socket. */
START_TEST(test_segment__both_ends_here)
{
	struct sock server = {
		.cookie = 9, .flow = flow_of(2, 5000, 1, 80), .netns = 1, .has_flow = true};
	struct flow up = server.flow;

	begin();
	write_at(99, 1, MSS);
	send_down(100, SEG_OUT_DRIVER);
	pk.flow = up;
	at(SEG_IN, SEG_IN_DRIVER, 106, &sk); /* the sender's socket may still hang on it */
	sent(107, 2, 0);
	for (unsigned l = SEG_IN_MAC; l <= SEG_IN_TCP; l++)
		at(SEG_IN, l, 107 + l, NULL);
	at(SEG_IN, SEG_IN_ESTABLISHED, 113, &server);
	end();
	ck_assert_uint_eq(n_got, 2);
	for (unsigned i = 0; i < 2; i++) {
		bool is_in = got[i].dir == SEG_IN;

		ck_assert_uint_eq(got[i].cookie, is_in ? 9 : 7);
		ck_assert_uint_eq(total_us(&got[i]), is_in ? 7 : 8);
		ck_assert_uint_eq(got[i].marks, 0);
	}
	ck_assert(got[0].dir != got[1].dir);
	done();
}
END_TEST

/* A router's namespace between two others: same headers, but nobody's TCP there. */
START_TEST(test_segment__passing_through)
{
	begin();
	send_down(100, SEG_OUT_DRIVER);
	sent(106, 2, 0);
	ev.netns = 5;
	ev.ifindex = 9;
	in(SEG_IN_DRIVER, 107);
	in(SEG_IN_MAC, 108);
	in(SEG_IN_IP, 109);
	at(SEG_OUT, SEG_OUT_QDISC, 110, NULL);
	at(SEG_OUT, SEG_OUT_DRIVER, 111, &sk); /* through a veth it keeps its sender's socket */
	end();
	ck_assert_uint_ge(n_got, 3);
	for (unsigned i = 0; i < n_got; i++) {
		bool ours = got[i].netns == 1;

		ck_assert_uint_eq(got[i].marks & SEG_PASSED, ours ? 0 : SEG_PASSED);
		ck_assert(!(got[i].marks & SEG_AGAIN));
		if (ours)
			ck_assert_uint_eq(total_us(&got[i]), 5);
	}
	done();
}
END_TEST

/* The port is used again at once, by another socket: what comes is the new one's. */
START_TEST(test_segment__addresses_used_again)
{
	begin();
	receive(100);
	copy(150, 1, MSS);
	sk.cookie = 8;
	pk.seq = 90000;
	receive(200);
	copy(250, 90000, MSS);
	pk.seq += MSS;
	receive(300);
	copy(350, 90000 + MSS, MSS);
	end();
	ck_assert_uint_eq(n_got, 3);
	ck_assert_uint_eq(got[0].cookie, 7);
	for (unsigned i = 1; i < 3; i++) {
		ck_assert_uint_eq(got[i].cookie, 8);
		ck_assert_uint_eq(total_us(&got[i]), 50);
		ck_assert_uint_eq(got[i].marks, 0);
	}
	done();
}
END_TEST

/* SYN to a listener: its socket stands for nobody's connection. */
START_TEST(test_segment__listener)
{
	struct sock listener = {.cookie = 3, .flow = {.lport = 80}, .netns = 1, .has_flow = true};

	begin();
	for (unsigned i = 0; i < 2; i++) {
		pk.payload = 0;
		pk.tcp_flags = SYN;
		pk.seq = 1000 * i;
		pk.flow = flow_of(1, 80, 2, 6000 + i);
		at(SEG_IN, SEG_IN_DRIVER, 100 + i, NULL);
		at(SEG_IN, SEG_IN_TCP, 110 + i, &listener);
	}
	end();
	ck_assert_uint_eq(n_got, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(got[i].cookie, 0);
		ck_assert_uint_eq(got[i].wire.rport, 6000 + i);
		ck_assert_uint_eq(total_us(&got[i]), 10);
		ck_assert(!(got[i].marks & SEG_PASSED));
	}
	done();
}
END_TEST

SUITE("segment-path", test_segment__stacked_devices, test_segment__bridge,
      test_segment__sent_by_processor, test_segment__busy_driver,
      test_segment__complete_before_sent, test_segment__nat_on_the_way_in,
      test_segment__nat_on_the_way_out, test_segment__both_ends_here, test_segment__passing_through,
      test_segment__addresses_used_again, test_segment__listener)

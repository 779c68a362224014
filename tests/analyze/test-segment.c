// SPDX-License-Identifier: GPL-2.0-or-later
// mends: missed-stage-wraps
/* One segment over layers: what is known of it, what is not, and the bounds. */
#include <string.h>

#include "segment-feed.h"
#include "suite.h"

/* ---- one to one ---- */

START_TEST(test_segment__received)
{
	begin();
	receive(100);
	ck_assert_uint_eq(n_got, 0);
	copy(150, 1, MSS);
	ck_assert_uint_eq(n_got, 1); /* at once */
	for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_TCP; l++)
		is_us(&got[0], l, 1);
	is_us(&got[0], SEG_IN_ESTABLISHED, 1);
	is_us(&got[0], SEG_IN_QUEUE, 44);
	is_unknown(&got[0], SEG_IN_BACKLOG);
	is_unknown(&got[0], SEG_IN_HOLE);
	ck_assert_uint_eq(total_us(&got[0]), 50);
	ck_assert_uint_eq(got[0].marks, 0);
	ck_assert(got[0].cookie == 7 && got[0].task.pid == 9 && got[0].payload == MSS);
	end();
	ck_assert_uint_eq(n_got, 1);
	done();
}
END_TEST

START_TEST(test_segment__sent)
{
	begin();
	write_at(90, 1, MSS);
	send_down(100, SEG_OUT_DRIVER);
	sent(107, 2, 0);
	out(SEG_OUT_COMPLETE, 120);
	end();
	ck_assert_uint_eq(n_got, 1);
	is_us(&got[0], SEG_OUT_WRITE, 11);
	for (unsigned l = SEG_OUT_TCP; l <= SEG_OUT_QDISC; l++)
		is_us(&got[0], l, 1);
	is_us(&got[0], SEG_OUT_DRIVER, 2);
	is_us(&got[0], SEG_OUT_SENT, 13);
	ck_assert_uint_eq(total_us(&got[0]), 30);
	ck_assert_uint_eq(got[0].marks, 0);
	ck_assert_uint_eq(got[0].task.pid, 8);
	done();
}
END_TEST

/* A thread holds the socket: the packet waits in its backlog. */
START_TEST(test_segment__backlog)
{
	begin();
	for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_BACKLOG; l++)
		in(l, 100 + l);
	in(SEG_IN_ESTABLISHED, 900);
	in(SEG_IN_QUEUE, 901);
	copy(950, 1, MSS);
	end();
	is_us(&got[0], SEG_IN_TCP, 1);
	is_us(&got[0], SEG_IN_BACKLOG, 795);
	is_us(&got[0], SEG_IN_ESTABLISHED, 1);
	done();
}
END_TEST

/* ---- what is not known ---- */

/* Layers without a hook, or whose event was lost: unknown, not 0, and the time before spans them.
 */
START_TEST(test_segment__unknown_layers)
{
	begin();
	in(SEG_IN_DRIVER, 100);
	in(SEG_IN_MAC, 101);
	in(SEG_IN_ESTABLISHED, 110);
	in(SEG_IN_QUEUE, 111);
	copy(120, 1, MSS);
	end();
	is_us(&got[0], SEG_IN_DRIVER, 1);
	is_unknown(&got[0], SEG_IN_IP);
	is_unknown(&got[0], SEG_IN_DELIVER);
	is_unknown(&got[0], SEG_IN_TCP);
	ck_assert_uint_eq(got[0].spent_ns[SEG_IN_MAC], 9 * US);
	ck_assert_uint_eq(got[0].spans, SEG_BIT(SEG_IN_MAC));
	done();
}
END_TEST

/* Only the lowest layers were recorded: the time at TCP is the packet's departure time. */
START_TEST(test_segment__departure_instead_of_tcp)
{
	begin_with(0, SEG_BIT(SEG_OUT_QDISC) | SEG_BIT(SEG_OUT_DRIVER));
	ev.departure_ns = 93 * US;
	out(SEG_OUT_QDISC, 100);
	out(SEG_OUT_DRIVER, 105);
	ev.departure_ns = 400 * US; /* pacing: it is to leave later, but is in the qdisc already */
	pk.seq += MSS;
	out(SEG_OUT_QDISC, 110);
	out(SEG_OUT_DRIVER, 401);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert(got[0].tcp_by_departure && got[1].tcp_by_departure);
	ck_assert_uint_eq(got[0].spent_ns[SEG_OUT_TCP], 7 * US);
	ck_assert_uint_eq(got[0].paced_ns, 0);
	ck_assert_uint_eq(got[1].spent_ns[SEG_OUT_TCP], 0);
	is_us(&got[1], SEG_OUT_QDISC, 291);
	ck_assert_uint_eq(got[1].paced_ns, 290 * US);
	done();
}
END_TEST

START_TEST(test_segment__sequence_wraps)
{
	begin();
	pk.seq = UINT32_MAX - MSS / 2;
	write_at(90, pk.seq, 3 * MSS);
	for (unsigned i = 0; i < 3; i++) {
		send_down(100 + i * 10, SEG_OUT_DRIVER);
		sent(106 + i * 10, 2, 0);
		pk.seq += MSS;
	}
	pk.seq = UINT32_MAX - MSS / 2;
	receive(1000);
	copy(1100, pk.seq, MSS / 4);
	copy(1101, pk.seq + MSS / 4, MSS);
	end();
	ck_assert_uint_eq(n_got, 4);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(got[i].marks, 0);
	done();
}
END_TEST

/* ---- bounds ---- */

/* More segments under way than there is room for: the one that waits longest is told as it is. */
START_TEST(test_segment__no_room)
{
	struct segments_stats stats;

	opts.max_open = 10;
	begin();
	for (unsigned i = 0; i < 15; i++) {
		pk.seq = 1 + i * MSS;
		receive(100 + i * 10);
	}
	ck_assert_uint_eq(n_got, 5);
	for (unsigned i = 0; i < 5; i++)
		ck_assert(got[i].marks & SEG_CUT && got[i].seq == 1 + i * MSS);
	segments_stats(segs, &stats);
	ck_assert(stats.n_cut == 5 && stats.n_open == 10);
	end();
	ck_assert_uint_eq(n_got, 15);
	done();
}
END_TEST

/* What never comes on is let go after a while, so that memory does not grow. */
START_TEST(test_segment__nothing_stays_open)
{
	struct segments_stats stats;

	begin();
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t us = (uint64_t)i * S_US;

		pk.seq = i;
		pk.payload = 0;
		in(SEG_IN_DRIVER, us); /* GRO drops it */
		pk.payload = MSS;
		pk.seq = i * MSS;
		send_down(us, SEG_OUT_QDISC); /* the qdisc does */
	}
	segments_stats(segs, &stats);
	ck_assert_uint_lt(stats.n_open, 40);
	end();
	ck_assert_uint_eq(n_got, 2000);
	done();
}
END_TEST

/* Any order, any numbers: no crash, no endless search, and the parts still add up. */
START_TEST(test_segment__nonsense)
{
	uint32_t x = 1;

	begin();
	for (unsigned i = 0; i < 20000; i++) {
		x = x * 1103515245 + 12345;
		ev.ifindex = x >> 8 & 3;
		ev.netns = x >> 10 & 1;
		ev.cpu = x >> 11 & 8191;
		ev.rcv_nxt = x >> 3;
		ev.departure_ns = x >> 13 & 1 ? x : 0;
		pk.seq = x >> 5 & 0x3fff;
		pk.payload = x >> 7 & 0xfff;
		pk.tcp_flags = x >> 9 & 31;
		pk.headers = x >> 20 & 7;
		sk.cookie = x >> 12 & 3;
		pk.flow.lport = x >> 17 & 3;
		if (x >> 28 == 0)
			copy(i, pk.seq, pk.payload << (x >> 4 & 15));
		else if (x >> 28 == 1)
			write_at(i, pk.seq, pk.payload);
		else
			at(x >> 27 & 1 ? SEG_IN : SEG_OUT, (x >> 23) % (x >> 27 & 1 ? 11 : 8),
			   i - (x & 64), x >> 22 & 1 ? &sk : NULL);
	}
	end();
	done();
}
END_TEST

SUITE("segment", test_segment__received, test_segment__sent, test_segment__backlog,
      test_segment__unknown_layers, test_segment__departure_instead_of_tcp,
      test_segment__sequence_wraps, test_segment__no_room, test_segment__nothing_stays_open,
      test_segment__nonsense)

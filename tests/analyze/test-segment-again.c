// SPDX-License-Identifier: GPL-2.0-or-later
/* Which of several packets with the same bytes, or the same headers, is which segment. */
#include "segment-feed.h"
#include "suite.h"

/* ---- sent again ---- */

/* The first was dropped in the qdisc. What leaves is the second: their departure tells. */
START_TEST(test_segment__retransmit_after_a_drop)
{
	begin();
	write_at(90, 1, MSS);
	ev.departure_ns = 100 * US;
	send_down(100, SEG_OUT_QDISC);
	ev.departure_ns = 100 * US; /* __tcp_transmit_skb: still that of the first */
	out(SEG_OUT_TCP, 5000);
	ev.departure_ns = 5000 * US;
	for (unsigned l = SEG_OUT_IP; l <= SEG_OUT_DRIVER; l++)
		out(l, 5000 + l);
	sent(5006, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 2);
	for (unsigned i = 0; i < 2; i++) {
		bool again = got[i].marks & SEG_AGAIN;

		if (again) {
			is_us(&got[i], SEG_OUT_QDISC, 1);
			is_unknown(&got[i], SEG_OUT_WRITE);
			ck_assert_uint_eq(got[i].start_ns, 5000 * US);
		} else {
			is_us(&got[i], SEG_OUT_WRITE, 11);
			is_unknown(&got[i], SEG_OUT_QDISC);
		}
	}
	ck_assert((got[0].marks ^ got[1].marks) & SEG_AGAIN);
	done();
}
END_TEST

/* The first is still held when the second comes: in the order of time, without departure times. */
START_TEST(test_segment__retransmit_behind_the_first)
{
	begin();
	send_down(100, SEG_OUT_QDISC);
	ev.again = true;
	send_down(5000, SEG_OUT_QDISC);
	out(SEG_OUT_DRIVER, 6000);
	out(SEG_OUT_DRIVER, 6100);
	end();
	ck_assert_uint_eq(n_got, 2);
	is_us(&got[0], SEG_OUT_QDISC, 6000 - 104);
	is_us(&got[1], SEG_OUT_QDISC, 6100 - 5004);
	ck_assert(!(got[0].marks & SEG_AGAIN) && got[1].marks & SEG_AGAIN);
	done();
}
END_TEST

/* A retransmission that is cut otherwise than the first time. */
START_TEST(test_segment__retransmit_of_a_part)
{
	begin();
	pk.payload = 3 * MSS;
	send_down(100, SEG_OUT_DRIVER);
	sent(106, 2, 0);
	pk.seq = 1 + MSS;
	pk.payload = MSS;
	pk.ack_seq = 150; /* more came in meanwhile */
	send_down(300, SEG_OUT_DRIVER);
	sent(306, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert(!(got[0].marks & SEG_AGAIN) && got[0].payload == 3 * MSS);
	ck_assert_uint_eq(got[1].marks, SEG_AGAIN);
	ck_assert_uint_eq(total_us(&got[1]), 5);
	done();
}
END_TEST

/* Received twice: nothing new in the second, which nobody reads. */
START_TEST(test_segment__received_twice)
{
	begin();
	receive(100);
	for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_TCP; l++)
		in(l, 200 + l);
	ev.rcv_nxt = 1 + MSS;
	in(SEG_IN_ESTABLISHED, 205);
	at_socket(SEG_IN_DONE, 206, 1 + MSS);
	copy(300, 1, MSS);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(got[0].marks, SEG_OLD);
	is_us(&got[0], SEG_IN_ESTABLISHED, 1); /* TCP's work was all there was */
	ck_assert_uint_eq(total_us(&got[0]), 6);
	ck_assert_uint_eq(got[1].marks, 0);
	is_us(&got[1], SEG_IN_QUEUE, 300 - 106);
	done();
}
END_TEST

/* ---- without payload ---- */

/* Duplicate ACKs have the same headers: in the order of time. */
START_TEST(test_segment__duplicate_acks)
{
	begin();
	pk.payload = 0;
	in(SEG_IN_DRIVER, 100);
	in(SEG_IN_DRIVER, 110);
	in(SEG_IN_MAC, 120);
	in(SEG_IN_MAC, 125);
	for (unsigned l = SEG_IN_IP; l <= SEG_IN_TCP; l++)
		in(l, 130 + l);
	in(SEG_IN_ESTABLISHED, 138);
	at_socket(SEG_IN_DONE, 139, 0);
	for (unsigned l = SEG_IN_IP; l <= SEG_IN_TCP; l++)
		in(l, 140 + l);
	in(SEG_IN_ESTABLISHED, 148);
	at_socket(SEG_IN_DONE, 150, 0);
	ck_assert_uint_eq(n_got, 2);
	is_us(&got[0], SEG_IN_DRIVER, 20);
	is_us(&got[0], SEG_IN_MAC, 12);
	is_us(&got[0], SEG_IN_ESTABLISHED, 1);
	is_us(&got[1], SEG_IN_DRIVER, 15);
	is_us(&got[1], SEG_IN_MAC, 17);
	is_us(&got[1], SEG_IN_ESTABLISHED, 2);
	done();
}
END_TEST

/* An ACK has the sequence number of the data that follows it. */
START_TEST(test_segment__ack_before_data)
{
	begin();
	pk.payload = 0;
	out(SEG_OUT_TCP, 100);
	pk.payload = MSS;
	out(SEG_OUT_TCP, 101);
	pk.payload = 0;
	out(SEG_OUT_QDISC, 102);
	pk.payload = MSS;
	out(SEG_OUT_QDISC, 103);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert(!got[0].payload && got[1].payload == MSS);
	ck_assert(total_us(&got[0]) == 2 && total_us(&got[1]) == 2);
	ck_assert(!((got[0].marks | got[1].marks) & SEG_AGAIN));
	done();
}
END_TEST

/* An event was lost on the way up: an equal packet later on is not taken for the same. */
START_TEST(test_segment__lost_event_of_an_equal_packet)
{
	begin();
	pk.payload = 0;
	in(SEG_IN_DRIVER, 100);
	in(SEG_IN_MAC, 101);
	in(SEG_IN_DRIVER, 400000);
	in(SEG_IN_MAC, 400001);
	in(SEG_IN_IP, 400002);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(total_us(&got[0]), 1);
	ck_assert_uint_eq(total_us(&got[1]), 2);
	done();
}
END_TEST

START_TEST(test_segment__syn_and_fin)
{
	begin();
	pk.payload = 0;
	pk.ack_seq = 0;
	pk.tcp_flags = SYN;
	send_down(100, SEG_OUT_DRIVER);
	sent(106, 2, 0);
	send_down(1000100, SEG_OUT_DRIVER); /* no answer: once more */
	sent(1000106, 2, 0);
	pk.seq = 2;
	pk.ack_seq = 100;
	pk.tcp_flags = FIN | ACK;
	send_down(2000100, SEG_OUT_DRIVER);
	sent(2000106, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 3);
	ck_assert_uint_eq(got[0].marks, 0);
	ck_assert_uint_eq(got[1].marks, SEG_AGAIN);
	ck_assert_uint_eq(got[2].marks, 0);
	done();
}
END_TEST

SUITE("segment-again", test_segment__retransmit_after_a_drop,
      test_segment__retransmit_behind_the_first, test_segment__retransmit_of_a_part,
      test_segment__received_twice, test_segment__duplicate_acks, test_segment__ack_before_data,
      test_segment__lost_event_of_an_equal_packet, test_segment__syn_and_fin)

// SPDX-License-Identifier: GPL-2.0-or-later
// mends: later-segment-hides-the-oldest-wait head-of-line-mixed-in
/* The socket's end of a segment's way: what is read, and what was written. */
#include "segment-feed.h"
#include "suite.h"

/* ---- the socket's queue ---- */

/* sk_data_ready has no packet: rcv_nxt tells what can be read. */
START_TEST(test_segment__queue_by_socket)
{
	begin();
	for (unsigned i = 0; i < 2; i++) {
		pk.seq = 1 + i * MSS;
		in(SEG_IN_TCP, 100 + i * 10);
		in(SEG_IN_ESTABLISHED, 101 + i * 10);
		at_socket(SEG_IN_QUEUE, 105 + i * 10, pk.seq + MSS);
	}
	copy(200, 1, 2 * MSS);
	end();
	ck_assert_uint_eq(n_got, 2);
	is_us(&got[0], SEG_IN_ESTABLISHED, 4);
	is_us(&got[0], SEG_IN_QUEUE, 95);
	is_us(&got[1], SEG_IN_QUEUE, 85);
	done();
}
END_TEST

/* The bytes before it are missing: what it waits for them is told apart from the reader's time. */
START_TEST(test_segment__head_of_line)
{
	begin();
	pk.seq = 1 + MSS;
	for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_TCP; l++)
		in(l, 100 + l);
	ev.rcv_nxt = 1;
	in(SEG_IN_ESTABLISHED, 105);
	at_socket(SEG_IN_DONE, 107, 1);
	ev.rcv_nxt = 0;
	pk.seq = 1;
	receive(5000);
	/* TCP is done with what filled the hole: all can be read */
	at_socket(SEG_IN_QUEUE, 5008, 1 + 2 * MSS);
	copy(5100, 1, 2 * MSS);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(got[0].marks, 0);
	ck_assert_uint_eq(got[1].marks, SEG_WAITED);
	is_us(&got[1], SEG_IN_ESTABLISHED, 2);
	is_us(&got[1], SEG_IN_HOLE, 5008 - 107);
	is_us(&got[1], SEG_IN_QUEUE, 92);
	done();
}
END_TEST

START_TEST(test_segment__never_read)
{
	begin();
	receive(100);
	pk.seq += MSS;
	receive(200);
	copy(400, 1, MSS);
	copy(500, 1 + MSS, 10);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(got[0].marks, 0);
	ck_assert_uint_eq(got[1].marks, SEG_UNREAD | SEG_PART);
	is_unknown(&got[1], SEG_IN_QUEUE);
	done();
}
END_TEST

/* A read that was not seen: the segment is known to be read, its time is not. */
START_TEST(test_segment__lost_copy)
{
	begin();
	receive(100);
	pk.seq += MSS;
	receive(200);
	copy(500, 1 + MSS, MSS);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(got[0].seq, 1);
	ck_assert(got[0].marks & SEG_PART && !(got[0].marks & SEG_UNREAD));
	is_unknown(&got[0], SEG_IN_QUEUE);
	is_us(&got[1], SEG_IN_QUEUE, 500 - 206);
	done();
}
END_TEST

/* A reader may take a long time; a socket that is gone is read by nobody. */
START_TEST(test_segment__late_reader)
{
	begin();
	receive(100);
	pk.seq += MSS;
	receive(200);
	ck_assert_int_eq(segments_pass(segs, 600 * S_US * US), 0);
	ck_assert_uint_eq(n_got, 0);
	copy(601 * S_US, 1, MSS);
	ck_assert_uint_eq(n_got, 1);
	is_us(&got[0], SEG_IN_QUEUE, 601 * S_US - 106);
	ck_assert_int_eq(segments_gone(segs, 7, 602 * S_US * US), 0);
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(got[1].marks, SEG_UNREAD);
	done();
}
END_TEST

/* ---- what was written ---- */

/* A write that did not fit is followed by one for the rest; each byte belongs to the one that gave
 * it. Several small ones go out together (Nagle). */
START_TEST(test_segment__writes)
{
	begin();
	write_at(10, 1, 5 * MSS); /* took 2 MSS */
	write_at(20, 1 + 2 * MSS, 10);
	write_at(30, 1 + 2 * MSS + 10, 10);
	for (unsigned i = 0; i < 2; i++) {
		pk.seq = 1 + i * MSS;
		send_down(40, SEG_OUT_DRIVER);
	}
	pk.seq = 1 + 2 * MSS;
	pk.payload = 20;
	send_down(60, SEG_OUT_DRIVER);
	end();
	ck_assert_uint_eq(n_got, 3);
	is_us(&got[0], SEG_OUT_WRITE, 31);
	is_us(&got[1], SEG_OUT_WRITE, 31);
	is_us(&got[2], SEG_OUT_WRITE, 41);
	ck_assert_uint_eq(got[2].last_ns[SEG_OUT_WRITE], 30 * US);
	done();
}
END_TEST

SUITE("segment-socket", test_segment__queue_by_socket, test_segment__head_of_line,
      test_segment__never_read, test_segment__lost_copy, test_segment__late_reader,
      test_segment__writes)

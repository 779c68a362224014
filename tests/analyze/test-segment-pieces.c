// SPDX-License-Identifier: GPL-2.0-or-later
// mends: merged-segments
/* One segment over layers, where GRO, TCP and GSO make of several packets one, or of one several.
 */
#include "segment-feed.h"
#include "suite.h"

START_TEST(test_segment__gro_merges)
{
	begin();
	for (unsigned i = 0; i < 3; i++) {
		pk.seq = 1 + i * MSS;
		in(SEG_IN_DRIVER, 100 + i * 10);
	}
	pk.seq = 1;
	pk.payload = 3 * MSS;
	pk.segs = 3;
	for (unsigned l = SEG_IN_MAC; l <= SEG_IN_TCP; l++)
		in(l, 130 + l);
	in(SEG_IN_ESTABLISHED, 140);
	in(SEG_IN_QUEUE, 141);
	copy(150, 1, MSS);
	ck_assert_uint_eq(n_got, 0);
	copy(190, 1 + MSS, 2 * MSS);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(got[0].marks, SEG_MERGED);
	ck_assert(got[0].n[SEG_IN_DRIVER] == 3 && got[0].segs == 3 && got[0].payload == 3 * MSS);
	is_us(&got[0], SEG_IN_DRIVER, 31); /* from the first packet on */
	ck_assert_uint_eq(got[0].last_ns[SEG_IN_DRIVER], 120 * US);
	is_us(&got[0], SEG_IN_QUEUE, 49); /* to the last byte; the first one went at 150 */
	ck_assert_uint_eq(got[0].first_ns[SEG_IN_COPY], 150 * US);
	done();
}
END_TEST

/* One packet's event at the driver is lost: when the first came is not known. */
START_TEST(test_segment__gro_with_a_loss)
{
	begin();
	pk.seq = 1 + MSS;
	in(SEG_IN_DRIVER, 100);
	pk.seq = 1;
	pk.payload = 2 * MSS;
	in(SEG_IN_MAC, 130);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert(got[0].marks & SEG_PART);
	is_unknown(&got[0], SEG_IN_DRIVER);
	ck_assert_uint_eq(got[0].start_ns, 130 * US);
	done();
}
END_TEST

/* Two segments whose ACK numbers differ are not merged by GRO. */
START_TEST(test_segment__gro_keeps_acks_apart)
{
	begin();
	in(SEG_IN_DRIVER, 100);
	pk.seq += MSS;
	pk.ack_seq = 200;
	in(SEG_IN_DRIVER, 101);
	pk.seq = 1;
	pk.ack_seq = 100;
	in(SEG_IN_MAC, 110);
	pk.seq += MSS;
	pk.ack_seq = 200;
	in(SEG_IN_MAC, 111);
	end();
	ck_assert_uint_eq(n_got, 2);
	is_us(&got[0], SEG_IN_DRIVER, 10);
	is_us(&got[1], SEG_IN_DRIVER, 10);
	done();
}
END_TEST

/* tcp_add_backlog, tcp_try_coalesce: from then on one event for several segments. */
START_TEST(test_segment__tcp_merges)
{
	begin();
	for (unsigned i = 0; i < 2; i++) {
		pk.seq = 1 + i * MSS;
		for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_BACKLOG; l++)
			in(l, 100 + 10 * i + l);
	}
	pk.seq = 1;
	pk.payload = 2 * MSS;
	pk.ack_seq = 300;
	in(SEG_IN_ESTABLISHED, 200);
	in(SEG_IN_QUEUE, 201);
	copy(210, 1, 2 * MSS);
	end();
	ck_assert_uint_eq(n_got, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(got[i].marks, SEG_MERGED);
		ck_assert_uint_eq(got[i].payload, MSS);
		is_us(&got[i], SEG_IN_BACKLOG, 95 - 10 * i);
		is_us(&got[i], SEG_IN_QUEUE, 9);
	}
	done();
}
END_TEST

START_TEST(test_segment__gso_splits)
{
	begin();
	write_at(90, 1, 1);
	write_at(95, 2, 3 * MSS - 1);
	pk.payload = 3 * MSS;
	pk.segs = 3;
	send_down(100, SEG_OUT_QDISC);
	out(SEG_OUT_COMPLETE, 105); /* consume_skb of the whole, as its parts replace it */
	pk.payload = MSS;
	pk.segs = 1;
	for (unsigned i = 0; i < 3; i++) {
		pk.seq = 1 + i * MSS;
		out(SEG_OUT_DRIVER, 200 + i * 50);
		sent(201 + i * 50, 2, 0);
	}
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(got[0].marks, SEG_SPLIT);
	ck_assert(got[0].segs == 3 && got[0].n[SEG_OUT_DRIVER] == 3 && got[0].n[SEG_OUT_SENT] == 3);
	is_us(&got[0], SEG_OUT_WRITE, 11); /* from its first byte on */
	ck_assert_uint_eq(got[0].last_ns[SEG_OUT_WRITE], 95 * US);
	is_us(&got[0], SEG_OUT_QDISC, 300 - 104); /* until the last packet left it */
	is_us(&got[0], SEG_OUT_DRIVER, 1);
	ck_assert_uint_eq(got[0].first_ns[SEG_OUT_DRIVER], 200 * US);
	done();
}
END_TEST

/* The qdisc threw one of the packets away: it is not told that the segment left. */
START_TEST(test_segment__gso_with_a_drop)
{
	begin();
	pk.payload = 2 * MSS;
	send_down(100, SEG_OUT_QDISC);
	pk.payload = MSS;
	out(SEG_OUT_DRIVER, 200);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert(got[0].marks & SEG_PART);
	is_unknown(&got[0], SEG_OUT_QDISC);
	ck_assert_uint_eq(got[0].end_ns, 104 * US);
	done();
}
END_TEST

SUITE("segment-pieces", test_segment__gro_merges, test_segment__gro_with_a_loss,
      test_segment__gro_keeps_acks_apart, test_segment__tcp_merges, test_segment__gso_splits,
      test_segment__gso_with_a_drop)

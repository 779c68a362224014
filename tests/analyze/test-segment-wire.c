// SPDX-License-Identifier: GPL-2.0-or-later
/* A segment that a capture saw, too: where that time stands among the layers. */
#include "segment-feed.h"
#include "suite.h"

static struct seg_wire saw(uint64_t first_us, uint64_t last_us, uint64_t slack_us)
{
	return (struct seg_wire){.first_ns = first_us * US,
				 .last_ns = last_us * US,
				 .n = 1 + (first_us != last_us),
				 .slack_ns = slack_us * US};
}

/* TCP to QDISC from 101 to 104 us, DRIVER at 150, SENT at 155: what the capture makes of it. */
static const struct segment *sent_segment(struct seg_wire w)
{
	begin();
	wire = &w;
	send_down(100, SEG_OUT_QDISC);
	out(SEG_OUT_DRIVER, 150);
	sent(155, 2, 0);
	end();
	wire = NULL;
	ck_assert_uint_eq(n_got, 1);
	return &got[0];
}

START_TEST(test_segment__tap_on_the_way_out)
{
	const struct segment *s = sent_segment(saw(140, 140, 0));

	is_us(s, SEG_OUT_QDISC, 36);
	is_us(s, SEG_WIRE, 10);
	is_us(s, SEG_OUT_DRIVER, 5);
	ck_assert_uint_eq(s->wire_after, SEG_OUT_QDISC);
	ck_assert_uint_eq(total_us(s), 54);
	ck_assert_uint_eq(s->n[SEG_WIRE], 1);
	done();
}
END_TEST

/* A time in whole microseconds may lie in front of the qdisc; it does not, as far as it says. */
START_TEST(test_segment__wire_is_off_by_its_unit)
{
	const struct segment *s = sent_segment(saw(103, 103, 1));

	is_us(s, SEG_OUT_QDISC, 0);
	is_us(s, SEG_WIRE, 46);
	ck_assert_uint_eq(s->wire_after, SEG_OUT_QDISC);
	done();
	s = sent_segment(saw(151, 151, 1));
	is_us(s, SEG_OUT_QDISC, 46);
	is_us(s, SEG_WIRE, 0);
	done();
	s = sent_segment(saw(102, 102, 1)); /* that is too far */
	is_us(s, SEG_OUT_IP, 0);
	is_us(s, SEG_WIRE, 1);
	ck_assert_uint_eq(s->wire_after, SEG_OUT_IP);
	ck_assert_uint_eq(total_us(s), 54);
	done();
}
END_TEST

/* Captured elsewhere: behind the last layer, which is then longer; in front of the first one. */
START_TEST(test_segment__wire_outside)
{
	const struct segment *s = sent_segment(saw(300, 300, 0));

	ck_assert_uint_eq(s->wire_after, SEG_OUT_SENT);
	is_us(s, SEG_OUT_SENT, 145);
	ck_assert(!(s->known & SEG_BIT(SEG_WIRE)));
	ck_assert_uint_eq(total_us(s), 199);
	done();
	s = sent_segment(saw(60, 60, 0));
	ck_assert_uint_eq(s->wire_after, SEG_WIRE);
	is_us(s, SEG_WIRE, 41);
	ck_assert_uint_eq(s->start_ns, 60 * US);
	ck_assert_uint_eq(total_us(s), 95);
	done();
}
END_TEST

/* Of several packets the last one counts on the way out, the first one on the way in. */
START_TEST(test_segment__wire_of_pieces)
{
	struct seg_wire w = saw(105, 140, 0);

	is_us(sent_segment(w), SEG_OUT_QDISC, 36);
	ck_assert_uint_eq(got[0].first_ns[SEG_WIRE], 105 * US);
	ck_assert_uint_eq(got[0].last_ns[SEG_WIRE], 140 * US);
	ck_assert_uint_eq(got[0].n[SEG_WIRE], 2);
	done();
	begin();
	wire = &w;
	in(SEG_IN_DRIVER, 100);
	in(SEG_IN_MAC, 103);
	in(SEG_IN_IP, 108);
	end();
	wire = NULL;
	is_us(&got[0], SEG_IN_MAC, 2);
	is_us(&got[0], SEG_WIRE, 3);
	ck_assert_uint_eq(got[0].wire_after, SEG_IN_MAC);
	done();
}
END_TEST

/* A device above another: the capture is of one of them. */
START_TEST(test_segment__wire_of_a_stack)
{
	struct seg_wire w = saw(160, 160, 0);

	begin();
	wire = &w;
	send_down(100, SEG_OUT_QDISC); /* at 104 */
	out(SEG_OUT_DRIVER, 150);
	ev.ifindex = 1;
	out(SEG_OUT_QDISC, 151);
	out(SEG_OUT_DRIVER, 171);
	sent(175, 1, 0);
	end();
	wire = NULL;
	ck_assert_uint_eq(got[0].spent_ns[SEG_OUT_QDISC], (46 + 9) * US);
	is_us(&got[0], SEG_WIRE, 11);
	ck_assert_uint_eq(total_us(&got[0]), 74);
	done();
}
END_TEST

/* A layer that nothing tells of may be on either side of the capture. */
START_TEST(test_segment__wire_beside_unknown_layers)
{
	struct seg_wire w = saw(140, 140, 0);

	begin();
	wire = &w;
	send_down(100, SEG_OUT_OUTPUT); /* at 103; no event of the qdisc */
	out(SEG_OUT_DRIVER, 150);
	sent(155, 2, 0);
	end();
	wire = NULL;
	ck_assert_uint_eq(got[0].spans, SEG_BIT(SEG_OUT_OUTPUT) | SEG_BIT(SEG_WIRE));
	ck_assert_uint_eq(got[0].spent_ns[SEG_OUT_OUTPUT], 37 * US);
	ck_assert_uint_eq(got[0].spent_ns[SEG_WIRE], 10 * US);
	done();
}
END_TEST

SUITE("segment-wire", test_segment__tap_on_the_way_out, test_segment__wire_is_off_by_its_unit,
      test_segment__wire_outside, test_segment__wire_of_pieces, test_segment__wire_of_a_stack,
      test_segment__wire_beside_unknown_layers)

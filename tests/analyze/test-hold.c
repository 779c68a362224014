// SPDX-License-Identifier: GPL-2.0-or-later
/* What holds a segment back: each reason by itself, one after the other, and what is not known. */
#include "hold.h"

#include <string.h>

#include "suite.h"

#define MS 1000000ull
#define MSS 1000

static struct hold h;
static uint64_t before[HOLD_WHYS], after[HOLD_WHYS];

/* A socket with much room; a test takes some of it away. */
static struct hold_state state(uint64_t ms)
{
	return (struct hold_state){.ts_ns = ms * MS,
				   .write_seq = 1,
				   .snd_una = 1,
				   .snd_nxt = 1,
				   .snd_wnd = 100000,
				   .cwnd = 10,
				   .mss = MSS,
				   .truesize = 2000,
				   .tsq_limit = 1000000,
				   .nonagle = 1};
}

static void write_bytes(struct hold_state s, uint32_t bytes)
{
	s.bytes = bytes;
	hold_write(&h, &s);
}

/* TCP sends: what was spent since the call before is in after - before. */
static void send_bytes(uint64_t ms, struct hold_state s, uint32_t seq, uint32_t bytes)
{
	s.ts_ns = ms * MS;
	s.seq = seq;
	s.bytes = bytes;
	hold_decide(&h, s.ts_ns, &s);
	memcpy(before, h.spent_ns, sizeof(before));
	hold_at(&h, s.ts_ns, after);
	hold_sent(&h, s.ts_ns, &s);
}

static void is_ms(enum hold_why why, uint64_t ms)
{
	ck_assert_msg(after[why] - before[why] == ms * MS, "%s: %llu us, not %llu ms",
		      hold_names[why], (unsigned long long)(after[why] - before[why]) / 1000,
		      (unsigned long long)ms);
}

/* All of it was that. */
static void is_only(enum hold_why why, uint64_t ms)
{
	for (unsigned i = 0; i < HOLD_WHYS; i++)
		is_ms(i, i == why ? ms : 0);
}

static void begin(void)
{
	memset(&h, 0, sizeof(h));
}

START_TEST(test_hold__path)
{
	begin();
	write_bytes(state(10), 500);
	send_bytes(11, state(0), 1, 500);
	is_only(HOLD_PATH, 1);
}
END_TEST

/* Nothing held it, as far as is known, but it took too long for that. */
START_TEST(test_hold__unknown)
{
	begin();
	write_bytes(state(10), 500);
	send_bytes(13, state(0), 1, 500);
	is_only(HOLD_UNKNOWN, 3);
}
END_TEST

START_TEST(test_hold__cwnd)
{
	struct hold_state s = state(10), ack = state(25);

	begin();
	s.in_flight = 10;
	s.snd_una = 1 - 10 * MSS;
	write_bytes(s, 3 * MSS);
	ack.in_flight = 8;
	ack.snd_una = 1 - 8 * MSS;
	hold_ack(&h, &ack); /* room, and it is used at once */
	s.snd_una = ack.snd_una;
	s.in_flight = 8;
	s.write_seq = 1 + 3 * MSS;
	send_bytes(25, s, 1, 2 * MSS);
	is_only(HOLD_CWND, 15);
	s.in_flight = 0; /* the rest: the window is full again */
	send_bytes(32, s, 1 + 2 * MSS, MSS);
	is_only(HOLD_CWND, 7);
}
END_TEST

/* The window was smaller already, as the next event tells. */
START_TEST(test_hold__cwnd_shrinks)
{
	struct hold_state s = state(10), ack = state(12);

	begin();
	s.in_flight = 10;
	write_bytes(s, 5 * MSS);
	ack.in_flight = 5;
	hold_ack(&h, &ack);
	s.cwnd = 5;
	s.in_flight = 4;
	s.write_seq = 1 + 5 * MSS;
	send_bytes(20, s, 1, MSS);
	is_only(HOLD_CWND, 10);
}
END_TEST

START_TEST(test_hold__rwnd)
{
	struct hold_state s = state(10), ack = state(15);

	begin();
	s.snd_wnd = 2500;
	s.snd_una = 1 - 2000;
	s.in_flight = 2;
	write_bytes(s, 4 * MSS);
	ack.snd_una = 1; /* an ACK alone does not open the window */
	hold_ack(&h, &ack);
	s.snd_una = 1;
	s.in_flight = 0;
	s.write_seq = 1 + 4 * MSS;
	send_bytes(40, s, 1, MSS);
	is_only(HOLD_RWND, 30);
}
END_TEST

/* One small segment is on its way; with TCP_NODELAY that does not matter; nor if it is
 * acknowledged. */
START_TEST(test_hold__nagle)
{
	struct hold_state s = state(10);

	begin();
	s.nonagle = 0;
	write_bytes(s, 100);
	s.write_seq = 101;
	send_bytes(10, s, 1, 100);
	s = state(11);
	s.nonagle = 0;
	s.write_seq = s.snd_nxt = 101;
	s.in_flight = 1;
	write_bytes(s, 100);
	s.in_flight = 0;
	s.snd_una = 101;
	s.write_seq = 201;
	send_bytes(31, s, 101, 100);
	is_ms(HOLD_NAGLE, 20);
	is_ms(HOLD_PATH, 1); /* from the first one's departure to the write: nobody's */
}
END_TEST

START_TEST(test_hold__cork)
{
	struct hold_state s = state(10);

	begin();
	s.nonagle = 2;
	write_bytes(s, 100);
	send_bytes(60, s, 1, 100);
	is_only(HOLD_NAGLE, 50);
}
END_TEST

/* A packet of this socket is in a queue below: a small segment waits until it has left. */
START_TEST(test_hold__autocork)
{
	struct hold_state s = state(10);

	begin();
	s.in_flight = 1;
	s.wmem = 3000;
	write_bytes(s, 100);
	s.wmem = 0;
	send_bytes(14, s, 1, 100);
	is_only(HOLD_NAGLE, 4);
}
END_TEST

/* All that was taken is under way, and the writer waits for room. */
START_TEST(test_hold__sndbuf)
{
	struct hold_state s = state(10);

	begin();
	write_bytes(s, 5 * MSS);
	s.full = true;
	s.write_seq = 1 + 2 * MSS;
	send_bytes(10, s, 1, 2 * MSS);
	s.in_flight = 0;
	s.write_seq = 1 + 4 * MSS;
	send_bytes(30, s, 1 + 2 * MSS, 2 * MSS);
	is_only(HOLD_SNDBUF, 20);
}
END_TEST

/* Below TCP there is too much of it. fq holds it because of the rate; a slow device does not. */
START_TEST(test_hold__tsq)
{
	struct hold_state s = state(10);

	for (unsigned paced = 0; paced < 2; paced++) {
		begin();
		s = state(10);
		write_bytes(s, 5 * MSS);
		s.write_seq = 1 + 5 * MSS;
		s.tsq_limit = 4000;
		s.wmem = 2000;
		s.pacing = HOLD_PACED_BY_FQ;
		send_bytes(10, s, 1, MSS);
		s.wmem = 2000;
		s.paced_to_ns = (paced ? 20 : 5) * MS;
		send_bytes(16, s, 1 + MSS, MSS);
		is_only(paced ? HOLD_PACING : HOLD_TSQ, 6);
	}
}
END_TEST

/* TCP's own timer holds it first; the rest of the time was the window's. */
START_TEST(test_hold__pacing_then_cwnd)
{
	struct hold_state s = state(10);

	begin();
	s.in_flight = 10;
	write_bytes(s, MSS);
	s.pacing = HOLD_PACED_BY_TCP;
	s.paced_to_ns = 14 * MS;
	s.in_flight = 0;
	send_bytes(20, s, 1, MSS);
	is_ms(HOLD_PACING, 4);
	is_ms(HOLD_CWND, 6);
	is_ms(HOLD_UNKNOWN, 0);
}
END_TEST

/* tx_state was lost: what the state before proves stays, and nothing is known behind it. */
START_TEST(test_hold__lost_state)
{
	struct hold_state s = state(10);

	begin();
	s.in_flight = 10;
	write_bytes(s, 2 * MSS);
	hold_decide(&h, 15 * MS, NULL);
	hold_at(&h, 15 * MS, after);
	memset(before, 0, sizeof(before));
	is_only(HOLD_CWND, 5);
	hold_sent(&h, 15 * MS, NULL);
	send_bytes(25, state(0), 1 + MSS, MSS);
	is_only(HOLD_UNKNOWN, 10);
}
END_TEST

/* However often the reason changes: bounded, and the times add up. */
START_TEST(test_hold__many_changes)
{
	struct hold_state s, ack;
	uint64_t sum = 0;

	begin();
	write_bytes(state(10), 50 * MSS);
	for (unsigned i = 0; i < 100; i++) {
		ack = state(11 + i);
		ack.in_flight = i & 1 ? 10 : 2;
		hold_ack(&h, &ack);
	}
	s = state(0);
	send_bytes(200, s, 1, MSS);
	for (unsigned i = 0; i < HOLD_WHYS; i++)
		sum += after[i];
	ck_assert_uint_eq(sum, 190 * MS);
	ck_assert_uint_gt(after[HOLD_UNKNOWN], 0);
}
END_TEST

SUITE("hold", test_hold__path, test_hold__unknown, test_hold__cwnd, test_hold__cwnd_shrinks,
      test_hold__rwnd, test_hold__nagle, test_hold__cork, test_hold__autocork, test_hold__sndbuf,
      test_hold__tsq, test_hold__pacing_then_cwnd, test_hold__lost_state, test_hold__many_changes)

// SPDX-License-Identifier: GPL-2.0-or-later
#include "streams.h"
#include "suite.h"

static const struct sock a = {.cookie = 7, .has_flow = true, .flow.lport = 1000};
static const struct sock b = {.cookie = 7, .has_flow = true, .flow.lport = 1001};

/* What passed between two calls, around the wrap of the numbers. */
START_TEST(test_streams__between_calls)
{
	struct streams s = {0};

	streams_call(&s, &a, STREAM_TX, 0xfffffff0, 100, false); /* what was before is not known */
	streams_call(&s, &a, STREAM_TX, 0x00000010, 32, false);
	streams_call(&s, &a, STREAM_RX, 5000, 5000, false);
	streams_end(&s, &a);
	ck_assert_uint_eq(s.n_past, 0);

	streams_call(&s, &a, STREAM_TX, 0xfffffff0, 100, false);
	streams_call(&s, &a, STREAM_TX, 0x00000010, 2, false);
	streams_call(&s, &a, STREAM_RX, 5000, 10, false);
	streams_call(&s, &a, STREAM_RX, 5000, 0, false); /* MSG_PEEK */
	streams_call(&s, &a, STREAM_RX, 5400, 100, false);
	streams_end(&s, NULL);
	ck_assert_uint_eq(s.n_past, 1);
	ck_assert_uint_eq(s.past_bytes[STREAM_TX], 30);
	ck_assert_uint_eq(s.past_bytes[STREAM_RX], 300);
	streams_fini(&s);
}
END_TEST

/* The FIN takes a number: alone, behind data, behind what no call tells of. */
START_TEST(test_streams__end_of_the_stream)
{
	struct streams s = {0};

	streams_call(&s, &a, STREAM_RX, 100, 100, false);
	streams_call(&s, &a, STREAM_RX, 101, 0, true);
	streams_end(&s, &a);
	streams_call(&s, &a, STREAM_RX, 100, 100, false);
	streams_call(&s, &a, STREAM_RX, 201, 100, false);
	streams_end(&s, &a);
	ck_assert_uint_eq(s.n_past, 0);
	streams_call(&s, &a, STREAM_RX, 100, 100, false);
	streams_call(&s, &a, STREAM_RX, 151, 0, true);
	streams_end(&s, &a);
	ck_assert_uint_eq(s.past_bytes[STREAM_RX], 50);
	streams_fini(&s);
}
END_TEST

/* Both calls of two threads have moved it when the first event is made. */
START_TEST(test_streams__two_threads_at_once)
{
	struct streams s = {0};

	streams_call(&s, &a, STREAM_TX, 100, 100, false);
	streams_call(&s, &a, STREAM_TX, 300, 100, false);
	streams_call(&s, &a, STREAM_TX, 300, 100, false);
	streams_end(&s, &a);
	ck_assert_uint_eq(s.n_past, 0);
	streams_fini(&s);
}
END_TEST

START_TEST(test_streams__connects_again)
{
	struct streams s = {0};

	streams_call(&s, &a, STREAM_TX, 100, 100, false);
	streams_call(&s, &b, STREAM_TX, 5000, 10, false);
	streams_end(&s, &b);
	ck_assert_uint_eq(s.n_past, 0);
	streams_fini(&s);
}
END_TEST

/* Without numbers of its own, or without identity. */
START_TEST(test_streams__not_followed)
{
	struct sock mptcp = a, unknown = a;
	struct streams s = {0};

	mptcp.protocol = BIND_MPTCP;
	unknown.cookie = 0;
	streams_call(&s, &mptcp, STREAM_TX, 100, 100, false);
	streams_call(&s, &unknown, STREAM_TX, 100, 100, false);
	streams_call(&s, NULL, STREAM_TX, 100, 100, false);
	ck_assert_uint_eq(s.map.n, 0);
	streams_fini(&s);
}
END_TEST

SUITE("streams", test_streams__between_calls, test_streams__end_of_the_stream,
      test_streams__two_threads_at_once, test_streams__connects_again, test_streams__not_followed)

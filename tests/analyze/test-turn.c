// SPDX-License-Identifier: GPL-2.0-or-later
#include "suite.h"
#include "turn.h"

enum { TX = STREAM_TX, RX = STREAM_RX };

static struct turns turns;
static struct exchange last;
static unsigned n_told;
static uint64_t told_ns;
static enum turn_role role;
static struct sock sock;

static enum turn_role role_of(void *ctx, const struct sock *s)
{
	return role;
}

static void on(void *ctx, const struct exchange *x, uint64_t ts_ns)
{
	last = *x;
	told_ns = ts_ns;
	n_told++;
}

static void begin(enum turn_role r, uint64_t patience_ns, uint32_t max_open)
{
	struct turns_opts opts = {
		.role = role_of, .on = on, .patience_ns = patience_ns, .max_open = max_open};

	role = r;
	n_told = 0;
	sock = (struct sock){.cookie = 7, .has_flow = true, .flow = {.lport = 80, .rport = 1000}};
	turns_init(&turns, &opts);
}

static void data(uint64_t ts_ns, unsigned direction, uint32_t from, uint32_t to)
{
	struct turn_event e = {.ts_ns = ts_ns,
			       .sock = &sock,
			       .direction = direction,
			       .bytes = to - from,
			       .end_seq = to};

	turns_data(&turns, &e);
}

/* A request in two reads, an answer in two writes, across the wrap of the numbers. */
START_TEST(test_turn__server)
{
	begin(TURN_SERVER, 0, 0);
	data(100, RX, 0xfffffff0, 0xfffffff8);
	data(150, RX, 0xfffffff8, 0x10);
	turns_begin(&turns, &sock, 400);
	data(500, TX, 1000, 1100);
	data(900, TX, 1100, 1200);
	ck_assert_uint_eq(n_told, 0);
	data(2000, RX, 0x10, 0x20); /* the next request ends it */
	ck_assert_uint_eq(n_told, 1);
	ck_assert_uint_eq(told_ns, 2000);
	ck_assert_uint_eq(exchange_turn_ns(&last), 400 - 150);
	ck_assert_uint_eq(last.request_first_ns, 100);
	ck_assert_uint_eq(last.answer_last_ns, 900);
	ck_assert_uint_eq(last.request_bytes, 32);
	ck_assert_uint_eq(last.answer_bytes, 200);
	turns_end(&turns, 3000);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_uint_eq(turns.stats.n_unanswered, 1);
	turns_fini(&turns);
}
END_TEST

/* The server speaks first: nobody has asked for that. */
START_TEST(test_turn__client_after_a_greeting)
{
	begin(TURN_CLIENT, 0, 0);
	data(50, RX, 1, 20);
	data(100, TX, 500, 600);
	data(300, RX, 20, 30);
	data(310, RX, 30, 41);
	turns_gone(&turns, &sock, 400);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_uint_eq(exchange_turn_ns(&last), 200);
	ck_assert_uint_eq(last.answer_bytes, 21);
	ck_assert_uint_eq(turns.stats.n_one_way + turns.stats.n_gaps, 0);
	ck_assert_uint_eq(turns.map.n, 0);
	turns_fini(&turns);
}
END_TEST

static void fin_with_data(void)
{
	struct turn_event e = {
		.ts_ns = 300, .sock = &sock, .direction = RX, .bytes = 10, .end_seq = 31};

	data(50, RX, 1, 20);
	data(100, TX, 500, 600);
	turns_data(&turns, &e);
}

START_TEST(test_turn__fin_is_no_gap)
{
	begin(TURN_CLIENT, 0, 0);
	fin_with_data();
	turns_end(&turns, 400);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_uint_eq(turns.stats.n_gaps, 0);
	turns_fini(&turns);
}
END_TEST

/* What is lost spoils the exchange before it and the one it shows in, not the one after. */
START_TEST(test_turn__lost)
{
	begin(TURN_SERVER, 0, 0);
	data(100, RX, 0, 10);
	data(200, TX, 0, 10);
	data(300, RX, 20, 30); /* 10 to 20 came, before the answer or after it */
	data(400, TX, 10, 20);
	data(500, RX, 30, 40);
	data(600, TX, 20, 30);
	ck_assert_uint_eq(turns.stats.n_gaps, 2);
	ck_assert_uint_eq(n_told, 0);
	data(700, RX, 40, 50);
	ck_assert_uint_eq(n_told, 1);
	data(800, RX, 50, 60); /* another request; the answer to the first one is lost */
	data(900, TX, 40, 50);
	turns_end(&turns, 1000);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_uint_eq(turns.stats.n_gaps, 3);
	turns_fini(&turns);
}
END_TEST

/* Twice the same bytes: MSG_PEEK, a write that is tried again. */
START_TEST(test_turn__again)
{
	begin(TURN_SERVER, 0, 0);
	data(100, RX, 0, 10);
	data(110, RX, 0, 10);
	data(200, TX, 0, 100);
	data(250, TX, 40, 100);
	data(260, TX, 90, 120);
	turns_end(&turns, 1000);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_uint_eq(exchange_turn_ns(&last), 100);
	ck_assert_uint_eq(last.request_bytes, 10);
	ck_assert_uint_eq(last.answer_bytes, 120);
	turns_fini(&turns);
}
END_TEST

/* The client has not seen all of the answer when it sends the next request. */
START_TEST(test_turn__server_pipelined)
{
	begin(TURN_SERVER, 0, 0);
	data(100, RX, 0, 10);
	data(200, TX, 0, 10);
	turns_ack(&turns, &sock, 10);
	data(300, RX, 10, 20);
	data(400, TX, 10, 20);
	turns_ack(&turns, &sock, 15);
	data(500, RX, 20, 30);
	data(600, TX, 20, 30);
	turns_ack(&turns, &sock, 30);
	data(700, RX, 30, 40);
	data(800, TX, 30, 40);
	turns_end(&turns, 1000);
	ck_assert_uint_eq(n_told, 3);
	ck_assert_uint_eq(turns.stats.n_overlaps, 1);
	turns_fini(&turns);
}
END_TEST

/* What comes next was on its way before the request: it does not acknowledge it. */
START_TEST(test_turn__client_pipelined)
{
	begin(TURN_CLIENT, 0, 0);
	data(100, TX, 0, 10);
	turns_ack(&turns, &sock, 10);
	data(200, RX, 0, 10);
	data(300, TX, 10, 20);
	data(310, RX, 10, 20);
	turns_ack(&turns, &sock, 20);
	data(400, RX, 20, 30);
	turns_end(&turns, 1000);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_uint_eq(turns.stats.n_overlaps, 1);
	turns_fini(&turns);
}
END_TEST

/* Acknowledgments that are not recorded any more prove nothing. */
START_TEST(test_turn__acks_end)
{
	begin(TURN_CLIENT, 0, 0);
	data(100, TX, 0, 10);
	turns_ack(&turns, &sock, 10);
	data(200, RX, 0, 10);
	for (uint32_t i = 1; i <= 10; i++) {
		data(100 + 1000 * i, TX, 10 * i, 10 * i + 10);
		data(200 + 1000 * i, RX, 10 * i, 10 * i + 10);
	}
	turns_end(&turns, 100000);
	ck_assert_uint_eq(turns.stats.n_overlaps, 1);
	ck_assert_uint_eq(n_told, 10);
	turns_fini(&turns);
}
END_TEST

/* The server answers while a part of the request waits unread. */
START_TEST(test_turn__unread)
{
	struct turn_event e = {.ts_ns = 100,
			       .sock = &sock,
			       .direction = RX,
			       .bytes = 10,
			       .end_seq = 10,
			       .unread = 30};

	begin(TURN_SERVER, 0, 0);
	turns_data(&turns, &e);
	data(200, TX, 0, 10);
	turns_end(&turns, 1000);
	ck_assert_uint_eq(turns.stats.n_overlaps, 1);
	ck_assert_uint_eq(n_told, 0);
	turns_fini(&turns);
}
END_TEST

START_TEST(test_turn__one_way_and_no_role)
{
	begin(TURN_CLIENT, 0, 0);
	data(100, TX, 0, 10);
	data(200, TX, 10, 20);
	turns_end(&turns, 1000);
	ck_assert_uint_eq(turns.stats.n_one_way, 1);
	ck_assert_uint_eq(turns.stats.n_unanswered, 0);
	role = TURN_UNKNOWN;
	data(100, TX, 0, 10);
	data(200, RX, 0, 10);
	turns_end(&turns, 1000);
	ck_assert_uint_eq(turns.stats.n_without_role, 1);
	ck_assert_uint_eq(turns.stats.n_one_way, 1);
	ck_assert_uint_eq(n_told, 0);
	turns_fini(&turns);
}
END_TEST

START_TEST(test_turn__patience)
{
	begin(TURN_SERVER, 1000, 0);
	data(100, RX, 0, 10);
	data(200, TX, 0, 10);
	turns_pass(&turns, 1200);
	ck_assert_uint_eq(n_told, 0);
	turns_pass(&turns, 1201);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_uint_eq(told_ns, 1201);
	data(5000, RX, 10, 20); /* a request may take any time */
	turns_pass(&turns, 50000);
	data(50100, TX, 10, 20);
	turns_end(&turns, 60000);
	ck_assert_uint_eq(n_told, 2);
	turns_fini(&turns);
}
END_TEST

/* The same socket, another connection: its numbers begin anew. */
START_TEST(test_turn__connects_again)
{
	begin(TURN_CLIENT, 0, 0);
	data(100, TX, 0, 10);
	data(200, RX, 0, 10);
	sock.flow.rport = 1001;
	data(300, TX, 0x80000000, 0x8000000a);
	data(450, RX, 0x70000000, 0x7000000a);
	turns_end(&turns, 1000);
	ck_assert_uint_eq(n_told, 2);
	ck_assert_uint_eq(exchange_turn_ns(&last), 150);
	turns_fini(&turns);
}
END_TEST

/* An event that came late to the recorder: no time below 0. */
START_TEST(test_turn__straggler)
{
	begin(TURN_SERVER, 0, 0);
	data(500, RX, 0, 10);
	data(400, TX, 0, 10);
	turns_end(&turns, 1000);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_uint_eq(exchange_turn_ns(&last), 0);
	ck_assert_uint_eq(last.answer_last_ns, last.answer_first_ns);
	turns_fini(&turns);
}
END_TEST

/* Of more connections than there is room for, the quietest goes. */
START_TEST(test_turn__bounded)
{
	begin(TURN_SERVER, 0, 4);
	for (uint64_t i = 1; i <= 100; i++) {
		sock.cookie = i;
		data(100 * i, RX, 0, 10);
		sock.cookie = 1;
		data(100 * i + 50, TX, (uint32_t)(10 * i), (uint32_t)(10 * i + 10));
		ck_assert_uint_le(turns.map.n, 4);
	}
	ck_assert_uint_eq(turns.stats.n_cut, 96);
	sock.cookie = 1;
	turns_gone(&turns, &sock, 20000);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_uint_eq(last.answer_bytes, 1000);
	turns_fini(&turns);
}
END_TEST

SUITE("turn", test_turn__server, test_turn__client_after_a_greeting, test_turn__fin_is_no_gap,
      test_turn__lost, test_turn__again, test_turn__server_pipelined, test_turn__client_pipelined,
      test_turn__acks_end, test_turn__unread, test_turn__one_way_and_no_role, test_turn__patience,
      test_turn__connects_again, test_turn__straggler, test_turn__bounded)

// SPDX-License-Identifier: GPL-2.0-or-later
#include "identity.h"
#include "suite.h"

enum { ESTABLISHED = 1, SYN_RECV = 3, CLOSE = 7, LISTEN = 10 };

#define LISTENER_PORT 80
#define CHILD 0xffff888000001000
#define OTHER 0xffff888000002000

static struct rec_queue q;

static struct ev_tcp_state change(uint64_t skaddr, uint64_t cookie, uint8_t from, uint8_t to)
{
	struct ev_tcp_state e = {
		.head = {1, 0, EV_tcp_state, sizeof(e)}, .old_state = from, .new_state = to};

	e.sock.skaddr = skaddr;
	e.sock.cookie = cookie;
	e.sock.flow.lport = LISTENER_PORT;
	e.sock.flow.rport = (uint16_t)cookie; /* as in the kernel: known when the cookie is */
	return e;
}

static void follows(uint64_t skaddr, uint64_t cookie, uint8_t from, uint8_t to)
{
	struct ev_tcp_state e = change(skaddr, cookie, from, to);

	rec_queue_add(&q, &e.head);
}

static void setup(void)
{
	ck_assert_int_eq(rec_queue_init(&q, 256 << 10), 0);
}

/* The cookie that a birth gets from what was added; its remote port must come with it. */
static uint64_t completed(void)
{
	struct ev_tcp_state born = change(CHILD, 0, LISTEN, SYN_RECV);

	rec_identity_complete(&born.head, &q);
	ck_assert_uint_eq(born.sock.flow.rport, (uint16_t)born.sock.cookie);
	ck_assert_uint_eq(born.old_state, LISTEN);
	ck_assert_uint_eq(born.new_state, SYN_RECV);
	rec_queue_fini(&q);
	return born.sock.cookie;
}

START_TEST(test_identity__from_the_next_change_of_that_socket)
{
	setup();
	follows(CHILD, 42, SYN_RECV, ESTABLISHED);
	ck_assert_uint_eq(completed(), 42);
}
END_TEST

START_TEST(test_identity__from_a_handshake_that_fails)
{
	setup();
	follows(CHILD, 42, SYN_RECV, CLOSE);
	ck_assert_uint_eq(completed(), 42);
}
END_TEST

START_TEST(test_identity__others_between_are_passed_over)
{
	struct ev_tcp_accept accept = {.head = {1, 0, EV_tcp_accept, sizeof(accept)}};

	setup();
	accept.sock.skaddr = CHILD; /* no state change */
	accept.sock.cookie = 77;
	rec_queue_add(&q, &accept.head);
	follows(OTHER, 43, SYN_RECV, ESTABLISHED);
	follows(CHILD, 42, SYN_RECV, ESTABLISHED);
	ck_assert_uint_eq(completed(), 42);
}
END_TEST

START_TEST(test_identity__never_from_another_socket)
{
	setup();
	follows(OTHER, 43, SYN_RECV, ESTABLISHED);
	ck_assert_uint_eq(completed(), 0);
}
END_TEST

/* The child's own next change was lost, and its memory belongs to somebody else by now. */
START_TEST(test_identity__address_used_again)
{
	setup();
	follows(CHILD, 44, ESTABLISHED, CLOSE);
	follows(CHILD, 45, SYN_RECV, ESTABLISHED);
	ck_assert_uint_eq(completed(), 0);
	setup();
	follows(CHILD, 0, LISTEN, SYN_RECV); /* the next birth at the same place */
	follows(CHILD, 45, SYN_RECV, ESTABLISHED);
	ck_assert_uint_eq(completed(), 0);
}
END_TEST

START_TEST(test_identity__nothing_follows)
{
	setup();
	ck_assert_uint_eq(completed(), 0);
}
END_TEST

START_TEST(test_identity__looks_ahead_256_records)
{
	for (unsigned n = 255; n <= 256; n++) {
		setup();
		for (unsigned i = 0; i < n; i++)
			follows(OTHER, 43, ESTABLISHED, CLOSE);
		follows(CHILD, 42, SYN_RECV, ESTABLISHED);
		ck_assert_uint_eq(completed(), n == 255 ? 42 : 0);
	}
}
END_TEST

START_TEST(test_identity__only_births_without_a_cookie)
{
	struct ev_tcp_state known = change(CHILD, 41, LISTEN, SYN_RECV);
	struct ev_tcp_state later = change(CHILD, 0, ESTABLISHED, CLOSE);
	struct ev_tcp_accept accept = {.head = {1, 0, EV_tcp_accept, sizeof(accept)}};

	setup();
	follows(CHILD, 42, SYN_RECV, ESTABLISHED);
	rec_identity_complete(&known.head, &q);
	ck_assert_uint_eq(known.sock.cookie, 41);
	rec_identity_complete(&later.head, &q);
	ck_assert_uint_eq(later.sock.cookie, 0);
	accept.sock.skaddr = CHILD;
	rec_identity_complete(&accept.head, &q);
	ck_assert_uint_eq(accept.sock.cookie, 0);
	rec_queue_fini(&q);
}
END_TEST

SUITE("identity", test_identity__from_the_next_change_of_that_socket,
      test_identity__from_a_handshake_that_fails, test_identity__others_between_are_passed_over,
      test_identity__never_from_another_socket, test_identity__address_used_again,
      test_identity__nothing_follows, test_identity__looks_ahead_256_records,
      test_identity__only_births_without_a_cookie)

// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "generation.h"
#include "suite.h"

enum { ESTABLISHED = 1, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, LISTEN = 10 };
enum { NEW_SYN_RECV = 12, TCP = 6, MPTCP = 262 };

#define A 0xffff888000001000
#define B 0xffff888000002000
#define SEC 1000000000ull

static struct rec_generation g;
static uint64_t now_ns;

static void setup(size_t max)
{
	now_ns = SEC;
	ck_assert_int_eq(rec_generation_init(&g, false, max), 0);
}

static void fill(struct ev_sock *s, uint64_t skaddr, uint16_t lport, uint16_t rport)
{
	s->skaddr = skaddr;
	s->netns = 0xf0000000;
	s->protocol = TCP;
	s->flow.lport = lport;
	s->flow.rport = rport;
	s->flow.laddr.b[15] = 1;
	s->flow.raddr.b[15] = rport ? 2 : 0;
}

/* The number that the socket of a state change gets. cookie: the real one, 0 none. */
static uint64_t change_with(uint64_t cookie, uint64_t skaddr, unsigned from, unsigned to,
			    uint16_t lport, uint16_t rport)
{
	struct ev_tcp_state e = {.head = {++now_ns, 0, EV_tcp_state, sizeof(e)},
				 .old_state = (uint8_t)from,
				 .new_state = (uint8_t)to};

	fill(&e.sock, skaddr, lport, rport);
	e.sock.cookie = cookie;
	rec_generation_see(&g, &e.head);
	return e.sock.cookie;
}

static uint64_t change(uint64_t skaddr, unsigned from, unsigned to, uint16_t lport, uint16_t rport)
{
	return change_with(0, skaddr, from, to, lport, rport);
}

#define SOCK_EVENT(name)                                                                           \
	static uint64_t name(uint64_t skaddr, uint16_t lport, uint16_t rport)                      \
	{                                                                                          \
		struct ev_##name e = {.head = {++now_ns, 0, EV_##name, sizeof(e)}};                \
                                                                                                   \
		fill(&e.sock, skaddr, lport, rport);                                               \
		rec_generation_see(&g, &e.head);                                                   \
		return e.sock.cookie;                                                              \
	}
SOCK_EVENT(rtt)
SOCK_EVENT(drop)
SOCK_EVENT(tx)
SOCK_EVENT(tcp_accept)
SOCK_EVENT(connect_error)
SOCK_EVENT(tcp_destroy)
SOCK_EVENT(snap_sock)

static uint64_t reset(uint64_t skaddr, uint32_t state, uint16_t lport, uint16_t rport)
{
	struct ev_reset e = {.head = {++now_ns, 0, EV_reset, sizeof(e)}, .state = (uint8_t)state};

	fill(&e.sock, skaddr, lport, rport);
	rec_generation_see(&g, &e.head);
	return e.sock.cookie;
}

static uint64_t synack(uint64_t request, uint64_t listener, uint16_t rport, uint64_t *ret_listener)
{
	struct ev_synack_retransmit e = {.head = {++now_ns, 0, EV_synack_retransmit, sizeof(e)},
					 .listener = listener};

	fill(&e.sock, request, 80, rport);
	rec_generation_see(&g, &e.head);
	if (ret_listener)
		*ret_listener = e.listener;
	return e.sock.cookie;
}

static bool doubtful(uint64_t id)
{
	return id & REC_GENERATION_DOUBTFUL;
}

START_TEST(test_generation__one_number_for_a_life)
{
	uint64_t id;

	setup(0);
	id = change(A, CLOSE, SYN_SENT, 0, 80);
	ck_assert_uint_ge(id, REC_GENERATION_BASE);
	ck_assert(!doubtful(id));
	ck_assert_uint_eq(change(A, SYN_SENT, ESTABLISHED, 4000, 80), id);
	ck_assert_uint_eq(rtt(A, 4000, 80), id);
	ck_assert_uint_ne(rtt(B, 4001, 80), id);
	ck_assert_uint_eq(change(A, FIN_WAIT2, CLOSE, 4000, 80), id);
	ck_assert_uint_eq(tcp_destroy(A, 4000, 80), id);
	rec_generation_fini(&g);
}
END_TEST

/* The next socket at that address has the same ends: a client that asks the same server again. */
START_TEST(test_generation__address_used_again)
{
	uint64_t first, second;

	setup(0);
	first = change(A, CLOSE, SYN_SENT, 0, 80);
	change(A, SYN_SENT, CLOSE, 4000, 80);
	tcp_destroy(A, 4000, 80);
	ck_assert_uint_eq(drop(A, 0, 80), first); /* its queue is freed behind its last event */
	ck_assert_uint_eq(tx(A, 0, 80), first);	  /* and a qdisc lets go of what it held */
	second = change(A, CLOSE, SYN_SENT, 0, 80);
	ck_assert_uint_ne(second, first);
	ck_assert(!doubtful(second));
	ck_assert_uint_eq(change(A, SYN_SENT, ESTABLISHED, 4000, 80), second);
	tcp_destroy(A, 4000, 80);
	/* fails before there is a change of state */
	ck_assert_uint_ne(connect_error(A, 0, 0), second);
	ck_assert_uint_eq(g.n_doubtful, 0);
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__connects_again)
{
	uint64_t id;

	setup(0);
	id = change(A, CLOSE, SYN_SENT, 0, 80);
	change(A, SYN_SENT, CLOSE, 4000, 80);
	ck_assert_uint_eq(connect_error(A, 4000, 0), id);
	ck_assert_uint_eq(change(A, CLOSE, SYN_SENT, 0, 443), id);
	ck_assert_uint_eq(rtt(A, 4007, 443), id);
	ck_assert_uint_eq(g.n_doubtful, 0);
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__child_of_a_listener)
{
	uint64_t listener, first, second;

	setup(0);
	listener = change(A, CLOSE, LISTEN, 80, 0);
	first = change(B, LISTEN, SYN_RECV, 80, 5000);
	ck_assert_uint_ne(first, listener);
	ck_assert_uint_eq(change(B, SYN_RECV, ESTABLISHED, 80, 5000), first);
	ck_assert_uint_eq(tcp_accept(B, 80, 5000), first);
	/* the end of that one was lost: a birth is one all the same, even with the same ends */
	second = change(B, LISTEN, SYN_RECV, 80, 5000);
	ck_assert_uint_ne(second, first);
	ck_assert(!doubtful(second));
	ck_assert_uint_eq(change(A, LISTEN, CLOSE, 80, 0), listener);
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__real_cookies_are_evidence_only)
{
	uint64_t id, other;

	setup(0);
	id = change(A, CLOSE, SYN_SENT, 0, 80);
	ck_assert_uint_eq(change_with(7, A, SYN_SENT, ESTABLISHED, 4000, 80), id);
	ck_assert_uint_eq(change_with(7, A, ESTABLISHED, FIN_WAIT1, 4000, 80), id);
	rec_generation_lost(&g);
	/* the same one, whatever its ends are now */
	ck_assert_uint_eq(change_with(7, A, CLOSE, SYN_SENT, 0, 443), id);
	rec_generation_lost(&g);
	/* another one, though its ends are the same */
	other = change_with(8, A, FIN_WAIT1, FIN_WAIT2, 4000, 443);
	ck_assert_uint_ne(other, id);
	ck_assert_uint_ne(other, 8);
	ck_assert(!doubtful(other));
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__never_a_real_cookie)
{
	uint64_t id;

	setup(0);
	id = change(A, CLOSE, SYN_SENT, 0, 80);
	/* the kernel counts up from 0, and down from 2^64 */
	ck_assert_uint_gt(id, 1ull << 51);
	ck_assert_uint_lt(id, 1ull << 63);
	/* a JSON reader keeps whole numbers up to 2^53 */
	ck_assert_uint_lt(id | REC_GENERATION_DOUBTFUL, 1ull << 53);
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__snapshot)
{
	uint64_t live, gone;

	setup(0);
	now_ns = 10 * SEC; /* rows come first, what happened since the probes run follows */
	live = snap_sock(A, 4000, 80);
	snap_sock(B, 80, 5000);
	now_ns = 9 * SEC;
	ck_assert_uint_eq(rtt(A, 4000, 80), live);
	/* who lived at A before the row was read: other ends, or an end */
	gone = rtt(A, 4009, 80);
	ck_assert_uint_ne(gone, live);
	ck_assert_uint_eq(change(A, FIN_WAIT2, CLOSE, 4009, 80), gone);
	ck_assert_uint_eq(tcp_destroy(A, 4009, 80), gone);
	ck_assert_uint_eq(change(A, SYN_SENT, ESTABLISHED, 4000, 80), live);
	ck_assert_uint_ne(tcp_destroy(B, 80, 5000), live);
	now_ns = 11 * SEC;
	ck_assert_uint_eq(rtt(A, 4000, 80), live);
	ck_assert_uint_eq(tcp_destroy(A, 4000, 80), live);
	ck_assert_uint_ne(change(A, CLOSE, SYN_SENT, 0, 80), live);
	ck_assert_uint_eq(g.n_doubtful, 0);
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__row_read_twice)
{
	uint64_t id;

	setup(0);
	id = snap_sock(A, 4000, 80);
	ck_assert_uint_eq(snap_sock(A, 4000, 80), id);
	ck_assert_uint_ne(snap_sock(A, 4001, 80), id); /* was used again in between */
	rec_generation_fini(&g);
}
END_TEST

/* A request and a socket in TIME_WAIT are structs of their own, at addresses of their own. */
START_TEST(test_generation__request)
{
	uint64_t listener, request, of;

	setup(0);
	listener = change(A, CLOSE, LISTEN, 80, 0);
	request = synack(B, A, 5000, &of);
	ck_assert_uint_eq(of, listener);
	ck_assert_uint_eq(synack(B, A, 5000, NULL), request);
	ck_assert_uint_eq(reset(B, NEW_SYN_RECV, 80, 5000), request);
	ck_assert_uint_ne(synack(B + 512, A, 5001, NULL), request);
	/* the socket that it becomes */
	ck_assert_uint_eq(change(B + 1024, LISTEN, SYN_RECV, 80, 5000), request);
	ck_assert_uint_eq(rtt(B + 1024, 80, 5000), request);
	/* and only that one */
	ck_assert_uint_ne(change(B + 4096, LISTEN, SYN_RECV, 80, 5000), request);
	synack(B, B + 8192, 5002, &of);
	ck_assert_uint_eq(of, 0); /* a listener that is not known */
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__request_of_long_ago)
{
	uint64_t request;

	setup(0);
	request = synack(B, A, 5000, NULL);
	now_ns += 200 * SEC;
	ck_assert_uint_ne(change(A, LISTEN, SYN_RECV, 80, 5000), request);
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__time_wait)
{
	uint64_t id;

	setup(0);
	id = change(A, CLOSE, SYN_SENT, 0, 80);
	ck_assert_uint_eq(reset(B, TIME_WAIT, 4000, 80), 0); /* none is known */
	change(A, SYN_SENT, ESTABLISHED, 4000, 80);
	change(A, ESTABLISHED, FIN_WAIT1, 4000, 80);
	change(A, FIN_WAIT1, FIN_WAIT2, 4000, 80);
	change(A, FIN_WAIT2, CLOSE, 4000, 80);
	tcp_destroy(A, 4000, 80);
	ck_assert_uint_eq(reset(B, TIME_WAIT, 4000, 80), id);
	ck_assert_uint_eq(reset(B, TIME_WAIT, 4001, 80), 0);
	/* it is no request: a connection that comes in with the same ends is a new one */
	ck_assert_uint_ne(change(B, LISTEN, SYN_RECV, 4000, 80), id);
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__after_a_loss)
{
	uint64_t a, b, c;

	setup(0);
	a = change(A, CLOSE, SYN_SENT, 4000, 80);
	b = change(B, CLOSE, SYN_SENT, 4001, 80);
	rec_generation_lost(&g);
	ck_assert_uint_eq(g.n_doubtful, 2);
	/* the same ends: the same socket, as far as anybody can know; it is not torn apart */
	ck_assert_uint_eq(rtt(A, 4000, 80), a);
	/* other ends: a new one, most likely, and marked */
	c = rtt(B, 4002, 80);
	ck_assert_uint_ne(c, b);
	ck_assert(doubtful(c));
	ck_assert_uint_eq(rtt(B, 4002, 80), c);
	ck_assert_uint_eq(g.n_doubtful, 3);
	/* A is known again: it may connect elsewhere and stay what it is */
	ck_assert_uint_eq(change(A, CLOSE, SYN_SENT, 0, 443), a);
	rec_generation_lost(&g);
	c = change(A, CLOSE, SYN_SENT, 0, 8080);
	ck_assert_uint_ne(c, a);
	ck_assert(doubtful(c));
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__without_state_changes)
{
	uint64_t a, b;

	now_ns = SEC;
	ck_assert_int_eq(rec_generation_init(&g, true, 0), 0);
	a = rtt(A, 4000, 80);
	ck_assert_uint_eq(rtt(A, 4000, 80), a);
	b = rtt(A, 4001, 80);
	ck_assert_uint_ne(b, a);
	ck_assert(doubtful(b));
	rec_generation_fini(&g);
}
END_TEST

/* The kernel does not tell when an MPTCP socket is freed; its subflows' addresses are others. */
START_TEST(test_generation__mptcp)
{
	struct ev_tcp_state e = {.head = {1, 0, EV_tcp_state, sizeof(e)},
				 .old_state = ESTABLISHED,
				 .new_state = CLOSE};
	uint64_t id;

	setup(0);
	fill(&e.sock, A, 4000, 80);
	e.sock.protocol = MPTCP;
	rec_generation_see(&g, &e.head);
	id = e.sock.cookie;
	ck_assert_uint_ne(change(A, CLOSE, SYN_SENT, 4000, 80), id);
	ck_assert_uint_eq(g.n_doubtful, 0);
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__no_socket)
{
	struct ev_drop e = {.head = {1, 0, EV_drop, sizeof(e)}};

	setup(0);
	e.sock.cookie = 5;
	rec_generation_see(&g, &e.head);
	ck_assert_uint_eq(e.sock.cookie, 0);
	rec_generation_fini(&g);
}
END_TEST

/* 100,000 connections at a time, ten times as many in all; then the ceiling. */
START_TEST(test_generation__many)
{
	static uint64_t ids[100000];

	setup(0);
	for (uint64_t round = 0; round < 10; round++) {
		for (uint64_t i = 0; i < 100000; i++) {
			uint64_t id = change(A + i * 2304, LISTEN, SYN_RECV, 80, 1);

			ck_assert_uint_ne(id, ids[i]);
			ids[i] = id;
		}
		for (uint64_t i = 0; i < 100000; i++)
			ck_assert_uint_eq(rtt(A + i * 2304, 80, 1), ids[i]);
		for (uint64_t i = 0; i < 100000; i++)
			tcp_destroy(A + i * 2304, 80, 1);
	}
	ck_assert_uint_eq(g.last, 1000000);
	ck_assert_uint_le(g.n_slots, 262144);
	ck_assert_uint_eq(g.n_without, 0);
	/* elsewhere in memory: what has ended makes room */
	for (uint64_t i = 0; i < 100000; i++)
		ck_assert_uint_ne(change(B + (i << 20), LISTEN, SYN_RECV, 80, 1), 0);
	ck_assert_uint_le(g.n_slots, 262144);
	rec_generation_fini(&g);
}
END_TEST

START_TEST(test_generation__ceiling)
{
	uint64_t first;

	setup(3000);
	first = change(A, CLOSE, LISTEN, 80, 0);
	for (uint64_t i = 1; i < 3000; i++)
		ck_assert_uint_ne(change(A + i * 2304, LISTEN, SYN_RECV, 80, 1), 0);
	/* one more has no number, rather than that one of the others loses its own */
	ck_assert_uint_eq(change(B + (1ull << 40), LISTEN, SYN_RECV, 80, 1), 0);
	ck_assert_uint_eq(g.n_without, 1);
	ck_assert_uint_eq(change(A, LISTEN, CLOSE, 80, 0), first);
	/* until some have ended */
	for (uint64_t i = 1; i < 1000; i++)
		tcp_destroy(A + i * 2304, 80, 1);
	ck_assert_uint_ne(change(B + (1ull << 40), LISTEN, SYN_RECV, 80, 1), 0);
	ck_assert_uint_eq(tcp_destroy(A, 80, 0), first);
	rec_generation_fini(&g);
}
END_TEST

SUITE("generation", test_generation__one_number_for_a_life, test_generation__address_used_again,
      test_generation__connects_again, test_generation__child_of_a_listener,
      test_generation__real_cookies_are_evidence_only, test_generation__never_a_real_cookie,
      test_generation__snapshot, test_generation__row_read_twice, test_generation__request,
      test_generation__request_of_long_ago, test_generation__time_wait,
      test_generation__after_a_loss, test_generation__without_state_changes, test_generation__mptcp,
      test_generation__no_socket, test_generation__many, test_generation__ceiling)

// SPDX-License-Identifier: GPL-2.0-or-later
// mends: pointer-reuse
#include <string.h>

#include "conn.h"
#include "outcome.h"
#include "suite.h"

static struct conn_table t;

/* One tcp_state row, as input.c would deliver it. */
struct event {
	uint64_t ts_ns, cookie;
	unsigned from, to;
	uint16_t lport, rport;
	const struct task *task;
	uint64_t err;
};

static struct conn_change take(const struct event *e)
{
	uint64_t from = e->from, to = e->to;
	struct bind b = {.n_fields = ST_N, .n_rows = 1};
	static struct sock sock; /* until it is applied */
	struct bind_row row = {.bind = &b, .ts_ns = e->ts_ns, .sock = &sock, .task = e->task};
	struct conn_change ch;

	sock = (struct sock){.cookie = e->cookie,
			     .has_flow = e->lport || e->rport,
			     .flow = {.lport = e->lport, .rport = e->rport}};
	b.have[ST_OLD] = b.have[ST_NEW] = b.have[ST_ERR] = true;
	b.cols[ST_OLD] = (struct tape_column){.width = 8, .n = 1, .values = &from};
	b.cols[ST_NEW] = (struct tape_column){.width = 8, .n = 1, .values = &to};
	b.cols[ST_ERR] = (struct tape_column){.width = 8, .n = 1, .values = &e->err};
	conn_change_take(&t, &row, &ch);
	return ch;
}

static struct conn_change apply(struct event e)
{
	struct conn_change ch = take(&e);

	conn_change_apply(&t, &ch);
	return ch;
}

static struct conn *find(uint64_t cookie)
{
	return conn_find(&t, &(struct sock){.cookie = cookie});
}

static struct conn *snapshot(uint64_t ts_ns, uint64_t cookie, unsigned state,
			     const struct task *task, bool stale)
{
	uint64_t value = state;
	struct bind b = {.n_fields = SNAP_N, .n_rows = 1};
	struct sock sock = {.cookie = cookie};
	struct bind_row row = {.bind = &b,
			       .ts_ns = ts_ns,
			       .sock = &sock,
			       .task = task,
			       .snapshot = true,
			       .stale = stale};

	b.have[SNAP_STATE] = true;
	b.cols[SNAP_STATE] = (struct tape_column){.width = 8, .n = 1, .values = &value};
	return conn_take_snapshot(&t, &row);
}

START_TEST(test_conn__life_of_a_client)
{
	static const struct task curl = {.pid = 7, .comm = "curl"};
	struct conn_change ch;
	struct conn *c;

	ch = apply((struct event){100, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, 0, 80, &curl, 0});
	ck_assert_uint_eq(ch.since_ns, 0);
	ck_assert(ch.in_task);
	c = find(1);
	ck_assert(c->active && c->connect_ns == 100 && c->born_ns == 100);
	ck_assert(c->has_owner && c->pid == 7);
	ck_assert_str_eq(c->comm, "curl");
	ch = apply((struct event){130, 1, TCP_S_SYN_SENT, TCP_S_ESTABLISHED, 4000, 80, NULL, 0});
	ck_assert_uint_eq(ch.since_ns, 100); /* 30 ns in SYN_SENT */
	ck_assert(!ch.in_task);
	ck_assert_uint_eq(c->flow.lport, 4000); /* bound by now */
	ck_assert_uint_eq(c->connect_ns, 0);
	ck_assert(c->was_established);
	ch = apply((struct event){150, 1, TCP_S_ESTABLISHED, TCP_S_FIN_WAIT1, 4000, 80, &curl, 0});
	ck_assert_uint_eq(ch.since_ns, 130);
	ck_assert_uint_eq(c->born_ns, 100);
	conn_drop(&t, c);
	ck_assert_ptr_null(find(1));
	conn_table_fini(&t);
}
END_TEST

/* A port is used again at once: two sockets, so two connections. */
START_TEST(test_conn__same_addresses_another_socket)
{
	struct conn_change ch;

	apply((struct event){100, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, 4000, 80, NULL, 0});
	apply((struct event){110, 1, TCP_S_SYN_SENT, TCP_S_ESTABLISHED, 4000, 80, NULL, 0});
	ch = apply((struct event){200, 2, TCP_S_CLOSE, TCP_S_SYN_SENT, 4000, 80, NULL, 0});
	ck_assert_uint_eq(ch.since_ns, 0);
	ck_assert_ptr_ne(find(1), find(2));
	ck_assert_uint_eq(find(1)->state, TCP_S_ESTABLISHED);
	ck_assert_uint_eq(find(2)->born_ns, 200);
	conn_table_fini(&t);
}
END_TEST

/* connect() again on one socket after it was refused: one cookie, two connections. */
START_TEST(test_conn__same_socket_connects_again)
{
	struct conn *c;

	apply((struct event){100, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, 4000, 80, NULL, 0});
	c = find(1);
	c->marks = c->reason = 5;
	c->err = 111;
	apply((struct event){110, 1, TCP_S_SYN_SENT, TCP_S_CLOSE, 4000, 80, NULL, 111});
	ck_assert_uint_eq(c->connect_ns, 0);
	apply((struct event){200, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, 4001, 81, NULL, 0});
	ck_assert_ptr_eq(find(1), c);
	ck_assert(c->born_ns == 200 && c->connect_ns == 200 && c->known_ns == 200);
	ck_assert(!c->marks && !c->reason && !c->err && !c->was_established);
	ck_assert(c->flow.lport == 4001 && c->flow.rport == 81);
	conn_table_fini(&t);
}
END_TEST

/* Until the change is applied, the entry is about the attempt before: its end and owner are told.
 */
START_TEST(test_conn__two_remotes_of_one_socket)
{
	static const struct task first = {.pid = 7, .comm = "a"}, second = {.pid = 8, .comm = "b"};
	struct event again = {200, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, 0, 81, &second, 0};
	struct conn_change ch;

	apply((struct event){100, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, 0, 80, &first, 0});
	apply((struct event){110, 1, TCP_S_SYN_SENT, TCP_S_CLOSE, 4000, 80, NULL, 111});
	ch = take(&again);
	ck_assert_uint_eq(ch.since_ns, 110);
	ck_assert(ch.conn->flow.rport == 80 && ch.conn->flow.lport == 4000);
	ck_assert_uint_eq(ch.conn->pid, 7);
	conn_change_apply(&t, &ch);
	ck_assert(ch.conn->flow.rport == 81 && !ch.conn->flow.lport && ch.conn->pid == 8);
	conn_table_fini(&t);
}
END_TEST

/* inet_sport is that of the connect before until the kernel has chosen another. */
START_TEST(test_conn__port_of_the_connect_before)
{
	static const struct task curl = {.pid = 7, .comm = "curl"};
	static const uint16_t told[] = {0, 4000}; /* by newer and older recorders */

	for (size_t i = 0; i < 2; i++) {
		struct event undone = {210, 1, TCP_S_SYN_SENT, TCP_S_CLOSE, 4000, 81, &curl, 0};
		struct sock sock = {.cookie = 1, .has_flow = true, .flow = {.lport = 4000}};
		struct conn_change ch;

		apply((struct event){100, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, 0, 80, &curl, 0});
		apply((struct event){110, 1, TCP_S_SYN_SENT, TCP_S_CLOSE, 4000, 80, NULL, 111});
		apply((struct event){200, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, told[i], 81, &curl, 0});
		ck_assert_uint_eq(find(1)->flow.lport, 0);
		ch = take(&undone);
		ck_assert(conn_undid_connect(&ch, &sock));
		ck_assert_int_eq(outcome_of_connect(&ch, &sock), OUTCOME_LOCAL_ERROR);
		conn_change_apply(&t, &ch);
		ck_assert(find(1)->flow.rport == 81 && !find(1)->flow.lport);

		/* and once more: it is still the first one's */
		apply((struct event){300, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, told[i], 82, &curl, 0});
		undone.ts_ns = 310;
		undone.lport = sock.flow.lport = 4005;
		ch = take(&undone); /* a port was chosen: close() while it was under way */
		ck_assert_int_eq(outcome_of_connect(&ch, &sock), OUTCOME_ABORTED);
		ck_assert_uint_eq(ch.conn->flow.lport, 4005);
		conn_table_fini(&t);
		t = (struct conn_table){0};
	}
	/* bound by the program: it keeps its port */
	apply((struct event){100, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, 4000, 80, &curl, 0});
	apply((struct event){110, 1, TCP_S_SYN_SENT, TCP_S_CLOSE, 4000, 80, NULL, 111});
	apply((struct event){200, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, 4000, 81, &curl, 0});
	ck_assert_uint_eq(find(1)->flow.lport, 4000);
	conn_table_fini(&t);
}
END_TEST

START_TEST(test_conn__unknown_cookie)
{
	struct conn_change ch =
		apply((struct event){100, 0, TCP_S_CLOSE, TCP_S_SYN_SENT, 1, 2, NULL, 0});

	ck_assert_ptr_null(ch.conn);
	ck_assert_uint_eq(t.map.n, 0);
	ck_assert_ptr_null(conn_get(&t, NULL));
	ck_assert_ptr_null(conn_find(&t, NULL));
	conn_drop(&t, NULL);
	conn_table_fini(&t);
}
END_TEST

/* tcp_disconnect wipes the remote end: the connection keeps the one that it had. */
START_TEST(test_conn__addresses_are_not_forgotten)
{
	apply((struct event){100, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, 0, 80, NULL, 0});
	apply((struct event){110, 1, TCP_S_SYN_SENT, TCP_S_ESTABLISHED, 4000, 80, NULL, 0});
	apply((struct event){120, 1, TCP_S_ESTABLISHED, TCP_S_CLOSE, 4000, 0, NULL, 0});
	ck_assert_uint_eq(find(1)->flow.rport, 80);
	ck_assert_uint_eq(find(1)->flow.lport, 4000);
	conn_table_fini(&t);
}
END_TEST

START_TEST(test_conn__child_with_its_listeners_cookie)
{
	struct conn_change ch;

	apply((struct event){100, 1, TCP_S_CLOSE, TCP_S_LISTEN, 80, 0, NULL, 0});
	ck_assert(find(1)->listens);
	ch = apply((struct event){110, 1, TCP_S_LISTEN, TCP_S_SYN_RECV, 80, 0, NULL, 0});
	ck_assert_ptr_null(ch.conn);
	ck_assert(find(1)->listens && find(1)->state == TCP_S_LISTEN);
	ch = apply((struct event){120, 2, TCP_S_SYN_RECV, TCP_S_ESTABLISHED, 80, 4000, NULL, 0});
	ck_assert_uint_eq(find(2)->born_ns, 120); /* its first sign */
	ck_assert(!find(2)->active);
	conn_table_fini(&t);
}
END_TEST

/* mptcp_sk_clone_init: the accepted socket has its listener's cookie in all its states. */
START_TEST(test_conn__mptcp_child_with_its_listeners_cookie)
{
	static const struct task kworker = {.pid = 9, .comm = "kworker/1:2"};
	static const unsigned states[] = {TCP_S_LISTEN,	  TCP_S_ESTABLISHED, TCP_S_CLOSE_WAIT,
					  TCP_S_LAST_ACK, TCP_S_CLOSE,	     TCP_S_CLOSE};
	struct conn_change ch;

	apply((struct event){100, 1, TCP_S_CLOSE, TCP_S_LISTEN, 80, 0, NULL, 0});
	for (size_t i = 0; i + 1 < sizeof(states) / sizeof(states[0]); i++) {
		ch = apply((struct event){110 + i, 1, states[i], states[i + 1], 80, 4000, &kworker,
					  0});
		ck_assert_ptr_null(ch.conn);
	}
	ck_assert(find(1)->listens && find(1)->state_ns == 100 && !find(1)->flow.rport);
	ck_assert(!find(1)->has_owner);
	ch = apply((struct event){200, 1, TCP_S_LISTEN, TCP_S_CLOSE, 80, 0, NULL, 0});
	ck_assert_uint_eq(ch.since_ns, 100);
	ck_assert(!find(1)->listens);
	/* of a listener that is not known */
	ch = apply((struct event){200, 2, TCP_S_LISTEN, TCP_S_ESTABLISHED, 80, 0, NULL, 0});
	ck_assert_ptr_null(ch.conn);
	ck_assert_ptr_null(find(2));
	conn_table_fini(&t);
}
END_TEST

/* A lost event: the old state is not the one we knew, so the time in it is not known. */
START_TEST(test_conn__gap_in_the_states)
{
	struct conn_change ch;

	apply((struct event){100, 1, TCP_S_CLOSE, TCP_S_SYN_SENT, 4000, 80, NULL, 0});
	ch = apply((struct event){150, 1, TCP_S_ESTABLISHED, TCP_S_FIN_WAIT1, 4000, 80, NULL, 0});
	ck_assert_uint_eq(ch.since_ns, 0);
	ch = apply((struct event){160, 1, TCP_S_FIN_WAIT1, TCP_S_FIN_WAIT2, 4000, 80, NULL, 0});
	ck_assert_uint_eq(ch.since_ns, 150);
	conn_table_fini(&t);
}
END_TEST

START_TEST(test_conn__owner)
{
	static const struct task first = {.pid = 1, .comm = "systemd"},
				 second = {.pid = 2, .comm = "worker"}, nobody = {.pid = 0},
				 kworker = {.pid = 3, .comm = "kworker/0:1"};
	struct conn c = {0};

	conn_own(&c, NULL, true);
	conn_own(&c, &nobody, true);  /* softirq over the idle task */
	conn_own(&c, &kworker, true); /* works for somebody else */
	ck_assert(!c.has_owner);
	ck_assert_ptr_null(conn_owner_name(&c));
	conn_own(&c, &first, false);
	conn_own(&c, &second, false);
	ck_assert_uint_eq(c.pid, 1);
	ck_assert_str_eq(conn_owner_name(&c), "seen");
	conn_own(&c, &second, true); /* it accepted */
	ck_assert_uint_eq(c.pid, 2);
	ck_assert_str_eq(c.comm, "worker");
	ck_assert_str_eq(conn_owner_name(&c), "owner");
	conn_own(NULL, &first, true);
}
END_TEST

START_TEST(test_conn__snapshot)
{
	static const struct task nginx = {.pid = 3, .comm = "nginx"};
	struct conn *c = snapshot(50, 1, TCP_S_ESTABLISHED, &nginx, false);

	ck_assert_str_eq(conn_owner_name(c), "snapshot");
	ck_assert(c->state == TCP_S_ESTABLISHED && c->was_established && c->pid == 3);
	ck_assert(c->known_ns == 50 && !c->born_ns && !c->state_ns); /* since when: not known */
	ck_assert(snapshot(50, 2, TCP_S_LISTEN, NULL, false)->listens);
	c = snapshot(50, 3, TCP_S_ESTABLISHED, &nginx, true); /* from before the window */
	ck_assert(c->state == TCP_S_UNKNOWN && !c->known_ns && c->pid == 3);
	apply((struct event){100, 4, TCP_S_ESTABLISHED, TCP_S_CLOSE_WAIT, 1, 2, NULL, 0});
	c = snapshot(90, 4, TCP_S_ESTABLISHED, NULL, false); /* what happened counts more */
	ck_assert_uint_eq(c->state, TCP_S_CLOSE_WAIT);
	conn_table_fini(&t);
}
END_TEST

/* Without tcp_destroy in the trace, memory still follows what lives. */
START_TEST(test_conn__closed_ones_are_swept)
{
	enum { LIVE = 100, N = 50000 };

	for (uint64_t i = 1; i <= LIVE; i++)
		apply((struct event){i, i, TCP_S_CLOSE, TCP_S_SYN_SENT, 1, 2, NULL, 0});
	for (uint64_t i = LIVE + 1; i <= N; i++) {
		apply((struct event){i, i, TCP_S_CLOSE, TCP_S_SYN_SENT, 1, 2, NULL, 0});
		apply((struct event){i, i, TCP_S_SYN_SENT, TCP_S_CLOSE, 1, 2, NULL, 111});
		ck_assert_uint_lt(t.map.n, 10000);
	}
	for (uint64_t i = 1; i <= LIVE; i++)
		ck_assert_ptr_nonnull(find(i));
	conn_table_fini(&t);
}
END_TEST

/* Those that wait for their totals are not: they are still to be printed. */
START_TEST(test_conn__what_is_held_is_not_swept)
{
	enum { N = 20000, HELD = 4, SWEPT_AT_LEAST = 2000 };

	t.held_marks = HELD;
	for (uint64_t i = 1; i <= N; i++) {
		apply((struct event){i, i, TCP_S_CLOSE, TCP_S_SYN_SENT, 1, 2, NULL, 0});
		if (i % 2)
			find(i)->marks = HELD;
		apply((struct event){i, i, TCP_S_SYN_SENT, TCP_S_CLOSE, 1, 2, NULL, 111});
	}
	for (uint64_t i = 1; i <= N; i += 2)
		ck_assert_ptr_nonnull(find(i));
	ck_assert_uint_lt(t.map.n, N - SWEPT_AT_LEAST);
	for (uint64_t i = 1; i <= N; i++)
		conn_drop(&t, find(i));
	ck_assert_uint_eq(t.n_closed, 0);
	ck_assert_uint_eq(t.map.n, 0);
	conn_table_fini(&t);
	t = (struct conn_table){0};
}
END_TEST

START_TEST(test_conn__which_states_are_open)
{
	static const unsigned open[] = {TCP_S_ESTABLISHED, TCP_S_SYN_SENT,  TCP_S_SYN_RECV,
					TCP_S_FIN_WAIT1,   TCP_S_FIN_WAIT2, TCP_S_CLOSE_WAIT,
					TCP_S_LAST_ACK,	   TCP_S_CLOSING};
	static const unsigned other[] = {
		TCP_S_UNKNOWN, TCP_S_TIME_WAIT, TCP_S_CLOSE, TCP_S_LISTEN, 12, 255};

	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		ck_assert(conn_state_is_open(open[i]));
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		ck_assert(!conn_state_is_open(other[i]));
}
END_TEST

SUITE("conn", test_conn__life_of_a_client, test_conn__same_addresses_another_socket,
      test_conn__same_socket_connects_again, test_conn__two_remotes_of_one_socket,
      test_conn__port_of_the_connect_before, test_conn__unknown_cookie,
      test_conn__addresses_are_not_forgotten, test_conn__child_with_its_listeners_cookie,
      test_conn__mptcp_child_with_its_listeners_cookie, test_conn__gap_in_the_states,
      test_conn__owner, test_conn__snapshot, test_conn__closed_ones_are_swept,
      test_conn__what_is_held_is_not_swept, test_conn__which_states_are_open)

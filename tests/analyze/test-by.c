// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "by.h"
#include "suite.h"

static const struct sock sock = {
	.cookie = 7,
	.has_flow = true,
	.netns = 5,
	.flow = {.lport = 80, .rport = 4000, .raddr = {[15] = 1}, .laddr = {[15] = 2}}};
static const struct task task = {.cgroup = 9, .pid = 100, .tid = 101, .comm = "worker"};

START_TEST(test_by__keys)
{
	uint32_t keys = BY_OF_SOCKETS | BY_BIT(BY_TID);
	enum by_key key = BY_CALLER;
	struct fail fail;

	ck_assert_int_eq(by_parse(NULL, keys, &key, &fail), 0);
	ck_assert_int_eq(key, BY_CALLER);
	ck_assert_int_eq(by_parse("remote", keys, &key, &fail), 0);
	ck_assert_int_eq(key, BY_REMOTE);
	ck_assert_int_eq(by_parse("Remote", keys, &key, &fail), -1);
	ck_assert_int_eq(by_parse("", keys, &key, &fail), -1);
	ck_assert_int_eq(fail.status, STATUS_USAGE);
	ck_assert_int_eq(by_parse("interface", keys, &key, &fail), -1); /* not of this command */
	ck_assert_str_eq(fail.text, "--by takes conn, pid, tid, comm, cgroup, netns, remote, local "
				    "or listener, not 'interface'");
}
END_TEST

static struct by_who who;

static bool id_of(enum by_key key, const struct sock *s, const struct task *t, struct by_id *ret)
{
	struct by_event e = {.sock = s, .task = t, .ifindex = 2};

	return by_id(&who, key, &e, ret);
}

static bool same(enum by_key key, const struct sock *s, const struct task *t)
{
	struct by_id a, b;

	ck_assert(id_of(key, &sock, &task, &a));
	ck_assert(id_of(key, s, t, &b));
	return !memcmp(&a, &b, sizeof(a));
}

/* Each key looks at its own part of an event, and at nothing else. */
START_TEST(test_by__what_makes_a_group)
{
	struct sock s = sock;
	struct task t = task;

	s.flow.rport = 4001;
	ck_assert(!same(BY_CONN, &s, &task));
	ck_assert(same(BY_REMOTE, &s, &task) && same(BY_NETNS, &s, &task));
	s = sock;
	s.flow.raddr[0] = 1;
	ck_assert(!same(BY_CONN, &s, &task) && !same(BY_REMOTE, &s, &task));
	s = sock;
	s.netns = 6;
	ck_assert(!same(BY_NETNS, &s, &task) && same(BY_PID, &s, &task));
	ck_assert(!same(BY_INTERFACE, &s, &task) && same(BY_LOCAL, &s, &task));
	s = sock;
	s.flow.laddr[0] = 1;
	ck_assert(!same(BY_LOCAL, &s, &task) && same(BY_REMOTE, &s, &task));
	t.tid = 102;
	ck_assert(!same(BY_TID, &sock, &t));
	ck_assert(same(BY_PID, &sock, &t) && same(BY_CALLER, &sock, &t));
	t.pid = 102;
	ck_assert(!same(BY_PID, &sock, &t) && !same(BY_CALLER, &sock, &t));
	ck_assert(same(BY_CONN, &sock, &t));
	ck_assert(same(BY_COMM, &sock, &t) && same(BY_CGROUP, &sock, &t));
	strcpy(t.comm, "main");
	t.cgroup = 10;
	ck_assert(!same(BY_COMM, &sock, &t) && !same(BY_CGROUP, &sock, &t));
}
END_TEST

/* Behind its NUL a name may hold what the one before left there. */
START_TEST(test_by__names_end_at_their_nul)
{
	struct task t = task;

	t.comm[10] = 'x';
	ck_assert(same(BY_COMM, &sock, &t));
}
END_TEST

START_TEST(test_by__events_that_do_not_tell)
{
	struct sock no_flow = {.cookie = 7};
	struct by_groups groups = {.key = BY_REMOTE, .size = sizeof(struct by_group), .max = 8};
	struct by_event e = {.sock = &no_flow};
	struct by_group *g;
	struct by_id id;

	ck_assert(!id_of(BY_CONN, NULL, &task, &id));
	ck_assert(!id_of(BY_REMOTE, &no_flow, &task, &id));
	ck_assert(!id_of(BY_PID, &sock, NULL, &id));
	ck_assert(!id_of(BY_LISTENER, &sock, &task, &id));
	ck_assert(id_of(BY_CONN, &sock, NULL, &id));
	/* they are a group of their own */
	g = by_groups_get(&groups, &who, &e);
	e.sock = NULL;
	ck_assert_ptr_eq(by_groups_get(&groups, &who, &e), g);
	e.sock = &sock;
	ck_assert_ptr_ne(by_groups_get(&groups, &who, &e), g);
	by_groups_fini(&groups);
}
END_TEST

START_TEST(test_by__a_process_is_named_by_its_main_thread)
{
	struct by_groups groups = {.key = BY_PID, .size = sizeof(struct by_group), .max = 8};
	struct task main_thread = task, other = task;
	struct by_event e = {.sock = &sock, .task = &task};
	struct by_group *g;

	main_thread.tid = main_thread.pid;
	strcpy(main_thread.comm, "server");
	other.tid = other.pid = 200;
	strcpy(other.comm, "other");
	g = by_groups_get(&groups, &who, &e);
	e.task = &other;
	ck_assert_ptr_ne(by_groups_get(&groups, &who, &e), g);
	ck_assert_str_eq(g->task.comm, "worker");
	e.task = &main_thread;
	ck_assert_ptr_eq(by_groups_get(&groups, &who, &e), g);
	e.task = &task;
	ck_assert_ptr_eq(by_groups_get(&groups, &who, &e), g);
	ck_assert_str_eq(g->task.comm, "server");
	by_groups_fini(&groups);
}
END_TEST

static bool is_of_80(struct by_group *g)
{
	return g->sock.flow.lport == 80;
}

START_TEST(test_by__groups_are_bounded_sorted_and_freed)
{
	struct by_groups groups = {.key = BY_CONN, .size = sizeof(struct by_group), .max = 100};
	struct sock s = sock;
	struct by_event e = {.sock = &s};

	for (unsigned i = 0; i < 150; i++) {
		s.cookie = 1000 - i;
		s.flow.lport = (uint16_t)(80 + i % 2);
		ck_assert_int_eq(by_groups_get(&groups, &who, &e) != NULL, i < 100);
	}
	ck_assert_uint_eq(groups.n, 100);
	ck_assert_uint_eq(groups.n_left_out, 50);
	by_groups_sort(&groups);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(groups.list[i]->sock.cookie, 901 + i);
	by_groups_keep(&groups, is_of_80);
	ck_assert_uint_eq(groups.n, 50);
	s = (struct sock){.cookie = 1000, .has_flow = true, .flow = sock.flow, .netns = 5};
	ck_assert_ptr_eq(by_groups_get(&groups, &who, &e), groups.list[49]);
	by_groups_fini(&groups);
}
END_TEST

static const uint8_t any6[FLOW_ADDR_LEN];
static const uint8_t local_host[FLOW_ADDR_LEN] = {[10] = 0xff, 0xff, 127, 0, 0, 1};

/* Feed one row of tcp_state to the bind that by_bind() made for it. */
static void change(struct sock *s, unsigned old_state, unsigned new_state)
{
	struct bind binds[BY_N_BINDS];
	uint8_t values[ST_N] = {[ST_OLD] = (uint8_t)old_state, [ST_NEW] = (uint8_t)new_state};
	struct bind *b = &binds[BY_BIND_CONN + CONN_TRACK_STATE];
	struct bind_row row = {.bind = b, .ts_ns = 5, .sock = s};

	by_bind(binds);
	for (unsigned f = ST_OLD; f <= ST_NEW; f++) {
		b->have[f] = true;
		b->cols[f] = (struct tape_column){.values = &values[f], .width = 1, .n = 1};
	}
	ck_assert_int_eq(b->on(&who, &row), 0);
}

static unsigned listener_of(struct sock *s, uint8_t addr[FLOW_ADDR_LEN])
{
	struct by_id id;

	if (!id_of(BY_LISTENER, s, NULL, &id))
		return 0;
	memcpy(addr, id.bytes, FLOW_ADDR_LEN);
	return (unsigned)id.b;
}

START_TEST(test_by__listeners)
{
	struct sock listener = {.cookie = 1, .has_flow = true, .netns = 5, .flow.lport = 80};
	struct sock other = {.cookie = 2, .has_flow = true, .netns = 5, .flow.lport = 81};
	struct sock server = {.cookie = 3, .has_flow = true, .netns = 5, .flow.lport = 80};
	struct sock client = server, late = server;
	uint8_t addr[FLOW_ADDR_LEN];

	memcpy(server.flow.laddr, local_host, sizeof(local_host));
	server.flow.rport = 4000;
	client = late = server;
	ck_assert_uint_eq(listener_of(&server, addr), 0);
	change(&listener, TCP_S_CLOSE, TCP_S_LISTEN); /* at any address, of both families */
	ck_assert_uint_eq(listener_of(&server, addr), 80);
	ck_assert_mem_eq(addr, any6, sizeof(any6));
	server.netns = 6;
	ck_assert_uint_eq(listener_of(&server, addr), 0);
	server.netns = 5;
	memcpy(listener.flow.laddr, local_host, sizeof(local_host));
	change(&listener, TCP_S_CLOSE, TCP_S_LISTEN); /* at this one: it comes first */
	ck_assert_uint_eq(listener_of(&server, addr), 80);
	ck_assert_mem_eq(addr, local_host, sizeof(local_host));
	/* who connects was accepted by nobody here, whatever its port is */
	client.cookie = 4;
	change(&client, TCP_S_CLOSE, TCP_S_SYN_SENT);
	ck_assert_uint_eq(listener_of(&client, addr), 0);
	/* accepted, and the trace does not tell where: its own end stands for it */
	late.cookie = 5;
	late.flow.lport = 82;
	change(&late, TCP_S_LISTEN, TCP_S_SYN_RECV);
	ck_assert_uint_eq(listener_of(&late, addr), 82);
	ck_assert_mem_eq(addr, local_host, sizeof(local_host));
	change(&other, TCP_S_CLOSE, TCP_S_LISTEN);
	by_who_fini(&who);
	who = (struct by_who){0};
}
END_TEST

SUITE("by", test_by__keys, test_by__what_makes_a_group, test_by__names_end_at_their_nul,
      test_by__events_that_do_not_tell, test_by__a_process_is_named_by_its_main_thread,
      test_by__groups_are_bounded_sorted_and_freed, test_by__listeners)

// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "by.h"
#include "suite.h"

static const struct sock sock = {.cookie = 7,
				 .has_flow = true,
				 .netns = 5,
				 .flow = {.lport = 80, .rport = 4000, .raddr = {[15] = 1}}};
static const struct task task = {.cgroup = 9, .pid = 100, .tid = 101, .comm = "worker"};

START_TEST(test_by__keys)
{
	struct fail fail;
	enum by_key key;

	ck_assert_int_eq(by_parse(NULL, &key, &fail), 0);
	ck_assert_int_eq(key, BY_CONN);
	ck_assert_int_eq(by_parse("remote", &key, &fail), 0);
	ck_assert_int_eq(key, BY_REMOTE);
	ck_assert_int_eq(by_parse("Remote", &key, &fail), -1);
	ck_assert_int_eq(by_parse("", &key, &fail), -1);
	ck_assert_int_eq(fail.status, STATUS_USAGE);
}
END_TEST

static bool same(enum by_key key, const struct sock *s, const struct task *t)
{
	struct by_id a, b;

	ck_assert(by_id(key, &sock, &task, &a));
	ck_assert(by_id(key, s, t, &b));
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
	t.tid = 102;
	ck_assert(!same(BY_TID, &sock, &t));
	ck_assert(same(BY_PID, &sock, &t) && same(BY_CONN, &sock, &t));
	t.pid = 102;
	ck_assert(!same(BY_PID, &sock, &t) && !same(BY_CONN, &sock, &t));
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
	struct by_id id;

	ck_assert(!by_id(BY_CONN, NULL, &task, &id));
	ck_assert(!by_id(BY_REMOTE, &no_flow, &task, &id));
	ck_assert(!by_id(BY_PID, &sock, NULL, &id));
	ck_assert(by_id(BY_CONN, &sock, NULL, &id));
}
END_TEST

START_TEST(test_by__a_process_is_named_by_its_main_thread)
{
	struct task main_thread = task, other = task;
	struct by_group g;
	struct by_id id;

	main_thread.tid = main_thread.pid;
	strcpy(main_thread.comm, "server");
	other.tid = other.pid = 200;
	strcpy(other.comm, "other");
	ck_assert(by_id(BY_PID, &sock, &task, &id));
	by_open(&g, &id, &sock, &task);
	by_see(&g, &other);
	ck_assert_str_eq(g.task.comm, "worker");
	by_see(&g, &main_thread);
	by_see(&g, &task);
	ck_assert_str_eq(g.task.comm, "server");
}
END_TEST

SUITE("by", test_by__keys, test_by__what_makes_a_group, test_by__names_end_at_their_nul,
      test_by__events_that_do_not_tell, test_by__a_process_is_named_by_its_main_thread)

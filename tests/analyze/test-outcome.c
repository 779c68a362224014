// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "outcome.h"
#include "suite.h"

/* errno as Linux has it on x86 and arm; the trace may be read elsewhere */
enum {
	E_ACCES = 13,
	E_PIPE = 32,
	E_NETDOWN = 100,
	E_NETUNREACH = 101,
	E_CONNRESET = 104,
	E_TIMEDOUT = 110,
	E_CONNREFUSED = 111,
	E_HOSTDOWN = 112,
	E_HOSTUNREACH = 113,
};

static struct conn_change change(unsigned from, unsigned to, uint16_t err, bool in_task)
{
	return (struct conn_change){.old_state = from,
				    .new_state = to,
				    .err = err,
				    .has_err = true,
				    .in_task = in_task};
}

START_TEST(test_outcome__of_connect)
{
	static const struct {
		unsigned to;
		uint16_t err;
		bool in_task;
		enum outcome expected;
	} rows[] = {
		{TCP_S_ESTABLISHED, 0, false, OUTCOME_OK},
		{TCP_S_ESTABLISHED, E_HOSTUNREACH, false, OUTCOME_OK}, /* an ICMP that passed by */
		{TCP_S_CLOSE, E_CONNREFUSED, false, OUTCOME_REFUSED},
		{TCP_S_CLOSE, E_TIMEDOUT, false, OUTCOME_TIMEOUT},
		{TCP_S_CLOSE, E_HOSTUNREACH, false, OUTCOME_UNREACHABLE},
		{TCP_S_CLOSE, E_NETUNREACH, false, OUTCOME_UNREACHABLE},
		{TCP_S_CLOSE, E_NETDOWN, false, OUTCOME_UNREACHABLE},
		{TCP_S_CLOSE, E_HOSTDOWN, false, OUTCOME_UNREACHABLE},
		{TCP_S_CLOSE, E_ACCES, false, OUTCOME_ERROR},
		{TCP_S_CLOSE, 0, true, OUTCOME_ABORTED}, /* close() while it was under way */
		{TCP_S_CLOSE, 0, false, OUTCOME_ABORTED},
	};
	struct sock bound = {.cookie = 1, .has_flow = true, .flow = {.lport = 5, .rport = 6}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conn_change ch =
			change(TCP_S_SYN_SENT, rows[i].to, rows[i].err, rows[i].in_task);

		ck_assert_msg(outcome_of_connect(&ch, &bound) == rows[i].expected, "row %zu: %s", i,
			      outcome_name(outcome_of_connect(&ch, &bound)));
	}
}
END_TEST

/* tcp_v4_connect takes SYN_SENT back when inet_hash_connect finds no port. */
START_TEST(test_outcome__no_syn_left)
{
	struct sock unbound = {.cookie = 1, .has_flow = true, .flow = {.rport = 6}};
	struct conn_change ch = change(TCP_S_SYN_SENT, TCP_S_CLOSE, 0, true);

	ck_assert_int_eq(outcome_of_connect(&ch, &unbound), OUTCOME_LOCAL_ERROR);
	ch.in_task = false; /* a timer or ICMP does not do that */
	ck_assert_int_eq(outcome_of_connect(&ch, &unbound), OUTCOME_ABORTED);
	ch.in_task = true;
	ck_assert_int_eq(outcome_of_connect(&ch, NULL), OUTCOME_ABORTED);
}
END_TEST

START_TEST(test_outcome__not_recorded_is_not_zero)
{
	struct conn_change ch = change(TCP_S_SYN_SENT, TCP_S_CLOSE, 0, true);

	ch.has_err = false;
	ck_assert_int_eq(outcome_of_connect(&ch, NULL), OUTCOME_NONE);
	ch.old_state = TCP_S_ESTABLISHED;
	ck_assert_int_eq(outcome_of_close(&ch), OUTCOME_NONE);
}
END_TEST

START_TEST(test_outcome__which_changes_end_a_connect)
{
	struct conn connecting = {.connect_ns = 1}, idle = {0};
	struct conn_change ch = change(TCP_S_SYN_SENT, TCP_S_ESTABLISHED, 0, false);

	ck_assert(outcome_ends_connect(&ch));
	ch = change(TCP_S_SYN_SENT, TCP_S_CLOSE, 0, false);
	ck_assert(outcome_ends_connect(&ch));
	ch = change(TCP_S_SYN_SENT, TCP_S_SYN_RECV, 0, false); /* simultaneous open: not yet */
	ck_assert(!outcome_ends_connect(&ch));
	ch = change(TCP_S_SYN_RECV, TCP_S_ESTABLISHED, 0, false);
	ch.conn = &idle;
	ck_assert(!outcome_ends_connect(&ch)); /* accepted here */
	ch.conn = &connecting;
	ck_assert(outcome_ends_connect(&ch)); /* the end of the simultaneous open */
	ch = change(TCP_S_CLOSE, TCP_S_SYN_SENT, 0, true);
	ck_assert(!outcome_ends_connect(&ch));
}
END_TEST

START_TEST(test_outcome__of_close)
{
	static const struct {
		unsigned from, to;
		uint16_t err;
		bool in_task;
		enum outcome expected;
	} rows[] = {
		{TCP_S_ESTABLISHED, TCP_S_FIN_WAIT1, 0, true, OUTCOME_LOCAL_CLOSE},
		{TCP_S_ESTABLISHED, TCP_S_CLOSE_WAIT, 0, false, OUTCOME_REMOTE_CLOSE},
		{TCP_S_SYN_RECV, TCP_S_FIN_WAIT1, 0, true, OUTCOME_LOCAL_CLOSE},
		{TCP_S_ESTABLISHED, TCP_S_CLOSE, E_CONNRESET, false, OUTCOME_RESET_REMOTE},
		{TCP_S_CLOSE_WAIT, TCP_S_CLOSE, E_PIPE, false, OUTCOME_RESET_REMOTE},
		{TCP_S_SYN_RECV, TCP_S_CLOSE, E_CONNREFUSED, false, OUTCOME_RESET_REMOTE},
		/* close() with unread data, or SO_LINGER 0: our RST */
		{TCP_S_ESTABLISHED, TCP_S_CLOSE, 0, true, OUTCOME_RESET_LOCAL},
		{TCP_S_CLOSE_WAIT, TCP_S_CLOSE, 0, true, OUTCOME_RESET_LOCAL},
		{TCP_S_ESTABLISHED, TCP_S_CLOSE, E_TIMEDOUT, false, OUTCOME_TIMEOUT},
		{TCP_S_ESTABLISHED, TCP_S_CLOSE, E_HOSTUNREACH, false, OUTCOME_UNREACHABLE},
		{TCP_S_ESTABLISHED, TCP_S_CLOSE, E_ACCES, false, OUTCOME_ERROR},
		/* the FINs that were under way arrived, or did not */
		{TCP_S_LAST_ACK, TCP_S_CLOSE, 0, false, OUTCOME_NONE},
		{TCP_S_FIN_WAIT2, TCP_S_CLOSE, 0, false, OUTCOME_NONE},
		{TCP_S_FIN_WAIT1, TCP_S_CLOSE, E_TIMEDOUT, false, OUTCOME_TIMEOUT},
		{TCP_S_FIN_WAIT2, TCP_S_CLOSE, E_CONNRESET, false, OUTCOME_RESET_REMOTE},
		/* no end at all */
		{TCP_S_SYN_SENT, TCP_S_ESTABLISHED, 0, false, OUTCOME_NONE},
		{TCP_S_CLOSE_WAIT, TCP_S_LAST_ACK, 0, true, OUTCOME_NONE},
		{TCP_S_FIN_WAIT1, TCP_S_FIN_WAIT2, 0, false, OUTCOME_NONE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conn_change ch =
			change(rows[i].from, rows[i].to, rows[i].err, rows[i].in_task);

		ck_assert_msg(outcome_of_close(&ch) == rows[i].expected, "row %zu: %s", i,
			      outcome_name(outcome_of_close(&ch)));
	}
}
END_TEST

START_TEST(test_outcome__text)
{
	static const struct {
		enum outcome o;
		unsigned err, soft_err;
		const char *text;
	} rows[] = {
		{OUTCOME_OK, 0, 0, "ok"},
		{OUTCOME_REFUSED, E_CONNREFUSED, 0, "refused"},
		{OUTCOME_TIMEOUT, E_TIMEDOUT, 0, "timeout"},
		{OUTCOME_TIMEOUT, E_TIMEDOUT, E_HOSTUNREACH, "timeout (EHOSTUNREACH)"},
		{OUTCOME_UNREACHABLE, E_NETUNREACH, 0, "unreachable (ENETUNREACH)"},
		{OUTCOME_RESET_REMOTE, E_CONNRESET, 0, "reset-by-remote"},
		{OUTCOME_RESET_REMOTE, E_PIPE, 0, "reset-by-remote (EPIPE)"},
		{OUTCOME_ERROR, 4242, 0, "error (errno 4242)"},
		{OUTCOME_ERROR, 65535, 0, "error (errno 65535)"},
	};
	char buf[OUTCOME_TEXT_LEN];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_str_eq(outcome_text(rows[i].o, rows[i].err, rows[i].soft_err, buf),
				 rows[i].text);
	for (int o = OUTCOME_NONE; o <= OUTCOME_OPEN; o++) {
		ck_assert_ptr_nonnull(outcome_name((enum outcome)o));
		for (int k = OUTCOME_NONE; k < o; k++)
			ck_assert_str_ne(outcome_name((enum outcome)o),
					 outcome_name((enum outcome)k));
	}
}
END_TEST

SUITE("outcome", test_outcome__of_connect, test_outcome__no_syn_left,
      test_outcome__not_recorded_is_not_zero, test_outcome__which_changes_end_a_connect,
      test_outcome__of_close, test_outcome__text)

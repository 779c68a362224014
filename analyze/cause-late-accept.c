// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections waited in the accept queue, which had room for them: the client believes itself
 * connected, and nobody answers.
 *
 * Threshold: a wait of 50 ms, in 1 % of what was accepted or more. A process that waits in accept()
 * has the connection within a scheduling delay; a burst that is accepted in a loop takes some
 * microseconds each. Connections that nobody accepted for a second count where samples of the
 * listener show that its queue was not empty.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_PART 0.01

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_ACCEPT];
	const struct evid_listener *l = &e->listener;
	char end[FLOW_END_LEN];

	if (!t->n || part_of_all(t->n, e->n_accepts + e->n_unaccepted) < MIN_PART)
		return false;
	finding_take(f, t);
	finding_say(f, "%" PRIu64 " of %" PRIu64 " connections waited for accept(), up to %.1f ms",
		    t->n - e->n_unaccepted, e->n_accepts, (double)e->accept_longest_ns / 1e6);
	if (e->n_unaccepted)
		finding_say(f, "%" PRIu64 " were never accepted", e->n_unaccepted);
	if (l->has_flow)
		finding_say(f, "listener %s: up to %u of them waited, limit %u",
			    flow_end_text(l->flow.laddr, l->flow.lport, end), l->backlog,
			    l->max_backlog);
	finding_show(f, e, t, "wait");
	finding_trust(f, CONFIDENCE_HIGH, "measured from the handshake to accept()");
	return true;
}

const struct cause cause_late_accept = {
	.name = "late-accept",
	.title = "connections waited to be accepted",
	.next = "what does the thread that accepts do meanwhile? tcptape events -r accept, tcptape "
		"listen",
	.needs = EVID_BIT(EVID_ACCEPT),
	.record = "conn,listen",
	.find = find,
};

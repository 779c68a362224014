// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections that were reset while somebody still wanted them: RSTs that came for a connection
 * that this host had opened, and those by which this host threw away one that it had accepted.
 *
 * Threshold: 1 % of the connections. Not counted: a client that closes with answers unread (wrk
 * does so with each connection at its end, browsers with pages that are left), which resets, too,
 * but nobody misses anything; refused connects; RSTs to segments that come late for a closed one.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_PART 0.01

static const char *const states[] = {"no state",   "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
				     "FIN_WAIT1",  "FIN_WAIT2",	  "TIME_WAIT", "CLOSE",
				     "CLOSE_WAIT", "LAST_ACK",	  "LISTEN",    "CLOSING"};
#define N_STATES (sizeof(states) / sizeof(states[0]))

static void show_kind(struct finding *f, const struct evid_reset *r)
{
	finding_say(f, "%" PRIu64 " RSTs %s in %s%s%s%s", r->n, r->sent ? "sent" : "received",
		    r->state < N_STATES ? states[r->state] : "?",
		    !r->sent	    ? ""
		    : r->by_process ? " by the process"
		    : r->active	    ? " by the kernel"
				    : " in answer to a segment",
		    r->reason[0] ? ", reason " : "", r->reason);
}

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_RESET];

	if (!t->n || part_of_all(t->n_conns, e->n_conns) < MIN_PART)
		return false;
	finding_take(f, t);
	finding_say(f, "%u of %" PRIu64 " connections were reset while they were wanted",
		    t->n_conns, e->n_conns);
	for (unsigned i = 0; i < e->n_resets; i++)
		show_kind(f, &e->resets[i]);
	finding_show(f, e, t, "reset");
	if (e->n_resets)
		finding_trust(f, CONFIDENCE_HIGH,
			      "the RSTs, and what they ended, are in the trace");
	else
		finding_trust(f, CONFIDENCE_MEDIUM,
			      "the connections' ends say so; RSTs were not recorded");
	return true;
}

const struct cause cause_resets = {
	.name = "resets",
	.title = "connections were reset",
	.next = "tcptape resets -v shows who, in which state and why; --stacks in the recording "
		"the "
		"place in the kernel",
	.needs = EVID_BIT(EVID_STATE),
	.record = "conn,reset",
	.find = find,
};

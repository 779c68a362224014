// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SYNs that nobody answered: lost on the way, filtered, or their answers were. Not here: those that
 * met a full accept queue or a drop that this trace has, and SYNs of connects that worked in the
 * end on a path that loses data, too (cause-loss.c).
 *
 * Threshold: one connect in a hundred took a second SYN, or failed without any answer. A SYN sent
 * again costs a second at least (RFC 6298, 2.1), a hundred times what a connect takes on most
 * paths: at 1 % it doubles the mean. At the Internet's usual loss of some 0.1 % it stays below.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_PART 0.01

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_SYN];
	uint64_t n = e->n_connects > e->n_conns ? e->n_connects : e->n_conns;

	if (!t->n_conns || part_of_all(t->n_conns, n) < MIN_PART)
		return false;
	finding_take(f, t);
	finding_say(f,
		    "%u of %" PRIu64
		    " connections had to send a SYN, or its answer, again; %u failed",
		    t->n_conns, n, t->n_failed);
	if (e->n_synack_resent)
		finding_say(f,
			    "SYNs arrived here, and their answers were sent again: %" PRIu64
			    " SYN-ACKs",
			    e->n_synack_resent);
	finding_show(f, e, t, "sent again");
	if (!(e->has & EVID_BIT(EVID_DROP)))
		finding_trust(f, CONFIDENCE_MEDIUM,
			      "drops inside this host were not recorded, and may explain it");
	else
		finding_trust(f, CONFIDENCE_HIGH, "nothing in this host dropped them");
	return true;
}

const struct cause cause_syn_lost = {
	.name = "syn-lost",
	.title = "SYNs were lost or filtered",
	.next = "tcptape connlat shows which remote ends; look for a firewall that drops in "
		"silence, "
		"routing, or a host that is down; record at the other end too",
	.needs = EVID_BIT(EVID_STATE),
	.record = "conn,retrans",
	.find = find,
};

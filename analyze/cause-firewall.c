// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A rule of this host dropped packets: netfilter, BPF (tc, XDP, cgroup), a security module, the
 * reverse path filter.
 *
 * Threshold: a connection of this host that waited for it, or a client that sent its SYN again. A
 * single SYN that is dropped is what scanners send all day, and rules are made for.
 */
#include <inttypes.h>

#include "explain.h"

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_FIREWALL];
	const struct drop_tally *d = &e->drops[DROP_FIREWALL];

	if (!t->n && !d->n_retried)
		return false;
	finding_take(f, t);
	f->n = d->n;
	finding_dropped(f, e, DROP_FIREWALL);
	if (d->n_retried)
		finding_say(f, "%u of them were SYNs sent again", d->n_retried);
	if (t->n) {
		finding_show(f, e, t, "sent again");
		finding_trust(f, CONFIDENCE_HIGH,
			      "the kernel gave the reason, and these connections waited");
	} else {
		f->cost_ns = d->n_retried * EVID_SYN_RTO_NS;
		finding_trust(f, CONFIDENCE_MEDIUM,
			      "only clients elsewhere were hit, and the rule may be meant for "
			      "them; the cost is an estimate");
	}
	return true;
}

const struct cause cause_firewall = {
	.name = "firewall",
	.title = "a firewall rule of this host dropped packets",
	.next = "tcptape drops shows flows and places; nft list ruleset, iptables -vnL, for rules "
		"whose counters move",
	.needs = EVID_BIT(EVID_DROP),
	.record = "drop",
	.find = find,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connects to where no route leads: an error of this host's routing (ENETUNREACH), a neighbour that
 * does not answer (EHOSTUNREACH), or a router's ICMP message (RFC 1122, 4.2.3.9: a SYN goes on to
 * be sent, and the connect fails with that error in the end).
 *
 * Threshold: 5 % of all connects, as for refused ones. Not counted: those that worked by the other
 * version of IP within a second; a host without IPv6 has one of these with each name that it looks
 * up.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_PART 0.05

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_UNREACHABLE];
	uint64_t forgiven = e->n_fallbacks[TROUBLE_UNREACHABLE];
	uint64_t n = t->n_failed > forgiven ? t->n_failed - forgiven : 0;

	if (!n || part_of_all(n, e->n_connects) < MIN_PART)
		return false;
	finding_take(f, t);
	f->n_failed = n;
	finding_say(f,
		    "%" PRIu64 " of %" PRIu64 " connects found no way (EHOSTUNREACH, ENETUNREACH)",
		    n, e->n_connects);
	if (forgiven)
		finding_say(f, "%" PRIu64 " more worked by the other version of IP", forgiven);
	finding_dropped(f, e, DROP_ROUTE);
	finding_show(f, e, t, "tries");
	finding_trust(f, CONFIDENCE_HIGH, "the error says so");
	return true;
}

const struct cause cause_unreachable = {
	.name = "unreachable",
	.title = "hosts or networks could not be reached",
	.next = "ip route get ADDRESS; is the host up, and its neighbour entry (ip neigh) "
		"resolved?",
	.needs = EVID_BIT(EVID_STATE) | EVID_BIT(EVID_ERROR),
	.record = "conn",
	.find = find,
};

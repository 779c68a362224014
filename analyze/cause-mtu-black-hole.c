// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Path MTU black hole (RFC 2923, 2.1): what is small gets through, the handshake too; segments of
 * full size never do, and no ICMP message tells why.
 *
 * Threshold: one connection on which a segment of nearly full size (0.9 MSS, more than 536 bytes)
 * went out after three timeouts in a row and nothing of that size was ever acknowledged; three
 * probes are what RFC 8899, 5.1.2, takes to call a size failed. Or a packet that this host would
 * not forward as it was too big (PKT_TOO_BIG) while its connection sent again.
 */
#include <inttypes.h>

#include "explain.h"

static const enum evid_count counters[] = {EVC_FRAG_FAILS, EVC_MTUP_FAIL, EVC_MTUP_SUCCESS};

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_MTU];

	if (!t->n)
		return false;
	finding_take(f, t);
	finding_say(f,
		    "%u connections sent segments of full size again and again, %" PRIu64
		    " times; nothing of that size was acknowledged",
		    t->n_conns, t->n);
	finding_count(f, e, counters, 3);
	finding_show(f, e, t, "sent again");
	if (finding_dropped(f, e, DROP_MTU))
		finding_trust(f, CONFIDENCE_HIGH, "packets were dropped here for their size");
	else if (t->n_conns > 1)
		finding_trust(f, CONFIDENCE_HIGH, "the same on several connections");
	else
		finding_trust(f, CONFIDENCE_MEDIUM,
			      "on one connection; its path may also have gone away just then");
	return true;
}

const struct cause cause_mtu_black_hole = {
	.name = "mtu-black-hole",
	.title = "full-size segments vanish (path MTU black hole)",
	.next = "ping -M do -s 1472 ADDRESS; ICMP \"fragmentation needed\" must pass; else "
		"net.ipv4.tcp_mtu_probing=1, or clamp the MSS",
	.needs = EVID_BIT(EVID_RETRANS),
	.record = "retrans",
	.find = find,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * No local port was left for a connect: EADDRNOTAVAIL of __inet_hash_connect, which has tried all
 * of net.ipv4.ip_local_port_range for that remote end.
 *
 * Threshold: one. The kernel gives up only when none is left.
 */
#include <inttypes.h>

#include "explain.h"

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_NO_PORT];

	if (!t->n)
		return false;
	finding_take(f, t);
	f->n_failed = t->n;
	finding_say(f, "%" PRIu64 " of %" PRIu64 " connects found no free local port", t->n,
		    e->n_connects);
	finding_show(f, e, t, "tries");
	if (e->has & EVID_BIT(EVID_ERROR))
		finding_trust(f, CONFIDENCE_HIGH, "connect() returned EADDRNOTAVAIL");
	else
		finding_trust(f, CONFIDENCE_MEDIUM,
			      "connect() undid itself without a port; its error was not recorded");
	return true;
}

const struct cause cause_ports_exhausted = {
	.name = "ports-exhausted",
	.title = "local ports ran out",
	.next = "tcptape states shows what holds them (TIME_WAIT, mostly); keep connections open, "
		"widen net.ipv4.ip_local_port_range, or use more addresses",
	.needs = EVID_BIT(EVID_STATE) | EVID_BIT(EVID_ERROR),
	.record = "conn",
	.find = find,
};

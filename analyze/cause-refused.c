// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connects that were refused: an RST answered the SYN, so nobody listens there (RFC
 * 9293, 3.10.7.1).
 *
 * Threshold: 5 % of all connects. Below, these are health checks of a service that is down on
 * purpose, and the like. Not counted: a refused connect whose port answered by the other version of
 * IP within a second, as programs try one address after the other (RFC 8305).
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_PART 0.05

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_REFUSED];
	uint64_t forgiven = e->n_fallbacks[TROUBLE_REFUSED];
	uint64_t n = t->n > forgiven ? t->n - forgiven : 0;

	if (!n || part_of_all(n, e->n_connects) < MIN_PART)
		return false;
	finding_take(f, t);
	f->n = f->n_failed = n;
	finding_say(f, "%" PRIu64 " of %" PRIu64 " connects were refused (ECONNREFUSED)", n,
		    e->n_connects);
	if (forgiven)
		finding_say(f, "%" PRIu64 " more worked by the other version of IP", forgiven);
	finding_dropped(f, e, DROP_ACCEPT);
	finding_show(f, e, t, "refused");
	finding_trust(f, CONFIDENCE_HIGH, "the remote end said so, by RST");
	return true;
}

const struct cause cause_refused = {
	.name = "refused",
	.title = "connects were refused",
	.next = "is the service at that address and port running, and listening there? tcptape "
		"connlat -t and tcptape resets show when",
	.needs = EVID_BIT(EVID_STATE),
	.record = "conn",
	.find = find,
};

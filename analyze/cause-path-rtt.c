// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The distance itself: nothing is wrong, but each connect and each request takes a round trip, and
 * that is long. Told only if nothing else is found.
 *
 * Threshold: connections whose smallest round-trip time is 100 ms or more on average. Up to there
 * an answer still seems immediate (Miller, AFIPS 1968); 100 ms is across an ocean.
 */
#include <inttypes.h>

#include "explain.h"

#define LONG_US 100000

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_RTT];
	uint64_t mean = e->n_min_rtt ? e->sum_min_rtt_us / e->n_min_rtt
				     : (t->n ? t->cost_ns / t->n / 1000 : 0);

	if (mean < LONG_US)
		return false;
	finding_take(f, t);
	finding_say(f, "smallest round-trip time of a connection: %.1f ms on average",
		    (double)mean / 1e3);
	finding_show(f, e, t, "connect");
	finding_trust(f, CONFIDENCE_HIGH, "measured, and nothing else was found");
	return true;
}

const struct cause cause_path_rtt = {
	.name = "path-rtt",
	.title = "the path is long (nothing is wrong with it)",
	.next = "fewer round trips: keep connections open, send requests together; or a server "
		"nearer to the clients",
	.needs = EVID_BIT(EVID_RTT) | EVID_BIT(EVID_STATE),
	.record = "rtt",
	.is_last = true,
	.find = find,
};

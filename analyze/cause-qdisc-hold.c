// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * This host's queueing discipline held segments back: a shaper, or a queue in front of a slow link.
 * What pacing asked for (fq) is no hold, nor what netem does: that plays the delay of a path.
 *
 * Threshold: 5 ms, CoDel's target for a standing queue (RFC 8289, 4.3), in 1 % of the segments with
 * data or more.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_PART 0.01

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_QDISC];

	if (!t->n || part_of_all(t->n, e->n_segments[1]) < MIN_PART)
		return false;
	finding_take(f, t);
	finding_say(f,
		    "%" PRIu64 " of %" PRIu64 " segments were held 5 ms or longer, up to %.1f ms",
		    t->n, e->n_segments[1], (double)e->qdisc_longest_ns / 1e6);
	finding_dropped(f, e, DROP_QDISC);
	finding_show(f, e, t, "segments");
	finding_trust(f, CONFIDENCE_HIGH, "measured between queueing discipline and driver");
	return true;
}

const struct cause cause_qdisc_hold = {
	.name = "qdisc-hold",
	.title = "the queueing discipline of this host held segments back",
	.next = "tc -s qdisc: is there a shaper, is it meant? tcptape delay --out --slowest 10",
	.needs = EVID_BIT(EVID_TX),
	.record = "+tx",
	.find = find,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Segments overtook each other. The sender's kernel counts it when an ACK covers a segment, never
 * sent again, behind which others had arrived already (tcp_check_sack_reordering), or when a
 * retransmit turns out to have been needless (TSReorder).
 *
 * Threshold: three, since three duplicate ACKs are what is taken for a loss (RFC 5681, 3.2), and
 * one in a thousand segments with data. Linux then waits longer before it sends again
 * (net.ipv4.tcp_reordering grows by itself, RACK's window as well), so a little costs nothing.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_EVENTS 3
#define MIN_PART 0.001

static const enum evid_count counters[] = {EVC_SACK_REORDER, EVC_TS_REORDER, EVC_RENO_REORDER,
					   EVC_DSACK,	     EVC_DSACK_OFO,  EVC_OFO_QUEUE};

static bool find(const struct evidence *e, struct finding *f)
{
	uint64_t n = e->counters[EVC_SACK_REORDER] + e->counters[EVC_TS_REORDER] +
		     e->counters[EVC_RENO_REORDER];
	uint64_t twice = e->counters[EVC_DSACK] + e->counters[EVC_DSACK_OFO];
	const struct toll *t = &e->tolls[TROUBLE_LOSS];

	if (n < MIN_EVENTS || part_of_all(n, e->n_data_segs) < MIN_PART)
		return false;
	f->n = n;
	if (t->n) { /* what was sent again in vain */
		finding_take(f, t);
		f->n_failed = 0;
		if (twice < t->n)
			f->cost_ns = t->cost_ns * twice / t->n;
		f->n = n;
	}
	finding_say(f, "segments arrived out of order %" PRIu64 " times, of %" PRIu64 " with data",
		    n, e->n_data_segs);
	finding_count(f, e, counters, 6);
	if (t->n)
		finding_say(f, "%" PRIu64 " segments were sent again meanwhile", t->n);
	finding_trust(f, CONFIDENCE_HIGH, "the kernel saw it in the ACKs");
	return true;
}

const struct cause cause_reordering = {
	.name = "reordering",
	.title = "segments arrived out of order",
	.next = "links used in turns (bonding round-robin, per-packet load balancing), or packets "
		"spread over processors (RPS without flow affinity)",
	.needs = EVID_BIT(EVID_COUNTER),
	.record = "counters,retrans",
	.find = find,
};

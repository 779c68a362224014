// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bufferbloat: the connection's own bytes stand in a queue on the way, so its round-trip time rises
 * far above the smallest one.
 *
 * Threshold, of one connection: 32 samples or more, more than 10 segments in flight on average (the
 * initial window, RFC 6928: it is bulk), and a mean that lies 20 ms (four times CoDel's target for
 * a standing queue, RFC 8289) and a whole smallest RTT above it: a buffer of one bandwidth-delay
 * product, which is what one wants, adds no more than that, and only while it is full. Late readers
 * do not look like that: their kernels acknowledge at once. What this host's own queueing
 * discipline held is cause-qdisc-hold.c's, where the trace shows it.
 */
#include <inttypes.h>

#include "explain.h"

#define SURE 0.5 /* correlation */

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_BLOAT];
	uint64_t here = e->tolls[TROUBLE_QDISC].cost_ns + e->tolls[TROUBLE_SOFTIRQ].cost_ns;

	if (!t->n || 2 * here >= t->cost_ns)
		return false;
	finding_take(f, t);
	finding_say(f,
		    "round-trip time %.1f ms on average, %.1f ms at least, with %" PRIu64
		    " kB in flight (the worst connection)",
		    (double)e->bloat_mean_us / 1e3, (double)e->bloat_min_us / 1e3,
		    e->bloat_flight / 1000);
	finding_say(f, "correlation of round-trip time and bytes in flight there: %.2f",
		    e->bloat_relation);
	finding_show(f, e, t, "samples");
	if (e->bloat_relation >= SURE)
		finding_trust(f, CONFIDENCE_HIGH, "RTT rises with the bytes in flight");
	else
		finding_trust(f, CONFIDENCE_MEDIUM,
			      "RTT stays high, without moving with the bytes in flight: the queue "
			      "may be filled by others");
	if (!(e->has & EVID_BIT(EVID_TX)))
		f->next = "record with -e +tx to see whether the queue is this host's own (tcptape "
			  "delay --out); else a router's: fq_codel or CAKE there, or BBR here";
	return true;
}

const struct cause cause_bufferbloat = {
	.name = "bufferbloat",
	.title = "queues on the path were filled (bufferbloat)",
	.next = "a queue behind this host, at the slowest link: fq_codel or CAKE there, or BBR "
		"here",
	.needs = EVID_BIT(EVID_RTT),
	.record = "rtt",
	.find = find,
};

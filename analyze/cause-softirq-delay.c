// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packets waited for a processor: between the driver and TCP on the way in, or in the driver on the
 * way out; or the backlog of a processor was full (net.core.netdev_max_backlog).
 *
 * Threshold: 2 ms, what net_rx_action may work before it gives way (net.core.netdev_budget_usecs),
 * in 5 % of the segments or more (bulk on loopback has that in some 2 %, as its softirqs work in
 * long rows); or one packet dropped for a full backlog (softnet.dropped,
 * CPU_BACKLOG), which happens at a thousand waiting ones. softnet.time_squeeze by itself is what
 * any bulk transfer does, and only stands beside.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_PART 0.05

static const enum evid_count counters[] = {EVC_SOFTNET_DROPPED, EVC_SOFTNET_SQUEEZED};

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_SOFTIRQ];
	uint64_t dropped = e->counters[EVC_SOFTNET_DROPPED],
		 all = e->n_segments[0] + e->n_segments[1];
	bool waited = all && part_of_all(t->n, all) >= MIN_PART;

	if (!(t->n && waited) && !dropped && !e->drops[DROP_BACKLOG].n)
		return false;
	finding_take(f, t);
	f->n = t->n + dropped;
	if (t->n && all)
		finding_say(f,
			    "%" PRIu64 " of %" PRIu64
			    " segments waited 2 ms or longer, up to %.1f ms",
			    t->n, all, (double)e->softirq_longest_ns / 1e6);
	finding_count(f, e, counters, 2);
	finding_dropped(f, e, DROP_BACKLOG);
	finding_nics(f, e);
	finding_show(f, e, t, "segments");
	finding_trust(f, CONFIDENCE_HIGH,
		      waited ? "measured between the layers" : "the kernel counted full backlogs");
	return true;
}

const struct cause cause_softirq_delay = {
	.name = "softirq-delay",
	.title = "packets waited for a processor (driver, softirq)",
	.next = "which processor has the interrupts (/proc/interrupts), is ksoftirqd busy (top), "
		"RPS, RSS; tcptape delay --in --percentiles, tcptape nic",
	.needs = EVID_BIT(EVID_RX) | EVID_BIT(EVID_TX) | EVID_BIT(EVID_COUNTER),
	.record = "+rx,+tx,counters",
	.find = find,
};

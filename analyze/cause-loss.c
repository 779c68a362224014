// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Segments that were lost on the path, or taken for lost: sent again because ACKs told of it
 * (fast), a timer expired (RTO), or a probe went out (TLP). Not here: those that a drop in this
 * trace explains otherwise (firewall, checksum, ...), want of memory (cause-memory.c), or
 * reordering.
 *
 * Threshold: two, and 0.1 % of the segments with data. Throughput goes with 1 / sqrt(loss) (Mathis
 * et al., CCR 27, 1997): at 0.1 % and 20 ms a connection gets 22 Mbit/s. Tail loss probes alone are
 * sent by mistake where an ACK is delayed at the end of a burst (RFC 8985, 7.4.2), so they count
 * from 1 %, or beside other kinds. Connections that gave up count as they are.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_PART 0.001
#define MIN_PROBES 0.01
#define MIN_SEGS 2

static const enum evid_count counters[] = {EVC_DSACK, EVC_DSACK_OFO, EVC_SPURIOUS_RTO};

static uint64_t spurious(const struct evidence *e)
{
	return e->counters[EVC_DSACK] + e->counters[EVC_DSACK_OFO];
}

/* What counts; where segments overtook each other, what came twice was not lost. */
static uint64_t lost(const struct evidence *e)
{
	const uint64_t *r = e->n_resent;
	uint64_t n = r[RESENT_FAST] + r[RESENT_RTO] + r[RESENT_RTO_RECOVERY] + r[RESENT_GIVEN_UP] +
		     r[RESENT_UNKNOWN];
	uint64_t reordered = e->counters[EVC_SACK_REORDER] + e->counters[EVC_TS_REORDER] +
			     e->counters[EVC_RENO_REORDER];

	if (n || part_of_all(r[RESENT_TLP], e->n_data_segs) >= MIN_PROBES)
		n += r[RESENT_TLP];
	if (reordered)
		n -= spurious(e) < n ? spurious(e) : n;
	return n;
}

static void trust(const struct evidence *e, struct finding *f, uint64_t n)
{
	if (2 * spurious(e) >= n)
		finding_trust(f, CONFIDENCE_MEDIUM,
			      "half of it or more was spurious: nothing had been lost, but the "
			      "answer came later than the timer allows");
	else if (e->drops[DROP_QDISC].n || n >= 10)
		finding_trust(f, CONFIDENCE_HIGH, "many segments, and none of them came twice");
	else
		finding_trust(f, CONFIDENCE_MEDIUM, "few segments");
}

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_LOSS];
	const uint64_t *r = e->n_resent;
	uint64_t n = lost(e);

	if (!t->n_failed && (n < MIN_SEGS || part_of_all(n, e->n_data_segs) < MIN_PART))
		return false;
	if (cause_memory_lost(e))
		return false;
	finding_take(f, t);
	finding_say(f, "%" PRIu64 " segments were sent again, of %" PRIu64 " with data (%.2f %%)",
		    n, e->n_data_segs, 100 * part_of_all(n, e->n_data_segs));
	finding_say(f,
		    "why: fast %" PRIu64 ", RTO %" PRIu64 ", behind an RTO %" PRIu64
		    ", TLP %" PRIu64 ", other %" PRIu64,
		    r[RESENT_FAST], r[RESENT_RTO], r[RESENT_RTO_RECOVERY], r[RESENT_TLP],
		    r[RESENT_GIVEN_UP] + r[RESENT_UNKNOWN]);
	if (t->n_failed)
		finding_say(f, "%u connections gave up (ETIMEDOUT)", t->n_failed);
	finding_count(f, e, counters, 3);
	if (finding_dropped(f, e, DROP_QDISC))
		f->next = "this host's own queueing discipline dropped: tc -s qdisc; tcptape drops "
			  "-c";
	finding_nics(f, e);
	finding_show(f, e, t, "sent again");
	trust(e, f, n);
	return true;
}

const struct cause cause_loss = {
	.name = "loss",
	.title = "segments were lost on the path",
	.next = "tcptape retrans -c --by remote shows which paths; tcptape timeline CONN one "
		"connection; look at links and queues on the way (tcptape nic --stats)",
	.needs = EVID_BIT(EVID_RETRANS),
	.record = "retrans",
	.find = find,
};

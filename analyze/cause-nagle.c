// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Nagle's algorithm against delayed ACKs: a second small write waits for the ACK of the first one
 * (RFC 896), and the receiver delays that by 40 ms (TCP_DELACK_MIN; up to 200 ms), as it waits for
 * data to send it with. RFC 1122, 4.2.3.4 knows of it.
 *
 * What counts: an ACK that came 35 to 250 ms after less than a segment was sent, four times as late
 * as the path is long or more, with nothing else in flight; and the application had written more
 * meanwhile (known with groups io or tx; else guessed if more went out at once with that ACK).
 *
 * Threshold: three of them on connections, as one write may end so by chance. A delayed ACK alone
 * is no trouble: nobody waits for it.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_TIMES 3

static const enum evid_count counters[] = {EVC_DELAYED_ACKS};

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_NAGLE];

	if (t->n < MIN_TIMES)
		return false;
	finding_take(f, t);
	finding_say(f,
		    "%" PRIu64 " times small writes waited for a delayed ACK, %.1f ms on average",
		    t->n, (double)t->cost_ns / (double)t->n / 1e6);
	finding_count(f, e, counters, 1);
	finding_show(f, e, t, "times");
	if (2 * e->n_held_sure >= t->n)
		finding_trust(f, CONFIDENCE_HIGH, "the bytes were written, and not sent");
	else if (!(e->has & EVID_BIT(EVID_RTT)))
		finding_trust(f, CONFIDENCE_MEDIUM, "bytes stayed in the socket for that long");
	else
		finding_trust(f, CONFIDENCE_LOW,
			      "what the application had written was not recorded");
	return true;
}

const struct cause cause_nagle = {
	.name = "nagle",
	.title = "Nagle's algorithm waited for delayed ACKs",
	.next = "write a request at once (writev, a buffer), or set TCP_NODELAY; -e +io,+tx tells "
		"which process",
	.needs = EVID_BIT(EVID_RTT) | EVID_BIT(EVID_TX),
	.record = "rtt,+io",
	.find = find,
};

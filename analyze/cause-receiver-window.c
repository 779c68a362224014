// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A reader that is late: data waits in its socket, the window that it offers closes, and whoever
 * sends to it has to wait.
 *
 * Threshold, by what there is: data that waited 20 ms or longer to be read (group rx), in 1 % of
 * the segments or more: an event loop comes round within a time slice or two. Writers that were
 * blocked for 50 ms and two round trips, with neither a full congestion window nor a loss that
 * explains it (group io). Whole segments that were written and not sent for as long, though nothing
 * was in flight (groups io and rtt): only a closed window does that. Probes of a closed window
 * (TCPWinProbe): the persist timer waits for 200 ms at least (RFC 9293, 3.8.6.1), so one of them is
 * long. Or segments dropped for a closed window. A window that merely closes (TCPToZeroWindowAdv)
 * is no trouble: a fast sender on loopback closes it a hundred times for 100 MB.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_PART 0.01
#define MIN_TIME 0.05

static const enum evid_count counters[] = {EVC_WIN_PROBE, EVC_TO_ZERO_WINDOW};

static bool is_closed(const struct evidence *e)
{
	return e->counters[EVC_WIN_PROBE] || e->drops[DROP_WINDOW].n;
}

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_WINDOW];
	uint64_t late = e->n_late_reads;
	bool waited = e->n_blocked || e->n_shut_out ||
		      part_of_all(late, e->n_segments[0]) >= MIN_PART ||
		      part_of_all(t->cost_ns, e->life_ns) >= MIN_TIME;

	if (!waited && !is_closed(e))
		return false;
	finding_take(f, t);
	if (late)
		finding_say(f,
			    "data waited to be read %" PRIu64 " times, up to %.1f ms (%" PRIu64
			    " segments in all)",
			    late, (double)e->read_longest_ns / 1e6, e->n_segments[0]);
	if (e->n_blocked)
		finding_say(f, "writers that waited for room: %" PRIu64 ", up to %.1f ms",
			    e->n_blocked, (double)e->blocked_longest_ns / 1e6);
	if (e->n_shut_out)
		finding_say(f,
			    "data that was not sent though nothing was in flight: %" PRIu64
			    " times, up to %.1f ms",
			    e->n_shut_out, (double)e->shut_longest_ns / 1e6);
	finding_count(f, e, counters, 2);
	finding_dropped(f, e, DROP_WINDOW);
	finding_show(f, e, t, "waits");
	if (late)
		finding_trust(f, CONFIDENCE_HIGH, "the time between arrival and read was measured");
	else if (is_closed(e) || e->counters[EVC_TO_ZERO_WINDOW])
		finding_trust(f, CONFIDENCE_HIGH, "windows were closed");
	else
		finding_trust(f, CONFIDENCE_MEDIUM,
			      "writers waited; the reader itself was not seen");
	return true;
}

const struct cause cause_receiver_window = {
	.name = "receiver-window",
	.title = "a reader was late: data waited, or its window was full",
	.next = "what does the process that reads do meanwhile, and had it a processor? tcptape "
		"delay --in --slowest 10 "
		"(-e +rx) shows which one, tcptape top --by pid its waits (-e +io)",
	.needs = EVID_BIT(EVID_COUNTER) | EVID_BIT(EVID_RX) | EVID_BIT(EVID_IO),
	.record = "counters,+rx,+io",
	.find = find,
};

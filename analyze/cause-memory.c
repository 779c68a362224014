// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory for sockets ran out: that of all TCP (net.ipv4.tcp_mem), of a receive buffer or a backlog
 * (packets dropped, queues pruned), or a buffer of fixed size (SO_SNDBUF, SO_RCVBUF) kept a
 * connection slow.
 *
 * Threshold: one packet that was dropped or pruned for it, one connection aborted
 * (TCPAbortOnMemory), or TCP under pressure at all (tcp_enter_memory_pressure). Of a buffer: what
 * moved in a round-trip time is half of what fits into it or more (it holds headers, too: a window
 * is half of it, tcp_adv_win_scale 1), for 256 kB or more on a path of 5 ms or more; the cost is
 * half of the time, as twice the buffer would have taken.
 *
 * Before Linux 5.17 the kernel does not tell which packets TCP dropped. Where all connections that
 * lost segments have both ends in this host, and it counted a packet or more for each that it had
 * no room for, what they lost is charged here.
 */
#include <inttypes.h>

#include "explain.h"

static const enum evid_count counters[] = {EVC_PRESSURES, EVC_ABORT_MEMORY, EVC_WQUEUE_TOO_BIG,
					   EVC_PRUNE,	  EVC_RCV_PRUNED,   EVC_OFO_PRUNED,
					   EVC_RCVQ_DROP, EVC_BACKLOG_DROP};
#define N_COUNTERS (sizeof(counters) / sizeof(counters[0]))

static uint64_t sum(const struct evidence *e)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < N_COUNTERS; i++)
		n += e->counters[counters[i]];
	return n;
}

bool cause_memory_lost(const struct evidence *e)
{
	uint64_t dropped = e->counters[EVC_RCVQ_DROP] + e->counters[EVC_BACKLOG_DROP] +
			   e->counters[EVC_RCV_PRUNED] + e->counters[EVC_OFO_PRUNED];
	uint64_t n = e->tolls[TROUBLE_LOSS].n_conns;

	return !e->tells_reasons && n && e->n_lossy_here == n && dropped >= n;
}

static bool find(const struct evidence *e, struct finding *f)
{
	bool lost = cause_memory_lost(e);
	const struct toll *t = &e->tolls[lost ? TROUBLE_LOSS : TROUBLE_MEMORY];
	const struct toll *fixed = &e->tolls[TROUBLE_BUFFER];
	uint64_t n = sum(e) + e->drops[DROP_BUFFER].n;

	if (!n && !fixed->n)
		return false;
	finding_take(f, t);
	f->n = n + fixed->n;
	f->cost_ns += fixed->cost_ns;
	f->n_conns += fixed->n_conns;
	if (e->counters[EVC_ABORT_MEMORY] > f->n_failed)
		f->n_failed = e->counters[EVC_ABORT_MEMORY];
	finding_count(f, e, counters, N_COUNTERS);
	finding_dropped(f, e, DROP_BUFFER);
	finding_show(f, e, t, "sent again");
	if (fixed->n) {
		finding_say(f, "%u connections were limited by a buffer of fixed size",
			    fixed->n_conns);
		finding_show(f, e, fixed, "buffer");
	}
	if (lost)
		finding_trust(f, CONFIDENCE_MEDIUM,
			      "the kernel counted packets that it dropped, but does not tell "
			      "which (before Linux 5.17)");
	else if (n)
		finding_trust(f, CONFIDENCE_HIGH, "the kernel counted it");
	else
		finding_trust(f, CONFIDENCE_MEDIUM,
			      "deduced from bytes, round-trip time and size of the buffer");
	return true;
}

const struct cause cause_memory = {
	.name = "memory",
	.title = "socket buffers or TCP's memory were too small",
	.next = "net.ipv4.tcp_mem against /proc/net/sockstat; net.ipv4.tcp_rmem, tcp_wmem; does "
		"the "
		"application set SO_RCVBUF or SO_SNDBUF (tcptape life -F)?",
	.needs = EVID_BIT(EVID_COUNTER) | EVID_BIT(EVID_DROP),
	.record = "counters,drop",
	.find = find,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Accept-queue overflow: the application accepts more slowly than connections come, and the kernel
 * refuses further ones (sk_acceptq_is_full in tcp_conn_request and tcp_v4_syn_recv_sock).
 *
 * Threshold: one. Each is a handshake that was thrown away: the client's next try comes a second
 * later (RFC 6298), or it waits for an answer to a connection that only it believes to exist. A
 * queue that never is full never counts one.
 */
#include <inttypes.h>

#include "explain.h"

static const enum evid_count counters[] = {EVC_LISTEN_OVERFLOWS, EVC_LISTEN_DROPS};

static void show_listener(const struct evidence *e, struct finding *f)
{
	const struct evid_listener *l = &e->listener;
	char end[FLOW_END_LEN];

	if (!l->has_flow || (!l->overflows && l->backlog <= l->max_backlog))
		return;
	finding_say(f, "listener %s: up to %u connections waited for accept(), limit %u",
		    flow_end_text(l->flow.laddr, l->flow.lport, end), l->backlog, l->max_backlog);
	if (l->overflows)
		finding_say(f, "it refused %" PRIu64 " for want of room", l->overflows);
}

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_OVERFLOW];
	uint64_t n = e->listener.overflows, counted = e->counters[EVC_LISTEN_OVERFLOWS];

	if (counted > n)
		n = counted;
	if (!n && !t->n && !e->drops[DROP_ACCEPT].n)
		return false;
	finding_take(f, t);
	f->n = n > t->n ? n : t->n;
	show_listener(e, f);
	finding_count(f, e, counters, 2);
	finding_dropped(f, e, DROP_ACCEPT);
	if (e->listener.overflows || (e->listener.backlog > e->listener.max_backlog && counted))
		finding_trust(f, CONFIDENCE_HIGH, "the listener's own queue was seen to be full");
	else
		finding_trust(f, CONFIDENCE_MEDIUM,
			      "overflows were counted, but not at which listener");
	if (t->n) {
		finding_show(f, e, t, "tries");
	} else {
		f->cost_ns = n * EVID_SYN_RTO_NS;
		f->n_conns = n;
		text_puts(&f->reason,
			  "; its cost is an estimate: the clients are not in this trace");
	}
	return true;
}

const struct cause cause_accept_queue = {
	.name = "accept-queue",
	.title = "the accept queue of a listener was full",
	.next = "tcptape listen shows the queue; let the application accept sooner, or raise its "
		"listen() backlog and net.core.somaxconn",
	.needs = EVID_BIT(EVID_LISTEN) | EVID_BIT(EVID_COUNTER),
	.record = "listen,counters",
	.find = find,
};

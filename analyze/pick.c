// SPDX-License-Identifier: GPL-2.0-or-later
#include "pick.h"

bool pick(struct input *in, const struct record *r, uint32_t k, uint64_t ts_ns,
	  const struct bind_tables *tables, struct picked *ret)
{
	const struct wire *w = bind_packet(tables, record_get(r, r->packet_field, k));
	const struct sock *sock = bind_sock(tables, record_get(r, r->sock_field, k));
	struct sock packet;
	struct flow flow;

	ret->task = bind_task(tables, record_get(r, r->task_field, k));
	ret->sock = sock = input_asked(in, sock, record_addr(r, r->daddr_field, k),
				       record_get(r, r->dport_field, k), &ret->room);
	if (w && w->has_flow)
		sock = input_packet(in, sock, &w->flow, &packet);
	else if (bind_flow(tables, record_get(r, r->flow_field, k), &flow))
		sock = input_packet(in, sock, &flow, &packet);
	return input_wants(in, ts_ns, sock, ret->task);
}

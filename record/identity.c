/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "identity.h"

#define LOOK_AHEAD 256 /* records; 1 or 2 are usual, more on a machine with many CPUs */

enum { TCP_SYN_RECV = 3, TCP_LISTEN = 10 };

static const struct ev_tcp_state *state_of(const struct ev_head *record)
{
	return record->type == EV_tcp_state ? (const struct ev_tcp_state *)record : NULL;
}

bool rec_identity_complete(struct ev_head *record, const struct rec_queue *ahead)
{
	struct ev_tcp_state *born = (struct ev_tcp_state *)record;
	size_t n = rec_queue_len(ahead);

	if (record->type != EV_tcp_state || born->sock.cookie)
		return true;
	if (born->old_state != TCP_LISTEN || born->new_state != TCP_SYN_RECV)
		return true;
	for (size_t i = 0; i < n && i < LOOK_AHEAD; i++) {
		const struct ev_tcp_state *next = state_of(rec_queue_at(ahead, i)->record);

		if (!next || next->sock.skaddr != born->sock.skaddr)
			continue;
		if (next->old_state == TCP_SYN_RECV)
			born->sock = next->sock;
		return next->old_state == TCP_SYN_RECV;
	}
	return false;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "streams.h"

#define MAX_STREAMS (1 << 20) /* a hostile trace may have more */

struct stream {
	struct flow flow;
	bool known[2], at_end;
	uint32_t seq[2];
	int64_t past[2];
};

static struct stream *get(struct streams *s, uint64_t cookie)
{
	struct stream *st = cookie ? map_get(&s->map, cookie) : NULL;

	if (st || !cookie || s->map.n >= MAX_STREAMS)
		return st;
	st = calloc(1, sizeof(*st));
	if (!st || map_put(&s->map, cookie, st)) {
		free(st);
		s->failed = true;
		return NULL;
	}
	return st;
}

/*
 * Two threads at once make it go back and forth; it adds up. A socket that connects again begins
 * anew. An MPTCP socket has no numbers of its own.
 */
void streams_add(struct streams *s, const struct sock *sock, const struct stream_part *p)
{
	struct stream *st;

	if (!sock || !sock->has_flow || sock->protocol == BIND_MPTCP)
		return;
	st = get(s, sock->cookie);
	if (!st)
		return;
	if (memcmp(&st->flow, &sock->flow, sizeof(st->flow)))
		*st = (struct stream){.flow = sock->flow};
	for (int d = STREAM_TX; d <= STREAM_RX; d++) {
		if (!p->any[d])
			continue;
		if (st->known[d])
			st->past[d] += (int32_t)(p->begin[d] - st->seq[d]);
		st->past[d] += p->past[d];
		st->known[d] = true;
		st->seq[d] = p->end[d];
	}
	st->at_end |= p->at_end;
}

void streams_call(struct streams *s, const struct sock *sock, unsigned direction, uint32_t seq,
		  uint64_t bytes, bool at_end)
{
	struct stream_part p = {.at_end = false};

	stream_part_call(&p, direction, seq, bytes, at_end);
	streams_add(s, sock, &p);
}

/* One may be a FIN that was read together with data, its end of file never. */
static void end(struct streams *s, struct stream *st)
{
	bool any = false;

	st->past[STREAM_RX] -= st->at_end;
	for (int d = STREAM_TX; d <= STREAM_RX; d++) {
		if (st->past[d] > 1) {
			s->past_bytes[d] += (uint64_t)st->past[d];
			any = true;
		}
	}
	s->n_past += any;
	free(st);
}

void streams_end(struct streams *s, const struct sock *sock)
{
	struct stream *st;

	if (sock) {
		st = sock->cookie ? map_del(&s->map, sock->cookie) : NULL;
		if (st)
			end(s, st);
		return;
	}
	for (size_t i = 0; i < s->map.cap; i++)
		if (s->map.slots[i].value)
			end(s, s->map.slots[i].value);
	map_fini(&s->map);
	s->map = (struct map){0};
}

void streams_fini(struct streams *s)
{
	for (size_t i = 0; i < s->map.cap; i++)
		free(s->map.slots[i].value);
	map_fini(&s->map);
}

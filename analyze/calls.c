// SPDX-License-Identifier: GPL-2.0-or-later
#include "calls.h"

#include <stdlib.h>
#include <string.h>

#include "conn.h"

const struct bind_field calls_fields[2][CALL_N] = {
	[STREAM_TX] = {{"sock", BIND_SOCK},
		       {"task", BIND_TASK},
		       {"bytes", BIND_INT},
		       {"err", BIND_INT},
		       {"write_seq", BIND_INT}},
	[STREAM_RX] = {{"sock", BIND_SOCK},
		       {"task", BIND_TASK},
		       {"bytes", BIND_INT},
		       {"err", BIND_INT},
		       {"copied_seq", BIND_INT},
		       {"flags", BIND_INT},
		       {"state", BIND_INT}},
};

enum { FLAG_PEEK = 2, FLAG_ERRQUEUE = 0x2000 };
enum { ERR_AGAIN = 11 };

void call_get(const struct bind *b, uint32_t k, unsigned direction, struct call *ret)
{
	uint64_t bytes = bind_value(b, CALL_BYTES, k, 0);

	ret->bytes = bytes;
	ret->err = bind_value(b, CALL_ERR, k, 0);
	ret->seq = (uint32_t)bind_value(b, CALL_SEQ, k, 0);
	ret->has_seq = b->have[CALL_SEQ];
	ret->at_end = false;
	if (direction == STREAM_TX)
		return;
	if (bind_value(b, CALL_FLAGS, k, 0) & (FLAG_PEEK | FLAG_ERRQUEUE))
		ret->bytes = 0; /* looked at only; or not of the stream */
	/* in SYN_SENT the peer's numbers are not known yet */
	ret->has_seq &= bind_value(b, CALL_STATE, k, 0) != TCP_S_SYN_SENT;
	ret->at_end = b->have[CALL_BYTES] && !bytes && !ret->err;
}

void call_add(struct call_sums *s, const struct call *c, unsigned direction)
{
	s->bytes[direction] += c->bytes;
	s->calls[direction]++;
	s->again += c->err == ERR_AGAIN;
	s->errors += c->err && c->err != ERR_AGAIN;
}

void call_sums_add(struct call_sums *to, const struct call_sums *s, uint64_t weight)
{
	for (int d = STREAM_TX; d <= STREAM_RX; d++) {
		to->bytes[d] += weight * s->bytes[d];
		to->calls[d] += weight * s->calls[d];
	}
	to->again += weight * s->again;
	to->errors += weight * s->errors;
}

bool calls_note_absent(struct input *in, struct out *out)
{
	static const char *const records[] = {"io_send", "io_recv"};
	const char *why;
	bool has_wait;

	for (int d = STREAM_TX; d <= STREAM_RX; d++) {
		if (input_has_probe(in, records[d], &why) == META_NO)
			out_note(out, "%s calls are not in this trace: %s",
				 d == STREAM_RX ? "receiving" : "sending", why ? why : "no hook");
	}
	why = input_lost_part(in, "io_recv");
	if (why)
		out_note(out,
			 "what was received by splice and TCP_ZEROCOPY_RECEIVE is not in this "
			 "trace: %s",
			 why);
	has_wait = input_has_probe(in, "io_wait", &why) != META_NO;
	if (!has_wait)
		out_note(out, "how long threads slept in calls is not in this trace: %s",
			 why ? why : "no hook");
	return has_wait;
}

/* ---- of a chunk ---- */

void calls_fini(struct calls *c)
{
	free(c->list);
	free(c->socks);
	*c = (struct calls){0};
}

static bool begin(struct calls *c, uint32_t n_socks)
{
	if (n_socks >= c->cap_socks) {
		struct calls_sock *more = realloc(c->socks, (n_socks + 1) * sizeof(*more));

		if (!more)
			return false;
		c->socks = more;
		c->cap_socks = n_socks + 1;
	}
	memset(c->socks, 0, (n_socks + 1) * sizeof(*c->socks));
	c->n_socks = n_socks;
	c->n = 0;
	return true;
}

static struct calls_of *add(struct calls *c, uint32_t sock, uint32_t task)
{
	uint32_t cap = c->cap ? 2 * c->cap : 256;

	if (c->n == c->cap) {
		struct calls_of *more = realloc(c->list, cap * sizeof(*more));

		if (!more)
			return NULL;
		c->list = more;
		c->cap = cap;
	}
	c->list[c->n] = (struct calls_of){.sock = sock, .task = task, .next = c->socks[sock].first};
	c->socks[sock].first = ++c->n;
	return &c->list[c->n - 1];
}

static struct calls_of *find(struct calls *c, uint32_t sock, uint32_t task)
{
	for (uint32_t i = c->socks[sock].first; i; i = c->list[i - 1].next)
		if (c->list[i - 1].task == task)
			return &c->list[i - 1];
	return add(c, sock, task);
}

static bool take_call(struct calls *c, const struct bind *b, uint32_t k, unsigned direction,
		      uint32_t at)
{
	uint32_t sock = (uint32_t)bind_value(b, CALL_SOCK, k, 0);
	uint32_t task = (uint32_t)bind_value(b, CALL_TASK, k, 0);
	struct calls_sock *s = &c->socks[sock <= c->n_socks ? sock : 0];
	struct calls_of *of = find(c, (uint32_t)(s - c->socks), task);
	struct call call;

	if (!of)
		return false;
	call_get(b, k, direction, &call);
	call_add(&of->sums, &call, direction);
	if (call.has_seq)
		stream_part_call(&s->part, direction, call.seq, call.bytes, call.at_end);
	s->last_at = at + 1;
	return true;
}

static bool walk(struct calls *c, const struct calls_chunk *chunk)
{
	const struct bind *destroy = chunk->destroy;
	uint32_t next[2] = {0}, n_ends = 0;
	unsigned ids[2], end_id = destroy->n_rows ? destroy->rec->id : 0;

	for (unsigned d = 0; d < 2; d++)
		ids[d] = chunk->binds[d]->n_rows ? chunk->binds[d]->rec->id : 0;
	for (uint32_t i = 0; i < chunk->n_events; i++) {
		unsigned type = chunk->types[i];
		int d = type == ids[STREAM_TX]	 ? STREAM_TX
			: type == ids[STREAM_RX] ? STREAM_RX
						 : -1;

		if (d >= 0 && next[d] < chunk->binds[d]->n_rows) {
			if (!take_call(c, chunk->binds[d], next[d]++, (unsigned)d, i))
				return false;
		} else if (type == end_id && n_ends < destroy->n_rows) {
			uint64_t sock = bind_value(destroy, 0, n_ends++, 0);

			if (sock && sock <= c->n_socks && !c->socks[sock].end_at)
				c->socks[sock].end_at = i + 1;
		}
	}
	return true;
}

static bool is_in_order(const struct calls_sock *s)
{
	return !s->end_at || s->last_at < s->end_at;
}

/* Another row of the same socket: what both say of its order goes into the first one. */
static bool join(struct calls_sock *first, const struct calls_sock *s)
{
	if (first->last_at && s->last_at)
		return false;
	if (!first->end_at || (s->end_at && s->end_at < first->end_at))
		first->end_at = s->end_at ? s->end_at : first->end_at;
	first->last_at |= s->last_at;
	return is_in_order(first);
}

static bool is_regular(struct calls *c, const struct sock *rows)
{
	struct map seen = {0};
	bool ok = true;

	for (uint32_t i = 1; ok && i <= c->n_socks; i++) {
		struct calls_sock *s = &c->socks[i], *first;
		uint64_t cookie = rows[i - 1].cookie;

		if ((!s->last_at && !s->end_at) || !cookie)
			continue;
		first = map_get(&seen, cookie);
		if (first)
			ok = join(first, s);
		else
			ok = is_in_order(s) && !map_put(&seen, cookie, s);
	}
	map_fini(&seen);
	return ok;
}

bool calls_add_up(struct calls *c, const struct calls_chunk *chunk)
{
	return begin(c, chunk->tables->n_socks) && walk(c, chunk) &&
	       is_regular(c, chunk->tables->socks);
}

void calls_to_streams(const struct calls *c, const struct bind_tables *tables, struct streams *s)
{
	for (uint32_t i = 1; i <= c->n_socks; i++) {
		const struct stream_part *p = &c->socks[i].part;

		if (p->any[STREAM_TX] || p->any[STREAM_RX])
			streams_add(s, bind_sock(tables, i), p);
	}
}

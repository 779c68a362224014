// SPDX-License-Identifier: GPL-2.0-or-later
#include "turn_rows.h"

const struct bind_field turn_send_fields[TURN_SEND_N] = {
	{"sock", BIND_SOCK}, {"task", BIND_TASK}, {"bytes", BIND_INT}, {"write_seq", BIND_INT}};
const struct bind_field turn_recv_fields[TURN_RECV_N] = {
	{"sock", BIND_SOCK}, {"task", BIND_TASK},   {"bytes", BIND_INT}, {"copied_seq", BIND_INT},
	{"flags", BIND_INT}, {"rcv_nxt", BIND_INT}, {"state", BIND_INT}};
enum { FLAG_PEEK = 2, FLAG_ERRQUEUE = 0x2000 };

const struct bind_field turn_wait_fields[TURN_WAIT_N] = {
	{"sock", BIND_SOCK}, {"direction", BIND_INT}, {"edge", BIND_INT}};

/* These tell the first byte, and how many. */
const struct bind_field turn_write_fields[TURN_SEND_N] = {
	{"sock", BIND_SOCK}, {"task", BIND_TASK}, {"size", BIND_INT}, {"write_seq", BIND_INT}};
const struct bind_field turn_copy_fields[TURN_SEND_N] = {
	{"sock", BIND_SOCK}, {"task", BIND_TASK}, {"bytes", BIND_INT}, {"copied_seq", BIND_INT}};

static struct turn_event event_of(const struct bind_row *row, unsigned direction)
{
	return (struct turn_event){.ts_ns = row->ts_ns,
				   .sock = row->sock,
				   .task = row->task,
				   .direction = direction,
				   .bytes = bind_get(row, TURN_BYTES, 0),
				   .end_seq = (uint32_t)bind_get(row, TURN_SEQ, 0)};
}

void turn_rows_send(struct turns *t, const struct bind_row *row)
{
	struct turn_event e = event_of(row, STREAM_TX);

	turns_data(t, &e);
}

/* What waits in the socket; the peer's FIN has a number, and is none of it. */
static uint32_t unread(const struct bind_row *row, uint32_t end_seq)
{
	uint64_t state = bind_get(row, TURN_STATE, 0);
	bool fin_came = state == TCP_S_CLOSE_WAIT || state == TCP_S_LAST_ACK ||
			state == TCP_S_CLOSING || state == TCP_S_TIME_WAIT || state == TCP_S_CLOSE;
	uint32_t n = (uint32_t)bind_get(row, TURN_NXT, end_seq) - end_seq;

	return n - (fin_came && n);
}

bool turn_rows_recv(struct turns *t, const struct bind_row *row)
{
	struct turn_event e = event_of(row, STREAM_RX);

	if (bind_get(row, TURN_FLAGS, 0) & (FLAG_PEEK | FLAG_ERRQUEUE) ||
	    bind_get(row, TURN_STATE, 0) == TCP_S_SYN_SENT)
		return false;
	e.unread = unread(row, e.end_seq);
	turns_data(t, &e);
	return true;
}

/* A thread goes to sleep for room in the send buffer: its call has begun. */
void turn_rows_wait(struct turns *t, const struct bind_row *row)
{
	if (bind_get(row, TURN_DIRECTION, STREAM_RX) == STREAM_TX &&
	    bind_get(row, TURN_EDGE, 0) == TURN_EDGE_BEGIN)
		turns_begin(t, row->sock, row->ts_ns);
}

static void take_bytes(struct turns *t, const struct bind_row *row, unsigned direction)
{
	struct turn_event e = event_of(row, direction);

	e.end_seq += (uint32_t)e.bytes;
	turns_data(t, &e);
}

void turn_rows_write(struct turns *t, const struct bind_row *row, bool begin_only)
{
	if (begin_only)
		turns_begin(t, row->sock, row->ts_ns);
	else
		take_bytes(t, row, STREAM_TX);
}

void turn_rows_copy(struct turns *t, const struct bind_row *row)
{
	take_bytes(t, row, STREAM_RX);
}

enum turn_role turn_rows_role(const struct by_who *who, const struct sock *sock)
{
	const struct conn *c = conn_find(&who->conns, sock);
	struct by_event e = {.sock = sock};
	struct by_id id;

	if (c && c->active)
		return TURN_CLIENT;
	if (by_id(who, BY_LISTENER, &e, &id))
		return TURN_SERVER;
	return c || who->listeners.n ? TURN_CLIENT : TURN_UNKNOWN;
}

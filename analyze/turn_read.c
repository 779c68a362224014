// SPDX-License-Identifier: GPL-2.0-or-later
#include "turn_read.h"

#include <inttypes.h>

/*
 * Who asks. A connection that is older than the trace and has no listener at its local end was made
 * by this host, as far as one can tell.
 */
static enum turn_role role_of(void *ctx, const struct sock *sock)
{
	struct turn_read *r = ctx;
	const struct conn *c = conn_find(&r->who.conns, sock);
	struct by_event e = {.sock = sock};
	struct by_id id;

	if (c && c->active)
		return TURN_CLIENT;
	if (by_id(&r->who, BY_LISTENER, &e, &id))
		return TURN_SERVER;
	return c || r->who.listeners.n ? TURN_CLIENT : TURN_UNKNOWN;
}

static void on_exchange(void *ctx, const struct exchange *x, uint64_t ts_ns)
{
	struct turn_read *r = ctx;

	r->on(r->ctx, x, ts_ns);
}

/* ---- calls ---- */

enum { IO_SOCK, IO_TASK, IO_BYTES, IO_SEQ, IO_FLAGS, IO_NXT, IO_STATE, IO_N };
static const struct bind_field send_fields[IO_FLAGS] = {
	{"sock", BIND_SOCK}, {"task", BIND_TASK}, {"bytes", BIND_INT}, {"write_seq", BIND_INT}};
static const struct bind_field recv_fields[IO_N] = {
	{"sock", BIND_SOCK}, {"task", BIND_TASK},   {"bytes", BIND_INT}, {"copied_seq", BIND_INT},
	{"flags", BIND_INT}, {"rcv_nxt", BIND_INT}, {"state", BIND_INT}};
enum { FLAG_PEEK = 2, FLAG_ERRQUEUE = 0x2000 };

static struct turn_event event_of(const struct bind_row *row, unsigned direction)
{
	return (struct turn_event){.ts_ns = row->ts_ns,
				   .sock = row->sock,
				   .task = row->task,
				   .direction = direction,
				   .bytes = bind_get(row, IO_BYTES, 0),
				   .end_seq = (uint32_t)bind_get(row, IO_SEQ, 0)};
}

static int on_send(void *ctx, const struct bind_row *row)
{
	struct turn_read *r = ctx;
	struct turn_event e = event_of(row, STREAM_TX);

	turns_data(&r->turns, &e);
	return 0;
}

/* What waits in the socket; the peer's FIN has a number, and is none of it. */
static uint32_t unread(const struct bind_row *row, uint32_t end_seq)
{
	uint64_t state = bind_get(row, IO_STATE, 0);
	bool fin_came = state == TCP_S_CLOSE_WAIT || state == TCP_S_LAST_ACK ||
			state == TCP_S_CLOSING || state == TCP_S_TIME_WAIT || state == TCP_S_CLOSE;
	uint32_t n = (uint32_t)bind_get(row, IO_NXT, end_seq) - end_seq;

	return n - (fin_came && n);
}

static int on_recv(void *ctx, const struct bind_row *row)
{
	struct turn_read *r = ctx;
	struct turn_event e = event_of(row, STREAM_RX);

	if (bind_get(row, IO_FLAGS, 0) & (FLAG_PEEK | FLAG_ERRQUEUE) ||
	    bind_get(row, IO_STATE, 0) == TCP_S_SYN_SENT)
		return 0;
	e.unread = unread(row, e.end_seq);
	turns_data(&r->turns, &e);
	return 0;
}

/* A thread goes to sleep for room in the send buffer: its call has begun. */
enum { W_SOCK, W_DIRECTION, W_EDGE, W_N };
static const struct bind_field wait_fields[W_N] = {
	{"sock", BIND_SOCK}, {"direction", BIND_INT}, {"edge", BIND_INT}};
enum { EDGE_BEGIN = 1 };

static int on_wait(void *ctx, const struct bind_row *row)
{
	struct turn_read *r = ctx;

	if (bind_get(row, W_DIRECTION, STREAM_RX) == STREAM_TX &&
	    bind_get(row, W_EDGE, 0) == EDGE_BEGIN)
		turns_begin(&r->turns, row->sock, row->ts_ns);
	return 0;
}

/* tx_write and rx_copy tell the first byte, and how many. */
static const struct bind_field write_fields[IO_FLAGS] = {
	{"sock", BIND_SOCK}, {"task", BIND_TASK}, {"size", BIND_INT}, {"write_seq", BIND_INT}};
static const struct bind_field copy_fields[IO_FLAGS] = {
	{"sock", BIND_SOCK}, {"task", BIND_TASK}, {"bytes", BIND_INT}, {"copied_seq", BIND_INT}};

static int take_bytes(struct turn_read *r, const struct bind_row *row, unsigned direction)
{
	struct turn_event e = event_of(row, direction);

	e.end_seq += (uint32_t)e.bytes;
	turns_data(&r->turns, &e);
	return 0;
}

static int on_write(void *ctx, const struct bind_row *row)
{
	struct turn_read *r = ctx;

	if (!r->has_io)
		return take_bytes(r, row, STREAM_TX);
	turns_begin(&r->turns, row->sock, row->ts_ns);
	return 0;
}

static int on_copy(void *ctx, const struct bind_row *row)
{
	struct turn_read *r = ctx;

	return r->has_io ? 0 : take_bytes(r, row, STREAM_RX);
}

enum { ACK_SOCK, ACK_SEQ, ACK_N };
static const struct bind_field ack_fields[ACK_N] = {{"sock", BIND_SOCK}, {"ack_seq", BIND_INT}};

static int on_ack(void *ctx, const struct bind_row *row)
{
	struct turn_read *r = ctx;

	if (bind_has(row, ACK_SEQ))
		turns_ack(&r->turns, row->sock, (uint32_t)bind_get(row, ACK_SEQ, 0));
	return 0;
}

static int on_destroy(void *ctx, const struct bind_row *row)
{
	struct turn_read *r = ctx;

	turns_gone(&r->turns, row->sock, row->ts_ns);
	conn_drop(&r->who.conns, conn_find(&r->who.conns, row->sock));
	return 0;
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	struct turn_read *r = ctx;

	turns_pass(&r->turns, floor_ns);
	return r->on_chunk ? r->on_chunk(r->ctx, floor_ns) : 0;
}

/* ---- a trace ---- */

int turn_read_begin(struct turn_read *r, struct cmd_run *run)
{
	struct input *in = run->in;
	struct fail other;

	r->run = run;
	r->has_io = !input_needs(in, "io", "io_send", run->fail) &&
		    !input_needs(in, "io", "io_recv", run->fail);
	if (r->has_io || (!input_needs(in, "rx", "rx_copy", &other) &&
			  !input_needs(in, "tx", "tx_write", &other))) {
		*run->fail = (struct fail){0};
		return 0;
	}
	return -1;
}

enum { N_OWN = 6 };

int turn_read_run(struct turn_read *r)
{
	struct turns_opts turns = {
		.patience_ns = r->patience_ns, .role = role_of, .on = on_exchange, .ctx = r};
	struct bind binds[N_OWN + BY_N_BINDS] = {
		{.record = "io_send", .fields = send_fields, .n_fields = IO_FLAGS, .on = on_send},
		{.record = "io_recv", .fields = recv_fields, .n_fields = IO_N, .on = on_recv},
		{.record = "io_wait", .fields = wait_fields, .n_fields = W_N, .on = on_wait},
		{.record = "tx_write",
		 .fields = write_fields,
		 .n_fields = IO_FLAGS,
		 .on = on_write},
		{.record = "rx_copy", .fields = copy_fields, .n_fields = IO_FLAGS, .on = on_copy},
		{.record = "rtt", .fields = ack_fields, .n_fields = ACK_N, .on = on_ack},
	};
	struct input_job job = {.binds = binds,
				.n_binds = N_OWN + BY_N_BINDS,
				.on_chunk = on_chunk,
				.tcp_only = true,
				.ctx = r};
	uint64_t last;

	by_bind(binds + N_OWN);
	binds[N_OWN + BY_BIND_CONN + CONN_TRACK_DESTROY].on = on_destroy;
	turns_init(&r->turns, &turns);
	if (input_run(r->run->in, &job, r->run->fail))
		return -1;
	last = input_last(r->run->in);
	turns_pass(&r->turns, last);
	turns_end(&r->turns, last);
	return r->turns.failed || by_who_failed(&r->who) ? fail_nomem(r->run->fail) : 0;
}

void turn_read_note(const struct turn_read *r)
{
	const struct turns_stats *s = &r->turns.stats;
	struct out *o = r->run->out;
	struct fail fail;

	if (s->n_overlaps)
		out_note(o,
			 "%" PRIu64 " exchanges are left out: requests and answers overlap "
			 "(pipelining, streams)",
			 s->n_overlaps);
	if (s->n_gaps)
		out_note(o,
			 "%" PRIu64 " exchanges are left out: bytes moved in them that no event "
			 "tells of (lost, splice, TLS in the kernel)",
			 s->n_gaps);
	if (s->n_unanswered)
		out_note(o, "%" PRIu64 " requests had no answer", s->n_unanswered);
	if (s->n_one_way)
		out_note(o, "%" PRIu64 " connections moved bytes one way only", s->n_one_way);
	if (s->n_without_role)
		out_note(o,
			 "%" PRIu64 " connections are left out: the trace does not tell who "
			 "connected (record with group conn, or the snapshot)",
			 s->n_without_role);
	if (s->n_cut)
		out_note(o, "%" PRIu64 " quiet connections were forgotten: there were more than %u",
			 s->n_cut, TURNS_OPEN);
	if (input_needs(r->run->in, "rtt", "rtt", &fail))
		out_note(o, "overlapping requests are not recognised as such: acknowledgments are "
			    "not in this trace (group rtt)");
}

void turn_read_fini(struct turn_read *r)
{
	turns_fini(&r->turns);
	by_who_fini(&r->who);
}

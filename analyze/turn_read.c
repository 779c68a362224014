// SPDX-License-Identifier: GPL-2.0-or-later
#include "turn_read.h"

#include <inttypes.h>

#include "turn_rows.h"

static enum turn_role role_of(void *ctx, const struct sock *sock)
{
	return turn_rows_role(&((struct turn_read *)ctx)->who, sock);
}

static void on_exchange(void *ctx, const struct exchange *x, uint64_t ts_ns)
{
	struct turn_read *r = ctx;

	r->on(r->ctx, x, ts_ns);
}

/* ---- calls ---- */

static int on_send(void *ctx, const struct bind_row *row)
{
	turn_rows_send(&((struct turn_read *)ctx)->turns, row);
	return 0;
}

static int on_recv(void *ctx, const struct bind_row *row)
{
	turn_rows_recv(&((struct turn_read *)ctx)->turns, row);
	return 0;
}

static int on_wait(void *ctx, const struct bind_row *row)
{
	turn_rows_wait(&((struct turn_read *)ctx)->turns, row);
	return 0;
}

static int on_write(void *ctx, const struct bind_row *row)
{
	struct turn_read *r = ctx;

	turn_rows_write(&r->turns, row, r->has_io);
	return 0;
}

static int on_copy(void *ctx, const struct bind_row *row)
{
	struct turn_read *r = ctx;

	if (!r->has_io)
		turn_rows_copy(&r->turns, row);
	return 0;
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
		{.record = "io_send",
		 .fields = turn_send_fields,
		 .n_fields = TURN_SEND_N,
		 .on = on_send},
		{.record = "io_recv",
		 .fields = turn_recv_fields,
		 .n_fields = TURN_RECV_N,
		 .on = on_recv},
		{.record = "io_wait",
		 .fields = turn_wait_fields,
		 .n_fields = TURN_WAIT_N,
		 .on = on_wait},
		{.record = "tx_write",
		 .fields = turn_write_fields,
		 .n_fields = TURN_SEND_N,
		 .on = on_write},
		{.record = "rx_copy",
		 .fields = turn_copy_fields,
		 .n_fields = TURN_SEND_N,
		 .on = on_copy},
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

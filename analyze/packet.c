// SPDX-License-Identifier: GPL-2.0-or-later
#include "packet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PK_SOCK,
	PK_FLOW,
	PK_NETNS,
	PK_IFINDEX,
	PK_SEQ,
	PK_LEN,
	PK_PAYLOAD,
	PK_FLAGS,
	PK_STATE,
	PK_HEADERS,
	PK_N_COMMON,
	PK_REASON = PK_N_COMMON,
	PK_LOCATION,
	PK_STACK,
	PK_N
};

static const struct bind_field fields[PK_N] = {
	[PK_SOCK] = {"sock", BIND_SOCK},      [PK_FLOW] = {"flow", BIND_FLOW},
	[PK_NETNS] = {"netns", BIND_INT},     [PK_IFINDEX] = {"ifindex", BIND_INT},
	[PK_SEQ] = {"seq", BIND_INT},	      [PK_LEN] = {"len", BIND_INT},
	[PK_PAYLOAD] = {"payload", BIND_INT}, [PK_FLAGS] = {"tcp_flags", BIND_INT},
	[PK_STATE] = {"state", BIND_INT},     [PK_HEADERS] = {"headers", BIND_INT},
	[PK_REASON] = {"reason", BIND_INT},   [PK_LOCATION] = {"location", BIND_INT},
	[PK_STACK] = {"stack", BIND_INT},
};

enum { HAVE_IP = 1, HAVE_TCP = 2 }; /* field headers */

static void take(const struct packets *ps, const struct bind_row *row, struct packet *p)
{
	uint64_t headers = bind_get(row, PK_HEADERS, 0);

	*p = (struct packet){.ts_ns = row->ts_ns, .sock = row->sock};
	p->conn = conn_find(&ps->conns, row->sock);
	p->has_flow = bind_has(row, PK_FLOW) && (headers || row->sock) &&
		      bind_flow(row->tables, bind_get(row, PK_FLOW, 0), &p->flow);
	p->has_tcp = headers & HAVE_TCP;
	p->state = (unsigned)bind_get(row, PK_STATE, 0);
	p->tcp_flags = (unsigned)bind_get(row, PK_FLAGS, 0);
	p->netns = (uint32_t)bind_get(row, PK_NETNS, 0);
	p->ifindex = (uint32_t)bind_get(row, PK_IFINDEX, 0);
	p->seq = (uint32_t)bind_get(row, PK_SEQ, 0);
	p->len = (uint32_t)bind_get(row, PK_LEN, 0);
	p->payload = (uint32_t)bind_get(row, PK_PAYLOAD, 0);
}

static int hand_over(const struct packets *ps, const struct packet *p)
{
	if (!cells_filter_has(ps->filter, p->has_flow ? &p->flow : NULL))
		return 0;
	return ps->on(ps->ctx, p);
}

static int on_drop(void *ctx, const struct bind_row *row)
{
	struct packets *ps = ctx;
	struct packet p;

	take(ps, row, &p);
	p.reason = bind_get(row, PK_REASON, 0);
	p.location = bind_get(row, PK_LOCATION, 0);
	p.where = labels_get(&ps->places, p.location);
	p.stack = labels_get(&ps->stacks, bind_get(row, PK_STACK, 0));
	ps->nameless |= !p.where;
	return hand_over(ps, &p);
}

static int on_csum(void *ctx, const struct bind_row *row)
{
	struct packets *ps = ctx;
	struct packet p;

	take(ps, row, &p);
	p.is_csum = true;
	return hand_over(ps, &p);
}

static int on_symbol(void *ctx, const struct bind_row *row)
{
	struct packets *ps = ctx;

	labels_take(&ps->places, row);
	return 0;
}

static int on_stack(void *ctx, const struct bind_row *row)
{
	struct packets *ps = ctx;

	labels_take(&ps->stacks, row);
	return 0;
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	struct packets *ps = ctx;

	if (ps->pass)
		ps->pass(ps->ctx, floor_ns);
	return 0;
}

/* Why the recorder could not name places. */
static void note_nameless(const struct packets *ps, struct out *out)
{
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(input_reader(ps->in), &n);
	const char *why = meta_get(meta, n, "symbols.trouble");

	if (ps->nameless && why)
		out_note(out, "%s", why);
}

int packets_run(struct packets *ps, struct cmd_run *run, const struct cells_filter *filter,
		bool want_csum)
{
	struct bind binds[CONN_TRACK_N + 4];
	struct bind own[] = {
		{.record = "drop", .fields = fields, .n_fields = PK_N, .on = on_drop},
		{.record = "snap_symbol",
		 .fields = symbol_fields,
		 .n_fields = LABEL_N,
		 .on = on_symbol},
		{.record = "snap_stack",
		 .fields = stack_fields,
		 .n_fields = LABEL_N,
		 .on = on_stack},
		{.record = "bad_csum", .fields = fields, .n_fields = PK_N_COMMON, .on = on_csum},
	};
	struct input_job job = {.binds = binds,
				.n_binds = CONN_TRACK_N + (want_csum ? 4 : 3),
				.on_chunk = on_chunk,
				.ctx = ps};

	conn_track(binds);
	memcpy(binds + CONN_TRACK_N, own, sizeof(own));
	ps->in = run->in;
	ps->filter = filter;
	if (names_init(&ps->reasons, input_schema(run->in), "drop_reason") ||
	    names_init(&ps->subsystems, input_schema(run->in), "drop_subsys"))
		return fail_nomem(run->fail);
	if (input_run(run->in, &job, run->fail))
		return -1;
	note_nameless(ps, run->out);
	return ps->places.failed || ps->stacks.failed || ps->conns.failed ? fail_nomem(run->fail)
									  : 0;
}

void packets_fini(struct packets *ps)
{
	labels_fini(&ps->places);
	labels_fini(&ps->stacks);
	conn_table_fini(&ps->conns);
	names_fini(&ps->reasons);
	names_fini(&ps->subsystems);
}

/* ---- text ---- */

const char *packet_reason(const struct packets *ps, uint64_t reason, char buf[PACKET_REASON_LEN])
{
	const char *name = names_get(&ps->reasons, reason);
	const char *subsystem = names_get(&ps->subsystems, reason >> 16);

	if (name)
		return name;
	if (reason >> 16 && subsystem)
		snprintf(buf, PACKET_REASON_LEN, "%.40s_%" PRIu64, subsystem, reason & 0xffff);
	else if (reason >> 16)
		snprintf(buf, PACKET_REASON_LEN, "SUBSYS%" PRIu64 "_%" PRIu64, reason >> 16,
			 reason & 0xffff);
	else
		snprintf(buf, PACKET_REASON_LEN, "%" PRIu64, reason);
	return buf;
}

const char *packet_flags(unsigned flags, char buf[PACKET_FLAGS_LEN])
{
	static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK",
					    "URG", "ECE", "CWR", "AE"};
	size_t used = 0;

	*buf = '\0';
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (flags >> i & 1)
			used += (size_t)snprintf(buf + used, PACKET_FLAGS_LEN - used, "%s%s",
						 used ? "|" : "", names[i]);
	return buf;
}

void cell_end_of(struct out *o, const uint8_t *addr, uint16_t port, bool has_port)
{
	char text[FLOW_END_LEN];

	out_str(o, has_port ? flow_end_text(addr, port, text) : flow_addr_text(addr, text));
}

void cell_packet_state(struct out *o, const struct input *in, const struct packet *p)
{
	if (p->state)
		cell_state(o, in, p->state);
	else
		out_none(o);
}

void cells_packet_flow(struct out *o, const struct packet *p)
{
	cells_raw_flow(o, p->has_flow ? &p->flow : NULL);
}

void cells_packet_rest(struct out *o, const struct packet *p)
{
	cell_cookie(o, p->sock ? p->sock->cookie : 0);
	cell_known(o, p->netns, p->netns);
	cell_known(o, p->ifindex, p->ifindex);
	cell_known(o, p->has_tcp, p->seq);
	cell_known(o, p->has_tcp, p->payload);
}

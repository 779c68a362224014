// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape timeline: all that a trace has of one connection, in the order of time, and a picture of
 * its round-trip time, congestion window and segments in flight. ACKs and calls are told in sums,
 * unless -v. Rows come as they are read, from a pipe too; the picture, at the end, holds a fixed
 * number of bins.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "cmd.h"
#include "timeline.h"

#define MAX_TOLD 8 /* candidates that an error names */

static struct timeline_opts opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	{'v', "verbose", NULL, OPT_FLAG, AT(verbose), "each ACK and each call, not their sums"},
	{'p', "packets", NULL, OPT_FLAG, AT(packets),
	 "also each packet in each layer (recorded with -e +rx,+tx)"},
	{0, "chart", "KIND", OPT_STR, AT(chart),
	 "the picture in utf8 or ascii, or none; unless told, as the locale\n"
	 "has it"},
	{0, "no-events", NULL, OPT_FLAG, AT(no_events), "the picture only"},
	{0, "pcap", "FILE", OPT_STR, AT(pcap),
	 "a capture (tcpdump -w) of the same time: its packets as well"},
};

/* ---- which events ---- */

static bool same_flow(const struct flow *a, const struct flow *b, bool swapped)
{
	const uint8_t *l = swapped ? b->raddr : b->laddr, *r = swapped ? b->laddr : b->raddr;

	return a->lport == (swapped ? b->rport : b->lport) &&
	       a->rport == (swapped ? b->lport : b->rport) && !memcmp(a->laddr, l, FLOW_ADDR_LEN) &&
	       !memcmp(a->raddr, r, FLOW_ADDR_LEN);
}

/* What has no socket is known by its addresses: a dropped packet's either way. */
static bool has_its_addresses(const struct timeline *t, const struct timeline_event *e,
			      const struct bind_tables *tables)
{
	int packet = tape_record_field(e->r->rec, "packet");
	const struct wire *w = bind_packet(tables, record_get(e->r, packet, e->k));
	struct flow flow;

	if (!t->has_flow || !t->flow.lport)
		return false;
	if (bind_flow(tables, record_get(e->r, e->r->flow_field, e->k), &flow))
		return same_flow(&t->flow, &flow, false) || same_flow(&t->flow, &flow, true);
	return w && w->has_flow && same_flow(&t->flow, &w->flow, false);
}

static bool is_ours(struct timeline *t, const struct timeline_event *e,
		    const struct bind_tables *tables)
{
	const struct sock *s = e->sock;

	if (s && s->cookie == t->cookie) {
		if (s->has_flow && (!t->has_flow || (s->flow.lport && s->flow.rport))) {
			t->flow = s->flow;
			t->has_flow = true;
		}
		return true;
	}
	if (s && s->cookie && s->has_flow && s->flow.rport)
		return false; /* another connection; a listener has no remote end */
	return has_its_addresses(t, e, tables);
}

static bool is_in_window(const struct timeline *t, const struct timeline_event *e)
{
	return e->ts_ns <= input_to(t->run->in) &&
	       (e->snapshot || e->ts_ns >= input_from(t->run->in));
}

static void choose_events(struct timeline *t)
{
	static const char *const others[] = {"listen", "counters", "nic", "snapshot"};

	for (size_t i = 0; i < t->set.schema->n_records; i++) {
		struct record *r = &t->set.records[i];

		r->on = !r->rec->is_table && (r->sock_field >= 0 || r->flow_field >= 0);
		for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
			r->on &= strcmp(r->rec->group, others[k]) != 0;
		if (!strcmp(r->rec->group, "rx") || !strcmp(r->rec->group, "tx"))
			r->on &= opts.packets;
		r->on |= !strcmp(r->rec->name, "snap_sock");
	}
	record_set_ready(&t->set);
}

/* ---- which connection ---- */

struct candidates {
	struct timeline *t;
	struct map map; /* cookie -> itself */
	struct sock told[MAX_TOLD];
	size_t n;
};

static int on_tables(void *ctx, struct tape_chunk *chunk, const struct bind_tables *tables)
{
	struct candidates *c = ctx;
	struct input *in = c->t->run->in;

	for (uint32_t i = 0; i < tables->n_socks; i++) {
		const struct sock *s = &tables->socks[i];

		if (!s->cookie || (s->has_flow && !s->flow.rport) || s->protocol == BIND_MPTCP ||
		    map_get(&c->map, s->cookie) || !input_wants(in, input_from(in), s, NULL))
			continue;
		if (map_put(&c->map, s->cookie, c))
			return fail_nomem(c->t->run->fail);
		if (c->n < MAX_TOLD)
			c->told[c->n] = *s;
		c->n++;
	}
	return 0;
}

static int fail_several(const struct candidates *c)
{
	struct text s = {0};
	char end[FLOW_END_LEN];
	int rc;

	for (size_t i = 0; i < c->n && i < MAX_TOLD; i++) {
		const struct sock *k = &c->told[i];

		text_fmt(&s, "%s0x%" PRIx64 " ", i ? ", " : "", k->cookie);
		text_puts(&s, flow_end_text(k->flow.laddr, k->flow.lport, end));
		text_fmt(&s, ">%s", flow_end_text(k->flow.raddr, k->flow.rport, end));
	}
	if (c->n > MAX_TOLD)
		text_puts(&s, ", ...");
	rc = fail_set(c->t->run->fail, STATUS_USAGE, "which of %zu connections? %.*s", c->n,
		      (int)(s.failed ? 0 : s.len), s.s ? s.s : "");
	text_fini(&s);
	return rc;
}

/* The only connection that the options choose. */
static int find_connection(struct timeline *t)
{
	struct candidates c = {.t = t};
	struct input_job job = {.on_raw = on_tables, .ctx = &c};
	int rc;

	t->cookie = input_conn(t->run->in);
	if (t->cookie)
		return 0;
	if (input_is_pipe(t->run->in))
		return fail_set(t->run->fail, STATUS_USAGE,
				"which connection? A pipe is read once: tcptape timeline CONN -");
	rc = input_run(t->run->in, &job, t->run->fail);
	if (!rc)
		rc = input_rewind(t->run->in, t->run->fail);
	if (!rc && !c.n)
		rc = fail_set(t->run->fail, STATUS_LACKS, "%s: no connection is chosen",
			      t->run->path);
	else if (!rc && c.n > 1)
		rc = fail_several(&c);
	t->cookie = c.told[0].cookie;
	map_fini(&c.map);
	return rc;
}

/* ---- the command ---- */

static bool wants(void *ctx, const struct tape_chunk *chunk)
{
	const struct timeline *t = ctx;

	return record_set_wants(&t->set, chunk);
}

static int decode(const void *ctx, struct tape_chunk *chunk, struct tape_error *err)
{
	const struct timeline *t = ctx;

	return record_set_decode(&t->set, chunk, err);
}

static int on_chunk(void *ctx, struct tape_chunk *chunk, const struct bind_tables *tables)
{
	struct timeline *t = ctx;
	const struct record *common = &t->set.records[0];

	if (record_set_load(&t->set, chunk) < 0)
		return fail_nomem(t->run->fail);
	for (uint32_t i = 0; i < record_set_n_events(&t->set); i++) {
		uint32_t k;
		const struct record *r = record_set_event(&t->set, i, &k);
		struct timeline_event e = {
			.r = r, .k = k, .snapshot = tape_chunk_is_snapshot(chunk)};

		if (!r || k >= r->n_rows || !r->on)
			continue;
		e.ts_ns = record_get(common, TAPE_COMMON_TS, i);
		e.sock = bind_sock(tables, record_get(r, r->sock_field, e.k));
		e.task = bind_task(tables, record_get(r, r->task_field, e.k));
		if (is_in_window(t, &e) && is_ours(t, &e, tables))
			timeline_take(t, &e);
	}
	timeline_take_losses(t);
	return 0;
}

static int finish(struct timeline *t)
{
	bool text = !out_is_json(t->run->out) && !out_is_csv(t->run->out);

	timeline_end(t);
	timeline_wire_end(t);
	if (!t->first_ns && !t->row_ns)
		return fail_set(t->run->fail, STATUS_LACKS,
				"%s: nothing of connection 0x%" PRIx64
				" is in this trace; tcptape life -C lists its connections",
				t->run->path, t->cookie);
	if (text && t->first_ns && (!opts.chart || strcmp(opts.chart, "none") != 0))
		timeline_draw(t);
	return 0;
}

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (opts.chart && strcmp(opts.chart, "utf8") && strcmp(opts.chart, "ascii") &&
	    strcmp(opts.chart, "none"))
		return fail_set(fail, STATUS_USAGE, "--chart takes utf8, ascii or none, not '%s'",
				opts.chart);
	return 0;
}

static int read_all(struct timeline *t)
{
	struct input_job job = {
		.raw_wants = wants, .raw_decode = decode, .on_raw = on_chunk, .ctx = t};
	int rc = find_connection(t);

	if (rc)
		return rc;
	if (opts.pcap && timeline_wire_begin(t, opts.pcap))
		return -1;
	choose_events(t);
	timeline_begin(t);
	rc = input_run(t->run->in, &job, t->run->fail);
	return rc ? rc : finish(t);
}

static int run(struct cmd_run *run)
{
	struct timeline *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return fail_nomem(run->fail);
	t->opts = &opts;
	t->run = run;
	if (record_set_init(&t->set, input_schema(run->in)))
		rc = fail_nomem(run->fail);
	else
		rc = read_all(t);
	record_set_fini(&t->set);
	text_fini(&t->held.details);
	capture_fini(&t->wire.capture);
	free(t);
	return rc;
}

const struct cmd cmd_timeline = {
	.name = "timeline",
	.summary = "one connection's whole story, with a picture",
	.operands = "[CONN] FILE",
	.about =
		"CONN is the number that -C adds to the rows of other commands (tcptape life -C "
		"FILE); or\n"
		"options choose one connection: tcptape timeline -f 'port 46464' FILE. ACKs and "
		"calls are\n"
		"told in sums of a second at most, which end when something else happens. What has "
		"no socket\n"
		"(dropped packets) is taken by its addresses. The picture has the smallest and the "
		"largest\n"
		"value of each moment; shaded (? in ascii) is where events were lost. With --pcap "
		"an event\n"
		"wire is a packet of the capture, out or in, at its own time.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.takes_conn = true,
	.check = check,
	.run = run,
};

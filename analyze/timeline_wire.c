// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The packets that a capture has of the connection, as rows of its story. They are known by its
 * addresses: those of its socket, and those that a NAT of this host gave to packets of that socket,
 * which the trace tells where it has group tx.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"
#include "timeline.h"

#define MAX_RECORDS 96 /* events that have a socket */

enum { F_SOCK, F_PACKET, F_N };
static const struct bind_field fields[F_N] = {{"sock", BIND_SOCK}, {"packet", BIND_PACKET}};

/* ---- its addresses ---- */

static bool same(const struct flow *a, const struct flow *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static void learn(struct timeline_wire *w, const struct flow *f)
{
	struct flow back = flow_turned(f);

	if (!f->lport || !f->rport || w->n_ends == TIMELINE_ENDS)
		return;
	for (unsigned i = 0; i < w->n_ends; i++)
		if (same(&w->ends[i], f) || same(&w->ends[i], &back))
			return;
	w->ends[w->n_ends++] = *f;
}

static int on_row(void *ctx, const struct bind_row *row)
{
	struct timeline *t = ctx;

	if (!row->sock || row->sock->cookie != t->cookie)
		return 0;
	if (row->sock->has_flow)
		learn(&t->wire, &row->sock->flow);
	if (row->packet && row->packet->has_flow)
		learn(&t->wire, &row->packet->flow);
	return 0;
}

/* The trace once more, ahead. 0, or -1 and fail. */
static int find_ends(struct timeline *t)
{
	const struct tape_schema *s = t->set.schema;
	struct input_job job = {.all_rows = true, .ctx = t};
	int rc;

	job.binds = calloc(MAX_RECORDS, sizeof(*job.binds));
	if (!job.binds)
		return fail_nomem(t->run->fail);
	for (size_t i = 1; i < s->n_records && job.n_binds < MAX_RECORDS; i++)
		if (!s->records[i].is_table && tape_record_field(&s->records[i], "sock") >= 0)
			job.binds[job.n_binds++] = (struct bind){.record = s->records[i].name,
								 .fields = fields,
								 .n_fields = F_N,
								 .on = on_row};
	rc = input_run(t->run->in, &job, t->run->fail);
	free(job.binds);
	return rc ? rc : input_rewind(t->run->in, t->run->fail);
}

/* ---- its packets ---- */

/* 1 it is one that goes out, -1 one that comes in, 0 another connection's. */
static int way_of(const struct timeline_wire *w, const struct captured *k, unsigned *ends)
{
	const struct flow *f = &w->capture.flows[k->flow];
	struct flow back = flow_turned(f);

	for (*ends = 0; *ends < w->n_ends; (*ends)++) {
		if (same(&w->ends[*ends], f))
			return 1;
		if (same(&w->ends[*ends], &back))
			return -1;
	}
	return 0;
}

/* The others are forgotten. */
static void keep_own(struct timeline_wire *w)
{
	unsigned ends;
	size_t n = 0;

	for (size_t i = 0; i < w->capture.n; i++)
		if (way_of(w, &w->capture.packets[i], &ends))
			w->capture.packets[n++] = w->capture.packets[i];
	w->capture.n = n;
}

int timeline_wire_begin(struct timeline *t, const char *path)
{
	struct timeline_wire *w = &t->wire;
	struct cmd_run *run = t->run;

	if (input_is_pipe(run->in))
		return fail_set(run->fail, STATUS_USAGE,
				"--pcap reads the trace more than once: not from a pipe");
	if (find_ends(t) || capture_read_beside(&w->capture, path, run))
		return -1;
	keep_own(w);
	capture_sort_by_time(&w->capture);
	return 0;
}

static void put_ends(const struct flow *f, int way, struct text *s)
{
	char end[FLOW_END_LEN];

	text_fmt(s, ", %s",
		 way > 0 ? flow_end_text(f->laddr, f->lport, end)
			 : flow_end_text(f->raddr, f->rport, end));
	text_fmt(s, " > %s",
		 way > 0 ? flow_end_text(f->raddr, f->rport, end)
			 : flow_end_text(f->laddr, f->lport, end));
}

static void print_packet(struct timeline *t, const struct captured *k, uint64_t ts_ns)
{
	char flags[PACKET_FLAGS_LEN];
	struct text s = {0};
	unsigned ends;
	int way = way_of(&t->wire, k, &ends);

	text_fmt(&s, "%s: %" PRIu32 " bytes, seq %" PRIu32 ", ack %" PRIu32 ", %s",
		 way > 0 ? "out" : "in", k->payload, k->seq, k->ack_seq,
		 packet_flags(k->tcp_flags, flags));
	if (ends) /* not those of its socket */
		put_ends(&t->wire.ends[ends], way, &s);
	timeline_row(t, ts_ns, "wire", &s);
	text_fini(&s);
}

void timeline_wire_pass(struct timeline *t, uint64_t to_ns)
{
	struct timeline_wire *w = &t->wire;
	struct input *in = t->run->in;

	if (to_ns > input_to(in))
		to_ns = input_to(in);
	for (; w->next < w->capture.n; w->next++) {
		const struct captured *k = &w->capture.packets[w->next];
		uint64_t ts_ns = input_mono(in, k->wall_ns);

		if (ts_ns > to_ns)
			return;
		if (ts_ns < input_from(in))
			continue;
		print_packet(t, k, ts_ns);
		w->n_told++;
	}
}

void timeline_wire_end(struct timeline *t)
{
	struct timeline_wire *w = &t->wire;

	if (!w->capture.path)
		return;
	out_note(t->run->out, "%s has %" PRIu64 " packets of this connection in that time",
		 w->capture.path, w->n_told);
	capture_note_limits(&w->capture, t->run->out);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <string.h>

#include "cells.h"
#include "tell.h"
#include "timeline.h"

#define MAX_SUM_NS 1000000000ull /* a sum is of so much time at most */

enum { TX, RX };

static const struct out_col columns[] = {
	{"TIME(s)", "time_s", 11, false}, {"SINCE(ms)", "since_ms", -10, false},
	{"EVENT", "event", 17, false},	  {"PID", "pid", 7, false},
	{"COMM", "comm", 15, false},	  {"DETAILS", "details", 0, false},
	{NULL, "conn", 0, false},
};

/* ---- rows ---- */

static void print_held(struct timeline *t);

static void print(struct timeline *t, uint64_t ts_ns, const char *name, const struct task *task,
		  const struct text *details)
{
	struct out *o = t->run->out;

	if (t->held.ts_ns && t->held.ts_ns <= ts_ns)
		print_held(t);
	if (t->opts->no_events)
		return;
	cell_seconds(o, t->run->in, ts_ns);
	if (t->row_ns && ts_ns >= t->row_ns)
		cell_ms(o, ts_ns - t->row_ns, 3);
	else
		out_none(o);
	out_str(o, name);
	cell_known(o, task, task ? task->pid : 0);
	if (task)
		out_str_cut(o, task->comm);
	else
		out_none(o);
	out_strn(o, details->s, details->len);
	cell_cookie(o, t->cookie);
	out_end_row(o);
	t->row_ns = ts_ns > t->row_ns ? ts_ns : t->row_ns;
}

static void print_held(struct timeline *t)
{
	uint64_t ts_ns = t->held.ts_ns;

	t->held.ts_ns = 0;
	print(t, ts_ns, "snap_sock", t->held.has_task ? &t->held.task : NULL, &t->held.details);
}

static void hold(struct timeline *t, const struct timeline_event *e)
{
	if (t->held.ts_ns)
		print_held(t);
	text_clear(&t->held.details);
	tell_event(&t->set, &t->held.details, e->r, e->k);
	t->held.ts_ns = e->ts_ns;
	t->held.has_task = e->task != NULL;
	if (e->task)
		t->held.task = *e->task;
}

static void put_range(struct text *s, const char *name, const struct range *r, const char *unit)
{
	if (!r->any)
		return;
	text_fmt(s, r->min == r->max ? ", %s %u%s" : ", %s %u%s to %u%s", name, r->min, unit,
		 r->max, unit);
}

static void print_acks(struct timeline *t)
{
	struct acks *a = &t->acks;
	struct text s = {0};

	if (!a->n)
		return;
	text_fmt(&s, "%" PRIu64 " ACK%s", a->n, a->n == 1 ? "" : "s");
	put_range(&s, "sample", &a->rtt, " us");
	put_range(&s, "srtt", &a->srtt, " us");
	put_range(&s, "cwnd", &a->cwnd, "");
	put_range(&s, "in flight", &a->in_flight, "");
	print(t, a->from_ns, "rtt", NULL, &s);
	text_fini(&s);
	*a = (struct acks){0};
}

static void print_calls(struct timeline *t)
{
	static const char *const names[] = {[TX] = "send", [RX] = "receive"};
	struct calls *c = &t->calls;
	struct text s = {0};

	if (!c->n[TX] && !c->n[RX])
		return;
	for (int d = TX; d <= RX; d++)
		if (c->n[d])
			text_fmt(&s, "%s%" PRIu64 " %s%s of %" PRIu64 " bytes", s.len ? ", " : "",
				 c->n[d], names[d], c->n[d] == 1 ? "" : "s", c->bytes[d]);
	if (c->n_failed)
		text_fmt(&s, ", %" PRIu64 " failed", c->n_failed);
	print(t, c->from_ns, "io", c->task.pid ? &c->task : NULL, &s);
	text_fini(&s);
	*c = (struct calls){0};
}

/* The sums so far, in the order in which they began. */
static void print_sums(struct timeline *t)
{
	bool calls_first = t->calls.from_ns && t->calls.from_ns < t->acks.from_ns;

	if (calls_first)
		print_calls(t);
	print_acks(t);
	print_calls(t);
}

static void print_event(struct timeline *t, const struct timeline_event *e)
{
	struct text s = {0};

	print_sums(t);
	tell_event(&t->set, &s, e->r, e->k);
	print(t, e->ts_ns, e->r->rec->name, e->task, &s);
	text_fini(&s);
}

void timeline_row(struct timeline *t, uint64_t ts_ns, const char *name, const struct text *details)
{
	print_sums(t);
	print(t, ts_ns, name, NULL, details);
}

/* ---- sums ---- */

static bool get(const struct timeline_event *e, const char *field, uint64_t *ret)
{
	int at = tape_record_field(e->r->rec, field);

	if (at < 0 || !e->r->fields[at].have)
		return false;
	*ret = record_get(e->r, at, e->k);
	return true;
}

static void widen(struct range *r, uint64_t v)
{
	uint32_t n = v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;

	r->min = r->any && r->min < n ? r->min : n;
	r->max = r->any && r->max > n ? r->max : n;
	r->any = true;
}

/* A value into the sum and the picture. */
static void take_value(const struct timeline_event *e, const char *field, struct range *r,
		       struct chart *c)
{
	uint64_t v;

	if (!get(e, field, &v))
		return;
	widen(r, v);
	if (c)
		chart_add(c, e->ts_ns, v < UINT32_MAX ? (uint32_t)v : UINT32_MAX);
}

static void take_ack(struct timeline *t, const struct timeline_event *e)
{
	struct acks *a = &t->acks, only = {0};
	uint64_t v = 0;
	bool sampled = get(e, "rtt_us", &v) && (int32_t)v >= 0;

	if (t->opts->verbose)
		a = &only;
	if (!a->n++)
		a->from_ns = e->ts_ns;
	if (sampled)
		take_value(e, "rtt_us", &a->rtt, &t->rtt);
	if (get(e, "srtt_us", &v) && v)
		take_value(e, "srtt_us", &a->srtt, sampled ? NULL : &t->rtt);
	take_value(e, "cwnd", &a->cwnd, &t->cwnd);
	take_value(e, "in_flight", &a->in_flight, &t->in_flight);
	if (t->opts->verbose)
		print_event(t, e);
}

static void take_call(struct timeline *t, const struct timeline_event *e, unsigned direction)
{
	struct calls *c = &t->calls;
	uint64_t bytes = 0, err = 0;

	if (t->opts->verbose) {
		print_event(t, e);
		return;
	}
	get(e, "bytes", &bytes);
	get(e, "err", &err);
	if (c->task.pid && e->task && e->task->pid != c->task.pid)
		print_sums(t);
	if (!c->n[TX] && !c->n[RX])
		c->from_ns = e->ts_ns;
	if (e->task)
		c->task = *e->task;
	c->n[direction]++;
	c->bytes[direction] += bytes;
	c->n_failed += err != 0;
}

void timeline_take(struct timeline *t, const struct timeline_event *e)
{
	const char *name = e->r->rec->name;

	if (!strcmp(name, "snap_sock")) {
		hold(t, e);
		return;
	}
	timeline_wire_pass(t, e->ts_ns);
	if (!e->snapshot) {
		t->first_ns = t->first_ns ? t->first_ns : e->ts_ns;
		t->last_ns = e->ts_ns > t->last_ns ? e->ts_ns : t->last_ns;
	}
	if ((t->acks.n && e->ts_ns - t->acks.from_ns > MAX_SUM_NS) ||
	    (t->calls.from_ns && e->ts_ns - t->calls.from_ns > MAX_SUM_NS))
		print_sums(t);
	if (!strcmp(name, "rtt")) {
		take_ack(t, e);
	} else if (!strcmp(name, "io_send")) {
		take_call(t, e, TX);
	} else if (!strcmp(name, "io_recv")) {
		take_call(t, e, RX);
	} else if (strcmp(name, "io_wait") != 0 || t->opts->verbose) {
		if (!strcmp(name, "retransmit") || !strcmp(name, "synack_retransmit"))
			chart_add(&t->retransmits, e->ts_ns, 1);
		if (!strcmp(name, "drop") || !strcmp(name, "bad_csum"))
			chart_add(&t->drops, e->ts_ns, 1);
		if (!strcmp(name, "reset"))
			chart_add(&t->resets, e->ts_ns, 1);
		print_event(t, e);
	}
}

/* ---- loss ---- */

/* That something of it may be missing: where no group is named, all may be. */
static bool is_of_connections(const struct timeline *t, const struct tape_loss *l)
{
	static const char *const others[] = {"listen", "counters", "nic", "rx", "tx"};

	for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
		if (!strcmp(l->group, others[k]) && !(t->opts->packets && k >= 3))
			return false;
	return l->count;
}

void timeline_take_losses(struct timeline *t)
{
	size_t n;
	const struct tape_loss *l = tape_reader_losses(input_reader(t->run->in), &n);
	struct text s = {0};

	for (; t->first_ns && t->n_losses < n; t->n_losses++) {
		const struct tape_loss *at = &l[t->n_losses];

		if (!is_of_connections(t, at) || at->to_ns < t->first_ns ||
		    at->from_ns > input_to(t->run->in))
			continue;
		print_sums(t);
		text_clear(&s);
		text_fmt(&s, "%" PRIu64 " events of ", at->count);
		if (at->group[0])
			text_puts(&s, "group ");
		text_puts(&s, at->group[0] ? at->group : "any group");
		text_fmt(&s, " until +%.6fs, maybe of this connection",
			 input_seconds(t->run->in, at->to_ns));
		print(t, at->from_ns, "(lost)", NULL, &s);
	}
	text_fini(&s);
}

void timeline_begin(struct timeline *t)
{
	if (!t->opts->no_events)
		out_table(t->run->out, columns, sizeof(columns) / sizeof(columns[0]));
}

void timeline_end(struct timeline *t)
{
	timeline_wire_pass(t, UINT64_MAX);
	print_sums(t);
	timeline_take_losses(t);
	if (t->held.ts_ns)
		print_held(t);
}

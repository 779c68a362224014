// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape dump: every event, one a line, with all that the trace has of it. Nothing here knows a
 * particular event: records, fields, tables and names come from the schema of the file, so what a
 * newer recorder wrote is shown too.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "cmd.h"
#include "pick.h"

static struct {
	const char *events;
	bool no_snapshot;
} opts;

static const struct opt_row rows[] = {
	{'e', "events", "NAMES", OPT_STR, offsetof(__typeof__(opts), events),
	 "only events of these names, with commas between them"},
	{0, "no-snapshot", NULL, OPT_FLAG, offsetof(__typeof__(opts), no_snapshot),
	 "leave out what existed when a snapshot was taken (snap_*)"},
};

struct dump {
	struct cmd_run *run;
	struct record_set set;
	uint64_t n_unknown; /* events of types that the schema lacks */
};

/* ---- which events ---- */

static void choose_default(struct dump *d)
{
	for (size_t i = 0; i < d->set.schema->n_records; i++) {
		struct record *r = &d->set.records[i];

		r->on = !r->rec->is_table &&
			(!opts.no_snapshot || strcmp(r->rec->group, "snapshot") != 0);
	}
}

static int choose_events(struct dump *d)
{
	for (const char *p = opts.events; p && *p;) {
		size_t len = strcspn(p, ","), i;

		for (i = 0; i < d->set.schema->n_records; i++) {
			const struct tape_record *rec = d->set.records[i].rec;

			if (!rec->is_table && strlen(rec->name) == len &&
			    !memcmp(rec->name, p, len))
				break;
		}
		if (i == d->set.schema->n_records)
			return fail_set(d->run->fail, STATUS_LACKS,
					"%s: this trace knows no event '%.*s'; tcptape info lists "
					"its events",
					d->run->path, (int)len, p);
		d->set.records[i].on = true;
		p += len + (p[len] == ',');
	}
	return 0;
}

/* ---- events ---- */

struct event {
	const struct record *r;
	uint32_t k, cpu;
	bool has_cpu;
	uint64_t ts_ns;
	const struct sock *sock;
	const struct task *task;
};

static void print_json(struct dump *d, const struct event *e)
{
	struct json *j = out_object(d->run->out);

	json_fixed(j, "time_s", input_seconds(d->run->in, e->ts_ns), 9);
	json_u64(j, "ts_ns", e->ts_ns);
	if (e->has_cpu)
		json_u64(j, "cpu", e->cpu);
	json_str(j, "event", e->r->rec->name, strlen(e->r->rec->name));
	record_json(&d->set, j, e->r, e->k);
	out_end_object(d->run->out);
}

static void text_end(struct text *t, const uint8_t *addr, uint16_t port)
{
	char text[FLOW_TEXT_LEN];
	bool v6 = !flow_addr_is_v4(addr);

	flow_addr_text(addr, text);
	text_fmt(t, v6 ? "[%s]:%u" : "%s:%u", text, port);
}

static void print_text(struct dump *d, const struct event *e)
{
	struct text *t = out_line(d->run->out);
	char cookie[COOKIE_TEXT_LEN];
	size_t start = t->len;

	text_seconds(t, (int64_t)(e->ts_ns - input_start(d->run->in)));
	text_pad(t, start, 14);
	text_fmt(t, " %3u ", e->cpu);
	start = t->len;
	text_safe(t, e->r->rec->name, strlen(e->r->rec->name));
	text_pad(t, start, 13);
	text_putc(t, ' ');
	start = t->len;
	if (e->task) {
		text_fmt(t, "%u/", e->task->pid);
		text_safe(t, e->task->comm, strlen(e->task->comm));
	} else {
		text_putc(t, '-');
	}
	text_pad(t, start, 16);
	text_putc(t, ' ');
	start = t->len;
	text_puts(t, e->sock && e->sock->cookie ? cookie_text(e->sock->cookie, cookie) : "-");
	text_pad(t, start, 8);
	text_putc(t, ' ');
	start = t->len;
	if (e->sock && e->sock->has_flow) {
		text_end(t, e->sock->flow.laddr, e->sock->flow.lport);
		text_puts(t, " > ");
		text_end(t, e->sock->flow.raddr, e->sock->flow.rport);
	} else {
		text_putc(t, '-');
	}
	text_pad(t, start, 37);
	text_putc(t, ' ');
	record_text(&d->set, t, e->r, e->k);
	out_end_line(d->run->out);
}

static const struct out_col csv_columns[] = {
	{"", "time_s", 0, false}, {"", "cpu", 0, false},   {"", "event", 0, false},
	{"", "pid", 0, false},	  {"", "comm", 0, false},  {"", "pid_from", 0, false},
	{"", "conn", 0, false},	  {"", "laddr", 0, false}, {"", "lport", 0, false},
	{"", "raddr", 0, false},  {"", "rport", 0, false}, {"", "fields", 0, false},
};

static void print_csv(struct dump *d, const struct event *e)
{
	struct out *o = d->run->out;
	struct text fields = {0};

	cell_seconds(o, d->run->in, e->ts_ns);
	out_u64(o, e->cpu);
	out_str(o, e->r->rec->name);
	cells_task(o, e->task, NULL);
	cell_cookie(o, e->sock ? e->sock->cookie : 0);
	cells_flow(o, e->sock && e->sock->has_flow ? &e->sock->flow : NULL);
	record_text(&d->set, &fields, e->r, e->k);
	out_strn(o, fields.s, fields.len);
	text_fini(&fields);
	out_end_row(o);
}

static void print(struct dump *d, const struct event *e)
{
	if (out_is_json(d->run->out))
		print_json(d, e);
	else if (out_is_csv(d->run->out))
		print_csv(d, e);
	else
		print_text(d, e);
}

/* ---- chunks ---- */

static bool wants(void *ctx, const struct tape_chunk *chunk)
{
	const struct dump *d = ctx;

	return record_set_wants(&d->set, chunk);
}

static int decode(const void *ctx, struct tape_chunk *chunk, struct tape_error *err)
{
	const struct dump *d = ctx;

	return record_set_decode(&d->set, chunk, err);
}

static int on_chunk(void *ctx, struct tape_chunk *chunk, const struct bind_tables *tables)
{
	struct dump *d = ctx;
	const struct record *common = &d->set.records[0];
	struct picked who;

	if (record_set_load(&d->set, chunk) < 0)
		return fail_nomem(d->run->fail);
	for (uint32_t i = 0; i < record_set_n_events(&d->set); i++) {
		uint32_t k;
		const struct record *r = record_set_event(&d->set, i, &k);
		struct event e = {.r = r, .k = k};

		d->n_unknown += !r;
		if (!r || k >= r->n_rows || !r->on)
			continue;
		e.ts_ns = record_get(common, TAPE_COMMON_TS, i);
		e.has_cpu = common->fields[TAPE_COMMON_CPU].have;
		e.cpu = (uint32_t)record_get(common, TAPE_COMMON_CPU, i);
		if (!pick(d->run->in, r, k, e.ts_ns, tables, &who))
			continue;
		e.sock = who.sock;
		e.task = who.task;
		print(d, &e);
	}
	return 0;
}

static void print_header(struct dump *d)
{
	struct out *o = d->run->out;

	if (out_is_csv(o)) {
		out_table(o, csv_columns, sizeof(csv_columns) / sizeof(csv_columns[0]));
	} else if (!out_is_json(o) && out_has_header(o)) {
		text_fmt(out_line(o), "%-14s %3s %-13s %-16s %-8s %-37s %s", "TIME(s)", "CPU",
			 "EVENT", "TASK", "COOKIE", "LOCAL > REMOTE", "FIELDS");
		out_end_line(o);
	}
}

static int run(struct cmd_run *run)
{
	struct dump d = {.run = run};
	struct input_job job = {
		.raw_wants = wants, .raw_decode = decode, .on_raw = on_chunk, .ctx = &d};
	int rc = record_set_init(&d.set, input_schema(run->in));

	if (rc)
		rc = fail_nomem(run->fail);
	else if (opts.events)
		rc = choose_events(&d);
	else
		choose_default(&d);
	if (!rc) {
		record_set_ready(&d.set);
		print_header(&d);
		rc = input_run(run->in, &job, run->fail);
		if (d.n_unknown)
			out_note(run->out,
				 "%" PRIu64 " events are of types that the trace does not describe",
				 d.n_unknown);
	}
	record_set_fini(&d.set);
	return rc;
}

const struct cmd cmd_dump = {
	.name = "dump",
	.summary = "every event, one a line, with all its fields",
	.about = "Fields are named as in the schema of the trace, in its order; values have the "
		 "names that\n"
		 "the trace gives them, else their number. What existed when the recording began "
		 "stands\n"
		 "first, as events snap_*. --json has everything, the rows of tables included; a "
		 "local port\n"
		 "that was not chosen yet stays 0 there, while COOKIE's line has it where it is "
		 "known.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.run = run,
};

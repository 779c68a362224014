// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape explain: what may be wrong, the worst first, and why it is thought so.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "explain.h"

static struct {
	bool list;
} opts;

static const struct opt_row rows[] = {
	{'l', "list", NULL, OPT_FLAG, offsetof(__typeof__(opts), list),
	 "the causes that are looked for, and what they need"},
};

static const struct out_col columns[] = {
	{NULL, "rank", 0, false},	 {NULL, "cause", 0, false},
	{NULL, "title", 0, false},	 {NULL, "cost_ms", 0, false},
	{NULL, "connections", 0, false}, {NULL, "failures", 0, false},
	{NULL, "confidence", 0, false},	 {NULL, "reason", 0, false},
	{NULL, "evidence", 0, false},	 {NULL, "next", 0, false},
};
static const struct out_col list_columns[] = {
	{"CAUSE", "cause", 16, false},
	{"LOOKED FOR", "looked_for", 10, false},
	{"RECORD", "record", 18, false},
	{"WHAT", "title", 0, false},
};
#define N_COLS(cols) (sizeof(cols) / sizeof(cols[0]))

/* ---- JSON, CSV ---- */

static void print_row(struct out *o, const struct finding *f, unsigned rank)
{
	struct text lines = {0};

	/* without the end of the last line: it would begin another part */
	for (size_t i = 0; i + 1 < f->evidence.len; i++) {
		if (f->evidence.s[i] == '\n' && out_is_csv(o))
			text_puts(&lines, "; ");
		else
			text_putc(&lines, f->evidence.s[i]);
	}
	text_putc(&lines, '\0');
	out_u64(o, rank);
	out_str(o, f->cause->name);
	out_str(o, f->cause->title);
	out_fixed(o, (double)f->cost_ns / 1e6, 3);
	out_u64(o, f->n_conns);
	out_u64(o, f->n_failed);
	out_str(o, confidence_name(f->confidence));
	out_strn(o, f->reason.s, f->reason.len);
	out_list(o, lines.s ? lines.s : "", '\n');
	out_str(o, f->next);
	out_end_row(o);
	text_fini(&lines);
}

static void print_summary(struct out *o, const struct evidence *e, const struct explain *x)
{
	struct json *j = out_object(o);

	json_u64(j, "causes", x->n);
	json_bool(j, "nothing_wrong", !x->n);
	json_u64(j, "events", e->n_seen);
	json_u64(j, "lost", e->n_lost);
	json_u64(j, "seen_connections", e->n_conns);
	json_open(j, "not_looked_for", '[');
	for (unsigned i = 0; i < EXPLAIN_CAUSES; i++) {
		const char *name = explain_causes[i]->name;

		if (!explain_can(e, explain_causes[i]))
			json_str(j, NULL, name, strlen(name));
	}
	json_close(j, ']');
	out_end_object(o);
}

/* ---- text ---- */

static void put_count(struct text *t, uint64_t n, const char *one, const char *many)
{
	if (n)
		text_fmt(t, ", %" PRIu64 " %s", n, n == 1 ? one : many);
}

static void print_finding(struct out *o, const struct finding *f, unsigned rank)
{
	struct text *t = out_line(o);
	const char *at = f->evidence.s, *end = at + f->evidence.len;

	text_fmt(t, "%u. %s: %s\n", rank, f->cause->name, f->cause->title);
	text_fmt(t, "   cost: %.1f ms waited", (double)f->cost_ns / 1e6);
	put_count(t, f->n_conns, "connection", "connections");
	put_count(t, f->n_failed, "failed", "failed");
	text_fmt(t, "\n   confidence: %s (", confidence_name(f->confidence));
	text_safe(t, f->reason.s, f->reason.len);
	text_puts(t, ")\n");
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		text_puts(t, "   - ");
		text_safe(t, at, (size_t)(stop - at));
		text_putc(t, '\n');
		at = stop + 1;
	}
	text_fmt(t, "   next: %s\n", f->next);
	out_end_line(o); /* an empty line */
}

static bool was_recorded(struct input *in, const char *group, size_t len)
{
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(input_reader(in), &n);
	char name[32];

	snprintf(name, sizeof(name), "%.*s", (int)len, group);
	return meta_has_group(meta, n, name + (*name == '+')) == META_YES;
}

/* The groups that would tell more, once each, in the order of the table; false: there are none. */
static bool add_groups(struct text *t, struct input *in, const char *groups)
{
	bool any = false;

	while (*groups) {
		size_t len = strcspn(groups, ",");
		bool there = was_recorded(in, groups, len);

		any |= !there;
		for (size_t at = 0; at < t->len;) {
			const char *next = memchr(t->s + at, ',', t->len - at);
			size_t n = next ? (size_t)(next - t->s) - at : t->len - at;

			there |= n == len && !memcmp(t->s + at, groups, len);
			at += n + 1;
		}
		if (!there)
			text_fmt(t, "%s%.*s", t->len ? "," : "", (int)len, groups);
		groups += len + (groups[len] == ',');
	}
	return any;
}

static void print_verdict(struct out *o, const struct evidence *e)
{
	struct text *t = out_line(o);
	bool much = explain_much_lost(e);

	text_fmt(t,
		 "nothing wrong %s: looked at %" PRIu64 " events, %" PRIu64 " connections, %" PRIu64
		 " connects, %" PRIu64 " segments with data",
		 much ? "in what is left" : "here", e->n_seen, e->n_conns, e->n_connects,
		 e->n_data_segs);
	if (much)
		text_fmt(t, "; but %" PRIu64 " of %" PRIu64 " events were lost", e->n_lost,
			 e->n_events + e->n_lost);
	out_end_line(o);
}

static void add_name(struct text *t, const char *name)
{
	text_fmt(t, "%s%s", t->len ? ", " : "", name);
}

/* Some groups were not recorded; others have no hook on that kernel, or are not of the chosen. */
static void print_unknown(struct out *o, struct input *in, const struct evidence *e)
{
	struct text names = {0}, groups = {0}, rest = {0};

	for (unsigned i = 0; i < EXPLAIN_CAUSES; i++) {
		const struct cause *c = explain_causes[i];

		if (!explain_can(e, c))
			add_name(add_groups(&groups, in, c->record) ? &names : &rest, c->name);
	}
	if (names.len) {
		text_fmt(out_line(o), "not looked for: %.*s; record with -e %.*s", (int)names.len,
			 names.s, (int)groups.len, groups.s);
		out_end_line(o);
	}
	if (rest.len) {
		text_fmt(out_line(o),
			 "not looked for: %.*s: that kernel had no hook for it (tcptape info), or "
			 "counters are of all connections, not of those chosen",
			 (int)rest.len, rest.s);
		out_end_line(o);
	}
	text_fini(&names);
	text_fini(&groups);
	text_fini(&rest);
}

/* ---- the command ---- */

static void print_list(struct out *o, const struct evidence *e)
{
	out_table(o, list_columns, N_COLS(list_columns));
	for (unsigned i = 0; i < EXPLAIN_CAUSES; i++) {
		const struct cause *c = explain_causes[i];

		out_str(o, c->name);
		out_bool(o, explain_can(e, c));
		out_str(o, c->record);
		out_str(o, c->title);
		out_end_row(o);
	}
}

static void print(struct cmd_run *run, const struct evidence *e, const struct explain *x)
{
	struct out *o = run->out;
	bool rows_only = out_is_json(o) || out_is_csv(o);

	if (rows_only)
		out_table(o, columns, N_COLS(columns));
	for (unsigned i = 0; i < x->n; i++) {
		if (rows_only)
			print_row(o, &x->findings[i], i + 1);
		else
			print_finding(o, &x->findings[i], i + 1);
	}
	if (out_is_json(o))
		print_summary(o, e, x);
	else if (!rows_only && !x->n)
		print_verdict(o, e);
	if (!rows_only)
		print_unknown(o, run->in, e);
}

static int run(struct cmd_run *run)
{
	struct evidence e;
	struct explain x;
	int rc = evidence_read(&e, run);

	if (rc)
		return rc;
	if (opts.list) {
		print_list(run->out, &e);
		return 0;
	}
	explain_run(&x, &e);
	if (x.failed)
		rc = fail_nomem(run->fail);
	else
		print(run, &e, &x);
	explain_fini(&x);
	return rc;
}

const struct cmd cmd_explain = {
	.name = "explain",
	.summary = "what may be wrong: causes of latency and failure, the worst first",
	.about =
		"Each cause is told with what it cost (time that somebody waited; a failed "
		"connection weighs a\n"
		"second), how sure that is, the evidence, and what to look at next. What is below "
		"its threshold\n"
		"is what healthy machines do, and not told (docs/explain.md has them all). With "
		"groups that\n"
		"were not recorded some causes cannot be looked for: these stand in the last line. "
		"-e +io,+rx,+tx\n"
		"shows most. Exit status 0 also if something is found.\n",
	.rows = rows,
	.n_rows = N_COLS(rows),
	.opts = &opts,
	.run = run,
};

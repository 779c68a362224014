// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape compare: two recordings, or several on each side: which figures moved, by how much, and
 * whether that is more than they move by themselves. Exit status 1 if one of them is worse.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "cmd.h"
#include "compare.h"

#define KEYS (BY_BIT(BY_REMOTE) | BY_BIT(BY_LOCAL) | BY_BIT(BY_LISTENER) | BY_BIT(BY_COMM))
#define MAX_LOST 0.01 /* of the events */
#define MAX_SETTINGS 8

static struct {
	bool force, markdown, junit, all;
	const char *by, *tolerance;
	enum by_key key;
	int n_base; /* operands before "--", -1: there was none */
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	{0, "tolerance", "LIST", OPT_STR, AT(tolerance),
	 "the smallest change that matters, by metric, as\n"
	 "rtt.raw.p99=10%,connect=5%; default 3 % for medians of times,\n"
	 "6 % for p90, 12 % for p99, 25 % for rates"},
	{0, "by", "KEY", OPT_STR, AT(by),
	 "one for each comm,\n"
	 "remote or local (address), listener (address and port)"},
	{'a', "all", NULL, OPT_FLAG, AT(all), "also what is the same, or not known"},
	{0, "markdown", NULL, OPT_FLAG, AT(markdown), "a table for a pull request"},
	{0, "junit", NULL, OPT_FLAG, AT(junit), "JUnit XML: a test case for each figure"},
	{0, "force", NULL, OPT_FLAG, AT(force),
	 "compare what was recorded differently, or with loss"},
};

/* ---- the table ---- */

static const struct out_col columns[] = {
	{"METRIC", NULL, 20, false},
	{NULL, "metric", 0, false},
	{NULL, "quantile", 0, false},
	{NULL, "unit", 0, false},
	{"BASE", "base", -13, false},
	{"NEW", "new", -13, false},
	{"CHANGE", "change_percent", -9, false},
	{"95% LOW", "change_low_percent", -9, false},
	{"HIGH", "change_high_percent", -9, false},
	{"P", "p", -8, false},
	{"VERDICT", "verdict", 0, false},
	{NULL, "provisional", 0, false},
	{NULL, "tolerance_percent", 0, false},
	{NULL, "base_recordings", 0, false},
	{NULL, "new_recordings", 0, false},
	{NULL, "base_connections", 0, false},
	{NULL, "new_connections", 0, false},
	{NULL, "base_n", 0, false},
	{NULL, "new_n", 0, false},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const char *verdict_of(const struct compare_row *row)
{
	double out = log1p(row->tolerance);

	if (metric_defs[row->id].kind != METRIC_LOAD)
		return compare_verdict_name(row->verdict);
	if (!row->known[0] || !row->known[1])
		return "-";
	return fabs(row->shift.shift) <= out ? "same load" : "another load";
}

static bool is_percent(const struct compare_row *row)
{
	return !strcmp(metric_defs[row->id].unit, "%");
}

/* Of a rate all recordings together: the mean of logarithms is never 0. */
static double value_of(const struct compare_row *row, unsigned side)
{
	if (metric_defs[row->id].kind == METRIC_TIME)
		return exp(row->mean[side].mean);
	return (double)row->n[side] / row->den[side] * (is_percent(row) ? 100 : 1);
}

/* A change from nothing, or to nothing, is no percentage. */
static bool has_change(const struct compare_row *row)
{
	return row->known[0] && row->known[1] && row->n[0] && row->n[1];
}

/* Four digits that tell something. */
static unsigned decimals(double v)
{
	return v >= 1000 ? 0 : v >= 100 ? 1 : v >= 10 ? 2 : 3;
}

static void name_of(const struct compare_row *row, struct text *t)
{
	const struct metric_def *def = &metric_defs[row->id];

	text_clear(t);
	text_puts(t, def->name);
	if (def->kind == METRIC_TIME)
		text_fmt(t, ".%s", metric_quantile_name(row->quantile));
}

static void cell_value(struct out *o, const struct compare_row *row, unsigned side)
{
	double v = value_of(row, side);

	if (!row->known[side]) {
		out_none(o);
		return;
	}
	out_mark(o, NULL, metric_defs[row->id].unit);
	out_fixed(o, v, decimals(v));
}

static void cell_change(struct out *o, const struct compare_row *row, double shift)
{
	double percent = expm1(shift) * 100;

	if (!has_change(row)) {
		out_none(o);
		return;
	}
	out_mark(o, percent >= 0 ? "+" : NULL, "%");
	out_fixed(o, percent, 1);
}

static bool is_judged(const struct compare_row *row)
{
	return row->known[0] && row->known[1] && metric_defs[row->id].kind != METRIC_LOAD;
}

static bool is_shown(const struct compare_row *row)
{
	return opts.all || opts.key == BY_ALL || row->verdict == COMPARE_WORSE ||
	       row->verdict == COMPARE_BETTER;
}

static void print_row(struct out *o, const struct compare_row *row, struct text *name)
{
	const struct metric_def *def = &metric_defs[row->id];

	by_cells(o, &row->of->who, opts.key, row->group);
	name_of(row, name);
	out_strn(o, name->s, name->len);
	out_str(o, def->name);
	if (def->kind == METRIC_TIME)
		out_str(o, metric_quantile_name(row->quantile));
	else
		out_none(o);
	out_str(o, def->unit);
	cell_value(o, row, 0);
	cell_value(o, row, 1);
	cell_change(o, row, row->shift.shift);
	cell_change(o, row, row->shift.low);
	cell_change(o, row, row->shift.high);
	if (is_judged(row))
		out_fixed(o, row->p, row->p < 0.001 ? 6 : 3);
	else
		out_none(o);
	out_mark(o, NULL, row->provisional && is_judged(row) ? " (provisional)" : NULL);
	out_str(o, verdict_of(row));
	out_bool(o, row->provisional);
	out_fixed(o, row->tolerance * 100, 1);
	for (unsigned s = 0; s < 2; s++)
		out_u64(o, row->n_recordings[s]);
	for (unsigned s = 0; s < 2; s++)
		out_u64(o, row->conns[s]);
	for (unsigned s = 0; s < 2; s++)
		out_u64(o, row->n[s]);
	out_end_row(o);
}

static void print_table(struct out *o, const struct compare *c)
{
	struct out_col cols[BY_N_COLS + N_COLUMNS];
	struct text name = {0};

	by_cols(opts.key, cols);
	memcpy(cols + BY_N_COLS, columns, sizeof(columns));
	out_table(o, cols, BY_N_COLS + N_COLUMNS);
	for (size_t i = 0; i < c->n; i++)
		if (is_shown(&c->rows[i]) || out_is_json(o) || out_is_csv(o))
			print_row(o, &c->rows[i], &name);
	text_fini(&name);
}

/* ---- other forms ---- */

static void group_text(struct text *t, const struct compare_row *row)
{
	if (opts.key != BY_ALL)
		by_text(t, &row->of->who, opts.key, row->group);
}

static void value_text(struct text *t, const struct compare_row *row, unsigned side)
{
	double v = value_of(row, side);

	if (row->known[side])
		text_fmt(t, "%.*f %s", (int)decimals(v), v, metric_defs[row->id].unit);
	else
		text_puts(t, "-");
}

static void change_text(struct text *t, const struct compare_row *row)
{
	const struct stats_shift *s = &row->shift;

	if (has_change(row))
		text_fmt(t, "%+.1f %% (%+.1f to %+.1f)", expm1(s->shift) * 100, expm1(s->low) * 100,
			 expm1(s->high) * 100);
	else
		text_puts(t, "-");
}

/* What Markdown would take for markup, or for the next cell. */
static void markdown_text(struct text *t, const struct text *from)
{
	for (size_t i = 0; i < from->len; i++) {
		if (strchr("\\`*_{}[]<>()#+!|~&", from->s[i]))
			text_putc(t, '\\');
		text_putc(t, from->s[i]);
	}
}

static void print_markdown(struct out *o, const struct compare *c)
{
	struct text raw = {0};
	struct text *t = out_line(o);

	text_puts(t,
		  "| metric | base | new | change (95 %) | verdict |\n|---|---:|---:|---:|---|\n");
	for (size_t i = 0; i < c->n; i++) {
		const struct compare_row *row = &c->rows[i];
		bool bad = row->verdict == COMPARE_WORSE && is_judged(row);

		if (!is_shown(row))
			continue;
		name_of(row, &raw);
		if (opts.key != BY_ALL)
			text_puts(&raw, ", ");
		group_text(&raw, row);
		text_puts(t, "| ");
		markdown_text(t, &raw);
		text_puts(t, " | ");
		value_text(t, row, 0);
		text_puts(t, " | ");
		value_text(t, row, 1);
		text_puts(t, " | ");
		change_text(t, row);
		text_fmt(t, " | %s%s%s%s |\n", bad ? "**" : "", verdict_of(row), bad ? "**" : "",
			 row->provisional && is_judged(row) ? " (provisional)" : "");
	}
	out_end_line(o);
	text_fini(&raw);
}

static void xml_text(struct text *t, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (s[i]) {
		case '<': text_puts(t, "&lt;"); break;
		case '>': text_puts(t, "&gt;"); break;
		case '&': text_puts(t, "&amp;"); break;
		case '"': text_puts(t, "&quot;"); break;
		default: text_putc(t, s[i]); break;
		}
	}
}

static void junit_case(struct text *t, const struct compare_row *row)
{
	struct text raw = {0};

	text_puts(t, "  <testcase classname=\"tcptape.compare");
	if (opts.key != BY_ALL) {
		group_text(&raw, row);
		text_putc(t, '.');
		xml_text(t, raw.s, raw.len);
	}
	name_of(row, &raw);
	text_puts(t, "\" name=\"");
	xml_text(t, raw.s, raw.len);
	text_puts(t, "\">");
	text_clear(&raw);
	value_text(&raw, row, 0);
	text_puts(&raw, " -> ");
	value_text(&raw, row, 1);
	text_puts(&raw, ", ");
	change_text(&raw, row);
	if (row->verdict == COMPARE_WORSE || row->verdict == COMPARE_UNKNOWN) {
		text_puts(t, row->verdict == COMPARE_WORSE ? "<failure message=\""
							   : "<skipped message=\"");
		text_fmt(t, "%s%s: ", verdict_of(row), row->provisional ? " (provisional)" : "");
		xml_text(t, raw.s, raw.len);
		text_puts(t, "\"/>");
	} else {
		text_puts(t, "<system-out>");
		xml_text(t, raw.s, raw.len);
		text_puts(t, "</system-out>");
	}
	text_puts(t, "</testcase>\n");
	text_fini(&raw);
}

static void print_junit(struct out *o, const struct compare *c)
{
	struct text *t = out_line(o);
	size_t n = 0, unknown = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (metric_defs[c->rows[i].id].kind == METRIC_LOAD)
			continue;
		n++;
		unknown += c->rows[i].verdict == COMPARE_UNKNOWN;
	}
	text_fmt(t,
		 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		 "<testsuite name=\"tcptape compare\" tests=\"%zu\" failures=\"%zu\" "
		 "skipped=\"%zu\">\n",
		 n, c->count[COMPARE_WORSE], unknown);
	for (size_t i = 0; i < c->n; i++)
		if (metric_defs[c->rows[i].id].kind != METRIC_LOAD)
			junit_case(t, &c->rows[i]);
	text_puts(t, "</testsuite>\n");
	out_end_line(o);
}

/* ---- whether they can be compared ---- */

/* The first line of a that b does not have; NULL: none. */
static const char *extra_line(const struct text *a, const struct text *b, size_t from, size_t *len)
{
	for (size_t i = from; i < a->len;) {
		const char *line = a->s + i, *end = memchr(line, '\n', a->len - i);
		bool found = false;

		*len = (size_t)(end - line);
		for (size_t k = 0; k < b->len && !found;) {
			const char *other = b->s + k, *stop = memchr(other, '\n', b->len - k);

			found = (size_t)(stop - other) == *len && !memcmp(line, other, *len);
			k = (size_t)(stop - b->s) + 1;
		}
		if (!found)
			return line;
		i += *len + 1;
	}
	return NULL;
}

static int check_alike(const struct recording *a, const struct recording *b, struct fail *fail)
{
	const struct recording *has = a;
	size_t len;
	const char *line = extra_line(&a->like, &b->like, 0, &len);

	if (!line) {
		has = b;
		line = extra_line(&b->like, &a->like, 0, &len);
	}
	if (!line)
		return 0;
	return fail_set(fail, STATUS_LACKS,
			"%s and %s were not recorded alike: only %s has '%.*s'; record both sides "
			"the same way, or use --force",
			a->path, b->path, has->path, (int)len, line);
}

static int check_all(const struct recording *v, size_t n, struct fail *fail)
{
	for (size_t i = 0; i < n; i++) {
		if ((double)v[i].n_lost > MAX_LOST * (double)(v[i].n_events + v[i].n_lost))
			return fail_set(fail, STATUS_LACKS,
					"%s: %" PRIu64 " of its %" PRIu64
					" events were lost: record with a larger --buffer, or use "
					"--force",
					v[i].path, v[i].n_lost, v[i].n_events + v[i].n_lost);
		if (check_alike(&v[0], &v[i], fail))
			return -1;
	}
	return 0;
}

/* What may explain a difference. */
static void note_settings(struct out *o, const struct recording *a, const struct recording *b)
{
	size_t len, from = 0;
	const char *line;

	for (unsigned n = 0; n < MAX_SETTINGS; n++) {
		line = extra_line(&b->settings, &a->settings, from, &len);
		if (!line)
			return;
		out_note(o, "%s has %.*s, unlike %s", b->path, (int)len, line, a->path);
		from = (size_t)(line - b->settings.s) + len + 1;
	}
}

/* ---- the command ---- */

static int check(int *n_operands, char **operands, struct fail *fail)
{
	int n_base = opts.n_base < 0 ? 1 : opts.n_base;
	struct compare c;

	if (by_parse(opts.by, KEYS, &opts.key, fail))
		return -1;
	if (*n_operands < 2 || (opts.n_base < 0 && *n_operands > 2))
		return fail_set(fail, STATUS_USAGE,
				"takes BASE NEW, or BASE... -- NEW... for several of a side");
	if (n_base < 1 || *n_operands - n_base < 1 || n_base > COMPARE_MAX_RECORDINGS ||
	    *n_operands - n_base > COMPARE_MAX_RECORDINGS)
		return fail_set(fail, STATUS_USAGE, "takes 1 to %d recordings on each side of --",
				COMPARE_MAX_RECORDINGS);
	opts.n_base = n_base;
	for (int i = 0; i < *n_operands; i++)
		if (!strcmp(operands[i], "-"))
			return fail_set(fail, STATUS_USAGE, "reads files only, not a pipe");
	if (opts.markdown && opts.junit)
		return fail_set(fail, STATUS_USAGE, "--markdown and --junit exclude each other");
	return compare_tolerances(&c, opts.tolerance, fail);
}

static void notes(struct out *o, const struct compare *c, const struct recording *v, size_t n)
{
	bool provisional = false;

	for (size_t i = 0; i < c->n; i++)
		provisional |= c->rows[i].provisional && is_judged(&c->rows[i]);
	if (provisional)
		out_note(o,
			 "a side with one recording does not tell how much figures move by "
			 "themselves: a spread of %.0f %% (rates: %.0f %%) is assumed, and the "
			 "verdicts are provisional; five recordings a side are better",
			 COMPARE_FLOOR_TIME * 100, COMPARE_FLOOR_RATE * 100);
	note_settings(o, &v[0], &v[opts.n_base]);
	for (size_t i = 0; i < n; i++)
		if (v[i].groups.n_left_out)
			out_note(o, "%s: groups beyond the first %d are left out", v[i].path,
				 RECORDING_MAX_GROUPS);
}

static void print(struct out *o, const struct compare *c)
{
	if (opts.markdown)
		print_markdown(o, c);
	else if (opts.junit)
		print_junit(o, c);
	else
		print_table(o, c);
	if (!opts.junit && !out_is_json(o) && !out_is_csv(o)) {
		text_fmt(out_line(o), "%s%zu worse, %zu better, %zu same, %zu not enough data\n",
			 opts.markdown ? "\n" : "", c->count[COMPARE_WORSE],
			 c->count[COMPARE_BETTER], c->count[COMPARE_SAME],
			 c->count[COMPARE_UNKNOWN]);
		out_end_line(o);
	}
}

static int run(struct cmd_run *run)
{
	struct compare_side base, next;
	struct compare c = {.key = opts.key};
	size_t n = (size_t)run->n_paths;
	struct recording *v = calloc(n, sizeof(*v));
	int rc = v ? compare_tolerances(&c, opts.tolerance, run->fail) : fail_nomem(run->fail);

	for (size_t i = 0; v && i < n; i++)
		v[i].path = run->paths[i];
	rc = rc ? rc : recordings_read(v, n, run, opts.key);
	if (!rc && !opts.force)
		rc = check_all(v, n, run->fail);
	if (!rc) {
		base = (struct compare_side){v, (size_t)opts.n_base};
		next = (struct compare_side){v + opts.n_base, n - (size_t)opts.n_base};
		rc = compare_run(&c, &base, &next) ? fail_nomem(run->fail) : 0;
	}
	if (!rc) {
		print(run->out, &c);
		notes(run->out, &c, v, n);
		run->found = c.count[COMPARE_WORSE] > 0;
	}
	compare_fini(&c);
	for (size_t i = 0; v && i < n; i++)
		recording_fini(&v[i]);
	free(v);
	return rc;
}

const struct cmd cmd_compare = {
	.name = "compare",
	.summary = "what changed between recordings; exit status 1 if it became worse",
	.operands = "BASE... -- NEW...",
	.no_pipe = true,
	.about =
		"compare BASE NEW, or compare BASE... -- NEW... with several recordings of a side; "
		"options stand\n"
		"before the --. A figure of a side is the geometric mean of what its recordings "
		"have; the\n"
		"spread between them, and between groups of connections in each, says how far it "
		"moves by\n"
		"itself. CHANGE stands with its 95 % confidence interval (Welch). VERDICT: worse "
		"or "
		"better, if\n"
		"the change is beyond the tolerance and all verdicts of one direction together are "
		"wrong in at\n"
		"most 5 % of comparisons (Holm; P is adjusted so); same, if the interval lies "
		"within "
		"it; else not\n"
		"enough data. Quantiles need 8 connections in a recording and 10 samples beyond "
		"them.\n"
		"Metrics: connect, accept, rtt.raw (rtt.smoothed where the kernel shows no "
		"samples), rtt.min,\n"
		"turnaround.server and .client (group io),\n"
		"delay.in and delay.out and their layers (with groups rx, tx): quantiles. "
		"connect.failed,\n"
		"retransmits, resets, drops: rates; those below 0.1 %, 0.02 %, 0.1 % and 0.02 % "
		"are "
		"no worse than\n"
		"none. connections and bytes tell whether the load was the same.\n"
		"Recordings must have the same groups, hooks, kernel, filters and sampling, and at "
		"most 1 % loss:\n"
		"else exit status 3.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.at_once = true,
	.n_before = &opts.n_base,
	.check = check,
	.run = run,
};

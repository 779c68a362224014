// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape export: a trace's events for other programs, as flat tables.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "export.h"
#include "interval.h"

#define FLUSH_BYTES (1u << 20)

static struct {
	const char *to, *output, *events, *direction;
	struct opt_fixed interval;
	bool force;
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	{0, "to", "FORMAT", OPT_STR, AT(to),
	 "csv, jsonl, clickhouse, sqlite, pcapng or openmetrics,\nsee below"},
	{'o', "output", "PATH", OPT_STR, AT(output),
	 "file to write, - is standard output; of csv and clickhouse a\n"
	 "directory, which is made; - takes one of their events"},
	{'e', "events", "NAMES", OPT_STR, AT(events),
	 "only events of these names, with commas between them"},
	{'Q', "direction", "DIR", OPT_STR, AT(direction),
	 "of pcapng: only packets received (in) or sent (out), where a\n"
	 "trace has both ends of a connection"},
	{'i', "interval", "SECONDS", OPT_FIXED, AT(interval),
	 "of openmetrics: a sample each; default 15"},
	{0, "force", NULL, OPT_FLAG, AT(force), "overwrite files that exist"},
};

static const struct format {
	const char *name;
	bool is_directory;
	int (*run)(struct export *x);
} formats[] = {
	{"csv", true, export_csv},
	{"jsonl", false, export_jsonl},
	{"clickhouse", true, export_clickhouse},
	{"pcapng", false, export_pcapng},
	{"openmetrics", false, export_openmetrics},
#ifdef TCPTAPE_SQLITE
	{"sqlite", false, export_sqlite},
#endif
};
#define N_FORMATS (sizeof(formats) / sizeof(formats[0]))

static const struct format *find_format(const char *name)
{
	for (size_t i = 0; i < N_FORMATS; i++)
		if (!strcmp(formats[i].name, name))
			return &formats[i];
	return NULL;
}

/* ---- files ---- */

static int write_all(struct export *x, struct export_file *f)
{
	int err = f->text.failed ? 0 : text_write(&f->text, f->file.fd);

	if (f->text.failed)
		return fail_nomem(x->run->fail);
	if (err)
		return fail_set(x->run->fail, STATUS_FOUND, "writing %s: %s", f->file.path,
				strerror(err));
	text_clear(&f->text);
	return 0;
}

int export_open(struct export *x, struct export_file *f, const char *name, const char *suffix)
{
	char *path = NULL;

	if (name && asprintf(&path, "%s/%s.%s", x->output, name, suffix) < 0)
		return fail_nomem(x->run->fail);
	if (!path)
		path = strdup(x->output);
	if (!path)
		return fail_nomem(x->run->fail);
	f->is_open = !outfile_open(&f->file, path, x->force, -1, x->run->fail);
	if (!f->is_open)
		free(path);
	return f->is_open ? 0 : -1;
}

struct export_file *export_table(struct export *x, const struct flat_table *table,
				 const char *suffix, bool *ret_new)
{
	bool is_one = !strcmp(x->output, "-");
	struct export_file *f = is_one ? &x->one : &x->files[table - x->flat.tables];

	*ret_new = !f->is_open;
	if (*ret_new && export_open(x, f, is_one ? NULL : table->flat.rec->name, suffix))
		return NULL;
	f->n_rows += table->n;
	return f;
}

int export_flush(struct export *x, struct export_file *f, bool force)
{
	return force || f->text.len >= FLUSH_BYTES || f->text.failed ? write_all(x, f) : 0;
}

int export_close(struct export *x, struct export_file *f, bool keep)
{
	const char *path = f->file.path;
	int rc = 0;

	if (!f->is_open)
		return 0;
	if (keep)
		rc = export_flush(x, f, true);
	rc |= outfile_close(&f->file, keep && !rc, x->run->fail);
	free((char *)(uintptr_t)path);
	text_fini(&f->text);
	f->is_open = false;
	return rc ? -1 : 0;
}

/* ---- the command ---- */

static int check(int *n_operands, char **operands, struct fail *fail)
{
	const struct format *format = opts.to ? find_format(opts.to) : NULL;

	if (!format)
		return fail_set(fail, STATUS_USAGE,
				"--to takes csv, jsonl, clickhouse, pcapng, openmetrics, or sqlite "
				"(if built with it)");
	if (opts.direction && strcmp(opts.direction, "in") && strcmp(opts.direction, "out"))
		return fail_set(fail, STATUS_USAGE, "-Q takes in or out");
	if (interval_check(&opts.interval, fail))
		return -1;
	if (!opts.output)
		return fail_set(fail, STATUS_USAGE, "-o: where to?");
	if (format->is_directory && !strcmp(opts.output, "-") &&
	    (!opts.events || strchr(opts.events, ',')))
		return fail_set(fail, STATUS_USAGE,
				"-o: --to %s makes a directory; one event alone (-e) may go to -",
				format->name);
	if (!strcmp(opts.to, "sqlite") && !strcmp(opts.output, "-"))
		return fail_set(fail, STATUS_USAGE, "-o: --to sqlite makes a file");
	return 0;
}

static int make_directory(const struct format *format, struct fail *fail)
{
	struct stat st;

	if (!format->is_directory || !strcmp(opts.output, "-") || !mkdir(opts.output, 0700))
		return 0;
	if (errno == EEXIST && !stat(opts.output, &st) && S_ISDIR(st.st_mode))
		return 0;
	return fail_set(fail, STATUS_FOUND, "cannot make the directory %s: %s", opts.output,
			strerror(errno));
}

static void list_files(const struct export *x)
{
	static const struct out_col columns[] = {{"ROWS", "rows", -10, false},
						 {"FILE", "file", 0, false}};
	struct out *o = x->run->out;

	out_table(o, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < x->flat.n_tables; i++) {
		if (!x->files[i].n_rows)
			continue;
		out_u64(o, x->files[i].n_rows);
		out_str(o, x->files[i].file.path);
		out_end_row(o);
	}
}

static int run(struct cmd_run *run)
{
	const struct format *format = find_format(opts.to);
	struct export x = {.run = run,
			   .output = opts.output,
			   .force = opts.force,
			   .flat = {.ctx = &x},
			   .seconds = opts.interval.given ? opts.interval.v : 15,
			   .received = !opts.direction || !strcmp(opts.direction, "in"),
			   .sent = !opts.direction || !strcmp(opts.direction, "out")};
	int rc = flat_run_init(&x.flat, run->in, opts.events, run->fail);

	if (!rc) {
		x.files = calloc(x.flat.n_tables + 1, sizeof(*x.files));
		rc = x.files ? make_directory(format, run->fail) : fail_nomem(run->fail);
	}
	if (!rc)
		rc = format->run(&x);
	if (!rc && format->is_directory && strcmp(opts.output, "-"))
		list_files(&x);
	for (size_t i = 0; x.files && i < x.flat.n_tables; i++)
		rc |= export_close(&x, &x.files[i], !rc);
	rc |= export_close(&x, &x.one, !rc);
	flat_run_fini(&x.flat);
	text_fini(&x.memo);
	free(x.memo_at);
	free(x.cells);
	free(x.at);
	free(x.files);
	return rc ? -1 : 0;
}

const struct cmd cmd_export = {
	.name = "export",
	.summary = "the events for other programs: tables, packets, metrics",
	.about =
		"Each kind of event is a flat table, as in tcptape sql: time (UTC), time_s since "
		"the start of\n"
		"the trace, ts_ns (CLOCK_MONOTONIC), cpu, its fields, and those of its socket and "
		"thread.\n"
		"  csv          PATH/NAME.csv for each kind of event\n"
		"  jsonl        an object a line, in the order of the events; event is its kind\n"
		"  clickhouse   PATH/NAME.native (format Native) for each, PATH/schema.sql with "
		"the\n"
		"               tables; columns host and recording keep many traces apart\n"
		"  sqlite       a database with these tables, those that tcptape sql makes, and "
		"meta\n"
		"  pcapng       the segments of groups rx and tx for Wireshark; comments have the\n"
		"               layers' times, process, drops; no payload, windows, options\n"
		"  openmetrics  what connects, round trips, retransmits, resets and drops add up "
		"to,\n"
		"               with times: promtool tsdb create-blocks-from openmetrics takes it\n"
		"Options that choose events choose what is written.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.check = check,
	.run = run,
};

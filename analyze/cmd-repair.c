// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * repair: everything that can be saved of a damaged trace, in a new one (repair.h). A pipe is kept
 * in a nameless file first: the schema that its first chunks need may stand far behind them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "repair.h"
#include "repair_ring.h"

static struct repair_opts {
	const char *output;
	bool force;
} opts;

static const struct opt_row rows[] = {
	{'o', "output", "FILE", OPT_STR, offsetof(struct repair_opts, output),
	 "the trace to write; - is standard output"},
	{0, "force", NULL, OPT_FLAG, offsetof(struct repair_opts, force), "overwrite FILE"},
};

static const struct out_col cols[] = {
	{"OFFSET", "offset", -12, false},
	{"BYTES", "bytes", -10, false},
	{"WHAT", "what", 0, false},
};

static int check(int *n_operands, char **operands, struct fail *fail)
{
	return opts.output ? 0 : fail_set(fail, STATUS_USAGE, "-o FILE: where to?");
}

/* ---- input ---- */

static int copy_stdin(FILE *to, struct fail *fail)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_set(fail, STATUS_USAGE, "standard input: %s", strerror(errno));
		if (fwrite(buf, 1, (size_t)n, to) != (size_t)n)
			break;
	}
	if (n || fflush(to))
		return fail_set(fail, STATUS_FOUND, "keeping standard input in a file: %s",
				strerror(errno));
	return 0;
}

/* Standard input becomes a file that can be read twice. */
static int spool(struct fail *fail)
{
	struct stat st;
	FILE *f;
	int rc;

	if (!fstat(STDIN_FILENO, &st) && S_ISREG(st.st_mode))
		return 0;
	f = tmpfile();
	if (!f)
		return fail_set(fail, STATUS_FOUND, "keeping standard input in a file: %s",
				strerror(errno));
	rc = copy_stdin(f, fail);
	if (!rc && dup2(fileno(f), STDIN_FILENO) < 0)
		rc = fail_set(fail, STATUS_FOUND, "standard input: %s", strerror(errno));
	fclose(f);
	return rc;
}

/* ---- what was done ---- */

static void show_finds(struct out *o, const struct repair *r)
{
	uint64_t n = r->n_finds < REPAIR_MAX_FINDS ? r->n_finds : REPAIR_MAX_FINDS;

	if (!n)
		return;
	out_table(o, cols, sizeof(cols) / sizeof(cols[0]));
	for (uint64_t i = 0; i < n; i++) {
		out_u64(o, r->finds[i].offset);
		if (r->finds[i].bytes)
			out_u64(o, r->finds[i].bytes);
		else
			out_none(o);
		out_str(o, r->finds[i].text);
		out_end_row(o);
	}
}

static void show_object(struct out *o, const struct repair *r)
{
	struct json *j = out_object(o);

	json_str(j, "file", r->path, strlen(r->path));
	json_str(j, "output", opts.output, strlen(opts.output));
	json_u64(j, "events", r->out.n_events);
	json_u64(j, "chunks", r->n_chunks);
	json_u64(j, "snapshots", r->n_snapshots);
	json_u64(j, "missing_events", r->n_missing);
	json_u64(j, "damaged_columns", r->n_columns);
	json_u64(j, "places", r->n_finds);
	json_bool(j, "closed", r->closed);
	out_end_object(o);
}

static void show_line(struct out *o, const struct repair *r)
{
	struct text *t = out_line(o);

	text_safe(t, opts.output, strlen(opts.output));
	text_fmt(t, ": %" PRIu64 " events in %" PRIu64 " chunks, %" PRIu64 " snapshots saved; ",
		 r->out.n_events, r->n_chunks, r->n_snapshots);
	if (!r->n_finds && r->closed)
		text_puts(t, "nothing was damaged");
	else if (!r->n_finds)
		text_puts(t, "nothing was damaged, but it had not been closed");
	else
		text_fmt(t, "%" PRIu64 " place%s damaged, %" PRIu64 " events missing%s%s",
			 r->n_finds, r->n_finds == 1 ? "" : "s", r->n_missing,
			 r->n_columns ? ", columns too" : "",
			 r->closed ? "" : ", and what the lost end held");
	out_end_line(o);
}

static void show(struct out *o, const struct repair *r)
{
	if (!strcmp(opts.output, "-")) {
		out_note(o,
			 "%" PRIu64 " events saved, %" PRIu64 " missing, %" PRIu64
			 " places damaged",
			 r->out.n_events, r->n_missing, r->n_finds);
		return;
	}
	show_finds(o, r);
	if (out_is_json(o))
		show_object(o, r);
	else if (!out_is_csv(o))
		show_line(o, r);
	if (r->n_finds > REPAIR_MAX_FINDS)
		out_note(o, "%" PRIu64 " more places are not listed",
			 r->n_finds - REPAIR_MAX_FINDS);
}

/* The blocks of a ring become standard input, in order. */
static int take_ring(const char *path, bool *is_ring, struct fail *fail)
{
	FILE *f;
	int rc = repair_unring(path, &f, fail);

	*is_ring = !rc && f;
	if (rc || !f)
		return rc;
	if (dup2(fileno(f), STDIN_FILENO) < 0)
		rc = fail_set(fail, STATUS_USAGE, "standard input: %s", strerror(errno));
	fclose(f);
	return rc;
}

static int run(struct cmd_run *run)
{
	bool from_stdin = !strcmp(run->path, "-"), is_ring;
	char *path = (char *)(uintptr_t)run->path;
	struct outfile file;
	struct repair r;
	struct fail closing;
	int rc, input;

	if (from_stdin && spool(run->fail))
		return -1;
	input = from_stdin ? dup(STDIN_FILENO) : open(run->path, O_RDONLY | O_CLOEXEC);
	if (input < 0)
		return fail_set(run->fail, STATUS_USAGE, "%s: %s", run->path, strerror(errno));
	close(input);
	rc = outfile_open(&file, opts.output, opts.force, &path, 1, run->fail);
	if (rc)
		return -1;
	rc = take_ring(run->path, &is_ring, run->fail);
	if (rc) {
		outfile_close(&file, false, &closing);
		return -1;
	}
	rc = repair_run(&r, run->path, is_ring ? "-" : run->path, is_ring, &file, run->fail);
	if (outfile_close(&file, !rc, &closing) && !rc) {
		*run->fail = closing;
		rc = -1;
	}
	if (!rc)
		show(run->out, &r);
	repair_fini(&r);
	return rc;
}

const struct cmd cmd_repair = {
	.name = "repair",
	.summary = "saves what can be read of a damaged trace",
	.about =
		"The good blocks of the trace become a new, closed one; columns are copied as "
		"they\n"
		"are. What is missing between them is told in it as loss, with its interval and,\n"
		"where the trace tells it, the number of events; META lines say that it was\n"
		"repaired, and what was found. Where nothing is damaged nothing is lost.\n"
		"\n"
		"The file of a ring (tcptape-record --ring-file) that was not written any more is\n"
		"put in order; what had been dropped out of the ring is not missing.\n"
		"\n"
		"FILE gets mode 0600. The exit status is 0 if it was written, whatever is "
		"missing.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.plain_input = true,
	.opens_itself = true,
	.check = check,
	.run = run,
};

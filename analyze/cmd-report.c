// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape report: what a trace shows, as one HTML page that needs nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outfile.h"
#include "report.h"

static struct {
	const char *output;
	bool force;
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	{'o', "output", "PAGE", OPT_STR, AT(output), "file to write, - is standard output"},
	{0, "force", NULL, OPT_FLAG, AT(force), "overwrite a file that exists"},
};

/* ---- the page ---- */

/* JSON between tags: what could end them stands only in strings, where \u003c is the same. */
static void text_embed(struct text *t, const struct text *json)
{
	const char *at = json->s, *end = at + json->len;

	while (at < end) {
		const char *stop = memchr(at, '<', (size_t)(end - at));

		text_add(t, at, (size_t)((stop ? stop : end) - at));
		if (stop)
			text_puts(t, "\\u003c");
		at = stop ? stop + 1 : end;
	}
}

static int write_page(struct report *r, const struct text *page)
{
	struct outfile file = {.fd = -1};
	char *path = (char *)(uintptr_t)r->run->path;
	size_t at = 0;
	int rc = 0;

	if (outfile_open(&file, opts.output, opts.force, &path, 1, r->run->fail))
		return -1;
	while (at < page->len && !rc) {
		ssize_t n = write(file.fd, page->s + at, page->len - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EINTR)
			rc = fail_set(r->run->fail, STATUS_FOUND, "writing %s: %s", opts.output,
				      strerror(errno));
	}
	return outfile_close(&file, !rc, r->run->fail) || rc ? -1 : 0;
}

static int make_page(struct report *r)
{
	struct text data = {0}, page = {0};
	struct json j = {.t = &data};
	int rc;

	report_json(r, &j);
	text_add(&page, (const char *)report_page_head, report_page_head_len);
	if (!data.failed)
		text_embed(&page, &data);
	text_add(&page, (const char *)report_page_tail, report_page_tail_len);
	rc = r->failed || data.failed || page.failed ? fail_nomem(r->run->fail)
						     : write_page(r, &page);
	text_fini(&data);
	text_fini(&page);
	return rc;
}

/* ---- the command ---- */

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (!opts.output)
		return fail_set(fail, STATUS_USAGE, "-o: where to?");
	return 0;
}

static bool moved_less(const void *a, const void *b)
{
	const struct report_conn *x = a, *y = b;

	return x->bytes != y->bytes ? x->bytes < y->bytes : x->number > y->number;
}

static bool is_faster(const void *a, const void *b)
{
	const struct report_conn *x = a, *y = b;

	return x->slow != y->slow ? x->slow < y->slow : x->number > y->number;
}

static void fini(struct report *r)
{
	for (unsigned i = 0; i < SERIES_N; i++)
		report_series_free(r->series[i]);
	for (unsigned d = 0; d < SEG_DIRS; d++)
		for (unsigned k = 0; k < SEG_LAYERS; k++)
			hist_fini(&r->layers[d].all[k]);
	slowest_fini(&r->most);
	slowest_fini(&r->slowest);
	explain_fini(&r->explain);
	free(r->n_of_record);
	free(r);
}

static bool no_memory(const struct report *r)
{
	bool failed = r->failed;

	for (unsigned i = 0; i < SERIES_N; i++)
		failed |= r->series[i] && report_series_failed(r->series[i]);
	for (unsigned d = 0; d < SEG_DIRS; d++)
		for (unsigned k = 0; k < SEG_LAYERS; k++)
			failed |= r->layers[d].all[k].failed;
	return failed;
}

static int run(struct cmd_run *run)
{
	struct report *r;
	int rc;

	if (input_is_pipe(run->in))
		return fail_set(run->fail, STATUS_USAGE,
				"reads the trace more than once: files only, not a pipe");
	r = calloc(1, sizeof(*r));
	if (!r)
		return fail_nomem(run->fail);
	r->run = run;
	rc = slowest_init(&r->most, REPORT_CONNS, sizeof(struct report_conn), moved_less) ||
			     slowest_init(&r->slowest, REPORT_CONNS, sizeof(struct report_conn),
					  is_faster)
		     ? fail_nomem(run->fail)
		     : report_read(r);
	if (!rc)
		rc = report_read_rows(r);
	if (!rc && no_memory(r))
		rc = fail_nomem(run->fail);
	if (!rc)
		rc = make_page(r);
	fini(r);
	return rc;
}

const struct cmd cmd_report = {
	.name = "report",
	.summary = "all of it as one HTML page: causes, charts, connections",
	.about = "The page needs nothing but a browser: no network, no other file. It shows what "
		 "explain\n"
		 "finds, round-trip times and latencies over time, the layers (with groups rx and "
		 "tx),\n"
		 "retransmits, drops, resets and failed connects on one axis, loss, and a table of "
		 "the\n"
		 "1000 connections that moved most and the 1000 with the longest round-trip time. "
		 "Options\n"
		 "that choose events choose what is shown.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.check = check,
	.run = run,
};

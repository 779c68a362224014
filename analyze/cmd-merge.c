// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merge: several traces, one order. Parts of one recording are put together; traces of other hosts
 * (or boots) get their times moved and their numbers told apart (merge.h).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "merge.h"

static struct merge_opts {
	const char *output;
	bool force;
} opts;

static const struct opt_row rows[] = {
	{'o', "output", "FILE", OPT_STR, offsetof(struct merge_opts, output),
	 "the trace to write; - is standard output"},
	{0, "force", NULL, OPT_FLAG, offsetof(struct merge_opts, force), "overwrite FILE"},
};

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (!opts.output)
		return fail_set(fail, STATUS_USAGE, "-o FILE: where to?");
	for (int i = 0; i < *n_operands; i++)
		if (!strcmp(operands[i], "-"))
			return fail_set(fail, STATUS_USAGE,
					"reads files: each is looked at twice, which a pipe is "
					"not");
	return 0;
}

/*
 * The source whose event, or chunk, comes next, and up to which time it stays that; NULL: all have
 * ended.
 */
static struct merge_source *first(struct merge *m, uint64_t *ret_until)
{
	struct merge_source *best = NULL;

	for (struct merge_source *s = m->sources; s < m->sources + m->n; s++)
		if (!s->ended && (!best || s->next_ns < best->next_ns))
			best = s;
	*ret_until = UINT64_MAX;
	for (struct merge_source *s = m->sources; s < m->sources + m->n; s++) {
		uint64_t last = s < best ? s->next_ns - 1 : s->next_ns;

		if (s != best && !s->ended && last < *ret_until)
			*ret_until = last;
	}
	return best;
}

/* What s has up to that time. */
static int write_events(struct merge *m, struct merge_source *s, uint64_t until)
{
	const struct tape_absent *absent = s->is_odd ? &s->absent : &m->absent;
	struct tape_error err;
	int rc = 0;

	if (absent != m->current)
		rc = tape_writer_absent(m->d.w, absent, &err);
	m->current = absent;
	if (tape_chunk_is_snapshot(s->chunk)) /* its rows stand between chunks, at any time */
		until = UINT64_MAX;
	if (!rc)
		rc = tape_writer_rows(m->d.w, s->rows, until, &err);
	return derive_written(&m->d, rc, &err) ? -1 : merge_source_step(m, s);
}

static int write_all(struct merge *m)
{
	struct merge_source *s;
	uint64_t until;
	int rc = 0;

	while (rc >= 0 && (s = first(m, &until)) != NULL) {
		if (s->has_event) {
			rc = write_events(m, s, until);
			continue;
		}
		rc = merge_source_copy(m, s);
		if (!rc)
			rc = merge_source_begin(m, s);
	}
	return rc < 0 ? -1 : merge_end(m);
}

static int run(struct cmd_run *run)
{
	struct merge m = {.run = run, .d.file.fd = -1};
	int rc = merge_open(&m, opts.output, opts.force);

	if (!rc)
		rc = write_all(&m);
	rc = derive_end(&m.d, rc);
	if (!rc && m.n_damage)
		rc = fail_set(run->fail, STATUS_FOUND,
			      "%s: damaged, and what could not be read is left out: tcptape repair "
			      "tells what is missing",
			      m.damaged);
	merge_fini(&m);
	return rc;
}

const struct cmd cmd_merge = {
	.name = "merge",
	.summary = "writes several traces as one, in the order of time",
	.about =
		"Parts of one recording are put together again; what two of them hold of the "
		"same\n"
		"moment stands in the order of time. Of another host, or after another boot, times "
		"are\n"
		"moved by what the wall clocks differ in the middle of the trace, by one amount, "
		"so\n"
		"that times between its events stay exact. Its numbers are told apart: "
		"connections\n"
		"are 1:0x2a (--conn takes that), processes 10,000,000 higher for each host,\n"
		"processors behind those of the hosts before. tcptape info lists the hosts.\n"
		"\n"
		"FILE gets mode 0600.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.at_once = true,
	.plain_input = true,
	.check = check,
	.run = run,
};

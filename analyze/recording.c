// SPDX-License-Identifier: GPL-2.0-or-later
#include "recording.h"

#include <string.h>

#include "recording_collect.h"

/* ---- the recording ---- */

/* Parts of META that must be alike, and that may explain a difference. */
static void take_meta(struct recording *r, struct input *in)
{
	static const char *const same[] = {"groups",	    "kernel.release", "probe.",
					   "option.filter", "option.sample",  "option.pid",
					   "option.comm",   "option.cgroup",  "option.netns"};
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(input_reader(in), &n);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(same) / sizeof(same[0]); k++) {
			size_t len = strlen(same[k]);

			if (!strncmp(meta[i].key, same[k], len) &&
			    (!meta[i].key[len] || same[k][len - 1] == '.'))
				text_fmt(&r->like, "%s=%s\n", meta[i].key, meta[i].value);
		}
		if (!strncmp(meta[i].key, "sysctl.", 7) || !strcmp(meta[i].key, "host"))
			text_fmt(&r->settings, "%s=%s\n", meta[i].key, meta[i].value);
	}
}

static void take_hooks(struct recording *r, struct input *in)
{
	const char *why;
	bool reads = input_has_probe(in, "io_recv", &why) == META_YES;

	for (unsigned id = 0; id < METRIC_N; id++)
		r->has[id] = metric_defs[id].name &&
			     input_has_probe(in, metric_defs[id].needs, &why) == META_YES;
	r->has[METRIC_TURN_SERVER] &= reads;
	r->has[METRIC_TURN_CLIENT] &= reads;
}

static int make_figures(struct recording *r)
{
	for (size_t i = 0; i < r->groups.n; i++) {
		struct recording_group *g = (struct recording_group *)r->groups.list[i];

		for (unsigned id = 0; id < METRIC_N; id++) {
			const struct metric_def *def = &metric_defs[id];

			if (!r->has[id])
				continue;
			if (!strcmp(def->unit, "/s"))
				g->metrics[id].den[0] = r->seconds;
			for (unsigned k = 0; k < METRIC_MAX_QUANTILES; k++)
				if ((def->kind == METRIC_TIME ? def->quantiles >> k & 1 : !k) &&
				    metric_figure(&g->metrics[id], id, k, &g->figures[id][k]))
					return -1;
			metric_fini(&g->metrics[id]);
		}
	}
	return 0;
}

static void take_end(struct recording *r, struct input *in)
{
	uint64_t from = input_from(in), last = input_last(in);
	struct tape_end end;

	r->seconds = last > from ? (double)(last - from) / 1e9 : 1e-9;
	tape_reader_end(input_reader(in), &end);
	r->n_events = end.n_events;
	r->n_lost = end.lost;
	take_meta(r, in);
}

static int read_all(struct recording *r, struct cmd_run *run)
{
	int rc;

	take_hooks(r, run->in);
	rc = recording_collect(r, run);
	if (rc)
		return rc;
	take_end(r, run->in);
	return input_finish(run->in, NULL, run->fail);
}

int recording_read(struct recording *r, const struct input_opts *opts, struct cmd_run *run,
		   enum by_key key)
{
	int rc = input_open(&run->in, r->path, opts, run->out, run->fail);

	if (rc)
		return rc;
	r->groups = (struct by_groups){
		.key = key, .size = sizeof(struct recording_group), .max = RECORDING_MAX_GROUPS};
	rc = read_all(r, run);
	if (!rc && (make_figures(r) || r->groups.failed || r->like.failed || r->settings.failed))
		rc = fail_nomem(run->fail);
	input_close(run->in);
	run->in = NULL;
	return rc;
}

void recording_fini(struct recording *r)
{
	for (size_t i = 0; i < r->groups.n; i++)
		for (unsigned id = 0; id < METRIC_N; id++)
			metric_fini(&((struct recording_group *)r->groups.list[i])->metrics[id]);
	by_groups_fini(&r->groups);
	by_who_fini(&r->who);
	text_fini(&r->like);
	text_fini(&r->settings);
}

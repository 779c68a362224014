/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One recording as compare sees it: the figures of all its metrics, for everything or for each
 * group of connections, and what must be alike to compare it with another one.
 */
#ifndef ANA_RECORDING_H
#define ANA_RECORDING_H

#include "by.h"
#include "cmd.h"
#include "metric.h"

#define RECORDING_MAX_GROUPS 512

struct recording_group {
	struct by_group by;
	struct metric metrics[METRIC_N]; /* empty when the figures are made */
	struct metric_figure figures[METRIC_N][METRIC_MAX_QUANTILES];
};

struct recording {
	const char *path;
	struct by_groups groups; /* of struct recording_group; without a key there is one */
	struct by_who who;	 /* the names of groups */
	uint64_t n_events, n_lost;
	struct text like;     /* lines "key=value" of what must be alike */
	struct text settings; /* of what may explain a difference */
	bool has[METRIC_N];   /* the trace can have it */
	double seconds;
};

/* Read r->path. 0, or -1 and run->fail. */
int recording_read(struct recording *r, const struct input_opts *opts, struct cmd_run *run,
		   enum by_key key);
void recording_fini(struct recording *r);

/* Several of them, as many at a time as there are processors. 0, or -1 and run->fail. */
int recordings_read(struct recording *v, size_t n, struct cmd_run *run, enum by_key key);

#endif

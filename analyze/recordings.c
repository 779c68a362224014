// SPDX-License-Identifier: GPL-2.0-or-later
/* Several recordings at a time: they have nothing in common but what does not change. */
#include <stdlib.h>

#include "recording.h"
#include "thread.h"

#define MAX_THREADS 8

struct reading { /* of one recording */
	struct recording *r;
	struct cmd_run run;
	struct fail fail;
	int rc;
};

struct readings {
	struct reading *list;
	size_t n, next;
	struct input_opts opts;
	enum by_key key;
};

static void read_some(void *arg)
{
	struct readings *all = arg;
	size_t i;

	while ((i = __atomic_fetch_add(&all->next, 1, __ATOMIC_RELAXED)) < all->n) {
		struct reading *one = &all->list[i];

		one->rc = recording_read(one->r, &all->opts, &one->run, all->key);
	}
}

static void read_all(struct readings *all, unsigned n_workers)
{
	struct tape_thread threads[MAX_THREADS];
	unsigned n = 0, want = n_workers < all->n ? n_workers : (unsigned)all->n;

	all->opts.n_workers = want < n_workers ? n_workers / want : 1;
	while (n + 1 < want && n < MAX_THREADS && !tape_thread_start(&threads[n], read_some, all))
		n++;
	read_some(all);
	while (n)
		tape_thread_join(&threads[--n]);
}

/* As if they had been read one after the other: notes, and the first failure. */
static int conclude(struct readings *all, struct cmd_run *run)
{
	for (size_t i = 0; i < all->n; i++) {
		out_take_notes(run->out, all->list[i].run.out);
		if (all->list[i].rc) {
			*run->fail = all->list[i].fail;
			return -1;
		}
	}
	return 0;
}

int recordings_read(struct recording *v, size_t n, struct cmd_run *run, enum by_key key)
{
	struct out_opts quiet = {0};
	struct readings all = {.n = n, .opts = *run->input_opts, .key = key};
	int rc = 0;

	all.list = calloc(n, sizeof(*all.list));
	if (!all.list)
		return fail_nomem(run->fail);
	for (size_t i = 0; i < n; i++) {
		struct reading *one = &all.list[i];

		one->r = &v[i];
		one->run.path = v[i].path;
		one->run.out = out_new(&quiet);
		one->run.fail = &one->fail;
		if (!one->run.out)
			rc = fail_nomem(run->fail);
	}
	if (!rc) {
		read_all(&all, input_all_workers());
		rc = conclude(&all, run);
	}
	for (size_t i = 0; i < n; i++)
		out_free(all.list[i].run.out);
	free(all.list);
	return rc;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sockets that exist when recording starts, in every network namespace that can be found, with
 * their owners. Taken after the probes are attached, so that no socket is missed: one that changes
 * meanwhile is in both.
 */
#ifndef REC_SNAPSHOT_H
#define REC_SNAPSHOT_H

#include "generation.h"
#include "object.h"
#include "places.h"
#include "select.h"
#include "writer.h"

/* Which processes a selection takes. */
struct rec_chooser {
	const struct rec_select *select;
	int pids_fd; /* of the kernel's map: those asked for by number, and what they have forked */
	const struct rec_cgroup_mount *mount;
};

struct rec_snapshot_result {
	size_t n_socks, n_netns;
	char trouble[256]; /* what is missing, "" nothing */
};

struct rec_snapshot_job {
	const struct rec_object *object;
	struct rec_places *places;
	const struct rec_select *select;
	struct rec_generation *generation; /* numbers the sockets; NULL: they have cookies */
	struct tape_writer *writer;
	int (*breathe)(void *ctx); /* called every now and then; NULL: no need. -1 stops */
	void *ctx;
};

/*
 * Once, before the first snapshot: let the kernel choose, of the sockets that exist, those of the
 * processes that are chosen. Twice over: a connection that a listener takes meanwhile is found by
 * the second look. *ret: sockets chosen; trouble: what may be missing, "" nothing.
 */
void rec_snapshot_seed(struct rec_object *o, const struct rec_chooser *c, size_t *ret_n,
		       char trouble[256]);

/* Write the rows. 0, or an error of the writer or of breathe; what cannot be read goes into
 * ret->trouble. */
int rec_snapshot_take(const struct rec_snapshot_job *job, struct rec_snapshot_result *ret,
		      struct tape_error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was not recorded: records that found no room in their ring, or were left out for the budget,
 * counted by the probes per CPU and group, and runs of a program that the kernel skipped because
 * that program was already running on that CPU. Polled; the difference to the poll before is the
 * loss of that interval.
 */
#ifndef REC_LOSS_H
#define REC_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "fail.h"
#include "object.h"
#include "writer.h"

struct rec_loss {
	const struct rec_object *object;
	struct tape_lost *seen;		 /* [object->n_cpus], of the poll before */
	uint64_t misses[REC_MAX_PROBES]; /* of the poll before */
	uint64_t last_ns;		 /* its time */
	uint64_t total;			 /* lost since the start */
	bool counts_recursion;		 /* the kernel has recursion_misses (since 5.12) */
};

/* Starts counting now. object must outlive it. -1: no memory. */
int rec_loss_init(struct rec_loss *l, const struct rec_object *object, uint64_t now_ns,
		  struct rec_error *err);
void rec_loss_fini(struct rec_loss *l);

/* Write what was lost since the poll before, if anything. Errors are the writer's. */
int rec_loss_poll(struct rec_loss *l, uint64_t now_ns, struct tape_writer *w,
		  struct tape_error *err);

/* Records of a group that found no room in their ring or in the budget, since the probes were
 * loaded. */
uint64_t rec_loss_of_group(const struct rec_object *object, enum tape_group group);

/* Time and number of runs of all programs so far; 0 unless kernel.bpf_stats_enabled is set. */
void rec_loss_run_time(const struct rec_loss *l, uint64_t *ret_ns, uint64_t *ret_runs);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections chosen by their owner (-p, --comm, --cgroup): what was asked for, and which processes
 * that are running it is. What happens afterwards is followed in the kernel (bpf/select.h).
 */
#ifndef REC_SELECT_H
#define REC_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroup.h"
#include "fail.h"
#include "gate_limits.h"

#define REC_MAX_PIDS 64

struct rec_select { /* a process is chosen if any of these takes it */
	uint32_t pids[REC_MAX_PIDS];
	char comms[TAPE_CHOSEN_NAMES][TAPE_COMM_LEN]; /* padded with zeros */
	char cgroups[TAPE_CHOSEN_NAMES][512];	      /* their folders */
	uint64_t cgroup_ids[TAPE_CHOSEN_NAMES];
	unsigned n_pids, n_comms, n_cgroups;
};

static inline bool rec_select_is_on(const struct rec_select *s)
{
	return s->n_pids || s->n_comms || s->n_cgroups;
}

/* An option's value; -1 is a usage error. A process and a cgroup must exist. */
int rec_select_pid(struct rec_select *s, const char *value, struct rec_error *err);
int rec_select_comm(struct rec_select *s, const char *value, struct rec_error *err);
int rec_select_cgroup(struct rec_select *s, const char *value, struct rec_error *err);

/* Whether a process that runs now is one by its name or its cgroup. By number the kernel knows. */
bool rec_select_has(const struct rec_select *s, const struct rec_cgroup_mount *m, unsigned pid);

#endif

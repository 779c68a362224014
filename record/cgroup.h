/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ids of cgroups (v2) and their paths. Owns a descriptor of the mount. */
#ifndef REC_CGROUP_H
#define REC_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rec_cgroup_mount {
	int fd; /* -1: no cgroup2 file system */
	char path[256];
};

void rec_cgroup_open(struct rec_cgroup_mount *m);
void rec_cgroup_close(struct rec_cgroup_mount *m);

/* The path of a cgroup below the mount, "/" the root; "" if it is gone or we may not look. */
void rec_cgroup_path(const struct rec_cgroup_mount *m, uint64_t id, char *buf, size_t len);

/* The id of the cgroup that a process is in; 0 if it cannot be found. */
uint64_t rec_cgroup_of_pid(const struct rec_cgroup_mount *m, unsigned pid);

/* Whether a process is in the cgroup of that id, or below it. */
bool rec_cgroup_has_pid(const struct rec_cgroup_mount *m, uint64_t id, unsigned pid);

#endif

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

/*
 * The path of a cgroup below the mount, "/" the root, if this process is still in it; else false,
 * and
 * "" in buf. Takes no privilege, as the next one.
 */
bool rec_cgroup_path_of_pid(const struct rec_cgroup_mount *m, uint64_t id, unsigned pid, char *buf,
			    size_t len);

/* The paths of several, by a walk over all cgroups; not called for those that have gone. */
void rec_cgroup_find(const struct rec_cgroup_mount *m, const uint64_t *ids, size_t n,
		     void (*found)(void *ctx, size_t i, const char *path), void *ctx);

/* Whether a process is in the cgroup of that id, or below it. */
bool rec_cgroup_has_pid(const struct rec_cgroup_mount *m, uint64_t id, unsigned pid);

#endif

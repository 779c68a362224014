/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes have which sockets open, out of /proc/PID/fd. */
#ifndef REC_OWNERS_H
#define REC_OWNERS_H

#include <stddef.h>

#include "cgroup.h"
#include "events.h"
#include "select.h"

#define REC_OWNERS_NO_MEMORY (-1000000)

/* Which processes a selection takes. */
struct rec_chooser {
	const struct rec_select *select;
	int pids_fd; /* of the kernel's map: those asked for by number, and what they have forked */
	const struct rec_cgroup_mount *mount;
};

struct rec_seed {
	unsigned n_processes, n_closed; /* chosen ones; of which we may not see the files */
	int error;			/* errno of the last socket that could not be told; 0 */
};

/* Tell the kernel (old_fd, of the map `old`) which sockets the processes that are chosen have open.
 */
void rec_owners_seed(const struct rec_chooser *c, int old_fd, struct rec_seed *ret);

/*
 * Fill task and n_owners of n socket rows by their inode numbers; of several owners, the lowest pid
 * that is chosen, else the lowest. Processes that we may not look into are passed over. breathe
 * (NULL: none) is called every now and then; a negative result of it ends the search, and is
 * returned. REC_OWNERS_NO_MEMORY: nothing is filled.
 */
int rec_owners_find(struct ev_snap_sock *socks, size_t n, const struct rec_chooser *c,
		    int (*breathe)(void *ctx), void *ctx);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes have which sockets open, out of /proc/PID/fd. */
#ifndef REC_OWNERS_H
#define REC_OWNERS_H

#include <stddef.h>

#include "cgroup.h"
#include "events.h"

#define REC_OWNERS_NO_MEMORY (-1000000)

/*
 * Fill task and n_owners of n socket rows by their inode numbers. Processes that we may not look
 * into are passed over. breathe (NULL: none) is called every now and then; a negative result of it
 * ends the search, and is returned. REC_OWNERS_NO_MEMORY: nothing is filled.
 */
int rec_owners_find(struct ev_snap_sock *socks, size_t n, const struct rec_cgroup_mount *m,
		    int (*breathe)(void *ctx), void *ctx);

#endif

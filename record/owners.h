/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which processes have which TCP sockets open, as a BPF iterator finds them in their tables of
 * files: that takes no right to look into /proc/PID/fd. Owns its memory, 12 MiB at most, and half
 * of that while it grows.
 */
#ifndef REC_OWNERS_H
#define REC_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events.h"

#define REC_OWNERS_SLOTS (1u << 20) /* three quarters are used: 786,432 sockets */

struct rec_owner;

struct rec_owners {
	struct rec_owner *v; /* by inode, open addressing */
	size_t n, cap;	     /* cap: a power of two, or 0 */
	struct ev_task *tasks;
	size_t n_tasks, cap_tasks;
	bool incomplete; /* there was no room for all */
};

void rec_owners_init(struct rec_owners *o);

/* A process has a socket open; those of a process come one after the other. */
void rec_owners_add(struct rec_owners *o, uint64_t inode, const struct ev_task *process,
		    bool chosen);

/*
 * One that has it open, the first that was added and is chosen, else the first; and how many do, at
 * most 255; 0: none is known.
 */
uint8_t rec_owners_of(const struct rec_owners *o, uint64_t inode, struct ev_task *ret_task);

void rec_owners_fini(struct rec_owners *o);

#endif

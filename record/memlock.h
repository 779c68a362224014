/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Before Linux 5.11 BPF maps and programs count as locked memory, of which a process may have 64
 * KiB by default. The limit is raised while they are made, and no longer: COMMAND must not inherit
 * it.
 */
#ifndef REC_MEMLOCK_H
#define REC_MEMLOCK_H

#include <stdbool.h>
#include <sys/resource.h>

struct rec_memlock {
	struct rlimit before;
	bool raised; /* false: not allowed (CAP_SYS_RESOURCE), or not needed */
};

/* Not being allowed to is no failure: the limit may be high enough, or the kernel not need it. */
struct rec_memlock rec_memlock_raise(void);
void rec_memlock_restore(const struct rec_memlock *m);

#endif

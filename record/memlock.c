/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "memlock.h"

struct rec_memlock rec_memlock_raise(void)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	struct rec_memlock m = {0};

	if (!getrlimit(RLIMIT_MEMLOCK, &m.before) && m.before.rlim_cur != RLIM_INFINITY)
		m.raised = !setrlimit(RLIMIT_MEMLOCK, &all);
	return m;
}

void rec_memlock_restore(const struct rec_memlock *m)
{
	if (m->raised)
		setrlimit(RLIMIT_MEMLOCK, &m->before);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "interval.h"

#define NS_PER_S 1e9

int interval_check(const struct opt_fixed *seconds, struct fail *fail)
{
	if (seconds->given && (seconds->v < 1e-6 || seconds->v > 1e9))
		return fail_set(fail, STATUS_USAGE, "-i takes seconds, from 0.000001");
	return 0;
}

static void set(struct interval *iv, uint64_t from_ns)
{
	iv->from_ns = from_ns;
	iv->next_ns = from_ns < UINT64_MAX - iv->step_ns ? from_ns + iv->step_ns : UINT64_MAX;
}

void interval_begin(struct interval *iv, const struct opt_fixed *seconds, uint64_t from_ns)
{
	*iv = (struct interval){.from_ns = from_ns, .next_ns = UINT64_MAX};
	if (!seconds->given)
		return;
	iv->step_ns = (uint64_t)(seconds->v * NS_PER_S);
	set(iv, from_ns);
}

uint64_t interval_skip(struct interval *iv, uint64_t ts_ns)
{
	uint64_t n;

	if (!interval_is_over(iv, ts_ns))
		return 0;
	n = (ts_ns - iv->next_ns) / iv->step_ns;
	set(iv, iv->next_ns + n * iv->step_ns);
	return n;
}

void interval_step(struct interval *iv)
{
	if (iv->next_ns != UINT64_MAX)
		set(iv, iv->next_ns);
}

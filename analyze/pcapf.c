// SPDX-License-Identifier: GPL-2.0-or-later
#include "pcapf.h"

#include <string.h>

int pcapf_new(struct filter **ret, const char *expression, struct fail *fail)
{
	char why[sizeof(fail->text) - 8];
	int rc = filter_new(ret, expression, why, sizeof(why));

	if (rc == -2)
		return fail_nomem(fail);
	return rc ? fail_set(fail, STATUS_USAGE, "-f: %s", why) : 0;
}

bool pcapf_match(const struct filter *f, const struct flow *flow)
{
	struct filter_flow it = {.lport = flow->lport, .rport = flow->rport};

	memcpy(it.laddr, flow->laddr, FLOW_ADDR_LEN);
	memcpy(it.raddr, flow->raddr, FLOW_ADDR_LEN);
	return filter_match(f, &it);
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The place of -f's instructions (bpf/gate.h): room that the recorder writes over. */
#include "probe.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

__hidden __noinline bool flow_matches(const struct ev_flow *flow)
{
	asm volatile(".rept " TEXT(TAPE_FILTER_INSNS) "\n"
						      "r0 = r1\n"
						      ".endr\n"
						      "r0 = 1\n" ::"r"(flow)
		     : "r0");
	return true;
}

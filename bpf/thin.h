/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Connections that are left out (--sample, --max-rate): one threshold for each group, which the
 * recorder moves (record/budget.c). Nothing is remembered of a connection: a number made of its
 * addresses and ports is compared, so all events of it fare alike, in all layers and at both ends,
 * unless NAT changes the addresses between. Included by gate.h, which asks.
 */
#ifndef TAPE_THIN_H
#define TAPE_THIN_H

#include "flow_hash.h"

/* false: neither option is in use, and the verifier leaves the code out. */
const volatile bool may_thin SEC(".rodata") __weak = false;

/* By group: connections whose number is below are left out. 0: none are. */
uint32_t thin_below[TAPE_N_GROUPS] SEC(".bss") __weak;

static __always_inline bool thins(enum tape_group group)
{
	return may_thin && *(volatile uint32_t *)&thin_below[group];
}

static __noinline void count_left_out(uint32_t group)
{
	uint32_t cpu = bpf_get_smp_processor_id();
	struct tape_lost *l = bpf_map_lookup_elem(&lost, &cpu);

	if (l && group < TAPE_N_GROUPS)
		__sync_fetch_and_add(&l->left_out[group], 1);
}

static __always_inline bool keeps_number(enum tape_group group, uint32_t number)
{
	if (number >= thin_below[group])
		return true;
	count_left_out(group);
	return false;
}

/* Ask only where thins(group). What has no addresses is left out one by one. */
static __always_inline bool keeps_flow(enum tape_group group, const struct ev_flow *f)
{
	return keeps_number(group,
			    f->rport ? tape_flow_hash(&f->laddr, f->lport, &f->raddr, f->rport)
				     : bpf_get_prandom_u32());
}

/*
 * An event of a socket. The life of a socket (conn) is kept as a whole: by its cookie, since its
 * local port is unknown when a connect begins, and its ends are wiped when one fails. All of what
 * a listener does has its addresses: one by one.
 */
static __always_inline bool keeps_sock(enum tape_group group, const struct ev_flow *f,
				       uint64_t cookie)
{
	if (group == TAPE_GROUP_listen)
		return keeps_number(group, bpf_get_prandom_u32());
	if (group == TAPE_GROUP_conn && cookie)
		return keeps_number(group, tape_mix(cookie) >> 32);
	return keeps_flow(group, f);
}

#endif

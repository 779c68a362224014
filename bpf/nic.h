/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the probes of group nic count, per CPU, and the sampler reads: shared by both. */
#ifndef TAPE_NIC_H
#define TAPE_NIC_H

#define TAPE_NIC_KEYS 4096 /* queues that are counted; those beyond count as lost */
#define TAPE_NIC_NO_QUEUE 65535

struct tape_nic_key {
	uint32_t netns, ifindex;
	uint16_t queue, direction; /* direction: 0 transmit, 1 receive */
};

struct tape_nic_count {
	uint64_t skbs, segs, bytes;
};

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The event groups (-e), the ring each one writes to, and whether it is in the default set. Shared
 * by the probes and the recorder. The order is the index of a group's loss counter; it is not
 * stored in files, which carry names. Add a group here when its first probe is added.
 */
#ifndef TAPE_GROUPS_H
#define TAPE_GROUPS_H

/* Events that must not be lost go to `control`, so that a flood of packets cannot evict them. */
enum tape_ring { TAPE_RING_control, TAPE_RING_bulk, TAPE_N_RINGS };

/* Of each kind; a processor writes to the ring in slot number % slots. A ring may be in several. */
#define TAPE_RING_SLOTS 16

/* clang-format off */
/* GROUP(name, ring, on by default) */
#define TAPE_GROUPS(GROUP) \
	GROUP(conn, control, 1) \
	GROUP(rtt, bulk, 1) \
	GROUP(drop, control, 1) \
	GROUP(retrans, control, 1) \
	GROUP(reset, control, 1) \
	GROUP(counters, control, 1) \
	GROUP(listen, control, 1) \
	GROUP(nic, control, 1) \
	GROUP(rx, bulk, 0) \
	GROUP(tx, bulk, 0) \
	GROUP(io, bulk, 0)
/* clang-format on */

enum tape_group {
#define GROUP(name, ring, dflt) TAPE_GROUP_##name,
	TAPE_GROUPS(GROUP)
#undef GROUP
		TAPE_N_GROUPS
};

/* One a CPU, in the memory-mapped map `lost`: by enum tape_group; whole cache lines. */
struct tape_lost {
	uint64_t n[15];	       /* records for which the ring had no room */
	uint64_t unfollowed;   /* connections and processes that a selection had no room for */
	uint64_t left_out[16]; /* events of connections that were left out (thin.h) */
};

#endif

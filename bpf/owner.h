/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the walk of open files says of one that is a TCP socket: shared by the probe and the
 * recorder. */
#ifndef TAPE_OWNER_H
#define TAPE_OWNER_H

#include "../format/events.h"

struct tape_owner {
	uint64_t inode, cgroup;
	uint32_t pid, reserved;
	struct ev_comm comm; /* of the process */
};

#endif

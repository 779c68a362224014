/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel tells about one interface of the namespace of a socket: rtnetlink, ethtool. */
#ifndef REC_LINK_H
#define REC_LINK_H

#include <stdint.h>

struct rec_link_facts {
	uint32_t mtu, type, offloads; /* offloads: as in snap_link */
	uint32_t tx_queues, rx_queues;
	char qdisc[32];
	char queue_qdiscs[256]; /* as in snap_link; cut where they are many and differ */
};

/* fd: an rtnetlink socket. What cannot be found out stays 0. */
void rec_link_facts(int fd, const char *name, uint32_t ifindex, struct rec_link_facts *ret);

/*
 * The driver's own counters. The number, and their names in *ret_names (32 bytes each, not always
 * NUL-terminated), which the caller frees; 0: none, or no memory.
 */
uint32_t rec_link_driver_names(int fd, const char *name, char **ret_names);

/* Their values: -1 if they are not so many any more. */
int rec_link_driver_values(int fd, const char *name, uint32_t n, uint64_t *ret);

#define REC_LINK_NAME_LEN 32 /* ETH_GSTRING_LEN */
#define REC_LINK_MAX_DRIVER 8192

#endif

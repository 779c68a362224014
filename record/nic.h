/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Group nic: what the probes count for each queue, the counters of interfaces and their drivers,
 * and once what an interface is. Owns the list of the interfaces that were met.
 */
#ifndef REC_NIC_H
#define REC_NIC_H

#include "series.h"

struct rec_link {
	uint32_t netns, ifindex;
	uint32_t sample; /* last seen in */
	char name[16];
	uint32_t n_driver;    /* counters of the driver, 0 none */
	uint32_t *driver_ids; /* their names */
};

struct rec_nic {
	struct rec_link *links;
	size_t n, cap;
	unsigned n_cpus; /* possible ones */
	void *counts;	 /* n_cpus of them, as the map gives them */
};

/* -1: no memory. */
int rec_nic_init(struct rec_nic *n, unsigned n_cpus);
void rec_nic_fini(struct rec_nic *n);

/* The interfaces of the namespace that this thread is in. buf: REC_FILE_ROOM bytes. */
void rec_nic_sample_links(struct rec_nic *n, struct rec_series *s, uint32_t netns, char *buf);

/* After all namespaces: what the probes counted, and forget the interfaces that are gone. */
void rec_nic_sample_queues(struct rec_nic *n, struct rec_series *s, int map_fd);

#endif

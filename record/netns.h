/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network namespaces that can be found: by name in /run/netns, by process in /proc. */
#ifndef REC_NETNS_H
#define REC_NETNS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rec_netns {
	uint32_t inode;
	uint32_t pid;	/* a process in it, the lowest; 0 none */
	char name[256]; /* below /run/netns, "" without one */
	char path[280]; /* to open it by */
};

struct rec_netns_list {
	struct rec_netns *v;
	size_t n, cap;
	dev_t dev; /* where namespaces live, as opposed to other files in /run/netns */
};

/* All of them, our own first. What cannot be read is left out. Free with rec_netns_free. */
void rec_netns_find(struct rec_netns_list *l);

/* Our own and those in /run/netns only: does not walk over /proc. */
void rec_netns_find_named(struct rec_netns_list *l);
void rec_netns_free(struct rec_netns_list *l);

/* The one with that inode, NULL if there is none. */
const struct rec_netns *rec_netns_by_inode(const struct rec_netns_list *l, uint32_t inode);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BPF programs at netfilter's hooks. Such a hook belongs to one network namespace, so each hook
 * needs a link in each namespace, those that appear while recording included. A link keeps its
 * namespace alive (bpf_nf_link_attach holds a reference), so links are closed soon after nothing
 * else is seen to use it. Owns the links; they end with the process, however that ends.
 */
#ifndef REC_NETFILTER_H
#define REC_NETFILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REC_NETFILTER_HOOKS 8

struct rec_netfilter_netns {
	uint32_t inode;
	int links[REC_NETFILTER_HOOKS]; /* -1: none */
	char path[280];			/* by which it was found last */
};

struct rec_netfilter {
	int progs[REC_NETFILTER_HOOKS]; /* by hook; not owned; -1: none there */
	bool any;
	struct rec_netfilter_netns *netns; /* [0] is our own */
	size_t n_netns, cap_netns;
	int home;	   /* descriptor of our own namespace */
	size_t next_check; /* index in netns */
	unsigned n_met, n_name_looks;
	bool stale;		    /* look at all, processes included */
	int64_t names_ns;	    /* when a name in /run/netns was made or removed */
	uint64_t check_ns, look_ns; /* not before */
	char trouble[160];	    /* what is not covered, "" nothing */
};

void rec_netfilter_init(struct rec_netfilter *nf);
void rec_netfilter_close(struct rec_netfilter *nf);

/*
 * Attach a loaded program in our own namespace. target: "ipv4/pre_routing" and so on. 0, or -errno.
 */
int rec_netfilter_attach(struct rec_netfilter *nf, const char *target, int prog_fd);

/* Cover all namespaces that can be found. Costs a walk over /proc. */
void rec_netfilter_look(struct rec_netfilter *nf);

/*
 * To be called some times a second: looks if a namespace has gone or come. n_met: namespaces that
 * events have told of and nobody has looked for so far.
 */
void rec_netfilter_check(struct rec_netfilter *nf, uint64_t now_ns, unsigned n_met);

#endif

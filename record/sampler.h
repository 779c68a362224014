/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is sampled at an interval, in every network namespace that is known: groups counters, listen
 * and nic. A source of records beside the BPF rings. Where a sample costs much (many namespaces:
 * about 1 ms each, most of it the walk over the hash table of sockets), the next one comes later,
 * so that sampling takes at most 1/50 of a CPU.
 */
#ifndef REC_SAMPLER_H
#define REC_SAMPLER_H

#include "nic.h"
#include "object.h"
#include "series.h"

struct rec_sampled_netns {
	uint32_t inode;
	bool missing;	       /* in the last sample; forgotten the second time */
	uint64_t listeners_ns; /* look at them again then, or when connections came */
	uint64_t handshakes;
	char path[280];
};

struct rec_sampler {
	struct rec_series series; /* first: the drain's source is its first member */
	struct rec_nic nic;
	const struct rec_object *object;
	const struct rec_choice *choice;
	struct rec_sampled_netns *netns; /* [0] is our own */
	size_t n_netns, cap_netns;
	int home;	   /* descriptor of our own namespace; -1: nothing to sample */
	bool all_next;	   /* the next sample has everything, as the first */
	bool any, stale;   /* any: something is sampled; stale: look for namespaces again */
	bool one_has_gone; /* the caller clears it: a namespace is not where it was */
	uint32_t groups;
	uint64_t interval_ns, next_ns; /* next_ns: UINT64_MAX never */
	char *buf;
	char trouble[160]; /* what could not be sampled, "" nothing */
};

/* What was attached decides what is sampled. object and choice must outlive it. -1: no memory. */
int rec_sampler_init(struct rec_sampler *p, const struct rec_object *object,
		     const struct rec_choice *choice, uint32_t groups, uint64_t interval_ns,
		     struct rec_error *err);
void rec_sampler_fini(struct rec_sampler *p);

/* Take a sample; its records wait in series.source. last: the recording ends. */
void rec_sampler_take(struct rec_sampler *p, bool last);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The BPF programs in the kernel: chosen by rec_choice, loaded, attached, with their rings and
 * counters. Owns all of these; closing detaches. libbpf's messages are kept, never printed.
 */
#ifndef REC_OBJECT_H
#define REC_OBJECT_H

#include <stdint.h>

#include "fail.h"
#include "gate.h"
#include "netfilter.h"
#include "probes.h"

struct bpf_link;
struct tape_bpf;

#define REC_MAX_SELECT_LINKS 4
#define REC_MAX_RINGS (TAPE_N_RINGS * TAPE_RING_SLOTS)

enum { REC_ITER_SOCKS, REC_ITER_OWNERS, REC_N_ITERS };

struct rec_object {
	struct tape_bpf *skel;
	struct bpf_link *links[REC_MAX_PROBES]; /* NULL: not attached, or by netfilter */
	struct rec_netfilter netfilter;
	int prog_fd[REC_MAX_PROBES];	     /* -1 where it never was; stays open after detaching */
	struct bpf_link *iters[REC_N_ITERS]; /* of the snapshot; NULL: none */
	int ring_fd[REC_MAX_RINGS]; /* n_rings of them: `split` of each kind, in the kinds' order */
	unsigned n_rings, split;    /* split: a power of two */
	int nic_fd;		    /* of the map nic_counts */
	/* of a selection by owner; the maps chosen_pids and old */
	struct bpf_link *select_links[REC_MAX_SELECT_LINKS];
	int pids_fd, old_fd;
	uint64_t ring_bytes[TAPE_N_RINGS]; /* of one ring of the kind */
	const struct tape_lost *lost;	   /* [n_cpus], in memory shared with the kernel */
	unsigned n_cpus;		   /* possible ones */
	char iter_why[REC_N_ITERS][160];   /* why iters are NULL */
};

/* Connections of that group whose number is below are left out from now on (bpf/thin.h). */
void rec_object_thin(struct rec_object *o, enum tape_group group, uint32_t below);

/* Events of such connections since the programs were loaded, by group. */
void rec_object_left_out(const struct rec_object *o, uint64_t ret[TAPE_N_GROUPS]);

/* The programs take sockets in that are in the map `old`, as the iterator walks (bpf/select.h). */
void rec_object_seeding(struct rec_object *o, bool on);

/*
 * Load and attach the best probe of each event of the groups. Rows that fail are refused in c and
 * the next ones tried. -1 only if nothing can be loaded at all.
 */
int rec_object_open(struct rec_object *o, struct rec_choice *c, const struct rec_gate *gate,
		    uint32_t groups, uint64_t bulk_bytes, bool snapshot, struct rec_error *err);

/* Stop recording; rings and counters can still be read. */
void rec_object_detach(struct rec_object *o);
void rec_object_close(struct rec_object *o);

#endif

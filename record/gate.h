/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What -f, --netns, -p, --comm and --cgroup let through, put into the BPF programs before they are
 * loaded: instructions in place of bpf/filter.bpf.c, constants for bpf/gate.h.
 */
#ifndef REC_GATE_H
#define REC_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "fail.h"
#include "filter.h"
#include "gate_limits.h"
#include "select.h"

struct rec_gate {
	bool flows;	/* -f is given */
	uint32_t netns; /* --netns: inode; 0 all */
	struct rec_select select;
	struct filter_insn insns[TAPE_FILTER_INSNS];
	int n_insns;
	uint16_t ports[TAPE_FILTER_PORTS]; /* see filter_ports */
	int n_ports;			   /* -1: too many, so each may match */
};

/* -f; an expression that cannot be taken is a usage error, without libpcap any. */
int rec_gate_filter(struct rec_gate *g, const char *expression, struct rec_error *err);

/* --netns: the namespace of a process, by its number, or that of a file, as /run/netns/NAME. */
int rec_gate_netns(struct rec_gate *g, const char *pid_or_path, struct rec_error *err);

/*
 * The object with the instructions in place: *elf itself, or a copy to be freed, in *ret_copy. 0 or
 * -1.
 */
int rec_gate_patch(const struct rec_gate *g, const void **elf, size_t size, void **ret_copy,
		   struct rec_error *err);

/* Starts of connects may be recorded of which the port then does not match. */
bool rec_gate_guesses(const struct rec_gate *g);

#endif

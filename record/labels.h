/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows that say what the numbers in events mean (cgroups, network namespaces, symbols, stacks,
 * counters, interfaces), kept so that each file of a recording that makes several can have them.
 * Memory is bounded: where it ends, rows of what comes and goes are forgotten first.
 */
#ifndef REC_LABELS_H
#define REC_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events.h"
#include "writer.h"

#define REC_LABELS_MAX 16384
#define REC_LABELS_BYTES (8u << 20)

struct rec_labels {
	struct ev_head **v; /* copies, with their strings behind them */
	size_t n, bytes;
	uint32_t *slots; /* by what they name: index + 1, 0 free */
	bool forgot;	 /* some that may be needed again; the caller resets it */
	uint64_t n_refused;
};

void rec_labels_init(struct rec_labels *l);
void rec_labels_fini(struct rec_labels *l);

/* Keep a copy of a row, in place of an older one of the same thing. Rows of sockets are not kept.
 */
void rec_labels_see(struct rec_labels *l, const struct ev_head *row);

/* All of them, as of now_ns. 0, or the writer's error. */
int rec_labels_write(const struct rec_labels *l, uint64_t now_ns, struct tape_writer *w,
		     struct tape_error *err);

#endif

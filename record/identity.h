/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completes the first state change of an accepted connection. In LISTEN -> SYN_RECV the kernel has
 * just copied the listener: the child has no cookie and carries the listener's addresses. The next
 * state change of the same struct sock, microseconds later in the same softirq, has them all.
 */
#ifndef REC_IDENTITY_H
#define REC_IDENTITY_H

#include <stdbool.h>

#include "queue.h"

/*
 * Fill record's sock from what follows in ahead, within a bounded distance. false: it is such a
 * change, and nothing follows; it is left as it is.
 */
bool rec_identity_complete(struct ev_head *record, const struct rec_queue *ahead);

#endif

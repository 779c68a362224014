/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Group listen, sampled: the listeners of one network namespace. */
#ifndef REC_LISTENERS_H
#define REC_LISTENERS_H

#include "series.h"

/*
 * Walk the namespace that this thread is in with the iterator (a link's descriptor) and emit a
 * listen_queue for each listener whose queues are not empty or have changed; all in the first and
 * the last sample. 1: some of the former; 0: none; or -errno.
 */
int rec_listeners_sample(struct rec_series *s, int iter_fd, bool last);

#endif

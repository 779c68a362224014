/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Group counters: the kernel's own counters of one network namespace, from /proc/net, and those of
 * the machine. What has moved becomes a `counter` record.
 */
#ifndef REC_COUNTERS_H
#define REC_COUNTERS_H

#include "series.h"

/*
 * Read a file, from its start, into a buffer that the caller reuses: -1 it cannot be read. Cut at
 * len - 1 bytes.
 */
int rec_read_file(const char *path, char *buf, size_t len);

#define REC_FILE_ROOM (1u << 20) /* bytes of buf below */

/* Of the namespace that this thread is in. home: also what counts for the whole machine. */
void rec_counters_sample(struct rec_series *s, uint32_t netns, bool home, char *buf);

#endif

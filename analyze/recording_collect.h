/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The events of a recording, read once: what each tells of its connection goes to the metrics of
 * the group that this belongs to. Connections, calls and segments in one pass, as far as r->has
 * says that the trace has them.
 */
#ifndef ANA_RECORDING_COLLECT_H
#define ANA_RECORDING_COLLECT_H

#include "recording.h"

/* Into r->groups, whose names are in r->who then. 0, or -1 and run->fail. */
int recording_collect(struct recording *r, struct cmd_run *run);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's own counters over the recording, beside what was recorded of the same things: the
 * analyzer's check of what the recorder missed. From the trace alone.
 */
#ifndef ANA_CROSSCHECK_H
#define ANA_CROSSCHECK_H

#include "cmd.h"

/*
 * Read the trace from where its reader stands and print both tables. 0, or -1 and *run->fail: also
 * where the trace has no counters.
 */
int crosscheck_run(struct cmd_run *run);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file of a ring (tcptape-record --ring-file) as a recorder that was killed has left it: whole
 * blocks, the newest over the oldest. In the order of their numbers they are a trace without its
 * middle or begin.
 */
#ifndef ANA_REPAIR_RING_H
#define ANA_REPAIR_RING_H

#include <stdio.h>

#include "fail.h"

/*
 * If the file at path ("-": standard input, a regular file) is one, its blocks in order in a
 * nameless file, which the caller closes; else *ret NULL. 0, or -1 and *fail.
 */
int repair_unring(const char *path, FILE **ret, struct fail *fail);

#endif

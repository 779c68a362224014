/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must hold for repair, whatever it is given: its output is a good trace by verify, has every
 * event of every chunk that the reader can read of the damaged one and no other, and repairing it
 * again finds nothing.
 */
#ifndef CHECK_REPAIR_H
#define CHECK_REPAIR_H

#include "repair.h"
#include "sample.h"

/*
 * Repair the trace p[0 .. len) into *ret (bytes_free it); what was found is in *r, already closed.
 * NULL, or a sentence that says what does not hold. refused: if not NULL, set to whether repair
 * refused the trace, which is no fault.
 */
const char *check_repair(const uint8_t *p, size_t len, struct bytes *ret, struct repair *r,
			 bool *refused);

/* What the command verify prints of a trace that it finds at fault; NULL: it is good. */
const char *check_verify(const struct bytes *b);

#endif

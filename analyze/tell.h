/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An event in a few words, for a reader; dump has all its fields. */
#ifndef ANA_TELL_H
#define ANA_TELL_H

#include "record.h"

/* Row k of a record; of an event that has no words of its own, all fields. */
void tell_event(const struct record_set *s, struct text *t, const struct record *r, uint32_t k);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the user's options choose an event, for commands that walk over records of any kind.
 */
#ifndef ANA_PICK_H
#define ANA_PICK_H

#include "input.h"
#include "record.h"

struct picked { /* whom an event is about; NULL: nobody, or not known */
	const struct sock *sock;
	const struct task *task;
	struct sock room; /* sock may point here */
};

bool pick(struct input *in, const struct record *r, uint32_t k, uint64_t ts_ns,
	  const struct bind_tables *tables, struct picked *ret);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's call stacks (tcptape-record --stacks): rows of snap_stack by their number, and how
 * they are shown. Owns its memory.
 */
#ifndef ANA_STACKS_H
#define ANA_STACKS_H

#include "bind.h"
#include "map.h"
#include "out.h"

struct stacks {
	struct map rows; /* id -> char *: places with ; between */
	bool failed;	 /* no memory; the caller asks at the end */
};

enum { STACK_ID, STACK_FRAMES, STACK_N };
extern const struct bind_field stack_fields[STACK_N]; /* of snap_stack */

void stacks_take(struct stacks *s, const struct bind_row *row);
void stacks_fini(struct stacks *s);

/* NULL: none. Valid until stacks_fini. */
const char *stacks_get(const struct stacks *s, uint64_t id);

/* A cell for JSON (an array) and CSV (with ; between). */
#define STACKS_COL                                                                                 \
	{                                                                                          \
		NULL, "stack", 0, false                                                            \
	}
void cell_stack(struct out *o, const char *stack);

/* In the text table, behind a row: a line for each place, indented. stack NULL: nothing. */
void stack_lines(struct out *o, const char *stack);

#endif

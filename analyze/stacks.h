/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the kernel's call stacks (tcptape-record --stacks; labels.h) are shown. */
#ifndef ANA_STACKS_H
#define ANA_STACKS_H

#include "out.h"

/* A cell for JSON (an array) and CSV (with ; between). */
#define STACKS_COL                                                                                 \
	{                                                                                          \
		NULL, "stack", 0, false                                                            \
	}
void cell_stack(struct out *o, const char *stack);

/* In the text table, behind a row: a line for each place, indented. stack NULL: nothing. */
void stack_lines(struct out *o, const char *stack);

#endif

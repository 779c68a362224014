/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that makes text of a table's cells and writes it, for out.c alone. Cells are noted in
 * order, and replayed on a struct out of the thread's own, a batch at a time, while the next batch
 * is noted. Whoever wants that struct out itself waits until all is replayed.
 */
#ifndef ANA_OUT_ASIDE_H
#define ANA_OUT_ASIDE_H

#include "out.h"

enum aside_kind {
	ASIDE_NONE,
	ASIDE_U64,
	ASIDE_FIXED, /* arg: decimals */
	ASIDE_NUMBER,
	ASIDE_STR,
	ASIDE_CUT,
	ASIDE_CONST,
	ASIDE_LIST, /* arg: the separator */
	ASIDE_BOOL,
	ASIDE_MARK,
	ASIDE_END_ROW,
};

struct aside;

/* NULL: no memory, or no thread. Owns `to` then. */
struct aside *aside_new(struct out *to);
void aside_free(struct aside *a); /* all is replayed, but not flushed; NULL allowed */

/* The cell of that column; strings are copied. */
void aside_cell(struct aside *a, unsigned col, enum aside_kind kind, unsigned arg,
		const struct out_cell *cell);
void aside_mark(struct aside *a, const char *before, const char *behind);
void aside_end_row(struct aside *a);

/* Write what was noted, now or soon. 0, or errno of what was written so far. */
int aside_flush(struct aside *a);

/* Wait until all is replayed: then the struct out is the caller's up to the next cell. */
struct out *aside_drain(struct aside *a);

#endif

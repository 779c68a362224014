/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The events of a chunk as struct ev_<name> again, in event order: what the writer was given. For
 * programs that write a trace anew. Owns the struct it returns and nothing of the chunk. Columns
 * are bound by name, so a field that the chunk does not hold is 0 here: ask tape_rows_absent before
 * you take that for a value.
 */
#ifndef TAPE_ROWS_H
#define TAPE_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "chunk.h"

struct tape_rows;

int tape_rows_new(struct tape_rows **ret, struct tape_error *err);
void tape_rows_free(struct tape_rows *r); /* NULL allowed */

/*
 * Begin with the first event of c, whose file has that schema; both must stay valid while rows are
 * asked for. Decodes all columns: memory is bounded by the ceilings of a chunk. A damaged column is
 * an error; a missing or unknown one is not.
 */
int tape_rows_begin(struct tape_rows *r, struct tape_chunk *c, const struct tape_schema *schema,
		    struct tape_error *err);

/*
 * The next event: 1 and *ret, valid until the next call; 0 at the end. Strings point into the
 * chunk. Events of types that this build does not know are passed over.
 */
int tape_rows_next(struct tape_rows *r, const struct ev_head **ret);

/* Of the chunk: events that this build does not know; fields of others that are not there, but
 * POINTER ones. */
uint32_t tape_rows_unknown(const struct tape_rows *r);
uint32_t tape_rows_absent(const struct tape_rows *r);

#endif

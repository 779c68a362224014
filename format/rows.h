/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The events of a chunk as struct ev_<name> again, in event order: what the writer was given. For
 * programs that write a trace anew. Owns the struct it returns and nothing of the chunk. Columns
 * are bound by name, so a field that the chunk does not hold is 0 here: ask tape_rows_absent before
 * you take that for a value.
 */
#ifndef TAPE_ROWS_H
#define TAPE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunk.h"

struct tape_rows;

int tape_rows_new(struct tape_rows **ret, struct tape_error *err);
void tape_rows_free(struct tape_rows *r); /* NULL allowed */

/*
 * Begin with the first event of c, whose file has that schema; both must stay valid while rows are
 * asked for. Decodes all columns: memory is bounded by the ceilings of a chunk. A missing, unknown
 * or damaged column is no error, unless it is that of the times or types.
 */
int tape_rows_begin(struct tape_rows *r, struct tape_chunk *c, const struct tape_schema *schema,
		    struct tape_error *err);

/* Before the first tape_rows_next: pass over the events i of the chunk where keep[i] is 0. */
void tape_rows_keep(struct tape_rows *r, const uint8_t *keep);

/*
 * The next event: 1 and *ret, valid until the next call; 0 at the end. Strings point into the
 * chunk. Events of types that this build does not know are passed over.
 */
int tape_rows_next(struct tape_rows *r, const struct ev_head **ret);

/* When the next event was: 1; 0 at the end. */
int tape_rows_peek(struct tape_rows *r, uint64_t *ret_ns);

struct tape_move {
	uint64_t until_ns;   /* up to the first event that is later */
	uint64_t floor_ns;   /* stragglers are earlier */
	uint32_t max_events; /* what `to` may have then */
	size_t max_bytes;
	uint32_t n_moved, n_stragglers; /* what was done */
};

/*
 * Without structs: move the next events, as many as that allows, to where the columns of another
 * chunk are made. Of all that they refer to a row is made there once a chunk.
 */
int tape_rows_move(struct tape_rows *r, struct tape_build *to, struct tape_move *m,
		   struct tape_error *err);

/*
 * Behind tape_rows_begin: change numbers, names and addresses, of all rows at once. wants: whether
 * a field is to be changed; edit: its n values, in place. Times and processors are fields of the
 * common record.
 */
struct tape_rows_edit {
	bool (*wants)(const void *ctx, const struct tape_record *rec, unsigned field);
	void (*edit)(void *ctx, const struct tape_record *rec, unsigned field, void *values,
		     size_t n);
	void *ctx;
};
int tape_rows_edit(struct tape_rows *r, const struct tape_rows_edit *e, struct tape_error *err);

/* Whether they are of group snapshot: what exists. */
bool tape_rows_is_snapshot(const struct tape_rows *r);

/* Of the chunk: events that this build does not know; fields of others that are not there, but
 * POINTER ones. */
uint32_t tape_rows_unknown(const struct tape_rows *r);
uint32_t tape_rows_absent(const struct tape_rows *r);

/* Columns that could not be decoded; *ret: why the first could not. */
uint32_t tape_rows_damaged(const struct tape_rows *r, struct tape_error *ret);

/* Which fields, POINTER ones too; valid until the next tape_rows_begin. */
const struct tape_absent *tape_rows_absent_fields(const struct tape_rows *r);

/*
 * Whether a trace of that schema can get chunks of such rows: the records that both know have the
 * same fields at the same numbers, as far as both know them.
 */
bool tape_rows_fits(const struct tape_schema *schema);

#endif

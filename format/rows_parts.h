/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What rows.c, which makes structs of a chunk's rows, and move.c, which does without, share. */
#ifndef TAPE_ROWS_PARTS_H
#define TAPE_ROWS_PARTS_H

#include "buffer.h"
#include "layout.h"
#include "rows.h"

#define MAX_ROW 1024 /* bytes of the largest struct ev_<name>; asserted in rows.c */

/* A column of the chunk and where its values go. */
struct part {
	struct tape_column col;
	const struct plan *to;	/* of the table, for a reference */
	uint16_t field, offset; /* of the record of this build; in the struct */
	struct buffer edited;	/* values that stand for the chunk's */
};

/* move.c: from where, and to which place in a row of struct rows; of a reference, which one. */
struct move {
	const uint8_t *values;
	size_t place;
};

enum part_class { PART_1, PART_2, PART_4, PART_8, PART_16, PART_STR, PART_REF, PART_CLASSES };

/* How rows of one record type are made; n_rows 0: the chunk has none. */
struct plan {
	const struct tape_record *rec; /* of this build */
	size_t size;
	uint32_t n_rows, next; /* next: of an event type, the row that comes next */
	unsigned n_parts, n_of[PART_CLASSES];
	struct part *parts; /* by class; room for rec->n_fields */
	/* move.c */
	struct move *moves; /* as parts */
	struct rows *dest;
	bool is_whole;	 /* nothing of a row there is missing here */
	uint32_t *moved; /* of a table, by reference - 1: what it is there, + 1; 0: not yet */
	size_t n_moved;
};

struct tape_rows {
	const struct tape_schema *built_in, *schema;
	struct tape_chunk *chunk;
	struct plan *plans;		      /* as built_in->records; the first is of all events */
	struct plan *by_id[TAPE_MAX_RECORDS]; /* ids of the file */
	struct tape_column ts, type, cpu;     /* cpu.n is 0 if it is not there */
	uint32_t at, n_unknown, n_absent, n_damaged;
	struct tape_error damage; /* the first */
	struct tape_absent absent;
	const uint8_t *keep; /* NULL: all */
	union {
		struct ev_head head;
		uint8_t bytes[MAX_ROW];
	} row;
	/* move.c: what `moved` is of, as long as it forgets nothing */
	const struct tape_build *build;
	uint64_t turn;
};

/* What a reference leads to, in row `row` of its column: the struct; its bytes must be 0. */
void tape_rows_fill_ref(const struct part *part, uint32_t row, uint8_t *out);

/* r->at becomes the next event that is wanted and known: its plan; NULL at the end. */
static inline struct plan *tape_rows_find(struct tape_rows *r)
{
	const uint16_t *types = r->type.values;

	for (; r->at < r->type.n; r->at++) {
		uint16_t id = types[r->at];
		struct plan *p = id < TAPE_MAX_RECORDS ? r->by_id[id] : NULL;

		if (p && (!r->keep || r->keep[r->at]))
			return p;
		if (p)
			p->next++;
	}
	return NULL;
}

/* What all events have, of the one at r->at. */
static inline void tape_rows_head(const struct tape_rows *r, const struct plan *p,
				  struct ev_head *ret)
{
	*ret = (struct ev_head){
		.ts_ns = ((const uint64_t *)r->ts.values)[r->at],
		.cpu = r->cpu.n ? ((const uint32_t *)r->cpu.values)[r->at] : 0,
		.type = p->rec->id,
		.size = (uint16_t)p->size,
	};
}

#endif

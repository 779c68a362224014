/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What chunk_head.c, which checks the header of a chunk, chunk.c, which decodes columns, undo.c,
 * which undoes the transforms that need other columns, and patch.c, which writes some anew, share.
 * For these only.
 */
#ifndef TAPE_CHUNK_PARTS_H
#define TAPE_CHUNK_PARTS_H

#include <zstd.h>

#include "arena.h"
#include "chunk.h"
#include "codec.h"

#define NOT_DECODED 1 /* column.rc until it was tried */
#define IN_DECODING 2 /* while it is: a column that depends on itself */

struct count {
	uint16_t id;
	uint32_t n_rows;
	const struct tape_record *rec; /* NULL: not in the schema */
};

struct column {
	uint16_t record, field;
	uint8_t transform, layout, flags;
	const struct tape_record *rec; /* NULL: not in the schema */
	uint32_t n_rows;
	uint32_t raw_len, stored_len;
	uint32_t of, plus, key, turn; /* what it is predicted from, as in the directory */
	bool no_guess;		      /* the entry ends before that */
	uint32_t at; /* of its body: in the payload, or in the one frame's content */
	int rc;	     /* NOT_DECODED, or what decoding returned */
	struct tape_column decoded;
};

struct tape_chunk {
	const struct tape_schema *schema;
	struct tape_chunk_head head;
	bool snapshot;
	uint64_t offset;
	size_t stored_len, memory;
	const uint8_t *type_head, *payload; /* payload NULL: header only */
	size_t type_head_len, payload_len;
	const uint8_t *single; /* content of the one frame, once it was decompressed */
	int single_rc;	       /* NOT_DECODED, or what that returned: it is tried once */
	struct count *counts;
	struct column *columns;
	ZSTD_DCtx *zstd;
	unsigned depth; /* of columns that are in decoding */
	struct arena arena;
	struct arena_block body; /* a column before it is decoded */
	struct scratch {
		uint8_t *p;
		size_t cap;
	} last, of, plus, keys; /* of the column that is in decoding */
};

/* The field whose references are the keys of a KEYED column; -1 without one. */
static inline int first_ref(const struct tape_record *rec)
{
	for (unsigned i = 0; i < rec->n_fields; i++)
		if (rec->fields[i].table)
			return (int)i;
	return -1;
}

/* The schema's field that a column holds; NULL if the schema has none (a newer writer's). */
static inline const struct tape_field *field_of(const struct column *col)
{
	return col->rec && col->field < col->rec->n_fields ? &col->rec->fields[col->field] : NULL;
}

static inline int corrupt(const struct tape_chunk *c, struct tape_error *err, const char *what)
{
	return tape_fail(err, TAPE_E_CORRUPT, c->offset, "chunk at byte %llu: %s",
			 (unsigned long long)c->offset, what);
}

static inline int no_memory(const struct tape_chunk *c, struct tape_error *err)
{
	return tape_fail(err, TAPE_E_NOMEM, c->offset, "no memory for a chunk");
}

/* undo.c. In place, with other columns, which are decoded first; the values are not checked yet. */
int tape_chunk_undo(struct tape_chunk *c, const struct column *col, struct tape_column *values,
		    struct tape_error *err);

#endif

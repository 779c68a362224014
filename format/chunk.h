/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One chunk: records -> columns -> one compressed block body, and back. struct tape_build collects
 * records and encodes them; struct tape_chunk decodes one column at a time. Both reuse their memory
 * from chunk to chunk. Input to tape_chunk_parse may come from an enemy.
 */
#ifndef TAPE_CHUNK_H
#define TAPE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "events.h"
#include "schema.h"

/* ---- writing ---- */

struct tape_build;

int tape_build_new(struct tape_build **ret, bool pointers, int level, struct tape_error *err);
void tape_build_free(struct tape_build *b);

/* Copy one record. TAPE_E_CORRUPT if its type or size is not one of the built-in schema. */
int tape_build_add(struct tape_build *b, const struct ev_head *e, struct tape_error *err);

uint32_t tape_build_count(const struct tape_build *b);
size_t tape_build_bytes(const struct tape_build *b); /* of the records it holds */
uint64_t tape_build_first_ts(const struct tape_build *b);
uint64_t tape_build_max_ts(const struct tape_build *b);

/* Fields of the built-in schema that were not recorded: a bit each, by record id. */
#define TAPE_MAX_BUILTIN 256 /* above all ids */
struct tape_absent {
	uint64_t of[TAPE_MAX_BUILTIN][2];
};

static inline bool tape_is_absent(const struct tape_absent *a, unsigned record, unsigned field)
{
	return a->of[record][field / 64] >> field % 64 & 1;
}

static inline void tape_set_absent(struct tape_absent *a, unsigned record, unsigned field)
{
	a->of[record][field / 64] |= (uint64_t)1 << field % 64;
}

/* From the next chunk on, write no columns of these fields: what is in the records is no value. */
void tape_build_omit(struct tape_build *b, const struct tape_absent *a);

struct tape_chunk_head { /* the type header of CHUNK and SNAPSHOT, layout.h */
	uint64_t ts_min, ts_max, ts_floor, first_event, lost;
	uint32_t n_events, n_stragglers, flags;
	uint16_t n_records, n_columns;
};

struct tape_chunk_made { /* both as they will stand in the file; the head is in type_head too */
	struct tape_chunk_head head;
	const void *type_head, *payload;
	size_t type_head_len, payload_len;
};

/* Write its TAPE_CHUNK_HEAD_LEN bytes; the lists follow them. */
void tape_chunk_head_pack(const struct tape_chunk_head *h, void *out);

/*
 * Encode all records added so far and forget them. The caller sets ts_floor, first_event, lost and
 * n_stragglers of *head, the rest is filled in. *type_head and *payload belong to b, until its next
 * use.
 */
int tape_build_encode(struct tape_build *b, struct tape_chunk_head *head, const void **type_head,
		      size_t *type_head_len, const void **payload, size_t *payload_len,
		      struct tape_error *err);

/* ---- reading ---- */

struct tape_chunk;

/* A decoded column. Integers are in host order, values[i] of `width` bytes; TAPE_STR: see below. */
struct tape_column {
	enum tape_type type;
	uint16_t width;
	uint32_t n;
	const void *values;
	const uint32_t *str_start; /* TAPE_STR: n + 1 offsets into values, a char array */
};

int tape_chunk_new(struct tape_chunk **ret, struct tape_error *err);
void tape_chunk_free(struct tape_chunk *c);

/*
 * Exchange the memory for decoded columns, before any was decoded: so that it can go, still in the
 * processor's cache, to the chunk that is decoded next.
 */
void tape_chunk_swap_memory(struct tape_chunk *a, struct tape_chunk *b);

/* Give back the memory of decoded columns if it is more than that; they are gone then. */
void tape_chunk_trim(struct tape_chunk *c, size_t keep_bytes);

/*
 * Take a type header and a payload (NULL: header only), which must stay valid while columns are
 * decoded. Checks every count and length against its ceiling; decodes nothing yet.
 */
int tape_chunk_parse(struct tape_chunk *c, const struct tape_schema *schema, bool snapshot,
		     const void *type_head, size_t type_head_len, const void *payload,
		     size_t payload_len, uint64_t offset, struct tape_error *err);

const struct tape_chunk_head *tape_chunk_head(const struct tape_chunk *c);
bool tape_chunk_is_snapshot(const struct tape_chunk *c);
uint64_t tape_chunk_offset(const struct tape_chunk *c);	  /* of the block in the file */
size_t tape_chunk_stored_len(const struct tape_chunk *c); /* of the block */

size_t tape_chunk_memory(
	const struct tape_chunk *c); /* that its columns take, if all are decoded */
/* Both as they stand in the file; valid as long as what tape_chunk_parse was given. */
void tape_chunk_stored(const struct tape_chunk *c, const void **type_head, size_t *type_head_len,
		       const void **payload, size_t *payload_len);
bool tape_chunk_has_payload(const struct tape_chunk *c); /* false: header only */

/* Rows of a record type (TAPE_COMMON: all events) in this chunk; 0 if it has none. */
uint32_t tape_chunk_rows(const struct tape_chunk *c, unsigned record);

/*
 * Decode one column, or return it again if it was. 0 and *ret; TAPE_E_ABSENT if the chunk does not
 * hold it (an older writer); TAPE_E_UNKNOWN if it is written in an unknown way; else damage.
 * References are checked: row numbers are inside their table. The type column (TAPE_COMMON_TYPE) is
 * checked to hold exactly the counted rows of each type, so the k-th event of a type is row k of
 * its columns.
 */
int tape_chunk_column(struct tape_chunk *c, unsigned record, unsigned field,
		      struct tape_column *ret, struct tape_error *err);

/* The chunk has that column, whether it can be decoded or not. */
bool tape_chunk_has(const struct tape_chunk *c, unsigned record, unsigned field);

/* Bytes that a column takes in the file; 0 if it is not there or inside a TAPE_CHUNK_SINGLE chunk.
 */
size_t tape_chunk_column_stored(const struct tape_chunk *c, unsigned record, unsigned field);

/* The same of all columns of a record type together. */
size_t tape_chunk_record_stored(const struct tape_chunk *c, unsigned record);

/* Value i of an integer or reference column, sign-extended for I32. */
static inline uint64_t tape_column_get(const struct tape_column *col, uint32_t i)
{
	switch (col->width) {
	case 1: return ((const uint8_t *)col->values)[i];
	case 2: return ((const uint16_t *)col->values)[i];
	case 4:
		return col->type == TAPE_I32 ? (uint64_t)((const int32_t *)col->values)[i]
					     : ((const uint32_t *)col->values)[i];
	default: return ((const uint64_t *)col->values)[i];
	}
}

#endif

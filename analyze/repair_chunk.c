// SPDX-License-Identifier: GPL-2.0-or-later
#include "repair_chunk.h"

#include <stdlib.h>

#include "cursor.h"
#include "layout.h"

#define GROWTH 2 /* bytes: a field number takes three instead of one */

static int times(struct repair_chunk *c, uint64_t at, struct tape_error *err)
{
	struct tape_column col;
	int rc = tape_chunk_column(c->chunk, TAPE_COMMON, TAPE_COMMON_TYPE, &col, err);

	if (!rc)
		rc = tape_chunk_column(c->chunk, TAPE_COMMON, TAPE_COMMON_TS, &col, err);
	if (rc == TAPE_E_NOMEM || rc == TAPE_E_UNKNOWN)
		return rc;
	if (rc)
		return tape_fail(err, TAPE_E_CORRUPT, at,
				 "chunk at byte %llu: its events have no times, or no types",
				 (unsigned long long)at);
	c->h.ts_min = UINT64_MAX;
	c->h.ts_max = 0;
	for (uint32_t i = 0; i < col.n; i++) {
		uint64_t t = tape_column_get(&col, i);

		c->h.ts_min = t < c->h.ts_min ? t : c->h.ts_min;
		c->h.ts_max = t > c->h.ts_max ? t : c->h.ts_max;
	}
	return 0;
}

uint32_t repair_chunk_stragglers(struct repair_chunk *c, uint64_t floor_ns)
{
	struct tape_column col;
	uint32_t n = 0;

	if (tape_chunk_column(c->chunk, TAPE_COMMON, TAPE_COMMON_TS, &col, NULL))
		return 0;
	for (uint32_t i = 0; i < col.n; i++)
		n += tape_column_get(&col, i) < floor_ns;
	return n;
}

/* One entry of the directory, with another field number if its column is damaged. */
static int put_entry(struct repair_chunk *c, struct tape_in *in, struct tape_out *out)
{
	unsigned len = tape_in_u8(in);
	struct tape_in e = tape_in(tape_in_bytes(in, len), len);
	uint64_t record = tape_in_varint(&e), field = tape_in_varint(&e);
	uint8_t *entry_len = out->p;
	size_t room, left;
	struct tape_column col;
	struct tape_error err;
	int rc = tape_chunk_column(c->chunk, (unsigned)record, (unsigned)field, &col, &err);

	if (rc == TAPE_E_NOMEM)
		return rc;
	if (rc && rc != TAPE_E_UNKNOWN) {
		if (!c->n_bad++)
			c->first = err;
		field = TAPE_FIELD_DAMAGED - field;
	}
	tape_out_le(out, 0, 1);
	tape_out_varint(out, record);
	tape_out_varint(out, field);
	room = UINT8_MAX - (size_t)(out->p - entry_len - 1);
	left = tape_in_left(&e); /* the rest of its fields, and what a newer version appended */
	tape_out_bytes(out, e.p, left < room ? left : room);
	if (!out->bad)
		*entry_len = (uint8_t)(out->p - entry_len - 1);
	return 0;
}

int repair_chunk_check(struct repair_chunk *c, const struct tape_block_view *v,
		       struct tape_error *err)
{
	struct tape_in in = tape_in(v->type_head, v->h.hdr_len);
	size_t cap = v->h.hdr_len + (size_t)GROWTH * TAPE_MAX_COLUMNS;
	struct tape_out out;
	int rc;

	c->h = *tape_chunk_head(c->chunk);
	rc = times(c, v->offset, err);
	if (rc)
		return rc;
	c->head = malloc(cap);
	if (!c->head)
		return tape_fail(err, TAPE_E_NOMEM, v->offset, "no memory for a chunk");
	out = tape_out(c->head, cap);
	tape_out_bytes(&out, tape_in_bytes(&in, TAPE_CHUNK_HEAD_LEN), TAPE_CHUNK_HEAD_LEN);
	for (unsigned i = 0; i < 2u * c->h.n_records; i++)
		tape_out_varint(&out, tape_in_varint(&in));
	for (unsigned i = 0; i < c->h.n_columns && !rc; i++)
		rc = put_entry(c, &in, &out);
	if (rc)
		return tape_fail(err, rc, v->offset, "no memory for a chunk");
	tape_out_bytes(&out, in.p, tape_in_left(&in)); /* what a newer version appended */
	c->head_len = (size_t)(out.p - c->head);
	if (out.bad || c->head_len > UINT16_MAX)
		return tape_fail(err, TAPE_E_LIMIT, v->offset,
				 "chunk at byte %llu: its header is too long",
				 (unsigned long long)v->offset);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "patch.h"

#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "chunk_parts.h"
#include "cursor.h"
#include "layout.h"

#define MIN_COMPRESS 24 /* bytes; a frame costs about 12 */
#define MAX_COLUMN_ENTRY 64
#define MAX_COUNT 20

struct tape_patch {
	ZSTD_CCtx *zstd;
	int level;
	uint64_t raw_len; /* of all bodies */
	struct buffer head, payload, values, body;
};

int tape_patch_new(struct tape_patch **ret, int level, struct tape_error *err)
{
	struct tape_patch *p = calloc(1, sizeof(*p));

	if (p)
		p->zstd = ZSTD_createCCtx();
	if (!p || !p->zstd) {
		tape_patch_free(p);
		return tape_fail(err, TAPE_E_NOMEM, 0, "no memory for a chunk");
	}
	p->level = level;
	*ret = p;
	return 0;
}

void tape_patch_free(struct tape_patch *p)
{
	if (!p)
		return;
	ZSTD_freeCCtx(p->zstd);
	free(p->head.p);
	free(p->payload.p);
	free(p->values.p);
	free(p->body.p);
	free(p);
}

/* ---- what can be had so ---- */

static enum tape_patch_what what(const struct column *col, const struct tape_patch_rules *rules)
{
	if (!col->rec || col->transform >= TAPE_N_TRANSFORMS || col->layout > TAPE_L_STRINGS ||
	    col->flags & ~TAPE_COLUMN_KNOWN_FLAGS || col->no_guess)
		return TAPE_PATCH_ROWS;
	if (col->field == TAPE_ORIGINS)
		return TAPE_PATCH_KEEP;
	if (col->field >= col->rec->n_fields)
		return TAPE_PATCH_ROWS;
	return rules->what(rules->ctx, col->rec, col->field);
}

/* A field that the column is predicted from changes, or goes. */
static bool input_changes(const struct column *col, const struct tape_patch_rules *rules)
{
	/* as the directory has them: 0 none, field + 1; 0 none, 1 + 2 * field + a bit */
	const uint32_t inputs[] = {col->of, col->plus ? (col->plus - 1) / 2 + 1 : 0,
				   col->key ? (col->key - 1) / 2 + 1 : 0};

	for (unsigned i = 0; i < 3; i++)
		if (inputs[i] > col->rec->n_fields ||
		    (inputs[i] && rules->what(rules->ctx, col->rec, inputs[i] - 1)))
			return true;
	return false;
}

int tape_patch_decode(struct tape_chunk *c, const struct tape_patch_rules *rules,
		      struct tape_error *err)
{
	if (c->head.flags & TAPE_CHUNK_SINGLE)
		return 0;
	for (unsigned i = 0; i < c->head.n_records; i++)
		if (!c->counts[i].rec)
			return 0;
	for (unsigned i = 0; i < c->head.n_columns; i++) {
		const struct column *col = &c->columns[i];
		enum tape_patch_what w = what(col, rules);
		struct tape_column decoded;
		int rc = 0;

		if (w == TAPE_PATCH_ROWS || (w == TAPE_PATCH_KEEP && input_changes(col, rules)))
			return 0;
		if (w == TAPE_PATCH_EDIT)
			rc = tape_chunk_column(c, col->record, col->field, &decoded, err);
		if (rc)
			return rc == TAPE_E_NOMEM ? rc : 0;
	}
	return 1;
}

/* ---- columns ---- */

static bool put_entry(struct tape_patch *p, const struct column *col)
{
	uint8_t entry[MAX_COLUMN_ENTRY];
	struct tape_out o = tape_out(entry, sizeof(entry));

	tape_out_le(&o, 0, 1);
	tape_out_varint(&o, col->record);
	tape_out_varint(&o, col->field);
	tape_out_le(&o, col->transform, 1);
	tape_out_le(&o, col->layout, 1);
	tape_out_le(&o, col->flags, 1);
	tape_out_varint(&o, col->raw_len);
	tape_out_varint(&o, col->stored_len);
	if (col->transform >= TAPE_T_ROW && col->transform != TAPE_T_NEXT) {
		tape_out_varint(&o, col->of);
		tape_out_varint(&o, col->plus);
		tape_out_varint(&o, col->key);
		tape_out_varint(&o, col->turn);
	}
	entry[0] = (uint8_t)(o.p - entry - 1);
	p->raw_len += col->raw_len;
	return append(&p->head, entry, (size_t)(o.p - entry));
}

static bool put_body(struct tape_patch *p, struct column *col)
{
	size_t z;

	if (!reserve(&p->payload, ZSTD_compressBound(p->body.len)))
		return false;
	z = p->body.len < MIN_COMPRESS ? p->body.len
				       : ZSTD_compressCCtx(p->zstd, p->payload.p + p->payload.len,
							   p->payload.cap - p->payload.len,
							   p->body.p, p->body.len, p->level);
	col->raw_len = (uint32_t)p->body.len;
	if (!ZSTD_isError(z) && z < p->body.len) {
		col->flags = TAPE_COLUMN_ZSTD;
		col->stored_len = (uint32_t)z;
		p->payload.len += z;
	} else {
		col->flags = 0;
		col->stored_len = col->raw_len;
		if (!append(&p->payload, p->body.p, p->body.len))
			return false;
	}
	return put_entry(p, col);
}

static int edit_column(struct tape_patch *p, struct tape_chunk *c, const struct column *old,
		       const struct tape_patch_rules *rules, struct tape_error *err)
{
	unsigned width = old->rec->fields[old->field].width;
	struct column col = {.record = old->record, .field = old->field};
	enum tape_layout layout;
	struct tape_column from;
	int rc = tape_chunk_column(c, old->record, old->field, &from, err);

	if (rc)
		return rc;
	p->values.len = p->body.len = 0;
	if (!append(&p->values, from.values, (size_t)from.n * width) ||
	    !reserve(&p->body, tape_encode_bound(from.n, width)))
		return no_memory(c, err);
	rc = rules->edit(rules->ctx, old->rec, old->field, p->values.p, from.n);
	if (rc)
		return rc;
	p->body.len = tape_encode(p->values.p, from.n, width, TAPE_T_NONE, p->body.p, &layout);
	col.layout = (uint8_t)layout;
	return put_body(p, &col) ? 0 : no_memory(c, err);
}

/* ---- the whole chunk ---- */

static bool put_counts(struct tape_patch *p, const struct tape_chunk *c)
{
	uint8_t count[MAX_COUNT];

	for (unsigned i = 0; i < c->head.n_records; i++) {
		struct tape_out o = tape_out(count, sizeof(count));

		tape_out_varint(&o, c->counts[i].id);
		tape_out_varint(&o, c->counts[i].n_rows);
		if (!append(&p->head, count, (size_t)(o.p - count)))
			return false;
	}
	return true;
}

static int put_columns(struct tape_patch *p, struct tape_chunk *c,
		       const struct tape_patch_rules *rules, struct tape_chunk_head *head,
		       struct tape_error *err)
{
	int rc = 0;

	head->n_columns = 0;
	for (unsigned i = 0; !rc && i < c->head.n_columns; i++) {
		const struct column *col = &c->columns[i];
		enum tape_patch_what w = what(col, rules);

		if (w == TAPE_PATCH_DROP)
			continue;
		head->n_columns++;
		if (w == TAPE_PATCH_EDIT)
			rc = edit_column(p, c, col, rules, err);
		else if (!append(&p->payload, c->payload + col->at, col->stored_len) ||
			 !put_entry(p, col))
			rc = no_memory(c, err);
	}
	return rc;
}

/* A reader refuses chunks with too many events a byte (layout.h). */
static bool pad_payload(struct tape_patch *p, uint32_t n_events)
{
	static const uint8_t zeros[8];

	while (p->payload.len < n_events / TAPE_MAX_EVENTS_PER_BYTE)
		if (!append(&p->payload, zeros, sizeof(zeros)))
			return false;
	return true;
}

int tape_patch_chunk(struct tape_patch *p, struct tape_chunk *c,
		     const struct tape_patch_rules *rules, struct tape_chunk_made *ret,
		     struct tape_error *err)
{
	uint8_t fixed[TAPE_CHUNK_HEAD_LEN] = {0};
	int rc = tape_patch_decode(c, rules, err);

	if (rc <= 0)
		return rc;
	ret->head = c->head;
	p->head.len = p->payload.len = 0;
	p->raw_len = 0;
	if (!append(&p->head, fixed, sizeof(fixed)) || !put_counts(p, c))
		return no_memory(c, err);
	rc = put_columns(p, c, rules, &ret->head, err);
	if (rc)
		return rc;
	if (p->raw_len > TAPE_MAX_CHUNK_RAW)
		return 0;
	if (!pad_payload(p, c->head.n_events))
		return no_memory(c, err);
	tape_chunk_head_pack(&ret->head, p->head.p);
	ret->type_head = p->head.p;
	ret->type_head_len = p->head.len;
	ret->payload = p->payload.p;
	ret->payload_len = p->payload.len;
	return 1;
}

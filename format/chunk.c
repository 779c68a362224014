// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Reading a chunk: a column is decoded when it is asked for. */
#include "chunk_parts.h"

#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "frame.h"
#include "layout.h"

/*
 * Columns may depend on each other as deep as a chunk has columns (a kilobyte of stack each; ours
 * are 5 at most). A lower bound would let the result depend on which one is asked for first.
 */
#define MAX_DEPTH TAPE_MAX_COLUMNS

int tape_chunk_new(struct tape_chunk **ret, struct tape_error *err)
{
	struct tape_chunk *c = calloc(1, sizeof(*c));

	if (c) {
		c->zstd = ZSTD_createDCtx();
		c->counts = calloc(TAPE_MAX_RECORDS, sizeof(*c->counts));
		c->columns = calloc(TAPE_MAX_COLUMNS, sizeof(*c->columns));
	}
	if (!c || !c->zstd || !c->counts || !c->columns) {
		tape_chunk_free(c);
		return tape_fail(err, TAPE_E_NOMEM, 0, "no memory for a chunk");
	}
	*ret = c;
	return 0;
}

void tape_chunk_swap_memory(struct tape_chunk *a, struct tape_chunk *b)
{
	struct arena arena = a->arena;
	struct arena_block body = a->body;
	ZSTD_DCtx *zstd = a->zstd;

	a->arena = b->arena;
	a->body = b->body;
	a->zstd = b->zstd;
	b->arena = arena;
	b->body = body;
	b->zstd = zstd;
	tape_arena_reset(&a->arena);
}

void tape_chunk_trim(struct tape_chunk *c, size_t keep_bytes)
{
	if (tape_arena_cap(&c->arena) + c->body.cap <= keep_bytes)
		return;
	tape_arena_fini(&c->arena);
	free(c->body.p);
	c->body = (struct arena_block){0};
	c->head.n_records = c->head.n_columns = 0;
}

void tape_chunk_free(struct tape_chunk *c)
{
	if (!c)
		return;
	tape_arena_fini(&c->arena);
	free(c->body.p);
	free(c->last.p);
	free(c->of.p);
	free(c->plus.p);
	free(c->keys.p);
	free(c->counts);
	free(c->columns);
	ZSTD_freeDCtx(c->zstd);
	free(c);
}

/* ---- what the header says ---- */

const struct tape_chunk_head *tape_chunk_head(const struct tape_chunk *c)
{
	return &c->head;
}

bool tape_chunk_is_snapshot(const struct tape_chunk *c)
{
	return c->snapshot;
}

uint64_t tape_chunk_offset(const struct tape_chunk *c)
{
	return c->offset;
}

size_t tape_chunk_stored_len(const struct tape_chunk *c)
{
	return c->stored_len;
}

size_t tape_chunk_memory(const struct tape_chunk *c)
{
	return c->memory;
}

void tape_chunk_stored(const struct tape_chunk *c, const void **type_head, size_t *type_head_len,
		       const void **payload, size_t *payload_len)
{
	*type_head = c->type_head;
	*type_head_len = c->type_head_len;
	*payload = c->payload;
	*payload_len = c->payload_len;
}

bool tape_chunk_has_payload(const struct tape_chunk *c)
{
	return c->payload != NULL;
}

/* ---- a column ---- */

/* Room for a body that is of no use once its column is decoded; the same for each. */
static void *body_room(struct tape_chunk *c, size_t len)
{
	if (len > c->body.cap) {
		free(c->body.p);
		c->body.p = malloc(len);
		c->body.cap = c->body.p ? len : 0;
	}
	return c->body.p;
}

/* keep: as long as the chunk. */
static int decompress(struct tape_chunk *c, const uint8_t *src, size_t len, size_t raw_len,
		      bool keep, const uint8_t **ret, struct tape_error *err)
{
	size_t n, frame_len;
	uint64_t content;
	void *dst;

	content = tape_frame_content(src, len, &frame_len);
	if (content == TAPE_FRAME_BAD || frame_len != len)
		return corrupt(c, err, "a zstd frame is damaged");
	if (content != raw_len)
		return corrupt(c, err, "a zstd frame has not the length that the directory says");
	dst = keep ? tape_arena_alloc(&c->arena, raw_len) : body_room(c, raw_len);
	if (!dst)
		return tape_fail(err, TAPE_E_NOMEM, c->offset, "no memory for %zu bytes", raw_len);
	n = ZSTD_decompressDCtx(c->zstd, dst, raw_len, src, len);
	if (ZSTD_isError(n) || n != raw_len)
		return corrupt(c, err, "a zstd frame is damaged");
	*ret = dst;
	return 0;
}

/* The one frame of a small chunk; padding after it is not part of it. */
static int decompress_single(struct tape_chunk *c, struct tape_error *err)
{
	const struct column *last = &c->columns[c->head.n_columns - 1];
	size_t len;

	if (tape_frame_content(c->payload, c->payload_len, &len) == TAPE_FRAME_BAD)
		return corrupt(c, err, "its zstd frame is damaged");
	return decompress(c, c->payload, len, (size_t)last->at + last->raw_len, true, &c->single,
			  err);
}

/* The body of a column; keep: it is needed as long as the chunk, else until the next body. */
static int body_of(struct tape_chunk *c, const struct column *col, bool keep, const uint8_t **ret,
		   struct tape_error *err)
{
	int rc;

	if (c->head.flags & TAPE_CHUNK_SINGLE) {
		if (c->single_rc == NOT_DECODED)
			c->single_rc = rc = decompress_single(c, err);
		else if (c->single_rc)
			rc = corrupt(c, err, "its zstd frame is damaged");
		else
			rc = 0;
		if (!rc)
			*ret = c->single + col->at;
		return rc;
	}
	*ret = c->payload + col->at;
	if (col->flags & TAPE_COLUMN_ZSTD)
		return decompress(c, *ret, col->stored_len, col->raw_len, keep, ret, err);
	if (col->stored_len != col->raw_len)
		return corrupt(c, err, "an uncompressed column has two lengths");
	return 0;
}

static int check_refs(struct tape_chunk *c, const struct tape_field *f,
		      const struct tape_column *refs, struct tape_error *err)
{
	uint32_t max = 0, rows = tape_chunk_rows(c, f->table);
	const uint32_t *v = refs->values;

	for (uint32_t i = 0; i < refs->n; i++)
		max = v[i] > max ? v[i] : max;
	if (max > (f->type == TAPE_DREF ? 2 * rows : rows))
		return corrupt(c, err, "a reference points outside its table");
	return 0;
}

#define TYPE_LANES 4

/* Every event must be of a counted type, and as often as counted. */
static int check_types(struct tape_chunk *c, const struct tape_column *types,
		       struct tape_error *err)
{
	const uint16_t *v = types->values;
	uint32_t *seen, max = 0;
	size_t n;

	for (uint32_t i = 0; i < types->n; i++)
		max = v[i] > max ? v[i] : max;
	n = (size_t)max + 1;
	seen = tape_arena_alloc(&c->arena, TYPE_LANES * n * sizeof(*seen));
	if (!seen)
		return no_memory(c, err);
	memset(seen, 0, TYPE_LANES * n * sizeof(*seen));
	/* side by side: neighbours are often of one type, and would wait for each other's count */
	for (uint32_t i = 0; i < types->n; i++)
		seen[i % TYPE_LANES * n + v[i]]++;
	/* what the counts say adds up to the events, so no type may have another number */
	for (unsigned i = 0; i < c->head.n_records; i++) {
		const struct count *k = &c->counts[i];
		uint64_t sum = 0;

		if (k->rec && k->rec->is_table)
			continue;
		for (unsigned l = 0; l < TYPE_LANES && k->id <= max; l++)
			sum += seen[l * n + k->id];
		if (sum != k->n_rows)
			return corrupt(c, err, "the types of the events contradict their counts");
	}
	return 0;
}

static int decode_values(struct tape_chunk *c, const struct column *col, const struct tape_field *f,
			 const uint8_t *body, struct tape_column *ret, struct tape_error *err)
{
	uint32_t *starts;
	void *values;

	if (f->type == TAPE_STR) {
		starts = tape_arena_alloc(&c->arena, ((size_t)ret->n + 1) * sizeof(*starts));
		if (!starts)
			return no_memory(c, err);
		if (col->layout != TAPE_L_STRINGS || col->transform)
			return tape_fail(err, TAPE_E_UNKNOWN, c->offset,
					 "strings in layout %u or transform %u, which are unknown",
					 col->layout, col->transform);
		ret->str_start = starts;
		return tape_decode_strings(body, col->raw_len, ret->n, starts,
					   (const char **)&ret->values, err);
	}
	values = tape_arena_alloc(&c->arena, (size_t)ret->n * f->width);
	if (!values)
		return no_memory(c, err);
	ret->values = values;
	return tape_decode(body, col->raw_len, col->transform, col->layout, ret->n, f->width,
			   values, err);
}

static const struct tape_field origins_field = {.name = "origins", .type = TAPE_U32, .width = 4};

static int decode(struct tape_chunk *c, struct column *col, struct tape_error *err)
{
	bool origins = col->field == TAPE_ORIGINS;
	const struct tape_field *f = origins ? &origins_field : field_of(col);
	struct tape_error inner;
	const uint8_t *body;
	int rc;

	if (!f || f->type == TAPE_TYPE_UNKNOWN || col->flags & ~TAPE_COLUMN_KNOWN_FLAGS ||
	    (origins && col->transform))
		return tape_fail(
			err, TAPE_E_UNKNOWN, c->offset,
			"chunk at byte %llu: column %u of record %u is written in a newer way",
			(unsigned long long)c->offset, col->field, col->record);
	col->decoded = (struct tape_column){
		.type = f->type, .width = f->width, .n = col->n_rows << (origins ? 1 : 0)};
	rc = body_of(c, col, f->type == TAPE_STR, &body, err);
	if (rc)
		return rc;
	rc = decode_values(c, col, f, body, &col->decoded, &inner);
	if (rc)
		return tape_fail(err, rc, c->offset, "chunk at byte %llu, %s of record %u: %s",
				 (unsigned long long)c->offset, f->name, col->record, inner.text);
	if (col->transform > TAPE_T_DELTA)
		rc = tape_chunk_undo(c, col, &col->decoded, err);
	if (rc)
		return rc;
	if (f->table)
		rc = check_refs(c, f, &col->decoded, err);
	if (!rc && col->record == TAPE_COMMON && col->field == TAPE_COMMON_TYPE)
		rc = check_types(c, &col->decoded, err);
	return rc;
}

static struct column *find_column(const struct tape_chunk *c, unsigned record, unsigned field)
{
	for (unsigned i = 0; i < c->head.n_columns; i++)
		if (c->columns[i].record == record && c->columns[i].field == field)
			return &c->columns[i];
	return NULL;
}

int tape_chunk_column(struct tape_chunk *c, unsigned record, unsigned field,
		      struct tape_column *ret, struct tape_error *err)
{
	struct column *col = c->payload ? find_column(c, record, field) : NULL;

	if (!col)
		return tape_fail(err, TAPE_E_ABSENT, c->offset,
				 "chunk at byte %llu does not hold column %u of record %u",
				 (unsigned long long)c->offset, field, record);
	if (col->rc < 0) /* tried before */
		return tape_fail(err, col->rc, c->offset,
				 "chunk at byte %llu: column %u of record %u cannot be decoded",
				 (unsigned long long)c->offset, field, record);
	if (col->rc == IN_DECODING || c->depth == MAX_DEPTH)
		return corrupt(c, err, "columns are predicted from each other in a circle");
	if (col->rc == NOT_DECODED) {
		col->rc = IN_DECODING;
		c->depth++;
		col->rc = decode(c, col, err);
		c->depth--;
	}
	*ret = col->decoded;
	return col->rc;
}

bool tape_chunk_has(const struct tape_chunk *c, unsigned record, unsigned field)
{
	return find_column(c, record, field) != NULL;
}

size_t tape_chunk_column_stored(const struct tape_chunk *c, unsigned record, unsigned field)
{
	const struct column *col = find_column(c, record, field);

	return col && !(c->head.flags & TAPE_CHUNK_SINGLE) ? col->stored_len : 0;
}

size_t tape_chunk_record_stored(const struct tape_chunk *c, unsigned record)
{
	size_t sum = 0;

	for (unsigned i = 0; i < c->head.n_columns && !(c->head.flags & TAPE_CHUNK_SINGLE); i++)
		sum += c->columns[i].record == record ? c->columns[i].stored_len : 0;
	return sum;
}

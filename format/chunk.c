// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Reading a chunk: its header is checked at once, a column is decoded when it is asked for. */
#include "chunk.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "codec.h"
#include "cursor.h"
#include "frame.h"
#include "layout.h"
#include "predict.h"

#define ARENA_BLOCK (1u << 20)
#define NOT_DECODED 1 /* column.rc until it was tried */
#define IN_DECODING 2 /* while it is: a column that depends on itself */
/*
 * Columns may depend on each other as deep as a chunk has columns (a kilobyte of stack each; ours
 * are 5 at most). A lower bound would let the result depend on which one is asked for first.
 */
#define MAX_DEPTH TAPE_MAX_COLUMNS

struct count {
	uint16_t id;
	uint32_t n_rows;
	const struct tape_record *rec; /* NULL: not in the schema */
};

struct column {
	uint16_t record, field;
	uint8_t transform, layout, flags;
	uint32_t raw_len, stored_len;
	uint32_t of, plus, key, turn; /* what it is predicted from, as in the directory */
	bool no_guess;		      /* the entry ends before that */
	uint32_t at; /* of its body: in the payload, or in the one frame's content */
	int rc;	     /* NOT_DECODED, or what decoding returned */
	struct tape_column decoded;
};

/* Memory of the decoded columns of one chunk: blocks that are kept for the next one. */
struct arena {
	struct arena_block {
		uint8_t *p;
		size_t cap;
	} * blocks;
	size_t n_blocks, current, used;
	size_t total; /* asked for since the last reset */
};

struct tape_chunk {
	const struct tape_schema *schema;
	struct tape_chunk_head head;
	bool snapshot;
	uint64_t offset;
	size_t stored_len, memory;
	const uint8_t *payload; /* NULL: header only */
	size_t payload_len;
	const uint8_t *single; /* content of the one frame, once it was decompressed */
	int single_rc;	       /* NOT_DECODED, or what that returned: it is tried once */
	struct count *counts;
	struct column *columns;
	ZSTD_DCtx *zstd;
	unsigned depth; /* of columns that are in decoding */
	struct arena arena;
	struct scratch {
		uint8_t *p;
		size_t cap;
	} last, of, plus, keys; /* of the column that is in decoding */
};

static void *arena_alloc(struct arena *a, size_t len)
{
	struct arena_block *blocks;

	len = (len + 15) & ~(size_t)15;
	a->total += len;
	for (; a->current < a->n_blocks; a->current++, a->used = 0)
		if (a->blocks[a->current].cap - a->used >= len) {
			a->used += len;
			return a->blocks[a->current].p + a->used - len;
		}
	blocks = realloc(a->blocks, (a->n_blocks + 1) * sizeof(*blocks));
	if (!blocks)
		return NULL;
	a->blocks = blocks;
	blocks[a->n_blocks].cap = len > ARENA_BLOCK ? len : ARENA_BLOCK;
	blocks[a->n_blocks].p = malloc(blocks[a->n_blocks].cap);
	if (!blocks[a->n_blocks].p)
		return NULL;
	a->used = len;
	return blocks[a->n_blocks++].p;
}

/*
 * Forget what was allocated. Several blocks become one of their size, so that a file with chunks of
 * ever other sizes cannot collect blocks; memory stays below the ceilings of one chunk.
 */
static void arena_reset(struct arena *a)
{
	size_t total = a->total;

	if (a->n_blocks > 1) {
		while (a->n_blocks)
			free(a->blocks[--a->n_blocks].p);
		a->current = a->used = 0;
		arena_alloc(a, total); /* without memory, the next one will say so */
	}
	a->current = a->used = a->total = 0;
}

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

void tape_chunk_trim(struct tape_chunk *c, size_t keep_bytes)
{
	size_t cap = 0;

	for (size_t i = 0; i < c->arena.n_blocks; i++)
		cap += c->arena.blocks[i].cap;
	if (cap <= keep_bytes)
		return;
	while (c->arena.n_blocks)
		free(c->arena.blocks[--c->arena.n_blocks].p);
	c->arena.current = c->arena.used = c->arena.total = 0;
	c->head.n_records = c->head.n_columns = 0;
}

void tape_chunk_free(struct tape_chunk *c)
{
	if (!c)
		return;
	tape_chunk_trim(c, 0);
	free(c->arena.blocks);
	free(c->last.p);
	free(c->of.p);
	free(c->plus.p);
	free(c->keys.p);
	free(c->counts);
	free(c->columns);
	ZSTD_freeDCtx(c->zstd);
	free(c);
}

/* ---- the header ---- */

static int corrupt(const struct tape_chunk *c, struct tape_error *err, const char *what)
{
	return tape_fail(err, TAPE_E_CORRUPT, c->offset, "chunk at byte %llu: %s",
			 (unsigned long long)c->offset, what);
}

static int too_large(const struct tape_chunk *c, struct tape_error *err, const char *what,
		     uint64_t found, uint64_t ceiling)
{
	return tape_fail(err, TAPE_E_LIMIT, c->offset, "chunk at byte %llu: %s: %llu, at most %llu",
			 (unsigned long long)c->offset, what, (unsigned long long)found,
			 (unsigned long long)ceiling);
}

static void get_fixed_head(struct tape_chunk_head *h, struct tape_in *in)
{
	h->ts_min = tape_in_u64(in);
	h->ts_max = tape_in_u64(in);
	h->ts_floor = tape_in_u64(in);
	h->first_event = tape_in_u64(in);
	h->lost = tape_in_u64(in);
	h->n_events = tape_in_u32(in);
	h->n_stragglers = tape_in_u32(in);
	h->n_records = tape_in_u16(in);
	h->n_columns = tape_in_u16(in);
	h->flags = tape_in_u32(in);
}

static int check_head(const struct tape_chunk *c, struct tape_error *err)
{
	const struct tape_chunk_head *h = &c->head;

	if (h->flags & ~TAPE_CHUNK_KNOWN_FLAGS)
		return tape_fail(err, TAPE_E_UNKNOWN, c->offset,
				 "chunk at byte %llu has flags of a newer version",
				 (unsigned long long)c->offset);
	if (h->n_events > TAPE_MAX_EVENTS)
		return too_large(c, err, "events", h->n_events, TAPE_MAX_EVENTS);
	if (h->n_events / TAPE_MAX_EVENTS_PER_BYTE > c->stored_len)
		return too_large(c, err, "events a byte",
				 (h->n_events + c->stored_len - 1) / c->stored_len,
				 TAPE_MAX_EVENTS_PER_BYTE);
	if (h->n_records > TAPE_MAX_RECORDS)
		return too_large(c, err, "record types", h->n_records, TAPE_MAX_RECORDS);
	if (h->n_columns > TAPE_MAX_COLUMNS)
		return too_large(c, err, "columns", h->n_columns, TAPE_MAX_COLUMNS);
	if (!h->n_events || h->ts_min > h->ts_max)
		return corrupt(c, err, "no events, or times out of order");
	return 0;
}

static int get_counts(struct tape_chunk *c, struct tape_in *in, struct tape_error *err)
{
	uint64_t n_events = 0, last_id = TAPE_COMMON;
	uint64_t most = (uint64_t)c->head.n_events * TAPE_MAX_ROWS_PER_EVENT;

	for (unsigned i = 0; i < c->head.n_records; i++) {
		uint64_t id = tape_in_varint(in), n = tape_in_varint(in);
		const struct tape_record *rec;

		if (in->bad || id <= last_id || id > UINT16_MAX || !n)
			return corrupt(c, err, "the list of record counts is damaged");
		rec = tape_schema_record(c->schema, (unsigned)id);
		if (n > most)
			return too_large(c, err, "rows of a record type", n, most);
		if (!rec || !rec->is_table)
			n_events += n;
		c->counts[i] = (struct count){(uint16_t)id, (uint32_t)n, rec};
		last_id = id;
	}
	if (n_events != c->head.n_events)
		return corrupt(c, err, "the counts do not add up to the number of events");
	return 0;
}

static const struct count *count_of(const struct tape_chunk *c, unsigned id)
{
	for (unsigned i = 0; i < c->head.n_records; i++)
		if (c->counts[i].id == id)
			return &c->counts[i];
	return NULL;
}

/* The schema's field that a column holds; NULL if the schema has none (a newer writer's). */
static const struct tape_field *field_of(const struct tape_chunk *c, const struct column *col)
{
	const struct tape_record *rec = tape_schema_record(c->schema, col->record);

	return rec && col->field < rec->n_fields ? &rec->fields[col->field] : NULL;
}

/* What a predicted column is predicted from; an entry without it damages the column alone. */
static void get_guess(struct tape_in e, struct column *col)
{
	uint64_t v[4] = {0};
	bool predicted = col->transform == TAPE_T_ROW || col->transform == TAPE_T_LAST ||
			 col->transform == TAPE_T_CROSS || col->transform == TAPE_T_SAME;

	for (unsigned i = 0; predicted && i < 4; i++)
		v[i] = tape_in_varint(&e);
	col->no_guess = e.bad || (v[0] | v[1] | v[2] | v[3]) > UINT32_MAX;
	col->of = (uint32_t)v[0];
	col->plus = (uint32_t)v[1];
	col->key = (uint32_t)v[2];
	col->turn = (uint32_t)v[3];
}

static bool get_column_entry(struct tape_in *in, struct column *col)
{
	unsigned len = tape_in_u8(in);
	const uint8_t *p = tape_in_bytes(in, len);
	struct tape_in e = p ? tape_in(p, len) : tape_in("", 0);
	uint64_t record = tape_in_varint(&e), field = tape_in_varint(&e), raw, stored;

	col->transform = tape_in_u8(&e);
	col->layout = tape_in_u8(&e);
	col->flags = tape_in_u8(&e);
	raw = tape_in_varint(&e);
	stored = tape_in_varint(&e);
	get_guess(e, col);
	if (e.bad || record > UINT16_MAX || field > UINT16_MAX || raw > UINT32_MAX ||
	    stored > UINT32_MAX)
		return false;
	col->record = (uint16_t)record;
	col->field = (uint16_t)field;
	col->raw_len = (uint32_t)raw;
	col->stored_len = (uint32_t)stored;
	col->rc = NOT_DECODED;
	return true;
}

/* The field whose references are the keys of a KEYED column; -1 without one. */
static int first_ref(const struct tape_record *rec)
{
	for (unsigned i = 0; i < rec->n_fields; i++)
		if (rec->fields[i].table)
			return (int)i;
	return -1;
}

/* Keys of a KEYED or predicted column: it remembers a value for each, and runs over them. */
static uint64_t keys_of(const struct tape_chunk *c, const struct column *col,
			const struct tape_record *rec)
{
	bool keyed = col->transform == TAPE_T_KEYED;
	int field = keyed ? first_ref(rec) : col->key ? (int)((col->key - 1) / 2) : -1, first;
	const struct tape_record *to;
	uint64_t n;

	if (field < 0 || field >= (int)rec->n_fields || !rec->fields[field].table)
		return 0;
	n = 2 * (uint64_t)tape_chunk_rows(c, rec->fields[field].table) + 1;
	to = tape_schema_record(c->schema, rec->fields[field].table);
	first = first_ref(to);
	if (!keyed && !(col->key & 1) && first >= 0) /* by the streams of that table's rows */
		n += 2 * (uint64_t)tape_chunk_rows(c, to->fields[first].table) + 1;
	return col->transform == TAPE_T_LAST ? n + c->head.n_events : n;
}

/*
 * Memory that decoding the column takes, but for its body, or for many columns of few rows over a
 * long table, what would pass through it.
 */
static uint64_t decoded_len(const struct tape_chunk *c, const struct column *col)
{
	const struct tape_record *rec = tape_schema_record(c->schema, col->record);
	const struct tape_field *f = field_of(c, col);

	if (!f)
		return col->field == TAPE_ORIGINS
			       ? 2 * sizeof(uint32_t) * (uint64_t)tape_chunk_rows(c, col->record)
			       : 0;
	return (tape_chunk_rows(c, col->record) + keys_of(c, col, rec)) * (f->width ? f->width : 4);
}

static int get_directory(struct tape_chunk *c, struct tape_in *in, struct tape_error *err)
{
	bool single = c->head.flags & TAPE_CHUNK_SINGLE;
	uint64_t raw = 0, stored = 0, decoded = 0;

	for (unsigned i = 0; i < c->head.n_columns; i++) {
		struct column *col = &c->columns[i];

		if (!get_column_entry(in, col))
			return corrupt(c, err, "the column directory is damaged");
		if (col->record != TAPE_COMMON && !count_of(c, col->record))
			return corrupt(c, err,
				       "a column of a record type that the chunk does not hold");
		col->at = (uint32_t)(single ? raw : stored);
		raw += col->raw_len;
		stored += single ? 0 : col->stored_len;
		decoded += decoded_len(c, col);
		if (raw > TAPE_MAX_CHUNK_RAW)
			return too_large(c, err, "bytes of columns", raw, TAPE_MAX_CHUNK_RAW);
		if (decoded > TAPE_MAX_CHUNK_ROWS)
			return too_large(c, err, "bytes of decoded columns", decoded,
					 TAPE_MAX_CHUNK_ROWS);
	}
	c->memory = (size_t)(raw + decoded);
	if (c->payload && stored > c->payload_len)
		return corrupt(c, err, "the columns are longer than the payload");
	return 0;
}

int tape_chunk_parse(struct tape_chunk *c, const struct tape_schema *schema, bool snapshot,
		     const void *type_head, size_t type_head_len, const void *payload,
		     size_t payload_len, uint64_t offset, struct tape_error *err)
{
	struct tape_in in = tape_in(type_head, type_head_len);
	int rc;

	c->schema = schema;
	c->snapshot = snapshot;
	c->offset = offset;
	c->stored_len = TAPE_BLOCK_HEAD_LEN + type_head_len + payload_len;
	c->payload = payload;
	c->payload_len = payload_len;
	c->single = NULL;
	c->single_rc = NOT_DECODED;
	c->memory = 0;
	arena_reset(&c->arena);
	get_fixed_head(&c->head, &in);
	if (in.bad) {
		memset(&c->head, 0, sizeof(c->head));
		return corrupt(c, err, "the header is too short");
	}
	rc = check_head(c, err);
	if (!rc)
		rc = get_counts(c, &in, err);
	if (!rc)
		rc = get_directory(c, &in, err);
	if (rc)
		c->head.n_records = c->head.n_columns = 0;
	return rc;
}

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

bool tape_chunk_has_payload(const struct tape_chunk *c)
{
	return c->payload != NULL;
}

uint32_t tape_chunk_rows(const struct tape_chunk *c, unsigned record)
{
	const struct count *k;

	if (record == TAPE_COMMON)
		return c->head.n_events;
	k = count_of(c, record);
	return k ? k->n_rows : 0;
}

/* ---- a column ---- */

static int decompress(struct tape_chunk *c, const uint8_t *src, size_t len, size_t raw_len,
		      const uint8_t **ret, struct tape_error *err)
{
	size_t n, frame_len;
	uint64_t content;
	void *dst;

	content = tape_frame_content(src, len, &frame_len);
	if (content == TAPE_FRAME_BAD || frame_len != len)
		return corrupt(c, err, "a zstd frame is damaged");
	if (content != raw_len)
		return corrupt(c, err, "a zstd frame has not the length that the directory says");
	dst = arena_alloc(&c->arena, raw_len);
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
	return decompress(c, c->payload, len, (size_t)last->at + last->raw_len, &c->single, err);
}

static int body_of(struct tape_chunk *c, const struct column *col, const uint8_t **ret,
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
		return decompress(c, *ret, col->stored_len, col->raw_len, ret, err);
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

/* Every event must be of a counted type, and as often as counted. */
static int check_types(struct tape_chunk *c, const struct tape_column *types,
		       struct tape_error *err)
{
	const uint16_t *v = types->values;
	uint32_t *left = arena_alloc(&c->arena, (UINT16_MAX + 1) * sizeof(*left));

	if (!left)
		return tape_fail(err, TAPE_E_NOMEM, c->offset, "no memory for a chunk");
	memset(left, 0, (UINT16_MAX + 1) * sizeof(*left));
	for (unsigned i = 0; i < c->head.n_records; i++)
		if (!c->counts[i].rec || !c->counts[i].rec->is_table)
			left[c->counts[i].id] = c->counts[i].n_rows;
	for (uint32_t i = 0; i < types->n; i++)
		if (!left[v[i]]--)
			return corrupt(c, err, "the types of the events contradict their counts");
	return 0;
}

static int decode_values(struct tape_chunk *c, const struct column *col, const struct tape_field *f,
			 const uint8_t *body, struct tape_column *ret, struct tape_error *err)
{
	uint32_t *starts;
	void *values;

	if (f->type == TAPE_STR) {
		starts = arena_alloc(&c->arena, ((size_t)ret->n + 1) * sizeof(*starts));
		if (!starts)
			return tape_fail(err, TAPE_E_NOMEM, c->offset, "no memory for a chunk");
		if (col->layout != TAPE_L_STRINGS || col->transform)
			return tape_fail(err, TAPE_E_UNKNOWN, c->offset,
					 "strings in layout %u or transform %u, which are unknown",
					 col->layout, col->transform);
		ret->str_start = starts;
		return tape_decode_strings(body, col->raw_len, ret->n, starts,
					   (const char **)&ret->values, err);
	}
	values = arena_alloc(&c->arena, (size_t)ret->n * f->width);
	if (!values)
		return tape_fail(err, TAPE_E_NOMEM, c->offset, "no memory for a chunk");
	ret->values = values;
	return tape_decode(body, col->raw_len, col->transform, col->layout, ret->n, f->width,
			   values, err);
}

/* ---- predictions ---- */

static int no_memory(const struct tape_chunk *c, struct tape_error *err)
{
	return tape_fail(err, TAPE_E_NOMEM, c->offset, "no memory for a chunk");
}

static void *scratch(struct scratch *s, size_t len)
{
	void *p;

	if (len <= s->cap)
		return s->p;
	p = realloc(s->p, len);
	if (!p)
		return NULL;
	s->p = p;
	s->cap = len;
	return p;
}

/* Undo the transform KEYED: by the first reference of the record's rows. */
static int unkey(struct tape_chunk *c, const struct column *col, const struct tape_record *rec,
		 struct tape_column *values, struct tape_error *err)
{
	struct tape_column keys;
	int key = first_ref(rec), rc;
	size_t n_keys;
	void *last;

	if (key < 0)
		return corrupt(c, err, "a keyed column of a record without reference");
	if (rec->fields[col->field].table) /* it may be its own key */
		return corrupt(c, err, "a column of references is keyed");
	rc = tape_chunk_column(c, col->record, (unsigned)key, &keys, err);
	if (rc)
		return rc;
	n_keys = 2 * (size_t)tape_chunk_rows(c, rec->fields[key].table) + 1;
	last = scratch(&c->last, n_keys * values->width);
	if (!last)
		return no_memory(c, err);
	tape_unkeyed((void *)(uintptr_t)values->values, values->n, values->width, keys.values,
		     n_keys, last);
	return 0;
}

/* Decode what a column is predicted from (1 + field, 0 none) before the room for it is in use. */
static int need(struct tape_chunk *c, const struct column *col, uint32_t ref,
		struct tape_error *err)
{
	struct tape_column in;

	return ref ? tape_chunk_column(c, col->record, ref - 1, &in, err) : 0;
}

/* A column that another one is predicted from, in that one's width; ref is 1 + field, 0 none. */
static int input(struct tape_chunk *c, const struct column *col, uint32_t ref, unsigned width,
		 struct scratch *room, const void **ret, struct tape_error *err)
{
	struct tape_column in;
	int rc;

	*ret = NULL;
	if (!ref)
		return 0;
	rc = tape_chunk_column(c, col->record, ref - 1, &in, err);
	if (rc)
		return rc;
	if (!in.width || in.width > sizeof(uint64_t))
		return corrupt(c, err, "a column is predicted from one that holds no numbers");
	*ret = in.values;
	if (in.width == width)
		return 0;
	*ret = scratch(room, (size_t)in.n * width);
	if (!*ret)
		return no_memory(c, err);
	for (uint32_t i = 0; i < in.n; i++) {
		uint64_t v = tape_column_get(&in, i);

		memcpy(room->p + (size_t)i * width, &v, width); /* low bytes: little-endian */
	}
	return 0;
}

/* The keys of a prediction, and which table they are of: rows of `table`, or streams of its ends.
 */
struct keys {
	struct tape_column col;
	const uint32_t *v;
	unsigned table;
	size_t n; /* all are below this */
	bool streams;
};

/* A reference to a table whose first reference has a direction stands for that one's. */
static int map_streams(struct tape_chunk *c, const struct tape_record *to, struct keys *k,
		       struct tape_error *err)
{
	int first = first_ref(to), rc;
	struct tape_column ends;
	uint32_t *out;

	if (first < 0 || to->fields[first].type != TAPE_DREF)
		return corrupt(c, err, "a column is predicted by the stream of what has none");
	rc = tape_chunk_column(c, to->id, (unsigned)first, &ends, err);
	if (rc)
		return rc;
	out = scratch(&c->keys, (size_t)k->col.n * sizeof(*out));
	if (!out)
		return no_memory(c, err);
	for (uint32_t i = 0; i < k->col.n; i++)
		out[i] = k->v[i] ? ((const uint32_t *)ends.values)[k->v[i] - 1] : 0;
	k->v = out;
	k->table = to->fields[first].table;
	return 0;
}

static int get_keys(struct tape_chunk *c, const struct column *col, const struct tape_record *rec,
		    struct keys *k, struct tape_error *err)
{
	uint32_t field = (col->key - 1) / 2;
	const struct tape_field *f;
	int rc;

	if (!col->key || field >= rec->n_fields || !rec->fields[field].table)
		return corrupt(c, err, "a column is predicted without a reference");
	f = &rec->fields[field];
	rc = tape_chunk_column(c, col->record, field, &k->col, err);
	if (rc)
		return rc;
	k->v = k->col.values;
	k->table = f->table;
	k->streams = !(col->key & 1);
	if (k->streams && f->type != TAPE_DREF)
		rc = map_streams(c, tape_schema_record(c->schema, f->table), k, err);
	k->n = 2 * (size_t)tape_chunk_rows(c, k->table) + 1;
	return rc;
}

/* last[] at the first row: the origins of the streams; far: of the other direction. */
static int get_origins(struct tape_chunk *c, const struct keys *k, bool far, struct tape_error *err)
{
	uint32_t *last = scratch(&c->last, k->n * sizeof(*last));
	struct tape_column origins;
	const uint32_t *v;
	int rc;

	if (!last)
		return no_memory(c, err);
	last[0] = 0;
	if (k->n == 1)
		return 0;
	rc = tape_chunk_column(c, k->table, TAPE_ORIGINS, &origins, err);
	if (rc)
		return rc;
	v = origins.values;
	for (uint32_t i = 1; i < k->n; i++)
		last[i] = v[(far ? tape_opposite(i) : i) - 1];
	return 0;
}

static int undo_stream(struct tape_chunk *c, const struct column *col, struct tape_guess g,
		       const struct keys *k, struct tape_column *values, struct tape_error *err)
{
	uint32_t turn = col->turn < values->n ? col->turn : values->n;
	uint32_t *v = (uint32_t *)(uintptr_t)values->values;
	const uint32_t *of = g.of, *plus = g.plus;
	int rc = 0;

	if (values->width != sizeof(uint32_t))
		return corrupt(c, err, "a column that follows a stream is not of 32 bits");
	if (turn) {
		rc = get_origins(c, k, false, err);
		g.last = c->last.p;
		if (!rc)
			tape_unpredict(col->transform, v, turn, sizeof(*v), &g);
	}
	if (!rc && turn < values->n) {
		rc = get_origins(c, k, true, err);
		g.last = c->last.p;
		g.of = of ? of + turn : NULL;
		g.plus = plus ? plus + turn : NULL;
		g.keys += turn;
		if (!rc)
			tape_unpredict(col->transform, v + turn, values->n - turn, sizeof(*v), &g);
	}
	return rc;
}

/* LAST by rows of a table: the first guess is the time of the event. */
static int undo_by_row(struct tape_chunk *c, const struct column *col, struct tape_guess g,
		       const struct keys *k, struct tape_column *values, struct tape_error *err)
{
	struct tape_column ts, type;
	uint64_t *times;
	uint32_t n = 0;
	int rc;

	if (tape_schema_record(c->schema, col->record)->is_table)
		return corrupt(c, err, "a row of a table is predicted by the time of an event");
	rc = tape_chunk_column(c, TAPE_COMMON, TAPE_COMMON_TS, &ts, err);
	if (!rc)
		rc = tape_chunk_column(c, TAPE_COMMON, TAPE_COMMON_TYPE, &type, err);
	if (rc)
		return rc;
	times = scratch(&c->plus, values->n * sizeof(*times)); /* free: a time has no plus */
	g.last = scratch(&c->last, k->n * values->width);
	if (!times || !g.last)
		return no_memory(c, err);
	memset(g.last, 0, k->n * values->width);
	for (uint32_t i = 0; i < ts.n; i++) {
		times[n] = ((const uint64_t *)ts.values)[i];
		n += ((const uint16_t *)type.values)[i] == col->record;
		if (n == values->n)
			break;
	}
	g.times = times;
	tape_unpredict(TAPE_T_LAST, (void *)(uintptr_t)values->values, values->n, values->width,
		       &g);
	return 0;
}

static int unsame(struct tape_chunk *c, const struct keys *k, struct tape_column *values,
		  struct tape_error *err)
{
	uint32_t *last = scratch(&c->last, k->n * sizeof(*last));

	if (!last)
		return no_memory(c, err);
	memset(last, 0, k->n * sizeof(*last));
	tape_unsame((uint32_t *)(uintptr_t)values->values, values->n, k->v, last);
	return 0;
}

/* Undo ROW, LAST, CROSS and SAME: decode what the column is predicted from, then the column. */
static int unpredict(struct tape_chunk *c, const struct column *col, const struct tape_record *rec,
		     struct tape_column *values, struct tape_error *err)
{
	bool is_ref = rec->fields[col->field].table, same = col->transform == TAPE_T_SAME;
	bool needs_of = col->transform != TAPE_T_LAST && !same;
	struct tape_guess g = {.plus_now = col->plus && !(col->plus & 1)};
	struct keys k = {.n = 0};
	int rc;

	if (col->no_guess || values->width < 4 || values->width > 8 || is_ref != same ||
	    (needs_of && !col->of))
		return corrupt(c, err, "a column is predicted in a way that does not fit it");
	rc = need(c, col, col->of, err);
	if (!rc)
		rc = need(c, col, (col->plus + 1) / 2, err);
	if (!rc && col->transform != TAPE_T_ROW)
		rc = get_keys(c, col, rec, &k, err);
	if (!rc)
		rc = input(c, col, col->of, values->width, &c->of, &g.of, err);
	if (!rc)
		rc = input(c, col, (col->plus + 1) / 2, values->width, &c->plus, &g.plus, err);
	if (rc)
		return rc;
	g.keys = k.v;
	if (same)
		return unsame(c, &k, values, err);
	if (col->transform == TAPE_T_ROW)
		tape_unpredict(TAPE_T_ROW, (void *)(uintptr_t)values->values, values->n,
			       values->width, &g);
	else if (k.streams)
		return undo_stream(c, col, g, &k, values, err);
	else
		return undo_by_row(c, col, g, &k, values, err);
	return 0;
}

/* What the transform still needs beside the body: other columns, which are decoded first. */
static int undo_transform(struct tape_chunk *c, const struct column *col,
			  struct tape_column *values, struct tape_error *err)
{
	const struct tape_record *rec = tape_schema_record(c->schema, col->record);

	switch (col->transform) {
	case TAPE_T_KEYED: return unkey(c, col, rec, values, err);
	case TAPE_T_NEXT:
		if (!rec->fields[col->field].table)
			return corrupt(c, err, "a column is no reference, but written as one");
		tape_unnext((uint32_t *)(uintptr_t)values->values, values->n);
		return 0;
	case TAPE_T_ROW:
	case TAPE_T_LAST:
	case TAPE_T_CROSS:
	case TAPE_T_SAME: return unpredict(c, col, rec, values, err);
	default: return 0;
	}
}

static const struct tape_field origins_field = {.name = "origins", .type = TAPE_U32, .width = 4};

static int decode(struct tape_chunk *c, struct column *col, struct tape_error *err)
{
	bool origins = col->field == TAPE_ORIGINS;
	const struct tape_field *f = origins ? &origins_field : field_of(c, col);
	struct tape_error inner;
	const uint8_t *body;
	int rc;

	if (!f || f->type == TAPE_TYPE_UNKNOWN || col->flags & ~TAPE_COLUMN_KNOWN_FLAGS ||
	    (origins && col->transform))
		return tape_fail(
			err, TAPE_E_UNKNOWN, c->offset,
			"chunk at byte %llu: column %u of record %u is written in a newer way",
			(unsigned long long)c->offset, col->field, col->record);
	col->decoded =
		(struct tape_column){.type = f->type,
				     .width = f->width,
				     .n = tape_chunk_rows(c, col->record) << (origins ? 1 : 0)};
	rc = body_of(c, col, &body, err);
	if (rc)
		return rc;
	rc = decode_values(c, col, f, body, &col->decoded, &inner);
	if (rc)
		return tape_fail(err, rc, c->offset, "chunk at byte %llu, %s of record %u: %s",
				 (unsigned long long)c->offset, f->name, col->record, inner.text);
	if (col->transform > TAPE_T_DELTA)
		rc = undo_transform(c, col, &col->decoded, err);
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

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Writing a chunk: encoding walks the records column by column, so that every inner loop has one
 * type. */
#include "build_parts.h"

#include "codec.h"
#include "cursor.h"
#include "predict.h"

#define SINGLE_BELOW 8192     /* events; smaller chunks are one zstd frame: -5 % at 4 k events */
#define OWN_BLOCK_SINGLE 2048 /* bytes of a column or plane in that frame */
#define MIN_COMPRESS 24	      /* bytes; a frame costs about 12 */
#define OWN_BLOCK 8192	      /* bytes of a plane */
#define SMALL 16384	      /* bytes of a body */
#define NOISE_LEVEL 3	      /* up to which times are compressed fast */
#define MAX_COLUMN_ENTRY 64

static const uint8_t padding[8];

/* ---- columns ---- */

/* Copy one member of n structs into an array; the width picks the loop. */
static void gather(const uint8_t *src, size_t stride, size_t n, unsigned width, void *dst)
{
	uint8_t *out = dst;

#define GATHER(w)                                                                                  \
	_Pragma("GCC unroll 4") for (size_t i = 0; i < n; i++, src += stride, out += (w))          \
		memcpy(out, src, (w))
	switch (width) {
	case 1: GATHER(1); break;
	case 2: GATHER(2); break;
	case 4: GATHER(4); break;
	case 8: GATHER(8); break;
	default: GATHER(16); break;
	}
#undef GATHER
}

/* How a column is written. */
struct how {
	enum tape_transform transform;
	enum tape_layout layout;
	uint32_t of, plus, key, turn; /* as in the directory */
};

static bool is_predicted(enum tape_transform t)
{
	return t == TAPE_T_ROW || t == TAPE_T_LAST || t == TAPE_T_CROSS || t == TAPE_T_SAME ||
	       t == TAPE_T_SMOOTH;
}

static bool put_entry(struct tape_build *b, unsigned record, unsigned field, const struct how *how,
		      unsigned flags, size_t raw_len, size_t stored_len)
{
	uint8_t entry[MAX_COLUMN_ENTRY];
	struct tape_out o = tape_out(entry, sizeof(entry));

	tape_out_le(&o, 0, 1);
	tape_out_varint(&o, record);
	tape_out_varint(&o, field);
	tape_out_le(&o, how->transform, 1);
	tape_out_le(&o, how->layout, 1);
	tape_out_le(&o, flags, 1);
	tape_out_varint(&o, raw_len);
	tape_out_varint(&o, stored_len);
	if (is_predicted(how->transform)) {
		tape_out_varint(&o, how->of);
		tape_out_varint(&o, how->plus);
		tape_out_varint(&o, how->key);
		tape_out_varint(&o, how->turn);
	}
	entry[0] = (uint8_t)(o.p - entry - 1);
	b->n_columns++;
	return append(&b->head, entry, (size_t)(o.p - entry));
}

/* A block of zstd ends at that byte of the bodies: what comes is distributed differently. */
static bool cut(struct tape_build *b, size_t at)
{
	return append(&b->cuts, &at, sizeof(at));
}

/* Those around and in a body at `start`, whose planes have n bytes each. */
static bool cut_body(struct tape_build *b, size_t start, size_t n, unsigned n_planes)
{
	size_t len = b->body.len - start;
	bool ok = true;

	if (b->single && len >= OWN_BLOCK_SINGLE)
		ok = cut(b, start);
	if (n >= (b->single ? OWN_BLOCK_SINGLE : OWN_BLOCK))
		for (unsigned i = 1; ok && i <= n_planes && 1 + i * n < len; i++)
			ok = cut(b, start + 1 + i * n);
	if (ok && b->single && len >= OWN_BLOCK_SINGLE)
		ok = cut(b, start + len);
	return ok;
}

/* Room for that frame: a block costs 3 bytes beyond what zstd reckons with. */
static bool reserve_frame(struct tape_build *b, size_t len)
{
	return reserve(&b->payload, ZSTD_compressBound(len) + b->cuts.len);
}

/*
 * One frame of the bodies from `start` on, in which a block ends at each cut: a block has one table
 * of codes (-6 % of the times). noise: few matches are there to be found, so level 3 takes twice as
 * long as this for 1.4 % less.
 */
static size_t compress(struct tape_build *b, size_t start, bool noise)
{
	ZSTD_outBuffer out = {b->payload.p + b->payload.len, b->payload.cap - b->payload.len, 0};
	ZSTD_inBuffer in = {b->body.p + start, b->body.len - start, 0};
	size_t n_cuts = b->cuts.len / sizeof(size_t), len = in.size, left = 1;
	const size_t *cuts = (const size_t *)(const void *)b->cuts.p;

	if (!n_cuts)
		return ZSTD_compressCCtx(len < SMALL ? b->zstd_small : b->zstd, out.dst, out.size,
					 in.src, len, b->level);
	ZSTD_CCtx_reset(b->zstd, ZSTD_reset_session_only);
	ZSTD_CCtx_setParameter(b->zstd, ZSTD_c_compressionLevel, noise ? 1 : b->level);
	ZSTD_CCtx_setParameter(b->zstd, ZSTD_c_minMatch, noise ? 4 : 0); /* 0: as the level says */
	ZSTD_CCtx_setParameter(b->zstd, ZSTD_c_hashLog, noise ? 12 : 0);
	ZSTD_CCtx_setPledgedSrcSize(b->zstd, len);
	for (size_t i = 0; i <= n_cuts && !ZSTD_isError(left); i++) {
		in.size = i < n_cuts ? cuts[i] - start : len;
		do {
			left = ZSTD_compressStream2(b->zstd, &out, &in,
						    i < n_cuts ? ZSTD_e_flush : ZSTD_e_end);
		} while (left && !ZSTD_isError(left));
	}
	return ZSTD_isError(left) ? left : out.pos;
}

/* Put the finished body into the payload (or, single, only count it) and its entry into the head.
 */
static int put_body(struct tape_build *b, unsigned record, unsigned field, const struct how *how,
		    size_t start, size_t n, struct tape_error *err)
{
	size_t raw_len = b->body.len - start, stored_len = raw_len, z;
	bool noise = record == TAPE_COMMON && field == TAPE_COMMON_TS && b->level <= NOISE_LEVEL;
	unsigned flags = 0;

	if (!cut_body(b, start, n, how->layout == TAPE_L_PLANES ? b->body.p[start] : 0))
		return no_memory(err);
	if (!b->single) {
		if (!reserve_frame(b, raw_len))
			return no_memory(err);
		z = raw_len < MIN_COMPRESS ? raw_len : compress(b, start, noise);
		if (!ZSTD_isError(z) && z < raw_len) {
			flags |= TAPE_COLUMN_ZSTD;
			stored_len = z;
		} else {
			memcpy(b->payload.p + b->payload.len, b->body.p + start, raw_len);
		}
		b->payload.len += stored_len;
		b->body.len = start;
		b->cuts.len = 0;
	}
	return put_entry(b, record, field, how, flags, raw_len, stored_len) ? 0 : no_memory(err);
}

/* ---- predictions ---- */

/* A field of n rows as numbers of that width; -1: none. */
static bool gather_input(struct rows *r, int field, size_t n, unsigned width, struct buffer *ret)
{
	if (field < 0)
		return true;
	ret->len = 0;
	if (!reserve(ret, n * width))
		return false;
	if (r->rec->fields[field].width >= width) { /* the low bytes: hosts are little-endian */
		gather(r->data.p + r->offset[field], r->stride, n, width, ret->p);
		return true;
	}
	memset(ret->p, 0, n * width);
	for (size_t i = 0; i < n; i++)
		memcpy(ret->p + i * width, r->data.p + r->offset[field] + i * r->stride,
		       r->rec->fields[field].width);
	return true;
}

/* The stream of each row, by what its reference says of ends: the key of predictions. */
static const uint32_t *stream_keys(struct tape_build *b, struct rows *r, unsigned field)
{
	const struct tape_field *f = &r->rec->fields[field];
	const uint32_t *refs = refs_of(r, field), *ends;
	uint32_t *keys;

	if (f->type == TAPE_DREF)
		return refs;
	if (b->keys_of == &r->rec->fields[field])
		return (const uint32_t *)(const void *)b->keys.p;
	b->keys.len = 0;
	if (!reserve(&b->keys, r->n * sizeof(*keys)))
		return NULL;
	keys = (uint32_t *)(void *)b->keys.p;
	ends = (const uint32_t *)(const void *)rows_of(b, f->table)->refs[0].v.p;
	for (uint32_t i = 0; i < r->n; i++)
		keys[i] = refs[i] ? ends[refs[i] - 1] : 0;
	b->keys_of = f;
	return keys;
}

/* Room for a value of each key, all 0. */
static bool clear_last(struct tape_build *b, size_t n_keys, unsigned width)
{
	b->last.len = 0;
	if (!reserve(&b->last, n_keys * width))
		return false;
	memset(b->last.p, 0, n_keys * width);
	return true;
}

/*
 * last[key] of each stream becomes its origin; one without gets the first number of it that these
 * rows have. far: keys name the other direction.
 */
static bool use_origins(struct tape_build *b, struct rows *ends, const uint32_t *values, size_t n,
			const uint32_t *keys, bool far)
{
	size_t n_keys = 2 * (size_t)ends->n + 1, len = n_keys * sizeof(uint32_t);
	uint32_t *origins, *last;
	bool zeros = false;

	if (!reserve(&ends->origins, len) || !clear_last(b, n_keys, sizeof(uint32_t)))
		return false;
	if (ends->origins.len < len) {
		memset(ends->origins.p + ends->origins.len, 0, len - ends->origins.len);
		ends->origins.len = len;
	}
	origins = (uint32_t *)(void *)ends->origins.p;
	last = (uint32_t *)(void *)b->last.p;
	for (size_t i = 0; i < n; i++) {
		uint32_t *o = &origins[far ? tape_opposite(keys[i]) : keys[i]];

		if (!*o && keys[i]) {
			*o = values[i];
			zeros |= !values[i];
		}
	}
	for (size_t i = 0; zeros && i < n; i++) { /* used, so it must not change any more */
		uint32_t *o = &origins[far ? tape_opposite(keys[i]) : keys[i]];

		*o += !*o && keys[i];
	}
	for (uint32_t k = 1; k < n_keys; k++)
		last[k] = origins[far ? tape_opposite(k) : k];
	return true;
}

/* Predict the rows from `from` on, which are all of one side. */
static bool predict_stream(struct tape_build *b, struct rows *r, enum tape_transform t, size_t from,
			   size_t n, const struct tape_guess *all, bool far)
{
	uint32_t *values = (uint32_t *)(void *)b->values.p + from;
	struct tape_guess g = *all;

	if (!n)
		return true;
	g.keys += from;
	g.of = g.of ? (const uint32_t *)g.of + from : NULL;
	g.plus = g.plus ? (const uint32_t *)g.plus + from : NULL;
	/* CROSS: values are of the other direction, of of this one, which has its origin already */
	if (!use_origins(b, r->ends, values, n, g.keys, far != (t == TAPE_T_CROSS)))
		return false;
	if (t == TAPE_T_CROSS && !use_origins(b, r->ends, g.of, n, g.keys, far))
		return false;
	g.last = b->last.p;
	tape_predict(t, values, n, sizeof(*values), &g);
	return true;
}

/* Values that a reference can have. */
static size_t n_keys_of(struct tape_build *b, const struct rows *r, unsigned field)
{
	const struct tape_field *f = &r->rec->fields[field];

	return (f->type == TAPE_DREF ? 2 : 1) * (size_t)rows_of(b, f->table)->n + 1;
}

static bool predict(struct tape_build *b, struct rows *r, unsigned field, struct how *how)
{
	const struct tape_field *f = &r->rec->fields[field];
	int of = r->guess[field].of, plus = r->guess[field].plus, key = r->guess[field].key;
	struct tape_guess g = {.plus_now = f->guess.plus_now};
	size_t turn;

	if (!gather_input(r, of, r->n, f->width, &b->of) ||
	    !gather_input(r, plus, r->n, f->width, &b->plus))
		return false;
	g.of = of < 0 || of == (int)field ? NULL : b->of.p;
	g.plus = plus < 0 ? NULL : b->plus.p;
	how->of = g.of ? (uint32_t)of + 1 : 0;
	how->plus = g.plus ? 1 + 2 * (uint32_t)plus + g.plus_now : 0;
	if (how->transform == TAPE_T_ROW) {
		tape_predict(TAPE_T_ROW, b->values.p, r->n, f->width, &g);
		return true;
	}
	key = key < 0 ? r->refs[0].field : key;
	how->key = 1 + 2 * (uint32_t)key + (f->guess.side != TAPE_NO_STREAM);
	if (how->transform == TAPE_T_SMOOTH) {
		if (!clear_last(b, 2 * n_keys_of(b, r, (unsigned)key), f->width))
			return false;
		g.keys = refs_of(r, (unsigned)key);
		g.last = b->last.p;
		tape_smooth((uint32_t *)(void *)b->values.p, r->n, &g);
		return true;
	}
	if (f->guess.side == TAPE_NO_STREAM) {
		b->plus.len = 0; /* free: a time has no plus */
		if (!reserve(&b->plus, r->n * sizeof(uint64_t)) ||
		    !clear_last(b, n_keys_of(b, r, (unsigned)key), f->width))
			return false;
		gather(r->data.p, r->stride, r->n, 8, b->plus.p); /* rows begin with it */
		g.times = (const uint64_t *)(const void *)b->plus.p;
		g.keys = refs_of(r, (unsigned)key);
		g.last = b->last.p;
		tape_predict(TAPE_T_LAST, b->values.p, r->n, f->width, &g);
		return true;
	}
	g.keys = stream_keys(b, r, (unsigned)key);
	turn = f->guess.side == TAPE_SENT ? r->n : f->guess.side == TAPE_RECEIVED ? 0 : r->turn;
	how->turn = (uint32_t)turn;
	return g.keys && predict_stream(b, r, how->transform, 0, turn, &g, false) &&
	       predict_stream(b, r, how->transform, turn, r->n - turn, &g, true);
}

static bool predict_ref(struct tape_build *b, struct rows *r, unsigned field, struct how *how)
{
	uint32_t *refs = (uint32_t *)(void *)b->values.p;
	const uint32_t *keys;
	unsigned key = (unsigned)r->guess[field].key;

	if (how->transform == TAPE_T_NEXT) {
		tape_next(refs, r->n);
		return true;
	}
	keys = stream_keys(b, r, key);
	if (!keys || !clear_last(b, 2 * (size_t)r->ends->n + 1, sizeof(*keys)))
		return false;
	how->key = 1 + 2 * key + 1;
	tape_same(refs, r->n, keys, (uint32_t *)(void *)b->last.p);
	return true;
}

static bool apply_keyed(struct tape_build *b, struct rows *r, unsigned field)
{
	const struct tape_field *f = &r->rec->fields[field];
	size_t n_keys = n_keys_of(b, r, r->refs[0].field);

	if (!clear_last(b, n_keys, f->width))
		return false;
	tape_keyed(b->values.p, r->n, f->width, refs_of(r, r->refs[0].field), n_keys, b->last.p);
	return true;
}

/* Nothing that the hint would predict it from is omitted. */
static bool has_inputs(struct tape_build *b, const struct rows *r, unsigned field)
{
	const struct tape_field *f = &r->rec->fields[field];
	int key = r->guess[field].key, inputs[] = {r->guess[field].of, r->guess[field].plus, key};
	unsigned id = r->rec->id;
	const struct tape_field *to;

	if (f->hint < TAPE_KEYED || f->hint == TAPE_NEXT || f->hint == TAPE_IS_REF ||
	    f->hint == TAPE_POINTER)
		return true;
	for (unsigned i = 0; i < 3; i++)
		if (inputs[i] >= 0 && tape_is_absent(&b->omit, id, (unsigned)inputs[i]))
			return false;
	if (f->hint == TAPE_ROW)
		return true;
	if (key < 0)
		key = r->refs[0].field;
	to = &r->rec->fields[key];
	return !tape_is_absent(&b->omit, id, (unsigned)key) &&
	       (to->type == TAPE_DREF ||
		!tape_is_absent(&b->omit, to->table, rows_of(b, to->table)->refs[0].field));
}

/* Apply what the hint says, as far as the record allows; DELTA is left to tape_encode. */
static bool apply_hint(struct tape_build *b, struct rows *r, unsigned field, struct how *how)
{
	if (!has_inputs(b, r, field))
		return true;
	switch (r->rec->fields[field].hint) {
	case TAPE_POINTER: /* mostly the one before: a buffer goes from layer to layer */
	case TAPE_DELTA: how->transform = TAPE_T_DELTA; return true;
	case TAPE_KEYED: how->transform = TAPE_T_KEYED; return apply_keyed(b, r, field);
	case TAPE_ROW: how->transform = TAPE_T_ROW; return predict(b, r, field, how);
	case TAPE_LAST: how->transform = TAPE_T_LAST; return predict(b, r, field, how);
	case TAPE_CROSS: how->transform = TAPE_T_CROSS; return predict(b, r, field, how);
	case TAPE_SMOOTH: how->transform = TAPE_T_SMOOTH; return predict(b, r, field, how);
	case TAPE_NEXT: how->transform = TAPE_T_NEXT; return predict_ref(b, r, field, how);
	case TAPE_SAME: how->transform = TAPE_T_SAME; return predict_ref(b, r, field, how);
	default: how->transform = TAPE_T_NONE; return true;
	}
}

/* Encode the n values that stand in b->values. */
static int put_values(struct tape_build *b, struct rows *r, unsigned field, size_t n,
		      struct tape_error *err)
{
	const struct tape_field *f = &r->rec->fields[field];
	size_t start = b->body.len;
	struct how how = {0};

	if (!reserve(&b->body, tape_encode_bound(n, f->width)) || !apply_hint(b, r, field, &how))
		return no_memory(err);
	b->body.len += tape_encode(b->values.p, n, f->width, how.transform, b->body.p + start,
				   &how.layout);
	return put_body(b, r->rec->id, field, &how, start, n, err);
}

static int put_strings(struct tape_build *b, struct rows *r, unsigned field, struct tape_error *err)
{
	const uint8_t *src = r->data.p + r->offset[field];
	size_t start = b->body.len, total = 0;
	struct how how = {.layout = TAPE_L_STRINGS};
	struct tape_out o;

	for (uint32_t i = 0; i < r->n; i++)
		total += ((const struct ev_str *)(const void *)(src + i * r->stride))->len;
	if (!reserve(&b->body, total + 5 * (size_t)r->n))
		return no_memory(err);
	o = tape_out(b->body.p + start, b->body.cap - start);
	for (unsigned pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < r->n; i++) {
			struct ev_str s;

			memcpy(&s, src + i * r->stride, sizeof(s));
			if (!pass)
				tape_out_varint(&o, s.len);
			else if (s.len)
				tape_out_bytes(&o, b->strings.p + (uintptr_t)s.s, s.len);
		}
	b->body.len = (size_t)(o.p - b->body.p);
	return put_body(b, r->rec->id, field, &how, start, r->n, err);
}

static int put_column(struct tape_build *b, struct rows *r, unsigned field, struct tape_error *err)
{
	const struct tape_field *f = &r->rec->fields[field];
	const uint8_t *src = r->data.p + r->offset[field];

	if ((f->hint == TAPE_POINTER && !b->pointers) ||
	    tape_is_absent(&b->omit, r->rec->id, field))
		return 0;
	if (f->type == TAPE_STR)
		return put_strings(b, r, field, err);
	b->values.len = 0;
	if (!reserve(&b->values, (size_t)r->n * f->width))
		return no_memory(err);
	if (f->table)
		memcpy(b->values.p, refs_of(r, field), (size_t)r->n * f->width);
	else
		gather(src, r->stride, r->n, f->width, b->values.p);
	return put_values(b, r, field, r->n, err);
}

/* The first numbers of a table's streams, two a row. */
static int put_origins(struct tape_build *b, struct rows *r, struct tape_error *err)
{
	size_t start = b->body.len, n = 2 * (size_t)r->n;
	struct how how = {0};

	if (!r->origins.len)
		return 0;
	b->values.len = 0;
	if (!reserve(&b->values, n * 4) || !reserve(&b->body, tape_encode_bound(n, 4)))
		return no_memory(err);
	memset(b->values.p, 0, n * 4);
	memcpy(b->values.p, r->origins.p + 4, r->origins.len - 4);
	b->body.len += tape_encode(b->values.p, n, 4, TAPE_T_NONE, b->body.p + start, &how.layout);
	return put_body(b, r->rec->id, TAPE_ORIGINS, &how, start, n, err);
}

static int put_common(struct tape_build *b, size_t n, struct tape_error *err)
{
	const struct buffer *columns[] = {&b->ts, &b->type, &b->cpu};
	int rc = 0;

	for (unsigned i = 0; !rc && i < 3; i++) {
		if (tape_is_absent(&b->omit, TAPE_COMMON, i))
			continue;
		b->values.len = 0;
		if (!append(&b->values, columns[i]->p, n * b->rows[0].rec->fields[i].width))
			return no_memory(err);
		rc = put_values(b, &b->rows[0], i, n, err);
	}
	return rc;
}

/* Events before tables and tables by falling id: who refers comes before what is referred to. */
static int put_columns(struct tape_build *b, size_t n, struct tape_error *err)
{
	int rc = tape_build_arrange(b) ? put_common(b, n, err) : no_memory(err);

	for (size_t i = b->schema->n_records; !rc && i-- > 1;) {
		struct rows *r = &b->rows[i];

		for (unsigned f = 0; !rc && r->n && f < r->rec->n_fields; f++)
			rc = put_column(b, r, f, err);
		if (!rc && r->n)
			rc = put_origins(b, r, err);
	}
	return rc;
}

/* ---- the whole chunk ---- */

static bool put_head(struct tape_build *b, const struct tape_chunk_head *h, struct buffer *ret)
{
	uint8_t fixed[TAPE_CHUNK_HEAD_LEN], count[20];
	struct tape_out o;
	bool ok;

	tape_chunk_head_pack(h, fixed);
	ret->len = 0;
	ok = append(ret, fixed, sizeof(fixed));
	for (size_t i = 1; ok && i < b->schema->n_records; i++) {
		if (!b->rows[i].n)
			continue;
		o = tape_out(count, sizeof(count));
		tape_out_varint(&o, b->rows[i].rec->id);
		tape_out_varint(&o, b->rows[i].n);
		ok = append(ret, count, (size_t)(o.p - count));
	}
	return ok && append(ret, b->head.p, b->head.len);
}

static int compress_single(struct tape_build *b, struct tape_error *err)
{
	size_t z;

	if (!reserve_frame(b, b->body.len))
		return no_memory(err);
	z = compress(b, 0, false);
	if (ZSTD_isError(z))
		return tape_fail(err, TAPE_E_NOMEM, 0, "zstd: %s", ZSTD_getErrorName(z));
	b->payload.len = z;
	return 0;
}

/* A reader refuses chunks with too many events a byte (layout.h): pad those of constants. */
static bool pad_payload(struct tape_build *b, uint32_t n_events)
{
	while (b->payload.len < n_events / TAPE_MAX_EVENTS_PER_BYTE)
		if (!append(&b->payload, padding, 8))
			return false;
	return true;
}

int tape_build_encode(struct tape_build *b, struct tape_chunk_head *head, const void **type_head,
		      size_t *type_head_len, const void **payload, size_t *payload_len,
		      struct tape_error *err)
{
	uint32_t n = tape_build_count(b);
	int rc;

	b->single = n < SINGLE_BELOW;
	b->n_columns = 0;
	b->keys_of = NULL;
	b->body.len = b->head.len = b->payload.len = b->cuts.len = 0;
	rc = put_columns(b, n, err);
	if (!rc && b->single)
		rc = compress_single(b, err);
	if (rc)
		return rc;
	head->ts_min = b->ts_min;
	head->ts_max = b->ts_max;
	head->n_events = n;
	head->flags = b->single ? TAPE_CHUNK_SINGLE : 0;
	head->n_columns = (uint16_t)b->n_columns;
	head->n_records = 0;
	for (size_t i = 1; i < b->schema->n_records; i++)
		head->n_records += b->rows[i].n != 0;
	if (!pad_payload(b, n) || !put_head(b, head, &b->values))
		return no_memory(err);
	*type_head = b->values.p;
	*type_head_len = b->values.len;
	*payload = b->payload.p;
	*payload_len = b->payload.len;
	tape_build_forget(b);
	return 0;
}

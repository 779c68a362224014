// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Writing a chunk: encoding walks the records column by column, so that every inner loop has one
 * type. Structs inside a record (sock, task, flow, packet) become rows of their table, each written
 * once a chunk.
 */
#include "build_parts.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "codec.h"
#include "cursor.h"

#define SINGLE_BELOW 4096 /* events; smaller chunks are one zstd frame: -5 % at 4 k events */
#define MIN_COMPRESS 24	  /* bytes; a frame costs about 12 */
#define MAX_COLUMN_ENTRY 32
#define FIRST_SLOTS 1024 /* of a table's hash, doubled as it fills */

/* ---- tables ---- */

static const uint8_t zeros[256];

static bool rehash(struct rows *t)
{
	uint32_t n_slots = t->n_slots ? t->n_slots * 2 : FIRST_SLOTS, mask = n_slots - 1;
	uint32_t *slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t row = 0; row < t->n; row++) {
		uint32_t i = (uint32_t)XXH3_64bits(t->data.p + row * t->size, t->size) & mask;

		while (slots[i])
			i = (i + 1) & mask;
		slots[i] = row + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->n_slots = n_slots;
	return true;
}

/* Row + 1 of this value in the table, added if it is new; 0: no memory. */
static uint32_t intern(struct rows *t, const void *key)
{
	uint32_t i, mask;

	if (2 * t->n >= t->n_slots && !rehash(t))
		return 0;
	mask = t->n_slots - 1;
	for (i = (uint32_t)XXH3_64bits(key, t->size) & mask; t->slots[i]; i = (i + 1) & mask)
		if (!memcmp(t->data.p + (t->slots[i] - 1) * t->size, key, t->size))
			return t->slots[i];
	if (!append(&t->data, key, t->size))
		return 0;
	return t->slots[i] = ++t->n;
}

/* The two ends of a flow in one order, whichever is local; true if they were swapped. */
static bool order_flow(const struct ev_flow *f, struct ev_flow *ret)
{
	int c = memcmp(&f->laddr, &f->raddr, sizeof(f->laddr));

	if (c < 0 || (!c && f->lport <= f->rport)) {
		*ret = *f;
		return false;
	}
	*ret = (struct ev_flow){f->raddr, f->laddr, f->rport, f->lport};
	return true;
}

/* References of n rows (stride apart) to a table. */
static bool refer(struct rows *t, const uint8_t *src, size_t stride, size_t n, bool directed,
		  uint32_t *ret)
{
	const uint8_t *last = zeros;
	uint32_t last_ref = 0;

	for (size_t i = 0; i < n; i++, src += stride) {
		struct ev_flow flow;
		bool swapped;

		if (memcmp(src, last, t->size)) {
			last = src;
			swapped = directed && order_flow((const void *)src, &flow);
			last_ref = 0;
			if (memcmp(src, zeros, t->size)) {
				last_ref = intern(t, directed ? (const void *)&flow : src);
				if (!last_ref)
					return false;
				if (directed)
					last_ref = 1 + ((last_ref - 1) << 1 | swapped);
			}
		}
		ret[i] = last_ref;
	}
	return true;
}

/* ---- columns ---- */

/* Copy one member of n structs into an array; the width picks the loop. */
static void gather(const uint8_t *src, size_t stride, size_t n, unsigned width, void *dst)
{
	uint8_t *out = dst;

#define GATHER(w)                                                                                  \
	for (size_t i = 0; i < n; i++, src += stride, out += (w))                                  \
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

/* Put the finished body into the payload (or, single, only count it) and its entry into the head.
 */
static int put_body(struct tape_build *b, const struct tape_record *rec, unsigned field,
		    unsigned transform, unsigned layout, size_t start, struct tape_error *err)
{
	size_t raw_len = b->body.len - start, stored_len = raw_len, z;
	uint8_t entry[MAX_COLUMN_ENTRY];
	struct tape_out o = tape_out(entry, sizeof(entry));
	unsigned flags = 0;

	if (!b->single) {
		if (!reserve(&b->payload, ZSTD_compressBound(raw_len)))
			return no_memory(err);
		z = raw_len < MIN_COMPRESS
			    ? raw_len
			    : ZSTD_compressCCtx(b->zstd, b->payload.p + b->payload.len,
						b->payload.cap - b->payload.len, b->body.p + start,
						raw_len, b->level);
		if (!ZSTD_isError(z) && z < raw_len) {
			flags |= TAPE_COLUMN_ZSTD;
			stored_len = z;
		} else {
			memcpy(b->payload.p + b->payload.len, b->body.p + start, raw_len);
		}
		b->payload.len += stored_len;
		b->body.len = start;
	}
	tape_out_le(&o, 0, 1);
	tape_out_varint(&o, rec->id);
	tape_out_varint(&o, field);
	tape_out_le(&o, transform, 1);
	tape_out_le(&o, layout, 1);
	tape_out_le(&o, flags, 1);
	tape_out_varint(&o, raw_len);
	tape_out_varint(&o, stored_len);
	entry[0] = (uint8_t)(o.p - entry - 1);
	b->n_columns++;
	return append(&b->head, entry, (size_t)(o.p - entry)) ? 0 : no_memory(err);
}

/* What the hint says, as far as the record allows. KEYED is applied here, DELTA by tape_encode. */
static int choose_transform(struct tape_build *b, const struct tape_field *f, size_t n,
			    enum tape_transform *ret, struct tape_error *err)
{
	*ret = f->hint == TAPE_DELTA		    ? TAPE_T_DELTA
	       : f->hint == TAPE_KEYED && b->n_keys ? TAPE_T_KEYED
						    : TAPE_T_NONE;
	if (*ret != TAPE_T_KEYED)
		return 0;
	if (!reserve(&b->last, b->n_keys * f->width))
		return no_memory(err);
	tape_keyed(b->values.p, n, f->width, (const uint32_t *)(const void *)b->keys.p, b->n_keys,
		   b->last.p);
	return 0;
}

/* Encode the n values that stand in b->values. */
static int put_values(struct tape_build *b, const struct tape_record *rec, unsigned field, size_t n,
		      struct tape_error *err)
{
	const struct tape_field *f = &rec->fields[field];
	size_t start = b->body.len;
	enum tape_transform transform;
	enum tape_layout layout;

	if (!reserve(&b->body, tape_encode_bound(n, f->width)))
		return no_memory(err);
	if (choose_transform(b, f, n, &transform, err) < 0)
		return TAPE_E_NOMEM;
	b->body.len += tape_encode(b->values.p, n, f->width, transform, b->body.p + start, &layout);
	return put_body(b, rec, field, transform, layout, start, err);
}

static int put_strings(struct tape_build *b, struct rows *r, unsigned field, struct tape_error *err)
{
	const uint8_t *src = r->data.p + r->offset[field];
	size_t start = b->body.len, total = 0;
	struct tape_out o;

	for (uint32_t i = 0; i < r->n; i++)
		total += ((const struct ev_str *)(const void *)(src + i * r->size))->len;
	if (!reserve(&b->body, total + 5 * (size_t)r->n))
		return no_memory(err);
	o = tape_out(b->body.p + start, b->body.cap - start);
	for (unsigned pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < r->n; i++) {
			struct ev_str s;

			memcpy(&s, src + i * r->size, sizeof(s));
			if (!pass)
				tape_out_varint(&o, s.len);
			else if (s.len)
				tape_out_bytes(&o, b->strings.p + (uintptr_t)s.s, s.len);
		}
	b->body.len = (size_t)(o.p - b->body.p);
	return put_body(b, r->rec, field, TAPE_T_NONE, TAPE_L_STRINGS, start, err);
}

/* References of a record's rows, into b->values; the first column of them is the record's key. */
static bool put_refs(struct tape_build *b, struct rows *r, const struct tape_field *f,
		     const uint8_t *src)
{
	struct rows *to = rows_of(b, f->table);
	bool directed = f->type == TAPE_DREF;

	if (!refer(to, src, r->size, r->n, directed, (uint32_t *)(void *)b->values.p))
		return false;
	if (b->n_keys)
		return true;
	b->keys.len = 0;
	b->n_keys = (directed ? 2 : 1) * (size_t)to->n + 1;
	return append(&b->keys, b->values.p, (size_t)r->n * f->width);
}

static int put_column(struct tape_build *b, struct rows *r, unsigned field, struct tape_error *err)
{
	const struct tape_field *f = &r->rec->fields[field];
	const uint8_t *src = r->data.p + r->offset[field];

	if (f->hint == TAPE_POINTER && !b->pointers)
		return 0;
	if (f->type == TAPE_STR)
		return put_strings(b, r, field, err);
	b->values.len = 0;
	if (!reserve(&b->values, (size_t)r->n * f->width))
		return no_memory(err);
	if (!f->table)
		gather(src, r->size, r->n, f->width, b->values.p);
	else if (!put_refs(b, r, f, src))
		return no_memory(err);
	return put_values(b, r->rec, field, r->n, err);
}

static int put_common(struct tape_build *b, size_t n, struct tape_error *err)
{
	struct buffer *columns[] = {&b->ts, &b->type, &b->cpu};
	const struct tape_record *rec = &b->schema->records[0];
	int rc = 0;

	for (unsigned i = 0; !rc && i < 3; i++) {
		b->values.len = 0;
		if (!append(&b->values, columns[i]->p, columns[i]->len))
			return no_memory(err);
		rc = put_values(b, rec, i, n, err);
	}
	return rc;
}

/* Events before tables and tables by falling id: who refers comes before what is referred to. */
static int put_columns(struct tape_build *b, size_t n, struct tape_error *err)
{
	int rc = put_common(b, n, err);

	for (size_t i = b->schema->n_records; !rc && i-- > 1;) {
		struct rows *r = &b->rows[i];

		b->n_keys = 0;
		for (unsigned f = 0; !rc && r->n && f < r->rec->n_fields; f++)
			rc = put_column(b, r, f, err);
	}
	return rc;
}

/* ---- the whole chunk ---- */

static bool put_head(struct tape_build *b, const struct tape_chunk_head *h, struct buffer *ret)
{
	uint8_t fixed[TAPE_CHUNK_HEAD_LEN], count[20];
	struct tape_out o = tape_out(fixed, sizeof(fixed));
	bool ok;

	tape_out_le(&o, h->ts_min, 8);
	tape_out_le(&o, h->ts_max, 8);
	tape_out_le(&o, h->ts_floor, 8);
	tape_out_le(&o, h->first_event, 8);
	tape_out_le(&o, h->lost, 8);
	tape_out_le(&o, h->n_events, 4);
	tape_out_le(&o, h->n_stragglers, 4);
	tape_out_le(&o, h->n_records, 2);
	tape_out_le(&o, h->n_columns, 2);
	tape_out_le(&o, h->flags, 4);
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

	if (!reserve(&b->payload, ZSTD_compressBound(b->body.len)))
		return no_memory(err);
	z = ZSTD_compressCCtx(b->zstd, b->payload.p, b->payload.cap, b->body.p, b->body.len,
			      b->level);
	if (ZSTD_isError(z))
		return tape_fail(err, TAPE_E_NOMEM, 0, "zstd: %s", ZSTD_getErrorName(z));
	b->payload.len = z;
	return 0;
}

/* A reader refuses chunks with too many events a byte (layout.h): pad those of constants. */
static bool pad_payload(struct tape_build *b, uint32_t n_events)
{
	while (b->payload.len < n_events / TAPE_MAX_EVENTS_PER_BYTE)
		if (!append(&b->payload, zeros, 8))
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
	b->body.len = b->head.len = b->payload.len = 0;
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

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Collecting the records of a chunk: they are kept as they came, one array a record type. */
#include "build_parts.h"

#include <assert.h>

#define DEFAULT_LEVEL 3

/* ---- layout of the structs: no padding (events.h), so offsets are sums ---- */

#define ROW_TIME 8 /* bytes of ts_ns, with which rows begin that have it */
#define FIRST_ROWS 64

static int8_t field_index(const struct rows *r, const char *name)
{
	int i = name ? tape_record_field(r->rec, name) : -1;

	assert(!name || i >= 0);
	return (int8_t)i;
}

static void plan_ref(struct tape_build *b, struct rows *r, unsigned field, size_t at)
{
	const struct tape_field *f = &r->rec->fields[field];
	struct rows *to = rows_of(b, f->table);

	assert(r->n_refs < MAX_REFS);
	r->refs[r->n_refs++] =
		(struct ref){.field = (uint8_t)field, .offset = (uint16_t)at, .to = to};
	if (!r->ends)
		r->ends = f->type == TAPE_DREF ? to : to->ends;
}

/* Bytes of the struct that a row has too: one span until the next reference. */
static void plan_copy(struct rows *r, size_t from, size_t len)
{
	struct span *s = r->n_spans ? &r->spans[r->n_spans - 1] : NULL;

	if (!s || s->from + s->len != (int)from) {
		s = &r->spans[r->n_spans++];
		*s = (struct span){(uint16_t)from, (uint16_t)r->stride, 0};
	}
	s->len = (uint16_t)(s->len + len);
	r->stride += len;
}

/* A table's pointer is no part of what its rows are told apart by, unless it is wanted. */
static void plan_key(struct rows *r)
{
	assert(r->size <= MAX_KEY && r->n_pointers <= 1 && !r->n_strings);
	r->stride = MAX_KEY;
	memset(&r->mask, 0xff, sizeof(r->mask));
	if (r->n_pointers)
		memset((uint8_t *)&r->mask + r->pointer[0], 0, sizeof(uint64_t));
}

/* A time is predicted from that of the event, so its rows have that too. */
static bool has_time_of(const struct tape_record *rec)
{
	for (unsigned i = 0; i < rec->n_fields; i++)
		if (rec->fields[i].hint == TAPE_LAST && rec->fields[i].guess.side == TAPE_NO_STREAM)
			return true;
	return false;
}

static void plan(struct tape_build *b, struct rows *r)
{
	bool event = !r->rec->is_table;

	r->size = tape_record_size(r->rec);
	r->short_size = b->pointers ? r->size : tape_record_short(r->rec);
	r->timed = event && has_time_of(r->rec);
	if (r->timed)
		plan_copy(r, offsetof(struct ev_head, ts_ns), ROW_TIME);
	for (unsigned i = 0; i < r->rec->n_fields; i++) {
		const struct tape_field *f = &r->rec->fields[i];
		size_t at = tape_field_offset(r->rec, i);

		r->guess[i].of = field_index(r, f->guess.of);
		r->guess[i].plus = field_index(r, f->guess.plus);
		r->guess[i].key = field_index(r, f->guess.key);
		r->offset[i] = (uint16_t)r->stride;
		if (f->table)
			plan_ref(b, r, i, at);
		if (f->hint == TAPE_POINTER && !b->pointers && at < r->short_size) {
			assert(r->n_pointers < MAX_NESTED);
			r->pointer[r->n_pointers++] = r->offset[i];
		}
		if (f->type == TAPE_STR) {
			assert(r->n_strings < MAX_NESTED);
			r->string[r->n_strings++] = r->offset[i];
		}
		if ((!event || !f->table) && at < r->short_size)
			plan_copy(r, at, tape_field_size(f));
	}
	for (unsigned i = 0; i < r->n_spans; i++)
		assert(r->spans[i].len % 4 == 0);
	if (!event)
		plan_key(r);
}

int tape_build_new(struct tape_build **ret, bool pointers, int level, struct tape_error *err)
{
	struct tape_build *b = calloc(1, sizeof(*b));

	if (!b)
		return no_memory(err);
	b->schema = tape_schema_builtin();
	b->pointers = pointers;
	b->level = level ? level : DEFAULT_LEVEL;
	b->ts_min = UINT64_MAX;
	b->zstd = ZSTD_createCCtx();
	b->zstd_small = ZSTD_createCCtx();
	b->rows = calloc(b->schema->n_records, sizeof(*b->rows));
	if (!b->zstd || !b->zstd_small || !b->rows) {
		tape_build_free(b);
		return no_memory(err);
	}
	for (size_t i = 0; i < b->schema->n_records; i++) {
		b->rows[i].rec = &b->schema->records[i];
		assert(b->rows[i].rec->id <= MAX_ID);
		b->by_id[b->rows[i].rec->id] = &b->rows[i];
	}
	for (size_t i = 1; i < b->schema->n_records; i++) /* tables come first, by rising id */
		plan(b, &b->rows[i]);
	tape_build_forget(b);
	*ret = b;
	return 0;
}

void tape_build_free(struct tape_build *b)
{
	if (!b)
		return;
	for (size_t i = 0; b->rows && i < b->schema->n_records; i++) {
		free(b->rows[i].data.p);
		free(b->rows[i].slots);
		free(b->rows[i].received.p);
		free(b->rows[i].origins.p);
		for (unsigned k = 0; k < MAX_REFS; k++)
			free(b->rows[i].refs[k].v.p);
	}
	free(b->ts.p);
	free(b->type.p);
	free(b->cpu.p);
	free(b->strings.p);
	free(b->values.p);
	free(b->of.p);
	free(b->plus.p);
	free(b->keys.p);
	free(b->last.p);
	free(b->body.p);
	free(b->head.p);
	free(b->payload.p);
	free(b->cuts.p);
	free(b->rows);
	ZSTD_freeCCtx(b->zstd);
	ZSTD_freeCCtx(b->zstd_small);
	free(b);
}

/* ---- adding ---- */

/* The strings of a record move into b->strings; what stays in the record is their offset there. */
static bool take_strings(struct tape_build *b, const struct rows *r, uint8_t *row)
{
	for (unsigned i = 0; i < r->n_strings; i++) {
		struct ev_str s;

		memcpy(&s, row + r->string[i], sizeof(s));
		if (s.len > TAPE_MAX_STR)
			s.len = TAPE_MAX_STR;
		if (!append(&b->strings, s.s, s.len))
			return false;
		b->bytes += s.len;
		s.s = (const char *)(uintptr_t)(b->strings.len - s.len);
		memcpy(row + r->string[i], &s, sizeof(s));
	}
	return true;
}

bool tape_build_grow(struct rows *r)
{
	uint32_t room = r->room ? 2 * r->room : FIRST_ROWS;
	bool ok = resize(&r->data, (size_t)room * r->stride);

	for (unsigned i = 0; i < r->n_refs; i++)
		ok = ok && resize(&r->refs[i].v, room * sizeof(uint32_t));
	if (r->rec->is_table)
		ok = ok && resize(&r->received, room);
	r->room = ok ? room : r->room;
	return ok;
}

bool tape_build_settle_row(struct tape_build *b, const struct rows *r, uint8_t *row)
{
	for (unsigned i = 0; i < r->n_pointers; i++)
		memset(row + r->pointer[i], 0, sizeof(uint64_t));
	return !r->n_strings || take_strings(b, r, row);
}

/* What a row has of the record. */
static bool add_row(struct tape_build *b, struct rows *r, const uint8_t *record)
{
	uint8_t *row = r->data.p + (size_t)r->n * r->stride;

	for (unsigned i = 0; i < r->n_spans; i++)
		copy_words(row + r->spans[i].to, record + r->spans[i].from, r->spans[i].len);
	return tape_build_settle_row(b, r, row);
}

static bool grow_common(struct tape_build *b)
{
	uint32_t room = b->room ? 2 * b->room : 1024;

	if (!resize(&b->ts, room * sizeof(uint64_t)) ||
	    !resize(&b->type, room * sizeof(uint16_t)) || !resize(&b->cpu, room * sizeof(uint32_t)))
		return false;
	b->room = room;
	return true;
}

static bool add_common(struct tape_build *b, const struct ev_head *e)
{
	if (b->n == b->room && !grow_common(b))
		return false;
	memcpy(b->ts.p + b->n * sizeof(e->ts_ns), &e->ts_ns, sizeof(e->ts_ns));
	memcpy(b->type.p + b->n * sizeof(e->type), &e->type, sizeof(e->type));
	memcpy(b->cpu.p + b->n * sizeof(e->cpu), &e->cpu, sizeof(e->cpu));
	b->n++;
	return true;
}

int tape_build_begin_row(struct tape_build *b, const struct ev_head *e, struct rows **ret,
			 struct tape_error *err)
{
	struct rows *r = rows_of(b, e->type);

	if (!r || r->rec->is_table || (e->size != r->size && e->size != r->short_size))
		return tape_fail(err, TAPE_E_CORRUPT, 0,
				 "a record of type %u and %u bytes is not one of this version",
				 e->type, e->size);
	if ((r->n == r->room && !tape_build_grow(r)) || !add_common(b, e))
		return no_memory(err);
	*ret = r;
	return 0;
}

void tape_build_end_row(struct tape_build *b, struct rows *r, const struct ev_head *e)
{
	r->n++;
	b->bytes += e->size;
	if (e->ts_ns < b->ts_min)
		b->ts_min = e->ts_ns;
	if (e->ts_ns > b->ts_max)
		b->ts_max = e->ts_ns;
}

int tape_build_add(struct tape_build *b, const struct ev_head *e, struct tape_error *err)
{
	struct rows *r;
	int rc = tape_build_begin_row(b, e, &r, err);

	if (rc)
		return rc;
	for (unsigned line = 0; line < 3; line++)
		__builtin_prefetch((const uint8_t *)e + AHEAD + 64 * line);
	if (!add_row(b, r, (const uint8_t *)e) || !tape_build_refer(r, (const uint8_t *)e, e->cpu))
		return no_memory(err);
	tape_build_end_row(b, r, e);
	return 0;
}

void tape_build_omit(struct tape_build *b, const struct tape_absent *a)
{
	b->omit = *a;
}

uint32_t tape_build_count(const struct tape_build *b)
{
	return b->n;
}

size_t tape_build_bytes(const struct tape_build *b)
{
	return b->bytes;
}

uint64_t tape_build_first_ts(const struct tape_build *b)
{
	uint64_t ts = 0;

	if (b->n)
		memcpy(&ts, b->ts.p, sizeof(ts));
	return ts;
}

uint64_t tape_build_max_ts(const struct tape_build *b)
{
	return b->ts_max;
}

void tape_build_forget(struct tape_build *b)
{
	for (size_t i = 1; i < b->schema->n_records; i++) {
		struct rows *r = &b->rows[i];

		r->n = 0;
		r->origins.len = 0;
		for (unsigned k = 0; k < r->n_refs; k++)
			memset(r->refs[k].recent, 0, sizeof(r->refs[k].recent));
		memset(r->near, 0, sizeof(r->near));
		if (r->slots)
			memset(r->slots, 0, r->n_slots * sizeof(*r->slots));
	}
	b->turn++;
	b->strings.len = 0;
	b->ts_min = UINT64_MAX;
	b->ts_max = 0;
	b->bytes = b->n = 0;
}

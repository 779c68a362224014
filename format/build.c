// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Collecting the records of a chunk: they are kept as they came, one array a record type. */
#include "build_parts.h"

#include <assert.h>

#define DEFAULT_LEVEL 3

/* ---- layout of the structs: no padding (events.h), so offsets are sums ---- */

static void add_pointer(struct rows *r, size_t offset)
{
	if (r->n_pointers < MAX_NESTED)
		r->pointer[r->n_pointers++] = (uint16_t)offset;
}

static int8_t field_index(const struct rows *r, const char *name)
{
	int i = name ? tape_record_field(r->rec, name) : -1;

	assert(!name || i >= 0);
	return (int8_t)i;
}

static void plan(struct tape_build *b, struct rows *r)
{
	for (unsigned i = 0; i < r->rec->n_fields; i++) {
		const struct tape_field *f = &r->rec->fields[i];
		size_t at = tape_field_offset(r->rec, i);

		r->offset[i] = (uint16_t)at;
		r->guess[i].of = field_index(r, f->guess.of);
		r->guess[i].plus = field_index(r, f->guess.plus);
		r->guess[i].key = field_index(r, f->guess.key);
		if (f->hint == TAPE_POINTER)
			add_pointer(r, at);
		if (f->type == TAPE_STR && r->n_strings < MAX_NESTED)
			r->string[r->n_strings++] = (uint16_t)at;
		if (f->table) {
			struct rows *to = rows_of(b, f->table);

			assert(r->n_refs < MAX_REFS);
			r->ref_field[r->n_refs++] = (uint8_t)i;
			if (!r->ends)
				r->ends = f->type == TAPE_DREF ? to : to->ends;
			for (unsigned k = 0; k < to->n_pointers; k++)
				add_pointer(r, at + to->pointer[k]);
		}
	}
	r->size = tape_record_size(r->rec);
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
	b->rows = calloc(b->schema->n_records, sizeof(*b->rows));
	if (!b->zstd || !b->rows) {
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
		free(b->rows[i].origins.p);
		for (unsigned k = 0; k < MAX_REFS; k++)
			free(b->rows[i].refs[k].p);
	}
	free(b->ts.p);
	free(b->type.p);
	free(b->cpu.p);
	free(b->strings.p);
	free(b->values.p);
	free(b->of.p);
	free(b->plus.p);
	free(b->times.p);
	free(b->keys.p);
	free(b->last.p);
	free(b->body.p);
	free(b->head.p);
	free(b->payload.p);
	free(b->rows);
	ZSTD_freeCCtx(b->zstd);
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

int tape_build_add(struct tape_build *b, const struct ev_head *e, struct tape_error *err)
{
	struct rows *r = rows_of(b, e->type);
	uint8_t *row;

	if (!r || r->rec->is_table || e->size != r->size)
		return tape_fail(err, TAPE_E_CORRUPT, 0,
				 "a record of type %u and %u bytes is not one of this version",
				 e->type, e->size);
	if (!append(&b->ts, &e->ts_ns, sizeof(e->ts_ns)) ||
	    !append(&b->type, &e->type, sizeof(e->type)) ||
	    !append(&b->cpu, &e->cpu, sizeof(e->cpu)) || !append(&r->data, e, r->size))
		return no_memory(err);
	row = r->data.p + r->data.len - r->size;
	for (unsigned i = 0; !b->pointers && i < r->n_pointers; i++)
		memset(row + r->pointer[i], 0, sizeof(uint64_t));
	if (!take_strings(b, r, row))
		return no_memory(err);
	r->n++;
	b->bytes += r->size;
	if (e->ts_ns < b->ts_min)
		b->ts_min = e->ts_ns;
	if (e->ts_ns > b->ts_max)
		b->ts_max = e->ts_ns;
	return 0;
}

uint32_t tape_build_count(const struct tape_build *b)
{
	return (uint32_t)(b->ts.len / sizeof(uint64_t));
}

size_t tape_build_bytes(const struct tape_build *b)
{
	return b->bytes;
}

uint64_t tape_build_first_ts(const struct tape_build *b)
{
	uint64_t ts = 0;

	if (b->ts.len)
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
		r->data.len = r->origins.len = 0;
		r->turn = UINT32_MAX;
		for (unsigned k = 0; k < r->n_refs; k++)
			r->refs[k].len = 0;
		if (r->slots)
			memset(r->slots, 0, r->n_slots * sizeof(*r->slots));
	}
	b->ts.len = b->type.len = b->cpu.len = b->strings.len = 0;
	b->ts_min = UINT64_MAX;
	b->ts_max = 0;
	b->bytes = 0;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rows_parts.h"

#include <stdlib.h>
#include <string.h>

#define TABLE(name, id, meaning)
#define EVENT(name, id, group, meaning)                                                            \
	_Static_assert(sizeof(struct ev_##name) <= MAX_ROW, "MAX_ROW is below ev_" #name);
#define FIELD(type, name, encoding, unit, meaning)
#define END(name)
#define ENUM(unit, value, name)
#include "events.def"

int tape_rows_new(struct tape_rows **ret, struct tape_error *err)
{
	struct tape_rows *r = calloc(1, sizeof(*r));
	const struct tape_schema *s = tape_schema_builtin();
	bool ok = r != NULL;

	if (ok) {
		r->built_in = s;
		r->plans = calloc(s->n_records, sizeof(*r->plans));
		ok = r->plans != NULL;
	}
	for (size_t i = 0; ok && i < s->n_records; i++) {
		struct plan *p = &r->plans[i];

		p->rec = &s->records[i];
		p->size = tape_record_size(p->rec);
		p->parts = calloc(p->rec->n_fields, sizeof(*p->parts));
		p->moves = calloc(p->rec->n_fields, sizeof(*p->moves));
		ok = p->parts && p->moves;
	}
	if (!ok) {
		tape_rows_free(r);
		return tape_fail(err, TAPE_E_NOMEM, 0, "no memory for rows");
	}
	*ret = r;
	return 0;
}

void tape_rows_free(struct tape_rows *r)
{
	if (!r)
		return;
	for (size_t i = 0; r->plans && i < r->built_in->n_records; i++) {
		struct plan *p = &r->plans[i];

		for (unsigned k = 0; p->parts && k < p->rec->n_fields; k++)
			free(p->parts[k].edited.p);
		free(p->parts);
		free(p->moves);
		free(p->moved);
	}
	free(r->plans);
	free(r);
}

/* ---- binding ---- */

static struct plan *plan_of(struct tape_rows *r, unsigned id)
{
	for (size_t i = 1; i < r->built_in->n_records; i++)
		if (r->built_in->records[i].id == id)
			return &r->plans[i];
	return NULL;
}

/* The column of a field of this build, by name and type; TAPE_E_ABSENT if the file has no such. */
static int column(struct tape_rows *r, const struct tape_record *theirs, const struct tape_field *f,
		  struct tape_column *ret, struct tape_error *err)
{
	int at = tape_record_field(theirs, f->name);

	if (at < 0 || theirs->fields[at].type != f->type || theirs->fields[at].table != f->table)
		return TAPE_E_ABSENT;
	return tape_chunk_column(r->chunk, theirs->id, (unsigned)at, ret, err);
}

/* Those of one class are moved by one loop. */
static enum part_class class_of(const struct part *part)
{
	if (part->to)
		return PART_REF;
	switch (part->col.width) {
	case 1: return PART_1;
	case 2: return PART_2;
	case 4: return PART_4;
	case 8: return PART_8;
	case 16: return PART_16;
	default: return PART_STR;
	}
}

static int by_class(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int d = (int)class_of(x) - (int)class_of(y);

	return d ? d : (int)x->field - (int)y->field;
}

static int bind(struct tape_rows *r, struct plan *p, const struct tape_record *theirs,
		struct tape_error *err)
{
	p->n_parts = 0;
	memset(p->n_of, 0, sizeof(p->n_of));
	for (unsigned i = 0; i < p->rec->n_fields; i++) {
		const struct tape_field *f = &p->rec->fields[i];
		struct part *part = &p->parts[p->n_parts];
		int rc = column(r, theirs, f, &part->col, err);

		if (rc == TAPE_E_NOMEM)
			return rc;
		if (rc) {
			if (rc != TAPE_E_ABSENT && rc != TAPE_E_UNKNOWN && !r->n_damaged++)
				r->damage = *err;
			r->n_absent += f->hint != TAPE_POINTER;
			tape_set_absent(&r->absent, p->rec->id, i);
			continue;
		}
		part->field = (uint16_t)i;
		part->offset = (uint16_t)tape_field_offset(p->rec, i);
		part->to = f->table ? plan_of(r, f->table) : NULL;
		p->n_parts++;
	}
	qsort(p->parts, p->n_parts, sizeof(*p->parts), by_class);
	for (unsigned i = 0; i < p->n_parts; i++)
		p->n_of[class_of(&p->parts[i])]++;
	return 0;
}

/*
 * What the file cannot have in a record of which this chunk has none: else each chunk would lack
 * what its events happen to lack.
 */
static void find_absent(struct tape_rows *r, const struct tape_record *rec)
{
	const struct tape_record *theirs = tape_schema_record(r->schema, rec->id);

	if (tape_chunk_rows(r->chunk, rec->id))
		return; /* bind knows */
	for (unsigned i = 0; i < rec->n_fields; i++)
		if ((rec->is_table && rec->fields[i].hint == TAPE_POINTER) ||
		    (theirs && tape_record_field(theirs, rec->fields[i].name) < 0))
			tape_set_absent(&r->absent, rec->id, i);
}

/* Which record of the file is which of this build: the same id and name. */
static int bind_record(struct tape_rows *r, const struct tape_record *theirs,
		       struct tape_error *err)
{
	uint32_t n = tape_chunk_rows(r->chunk, theirs->id);
	struct plan *p = plan_of(r, theirs->id);

	if (!n)
		return 0;
	if (!p || strcmp(p->rec->name, theirs->name) || p->rec->is_table != theirs->is_table) {
		r->n_unknown += theirs->is_table ? 0 : n;
		return 0;
	}
	p->n_rows = n;
	r->by_id[theirs->id] = p;
	return bind(r, p, theirs, err);
}

int tape_rows_begin(struct tape_rows *r, struct tape_chunk *c, const struct tape_schema *schema,
		    struct tape_error *err)
{
	int rc;

	r->chunk = c;
	r->schema = schema;
	r->keep = NULL;
	r->build = NULL;
	r->at = r->n_unknown = r->n_absent = r->n_damaged = 0;
	memset(&r->absent, 0, sizeof(r->absent));
	memset(r->by_id, 0, sizeof(r->by_id));
	for (size_t i = 1; i < r->built_in->n_records; i++)
		find_absent(r, &r->built_in->records[i]);
	for (size_t i = 0; i < r->built_in->n_records; i++)
		r->plans[i].n_rows = r->plans[i].next = r->plans[i].n_parts = 0;
	rc = tape_chunk_column(c, TAPE_COMMON, TAPE_COMMON_TS, &r->ts, err);
	if (!rc)
		rc = tape_chunk_column(c, TAPE_COMMON, TAPE_COMMON_TYPE, &r->type, err);
	if (rc)
		return rc;
	if (tape_chunk_column(c, TAPE_COMMON, TAPE_COMMON_CPU, &r->cpu, err)) {
		r->cpu.n = 0;
		r->n_absent++;
		tape_set_absent(&r->absent, TAPE_COMMON, TAPE_COMMON_CPU);
	}
	for (size_t i = 1; !rc && i < schema->n_records; i++)
		rc = bind_record(r, &schema->records[i], err);
	return rc;
}

/* ---- a row ---- */

static void fill(const struct plan *p, uint32_t row, uint8_t *out);

void tape_rows_fill_ref(const struct part *part, uint32_t row, uint8_t *out)
{
	uint32_t ref = ((const uint32_t *)part->col.values)[row];
	struct ev_flow flow;

	if (!ref)
		return;
	ref--;
	if (part->col.type == TAPE_REF) {
		fill(part->to, ref, out);
		return;
	}
	fill(part->to, ref >> 1, out);
	if (ref & 1) { /* swapped: only flows have ends */
		memcpy(&flow, out, sizeof(flow));
		flow = (struct ev_flow){flow.raddr, flow.laddr, flow.rport, flow.lport};
		memcpy(out, &flow, sizeof(flow));
	}
}

/* References were checked when their column was decoded. */
static void fill(const struct plan *p, uint32_t row, uint8_t *out)
{
	for (unsigned i = 0; i < p->n_parts; i++) {
		const struct part *part = &p->parts[i];
		const uint8_t *values = part->col.values;
		uint8_t *to = out + part->offset;

		if (part->to) {
			tape_rows_fill_ref(part, row, to);
			continue;
		}
		switch (part->col.width) {
		case 1: *to = values[row]; break;
		case 2: memcpy(to, values + 2 * (size_t)row, 2); break;
		case 4: memcpy(to, values + 4 * (size_t)row, 4); break;
		case 8: memcpy(to, values + 8 * (size_t)row, 8); break;
		case 16: memcpy(to, values + 16 * (size_t)row, 16); break;
		default: {
			const uint32_t *start = part->col.str_start + row;
			struct ev_str s = {(const char *)values + start[0], start[1] - start[0]};

			memcpy(to, &s, sizeof(s));
		}
		}
	}
}

void tape_rows_keep(struct tape_rows *r, const uint8_t *keep)
{
	r->keep = keep;
}

int tape_rows_peek(struct tape_rows *r, uint64_t *ret_ns)
{
	if (!tape_rows_find(r))
		return 0;
	*ret_ns = tape_column_get(&r->ts, r->at);
	return 1;
}

int tape_rows_next(struct tape_rows *r, const struct ev_head **ret)
{
	struct plan *p = tape_rows_find(r);

	if (!p)
		return 0;
	memset(r->row.bytes, 0, p->size);
	fill(p, p->next++, r->row.bytes);
	tape_rows_head(r, p, &r->row.head);
	r->at++;
	*ret = &r->row.head;
	return 1;
}

/* ---- edited columns ---- */

static bool edit(const struct tape_rows_edit *e, const struct tape_record *rec, unsigned field,
		 struct tape_column *col, struct buffer *room)
{
	size_t len = (size_t)col->n * col->width;

	if (!e->wants(e->ctx, rec, field))
		return true;
	room->len = 0;
	if (!append(room, col->values, len))
		return false;
	e->edit(e->ctx, rec, field, room->p, col->n);
	col->values = room->p;
	return true;
}

int tape_rows_edit(struct tape_rows *r, const struct tape_rows_edit *e, struct tape_error *err)
{
	const struct plan *all = &r->plans[0];
	bool ok = edit(e, all->rec, TAPE_COMMON_TS, &r->ts, &all->parts[TAPE_COMMON_TS].edited);

	if (ok && r->cpu.n)
		ok = edit(e, all->rec, TAPE_COMMON_CPU, &r->cpu,
			  &all->parts[TAPE_COMMON_CPU].edited);
	for (size_t i = 1; i < r->built_in->n_records; i++) {
		struct plan *p = &r->plans[i];

		for (unsigned k = 0; ok && p->n_rows && k < p->n_parts; k++)
			if (p->parts[k].col.width && !p->parts[k].to)
				ok = edit(e, p->rec, p->parts[k].field, &p->parts[k].col,
					  &p->parts[k].edited);
	}
	return ok ? 0 : tape_fail(err, TAPE_E_NOMEM, 0, "no memory for rows");
}

/* ---- what was found ---- */

bool tape_rows_is_snapshot(const struct tape_rows *r)
{
	return tape_chunk_is_snapshot(r->chunk);
}

uint32_t tape_rows_unknown(const struct tape_rows *r)
{
	return r->n_unknown;
}

uint32_t tape_rows_absent(const struct tape_rows *r)
{
	return r->n_absent;
}

uint32_t tape_rows_damaged(const struct tape_rows *r, struct tape_error *ret)
{
	if (r->n_damaged)
		*ret = r->damage;
	return r->n_damaged;
}

const struct tape_absent *tape_rows_absent_fields(const struct tape_rows *r)
{
	return &r->absent;
}

static bool same_field(const struct tape_field *a, const struct tape_field *b)
{
	return !strcmp(a->name, b->name) && a->type == b->type && a->table == b->table;
}

bool tape_rows_fits(const struct tape_schema *schema)
{
	for (size_t i = 0; i < schema->n_records; i++) {
		const struct tape_record *a = &schema->records[i];
		const struct tape_record *b = tape_schema_record(tape_schema_builtin(), a->id);

		if (b && (strcmp(a->name, b->name) || a->is_table != b->is_table))
			return false;
		for (unsigned k = 0; b && k < a->n_fields && k < b->n_fields; k++)
			if (!same_field(&a->fields[k], &b->fields[k]))
				return false;
	}
	return true;
}

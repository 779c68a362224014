// SPDX-License-Identifier: GPL-2.0-or-later
#include "record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outcome.h"

#define MAX_DEPTH 4 /* of tables that refer to tables */

/* ---- the schema ---- */

/* The first field that refers to a table of that name; -1 none. */
static int ref_field(const struct tape_schema *s, const struct tape_record *rec, const char *table)
{
	for (int i = 0; i < rec->n_fields; i++) {
		const struct tape_record *to = rec->fields[i].type == TAPE_REF
						       ? tape_schema_record(s, rec->fields[i].table)
						       : NULL;

		if (to && !strcmp(to->name, table))
			return i;
	}
	return -1;
}

static int init_record(struct record_set *s, struct record *r, const struct tape_record *rec)
{
	r->rec = rec;
	if (rec->id < RECORD_NEAR)
		s->near[rec->id] = r;
	r->fields = calloc(rec->n_fields + 1u, sizeof(*r->fields));
	if (!r->fields)
		return -1;
	r->sock_field = ref_field(s->schema, rec, "sock");
	r->task_field = ref_field(s->schema, rec, "task");
	r->packet_field = ref_field(s->schema, rec, "packet");
	r->daddr_field = tape_record_field(rec, "daddr");
	r->dport_field = tape_record_field(rec, "dport");
	if (r->daddr_field >= 0 && rec->fields[r->daddr_field].type != TAPE_ADDR)
		r->daddr_field = -1;
	r->flow_field = rec->is_table ? -1 : tape_record_field(rec, "flow");
	if (r->flow_field >= 0 && rec->fields[r->flow_field].type != TAPE_DREF)
		r->flow_field = -1;
	for (unsigned i = 0; i < rec->n_fields; i++) {
		struct record_field *f = &r->fields[i];

		f->f = &rec->fields[i];
		f->is_cookie = !strcmp(f->f->unit, "cookie");
		f->is_hex = f->f->hint == TAPE_POINTER;
		f->is_errno = !strcmp(f->f->unit, "errno");
	}
	return 0;
}

int record_set_init(struct record_set *s, const struct tape_schema *schema)
{
	int rc = 0;

	*s = (struct record_set){.schema = schema};
	s->records = calloc(schema->n_records + 1, sizeof(*s->records));
	for (size_t i = 0; s->records && !rc && i < schema->n_records; i++)
		rc = init_record(s, &s->records[i], &schema->records[i]);
	return s->records ? rc : -1;
}

void record_set_fini(struct record_set *s)
{
	for (size_t i = 0; s->records && i < s->schema->n_records; i++) {
		struct record *r = &s->records[i];

		for (unsigned k = 0; r->fields && k < r->rec->n_fields; k++)
			names_fini(&r->fields[k].names);
		free(r->fields);
	}
	free(s->records);
	s->records = NULL;
}

struct record *record_by_id(const struct record_set *s, unsigned id)
{
	if (id < RECORD_NEAR)
		return s->near[id];
	for (size_t i = 0; i < s->schema->n_records; i++)
		if (s->schema->records[i].id == id)
			return &s->records[i];
	return NULL;
}

/* ---- a chunk ---- */

/* Only for columns that occur: a hostile schema may have many fields and many names. */
static int find_names(const struct record_set *s, struct record_field *f)
{
	if (f->has_asked_names)
		return 0;
	f->has_asked_names = true;
	return names_init(&f->names, s->schema, f->f->unit);
}

void record_set_ready(struct record_set *s)
{
	/* a table refers only to tables before it, so one pass from the end finds all */
	for (size_t i = s->schema->n_records; i-- > 0;) {
		const struct tape_record *rec = s->schema->records + i;

		for (unsigned k = 0; s->records[i].on && k < rec->n_fields; k++)
			if (rec->fields[k].table)
				record_by_id(s, rec->fields[k].table)->on = true;
	}
	s->records[0].on = true; /* the columns of all events */
}

bool record_set_wants(const struct record_set *s, const struct tape_chunk *chunk)
{
	for (size_t i = 0; i < s->schema->n_records; i++)
		if (s->records[i].on && !s->records[i].rec->is_table &&
		    tape_chunk_rows(chunk, s->records[i].rec->id))
			return true;
	return false;
}

int record_set_decode(const struct record_set *s, struct tape_chunk *chunk, struct tape_error *err)
{
	struct tape_column col;
	int damaged = 0;

	for (size_t i = 0; i < s->schema->n_records; i++) {
		const struct record *r = &s->records[i];
		uint32_t n_rows = tape_chunk_rows(chunk, r->rec->id);

		for (unsigned k = 0; r->on && n_rows && k < r->rec->n_fields; k++) {
			int rc = bind_column(chunk, r->rec->id, k, &col, err);

			if (rc == TAPE_E_NOMEM)
				return rc;
			damaged = rc < 0 ? rc : damaged;
		}
	}
	return damaged;
}

int record_set_load(struct record_set *s, struct tape_chunk *chunk)
{
	for (size_t i = 0; i < s->schema->n_records; i++) {
		struct record *r = &s->records[i];

		r->n_rows = tape_chunk_rows(chunk, r->rec->id);
		r->next = 0;
		for (unsigned k = 0; k < r->rec->n_fields; k++) {
			struct record_field *f = &r->fields[k];
			int rc = 0;

			if (r->n_rows && r->on)
				rc = bind_column(chunk, r->rec->id, k, &f->col, NULL);
			f->have = rc > 0 && f->col.n >= r->n_rows;
			if (rc == TAPE_E_NOMEM || (f->have && find_names(s, f)))
				return TAPE_E_NOMEM;
		}
	}
	return 0;
}

uint32_t record_set_n_events(const struct record_set *s)
{
	const struct record *common = &s->records[0];

	return common->fields[TAPE_COMMON_TS].have && common->fields[TAPE_COMMON_TYPE].have
		       ? common->n_rows
		       : 0;
}

struct record *record_set_event(const struct record_set *s, uint32_t i, uint32_t *ret_k)
{
	struct record *r =
		record_by_id(s, (unsigned)record_get(&s->records[0], TAPE_COMMON_TYPE, i));

	*ret_k = r ? r->next++ : 0;
	return r;
}

uint64_t record_get(const struct record *r, int field, uint32_t k)
{
	if (field < 0 || !r->fields[field].have || r->fields[field].f->type == TAPE_STR ||
	    r->fields[field].col.width > 8)
		return 0;
	return tape_column_get(&r->fields[field].col, k);
}

const uint8_t *record_addr(const struct record *r, int field, uint32_t k)
{
	if (field < 0 || !r->fields[field].have)
		return NULL;
	return (const uint8_t *)r->fields[field].col.values + (size_t)k * FLOW_ADDR_LEN;
}

/* ---- values ---- */

static const char *bytes_of(const struct record_field *f, uint32_t k, size_t *len)
{
	const char *p = f->col.values;

	switch (f->f->type) {
	case TAPE_STR:
		*len = f->col.str_start[k + 1] - f->col.str_start[k];
		return p + f->col.str_start[k];
	case TAPE_COMM:
		p += (size_t)k * EV_COMM_LEN;
		*len = strnlen(p, EV_COMM_LEN);
		return p;
	default: *len = FLOW_ADDR_LEN; return p + (size_t)k * FLOW_ADDR_LEN;
	}
}

unsigned record_other_end(const struct tape_record *rec, unsigned field)
{
	const struct tape_field *f = &rec->fields[field];
	char c = f->name[0] == 'l' ? 'r' : f->name[0] == 'r' ? 'l' : 0;

	for (unsigned i = 0; c && i < rec->n_fields; i++)
		if (rec->fields[i].name[0] == c && !strcmp(rec->fields[i].name + 1, f->name + 1) &&
		    rec->fields[i].type == f->type)
			return i;
	return field;
}

static const struct record_field *other_end(const struct record *r, const struct record_field *f)
{
	const struct record_field *other =
		&r->fields[record_other_end(r->rec, (unsigned)(f - r->fields))];

	return other->have ? other : f;
}

/* What a reference points at. */
static const struct record *target(const struct record_set *d, const struct record_field *f,
				   uint64_t ref, uint32_t *row, bool *swapped)
{
	const struct record *r = ref ? record_by_id(d, f->f->table) : NULL;
	uint64_t at = f->f->type == TAPE_DREF ? (ref - 1) >> 1 : ref - 1;

	*swapped = f->f->type == TAPE_DREF && ((ref - 1) & 1);
	*row = (uint32_t)at;
	return r && at < r->n_rows ? r : NULL;
}

static void json_record(const struct record_set *d, struct json *j, const struct record *r,
			uint32_t k, bool swapped, unsigned depth);

static void json_value(const struct record_set *d, struct json *j, const char *key,
		       const struct record_field *f, uint32_t k, unsigned depth)
{
	const struct record *to;
	char text[FLOW_TEXT_LEN], cookie[COOKIE_TEXT_LEN];
	const char *s;
	bool swapped;
	uint32_t row;
	uint64_t v;
	size_t len;

	switch (f->f->type) {
	case TAPE_STR:
	case TAPE_COMM:
		s = bytes_of(f, k, &len);
		json_str(j, key, s, len);
		return;
	case TAPE_ADDR:
		flow_addr_text((const uint8_t *)bytes_of(f, k, &len), text);
		json_str(j, key, text, strlen(text));
		return;
	case TAPE_REF:
	case TAPE_DREF:
		to = target(d, f, tape_column_get(&f->col, k), &row, &swapped);
		if (!to || depth == MAX_DEPTH) {
			json_null(j, key);
			return;
		}
		if (f->f->type == TAPE_REF)
			json_open(j, key, '{');
		json_record(d, j, to, row, swapped, depth + 1);
		if (f->f->type == TAPE_REF) /* a flow is part of what refers to it */
			json_close(j, '}');
		return;
	default: break;
	}
	v = tape_column_get(&f->col, k);
	s = names_get(&f->names, v);
	if (s) {
		json_str(j, key, s, strlen(s));
	} else if (f->is_cookie) {
		cookie_text(v, cookie);
		json_str(j, key, cookie, strlen(cookie));
	} else if (f->is_hex) {
		json_str(j, key, text, (size_t)snprintf(text, sizeof(text), "0x%" PRIx64, v));
	} else if (f->f->type == TAPE_I32 || f->f->type == TAPE_I64) {
		json_i64(j, key, (int64_t)v);
	} else {
		json_u64(j, key, v);
	}
}

static void json_record(const struct record_set *d, struct json *j, const struct record *r,
			uint32_t k, bool swapped, unsigned depth)
{
	for (unsigned i = 0; i < r->rec->n_fields; i++) {
		const struct record_field *f = &r->fields[i];

		if (f->have)
			json_value(d, j, f->f->name, swapped ? other_end(r, f) : f, k, depth);
	}
}

static void text_record(const struct record_set *d, struct text *t, const struct record *r,
			uint32_t k, bool swapped, unsigned depth);

static void text_value(const struct record_set *d, struct text *t, const struct record_field *f,
		       uint32_t k, unsigned depth)
{
	const struct record *to;
	char text[FLOW_TEXT_LEN], cookie[COOKIE_TEXT_LEN];
	const char *s;
	bool swapped;
	uint32_t row;
	uint64_t v;
	size_t len;

	switch (f->f->type) {
	case TAPE_STR:
	case TAPE_COMM:
		s = bytes_of(f, k, &len);
		text_putc(t, '"');
		text_safe(t, s, len);
		text_putc(t, '"');
		return;
	case TAPE_ADDR:
		text_puts(t, flow_addr_text((const uint8_t *)bytes_of(f, k, &len), text));
		return;
	case TAPE_REF:
	case TAPE_DREF:
		to = target(d, f, tape_column_get(&f->col, k), &row, &swapped);
		if (!to || depth == MAX_DEPTH) {
			text_putc(t, '-');
			return;
		}
		text_putc(t, '{');
		text_record(d, t, to, row, swapped, depth + 1);
		text_putc(t, '}');
		return;
	default: break;
	}
	v = tape_column_get(&f->col, k);
	s = names_get(&f->names, v);
	if (s)
		text_safe(t, s, strlen(s));
	else if (f->is_cookie)
		text_puts(t, cookie_text(v, cookie));
	else if (f->is_hex)
		text_fmt(t, "0x%" PRIx64, v);
	else if (f->f->type == TAPE_I32 || f->f->type == TAPE_I64)
		text_fmt(t, "%" PRId64, (int64_t)v);
	else
		text_u64(t, v);
	if (v && f->is_errno && outcome_errno((unsigned)v))
		text_fmt(t, "(%s)", outcome_errno((unsigned)v));
}

/* field=value, but for the socket and the task of an event, which stand in front. */
static void text_record(const struct record_set *d, struct text *t, const struct record *r,
			uint32_t k, bool swapped, unsigned depth)
{
	bool first = true;

	for (unsigned i = 0; i < r->rec->n_fields; i++) {
		const struct record_field *f = &r->fields[i];

		if (!f->have || (!depth && ((int)i == r->sock_field || (int)i == r->task_field)))
			continue;
		if (!first)
			text_putc(t, ' ');
		first = false;
		text_safe(t, f->f->name, strlen(f->f->name));
		text_putc(t, '=');
		text_value(d, t, swapped ? other_end(r, f) : f, k, depth);
	}
}

void record_value(const struct record_set *s, struct text *t, const struct record *r,
		  unsigned field, uint32_t k)
{
	if (r->fields[field].have)
		text_value(s, t, &r->fields[field], k, 0);
	else
		text_putc(t, '-');
}

void record_json(const struct record_set *s, struct json *j, const struct record *r, uint32_t k)
{
	json_record(s, j, r, k, false, 0);
}

void record_text(const struct record_set *s, struct text *t, const struct record *r, uint32_t k)
{
	text_record(s, t, r, k, false, 0);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "flat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "record.h"
#include "text.h"

/* ---- columns ---- */

/* Letters of either case are alike, as in SQL. The columns of all events have these names. */
static bool is_taken(const struct flat *f, const char *name)
{
	static const char *const common[] = {"time", "time_s", "ts_ns", "cpu"};

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		if (!strcasecmp(common[i], name))
			return true;
	for (unsigned i = 0; i < f->n; i++)
		if (!strcasecmp(f->columns[i].name, name))
			return true;
	return false;
}

static enum flat_kind kind_of(const struct tape_schema *schema, const struct tape_field *f)
{
	if (f->type == TAPE_ADDR)
		return FLAT_ADDR;
	if (f->type == TAPE_COMM || f->type == TAPE_STR)
		return FLAT_TEXT;
	if (!strcmp(f->unit, "cookie"))
		return FLAT_COOKIE;
	for (size_t i = 0; i < schema->n_names; i++)
		if (!strcmp(schema->names[i].unit, f->unit))
			return FLAT_NAMED;
	return FLAT_NUMBER;
}

/* Where the columns of a record are looked for: the references that lead to it. */
struct way {
	const struct tape_schema *schema;
	const struct tape_record *rec;
	char prefix[64]; /* name of the first reference; "": none */
	bool is_plain;	 /* its fields keep their names */
	struct flat_column like;
};

/* Its name, or false: there is none left. */
static bool name_column(const struct flat *flat, const struct way *w, const struct tape_field *f,
			char *ret)
{
	bool is_cookie = w->is_plain && w->prefix[0] && !strcmp(f->unit, "cookie");
	const char *name = is_cookie ? "conn" : f->name;

	snprintf(ret, FLAT_NAME_LEN, "%s", name);
	if (w->is_plain && !is_taken(flat, ret))
		return true;
	snprintf(ret, FLAT_NAME_LEN, "%s_%s", w->prefix[0] ? w->prefix : w->rec->name, f->name);
	return !is_taken(flat, ret);
}

static int add_column(struct flat *flat, const struct way *w, uint16_t field)
{
	const struct tape_field *f = &w->rec->fields[field];
	struct flat_column *c = &flat->columns[flat->n];

	*c = w->like;
	if (f->hint == TAPE_POINTER) /* of the kernel that recorded: nobody joins by it */
		return 0;
	if (f->type >= TAPE_TYPE_UNKNOWN || !name_column(flat, w, f, c->name)) {
		flat->n_left_out++;
		return 0;
	}
	c->kind = kind_of(w->schema, f);
	c->f = f;
	c->value.record = c->other_end.record = w->rec->id;
	c->value.field = field;
	c->other_end.field = (uint16_t)record_other_end(w->rec, field);
	c->is_signed = f->type == TAPE_I32 || f->type == TAPE_I64;
	flat->n++;
	return c->kind == FLAT_NAMED ? names_init(&c->names, w->schema, f->unit) : 0;
}

/* What a reference leads to. The first socket and thread are those that the event is about. */
static struct way follow(const struct way *from, uint16_t field, const struct tape_record *to)
{
	const struct tape_field *f = &from->rec->fields[field];
	bool is_main = !strcmp(f->name, to->name) || (from->is_plain && f->type == TAPE_DREF);
	struct way w = {.schema = from->schema, .rec = to, .like = from->like};

	w.is_plain = from->is_plain && is_main && strcmp(to->name, "packet") != 0;
	snprintf(w.prefix, sizeof(w.prefix), "%s", from->prefix[0] ? from->prefix : f->name);
	w.like.hops[w.like.n_hops].record = from->rec->id;
	w.like.hops[w.like.n_hops].field = field;
	w.like.is_directed[w.like.n_hops] = f->type == TAPE_DREF;
	w.like.n_hops++;
	return w;
}

/* Its own fields first: they keep their names. */
static int add_record(struct flat *flat, const struct way *w)
{
	for (uint16_t i = 0; i < w->rec->n_fields; i++) {
		if (w->rec->fields[i].table)
			continue;
		if (flat->n == FLAT_MAX_COLUMNS)
			flat->n_left_out++;
		else if (add_column(flat, w, i))
			return -1;
	}
	for (uint16_t i = 0; i < w->rec->n_fields; i++) {
		uint16_t table = w->rec->fields[i].table;
		const struct tape_record *to = table ? tape_schema_record(w->schema, table) : NULL;
		struct way on;

		flat->n_left_out += table && (!to || w->like.n_hops == FLAT_MAX_HOPS);
		if (!to || w->like.n_hops == FLAT_MAX_HOPS)
			continue;
		on = follow(w, i, to);
		if (add_record(flat, &on))
			return -1;
	}
	return 0;
}

int flat_init(struct flat *f, const struct tape_schema *schema, const struct tape_record *rec)
{
	struct way w = {.schema = schema, .rec = rec, .is_plain = true};

	*f = (struct flat){.rec = rec};
	f->columns = calloc(FLAT_MAX_COLUMNS, sizeof(*f->columns));
	return f->columns ? add_record(f, &w) : -1;
}

void flat_fini(struct flat *f)
{
	for (unsigned i = 0; i < f->n; i++)
		names_fini(&f->columns[i].names);
	free(f->columns);
	*f = (struct flat){0};
}

/* ---- rows ---- */

int flat_load(struct flat_data *d, const struct flat_column *c, struct tape_chunk *chunk,
	      uint16_t record, struct tape_error *err)
{
	int rc = 1;

	d->have = false;
	d->n[0] = tape_chunk_rows(chunk, record);
	for (unsigned i = 0; rc > 0 && i < c->n_hops; i++) {
		uint16_t to = i + 1 < c->n_hops ? c->hops[i + 1].record : c->value.record;

		rc = bind_column(chunk, c->hops[i].record, c->hops[i].field, &d->hops[i], err);
		d->n[i + 1] = tape_chunk_rows(chunk, to);
	}
	if (rc > 0)
		rc = bind_column(chunk, c->value.record, c->value.field, &d->value, err);
	if (rc > 0)
		rc = bind_column(chunk, c->other_end.record, c->other_end.field, &d->other_end,
				 err);
	d->have = rc > 0;
	return rc < 0 ? rc : 0;
}

static void take_text(const struct flat_column *c, const struct tape_column *col, uint64_t row,
		      struct flat_value *ret)
{
	const char *bytes = col->values;

	ret->is = FLAT_IS_TEXT;
	switch (c->f->type) {
	case TAPE_ADDR:
		ret->s = flow_addr_text((const uint8_t *)bytes + row * FLOW_ADDR_LEN, ret->room);
		ret->len = strlen(ret->s);
		break;
	case TAPE_COMM:
		ret->s = bytes + row * EV_COMM_LEN;
		ret->len = strnlen(ret->s, EV_COMM_LEN);
		break;
	default:
		ret->s = bytes + col->str_start[row];
		ret->len = col->str_start[row + 1] - col->str_start[row];
	}
}

static void take_name(const struct flat_column *c, struct flat_value *ret)
{
	const char *s = c->kind == FLAT_NAMED ? names_get(&c->names, ret->v) : NULL;

	if (c->kind == FLAT_COOKIE && ret->v)
		s = cookie_text(ret->v, ret->room);
	else if (c->kind == FLAT_COOKIE)
		ret->is = FLAT_IS_NULL; /* not known */
	if (!s)
		return;
	ret->is = FLAT_IS_TEXT;
	ret->s = s;
	ret->len = strlen(s);
}

int64_t flat_find(const struct flat_column *c, const struct flat_data *d, uint32_t k,
		  const struct tape_column **ret_col)
{
	uint64_t row = k;

	*ret_col = &d->value;
	for (unsigned i = 0; d->have && i < c->n_hops; i++) {
		if (row >= d->n[i] || row >= d->hops[i].n)
			return -1;
		row = tape_column_get(&d->hops[i], (uint32_t)row);
		if (!row--)
			return -1;
		if (c->is_directed[i]) {
			*ret_col = row & 1 ? &d->other_end : &d->value;
			row >>= 1;
		}
	}
	return d->have && row < d->n[c->n_hops] && row < (*ret_col)->n ? (int64_t)row : -1;
}

static bool is_same_way(const struct flat_column *a, const struct flat_column *b)
{
	return a->n_hops == b->n_hops && !memcmp(a->hops, b->hops, a->n_hops * sizeof(*a->hops));
}

/* Along one reference: each place, as flat_places tells them, becomes that in the table behind. */
static void follow_all(const struct flat_data *d, unsigned hop, bool directed, uint32_t *at,
		       uint32_t n)
{
	const uint32_t *refs = d->hops[hop].values; /* references are of width 4, and checked */

	for (uint32_t i = 0; i < n; i++) {
		uint32_t ref = at[i] ? refs[(at[i] - 1) >> 1] : 0;

		at[i] = !ref ? 0 : directed ? ref : 2 * (ref - 1) + 1;
	}
}

bool flat_places(const struct flat_column *c, const struct flat_data *d,
		 const struct flat_column *before, const uint32_t *rows, uint32_t n, uint32_t *at)
{
	uint32_t have = d->n[c->n_hops];

	if (!d->have || d->value.n < have || d->other_end.n < have)
		return false;
	for (unsigned hop = 0; hop < c->n_hops; hop++)
		if (d->hops[hop].n < d->n[hop])
			return false;
	if (before && is_same_way(before, c))
		return true;
	for (uint32_t i = 0; i < n; i++)
		at[i] = 2 * rows[i] + 1;
	for (unsigned hop = 0; hop < c->n_hops; hop++)
		follow_all(d, hop, c->is_directed[hop], at, n);
	return true;
}

void flat_take(const struct flat_column *c, const struct tape_column *col, int64_t row,
	       struct flat_value *ret)
{
	if (row < 0) {
		ret->is = FLAT_IS_NULL;
	} else if (c->kind == FLAT_ADDR || c->kind == FLAT_TEXT) {
		take_text(c, col, (uint64_t)row, ret);
	} else {
		ret->is = c->is_signed ? FLAT_IS_INT : FLAT_IS_UINT;
		ret->v = tape_column_get(col, (uint32_t)row);
		if (c->kind != FLAT_NUMBER)
			take_name(c, ret);
	}
}

void flat_get(const struct flat_column *c, const struct flat_data *d, uint32_t k,
	      struct flat_value *ret)
{
	const struct tape_column *col;
	int64_t row = flat_find(c, d, k, &col);

	flat_take(c, col, row, ret);
}

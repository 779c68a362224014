// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Undoing the transforms that need other columns of the chunk. Those are decoded, and with that
 * checked, before any of the room in struct tape_chunk is used: they use it too.
 */
#include "chunk_parts.h"

#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "predict.h"

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
	/* A table without rows has no columns: all references to it are 0. */
	rc = tape_chunk_rows(c, to->id) ? tape_chunk_column(c, to->id, (unsigned)first, &ends, err)
					: 0;
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

	if (col->rec->is_table)
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

static int unsmooth(struct tape_chunk *c, struct tape_guess g, const struct keys *k,
		    struct tape_column *values, struct tape_error *err)
{
	size_t len = 2 * k->n * sizeof(uint32_t);

	if (k->streams || values->width != sizeof(uint32_t))
		return corrupt(c, err, "a column is predicted in a way that does not fit it");
	g.last = scratch(&c->last, len);
	if (!g.last)
		return no_memory(c, err);
	memset(g.last, 0, len);
	tape_unsmooth((uint32_t *)(uintptr_t)values->values, values->n, &g);
	return 0;
}

/* Undo ROW, LAST, CROSS, SAME and SMOOTH: decode what the column is predicted from, then the
 * column. */
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
	if ((same || col->transform == TAPE_T_CROSS) && !k.streams)
		return corrupt(c, err, "a column is predicted in a way that does not fit it");
	g.keys = k.v;
	if (same)
		return unsame(c, &k, values, err);
	if (col->transform == TAPE_T_SMOOTH)
		return unsmooth(c, g, &k, values, err);
	if (col->transform == TAPE_T_ROW)
		tape_unpredict(TAPE_T_ROW, (void *)(uintptr_t)values->values, values->n,
			       values->width, &g);
	else if (k.streams)
		return undo_stream(c, col, g, &k, values, err);
	else
		return undo_by_row(c, col, g, &k, values, err);
	return 0;
}

int tape_chunk_undo(struct tape_chunk *c, const struct column *col, struct tape_column *values,
		    struct tape_error *err)
{
	const struct tape_record *rec = col->rec;

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
	case TAPE_T_SAME:
	case TAPE_T_SMOOTH: return unpredict(c, col, rec, values, err);
	default: return 0;
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SQLite's virtual tables over a trace. A cursor reads the file by itself: chunk after chunk of its
 * event, columns when a statement first asks a chunk for them. What a statement says of the time
 * keeps it from reading the other chunks.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "flat.h"
#include "pick.h"
#include "sqltab_parts.h"

#define NS_PER_S 1e9

struct event_table {
	sqlite3_vtab base; /* first: SQLite's */
	struct sqltab *t;
	struct flat flat;
	size_t record; /* its place in the schema */
};

enum { COL_TIME, COL_TIME_S, COL_TS_NS, COL_CPU, COL_FLAT };

struct cursor {
	sqlite3_vtab_cursor base; /* first: SQLite's */
	struct input *in;
	struct tape_chunk *chunk;
	uint32_t k, n;	       /* row of the chunk, and how many there are */
	sqlite3_int64 n_taken; /* rows of chunks before */
	bool at_end;
	uint64_t from_ns, to_ns;

	/* of the chunk, once they were asked for */
	struct flat_data *data; /* a column each */
	bool *has_data, has_events;
	uint32_t *event, room; /* which event of the chunk a row is */
	struct tape_column ts, type, cpu;
	bool has_cpu;

	/* where the user's options choose */
	bool picks;
	struct record_set set;
	struct bind_tables tables;
};

static struct event_table *table_of(const struct cursor *c)
{
	return (struct event_table *)c->base.pVtab;
}

/* SQLite keeps a text of its own; run->fail has the first one, and the exit status. */
static int sql_fail(struct cursor *c, const struct fail *fail)
{
	struct event_table *e = table_of(c);

	if (!e->t->failed)
		*e->t->run->fail = *fail;
	e->t->failed = true;
	sqlite3_free(e->base.zErrMsg);
	e->base.zErrMsg = sqlite3_mprintf("%s", fail->text);
	return SQLITE_ERROR;
}

static int sql_nomem(struct cursor *c)
{
	struct fail fail = {0};

	fail_nomem(&fail);
	return sql_fail(c, &fail);
}

static void damaged(struct cursor *c, int rc, const struct tape_error *err)
{
	if (rc < 0)
		input_damaged(c->in, err);
}

/* ---- rows of a chunk ---- */

static int common_column(struct cursor *c, unsigned field, struct tape_column *ret)
{
	struct tape_error err;
	int rc = bind_column(c->chunk, TAPE_COMMON, field, ret, &err);

	damaged(c, rc, &err);
	return rc;
}

/* Which of the chunk's events the rows are; a chunk that does not tell has no rows. */
static int find_events(struct cursor *c)
{
	uint16_t id = table_of(c)->flat.rec->id;
	uint32_t n = 0;

	c->has_events = true;
	c->has_cpu = common_column(c, TAPE_COMMON_CPU, &c->cpu) > 0;
	if (common_column(c, TAPE_COMMON_TS, &c->ts) <= 0 ||
	    common_column(c, TAPE_COMMON_TYPE, &c->type) <= 0) {
		c->n = 0;
		return SQLITE_OK;
	}
	if (c->n > c->room) {
		uint32_t *more = realloc(c->event, c->n * sizeof(*more));

		if (!more)
			return sql_nomem(c);
		c->event = more;
		c->room = c->n;
	}
	for (uint32_t i = 0; i < c->ts.n && i < c->type.n && n < c->n; i++)
		if (tape_column_get(&c->type, i) == id)
			c->event[n++] = i;
	c->n = n;
	return SQLITE_OK;
}

static uint64_t row_ns(const struct cursor *c)
{
	return tape_column_get(&c->ts, c->event[c->k]);
}

/* Rows that the user's options leave out are passed over. */
static void pass_unwanted(struct cursor *c)
{
	struct record *r = c->picks ? &c->set.records[table_of(c)->record] : NULL;
	struct picked who;

	for (; c->k < c->n; c->k++) {
		uint64_t ns = row_ns(c);

		if (r ? pick(c->in, r, c->k, ns, &c->tables, &who)
		      : ns >= input_from(c->in) && ns <= input_to(c->in))
			return;
	}
}

static int begin_chunk(struct cursor *c)
{
	struct event_table *e = table_of(c);
	struct fail fail = {0};
	int rc;

	c->n_taken += c->n;
	c->k = 0;
	c->n = tape_chunk_rows(c->chunk, e->flat.rec->id);
	memset(c->has_data, 0, e->flat.n * sizeof(*c->has_data));
	c->has_events = false;
	input_reached(c->in, tape_chunk_head(c->chunk)->ts_max);
	if (!c->n || !(c->picks || input_has_window(c->in)))
		return SQLITE_OK;
	rc = find_events(c);
	if (rc || !c->picks)
		return rc;
	rc = input_tables(c->in, c->chunk, &c->tables, &fail);
	if (rc)
		return fail.status ? sql_fail(c, &fail) : (c->n = 0, SQLITE_OK);
	return record_set_load(&c->set, c->chunk) < 0 ? sql_nomem(c) : SQLITE_OK;
}

/* To a row, if the one in hand is none: through the chunks that come. */
static int settle(struct cursor *c)
{
	struct tape_error err;
	struct fail fail;
	int rc = SQLITE_OK;

	for (;;) {
		int more;

		if (c->k < c->n && (c->picks || input_has_window(c->in)))
			pass_unwanted(c);
		if (c->k < c->n)
			return SQLITE_OK;
		more = tape_reader_next(input_reader(c->in), &c->chunk, &err);
		if (more < 0) {
			fail_tape(&fail, table_of(c)->t->run->path, &err);
			return sql_fail(c, &fail);
		}
		if (!more) {
			c->at_end = true;
			return SQLITE_OK;
		}
		rc = begin_chunk(c);
		if (rc)
			return rc;
	}
}

/* ---- cursors, as SQLite calls them ---- */

static int cursor_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret)
{
	struct event_table *e = (struct event_table *)table;
	struct cursor *c = calloc(1, sizeof(*c));
	struct fail fail = {0};

	if (!c)
		return SQLITE_NOMEM;
	c->base.pVtab = table;
	c->data = calloc(e->flat.n + 1, sizeof(*c->data));
	c->has_data = calloc(e->flat.n + 1, sizeof(*c->has_data));
	*ret = &c->base;
	if (!c->data || !c->has_data)
		return sql_nomem(c);
	if (input_open(&c->in, e->t->run->path, e->t->run->input_opts, e->t->run->out, &fail))
		return sql_fail(c, &fail);
	c->picks = input_selects(c->in);
	if (!c->picks)
		return SQLITE_OK;
	if (record_set_init(&c->set, input_schema(c->in)))
		return sql_nomem(c);
	c->set.records[e->record].on = true;
	record_set_ready(&c->set);
	return SQLITE_OK;
}

/* What was read to its end says what is missing, and whether it was damaged. */
static void conclude(struct cursor *c)
{
	struct sqltab *t = table_of(c)->t;
	struct tape_end end;
	struct fail fail = {0};

	tape_reader_end(input_reader(c->in), &end);
	if (end.closed)
		input_reached(c->in, end.end_ns);
	if (!input_finish(c->in, table_of(c)->flat.rec->group, &fail) || t->failed)
		return;
	*t->run->fail = fail;
	t->failed = true;
}

static int cursor_close(sqlite3_vtab_cursor *cursor)
{
	struct cursor *c = (struct cursor *)cursor;

	if (c->in && c->at_end)
		conclude(c);
	if (c->picks)
		record_set_fini(&c->set);
	bind_tables_fini(&c->tables);
	input_close(c->in);
	free(c->data);
	free(c->has_data);
	free(c->event);
	free(c);
	return SQLITE_OK;
}

/* Limits of time that a statement sets; SQLite still asks each row. */
enum { NS_FROM = 1, NS_TO = 2, S_FROM = 4, S_TO = 8 };

static uint64_t clamp_ns(double ns)
{
	return ns <= 0 ? 0 : ns >= 9.2e18 ? UINT64_MAX : (uint64_t)ns;
}

static void take_limits(struct cursor *c, int limits, sqlite3_value **v)
{
	double start = (double)input_start(c->in);

	c->from_ns = input_from(c->in) > input_start(c->in) ? input_from(c->in) : 0;
	c->to_ns = input_to(c->in);
	for (int bit = NS_FROM; bit <= S_TO; bit <<= 1) {
		bool is_ns = bit == NS_FROM || bit == NS_TO;
		uint64_t near, far;
		double at;

		if (!(limits & bit))
			continue;
		at = sqlite3_value_double(*v);
		if (sqlite3_value_type(*v++) == SQLITE_NULL)
			at = 0;
		at = is_ns ? at : start + at * NS_PER_S;
		near = clamp_ns(at - fabs(at) * 1e-9 - 1000); /* a double has 53 bits */
		far = clamp_ns(at + fabs(at) * 1e-9 + 1000);
		if (bit == NS_FROM || bit == S_FROM)
			c->from_ns = near > c->from_ns ? near : c->from_ns;
		else
			c->to_ns = far < c->to_ns ? far : c->to_ns;
	}
}

static int cursor_filter(sqlite3_vtab_cursor *cursor, int limits, const char *unused, int n_values,
			 sqlite3_value **values)
{
	struct cursor *c = (struct cursor *)cursor;
	struct fail fail = {0};

	if (c->chunk || c->at_end)
		if (input_rewind(c->in, &fail))
			return sql_fail(c, &fail);
	c->chunk = NULL;
	c->at_end = false;
	c->k = c->n = 0;
	c->n_taken = 0;
	take_limits(c, limits, values);
	tape_reader_window(input_reader(c->in), c->from_ns, c->to_ns);
	return settle(c);
}

static int cursor_next(sqlite3_vtab_cursor *cursor)
{
	struct cursor *c = (struct cursor *)cursor;

	c->k++;
	return c->k < c->n && !c->picks && !input_has_window(c->in) ? SQLITE_OK : settle(c);
}

static int cursor_eof(sqlite3_vtab_cursor *cursor)
{
	return ((struct cursor *)cursor)->at_end;
}

static int cursor_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *ret)
{
	const struct cursor *c = (struct cursor *)cursor;

	*ret = c->n_taken + c->k;
	return SQLITE_OK;
}

static void result_wall(struct cursor *c, sqlite3_context *ctx)
{
	uint64_t wall = input_wall(c->in, row_ns(c));
	char text[40];

	if (!wall)
		return;
	clock_date(wall, text);
	sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

static int common_value(struct cursor *c, sqlite3_context *ctx, int column)
{
	int rc = c->has_events ? SQLITE_OK : find_events(c);

	if (rc || c->k >= c->n) /* fewer events of that type than rows: damaged */
		return rc;
	switch (column) {
	case COL_TIME: result_wall(c, ctx); break;
	case COL_TIME_S: sqlite3_result_double(ctx, input_seconds(c->in, row_ns(c))); break;
	case COL_TS_NS: sqlite3_result_int64(ctx, (sqlite3_int64)row_ns(c)); break;
	default:
		if (c->has_cpu && c->event[c->k] < c->cpu.n)
			sqlite3_result_int64(
				ctx, (sqlite3_int64)tape_column_get(&c->cpu, c->event[c->k]));
	}
	return SQLITE_OK;
}

static int load_data(struct cursor *c, unsigned i)
{
	struct event_table *e = table_of(c);
	struct tape_error err;
	int rc = flat_load(&c->data[i], &e->flat.columns[i], c->chunk, e->flat.rec->id, &err);

	c->has_data[i] = true;
	if (rc == TAPE_E_NOMEM)
		return sql_nomem(c);
	damaged(c, rc, &err);
	return SQLITE_OK;
}

static int cursor_column(sqlite3_vtab_cursor *cursor, sqlite3_context *ctx, int column)
{
	struct cursor *c = (struct cursor *)cursor;
	unsigned i = (unsigned)column - COL_FLAT;
	struct flat_value v;
	int rc = SQLITE_OK;

	if (column < COL_FLAT)
		return common_value(c, ctx, column);
	if (!c->has_data[i])
		rc = load_data(c, i);
	if (rc)
		return rc;
	flat_get(&table_of(c)->flat.columns[i], &c->data[i], c->k, &v);
	if (v.is == FLAT_IS_TEXT)
		sqlite3_result_text(ctx, v.s, (int)v.len, SQLITE_TRANSIENT);
	else if (v.is == FLAT_IS_UINT && v.v > INT64_MAX)
		sqlite3_result_double(ctx, (double)v.v);
	else if (v.is != FLAT_IS_NULL)
		sqlite3_result_int64(ctx, (sqlite3_int64)v.v);
	return SQLITE_OK;
}

/* ---- tables, as SQLite calls them ---- */

static int limit_bit(const struct sqlite3_index_constraint *con)
{
	bool is_ns = con->iColumn == COL_TS_NS;

	if (!con->usable || (!is_ns && con->iColumn != COL_TIME_S))
		return 0;
	switch (con->op) {
	case SQLITE_INDEX_CONSTRAINT_GT:
	case SQLITE_INDEX_CONSTRAINT_GE: return is_ns ? NS_FROM : S_FROM;
	case SQLITE_INDEX_CONSTRAINT_LT:
	case SQLITE_INDEX_CONSTRAINT_LE: return is_ns ? NS_TO : S_TO;
	default: return 0;
	}
}

/* Each limit once, its value in the order of the bits. A scan without any is dear. */
static int table_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
	int chosen[4] = {-1, -1, -1, -1}, n = 0;

	for (int i = 0; i < info->nConstraint; i++)
		for (int b = 0; b < 4; b++)
			if (limit_bit(&info->aConstraint[i]) == 1 << b)
				chosen[b] = i;
	info->idxNum = 0;
	info->estimatedCost = 1e9;
	info->estimatedRows = 10000000;
	for (int b = 0; b < 4; b++) {
		if (chosen[b] < 0)
			continue;
		info->idxNum |= 1 << b;
		info->aConstraintUsage[chosen[b]].argvIndex = ++n;
		info->estimatedCost /= 10;
		info->estimatedRows /= 10;
	}
	return SQLITE_OK;
}

static const char *sql_type(const struct flat_column *c)
{
	return c->kind == FLAT_NUMBER ? "INTEGER" : c->kind == FLAT_NAMED ? "" : "TEXT";
}

static char *declaration(const struct flat *f)
{
	sqlite3_str *s = sqlite3_str_new(NULL);

	sqlite3_str_appendall(s,
			      "CREATE TABLE t(time TEXT, time_s REAL, ts_ns INTEGER, cpu INTEGER");
	for (unsigned i = 0; i < f->n; i++)
		sqlite3_str_appendf(s, ", \"%w\" %s", f->columns[i].name, sql_type(&f->columns[i]));
	sqlite3_str_appendall(s, ")");
	return sqlite3_str_finish(s);
}

static int table_disconnect(sqlite3_vtab *table)
{
	struct event_table *e = (struct event_table *)table;

	flat_fini(&e->flat);
	free(e);
	return SQLITE_OK;
}

static int table_connect(sqlite3 *db, void *ctx, int argc, const char *const *argv,
			 sqlite3_vtab **ret, char **err)
{
	struct sqltab *t = ctx;
	const struct tape_schema *schema = input_schema(t->in);
	struct event_table *e;
	char *sql = NULL;
	int rc = SQLITE_NOMEM;

	if (argc < 4) { /* "trace" itself, which SQLite takes for a table */
		*err = sqlite3_mprintf("no such table: %s", argv[0]);
		return SQLITE_ERROR;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return rc;
	e->t = t;
	e->record = strtoul(argv[3], NULL, 10);
	if (!flat_init(&e->flat, schema, &schema->records[e->record]))
		sql = declaration(&e->flat);
	if (sql)
		rc = sqlite3_declare_vtab(db, sql);
	sqlite3_free(sql);
	if (rc)
		table_disconnect(&e->base);
	else
		*ret = &e->base;
	return rc;
}

const sqlite3_module sqltab_module = {
	.xCreate = table_connect,
	.xConnect = table_connect,
	.xBestIndex = table_best_index,
	.xDisconnect = table_disconnect,
	.xDestroy = table_disconnect,
	.xOpen = cursor_open,
	.xClose = cursor_close,
	.xFilter = cursor_filter,
	.xNext = cursor_next,
	.xEof = cursor_eof,
	.xColumn = cursor_column,
	.xRowid = cursor_rowid,
};

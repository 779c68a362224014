// SPDX-License-Identifier: GPL-2.0-or-later
#include "sqlmade.h"

#include <string.h>

#include "delay.h"

#define MAX_COLUMNS 80
enum { PARAM_ID = 1, PARAM_DIRECTION }; /* of an insert; the columns' follow */

/* Rows of a command on their way into a table. */
struct fill {
	sqlite3 *db;
	const char *table;
	int dir; /* enum seg_dir of a table with segments; -1: another one */
	const struct out_col *cols;
	unsigned n_cols;
	int param[MAX_COLUMNS];		/* of the insert, by column; 0: none */
	const char *layer[MAX_COLUMNS]; /* its name, if the column is the time in a layer */
	sqlite3_stmt *insert, *insert_layer;
	sqlite3_int64 n_rows;
	int rc; /* the first error */
};

static void keep_error(struct fill *f, int rc)
{
	if (!f->rc && rc && rc != SQLITE_DONE && rc != SQLITE_ROW)
		f->rc = rc;
}

/* Takes over sql, NULL: no memory. */
static void exec(struct fill *f, char *sql)
{
	keep_error(f, sql ? sqlite3_exec(f->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM);
	sqlite3_free(sql);
}

static void prepare(struct fill *f, sqlite3_stmt **ret, char *sql)
{
	keep_error(f, sql ? sqlite3_prepare_v2(f->db, sql, -1, ret, NULL) : SQLITE_NOMEM);
	sqlite3_free(sql);
}

/* ---- columns ---- */

static const char *layer_of(const struct fill *f, const char *key)
{
	if (f->dir < 0)
		return NULL;
	for (const struct delay_layer *l = delay_layers((enum seg_dir)f->dir); l->title; l++)
		if (!strcmp(l->key, key))
			return l->name;
	return NULL;
}

/* The other direction may have made it. */
static void want_column(struct fill *f, const char *key)
{
	if (sqlite3_table_column_metadata(f->db, "temp", f->table, key, NULL, NULL, NULL, NULL,
					  NULL))
		exec(f, sqlite3_mprintf("ALTER TABLE temp.%s ADD COLUMN \"%w\"", f->table, key));
}

static void take_columns(void *ctx, const struct out_col *cols, unsigned n)
{
	struct fill *f = ctx;
	sqlite3_str *names = sqlite3_str_new(f->db), *params = sqlite3_str_new(f->db);
	int next = PARAM_DIRECTION + 1;
	char *a, *b;

	f->cols = cols;
	f->n_cols = n < MAX_COLUMNS ? n : MAX_COLUMNS;
	for (unsigned i = 0; i < f->n_cols; i++) {
		f->layer[i] = cols[i].key ? layer_of(f, cols[i].key) : NULL;
		if (!cols[i].key || f->layer[i])
			continue;
		want_column(f, cols[i].key);
		f->param[i] = next++;
		sqlite3_str_appendf(names, ",\"%w\"", cols[i].key);
		sqlite3_str_appendf(params, ",?%d", f->param[i]);
	}
	a = sqlite3_str_finish(names);
	b = sqlite3_str_finish(params);
	prepare(f, &f->insert,
		a && b ? sqlite3_mprintf("INSERT INTO temp.%s(id%s%s) VALUES(?1%s%s)", f->table,
					 f->dir < 0 ? "" : ",direction", a, f->dir < 0 ? "" : ",?2",
					 b)
		       : NULL);
	sqlite3_free(a);
	sqlite3_free(b);
	if (f->dir >= 0)
		prepare(f, &f->insert_layer,
			sqlite3_mprintf("INSERT INTO temp.layers VALUES(?1,?2,?3,?4)"));
}

/* ---- rows ---- */

static void add_layer(struct fill *f, const char *layer, double us)
{
	sqlite3_stmt *s = f->insert_layer;

	if (!s)
		return;
	sqlite3_bind_int64(s, 1, f->n_rows + 1);
	sqlite3_bind_text(s, 2, f->dir == SEG_IN ? "in" : "out", -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, layer, -1, SQLITE_STATIC);
	sqlite3_bind_double(s, 4, us);
	keep_error(f, sqlite3_step(s));
	sqlite3_reset(s);
}

static void take_cell(void *ctx, unsigned col, const struct out_cell *cell)
{
	struct fill *f = ctx;
	sqlite3_stmt *s = f->insert;
	int param = col < f->n_cols ? f->param[col] : 0;

	if (col < f->n_cols && f->layer[col] && cell->kind == OUT_REAL)
		add_layer(f, f->layer[col], cell->real);
	if (!s || !param)
		return;
	switch (cell->kind) {
	case OUT_NONE: sqlite3_bind_null(s, param); break;
	case OUT_REAL: sqlite3_bind_double(s, param, cell->real); break;
	case OUT_TEXT:
		sqlite3_bind_text(s, param, cell->s, (int)cell->len, SQLITE_TRANSIENT);
		break;
	default: sqlite3_bind_int64(s, param, (sqlite3_int64)cell->v);
	}
}

static void take_row(void *ctx)
{
	struct fill *f = ctx;

	if (!f->insert)
		return;
	sqlite3_bind_int64(f->insert, PARAM_ID, ++f->n_rows);
	if (f->dir >= 0)
		sqlite3_bind_text(f->insert, PARAM_DIRECTION, f->dir == SEG_IN ? "in" : "out", -1,
				  SQLITE_STATIC);
	keep_error(f, sqlite3_step(f->insert));
	sqlite3_reset(f->insert);
}

/* ---- tables ---- */

static int fill_run(struct fill *f, struct cmd_run *run, const struct cmd *cmd, const char *option)
{
	struct out_sink sink = {.columns = take_columns,
				.cell = take_cell,
				.row = take_row,
				.ctx = f,
				.notes = run->out};
	int rc = cmd_rows(cmd, option, run, &sink);

	sqlite3_finalize(f->insert);
	sqlite3_finalize(f->insert_layer);
	f->insert = f->insert_layer = NULL;
	memset(f->param, 0, sizeof(f->param));
	return rc;
}

static int make_connections(struct fill *f, struct cmd_run *run)
{
	f->table = "connections";
	f->dir = -1;
	exec(f, sqlite3_mprintf("CREATE TEMP TABLE connections(id INTEGER PRIMARY KEY)"));
	return fill_run(f, run, &cmd_life, NULL);
}

/* A trace may have one direction only. */
static int make_segments(struct fill *f, struct cmd_run *run)
{
	static const char *const options[SEG_DIRS] = {[SEG_IN] = "in", [SEG_OUT] = "out"};
	unsigned n_lacks = 0;

	f->table = "segments";
	exec(f, sqlite3_mprintf("CREATE TEMP TABLE segments(id INTEGER PRIMARY KEY, direction)"));
	exec(f, sqlite3_mprintf("CREATE TEMP TABLE layers(segment INTEGER, direction TEXT, "
				"layer TEXT, us REAL)"));
	for (f->dir = 0; f->dir < SEG_DIRS; f->dir++) {
		if (!fill_run(f, run, &cmd_delay, options[f->dir]))
			continue;
		if (run->fail->status != STATUS_LACKS || ++n_lacks == SEG_DIRS)
			return -1;
		out_note(run->out, "%s", run->fail->text);
	}
	*run->fail = (struct fail){0};
	return 0;
}

static const struct {
	const char *name;
	int (*make)(struct fill *f, struct cmd_run *run);
} tables[] = {
	{"connections", make_connections},
	{"segments", make_segments},
	{"layers", make_segments},
};
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

const char *sqlmade_name(unsigned i)
{
	return i < N_TABLES ? tables[i].name : NULL;
}

int sqlmade_make(sqlite3 *db, struct cmd_run *run, const char *name, size_t len)
{
	struct fill f = {.db = db};
	unsigned i = 0;
	int rc;

	while (i < N_TABLES &&
	       (strlen(tables[i].name) != len || sqlite3_strnicmp(tables[i].name, name, (int)len)))
		i++;
	if (i == N_TABLES)
		return 0;
	if (!sqlite3_table_column_metadata(db, "temp", tables[i].name, NULL, NULL, NULL, NULL, NULL,
					   NULL))
		return 1; /* with another one */
	exec(&f, sqlite3_mprintf("BEGIN"));
	rc = tables[i].make(&f, run);
	exec(&f, sqlite3_mprintf("COMMIT"));
	if (!rc && f.rc)
		rc = fail_set(run->fail, STATUS_FOUND, "cannot make the table %s: %s",
			      tables[i].name, sqlite3_errmsg(db));
	return rc ? rc : 1;
}

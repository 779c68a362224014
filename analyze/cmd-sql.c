// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape sql: SQL over a trace, by SQLite; read-only. Statements stand behind -c, or on standard
 * input, which may be a terminal.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sqlmade.h"
#include "sqltab.h"

#define MAX_COLUMNS 2000 /* SQLITE_MAX_COLUMN */
#define LOOK_AHEAD 200	 /* rows that say how wide the columns of a text table are */
#define MAX_WIDTH 60

static struct {
	const char *command;
} opts;

static const struct opt_row rows[] = {
	{'c', "command", "SQL", OPT_STR, offsetof(__typeof__(opts), command),
	 "run this, instead of what stands on standard input"},
};

/* ---- a result ---- */

struct result {
	struct out *out;
	sqlite3_stmt *stmt;
	struct out_col cols[MAX_COLUMNS];
	int n_cols;
	sqlite3_value **ahead; /* the first rows, as long as the widths are not known */
	size_t n_ahead;
};

static void print_value(struct out *o, sqlite3_value *v)
{
	int type = sqlite3_value_type(v);
	const char *text = (const char *)sqlite3_value_text(v);

	if (type == SQLITE_NULL || !text)
		out_none(o);
	else if (type == SQLITE_INTEGER || type == SQLITE_FLOAT)
		out_number(o, text);
	else
		out_strn(o, text, (size_t)sqlite3_value_bytes(v));
}

static void print_row(const struct result *r, sqlite3_value *const *row)
{
	for (int i = 0; i < r->n_cols; i++)
		print_value(r->out, row ? row[i] : sqlite3_column_value(r->stmt, i));
	out_end_row(r->out);
}

/* Numbers stand to the right, in columns that have them in all of the first rows. */
static void measure(struct result *r)
{
	for (int i = 0; i < r->n_cols; i++) {
		int width = (int)strlen(r->cols[i].title);
		bool numbers = r->n_ahead > 0;

		for (size_t k = 0; k < r->n_ahead; k++) {
			sqlite3_value *v = r->ahead[k * (size_t)r->n_cols + (size_t)i];
			int type = sqlite3_value_type(v), len = sqlite3_value_bytes(v);

			numbers &= type != SQLITE_TEXT && type != SQLITE_BLOB;
			width = len > width ? len : width;
		}
		width = width < MAX_WIDTH ? width : MAX_WIDTH;
		r->cols[i].width = numbers ? -width : width;
	}
}

/* What was held back. From here on rows are printed as they come. */
static void release(struct result *r)
{
	measure(r);
	out_table(r->out, r->cols, (unsigned)r->n_cols);
	for (size_t k = 0; k < r->n_ahead; k++)
		print_row(r, r->ahead + k * (size_t)r->n_cols);
	for (size_t k = 0; k < r->n_ahead * (size_t)r->n_cols; k++)
		sqlite3_value_free(r->ahead[k]);
	free(r->ahead);
	r->ahead = NULL;
	r->n_ahead = 0;
}

static int hold_back(struct result *r)
{
	sqlite3_value **row = r->ahead + r->n_ahead * (size_t)r->n_cols;

	for (int i = 0; i < r->n_cols; i++) {
		row[i] = sqlite3_value_dup(sqlite3_column_value(r->stmt, i));
		if (!row[i])
			return -1;
	}
	r->n_ahead++;
	return 0;
}

/* -1: no memory. */
static int begin_result(struct result *r, struct out *out, sqlite3_stmt *stmt)
{
	*r = (struct result){.out = out, .stmt = stmt, .n_cols = sqlite3_column_count(stmt)};
	for (int i = 0; i < r->n_cols; i++)
		r->cols[i].title = r->cols[i].key = sqlite3_column_name(stmt, i);
	if (out_is_json(out) || out_is_csv(out)) {
		out_table(out, r->cols, (unsigned)r->n_cols);
		return 0;
	}
	r->ahead = calloc((size_t)r->n_cols * LOOK_AHEAD, sizeof(sqlite3_value *));
	return r->ahead ? 0 : -1;
}

static int print_result(struct sqltab *t, sqlite3_stmt *stmt, struct cmd_run *run)
{
	struct result *r = malloc(sizeof(*r));
	int rc = r && !begin_result(r, run->out, stmt) ? SQLITE_ROW : -1;

	if (rc < 0)
		fail_nomem(run->fail);
	while (rc == SQLITE_ROW && (rc = sqltab_step(t, stmt)) == SQLITE_ROW) {
		if (!r->ahead)
			print_row(r, NULL);
		else if (hold_back(r))
			rc = fail_nomem(run->fail);
		else if (r->n_ahead == LOOK_AHEAD)
			release(r);
	}
	if (r && r->ahead)
		release(r);
	free(r);
	return rc == SQLITE_DONE ? 0 : -1;
}

/* All statements of a text, up to the first that fails. */
static int run_text(struct sqltab *t, const char *sql, struct cmd_run *run)
{
	while (*sql) {
		sqlite3_stmt *stmt;
		int rc = sqltab_prepare(t, &sql, &stmt);

		if (rc)
			return rc;
		if (stmt && sqlite3_column_count(stmt))
			rc = print_result(t, stmt, run);
		else if (stmt) /* VACUUM, REINDEX: SQLite does not ask the authorizer */
			rc = fail_set(run->fail, STATUS_USAGE, "only reading is allowed");
		sqlite3_finalize(stmt);
		if (rc || out_flush(run->out))
			return -1;
	}
	return sqltab_failed(t) ? -1 : 0;
}

/* ---- at a terminal ---- */

static void list_tables(const struct sqltab *t, struct out *o)
{
	const struct tape_schema *schema = sqltab_schema(t);
	const char *name;

	for (unsigned i = 0; (name = sqlmade_name(i)) != NULL; i++) {
		text_puts(out_line(o), name);
		out_end_line(o);
	}
	for (size_t i = 0; i < schema->n_records; i++) {
		const struct tape_record *rec = &schema->records[i];

		if (rec->is_table || !rec->id)
			continue;
		text_safe(out_line(o), rec->name, strlen(rec->name));
		text_puts(out_line(o), ": ");
		text_safe(out_line(o), rec->meaning, strlen(rec->meaning));
		out_end_line(o);
	}
}

static int list_columns(struct sqltab *t, const char *table, struct cmd_run *run)
{
	char *sql = sqlite3_mprintf("SELECT name, type FROM pragma_table_info(%Q)", table);
	const char *head;
	sqlite3_stmt *stmt;
	int rc;

	if (!sql)
		return fail_nomem(run->fail);
	head = sql;
	rc = sqltab_prepare(t, &head, &stmt);
	if (!rc)
		rc = print_result(t, stmt, run);
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc;
}

/* ".tables", ".schema TABLE", ".quit": as sqlite3 has them. 1: quit. */
static int dot_command(struct sqltab *t, char *line, struct cmd_run *run)
{
	char *word = strtok(line, " \t\n"), *table = strtok(NULL, " \t\n");

	if (!strcmp(word, ".quit") || !strcmp(word, ".exit"))
		return 1;
	if (!strcmp(word, ".tables"))
		list_tables(t, run->out);
	else if (!strcmp(word, ".schema") && table)
		return list_columns(t, table, run);
	else
		return fail_set(run->fail, STATUS_USAGE,
				".tables, .schema TABLE and .quit are there; the rest is SQL");
	return 0;
}

static void prompt(bool is_terminal, bool is_more)
{
	if (!is_terminal)
		return;
	fputs(is_more ? "   ...> " : "tcptape> ", stdout);
	fflush(stdout);
}

/* A mistake ends a script, but not a conversation. */
static int forgive(bool is_terminal, struct sqltab *t, struct fail *fail)
{
	struct text text = {0};

	if (!is_terminal || sqltab_failed(t))
		return -1;
	text_safe(&text, fail->text, strlen(fail->text));
	if (!text.failed)
		fprintf(stderr, "%.*s\n", (int)text.len, text.s);
	text_fini(&text);
	*fail = (struct fail){0};
	return 0;
}

static int converse(struct sqltab *t, struct cmd_run *run)
{
	bool is_terminal = isatty(STDIN_FILENO);
	struct text sql = {0};
	char *line = NULL;
	size_t room = 0;
	int rc = 0;

	prompt(is_terminal, false);
	while (!rc && getline(&line, &room, stdin) >= 0) {
		if (!sql.len && line[0] == '.') {
			rc = dot_command(t, line, run);
		} else {
			text_puts(&sql, line);
			text_add(&sql, "", 1);
			sql.len -= !sql.failed;
			if (!sql.failed && sqlite3_complete(sql.s)) {
				rc = run_text(t, sql.s, run);
				text_clear(&sql);
			}
		}
		if (rc < 0)
			rc = forgive(is_terminal, t, run->fail);
		if (sql.failed)
			rc = fail_nomem(run->fail);
		out_flush(run->out);
		prompt(is_terminal && !rc, sql.len > 0);
	}
	if (!rc && sql.len)
		rc = run_text(t, sql.s, run); /* the last ; may be missing */
	text_fini(&sql);
	free(line);
	return rc < 0 ? -1 : 0;
}

/* ---- the command ---- */

static int run(struct cmd_run *run)
{
	static const char standard_input[] = "/dev/stdin"; /* a file there can be opened again */
	struct sqltab *t = NULL;
	int rc;

	if (!strcmp(run->path, "-") && !opts.command)
		return fail_set(run->fail, STATUS_USAGE,
				"a trace on standard input needs its SQL behind -c");
	if (!strcmp(run->path, "-"))
		run->path = standard_input;
	rc = sqltab_open(&t, run);
	if (!rc)
		rc = opts.command ? run_text(t, opts.command, run) : converse(t, run);
	sqltab_close(t);
	return rc;
}

const struct cmd cmd_sql = {
	.name = "sql",
	.summary = "SQL over a trace, by SQLite; read-only",
	.no_pipe = true,
	.about =
		"Tables: one for each kind of event (tcptape dump shows them), with columns time, "
		"time_s,\n"
		"ts_ns, cpu, its fields, and those of its socket and thread: conn laddr lport "
		"raddr rport\n"
		"pid comm ...; connections (tcptape life), segments and their layers (tcptape "
		"delay), which\n"
		"are made when a statement first names them. At a terminal .tables, .schema TABLE, "
		".quit.\n"
		"Only the columns that a statement names are read, and only the time that it asks "
		"for by\n"
		"time_s or ts_ns. To join two kinds of events make one of them small first "
		"(WITH ... AS\n"
		"MATERIALIZED): each is read from the file again for each row of the other.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.opens_itself = true,
	.run = run,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* The database: its tables, what a statement may do, statements. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sqltab_parts.h"

#define MAX_VALUE (64 << 20) /* bytes of a value, so that a statement cannot take all memory */

/* Whatever writes, or leads out of the trace, is refused; but what this program does itself. */
static int authorize(void *ctx, int action, const char *a, const char *b, const char *database,
		     const char *trigger)
{
	static const char *const pragmas[] = {"table_info", "table_xinfo", "table_list"};
	const struct sqltab *t = ctx;

	if (t->is_own)
		return SQLITE_OK;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE: return SQLITE_OK;
	case SQLITE_FUNCTION: return b && !strcmp(b, "load_extension") ? SQLITE_DENY : SQLITE_OK;
	case SQLITE_PRAGMA:
		for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]); i++)
			if (!strcmp(a, pragmas[i]))
				return SQLITE_OK;
		return SQLITE_DENY;
	case SQLITE_UPDATE: /* how it declares pragma_table_info(); else it refuses that itself */
		return strcmp(a, "sqlite_master") ? SQLITE_DENY : SQLITE_OK;
	default: return SQLITE_DENY;
	}
}

/* A table of a trace may not be called as another one is, in letters of any case. */
static bool name_is_free(const struct tape_schema *schema, size_t i)
{
	const char *name = schema->records[i].name, *made;

	if (!sqlite3_strnicmp(name, "sqlite_", 7))
		return false;
	for (unsigned k = 0; (made = sqlmade_name(k)) != NULL; k++)
		if (!sqlite3_stricmp(made, name))
			return false;
	for (size_t k = 0; k < i; k++)
		if (!sqlite3_stricmp(schema->records[k].name, name))
			return false;
	return true;
}

static int make_tables(struct sqltab *t)
{
	const struct tape_schema *schema = input_schema(t->in);
	int rc = SQLITE_OK;

	for (size_t i = 0; !rc && i < schema->n_records; i++) {
		char *sql;

		if (schema->records[i].is_table || !schema->records[i].id ||
		    !name_is_free(schema, i))
			continue;
		sql = sqlite3_mprintf("CREATE VIRTUAL TABLE \"%w\" USING trace(%d)",
				      schema->records[i].name, (int)i);
		rc = sql ? sqlite3_exec(t->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
		sqlite3_free(sql);
	}
	return rc;
}

static int db_fail(struct sqltab *t, int status)
{
	if (!t->failed)
		fail_set(t->run->fail, status, "%s", sqlite3_errmsg(t->db));
	t->failed = true;
	return -1;
}

int sqltab_open(struct sqltab **ret, struct cmd_run *run)
{
	struct sqltab *t = calloc(1, sizeof(*t));
	int rc;

	*ret = t;
	if (!t)
		return fail_nomem(run->fail);
	t->run = run;
	if (input_open(&t->in, run->path, run->input_opts, run->out, run->fail))
		return -1;
	if (input_is_pipe(t->in))
		return fail_set(run->fail, STATUS_USAGE, "reads files only, not a pipe");
	t->is_own = true;
	rc = sqlite3_open_v2(":memory:", &t->db, SQLITE_OPEN_READWRITE, NULL);
	if (!rc)
		rc = sqlite3_create_module(t->db, "trace", &sqltab_module, t);
	if (!rc)
		rc = make_tables(t);
	if (!rc)
		rc = sqlite3_set_authorizer(t->db, authorize, t);
	sqlite3_limit(t->db, SQLITE_LIMIT_LENGTH, MAX_VALUE);
	t->is_own = false;
	return rc ? db_fail(t, STATUS_FOUND) : 0;
}

void sqltab_close(struct sqltab *t)
{
	if (!t)
		return;
	sqlite3_close(t->db);
	input_close(t->in);
	free(t);
}

int sqltab_make(struct sqltab *t, const char *name)
{
	int rc;

	t->is_own = true;
	rc = sqlmade_make(t->db, t->run, name, strlen(name));
	t->is_own = false;
	return rc;
}

int sqltab_own(struct sqltab *t, const char *format, ...)
{
	va_list ap;
	char *sql;
	int rc;

	va_start(ap, format);
	sql = sqlite3_vmprintf(format, ap);
	va_end(ap);
	t->is_own = true;
	rc = sql ? sqlite3_exec(t->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
	t->is_own = false;
	sqlite3_free(sql);
	return rc ? db_fail(t, STATUS_FOUND) : 0;
}

bool sqltab_has(struct sqltab *t, const char *table, const char *column)
{
	sqlite3_stmt *stmt = NULL;
	char *sql;
	bool has;

	if (column)
		return !sqlite3_table_column_metadata(t->db, "out", table, column, NULL, NULL, NULL,
						      NULL, NULL);
	sql = sqlite3_mprintf("SELECT 1 FROM out.\"%w\" LIMIT 1", table);
	has = sql && !sqlite3_prepare_v2(t->db, sql, -1, &stmt, NULL) &&
	      sqlite3_step(stmt) == SQLITE_ROW;
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return has;
}

/* "no such table: NAME", and what is behind the colon can be made. */
static int make_missing(struct sqltab *t)
{
	static const char start[] = "no such table: ";
	const char *text = sqlite3_errmsg(t->db), *name = text + sizeof(start) - 1;
	char copy[32];
	int rc;

	if (strncmp(text, start, sizeof(start) - 1) || strlen(name) >= sizeof(copy))
		return 0;
	strcpy(copy, name); /* the next call may free it */
	rc = sqltab_make(t, copy);
	t->failed |= rc < 0;
	return rc;
}

int sqltab_prepare(struct sqltab *t, const char **sql, sqlite3_stmt **ret)
{
	for (;;) {
		const char *rest;
		int rc = sqlite3_prepare_v2(t->db, *sql, -1, ret, &rest);

		if (!rc) {
			*sql = rest;
			return 0;
		}
		rc = t->failed ? 0 : make_missing(t);
		if (rc < 0)
			return -1;
		if (!rc)
			return db_fail(t, strncmp(sqlite3_errmsg(t->db), "no such", 7)
						  ? STATUS_USAGE
						  : STATUS_LACKS);
	}
}

int sqltab_step(struct sqltab *t, sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return rc;
	return db_fail(t, STATUS_USAGE);
}

const struct tape_schema *sqltab_schema(const struct sqltab *t)
{
	return input_schema(t->in);
}

bool sqltab_failed(const struct sqltab *t)
{
	return t->failed;
}

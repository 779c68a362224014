/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trace as read-only tables of SQLite: one for each kind of event that its schema has, read from
 * the file while a statement runs; and tables that commands make of it (connections, segments,
 * layers), made when a statement names one for the first time.
 */
#ifndef ANA_SQLTAB_H
#define ANA_SQLTAB_H

#include <sqlite3.h>

#include "cmd.h"
#include "sqlmade.h"

struct sqltab;

/* Of the trace run->path. 0 and *ret, or -1 and run->fail. */
int sqltab_open(struct sqltab **ret, struct cmd_run *run);
void sqltab_close(struct sqltab *t); /* NULL allowed */

/*
 * The next statement of *sql, which is moved behind it; *ret NULL: there was none. 0, or -1 and
 * run->fail, with exit status 2.
 */
int sqltab_prepare(struct sqltab *t, const char **sql, sqlite3_stmt **ret);

/* SQLITE_ROW or SQLITE_DONE; or -1 and run->fail. */
int sqltab_step(struct sqltab *t, sqlite3_stmt *stmt);

/* A statement of this program, which may write; with sqlite3_mprintf's formats. */
int sqltab_own(struct sqltab *t, const char *format, ...);
/* Make the table of sqlmade.h; as sqlmade_make(). */
int sqltab_make(struct sqltab *t, const char *name);
/* Whether a table of the database attached as `out` has a row, or (column not NULL) that column. */
bool sqltab_has(struct sqltab *t, const char *table, const char *column);

const struct tape_schema *sqltab_schema(const struct sqltab *t);

/*
 * Something went wrong, and run->fail says what; also what was found of the trace's damage, once
 * the statement is finalized that read it to its end.
 */
bool sqltab_failed(const struct sqltab *t);

#endif

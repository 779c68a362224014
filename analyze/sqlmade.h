/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of a trace that other commands make: connections (tcptape life), segments and layers
 * (tcptape delay --in and --out). They are temporary tables of SQLite, which keeps them on disk
 * when they are large.
 */
#ifndef ANA_SQLMADE_H
#define ANA_SQLMADE_H

#include <sqlite3.h>

#include "cmd.h"

/* NULL behind the last. */
const char *sqlmade_name(unsigned i);

/*
 * The table of that name, out of run->path: 1 it is there now; 0 there is no such name; -1 and
 * run->fail.
 */
int sqlmade_make(sqlite3 *db, struct cmd_run *run, const char *name, size_t len);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of sqltab share. */
#ifndef ANA_SQLTAB_PARTS_H
#define ANA_SQLTAB_PARTS_H

#include "sqltab.h"

struct sqltab {
	struct cmd_run *run;
	struct input *in; /* for what all tables know of the trace */
	sqlite3 *db;
	bool is_own; /* the statement in hand is the program's own */
	bool failed; /* run->fail has it */
};

/* CREATE VIRTUAL TABLE name USING trace(place in the schema); its context is a struct sqltab. */
extern const sqlite3_module sqltab_module;

#endif

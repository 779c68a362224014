/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options as rows of a table: the same row parses an option and prints its line of help. A command
 * has its own table and shares the common ones; each table fills its own struct, whose strings
 * point into argv.
 */
#ifndef ANA_OPT_H
#define ANA_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fail.h"
#include "text.h"

enum opt_kind {
	OPT_FLAG,  /* bool */
	OPT_STR,   /* const char *; NULL if not given */
	OPT_U32,   /* struct opt_u32 */
	OPT_PORT,  /* struct opt_u32, 0 to 65535 */
	OPT_FIXED, /* struct opt_fixed: a number >= 0, maybe with a fraction */
};

struct opt_u32 {
	bool given;
	uint32_t v;
};

struct opt_fixed {
	bool given;
	double v;
};

struct opt_row {
	char letter; /* 0: long form only */
	const char *name;
	const char *arg; /* NULL for OPT_FLAG */
	enum opt_kind kind;
	size_t offset; /* in the struct that the table fills */
	const char *help;
};

struct opt_table {
	const char *title; /* in --help */
	const struct opt_row *rows;
	size_t n;
	void *into;
};

/*
 * Parse argv[1..]: options may stand among the operands, "--" ends them. The operands are moved to
 * the front of argv; returns how many there are, -1 on bad usage. *ret_before, if not NULL: how
 * many of them stood before "--", -1 if there was none.
 */
int opt_parse(const struct opt_table *tables, size_t n_tables, int argc, char **argv,
	      int *ret_before, struct fail *fail);

/* The help lines of the tables. */
void opt_help(const struct opt_table *tables, size_t n_tables, struct text *t);

/* A number with nothing behind it. Returns whether it is one, and at most max. */
bool opt_number(const char *s, uint64_t max, uint64_t *ret);

#endif

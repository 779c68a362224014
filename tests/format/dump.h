/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All of a trace as text, one JSON object a line: what tests compare, and what reader.py prints
 * too. Bytes (addresses, comm, strings, metadata) are in hexadecimal; "?" is a column that is not
 * there or not known.
 */
#ifndef DUMP_H
#define DUMP_H

#include <stdio.h>

#include "reader.h"

/* One chunk: a line for its header, then one an event. Returns the first error of a column. */
int dump_chunk(FILE *f, struct tape_chunk *c, const struct tape_schema *schema);

/* What stands outside the chunks: metadata, clocks, losses, and how the file ended. */
void dump_rest(FILE *f, const struct tape_reader *r);

/* The whole trace from where the reader is; the caller frees it. *rc: what ended the reading. */
char *dump_reader(struct tape_reader *r, int *rc);

/* Open, dump, close. NULL if it cannot be opened: then *rc and *err say why. */
char *dump_path(const char *path, int *rc, struct tape_error *err);

#endif

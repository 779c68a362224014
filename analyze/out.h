/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All output of a command: an aligned table with a header, JSON Lines or CSV, on standard output;
 * and the notes, one line each on standard error. A table is declared once as columns and filled
 * cell by cell, in order. Strings may come from the trace: they are escaped here, for each format
 * in its way. JSON and CSV always have all columns; the text table leaves out those that are
 * `hidden`.
 */
#ifndef ANA_OUT_H
#define ANA_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "text.h"

struct out_opts {
	bool json, csv, no_header;
	bool cookies; /* the text table has the column "conn", hidden or not */
};

struct out_col {
	const char *title; /* of the text table; NULL: not there */
	const char *key;   /* of JSON and CSV; NULL: not there */
	int width;	   /* characters: > 0 to the left, < 0 to the right; 0 as it comes */
	bool hidden;	   /* not in the text table */
};

struct out;

/* A cell as a program wants it, not as text. */
struct out_cell {
	enum { OUT_NONE, OUT_U64, OUT_REAL, OUT_TEXT, OUT_BOOL } kind;
	uint64_t v; /* OUT_BOOL: 0, 1 */
	double real;
	const char *s;
	size_t len;
};

/*
 * Takes the table of a command that runs inside another one, instead of standard output: the
 * columns that JSON has, a cell each, and the end of each row.
 */
struct out_sink {
	void (*columns)(void *ctx, const struct out_col *cols, unsigned n);
	void (*cell)(void *ctx, unsigned col, const struct out_cell *cell);
	void (*row)(void *ctx);
	void *ctx;
	struct out *notes; /* gets the notes */
};
struct out *out_new_sink(const struct out_sink *sink); /* sink stays the caller's */

struct out *out_new(const struct out_opts *opts); /* NULL: no memory */
void out_free(struct out *o);

bool out_is_json(const struct out *o);
bool out_is_csv(const struct out *o);
bool out_has_header(const struct out *o);

/* Begin a table; cols stay the caller's and must live as long as rows are added. */
void out_table(struct out *o, const struct out_col *cols, unsigned n);

/* The next cell of the row, in the order of the columns. */
void out_none(struct out *o); /* not known: "-", null, empty */
void out_u64(struct out *o, uint64_t v);
void out_fixed(struct out *o, double v, unsigned decimals);
void out_number(struct out *o, const char *s); /* a number that is text already, or "Inf" */
void out_str(struct out *o, const char *s);    /* may come from the trace */
void out_strn(struct out *o, const char *s, size_t len);
void out_str_cut(struct out *o, const char *s); /* in the text table no wider than its column */
/* Parts with `separator` between: in JSON an array, else a string. */
void out_list(struct out *o, const char *s, char separator);
void out_const(struct out *o, const char *s); /* in the text table only: "->" */
void out_bool(struct out *o, bool v);

/* Text table only: put this before or behind the next cell, to qualify it. */
void out_mark(struct out *o, const char *before, const char *behind);

/*
 * Whether the next cell is left out of this table: it is passed over then. For cells that take time
 * to make.
 */
bool out_skips(struct out *o);

void out_end_row(struct out *o);

/* Anything that is no table. The caller fills *out_line or *out_json, then ends it. */
struct text *out_line(struct out *o);
void out_end_line(struct out *o);
struct json *out_object(struct out *o); /* opened; one object is one line */
void out_end_object(struct out *o);

/*
 * Something that can bias the result, or that the reader must know: printed at the end, once
 * however often it is said, on standard error and in JSON as {"note": ...}.
 */
void out_note(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The notes of another output, which then has none. */
void out_take_notes(struct out *o, struct out *from);

/* Hand over what is buffered. 0, or errno of standard output; EPIPE: nobody reads any more. */
int out_flush(struct out *o);

/* The notes, then flush. */
int out_finish(struct out *o);

#endif

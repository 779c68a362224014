// SPDX-License-Identifier: GPL-2.0-or-later
#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_BYTES (64u << 10)
#define MAX_NOTES 64
#define NOTE_LEN 512
#define COOKIE_WIDTH 10 /* where the text table has no column for it */

struct shown {
	bool on;   /* part of the chosen format */
	int width; /* as in struct out_col */
};

struct out {
	struct out_opts opts;
	struct text text;
	struct json json;
	const struct out_col *cols;
	struct shown *shown; /* the same columns */
	unsigned n_cols, at; /* columns of the table, and the next to fill */
	bool started;	     /* this row has a cell */
	const char *before, *behind;
	char *notes[MAX_NOTES];
	unsigned n_notes;
	int err; /* errno of the first failed write */
	const struct out_sink *sink;
};

struct out *out_new(const struct out_opts *opts)
{
	struct out *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->opts = *opts;
	o->json.t = &o->text;
	return o;
}

struct out *out_new_sink(const struct out_sink *sink)
{
	struct out *o = out_new(&(struct out_opts){.json = true});

	if (o)
		o->sink = sink;
	return o;
}

void out_free(struct out *o)
{
	if (!o)
		return;
	for (unsigned i = 0; i < o->n_notes; i++)
		free(o->notes[i]);
	text_fini(&o->text);
	free(o->shown);
	free(o);
}

bool out_is_json(const struct out *o)
{
	return o->opts.json;
}

bool out_is_csv(const struct out *o)
{
	return o->opts.csv;
}

bool out_has_header(const struct out *o)
{
	return !o->opts.no_header;
}

static int write_all(const char *s, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, s, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		s += n;
		len -= (size_t)n;
	}
	return 0;
}

int out_flush(struct out *o)
{
	if (o->text.failed && !o->err)
		o->err = ENOMEM;
	if (!o->err)
		o->err = write_all(o->text.s, o->text.len);
	text_clear(&o->text);
	return o->err;
}

static void end_of_line(struct out *o)
{
	text_putc(&o->text, '\n');
	if (o->text.len >= FLUSH_BYTES)
		out_flush(o);
}

/* ---- tables ---- */

/* A connection's number, asked for by -C. */
static bool is_cookie(const struct out *o, const struct out_col *col)
{
	return o->opts.cookies && col->key && !strcmp(col->key, "conn");
}

static int width_of(const struct out *o, const struct out_col *col)
{
	return is_cookie(o, col) && !col->width ? COOKIE_WIDTH : col->width;
}

/* Whether the column is part of the chosen format. */
static bool col_is_on(const struct out *o, const struct out_col *col)
{
	if (o->opts.json || o->opts.csv)
		return col->key != NULL;
	return (col->title && !col->hidden) || is_cookie(o, col);
}

static void trim_line(struct text *t)
{
	while (t->len && t->s[t->len - 1] == ' ')
		t->len--;
}

static void choose_columns(struct out *o, const struct out_col *cols, unsigned n)
{
	free(o->shown);
	o->shown = calloc(n, sizeof(*o->shown));
	o->text.failed |= !o->shown;
	o->cols = cols;
	o->n_cols = o->shown ? n : 0;
	for (unsigned i = 0; i < o->n_cols; i++)
		o->shown[i] = (struct shown){col_is_on(o, &cols[i]), width_of(o, &cols[i])};
}

void out_table(struct out *o, const struct out_col *cols, unsigned n)
{
	choose_columns(o, cols, n);
	o->at = 0;
	o->started = false;
	if (o->sink)
		o->sink->columns(o->sink->ctx, cols, n);
	if (o->opts.json || o->opts.no_header)
		return;
	for (unsigned i = 0; i < o->n_cols; i++) {
		size_t start;

		if (!o->shown[i].on)
			continue;
		if (o->started)
			text_putc(&o->text, o->opts.csv ? ',' : ' ');
		o->started = true;
		start = o->text.len;
		text_puts(&o->text, o->opts.csv	    ? cols[i].key
				    : cols[i].title ? cols[i].title
						    : "COOKIE");
		if (!o->opts.csv)
			text_pad(&o->text, start, o->shown[i].width);
	}
	if (!o->opts.csv)
		trim_line(&o->text);
	o->started = false;
	end_of_line(o);
}

/* Whether a sink has taken the next cell. */
static bool give(struct out *o, const struct out_cell *cell)
{
	if (!o->sink)
		return false;
	o->before = o->behind = NULL;
	if (o->at < o->n_cols && o->cols[o->at].key)
		o->sink->cell(o->sink->ctx, o->at, cell);
	o->at++;
	return true;
}

/* Begin a cell; NULL if the format leaves this column out. */
static const struct out_col *cell_begin(struct out *o, size_t *start)
{
	const struct out_col *col;

	if (o->at >= o->n_cols)
		return NULL;
	col = &o->cols[o->at];
	if (!o->shown[o->at++].on)
		return NULL;
	if (o->opts.json) {
		if (!o->started) {
			o->json.comma = false;
			json_open(&o->json, NULL, '{');
		}
	} else if (o->started) {
		text_putc(&o->text, o->opts.csv ? ',' : ' ');
	}
	o->started = true;
	*start = o->text.len;
	if (!o->opts.json && !o->opts.csv && o->before)
		text_puts(&o->text, o->before);
	return col;
}

static void cell_end(struct out *o, const struct out_col *col, size_t start)
{
	if (col && !o->opts.json && !o->opts.csv) {
		if (o->behind)
			text_puts(&o->text, o->behind);
		text_pad(&o->text, start, o->shown[o->at - 1].width);
	}
	o->before = o->behind = NULL;
}

bool out_skips(struct out *o)
{
	if (o->at < o->n_cols && o->shown[o->at].on)
		return false;
	o->at += o->at < o->n_cols;
	o->before = o->behind = NULL;
	return true;
}

void out_none(struct out *o)
{
	size_t start = 0;
	const struct out_col *col;

	if (give(o, &(struct out_cell){.kind = OUT_NONE}))
		return;
	o->before = o->behind = NULL;
	col = cell_begin(o, &start);
	if (col && o->opts.json)
		json_null(&o->json, col->key);
	else if (col && !o->opts.csv)
		text_putc(&o->text, '-');
	cell_end(o, col, start);
}

void out_u64(struct out *o, uint64_t v)
{
	size_t start = 0;
	const struct out_col *col;

	if (give(o, &(struct out_cell){.kind = OUT_U64, .v = v}))
		return;
	col = cell_begin(o, &start);
	if (col && o->opts.json)
		json_u64(&o->json, col->key, v);
	else if (col)
		text_u64(&o->text, v);
	cell_end(o, col, start);
}

void out_fixed(struct out *o, double v, unsigned decimals)
{
	size_t start = 0;
	const struct out_col *col;

	if (give(o, &(struct out_cell){.kind = OUT_REAL, .real = v}))
		return;
	col = cell_begin(o, &start);
	if (col && o->opts.json)
		json_fixed(&o->json, col->key, v, decimals);
	else if (col)
		text_fixed(&o->text, v, decimals);
	cell_end(o, col, start);
}

void out_number(struct out *o, const char *s)
{
	size_t start = 0;
	const struct out_col *col = cell_begin(o, &start);

	if (col && o->opts.json)
		json_number(&o->json, col->key, s);
	else if (col)
		text_puts(&o->text, s);
	cell_end(o, col, start);
}

void out_strn(struct out *o, const char *s, size_t len)
{
	size_t start = 0;
	const struct out_col *col;

	if (give(o, &(struct out_cell){.kind = OUT_TEXT, .s = s, .len = len}))
		return;
	col = cell_begin(o, &start);
	if (col && o->opts.json) {
		json_str(&o->json, col->key, s, len);
	} else if (col && o->opts.csv) {
		text_csv(&o->text, s, len);
	} else if (col) {
		text_safe(&o->text, s, len);
	}
	cell_end(o, col, start);
}

void out_str(struct out *o, const char *s)
{
	out_strn(o, s, strlen(s));
}

void out_list(struct out *o, const char *s, char separator)
{
	const char separators[] = {separator, '\0'};
	const struct out_col *col;
	size_t start = 0;

	if (!o->opts.json || o->sink) {
		out_str(o, s);
		return;
	}
	col = cell_begin(o, &start);
	if (col) {
		json_open(&o->json, col->key, '[');
		while (*s) {
			size_t len = strcspn(s, separators);

			json_str(&o->json, NULL, s, len);
			s += len + (s[len] == separator);
		}
		json_close(&o->json, ']');
	}
	cell_end(o, col, start);
}

/* What was added since `start`, cut to a width of characters; + stands for the rest. */
static void cut(struct text *t, size_t start, size_t width)
{
	size_t n = 0, last = start;

	for (size_t i = start; i < t->len; i++) {
		if (((unsigned char)t->s[i] & 0xc0) == 0x80)
			continue; /* inside a character */
		if (n + 1 == width)
			last = i;
		if (n++ < width)
			continue;
		t->len = last;
		text_putc(t, '+');
		return;
	}
}

void out_str_cut(struct out *o, const char *s)
{
	size_t start = 0;
	const struct out_col *col;

	if (o->opts.json || o->opts.csv) {
		out_str(o, s);
		return;
	}
	col = cell_begin(o, &start);
	if (col) {
		text_safe(&o->text, s, strlen(s));
		if (col->width && !o->text.failed)
			cut(&o->text, start, (size_t)abs(col->width));
	}
	cell_end(o, col, start);
}

void out_const(struct out *o, const char *s)
{
	size_t start = 0;
	const struct out_col *col;

	if (give(o, &(struct out_cell){.kind = OUT_NONE}))
		return;
	col = cell_begin(o, &start);
	if (col)
		text_puts(&o->text, s);
	cell_end(o, col, start);
}

void out_bool(struct out *o, bool v)
{
	size_t start = 0;
	const struct out_col *col;

	if (give(o, &(struct out_cell){.kind = OUT_BOOL, .v = v}))
		return;
	col = cell_begin(o, &start);
	if (col && o->opts.json)
		json_bool(&o->json, col->key, v);
	else if (col)
		text_puts(&o->text, o->opts.csv ? (v ? "true" : "false") : (v ? "yes" : "no"));
	cell_end(o, col, start);
}

void out_mark(struct out *o, const char *before, const char *behind)
{
	o->before = before;
	o->behind = behind;
}

void out_end_row(struct out *o)
{
	if (o->sink) {
		o->at = 0;
		o->sink->row(o->sink->ctx);
		return;
	}
	if (o->opts.json && o->started)
		json_close(&o->json, '}');
	else if (!o->opts.csv)
		trim_line(&o->text);
	o->at = 0;
	o->started = false;
	end_of_line(o);
}

/* ---- lines and objects ---- */

struct text *out_line(struct out *o)
{
	return &o->text;
}

void out_end_line(struct out *o)
{
	end_of_line(o);
}

struct json *out_object(struct out *o)
{
	o->json.comma = false;
	json_open(&o->json, NULL, '{');
	return &o->json;
}

void out_end_object(struct out *o)
{
	json_close(&o->json, '}');
	end_of_line(o);
}

/* ---- notes ---- */

void out_note(struct out *o, const char *fmt, ...)
{
	char note[NOTE_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(note, sizeof(note), fmt, ap);
	va_end(ap);
	if (o->sink) {
		out_note(o->sink->notes, "%s", note);
		return;
	}
	for (unsigned i = 0; i < o->n_notes; i++)
		if (!strcmp(o->notes[i], note))
			return;
	if (o->n_notes < MAX_NOTES && (o->notes[o->n_notes] = strdup(note)))
		o->n_notes++;
}

void out_take_notes(struct out *o, struct out *from)
{
	for (unsigned i = 0; i < from->n_notes; i++) {
		out_note(o, "%s", from->notes[i]);
		free(from->notes[i]);
	}
	from->n_notes = 0;
}

int out_finish(struct out *o)
{
	struct text line = {0};

	for (unsigned i = 0; o->opts.json && i < o->n_notes; i++) {
		struct json *j = out_object(o);

		json_str(j, "note", o->notes[i], strlen(o->notes[i]));
		out_end_object(o);
	}
	out_flush(o);
	for (unsigned i = 0; i < o->n_notes; i++) {
		text_clear(&line);
		text_puts(&line, "tcptape: note: ");
		text_safe(&line, o->notes[i], strlen(o->notes[i]));
		if (!line.failed)
			fprintf(stderr, "%.*s\n", (int)line.len, line.s);
	}
	text_fini(&line);
	return o->err;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "out_aside.h"

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
	struct out_col *cols; /* a copy: the thread may come to them late */
	struct shown *shown;  /* the same columns */
	unsigned n_cols, at;  /* columns of the table, and the next to fill */
	bool started;	      /* this row has a cell */
	const char *before, *behind;
	char *notes[MAX_NOTES];
	unsigned n_notes;
	int err; /* errno of the first failed write */
	const struct out_sink *sink;
	bool may_thread;
	struct aside *aside; /* who makes text of the cells, and writes it; NULL: this one */
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

void out_on_thread(struct out *o)
{
	o->may_thread = !o->sink;
}

void out_free(struct out *o)
{
	if (!o)
		return;
	aside_free(o->aside);
	for (unsigned i = 0; i < o->n_notes; i++)
		free(o->notes[i]);
	text_fini(&o->text);
	free(o->cols);
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

int out_flush(struct out *o)
{
	if (o->aside) {
		o->err = o->err ? o->err : aside_flush(o->aside);
		return o->err;
	}
	if (o->text.failed && !o->err)
		o->err = ENOMEM;
	if (!o->err)
		o->err = text_write(&o->text, STDOUT_FILENO);
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

/* A copy, with its keys; NULL: no memory. */
static struct out_col *copy_columns(const struct out_col *cols, unsigned n)
{
	size_t len = 0;
	struct out_col *copy;
	char *p;

	for (unsigned i = 0; i < n; i++)
		len += cols[i].key ? strlen(cols[i].key) + 1 : 0;
	copy = malloc((n + 1) * sizeof(*copy) + len);
	if (!copy)
		return NULL;
	p = (char *)(copy + n + 1);
	for (unsigned i = 0; i < n; i++) {
		copy[i] = cols[i];
		if (!cols[i].key)
			continue;
		copy[i].key = strcpy(p, cols[i].key);
		p += strlen(p) + 1;
	}
	return copy;
}

static void choose_columns(struct out *o, const struct out_col *cols, unsigned n)
{
	struct out_col *copy = copy_columns(cols, n);
	struct shown *shown = calloc(n + 1, sizeof(*shown));
	bool ok = copy && shown;

	free(o->cols);
	free(o->shown);
	o->cols = copy;
	o->shown = shown;
	o->text.failed |= !ok;
	o->n_cols = ok ? n : 0;
	for (unsigned i = 0; i < o->n_cols; i++)
		shown[i] = (struct shown){col_is_on(o, &copy[i]), width_of(o, &copy[i])};
}

/* There is much to write: from this row on on a thread, which knows the columns. */
static void go_aside(struct out *o)
{
	struct out *to = out_new(&o->opts);

	o->may_thread = false;
	if (!to)
		return;
	choose_columns(to, o->cols, o->n_cols);
	o->aside = aside_new(to);
	if (!o->aside)
		out_free(to);
}

void out_table(struct out *o, const struct out_col *cols, unsigned n)
{
	if (o->aside)
		out_table(aside_drain(o->aside), cols, n);
	choose_columns(o, cols, n);
	o->at = 0;
	if (o->aside)
		return;
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

/* Whether a sink, or the thread, has taken the next cell. */
static bool give(struct out *o, enum aside_kind kind, unsigned arg, const struct out_cell *cell)
{
	if (o->aside) {
		if (out_skips(o))
			return true;
		if (o->before || o->behind)
			aside_mark(o->aside, o->before, o->behind);
		o->before = o->behind = NULL;
		aside_cell(o->aside, o->at++, kind, arg, cell);
		return true;
	}
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

	o->before = o->behind = NULL;
	if (give(o, ASIDE_NONE, 0, &(struct out_cell){.kind = OUT_NONE}))
		return;
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

	if (give(o, ASIDE_U64, 0, &(struct out_cell){.kind = OUT_U64, .v = v}))
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

	if (give(o, ASIDE_FIXED, decimals, &(struct out_cell){.kind = OUT_REAL, .real = v}))
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
	const struct out_col *col;

	if (o->aside) {
		give(o, ASIDE_NUMBER, 0, &(struct out_cell){.s = s, .len = strlen(s)});
		return;
	}
	col = cell_begin(o, &start);
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

	if (give(o, ASIDE_STR, 0, &(struct out_cell){.kind = OUT_TEXT, .s = s, .len = len}))
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
	if (give(o, ASIDE_LIST, (unsigned char)separator,
		 &(struct out_cell){.s = s, .len = strlen(s)}))
		return;
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

void out_str_cut(struct out *o, const char *s)
{
	size_t start = 0;
	const struct out_col *col;

	if (o->opts.json || o->opts.csv) {
		out_str(o, s);
		return;
	}
	if (give(o, ASIDE_CUT, 0, &(struct out_cell){.s = s, .len = strlen(s)}))
		return;
	col = cell_begin(o, &start);
	if (col) {
		text_safe(&o->text, s, strlen(s));
		if (col->width && !o->text.failed)
			text_cut(&o->text, start, (size_t)abs(col->width));
	}
	cell_end(o, col, start);
}

void out_const(struct out *o, const char *s)
{
	size_t start = 0;
	const struct out_col *col;

	if (give(o, ASIDE_CONST, 0, &(struct out_cell){.kind = OUT_NONE, .s = s, .len = strlen(s)}))
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

	if (give(o, ASIDE_BOOL, 0, &(struct out_cell){.kind = OUT_BOOL, .v = v}))
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
	bool is_much;

	if (o->aside) {
		o->at = 0;
		aside_end_row(o->aside);
		return;
	}
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
	is_much = o->may_thread && o->text.len + 1 >= FLUSH_BYTES;
	end_of_line(o);
	if (is_much)
		go_aside(o);
}

void out_seek(struct out *o, unsigned at)
{
	o->at = at;
}

/* ---- lines and objects ---- */

struct text *out_line(struct out *o)
{
	return o->aside ? out_line(aside_drain(o->aside)) : &o->text;
}

void out_end_line(struct out *o)
{
	end_of_line(o->aside ? aside_drain(o->aside) : o);
}

struct json *out_object(struct out *o)
{
	if (o->aside)
		return out_object(aside_drain(o->aside));
	o->json.comma = false;
	json_open(&o->json, NULL, '{');
	return &o->json;
}

void out_end_object(struct out *o)
{
	if (o->aside) {
		out_end_object(aside_drain(o->aside));
		return;
	}
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
	if (o->aside)
		aside_drain(o->aside);
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A growing line of text, and the escapes that make a string from a trace safe to show. A string is
 * hostile until it went through one of them: control characters, invalid UTF-8 and characters that
 * change how their neighbours look (bidirectional marks, zero width) would let a trace forge
 * output. When memory runs out `failed` stays set and nothing more is added; check once, at the
 * end.
 */
#ifndef ANA_TEXT_H
#define ANA_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *s; /* not NUL-terminated */
	size_t len, cap;
	bool failed;
};

void text_fini(struct text *t);

static inline void text_clear(struct text *t)
{
	t->len = 0;
}

/* Room for so many bytes behind the text; the caller fills it, and adds to len. NULL: no memory. */
char *text_grow(struct text *t, size_t want);
static inline char *text_room(struct text *t, size_t want)
{
	return !t->failed && t->cap - t->len >= want ? t->s + t->len : text_grow(t, want);
}
void text_add(struct text *t, const char *s, size_t len);
void text_puts(struct text *t, const char *s);
void text_putc(struct text *t, char c);
void text_u64(struct text *t, uint64_t v);
void text_fixed(struct text *t, double v, unsigned decimals); /* as printf("%.*f") */
void text_seconds(struct text *t, int64_t ns);		      /* with 9 decimals */
void text_fmt(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Pad what was added since byte `start` to |width| characters: on its right for a positive width,
 * on its left for a negative one. A longer text stays whole.
 */
void text_pad(struct text *t, size_t start, int width);

/* Cut what was added since byte `start` to a width of characters; + stands for the rest. */
void text_cut(struct text *t, size_t start, size_t width);

/* Write it all. 0, or errno. */
int text_write(const struct text *t, int fd);

/*
 * The number of a socket as 0x2a; of another host than the first of a merged trace (merge.h), as
 * 1:0x2a.
 */
#define COOKIE_TEXT_LEN 28
const char *cookie_text(uint64_t cookie, char ret[COOKIE_TEXT_LEN]);

/* s as terminals may have it: unsafe bytes and a backslash become \xNN, one for each byte. */
void text_safe(struct text *t, const char *s, size_t len);

/* s as a JSON string with its quotes: unsafe characters as \uNNNN, invalid UTF-8 as the text \xNN.
 */
void text_json(struct text *t, const char *s, size_t len);

/* s as a cell of a table for spreadsheets: safe, quoted where needed, and never a formula. */
void text_csv(struct text *t, const char *s, size_t len);

/* Turn what was added since `start` into one RFC 4180 cell: quotes where they are needed. */
void text_csv_quote(struct text *t, size_t start);

#endif

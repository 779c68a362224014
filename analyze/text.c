// SPDX-License-Identifier: GPL-2.0-or-later
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void text_fini(struct text *t)
{
	free(t->s);
	*t = (struct text){0};
}

char *text_grow(struct text *t, size_t len)
{
	size_t cap = (t->cap + len) * 2 + 64;
	char *s = t->failed ? NULL : realloc(t->s, cap);

	if (!s) {
		t->failed = true;
		return NULL;
	}
	t->s = s;
	t->cap = cap;
	return t->s + t->len;
}

void text_add(struct text *t, const char *s, size_t len)
{
	char *p = len ? text_room(t, len) : NULL;

	if (!p)
		return;
	memcpy(p, s, len);
	t->len += len;
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_putc(struct text *t, char c)
{
	char *p = text_room(t, 1);

	if (!p)
		return;
	*p = c;
	t->len++;
}

void text_u64(struct text *t, uint64_t v)
{
	char digits[20];
	unsigned at = sizeof(digits);

	do
		digits[--at] = (char)('0' + v % 10);
	while ((v /= 10));
	text_add(t, digits + at, sizeof(digits) - at);
}

/*
 * printf rounds the exact value of v. v * 10^decimals is off by at most 2^-10 below 2^44, so where
 * its fraction is not that near to a half both round the same way; the rest is left to printf.
 */
#define FIXED_BELOW 17592186044416.0
#define FIXED_NEAR (1.0 / 512)

void text_fixed(struct text *t, double v, unsigned decimals)
{
	static const double scales[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
	char digits[32];
	unsigned at = sizeof(digits), done = 0;
	double scaled = decimals < sizeof(scales) / sizeof(scales[0]) ? v * scales[decimals] : -1;
	double part;
	uint64_t n;

	if (signbit(v) || !(scaled >= 0 && scaled < FIXED_BELOW) ||
	    fabs((part = scaled - (double)(uint64_t)scaled) - 0.5) <= FIXED_NEAR) {
		text_fmt(t, "%.*f", (int)decimals, v);
		return;
	}
	n = (uint64_t)scaled + (part > 0.5);
	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
		if (++done == decimals)
			digits[--at] = '.';
	} while (n || done <= decimals);
	text_add(t, digits + at, sizeof(digits) - at);
}

void text_fmt(struct text *t, const char *fmt, ...)
{
	size_t want = 64;
	va_list ap;
	int len;
	char *p;

	for (unsigned tries = 0; tries < 2; tries++) {
		p = text_room(t, want);
		if (!p)
			return;
		va_start(ap, fmt);
		len = vsnprintf(p, t->cap - t->len, fmt, ap);
		va_end(ap);
		if (len < 0)
			return;
		if ((size_t)len < t->cap - t->len) {
			t->len += (size_t)len;
			return;
		}
		want = (size_t)len + 1;
	}
}

void text_seconds(struct text *t, int64_t ns)
{
	uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	char frac[10] = ".";

	if (ns < 0)
		text_putc(t, '-');
	text_u64(t, v / 1000000000);
	v %= 1000000000;
	for (unsigned i = 9; i; i--, v /= 10)
		frac[i] = (char)('0' + v % 10);
	text_add(t, frac, sizeof(frac));
}

/* Characters in valid UTF-8: all bytes but the continuation ones. */
static size_t count_chars(const char *s, size_t len)
{
	size_t n = 0, i = 0;

	for (uint64_t word; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, s + i, sizeof(word));
		if (word & 0x8080808080808080ull)
			break;
		n += sizeof(word);
	}
	for (; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

void text_pad(struct text *t, size_t start, int width)
{
	size_t want = (size_t)abs(width), have, fill;
	char *p;

	if (!width || t->failed || start > t->len)
		return;
	have = count_chars(t->s + start, t->len - start);
	if (have >= want)
		return;
	fill = want - have;
	p = text_room(t, fill);
	if (!p)
		return;
	if (width < 0) {
		memmove(t->s + start + fill, t->s + start, t->len - start);
		memset(t->s + start, ' ', fill);
	} else {
		memset(p, ' ', fill);
	}
	t->len += fill;
}

/*
 * One character of UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates). Returns its
 * bytes, 0 if there is no valid one.
 */
static unsigned utf8_next(const char *s, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char b = (unsigned char)s[0];
	unsigned n = b < 0x80 ? 1 : b < 0xc2 ? 0 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : b < 0xf5 ? 4 : 0;
	uint32_t c = n == 1 ? b : b & (0x7fu >> n);

	if (n == 0 || n > len)
		return 0;
	for (unsigned i = 1; i < n; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

/* Characters that are not seen or that change how others look. */
static bool is_unsafe(uint32_t c)
{
	static const struct {
		uint32_t from, to;
	} ranges[] = {
		{0x00, 0x1f},	  {0x7f, 0x9f},	      {0xad, 0xad},	  {0x34f, 0x34f},
		{0x61c, 0x61c},	  {0x115f, 0x1160},   {0x17b4, 0x17b5},	  {0x180b, 0x180f},
		{0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},	  {0x3164, 0x3164},
		{0xfe00, 0xfe0f}, {0xfeff, 0xfeff},   {0xffa0, 0xffa0},	  {0xfff0, 0xfffb},
		{0xfffe, 0xffff}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
	};

	if (c > 0x1f && c < 0x7f)
		return false;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (c >= ranges[i].from && c <= ranges[i].to)
			return true;
	return false;
}

/* How many bytes from s on are plain: neither escaped nor quoted in any format. */
static size_t plain_run(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] >= 0x20 && s[n] < 0x7f && s[n] != '\\' && s[n] != '"')
		n++;
	return n;
}

void text_safe(struct text *t, const char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t run = plain_run(s + i, len - i);
		uint32_t c;
		unsigned n;

		text_add(t, s + i, run);
		i += run;
		if (i == len)
			break;
		n = utf8_next(s + i, len - i, &c);
		if (n && !is_unsafe(c) && c != '\\') {
			text_add(t, s + i, n);
			i += n;
			continue;
		}
		for (n = n ? n : 1; n; n--)
			text_fmt(t, "\\x%02x", (unsigned char)s[i++]);
	}
}

static void json_unsafe(struct text *t, uint32_t c)
{
	if (c >= 0x10000)
		text_fmt(t, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
			 (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
	else
		text_fmt(t, "\\u%04x", (unsigned)c);
}

void text_json(struct text *t, const char *s, size_t len)
{
	text_putc(t, '"');
	for (size_t i = 0; i < len;) {
		size_t run = plain_run(s + i, len - i);
		uint32_t c;
		unsigned n;

		text_add(t, s + i, run);
		i += run;
		if (i == len)
			break;
		n = utf8_next(s + i, len - i, &c);
		if (!n) {
			text_fmt(t, "\\\\x%02x", (unsigned char)s[i++]);
			continue;
		}
		if (is_unsafe(c)) {
			json_unsafe(t, c);
		} else {
			if (c == '"' || c == '\\')
				text_putc(t, '\\');
			text_add(t, s + i, n);
		}
		i += n;
	}
	text_putc(t, '"');
}

void text_csv_quote(struct text *t, size_t start)
{
	size_t quotes = 0;
	bool needed = false;

	if (t->failed)
		return;
	for (size_t i = start; i < t->len; i++) {
		quotes += t->s[i] == '"';
		needed |= strchr("\",\r\n ", t->s[i]) != NULL;
	}
	if (!needed || !text_room(t, quotes + 2))
		return;
	for (size_t i = t->len, to = t->len + quotes; i-- > start;) {
		t->s[to--] = t->s[i];
		if (t->s[i] == '"')
			t->s[to--] = '"';
	}
	t->s[start] = '"';
	t->len += quotes + 2;
	t->s[t->len - 1] = '"';
}

const char *cookie_text(uint64_t cookie, char ret[COOKIE_TEXT_LEN])
{
	unsigned host = (unsigned)(cookie >> 56), digits = 1;
	char *p = ret;

	if (host)
		p += snprintf(ret, COOKIE_TEXT_LEN, "%u:", host);
	cookie = cookie << 8 >> 8;
	*p++ = '0';
	*p++ = 'x';
	while (digits < 16 && cookie >> 4 * digits)
		digits++;
	p[digits] = '\0';
	for (; digits; cookie >>= 4)
		p[--digits] = "0123456789abcdef"[cookie & 15];
	return ret;
}

void text_csv(struct text *t, const char *s, size_t len)
{
	size_t start = t->len;

	/* a spreadsheet would take these as the start of a formula */
	if (len && strchr("=+-@", s[0])) {
		text_fmt(t, "\\x%02x", (unsigned char)s[0]);
		text_safe(t, s + 1, len - 1);
	} else {
		text_safe(t, s, len);
	}
	text_csv_quote(t, start);
}

void text_cut(struct text *t, size_t start, size_t width)
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

int text_write(const struct text *t, int fd)
{
	size_t at = 0;

	while (at < t->len) {
		ssize_t n = write(fd, t->s + at, t->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		at += (size_t)n;
	}
	return 0;
}

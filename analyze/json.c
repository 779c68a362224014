// SPDX-License-Identifier: GPL-2.0-or-later
#include "json.h"

#include <inttypes.h>
#include <string.h>

static void json_key(struct json *j, const char *key)
{
	if (j->comma)
		text_putc(j->t, ',');
	j->comma = true;
	if (!key)
		return;
	text_json(j->t, key, strlen(key));
	text_putc(j->t, ':');
}

void json_open(struct json *j, const char *key, char bracket)
{
	json_key(j, key);
	text_putc(j->t, bracket);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	text_putc(j->t, bracket);
	j->comma = true;
}

void json_str(struct json *j, const char *key, const char *s, size_t len)
{
	json_key(j, key);
	text_json(j->t, s, len);
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	text_u64(j->t, v);
}

void json_i64(struct json *j, const char *key, int64_t v)
{
	json_key(j, key);
	text_fmt(j->t, "%" PRId64, v);
}

void json_fixed(struct json *j, const char *key, double v, unsigned decimals)
{
	json_key(j, key);
	text_fixed(j->t, v, decimals);
}

void json_number(struct json *j, const char *key, const char *s)
{
	json_key(j, key);
	text_puts(j->t, strchr(s, 'I') ? "null" : s); /* no infinity there */
}

void json_bool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	text_puts(j->t, v ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	json_key(j, key);
	text_puts(j->t, "null");
}

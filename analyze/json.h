/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes JSON (RFC 8259) into a text: keys and commas are its business, the nesting the caller's.
 * The one writer that all commands use, through out.h.
 */
#ifndef ANA_JSON_H
#define ANA_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

struct json {
	struct text *t;
	bool comma; /* the next value stands behind another one */
};

/* key is NULL for an element of an array. Keys may come from a trace: they are escaped. */
void json_open(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);
void json_str(struct json *j, const char *key, const char *s, size_t len);
void json_u64(struct json *j, const char *key, uint64_t v);
void json_i64(struct json *j, const char *key, int64_t v);
void json_fixed(struct json *j, const char *key, double v, unsigned decimals);
void json_number(struct json *j, const char *key, const char *s); /* text of a number */
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);

#endif

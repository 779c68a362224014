/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The names that a trace gives to the values of one unit ("tcp_state", 1 -> "ESTABLISHED"), for
 * quick lookup: a hostile trace may have thousands. The strings belong to the schema.
 */
#ifndef ANA_NAMES_H
#define ANA_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "schema.h"

struct names {
	const struct tape_name **rows; /* by value */
	size_t n;
};

/* 0, or -1: no memory. Free with names_fini. */
int names_init(struct names *names, const struct tape_schema *schema, const char *unit);
void names_fini(struct names *names);

/* NULL: it has none. */
const char *names_get(const struct names *names, uint64_t value);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the META lines of a trace say about how it was recorded: the one place that knows their
 * keys. All values may come from an enemy.
 */
#ifndef ANA_META_H
#define ANA_META_H

#include <stdbool.h>
#include <stddef.h>

#include "writer.h" /* struct tape_meta */

enum meta_answer { META_UNKNOWN, META_NO, META_YES };

/* The first value of a key, NULL without one. */
const char *meta_get(const struct tape_meta *meta, size_t n, const char *key);

/* Whether the group was recorded. */
enum meta_answer meta_has_group(const struct tape_meta *meta, size_t n, const char *group);

/* Whether an event has a hook; *why: the text behind it, NULL without one. */
enum meta_answer meta_has_probe(const struct tape_meta *meta, size_t n, const char *event,
				const char **why);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --slowest N: of all items that are added, the N slowest. Items are copied. */
#ifndef ANA_SLOWEST_H
#define ANA_SLOWEST_H

#include <stdbool.h>
#include <stddef.h>

struct slowest {
	char *v; /* a heap, the fastest of them first; one more item is room to swap */
	size_t size, n, max;
	bool (*is_faster)(const void *a, const void *b);
};

/* Items of that size. -1: no memory. */
int slowest_init(struct slowest *s, size_t max, size_t size,
		 bool (*is_faster)(const void *a, const void *b));
void slowest_fini(struct slowest *s);
void slowest_add(struct slowest *s, const void *item);
/* The slowest first; nothing can be added any more. */
void slowest_sort(struct slowest *s);
void *slowest_at(const struct slowest *s, size_t i);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
#include "slowest.h"

#include <stdlib.h>
#include <string.h>

void *slowest_at(const struct slowest *s, size_t i)
{
	return s->v + i * s->size;
}

static bool is_before(const struct slowest *s, size_t a, size_t b)
{
	return s->is_faster(slowest_at(s, a), slowest_at(s, b));
}

static void swap(struct slowest *s, size_t a, size_t b)
{
	void *room = slowest_at(s, s->max);

	if (a == b)
		return;
	memcpy(room, slowest_at(s, a), s->size);
	memcpy(slowest_at(s, a), slowest_at(s, b), s->size);
	memcpy(slowest_at(s, b), room, s->size);
}

static void sink(struct slowest *s, size_t at, size_t n)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < n && is_before(s, child + 1, child))
			child++;
		if (child >= n || !is_before(s, child, at))
			return;
		swap(s, at, child);
		at = child;
	}
}

int slowest_init(struct slowest *s, size_t max, size_t size,
		 bool (*is_faster)(const void *a, const void *b))
{
	*s = (struct slowest){
		.v = calloc(max + 1, size), .size = size, .max = max, .is_faster = is_faster};
	return s->v ? 0 : -1;
}

void slowest_fini(struct slowest *s)
{
	free(s->v);
}

void slowest_add(struct slowest *s, const void *item)
{
	size_t at = s->n;

	if (at == s->max) {
		if (!at || s->is_faster(item, slowest_at(s, 0)))
			return;
		memcpy(slowest_at(s, 0), item, s->size);
		sink(s, 0, at);
		return;
	}
	memcpy(slowest_at(s, s->n++), item, s->size);
	for (; at && is_before(s, at, (at - 1) / 2); at = (at - 1) / 2)
		swap(s, at, (at - 1) / 2);
}

void slowest_sort(struct slowest *s)
{
	/* the fastest to the end, again and again: what remains in front gets slower */
	for (size_t n = s->n; n > 1; n--) {
		swap(s, 0, n - 1);
		sink(s, 0, n - 1);
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "delay.h"

static uint64_t total_of(const struct segment *s)
{
	return s->end_ns - s->start_ns;
}

/* Of two that took equally long the earlier one counts as slower. */
static bool is_faster(const struct segment *a, const struct segment *b)
{
	if (total_of(a) != total_of(b))
		return total_of(a) < total_of(b);
	return a->start_ns > b->start_ns;
}

static bool is_before(const struct delay_slowest *d, size_t a, size_t b)
{
	return is_faster(&d->v[a].segment, &d->v[b].segment);
}

static void swap(struct delay_slowest *d, size_t a, size_t b)
{
	struct delay_slow s = d->v[a];

	d->v[a] = d->v[b];
	d->v[b] = s;
}

static void sink(struct delay_slowest *d, size_t at, size_t n)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < n && is_before(d, child + 1, child))
			child++;
		if (child >= n || !is_before(d, child, at))
			return;
		swap(d, at, child);
		at = child;
	}
}

int delay_slowest_init(struct delay_slowest *d, size_t max)
{
	*d = (struct delay_slowest){.v = calloc(max, sizeof(*d->v)), .max = max};
	return d->v ? 0 : -1;
}

void delay_slowest_fini(struct delay_slowest *d)
{
	free(d->v);
}

static void set(struct delay_slow *to, const struct segment *s, const struct task *owner)
{
	to->segment = *s;
	to->owner = owner ? *owner : (struct task){0};
}

void delay_slowest_add(struct delay_slowest *d, const struct segment *s, const struct task *owner)
{
	size_t at = d->n;

	if (at == d->max) {
		if (is_faster(s, &d->v[0].segment))
			return;
		set(&d->v[0], s, owner);
		sink(d, 0, at);
		return;
	}
	set(&d->v[d->n++], s, owner);
	for (; at && is_before(d, at, (at - 1) / 2); at = (at - 1) / 2)
		swap(d, at, (at - 1) / 2);
}

void delay_slowest_sort(struct delay_slowest *d)
{
	/* the fastest to the end, again and again: what remains in front gets slower */
	for (size_t n = d->n; n > 1; n--) {
		swap(d, 0, n - 1);
		sink(d, 0, n - 1);
	}
}

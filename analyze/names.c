// SPDX-License-Identifier: GPL-2.0-or-later
#include "names.h"

#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
	const struct tape_name *x = *(const struct tape_name *const *)a;
	const struct tape_name *y = *(const struct tape_name *const *)b;

	return x->value < y->value ? -1 : x->value > y->value;
}

int names_init(struct names *names, const struct tape_schema *schema, const char *unit)
{
	size_t n = 0;

	*names = (struct names){0};
	for (size_t i = 0; i < schema->n_names; i++)
		n += !strcmp(schema->names[i].unit, unit);
	if (!n)
		return 0;
	names->rows = calloc(n, sizeof(*names->rows));
	if (!names->rows)
		return -1;
	for (size_t i = 0; i < schema->n_names; i++)
		if (!strcmp(schema->names[i].unit, unit))
			names->rows[names->n++] = &schema->names[i];
	qsort(names->rows, n, sizeof(*names->rows), by_value);
	return 0;
}

void names_fini(struct names *names)
{
	free(names->rows);
	*names = (struct names){0};
}

const char *names_get(const struct names *names, uint64_t value)
{
	size_t low = 0, high = names->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (names->rows[mid]->value == value)
			return names->rows[mid]->name;
		if (names->rows[mid]->value < value)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

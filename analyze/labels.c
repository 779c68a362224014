// SPDX-License-Identifier: GPL-2.0-or-later
#include "labels.h"

#include <stdlib.h>
#include <string.h>

const struct bind_field symbol_fields[LABEL_N] = {{"id", BIND_INT}, {"name", BIND_STR}};
const struct bind_field stack_fields[LABEL_N] = {{"id", BIND_INT}, {"frames", BIND_STR}};

void labels_take(struct labels *l, const struct bind_row *row)
{
	uint64_t id = bind_get(row, LABEL_ID, 0);
	size_t len = 0;
	const char *text = bind_str(row, LABEL_TEXT, &len);
	char *copy;

	if (!id || !text || !len || l->rows.n >= LABELS_MAX || map_get(&l->rows, id))
		return;
	copy = strndup(text, len);
	if (!copy || map_put(&l->rows, id, copy)) {
		free(copy);
		l->failed = true;
	}
}

void labels_fini(struct labels *l)
{
	for (size_t i = 0; i < l->rows.cap; i++)
		free(l->rows.slots[i].value);
	map_fini(&l->rows);
}

const char *labels_get(const struct labels *l, uint64_t id)
{
	return id ? map_get(&l->rows, id) : NULL;
}

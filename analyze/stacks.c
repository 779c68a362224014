// SPDX-License-Identifier: GPL-2.0-or-later
#include "stacks.h"

#include <stdlib.h>
#include <string.h>

const struct bind_field stack_fields[STACK_N] = {{"id", BIND_INT}, {"frames", BIND_STR}};

void stacks_take(struct stacks *s, const struct bind_row *row)
{
	uint64_t id = bind_get(row, STACK_ID, 0);
	size_t len = 0;
	const char *frames = bind_str(row, STACK_FRAMES, &len);
	char *copy;

	if (!id || !frames || map_get(&s->rows, id))
		return;
	copy = strndup(frames, len);
	if (!copy || map_put(&s->rows, id, copy)) {
		free(copy);
		s->failed = true;
	}
}

void stacks_fini(struct stacks *s)
{
	for (size_t i = 0; i < s->rows.cap; i++)
		free(s->rows.slots[i].value);
	map_fini(&s->rows);
}

const char *stacks_get(const struct stacks *s, uint64_t id)
{
	return id ? map_get(&s->rows, id) : NULL;
}

void cell_stack(struct out *o, const char *stack)
{
	if (stack)
		out_list(o, stack, ';');
	else
		out_none(o);
}

void stack_lines(struct out *o, const char *stack)
{
	if (!stack || out_is_json(o) || out_is_csv(o))
		return;
	while (*stack) {
		size_t len = strcspn(stack, ";");
		struct text *t = out_line(o);

		text_puts(t, "        ");
		text_safe(t, stack, len);
		out_end_line(o);
		stack += len + (stack[len] == ';');
	}
}

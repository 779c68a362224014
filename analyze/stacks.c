// SPDX-License-Identifier: GPL-2.0-or-later
#include "stacks.h"

#include <string.h>

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

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "layout.h"
#include "schema.h"
#include "stack.h"
#include "stacks.h"

#define N_SLOTS (2u * REC_STACKS_MAX)
#define MAX_OURS 8 /* frames of the tracer's own, at most */

struct rec_stack {
	uint32_t id, n;
	uint64_t frames[];
};

void rec_stacks_init(struct rec_stacks *s, bool pointers)
{
	const struct tape_schema *schema = tape_schema_builtin();

	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < schema->n_records; i++) {
		const struct tape_record *rec = &schema->records[i];

		if (rec->is_table || rec->id == TAPE_COMMON || rec->id >= EV_SNAPSHOT_FIRST)
			continue;
		for (unsigned k = 0; k < rec->n_fields; k++)
			if (!strcmp(rec->fields[k].unit, "stack"))
				s->at[rec->id] = (uint16_t)tape_field_offset(rec, k);
		s->len[rec->id] =
			(uint16_t)(pointers ? tape_record_size(rec) : tape_record_short(rec));
	}
}

void rec_stacks_fini(struct rec_stacks *s)
{
	for (size_t i = 0; s->slots && i < N_SLOTS; i++)
		free(s->slots[i]);
	free(s->slots);
	s->slots = NULL;
}

/* The place of this stack, or the free one where it belongs. */
static struct rec_stack **slot_of(struct rec_stacks *s, const uint64_t *frames, uint32_t n)
{
	uint64_t hash = n;
	size_t i;

	for (uint32_t k = 0; k < n; k++)
		hash = (hash ^ frames[k]) * 0x9e3779b97f4a7c15u;
	for (i = hash >> 40 & (N_SLOTS - 1); s->slots[i]; i = (i + 1) & (N_SLOTS - 1)) {
		if (s->slots[i]->n == n && !memcmp(s->slots[i]->frames, frames, 8 * (size_t)n))
			break;
	}
	return &s->slots[i];
}

/* The frames between the hook and us: the program, and what called it. */
static bool is_tracer(const char *name)
{
	static const char *const starts[] = {"bpf_prog_", "bpf_trampoline_", "bpf_trace_run",
					     "__bpf_trace_", "__traceiter_"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		if (!strncmp(name, starts[i], strlen(starts[i])))
			return true;
	}
	return false;
}

static uint32_t count_tracer(struct rec_symbols *symbols, const uint64_t *frames, uint32_t n)
{
	uint32_t ours = 0;
	char name[512];

	for (uint32_t i = 0; i < n && i < MAX_OURS; i++) {
		rec_symbols_name(symbols, frames[i], name, sizeof(name));
		if (is_tracer(name))
			ours = i + 1;
	}
	return ours < n ? ours : 0;
}

static int write_row(const struct rec_stack *stack, struct rec_symbols *symbols,
		     struct tape_writer *w, struct tape_error *err)
{
	char text[TAPE_MAX_STR];
	uint32_t i = count_tracer(symbols, stack->frames, stack->n);
	bool whole = stack->n < TAPE_STACK_DEPTH;
	size_t used = 0;
	struct ev_snap_stack row = {
		.head = {rec_now_ns(), 0, EV_snap_stack, sizeof(row)},
		.id = stack->id,
	};

	for (; i < stack->n; i++) {
		char name[512];
		size_t len = rec_symbols_name(symbols, stack->frames[i], name, sizeof(name));

		if (!len)
			len = (size_t)snprintf(name, sizeof(name), "?");
		if (used + len + sizeof(";...") > sizeof(text)) {
			whole = false;
			break;
		}
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? ";" : "",
					 name);
	}
	if (!whole)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s...",
					 used ? ";" : "");
	row.frames = (struct ev_str){text, used};
	return tape_writer_event(w, &row.head, err);
}

/* NULL: there is no room, or no memory. */
static struct rec_stack *add(struct rec_stacks *s, struct rec_stack **slot, const uint64_t *frames,
			     uint32_t n)
{
	struct rec_stack *stack =
		s->n < REC_STACKS_MAX ? malloc(sizeof(*stack) + 8 * (size_t)n) : NULL;

	if (!stack)
		return NULL;
	stack->id = ++s->n;
	stack->n = n;
	memcpy(stack->frames, frames, 8 * (size_t)n);
	*slot = stack;
	return stack;
}

int rec_stacks_see(struct rec_stacks *s, struct rec_symbols *symbols, struct ev_head *record,
		   struct tape_writer *w, struct tape_error *err)
{
	unsigned type = record->type < 256 ? record->type : 0;
	uint64_t *field = (uint64_t *)((char *)record + s->at[type]);
	const uint64_t *frames = (uint64_t *)((char *)record + s->len[type]);
	struct rec_stack **slot, *stack;
	uint32_t n;

	if (!s->at[type] || record->size <= s->len[type])
		return 0;
	n = (uint32_t)*field;
	if (n > (record->size - s->len[type]) / 8u)
		n = 0;
	record->size = s->len[type];
	*field = 0;
	if (!s->slots)
		s->slots = calloc(N_SLOTS, sizeof(*s->slots));
	if (!n || !s->slots)
		return 0;
	slot = slot_of(s, frames, n);
	stack = *slot;
	if (!stack) {
		stack = add(s, slot, frames, n);
		if (!stack) {
			s->n_refused++;
			return 0;
		}
		*field = stack->id;
		return write_row(stack, symbols, w, err);
	}
	*field = stack->id;
	return 0;
}

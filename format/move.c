// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Events of one chunk to where the columns of another are made. A struct in between would be filled
 * with all that an event refers to, and then searched for each time: here a reference is known by
 * its number, and only the first of each is looked up.
 */
#include "build_parts.h"
#include "rows_parts.h"

static unsigned ref_of(const struct rows *r, unsigned field)
{
	unsigned i = 0;

	while (r->refs[i].field != field)
		i++;
	return i;
}

/* Nothing was moved there yet. */
static bool prepare(struct tape_rows *s, struct tape_build *b)
{
	for (size_t i = 1; i < s->built_in->n_records; i++) {
		struct plan *p = &s->plans[i];
		size_t n = p->rec->is_table ? 2 * (size_t)tape_chunk_rows(s->chunk, p->rec->id) : 0;
		void *more = n > p->n_moved ? realloc(p->moved, n * sizeof(*p->moved)) : p->moved;

		if (n && !more)
			return false;
		p->n_moved = n > p->n_moved ? n : p->n_moved;
		p->moved = more;
		if (n)
			memset(p->moved, 0, n * sizeof(*p->moved));
		p->dest = rows_of(b, p->rec->id);
		for (unsigned k = 0; p->n_rows && k < p->n_parts; k++) {
			struct part *part = &p->parts[k];

			part->place = part->to ? (uint16_t)ref_of(p->dest, part->field)
					       : p->dest->offset[part->field];
		}
	}
	s->build = b;
	s->turn = b->turn;
	return true;
}

/* The first time that this chunk refers to it. */
static bool move_table_row(const struct part *part, uint32_t k, struct rows *to, uint32_t cpu,
			   uint32_t *ret)
{
	union {
		struct key words;
		uint8_t bytes[MAX_KEY];
	} row = {{{0}}};

	tape_rows_fill_ref(part, k, row.bytes);
	return tape_build_refer_to(to, part->place, row.bytes, cpu, ret);
}

static bool move_ref(const struct part *part, uint32_t k, struct rows *to, uint32_t cpu)
{
	uint32_t ref = ((const uint32_t *)part->col.values)[k], found = 0;
	uint32_t *moved = ref ? &part->to->moved[ref - 1] : NULL;

	if (moved && !*moved) {
		if (!move_table_row(part, k, to, cpu, &found))
			return false;
		*moved = found + 1;
	}
	((uint32_t *)(void *)to->refs[part->place].v.p)[to->n] = moved ? *moved - 1 : 0;
	return true;
}

static bool move_row(struct tape_build *b, const struct plan *p, struct rows *to, uint64_t ts_ns,
		     uint32_t cpu)
{
	uint8_t *row = to->data.p + (size_t)to->n * to->stride;
	const struct part *part = p->parts;
	size_t k = p->next;

	memset(row, 0, to->stride);
	if (to->timed)
		memcpy(row, &ts_ns, sizeof(ts_ns));
#define MOVE(class, width)                                                                         \
	for (unsigned i = p->n_of[class]; i; i--, part++)                                          \
	memcpy(row + part->place, (const uint8_t *)part->col.values + (width)*k, (width))
	MOVE(PART_1, 1);
	MOVE(PART_2, 2);
	MOVE(PART_4, 4);
	MOVE(PART_8, 8);
	MOVE(PART_16, 16);
#undef MOVE
	for (unsigned i = p->n_of[PART_STR]; i; i--, part++) {
		const uint32_t *start = part->col.str_start + k;
		struct ev_str s = {(const char *)part->col.values + start[0], start[1] - start[0]};

		memcpy(row + part->place, &s, sizeof(s));
	}
	for (unsigned i = 0; i < to->n_refs; i++)
		((uint32_t *)(void *)to->refs[i].v.p)[to->n] = 0;
	for (unsigned i = p->n_of[PART_REF]; i; i--, part++)
		if (!move_ref(part, (uint32_t)k, to, cpu))
			return false;
	return tape_build_settle_row(b, to, row);
}

int tape_rows_move(struct tape_rows *s, struct tape_build *b, struct tape_error *err)
{
	struct plan *p = tape_rows_find(s);
	struct ev_head head;
	struct rows *to;
	int rc;

	if (!p)
		return 0;
	if ((s->build != b || s->turn != b->turn) && !prepare(s, b))
		return no_memory(err);
	tape_rows_head(s, p, &head);
	rc = tape_build_begin_row(b, &head, &to, err);
	if (rc)
		return rc;
	if (!move_row(b, p, to, head.ts_ns, head.cpu))
		return no_memory(err);
	p->next++;
	s->at++;
	tape_build_end_row(b, to, &head);
	return 0;
}

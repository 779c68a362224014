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

/* Where each part goes. */
static void find_places(struct plan *p)
{
	unsigned n_wanted = p->rec->n_fields - p->dest->n_refs;

	p->is_whole = p->n_of[PART_REF] == p->dest->n_refs &&
		      p->n_parts - p->n_of[PART_REF] == n_wanted && !p->dest->n_pointers;
	for (unsigned k = 0; k < p->n_parts; k++) {
		struct part *part = &p->parts[k];

		p->moves[k] =
			(struct move){part->col.values, part->to ? ref_of(p->dest, part->field)
								 : p->dest->offset[part->field]};
	}
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
		if (p->n_rows)
			find_places(p);
	}
	s->build = b;
	s->turn = b->turn;
	return true;
}

/* The first time that this chunk refers to it: what stands for that there. */
static bool move_table_row(const struct part *part, const struct move *move, uint32_t k,
			   struct rows *to, uint32_t cpu, uint32_t *ret)
{
	union {
		struct key words;
		uint8_t bytes[MAX_KEY];
	} row = {{{0}}};
	uint32_t found;

	tape_rows_fill_ref(part, k, row.bytes);
	if (!tape_build_refer_to(to, move->place, row.bytes, cpu, &found))
		return false;
	*ret = found + 1;
	return true;
}

static inline bool move_refs(const struct plan *p, unsigned at, uint32_t k, struct rows *to,
			     uint32_t cpu)
{
	for (; at < p->n_parts; at++) {
		const struct part *part = &p->parts[at];
		const struct move *move = &p->moves[at];
		uint32_t ref = ((const uint32_t *)(const void *)move->values)[k], found = 0;

		if (ref) {
			uint32_t *moved = &part->to->moved[ref - 1];

			if (!*moved && !move_table_row(part, move, k, to, cpu, moved))
				return false;
			found = *moved - 1;
		}
		((uint32_t *)(void *)to->refs[move->place].v.p)[to->n] = found;
	}
	return true;
}

/* What is not there, or is no value that stays, is 0. */
static void clear_row(const struct rows *to, uint8_t *row)
{
	memset(row, 0, to->stride);
	for (unsigned i = 0; i < to->n_refs; i++)
		((uint32_t *)(void *)to->refs[i].v.p)[to->n] = 0;
}

static inline bool move_row(struct tape_build *b, const struct plan *p, const struct ev_head *head)
{
	struct rows *to = p->dest;
	uint8_t *row = to->data.p + (size_t)to->n * to->stride;
	const struct move *move = p->moves;
	size_t k = p->next;

	if (!p->is_whole)
		clear_row(to, row);
	if (to->timed)
		memcpy(row, &head->ts_ns, sizeof(head->ts_ns));
#define MOVE(class, width)                                                                         \
	for (unsigned i = p->n_of[class]; i; i--, move++)                                          \
	memcpy(row + move->place, move->values + (width)*k, (width))
	MOVE(PART_1, 1);
	MOVE(PART_2, 2);
	MOVE(PART_4, 4);
	MOVE(PART_8, 8);
	MOVE(PART_16, 16);
#undef MOVE
	for (unsigned i = p->n_of[PART_STR]; i; i--, move++) {
		const uint32_t *start = p->parts[move - p->moves].col.str_start + k;
		struct ev_str s = {(const char *)move->values + start[0], start[1] - start[0]};

		memcpy(row + move->place, &s, sizeof(s));
	}
	return move_refs(p, (unsigned)(move - p->moves), (uint32_t)k, to, head->cpu) &&
	       (p->is_whole && !to->n_strings ? true : tape_build_settle_row(b, to, row));
}

int tape_rows_move(struct tape_rows *s, struct tape_build *b, struct tape_move *m,
		   struct tape_error *err)
{
	struct plan *p;
	int rc;

	m->n_moved = m->n_stragglers = 0;
	if ((s->build != b || s->turn != b->turn) && !prepare(s, b))
		return no_memory(err);
	while (b->n < m->max_events && b->bytes < m->max_bytes && (p = tape_rows_find(s)) != NULL) {
		struct ev_head head;
		struct rows *to;

		tape_rows_head(s, p, &head);
		if (head.ts_ns > m->until_ns)
			break;
		rc = tape_build_begin_row(b, &head, &to, err);
		if (rc)
			return rc;
		if (!move_row(b, p, &head))
			return no_memory(err);
		tape_build_end_row(b, to, &head);
		p->next++;
		s->at++;
		m->n_moved++;
		m->n_stragglers += head.ts_ns < m->floor_ns;
	}
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The structs inside records (sock, task, flow, packet) become rows of their table, each once. */
#include "build_parts.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FIRST_SLOTS 1024 /* of a table's hash, doubled as it fills */

/* Structs are of whole words and short: no call of memcmp for each. */
static inline bool same(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint64_t x, y;

	for (; len >= 8; len -= 8, a += 8, b += 8) {
		memcpy(&x, a, 8);
		memcpy(&y, b, 8);
		if (x != y)
			return false;
	}
	return !len || !memcmp(a, b, 4);
}

static bool rehash(struct rows *t)
{
	uint32_t n_slots = t->n_slots ? t->n_slots * 2 : FIRST_SLOTS, mask = n_slots - 1;
	uint32_t *slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t row = 0; row < t->n; row++) {
		uint32_t i = (uint32_t)XXH3_64bits(t->data.p + row * t->stride, t->size) & mask;

		while (slots[i])
			i = (i + 1) & mask;
		slots[i] = row + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->n_slots = n_slots;
	return true;
}

/* Row + 1 of this value in the table, added if it is new; 0: no memory. */
static uint32_t intern(struct tape_build *b, struct rows *t, const uint8_t *key)
{
	uint32_t i, mask;

	if (2 * t->n >= t->n_slots && !rehash(t))
		return 0;
	mask = t->n_slots - 1;
	for (i = (uint32_t)XXH3_64bits(key, t->size) & mask; t->slots[i]; i = (i + 1) & mask)
		if (same(t->data.p + (t->slots[i] - 1) * t->stride, key, t->size))
			return t->slots[i];
	if (!append(&t->data, key, t->size))
		return 0;
	t->slots[i] = ++t->n;
	return tape_build_refer(b, t, key, 0) ? t->n : 0;
}

/* The two ends of a flow in one order, whichever is local; true if they were swapped. */
static bool order_flow(const struct ev_flow *f, struct ev_flow *ret)
{
	int c = memcmp(&f->laddr, &f->raddr, sizeof(f->laddr));

	if (c < 0 || (!c && f->lport <= f->rport)) {
		*ret = *f;
		return false;
	}
	*ret = (struct ev_flow){f->raddr, f->laddr, f->rport, f->lport};
	return true;
}

/* The reference to a struct in its table, which is not 0; 0: no memory. */
static uint32_t ref_to(struct tape_build *b, struct rows *t, const void *key, bool directed,
		       bool received)
{
	struct ev_flow flow;
	uint32_t row, n = t->n;
	bool swapped = directed && order_flow(key, &flow);

	row = intern(b, t, directed ? (const uint8_t *)&flow : key);
	if (!row || (t->n > n && !append(&t->received, &(uint8_t){received}, 1)))
		return 0;
	return directed ? 1 + ((row - 1) << 1 | swapped) : row;
}

static const uint64_t none[MAX_KEY / 8];

static inline bool is_key(const struct rows *t, const uint8_t *src, const uint64_t *key)
{
	const uint8_t *k = (const uint8_t *)key;

	return same(src + t->gap_end, k + t->gap_end, t->size - t->gap_end) && same(src, k, t->gap);
}

/* The reference of one field, where it is not that of the event before on that processor. */
static bool find_ref(struct tape_build *b, const struct rows *r, struct ref *ref,
		     struct recent *recent, const uint8_t *src, uint32_t *ret)
{
	const struct tape_field *f = &r->rec->fields[ref->field];
	const struct rows *t = ref->to;
	uint64_t key[MAX_KEY / 8];

	*ret = 0;
	if (is_key(t, src, none))
		return true; /* often: no socket at this layer */
	copy_words((uint8_t *)key, src, t->size);
	memset((uint8_t *)key + t->gap, 0, t->gap_end - t->gap);
	*ret = ref_to(b, ref->to, key, f->type == TAPE_DREF, f->guess.side == TAPE_RECEIVED);
	memcpy(recent->key, key, sizeof(key));
	recent->ref = *ret;
	return *ret;
}

bool tape_build_refer(struct tape_build *b, struct rows *r, const uint8_t *record, uint32_t cpu)
{
	for (unsigned i = 0; i < r->n_refs; i++) {
		struct ref *ref = &r->refs[i];
		struct recent *recent = &ref->recent[cpu % N_RECENT];
		uint32_t found = recent->ref;

		if (!is_key(ref->to, record + ref->offset, recent->key) &&
		    !find_ref(b, r, ref, recent, record + ref->offset, &found))
			return false;
		if (!append(&ref->v, &found, sizeof(found)))
			return false;
	}
	return true;
}

/* ---- rows that are sent before those that are received ---- */

static bool needs_order(const struct rows *t)
{
	for (unsigned i = 0; i < t->rec->n_fields; i++)
		if (t->rec->fields[i].guess.side == TAPE_EITHER)
			return true;
	return false;
}

/* References to t become those to its rows in the new order. */
static void renumber(struct tape_build *b, const struct rows *t, const uint32_t *place)
{
	for (size_t i = 1; i < b->schema->n_records; i++)
		for (unsigned k = 0; k < b->rows[i].n_refs; k++) {
			struct buffer *v = &b->rows[i].refs[k].v;
			uint32_t *refs = (uint32_t *)(void *)v->p;

			for (size_t n = v->len / 4; b->rows[i].refs[k].to == t && n-- > 0;)
				refs[n] = refs[n] ? place[refs[n] - 1] + 1 : 0;
		}
}

static bool arrange(struct tape_build *b, struct rows *t)
{
	struct buffer data = t->data, refs = t->refs[0].v;
	uint32_t *place, *from = (uint32_t *)(void *)refs.p, *to, next = 0;

	b->values.len = b->of.len = b->plus.len = 0;
	if (!reserve(&b->values, t->n * sizeof(*place)) || !reserve(&b->of, data.len) ||
	    !reserve(&b->plus, refs.len))
		return false;
	place = (uint32_t *)(void *)b->values.p;
	to = (uint32_t *)(void *)b->plus.p;
	for (uint8_t side = 0; side < 2; side++) {
		for (uint32_t i = 0; i < t->n; i++) {
			if (t->received.p[i] != side)
				continue;
			memcpy(b->of.p + next * t->stride, data.p + i * t->stride, t->stride);
			to[next] = from[i];
			place[i] = next++;
		}
		t->turn = side ? t->turn : next;
	}
	renumber(b, t, place);
	memcpy(data.p, b->of.p, data.len);
	memcpy(refs.p, to, refs.len);
	return true;
}

bool tape_build_arrange(struct tape_build *b)
{
	for (size_t i = 1; i < b->schema->n_records; i++)
		if (b->rows[i].rec->is_table && b->rows[i].n && needs_order(&b->rows[i]) &&
		    !arrange(b, &b->rows[i]))
			return false;
	return true;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The structs inside records (sock, task, flow, packet) become rows of their table, each once; only
 * a packet that comes again after long may have a row again.
 */
#include "build_parts.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FIRST_SLOTS 1024 /* of a table's hash, doubled as it fills */

/* ---- rows: the struct as it is, but for a pointer ---- */

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* That of a reference; row 0 is the struct of zeros, which nothing else may be. */
static inline uint8_t *row_of(const struct rows *t, uint32_t ref)
{
	return t->data.p + (size_t)ref * TABLE_ROW;
}

/*
 * Structs are compared by pairs of words, four of them, which overlap in those that are shorter:
 * without a branch, and no slower than one that could end early.
 */
typedef uint64_t pair __attribute__((vector_size(16)));

static ALWAYS_INLINE pair get_pair(const uint8_t *p, size_t at)
{
	pair ret;

	memcpy(&ret, p + at, sizeof(ret));
	return ret;
}

static ALWAYS_INLINE bool is_row(const struct rows *t, const uint8_t *src, uint32_t ref)
{
	const uint8_t *row = row_of(t, ref);
	pair diff = (get_pair(src, 0) & get_pair(t->mask, 0)) ^ get_pair(row, 0);

	diff |= get_pair(src, 16) ^ get_pair(row, 16);
	diff |= get_pair(src, t->third) ^ get_pair(row, t->third);
	diff |= get_pair(src, t->fourth) ^ get_pair(row, t->fourth);
	return !(diff[0] | diff[1]);
}

static void put_row(const struct rows *t, const uint8_t *src, uint8_t *row)
{
	pair first = get_pair(src, 0) & get_pair(t->mask, 0);

	copy_words(row, src, t->size);
	memcpy(row, &first, sizeof(first));
}

/* ---- tables ---- */

static inline uint32_t first_slot(const struct rows *t, uint32_t ref)
{
	return (uint32_t)XXH3_64bits(row_of(t, ref), t->size) & (t->n_slots - 1);
}

static bool rehash(struct rows *t)
{
	uint32_t *old = t->slots;

	t->n_slots = t->n_slots ? t->n_slots * 2 : FIRST_SLOTS;
	t->slots = calloc(t->n_slots, sizeof(*t->slots));
	if (!t->slots) {
		t->slots = old;
		t->n_slots /= 2;
		return false;
	}
	for (uint32_t ref = 1; ref <= t->n; ref++) {
		uint32_t i = first_slot(t, ref);

		while (t->slots[i])
			i = (i + 1) & (t->n_slots - 1);
		t->slots[i] = ref;
	}
	free(old);
	return true;
}

/* Its slot: that of an equal row, or a free one. */
static uint32_t *slot_of(const struct rows *t, uint32_t ref)
{
	uint32_t i = first_slot(t, ref);

	while (t->slots[i] && !is_row(t, row_of(t, ref), t->slots[i]))
		i = (i + 1) & (t->n_slots - 1);
	return &t->slots[i];
}

/*
 * The reference to a struct that is not near, added if it is new; false: no memory. A packet that
 * is not near is new: that it was seen long ago is not worth the search.
 */
static bool look_up(struct rows *t, const uint8_t *src, bool received, uint32_t *ret)
{
	uint32_t *slot = ret;

	*ret = 0;
	if (is_row(t, src, 0))
		return true;
	if (t->n + 1 >= t->room && !tape_build_grow(t))
		return false;
	put_row(t, src, row_of(t, t->n + 1));
	if (t->unique) {
		if (2 * t->n >= t->n_slots && !rehash(t))
			return false;
		slot = slot_of(t, t->n + 1);
		*ret = *slot;
		if (*slot)
			return true;
	}
	t->received.p[t->n] = received;
	if (!tape_build_refer(t, src))
		return false;
	*ret = *slot = ++t->n;
	return true;
}

/* ---- references ---- */

static uint64_t big_endian(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v); /* hosts are little-endian */
}

/* The two ends of a flow in one order, whichever is local; true if they were swapped. */
static bool order_flow(const uint8_t *src, struct ev_flow *ret)
{
	const uint8_t *l = src + offsetof(struct ev_flow, laddr);
	const uint8_t *r = src + offsetof(struct ev_flow, raddr);
	uint64_t lhigh = big_endian(l), rhigh = big_endian(r);
	uint64_t llow = big_endian(l + 8), rlow = big_endian(r + 8);

	memcpy(ret, src, sizeof(*ret));
	if (lhigh < rhigh || (lhigh == rhigh && llow < rlow) ||
	    (lhigh == rhigh && llow == rlow && ret->lport <= ret->rport))
		return false;
	*ret = (struct ev_flow){ret->raddr, ret->laddr, ret->rport, ret->lport};
	return true;
}

/* By words that tell the structs of that table apart. */
static ALWAYS_INLINE uint64_t mix(const struct rows *t, const uint8_t *src)
{
	uint64_t w[3];

	for (unsigned i = 0; i < 3; i++)
		memcpy(&w[i], src + t->tell[i], sizeof(w[i]));
	return w[0] * 0x9e3779b97f4a7c15u ^ w[1] * 0xbf58476d1ce4e5b9u ^ w[2] * 0x94d049bb133111ebu;
}

/*
 * Rows found lately are looked for first: few live at a time, and this is sooner known than a good
 * hash. The tag saves a look at a row that is most often another, and not in the cache any more.
 */
static bool find(const struct ref *ref, const uint8_t *src, uint32_t *ret)
{
	uint64_t h = mix(ref->to, src);
	struct near *near = &ref->to->near[h >> (64 - NEAR_BITS)];
	uint32_t tag = (uint32_t)(h >> (32 - NEAR_BITS));

	if (near->tag != tag || !is_row(ref->to, src, near->ref)) {
		if (!look_up(ref->to, src, ref->received, &near->ref))
			return false;
		near->tag = tag;
	}
	*ret = near->ref;
	return true;
}

static bool find_flow(const struct ref *ref, const uint8_t *src, uint32_t *ret)
{
	struct ev_flow ordered;
	bool swapped = order_flow(src, &ordered);

	if (!find(ref, (const uint8_t *)&ordered, ret))
		return false;
	*ret = *ret ? 1 + ((*ret - 1) << 1 | swapped) : 0;
	return true;
}

bool tape_build_refer_to(const struct rows *r, unsigned which, const uint8_t *src, uint32_t *ret)
{
	const struct ref *ref = &r->refs[which];

	return ref->directed ? find_flow(ref, src, ret) : find(ref, src, ret);
}

bool tape_build_refer(struct rows *r, const uint8_t *record)
{
	for (unsigned i = 0; i < r->n_refs; i++) {
		uint32_t *refs = (uint32_t *)(void *)r->refs[i].v.p;

		if (!tape_build_refer_to(r, i, record + r->refs[i].offset, &refs[r->n]))
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

			for (size_t n = b->rows[i].n; b->rows[i].refs[k].to == t && n-- > 0;)
				refs[n] = refs[n] ? place[refs[n] - 1] + 1 : 0;
		}
}

static bool arrange(struct tape_build *b, struct rows *t)
{
	uint32_t *place, *from = (uint32_t *)(void *)t->refs[0].v.p, *to, next = 0;
	struct buffer data = t->data;

	b->values.len = b->of.len = b->plus.len = 0;
	if (!reserve(&b->values, t->n * sizeof(*place)) || !reserve(&b->of, data.cap) ||
	    !reserve(&b->plus, t->n * sizeof(*to)))
		return false;
	place = (uint32_t *)(void *)b->values.p;
	to = (uint32_t *)(void *)b->plus.p;
	t->data = b->of;
	memset(row_of(t, 0), 0, TABLE_ROW);
	for (uint8_t side = 0; side < 2; side++) {
		for (uint32_t i = 0; i < t->n; i++) {
			if (t->received.p[i] != side)
				continue;
			to[next] = from[i];
			place[i] = next++;
			memcpy(row_of(t, next), data.p + (size_t)(i + 1) * TABLE_ROW, TABLE_ROW);
		}
		t->turn = side ? t->turn : next;
	}
	b->of = data;
	renumber(b, t, place);
	memcpy(from, to, t->n * sizeof(*to));
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

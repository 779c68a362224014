// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The structs inside records (sock, task, flow, packet) become rows of their table, each once. */
#include "build_parts.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FIRST_SLOTS 1024 /* of a table's hash, doubled as it fills */

/* ---- keys: the struct in words ---- */

#define ALWAYS_INLINE inline __attribute__((always_inline))

static inline struct key *key_of(const struct rows *t, uint32_t row)
{
	return (struct key *)(void *)(t->data.p + (size_t)row * sizeof(struct key));
}

/*
 * Structs are read by pairs of words, and what is behind them, up to 12 bytes, by a word and half a
 * one, also where a copy of them was just written: a processor waits if it must read at once what
 * was written in parts.
 */
typedef uint64_t pair __attribute__((vector_size(16)));

static ALWAYS_INLINE pair get_pair(const void *words, size_t i)
{
	pair p;

	memcpy(&p, (const uint8_t *)words + 16 * i, sizeof(p));
	return p;
}

/* Word i, the last one; sizes are multiples of 4. */
static ALWAYS_INLINE uint64_t get_word(const uint8_t *src, size_t size, size_t i)
{
	uint64_t w = 0;

	memcpy(&w, src + 8 * i, size - 8 * i < 8 ? 4 : 8);
	return w;
}

enum found { IS_NONE, IS_SAME, IS_OTHER };

/* No early end: some words at once take no longer than one. */
static ALWAYS_INLINE enum found compare(const struct rows *t, const uint8_t *src,
					const struct key *k, size_t size)
{
	pair diffs = {0}, all = {0};
	uint64_t diff, any;

#pragma GCC unroll 4
	for (size_t i = 0; i < size / 16; i++) {
		pair p = get_pair(src, i) & get_pair(&t->mask, i);

		all |= p;
		diffs |= p ^ get_pair(k, i);
	}
	any = all[0] | all[1];
	diff = diffs[0] | diffs[1];
	for (size_t i = size / 16 * 2; i < (size + 7) / 8; i++) {
		uint64_t w = get_word(src, size, i) & t->mask.w[i];

		any |= w;
		diff |= w ^ k->w[i];
	}
	return !diff ? IS_SAME : any ? IS_OTHER : IS_NONE;
}

static ALWAYS_INLINE void load(const struct rows *t, const uint8_t *src, struct key *k, size_t size)
{
#pragma GCC unroll 4
	for (size_t i = 0; i < size / 16; i++) {
		pair p = get_pair(src, i) & get_pair(&t->mask, i);

		memcpy(&k->w[2 * i], &p, sizeof(p));
	}
	for (size_t i = size / 16 * 2; i < MAX_KEY / 8; i++)
		k->w[i] = i < (size + 7) / 8 ? get_word(src, size, i) & t->mask.w[i] : 0;
}

/* A loop over words for each size that there is, without a branch. */
#define BY_SIZE(f, t, ...)                                                                         \
	((t)->size == sizeof(struct ev_sock)	 ? f(t, __VA_ARGS__, sizeof(struct ev_sock))       \
	 : (t)->size == sizeof(struct ev_packet) ? f(t, __VA_ARGS__, sizeof(struct ev_packet))     \
	 : (t)->size == sizeof(struct ev_flow)	 ? f(t, __VA_ARGS__, sizeof(struct ev_flow))       \
	 : (t)->size == sizeof(struct ev_task)	 ? f(t, __VA_ARGS__, sizeof(struct ev_task))       \
						 : f(t, __VA_ARGS__, (t)->size))

/* ---- tables ---- */

static inline uint32_t first_slot(const struct rows *t, const struct key *k)
{
	return (uint32_t)XXH3_64bits(k, sizeof(*k)) & (t->n_slots - 1);
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
	for (uint32_t row = 0; row < t->n; row++) {
		uint32_t i = first_slot(t, key_of(t, row));

		while (t->slots[i])
			i = (i + 1) & (t->n_slots - 1);
		t->slots[i] = row + 1;
	}
	free(old);
	return true;
}

/*
 * Where a row found lately is looked for first: few live at a time, and this is sooner known than
 * a good hash. Words that tell flows, sockets and tasks apart.
 */
static inline uint32_t *near(struct rows *t, const struct key *k)
{
	uint64_t mix = k->w[0] + 3 * k->w[1] + 5 * k->w[3] + 7 * k->w[4];

	return &t->near[mix * 0x9e3779b97f4a7c15u >> (64 - NEAR_BITS)];
}

/* Row + 1 of a struct in its table, added if it is new; 0: no memory. */
static uint32_t look_up(struct rows *t, const struct key *key, const uint8_t *src, bool received,
			uint32_t cpu)
{
	uint32_t i;

	if (2 * t->n >= t->n_slots && !rehash(t))
		return 0;
	for (i = first_slot(t, key); t->slots[i]; i = (i + 1) & (t->n_slots - 1))
		if (BY_SIZE(compare, t, (const uint8_t *)key, key_of(t, t->slots[i] - 1)) ==
		    IS_SAME)
			return t->slots[i];
	if (t->n == t->room && !tape_build_grow(t))
		return 0;
	BY_SIZE(load, t, (const uint8_t *)key, key_of(t, t->n));
	t->received.p[t->n] = received;
	if (!tape_build_refer(t, src, cpu))
		return 0;
	t->slots[i] = ++t->n;
	return t->n;
}

static uint32_t intern(struct rows *t, const struct key *key, const uint8_t *src, bool received,
		       uint32_t cpu)
{
	uint32_t *at = near(t, key);

	if (!*at || BY_SIZE(compare, t, (const uint8_t *)key, key_of(t, *at - 1)) != IS_SAME)
		*at = look_up(t, key, src, received, cpu);
	return *at;
}

/* The two ends of a flow in one order, whichever is local; true if they were swapped. */
static bool order_flow(const struct key *src, struct key *ret)
{
	struct ev_flow f;
	int c;

	memcpy(&f, src, sizeof(f));
	c = memcmp(&f.laddr, &f.raddr, sizeof(f.laddr));
	*ret = *src;
	if (c < 0 || (!c && f.lport <= f.rport))
		return false;
	f = (struct ev_flow){f.raddr, f.laddr, f.rport, f.lport};
	memcpy(ret, &f, sizeof(f));
	return true;
}

/* ---- references ---- */

/* The reference to a struct, which is not that of the event before on that processor. */
static bool find_ref(const struct rows *r, struct ref *ref, const uint8_t *src, uint32_t cpu,
		     uint32_t *ret)
{
	const struct tape_field *f = &r->rec->fields[ref->field];
	struct recent *recent = &ref->recent[cpu % N_RECENT];
	bool directed = f->type == TAPE_DREF, swapped = false;
	const struct key *key = &recent->key;
	struct key ordered;
	uint32_t row;

	BY_SIZE(load, ref->to, src, &recent->key);
	if (directed) {
		swapped = order_flow(key, &ordered);
		key = &ordered;
	}
	row = intern(ref->to, key, src, f->guess.side == TAPE_RECEIVED, cpu);
	*ret = recent->ref = directed && row ? 1 + ((row - 1) << 1 | swapped) : row;
	return row;
}

bool tape_build_refer(struct rows *r, const uint8_t *record, uint32_t cpu)
{
	for (unsigned i = 0; i < r->n_refs; i++) {
		struct ref *ref = &r->refs[i];
		struct recent *recent = &ref->recent[cpu % N_RECENT];
		const uint8_t *src = record + ref->offset;
		uint32_t found = 0;

		switch (BY_SIZE(compare, ref->to, src, &recent->key)) {
		case IS_NONE: break; /* often: no socket at this layer */
		case IS_SAME: found = recent->ref; break;
		case IS_OTHER:
			if (!find_ref(r, ref, src, cpu, &found))
				return false;
		}
		((uint32_t *)(void *)ref->v.p)[r->n] = found;
	}
	return true;
}

bool tape_build_refer_to(struct rows *r, unsigned which, const uint8_t *src, uint32_t cpu,
			 uint32_t *ret)
{
	static const struct key none;
	struct ref *ref = &r->refs[which];

	*ret = 0;
	return BY_SIZE(compare, ref->to, src, &none) != IS_OTHER || find_ref(r, ref, src, cpu, ret);
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
	for (uint8_t side = 0; side < 2; side++) {
		for (uint32_t i = 0; i < t->n; i++) {
			if (t->received.p[i] != side)
				continue;
			memcpy(key_of(t, next), data.p + (size_t)i * MAX_KEY, MAX_KEY);
			to[next] = from[i];
			place[i] = next++;
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

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The structs inside records (sock, task, flow, packet) become rows of their table, each once. */
#include "build_parts.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FIRST_SLOTS 1024 /* of a table's hash, doubled as it fills */

static const uint8_t zeros[256];

static bool rehash(struct rows *t)
{
	uint32_t n_slots = t->n_slots ? t->n_slots * 2 : FIRST_SLOTS, mask = n_slots - 1;
	uint32_t *slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t row = 0; row < t->n; row++) {
		uint32_t i = (uint32_t)XXH3_64bits(t->data.p + row * t->size, t->size) & mask;

		while (slots[i])
			i = (i + 1) & mask;
		slots[i] = row + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->n_slots = n_slots;
	return true;
}

static bool refer(struct tape_build *b, struct rows *r, unsigned i, size_t from, size_t n);

/* Row + 1 of this value in the table, added if it is new; 0: no memory. */
static uint32_t intern(struct tape_build *b, struct rows *t, const void *key)
{
	uint32_t i, mask;

	if (2 * t->n >= t->n_slots && !rehash(t))
		return 0;
	mask = t->n_slots - 1;
	for (i = (uint32_t)XXH3_64bits(key, t->size) & mask; t->slots[i]; i = (i + 1) & mask)
		if (!memcmp(t->data.p + (t->slots[i] - 1) * t->size, key, t->size))
			return t->slots[i];
	if (!append(&t->data, key, t->size))
		return 0;
	t->slots[i] = ++t->n;
	for (unsigned k = 0; k < t->n_refs; k++)
		if (!refer(b, t, k, t->n - 1, 1))
			return 0;
	return t->n;
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

/* The reference to a struct in its table; 0 none; *ok false: no memory. */
static uint32_t ref_to(struct tape_build *b, struct rows *t, const uint8_t *src, bool directed,
		       bool *ok)
{
	struct ev_flow flow;
	bool swapped;
	uint32_t ref;

	if (!memcmp(src, zeros, t->size))
		return 0;
	swapped = directed && order_flow((const void *)src, &flow);
	ref = intern(b, t, directed ? (const void *)&flow : src);
	*ok = *ok && ref;
	return directed && ref ? 1 + ((ref - 1) << 1 | swapped) : ref;
}

/* References of rows `from` to `from + n` of r, its i-th reference field. */
static bool refer(struct tape_build *b, struct rows *r, unsigned i, size_t from, size_t n)
{
	const struct tape_field *f = &r->rec->fields[r->ref_field[i]];
	const uint8_t *src = r->data.p + r->offset[r->ref_field[i]] + from * r->size;
	struct rows *t = rows_of(b, f->table);
	const uint8_t *last = zeros;
	uint32_t ref = 0, *out;
	bool ok = true;

	if (!reserve(&r->refs[i], n * sizeof(*out)))
		return false;
	out = (uint32_t *)(void *)(r->refs[i].p + r->refs[i].len);
	r->refs[i].len += n * sizeof(*out);
	for (size_t k = 0; ok && k < n; k++, src += r->size) {
		if (memcmp(src, last, t->size)) {
			last = src;
			ref = ref_to(b, t, src, f->type == TAPE_DREF, &ok);
		}
		out[k] = ref;
	}
	return ok;
}

bool tape_build_refer(struct tape_build *b, struct rows *r)
{
	for (unsigned i = 0; i < r->n_refs; i++)
		if (!refer(b, r, i, 0, r->n))
			return false;
	return true;
}

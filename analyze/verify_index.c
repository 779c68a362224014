// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdlib.h>

#include "cursor.h"
#include "verify_parts.h"

struct entry { /* of an index, whose numbers are differences to the entry before */
	uint64_t offset, len, ts_min, ts_max, over_floor, n_counts;
	unsigned type;
	struct tape_in counts;
};

static void get_entry(struct tape_in *in, struct entry *e)
{
	e->offset += tape_in_varint(in);
	e->len = tape_in_varint(in) * 8;
	e->type = tape_in_u8(in);
	e->ts_min += (uint64_t)tape_unzigzag(tape_in_varint(in));
	e->ts_max = e->ts_min + tape_in_varint(in);
	e->over_floor = tape_in_varint(in);
	e->n_counts = tape_in_varint(in);
	e->counts = *in;
	for (uint64_t i = 0; i < e->n_counts && !in->bad; i++) {
		tape_in_varint(in);
		tape_in_varint(in);
	}
}

static bool same_counts(struct entry *a, struct entry *b)
{
	for (uint64_t i = 0; i < 2 * a->n_counts; i++)
		if (tape_in_varint(&a->counts) != tape_in_varint(&b->counts))
			return false;
	return true;
}

/* What the index says of a chunk against what stands there. */
static void compare(struct verify *v, struct entry *said, struct entry *is)
{
	const char *what = NULL;

	if (said->ts_min != is->ts_min || said->ts_max != is->ts_max)
		what = "times";
	else if (said->len != is->len || said->type != is->type)
		what = "length, or type";
	else if (said->over_floor != is->over_floor)
		what = "floor";
	else if (said->n_counts != is->n_counts || !same_counts(said, is))
		what = "counts";
	if (what)
		verify_found(v, is->offset, 0,
			     "the index gives the chunk at byte %" PRIu64 " another %s", is->offset,
			     what);
}

static bool can_be_read(const struct tape_block_view *b)
{
	size_t n;
	struct tape_index_entry *e = tape_index_parse(b->payload, b->h.payload_len, b->offset, &n);

	free(e);
	return e != NULL;
}

static bool next_entry(struct tape_in *in, uint64_t *n, struct entry *e)
{
	if (!*n)
		return false;
	--*n;
	get_entry(in, e);
	return true;
}

/* Entries of what was damaged are no fault of the index. */
static void no_chunk(struct verify *v, const struct entry *said)
{
	if (!v->any_damage)
		verify_found(v, said->offset, 0,
			     "the index names byte %" PRIu64 ", where no chunk is", said->offset);
}

void verify_index(struct verify *v, const struct tape_block_view *b)
{
	struct tape_in file = tape_in(b->payload, b->h.payload_len);
	struct tape_in ours = tape_in(v->expected.p, v->expected.len);
	uint64_t n_file = tape_in_varint(&file), n_ours = v->expected.n;
	struct entry said = {0}, is = {0};
	bool more;

	if (v->expected.overflow)
		return; /* longer than one is written */
	if (!can_be_read(b)) {
		verify_found(v, b->offset, 0, "the index contradicts itself: readers ignore it");
		return;
	}
	more = next_entry(&file, &n_file, &said);
	while (next_entry(&ours, &n_ours, &is)) {
		for (; more && said.offset < is.offset; more = next_entry(&file, &n_file, &said))
			no_chunk(v, &said);
		if (!more || said.offset != is.offset) {
			verify_found(v, is.offset, 0,
				     "the index leaves out the chunk at byte %" PRIu64, is.offset);
			continue;
		}
		compare(v, &said, &is);
		more = next_entry(&file, &n_file, &said);
	}
	for (; more; more = next_entry(&file, &n_file, &said))
		no_chunk(v, &said);
}

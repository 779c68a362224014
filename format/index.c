// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "layout.h"

#define MAX_INDEX (4u << 20) /* about 130,000 chunks, so that the writer's memory stays bounded */
#define MAX_ENTRY (80 + 20 * TAPE_MAX_RECORDS)
#define MIN_ENTRY 7 /* bytes: six varints and a type */

static bool make_room(struct tape_index *x)
{
	size_t cap = x->cap ? 2 * x->cap : 1u << 16;
	uint8_t *p;

	if (x->len + MAX_ENTRY <= x->cap)
		return true;
	p = cap <= MAX_INDEX ? realloc(x->p, cap) : NULL;
	if (!p)
		return false;
	x->p = p;
	x->cap = cap;
	return true;
}

void tape_index_add(struct tape_index *x, unsigned block_type, uint64_t offset, uint64_t len,
		    const struct tape_chunk_head *h, const void *type_head, size_t type_head_len)
{
	struct tape_in counts = tape_in(type_head, type_head_len);
	struct tape_out out;

	if (x->overflow || !make_room(x)) {
		x->overflow = true;
		return;
	}
	out = tape_out(x->p + x->len, x->cap - x->len);
	tape_out_varint(&out, offset - x->last_offset);
	tape_out_varint(&out, len / 8);
	tape_out_le(&out, block_type, 1);
	tape_out_varint(&out, tape_zigzag((int64_t)(h->ts_min - x->last_ts)));
	tape_out_varint(&out, h->ts_max - h->ts_min);
	tape_out_varint(&out, tape_zigzag((int64_t)(h->ts_max - h->ts_floor)));
	tape_out_varint(&out, h->n_records);
	tape_in_bytes(&counts, TAPE_CHUNK_HEAD_LEN);
	for (unsigned i = 0; i < 2u * h->n_records; i++)
		tape_out_varint(&out, tape_in_varint(&counts));
	x->len = (size_t)(out.p - x->p);
	x->last_offset = offset;
	x->last_ts = h->ts_min;
	x->n++;
}

void *tape_index_payload(const struct tape_index *x, size_t *ret_len)
{
	uint8_t n[10], *payload;
	struct tape_out out = tape_out(n, sizeof(n));
	size_t n_len;

	if (x->overflow || !x->n)
		return NULL;
	tape_out_varint(&out, x->n);
	n_len = (size_t)(out.p - n);
	payload = malloc(n_len + x->len);
	if (!payload)
		return NULL;
	memcpy(payload, n, n_len);
	memcpy(payload + n_len, x->p, x->len);
	*ret_len = n_len + x->len;
	return payload;
}

void tape_index_fini(struct tape_index *x)
{
	free(x->p);
	x->p = NULL;
}

struct tape_index_entry *tape_index_parse(const void *payload, size_t len, uint64_t limit,
					  size_t *ret_n)
{
	struct tape_in in = tape_in(payload, len);
	uint64_t n = tape_in_varint(&in), end = 0, offset = 0, ts = 0;
	struct tape_index_entry *entries;

	if (n > len / MIN_ENTRY || n > limit / TAPE_BLOCK_HEAD_LEN)
		return NULL;
	entries = calloc(n + 1, sizeof(*entries));
	for (uint64_t i = 0; entries && i < n; i++) {
		struct tape_index_entry *e = &entries[i];
		uint64_t step = tape_in_varint(&in), n_counts;

		e->len = tape_in_varint(&in) * 8;
		e->type = tape_in_u8(&in);
		ts += (uint64_t)tape_unzigzag(tape_in_varint(&in));
		e->ts_min = ts;
		e->ts_max = ts + tape_in_varint(&in);
		tape_in_varint(&in);
		n_counts = tape_in_varint(&in);
		for (uint64_t k = 0; k < n_counts && !in.bad; k++) {
			tape_in_varint(&in);
			tape_in_varint(&in);
		}
		offset += step;
		e->offset = offset;
		if (in.bad || step > limit || e->len < TAPE_BLOCK_HEAD_LEN || e->len > limit ||
		    offset < end || offset + e->len > limit) {
			free(entries);
			return NULL;
		}
		end = offset + e->len;
	}
	*ret_n = n;
	return entries;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>

#include "layout.h"
#include "verify_parts.h"

static int check_column(struct verify *v, unsigned record, unsigned field)
{
	struct tape_column col;
	struct tape_error err;
	int rc;

	if (!tape_chunk_has(v->chunk, record, field))
		return 0;
	rc = tape_chunk_column(v->chunk, record, field, &col, &err);
	if (rc == TAPE_E_NOMEM)
		return fail_nomem(v->run->fail);
	if (rc == TAPE_E_UNKNOWN)
		v->n_strange++;
	else if (rc)
		verify_found(v, tape_chunk_offset(v->chunk), 0, "%s", err.text);
	return 0;
}

/* Decode all that the schema knows, and the origins of the tables' streams. */
static int check_columns(struct verify *v)
{
	const struct tape_schema *s = v->facts.schema;
	int rc = 0;

	for (size_t k = 0; k < s->n_records; k++) {
		const struct tape_record *rec = &s->records[k];

		if (!tape_chunk_rows(v->chunk, rec->id))
			continue;
		for (unsigned f = 0; f < rec->n_fields && !rc; f++)
			rc = check_column(v, rec->id, f);
		if (!rc && rec->n_fields <= TAPE_ORIGINS)
			rc = check_column(v, rec->id, TAPE_ORIGINS);
	}
	return rc;
}

/* Times against the header's bounds, and against the floor of the chunk before. */
static void check_times(struct verify *v)
{
	const struct tape_chunk_head *h = tape_chunk_head(v->chunk);
	uint64_t at = tape_chunk_offset(v->chunk), min = UINT64_MAX, max = 0, late = 0;
	struct tape_column ts;

	if (tape_chunk_column(v->chunk, TAPE_COMMON, TAPE_COMMON_TYPE, &ts, NULL))
		verify_found(v, at, 0, "chunk at byte %" PRIu64 ": its events have no types", at);
	if (tape_chunk_column(v->chunk, TAPE_COMMON, TAPE_COMMON_TS, &ts, NULL)) {
		verify_found(v, at, 0, "chunk at byte %" PRIu64 ": its events have no times", at);
		return;
	}
	for (uint32_t i = 0; i < ts.n; i++) {
		uint64_t t = tape_column_get(&ts, i);

		min = t < min ? t : min;
		max = t > max ? t : max;
		late += t < v->floor_ns;
	}
	if (min != h->ts_min || max != h->ts_max)
		verify_found(v, at, 0,
			     "chunk at byte %" PRIu64 ": its times are not those of its header",
			     at);
	if (tape_chunk_is_snapshot(v->chunk))
		return;
	if (late != h->n_stragglers)
		verify_found(v, at, 0,
			     "chunk at byte %" PRIu64 ": %" PRIu64
			     " events are earlier than was promised, its header says %" PRIu32,
			     at, late, h->n_stragglers);
}

/* The promise that it makes for what follows. */
static void check_floor(struct verify *v)
{
	const struct tape_chunk_head *h = tape_chunk_head(v->chunk);
	uint64_t at = tape_chunk_offset(v->chunk);

	if (tape_chunk_is_snapshot(v->chunk)) {
		if (h->ts_floor != v->floor_ns && !v->after_damage)
			verify_found(v, at, 0,
				     "snapshot at byte %" PRIu64
				     ": its floor is not that of the chunk before",
				     at);
		return;
	}
	if (h->ts_floor < h->ts_max || h->ts_floor < v->floor_ns)
		verify_found(v, at, 0,
			     "chunk at byte %" PRIu64 ": the promised order is taken back", at);
	v->floor_ns = h->ts_floor > v->floor_ns ? h->ts_floor : v->floor_ns;
	v->last_ns = h->ts_max > v->last_ns ? h->ts_max : v->last_ns;
}

/* Sums that run through the file; where something was left out they are taken as they come. */
static void check_sums(struct verify *v)
{
	const struct tape_chunk_head *h = tape_chunk_head(v->chunk);
	uint64_t at = tape_chunk_offset(v->chunk);

	if (!v->after_damage && h->first_event != v->n_events)
		verify_found(v, at, 0,
			     "chunk at byte %" PRIu64 ": %" PRIu64
			     " events are before it, not %" PRIu64,
			     at, v->n_events, h->first_event);
	if (h->lost < v->lost)
		verify_found(v, at, 0, "chunk at byte %" PRIu64 ": the sum of lost events falls",
			     at);
	else if (!v->after_damage && h->lost != v->lost)
		verify_found(v, at, 0,
			     "chunk at byte %" PRIu64 ": %" PRIu64
			     " events were lost before it, the records tell of %" PRIu64,
			     at, h->lost, v->lost);
	v->lost = h->lost;
	v->n_events = h->first_event;
	if (tape_chunk_is_snapshot(v->chunk)) {
		v->n_snapshots++;
	} else {
		v->n_chunks++;
		v->n_events += h->n_events;
		v->n_read += h->n_events;
	}
}

int verify_chunk(struct verify *v, const struct tape_block_view *b)
{
	bool snapshot = b->h.type == TAPE_BLOCK_SNAPSHOT;
	struct tape_error err;
	int rc = tape_chunk_parse(v->chunk, v->facts.schema, snapshot, b->type_head, b->h.hdr_len,
				  b->payload, b->h.payload_len, b->offset, &err);

	if (rc == TAPE_E_NOMEM)
		return fail_nomem(v->run->fail);
	if (rc) {
		verify_found(v, b->offset, tape_block_len(&b->h), "%s", err.text);
		v->after_damage = v->any_damage = true;
		return 0;
	}
	tape_index_add(&v->expected, b->h.type, b->offset, tape_block_len(&b->h),
		       tape_chunk_head(v->chunk), b->type_head, b->h.hdr_len);
	check_sums(v);
	check_times(v);
	check_floor(v);
	v->after_damage = false;
	return check_columns(v);
}

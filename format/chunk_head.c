// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The header of a chunk, with its counts and its directory of columns: all is checked at once. */
#include "chunk_parts.h"

#include <string.h>

#include "cursor.h"
#include "layout.h"

static int too_large(const struct tape_chunk *c, struct tape_error *err, const char *what,
		     uint64_t found, uint64_t ceiling)
{
	return tape_fail(err, TAPE_E_LIMIT, c->offset, "chunk at byte %llu: %s: %llu, at most %llu",
			 (unsigned long long)c->offset, what, (unsigned long long)found,
			 (unsigned long long)ceiling);
}

void tape_chunk_head_pack(const struct tape_chunk_head *h, void *out)
{
	struct tape_out o = tape_out(out, TAPE_CHUNK_HEAD_LEN);

	tape_out_le(&o, h->ts_min, 8);
	tape_out_le(&o, h->ts_max, 8);
	tape_out_le(&o, h->ts_floor, 8);
	tape_out_le(&o, h->first_event, 8);
	tape_out_le(&o, h->lost, 8);
	tape_out_le(&o, h->n_events, 4);
	tape_out_le(&o, h->n_stragglers, 4);
	tape_out_le(&o, h->n_records, 2);
	tape_out_le(&o, h->n_columns, 2);
	tape_out_le(&o, h->flags, 4);
}

static void get_fixed_head(struct tape_chunk_head *h, struct tape_in *in)
{
	h->ts_min = tape_in_u64(in);
	h->ts_max = tape_in_u64(in);
	h->ts_floor = tape_in_u64(in);
	h->first_event = tape_in_u64(in);
	h->lost = tape_in_u64(in);
	h->n_events = tape_in_u32(in);
	h->n_stragglers = tape_in_u32(in);
	h->n_records = tape_in_u16(in);
	h->n_columns = tape_in_u16(in);
	h->flags = tape_in_u32(in);
}

static int check_head(const struct tape_chunk *c, struct tape_error *err)
{
	const struct tape_chunk_head *h = &c->head;

	if (h->flags & ~TAPE_CHUNK_KNOWN_FLAGS)
		return tape_fail(err, TAPE_E_UNKNOWN, c->offset,
				 "chunk at byte %llu has flags of a newer version",
				 (unsigned long long)c->offset);
	if (h->n_events > TAPE_MAX_EVENTS)
		return too_large(c, err, "events", h->n_events, TAPE_MAX_EVENTS);
	if (h->n_events / TAPE_MAX_EVENTS_PER_BYTE > c->stored_len)
		return too_large(c, err, "events a byte",
				 (h->n_events + c->stored_len - 1) / c->stored_len,
				 TAPE_MAX_EVENTS_PER_BYTE);
	if (h->n_records > TAPE_MAX_RECORDS)
		return too_large(c, err, "record types", h->n_records, TAPE_MAX_RECORDS);
	if (h->n_columns > TAPE_MAX_COLUMNS)
		return too_large(c, err, "columns", h->n_columns, TAPE_MAX_COLUMNS);
	if (!h->n_events || h->ts_min > h->ts_max)
		return corrupt(c, err, "no events, or times out of order");
	return 0;
}

static int get_counts(struct tape_chunk *c, struct tape_in *in, struct tape_error *err)
{
	uint64_t n_events = 0, last_id = TAPE_COMMON;
	uint64_t most = (uint64_t)c->head.n_events * TAPE_MAX_ROWS_PER_EVENT;

	for (unsigned i = 0; i < c->head.n_records; i++) {
		uint64_t id = tape_in_varint(in), n = tape_in_varint(in);
		const struct tape_record *rec;

		if (in->bad || id <= last_id || id > UINT16_MAX || !n)
			return corrupt(c, err, "the list of record counts is damaged");
		rec = tape_schema_record(c->schema, (unsigned)id);
		if (n > most)
			return too_large(c, err, "rows of a record type", n, most);
		if (!rec || !rec->is_table)
			n_events += n;
		c->counts[i] = (struct count){(uint16_t)id, (uint32_t)n, rec};
		last_id = id;
	}
	if (n_events != c->head.n_events)
		return corrupt(c, err, "the counts do not add up to the number of events");
	return 0;
}

static const struct count *count_of(const struct tape_chunk *c, unsigned id)
{
	unsigned i = 0, n = c->head.n_records;

	while (i < n && c->counts[i].id < id) /* they stand by rising id */
		i++;
	return i < n && c->counts[i].id == id ? &c->counts[i] : NULL;
}

/* What a predicted column is predicted from; an entry without it damages the column alone. */
static void get_guess(struct tape_in e, struct column *col)
{
	uint64_t v[4] = {0};
	bool predicted = col->transform == TAPE_T_ROW || col->transform == TAPE_T_LAST ||
			 col->transform == TAPE_T_CROSS || col->transform == TAPE_T_SAME ||
			 col->transform == TAPE_T_SMOOTH;

	for (unsigned i = 0; predicted && i < 4; i++)
		v[i] = tape_in_varint(&e);
	col->no_guess = e.bad || (v[0] | v[1] | v[2] | v[3]) > UINT32_MAX;
	col->of = (uint32_t)v[0];
	col->plus = (uint32_t)v[1];
	col->key = (uint32_t)v[2];
	col->turn = (uint32_t)v[3];
}

static bool get_column_entry(struct tape_in *in, struct column *col)
{
	unsigned len = tape_in_u8(in);
	const uint8_t *p = tape_in_bytes(in, len);
	struct tape_in e = p ? tape_in(p, len) : tape_in("", 0);
	uint64_t record = tape_in_varint(&e), field = tape_in_varint(&e), raw, stored;

	col->transform = tape_in_u8(&e);
	col->layout = tape_in_u8(&e);
	col->flags = tape_in_u8(&e);
	raw = tape_in_varint(&e);
	stored = tape_in_varint(&e);
	get_guess(e, col);
	if (e.bad || record > UINT16_MAX || field > UINT16_MAX || raw > UINT32_MAX ||
	    stored > UINT32_MAX)
		return false;
	col->record = (uint16_t)record;
	col->field = (uint16_t)field;
	col->raw_len = (uint32_t)raw;
	col->stored_len = (uint32_t)stored;
	col->rc = NOT_DECODED;
	return true;
}

/* Keys of a KEYED or predicted column: it remembers a value for each, and runs over them. */
static uint64_t keys_of(const struct tape_chunk *c, const struct column *col)
{
	const struct tape_record *rec = col->rec;
	bool keyed = col->transform == TAPE_T_KEYED;
	int field = keyed ? first_ref(rec) : col->key ? (int)((col->key - 1) / 2) : -1, first;
	const struct tape_record *to;
	uint64_t n;

	if (field < 0 || field >= (int)rec->n_fields || !rec->fields[field].table)
		return 0;
	n = 2 * (uint64_t)tape_chunk_rows(c, rec->fields[field].table) + 1;
	to = tape_schema_record(c->schema, rec->fields[field].table);
	first = first_ref(to);
	if (!keyed && !(col->key & 1) && first >= 0) /* by the streams of that table's rows */
		n += 2 * (uint64_t)tape_chunk_rows(c, to->fields[first].table) + 1;
	return col->transform == TAPE_T_LAST ? n + c->head.n_events : n;
}

/*
 * Memory that decoding the column takes, but for its body, or for many columns of few rows over a
 * long table, what would pass through it.
 */
static uint64_t decoded_len(const struct tape_chunk *c, const struct column *col)
{
	const struct tape_field *f = field_of(col);

	if (!f)
		return col->field == TAPE_ORIGINS ? 2 * sizeof(uint32_t) * (uint64_t)col->n_rows
						  : 0;
	return (col->n_rows + keys_of(c, col)) * (f->width ? f->width : 4);
}

/* Of which record it is; most often that of the column before. */
static bool find_record(const struct tape_chunk *c, struct column *col, const struct count **last)
{
	if (col->record == TAPE_COMMON) {
		col->rec = tape_schema_record(c->schema, TAPE_COMMON);
		col->n_rows = c->head.n_events;
		return true;
	}
	if (!*last || (*last)->id != col->record)
		*last = count_of(c, col->record);
	if (!*last)
		return false;
	col->rec = (*last)->rec;
	col->n_rows = (*last)->n_rows;
	return true;
}

static int get_directory(struct tape_chunk *c, struct tape_in *in, struct tape_error *err)
{
	bool single = c->head.flags & TAPE_CHUNK_SINGLE;
	uint64_t raw = 0, stored = 0, decoded = 0;
	const struct count *last = NULL;

	for (unsigned i = 0; i < c->head.n_columns; i++) {
		struct column *col = &c->columns[i];

		if (!get_column_entry(in, col))
			return corrupt(c, err, "the column directory is damaged");
		if (!find_record(c, col, &last))
			return corrupt(c, err,
				       "a column of a record type that the chunk does not hold");
		col->at = (uint32_t)(single ? raw : stored);
		raw += col->raw_len;
		stored += single ? 0 : col->stored_len;
		decoded += decoded_len(c, col);
		if (raw > TAPE_MAX_CHUNK_RAW)
			return too_large(c, err, "bytes of columns", raw, TAPE_MAX_CHUNK_RAW);
		if (decoded > TAPE_MAX_CHUNK_ROWS)
			return too_large(c, err, "bytes of decoded columns", decoded,
					 TAPE_MAX_CHUNK_ROWS);
	}
	c->memory = (size_t)(raw + decoded);
	if (c->payload && stored > c->payload_len)
		return corrupt(c, err, "the columns are longer than the payload");
	return 0;
}

int tape_chunk_parse(struct tape_chunk *c, const struct tape_schema *schema, bool snapshot,
		     const void *type_head, size_t type_head_len, const void *payload,
		     size_t payload_len, uint64_t offset, struct tape_error *err)
{
	struct tape_in in = tape_in(type_head, type_head_len);
	int rc;

	c->schema = schema;
	c->snapshot = snapshot;
	c->offset = offset;
	c->stored_len = TAPE_BLOCK_HEAD_LEN + type_head_len + payload_len;
	c->type_head = type_head;
	c->type_head_len = type_head_len;
	c->payload = payload;
	c->payload_len = payload_len;
	c->single = NULL;
	c->single_rc = NOT_DECODED;
	c->memory = 0;
	tape_arena_reset(&c->arena);
	get_fixed_head(&c->head, &in);
	if (in.bad) {
		memset(&c->head, 0, sizeof(c->head));
		return corrupt(c, err, "the header is too short");
	}
	rc = check_head(c, err);
	if (!rc)
		rc = get_counts(c, &in, err);
	if (!rc)
		rc = get_directory(c, &in, err);
	if (rc)
		c->head.n_records = c->head.n_columns = 0;
	return rc;
}

uint32_t tape_chunk_rows(const struct tape_chunk *c, unsigned record)
{
	const struct count *k;

	if (record == TAPE_COMMON)
		return c->head.n_events;
	k = count_of(c, record);
	return k ? k->n_rows : 0;
}

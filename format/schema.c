// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "schema.h"

#include <string.h>

#include "events.h"

/* ---- the built-in schema, out of events.def ---- */

/* type token of events.def -> {enum tape_type, table it refers to, decoded width} */
#define TYPE_u8 TAPE_U8, 0, 1
#define TYPE_u16 TAPE_U16, 0, 2
#define TYPE_u32 TAPE_U32, 0, 4
#define TYPE_u64 TAPE_U64, 0, 8
#define TYPE_i32 TAPE_I32, 0, 4
#define TYPE_i64 TAPE_I64, 0, 8
#define TYPE_addr TAPE_ADDR, 0, 16
#define TYPE_comm TAPE_COMM, 0, 16
#define TYPE_str TAPE_STR, 0, 0
#define TYPE_flow TAPE_DREF, TABLE_flow, 4
#define TYPE_sock TAPE_REF, TABLE_sock, 4
#define TYPE_task TAPE_REF, TABLE_task, 4
#define TYPE_packet TAPE_REF, TABLE_packet, 4

/* encoding token of events.def -> the hint and what it guesses from */
#define HINT_PLAIN                                                                                 \
	TAPE_PLAIN,                                                                                \
	{                                                                                          \
		0                                                                                  \
	}
#define HINT_DELTA                                                                                 \
	TAPE_DELTA,                                                                                \
	{                                                                                          \
		0                                                                                  \
	}
#define HINT_KEYED                                                                                 \
	TAPE_KEYED,                                                                                \
	{                                                                                          \
		0                                                                                  \
	}
#define HINT_REF                                                                                   \
	TAPE_IS_REF,                                                                               \
	{                                                                                          \
		0                                                                                  \
	}
#define HINT_POINTER                                                                               \
	TAPE_POINTER,                                                                              \
	{                                                                                          \
		0                                                                                  \
	}
#define HINT_NEXT(stream)                                                                          \
	TAPE_NEXT,                                                                                 \
	{                                                                                          \
		.side = TAPE_##stream                                                              \
	}
#define HINT_SAME(ref)                                                                             \
	TAPE_SAME,                                                                                 \
	{                                                                                          \
		.key = #ref, .side = TAPE_SENT                                                     \
	}
#define HINT_ROW(field)                                                                            \
	TAPE_ROW,                                                                                  \
	{                                                                                          \
		.of = #field                                                                       \
	}
#define HINT_LAST(stream)                                                                          \
	TAPE_LAST,                                                                                 \
	{                                                                                          \
		.side = TAPE_##stream                                                              \
	}
#define HINT_AFTER(stream, field)                                                                  \
	TAPE_LAST,                                                                                 \
	{                                                                                          \
		.of = #field, .side = TAPE_##stream                                                \
	}
#define HINT_ADD(stream, len)                                                                      \
	TAPE_LAST,                                                                                 \
	{                                                                                          \
		.plus = #len, .side = TAPE_##stream                                                \
	}
#define HINT_ADD_NOW(stream, len)                                                                  \
	TAPE_LAST,                                                                                 \
	{                                                                                          \
		.plus = #len, .plus_now = true, .side = TAPE_##stream                              \
	}
#define HINT_CROSS(field, len)                                                                     \
	TAPE_CROSS,                                                                                \
	{                                                                                          \
		.of = #field, .plus = #len, .side = TAPE_EITHER                                    \
	}
#define HINT_SMOOTH(sample)                                                                        \
	TAPE_SMOOTH,                                                                               \
	{                                                                                          \
		.of = #sample                                                                      \
	}
#define HINT_DEVIATION(sample, mean)                                                               \
	TAPE_SMOOTH,                                                                               \
	{                                                                                          \
		.of = #sample, .plus = #mean                                                       \
	}
#define HINT_TIME_OF(ref)                                                                          \
	TAPE_LAST,                                                                                 \
	{                                                                                          \
		.key = #ref                                                                        \
	}

#define FIELD_ROW(name, unit, meaning, type, table, width, hint, ...)                              \
	{name, unit, meaning, type, hint, table, width, __VA_ARGS__},
#define FIELD_ROW_EXPANDED(...) FIELD_ROW(__VA_ARGS__)

enum {
#define TABLE(name, id, meaning) TABLE_##name = id,
#define EVENT(name, id, group, meaning)
#define FIELD(type, name, encoding, unit, meaning)
#define END(name)
#define ENUM(unit, value, name)
#include "events.def"
};

static const struct tape_field fields_event[] = {
	{"ts_ns", "ns", "CLOCK_MONOTONIC when the hook ran", TAPE_U64, TAPE_DELTA, 0, 8, {0}},
	{"type", "record", "record id of the event", TAPE_U16, TAPE_PLAIN, 0, 2, {0}},
	{"cpu", "cpu", "processor that the hook ran on", TAPE_U32, TAPE_PLAIN, 0, 4, {0}},
};

#define TABLE(name, id, meaning) static const struct tape_field fields_##name[] = {
#define EVENT(name, id, group, meaning) static const struct tape_field fields_##name[] = {
#define FIELD(type, name, encoding, unit, meaning)                                                 \
	FIELD_ROW_EXPANDED(#name, #unit, meaning, TYPE_##type, HINT_##encoding)
#define END(name)                                                                                  \
	}                                                                                          \
	;
#define ENUM(unit, value, name)
#include "events.def"

#define N_ROWS(array) (sizeof(array) / sizeof((array)[0]))

static const struct tape_record records[] = {
	{"event", "", "columns that every event has", TAPE_COMMON, true, N_ROWS(fields_event),
	 fields_event},
#define TABLE(name, id, meaning)                                                                   \
	{#name, "", meaning, id, true, N_ROWS(fields_##name), fields_##name},
#define EVENT(name, id, group, meaning)                                                            \
	{#name, #group, meaning, id, false, N_ROWS(fields_##name), fields_##name},
#define FIELD(type, name, encoding, unit, meaning)
#define END(name)
#define ENUM(unit, value, name)
#include "events.def"
};

static const struct tape_name names[] = {
#define TABLE(name, id, meaning)
#define EVENT(name, id, group, meaning)
#define FIELD(type, name, encoding, unit, meaning)
#define END(name)
#define ENUM(unit, value, name) {#unit, name, value},
#include "events.def"
};

static const struct tape_schema builtin = {records, N_ROWS(records), names, N_ROWS(names)};

const struct tape_schema *tape_schema_builtin(void)
{
	return &builtin;
}

/* ---- lookup ---- */

const struct tape_record *tape_schema_record(const struct tape_schema *s, unsigned id)
{
	size_t low = 0, high = s->n_records; /* they stand by rising id */

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (s->records[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->n_records && s->records[low].id == id ? &s->records[low] : NULL;
}

const struct tape_record *tape_schema_record_by_name(const struct tape_schema *s, const char *name)
{
	for (size_t i = 0; i < s->n_records; i++)
		if (!strcmp(s->records[i].name, name))
			return &s->records[i];
	return NULL;
}

int tape_record_field(const struct tape_record *rec, const char *name)
{
	for (int i = 0; i < rec->n_fields; i++)
		if (!strcmp(rec->fields[i].name, name))
			return i;
	return -1;
}

/* events.h asserts that there is no padding, so sizes are sums. */
size_t tape_field_size(const struct tape_field *f)
{
	if (f->table)
		return tape_record_size(tape_schema_record(&builtin, f->table));
	return f->type == TAPE_STR ? sizeof(struct ev_str) : f->width;
}

size_t tape_field_offset(const struct tape_record *rec, unsigned field)
{
	size_t at = rec->is_table ? 0 : sizeof(struct ev_head);

	for (unsigned i = 0; i < field; i++)
		at += tape_field_size(&rec->fields[i]);
	return at;
}

size_t tape_record_size(const struct tape_record *rec)
{
	return tape_field_offset(rec, rec->n_fields);
}

unsigned tape_record_n_short(const struct tape_record *rec)
{
	unsigned n = rec->n_fields;

	while (!rec->is_table && n && rec->fields[n - 1].hint == TAPE_POINTER)
		n--;
	return n;
}

size_t tape_record_short(const struct tape_record *rec)
{
	return tape_field_offset(rec, tape_record_n_short(rec));
}

const char *tape_schema_name(const struct tape_schema *s, const char *unit, uint64_t value)
{
	for (size_t i = 0; i < s->n_names; i++)
		if (s->names[i].value == value && !strcmp(s->names[i].unit, unit))
			return s->names[i].name;
	return NULL;
}

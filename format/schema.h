/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a trace holds: record types (tables and events), their fields, and the names of values.
 * The built-in schema comes from events.def; every file carries its own, and readers follow the
 * file's. A schema is immutable once made, so threads may share it.
 */
#ifndef TAPE_SCHEMA_H
#define TAPE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum tape_type {
	TAPE_U8,
	TAPE_U16,
	TAPE_U32,
	TAPE_U64,
	TAPE_I32,
	TAPE_I64,
	TAPE_ADDR, /* 16 bytes, network order; IPv4 as v4-mapped */
	TAPE_COMM, /* 16 bytes, NUL-padded */
	TAPE_STR,  /* bytes of any length */
	TAPE_REF,  /* row of a table: 0 none, else row + 1 */
	TAPE_DREF, /* row of table flow with direction: 0 none, else 1 + (row << 1 | ends swapped)
		    */
	TAPE_TYPE_UNKNOWN, /* of a newer file: its columns are unavailable */
};

enum tape_hint {
	TAPE_PLAIN,
	TAPE_DELTA,
	TAPE_KEYED,
	TAPE_IS_REF,
	TAPE_POINTER,
	/* predicted from other fields, which struct tape_guess_hint names */
	TAPE_ROW,
	TAPE_LAST,
	TAPE_CROSS,
	TAPE_NEXT, /* side: what the events do with the packets that they refer to */
	TAPE_SAME,
	TAPE_SMOOTH,
};

/* Of the built-in schema: what a field is predicted from; names of fields of the same record. */
struct tape_guess_hint {
	const char *of, *plus, *key; /* NULL: itself, nothing, the record's first reference */
	bool plus_now;		     /* plus of this row, not of the row before */
	enum tape_side {
		TAPE_NO_STREAM, /* the key is the reference itself, and time the first guess */
		TAPE_SENT,	/* the key is the stream of bytes that the key's local end sends */
		TAPE_RECEIVED,	/* that its remote end sends */
		TAPE_EITHER	/* that of the packet: as the events do that refer to it first */
	} side;
};

struct tape_field {
	const char *name, *unit, *meaning;
	enum tape_type type;
	enum tape_hint hint; /* of a file: POINTER or PLAIN; what its columns are, they say */
	uint16_t table;	     /* id of the table that a REF or DREF points into, else 0 */
	uint16_t width;	     /* bytes of one decoded value: 1, 2, 4, 8 or 16; 0 string or unknown */
	struct tape_guess_hint guess;
};

struct tape_record {
	const char *name, *group, *meaning; /* group: "" for a table */
	uint16_t id;
	bool is_table;
	uint16_t n_fields;
	const struct tape_field *fields;
};

struct tape_name {
	const char *unit, *name;
	uint64_t value;
};

struct tape_schema {
	const struct tape_record
		*records; /* by rising id; records[0] is the common record "event" */
	size_t n_records;
	const struct tape_name *names;
	size_t n_names;
};

/*
 * The common record, id 0: the columns that every event has, one row an event, in file order.
 */
enum { TAPE_COMMON = 0, TAPE_COMMON_TS = 0, TAPE_COMMON_TYPE = 1, TAPE_COMMON_CPU = 2 };

/* The schema of this build; static. */
const struct tape_schema *tape_schema_builtin(void);

/* The record with that id or name; NULL if there is none. */
const struct tape_record *tape_schema_record(const struct tape_schema *s, unsigned id);
const struct tape_record *tape_schema_record_by_name(const struct tape_schema *s, const char *name);

/*
 * Of the built-in schema: bytes of a field in struct ev_<name>, where that field stands in it (for
 * field n_fields: where it ends), and bytes of the whole struct.
 */
size_t tape_field_size(const struct tape_field *f);
size_t tape_field_offset(const struct tape_record *rec, unsigned field);
size_t tape_record_size(const struct tape_record *rec);

/*
 * Of an event without the kernel addresses that it ends with: how many fields, and bytes of the
 * struct up to there. Of a table: all.
 */
unsigned tape_record_n_short(const struct tape_record *rec);
size_t tape_record_short(const struct tape_record *rec);

/* Index of the field of that name in a record, -1 if there is none. */
int tape_record_field(const struct tape_record *rec, const char *name);

/* The name of value of a unit ("tcp_state", 1 -> "ESTABLISHED"); NULL if it has none. */
const char *tape_schema_name(const struct tape_schema *s, const char *unit, uint64_t value);

/*
 * The text form that files carry (docs/format.md, SCHEMA), with meanings in short where the schema
 * is this build's. The caller frees *ret_text with free(). groups: the groups with a comma between
 * them whose events are told, beside those that no group can leave out (of snapshots, of the
 * recorder); NULL: all. pointers: the kernel addresses that events end with are told, too. extra:
 * whole lines to append (names that only the running kernel knows), may be NULL.
 */
int tape_schema_write(const struct tape_schema *s, const char *groups, bool pointers,
		      const char *extra, char **ret_text, size_t *ret_len, struct tape_error *err);

/* Parse that text, which may come from an enemy. Free with tape_schema_free, NULL allowed. */
int tape_schema_parse(const char *text, size_t len, struct tape_schema **ret,
		      struct tape_error *err);
void tape_schema_free(struct tape_schema *s);

#endif

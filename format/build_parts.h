/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What build.c, which collects the records of a chunk, move.c, which takes them from another chunk,
 * intern.c, which makes tables of the structs inside them, and encode.c, which turns all into
 * columns, share. For these only.
 */
#ifndef TAPE_BUILD_PARTS_H
#define TAPE_BUILD_PARTS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "buffer.h"
#include "chunk.h"
#include "layout.h"

#define MAX_NESTED 4 /* pointer fields in one record, nested ones included; string fields */
#define MAX_REFS 4   /* references in one record */
#define MAX_KEY 64   /* bytes of a table's struct, and of a row of it: one cache line */
#define N_RECENT 8   /* what a processor has at hand, it most often has at the next layer too */
#define NEAR_BITS 8
#define AHEAD 256  /* bytes; records stand one behind the other where they come from */
#define MAX_ID 255 /* of a record type */

/* The struct of a table as words, zeros behind it: all are compared and hashed in the same way. */
struct key {
	uint64_t w[MAX_KEY / 8];
};

/*
 * The records of one type, or the rows of one table. Of a record what is no reference is kept,
 * packed; structs that are references become rows of their table at once, while they are in the
 * cache. A table's rows are whole structs, MAX_KEY bytes each.
 */
struct rows {
	const struct tape_record *rec;
	size_t size, stride; /* of the struct; of a row in data */
	size_t short_size;   /* of the struct without pointers at its end, if unwanted */
	uint16_t offset[TAPE_MAX_FIELDS]; /* of each field in a row */
	struct span {
		uint16_t from, to, len;
	} spans[MAX_REFS + 1]; /* from the struct to the row */
	unsigned n_spans;
	uint16_t pointer[MAX_NESTED], n_pointers; /* offsets in a row */
	uint16_t string[MAX_NESTED], n_strings;
	struct ref {
		uint8_t field;
		uint16_t offset; /* in the struct */
		struct rows *to;
		struct recent { /* by processor: the struct before, and its reference */
			struct key key;
			uint32_t ref;
		} recent[N_RECENT];
		struct buffer v; /* a reference a row */
	} refs[MAX_REFS];
	unsigned n_refs;
	struct {
		int8_t of, plus, key; /* fields that each is predicted from; -1 none */
	} guess[TAPE_MAX_FIELDS];
	struct buffer data;
	uint32_t n, room; /* rows; what data and refs have room for */
	bool timed;	  /* rows begin with ts_ns */
	/* tables only: open addressing, row + 1, 0 free */
	uint32_t *slots, n_slots;
	uint32_t near[1 << NEAR_BITS];
	struct key mask;	/* of what keys have: not the struct's pointer, unless wanted */
	struct buffer received; /* u8 a row: who had it first receives packets (TAPE_EITHER) */
	uint32_t turn;		/* rows before it are sent, once they were arranged */
	struct rows *ends;	/* the table whose row says the stream: flow, for sock */
	struct buffer origins;	/* the first number of each of its streams, 0 none yet */
};

struct tape_build {
	const struct tape_schema *schema;
	bool pointers;
	int level;
	ZSTD_CCtx *zstd, *zstd_small; /* one that changes size is allocated anew again and again */
	struct rows *by_id[MAX_ID + 1];
	struct rows *rows; /* as schema->records; rows[0] (the common record) stays empty */
	struct buffer ts, type, cpu, strings;
	uint32_t n, room; /* events; what ts, type and cpu have room for */
	uint64_t ts_min, ts_max;
	size_t bytes;
	uint64_t turn; /* how many times all was forgotten */
	/* encoding */
	struct buffer values, body, head, payload;
	struct buffer cuts;		    /* size_t: where blocks of zstd end in body */
	struct buffer of, plus, keys, last; /* what a column is predicted from */
	const struct tape_field *keys_of;   /* the reference whose streams stand in keys */
	unsigned n_columns;
	bool single;
	struct tape_absent omit;
};

/*
 * Structs are of whole words, and most spans short: no call for each, and the end again instead of
 * a loop for what is left.
 */
static inline void copy_words(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len >= 16) {
		for (size_t i = 0; i + 16 < len; i += 16)
			memcpy(to + i, from + i, 16);
		memcpy(to + len - 16, from + len - 16, 16);
	} else if (len >= 8) {
		memcpy(to, from, 8);
		memcpy(to + len - 8, from + len - 8, 8);
	} else {
		memcpy(to, from, 4);
	}
}

static inline int no_memory(struct tape_error *err)
{
	return tape_fail(err, TAPE_E_NOMEM, 0, "no memory for a chunk");
}

static inline struct rows *rows_of(const struct tape_build *b, unsigned id)
{
	return id <= MAX_ID ? b->by_id[id] : NULL;
}

/* build.c. Room for twice as many rows. */
bool tape_build_grow(struct rows *r);

/*
 * build.c. A row of an event: room for it, and what all events have; the caller fills row
 * (*ret)->n, its references too; what of it does not stay there, pointers and strings, is settled;
 * it counts.
 */
int tape_build_begin_row(struct tape_build *b, const struct ev_head *e, struct rows **ret,
			 struct tape_error *err);
bool tape_build_settle_row(struct tape_build *b, const struct rows *r, uint8_t *row);
void tape_build_end_row(struct tape_build *b, struct rows *r, const struct ev_head *e);

/*
 * intern.c. The references of a record that becomes row r->n; new rows go into the tables. false:
 * no memory.
 */
bool tape_build_refer(struct rows *r, const uint8_t *record, uint32_t cpu);

/* intern.c. The reference number `which` of a row of r, to that struct. false: no memory. */
bool tape_build_refer_to(struct rows *r, unsigned which, const uint8_t *src, uint32_t cpu,
			 uint32_t *ret);

/* intern.c. In all tables rows that are sent come before those that are received. */
bool tape_build_arrange(struct tape_build *b);

/* Those of a field. */
static inline const uint32_t *refs_of(const struct rows *r, unsigned field)
{
	unsigned i = 0;

	while (r->refs[i].field != field)
		i++;
	return (const uint32_t *)(const void *)r->refs[i].v.p;
}

/* Forget all records, for the next chunk. */
void tape_build_forget(struct tape_build *b);

#endif

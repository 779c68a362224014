/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event as one plain table, as other programs want it: its own fields, and those of the rows
 * that it refers to (socket, ends, task, packet) beside them. Columns are found by the schema of
 * the file, and decoded when the first value of a chunk is asked for.
 *
 * Names: its own fields keep them (but for time, time_s, ts_ns, cpu, which are every event's), and
 * so do those of its socket (whose cookie is conn), of that one's ends, and of its thread, where
 * the name is still free; all others get the reference in front (packet_seq, listener_lport).
 */
#ifndef ANA_FLAT_H
#define ANA_FLAT_H

#include <stdbool.h>
#include <stdint.h>

#include "bind.h"
#include "names.h"

#define FLAT_MAX_HOPS 2
#define FLAT_NAME_LEN 132 /* two names of a schema, of 64 bytes at most each, and a _ */
#define FLAT_MAX_COLUMNS 512

enum flat_kind {
	FLAT_NUMBER,
	FLAT_NAMED, /* an integer whose values may have names */
	FLAT_COOKIE,
	FLAT_ADDR,
	FLAT_TEXT, /* bytes of any kind */
};

struct flat_column {
	char name[FLAT_NAME_LEN];
	enum flat_kind kind;
	const struct tape_field *f; /* where the value stands */
	bool is_signed;
	unsigned n_hops;		 /* references on the way there */
	bool is_directed[FLAT_MAX_HOPS]; /* to a flow, from one of its ends */
	struct {
		uint16_t record, field;
	} hops[FLAT_MAX_HOPS], value, other_end; /* other_end: for flows seen from it */
	struct names names;
};

/* One record type of a schema. Memory stays its own: free with flat_fini. */
struct flat {
	const struct tape_record *rec;
	struct flat_column *columns;
	unsigned n;
	unsigned n_left_out; /* fields of unknown type, and those beyond FLAT_MAX_COLUMNS */
};

/* -1: no memory. Free also then. */
int flat_init(struct flat *f, const struct tape_schema *schema, const struct tape_record *rec);
void flat_fini(struct flat *f);

/* A column of one chunk. */
struct flat_data {
	bool have;
	uint32_t n[FLAT_MAX_HOPS + 1]; /* rows of the record, and of the tables on the way */
	struct tape_column hops[FLAT_MAX_HOPS], value, other_end;
};

/* 0; or negative and *err: damage, the column is not there; or no memory. */
int flat_load(struct flat_data *d, const struct flat_column *c, struct tape_chunk *chunk,
	      uint16_t record, struct tape_error *err);

struct flat_value {
	enum { FLAT_IS_NULL, FLAT_IS_UINT, FLAT_IS_INT, FLAT_IS_TEXT } is;
	uint64_t v;    /* FLAT_IS_INT: of an int64_t */
	const char *s; /* of the trace, or in room */
	size_t len;
	char room[FLOW_TEXT_LEN];
};

/*
 * Where the value of row k stands: the row of *ret_col, or -1: it was not recorded, or refers to
 * nothing. Then that value.
 */
int64_t flat_find(const struct flat_column *c, const struct flat_data *d, uint32_t k,
		  const struct tape_column **ret_col);
void flat_take(const struct flat_column *c, const struct tape_column *col, int64_t row,
	       struct flat_value *ret);

/*
 * The same for n rows of a chunk at once: at[i] is 0 where there is none, else 1 + 2 x its row, one
 * more where it is that of other_end. before: the column that *at is of already, NULL none; most
 * columns stand where the one before them does. false: nowhere, and *at is as it was.
 */
bool flat_places(const struct flat_column *c, const struct flat_data *d,
		 const struct flat_column *before, const uint32_t *rows, uint32_t n, uint32_t *at);

/* Both: null if it is nowhere. */
void flat_get(const struct flat_column *c, const struct flat_data *d, uint32_t k,
	      struct flat_value *ret);

#endif

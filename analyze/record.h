/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows of any record, as the schema of the file describes it: what a newer recorder wrote is read
 * and printed too. Owns the list of records and the names of their values; columns belong to the
 * chunk that was loaded last.
 */
#ifndef ANA_RECORD_H
#define ANA_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "bind.h"
#include "json.h"
#include "names.h"
#include "text.h"

struct record_field {
	const struct tape_field *f;
	struct tape_column col;
	bool have; /* col is there */
	bool is_cookie, is_hex, is_errno, has_asked_names;
	struct names names;
};

struct record {
	const struct tape_record *rec;
	struct record_field *fields;
	uint32_t n_rows, next;	      /* in the chunk; the row that record_set_event gives next */
	int sock_field, task_field;   /* first reference to those tables; -1 none */
	int daddr_field, dport_field; /* the remote end that was asked for; -1 none */
	int flow_field;		      /* a packet's own addresses; -1 none */
	int packet_field;	      /* reference to a packet, which has some; -1 none */
	bool on; /* its columns are wanted; of tables by record_set_ready, the rest by the caller */
};

#define RECORD_NEAR 256 /* ids that are found at once; real files have no others */

struct record_set {
	const struct tape_schema *schema;
	struct record *records; /* one for each of the schema, in its order */
	struct record *near[RECORD_NEAR];
};

/* -1: no memory. Free with record_set_fini also then. */
int record_set_init(struct record_set *s, const struct tape_schema *schema);
void record_set_fini(struct record_set *s);

struct record *record_by_id(const struct record_set *s, unsigned id); /* NULL: none */

/* Once the caller has said which records are on: the tables that these refer to are too. */
void record_set_ready(struct record_set *s);

/* Whether a chunk has any event that is on. */
bool record_set_wants(const struct record_set *s, const struct tape_chunk *chunk);

/*
 * Decode the columns of one chunk, on any thread. 0; TAPE_E_NOMEM; else damage: *err, and those
 * columns are left out.
 */
int record_set_decode(const struct record_set *s, struct tape_chunk *chunk, struct tape_error *err);

/* Take over what was decoded. 0, or TAPE_E_NOMEM. */
int record_set_load(struct record_set *s, struct tape_chunk *chunk);

/* Events of the chunk, 0 if it does not tell their types or times; type and time stand in
 * records[0]. */
uint32_t record_set_n_events(const struct record_set *s);

/*
 * Event i of the chunk, asked for in order from 0 on: its record, NULL if its type is not known;
 * *ret_k: its row there, n_rows or more if a damaged chunk has fewer rows than events.
 */
struct record *record_set_event(const struct record_set *s, uint32_t i, uint32_t *ret_k);

/* The value of a reference or integer field, 0 if there is none. field -1: 0. */
uint64_t record_get(const struct record *r, int field, uint32_t k);
const uint8_t *record_addr(const struct record *r, int field, uint32_t k); /* NULL: none */

/* Of a flow that is seen from its other end: raddr for laddr, and so on; else the field itself. */
unsigned record_other_end(const struct tape_record *rec, unsigned field);

/* All fields of row k, tables that it refers to as objects in it. */
void record_json(const struct record_set *s, struct json *j, const struct record *r, uint32_t k);

/* The value of one field; record_text() without its name. */
void record_value(const struct record_set *s, struct text *t, const struct record *r,
		  unsigned field, uint32_t k);

/* field=value, without the first socket and the first task. */
void record_text(const struct record_set *s, struct text *t, const struct record *r, uint32_t k);

#endif

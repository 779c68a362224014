/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of verify share: the trace, block by block, and what it has said so far. */
#ifndef ANA_VERIFY_PARTS_H
#define ANA_VERIFY_PARTS_H

#include "cmd.h"
#include "../format/facts.h" /* not that of this folder */

struct verify {
	struct cmd_run *run;
	struct tape_reader *reader;
	struct tape_facts facts;
	struct tape_chunk *chunk;

	uint64_t n_blocks, n_chunks, n_snapshots, n_read;
	uint64_t n_events;  /* n_read, and those of chunks that were left out */
	uint64_t n_strange; /* columns of a newer version */
	uint64_t floor_ns, last_ns, lost, last_mono_ns;
	uint64_t n_found, first_at;
	bool after_damage; /* counts go on from what the next chunk says */
	bool any_damage;
	size_t n_damage;	    /* of the reader's list, so far shown */
	uint64_t schema_hash;	    /* of the payload of the first SCHEMA */
	struct tape_index expected; /* of the chunks so far */
	uint64_t index_at;	    /* of the INDEX block; 0: none so far */
};

/* A fault, as a line of the table. bytes 0: not known. */
void verify_found(struct verify *v, uint64_t offset, uint64_t bytes, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A CHUNK or SNAPSHOT whose checksums are right. 0, or -1 and *v->run->fail. */
int verify_chunk(struct verify *v, const struct tape_block_view *b);

/* An INDEX block: it must name each chunk so far as it is, and nothing else. */
void verify_index(struct verify *v, const struct tape_block_view *b);

#endif

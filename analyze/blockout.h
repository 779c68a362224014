/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trace made of blocks that exist already: they are numbered and checksummed anew, chunks are
 * told what now stands before them, and INDEX and END are made. Owns its index and its copy of the
 * schema, not the file. docs/format.md has the words.
 */
#ifndef ANA_BLOCKOUT_H
#define ANA_BLOCKOUT_H

#include <stddef.h>
#include <stdint.h>

#include "block.h"
#include "index.h"
#include "outfile.h"
#include "writer.h" /* struct tape_meta, tape_loss */

struct blockout {
	struct outfile *file;
	struct fail *fail;
	uint64_t file_id, bytes;
	uint32_t seq;
	uint64_t n_events, lost, floor_ns; /* so far; floor of the last CHUNK */
	struct tape_index index;
	uint8_t *schema, schema_flags; /* repeated, as writers must */
	size_t schema_len;
	uint64_t schema_at;
};

void blockout_init(struct blockout *w, struct outfile *file, uint64_t file_id, struct fail *fail);
void blockout_fini(struct blockout *w);

/* All of these: 0, or -1 and *fail. A block with that type header and payload, as they are. */
int blockout_put(struct blockout *w, enum tape_block type, unsigned flags, const void *head,
		 size_t hdr_len, const void *payload, size_t payload_len);

/* SCHEMA, whose payload is kept to be repeated. */
int blockout_schema(struct blockout *w, unsigned flags, const void *payload, size_t len);

int blockout_meta(struct blockout *w, const struct tape_meta *meta, size_t n);

/* One record; w->lost grows by its count, which is cut where the sum would not fit 64 bits. */
int blockout_loss(struct blockout *w, const struct tape_loss *loss);

/*
 * CHUNK or SNAPSHOT with that type header, whose first 56 bytes are written anew from *h, but for
 * what depends on the place: first_event, lost, ts_floor (raised where it must be).
 */
int blockout_chunk(struct blockout *w, enum tape_block type, struct tape_chunk_head *h, void *head,
		   size_t hdr_len, const void *payload, size_t payload_len);

/* INDEX and END. */
int blockout_end(struct blockout *w, uint64_t end_ns);

#endif

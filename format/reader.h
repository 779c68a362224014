/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Reads a trace, which may come from an enemy, from a file or a pipe, with or without its index and
 * end. Owns everything it returns. Times are CLOCK_MONOTONIC nanoseconds. One thread a reader.
 *
 * Damage inside a file does not end the reading: damaged bytes are skipped up to the next good
 * block and reported by tape_reader_damage. Columns are decoded when they are asked for, so a
 * command pays only for what it binds.
 */
#ifndef TAPE_READER_H
#define TAPE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block.h"
#include "chunk.h"
#include "error.h"
#include "index.h"
#include "schema.h"
#include "writer.h" /* struct tape_meta, tape_clock, tape_loss */

struct tape_reader;

struct tape_file_info {
	uint16_t major, minor;
	uint32_t n_cpus;
	uint64_t start_ns, file_id;
	char writer[64]; /* not to be printed without escaping */
};

struct tape_damage {
	uint64_t offset, bytes; /* bytes 0: to the end of the file */
	char text[256];
};

/* How the file ended, known once tape_reader_next has returned 0. */
struct tape_end {
	bool closed;			 /* END was there */
	bool truncated;			 /* the last block was incomplete */
	uint64_t truncated_at;		 /* there the data that cannot be used begins */
	uint64_t end_ns, n_events, lost; /* as END has it; lost else from the last chunk */
};

/*
 * Open path, "-" for standard input, and read FILE, SCHEMA and the META and CLOCK blocks that
 * follow. Close with tape_reader_close (NULL allowed).
 */
int tape_reader_open(struct tape_reader **ret, const char *path, struct tape_error *err);
void tape_reader_close(struct tape_reader *r);

/* Of the file; valid until close. */
const struct tape_file_info *tape_reader_info(const struct tape_reader *r);
const struct tape_schema *tape_reader_schema(const struct tape_reader *r);
const char *tape_reader_schema_text(const struct tape_reader *r, size_t *ret_len); /* as written */
bool tape_reader_seekable(const struct tape_reader *r);

/* What was met so far; the arrays are valid until the next call of tape_reader_next. */
const struct tape_meta *tape_reader_meta(const struct tape_reader *r, size_t *n);
const struct tape_clock *tape_reader_clocks(const struct tape_reader *r, size_t *n);
const struct tape_loss *tape_reader_losses(const struct tape_reader *r, size_t *n);
const struct tape_damage *tape_reader_damage(const struct tape_reader *r, size_t *n);
void tape_reader_end(const struct tape_reader *r, struct tape_end *ret);

/*
 * Leave out chunks that lie wholly outside [from_ns, to_ns]; snapshots are always returned. With an
 * index the reader does not even pass over them. Before the first tape_reader_next.
 */
void tape_reader_window(struct tape_reader *r, uint64_t from_ns, uint64_t to_ns);

/*
 * The next CHUNK or SNAPSHOT: 1 and *ret, valid until the next call; 0 at the end; negative on an
 * error that ends the reading. A pipe returns each chunk as soon as it is whole.
 */
int tape_reader_next(struct tape_reader *r, struct tape_chunk **ret, struct tape_error *err);

/* As tape_reader_next, but only the header is read: no column can be decoded. Files only. */
int tape_reader_next_header(struct tape_reader *r, struct tape_chunk **ret, struct tape_error *err);

/*
 * The entries of a closed file's INDEX, of *n chunks, valid until close; NULL: none, or damaged.
 * They are a hint: only their order and bounds were checked.
 */
const struct tape_index_entry *tape_reader_index(struct tape_reader *r, size_t *n);

/* What reading has cost so far. */
struct tape_reader_stats {
	uint64_t bytes;		      /* read from the file or pipe */
	uint64_t n_heads, n_payloads; /* of blocks */
};
void tape_reader_stats(const struct tape_reader *r, struct tape_reader_stats *ret);

/* Go back to the first chunk, to read once more. Files only. */
int tape_reader_rewind(struct tape_reader *r, struct tape_error *err);

/*
 * To look at the file itself, damaged or not: open without reading anything, then take each block
 * whose header is good, in file order, as docs/format.md (12) finds them; the file's id is that of
 * the first one. 1 and *ret, valid until the next call, its payload NULL if that is damaged or cut
 * off; 0 behind END, or at the end of the data; negative on an error of reading.
 * tape_reader_damage, tape_reader_end (truncated only) and tape_reader_rewind go with it, nothing
 * else.
 */
int tape_reader_open_blocks(struct tape_reader **ret, const char *path, struct tape_error *err);
int tape_reader_next_block(struct tape_reader *r, struct tape_block_view *ret,
			   struct tape_error *err);

#endif

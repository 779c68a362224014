/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trace that is made of others (cut, merge, pack, anonymize): the file, its writer, the lines of
 * META that tell where it comes from, and what a trace says beside its chunks. docs/format.md, 6,
 * has the keys. Owns the file and the writer.
 */
#ifndef ANA_DERIVE_H
#define ANA_DERIVE_H

#include "outfile.h"
#include "reader.h"
#include "rows.h"
#include "text.h"

struct derive_how {
	const char *command, *output;
	bool force, no_pointers;
	char *const *paths; /* the traces that are read */
	unsigned n_paths;
	struct tape_writer_opts writer; /* file_id is made */
};

struct derive {
	struct fail *fail;
	int level; /* of zstd */
	struct outfile file;
	struct tape_writer *w;
	struct tape_rows *rows;
	struct tape_patch *patch;
	struct text keys; /* of lines that wait to be written: key NUL value NUL */
	size_t n_lines, n_lines_all, lines_len;
	uint64_t n_unknown, n_damaged; /* events of unknown types left out; columns, chunks */
	bool lines_cut;
};

/* One trace that is read, how far its lists were taken over. */
struct derive_source {
	struct tape_reader *reader;
	size_t n_meta, n_clocks, n_losses;
};

/* May change what it is given; false: leave it out. NULL: take all as they are. */
struct derive_rules {
	bool (*meta)(void *ctx, struct tape_meta *m);
	bool (*clock)(void *ctx, struct tape_clock *c);
	bool (*loss)(void *ctx, struct tape_loss *l);
	void *ctx;
};

/* 0, or -1 and *fail; in any case derive_end. Writes FILE, SCHEMA; derived.by waits to be written.
 */
int derive_begin(struct derive *d, const struct derive_how *how, struct fail *fail);

/* A line of META, which is written with the next facts. */
void derive_line(struct derive *d, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* derived.of and derived.file_id. */
void derive_line_of(struct derive *d, const char *path, const struct tape_reader *r);

/* What the trace said in META since the call before. */
int derive_meta(struct derive *d, struct derive_source *s, const struct derive_rules *rules);
/* What the trace said since the call before, in META, CLOCK and LOSS. All: 0, or -1 and *fail. */
int derive_facts(struct derive *d, struct derive_source *s, const struct derive_rules *rules);

/* A chunk as it is. */
int derive_copy(struct derive *d, struct tape_chunk *c);

/*
 * The events i of a chunk where keep[i] is not 0 (NULL: all), as rows of this build; edit (NULL:
 * nothing) may change each. Columns that cannot be decoded are missing then.
 */
int derive_rows(struct derive *d, struct tape_chunk *c, const struct tape_schema *schema,
		const uint8_t *keep, int (*edit)(void *ctx, struct ev_head *e), void *ctx);

/*
 * A chunk with some of its columns written anew, as rules say (patch.h). 1; 0: it cannot be had so,
 * derive_rows must write it; -1 and *fail.
 */
struct tape_patch_rules;
int derive_patch(struct derive *d, struct tape_chunk *c, const struct tape_patch_rules *rules);

/* All columns, on any thread, for raw_decode of input.h; what is damaged is met again. */
int derive_decode(const struct tape_schema *schema, struct tape_chunk *c, struct tape_error *err);

/* Whether rows of this build tell all of a chunk. 1, 0, or -1 and *fail. */
int derive_rows_tell_all(struct derive *d, struct tape_chunk *c, const struct tape_schema *schema);

/* What writing returned, as 0 or -1 and *fail. */
int derive_written(struct derive *d, int rc, const struct tape_error *err);

/*
 * The end of the trace. What the traces that were read lacked is told in META: damage, an end
 * (is_closed), events of unknown types.
 */
int derive_close(struct derive *d, bool is_closed, uint64_t end_ns);

/* The same where one trace was read, to its end; last_ns: of its events, if it was not closed. */
int derive_close_one(struct derive *d, const struct derive_source *s, uint64_t last_ns);

/* Close the file; if rc, what came before, is not 0, it is no trace, and goes. 0, or -1 and *fail.
 */
int derive_end(struct derive *d, int rc);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Saving what can be read of a damaged trace: its good blocks are copied into a new one, columns as
 * they are, and what is missing between them is told in LOSS records. docs/format.md (12) has the
 * rules.
 */
#ifndef ANA_REPAIR_H
#define ANA_REPAIR_H

#include "outfile.h"
#include "blocks.h"
#include "../format/facts.h" /* not that of this folder */
#include "reader.h"

#define REPAIR_MAX_FINDS 20 /* are listed; more are counted */

struct repair_find {
	uint64_t offset, bytes; /* of the damaged trace; bytes 0: not known */
	char text[320];
};

struct repair {
	const char *path;
	struct fail *fail;
	struct tape_reader *in;
	struct tape_facts facts; /* what was taken: it keeps the ceilings */
	struct tape_chunk *chunk;
	struct outfile *file;
	struct tape_blocks out;

	/* of the damaged trace */
	uint64_t file_id;
	uint8_t *file_head, *file_name, *schema; /* NULL: lost */
	size_t file_head_len, file_name_len, schema_len;
	unsigned schema_flags;
	bool closed, is_ring; /* ring: what is older than its first chunk is not missing */
	uint64_t start_ns, end_ns;
	uint64_t at, known;	  /* number of the event that comes next; events its headers tell */
	uint64_t lost, told_lost; /* when it was recorded: as LOSS blocks and as headers tell */
	uint64_t known_ns;	  /* the last time that a chunk's header tells */
	uint64_t last_mono_ns;

	/* what was found, and saved */
	struct repair_find finds[REPAIR_MAX_FINDS];
	uint64_t n_finds, n_chunks, n_snapshots, n_columns, n_missing;
	size_t n_damage; /* of the reader's list, so far taken over */
};

/*
 * Read the trace at `from` ("-": standard input, which must be a regular file), which is called
 * `path`, and write what it holds to *file. is_ring: it is that of a ring, in order. 0, or -1 and
 * *fail. In any case repair_fini frees *r, which holds what was found.
 */
int repair_run(struct repair *r, const char *path, const char *from, bool is_ring,
	       struct outfile *file, struct fail *fail);
void repair_fini(struct repair *r);

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a trace says about itself and not about TCP: the FILE, SCHEMA, META, CLOCK, LOSS and END
 * blocks that were met so far. Owns all it points to. Input may come from an enemy.
 */
#ifndef TAPE_FACTS_H
#define TAPE_FACTS_H

#include "block.h"
#include "reader.h"

struct tape_list {
	void *p;
	size_t n, cap;
};

struct tape_facts {
	bool any; /* the FILE block was there */
	bool ended;
	struct tape_file_info info;
	struct tape_schema *schema;
	char *schema_text; /* that it was made of */
	size_t schema_len;
	struct tape_list meta, clocks, losses;
	struct tape_list texts; /* char *, what meta points into */
	size_t texts_len;	/* of all of them, and of schemas that were no good */
	struct tape_end end;
};

/*
 * Take in one block that is not a chunk. Unknown types and flags are left out if the block is
 * ancillary, else it is TAPE_E_VERSION.
 */
int tape_facts_block(struct tape_facts *f, const struct tape_block_view *v, struct tape_error *err);

/* The error of a file of another major version. */
int tape_facts_other_version(unsigned major, uint64_t offset, struct tape_error *err);

/* Forget everything but the schema, to read the trace once more. */
void tape_facts_reset(struct tape_facts *f);
void tape_facts_fini(struct tape_facts *f);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ring of finished blocks, in memory that does not grow: the oldest ones are dropped for the
 * newest. The memory may be a file (--ring-file), which then outlives the recorder: whole blocks
 * with their checksums, FILE, SCHEMA and META in front; `tcptape repair` finds them and puts them
 * in order by their numbers. A block is valid from the moment that its magic is written, which is
 * last, until that is wiped, which is first. Owns memory and file.
 */
#ifndef REC_FLIGHT_H
#define REC_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block.h"
#include "fail.h"

#define REC_FLIGHT_HEAD (256u << 10) /* in front of the blocks, in a file */

struct rec_flight {
	uint8_t *map; /* NULL: no ring */
	size_t cap;
	size_t base;	 /* blocks from here on; in front FILE, SCHEMA, META of a ring in a file */
	size_t head_len; /* of these */
	size_t tail, at; /* of the oldest block; of the next one */
	size_t end;	 /* wrapped: the blocks from tail on end here */
	bool wrapped;
	uint64_t n;		/* blocks */
	uint32_t newest;	/* number of the last one that was put */
	uint64_t keep_ns;	/* what is older by that goes, too; 0: as long as there is room */
	size_t cursor;		/* of rec_flight_next */
	uint64_t n_passed;	/* blocks that were dropped before it got there */
	uint64_t since_renewed; /* bytes that were put since then */
	uint8_t clock[TAPE_CLOCK_HEAD_LEN]; /* the last CLOCK that was dropped */
	bool has_clock;
	uint64_t n_too_long; /* blocks that are longer than the ring */
	int dir_fd;	     /* of a file: its folder; -1: memory only */
	char name[256];
};

/* A ring of `bytes` in memory; or in the file, if path is not NULL. One that exists is kept as
 * FILE.old. */
int rec_flight_open(struct rec_flight *f, size_t bytes, uint64_t keep_ns, const char *path,
		    struct rec_error *err);

/* remove: the file is not needed any more. */
void rec_flight_close(struct rec_flight *f, bool remove);

/* Put a block in: a writer's `put`. FILE, SCHEMA, META and SNAPSHOT count only in a file. 0; -1 and
 * errno if FILE, SCHEMA and META have no room. now_ns: for keep_ns. */
int rec_flight_put(struct rec_flight *f, struct tape_block_head *h, const void *type_head,
		   const void *payload, uint64_t now_ns);

/* The oldest CHUNK; false: there is none. */
bool rec_flight_oldest(const struct rec_flight *f, uint64_t *ret_first_event, uint64_t *ret_ts_min);

/*
 * From the oldest block to the newest. Between two calls blocks may be put; those that are dropped
 * meanwhile are left out, and counted. *v is valid until the next put. False: that was all.
 */
void rec_flight_rewind(struct rec_flight *f);
bool rec_flight_next(struct rec_flight *f, struct tape_block_view *v);

#endif

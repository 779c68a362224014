/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Writes one trace to a file descriptor, append-only, so a pipe will do. Owns the open chunk and
 * its memory, not the descriptor. Times are CLOCK_MONOTONIC nanoseconds. One thread calls.
 *
 * Order of calls: open, meta, clock, then any of event, loss, clock, flush; close.
 * After an error of write(2) the file ends at the last whole block as far as the writer can say
 * (tape_writer_offset): a caller that owns a regular file may cut it there and go on to close.
 */
#ifndef TAPE_WRITER_H
#define TAPE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "block.h"
#include "error.h"
#include "events.h"

struct tape_writer;

struct tape_writer_opts {
	uint64_t file_id;   /* random */
	const char *writer; /* name and version of the program */
	uint32_t n_cpus;
	uint64_t start_ns;
	int level;	       /* zstd level; 0: the default, 3 */
	uint32_t chunk_events; /* a chunk closes at so many events; 0: 65536 */
	size_t chunk_bytes;    /* of records; 0: 8 MiB, which bounds the writer's memory; 1 MiB of
				  snapshot rows */
	bool pointers;	       /* keep POINTER fields; else events may end before them */
	bool aside; /* encode on another thread meanwhile, with as much memory again; not for
		       tape_writer_give_up and _stats */
	const char *groups; /* whose events the schema tells, with commas between; NULL: all */
	const char *names;  /* extra lines of the schema ("name\tUNIT\tVALUE\tTEXT\n"), or NULL */
	/*
	 * Gets each block instead of fd; tape_block_pack has still to be called on its head. 0, or
	 * -1 and errno.
	 */
	int (*put)(void *ctx, struct tape_block_head *h, const void *type_head,
		   const void *payload);
	/* Sees each row of group snapshot that is added; NULL: nobody. */
	void (*on_row)(void *ctx, const struct ev_head *row);
	void *ctx;
	/* Instead of the built-in schema and names: the text of one that tape_rows_fits. */
	const char *schema;
	size_t schema_len;
};

struct tape_meta { /* one line of metadata; keys may repeat */
	const char *key, *value;
};

struct tape_clock {
	uint64_t mono_ns, real_ns, boot_ns, uncertainty_ns;
};

struct tape_loss {
	uint64_t from_ns, to_ns, count;
	uint32_t cpu;	/* TAPE_CPU_UNKNOWN */
	uint8_t reason; /* enum tape_loss_reason */
	char group[9];	/* NUL-terminated */
};

struct tape_writer_stats {
	uint64_t n_events, n_snapshot, n_chunks, n_stragglers, lost, bytes;
	uint64_t raw_bytes; /* what the events would have taken as structs */
};

/* Write the FILE and SCHEMA blocks. The caller closes *ret with tape_writer_free. */
int tape_writer_open(struct tape_writer **ret, int fd, const struct tape_writer_opts *opts,
		     struct tape_error *err);

int tape_writer_meta(struct tape_writer *w, const struct tape_meta *meta, size_t n,
		     struct tape_error *err);
int tape_writer_clock(struct tape_writer *w, const struct tape_clock *clock,
		      struct tape_error *err);

/*
 * Add one event or, of group snapshot, one thing that exists. *e is copied (strings too). Events
 * should come in the order of ts_ns; one that is earlier than a floor already written counts as a
 * straggler. Writes the chunk when it is full. An unknown type or a wrong size is TAPE_E_CORRUPT:
 * it is tape_record_size or, without opts.pointers, tape_record_short.
 */
int tape_writer_event(struct tape_writer *w, const struct ev_head *e, struct tape_error *err);

/* The next events of a chunk, up to the first that is later, without structs in between (rows.h).
 */
struct tape_rows;
int tape_writer_rows(struct tape_writer *w, struct tape_rows *rows, uint64_t until_ns,
		     struct tape_error *err);

/*
 * Events from now on have no value in these fields (tape_rows_absent): no column is written. Writes
 * what is open if that is another set than before.
 */
struct tape_absent;
int tape_writer_absent(struct tape_writer *w, const struct tape_absent *a, struct tape_error *err);

/*
 * Write what is open, then that chunk, which is of a trace with the same schema: its bytes as they
 * are, but for what its header says of its place.
 */
struct tape_chunk;
int tape_writer_copy(struct tape_writer *w, struct tape_chunk *c, struct tape_error *err);
/* The same with what was made of that chunk (patch.h). */
struct tape_chunk_made;
int tape_writer_made(struct tape_writer *w, struct tape_chunk *c,
		     const struct tape_chunk_made *made, struct tape_error *err);

/*
 * Write what is open: the snapshot rows, then the events. floor_ns: the caller promises that
 * nothing earlier will be added (it is raised to no more than that; 0: no promise beyond the last
 * event).
 */
int tape_writer_flush(struct tape_writer *w, uint64_t floor_ns, struct tape_error *err);

/* Bytes of records in the open chunk. */
size_t tape_writer_open_bytes(const struct tape_writer *w);

/* ts_ns of the first event of the open chunk, 0 if there is none: to close it in time. */
uint64_t tape_writer_open_since(const struct tape_writer *w);

/* Events were lost: flushes, then writes a LOSS block. */
int tape_writer_loss(struct tape_writer *w, const struct tape_loss *loss, size_t n,
		     struct tape_error *err);

/*
 * Append a CHUNK, SNAPSHOT, CLOCK or LOSS block that another writer with the same schema has made:
 * its sums become those of this file. Such blocks come in their order; what was added by other
 * calls is flushed before. Others are left out.
 */
int tape_writer_take(struct tape_writer *w, const struct tape_block_view *b,
		     struct tape_error *err);

/* Flush, INDEX, END. The writer is not usable afterwards except for stats and free. */
int tape_writer_close(struct tape_writer *w, uint64_t end_ns, struct tape_error *err);

/*
 * After an error of write(2) on a file that can be cut: forget what is not written and, if
 * `chunks`, also the last chunks, some 8 KiB, and all that follows them, to make room for the end.
 * The caller cuts the file at tape_writer_offset. *ret_events: how many events were added that the
 * file now does not have; *ret_last_ns: time of the last one it has, 0 none. False: no chunk.
 */
bool tape_writer_give_up(struct tape_writer *w, bool chunks, uint64_t *ret_events,
			 uint64_t *ret_last_ns);

/* Bytes of whole blocks handed to write(2) with success. */
uint64_t tape_writer_offset(const struct tape_writer *w);
void tape_writer_stats(const struct tape_writer *w, struct tape_writer_stats *ret);
void tape_writer_free(struct tape_writer *w); /* NULL allowed; writes nothing */

#endif

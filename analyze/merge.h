/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The traces that merge reads: which host each is of, how its times and numbers become those of the
 * merged trace, and its events one after the other. docs/format.md, 6, has what META tells of them.
 *
 * Host 0 is that of the trace that began first: its times and numbers stay. Of host h a socket's
 * cookie and a cgroup get h in their highest byte, a pid h x 10,000,000, a namespace is h x
 * 10,000,000 + its distance to the first inode of namespaces; processors come behind those of the
 * hosts before. Numbers that are names of one file only (symbols, stacks, counters, what a kernel
 * calls its drop reasons) are the same afterwards where the names are.
 */
#ifndef ANA_MERGE_H
#define ANA_MERGE_H

#include "cmd.h"
#include "derive.h"
#include "map.h"
#include "pass.h"

#define MERGE_MAX 200	  /* traces */
#define MERGE_MAX_AHEAD 4 /* of so many at most, chunks are decoded before they are needed */

enum merge_kind { /* what a number in a record is */
		  MERGE_COOKIE,
		  MERGE_CGROUP,
		  MERGE_PID,
		  MERGE_NETNS,
		  MERGE_TIME,
		  MERGE_SYMBOL,
		  MERGE_STACK,
		  MERGE_COUNTER,
		  MERGE_DROP_REASON,
		  MERGE_RST_REASON,
		  MERGE_KINDS
};

struct merge_source {
	const struct merge *of;
	struct derive_source facts; /* its reader too */
	const char *path;
	char *key; /* host and boot, as far as the trace tells */
	unsigned host;
	int64_t shift_ns;
	uint32_t cpu_base;
	uint64_t start_ns, from_ns, to_ns; /* as its own clock tells; the window of a cut one */
	struct map ids[MERGE_KINDS];	   /* number + 1 -> number + 1 here, where they differ */
	bool as_is;			   /* nothing in it changes */
	uint64_t first_ns, last_ns;	   /* of its chunks, moved */
	uint64_t pos_ns;		   /* of the event that comes next, or was last, moved */
	struct tape_absent absent;
	bool is_odd; /* this chunk lacks more than all do */

	struct tape_pass_run *pass;
	struct tape_rows *rows;
	uint8_t *keep; /* of its events, where some are out of the window */
	struct tape_chunk *chunk;
	bool ended;
	bool has_event;	  /* rows stand at one that is wanted */
	uint64_t next_ns; /* time of the event or chunk that comes next, moved */
};

struct merge {
	struct cmd_run *run;
	struct derive d;
	struct merge_source *sources;
	unsigned n, n_hosts;
	struct tape_absent absent;	   /* fields that some source does not have */
	const struct tape_absent *current; /* of the writer */
	struct map names[MERGE_KINDS];	   /* hash of a name -> number + 1 */
	struct map used[MERGE_KINDS];	   /* number + 1 -> anything */
	uint64_t highest[MERGE_KINDS];
	bool same_schema;
	struct text schema_names; /* lines of the schema */
	struct text groups;
	struct map snapshots; /* hashes of those that were written */
	struct map lines;     /* of META, too */
	struct text key;
	uint64_t last_clock_ns;
	struct merge_source *facts_of; /* whose facts are taken over */
	uint64_t n_damage;
	const char *damaged; /* the first */
	bool closed;
	uint64_t end_ns;
};

/* Open and look through all of run->paths, then the output. 0, or -1 and *fail. */
int merge_open(struct merge *m, const char *output, bool force);
void merge_fini(struct merge *m);

/* merge_hosts.c: host, shift_ns, cpu_base; then ids, names, as_is of each source. 0, or -1. */
int merge_find_hosts(struct merge *m);
int merge_find_ids(struct merge *m);

/* merge_edit.c: what changes in the columns of a source, which is its ctx. */
extern const struct tape_rows_edit merge_edit;

/* The next chunk of s, and what stands before it. */
int merge_source_load(struct merge *m, struct merge_source *s);
/* Its first event; has_event false: there is none, the next chunk is loaded. */
int merge_source_begin(struct merge *m, struct merge_source *s);
/* To the event behind those that were taken, or to the next chunk. */
int merge_source_step(struct merge *m, struct merge_source *s);
/* The chunk as it is, where it may be: 1 done, 0 not, -1. */
int merge_source_copy(struct merge *m, struct merge_source *s);

/* The rest of META, and the end. */
int merge_end(struct merge *m);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trace's events as plain tables (flat.h), chunk by chunk, for what hands them to other programs.
 */
#ifndef ANA_FLAT_RUN_H
#define ANA_FLAT_RUN_H

#include "flat.h"
#include "pick.h"

struct flat_table {
	struct flat flat;
	bool on;
	bool seen; /* has had a row */
	/* of the chunk */
	struct flat_data *data; /* a column each */
	uint32_t *rows,
		*events; /* the rows that were chosen, and which of the chunk's events they are */
	uint32_t n, room;
};

struct flat_event { /* in the order of the file */
	struct flat_table *table;
	uint32_t i; /* in its rows */
};

struct flat_run {
	struct input *in;
	struct flat_table
		*tables; /* one for each record of the schema; tables of it are never on */
	size_t n_tables;
	/*
	 * Set by the caller; either may be NULL. A table of a chunk that has chosen rows; all of
	 * the chunk's chosen events. Not 0 ends the run, with *fail as it was left.
	 */
	int (*on_table)(void *ctx, struct flat_run *run, struct flat_table *table);
	int (*on_chunk)(void *ctx, struct flat_run *run);
	void *ctx;

	/* of the chunk */
	struct tape_chunk *chunk;
	struct flat_event *order;
	uint32_t n_events, room;

	struct record_set set;
	struct fail *fail;
};

/* `events`: names with commas between, NULL: all. 0, or -1 and *fail. Fini also then. */
int flat_run_init(struct flat_run *run, struct input *in, const char *events, struct fail *fail);
int flat_run(struct flat_run *run);
void flat_run_fini(struct flat_run *run);

/* Of an event of the chunk. cpu: false if that was not recorded. */
uint64_t flat_run_ns(const struct flat_run *run, uint32_t event);
bool flat_run_cpu(const struct flat_run *run, uint32_t event, uint32_t *ret);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tcptape info has read of a file, and the three ways to tell it. The facts have the same
 * names in JSON and CSV.
 */
#ifndef ANA_INFO_H
#define ANA_INFO_H

#include "cmd.h"
#include "part.h"

struct type_sum { /* of one record type */
	uint64_t n, stored;
};

struct info {
	struct cmd_run *run;
	struct type_sum *sums; /* by place in the schema */
	uint64_t n_events, n_snapshot, n_chunks, n_snapshots, bytes, n_stragglers, first_ns,
		last_ns;
	uint64_t n_rates; /* chunks that have some */
	bool has_stored;
	bool all; /* of META, and of loss: everything */
	struct tape_end end;
	struct part part;
	struct part_gap gap; /* to the file before, where this and that are parts */
	bool has_gap;
};

const char *info_rate_cause(uint32_t cause);
const char *info_loss_reason(uint8_t reason);

void info_text(struct info *i);
void info_json(struct info *i);
void info_csv(struct info *i); /* rows of file, key, value; the table is begun */

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a trace through turn.h, for any command that speaks of exchanges: out of the calls that
 * send and receive (group io), or, where a recording has no such group, out of what they copied
 * (rx_copy, tx_write).
 */
#ifndef ANA_TURN_READ_H
#define ANA_TURN_READ_H

#include "by.h"
#include "cmd.h"
#include "turn.h"

struct turn_read {
	struct by_who who; /* first: its binds find it */
	struct cmd_run *run;
	struct turns turns;
	bool has_io;

	/* Set by the caller: */
	uint64_t patience_ns; /* as turns_opts has it */
	void (*on)(void *ctx, const struct exchange *x, uint64_t ts_ns);
	int (*on_chunk)(void *ctx, uint64_t floor_ns); /* as input_job has it; may be NULL */
	void *ctx;
};

/* Which events tell of the calls; -1 and run->fail: the recording has none. */
int turn_read_begin(struct turn_read *r, struct cmd_run *run);

/* All of it. 0, or -1 and run->fail. */
int turn_read_run(struct turn_read *r);
/* What was left out, as notes. */
void turn_read_note(const struct turn_read *r);
void turn_read_fini(struct turn_read *r);

#endif

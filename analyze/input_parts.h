/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What input.c (opening, facts), input_run.c (reading) and input_verdict.c (what to say of the file
 * at the end) share; nobody else includes it.
 */
#ifndef INPUT_PARTS_H
#define INPUT_PARTS_H

#include "input.h"
#include "names.h"

struct input_damage {
	struct tape_error first; /* column that could not be decoded */
	uint64_t n;
};

struct input {
	struct tape_reader *reader;
	const char *path;
	struct out *out;
	struct select select;
	struct names states;
	struct weights weights;
	struct clock_text clock_text;
	uint64_t from_ns, to_ns, last_ns, n_stragglers;
	bool rows_are_late; /* sockets were listed when a ring was written, after its events */
	bool windowed, has_mptcp;  /* --from or --to; MPTCP sockets were left out */
	struct tape_clock *clocks; /* of the whole file; NULL: not read so far */
	size_t n_clocks;
	unsigned n_workers;
	uint8_t by_type[UINT16_MAX + 1];	   /* record id -> index of the bind */
	struct input_damage damage, damage_before; /* of this pass; of the worst before it */
};

/* Learn what select.h needs before the events are shown. 0, or -1 and *fail. Files only. */
int input_first_pass(struct input *in, struct fail *fail);

int input_chunk_damage(struct input *in, int rc, const struct tape_error *err, struct fail *fail);

#endif

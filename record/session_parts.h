/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of a session, shared by session*.c only: opening, running, and what there is to say.
 */
#ifndef REC_SESSION_PARTS_H
#define REC_SESSION_PARTS_H

#include "budget.h"
#include "command.h"
#include "drain.h"
#include "generation.h"
#include "loss.h"
#include "object.h"
#include "output.h"
#include "places.h"
#include "ring.h"
#include "sampler.h"
#include "session.h"
#include "snapshot.h"
#include "stacks.h"
#include "symbols.h"

struct rec_session {
	const struct rec_options *options;
	struct rec_choice choice;
	struct rec_output out;
	struct rec_command command;
	bool command_started;
	struct rec_object object;
	struct rec_ring rings[REC_MAX_RINGS];
	struct rec_sampler sampler;
	struct rec_budget budget;
	struct rec_drain drain;
	struct rec_loss loss;
	struct rec_generation generation; /* used if the kernel tells no cookies */
	uint64_t conn_lost;		  /* that generation knows of */
	struct rec_places places;
	struct rec_symbols symbols;
	struct rec_stacks stacks;
	char *names; /* lines of the schema that this kernel gives; NULL none */
	struct rec_snapshot_result snapshot;
	struct tape_writer *writer;
	struct tape_error werr;
	struct tape_clock clock; /* the last one written */
	int signal_fd, epoll_fd;
	bool stop, interrupted, reader_gone, disk_low;
	bool passed_on;	    /* a signal, to COMMAND, or it had it from the terminal */
	const char *reason; /* of the stop, for META */
	uint64_t start_ns, drain_at, tick_at, cpu_start_ns;
	uint64_t events_at_clock;
	uint64_t n_refused; /* records that the writer did not take */
	uint64_t events[TAPE_N_GROUPS];
	uint8_t group_of[256]; /* by event id */
};

/*
 * Look at the kernel; *ret_tried: whether programs could be loaded to find out. *ret_names, if not
 * NULL: rec_names_of it.
 */
int rec_session_check(struct rec_choice *c, const struct rec_options *o, bool *ret_tried,
		      char **ret_names, struct rec_error *err);

/* The writer has failed (s->werr): the text for it, and whether the reader just went away. -1. */
int rec_session_writer_failed(struct rec_session *s, struct rec_error *err);

/*
 * After the recording: wait for COMMAND through the signalfd. The first signal is passed on; the
 * next one ends the wait: false.
 */
bool rec_session_await_command(struct rec_session *s);

uint64_t rec_session_n_events(const struct rec_session *s);
uint64_t rec_own_cpu_ns(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of a session, shared by session*.c only: opening, running, and what there is to say.
 */
#ifndef REC_SESSION_PARTS_H
#define REC_SESSION_PARTS_H

#include "budget.h"
#include "command.h"
#include "drain.h"
#include "flight.h"
#include "generation.h"
#include "labels.h"
#include "loss.h"
#include "meta.h"
#include "object.h"
#include "output.h"
#include "places.h"
#include "privilege.h"
#include "ring.h"
#include "rotate.h"
#include "sampler.h"
#include "session.h"
#include "snapshot.h"
#include "stacks.h"
#include "symbols.h"
#include "trigger.h"

struct rec_session {
	const struct rec_options *options;
	struct rec_choice choice;
	struct rec_privilege privilege;
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
	size_t n_socks;		    /* in the first one */
	size_t n_chosen;	    /* sockets that a selection found at the start */
	char select_trouble[256];   /* which it may have missed, "" none */
	struct tape_writer *writer; /* NULL: between files, since the disk is full */
	struct tape_error werr;
	struct tape_clock clock; /* the last one written */
	int signal_fd, epoll_fd, clock_fd;
	bool stop, interrupted, reader_gone, disk_low;
	bool signalled;	    /* the stop is a signal's */
	bool clock_set;	    /* wall time was, or the machine slept: the file has to know */
	bool passed_on;	    /* a signal, to COMMAND, or it had it from the terminal */
	const char *reason; /* of the stop, for META */
	uint64_t start_ns, drain_at, tick_at, cpu_start_ns;
	uint64_t events_at_clock;
	uint64_t n_refused; /* records that the writer did not take */
	uint64_t events[TAPE_N_GROUPS];
	uint8_t group_of[256]; /* by event id */

	/* files (session_file.c) */
	struct rec_meta head; /* what each begins with */
	uint64_t recording_id;
	struct rec_parts parts; /* dir_fd -1: there is one file only */
	struct rec_labels labels;
	unsigned part;	  /* number of the file, from 1 */
	uint64_t part_ns; /* when it was begun */
	bool next_asked;  /* SIGUSR2 */
	uint64_t asked_ns;
	struct rec_flight flight; /* map NULL: no --ring */
	struct rec_trigger trigger;
	struct tape_clock first_clock;
	struct rec_error dump_error; /* of the last dump; "" it was written */
	void (*news)(void *ctx, const char *text);
	void *news_ctx;
	uint64_t events_before, lost_told, stragglers_before, bytes_before; /* in files before */
	uint64_t breath_at;
	/* where files could not be written */
	unsigned n_pauses;
	uint64_t paused_ns; /* since then there is no file; 0: there is */
	uint64_t retry_ns;
	uint64_t n_given_up;  /* by the last rescue */
	uint64_t n_unwritten; /* events that were counted, but are in no file */
	struct rec_error pause_error;
};

/* ---- session_file.c ---- */

static inline bool rec_file_is_part(const struct rec_session *s)
{
	return s->parts.dir_fd >= 0;
}

/* What all files say of the recording. */
int rec_file_prepare(struct rec_session *s, struct rec_error *err);

/* Begin the first one: its head, and the list of sockets. */
int rec_file_first(struct rec_session *s, struct rec_error *err);

/* It is time for the next file; and when that is for sure. */
uint64_t rec_file_due_ns(const struct rec_session *s);
bool rec_file_is_due(const struct rec_session *s);

/* Complete this one, if there is one, and begin the next. -1: s->werr. */
int rec_file_next(struct rec_session *s);

/* The last blocks of a file. */
int rec_file_end(struct rec_session *s, const char *reason);

/*
 * After an error of writing: leave a file that says what it lacks, and is closed. If there is no
 * room for that, give up the last chunks; if even so there is none, end with a whole block.
 * n_waiting: events that will not be written either.
 */
void rec_file_rescue(struct rec_session *s, uint64_t n_waiting);

/* The same, and then go on without a file until there is room for one. */
bool rec_file_can_pause(const struct rec_session *s);
void rec_file_pause(struct rec_session *s);

/* FILE, SCHEMA, META and CLOCK of a new file; its writer, by which `put` gets the blocks, or fd. */
struct rec_head_job {
	int fd;
	int (*put)(void *ctx, struct tape_block_head *h, const void *type_head,
		   const void *payload);
	uint64_t start_ns, events_before;
	const char *dump_reason; /* NULL: none */
	const struct tape_clock *clock;
};
int rec_file_head(struct rec_session *s, const struct rec_head_job *job, struct tape_writer **ret);

/* Between the steps of a long job: the rings must not fill meanwhile. -1: s->werr. */
int rec_file_breathe(void *session);

/* The rows that a file must have: names of all kinds, and sockets as they are now. */
int rec_file_rows(struct rec_session *s, struct tape_writer *w, bool first);

/* META of the end. */
int rec_file_end_meta(struct rec_session *s, struct tape_writer *w, const char *reason);

/* After the file was closed, or could not be. */
void rec_file_leave(struct rec_session *s, struct tape_writer *w, bool remove);

/* ---- session_ring.c ---- */

static inline bool rec_session_ring_is_on(const struct rec_session *s)
{
	return s->flight.map != NULL;
}

int rec_session_ring_open(struct rec_session *s, struct rec_error *err);

/* Begin to record into the ring. */
int rec_session_ring_begin(struct rec_session *s, struct rec_error *err);

/* META lines: which rules have fired. */
void rec_session_ring_tell(struct rec_session *s, struct rec_meta *m);

/* Write what the ring holds into a new file. -1: that failed, s->dump_error says why. */
int rec_session_ring_dump(struct rec_session *s, const char *reason);

/* When the next dump is due, as far as it is known. */
uint64_t rec_session_ring_due_ns(const struct rec_session *s);

/* What is due: a dump that was asked for, rows of a ring in a file. -1: s->werr. */
int rec_session_ring_work(struct rec_session *s);

/* ---- session_run.c ---- */

/* Read the rings, once. */
int rec_session_drain(struct rec_session *s);

/* Write losses, clock and places as they are now. */
int rec_session_complete(struct rec_session *s);

/* Look at the signals that have come. */
void rec_session_signals(struct rec_session *s);

/* ---- session_pipe.c ---- */

/* Of a writer: send a block to whoever reads s->out. -1, errno: ETIMEDOUT nobody does. */
int rec_session_send(void *session, struct tape_block_head *h, const void *type_head,
		     const void *payload);

/* ---- session.c ---- */

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

/* What this recording does, as far as it is known before the programs are loaded. */
void rec_session_purposes(struct rec_privilege *p, const struct rec_options *o,
			  const struct rec_choice *c);

/* Give up what is not needed any more: root, capabilities, system calls. */
int rec_session_confine(struct rec_session *s, struct rec_error *err);

uint64_t rec_session_n_events(const struct rec_session *s);
uint64_t rec_own_cpu_ns(void);

#endif

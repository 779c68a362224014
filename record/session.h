/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One recording, from attaching the probes to closing the file. Owns all parts of it. One thread.
 * Prints nothing: what there is to say is in struct rec_figures and struct rec_error.
 */
#ifndef REC_SESSION_H
#define REC_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "fail.h"
#include "options.h"
#include "privilege.h"
#include "probes.h"

struct rec_session;

#define REC_READER_GONE (-2)
#define REC_COMMAND_LEFT (-2)

struct rec_figures {
	uint64_t events[TAPE_N_GROUPS];	  /* written, by group */
	uint64_t left_out[TAPE_N_GROUPS]; /* events of connections that were left out */
	uint64_t n_events, lost, stragglers, bytes;
	uint64_t elapsed_ns, cpu_ns; /* since recording started */
	uint64_t bpf_ns, bpf_runs;   /* 0 unless kernel.bpf_stats_enabled */
	uint64_t rss_kb;	     /* now; mapped_bytes of it are the rings' pages, seen twice */
	uint64_t mapped_bytes;
	size_t n_socks;		    /* in the first snapshot */
	unsigned n_files, n_pauses; /* pauses: the disk was full */
	uint64_t n_unwritten;	    /* counted in `events`, but in no file */
};

/* Called about once a second while recording. */
typedef void rec_tick_fn(void *ctx, const struct rec_figures *f);

/*
 * Open the output, fork COMMAND, attach. The options must outlive the session. -1: nothing was
 * recorded, and no file is left. REC_READER_GONE: nobody reads the pipe; no error for the user,
 * unless there is a COMMAND that now does not run.
 */
int rec_session_open(struct rec_session **ret, const struct rec_options *o, struct rec_error *err);

/*
 * Record until a signal, the duration or COMMAND's end, then close the file. -1: recording failed
 * on the way; what was written before is readable. tick may be NULL.
 */
int rec_session_run(struct rec_session *s, rec_tick_fn *tick, void *ctx, struct rec_error *err);

/* Get a line of text when a file was written, or could not be, while recording goes on. */
void rec_session_on_news(struct rec_session *s, void (*news)(void *ctx, const char *text),
			 void *ctx);

void rec_session_free(struct rec_session *s); /* NULL allowed */

void rec_session_figures(struct rec_session *s, struct rec_figures *ret);
const struct rec_choice *rec_session_choice(const struct rec_session *s);
const struct rec_privilege *rec_session_privilege(const struct rec_session *s);
const char *rec_session_path(const struct rec_session *s);    /* of the output; "" for a stream */
const char *rec_session_trouble(const struct rec_session *s); /* a warning, "" none */
bool rec_session_over_budget(const struct rec_session *s);    /* it was, at some time */
bool rec_session_disk_low(const struct rec_session *s);	      /* so it stopped (--min-free) */
bool rec_session_reader_gone(const struct rec_session *s);    /* the pipe was closed */

/*
 * Wait for COMMAND's end, passing signals on; its exit status, -1 if there is none,
 * REC_COMMAND_LEFT if a second signal ended the wait. *ret_ran: false if it could not be executed.
 */
int rec_session_command_status(struct rec_session *s, bool *ret_ran);

/* What `--list` shows: try to load and attach everything, then let go. */
int rec_list(struct rec_choice *ret, struct rec_privilege *ret_privilege,
	     const struct rec_options *opts, bool *ret_tried, struct rec_error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The `-- COMMAND` child: made before the probes, so that it is small; starts when they are there.
 * Runs as the user who called sudo, if any. Owns the child until it was waited for.
 */
#ifndef REC_COMMAND_H
#define REC_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

#include "fail.h"

struct rec_command {
	pid_t pid; /* 0: none */
	int go_fd; /* closing it without a byte makes the child end */
	bool ended;
	int status; /* once ended: for exit(3): its own, 128 + signal */
};

/* Fork; the child waits. */
int rec_command_fork(struct rec_command *c, char **argv, struct rec_error *err);

/* Let it run. -1 if it could not be executed: c->status is then 126 or 127. */
int rec_command_start(struct rec_command *c, const char *name, struct rec_error *err);

/* Look whether it has ended; wait: until it has. */
bool rec_command_ended(struct rec_command *c, bool wait);

/* Pass a signal on. */
void rec_command_kill(struct rec_command *c, int signal);

/* End a child that was never started. */
void rec_command_cancel(struct rec_command *c);

#endif

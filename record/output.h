/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file or pipe that the trace goes to: its name, its safety, its owner. Owns the descriptor.
 */
#ifndef REC_OUTPUT_H
#define REC_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fail.h"
#include "sudo.h"

struct rec_output {
	int fd;		 /* to write to; of a memory file while the start is held back */
	int held_fd;	 /* then the file itself, else -1 */
	bool regular;	 /* a file that can be cut back */
	bool created;	 /* by us: may be removed if nothing was recorded */
	char path[4096]; /* as it is shown */
	int dir_fd;	 /* the folder that name is in: AT_FDCWD, or the caller's */
	const char *name;
};

/* HOST-YYYYmmddTHHMMSSZ.tcptape */
void rec_output_default(char *buf, size_t len);

/*
 * Open path; NULL: a name made of host and time; "-": standard output, unless it is a terminal. A
 * new file gets mode 0600 and the user who called sudo as its owner; an existing one is only
 * overwritten with force, and not before rec_output_begin; a symbolic link is not followed. A FIFO
 * waits for its reader.
 */
int rec_output_open(struct rec_output *out, const char *path, bool force, struct rec_error *err);

/*
 * The same for a new file `name` in a folder that was opened before, whose path is `dir`: so it
 * works after privileges were given up, and after the folder was moved. -1, errno in *ret_errno.
 */
int rec_output_open_at(struct rec_output *out, int dir_fd, const char *dir, const char *name,
		       struct rec_owner owner, int *ret_errno, struct rec_error *err);

/*
 * Before the first byte is written. An existing file is emptied, and gets the owner and mode of a
 * new one. hold: not yet; a regular file gets nothing until rec_output_release.
 */
int rec_output_begin(struct rec_output *out, bool hold, struct rec_error *err);

/* Write what was held back, if anything; later writes go to the file, by the same descriptor. */
int rec_output_release(struct rec_output *out, struct rec_error *err);

/* Cut a regular file to so many bytes; others cannot be cut. */
void rec_output_cut(struct rec_output *out, uint64_t bytes);

/* Bytes that can still be stored beside it by anybody; UINT64_MAX: no bound, or not known. */
uint64_t rec_output_room(const struct rec_output *out);

/* Close; -1 if data could not be stored. remove: take the file away if we created it. */
int rec_output_close(struct rec_output *out, bool remove, struct rec_error *err);

#endif

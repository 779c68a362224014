/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file that a command writes a trace to (-o), as careful as the recorder with its own: a new
 * file of mode 0600, no symbolic link followed, an existing one only with --force.
 */
#ifndef ANA_OUTFILE_H
#define ANA_OUTFILE_H

#include <stdbool.h>

#include "fail.h"

struct outfile {
	int fd;
	bool created; /* by us: to be removed if nothing comes of it */
	const char *path;
};

/*
 * "-" is standard output, unless that is a terminal. It must be none of the files that are read,
 * inputs ("-": standard input), also with force. 0, or -1 and *fail. path stays the caller's.
 */
int outfile_open(struct outfile *o, const char *path, bool force, char *const *inputs,
		 unsigned n_inputs, struct fail *fail);

/* Close; keep: else a file that we created is removed. 0, or -1 and *fail if data was not stored.
 */
int outfile_close(struct outfile *o, bool keep, struct fail *fail);

#endif

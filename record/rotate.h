/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of a recording that makes several (--rotate, --ring): their names, and how many are
 * kept. -o web.tcptape becomes web-000001.tcptape, web-000002.tcptape and so on, so that they sort;
 * numbers go on behind those that the folder has already, of earlier recordings too. Owns a
 * descriptor of the folder, through which everything is opened and removed.
 */
#ifndef REC_ROTATE_H
#define REC_ROTATE_H

#include <stdbool.h>
#include <stdint.h>

#include "fail.h"
#include "output.h"

struct rec_parts {
	int dir_fd;		/* -1: not open */
	char dir[4096];		/* with its slash; "" the current one */
	char stem[200];		/* in front of the number's hyphen */
	char suffix[16];	/* behind the number */
	struct rec_owner owner; /* of the files */
	unsigned keep;		/* so many files stay; 0: all */
	unsigned long number;	/* of the newest file */
};

/* output: of -o, NULL the default name. The folder must be there, and writable. */
int rec_parts_init(struct rec_parts *p, const char *output, unsigned keep, struct rec_error *err);
void rec_parts_fini(struct rec_parts *p);

/* The number in a name of this pattern; 0: another name. */
unsigned long rec_parts_number(const struct rec_parts *p, const char *name);

/*
 * Remove the oldest so that one more makes `keep`, and open the next file. -1: errno is in
 * *ret_errno.
 */
int rec_parts_open(struct rec_parts *p, struct rec_output *out, int *ret_errno,
		   struct rec_error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of tcptape-record: one table of rows gives the parser, the help text and the
 * `option.*` metadata. Strings point into argv. Prints nothing.
 */
#ifndef REC_OPTIONS_H
#define REC_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events.h" /* groups.h needs its types */
#include "groups.h"
#include "fail.h"
#include "gate.h"

#define REC_MAX_GIVEN 32

struct rec_given { /* an option as the user gave it */
	const char *name, *value;
};

struct rec_options {
	const char *output;   /* NULL: made from host and time */
	uint32_t groups;      /* to record: 1 << enum tape_group */
	uint32_t named;	      /* asked for by name in -e */
	uint64_t duration_ns; /* 0: no end */
	uint64_t interval_ns; /* between samples */
	uint64_t bulk_bytes;  /* of the bulk ring, a power of two; the control rings have half */
	int level;	      /* zstd; 0: the writer's default */
	const char *note;     /* NULL: none */
	struct rec_gate gate; /* what -f lets through */
	bool no_snapshot, stacks, syscalls, force, list, help, version;
	char **command; /* NULL-terminated argv of COMMAND, NULL: none */
	struct rec_given given[REC_MAX_GIVEN];
	size_t n_given;
};

/* -1 with a text that ends with a hint: a usage error. */
int rec_options_parse(struct rec_options *o, int argc, char **argv, struct rec_error *err);

/* The help text, into buf; cuts at len. */
void rec_options_help(char *buf, size_t len);

const char *rec_group_name(enum tape_group g);

#endif

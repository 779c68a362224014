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
#include "trigger.h"

#define REC_MAX_GIVEN 64

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
	uint64_t rotate_bytes, rotate_ns; /* a new file then; 0: not for that */
	uint64_t ring_bytes, ring_ns;	  /* a ring of that size, of so long; both 0: none */
	const char *ring_file;		  /* NULL: in memory */
	struct rec_rule rules[REC_MAX_TRIGGERS];
	size_t n_rules;
	uint64_t after_ns;	 /* recording goes on so long after a rule fired */
	unsigned keep;		 /* so many files; 0: all */
	uint32_t sample;	 /* of bulk groups, one connection in so many */
	uint32_t max_rate;	 /* events a second; 0: no bound */
	uint64_t min_free_bytes; /* on the disk of the output; 0: no bound */
	int level;		 /* zstd; 0: the writer's default */
	const char *note;	 /* NULL: none */
	struct rec_gate gate;	 /* what -f lets through */
	bool no_snapshot, stacks, pointers, syscalls, force, list, help, version;
	char **command; /* NULL-terminated argv of COMMAND, NULL: none */
	struct rec_given given[REC_MAX_GIVEN];
	size_t n_given;
};

/*
 * What the options need while recording, so after privileges were given up:
 *   new_files  files are made in the folder of -o, the oldest removed: openat, unlinkat, fchown and
 *              fchmod by a descriptor of the folder that is opened before (rotate.h)
 *   snapshots  sockets and their owners are listed again: bpf_iter_create, setns to network
 *              namespaces (CAP_SYS_ADMIN), /proc/PID/fd of others (CAP_SYS_PTRACE,
 *              CAP_DAC_READ_SEARCH). Without that, later files say what their snapshot lacks.
 */
struct rec_needs {
	bool new_files, snapshots;
};

struct rec_needs rec_options_needs(const struct rec_options *o);

/* -1 with a text that ends with a hint: a usage error. */
int rec_options_parse(struct rec_options *o, int argc, char **argv, struct rec_error *err);

/* The help text, into buf; cuts at len. */
void rec_options_help(char *buf, size_t len);

const char *rec_group_name(enum tape_group g);
bool rec_group_is_bulk(enum tape_group g);

#endif

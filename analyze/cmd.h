/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a command is: one row of main.c's table. main parses its options, opens the trace, calls
 * run, and prints what failed. A command writes through out.h and never prints an error itself.
 */
#ifndef ANA_CMD_H
#define ANA_CMD_H

#include "fail.h"
#include "input.h"
#include "opt.h"
#include "out.h"

struct cmd_run {
	struct input *in;
	struct out *out;
	const char *path;
	const struct input_opts *input_opts; /* to open an input with, as `in` was */
	struct fail *fail;
	/* of a command that takes all files at once, and opens them */
	char **paths;
	int n_paths;
	bool found; /* exit status 1, though nothing failed */
};

struct cmd {
	const char *name, *summary;
	const char *about; /* paragraphs of --help, below the options */
	const struct opt_row *rows;
	size_t n_rows;
	void *opts;	   /* what the rows fill */
	const char *group; /* loss in this group biases the result; NULL: any group */
	bool many_files;
	bool plain_input;  /* without the options that choose: it looks at the file as it is */
	bool opens_itself; /* run finds no input: it reads files that are no good traces */
	bool at_once;	   /* one run for all files, which it opens */
	int *n_before;	   /* how many operands stand before "--", -1 without one; NULL: it ends the
			    * options only */
	bool takes_conn;   /* an operand may stand before the file: it is --conn */
	bool local_ports;  /* shows starts of connects: look for their local ports first */

	/* Optional: checks the options before a file is opened; may take operands off the end. */
	int (*check)(int *n_operands, char **operands, struct fail *fail);
	int (*run)(struct cmd_run *run); /* 0, or -1 and *run->fail */
};

/*
 * Run a command on run->path inside another one, with the same choice of events; its rows go to
 * sink. option: name of one of its flags, NULL none. 0, or -1 and run->fail.
 */
int cmd_rows(const struct cmd *cmd, const char *option, struct cmd_run *run,
	     const struct out_sink *sink);

extern const struct cmd cmd_info, cmd_dump, cmd_rtt, cmd_connlat, cmd_states, cmd_events, cmd_life,
	cmd_drops, cmd_inerrs, cmd_retrans, cmd_resets, cmd_listen, cmd_nic, cmd_top, cmd_delay,
	cmd_turnaround, cmd_timeline, cmd_explain, cmd_compare, cmd_cut, cmd_merge, cmd_pack,
	cmd_anonymize, cmd_verify, cmd_repair, cmd_sql, cmd_export, cmd_join, cmd_report;
extern const struct cmd cmd_correlate;

#endif

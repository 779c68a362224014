// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape COMMAND [options] FILE: the table of commands, and the only place that prints errors.
 * Each command's options come from its own rows and the common ones.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

#ifndef TCPTAPE_MANDIR
#define TCPTAPE_MANDIR "/usr/share/man"
#endif

static const struct cmd *const commands[] = {
	&cmd_info,	&cmd_dump,	&cmd_rtt,    &cmd_connlat,    &cmd_states,   &cmd_events,
	&cmd_life,	&cmd_drops,	&cmd_inerrs, &cmd_retrans,    &cmd_resets,   &cmd_listen,
	&cmd_nic,	&cmd_top,	&cmd_delay,  &cmd_turnaround, &cmd_timeline, &cmd_explain,
	&cmd_compare,	&cmd_cut,	&cmd_merge,  &cmd_pack,	      &cmd_verify,   &cmd_repair,
	&cmd_export,	&cmd_correlate, &cmd_join,
#ifdef TCPTAPE_CRYPTO
	&cmd_anonymize,
#endif
#ifdef TCPTAPE_SQLITE
	&cmd_sql,
#endif
#ifdef TCPTAPE_REPORT
	&cmd_report,
#endif
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* Those that a build may lack, and what it did not find then. */
static const struct {
	const char *name, *needs;
} optional[] = {
	{"anonymize", "libcrypto"},
	{"sql", "SQLite"},
	{"report", "uPlot: sh tests/assets.sh DIR, then meson setup -Dcharts=DIR"},
};

struct common {
	struct input_opts input;
	struct out_opts out;
	bool help;
};

static const struct opt_row out_rows[] = {
	{0, "json", NULL, OPT_FLAG, offsetof(struct out_opts, json),
	 "one JSON object a line; last come the notes as {\"note\": TEXT},\n"
	 "and an error as {\"error\": TEXT}"},
	{0, "csv", NULL, OPT_FLAG, offsetof(struct out_opts, csv), "comma-separated (RFC 4180)"},
	{'C', "cookies", NULL, OPT_FLAG, offsetof(struct out_opts, cookies),
	 "a column with the number of each connection, for --conn and\n"
	 "tcptape timeline (JSON and CSV always have it, as conn)"},
	{0, "no-header", NULL, OPT_FLAG, offsetof(struct out_opts, no_header),
	 "leave out the line with the names of the columns"},
};

static const struct opt_row help_rows[] = {
	{'h', "help", NULL, OPT_FLAG, 0, "this text"},
};

#define N_TABLES 4

static void option_tables(const struct cmd *cmd, struct common *common,
			  struct opt_table tables[N_TABLES])
{
	tables[0] = (struct opt_table){"Options", cmd->rows, cmd->n_rows, cmd->opts};
	tables[1] = (struct opt_table){"Which events", input_opt_rows,
				       cmd->plain_input ? 0 : input_n_opt_rows, &common->input};
	tables[2] = (struct opt_table){"Output", out_rows, sizeof(out_rows) / sizeof(out_rows[0]),
				       &common->out};
	tables[3] = (struct opt_table){"Help", help_rows, 1, &common->help};
}

/* ---- printing ---- */

static int print_fail(const char *who, const struct fail *fail)
{
	struct text t = {0};

	text_safe(&t, fail->text, strlen(fail->text));
	if (!t.failed)
		fprintf(stderr, "tcptape%s%s: %.*s\n", who ? " " : "", who ? who : "", (int)t.len,
			t.s);
	text_fini(&t);
	return fail->status;
}

/* What remains to be said of the output: a reader that left early is no error. */
static int output_status(const char *who, int err, int status)
{
	struct fail fail;

	if (!err || err == EPIPE)
		return status;
	fail_set(&fail, STATUS_FOUND, "cannot write the output: %s", strerror(err));
	return print_fail(who, &fail);
}

static int print_text(struct text *t)
{
	struct fail fail;
	int err = 0;

	if (t->failed) {
		fail_nomem(&fail);
		return print_fail(NULL, &fail);
	}
	if (fwrite(t->s, 1, t->len, stdout) != t->len || fflush(stdout))
		err = errno;
	text_fini(t);
	return output_status(NULL, err, STATUS_DONE);
}

static int print_command_help(const struct cmd *cmd)
{
	struct opt_table tables[N_TABLES];
	struct common common;
	struct text t = {0};

	option_tables(cmd, &common, tables);
	text_fmt(&t, "usage: tcptape %s [options] %sFILE%s\n%s; FILE - is standard input\n",
		 cmd->name, cmd->takes_conn ? "[CONN] " : "",
		 cmd->many_files || cmd->at_once ? "..." : "", cmd->summary);
	opt_help(tables, N_TABLES, &t);
	if (cmd->about)
		text_fmt(&t, "\n%s", cmd->about);
	return print_text(&t);
}

static int print_help(void)
{
	struct text t = {0};

	text_puts(&t, "usage: tcptape COMMAND [options] FILE...\n"
		      "Answers questions about TCP from a trace that tcptape-record wrote.\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		text_fmt(&t, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
	text_puts(&t, "  record      runs tcptape-record, where it is installed\n"
		      "\ntcptape COMMAND --help tells the options of a command, tcptape help "
		      "COMMAND shows its\nmanual page; --version.\n"
		      "Exit status: 0 done, 1 the file is damaged or no trace, 2 usage, 3 the "
		      "trace lacks\n"
		      "what the command needs.\n");
	return print_text(&t);
}

/* ---- finding the command ---- */

/* Letters to change, add, leave out or swap with a neighbour, roughly: to guess what was meant. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[32];
	size_t n = strlen(b);

	if (n >= 31)
		return 99;
	for (unsigned k = 0; k <= n; k++)
		row[k] = k;
	for (unsigned i = 1; *a; a++, i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (unsigned k = 1; k <= n; k++) {
			unsigned best = corner + (*a != b[k - 1]);

			corner = row[k];
			best = row[k] + 1 < best ? row[k] + 1 : best;
			row[k] = row[k - 1] + 1 < best ? row[k - 1] + 1 : best;
		}
	}
	return row[n];
}

static int unknown_command(const char *name)
{
	struct fail fail;
	const char *guess = NULL;
	unsigned least = 3;

	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (!strcmp(name, optional[i].name)) {
			fail_set(&fail, STATUS_USAGE, "built without '%s', which needs %s", name,
				 optional[i].needs);
			return print_fail(NULL, &fail);
		}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (distance(name, commands[i]->name) < least) {
			least = distance(name, commands[i]->name);
			guess = commands[i]->name;
		}
	if (guess)
		fail_set(&fail, STATUS_USAGE, "no command '%s'; did you mean '%s'?", name, guess);
	else
		fail_set(&fail, STATUS_USAGE, "no command '%s'; tcptape --help lists them", name);
	return print_fail(NULL, &fail);
}

/* tcptape record: the recorder that lies beside this program, else the one in PATH. */
static int run_recorder(char *self, char **argv)
{
	static char name[] = "tcptape-record";
	const char *slash = strrchr(self, '/');
	struct fail fail;
	char path[4096];

	argv[0] = name;
	if (slash) {
		snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - self), self, name);
		execv(path, argv);
	}
	execvp(name, argv);
	fail_set(&fail, STATUS_USAGE, "cannot run %s: %s (it is built on Linux only)", name,
		 strerror(errno));
	return print_fail(NULL, &fail);
}

/* ---- running a command ---- */

static void on_interrupt(int signal_number)
{
}

/*
 * ^C in `tcptape-record -o - | tcptape ... -` reaches both. The recorder then ends its trace, and
 * this program should read that end and print; a second ^C is not caught.
 */
static void outlive_first_interrupt(void)
{
	struct sigaction action = {.sa_handler = on_interrupt,
				   .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};

	sigaction(SIGINT, &action, NULL);
}

static int run_file(const struct cmd *cmd, const char *path, struct common *common, struct out *out,
		    struct fail *fail)
{
	struct cmd_run run = {.out = out, .path = path, .input_opts = &common->input, .fail = fail};
	int rc;

	if (cmd->opens_itself)
		return cmd->run(&run);
	common->input.local_ports = cmd->local_ports;
	if (input_open(&run.in, path, &common->input, out, fail))
		return -1;
	rc = cmd->run(&run);
	if (!rc)
		rc = input_finish(run.in, cmd->group, fail);
	input_close(run.in);
	return rc;
}

/* What was found stands before the error; JSON has the error too. */
static int report_fail(const struct cmd *cmd, struct out *out, const struct fail *fail)
{
	if (out_is_json(out)) {
		json_str(out_object(out), "error", fail->text, strlen(fail->text));
		out_end_object(out);
	}
	return out_flush(out) ? STATUS_FOUND : print_fail(cmd->name, fail);
}

/* All files are one question. */
static int run_at_once(const struct cmd *cmd, int n_files, char **files, struct common *common,
		       struct out *out)
{
	struct fail fail = {0};
	struct cmd_run run = {.out = out,
			      .path = files[0],
			      .fail = &fail,
			      .paths = files,
			      .n_paths = n_files,
			      .input_opts = &common->input};

	common->input.local_ports = cmd->local_ports;
	if (cmd->run(&run) && !out_flush(out))
		return report_fail(cmd, out, &fail);
	return run.found ? STATUS_FOUND : STATUS_DONE;
}

static int run_files(const struct cmd *cmd, int n_files, char **files, struct common *common)
{
	struct out *out = out_new(&common->out);
	struct fail fail = {0};
	int status = STATUS_DONE;

	if (!out) {
		fail_nomem(&fail);
		return print_fail(cmd->name, &fail);
	}
	if (cmd->at_once)
		status = run_at_once(cmd, n_files, files, common, out);
	for (int i = 0; !cmd->at_once && i < n_files && !out_flush(out); i++) {
		if (!strcmp(files[i], "-"))
			outlive_first_interrupt();
		if (run_file(cmd, files[i], common, out, &fail) && !out_flush(out))
			status = report_fail(cmd, out, &fail);
	}
	status = output_status(cmd->name, out_finish(out), status);
	out_free(out);
	return status;
}

static int bad_usage(const struct cmd *cmd, struct fail *fail)
{
	print_fail(cmd->name, fail);
	fprintf(stderr, "usage: tcptape %s [options] %sFILE%s (--help tells more)\n", cmd->name,
		cmd->takes_conn ? "[CONN] " : "", cmd->many_files || cmd->at_once ? "..." : "");
	return STATUS_USAGE;
}

static int run_command(const struct cmd *cmd, int argc, char **argv)
{
	struct opt_table tables[N_TABLES];
	struct common common = {0};
	struct fail fail;
	int n;

	option_tables(cmd, &common, tables);
	n = opt_parse(tables, N_TABLES, argc, argv, cmd->n_before, &fail);
	if (n >= 0 && common.help)
		return print_command_help(cmd);
	if (n < 0 || (cmd->check && cmd->check(&n, argv, &fail)))
		return bad_usage(cmd, &fail);
	if (cmd->takes_conn && n == 2 && !common.input.select.conn) {
		common.input.select.conn = *argv++;
		n--;
	}
	if (common.out.json && common.out.csv) {
		fail_set(&fail, STATUS_USAGE, "--json and --csv exclude each other");
		return bad_usage(cmd, &fail);
	}
	if (!n || (n > 1 && !cmd->many_files && !cmd->at_once)) {
		fail_set(&fail, STATUS_USAGE, n ? "takes one trace, not %d" : "which trace?", n);
		return bad_usage(cmd, &fail);
	}
	return run_files(cmd, n, argv, &common);
}

/* The page of a command where it is installed, for a reader at a terminal; else its help. */
static int print_manual(char *self, char *name)
{
	const char *section = strcmp(name, "record") ? "1" : "8";
	static const char *const endings[] = {"", ".gz"};
	char path[256], help[] = "--help", *args[] = {name, help, NULL};

	for (size_t i = 0; i < 2 && isatty(STDOUT_FILENO); i++) {
		snprintf(path, sizeof(path), "%s/man%s/tcptape-%.40s.%s%s", TCPTAPE_MANDIR, section,
			 name, section, endings[i]);
		if (!strchr(name, '/') && !access(path, R_OK))
			execlp("man", "man", path, (char *)NULL);
	}
	if (!strcmp(name, "record"))
		return run_recorder(self, args);
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(name, commands[i]->name))
			return print_command_help(commands[i]);
	return unknown_command(name);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		print_help();
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "help") && argc > 2)
		return print_manual(argv[0], argv[2]);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return print_help();
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		struct text t = {0};

		text_fmt(&t, "tcptape %s\n", TCPTAPE_VERSION);
		return print_text(&t);
	}
	if (!strcmp(argv[1], "record"))
		return run_recorder(argv[0], argv + 1);
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i]->name))
			return run_command(commands[i], argc - 1, argv + 1);
	return unknown_command(argv[1]);
}

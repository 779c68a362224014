// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every command of the analyzer on a whole trace, as a user would run it who was sent that file.
 * What stands behind the checksums matters most, so most inputs get right ones first: the last byte
 * of the input says how it is read. The sample traces are the first inputs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>

#include "forge.h"
#include "fuzz.h"

/* The table of commands, and how one is run: all of main.c but main. */
#define main tcptape_main
int tcptape_main(int argc, char **argv);
#include "../../analyze/main.c"
#undef main

#define RAW 0x01  /* as it is, without new checksums */
#define PIPE 0x02 /* not seekable */
#define JSON 0x04
#define CSV 0x08
#define WINDOW 0x10 /* --from and --to */
#define MORE 0x20   /* with the options of the second column */

enum { MAX_WORDS = 16, MAX_PIPE = 60000, CAPTURE_FD = 100 /* as `lines` has it */ };

static const char *const lines[][2] = {
	{"info", "info --counters"},
	{"dump", "dump -f port\t8080"},
	{"rtt", "rtt --raw --each"},
	{"rtt --percentiles --by listener", "rtt -i 1 -m -B"},
	{"connlat -t -L", "connlat -p 1 -4"},
	{"states", "states -T -L 8080"},
	{"events -v", "events -t -r close"},
	{"life", "life -w -t"},
	{"drops", "drops -c"},
	{"inerrs", "inerrs -6"},
	{"resets", "resets -t"},
	{"retrans", "retrans -c -l --by remote"},
	{"listen", "listen --hist"},
	{"nic", "nic --stats"},
	{"top -i 1 -v", "top --by cgroup -s wait"},
	{"delay --in", "delay --in --percentiles --by interface"},
	{"delay --in --pcap /proc/self/fd/100", "delay --out --slowest 9 --pcap /proc/self/fd/100"},
	{"delay --out --slowest 5", "delay --out --hist --data -4"},
	{"turnaround", "turnaround --percentiles --by listener"},
	{"turnaround --slowest 3 --server", "turnaround --hist -m --by conn"},
	{"explain", "explain -f port\t8080"},
	{"explain --list", "explain --pid 1"},
	{"compare --all /proc/self/fd/0", "compare --force --by remote /proc/self/fd/0"},
	{"correlate", "correlate --by conn -a -w 0.01 --lag 1"},
	{"join --by listener /proc/self/fd/0", "join --each --data /proc/self/fd/0"},
	{"cut -o -", "cut --force -f port\t8080 -e conn,rx,tx -o /dev/null"},
	{"verify", "verify"},
	{"repair -o -", "repair --force -o /dev/null"},
	{"pack --force -o /dev/null", "pack -o -"},
#ifdef TCPTAPE_CRYPTO
	{"anonymize --force -o /dev/null", "anonymize --check"},
#endif
#ifdef TCPTAPE_SQLITE
	{"sql -c SELECT\tmax(srtt_us),min(conn)\tFROM\trtt;SELECT\t*\tFROM\ttcp_state",
	 "sql -c SELECT\t*\tFROM\tconnections;SELECT\tsum(us)\tFROM\tlayers"},
#endif
	{"export --to jsonl --force -o /dev/null", "export --to clickhouse -e rtt --force -o -"},
	{"export --to pcapng --force -o /dev/null", "export --to csv -e rx --force -o -"},
	{"export --to openmetrics -o -", "export --to openmetrics -i 0.01 -f port\t8080 -o -"},
	{"merge --force -o /dev/null", "merge --force -o - /proc/self/fd/0"},
};

static const struct cmd *find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	abort();
}

/* Options stay in a command's own struct: the next line begins without them. */
static void forget_options(const struct cmd *cmd)
{
	static const size_t size[] = {
		[OPT_FLAG] = sizeof(bool),
		[OPT_STR] = sizeof(const char *),
		[OPT_U32] = sizeof(struct opt_u32),
		[OPT_PORT] = sizeof(struct opt_u32),
		[OPT_FIXED] = sizeof(struct opt_fixed),
	};

	for (size_t i = 0; i < cmd->n_rows; i++)
		memset((char *)cmd->opts + cmd->rows[i].offset, 0, size[cmd->rows[i].kind]);
}

static void run_line(const char *line, unsigned how)
{
	char copy[128], *words[MAX_WORDS + 8], *save = NULL, *word;
	static char file[] = "-", again[] = "/proc/self/fd/0", json[] = "--json", csv[] = "--csv",
		    from[] = "--from=+1ms", to[] = "--to=+1s";
	const struct cmd *cmd;
	int n = 0;

	words[n++] = copy; /* argv[0] */
	snprintf(copy, sizeof(copy), "%s", line);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		for (char *tab = word; (tab = strchr(tab, '\t'));) /* a space within a word */
			*tab = ' ';
		words[n++] = word;
	}
	cmd = find(words[1]);
	if (how & JSON)
		words[n++] = json;
	else if (how & CSV)
		words[n++] = csv;
	if (how & WINDOW && !cmd->plain_input &&
	    strcmp(words[1], "export") != 0) { /* its own --to */
		words[n++] = from;
		words[n++] = to;
	}
	if ((!strcmp(words[1], "merge") || !strcmp(words[1], "sql") || !strcmp(words[1], "join") ||
	     !strcmp(words[1], "correlate")) &&
	    how & PIPE)
		return forget_options(cmd);	  /* they refuse them */
	words[n++] = cmd->at_once ? again : file; /* one of several files, which are no pipes */
	words[n] = NULL;
	if (tcptape_main(n, words) == STATUS_USAGE)
		abort(); /* an option of `lines` is gone: nothing would be tried */
	forget_options(cmd);
}

static void give_input(const uint8_t *data, size_t len, unsigned how)
{
	int fds[2];

	if (how & PIPE && len < MAX_PIPE) {
		if (pipe(fds) || write(fds[1], data, len) != (ssize_t)len)
			abort();
		close(fds[1]);
	} else {
		fds[0] = memfd_create("fuzz", MFD_CLOEXEC);
		if (fds[0] < 0 || write(fds[0], data, len) != (ssize_t)len)
			abort();
		lseek(fds[0], 0, SEEK_SET);
	}
	dup2(fds[0], STDIN_FILENO);
	close(fds[0]);
}

/*
 * What the commands print goes nowhere; what a sanitizer says stays on descriptor 2. The capture is
 * that of a sample trace.
 */
static void be_quiet(void)
{
	static bool is_quiet;
	int capture;

	if (is_quiet)
		return;
	capture = open(SAMPLE_CAPTURE, O_RDONLY | O_CLOEXEC);
	if (capture < 0 || dup2(capture, CAPTURE_FD) != CAPTURE_FD)
		abort();
	close(capture);
	is_quiet = true;
	stderr = fopen("/dev/null", "w");
	if (!freopen("/dev/null", "w", stdout) || !stderr)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned how = len ? data[--len] : 0;
	uint8_t *copy = malloc(len + 1);

	if (!copy)
		return 0;
	be_quiet();
	memcpy(copy, data, len);
	if (!(how & RAW))
		forge_fix(copy, len);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		give_input(copy, len, how);
		run_line(lines[i][(how & MORE) != 0], how);
	}
	free(copy);
	return 0;
}

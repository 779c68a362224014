/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "options_parts.h"
#include "privilege.h"

#define DEFAULT_BULK (8u << 20)
#define DEFAULT_MAX_RATE 250000
#define MIN_MAX_RATE 1000
#define DEFAULT_MIN_FREE (64u << 20)
#define DEFAULT_INTERVAL 1000000000u /* ns */
#define MIN_BULK (128u << 10)
#define MAX_BULK (1u << 30) /* the kernel takes no more than 2^32 / 4 bytes, rounded down */

static const struct group_row {
	const char *name;
	enum tape_ring ring;
	bool is_default;
} groups[TAPE_N_GROUPS] = {
#define GROUP(name, ring, dflt) {#name, TAPE_RING_##ring, dflt},
	TAPE_GROUPS(GROUP)
#undef GROUP
};

const char *rec_group_name(enum tape_group g)
{
	return groups[g].name;
}

bool rec_group_is_bulk(enum tape_group g)
{
	return groups[g].ring == TAPE_RING_bulk;
}

static void append(char *buf, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void append(char *buf, size_t len, const char *fmt, ...)
{
	size_t used = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + used, len - used, fmt, ap);
	va_end(ap);
}

static uint32_t default_groups(void)
{
	uint32_t bits = 0;

	for (int i = 0; i < TAPE_N_GROUPS; i++)
		bits |= (uint32_t)groups[i].is_default << i;
	return bits;
}

static int no_such_group(const char *name, size_t len, struct rec_error *err)
{
	char have[128] = "";

	for (int i = 0; i < TAPE_N_GROUPS; i++)
		append(have, sizeof(have), "%s%s", i ? ", " : "", groups[i].name);
	return rec_fail(err, "-e: no event group '%.*s'; there are: %s, all" HINT,
			len > 40 ? 40 : (int)len, name, have);
}

static int find_group(const char *name, size_t len, uint32_t *bits, struct rec_error *err)
{
	if (len == 3 && !memcmp(name, "all", 3)) {
		*bits = (1u << TAPE_N_GROUPS) - 1;
		return 0;
	}
	for (int i = 0; i < TAPE_N_GROUPS; i++) {
		if (strlen(groups[i].name) == len && !memcmp(groups[i].name, name, len)) {
			*bits = 1u << i;
			return 0;
		}
	}
	return no_such_group(name, len, err);
}

/* LIST: names; with + or - before the first, changes to the default set. */
static int set_events(struct rec_options *o, const char *list, struct rec_error *err)
{
	bool relative = *list == '+' || *list == '-';

	o->groups = relative ? default_groups() : 0;
	o->named = 0;
	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		char sign = *p == '+' || *p == '-' ? *p++ : '+';
		uint32_t bits = 0;

		if (find_group(p, strcspn(p, ","), &bits, err) < 0)
			return -1;
		o->groups = sign == '-' ? o->groups & ~bits : o->groups | bits;
		o->named = sign == '-' ? o->named & ~bits : o->named | bits;
	}
	if (!o->groups)
		return rec_fail(err, "-e %s: nothing is left to record" HINT, list);
	return 0;
}

static int set_output(struct rec_options *o, const char *value, struct rec_error *err)
{
	if (!*value)
		return rec_fail(err, "-o: an empty file name" HINT);
	o->output = value;
	return 0;
}

static int set_filter(struct rec_options *o, const char *value, struct rec_error *err)
{
	return rec_gate_filter(&o->gate, value, err);
}

static int set_netns(struct rec_options *o, const char *value, struct rec_error *err)
{
	return rec_gate_netns(&o->gate, value, err);
}

static int set_pid(struct rec_options *o, const char *value, struct rec_error *err)
{
	return rec_select_pid(&o->gate.select, value, err);
}

static int set_comm(struct rec_options *o, const char *value, struct rec_error *err)
{
	return rec_select_comm(&o->gate.select, value, err);
}

static int set_cgroup(struct rec_options *o, const char *value, struct rec_error *err)
{
	return rec_select_cgroup(&o->gate.select, value, err);
}

static int set_duration(struct rec_options *o, const char *value, struct rec_error *err)
{
	char *end;
	double s = strtod(value, &end);

	if (end == value || *end || !(s >= 1e-9) || s > 1e9) /* in ns, 0 would mean: no end */
		return rec_fail(err, "-d %s: seconds were expected, as 10 or 0.5" HINT, value);
	o->duration_ns = (uint64_t)(s * 1e9);
	return 0;
}

/* "64M" -> bytes; negative: it is none. */
static double parse_size(const char *value)
{
	static const char units[] = "KMG";
	char *end;
	double size = strtod(value, &end);
	const char *unit = isalpha((unsigned char)*end) ? strchr(units, *end & ~0x20) : NULL;

	if (unit) {
		size = ldexp(size, 10 * (int)(unit - units + 1));
		end++;
	}
	return end == value || *end || !(size >= 0) ? -1 : size;
}

static int set_buffer(struct rec_options *o, const char *value, struct rec_error *err)
{
	double size = parse_size(value);

	if (size < MIN_BULK || size > MAX_BULK)
		return rec_fail(err, "--buffer %s: a size from 128K to 1G was expected" HINT,
				value);
	for (o->bulk_bytes = MIN_BULK; o->bulk_bytes < (uint64_t)size;)
		o->bulk_bytes *= 2;
	return 0;
}

static int set_interval(struct rec_options *o, const char *value, struct rec_error *err)
{
	char *end;
	double s = strtod(value, &end);

	if (end == value || *end || !(s >= 0.01) || s > 3600)
		return rec_fail(err, "--interval %s: seconds from 0.01 to 3600 were expected" HINT,
				value);
	o->interval_ns = (uint64_t)(s * 1e9);
	return 0;
}

static int set_sample(struct rec_options *o, const char *value, struct rec_error *err)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (end == value || *end || n < 1 || n > 1000000)
		return rec_fail(err, "-s %s: a number from 1 to 1000000 was expected" HINT, value);
	o->sample = (uint32_t)n;
	return 0;
}

static int set_max_rate(struct rec_options *o, const char *value, struct rec_error *err)
{
	char *end;
	long n = strcmp(value, "off") ? strtol(value, &end, 10) : 0;

	if (strcmp(value, "off") &&
	    (end == value || *end || n > 1000000000 || (n < MIN_MAX_RATE && n != 0)))
		return rec_fail(
			err, "--max-rate %s: events a second from %d, or off, were expected" HINT,
			value, MIN_MAX_RATE);
	o->max_rate = (uint32_t)n;
	return 0;
}

static int set_min_free(struct rec_options *o, const char *value, struct rec_error *err)
{
	double size = parse_size(value);

	if (size < 0 || size > 1e18)
		return rec_fail(err, "--min-free %s: a size was expected, as 1G, or 0" HINT, value);
	o->min_free_bytes = (uint64_t)size;
	return 0;
}

static int set_level(struct rec_options *o, const char *value, struct rec_error *err)
{
	char *end;
	long level = strtol(value, &end, 10);

	if (end == value || *end || level < 1 || level > 19)
		return rec_fail(err, "--level %s: a number from 1 to 19 was expected" HINT, value);
	o->level = (int)level;
	return 0;
}

static int set_note(struct rec_options *o, const char *value, struct rec_error *err)
{
	if (strlen(value) > 4096)
		return rec_fail(err, "--note: at most 4096 bytes" HINT);
	o->note = value;
	return 0;
}

struct option_row {
	char letter; /* 0: none */
	const char *name, *arg, *help;
	int (*set)(struct rec_options *o, const char *value, struct rec_error *err);
	size_t flag; /* without set: offset of a bool */
};

#define FLAG(member) NULL, offsetof(struct rec_options, member)

/* clang-format off */
static const struct option_row rows[] = {
	{'o', "output", "FILE", "write to FILE, - is standard output;\n"
		"default HOST-YYYYmmddTHHMMSSZ.tcptape", set_output, 0},
	{'e', "events", "LIST", "event groups, as conn,rtt or all; +x and -x change the default\n"
		"set", set_events, 0},
#ifdef HAVE_PCAP
	{'f', "filter", "EXPR", "only connections that match EXPR, in the language of tcpdump: host,\n"
		"net, port, portrange, ip, ip6, src, dst, and, or, not, addresses in\n"
		"numbers; tcptape's -f takes the same. Not counters and nic", set_filter, 0},
#else
	{'f', "filter", "EXPR", "not in this build, which has no libpcap; tcptape's -f chooses later", set_filter,
		0},
#endif
	{0, "netns", "PID|PATH", "only sockets and packets of this network namespace: that of a\n"
		"process, or of a file as /run/netns/NAME. Not counters and nic",
		set_netns, 0},
	{'p', "pid", "PID", "only connections of this process, and of those that it forks while it\n"
		"is recorded: that they have at the start, open, listen for, accept, or\n"
		"(with io or tx) read or write. May be given again, and with --comm and\n"
		"--cgroup: any of them takes it; -f and --netns must, too. 131072\n"
		"connections at a time. Not counters and nic", set_pid, 0},
	{0, "comm", "NAME", "the same of processes, or threads, of this name: that they have when\n"
		"they do so, or when they begin (exec) with what they inherit", set_comm, 0},
	{0, "cgroup", "PATH", "the same of processes in this cgroup of version 2, or below it, as\n"
		"/system.slice/nginx.service; when they do so, as --comm", set_cgroup, 0},
	{'d', "duration", "SECONDS", "record only so long; fractions are allowed; COMMAND is then\n"
		"waited for, and may be ended by a signal, which is passed on", set_duration, 0},
	{0, "buffer", "SIZE", "kernel memory for rtt, rx, tx and io, as 64M; half as much more for\n"
		"the other groups; shared out among processors; rounded up to a\n"
		"power of two; default 8M", set_buffer, 0},
	{'s', "sample", "N", "of rtt, rx, tx and io record one connection in N, chosen by its\n"
		"addresses and ports, so that both ends choose the same unless NAT\n"
		"is between; the other groups stay complete", set_sample, 0},
	{0, "max-rate", "EVENTS", "at most so many a second: above, rtt, rx, tx and io give way first,\n"
		"by connection, in powers of two; of the others only what is more\n"
		"than its part of 7/8, and is told as lost; off: no bound;\n"
		"default 250000", set_max_rate, 0},
	{0, "min-free", "SIZE", "stop when less than that is free on the disk of FILE (with\n"
	 "--rotate: pause, until there is room again); 0: never;\n"
		"default 64M", set_min_free, 0},
	{0, "interval", "SECONDS", "between samples of counters, listen and nic; fractions are allowed;\n"
		"default 1", set_interval, 0},
	{0, "rotate", "SIZE|SECONDS", "a new file when one has that size (as 100M) or is that old; given\n"
		"twice: whichever comes first. Files of -o web.tcptape are called\n"
		"web-000001.tcptape and so on; each is complete in itself, and a\n"
		"full disk makes a gap that is told in the next one. SIGUSR2: now",
		rec_option_rotate, 0},
	{0, "ring", "SIZE|SECONDS", "flight recorder: keep the last so much, compressed, in memory, and\n"
		"write it to a file at SIGUSR2, at a --trigger, and at the end; given\n"
		"twice: both limits; seconds alone: at most 64M. Files are called as\n"
		"with --rotate, and each has all that the ring then holds",
		rec_option_ring, 0},
	{0, "ring-file", "FILE", "the ring in FILE, so that it outlives SIGKILL: 'tcptape repair'\n"
		"makes a trace of it; removed at the end. One that exists is kept\n"
		"as FILE.old", rec_option_ring_file, 0},
	{0, "trigger", "RULE", "write the ring when RULE says so; may be given again:\n"
		"rtt>200ms, connect>1s (those that are still open, too),\n"
		"retrans>50/s, drop>100/s (all that the kernel frees), reset,\n"
		"overflow (of an accept queue). At most one file in 10 s; what else\n"
		"fires meanwhile is counted in the next one", rec_option_trigger, 0},
	{0, "after", "SECONDS", "after a trigger go on so long before the ring is written; fractions\n"
		"are allowed; default 0", rec_option_after, 0},
	{0, "keep", "N", "of files of that name keep the newest N, remove the others, of\n"
		"earlier recordings too", rec_option_keep, 0},
	{0, "level", "N", "zstd level, 1 to 19; default 3", set_level, 0},
	{0, "note", "TEXT", "text to keep in the file", set_note, 0},
	{0, "no-snapshot", NULL, "do not list the sockets that exist at the start (the list takes\n"
		"up to 256 MB of memory for a moment, for a million sockets)",
		FLAG(no_snapshot)},
	{0, "stacks", NULL, "with each drop and reset the kernel's call stack; about 5 us each",
		FLAG(stacks)},
	{0, "pointers", NULL, "with each socket and packet the kernel's address of it, so that one\n"
		"packet can be followed through layers; such a file tells where the\n"
		"kernel's memory lies ('tcptape anonymize' takes that out)", FLAG(pointers)},
	{0, "syscalls", NULL, "where connect() and accept() have no better hook, record their ends\n"
		"at the return of the system call; every system call of the machine\n"
		"then takes about 70 ns longer; Linux 5.15 and later", FLAG(syscalls)},
	{0, "force", NULL, "overwrite FILE", FLAG(force)},
	{0, "list", NULL, "show every probe and how it attaches on this kernel, record nothing",
		FLAG(list)},
	{'h', "help", NULL, "show this", FLAG(help)},
	{'V', "version", NULL, "show the version", FLAG(version)},
};
/* clang-format on */

#define N_ROWS (sizeof(rows) / sizeof(*rows))
#define LONG_ONLY 256 /* getopt's value of row i without a letter: LONG_ONLY + i */

static void make_getopt(char *letters, struct option *longs)
{
	*letters++ = '+'; /* stop at the first argument that is no option */
	*letters++ = ':';
	for (size_t i = 0; i < N_ROWS; i++) {
		longs[i] = (struct option){
			.name = rows[i].name,
			.has_arg = rows[i].arg ? required_argument : no_argument,
			.val = LONG_ONLY + (int)i,
		};
		if (!rows[i].letter)
			continue;
		*letters++ = rows[i].letter;
		if (rows[i].arg)
			*letters++ = ':';
	}
	*letters = '\0';
	longs[N_ROWS] = (struct option){0};
}

static const struct option_row *row_of(int val)
{
	if (val >= LONG_ONLY)
		return &rows[val - LONG_ONLY];
	for (size_t i = 0; i < N_ROWS; i++) {
		if (rows[i].letter == val)
			return &rows[i];
	}
	return NULL;
}

static bool may_repeat(const struct option_row *row)
{
	return row->set == set_pid || row->set == set_comm || row->set == set_cgroup ||
	       row->set == rec_option_rotate || row->set == rec_option_ring ||
	       row->set == rec_option_trigger;
}

static bool was_given(const struct rec_options *o, const struct option_row *row)
{
	for (unsigned i = 0; i < o->n_given; i++)
		if (o->given[i].name == row->name)
			return true;
	return false;
}

static int apply(struct rec_options *o, const struct option_row *row, const char *value,
		 struct rec_error *err)
{
	if (row->set && !may_repeat(row) && was_given(o, row))
		return rec_fail(err, "--%s is given twice" HINT, row->name);
	if (!row->set)
		*(bool *)((char *)o + row->flag) = true;
	else if (row->set(o, value, err) < 0)
		return -1;
	if (o->n_given < REC_MAX_GIVEN)
		o->given[o->n_given++] = (struct rec_given){row->name, row->set ? value : "yes"};
	return 0;
}

static int bad_option(int c, char **argv, struct rec_error *err)
{
	const struct option_row *row = row_of(optopt);
	const char *word = argv[optind - 1];

	if (c == ':')
		return rec_fail(err, "--%s needs %s" HINT, row->name, row->arg);
	if (row && optopt >= LONG_ONLY)
		return rec_fail(err, "--%s takes no value" HINT, row->name);
	if (optopt)
		return rec_fail(err, "unknown option -%c" HINT, optopt);
	return rec_fail(err, "unknown option %.60s" HINT, word);
}

/* What is behind the options: nothing, or "--" and a command. */
static int take_command(struct rec_options *o, int argc, char **argv, struct rec_error *err)
{
	bool dashes = optind > 1 && !strcmp(argv[optind - 1], "--");

	if (optind < argc && !dashes)
		return rec_fail(err, "unexpected argument '%.60s'; a command goes behind --" HINT,
				argv[optind]);
	if (optind == argc && dashes)
		return rec_fail(err, "a command was expected behind --" HINT);
	o->command = optind < argc ? argv + optind : NULL;
	return 0;
}

int rec_options_parse(struct rec_options *o, int argc, char **argv, struct rec_error *err)
{
	struct option longs[N_ROWS + 1];
	char letters[2 * N_ROWS + 3];
	int c;

	*o = (struct rec_options){.groups = default_groups(),
				  .bulk_bytes = DEFAULT_BULK,
				  .interval_ns = DEFAULT_INTERVAL,
				  .sample = 1,
				  .max_rate = DEFAULT_MAX_RATE,
				  .min_free_bytes = DEFAULT_MIN_FREE};
	make_getopt(letters, longs);
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct option_row *row = c == ':' || c == '?' ? NULL : row_of(c);

		if (!row)
			return bad_option(c, argv, err);
		if (apply(o, row, optarg, err) < 0)
			return -1;
	}
	if (take_command(o, argc, argv, err) < 0)
		return -1;
	return o->help || o->version || o->list ? 0 : rec_options_check(o, err);
}

static void help_row(char *buf, size_t len, const struct option_row *row)
{
	const char *help = row->help, *end;
	char left[64];

	snprintf(left, sizeof(left), "%s%c%s--%s%s%s", row->letter ? "-" : " ",
		 row->letter ? row->letter : ' ', row->letter ? ", " : "  ", row->name,
		 row->arg ? " " : "", row->arg ? row->arg : "");
	while ((end = strchr(help, '\n'))) {
		append(buf, len, "  %-24s  %.*s\n", left, (int)(end - help), help);
		left[0] = '\0';
		help = end + 1;
	}
	append(buf, len, "  %-24s  %s\n", left, help);
}

static void help_needs(char *buf, size_t len)
{
	append(buf, len,
	       "\n\ncapabilities (* cannot do without; + kept while it records, as far as it "
	       "needs them):\n");
	for (size_t i = 0; i < rec_n_needs; i++) {
		const struct rec_need *need = &rec_needs[i];

		append(buf, len, "  %s%s%s%*s %s\n", need->name, need->required ? "*" : "",
		       need->later ? "+" : "",
		       22 - (int)strlen(need->name) - need->required - !!need->later, "",
		       need->gives);
	}
	append(buf, len,
	       "When attached, it goes on as the user who called sudo, else as nobody; the system\n"
	       "calls that are left to it only read what the kernel shows, and write the file.\n");
}

void rec_options_help(char *buf, size_t len)
{
	*buf = '\0';
	append(buf, len,
	       "usage: tcptape-record [options] [-- COMMAND ARG...]\n\n"
	       "Records what the kernel's TCP does into one file, for tcptape to analyze, until\n"
	       "SIGINT or SIGTERM, for a duration, or while COMMAND runs. Needs root, or the\n"
	       "capabilities below.\n\noptions:\n");
	for (size_t i = 0; i < N_ROWS; i++)
		help_row(buf, len, &rows[i]);
	append(buf, len, "\nevent groups (* default):");
	for (int i = 0; i < TAPE_N_GROUPS; i++)
		append(buf, len, " %s%s", groups[i].name, groups[i].is_default ? "*" : "");
	help_needs(buf, len);
	append(buf, len,
	       "\nexit status: 0 recorded; 1 failed; 2 usage; 3 recorded, but a group named in "
	       "-e\n"
	       "has no hook on this kernel; with COMMAND its own, 126 or 127 if it cannot be run "
	       "(as in a shell;\n"
	       "no file is left then), and 125 if recording failed.\n");
}

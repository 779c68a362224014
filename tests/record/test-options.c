// SPDX-License-Identifier: GPL-2.0-or-later
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "options.h"
#include "suite.h"

#define CONN (1u << TAPE_GROUP_conn)
#define RTT (1u << TAPE_GROUP_rtt)
#define ALL ((1u << TAPE_N_GROUPS) - 1)
#define GROUP(name, ring, dflt) | (dflt) << TAPE_GROUP_##name
#define DEFAULTS (0u TAPE_GROUPS(GROUP))
#define S 1000000000u
#define MAX_ARGS 8

static struct rec_options o;
static struct rec_error err;
static char *argv[MAX_ARGS + 2];

/* Parse NULL-terminated arguments. */
static int parse(const char *const args[MAX_ARGS])
{
	static char name[] = "tcptape-record";
	int argc = 1;

	argv[0] = name;
	for (; args[argc - 1]; argc++)
		argv[argc] = (char *)args[argc - 1];
	argv[argc] = NULL;
	optind = 0; /* glibc: begin anew */
	err.text[0] = '\0';
	return rec_options_parse(&o, argc, argv, &err);
}

static void ok(const char *const args[MAX_ARGS])
{
	ck_assert_msg(!parse(args), "%s %s: %s", args[0], args[1] ? args[1] : "", err.text);
}

START_TEST(test_options__defaults)
{
	ok((const char *[MAX_ARGS]){NULL});
	ck_assert_ptr_null(o.output);
	ck_assert_uint_eq(o.groups, DEFAULTS); /* as product.md has them */
	ck_assert_uint_eq(o.named, 0);
	ck_assert_uint_eq(o.duration_ns, 0);
	ck_assert_uint_eq(o.bulk_bytes, 8 << 20);
	ck_assert_ptr_null(o.command);
	ck_assert(!o.no_snapshot && !o.force && !o.list && !o.help && !o.version);
}
END_TEST

START_TEST(test_options__events)
{
	static const struct {
		const char *list;
		uint32_t groups, named;
	} rows[] = {
		{"conn", CONN, CONN},
		{"rtt", RTT, RTT},
		{"conn,rtt", CONN | RTT, CONN | RTT},
		{"rtt,rtt", RTT, RTT},
		{"all", ALL, ALL},
		{"+rtt", DEFAULTS, RTT},
		{"-rtt", DEFAULTS & ~RTT, 0},
		{"-conn", DEFAULTS & ~CONN, 0},
		{"-rtt,+rtt", DEFAULTS, RTT},
		{"+rtt,-conn", DEFAULTS & ~CONN, RTT},
		{"all,-conn", ALL & ~CONN, ALL & ~CONN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ok((const char *[MAX_ARGS]){"-e", rows[i].list});
		ck_assert_msg(o.groups == rows[i].groups, "-e %s: %#x", rows[i].list, o.groups);
		ck_assert_msg(o.named == rows[i].named, "-e %s: %#x", rows[i].list, o.named);
	}
}
END_TEST

START_TEST(test_options__buffer)
{
	static const struct {
		const char *size;
		uint64_t bytes;
	} rows[] = {
		{"128K", 128 << 10},   {"128k", 128 << 10},  {"131072", 128 << 10},
		{"8M", 8 << 20},       {"8m", 8 << 20},	     {"1G", 1 << 30},
		{"0.5M", 512 << 10},   {"129K", 256 << 10},  {"100M", 128 << 20},
		{"131073", 256 << 10}, {"0.25G", 256 << 20},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ok((const char *[MAX_ARGS]){"--buffer", rows[i].size});
		ck_assert_msg(o.bulk_bytes == rows[i].bytes, "--buffer %s: %ju", rows[i].size,
			      (uintmax_t)o.bulk_bytes);
	}
}
END_TEST

START_TEST(test_options__duration)
{
	static const struct {
		const char *s;
		uint64_t ns;
	} rows[] = {
		{"10", 10ull * S},
		{"0.5", S / 2},
		{".25", S / 4},
		{"1e1", 10ull * S},
		{"0.000000001", 1},
		{"1.5", S + S / 2},
		{"1000000000", 1000000000ull * S},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ok((const char *[MAX_ARGS]){"-d", rows[i].s});
		ck_assert_msg(o.duration_ns == rows[i].ns, "-d %s: %ju", rows[i].s,
			      (uintmax_t)o.duration_ns);
	}
}
END_TEST

#define NUMBER(member) offsetof(struct rec_options, member), sizeof(o.member)

/* Options that are a number, and what becomes of it. */
static const struct {
	const char *args[MAX_ARGS];
	size_t at, size;
	uint64_t value;
} numbers[] = {
	{{NULL}, NUMBER(sample), 1},
	{{"-s", "1"}, NUMBER(sample), 1},
	{{"-s", "1000000"}, NUMBER(sample), 1000000},
	{{"--sample=16"}, NUMBER(sample), 16},
	{{NULL}, NUMBER(max_rate), 250000}, /* as --help says */
	{{"--max-rate", "1000"}, NUMBER(max_rate), 1000},
	{{"--max-rate", "1000000000"}, NUMBER(max_rate), 1000000000},
	{{"--max-rate", "off"}, NUMBER(max_rate), 0},
	{{"--max-rate", "0"}, NUMBER(max_rate), 0},
	{{NULL}, NUMBER(min_free_bytes), 64 << 20},
	{{"--min-free", "1.5G"}, NUMBER(min_free_bytes), 3ull << 29},
	{{"--min-free", "0"}, NUMBER(min_free_bytes), 0},
	{{NULL}, NUMBER(interval_ns), S},
	{{"--interval", "0.01"}, NUMBER(interval_ns), S / 100},
	{{"--interval", "3600"}, NUMBER(interval_ns), 3600ull * S},
	{{NULL}, NUMBER(level), 0},
	{{"--level", "1"}, NUMBER(level), 1},
	{{"--rotate", "1M", "--keep", "7"}, NUMBER(keep), 7},
};

START_TEST(test_options__numbers)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t got = 0;

		ok(numbers[i].args);
		memcpy(&got, (const char *)&o + numbers[i].at, numbers[i].size);
		ck_assert_msg(got == numbers[i].value, "row %zu: %ju", i, (uintmax_t)got);
	}
}
END_TEST

START_TEST(test_options__selection)
{
	const struct rec_select *s = &o.gate.select;
	char pid[16];

	ok((const char *[MAX_ARGS]){"-d", "1"});
	ck_assert(!rec_select_is_on(s));
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	ok((const char *[MAX_ARGS]){"-p", pid, "--pid=1", "--comm", "fifteen-letters", "--comm",
				    "b"});
	ck_assert(rec_select_is_on(s));
	ck_assert_uint_eq(s->n_pids, 2);
	ck_assert_uint_eq(s->pids[0], (unsigned)getpid());
	ck_assert_uint_eq(s->pids[1], 1);
	ck_assert_uint_eq(s->n_comms, 2);
	ck_assert_str_eq(s->comms[0], "fifteen-letters");
	ck_assert_mem_eq(s->comms[1], "b\0\0\0\0\0\0\0\0\0\0\0\0\0\0", TAPE_COMM_LEN);
}
END_TEST

/* One name more than there is room for. */
START_TEST(test_options__selection_is_bounded)
{
	static char arg[] = "--comm=x", name[] = "tcptape-record";
	char *many[TAPE_CHOSEN_NAMES + 3] = {name};
	int argc = 1;

	while (argc <= TAPE_CHOSEN_NAMES)
		many[argc++] = arg;
	optind = 0;
	ck_assert_int_eq(rec_options_parse(&o, argc, many, &err), 0);
	many[argc++] = arg;
	optind = 0;
	ck_assert_int_eq(rec_options_parse(&o, argc, many, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "at most 8"));
}
END_TEST

/* What runs this test has a name, and is in a cgroup. */
START_TEST(test_options__selection_knows_processes)
{
	struct rec_cgroup_mount mount;
	struct rec_select s = {0};
	char name[TAPE_COMM_LEN];

	rec_cgroup_open(&mount);
	ck_assert_int_eq(prctl(PR_GET_NAME, name), 0);
	ck_assert_int_eq(rec_select_comm(&s, "no-such-name", &err), 0);
	ck_assert(!rec_select_has(&s, &mount, (unsigned)getpid()));
	ck_assert_int_eq(rec_select_comm(&s, name, &err), 0);
	ck_assert(rec_select_has(&s, &mount, (unsigned)getpid()));
	s = (struct rec_select){0};
	if (!rec_select_cgroup(&s, "/", &err))
		ck_assert(rec_select_has(&s, &mount, (unsigned)getpid()));
	else
		ck_assert_int_lt(mount.fd, 0);
	rec_cgroup_close(&mount);
}
END_TEST

START_TEST(test_options__all_forms)
{
	ok((const char *[MAX_ARGS]){"-o", "a", "--level=19", "--note", "-x y", "-d2"});
	ck_assert_str_eq(o.output, "a");
	ck_assert_int_eq(o.level, 19);
	ck_assert_str_eq(o.note, "-x y"); /* though it begins with - */
	ck_assert_uint_eq(o.duration_ns, 2ull * S);
	ok((const char *[MAX_ARGS]){"--output=-", "--no-snapshot", "--force", "--list"});
	ck_assert_str_eq(o.output, "-");
	ck_assert(o.no_snapshot && o.force && o.list);
	ok((const char *[MAX_ARGS]){"-hV"});
	ck_assert(o.help && o.version);
}
END_TEST

START_TEST(test_options__given_is_what_was_written)
{
	ok((const char *[MAX_ARGS]){"-d", "0.50", "--force", "-e+rtt"});
	ck_assert_uint_eq(o.n_given, 3);
	ck_assert_str_eq(o.given[0].name, "duration");
	ck_assert_str_eq(o.given[0].value, "0.50");
	ck_assert_str_eq(o.given[1].name, "force");
	ck_assert_str_eq(o.given[1].value, "yes");
	ck_assert_str_eq(o.given[2].name, "events");
	ck_assert_str_eq(o.given[2].value, "+rtt");
}
END_TEST

START_TEST(test_options__given_is_bounded)
{
	static char arg[] = "--force", name[] = "tcptape-record";
	char *many[REC_MAX_GIVEN + 10] = {name};
	int argc = 1;

	while (argc < REC_MAX_GIVEN + 9)
		many[argc++] = arg;
	optind = 0;
	ck_assert_int_eq(rec_options_parse(&o, argc, many, &err), 0);
	ck_assert_uint_eq(o.n_given, REC_MAX_GIVEN);
}
END_TEST

START_TEST(test_options__command)
{
	ok((const char *[MAX_ARGS]){"-d", "1", "--", "ls", "-o", "--", "x"});
	ck_assert_str_eq(o.command[0], "ls");
	ck_assert_str_eq(o.command[1], "-o"); /* its own, not ours */
	ck_assert_str_eq(o.command[2], "--");
	ck_assert_str_eq(o.command[3], "x");
	ck_assert_ptr_null(o.command[4]);
	ck_assert_ptr_null(o.output);
}
END_TEST

/* Each is refused, and the text holds the words that the user needs. */
static const struct {
	const char *args[MAX_ARGS];
	const char *says[3];
} refused[] = {
	{{"-e", "foo"}, {"'foo'", "conn, rtt, ", ", all"}},
	{{"-e", ""}, {"no event group ''"}},
	{{"-e", "conn,"}, {"no event group ''"}},
	{{"-e", "conn rtt"}, {"'conn rtt'"}},
	{{"-e", "con"}, {"'con'"}},
	{{"-e", "+nope"}, {"'nope'"}},
	{{"-e", "CONN"}, {"'CONN'"}},
	{{"-e", "-all"}, {"nothing is left"}},
	{{"-e", "conn,-conn"}, {"nothing is left"}},
	{{"-d", "0"}, {"-d 0: ", "seconds"}},
	{{"-d", "1e-10"}, {"-d 1e-10: "}}, /* would become 0 ns: no end */
	{{"-d", "-1"}, {"-d -1: "}},
	{{"-d", "1", "--duration", "2"}, {"--duration is given twice"}},
	{{"-e", "conn", "-e", "rtt"}, {"--events is given twice"}},
	{{"--note", "a", "--note", "b"}, {"--note is given twice"}},
	{{"-d", "5s"}, {"-d 5s: "}},
	{{"-d", ""}, {"seconds"}},
	{{"-d", "nan"}, {"seconds"}},
	{{"-d", "inf"}, {"seconds"}},
	{{"-d", "1e10"}, {"seconds"}},
	{{"--buffer", "127K"}, {"--buffer 127K: ", "128K to 1G"}},
	{{"--buffer", "2G"}, {"128K to 1G"}},
	{{"--buffer", "1.01G"}, {"128K to 1G"}},
	{{"--buffer", "8T"}, {"128K to 1G"}},
	{{"--buffer", "8MB"}, {"128K to 1G"}},
	{{"--buffer", "0.0001 "}, {"128K to 1G"}}, /* a blank is no unit */
	{{"--buffer", "-8M"}, {"128K to 1G"}},
	{{"--buffer", "M"}, {"128K to 1G"}},
	{{"--buffer", "nan"}, {"128K to 1G"}},
	{{"--level", "0"}, {"--level 0: ", "1 to 19"}},
	{{"--level", "20"}, {"1 to 19"}},
	{{"--level", "3x"}, {"1 to 19"}},
	{{"--level", "99999999999999999999"}, {"1 to 19"}},
	{{"-o", ""}, {"-o: ", "empty"}},
	{{"-o"}, {"--output needs FILE"}},
	{{"--note"}, {"--note needs TEXT"}},
	{{"--force=1"}, {"--force takes no value"}},
	{{"--interval", "0"}, {"--interval 0: ", "seconds"}},
	{{"--interval", "1x"}, {"--interval 1x: "}},
	{{"--rotate", "63K"}, {"--rotate 63K: ", "64K at least"}},
	{{"--rotate", "0.5"}, {"1 at least"}},
	{{"--rotate", "10X"}, {"--rotate 10X: "}},
	{{"--rotate", "10MB"}, {"--rotate 10MB: "}},
	{{"--rotate", "1e300G"}, {"size"}},
	{{"--rotate", "nan"}, {"size"}},
	{{"--rotate", "10M", "-o", "-"}, {"not into standard output"}},
	{{"--rotate", "10M", "--force"}, {"--force"}},
	{{"--keep", "3"}, {"of which files"}},
	{{"--rotate", "10M", "--keep", "0"}, {"--keep 0: "}},
	{{"--rotate", "10M", "--keep", "-1"}, {"--keep -1: "}},
	{{"--ring", "3M"}, {"--ring 3M: ", "4M to 64G"}},
	{{"--ring", "0.1"}, {"1 at least"}},
	{{"--ring", "60", "--rotate", "60"}, {"exclude each other"}},
	{{"--ring", "60", "-o", "-"}, {"not into standard output"}},
	{{"--ring-file", "x"}, {"of what size"}},
	{{"--trigger", "reset"}, {"goes with --ring"}},
	{{"--ring", "60", "--trigger", "rtt"}, {"--trigger rtt: ", "rtt>TIME"}},
	{{"--ring", "60", "-e", "conn", "--trigger", "reset"}, {"needs group reset"}},
	{{"--ring", "60", "-e", "conn", "--trigger", "overflow"}, {"counters or listen"}},
	{{"--ring", "60", "--after", "5"}, {"after what"}},
	{{"--ring", "60", "--trigger", "reset", "--after", "x"}, {"--after x: "}},
	{{"-s", "0"}, {"-s 0: ", "1 to 1000000"}},
	{{"-s", "1000001"}, {"1 to 1000000"}},
	{{"-s", "-4"}, {"1 to 1000000"}},
	{{"-s", "4x"}, {"-s 4x: "}},
	{{"-s", ""}, {"1 to 1000000"}},
	{{"--max-rate", "999"}, {"--max-rate 999: ", "from 1000", "off"}},
	{{"--max-rate", "-1"}, {"from 1000"}},
	{{"--max-rate", "1000000001"}, {"from 1000"}},
	{{"--max-rate", "none"}, {"--max-rate none: "}},
	{{"--max-rate", "on"}, {"--max-rate on: "}},
	{{"--max-rate", "1e6"}, {"--max-rate 1e6: "}},
	{{"--max-rate", ""}, {"from 1000"}},
	{{"--min-free", "-1"}, {"--min-free -1: "}},
	{{"--min-free", "all"}, {"--min-free all: "}},
	{{"-p", "0"}, {"-p 0: ", "number of a process"}},
	{{"-p", "-1"}, {"-p -1: ", "number of a process"}},
	{{"-p", "self"}, {"-p self: ", "number of a process"}},
	{{"-p", "1x"}, {"-p 1x: ", "number of a process"}},
	{{"-p", "4294967297"}, {"number of a process"}},
	{{"-p", "4194304"}, {"no such process"}}, /* the kernel's PID_MAX_LIMIT: never given */
	{{"-p"}, {"--pid needs PID"}},
	{{"--comm", ""}, {"1 to 15 bytes"}},
	{{"--comm", "sixteen-letters-"}, {"--comm sixteen-letters-: ", "1 to 15 bytes"}},
	{{"--cgroup", ""}, {"no such cgroup"}},
	{{"--cgroup", "/no/such/cgroup"}, {"--cgroup /no/such/cgroup: ", "no such cgroup"}},
	{{"--cgroup", "/proc"}, {"--cgroup /proc: ", "no such cgroup"}},
	{{"--netns", "/proc"}, {"--netns /proc ", "no network namespace"}},
	{{"--netns", "4194304"}, {"--netns 4194304: ", "no such process"}},
	{{"-x"}, {"unknown option -x"}},
	{{"-hx"}, {"unknown option -x"}},
	{{"--frobnicate"}, {"unknown option --frobnicate"}},
	{{"--no"}, {"unknown option --no"}}, /* --note or --no-snapshot? */
	{{"ls"}, {"unexpected argument 'ls'", "behind --"}},
	{{"-d", "1", "ls", "--", "x"}, {"unexpected argument 'ls'"}},
	{{"--"}, {"a command was expected"}},
	{{"-d", "1", "--"}, {"a command was expected"}},
};

START_TEST(test_options__errors)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		ck_assert_msg(parse(refused[i].args) == -1, "row %zu, %s, was taken", i,
			      refused[i].args[0]);
		for (size_t k = 0; k < 3 && refused[i].says[k]; k++)
			ck_assert_msg(strstr(err.text, refused[i].says[k]), "row %zu says: %s", i,
				      err.text);
	}
}
END_TEST

START_TEST(test_options__note_of_4096_bytes_at_most)
{
	static char note[4098];

	memset(note, 'n', 4096);
	ok((const char *[MAX_ARGS]){"--note", note});
	note[4096] = 'n';
	ck_assert_int_eq(parse((const char *[MAX_ARGS]){"--note", note}), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "4096"));
}
END_TEST

START_TEST(test_options__rotate)
{
	ok((const char *[MAX_ARGS]){"--rotate", "100M", "--rotate", "60", "--keep", "3"});
	ck_assert_uint_eq(o.rotate_bytes, 100u << 20);
	ck_assert_uint_eq(o.rotate_ns, 60ull * S);
	ck_assert_uint_eq(o.keep, 3);
	ck_assert(rec_options_needs(&o).new_files && rec_options_needs(&o).snapshots);
	ok((const char *[MAX_ARGS]){"--rotate", "1.5s", "--no-snapshot"});
	ck_assert_uint_eq(o.rotate_ns, 3ull * S / 2);
	ck_assert_uint_eq(o.rotate_bytes, 0);
	ck_assert(rec_options_needs(&o).new_files && !rec_options_needs(&o).snapshots);
	ok((const char *[MAX_ARGS]){"-d", "1"});
	ck_assert(!rec_options_needs(&o).new_files && !rec_options_needs(&o).snapshots);
}
END_TEST

START_TEST(test_options__ring)
{
	ok((const char *[MAX_ARGS]){"--ring", "60", "--ring", "16M", "--ring-file", "f"});
	ck_assert_uint_eq(o.ring_bytes, 16u << 20);
	ck_assert_uint_eq(o.ring_ns, 60ull * S);
	ck_assert_str_eq(o.ring_file, "f");
	ck_assert(rec_options_needs(&o).new_files && rec_options_needs(&o).snapshots);
	ok((const char *[MAX_ARGS]){"--ring", "60", "--trigger=rtt>1s", "--trigger=reset",
				    "--after=2"});
	ck_assert_uint_eq(o.n_rules, 2);
	ck_assert_int_eq(o.rules[1].kind, REC_ON_RESET);
	ck_assert_uint_eq(o.after_ns, 2ull * S);
}
END_TEST

START_TEST(test_options__help_names_every_option_and_group)
{
	static const char *const words[] = {
		"--output FILE",
		"--events LIST",
		"-p, --pid PID",
		"--comm NAME",
		"--cgroup PATH",
		"--duration SECONDS",
		"--buffer SIZE",
		"--level N",
		"--note TEXT",
		"--no-snapshot",
		"--force",
		"--list",
		"-h, --help",
		"-V, --version",
		"conn*",
		"--rotate SIZE|SECONDS",
		"--keep N",
		"--ring SIZE|SECONDS",
		"--ring-file FILE",
		"--trigger RULE",
		"--after SECONDS",
		"rtt*",
		"[-- COMMAND",
	};
	char help[16384], cut[100];

	rec_options_help(help, sizeof(help));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		ck_assert_msg(strstr(help, words[i]), "%s", words[i]);
	for (const char *line = help; *line; line += strcspn(line, "\n") + 1)
		ck_assert_msg(strcspn(line, "\n") <= 100, "%.100s", line);
	rec_options_help(cut, sizeof(cut));
	ck_assert_uint_eq(strlen(cut), sizeof(cut) - 1);
}
END_TEST

SUITE("options", test_options__numbers, test_options__selection, test_options__selection_is_bounded,
      test_options__selection_knows_processes, test_options__ring, test_options__rotate,
      test_options__defaults, test_options__events, test_options__buffer, test_options__duration,
      test_options__all_forms, test_options__given_is_what_was_written,
      test_options__given_is_bounded, test_options__command, test_options__errors,
      test_options__note_of_4096_bytes_at_most, test_options__help_names_every_option_and_group)

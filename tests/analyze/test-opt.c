// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "opt.h"
#include "suite.h"

#define MAX_ARGS 8

static struct values {
	bool flag, other;
	const char *str;
	struct opt_u32 u32, port;
	struct opt_fixed fixed;
} v;

static const struct opt_row rows[] = {
	{'t', "flag", NULL, OPT_FLAG, offsetof(struct values, flag), "a flag"},
	{0, "str", "TEXT", OPT_STR, offsetof(struct values, str), "a text\non two lines"},
	{'u', "u32", "N", OPT_U32, offsetof(struct values, u32), "a number"},
	{'p', "port", "PORT", OPT_PORT, offsetof(struct values, port), "a port"},
	{'f', "fixed", "X", OPT_FIXED, offsetof(struct values, fixed), "with a fraction"},
};
static const struct opt_row more_rows[] = {
	{'x', "flagged", NULL, OPT_FLAG, 0, "in another table"},
};
static const struct opt_table tables[] = {
	{"One", rows, sizeof(rows) / sizeof(rows[0]), &v},
	{"None", NULL, 0, NULL},
	{"Two", more_rows, 1, &v.other},
};

static struct fail fail;
static char *argv[MAX_ARGS + 2];

static int parse(const char *const args[MAX_ARGS])
{
	static char name[] = "cmd";
	int argc = 1;

	v = (struct values){0};
	fail = (struct fail){0};
	argv[0] = name;
	for (; args[argc - 1]; argc++)
		argv[argc] = (char *)args[argc - 1];
	argv[argc] = NULL;
	return opt_parse(tables, 3, argc, argv, NULL, &fail);
}

START_TEST(test_opt__all_kinds)
{
	ck_assert_int_eq(parse((const char *[MAX_ARGS]){"--flag", "--str", "a b",
							"--u32=4294967295", "-p65535", "-f", ".5"}),
			 0);
	ck_assert(v.flag && !v.other);
	ck_assert_str_eq(v.str, "a b");
	ck_assert(v.u32.given && v.u32.v == UINT32_MAX);
	ck_assert(v.port.given && v.port.v == 65535);
	ck_assert(v.fixed.given && v.fixed.v == 0.5);
}
END_TEST

START_TEST(test_opt__not_given)
{
	ck_assert_int_eq(parse((const char *[MAX_ARGS]){NULL}), 0);
	ck_assert(!v.flag && !v.str && !v.u32.given && !v.port.given && !v.fixed.given);
}
END_TEST

START_TEST(test_opt__letters_together)
{
	ck_assert_int_eq(parse((const char *[MAX_ARGS]){"-txp", "80"}), 0);
	ck_assert(v.flag && v.other);
	ck_assert_uint_eq(v.port.v, 80);
	ck_assert_int_eq(parse((const char *[MAX_ARGS]){"-tp80x"}), -1); /* the rest is the value */
}
END_TEST

START_TEST(test_opt__operands_move_to_the_front)
{
	ck_assert_int_eq(parse((const char *[MAX_ARGS]){"a", "-t", "b", "-p", "1", "-"}), 3);
	ck_assert_str_eq(argv[0], "a");
	ck_assert_str_eq(argv[1], "b");
	ck_assert_str_eq(argv[2], "-");
	ck_assert(v.flag && v.port.v == 1);
	ck_assert_int_eq(parse((const char *[MAX_ARGS]){"-t", "--", "-x", "--", "--no"}), 3);
	ck_assert(v.flag && !v.other);
	ck_assert_str_eq(argv[0], "-x");
	ck_assert_str_eq(argv[1], "--");
	ck_assert_str_eq(argv[2], "--no");
}
END_TEST

START_TEST(test_opt__values_may_look_like_options)
{
	ck_assert_int_eq(parse((const char *[MAX_ARGS]){"--str", "-10s", "a"}), 1);
	ck_assert_str_eq(v.str, "-10s");
	ck_assert_int_eq(parse((const char *[MAX_ARGS]){"--str=", "a"}), 1);
	ck_assert_str_eq(v.str, "");
}
END_TEST

START_TEST(test_opt__hexadecimal)
{
	uint64_t n;

	ck_assert_int_eq(parse((const char *[MAX_ARGS]){"-u", "0x2A"}), 0);
	ck_assert_uint_eq(v.u32.v, 42);
	ck_assert(opt_number("010", 100, &n) && n == 10); /* never octal */
	ck_assert(opt_number("18446744073709551615", UINT64_MAX, &n) && n == UINT64_MAX);
	ck_assert(!opt_number("18446744073709551616", UINT64_MAX, &n));
}
END_TEST

START_TEST(test_opt__bad_usage)
{
	static const struct {
		const char *args[MAX_ARGS], *says;
	} cases[] = {
		{{"-z"}, "no option -z"},
		{{"-tz"}, "no option -z"},
		{{"--zzz"}, "no option --zzz"},
		{{"--fla"},
		 "no option --fla"}, /* no abbreviations: a later option may break them */
		{{"--zzz=1"}, "no option --zzz here"},
		{{"--=1"}, "no option --"},
		{{"--flag=1"}, "--flag takes no value"},
		{{"--str"}, "--str needs TEXT"},
		{{"-t", "-p"}, "-p needs PORT"},
		{{"-p", "65536"}, "a port (0 to 65535), not '65536'"},
		{{"-p", "-1"}, "not '-1'"},
		{{"-p", "http"}, "not 'http'"},
		{{"-u", ""}, "--u32 takes a whole number"},
		{{"-u", "1", "-u", "2"}, "--u32 is given twice"},
		{{"-u", "1 "}, "not '1 '"},
		{{"-u", " 1"}, "not ' 1'"},
		{{"-u", "+1"}, "not '+1'"},
		{{"-u", "0x"}, "not '0x'"},
		{{"-u", "4294967296"}, "not '4294967296'"},
		{{"-f", "."}, "not '.'"},
		{{"-f", "-1"}, "not '-1'"},
		{{"-f", "nan"}, "not 'nan'"},
		{{"-f", "1e999"}, "not '1e999'"},
		{{"-f", "1s"}, "not '1s'"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_msg(parse(cases[i].args) == -1, "case %zu was taken", i);
		ck_assert_int_eq(fail.status, STATUS_USAGE);
		ck_assert_msg(strstr(fail.text, cases[i].says), "case %zu: %s", i, fail.text);
	}
}
END_TEST

START_TEST(test_opt__help_shows_every_row)
{
	struct text t = {0};

	opt_help(tables, 3, &t);
	text_putc(&t, '\0');
	ck_assert(!t.failed);
	ck_assert_ptr_nonnull(strstr(t.s, "\nOne:\n  -t, --flag                  a flag\n"));
	ck_assert_ptr_nonnull(strstr(t.s, "\n      --str TEXT              a text\n"
					  "                              on two lines\n"));
	ck_assert_ptr_nonnull(strstr(t.s, "\nTwo:\n  -x, --flagged"));
	ck_assert_ptr_null(strstr(t.s, "None"));
	text_fini(&t);
}
END_TEST

SUITE("opt", test_opt__all_kinds, test_opt__not_given, test_opt__letters_together,
      test_opt__operands_move_to_the_front, test_opt__values_may_look_like_options,
      test_opt__hexadecimal, test_opt__bad_usage, test_opt__help_shows_every_row)

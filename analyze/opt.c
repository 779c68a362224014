// SPDX-License-Identifier: GPL-2.0-or-later
#include "opt.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 30

struct found {
	const struct opt_row *row;
	void *into;
};

static bool find(const struct opt_table *tables, size_t n_tables, char letter, const char *name,
		 size_t name_len, struct found *ret)
{
	for (size_t t = 0; t < n_tables; t++)
		for (size_t i = 0; i < tables[t].n; i++) {
			const struct opt_row *row = &tables[t].rows[i];

			if (name ? strlen(row->name) == name_len &&
					    !memcmp(row->name, name, name_len)
				 : row->letter == letter) {
				*ret = (struct found){row, (char *)tables[t].into + row->offset};
				return true;
			}
		}
	return false;
}

bool opt_number(const char *s, uint64_t max, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)s[0]))
		return false;
	errno = 0;
	*ret = strtoull(s, &end, s[0] == '0' && (s[1] | 0x20) == 'x' ? 16 : 10);
	return !errno && !*end && *ret <= max;
}

static bool fixed(const char *s, double *ret)
{
	char *end;

	if (!isdigit((unsigned char)s[0]) && s[0] != '.')
		return false;
	*ret = strtod(s, &end);
	return !*end && isfinite(*ret) && *ret >= 0;
}

static bool was_given(const struct found *f)
{
	switch (f->row->kind) {
	case OPT_STR: return *(const char **)f->into;
	case OPT_U32:
	case OPT_PORT: return ((struct opt_u32 *)f->into)->given;
	case OPT_FIXED: return ((struct opt_fixed *)f->into)->given;
	case OPT_FLAG: break;
	}
	return false;
}

static const char *wanted(enum opt_kind kind)
{
	switch (kind) {
	case OPT_PORT: return "a port (0 to 65535)";
	case OPT_FIXED: return "a number, 0 or more";
	default: return "a whole number (0 to 4294967295)";
	}
}

/* A second value would take the place of the first: a filter that is not applied. */
static int take(const struct found *f, const char *value, struct fail *fail)
{
	uint64_t n = 0;
	bool ok = true;

	if (was_given(f))
		return fail_set(fail, STATUS_USAGE, "--%s is given twice", f->row->name);
	switch (f->row->kind) {
	case OPT_FLAG: *(bool *)f->into = true; return 0;
	case OPT_STR: *(const char **)f->into = value; return 0;
	case OPT_U32:
	case OPT_PORT:
		ok = opt_number(value, f->row->kind == OPT_PORT ? 65535 : UINT32_MAX, &n);
		*(struct opt_u32 *)f->into = (struct opt_u32){true, (uint32_t)n};
		break;
	case OPT_FIXED:
		((struct opt_fixed *)f->into)->given = true;
		ok = fixed(value, &((struct opt_fixed *)f->into)->v);
		break;
	}
	if (ok)
		return 0;
	return fail_set(fail, STATUS_USAGE, "--%s takes %s, not '%s'", f->row->name,
			wanted(f->row->kind), value);
}

struct args {
	char **v;
	int n, at;
};

static int take_long(const struct opt_table *tables, size_t n_tables, struct args *args,
		     struct fail *fail)
{
	const char *name = args->v[args->at] + 2, *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	const char *value = eq ? eq + 1 : NULL;
	struct found f;

	if (!len || !find(tables, n_tables, 0, name, len, &f))
		return fail_set(fail, STATUS_USAGE, "no option --%.*s here", (int)len, name);
	if (f.row->kind == OPT_FLAG && value)
		return fail_set(fail, STATUS_USAGE, "--%s takes no value", f.row->name);
	if (f.row->kind != OPT_FLAG && !value) {
		if (++args->at >= args->n)
			return fail_set(fail, STATUS_USAGE, "--%s needs %s", f.row->name,
					f.row->arg);
		value = args->v[args->at];
	}
	return take(&f, value, fail);
}

/* One argument may hold several letters, the last with its value: -tp80, -tp 80. */
static int take_letters(const struct opt_table *tables, size_t n_tables, struct args *args,
			struct fail *fail)
{
	for (const char *p = args->v[args->at] + 1; *p; p++) {
		struct found f;
		const char *value;

		if (!find(tables, n_tables, *p, NULL, 0, &f))
			return fail_set(fail, STATUS_USAGE, "no option -%c here", *p);
		if (f.row->kind == OPT_FLAG) {
			*(bool *)f.into = true;
			continue;
		}
		value = p + 1;
		if (!*value) {
			if (++args->at >= args->n)
				return fail_set(fail, STATUS_USAGE, "-%c needs %s", f.row->letter,
						f.row->arg);
			value = args->v[args->at];
		}
		return take(&f, value, fail);
	}
	return 0;
}

int opt_parse(const struct opt_table *tables, size_t n_tables, int argc, char **argv,
	      int *ret_before, struct fail *fail)
{
	struct args args = {argv, argc, 1};
	int n_operands = 0, before = -1;

	for (; args.at < argc; args.at++) {
		const char *a = argv[args.at];
		int rc = 0;

		if (before < 0 && !strcmp(a, "--"))
			before = n_operands;
		else if (before >= 0 || a[0] != '-' || !a[1])
			argv[n_operands++] = argv[args.at];
		else if (a[1] == '-')
			rc = take_long(tables, n_tables, &args, fail);
		else
			rc = take_letters(tables, n_tables, &args, fail);
		if (rc)
			return rc;
	}
	if (ret_before)
		*ret_before = before;
	return n_operands;
}

static void help_row(const struct opt_row *row, struct text *t)
{
	size_t start = t->len;

	if (row->letter)
		text_fmt(t, "  -%c, --%s", row->letter, row->name);
	else
		text_fmt(t, "      --%s", row->name);
	if (row->arg)
		text_fmt(t, " %s", row->arg);
	if (t->len - start >= HELP_COLUMN - 1)
		text_puts(t, "\n");
	if (t->len && t->s[t->len - 1] == '\n')
		start = t->len;
	text_pad(t, start, HELP_COLUMN);
	for (const char *p = row->help; *p; p++) {
		text_putc(t, *p);
		if (*p == '\n')
			text_fmt(t, "%*s", HELP_COLUMN, "");
	}
	text_putc(t, '\n');
}

void opt_help(const struct opt_table *tables, size_t n_tables, struct text *t)
{
	for (size_t i = 0; i < n_tables; i++) {
		if (!tables[i].n)
			continue;
		text_fmt(t, "\n%s:\n", tables[i].title);
		for (size_t k = 0; k < tables[i].n; k++)
			help_row(&tables[i].rows[k], t);
	}
}

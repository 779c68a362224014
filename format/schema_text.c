// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The text of a schema, as the SCHEMA block of a file has it: writing and parsing. */
#include "schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"

static const char *const type_words[] = {
	[TAPE_U8] = "u8",     [TAPE_U16] = "u16",    [TAPE_U32] = "u32",
	[TAPE_U64] = "u64",   [TAPE_I32] = "i32",    [TAPE_I64] = "i64",
	[TAPE_ADDR] = "addr", [TAPE_COMM] = "comm",  [TAPE_STR] = "str",
	[TAPE_REF] = "ref:",  [TAPE_DREF] = "dref:", [TAPE_TYPE_UNKNOWN] = "unknown",
};
static const uint16_t type_widths[] = {
	[TAPE_U8] = 1,	[TAPE_U16] = 2, [TAPE_U32] = 4,	  [TAPE_U64] = 8,
	[TAPE_I32] = 4, [TAPE_I64] = 8, [TAPE_ADDR] = 16, [TAPE_COMM] = 16,
	[TAPE_STR] = 0, [TAPE_REF] = 4, [TAPE_DREF] = 4,
};

/* ---- writing ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Of the meanings of events.def a file carries the first clause, and those that begin with a number
 * (what a bit or a special value means): all would be half of what it costs before its first event.
 */
static void write_clauses(FILE *f, const char *s)
{
	bool keep = true;

	for (const char *p = s; *p; p++) {
		if (p[0] == ' ' && p[1] == '(')
			p = strchr(p, ')') + 1;
		if (!*p)
			return;
		if ((p[0] == ';' || p[0] == ',') && p[1] == ' ')
			keep = is_digit(p[2]) || p[2] == '-';
		if (keep)
			fputc(*p, f);
	}
}

static void write_meaning(FILE *f, const struct tape_schema *s, const char *meaning)
{
	fputc('\t', f);
	if (s == tape_schema_builtin())
		write_clauses(f, meaning);
	else
		fputs(meaning, f);
	fputc('\n', f);
}

static void write_record(FILE *f, const struct tape_schema *s, const struct tape_record *rec,
			 unsigned n_fields)
{
	fprintf(f, "record\t%u\t%s\t%s", rec->id, rec->name, rec->is_table ? "-" : rec->group);
	write_meaning(f, s, rec->meaning);
	for (unsigned i = 0; i < n_fields; i++) {
		const struct tape_field *fl = &rec->fields[i];
		const struct tape_record *to = fl->table ? tape_schema_record(s, fl->table) : NULL;

		fprintf(f, "field\t%s%s\t%s\t%s\t%s", type_words[fl->type], to ? to->name : "",
			fl->name, fl->hint == TAPE_POINTER ? "pointer" : "-", fl->unit);
		write_meaning(f, s, fl->meaning);
	}
}

/* Values that follow each other share a line. */
static void write_names(FILE *f, const struct tape_name *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct tape_name *a = &all[i];

		if (!i || strcmp(a->unit, a[-1].unit) || a->value != a[-1].value + 1 || !a->value)
			fprintf(f, "%sname\t%s\t%" PRIu64, i ? "\n" : "", a->unit, a->value);
		fprintf(f, "\t%s", a->name);
	}
	if (n)
		fputc('\n', f);
}

static bool is_told(const struct tape_record *rec, const char *groups)
{
	size_t len = strlen(rec->group);

	if (!groups || rec->is_table || !rec->id || !strcmp(rec->group, "snapshot") ||
	    !strcmp(rec->group, "recorder"))
		return true;
	for (const char *p = strstr(groups, rec->group); p; p = strstr(p + 1, rec->group))
		if ((p == groups || p[-1] == ',') && (!p[len] || p[len] == ','))
			return true;
	return false;
}

int tape_schema_write(const struct tape_schema *s, const char *groups, bool pointers,
		      const char *extra, char **ret_text, size_t *ret_len, struct tape_error *err)
{
	FILE *f = open_memstream(ret_text, ret_len);
	bool bad;

	if (!f)
		return tape_fail(err, TAPE_E_NOMEM, 0, "no memory for the schema");
	fprintf(f, "tape-schema\t%d\n", TAPE_VERSION_MAJOR);
	for (size_t i = 0; i < s->n_records; i++) {
		const struct tape_record *rec = &s->records[i];

		if (is_told(rec, groups))
			write_record(f, s, rec,
				     pointers ? rec->n_fields : tape_record_n_short(rec));
	}
	write_names(f, s->names, s->n_names);
	if (extra)
		fputs(extra, f);
	bad = ferror(f);
	if (fclose(f) || bad)
		return tape_fail(err, TAPE_E_NOMEM, 0, "no memory for the schema");
	return 0;
}

/* ---- parsing ---- */

struct parsed {
	struct tape_schema schema; /* first: tape_schema_free gets its address */
	char *text;
	struct tape_record *records;
	struct tape_field *fields;
	struct tape_name *names;
};

struct parser {
	struct parsed *out;
	size_t n_fields;
	unsigned line;
	struct tape_error *err;
};

#define MAX_WORDS 6
#define NAMES_FROM 4 /* words of a line of names; those behind it are names too */

static int bad_line(struct parser *p, const char *what)
{
	return tape_fail(p->err, TAPE_E_CORRUPT, 0, "schema, line %u: %s", p->line, what);
}

/* isalnum() would follow the locale. */
static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* A name of a record or field becomes part of output and of options: letters, digits, _ only. */
static bool is_identifier(const char *s)
{
	size_t len = strlen(s);

	if (len < 1 || len > 31)
		return false;
	for (; *s; s++)
		if (!is_word_char(*s))
			return false;
	return true;
}

static bool parse_number(const char *s, uint64_t max, uint64_t *ret)
{
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*ret = strtoull(s, &end, 10);
	return !*end && !errno && *ret <= max;
}

static int parse_record(struct parser *p, char **word, unsigned n_words)
{
	struct parsed *out = p->out;
	struct tape_schema *s = &out->schema;
	struct tape_record *rec = &out->records[s->n_records];
	uint64_t id;

	if (n_words < 5 || !parse_number(word[1], UINT16_MAX, &id) || !is_identifier(word[2]))
		return bad_line(p, "expected record, id, name, group, meaning");
	if (s->n_records == TAPE_MAX_RECORDS)
		return tape_fail(p->err, TAPE_E_LIMIT, 0, "schema: more than %d record types",
				 TAPE_MAX_RECORDS);
	if (s->n_records ? id <= rec[-1].id : id != TAPE_COMMON)
		return bad_line(p, "record ids must start at 0 and rise");
	*rec = (struct tape_record){
		.name = word[2],
		.group = strcmp(word[3], "-") ? word[3] : "",
		.meaning = word[4],
		.id = (uint16_t)id,
		.is_table = !strcmp(word[3], "-"),
		.fields = &out->fields[p->n_fields],
	};
	s->n_records++;
	return 0;
}

/* "u32" or "ref:sock"; an unknown word is a type of the future. */
static int parse_type(struct parser *p, const char *word, struct tape_field *fl)
{
	const struct tape_record *to;
	unsigned t;

	fl->type = TAPE_TYPE_UNKNOWN;
	for (t = 0; t < TAPE_REF; t++)
		if (!strcmp(word, type_words[t]))
			break;
	if (t == TAPE_REF) {
		for (; t <= TAPE_DREF; t++)
			if (!strncmp(word, type_words[t], strlen(type_words[t])))
				break;
		if (t > TAPE_DREF)
			return 0;
		to = tape_schema_record_by_name(&p->out->schema, word + strlen(type_words[t]));
		if (!to || !to->is_table || to->id == TAPE_COMMON ||
		    to == &p->out->records[p->out->schema.n_records - 1])
			return bad_line(p, "reference to a table that is not known before");
		fl->table = to->id;
	}
	fl->type = (enum tape_type)t;
	fl->width = type_widths[t];
	return 0;
}

static int parse_field(struct parser *p, char **word, unsigned n_words)
{
	struct parsed *out = p->out;
	struct tape_field *fl = &out->fields[p->n_fields];
	struct tape_record *rec;
	int rc;

	if (n_words < 6 || !is_identifier(word[2]))
		return bad_line(p, "expected field, type, name, encoding, unit, meaning");
	if (!out->schema.n_records)
		return bad_line(p, "field before the first record");
	rec = &out->records[out->schema.n_records - 1];
	if (rec->n_fields == TAPE_MAX_FIELDS)
		return tape_fail(p->err, TAPE_E_LIMIT, 0, "schema: more than %d fields in %s",
				 TAPE_MAX_FIELDS, rec->name);
	*fl = (struct tape_field){.name = word[2], .unit = word[4], .meaning = word[5]};
	rc = parse_type(p, word[1], fl);
	if (rc)
		return rc;
	fl->hint = strcmp(word[3], "pointer") ? TAPE_PLAIN : TAPE_POINTER;
	rec->n_fields++;
	p->n_fields++;
	return 0;
}

/* Each further word names the next value; an empty one names nothing. */
static int parse_names(struct parser *p, char **word, unsigned n_words)
{
	struct tape_schema *s = &p->out->schema;
	uint64_t value;
	char *tab;

	if (n_words < 4 || !parse_number(word[2], UINT64_MAX, &value))
		return bad_line(p, "expected name, unit, value, text");
	for (char *text = word[3];; text = tab + 1, value++) {
		tab = strchr(text, '\t');
		if (tab)
			*tab = '\0';
		if (*text && s->n_names == TAPE_MAX_NAMES)
			return tape_fail(p->err, TAPE_E_LIMIT, 0,
					 "schema: more than %d named values", TAPE_MAX_NAMES);
		if (*text)
			p->out->names[s->n_names++] = (struct tape_name){word[1], text, value};
		if (!tab)
			return 0;
		if (value == UINT64_MAX)
			return bad_line(p, "a name behind the largest value");
	}
}

/* Cut a line at its tabs, one of names not behind the first of them; words beyond MAX_WORDS are of
 * a newer version and ignored. */
static unsigned split(char *line, char **word)
{
	bool of_names = !strncmp(line, "name\t", 5);
	unsigned n = 0;

	for (char *tab; n < MAX_WORDS; line = tab + 1) {
		word[n++] = line;
		tab = strchr(line, '\t');
		if (!tab || (of_names && n == NAMES_FROM))
			break;
		*tab = '\0';
	}
	return n;
}

static int parse_line(struct parser *p, char *line)
{
	char *word[MAX_WORDS] = {0};
	unsigned n = split(line, word);

	if (p->line == 1)
		return strcmp(word[0], "tape-schema") ? bad_line(p, "expected tape-schema") : 0;
	if (!strcmp(word[0], "record"))
		return parse_record(p, word, n);
	if (!strcmp(word[0], "field"))
		return parse_field(p, word, n);
	if (!strcmp(word[0], "name"))
		return parse_names(p, word, n);
	return 0; /* a newer kind of line */
}

static size_t count_lines(const char *text, const char *start)
{
	size_t n = 0, len = strlen(start);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		n += !strncmp(p, start, len);
	}
	return n;
}

/* No more than there are names; a text of tabs alone needs no room for them all. */
static size_t room_for_names(const char *text)
{
	size_t n = 0;

	for (const char *p = text; n < TAPE_MAX_NAMES && (p = strchr(p, '\t')); p++)
		n++;
	return n;
}

static bool parsed_alloc(struct parsed *out, const char *text, size_t len)
{
	out->text = malloc(len + 1);
	if (!out->text)
		return false;
	memcpy(out->text, text, len);
	out->text[len] = '\0';
	out->records = calloc(TAPE_MAX_RECORDS, sizeof(*out->records));
	out->fields = calloc(count_lines(out->text, "field\t") + 1, sizeof(*out->fields));
	out->names = calloc(room_for_names(out->text) + 1, sizeof(*out->names));
	out->schema.records = out->records;
	out->schema.names = out->names;
	return out->records && out->fields && out->names;
}

/* The common columns are the one thing that every reader must know. */
static int check_common(const struct tape_schema *s, struct tape_error *err)
{
	const struct tape_record *rec = s->n_records ? &s->records[0] : NULL;
	const struct tape_record *ours = tape_schema_record(tape_schema_builtin(), TAPE_COMMON);

	if (!rec || rec->n_fields < ours->n_fields)
		return tape_fail(err, TAPE_E_CORRUPT, 0, "schema: no common columns");
	for (unsigned i = 0; i < ours->n_fields; i++)
		if (rec->fields[i].type != ours->fields[i].type)
			return tape_fail(err, TAPE_E_CORRUPT, 0,
					 "schema: common column %u has not the type of %s", i,
					 ours->fields[i].name);
	return 0;
}

int tape_schema_parse(const char *text, size_t len, struct tape_schema **ret,
		      struct tape_error *err)
{
	struct parsed *out = calloc(1, sizeof(*out));
	struct parser p = {.out = out, .err = err};
	int rc = 0;

	if (!out || len > TAPE_MAX_TEXT || !parsed_alloc(out, text, len)) {
		rc = len > TAPE_MAX_TEXT
			     ? tape_fail(err, TAPE_E_LIMIT, 0, "schema longer than %u bytes",
					 TAPE_MAX_TEXT)
			     : tape_fail(err, TAPE_E_NOMEM, 0, "no memory for the schema");
		goto out;
	}
	for (char *line = out->text, *next; !rc && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		else
			next = line + strlen(line);
		p.line++;
		rc = parse_line(&p, line);
	}
	if (!rc)
		rc = check_common(&out->schema, err);
out:
	if (rc) {
		if (out)
			tape_schema_free(&out->schema);
		return rc;
	}
	*ret = &out->schema;
	return 0;
}

void tape_schema_free(struct tape_schema *s)
{
	struct parsed *out = (struct parsed *)s;

	if (!out)
		return;
	free(out->text);
	free(out->records);
	free(out->fields);
	free(out->names);
	free(out);
}

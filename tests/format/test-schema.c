// SPDX-License-Identifier: GPL-2.0-or-later
#include "schema.h"

#include <stdio.h>
#include <string.h>

#include "events.h"
#include "layout.h"
#include "suite.h"

#define FROZEN TESTS_DIR "/schema-1.txt"
#define FRONT                                                                                      \
	"tape-schema\t1\nrecord\t0\tevent\t-\tm\nfield\tu64\tts_ns\tdelta\tns\tm\n"                \
	"field\tu16\ttype\tplain\trecord\tm\nfield\tu32\tcpu\tplain\tcpu\tm\n"

static struct tape_schema *parse(const char *text)
{
	struct tape_schema *s = NULL;
	struct tape_error err;

	if (tape_schema_parse(text, strlen(text), &s, &err))
		ck_abort_msg("%s", err.text);
	return s;
}

/* FRONT and more must be refused, with that code and text. */
static void refused(const char *more, enum tape_err code, const char *why)
{
	char text[4096];
	struct tape_schema *s = NULL;
	struct tape_error err;

	snprintf(text, sizeof(text), "%s%s", FRONT, more);
	ck_assert_int_eq(tape_schema_parse(text, strlen(text), &s, &err), code);
	ck_assert_ptr_null(s);
	ck_assert_str_eq(err.text, why);
}

static char *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = malloc(1 << 20);

	ck_assert_ptr_nonnull(text);
	if (!f)
		ck_abort_msg("cannot open %s", path);
	*len = fread(text, 1, (1 << 20) - 1, f);
	text[*len] = '\0';
	fclose(f);
	return text;
}

/* ---- the built-in table ---- */

START_TEST(test_schema__builtin_is_sound)
{
	const struct tape_schema *s = tape_schema_builtin();

	ck_assert_uint_eq(s->records[0].id, TAPE_COMMON);
	ck_assert_uint_le(s->n_records, TAPE_MAX_RECORDS);
	for (size_t i = 1; i < s->n_records; i++) {
		const struct tape_record *rec = &s->records[i];

		ck_assert_uint_gt(rec->id, rec[-1].id);
		ck_assert_uint_le(rec->n_fields, TAPE_MAX_FIELDS);
		ck_assert(rec->is_table == (rec->id < 16));
		ck_assert_ptr_eq(tape_schema_record(s, rec->id), rec);
		ck_assert_ptr_eq(tape_schema_record_by_name(s, rec->name), rec);
		for (unsigned f = 0; f < rec->n_fields; f++) {
			ck_assert_int_eq(tape_record_field(rec, rec->fields[f].name), (int)f);
			ck_assert(!rec->fields[f].table || rec->fields[f].table < rec->id);
			ck_assert_uint_gt(strlen(rec->fields[f].meaning), 2);
			ck_assert_ptr_null(strpbrk(rec->fields[f].meaning, "\t\n|"));
		}
	}
}
END_TEST

/* References to a table in one event, through other tables too. */
static unsigned count_refs(const struct tape_record *rec, unsigned table)
{
	unsigned n = 0;

	for (unsigned i = 0; i < rec->n_fields; i++)
		if (rec->fields[i].table)
			n += (rec->fields[i].table == table) +
			     count_refs(tape_schema_record(tape_schema_builtin(),
							   rec->fields[i].table),
					table);
	return n;
}

/* Readers refuse chunks with more rows than that. */
START_TEST(test_schema__rows_an_event)
{
	const struct tape_schema *s = tape_schema_builtin();

	for (size_t i = 0; i < s->n_records; i++)
		for (unsigned table = 1; table < 16; table++)
			ck_assert_uint_le(count_refs(&s->records[i], table),
					  TAPE_MAX_ROWS_PER_EVENT);
}
END_TEST

START_TEST(test_schema__lookup_of_nothing)
{
	const struct tape_schema *s = tape_schema_builtin();

	ck_assert_ptr_null(tape_schema_record(s, 65535));
	ck_assert_ptr_null(tape_schema_record_by_name(s, "no_such"));
	ck_assert_int_eq(tape_record_field(&s->records[0], "no_such"), -1);
	ck_assert_ptr_null(tape_schema_name(s, "tcp_state", 99));
	ck_assert_ptr_null(tape_schema_name(s, "no_such", 1));
	ck_assert_str_eq(tape_schema_name(s, "tcp_state", 1), "ESTABLISHED");
}
END_TEST

/* ---- text ---- */

static void same_field(const struct tape_field *a, const struct tape_field *b)
{
	ck_assert_str_eq(a->name, b->name);
	ck_assert_str_eq(a->unit, b->unit);
	ck_assert_int_eq(a->type, b->type);
	ck_assert(a->hint == b->hint || (a->hint != TAPE_POINTER && b->hint == TAPE_PLAIN));
	ck_assert_uint_eq(a->table, b->table);
	ck_assert_uint_eq(a->width, b->width);
}

static void same_schema(const struct tape_schema *a, const struct tape_schema *b)
{
	ck_assert_uint_eq(a->n_records, b->n_records);
	ck_assert_uint_eq(a->n_names, b->n_names);
	for (size_t i = 0; i < a->n_records; i++) {
		const struct tape_record *r = &a->records[i], *q = &b->records[i];

		ck_assert_str_eq(r->name, q->name);
		ck_assert_str_eq(r->group, q->group);
		ck_assert_uint_eq(r->id, q->id);
		ck_assert(r->is_table == q->is_table);
		ck_assert_uint_eq(r->n_fields, q->n_fields);
		for (unsigned f = 0; f < r->n_fields; f++)
			same_field(&r->fields[f], &q->fields[f]);
	}
	for (size_t i = 0; i < a->n_names; i++) {
		ck_assert_str_eq(a->names[i].unit, b->names[i].unit);
		ck_assert_str_eq(a->names[i].name, b->names[i].name);
		ck_assert_uint_eq(a->names[i].value, b->names[i].value);
	}
}

START_TEST(test_schema__written_and_parsed)
{
	struct tape_schema *s;
	char *text;
	size_t len;

	ck_assert_int_eq(
		tape_schema_write(tape_schema_builtin(), NULL, true, NULL, &text, &len, NULL), 0);
	ck_assert_uint_eq(strlen(text), len);
	s = parse(text);
	same_schema(tape_schema_builtin(), s);
	tape_schema_free(s);
	free(text);
}
END_TEST

START_TEST(test_schema__extra_names)
{
	const char *extra = "name\tdrop_reason\t18446744073709551615\tA name\n";
	struct tape_schema *s;
	char *text;
	size_t len;

	ck_assert_int_eq(
		tape_schema_write(tape_schema_builtin(), NULL, true, extra, &text, &len, NULL), 0);
	s = parse(text);
	ck_assert_str_eq(tape_schema_name(s, "drop_reason", UINT64_MAX), "A name");
	tape_schema_free(s);
	free(text);
}
END_TEST

/* A file has the first clause of a meaning and what numbers mean; what was parsed stays as it was.
 */
START_TEST(test_schema__meanings_in_short)
{
	static const struct {
		const char *record, *field, *text;
	} expected[] = {
		{"flow", "lport", "local port; 0 before the socket is bound"},
		{"task", "pid", "process id"},
		{"sock", "protocol", "sk_protocol: 6 TCP, 262 MPTCP"},
		{"rtt", "rtt_us", "raw round-trip sample that this ACK gave; -1 none"},
		{"rtt", "before", "1: the values are those before this ACK; 0: after"},
		{"tcp_accept", "backlog",
		 "sk_ack_backlog of the listener: connections still waiting"},
	};
	struct tape_schema *s, *again;
	char *text, *twice;
	size_t len;

	ck_assert_int_eq(
		tape_schema_write(tape_schema_builtin(), NULL, true, NULL, &text, &len, NULL), 0);
	s = parse(text);
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		const struct tape_record *rec = tape_schema_record_by_name(s, expected[i].record);
		int f = tape_record_field(rec, expected[i].field);

		ck_assert_str_eq(rec->fields[f].meaning, expected[i].text);
	}
	ck_assert_str_eq(tape_schema_record(s, 18)->meaning,
			 "accept() took a connection from the queue");
	for (size_t i = 0; i < s->n_records; i++)
		for (unsigned f = 0; f < s->records[i].n_fields; f++)
			ck_assert_uint_gt(strlen(s->records[i].fields[f].meaning), 2);
	tape_schema_free(s);
	s = parse(FRONT "record\t7\tt\tg\ta, b; c (d)\nfield\tu8\tx\t-\tnone\te (f), g\n");
	ck_assert_int_eq(tape_schema_write(s, NULL, true, NULL, &twice, &len, NULL), 0);
	again = parse(twice);
	ck_assert_str_eq(tape_schema_record(again, 7)->meaning, "a, b; c (d)");
	ck_assert_str_eq(tape_schema_record(again, 7)->fields[0].meaning, "e (f), g");
	tape_schema_free(again);
	tape_schema_free(s);
	free(twice);
	free(text);
}
END_TEST

/* A line names values that follow each other; a text without letters names nothing. */
START_TEST(test_schema__names_in_a_row)
{
	struct tape_schema *s = parse(FRONT "name\tu\t7\ta\tb\t\td\nname\tv\t1\tx\t\n"
					    "name\tw\t18446744073709551614\tlow\thigh\n");

	ck_assert_uint_eq(s->n_names, 6);
	ck_assert_str_eq(tape_schema_name(s, "u", 7), "a");
	ck_assert_str_eq(tape_schema_name(s, "u", 8), "b");
	ck_assert_ptr_null(tape_schema_name(s, "u", 9));
	ck_assert_str_eq(tape_schema_name(s, "u", 10), "d");
	ck_assert_str_eq(tape_schema_name(s, "v", 1), "x");
	ck_assert_str_eq(tape_schema_name(s, "w", UINT64_MAX), "high");
	tape_schema_free(s);
}
END_TEST

/*
 * What was once released stays: every record of the frozen copy is there with its id, name and
 * group, and its fields are the first fields of today's, in order, name and type.
 */
START_TEST(test_schema__frozen)
{
	const struct tape_schema *now = tape_schema_builtin();
	size_t len;
	char *text = read_file(FROZEN, &len);
	struct tape_schema *then = parse(text);

	for (size_t i = 0; i < then->n_records; i++) {
		const struct tape_record *old = &then->records[i];
		const struct tape_record *rec = tape_schema_record(now, old->id);

		if (!rec || strcmp(rec->name, old->name) || strcmp(rec->group, old->group) ||
		    rec->n_fields < old->n_fields)
			ck_abort_msg("record %u (%s) was changed", old->id, old->name);
		for (unsigned f = 0; f < old->n_fields; f++)
			if (strcmp(rec->fields[f].name, old->fields[f].name) ||
			    strcmp(rec->fields[f].unit, old->fields[f].unit) ||
			    rec->fields[f].type != old->fields[f].type ||
			    rec->fields[f].table != old->fields[f].table)
				ck_abort_msg("field %s of %s was changed", old->fields[f].name,
					     old->name);
	}
	for (size_t i = 0; i < then->n_names; i++) {
		const struct tape_name *n = &then->names[i];
		const char *found = tape_schema_name(now, n->unit, n->value);

		if (!found || strcmp(found, n->name))
			ck_abort_msg("the name of %s %llu was changed", n->unit,
				     (unsigned long long)n->value);
	}
	tape_schema_free(then);
	free(text);
}
END_TEST

/* ---- newer and hostile texts ---- */

START_TEST(test_schema__newer_text)
{
	struct tape_schema *s = parse(FRONT "index\tsomething new\n"
					    "record\t7\tt\t-\tm\tmore words\tand more\n"
					    "field\tu128\twide\tplain\tnone\tm\n"
					    "field\tu8\tb\tgorilla\tnone\tm\tmore\n"
					    "field\tset:t\tz\tplain\tnone\tm\n"
					    "\n");
	const struct tape_record *t = tape_schema_record(s, 7);

	ck_assert_uint_eq(t->n_fields, 3);
	ck_assert_int_eq(t->fields[0].type, TAPE_TYPE_UNKNOWN);
	ck_assert_uint_eq(t->fields[0].width, 0);
	ck_assert_int_eq(t->fields[1].type, TAPE_U8);
	ck_assert_int_eq(t->fields[1].hint, TAPE_PLAIN);
	ck_assert_int_eq(t->fields[2].type, TAPE_TYPE_UNKNOWN);
	tape_schema_free(s);
}
END_TEST

/* What was parsed from a newer file can be written again (cut, merge, anonymize). */
START_TEST(test_schema__newer_text_written_again)
{
	struct tape_schema *s =
		parse(FRONT "record\t7\tt\t-\tm\nfield\tu128\twide\tplain\tnone\tm\n");
	struct tape_schema *again;
	char *text;
	size_t len;

	ck_assert_int_eq(tape_schema_write(s, NULL, true, NULL, &text, &len, NULL), 0);
	again = parse(text);
	same_schema(s, again);
	tape_schema_free(again);
	tape_schema_free(s);
	free(text);
}
END_TEST

START_TEST(test_schema__no_newline_at_the_end)
{
	struct tape_schema *s = parse(FRONT "name\tu\t1\tx");

	ck_assert_str_eq(tape_schema_name(s, "u", 1), "x");
	tape_schema_free(s);
}
END_TEST

START_TEST(test_schema__refused_lines)
{
	const char *rec = "schema, line 6: expected record, id, name, group, meaning";
	const char *field = "schema, line 6: expected field, type, name, encoding, unit, meaning";
	const char *name = "schema, line 6: expected name, unit, value, text";
	const char *ids = "schema, line 6: record ids must start at 0 and rise";

	refused("record\t7\n", TAPE_E_CORRUPT, rec);
	refused("record\t\tt\t-\tm\n", TAPE_E_CORRUPT, rec);
	refused("record\t-7\tt\t-\tm\n", TAPE_E_CORRUPT, rec);
	refused("record\t7x\tt\t-\tm\n", TAPE_E_CORRUPT, rec);
	refused("record\t65536\tt\t-\tm\n", TAPE_E_CORRUPT, rec);
	refused("record\t99999999999999999999999\tt\t-\tm\n", TAPE_E_CORRUPT, rec);
	refused("record\t7\t\t-\tm\n", TAPE_E_CORRUPT, rec);
	refused("record\t7\tbad-name\t-\tm\n", TAPE_E_CORRUPT, rec);
	refused("record\t7\t\x1b[31m\t-\tm\n", TAPE_E_CORRUPT, rec);
	refused("record\t7\ta1234567890123456789012345678901\t-\tm\n", TAPE_E_CORRUPT, rec);
	refused("record\t0\tt\t-\tm\n", TAPE_E_CORRUPT, ids);
	refused("field\tu8\tx\tplain\n", TAPE_E_CORRUPT, field);
	refused("field\tu8\tx y\tplain\tnone\tm\n", TAPE_E_CORRUPT, field);
	refused("name\tu\t1\n", TAPE_E_CORRUPT, name);
	refused("name\tu\tone\tx\n", TAPE_E_CORRUPT, name);
	refused("name\tu\t18446744073709551616\tx\n", TAPE_E_CORRUPT, name);
	refused("name\tu\t18446744073709551615\tx\ty\n", TAPE_E_CORRUPT,
		"schema, line 6: a name behind the largest value");
}
END_TEST

START_TEST(test_schema__refused_references)
{
	const char *why = "schema, line 7: reference to a table that is not known before";
	const char *why9 = "schema, line 9: reference to a table that is not known before";

	refused("record\t7\tt\t-\tm\nfield\tref:none\tx\tref\tnone\tm\n", TAPE_E_CORRUPT, why);
	refused("record\t7\tt\t-\tm\nfield\tref:t\tx\tref\tnone\tm\n", TAPE_E_CORRUPT, why);
	refused("record\t7\tt\t-\tm\nfield\tref:\tx\tref\tnone\tm\n", TAPE_E_CORRUPT, why);
	/* the common record is no table: rows of it are events */
	refused("record\t7\tt\t-\tm\nfield\tref:event\tx\tref\tnone\tm\n", TAPE_E_CORRUPT, why);
	refused("record\t7\te\tg\tm\nfield\tu8\tx\tplain\tnone\tm\n"
		"record\t8\tt\t-\tm\nfield\tdref:e\tx\tref\tnone\tm\n",
		TAPE_E_CORRUPT, why9);
}
END_TEST

static void refused_whole(const char *text, const char *why)
{
	struct tape_schema *s = NULL;
	struct tape_error err;

	ck_assert_int_eq(tape_schema_parse(text, strlen(text), &s, &err), TAPE_E_CORRUPT);
	ck_assert_ptr_null(s);
	ck_assert_str_eq(err.text, why);
}

START_TEST(test_schema__refused_texts)
{
	refused_whole("", "schema: no common columns");
	refused_whole("\n", "schema, line 1: expected tape-schema");
	refused_whole("hello", "schema, line 1: expected tape-schema");
	refused_whole("tape-schema\t1\n", "schema: no common columns");
	refused_whole("tape-schema\t1\nfield\tu8\tx\tplain\tnone\tm\n",
		      "schema, line 2: field before the first record");
	refused_whole("tape-schema\t1\nrecord\t7\tt\t-\tm\n",
		      "schema, line 2: record ids must start at 0 and rise");
	refused_whole("tape-schema\t1\nrecord\t0\tevent\t-\tm\nfield\tu64\tts_ns\tdelta\tns\tm\n",
		      "schema: no common columns");
	refused_whole("tape-schema\t1\nrecord\t0\tevent\t-\tm\nfield\tu32\tts_ns\tdelta\tns\tm\n"
		      "field\tu16\ttype\tplain\trecord\tm\nfield\tu32\tcpu\tplain\tcpu\tm\n",
		      "schema: common column 0 has not the type of ts_ns");
}
END_TEST

/* FRONT and n lines made by printf; the verdict. */
static int parse_many(unsigned n, const char *front, const char *line, struct tape_error *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct tape_schema *s = NULL;
	int rc;

	fprintf(f, "%s%s", FRONT, front);
	for (unsigned i = 1; i <= n; i++) {
		fputs(line, f);
		fprintf(f, "%u\tn%u\t-\tnone\tm\n", i, i);
	}
	fclose(f);
	rc = tape_schema_parse(text, len, &s, err);
	tape_schema_free(s);
	free(text);
	return rc;
}

/* The same of a line of n names, with as many between them that are none. */
static int parse_row(unsigned n, struct tape_error *err)
{
	char *text = malloc(sizeof(FRONT) + 16 + 3 * (size_t)n), *p = text;
	struct tape_schema *s = NULL;
	int rc;

	ck_assert_ptr_nonnull(text);
	p += sprintf(p, "%sname\tu\t1", FRONT);
	for (unsigned i = 0; i < n; i++)
		p += sprintf(p, "\t\tx");
	rc = tape_schema_parse(text, (size_t)(p - text), &s, err);
	tape_schema_free(s);
	free(text);
	return rc;
}

START_TEST(test_schema__ceilings)
{
	struct tape_error err;
	char *text = calloc(1, TAPE_MAX_TEXT + 2);
	struct tape_schema *s;

	ck_assert_int_eq(parse_many(TAPE_MAX_RECORDS - 1, "", "record\t", &err), 0);
	ck_assert_int_eq(parse_many(TAPE_MAX_RECORDS, "", "record\t", &err), TAPE_E_LIMIT);
	ck_assert_str_eq(err.text, "schema: more than 256 record types");
	ck_assert_int_eq(parse_many(TAPE_MAX_FIELDS, "record\t7\tt\t-\tm\n", "field\tu8", &err), 0);
	ck_assert_int_eq(parse_many(TAPE_MAX_FIELDS + 1, "record\t7\tt\t-\tm\n", "field\tu8", &err),
			 TAPE_E_LIMIT);
	ck_assert_str_eq(err.text, "schema: more than 128 fields in t");
	ck_assert_int_eq(parse_many(TAPE_MAX_NAMES / 4, "", "name\tu\t", &err), 0);
	ck_assert_int_eq(parse_many(TAPE_MAX_NAMES / 4 + 1, "", "name\tu\t", &err), TAPE_E_LIMIT);
	ck_assert_str_eq(err.text, "schema: more than 16384 named values");
	ck_assert_int_eq(parse_row(TAPE_MAX_NAMES, &err), 0);
	ck_assert_int_eq(parse_row(TAPE_MAX_NAMES + 1, &err), TAPE_E_LIMIT);
	ck_assert_str_eq(err.text, "schema: more than 16384 named values");
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(tape_schema_parse(text, TAPE_MAX_TEXT + 1, &s, &err), TAPE_E_LIMIT);
	ck_assert_str_eq(err.text, "schema longer than 1048576 bytes");
	free(text);
}
END_TEST

/* A file of some groups tells their events only, and what no group can leave out. */
START_TEST(test_schema__of_groups)
{
	struct tape_schema *s;
	char *text;
	size_t len;

	ck_assert_int_eq(tape_schema_write(tape_schema_builtin(), "conn,listen", true, NULL, &text,
					   &len, NULL),
			 0);
	ck_assert_int_eq(tape_schema_parse(text, len, &s, NULL), 0);
	free(text);
	for (size_t i = 0; i < tape_schema_builtin()->n_records; i++) {
		const struct tape_record *rec = &tape_schema_builtin()->records[i];
		bool is_told = rec->is_table || !rec->id || !strcmp(rec->group, "conn") ||
			       !strcmp(rec->group, "listen") || !strcmp(rec->group, "snapshot") ||
			       !strcmp(rec->group, "recorder");

		ck_assert_msg(!tape_schema_record(s, rec->id) == !is_told, "%s", rec->name);
	}
	tape_schema_free(s);
}
END_TEST

/* Addresses at the end of events are told only if they are there; others are where they were. */
START_TEST(test_schema__without_pointers)
{
	unsigned n_less = 0;
	struct tape_schema *s;
	char *text;
	size_t len;

	ck_assert_int_eq(
		tape_schema_write(tape_schema_builtin(), NULL, false, NULL, &text, &len, NULL), 0);
	ck_assert_int_eq(tape_schema_parse(text, len, &s, NULL), 0);
	free(text);
	for (size_t i = 0; i < s->n_records; i++) {
		const struct tape_record *all = &tape_schema_builtin()->records[i];
		const struct tape_record *rec = &s->records[i];

		n_less += rec->n_fields < all->n_fields;
		for (unsigned f = 0; f < all->n_fields; f++) {
			if (f < rec->n_fields)
				same_field(&all->fields[f], &rec->fields[f]);
			else
				ck_assert_int_eq(all->fields[f].hint, TAPE_POINTER);
		}
		ck_assert(rec->is_table || !rec->n_fields ||
			  rec->fields[rec->n_fields - 1].hint != TAPE_POINTER);
	}
	ck_assert_uint_eq(n_less, 5); /* rx, rx_copy, tx, tx_write, drop */
	ck_assert_int_ge(tape_record_field(tape_schema_record(s, EV_TABLE_sock), "skaddr"), 0);
	tape_schema_free(s);
}
END_TEST

SUITE("schema", test_schema__of_groups, test_schema__without_pointers,
      test_schema__builtin_is_sound, test_schema__rows_an_event, test_schema__lookup_of_nothing,
      test_schema__written_and_parsed, test_schema__extra_names, test_schema__meanings_in_short,
      test_schema__names_in_a_row, test_schema__frozen, test_schema__newer_text,
      test_schema__newer_text_written_again, test_schema__no_newline_at_the_end,
      test_schema__refused_lines, test_schema__refused_references, test_schema__refused_texts,
      test_schema__ceilings)

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints docs/events.md out of the built-in schema; with --schema the schema text itself, of which
 * schema-1.txt is a frozen copy.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema.h"

static const char *const type_words[] = {"u8",	 "u16",	 "u32", "u64", "i32", "i64",
					 "addr", "comm", "str", "",    ""};
static const char *const hint_words[] = {"",	 "delta", "keyed", "",	   "pointer", "row",
					 "last", "cross", "next",  "same", "smooth"};

static void put_type(const struct tape_schema *s, const struct tape_field *f)
{
	const struct tape_record *to = f->table ? tape_schema_record(s, f->table) : NULL;

	if (to)
		printf("[%s](#%s)", to->name, to->name);
	else
		printf("%s", type_words[f->type]);
}

static void put_record(const struct tape_schema *s, const struct tape_record *rec)
{
	printf("\n### %s\n\n", rec->name);
	if (rec->id == TAPE_COMMON)
		printf("Record 0: %s.\n\n", rec->meaning);
	else if (rec->is_table)
		printf("Table, id %u: %s.\n\n", rec->id, rec->meaning);
	else
		printf("Id %u, group `%s`: %s.\n\n", rec->id, rec->group, rec->meaning);
	printf("| field | type | unit | encoding | meaning |\n|---|---|---|---|---|\n");
	for (unsigned i = 0; i < rec->n_fields; i++) {
		const struct tape_field *f = &rec->fields[i];

		printf("| `%s` | ", f->name);
		put_type(s, f);
		printf(" | %s | %s | %s |\n", strcmp(f->unit, "none") ? f->unit : "",
		       hint_words[f->hint], f->meaning);
	}
}

static void put_names(const struct tape_schema *s)
{
	for (size_t i = 0; i < s->n_names; i++) {
		const struct tape_name *n = &s->names[i];

		if (!i || strcmp(n->unit, n[-1].unit))
			printf("%s- **%s**: ", i ? "\n" : "", n->unit);
		else
			printf(", ");
		printf("%" PRIu64 " %s", n->value, n->name);
	}
	printf("\n");
}

static void put_part(const struct tape_schema *s, const char *title, bool tables, bool snapshot)
{
	printf("\n## %s\n", title);
	for (size_t i = 1; i < s->n_records; i++)
		if (s->records[i].is_table == tables &&
		    !strcmp(s->records[i].group, "snapshot") == snapshot)
			put_record(s, &s->records[i]);
}

static void put_page(const struct tape_schema *s)
{
	printf("# Events\n\n"
	       "What a trace can hold. Made from `format/events.def` by "
	       "`tests/format/gen-events.c`; do not\n"
	       "edit. How it stands in a file is in [format.md](format.md); every file carries "
	       "this list too, as\n"
	       "it was when the file was written.\n\n"
	       "Types: `u8` to `u64`, `i32` and `i64` are integers; `addr` is an address of 16 "
	       "bytes (IPv4 as\n"
	       "v4-mapped); `comm` is a name of at most 16 bytes; `str` is text; a name of a table "
	       "is a\n"
	       "reference to a row of it, or none. Encoding `delta` stores differences; `pointer` "
	       "is a kernel\n"
	       "address, which files leave out unless asked for (`--pointers`).\n\n"
	       "## Columns of every event\n");
	put_record(s, &s->records[TAPE_COMMON]);
	put_part(s, "Tables", true, false);
	put_part(s, "Events", false, false);
	put_part(s, "Snapshot: what existed", false, true);
	printf("\n## Named values\n\n");
	put_names(s);
}

int main(int argc, char **argv)
{
	const struct tape_schema *s = tape_schema_builtin();
	char *text;
	size_t len;

	if (argc > 1 && !strcmp(argv[1], "--schema")) {
		if (tape_schema_write(s, NULL, true, NULL, &text, &len, NULL))
			return EXIT_FAILURE;
		fwrite(text, 1, len, stdout);
		free(text);
	} else {
		put_page(s);
	}
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

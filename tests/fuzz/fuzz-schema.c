// SPDX-License-Identifier: GPL-2.0-or-later
/* A schema text. What can be parsed can be written, and is then parsed to the same. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "schema.h"

static void check(const struct tape_schema *s)
{
	for (size_t i = 0; i < s->n_records; i++) {
		const struct tape_record *rec = &s->records[i];

		if (tape_schema_record(s, rec->id) != rec)
			abort();
		for (unsigned f = 0; f < rec->n_fields; f++) {
			const struct tape_field *fl = &rec->fields[f];
			const struct tape_record *to = tape_schema_record(s, fl->table);

			if (fl->table && (!to || !to->is_table || to->id >= rec->id))
				abort();
			if ((fl->type == TAPE_REF || fl->type == TAPE_DREF) != (fl->table != 0))
				abort();
		}
	}
	for (size_t i = 0; i < s->n_names; i++)
		if (!tape_schema_name(s, s->names[i].unit, s->names[i].value))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tape_schema *s, *again;
	char *text, *twice;
	size_t text_len, twice_len;

	if (tape_schema_parse((const char *)data, len, &s, NULL))
		return 0;
	check(s);
	if (tape_schema_write(s, NULL, true, NULL, &text, &text_len, NULL) ||
	    tape_schema_parse(text, text_len, &again, NULL) ||
	    tape_schema_write(again, NULL, true, NULL, &twice, &twice_len, NULL))
		abort();
	if (text_len != twice_len || memcmp(text, twice, text_len))
		abort();
	free(text);
	free(twice);
	tape_schema_free(s);
	tape_schema_free(again);
	return 0;
}

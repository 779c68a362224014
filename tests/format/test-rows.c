// SPDX-License-Identifier: GPL-2.0-or-later
/* rows.h: what it gives, written again, is the same trace. */
#include "rows.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dump.h"
#include "forge.h"
#include "reader.h"
#include "suite.h"
#include "writer.h"

static struct tape_error err;

static void must(int rc)
{
	if (rc < 0)
		ck_abort_msg("%s", err.text);
}

static struct tape_reader *opened(const struct bytes *b)
{
	struct tape_reader *r;

	must(forge_open(b, &r, &err));
	return r;
}

/* The events and snapshot rows of a trace as text, without where the chunks stand. */
static char *told(const struct bytes *b)
{
	struct tape_reader *r = opened(b);
	int rc;
	char *text = dump_reader(r, &rc), *from = text, *to = text;

	ck_assert_int_eq(rc, 0);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, "{\"ts_ns\"", 8)) {
			size_t len = strlen(line);

			memmove(to, line, len);
			to += len;
			*to++ = '\n';
		}
	*to = '\0';
	tape_reader_close(r);
	return from;
}

static void write_again(const struct bytes *b, bool pointers, uint32_t chunk_events,
			struct bytes *ret)
{
	struct tape_writer_opts o = {
		.file_id = 9, .writer = "rows", .pointers = pointers, .chunk_events = chunk_events};
	struct tape_reader *r = opened(b);
	const struct ev_head *e;
	struct tape_writer *w;
	struct tape_rows *rows;
	struct tape_chunk *c;
	char path[32];
	int fd = sample_memfd(path), rc;

	must(tape_writer_open(&w, fd, &o, &err));
	must(tape_rows_new(&rows, &err));
	while ((rc = tape_reader_next(r, &c, &err)) == 1) {
		must(tape_rows_begin(rows, c, tape_reader_schema(r), &err));
		ck_assert_uint_eq(tape_rows_unknown(rows), 0);
		ck_assert_uint_eq(tape_rows_absent(rows), 0);
		while (tape_rows_next(rows, &e))
			must(tape_writer_event(w, e, &err));
	}
	must(rc);
	must(tape_writer_close(w, 0, &err));
	tape_rows_free(rows);
	tape_writer_free(w);
	tape_reader_close(r);
	sample_read_back(fd, ret);
	close(fd);
}

START_TEST(test_rows__written_again_are_the_same)
{
	static const uint32_t chunk_events[] = {0, 100, 7000};

	for (unsigned i = 0; i < 6; i++) {
		struct sample_opts o = {.n_chunks = 3, .n_events = 3000, .pointers = i & 1};
		struct bytes before, after;
		char *a, *b;

		sample_trace(&o, &before);
		write_again(&before, i & 1, chunk_events[i / 2], &after);
		a = told(&before);
		b = told(&after);
		ck_assert_uint_gt(strlen(a), 9000 * 50);
		ck_assert(!strcmp(a, b));
		free(a);
		free(b);
		bytes_free(&before);
		bytes_free(&after);
	}
}
END_TEST

/* A trace of another version: what this build does not know is counted and passed over. */
START_TEST(test_rows__of_another_version)
{
	static const char schema[] =
		"tape-schema\t1\nrecord\t0\tevent\t-\tm\nfield\tu64\tts_ns\tdelta\tns\tm\n"
		"field\tu16\ttype\tplain\trecord\tm\nfield\tu32\tcpu\tplain\tcpu\tm\n"
		"record\t16\ttcp_state\tconn\tm\nfield\tu64\told_state\tplain\tnone\tm\n"
		"field\tu8\tnew_state\tplain\tnone\tm\nrecord\t300\tquic\tconn\tm\n";
	static const uint8_t types[] = {2, 16, 44, 16, 44, 0, 1, 0, 1, 0}, state[] = {3};
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);
	const struct ev_head *e;
	struct tape_rows *rows;
	struct tape_reader *r;
	struct tape_chunk *chunk;

	c.n_counts = 2;
	c.counts[0][0] = 16;
	c.counts[0][1] = 2;
	c.counts[1][0] = 300;
	c.counts[1][1] = 2;
	c.columns[1].layout = 1; /* planes: 16 300 16 300 */
	c.columns[1].body = types;
	c.columns[1].len = sizeof(types);
	c.columns[3] = (struct forge_column){16, 1, 0, 0, 0, state, 1, 0, 0};
	forge_front(&f, schema);
	forge_put_chunk(&f, &c);
	r = opened(&f.out);
	must(tape_rows_new(&rows, &err));
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	must(tape_rows_begin(rows, chunk, tape_reader_schema(r), &err));
	ck_assert_uint_eq(tape_rows_unknown(rows), 2);
	/* all fields but new_state: old_state has another type, the others are not there */
	ck_assert_uint_eq(tape_rows_absent(rows),
			  tape_schema_record(tape_schema_builtin(), EV_tcp_state)->n_fields - 1u);
	for (unsigned i = 0; i < 2; i++) {
		const struct ev_tcp_state *s;

		ck_assert_int_eq(tape_rows_next(rows, &e), 1);
		ck_assert_uint_eq(e->type, EV_tcp_state);
		ck_assert_uint_eq(e->size, sizeof(*s));
		s = (const void *)e;
		ck_assert_uint_eq(s->new_state, 3);
		ck_assert_uint_eq(s->old_state, 0);
	}
	ck_assert_int_eq(tape_rows_next(rows, &e), 0);
	tape_rows_free(rows);
	tape_reader_close(r);
	bytes_free(&f.out);
}
END_TEST

SUITE("rows", test_rows__written_again_are_the_same, test_rows__of_another_version)

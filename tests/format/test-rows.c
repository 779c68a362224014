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

static void write_again(const struct bytes *b, const struct tape_writer_opts *opts, bool move,
			struct bytes *ret)
{
	struct tape_writer_opts o = *opts;
	struct tape_reader *r = opened(b);
	const struct ev_head *e;
	struct tape_writer *w;
	struct tape_rows *rows;
	struct tape_chunk *c;
	char path[32];
	int fd = sample_memfd(path), rc;
	uint64_t ts;

	o.file_id = 9;
	o.writer = "rows";
	must(tape_writer_open(&w, fd, &o, &err));
	must(tape_rows_new(&rows, &err));
	while ((rc = tape_reader_next(r, &c, &err)) == 1) {
		must(tape_rows_begin(rows, c, tape_reader_schema(r), &err));
		ck_assert_uint_eq(tape_rows_unknown(rows), 0);
		ck_assert_uint_eq(tape_rows_absent(rows), 0);
		while (move && tape_rows_peek(rows, &ts)) /* some at a time */
			must(tape_writer_rows(w, rows, ts + 20000, &err));
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
		struct tape_writer_opts to = {.pointers = i & 1,
					      .chunk_events = chunk_events[i / 2]};
		struct bytes before, after;
		char *a, *b;

		sample_trace(&o, &before);
		write_again(&before, &to, false, &after);
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

/*
 * Rows that are moved give the same bytes as structs of them do, whether pointers stay, wherever
 * chunks end, and on which thread they are encoded.
 */
START_TEST(test_rows__moved_are_the_same)
{
	static const uint32_t chunk_events[] = {0, 1, 100, 7000};

	for (unsigned i = 0; i < 16; i++) {
		struct sample_opts o = {.n_chunks = 3, .n_events = 3000, .pointers = i & 1};
		struct tape_writer_opts to = {.pointers = i & 2,
					      .chunk_events = chunk_events[i / 4]};
		struct bytes trace, want, got;

		sample_trace(&o, &trace);
		write_again(&trace, &to, false, &want);
		for (unsigned aside = 0; aside < 2; aside++) {
			to.aside = aside;
			write_again(&trace, &to, true, &got);
			ck_assert_uint_eq(got.len, want.len);
			ck_assert(!memcmp(got.p, want.p, want.len));
			bytes_free(&got);
		}
		bytes_free(&want);
		bytes_free(&trace);
	}
}
END_TEST

static bool wants_port(const void *ctx, const struct tape_record *rec, unsigned field)
{
	return !strcmp(rec->fields[field].unit, "port") || rec->id == TAPE_COMMON;
}

/* All ports become 7, times and processors one more. */
static void edit_port(void *ctx, const struct tape_record *rec, unsigned field, void *values,
		      size_t n)
{
	const struct tape_field *f = &rec->fields[field];
	static const uint16_t seven = 7;

	for (size_t i = 0; i < n; i++) {
		uint8_t *at = (uint8_t *)values + i * f->width;
		uint64_t v = 0;

		memcpy(&v, at, f->width);
		v++;
		memcpy(at, rec->id == TAPE_COMMON ? (void *)&v : (void *)&seven, f->width);
	}
}

START_TEST(test_rows__edited_columns)
{
	static const struct tape_rows_edit edit = {.wants = wants_port, .edit = edit_port};
	struct sample_opts o = {.n_chunks = 1, .n_events = 500};
	static const struct ev_flow no_flow;
	const struct ev_head *e;
	uint64_t n_ports = 0, n = 0;
	struct tape_rows *rows, *plain;
	struct tape_reader *r;
	struct tape_chunk *c;
	struct bytes b;

	sample_trace(&o, &b);
	r = opened(&b);
	must(tape_rows_new(&rows, &err));
	must(tape_rows_new(&plain, &err));
	while (tape_reader_next(r, &c, &err) == 1) {
		must(tape_rows_begin(plain, c, tape_reader_schema(r), &err));
		must(tape_rows_begin(rows, c, tape_reader_schema(r), &err));
		must(tape_rows_edit(rows, &edit, &err));
		for (; tape_rows_next(rows, &e); n++) {
			const struct ev_rtt *rtt = (const void *)e, *own;
			const struct ev_head *before;

			ck_assert_int_eq(tape_rows_next(plain, &before), 1);
			own = (const void *)before;
			ck_assert_uint_eq(e->ts_ns, before->ts_ns + 1);
			ck_assert_uint_eq(e->cpu, before->cpu + 1);
			if (e->type != EV_rtt ||
			    !memcmp(&own->sock.flow, &no_flow, sizeof(no_flow)))
				continue;
			ck_assert_uint_eq(rtt->sock.flow.lport, 7);
			ck_assert_uint_eq(rtt->sock.flow.rport, 7);
			n_ports++;
		}
	}
	ck_assert_uint_gt(n, 500);
	ck_assert_uint_gt(n_ports, 0);
	tape_rows_free(rows);
	tape_rows_free(plain);
	tape_reader_close(r);
	bytes_free(&b);
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

SUITE("rows", test_rows__written_again_are_the_same, test_rows__moved_are_the_same,
      test_rows__edited_columns, test_rows__of_another_version)

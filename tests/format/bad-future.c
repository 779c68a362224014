// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files of a version that does not exist yet: what was appended is left out and the rest is read;
 * what cannot be left out ends the reading with a word about it.
 */
#include <stdio.h>
#include <string.h>

#include "codec.h"
#include "cursor.h"
#include "dump.h"
#include "forge.h"
#include "layout.h"
#include "reader.h"
#include "sample.h"
#include "suite.h"

static struct tape_error err;

/* Today's events and more: a new kind of line, a new event, a new type, a field at an old event. */
static const char future_schema[] = "tape-schema\t1\tnewer word\n"
				    "unit\tns\tnanoseconds\n"
				    "record\t0\tevent\t-\tm\tnewer word\n"
				    "field\tu64\tts_ns\tdelta\tns\tm\tnewer word\n"
				    "field\tu16\ttype\tplain\trecord\tm\n"
				    "field\tu32\tcpu\tplain\tcpu\tm\n"
				    "field\tu32\tnode\tplain\tnone\ta fourth common column\n"
				    "record\t16\ttcp_state\tconn\tm\n"
				    "field\tu32\tsock_id\tplain\tnone\tm\n"
				    "field\tu128\twide\tplain\tnone\ta type that is not known\n"
				    "field\tu8\told_state\tplain\ttcp_state\tm\n"
				    "field\tu32\tadded\tgorilla\tnone\tappended\n"
				    "record\t200\tquic_rtt\tquic\ta new event\n"
				    "field\tu32\trtt_us\tplain\tus\tm\n";

/* 2 tcp_state, 1 quic_rtt, 1 of type 300 that not even the schema knows. */
static struct forge_chunk future_chunk(void)
{
	static const uint8_t types[] = {1, 16, 200, 16, 44, 1, 3, 1}; /* 300: 256 + 44 */
	static const uint8_t one[16] = {1}, rtt[4] = {99}, node[4] = {5};
	struct forge_chunk c = forge_chunk(4);

	c.n_counts = 3;
	c.counts[0][1] = 2;
	c.counts[1][0] = 200;
	c.counts[1][1] = 1;
	c.counts[2][0] = 300;
	c.counts[2][1] = 1;
	c.columns[1].layout = TAPE_L_PLANES; /* k = 1, low bytes, m = 1, gap 3, high 1 */
	c.columns[1].body = types;
	c.columns[1].len = sizeof(types);
	c.n_columns = 8;
	c.columns[4] = (struct forge_column){16, 1, 0, TAPE_L_CONST, 0, one, 16, 0, 3};
	c.columns[5] = (struct forge_column){16, 3, 0, 77, 0, one, 9, 0, 0};
	c.columns[6] = (struct forge_column){200, 0, 0, TAPE_L_CONST, 0, rtt, 4, 0, 200};
	c.columns[7] = (struct forge_column){300, 9, 3, 88, 0x40, node, 4, 0, 0};
	return c;
}

static struct tape_reader *opened(struct forge *f)
{
	struct tape_reader *r;

	if (forge_open(&f->out, &r, &err))
		ck_abort_msg("%s", err.text);
	bytes_free(&f->out);
	return r;
}

static uint64_t get(struct tape_chunk *c, const struct tape_schema *s, const char *record,
		    const char *field, uint32_t row)
{
	const struct tape_record *rec = tape_schema_record_by_name(s, record);
	struct tape_column col;

	ck_assert_ptr_nonnull(rec);
	if (tape_chunk_column(c, rec->id, (unsigned)tape_record_field(rec, field), &col, &err))
		ck_abort_msg("%s", err.text);
	return tape_column_get(&col, row);
}

static void unknown(struct tape_chunk *c, unsigned record, unsigned field)
{
	struct tape_column col;

	ck_assert_int_eq(tape_chunk_column(c, record, field, &col, &err), TAPE_E_UNKNOWN);
}

START_TEST(test_future__events_and_columns)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk fc = future_chunk();
	const struct tape_schema *s;
	struct tape_reader *r;
	struct tape_column col;
	struct tape_chunk *c;
	size_t n;

	fc.head_extra = 40; /* and more at the end of the type header */
	forge_front(&f, future_schema);
	forge_put_chunk(&f, &fc);
	r = opened(&f);
	s = tape_reader_schema(r);
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 1);
	ck_assert_uint_eq(get(c, s, "event", "type", 1), 200);
	ck_assert_uint_eq(get(c, s, "event", "type", 3), 300);
	ck_assert_uint_eq(get(c, s, "event", "cpu", 3), 0);
	ck_assert_uint_eq(get(c, s, "tcp_state", "old_state", 1), 7);
	ck_assert_uint_eq(get(c, s, "quic_rtt", "rtt_us", 0), 99);
	ck_assert_uint_eq(tape_chunk_rows(c, 300), 1);
	ck_assert_int_eq(tape_chunk_column(c, 16, 0, &col, &err), TAPE_E_ABSENT);
	ck_assert_int_eq(tape_chunk_column(c, 0, 3, &col, &err), TAPE_E_ABSENT);
	unknown(c, 16, 1);  /* of a type that is not known */
	unknown(c, 16, 3);  /* in a layout that is not known */
	unknown(c, 300, 9); /* of a record that is not known */
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 0);
	tape_reader_damage(r, &n);
	ck_assert_uint_eq(n, 0);
	tape_reader_close(r);
}
END_TEST

/* ---- blocks ---- */

/* FILE, CLOCK and END with 8 bytes more at the end of their type headers. */
START_TEST(test_future__longer_headers)
{
	static const uint8_t file[TAPE_FILE_HEAD_LEN + 8] = {TAPE_VERSION_MAJOR, 0, 99, 0, 4};
	static const uint8_t clock[TAPE_CLOCK_HEAD_LEN + 8] = {7};
	static const uint8_t end[TAPE_END_HEAD_LEN + 8] = {[8] = 4};
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);
	struct tape_reader *r;
	struct tape_chunk *chunk;
	struct tape_end e;
	size_t n;

	forge_block(&f, TAPE_BLOCK_FILE, 0, file, sizeof(file), "future", 6);
	forge_block(&f, TAPE_BLOCK_SCHEMA, 0, NULL, 0, future_schema, sizeof(future_schema) - 1);
	forge_block(&f, TAPE_BLOCK_CLOCK, TAPE_BLOCK_ANCILLARY, clock, sizeof(clock), "more", 4);
	forge_put_chunk(&f, &c);
	forge_block(&f, TAPE_BLOCK_END, TAPE_BLOCK_ANCILLARY, end, sizeof(end), "0123456789abcdef",
		    16);
	r = opened(&f);
	ck_assert_uint_eq(tape_reader_info(r)->minor, 99);
	ck_assert_uint_eq(tape_reader_info(r)->n_cpus, 4);
	ck_assert_str_eq(tape_reader_info(r)->writer, "future");
	ck_assert_uint_eq(tape_reader_clocks(r, &n)->mono_ns, 7);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 0);
	tape_reader_end(r, &e);
	ck_assert(e.closed);
	ck_assert_uint_eq(e.n_events, 4);
	tape_reader_close(r);
}
END_TEST

START_TEST(test_future__ancillary_blocks)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);
	struct tape_reader *r;
	struct tape_chunk *chunk;
	size_t n;

	forge_front(&f, NULL);
	forge_block(&f, 77, TAPE_BLOCK_ANCILLARY, "abc", 3, "defgh", 5);
	forge_block(&f, TAPE_BLOCK_MARK, TAPE_BLOCK_ANCILLARY, NULL, 0, "note", 4);
	forge_block(&f, 255, TAPE_BLOCK_ANCILLARY | 0x70, NULL, 0, NULL, 0);
	/* a known type, but with a flag that may change its meaning */
	forge_block(&f, TAPE_BLOCK_META, TAPE_BLOCK_ANCILLARY | 0x04, NULL, 0, "k\tv\n", 4);
	forge_put_chunk(&f, &c);
	r = opened(&f);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 0);
	tape_reader_meta(r, &n);
	ck_assert_uint_eq(n, 0);
	tape_reader_damage(r, &n);
	ck_assert_uint_eq(n, 0);
	tape_reader_close(r);
}
END_TEST

static void ends_at(unsigned type, unsigned flags, bool at_open)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);
	struct tape_reader *r;
	struct tape_chunk *chunk;
	char text[128];
	size_t at;
	int rc;

	forge_front(&f, NULL);
	if (!at_open)
		forge_put_chunk(&f, &c);
	at = forge_block(&f, type, flags, NULL, 0, NULL, 0);
	forge_put_chunk(&f, &c);
	rc = forge_open(&f.out, &r, &err);
	bytes_free(&f.out);
	if (!at_open) {
		ck_assert_int_eq(rc, 0);
		ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
		rc = tape_reader_next(r, &chunk, &err);
		/* a good chunk follows, but the error was the end */
		ck_assert_int_eq(tape_reader_next(r, &chunk, NULL), 0);
		tape_reader_close(r);
	}
	ck_assert_int_eq(rc, TAPE_E_VERSION);
	snprintf(text, sizeof(text),
		 "block type %u at byte %zu is needed to read this file: use a newer tcptape", type,
		 at);
	ck_assert_str_eq(err.text, text);
}

START_TEST(test_future__blocks_that_are_needed)
{
	ends_at(77, 0, true);
	ends_at(77, 0, false);
	ends_at(TAPE_BLOCK_MARK, 0, true);
	ends_at(TAPE_BLOCK_CHUNK, 0x04, false); /* a chunk written in another way */
	ends_at(TAPE_BLOCK_SCHEMA, 0x80, true);
}
END_TEST

SUITE("future", test_future__events_and_columns, test_future__longer_headers,
      test_future__ancillary_blocks, test_future__blocks_that_are_needed)

// SPDX-License-Identifier: GPL-2.0-or-later
/* Chunks with right checksums and wrong contents: every error and ceiling of chunk.c. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "codec.h"
#include "cursor.h"
#include "forge.h"
#include "layout.h"
#include "reader.h"
#include "sample.h"
#include "suite.h"

static struct tape_error err;

/* A schema in which one event has all kinds of fields. */
static const char schema[] =
	"tape-schema\t1\nrecord\t0\tevent\t-\tm\nfield\tu64\tts_ns\tdelta\tns\tm\n"
	"field\tu16\ttype\tplain\trecord\tm\nfield\tu32\tcpu\tplain\tcpu\tm\n"
	"record\t1\tflow\t-\tm\nfield\tu16\tlport\tplain\tport\tm\n"
	"record\t16\te\tg\tm\nfield\tdref:flow\tf\tref\tnone\tm\nfield\tref:flow\tr\tref\tnone\tm\n"
	"field\tu8\told_state\tplain\tnone\tm\nfield\tstr\ts\tplain\tnone\tm\n"
	"field\taddr\ta\tplain\tnone\tm\nfield\tu32\tv\tplain\tnone\tm\n";

static const uint8_t zeros[64];

/* Forge c between two good chunks and open it. */
static struct tape_reader *with(const struct forge_chunk *c, size_t *offset)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk good = forge_chunk(4);
	struct tape_reader *r;

	forge_front(&f, schema);
	forge_put_chunk(&f, &good);
	*offset = forge_put_chunk(&f, c);
	forge_put_chunk(&f, &good);
	if (forge_open(&f.out, &r, &err))
		ck_abort_msg("%s", err.text);
	bytes_free(&f.out);
	return r;
}

/* The chunk is left out for that reason ("chunk at byte N" is put before it); others are read. */
static void left_out(const struct forge_chunk *c, const char *why)
{
	const struct tape_damage *d;
	struct tape_reader *r;
	struct tape_chunk *chunk;
	size_t offset, n;
	char text[256];

	r = with(c, &offset);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_uint_gt(tape_chunk_offset(chunk), offset);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 0);
	d = tape_reader_damage(r, &n);
	ck_assert_uint_eq(n, 1);
	snprintf(text, sizeof(text), "chunk at byte %zu%s", offset, why);
	ck_assert_str_eq(d->text, text);
	ck_assert_uint_eq(d->offset, offset);
	tape_reader_close(r);
}

/* The chunk is read, but that column cannot be decoded, whoever asks again; ts can. */
static void bad_column(const struct forge_chunk *c, unsigned record, unsigned field,
		       enum tape_err code, const char *why)
{
	struct tape_column col;
	struct tape_reader *r;
	struct tape_chunk *chunk;
	size_t offset;
	char text[256];

	r = with(c, &offset);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_chunk_column(chunk, record, field, &col, &err), code);
	snprintf(text, sizeof(text), "chunk at byte %zu%s", offset, why);
	ck_assert_str_eq(err.text, text);
	ck_assert_uint_eq(err.offset, offset);
	ck_assert_int_eq(tape_chunk_column(chunk, record, field, &col, &err), code);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	tape_reader_close(r);
}

/* The same of the time column, without which a reader has no use for the chunk. */
static void bad_time(const struct forge_chunk *c, const char *why)
{
	bad_column(c, TAPE_COMMON, TAPE_COMMON_TS, TAPE_E_CORRUPT, why);
}

/* ---- the header ---- */

START_TEST(test_chunk__header_too_short)
{
	struct forge f = {.file_id = 1};
	struct tape_reader *r;
	struct tape_chunk *c;
	size_t n;

	forge_front(&f, schema);
	forge_block(&f, TAPE_BLOCK_CHUNK, 0, zeros, TAPE_CHUNK_HEAD_LEN - 1, NULL, 0);
	ck_assert_int_eq(forge_open(&f.out, &r, &err), 0);
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 0);
	ck_assert_ptr_nonnull(strstr(tape_reader_damage(r, &n)->text, ": the header is too short"));
	tape_reader_close(r);
	bytes_free(&f.out);
}
END_TEST

START_TEST(test_chunk__header_contradictions)
{
	struct forge_chunk c = forge_chunk(4);

	c.n_events = 0;
	left_out(&c, ": no events, or times out of order");
	c = forge_chunk(4);
	c.ts_min = 1;
	left_out(&c, ": no events, or times out of order");
	c = forge_chunk(4);
	c.flags = 2;
	left_out(&c, " has flags of a newer version");
}
END_TEST

START_TEST(test_chunk__header_ceilings)
{
	struct forge_chunk c = forge_chunk(TAPE_MAX_EVENTS + 1);

	c.pad = TAPE_MAX_EVENTS / TAPE_MAX_EVENTS_PER_BYTE;
	left_out(&c, ": events: 1048577, at most 1048576");
	c = forge_chunk(TAPE_MAX_EVENTS);
	left_out(&c, ": events a byte: 7134, at most 4");
	c = forge_chunk(4);
	c.claim_records = TAPE_MAX_RECORDS;
	left_out(&c, ": record types: 257, at most 256");
	c = forge_chunk(4);
	c.claim_columns = TAPE_MAX_COLUMNS;
	left_out(&c, ": columns: 1028, at most 1024");
}
END_TEST

/* As many constants as a file may hold, and one byte too few for them. */
START_TEST(test_chunk__events_a_byte)
{
	struct forge_chunk c = forge_chunk(65536);
	struct tape_reader *r;
	struct tape_chunk *chunk;
	struct tape_column col;
	size_t offset, len;

	c.pad = 65536 / TAPE_MAX_EVENTS_PER_BYTE;
	r = with(&c, &offset);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_chunk_column(chunk, 16, 2, &col, &err), 0);
	ck_assert_uint_eq(tape_column_get(&col, 65535), 7);
	len = tape_chunk_stored_len(chunk);
	tape_reader_close(r);
	c.pad -= len - 65536 / TAPE_MAX_EVENTS_PER_BYTE + 1;
	left_out(&c, ": events a byte: 5, at most 4");
}
END_TEST

START_TEST(test_chunk__counts)
{
	const char *damaged = ": the list of record counts is damaged";
	const char *sum = ": the counts do not add up to the number of events";
	struct forge_chunk c = forge_chunk(4);

	c.counts[0][1] = 3;
	left_out(&c, sum);
	c.counts[0][1] = 5;
	left_out(&c, sum);
	c.counts[0][1] = 17;
	left_out(&c, ": rows of a record type: 17, at most 16");
	c.counts[0][1] = (UINT64_C(1) << 32) + 4;
	left_out(&c, ": rows of a record type: 4294967300, at most 16");
	c.counts[0][1] = 0;
	left_out(&c, damaged);
	c.counts[0][1] = 4;
	c.counts[0][0] = 0; /* the common record has no count */
	left_out(&c, damaged);
	c.counts[0][0] = 65536;
	left_out(&c, damaged);
	c = forge_chunk(4);
	c.n_counts = 2; /* twice the same id */
	c.counts[1][0] = c.counts[0][0];
	c.counts[1][1] = 1;
	left_out(&c, damaged);
	c.counts[1][0] = 1; /* falling ids */
	left_out(&c, damaged);
	c = forge_chunk(4);
	c.n_columns = 0;
	c.claim_records = 1; /* the list ends with the header */
	left_out(&c, damaged);
}
END_TEST

START_TEST(test_chunk__directory)
{
	struct forge_chunk c = forge_chunk(4);

	c.claim_columns = 1;
	left_out(&c, ": the column directory is damaged");
	c = forge_chunk(4);
	c.columns[3].record = 65536 + 16;
	left_out(&c, ": the column directory is damaged");
	c = forge_chunk(4);
	c.columns[3].raw_len = (size_t)UINT32_MAX + 2;
	left_out(&c, ": the column directory is damaged");
	c = forge_chunk(4);
	c.columns[3].record = 1;
	left_out(&c, ": a column of a record type that the chunk does not hold");
}
END_TEST

START_TEST(test_chunk__column_ceilings)
{
	struct forge_chunk c = forge_chunk(4);

	c.columns[3].raw_len = TAPE_MAX_CHUNK_RAW + 1;
	c.columns[3].flags = TAPE_COLUMN_ZSTD;
	left_out(&c, ": bytes of columns: 33554447, at most 33554432");
	/* 1 Mi events of 16 bytes, five times */
	c = forge_chunk(TAPE_MAX_EVENTS);
	c.pad = TAPE_MAX_EVENTS / TAPE_MAX_EVENTS_PER_BYTE;
	c.n_columns = 8;
	for (unsigned i = 3; i < 8; i++)
		c.columns[i] = (struct forge_column){16, 4, 0, TAPE_L_FIXED, 0, zeros, 18, 0, 0};
	left_out(&c, ": bytes of decoded columns: 81788928, at most 67108864");
}
END_TEST

START_TEST(test_chunk__columns_longer_than_payload)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);
	struct tape_reader *r;
	struct tape_chunk *chunk;
	size_t at, n;

	forge_front(&f, schema);
	at = forge_put_chunk(&f, &c);
	/* the payload ends a byte early; the checksums are put right */
	f.out.p[at + 8]--;
	forge_fix(f.out.p, f.out.len);
	ck_assert_int_eq(forge_open(&f.out, &r, &err), 0);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 0);
	ck_assert_ptr_nonnull(strstr(tape_reader_damage(r, &n)->text,
				     ": the columns are longer than the payload"));
	tape_reader_close(r);
	bytes_free(&f.out);
}
END_TEST

/* ---- columns ---- */

START_TEST(test_chunk__column_bodies)
{
	struct forge_chunk c = forge_chunk(4);

	c.columns[3].len = 0;
	bad_column(&c, 16, 2, TAPE_E_CORRUPT,
		   ", old_state of record 16: a column body of 0 bytes does not hold 4 values");
	c = forge_chunk(4);
	c.columns[3].layout = 99;
	bad_column(&c, 16, 2, TAPE_E_UNKNOWN,
		   ", old_state of record 16: layout 99 of a column of 1-byte values is unknown");
	c = forge_chunk(4);
	c.columns[3].transform = 99;
	bad_column(&c, 16, 2, TAPE_E_UNKNOWN,
		   ", old_state of record 16: transform 99 of a column is unknown");
	c = forge_chunk(4);
	c.columns[3].flags = 0x80;
	bad_column(&c, 16, 2, TAPE_E_UNKNOWN, ": column 2 of record 16 is written in a newer way");
	c = forge_chunk(4);
	c.columns[3].raw_len = 2;
	bad_column(&c, 16, 2, TAPE_E_CORRUPT, ": an uncompressed column has two lengths");
}
END_TEST

START_TEST(test_chunk__string_columns)
{
	static const uint8_t strings[4] = {5, 0, 0, 0};
	static const uint8_t too_long[] = {0x81, 0x20, 0, 0, 0};
	struct forge_chunk c = forge_chunk(4);

	c.columns[3] =
		(struct forge_column){16, 3, 0, TAPE_L_STRINGS, 0, strings, sizeof(strings), 0, 0};
	bad_column(&c, 16, 3, TAPE_E_CORRUPT,
		   ", s of record 16: a column body of 4 bytes does not hold 4 strings");
	c.columns[3].body = too_long;
	c.columns[3].len = sizeof(too_long);
	bad_column(&c, 16, 3, TAPE_E_LIMIT,
		   ", s of record 16: a string of 4097 bytes, at most 4096");
	c.columns[3].layout = TAPE_L_VARINT;
	bad_column(&c, 16, 3, TAPE_E_UNKNOWN,
		   ", s of record 16: strings in layout 2 or transform 0, which are unknown");
}
END_TEST

/* A table of two rows; a reference to row 2 is outside, with a direction too. */
START_TEST(test_chunk__references)
{
	const char *outside = ": a reference points outside its table";
	static const uint8_t three[4] = {3}, five[4] = {5}, four[4] = {4};
	struct forge_chunk c = forge_chunk(4);
	struct tape_reader *r;
	struct tape_chunk *chunk;
	struct tape_column col;
	size_t offset;

	c.n_counts = 2;
	c.counts[0][0] = 1;
	c.counts[0][1] = 2;
	c.counts[1][0] = 16;
	c.counts[1][1] = 4;
	c.columns[3] = (struct forge_column){16, 1, 0, TAPE_L_CONST, 0, three, 4, 0, 0};
	bad_column(&c, 16, 1, TAPE_E_CORRUPT, outside);
	c.columns[3].field = 0;
	c.columns[3].body = five;
	bad_column(&c, 16, 0, TAPE_E_CORRUPT, outside);
	c.columns[3].body = four;
	r = with(&c, &offset);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_chunk_column(chunk, 16, 0, &col, &err), 0);
	tape_reader_close(r);
	/* a table that the chunk does not hold has no rows */
	c.counts[0][0] = c.counts[1][0];
	c.counts[0][1] = c.counts[1][1];
	c.n_counts = 1;
	bad_column(&c, 16, 0, TAPE_E_CORRUPT, outside);
}
END_TEST

/* A key must be there, must be good, and cannot depend on itself. */
START_TEST(test_chunk__keyed_columns)
{
	static const uint8_t value[4] = {3}, five[4] = {5};
	struct forge_chunk c = forge_chunk(4);

	c.n_columns = 5;
	c.columns[3] = (struct forge_column){16, 5, TAPE_T_KEYED, TAPE_L_CONST, 0, value, 4, 0, 0};
	c.columns[4] = (struct forge_column){16, 1, 0, TAPE_L_CONST, 0, value, 4, 0, 0};
	bad_column(&c, 16, 5, TAPE_E_ABSENT, " does not hold column 0 of record 16");
	c.columns[4] = (struct forge_column){16, 0, 0, TAPE_L_CONST, 0, five, 4, 0, 0};
	bad_column(&c, 16, 5, TAPE_E_CORRUPT, ": a reference points outside its table");
	c.columns[4].transform = TAPE_T_KEYED;
	bad_column(&c, 16, 0, TAPE_E_CORRUPT, ": a column of references is keyed");
	c.columns[0].transform = TAPE_T_KEYED;
	c.columns[0].layout = TAPE_L_CONST;
	bad_time(&c, ": a keyed column of a record without reference");
}
END_TEST

START_TEST(test_chunk__types_against_counts)
{
	static const uint8_t other[] = {17, 0}, table[] = {1, 0};
	const char *why = ": the types of the events contradict their counts";
	struct forge_chunk c = forge_chunk(4);

	c.columns[1].body = other;
	bad_column(&c, TAPE_COMMON, TAPE_COMMON_TYPE, TAPE_E_CORRUPT, why);
	c.n_counts = 2; /* rows of a table are no events */
	c.counts[1][0] = 16;
	c.counts[1][1] = 4;
	c.counts[0][0] = 1;
	c.counts[0][1] = 4;
	c.columns[1].body = table;
	bad_column(&c, TAPE_COMMON, TAPE_COMMON_TYPE, TAPE_E_CORRUPT, why);
}
END_TEST

/* ---- zstd ---- */

/* old_state of 4 events in a frame of `raw` zero bytes; the directory says `claim`. */
static struct forge_chunk framed(size_t raw, size_t claim, uint8_t *frame, size_t cap)
{
	struct forge_chunk c = forge_chunk(4);
	void *body = calloc(1, raw);

	ck_assert_ptr_nonnull(body);
	c.columns[3].flags = TAPE_COLUMN_ZSTD;
	c.columns[3].body = frame;
	c.columns[3].len = ZSTD_compress(frame, cap, body, raw, 3);
	c.columns[3].raw_len = claim;
	ck_assert(!ZSTD_isError(c.columns[3].len));
	free(body);
	return c;
}

START_TEST(test_chunk__frames)
{
	const char *length = ": a zstd frame has not the length that the directory says";
	static uint8_t frame[65536];
	struct forge_chunk c = framed(1 << 20, 1, frame, sizeof(frame));

	bad_column(&c, 16, 2, TAPE_E_CORRUPT, length);
	c = framed(1, TAPE_MAX_CHUNK_RAW / 2, frame, sizeof(frame));
	bad_column(&c, 16, 2, TAPE_E_CORRUPT, length);
	c = framed(100, 100, frame, sizeof(frame));
	c.columns[3].len -= 2;
	bad_column(&c, 16, 2, TAPE_E_CORRUPT, ": a zstd frame is damaged");
	c = framed(100, 100, frame, sizeof(frame));
	c.columns[3].body = zeros; /* no frame at all */
	bad_column(&c, 16, 2, TAPE_E_CORRUPT, ": a zstd frame is damaged");
	c = framed(100, 100, frame, sizeof(frame));
	bad_column(&c, 16, 2, TAPE_E_CORRUPT,
		   ", old_state of record 16: a column body of 100 bytes does not hold 4 values");
}
END_TEST

/* A frame whose header lies about its content: one byte said, a megabyte held. */
START_TEST(test_chunk__frame_that_lies)
{
	static uint8_t frame[65536];
	struct forge_chunk c = framed(1 << 20, 1 << 20, frame, sizeof(frame));

	ck_assert_uint_eq(ZSTD_getFrameContentSize(frame, c.columns[3].len), 1 << 20);
	/* magic, descriptor, then the content size in 4 bytes (single segment) */
	ck_assert_uint_eq(frame[4] >> 6, 2);
	memset(frame + 5 + !(frame[4] & 0x20), 0, 4);
	frame[5 + !(frame[4] & 0x20)] = 1;
	ck_assert_uint_eq(ZSTD_getFrameContentSize(frame, c.columns[3].len), 1);
	c.columns[3].raw_len = 1;
	bad_column(&c, 16, 2, TAPE_E_CORRUPT, ": a zstd frame is damaged");
}
END_TEST

START_TEST(test_chunk__single_frames)
{
	static uint8_t frame[4096];
	struct forge_chunk c = forge_chunk(4);

	c.flags = TAPE_CHUNK_SINGLE; /* but the payload is no frame */
	bad_column(&c, 16, 2, TAPE_E_CORRUPT, ": its zstd frame is damaged");
	/* one frame of 99 bytes, of which the columns take 15 */
	c.columns[0].len = ZSTD_compress(frame, sizeof(frame), zeros, 64, 3);
	c.columns[0].body = frame;
	c.columns[0].raw_len = 8;
	for (unsigned i = 1; i < 4; i++) {
		c.columns[i].raw_len = c.columns[i].len;
		c.columns[i].len = 0;
	}
	bad_column(&c, 16, 2, TAPE_E_CORRUPT,
		   ": a zstd frame has not the length that the directory says");
}
END_TEST

/* A column that is listed twice: the first one counts. */
START_TEST(test_chunk__column_twice)
{
	struct forge_chunk c = forge_chunk(4);
	struct tape_reader *r;
	struct tape_chunk *chunk;
	struct tape_column col;
	size_t offset;

	c.columns[c.n_columns++] = (struct forge_column){16, 2, 0, TAPE_L_CONST, 0, zeros, 1, 0, 0};
	r = with(&c, &offset);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_chunk_column(chunk, 16, 2, &col, &err), 0);
	ck_assert_uint_eq(tape_column_get(&col, 3), 7);
	tape_reader_close(r);
}
END_TEST

/*
 * Chunks whose columns need ever more memory than any before: what was taken for earlier ones is
 * given back. Under the memory ceiling of the suite this fails if it is not.
 */
START_TEST(test_chunk__memory_is_given_back)
{
	struct forge f = {.file_id = 1};
	struct tape_reader *r;
	struct tape_chunk *chunk;
	struct tape_column col;

	forge_front(&f, schema);
	for (uint32_t i = 0; i < 100; i++) {
		struct forge_chunk c = forge_chunk(500000 + 5000 * i);

		c.pad = c.n_events / TAPE_MAX_EVENTS_PER_BYTE;
		c.columns[3] = (struct forge_column){16, 4, 0, TAPE_L_FIXED, 0, zeros, 18, 0, 0};
		forge_put_chunk(&f, &c);
	}
	ck_assert_int_eq(forge_open(&f.out, &r, &err), 0);
	while (tape_reader_next(r, &chunk, &err) == 1)
		ck_assert_int_eq(tape_chunk_column(chunk, 16, 4, &col, &err), 0);
	tape_reader_close(r);
	bytes_free(&f.out);
}
END_TEST

SUITE("chunk", test_chunk__header_too_short, test_chunk__header_contradictions,
      test_chunk__header_ceilings, test_chunk__events_a_byte, test_chunk__counts,
      test_chunk__directory, test_chunk__column_ceilings, test_chunk__columns_longer_than_payload,
      test_chunk__column_bodies, test_chunk__string_columns, test_chunk__references,
      test_chunk__keyed_columns, test_chunk__types_against_counts, test_chunk__frames,
      test_chunk__frame_that_lies, test_chunk__single_frames, test_chunk__column_twice,
      test_chunk__memory_is_given_back)

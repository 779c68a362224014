// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Blocks with right checksums and wrong contents: the errors and ceilings of reader.c, facts.c and
 * index.c, each from a file forged here.
 */
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "block.h"
#include "cursor.h"
#include "dump.h"
#include "forge.h"
#include "layout.h"
#include "reader.h"
#include "sample.h"
#include "suite.h"

static struct tape_error err;

#define ANCILLARY TAPE_BLOCK_ANCILLARY

/* The file cannot be opened, for that reason. Frees it. */
static void refused(struct forge *f, enum tape_err code, const char *text)
{
	struct tape_reader *r = NULL;

	ck_assert_int_eq(forge_open(&f->out, &r, &err), code);
	ck_assert_ptr_null(r);
	ck_assert_str_eq(err.text, text);
	bytes_free(&f->out);
}

static struct tape_reader *opened(struct forge *f)
{
	struct tape_reader *r;

	if (forge_open(&f->out, &r, &err))
		ck_abort_msg("%s", err.text);
	bytes_free(&f->out);
	return r;
}

static void has_damage(const struct tape_reader *r, const char *text)
{
	size_t n;
	const struct tape_damage *d = tape_reader_damage(r, &n);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(d[i].text, text))
			return;
	ck_abort_msg("no damage \"%s\" of %zu, first: %s", text, n, n ? d->text : "");
}

static unsigned count_chunks(struct tape_reader *r)
{
	struct tape_chunk *c;
	unsigned n = 0;

	while (tape_reader_next(r, &c, &err) == 1)
		n++;
	return n;
}

/* A chunk follows the bad block, is returned, and the block is noted. Frees the file. */
static void noted(struct forge *f, const char *text)
{
	struct forge_chunk c = forge_chunk(4);
	struct tape_reader *r;

	forge_put_chunk(f, &c);
	r = opened(f);
	ck_assert_uint_eq(count_chunks(r), 1);
	has_damage(r, text);
	tape_reader_close(r);
}

/* ---- the first block ---- */

START_TEST(test_block__empty_file)
{
	struct forge f = {.file_id = 1};

	refused(&f, TAPE_E_NOT_TAPE, "the file is empty, or too short for a trace");
}
END_TEST

START_TEST(test_block__not_a_trace)
{
	static const struct {
		const char *bytes, *says;
	} files[] = {
		{"hello", "not a tcptape trace"},
		{"\x0a\x0d\x0d\x0a and what else a pcapng file may begin with, some of it",
		 "not a tcptape trace, but a packet capture (pcapng)"},
		{"\xd4\xc3\xb2\xa1", "not a tcptape trace, but a packet capture (pcap)"},
		{"\x1f\x8b", "not a tcptape trace, but compressed by gzip"},
		{"PERFILE2", "not a tcptape trace, but a recording of perf"},
		{"TTB1 and then something that is no header, but long enough to be one",
		 "not a tcptape trace"},
	};

	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct forge f = {.file_id = 1};

		bytes_add(&f.out, files[i].bytes, strlen(files[i].bytes));
		refused(&f, TAPE_E_NOT_TAPE, files[i].says);
	}
}
END_TEST

START_TEST(test_block__must_start_with_file)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);

	forge_block(&f, TAPE_BLOCK_META, ANCILLARY, NULL, 0, "a\tb\n", 4);
	refused(&f, TAPE_E_NOT_TAPE, "a trace must start with a FILE block");
	forge_put_chunk(&f, &c);
	refused(&f, TAPE_E_NOT_TAPE, "a trace must start with a FILE block");
}
END_TEST

START_TEST(test_block__first_block_damaged)
{
	struct forge f = {.file_id = 1};

	forge_front(&f, NULL);
	f.out.p[TAPE_BLOCK_HEAD_LEN + TAPE_FILE_HEAD_LEN] ^= 1;
	refused(&f, TAPE_E_CORRUPT, "the first block of the file is damaged");
}
END_TEST

START_TEST(test_block__file_too_short)
{
	struct forge f = {.file_id = 1};

	forge_block(&f, TAPE_BLOCK_FILE, 0, "\1\0\0\0", 4, "x", 1);
	refused(&f, TAPE_E_CORRUPT, "the FILE block is too short");
}
END_TEST

START_TEST(test_block__other_major_version)
{
	struct forge f = {.file_id = 1};

	forge_file(&f, TAPE_VERSION_MAJOR + 7, 0);
	refused(&f, TAPE_E_VERSION,
		"this file has format version 8, this program reads version 1: use a tcptape of "
		"the same version");
}
END_TEST

/* A version whose blocks look otherwise has another digit in the magic, as that before 1 had. */
START_TEST(test_block__other_magic)
{
	for (char digit = '0'; digit <= '9'; digit++) {
		struct forge f = {.file_id = 1};
		char text[128];

		bytes_add(&f.out, "TTB", 3);
		bytes_add(&f.out, &digit, 1);
		bytes_add(&f.out, "another kind of header, and what follows it", 43);
		if (digit - '0' == TAPE_VERSION_MAJOR) {
			refused(&f, TAPE_E_NOT_TAPE, "not a tcptape trace");
			continue;
		}
		snprintf(text, sizeof(text),
			 "this file has format version %c, this program reads version 1: use a "
			 "tcptape of the same version",
			 digit);
		refused(&f, TAPE_E_VERSION, text);
	}
}
END_TEST

/* ---- text blocks ---- */

START_TEST(test_block__no_schema)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);

	forge_file(&f, TAPE_VERSION_MAJOR, 0);
	forge_put_chunk(&f, &c);
	refused(&f, TAPE_E_TRUNCATED, "the trace ends, or is damaged, before its schema");
}
END_TEST

START_TEST(test_block__schema_damaged)
{
	struct forge f = {.file_id = 1};

	forge_file(&f, TAPE_VERSION_MAJOR, 0);
	forge_block(&f, TAPE_BLOCK_SCHEMA, 0, NULL, 0, "hello", 5);
	refused(&f, TAPE_E_CORRUPT, "schema, line 1: expected tape-schema");
}
END_TEST

static void put_schema(struct forge *f, const void *payload, size_t len)
{
	forge_file(f, TAPE_VERSION_MAJOR, 0);
	forge_block(f, TAPE_BLOCK_SCHEMA, TAPE_BLOCK_ZSTD, NULL, 0, payload, len);
}

START_TEST(test_block__text_ceiling)
{
	struct forge f = {.file_id = 1};
	char *text = calloc(1, TAPE_MAX_TEXT + 1);
	uint8_t packed[4096];
	size_t len;

	ck_assert_ptr_nonnull(text);
	forge_file(&f, TAPE_VERSION_MAJOR, 0);
	forge_block(&f, TAPE_BLOCK_SCHEMA, 0, NULL, 0, text, TAPE_MAX_TEXT + 1);
	refused(&f, TAPE_E_LIMIT, "text block at byte 64 is longer than 1048576 bytes");
	/* a bomb: a megabyte and one byte in some 60 bytes */
	len = ZSTD_compress(packed, sizeof(packed), text, TAPE_MAX_TEXT + 1, 3);
	ck_assert_uint_lt(len, 200);
	put_schema(&f, packed, len);
	refused(&f, TAPE_E_LIMIT, "text block at byte 64 is longer than 1048576 bytes");
	put_schema(&f, "no zstd frame at all", 20);
	refused(&f, TAPE_E_CORRUPT, "text block at byte 64 is damaged");
	free(text);
}
END_TEST

START_TEST(test_block__text_frame_damaged)
{
	struct forge f = {.file_id = 1};
	uint8_t packed[400];
	size_t len = ZSTD_compress(packed, sizeof(packed), "abcabcabcabcabcabcabcabc", 24, 3);

	ck_assert(!ZSTD_isError(len));
	put_schema(&f, packed, len - 3); /* the end of the frame is missing */
	refused(&f, TAPE_E_CORRUPT, "text block at byte 64 is damaged");
	packed[len] = 0; /* and a byte behind it */
	put_schema(&f, packed, len + 1);
	refused(&f, TAPE_E_CORRUPT, "text block at byte 64 is damaged");
}
END_TEST

START_TEST(test_block__odd_metadata)
{
	static const char text[] = "no tab\nk\tv\n\nempty\t\n\tno key\nx\ty\tz\nbs\t\\q\\\nend\tz";
	static const char *const want[][2] = {{"k", "v"},    {"empty", ""}, {"", "no key"},
					      {"x", "y\tz"}, {"bs", "q\\"}, {"end", "z"}};
	struct forge f = {.file_id = 1};
	const struct tape_meta *meta;
	struct tape_reader *r;
	size_t n;

	forge_front(&f, NULL);
	forge_block(&f, TAPE_BLOCK_META, ANCILLARY, NULL, 0, text, sizeof(text) - 1);
	r = opened(&f);
	meta = tape_reader_meta(r, &n);
	ck_assert_uint_eq(n, 6);
	for (size_t i = 0; i < n; i++) {
		ck_assert_str_eq(meta[i].key, want[i][0]);
		ck_assert_str_eq(meta[i].value, want[i][1]);
	}
	tape_reader_close(r);
}
END_TEST

START_TEST(test_block__metadata_lines_ceiling)
{
	struct forge f = {.file_id = 1};
	struct bytes text = {0};

	for (unsigned i = 0; i <= TAPE_MAX_META; i++)
		bytes_add(&text, "k\tv\n", 4);
	forge_front(&f, NULL);
	forge_block(&f, TAPE_BLOCK_META, ANCILLARY, NULL, 0, text.p, text.len);
	noted(&f, "more than 4096 lines of metadata");
	bytes_free(&text);
}
END_TEST

/* Each block may hold a megabyte in 60 bytes, but not all of them together. */
START_TEST(test_block__metadata_bytes_ceiling)
{
	struct forge f = {.file_id = 1};
	char *text = malloc(TAPE_MAX_TEXT);
	uint8_t packed[4096];
	size_t len;

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', TAPE_MAX_TEXT);
	len = ZSTD_compress(packed, sizeof(packed), text, TAPE_MAX_TEXT, 3);
	forge_front(&f, NULL);
	for (unsigned i = 0; i < 1000; i++)
		forge_block(&f, TAPE_BLOCK_META, ANCILLARY | TAPE_BLOCK_ZSTD, NULL, 0, packed, len);
	noted(&f, "more than 4194304 bytes of metadata");
	free(text);
}
END_TEST

/* ---- clock, loss, end ---- */

START_TEST(test_block__clock_too_short)
{
	struct forge f = {.file_id = 1};

	forge_front(&f, NULL);
	forge_block(&f, TAPE_BLOCK_CLOCK, ANCILLARY, "abcdefgh", 8, NULL, 0);
	noted(&f, "a CLOCK block is too short");
}
END_TEST

/* Not marked as one that can be left out: then it ends the reading. */
START_TEST(test_block__bad_block_that_is_needed)
{
	struct forge f = {.file_id = 1};

	forge_front(&f, NULL);
	forge_block(&f, TAPE_BLOCK_CLOCK, 0, "abcdefgh", 8, NULL, 0);
	refused(&f, TAPE_E_CORRUPT, "a CLOCK block is too short");
}
END_TEST

START_TEST(test_block__clock_ceiling)
{
	static const uint8_t head[TAPE_CLOCK_HEAD_LEN];
	struct forge f = {.file_id = 1};

	forge_front(&f, NULL);
	for (unsigned i = 0; i < TAPE_MAX_CLOCKS; i++)
		forge_block(&f, TAPE_BLOCK_CLOCK, ANCILLARY, head, sizeof(head), NULL, 0);
	noted(&f, "more than 1048576 readings of the clocks");
}
END_TEST

START_TEST(test_block__loss_ceiling)
{
	struct forge f = {.file_id = 1};
	size_t len = ((size_t)TAPE_MAX_LOSSES + 1) * TAPE_LOSS_LEN;
	void *losses = calloc(1, len);

	ck_assert_ptr_nonnull(losses);
	forge_front(&f, NULL);
	forge_block(&f, TAPE_BLOCK_LOSS, ANCILLARY, NULL, 0, losses, len);
	free(losses);
	noted(&f, "more than 1048576 records of losses");
}
END_TEST

/* A short rest of a LOSS payload is of a newer version, or nothing. */
START_TEST(test_block__loss_with_a_rest)
{
	static const uint8_t losses[TAPE_LOSS_LEN + 39] = {[16] = 9};
	struct forge f = {.file_id = 1};
	struct tape_reader *r;
	struct tape_end end;
	size_t n;

	forge_front(&f, NULL);
	forge_block(&f, TAPE_BLOCK_LOSS, ANCILLARY, NULL, 0, losses, sizeof(losses));
	r = opened(&f);
	ck_assert_uint_eq(count_chunks(r), 0);
	ck_assert_uint_eq(tape_reader_losses(r, &n)->count, 9);
	ck_assert_uint_eq(n, 1);
	tape_reader_end(r, &end);
	ck_assert_uint_eq(end.lost, 9);
	tape_reader_close(r);
}
END_TEST

START_TEST(test_block__end_too_short)
{
	struct forge f = {.file_id = 1};
	struct tape_reader *r;
	struct tape_end end;

	forge_front(&f, NULL);
	forge_block(&f, TAPE_BLOCK_END, ANCILLARY, NULL, 0, NULL, 0);
	r = opened(&f);
	ck_assert_uint_eq(count_chunks(r), 0);
	tape_reader_end(r, &end);
	ck_assert(!end.closed);
	tape_reader_close(r);
}
END_TEST

/* ---- lengths ---- */

START_TEST(test_block__payload_ceiling)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);
	size_t at;

	forge_front(&f, NULL);
	at = forge_put_chunk(&f, &c);
	for (unsigned i = 0; i < 4; i++)
		f.out.p[at + 8 + i] = (uint8_t)((TAPE_MAX_PAYLOAD + 1) >> (8 * i));
	noted(&f, "damaged data was skipped");
}
END_TEST

/* A header may claim 64 MiB; no memory is taken for what does not come. */
START_TEST(test_block__claimed_payload)
{
	struct forge f = {.file_id = 1};
	struct tape_block_head h = {.type = TAPE_BLOCK_CHUNK, .seq = 3, .file_id = 1};
	uint8_t fixed[TAPE_BLOCK_HEAD_LEN];
	struct tape_reader *r;
	struct tape_end end;
	void *zeros = calloc(1, TAPE_MAX_PAYLOAD);

	ck_assert_ptr_nonnull(zeros);
	h.payload_len = TAPE_MAX_PAYLOAD;
	tape_block_pack(&h, NULL, zeros, fixed);
	free(zeros);
	forge_front(&f, NULL);
	bytes_add(&f.out, fixed, sizeof(fixed));
	bytes_add(&f.out, "a few", 5);
	r = opened(&f);
	ck_assert_uint_eq(count_chunks(r), 0);
	tape_reader_end(r, &end);
	ck_assert(end.truncated);
	tape_reader_close(r);
}
END_TEST

/* More places than are listed: the last one stands for the rest. */
START_TEST(test_block__damage_everywhere)
{
	struct forge f = {.file_id = 1};
	struct tape_reader *r;
	size_t n;

	forge_front(&f, NULL);
	for (unsigned i = 0; i < 3000; i++) {
		size_t at = forge_block(&f, TAPE_BLOCK_META, ANCILLARY, NULL, 0, "a\tb", 3);

		f.out.p[at + TAPE_BLOCK_HEAD_LEN] ^= 1;
	}
	r = opened(&f);
	ck_assert_uint_eq(count_chunks(r), 0);
	ck_assert_uint_gt(tape_reader_damage(r, &n)[999].bytes, 1000);
	ck_assert_uint_eq(n, 1000);
	tape_reader_close(r);
}
END_TEST

/* ---- the index ---- */

/* Three chunks at times 0, 100, 200, and what INDEX says of them. */
struct indexed {
	struct forge f;
	struct forge_entry e[3];
};

static void indexed_init(struct indexed *x)
{
	static const uint64_t ts[] = {0, 100, 200};
	struct forge_chunk c = forge_chunk(4);

	*x = (struct indexed){.f = {.file_id = 1}};
	forge_front(&x->f, NULL);
	for (unsigned i = 0; i < 3; i++) {
		c.columns[0].body = &ts[i];
		c.ts_min = c.ts_max = ts[i];
		x->e[i].offset = forge_put_chunk(&x->f, &c);
		x->e[i].len = x->f.out.len - x->e[i].offset;
		x->e[i].ts_min = x->e[i].ts_max = ts[i];
		x->e[i].type = TAPE_BLOCK_CHUNK;
	}
}

/* Close the file and read the chunks of [100, 200]; what is found must not depend on the index. */
static void check_window(struct indexed *x, uint64_t index_offset, bool damaged)
{
	struct tape_reader *r;
	struct tape_chunk *c;
	size_t n;

	forge_end(&x->f, index_offset);
	r = opened(&x->f);
	tape_reader_window(r, 100, 200);
	for (unsigned i = 1; i < 3; i++) {
		ck_assert_int_eq(tape_reader_next(r, &c, &err), 1);
		ck_assert_uint_eq(tape_chunk_offset(c), x->e[i].offset);
	}
	ck_assert_int_eq(tape_reader_next(r, &c, &err), 0);
	tape_reader_damage(r, &n);
	ck_assert((n != 0) == damaged);
	tape_reader_close(r);
}

START_TEST(test_block__index_that_is_good)
{
	struct indexed x;

	indexed_init(&x);
	check_window(&x, forge_index(&x.f, x.e, 3), false);
}
END_TEST

START_TEST(test_block__index_of_nonsense)
{
	for (unsigned way = 0; way < 9; way++) {
		struct forge_entry e[3];
		struct indexed x;

		indexed_init(&x);
		memcpy(e, x.e, sizeof(e));
		switch (way) {
		case 0: e[1].offset = e[0].offset; break;      /* overlapping */
		case 1: e[0].len += 8; break;		       /* a little */
		case 2: e[2].offset = e[0].offset; break;      /* descending: wraps */
		case 3: e[2].len = 1 << 20; break;	       /* past the index */
		case 4: e[2].offset = UINT64_MAX - 100; break; /* past the end of numbers */
		case 5: e[1].len = 0; break;		       /* nothing */
		case 6: e[1].len = UINT64_MAX / 2; break;
		case 7: e[0].offset = UINT64_MAX - 7; break;
		case 8: e[1].len = 8; break;
		}
		check_window(&x, forge_index(&x.f, e, 3), false);
	}
}
END_TEST

START_TEST(test_block__index_cut_short)
{
	static const uint8_t counts[][10] = {
		{3}, {100}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, {0x80}};

	for (unsigned i = 0; i < 4; i++) {
		struct indexed x;
		size_t at;

		indexed_init(&x);
		at = forge_block(&x.f, TAPE_BLOCK_INDEX, ANCILLARY, NULL, 0, counts[i],
				 i == 2 ? 10 : 1);
		check_window(&x, at, false);
	}
}
END_TEST

START_TEST(test_block__index_elsewhere)
{
	static const uint64_t offsets[] = {0, 1, 8, 100000, UINT64_MAX};

	for (unsigned i = 0; i < 5; i++) {
		struct indexed x;

		indexed_init(&x);
		forge_index(&x.f, x.e, 3);
		check_window(&x, offsets[i], false);
	}
}
END_TEST

START_TEST(test_block__index_with_wrong_checksum)
{
	struct indexed x;
	size_t at;

	indexed_init(&x);
	at = forge_index(&x.f, x.e, 3);
	x.f.out.p[at + TAPE_BLOCK_HEAD_LEN] ^= 1;
	check_window(&x, at, true);
}
END_TEST

SUITE("block", test_block__empty_file, test_block__not_a_trace, test_block__must_start_with_file,
      test_block__first_block_damaged, test_block__file_too_short, test_block__other_major_version,
      test_block__other_magic, test_block__no_schema, test_block__schema_damaged,
      test_block__text_ceiling, test_block__text_frame_damaged, test_block__odd_metadata,
      test_block__metadata_lines_ceiling, test_block__metadata_bytes_ceiling,
      test_block__clock_too_short, test_block__bad_block_that_is_needed, test_block__clock_ceiling,
      test_block__loss_ceiling, test_block__loss_with_a_rest, test_block__end_too_short,
      test_block__payload_ceiling, test_block__claimed_payload, test_block__damage_everywhere,
      test_block__index_that_is_good, test_block__index_of_nonsense, test_block__index_cut_short,
      test_block__index_elsewhere, test_block__index_with_wrong_checksum)

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The promises of version 1 (docs/format.md, Versions) that are numbers: what stands in files out
 * there keeps its meaning, and a reader takes no less than the first one did.
 */
#include <string.h>

#include "codec.h"
#include "cursor.h"
#include "layout.h"
#include "sample.h"
#include "suite.h"

struct number {
	const char *name;
	unsigned long long is, was;
};

#define ROW(name, was)                                                                             \
	{                                                                                          \
#name, name, was                                                                   \
	}

static const struct number same[] = {
	ROW(TAPE_MAGIC, 0x31425454),  ROW(TAPE_VERSION_MAJOR, 1),   ROW(TAPE_BLOCK_FILE, 1),
	ROW(TAPE_BLOCK_SCHEMA, 2),    ROW(TAPE_BLOCK_META, 3),	    ROW(TAPE_BLOCK_CLOCK, 4),
	ROW(TAPE_BLOCK_CHUNK, 5),     ROW(TAPE_BLOCK_LOSS, 6),	    ROW(TAPE_BLOCK_SNAPSHOT, 7),
	ROW(TAPE_BLOCK_MARK, 8),      ROW(TAPE_BLOCK_INDEX, 9),	    ROW(TAPE_BLOCK_END, 10),
	ROW(TAPE_BLOCK_ANCILLARY, 1), ROW(TAPE_BLOCK_ZSTD, 2),	    ROW(TAPE_BLOCK_HEAD_LEN, 40),
	ROW(TAPE_FILE_HEAD_LEN, 16),  ROW(TAPE_CLOCK_HEAD_LEN, 32), ROW(TAPE_CHUNK_HEAD_LEN, 56),
	ROW(TAPE_END_HEAD_LEN, 32),   ROW(TAPE_LOSS_LEN, 40),	    ROW(TAPE_LOSS_RING, 1),
	ROW(TAPE_LOSS_RECURSION, 2),  ROW(TAPE_LOSS_MISSED, 3),	    ROW(TAPE_LOSS_UNRECORDED, 4),
	ROW(TAPE_LOSS_DAMAGED, 5),    ROW(TAPE_LOSS_UNTOLD, 6),	    ROW(TAPE_CHUNK_SINGLE, 1),
	ROW(TAPE_COLUMN_ZSTD, 1),     ROW(TAPE_ORIGINS, 128),	    ROW(TAPE_FIELD_DAMAGED, 65535),
	ROW(TAPE_T_NONE, 0),	      ROW(TAPE_T_DELTA, 1),	    ROW(TAPE_T_KEYED, 2),
	ROW(TAPE_T_ROW, 3),	      ROW(TAPE_T_LAST, 4),	    ROW(TAPE_T_CROSS, 5),
	ROW(TAPE_T_NEXT, 6),	      ROW(TAPE_T_SAME, 7),	    ROW(TAPE_T_SMOOTH, 8),
	ROW(TAPE_L_CONST, 0),	      ROW(TAPE_L_PLANES, 1),	    ROW(TAPE_L_VARINT, 2),
	ROW(TAPE_L_FIXED, 3),	      ROW(TAPE_L_STRINGS, 4),
};

static const struct number at_least[] = {
	ROW(TAPE_MAX_PAYLOAD, 64 << 20),    ROW(TAPE_MAX_TEXT, 1 << 20),
	ROW(TAPE_MAX_RECORDS, 256),	    ROW(TAPE_MAX_FIELDS, 128),
	ROW(TAPE_MAX_NAMES, 16384),	    ROW(TAPE_MAX_EVENTS, 1 << 20),
	ROW(TAPE_MAX_COLUMNS, 1024),	    ROW(TAPE_MAX_CHUNK_RAW, 32 << 20),
	ROW(TAPE_MAX_CHUNK_ROWS, 64 << 20), ROW(TAPE_MAX_STR, 4096),
	ROW(TAPE_MAX_EVENTS_PER_BYTE, 4),   ROW(TAPE_MAX_ROWS_PER_EVENT, 4),
	ROW(TAPE_MAX_CLOCKS, 1 << 20),	    ROW(TAPE_MAX_LOSSES, 1 << 20),
	ROW(TAPE_MAX_META, 4096),	    ROW(TAPE_MAX_META_TEXT, 4 << 20),
};

START_TEST(test_frozen__numbers)
{
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (same[i].is != same[i].was)
			ck_abort_msg("%s is %llu, was %llu", same[i].name, same[i].is, same[i].was);
	for (size_t i = 0; i < sizeof(at_least) / sizeof(at_least[0]); i++)
		if (at_least[i].is < at_least[i].was)
			ck_abort_msg("%s is %llu, was %llu", at_least[i].name, at_least[i].is,
				     at_least[i].was);
	ck_assert_mem_eq(TAPE_TAIL_MAGIC, "TTEND1\0", 8);
	ck_assert_int_eq(TAPE_TAIL_LEN, 16);
}
END_TEST

/*
 * The head of one chunk has no reserved bits, and time, type and processor stand in encodings of
 * 1.0: else a reader of 1.0 would lose whole chunks of what a later writer makes, not columns.
 */
static void check_chunk(const uint8_t *head, size_t len)
{
	struct tape_in in = tape_in(head, len);
	unsigned n_records, n_columns, n_common = 0;

	tape_in_bytes(&in, 48);
	n_records = tape_in_u16(&in);
	n_columns = tape_in_u16(&in);
	ck_assert_uint_le(tape_in_u32(&in), 1);
	for (unsigned i = 0; i < 2 * n_records; i++)
		tape_in_varint(&in);
	for (unsigned i = 0; i < n_columns; i++) {
		unsigned entry_len = tape_in_u8(&in);
		struct tape_in e = tape_in(tape_in_bytes(&in, entry_len), entry_len);
		uint64_t record = tape_in_varint(&e);

		tape_in_varint(&e);
		if (record)
			continue;
		n_common++;
		ck_assert_uint_le(tape_in_u8(&e), 1); /* NONE, DELTA */
		ck_assert_uint_le(tape_in_u8(&e), 2); /* CONST, PLANES, VARINT */
		ck_assert_uint_le(tape_in_u8(&e), 1); /* ZSTD */
	}
	ck_assert(!in.bad);
	ck_assert_uint_eq(n_common, 3);
}

/* No block that a reader of 1.0 would have to know and does not. */
START_TEST(test_frozen__what_is_written)
{
	static const bool ancillary[] = {
		[3] = true, [4] = true, [6] = true, [9] = true, [10] = true};
	struct sample_opts opts = {.n_chunks = 2, .n_events = 5000};
	unsigned n_chunks = 0, n_blocks = 0;
	struct bytes b = {0};

	sample_trace(&opts, &b);
	for (size_t at = 0, len; at < b.len; at += len, n_blocks++) {
		const uint8_t *p = b.p + at;
		size_t hdr_len = (size_t)tape_le(p + 6, 2);

		len = (40 + hdr_len + (size_t)tape_le(p + 8, 4) + 7) & ~(size_t)7;
		if (p[4] > 10) {
			ck_assert_uint_eq(p[5] & 1, 1);
			continue;
		}
		ck_assert_uint_eq(p[5] & 1, ancillary[p[4]]);
		ck_assert_uint_eq(p[5] & ~3u, 0);
		if (p[4] == 5 || p[4] == 7) {
			n_chunks++;
			check_chunk(p + 40, hdr_len);
		}
	}
	ck_assert_uint_eq(n_chunks, 3);
	ck_assert_uint_ge(n_blocks, 10);
	bytes_free(&b);
}
END_TEST

SUITE("frozen", test_frozen__numbers, test_frozen__what_is_written)

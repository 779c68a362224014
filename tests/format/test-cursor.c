// SPDX-License-Identifier: GPL-2.0-or-later
#include "cursor.h"
#include "suite.h"

/* Values and their LEB128 bytes, written by hand from the definition. */
static const struct {
	uint64_t value;
	size_t len;
	uint8_t bytes[10];
} varints[] = {
	{0, 1, {0}},
	{1, 1, {1}},
	{127, 1, {0x7f}},
	{128, 2, {0x80, 0x01}},
	{300, 2, {0xac, 0x02}},
	{16383, 2, {0xff, 0x7f}},
	{16384, 3, {0x80, 0x80, 0x01}},
	{UINT32_MAX, 5, {0xff, 0xff, 0xff, 0xff, 0x0f}},
	{UINT64_MAX, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
};

START_TEST(test_cursor__varint_both_ways)
{
	for (size_t i = 0; i < sizeof(varints) / sizeof(varints[0]); i++) {
		uint8_t buf[10];
		struct tape_out out = tape_out(buf, sizeof(buf));
		struct tape_in in = tape_in(varints[i].bytes, varints[i].len);

		tape_out_varint(&out, varints[i].value);
		ck_assert(!out.bad);
		ck_assert_uint_eq(out.p - buf, varints[i].len);
		ck_assert_mem_eq(buf, varints[i].bytes, varints[i].len);
		ck_assert_uint_eq(tape_in_varint(&in), varints[i].value);
		ck_assert(!in.bad && in.p == in.end);
	}
}
END_TEST

START_TEST(test_cursor__varint_cut_short)
{
	for (size_t i = 0; i < sizeof(varints) / sizeof(varints[0]); i++) {
		struct tape_in in = tape_in(varints[i].bytes, varints[i].len - 1);

		ck_assert_uint_eq(tape_in_varint(&in), 0);
		ck_assert(in.bad);
	}
}
END_TEST

START_TEST(test_cursor__varint_above_64_bits)
{
	static const uint8_t too_large[] = {0xff, 0xff, 0xff, 0xff, 0xff,
					    0xff, 0xff, 0xff, 0xff, 0x02};
	static const uint8_t too_long[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
					   0x80, 0x80, 0x80, 0x80, 0x00};
	struct tape_in in = tape_in(too_large, sizeof(too_large));

	tape_in_varint(&in);
	ck_assert(in.bad);
	in = tape_in(too_long, sizeof(too_long));
	tape_in_varint(&in);
	ck_assert(in.bad);
}
END_TEST

START_TEST(test_cursor__little_endian)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	struct tape_in in = tape_in(bytes, sizeof(bytes));
	uint8_t buf[15];
	struct tape_out out = tape_out(buf, sizeof(buf));

	ck_assert_uint_eq(tape_in_u8(&in), 1);
	ck_assert_uint_eq(tape_in_u16(&in), 0x0302);
	ck_assert_uint_eq(tape_in_u32(&in), 0x07060504);
	ck_assert_uint_eq(tape_in_u64(&in), 0x0f0e0d0c0b0a0908);
	ck_assert_uint_eq(tape_in_left(&in), 0);
	tape_out_le(&out, 1, 1);
	tape_out_le(&out, 0x0302, 2);
	tape_out_le(&out, 0x07060504, 4);
	tape_out_le(&out, 0x0f0e0d0c0b0a0908, 8);
	ck_assert_mem_eq(buf, bytes, sizeof(bytes));
}
END_TEST

START_TEST(test_cursor__failure_stays)
{
	static const uint8_t bytes[] = {1, 2, 3};
	struct tape_in in = tape_in(bytes, sizeof(bytes));
	uint8_t buf[3] = {9, 9, 9};
	struct tape_out out = tape_out(buf, sizeof(buf));

	ck_assert_uint_eq(tape_in_u32(&in), 0);
	ck_assert(in.bad);
	ck_assert_uint_eq(tape_in_u8(&in), 0); /* though there is a byte */
	ck_assert_ptr_null(tape_in_bytes(&in, 0));
	ck_assert_uint_eq(tape_in_left(&in), 0);
	tape_out_le(&out, 0, 4);
	ck_assert(out.bad);
	tape_out_le(&out, 0, 1);
	ck_assert_ptr_eq(out.p, buf);
	ck_assert_uint_eq(buf[0], 9);
}
END_TEST

START_TEST(test_cursor__zigzag)
{
	static const int64_t values[] = {0, -1, 1, -2, 2};

	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(tape_zigzag(values[i]), i);
	ck_assert_uint_eq(tape_zigzag(INT64_MAX), UINT64_MAX - 1);
	ck_assert_uint_eq(tape_zigzag(INT64_MIN), UINT64_MAX);
	ck_assert_int_eq(tape_unzigzag(UINT64_MAX), INT64_MIN);
	for (unsigned i = 0; i < 64; i++)
		ck_assert_int_eq(tape_unzigzag(tape_zigzag(-(INT64_C(1) << i % 63))),
				 -(INT64_C(1) << i % 63));
}
END_TEST

SUITE("cursor", test_cursor__varint_both_ways, test_cursor__varint_cut_short,
      test_cursor__varint_above_64_bits, test_cursor__little_endian, test_cursor__failure_stays,
      test_cursor__zigzag)

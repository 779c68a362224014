// SPDX-License-Identifier: GPL-2.0-or-later
/* chunk.h both ways: build.c writes, chunk.c reads. Bad chunks are in bad-chunk.c. */
#include "chunk.h"

#include <string.h>

#include "layout.h"
#include "sample.h"
#include "suite.h"

static struct tape_error err;

static void must(int rc)
{
	if (rc)
		ck_abort_msg("%s", err.text);
}

/* One chunk being written and read. */
struct trip {
	struct tape_build *build;
	struct tape_chunk *chunk;
	struct tape_chunk_head head;
	bool pointers;
	size_t hdr_len, payload_len;
};

static void trip_init(struct trip *t, bool pointers)
{
	memset(t, 0, sizeof(*t));
	t->pointers = pointers;
	must(tape_build_new(&t->build, pointers, 0, &err));
	must(tape_chunk_new(&t->chunk, &err));
}

static void trip_fini(struct trip *t)
{
	tape_build_free(t->build);
	tape_chunk_free(t->chunk);
}

static void trip_go(struct trip *t)
{
	const void *type_head, *payload;

	must(tape_build_encode(t->build, &t->head, &type_head, &t->hdr_len, &payload,
			       &t->payload_len, &err));
	must(tape_chunk_parse(t->chunk, tape_schema_builtin(), false, type_head, t->hdr_len,
			      payload, t->payload_len, 4096, &err));
	ck_assert_uint_eq(tape_build_count(t->build), 0);
	ck_assert_mem_eq(&t->head, tape_chunk_head(t->chunk), sizeof(t->head));
}

static void expect(struct trip *t, const struct tape_record *rec, uint32_t row, uint64_t seed,
		   uint64_t ts)
{
	union sample e;
	const char *field;

	sample_fill(rec, seed, ts, &e);
	field = sample_differs(t->chunk, rec, row, &e, t->pointers);
	if (field)
		ck_abort_msg("%s.%s of row %u differs", rec->name, field, row);
}

/* n events of one type, there and back, with every field compared. */
static void one_type(const struct tape_record *rec, uint32_t n, bool pointers)
{
	struct trip t;
	union sample e;

	trip_init(&t, pointers);
	for (uint32_t i = 0; i < n; i++) {
		sample_fill(rec, i, 1000 + i, &e);
		must(tape_build_add(t.build, &e.head, &err));
	}
	trip_go(&t);
	ck_assert_uint_eq(tape_chunk_rows(t.chunk, rec->id), n);
	for (uint32_t i = 0; i < n; i++)
		expect(&t, rec, i, i, 1000 + i);
	trip_fini(&t);
}

START_TEST(test_chunk__every_event_alone)
{
	for (size_t i = 0; sample_event(i); i++)
		for (unsigned pointers = 0; pointers < 2; pointers++) {
			one_type(sample_event(i), 1, pointers);
			one_type(sample_event(i), 600, pointers);
		}
}
END_TEST

static uint64_t ts_of(uint32_t i)
{
	return 5000000 + 300 * (uint64_t)i - (i % 50 == 7 ? 400 : 0); /* some out of order */
}

static void check_common(struct trip *t, uint32_t n, size_t n_types)
{
	struct tape_column ts, type, cpu;

	must(tape_chunk_column(t->chunk, TAPE_COMMON, TAPE_COMMON_TS, &ts, &err));
	must(tape_chunk_column(t->chunk, TAPE_COMMON, TAPE_COMMON_TYPE, &type, &err));
	must(tape_chunk_column(t->chunk, TAPE_COMMON, TAPE_COMMON_CPU, &cpu, &err));
	ck_assert_uint_eq(ts.n, n);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_uint_eq(tape_column_get(&ts, i), ts_of(i));
		ck_assert_uint_eq(tape_column_get(&type, i), sample_event(i % n_types)->id);
		ck_assert_uint_eq(tape_column_get(&cpu, i), i % 3);
	}
}

/* All types by turns; the k-th event of a type is row k of its columns. */
static void all_types(uint32_t n, bool pointers, unsigned rounds)
{
	size_t n_types = 0;
	struct trip t;
	union sample e;

	while (sample_event(n_types))
		n_types++;
	trip_init(&t, pointers);
	for (unsigned round = 0; round < rounds; round++) {
		for (uint32_t i = 0; i < n; i++) {
			sample_fill(sample_event(i % n_types), i, ts_of(i), &e);
			must(tape_build_add(t.build, &e.head, &err));
		}
		ck_assert_uint_eq(tape_build_count(t.build), n);
		ck_assert_uint_eq(tape_build_first_ts(t.build), ts_of(0));
		trip_go(&t);
		ck_assert(!(t.head.flags & TAPE_CHUNK_SINGLE) == (n >= 8192));
		ck_assert_uint_eq(t.head.n_events, n);
		check_common(&t, n, n_types);
		for (uint32_t i = 0; i < n; i++)
			expect(&t, sample_event(i % n_types), i / (uint32_t)n_types, i, ts_of(i));
	}
	trip_fini(&t);
}

START_TEST(test_chunk__all_events_in_one_frame)
{
	all_types(8191, false, 3); /* the memory is used again, the tables are empty again */
}
END_TEST

START_TEST(test_chunk__all_events_in_a_frame_a_column)
{
	all_types(8192, true, 1);
	all_types(20000, false, 2);
}
END_TEST

/* ---- references ---- */

static const struct ev_addr addr_a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}};
static const struct ev_addr addr_b = {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};

static uint64_t get(struct trip *t, unsigned record, unsigned field, uint32_t row)
{
	struct tape_column col;

	must(tape_chunk_column(t->chunk, record, field, &col, &err));
	ck_assert_uint_lt(row, col.n);
	return tape_column_get(&col, row);
}

static void add_state(struct trip *t, const struct ev_flow *flow, uint64_t cookie)
{
	struct ev_tcp_state e = {
		.head = {.ts_ns = 1, .type = EV_tcp_state, .size = sizeof(e)},
		.sock = {.cookie = cookie, .flow = *flow},
	};

	must(tape_build_add(t->build, &e.head, &err));
}

/* Both ends of a loopback connection are one row of flow, seen from two sides. */
START_TEST(test_chunk__one_flow_from_both_ends)
{
	struct ev_flow ab = {addr_a, addr_b, 1111, 80}, ba = {addr_b, addr_a, 80, 1111};
	struct trip t;
	uint64_t refs[2];

	trip_init(&t, false);
	add_state(&t, &ab, 7);
	add_state(&t, &ba, 8);
	add_state(&t, &ab, 7);
	trip_go(&t);
	ck_assert_uint_eq(tape_chunk_rows(t.chunk, EV_TABLE_flow), 1);
	ck_assert_uint_eq(tape_chunk_rows(t.chunk, EV_TABLE_sock), 2);
	ck_assert_uint_eq(get(&t, EV_tcp_state, 0, 0), 1);
	ck_assert_uint_eq(get(&t, EV_tcp_state, 0, 1), 2);
	ck_assert_uint_eq(get(&t, EV_tcp_state, 0, 2), 1);
	for (uint32_t i = 0; i < 2; i++)
		refs[i] = get(&t, EV_TABLE_sock, 2, i);
	ck_assert_uint_eq(refs[0], 1); /* 1 + (row 0 << 1): :: below fe80:: */
	ck_assert_uint_eq(refs[1], 2); /* and swapped */
	ck_assert_uint_eq(get(&t, EV_TABLE_flow, 2, 0), 1111);
	trip_fini(&t);
}
END_TEST

/* Same address at both ends: the ports order the flow; equal ports too: it is not swapped. */
START_TEST(test_chunk__flow_with_equal_addresses)
{
	struct ev_flow f = {addr_a, addr_a, 80, 1111}, g = {addr_a, addr_a, 1111, 80};
	struct ev_flow self = {addr_a, addr_a, 5, 5};
	struct trip t;

	trip_init(&t, false);
	add_state(&t, &f, 1);
	add_state(&t, &g, 2);
	add_state(&t, &self, 3);
	trip_go(&t);
	ck_assert_uint_eq(tape_chunk_rows(t.chunk, EV_TABLE_flow), 2);
	ck_assert_uint_eq(get(&t, EV_TABLE_sock, 2, 0), 1);
	ck_assert_uint_eq(get(&t, EV_TABLE_sock, 2, 1), 2);
	ck_assert_uint_eq(get(&t, EV_TABLE_sock, 2, 2), 3);
	trip_fini(&t);
}
END_TEST

START_TEST(test_chunk__nothing_is_no_row)
{
	struct ev_flow none = {0};
	struct trip t;

	trip_init(&t, false);
	add_state(&t, &none, 0);
	add_state(&t, &none, 9);
	trip_go(&t);
	ck_assert_uint_eq(get(&t, EV_tcp_state, 0, 0), 0);
	ck_assert_uint_eq(get(&t, EV_tcp_state, 0, 1), 1);
	ck_assert_uint_eq(get(&t, EV_tcp_state, 1, 0), 0);
	ck_assert_uint_eq(get(&t, EV_TABLE_sock, 2, 0), 0);
	ck_assert_uint_eq(tape_chunk_rows(t.chunk, EV_TABLE_flow), 0);
	ck_assert_uint_eq(tape_chunk_rows(t.chunk, EV_TABLE_task), 0);
	trip_fini(&t);
}
END_TEST

/* Tables without a row have no columns, which columns predicted by their rows do not need. */
START_TEST(test_chunk__references_to_nothing)
{
	const struct tape_record *rec;

	for (size_t i = 0; (rec = sample_event(i)); i++) {
		union sample e;
		struct trip t;

		memset(&e, 0, sizeof(e));
		e.head.ts_ns = 1;
		e.head.type = (uint16_t)rec->id;
		e.head.size = (uint16_t)tape_record_size(rec);
		trip_init(&t, true);
		must(tape_build_add(t.build, &e.head, &err));
		trip_go(&t);
		for (unsigned f = 0; f < rec->n_fields; f++)
			if (rec->fields[f].type != TAPE_STR)
				ck_assert_uint_eq(get(&t, rec->id, f, 0), 0);
		trip_fini(&t);
	}
}
END_TEST

/* Without pointers, sockets that differ in the pointer alone are one row. */
START_TEST(test_chunk__pointers_only_when_asked)
{
	for (unsigned pointers = 0; pointers < 2; pointers++) {
		struct ev_tcp_state e = {
			.head = {.ts_ns = 1, .type = EV_tcp_state, .size = sizeof(e)},
			.sock = {.cookie = 5, .skaddr = 0xffff888012345678}};
		struct tape_column col;
		struct trip t;

		trip_init(&t, pointers);
		must(tape_build_add(t.build, &e.head, &err));
		e.sock.skaddr++;
		must(tape_build_add(t.build, &e.head, &err));
		trip_go(&t);
		ck_assert_uint_eq(tape_chunk_rows(t.chunk, EV_TABLE_sock), 1 + pointers);
		ck_assert_int_eq(tape_chunk_column(t.chunk, EV_TABLE_sock, 1, &col, &err),
				 pointers ? 0 : TAPE_E_ABSENT);
		if (pointers)
			ck_assert_uint_eq(get(&t, EV_TABLE_sock, 1, 1), e.sock.skaddr);
		trip_fini(&t);
	}
}
END_TEST

/* Unless they are wanted, an event may end before the pointers that stand at its end. */
START_TEST(test_chunk__records_without_pointers)
{
	const struct tape_record *rec = tape_schema_record(tape_schema_builtin(), EV_rx);
	const uint16_t sizes[] = {sizeof(struct ev_rx), offsetof(struct ev_rx, skb)};
	const unsigned skb = (unsigned)tape_record_field(rec, "skb"), n = rec->n_fields;

	ck_assert_uint_eq(tape_record_n_short(rec), n - 1);
	ck_assert_uint_eq(tape_record_short(rec), sizes[1]);
	for (unsigned i = 0; i < 4; i++) {
		bool pointers = i / 2;
		struct ev_rx e = {.head = {.ts_ns = 1, .type = EV_rx, .size = sizes[i % 2]},
				  .cloned = 1,
				  .skb = 0xffff888012345678};
		struct tape_column col;
		struct trip t;

		trip_init(&t, pointers);
		if (pointers && e.head.size != sizeof(e)) {
			ck_assert_int_eq(tape_build_add(t.build, &e.head, &err), TAPE_E_CORRUPT);
			trip_fini(&t);
			continue;
		}
		must(tape_build_add(t.build, &e.head, &err));
		must(tape_build_add(t.build, &e.head, &err));
		trip_go(&t);
		ck_assert_uint_eq(get(&t, EV_rx, skb - 1, 1), 1);
		ck_assert_int_eq(tape_chunk_column(t.chunk, EV_rx, skb, &col, &err),
				 pointers ? 0 : TAPE_E_ABSENT);
		if (pointers)
			ck_assert_uint_eq(get(&t, EV_rx, skb, 1), e.skb);
		trip_fini(&t);
	}
}
END_TEST

/* ---- strings ---- */

START_TEST(test_chunk__strings_of_all_lengths)
{
	static char longest[TAPE_MAX_STR + 100];
	static const size_t lens[] = {0, 1, 200, TAPE_MAX_STR, TAPE_MAX_STR + 100};
	struct tape_column col;
	struct trip t;

	memset(longest, 'x', sizeof(longest));
	trip_init(&t, false);
	for (unsigned i = 0; i < 5; i++) {
		struct ev_snap_cgroup e = {
			.head = {.ts_ns = 1, .type = EV_snap_cgroup, .size = sizeof(e)},
			.path = {i ? longest : NULL, lens[i]}};

		must(tape_build_add(t.build, &e.head, &err));
	}
	trip_go(&t);
	must(tape_chunk_column(t.chunk, EV_snap_cgroup, 1, &col, &err));
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(col.str_start[i + 1] - col.str_start[i],
				  lens[i] > TAPE_MAX_STR ? TAPE_MAX_STR : lens[i]);
	trip_fini(&t);
}
END_TEST

START_TEST(test_chunk__only_empty_strings)
{
	struct ev_snap_netns e = {.head = {.type = EV_snap_netns, .size = sizeof(e)}};
	struct tape_column col;
	struct trip t;

	trip_init(&t, false);
	must(tape_build_add(t.build, &e.head, &err));
	trip_go(&t);
	must(tape_chunk_column(t.chunk, EV_snap_netns, 2, &col, &err));
	ck_assert_uint_eq(col.str_start[1], 0);
	trip_fini(&t);
}
END_TEST

/* Strings count towards what closes a chunk: else paths could grow it above its ceiling. */
START_TEST(test_chunk__strings_count_as_bytes)
{
	static char path[4000];
	struct ev_snap_cgroup e = {.head = {.type = EV_snap_cgroup, .size = sizeof(e)},
				   .path = {path, sizeof(path)}};
	struct trip t;

	trip_init(&t, false);
	must(tape_build_add(t.build, &e.head, &err));
	ck_assert_uint_eq(tape_build_bytes(t.build), sizeof(e) + sizeof(path));
	trip_fini(&t);
}
END_TEST

/* ---- the rest ---- */

START_TEST(test_chunk__refused_records)
{
	struct ev_tcp_state e = {.head = {.type = EV_tcp_state, .size = sizeof(e) - 1}};
	struct trip t;

	trip_init(&t, false);
	ck_assert_int_eq(tape_build_add(t.build, &e.head, &err), TAPE_E_CORRUPT);
	e.head.type = 9999;
	ck_assert_int_eq(tape_build_add(t.build, &e.head, &err), TAPE_E_CORRUPT);
	ck_assert_str_eq(err.text,
			 "a record of type 9999 and 119 bytes is not one of this version");
	e.head.type = EV_TABLE_task;
	ck_assert_int_eq(tape_build_add(t.build, &e.head, &err), TAPE_E_CORRUPT);
	e.head.type = TAPE_COMMON;
	ck_assert_int_eq(tape_build_add(t.build, &e.head, &err), TAPE_E_CORRUPT);
	ck_assert_uint_eq(tape_build_count(t.build), 0);
	trip_fini(&t);
}
END_TEST

/* A chunk of nothing but constants is padded, so that it does not look like a bomb. */
START_TEST(test_chunk__constants_are_padded)
{
	struct ev_tcp_state e = {.head = {.type = EV_tcp_state, .size = sizeof(e)}};
	struct trip t;
	uint64_t last;

	trip_init(&t, false);
	for (uint32_t i = 0; i < TAPE_MAX_EVENTS / 4; i++)
		must(tape_build_add(t.build, &e.head, &err));
	trip_go(&t);
	ck_assert_uint_ge(t.payload_len, t.head.n_events / TAPE_MAX_EVENTS_PER_BYTE);
	last = get(&t, EV_tcp_state, 2, t.head.n_events - 1);
	ck_assert_uint_eq(last, 0);
	trip_fini(&t);
}
END_TEST

START_TEST(test_chunk__negative_values)
{
	struct ev_rtt e = {.head = {.type = EV_rtt, .size = sizeof(e)}, .rtt_us = -1};
	struct trip t;

	trip_init(&t, false);
	must(tape_build_add(t.build, &e.head, &err));
	trip_go(&t);
	ck_assert_int_eq((int64_t)get(&t, EV_rtt, 1, 0), -1);
	trip_fini(&t);
}
END_TEST

START_TEST(test_chunk__column_sizes)
{
	struct trip t;
	union sample e;

	for (unsigned n = 100; n <= 10000; n *= 100) {
		trip_init(&t, false);
		for (uint32_t i = 0; i < n; i++) {
			sample_fill(sample_event(0), i, i, &e);
			must(tape_build_add(t.build, &e.head, &err));
		}
		trip_go(&t);
		ck_assert(!tape_chunk_column_stored(t.chunk, 0, 0) == (n < 8192));
		ck_assert_uint_eq(tape_chunk_column_stored(t.chunk, 9999, 0), 0);
		ck_assert_uint_eq(tape_chunk_stored_len(t.chunk),
				  TAPE_BLOCK_HEAD_LEN + t.hdr_len + t.payload_len);
		ck_assert_uint_eq(tape_chunk_offset(t.chunk), 4096);
		trip_fini(&t);
	}
}
END_TEST

SUITE("chunk", test_chunk__every_event_alone, test_chunk__all_events_in_one_frame,
      test_chunk__all_events_in_a_frame_a_column, test_chunk__one_flow_from_both_ends,
      test_chunk__flow_with_equal_addresses, test_chunk__nothing_is_no_row,
      test_chunk__references_to_nothing, test_chunk__pointers_only_when_asked,
      test_chunk__records_without_pointers, test_chunk__strings_of_all_lengths,
      test_chunk__only_empty_strings, test_chunk__strings_count_as_bytes,
      test_chunk__refused_records, test_chunk__constants_are_padded, test_chunk__negative_values,
      test_chunk__column_sizes)

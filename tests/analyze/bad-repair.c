// SPDX-License-Identifier: GPL-2.0-or-later
/* repair, of traces damaged in every way: what check-repair.h asks for, and what it tells of each.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "../format/suite.h"
#include "block.h"
#include "check-repair.h"
#include "codec.h"
#include "cursor.h"
#include "forge.h"
#include "layout.h"

enum { N_EVENTS = 40, N_CHUNKS = 4, MAX_BLOCKS = 40 };

static const struct sample_opts opts = {.n_chunks = N_CHUNKS, .n_events = N_EVENTS};

struct block {
	size_t offset, len, used; /* used: without padding */
	unsigned type, hdr_len;
};

struct trace {
	struct bytes b;
	struct block blocks[MAX_BLOCKS];
	unsigned n;
};

static void find_blocks(struct trace *t)
{
	t->n = 0;
	for (size_t at = 0; at < t->b.len;) {
		struct tape_block_head h;

		ck_assert_uint_lt(t->n, MAX_BLOCKS);
		ck_assert(tape_block_unpack(t->b.p + at, &h));
		t->blocks[t->n++] = (struct block){
			at, (size_t)tape_block_len(&h),
			TAPE_BLOCK_HEAD_LEN + (size_t)h.hdr_len + h.payload_len, h.type, h.hdr_len};
		at += (size_t)tape_block_len(&h);
	}
}

static void sample(struct trace *t)
{
	memset(t, 0, sizeof(*t));
	sample_trace(&opts, &t->b);
	find_blocks(t);
}

/* The n-th block of that type. */
static struct block *nth(struct trace *t, unsigned type, unsigned n)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->blocks[i].type == type && !n--)
			return &t->blocks[i];
	ck_abort_msg("no block %u of type %u", n, type);
	return NULL;
}

/* Repair; every promise must hold. Returns false if it was refused. */
static bool repaired(const void *p, size_t len, struct bytes *ret, struct repair *r)
{
	bool refused;
	const char *why;

	memset(ret, 0, sizeof(*ret));
	why = check_repair(p, len, ret, r, &refused);
	if (why)
		ck_abort_msg("%s", why);
	return !refused;
}

/* The losses that the repaired trace tells for that reason: how many records, events; the last one.
 */
static unsigned losses(const struct bytes *b, unsigned reason, uint64_t *events,
		       struct tape_loss *last)
{
	struct tape_reader *r;
	struct tape_chunk *c;
	const struct tape_loss *l;
	unsigned found = 0;
	size_t n;

	*events = 0;
	ck_assert_int_eq(forge_open(b, &r, NULL), 0);
	while (tape_reader_next(r, &c, NULL) == 1)
		;
	l = tape_reader_losses(r, &n);
	for (size_t i = 0; i < n; i++)
		if (l[i].reason == reason) {
			*last = l[i];
			*events += l[i].count;
			found++;
		}
	tape_reader_close(r);
	return found;
}

static uint64_t field(const struct trace *t, const struct block *b, unsigned offset)
{
	return tape_le(t->b.p + b->offset + TAPE_BLOCK_HEAD_LEN + offset, 8);
}

/* ---- nothing is damaged ---- */

START_TEST(test_repair__good_trace)
{
	struct trace was, is;
	struct repair r;

	sample(&was);
	memset(&is, 0, sizeof(is));
	ck_assert(repaired(was.b.p, was.b.len, &is.b, &r));
	ck_assert_uint_eq(r.n_finds, 0);
	ck_assert_uint_eq(r.n_missing, 0);
	ck_assert_uint_eq(r.out.n_events, N_CHUNKS * N_EVENTS);
	find_blocks(&is);
	for (unsigned i = 0; i < N_CHUNKS; i++) { /* not one byte of a payload is another */
		const struct block *a = nth(&was, TAPE_BLOCK_CHUNK, i);
		const struct block *b = nth(&is, TAPE_BLOCK_CHUNK, i);
		size_t head = TAPE_BLOCK_HEAD_LEN + a->hdr_len;

		ck_assert_uint_eq(a->used, b->used);
		ck_assert(!memcmp(was.b.p + a->offset + head, is.b.p + b->offset + head,
				  a->used - head));
	}
	/* another id, so that leftovers of the old file are strangers to the new one */
	ck_assert(memcmp(was.b.p + 16, is.b.p + 16, 8));
	bytes_free(&was.b);
	bytes_free(&is.b);
}
END_TEST

/* ---- one block damaged ---- */

/* A byte of each block, in its header, type header, payload: the other chunks are all there. */
START_TEST(test_repair__each_block)
{
	struct trace t;

	sample(&t);
	for (unsigned i = 0; i < t.n; i++) {
		const struct block *b = &t.blocks[i];
		const size_t places[] = {
			0,	    5, 9, 12, 20, 30, 39, TAPE_BLOCK_HEAD_LEN, b->used / 2 + 20,
			b->used - 1};
		bool chunk = b->type == TAPE_BLOCK_CHUNK;

		for (unsigned k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
			size_t at = b->offset + (places[k] < b->used ? places[k] : b->used - 1);
			struct bytes out;
			struct repair r;

			t.b.p[at] ^= 0x55;
			if (!repaired(t.b.p, t.b.len, &out, &r)) {
				ck_assert_uint_eq(b->type, TAPE_BLOCK_SCHEMA);
			} else {
				ck_assert_uint_eq(r.n_chunks, N_CHUNKS - chunk);
				ck_assert_uint_eq(r.n_snapshots, b->type != TAPE_BLOCK_SNAPSHOT);
				ck_assert_uint_eq(r.n_missing, chunk ? N_EVENTS : 0);
				ck_assert_uint_ge(r.n_finds, 1);
			}
			bytes_free(&out);
			t.b.p[at] ^= 0x55;
		}
	}
	bytes_free(&t.b);
}
END_TEST

/* A chunk that is gone: how many events, and between which times, stands in the loss. */
START_TEST(test_repair__missing_chunk)
{
	struct trace t;

	sample(&t);
	for (unsigned i = 0; i < N_CHUNKS; i++) {
		const struct block *b = nth(&t, TAPE_BLOCK_CHUNK, i);
		struct bytes cut = {0}, out;
		struct tape_loss loss;
		struct repair r;
		uint64_t events;

		bytes_add(&cut, t.b.p, b->offset);
		bytes_add(&cut, t.b.p + b->offset + b->len, t.b.len - b->offset - b->len);
		ck_assert(repaired(cut.p, cut.len, &out, &r));
		ck_assert_uint_eq(r.n_missing, N_EVENTS);
		ck_assert_uint_eq(losses(&out, TAPE_LOSS_DAMAGED, &events, &loss), 1);
		ck_assert_uint_eq(events, N_EVENTS);
		ck_assert_uint_le(loss.from_ns, field(&t, b, 0));
		ck_assert_uint_ge(loss.to_ns, field(&t, b, 8));
		if (i)
			ck_assert_uint_eq(loss.from_ns,
					  field(&t, nth(&t, TAPE_BLOCK_CHUNK, i - 1), 16));
		bytes_free(&cut);
		bytes_free(&out);
	}
	bytes_free(&t.b);
}
END_TEST

/* A record of loss that is gone: the chunks' sums still tell how many. */
START_TEST(test_repair__missing_loss)
{
	struct trace t;
	struct block *b;
	struct bytes cut = {0}, out;
	struct tape_loss loss;
	struct repair r;
	uint64_t events, told;

	sample(&t);
	b = nth(&t, TAPE_BLOCK_LOSS, 0);
	told = tape_le(t.b.p + b->offset + TAPE_BLOCK_HEAD_LEN + 16, 8);
	ck_assert_uint_gt(told, 0);
	bytes_add(&cut, t.b.p, b->offset);
	bytes_add(&cut, t.b.p + b->offset + b->len, t.b.len - b->offset - b->len);
	ck_assert(repaired(cut.p, cut.len, &out, &r));
	ck_assert_uint_eq(losses(&out, TAPE_LOSS_UNTOLD, &events, &loss), 1);
	ck_assert_uint_eq(events, told);
	ck_assert_uint_eq(losses(&out, TAPE_LOSS_DAMAGED, &events, &loss), 0);
	bytes_free(&cut);
	bytes_free(&out);
	bytes_free(&t.b);
}
END_TEST

/* ---- cut, flipped ---- */

/* Cut at every 8th byte, and beside: all whole chunks are saved, the header of the cut one counts.
 */
START_TEST(test_repair__cut_anywhere)
{
	struct trace t;

	sample(&t);
	for (size_t at = 0; at < t.b.len; at += at % 16 ? 7 : 9) {
		unsigned whole = 0, missing = 0;
		struct bytes out;
		struct repair r;
		bool done;

		for (unsigned i = 0; i < t.n; i++) {
			const struct block *b = &t.blocks[i];

			if (b->type != TAPE_BLOCK_CHUNK)
				continue;
			whole += at >= b->offset + b->used;
			if (at < b->offset + b->used &&
			    at >= b->offset + TAPE_BLOCK_HEAD_LEN + b->hdr_len)
				missing = N_EVENTS;
		}
		done = repaired(t.b.p, at, &out, &r);
		ck_assert(done || !whole);
		if (done) {
			ck_assert_uint_eq(r.n_chunks, whole);
			ck_assert_uint_eq(r.n_missing, missing);
			ck_assert(!r.closed);
		}
		bytes_free(&out);
	}
	bytes_free(&t.b);
}
END_TEST

/* The chunks that no flip has hit, or nothing if the schema was hit. */
static unsigned untouched(const struct trace *t, const bool *hit)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++) {
		if (t->blocks[i].type == TAPE_BLOCK_SCHEMA && hit[i])
			return 0;
		n += t->blocks[i].type == TAPE_BLOCK_CHUNK && !hit[i];
	}
	return n;
}

START_TEST(test_repair__random_flips)
{
	unsigned n_saved = 0;
	uint64_t state = 20;
	struct trace t;

	sample(&t);
	for (unsigned i = 0; i < 1000; i++) {
		bool hit[MAX_BLOCKS] = {0};
		struct bytes b = {0}, out;
		unsigned want;
		struct repair r;

		bytes_add(&b, t.b.p, t.b.len);
		for (unsigned k = 0; k < 1 + i % 4; k++) {
			size_t at = sample_random(&state) % b.len;

			b.p[at] ^= (uint8_t)(1 << k);
			for (unsigned n = 0; n < t.n; n++)
				hit[n] |= at >= t.blocks[n].offset &&
					  at < t.blocks[n].offset + t.blocks[n].used;
		}
		want = untouched(&t, hit);
		if (repaired(b.p, b.len, &out, &r))
			ck_assert_uint_eq(r.n_chunks, want);
		else
			ck_assert_uint_eq(want, 0);
		n_saved += want;
		bytes_free(&b);
		bytes_free(&out);
	}
	ck_assert_uint_gt(n_saved, 500); /* something was tried */
	bytes_free(&t.b);
}
END_TEST

/* Damage, but with right checksums: contradictions of every kind. */
START_TEST(test_repair__forged_flips)
{
	struct bytes plain = {0};
	struct forge f = {0};
	uint64_t state = 21;

	sample_trace(&(struct sample_opts){.n_chunks = 2, .n_events = 8}, &plain);
	forge_unpack(&plain, &f);
	for (unsigned i = 0; i < 3000; i++) {
		struct bytes b = {0}, out;
		struct repair r;

		bytes_add(&b, f.out.p, f.out.len);
		for (unsigned k = 0; k < 1 + i % 3; k++)
			b.p[sample_random(&state) % b.len] = (uint8_t)sample_random(&state);
		forge_fix(b.p, b.len);
		repaired(b.p, b.len, &out, &r);
		bytes_free(&b);
		bytes_free(&out);
	}
	bytes_free(&plain);
	bytes_free(&f.out);
}
END_TEST

/* ---- the front ---- */

/* FILE is gone: the rest is as it was, the start that of the first thing that tells a time. */
START_TEST(test_repair__no_file)
{
	struct trace t;
	struct tape_reader *reader;
	struct bytes out;
	struct repair r;
	uint64_t start;

	sample(&t);
	start = field(&t, nth(&t, TAPE_BLOCK_CLOCK, 0), 0);
	memset(t.b.p, 0, t.blocks[0].len);
	ck_assert(repaired(t.b.p, t.b.len, &out, &r));
	ck_assert_uint_eq(r.n_chunks, N_CHUNKS);
	ck_assert_ptr_null(r.file_head);
	ck_assert_int_eq(forge_open(&out, &reader, NULL), 0);
	ck_assert_uint_eq(tape_reader_info(reader)->start_ns, start);
	tape_reader_close(reader);
	bytes_free(&out);
	/* without its first bytes altogether */
	ck_assert(repaired(t.b.p + t.blocks[1].offset, t.b.len - t.blocks[1].offset, &out, &r));
	ck_assert_uint_eq(r.n_chunks, N_CHUNKS);
	bytes_free(&out);
	bytes_free(&t.b);
}
END_TEST

/* The schema is gone, but was repeated behind the chunks. */
START_TEST(test_repair__later_schema)
{
	struct trace t;
	struct bytes b = {0}, out;
	struct repair r;
	size_t first, end;

	sample(&t);
	first = t.blocks[1].offset + t.blocks[1].len;
	end = nth(&t, TAPE_BLOCK_INDEX, 0)->offset;
	ck_assert_uint_eq(t.blocks[1].type, TAPE_BLOCK_SCHEMA);
	bytes_add(&b, t.b.p, t.blocks[1].offset);
	bytes_add(&b, t.b.p + first, end - first);
	bytes_add(&b, t.b.p + t.blocks[1].offset, t.blocks[1].len);
	ck_assert(repaired(b.p, b.len, &out, &r));
	ck_assert_uint_eq(r.n_chunks, N_CHUNKS);
	ck_assert_uint_eq(r.n_missing, 0);
	ck_assert(!r.closed);
	bytes_free(&out);
	bytes_free(&b);
	bytes_free(&t.b);
}
END_TEST

START_TEST(test_repair__nothing_left)
{
	struct bytes out;
	struct trace t;
	struct repair r;

	sample(&t);
	ck_assert(!repaired("", 0, &out, &r));
	ck_assert(!repaired("hello, this is no trace, and long enough for a header", 53, &out, &r));
	for (unsigned i = 0; i < t.n; i++)
		t.b.p[t.blocks[i].offset] ^= 1;
	ck_assert(!repaired(t.b.p, t.b.len, &out, &r));
	bytes_free(&t.b);
}
END_TEST

/* ---- strangers ---- */

START_TEST(test_repair__foreign_chunk)
{
	struct trace t, other;
	struct bytes b = {0}, out;
	const struct block *at, *foreign;
	struct repair r;

	sample(&t);
	sample(&other);
	other.b.p[16] ^= 1; /* another file id */
	forge_fix(other.b.p, other.b.len);
	at = nth(&t, TAPE_BLOCK_CHUNK, 1);
	foreign = nth(&other, TAPE_BLOCK_CHUNK, 2);
	bytes_add(&b, t.b.p, at->offset);
	bytes_add(&b, other.b.p + foreign->offset, foreign->len);
	bytes_add(&b, t.b.p + at->offset, t.b.len - at->offset);
	ck_assert(repaired(b.p, b.len, &out, &r));
	ck_assert_uint_eq(r.n_chunks, N_CHUNKS);
	ck_assert_uint_eq(r.n_missing, 0);
	ck_assert_uint_eq(r.n_finds, 1);
	bytes_free(&b);
	bytes_free(&out);
	bytes_free(&t.b);
	bytes_free(&other.b);
}
END_TEST

/* Moved chunks are used, as every reader does, and what is then earlier than promised is counted.
 */
START_TEST(test_repair__swapped_chunks)
{
	struct trace t;
	struct bytes b = {0}, out;
	const struct block *a, *c;
	struct repair r;

	sample(&t);
	a = nth(&t, TAPE_BLOCK_CHUNK, 1);
	c = nth(&t, TAPE_BLOCK_CHUNK, 2);
	bytes_add(&b, t.b.p, a->offset);
	bytes_add(&b, t.b.p + c->offset, c->len);
	bytes_add(&b, t.b.p + a->offset + a->len, c->offset - a->offset - a->len);
	bytes_add(&b, t.b.p + a->offset, a->len);
	bytes_add(&b, t.b.p + c->offset + c->len, t.b.len - c->offset - c->len);
	ck_assert(repaired(b.p, b.len, &out, &r));
	ck_assert_uint_eq(r.n_chunks, N_CHUNKS);
	bytes_free(&b);
	bytes_free(&out);
	bytes_free(&t.b);
}
END_TEST

/* ---- columns ---- */

/* A column that cannot be decoded is not there any more; the others of its chunk are. */
START_TEST(test_repair__damaged_column)
{
	static const uint8_t bad[] = {9, 9, 9};
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);
	struct tape_reader *reader;
	struct tape_chunk *chunk;
	struct tape_column col;
	struct bytes out;
	struct repair r;

	forge_front(&f, NULL);
	forge_put_chunk(&f, &c);
	c.columns[3].layout = TAPE_L_VARINT;
	c.columns[3].body = bad;
	c.columns[3].len = sizeof(bad);
	c.columns[3].extra = 200;
	forge_put_chunk(&f, &c);
	ck_assert(repaired(f.out.p, f.out.len, &out, &r));
	ck_assert_uint_eq(r.n_columns, 1);
	ck_assert_uint_eq(r.n_chunks, 2);
	ck_assert_int_eq(forge_open(&out, &reader, NULL), 0);
	ck_assert_int_eq(tape_reader_next(reader, &chunk, NULL), 1);
	ck_assert_int_eq(tape_chunk_column(chunk, EV_tcp_state, 2, &col, NULL), 0);
	ck_assert_int_eq(tape_reader_next(reader, &chunk, NULL), 1);
	ck_assert_int_eq(tape_chunk_column(chunk, EV_tcp_state, 2, &col, NULL), TAPE_E_ABSENT);
	ck_assert(tape_chunk_has(chunk, EV_tcp_state, TAPE_FIELD_DAMAGED - 2));
	ck_assert_int_eq(tape_chunk_column(chunk, TAPE_COMMON, TAPE_COMMON_CPU, &col, NULL), 0);
	tape_reader_close(reader);
	bytes_free(&out);
	bytes_free(&f.out);
}
END_TEST

/* Without times, or types, its events are nothing. */
START_TEST(test_repair__damaged_times)
{
	for (unsigned i = 0; i < 2; i++) {
		struct forge f = {.file_id = 1};
		struct forge_chunk c = forge_chunk(4);
		struct bytes out;
		struct repair r;

		forge_front(&f, NULL);
		c.columns[i].len = 1;
		forge_put_chunk(&f, &c);
		ck_assert(repaired(f.out.p, f.out.len, &out, &r));
		ck_assert_uint_eq(r.n_chunks, 0);
		ck_assert_uint_eq(r.n_missing, 4);
		bytes_free(&out);
		bytes_free(&f.out);
	}
}
END_TEST

/* ---- ceilings, and what cannot be ---- */

START_TEST(test_repair__full_of_metadata)
{
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);
	struct bytes text = {0}, out;
	struct repair r;

	forge_front(&f, NULL);
	for (unsigned i = 0; i < TAPE_MAX_META / 64; i++)
		bytes_add(&text, "k\tv\n", 4);
	for (unsigned i = 0; i < 64; i++)
		forge_block(&f, TAPE_BLOCK_META, TAPE_BLOCK_ANCILLARY, NULL, 0, text.p, text.len);
	forge_put_chunk(&f, &c);
	ck_assert(repaired(f.out.p, f.out.len, &out, &r));
	ck_assert_uint_eq(r.n_chunks, 1);
	ck_assert_uint_ge(r.n_finds, 1);
	bytes_free(&out);
	bytes_free(&text);
	bytes_free(&f.out);
}
END_TEST

START_TEST(test_repair__impossible_numbers)
{
	uint8_t loss[TAPE_LOSS_LEN] = {0}, clock[TAPE_CLOCK_HEAD_LEN] = {0};
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);
	struct bytes out;
	struct repair r;
	size_t at;

	forge_front(&f, NULL);
	clock[7] = 1;
	forge_block(&f, TAPE_BLOCK_CLOCK, 1, clock, sizeof(clock), NULL, 0);
	clock[7] = 0; /* before that */
	forge_block(&f, TAPE_BLOCK_CLOCK, 1, clock, sizeof(clock), NULL, 0);
	memset(loss + 16, 0xff, 8); /* all that a sum can hold, twice */
	forge_block(&f, TAPE_BLOCK_LOSS, 1, NULL, 0, loss, sizeof(loss));
	forge_block(&f, TAPE_BLOCK_LOSS, 1, NULL, 0, loss, sizeof(loss));
	loss[0] = 1; /* ends before it begins */
	memset(loss + 16, 0, 8);
	forge_block(&f, TAPE_BLOCK_LOSS, 1, NULL, 0, loss, sizeof(loss));
	at = forge_put_chunk(&f, &c);
	memset(f.out.p + at + TAPE_BLOCK_HEAD_LEN + 24, 0xff, 16); /* first_event, lost */
	forge_fix(f.out.p, f.out.len);
	ck_assert(repaired(f.out.p, f.out.len, &out, &r));
	ck_assert_uint_eq(r.n_chunks, 1);
	ck_assert_uint_eq(r.n_finds, 3);
	bytes_free(&out);
	bytes_free(&f.out);
}
END_TEST

SUITE("repair", test_repair__good_trace, test_repair__each_block, test_repair__missing_chunk,
      test_repair__missing_loss, test_repair__cut_anywhere, test_repair__random_flips,
      test_repair__forged_flips, test_repair__no_file, test_repair__later_schema,
      test_repair__nothing_left, test_repair__foreign_chunk, test_repair__swapped_chunks,
      test_repair__damaged_column, test_repair__damaged_times, test_repair__full_of_metadata,
      test_repair__impossible_numbers)

// SPDX-License-Identifier: GPL-2.0-or-later
/* A small trace, cut at every byte, flipped at every byte, with blocks missing, moved and pasted.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block.h"
#include "dump.h"
#include "forge.h"
#include "layout.h"
#include "sample.h"
#include "suite.h"

static struct tape_error err;

static const struct sample_opts small = {.n_chunks = 3, .n_events = 4};

#define MAX_BLOCKS 32

struct block {
	size_t offset, len, used; /* used: without padding */
	unsigned type;
};

/* The sample, its blocks, and all that it says. */
struct whole {
	struct bytes b;
	struct block blocks[MAX_BLOCKS];
	unsigned n_blocks;
	char *text;
};

static char *dump(const struct bytes *b, int *rc, bool *reported)
{
	struct tape_reader *r;
	struct tape_end end;
	size_t n_damage;
	char *text;

	*rc = forge_open(b, &r, &err);
	*reported = true;
	if (*rc)
		return NULL;
	text = dump_reader(r, rc);
	tape_reader_damage(r, &n_damage);
	tape_reader_end(r, &end);
	*reported = *rc || n_damage || end.truncated || !end.closed;
	tape_reader_close(r);
	return text;
}

static void whole_init(struct whole *w)
{
	bool reported;
	int rc;

	memset(w, 0, sizeof(*w));
	sample_trace(&small, &w->b);
	for (size_t at = 0; at < w->b.len; w->n_blocks++) {
		struct block *bl = &w->blocks[w->n_blocks];
		struct tape_block_head h;

		ck_assert_uint_lt(w->n_blocks, MAX_BLOCKS);
		ck_assert(tape_block_unpack(w->b.p + at, &h));
		*bl = (struct block){at, (size_t)tape_block_len(&h),
				     TAPE_BLOCK_HEAD_LEN + h.hdr_len + h.payload_len, h.type};
		at += bl->len;
	}
	w->text = dump(&w->b, &rc, &reported);
	ck_assert(w->text && !rc && !reported);
}

static void whole_fini(struct whole *w)
{
	bytes_free(&w->b);
	free(w->text);
}

static bool is_chunk(const struct block *b)
{
	return b->type == TAPE_BLOCK_CHUNK || b->type == TAPE_BLOCK_SNAPSHOT;
}

/* Every line but the last (how it ended) must be one of the whole trace's. */
static void only_true_lines(const struct whole *w, char *text, size_t where)
{
	for (char *line = text, *end; (end = strchr(line, '\n')) && end[1]; line = end + 1) {
		char c = end[1];

		end[1] = '\0';
		if (!strstr(w->text, line))
			ck_abort_msg("byte %zu changed gives this line: %s", where, line);
		end[1] = c;
	}
}

/* ---- cut ---- */

struct seen {
	unsigned n_chunks;
	bool truncated, closed;
	size_t n_damage;
};

static int read_chunks(struct tape_reader *r, bool header_only, struct seen *ret)
{
	struct tape_chunk *c;
	struct tape_end end;
	int rc;

	memset(ret, 0, sizeof(*ret));
	while ((rc = header_only ? tape_reader_next_header(r, &c, &err)
				 : tape_reader_next(r, &c, &err)) == 1)
		ret->n_chunks++;
	tape_reader_end(r, &end);
	ret->truncated = end.truncated;
	ret->closed = end.closed;
	tape_reader_damage(r, &ret->n_damage);
	return rc;
}

/* What must come of the first `len` bytes. schema: it is whole, so the trace can be opened. */
static void expected(const struct whole *w, size_t len, struct seen *ret, bool *schema)
{
	memset(ret, 0, sizeof(*ret));
	ret->truncated = true;
	*schema = false;
	for (unsigned i = 0; i < w->n_blocks; i++) {
		const struct block *b = &w->blocks[i];

		ret->n_chunks += is_chunk(b) && b->offset + b->used <= len;
		*schema |= b->type == TAPE_BLOCK_SCHEMA && b->offset + b->used <= len;
		ret->closed |= b->type == TAPE_BLOCK_END && b->offset + b->used <= len;
		if (b->offset + b->len == len)
			ret->truncated = false;
	}
}

static void check_cut(const struct whole *w, size_t len)
{
	struct bytes cut = {.p = w->b.p, .len = len};
	struct seen want, got;
	struct tape_reader *r;
	bool schema;
	int rc = forge_open(&cut, &r, &err);

	expected(w, len, &want, &schema);
	if (!schema) {
		ck_assert(rc == TAPE_E_NOT_TAPE || rc == TAPE_E_TRUNCATED);
		return;
	}
	ck_assert_int_eq(rc, 0);
	for (unsigned header_only = 0; header_only < 2; header_only++) {
		ck_assert_int_eq(read_chunks(r, header_only, &got), 0);
		if (memcmp(&got, &want, sizeof(got)))
			ck_abort_msg("cut at %zu: %u chunks of %u, truncated %d of %d, closed %d "
				     "of %d, %zu damages",
				     len, got.n_chunks, want.n_chunks, got.truncated,
				     want.truncated, got.closed, want.closed, got.n_damage);
		ck_assert_int_eq(tape_reader_next_header(r, &(struct tape_chunk *){NULL}, &err), 0);
		tape_reader_end(r, &(struct tape_end){0});
		ck_assert_int_eq(tape_reader_rewind(r, &err), 0);
		tape_reader_window(r, 0, UINT64_MAX); /* looks for an index that is not there */
	}
	tape_reader_close(r);
}

START_TEST(test_cut__file_at_every_byte)
{
	struct whole w;

	whole_init(&w);
	for (size_t len = 0; len < w.b.len; len++)
		check_cut(&w, len);
	whole_fini(&w);
}
END_TEST

/* The first len bytes as standard input; a pipe holds so much that no second process is needed. */
static int open_pipe(const struct bytes *b, size_t len, struct tape_reader **ret)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_ge(fcntl(fds[1], F_SETPIPE_SZ, (int)b->len + 1), 0);
	ck_assert_int_eq(write(fds[1], b->p, len), (ssize_t)len);
	ck_assert_int_eq(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	close(fds[0]);
	close(fds[1]);
	return tape_reader_open(ret, "-", &err);
}

START_TEST(test_cut__pipe_at_every_byte)
{
	struct whole w;

	whole_init(&w);
	for (size_t len = 0; len < w.b.len; len++) {
		struct seen want, got;
		struct tape_reader *r;
		bool schema;
		int rc = open_pipe(&w.b, len, &r);

		expected(&w, len, &want, &schema);
		ck_assert(schema ? !rc : rc == TAPE_E_NOT_TAPE || rc == TAPE_E_TRUNCATED);
		if (!rc) {
			if (len % 2) /* a chunk that is passed over may be cut too */
				tape_reader_window(r, UINT64_MAX, UINT64_MAX);
			ck_assert_int_eq(read_chunks(r, false, &got), 0);
			ck_assert(got.truncated == want.truncated && got.closed == want.closed);
			ck_assert(len % 2 || got.n_chunks == want.n_chunks);
			ck_assert_uint_eq(got.n_damage, 0);
			tape_reader_close(r);
		}
	}
	whole_fini(&w);
}
END_TEST

/* ---- flipped ---- */

static bool in_padding(const struct whole *w, size_t at)
{
	for (unsigned i = 0; i < w->n_blocks; i++)
		if (at >= w->blocks[i].offset + w->blocks[i].used &&
		    at < w->blocks[i].offset + w->blocks[i].len)
			return true;
	return false;
}

static void check_flip(struct whole *w, size_t at, uint8_t mask)
{
	bool reported;
	char *text;
	int rc;

	w->b.p[at] ^= mask;
	text = dump(&w->b, &rc, &reported);
	w->b.p[at] ^= mask;
	if (!reported && !in_padding(w, at))
		ck_abort_msg("byte %zu ^ %02x: nothing was reported", at, mask);
	if (!reported)
		ck_assert_str_eq(text, w->text);
	if (text)
		only_true_lines(w, text, at);
	free(text);
}

START_TEST(test_cut__every_byte_flipped)
{
	struct whole w;

	whole_init(&w);
	for (size_t at = 0; at < w.b.len; at++) /* one bit, or all */
		check_flip(&w, at, at % 3 ? (uint8_t)(1 << at % 8) : 0xff);
	whole_fini(&w);
}
END_TEST

/* Only the block that was hit is lost: all others are read. */
START_TEST(test_cut__damage_stays_local)
{
	struct whole w;

	whole_init(&w);
	for (unsigned i = 0; i < w.n_blocks; i++) {
		const struct block *b = &w.blocks[i];
		unsigned n = 0;
		struct seen got;
		struct tape_reader *r;

		for (unsigned k = 0; k < w.n_blocks; k++)
			n += is_chunk(&w.blocks[k]) && k != i;
		if (b->type == TAPE_BLOCK_FILE || b->type == TAPE_BLOCK_SCHEMA)
			continue;
		for (size_t at = b->offset; at < b->offset + b->used; at++) {
			w.b.p[at] ^= 0x81;
			ck_assert_int_eq(forge_open(&w.b, &r, &err), 0);
			ck_assert_int_eq(read_chunks(r, false, &got), 0);
			if (got.n_chunks != n)
				ck_abort_msg("byte %zu (block %u): %u chunks of %u", at, i,
					     got.n_chunks, n);
			tape_reader_close(r);
			w.b.p[at] ^= 0x81;
		}
	}
	whole_fini(&w);
}
END_TEST

/* ---- missing, moved, pasted ---- */

static void has_damage(const struct tape_reader *r, const char *text, uint64_t offset)
{
	size_t n;
	const struct tape_damage *d = tape_reader_damage(r, &n);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(d[i].text, text) && d[i].offset == offset)
			return;
	ck_abort_msg("no damage \"%s\" at %llu, but %zu others, first: %s at %llu", text,
		     (unsigned long long)offset, n, n ? d->text : "",
		     n ? (unsigned long long)d->offset : 0);
}

/* The blocks of w in that order (indices, -1 the end), into *ret. */
static void compose(const struct whole *w, const int *order, struct bytes *ret)
{
	for (; *order >= 0; order++)
		bytes_add(ret, w->b.p + w->blocks[*order].offset, w->blocks[*order].len);
}

static unsigned nth_chunk(const struct whole *w, unsigned n)
{
	for (unsigned i = 0; i < w->n_blocks; i++)
		if (is_chunk(&w->blocks[i]) && !n--)
			return i;
	ck_abort_msg("no such chunk");
	return 0;
}

static struct tape_reader *reopen(const struct bytes *b, struct seen *got)
{
	struct tape_reader *r;

	if (forge_open(b, &r, &err))
		ck_abort_msg("%s", err.text);
	ck_assert_int_eq(read_chunks(r, false, got), 0);
	return r;
}

START_TEST(test_cut__missing_block)
{
	struct whole w;

	whole_init(&w);
	for (unsigned gone = 2; gone + 1 < w.n_blocks; gone++) {
		struct bytes b = {0};
		int order[MAX_BLOCKS];
		unsigned n = 0;
		struct tape_reader *r;
		struct seen got;
		char text[64];

		for (unsigned i = 0; i < w.n_blocks; i++)
			if (i != gone)
				order[n++] = (int)i;
		order[n] = -1;
		compose(&w, order, &b);
		r = reopen(&b, &got);
		ck_assert_uint_eq(got.n_chunks, 4u - is_chunk(&w.blocks[gone]));
		ck_assert(got.closed);
		snprintf(text, sizeof(text), "blocks are missing: number %u follows %u", gone + 1,
			 gone - 1);
		has_damage(r, text, w.blocks[gone].offset);
		tape_reader_close(r);
		bytes_free(&b);
	}
	whole_fini(&w);
}
END_TEST

START_TEST(test_cut__swapped_blocks)
{
	struct bytes b = {0};
	struct tape_reader *r;
	int order[MAX_BLOCKS];
	struct whole w;
	struct seen got;
	unsigned i, k;

	whole_init(&w);
	i = nth_chunk(&w, 1);
	k = nth_chunk(&w, 2);
	for (unsigned n = 0; n < w.n_blocks; n++)
		order[n] = (int)(n == i ? k : n == k ? i : n);
	order[w.n_blocks] = -1;
	compose(&w, order, &b);
	r = reopen(&b, &got);
	ck_assert_uint_eq(got.n_chunks, 4);
	ck_assert_uint_ge(got.n_damage, 2);
	tape_reader_close(r);
	bytes_free(&b);
	whole_fini(&w);
}
END_TEST

/* Insert bytes before the second chunk and read the rest. */
static struct tape_reader *insert(const struct whole *w, const void *p, size_t len,
				  struct bytes *ret, struct seen *got)
{
	size_t at = w->blocks[nth_chunk(w, 1)].offset;

	bytes_add(ret, w->b.p, at);
	bytes_add(ret, p, len);
	bytes_add(ret, w->b.p + at, w->b.len - at);
	return reopen(ret, got);
}

START_TEST(test_cut__foreign_block)
{
	struct forge f = {.file_id = SAMPLE_FILE_ID + 1, .seq = 5};
	struct forge_chunk c = forge_chunk(4);
	struct bytes b = {0};
	struct tape_reader *r;
	struct whole w;
	struct seen got;

	whole_init(&w);
	forge_put_chunk(&f, &c);
	r = insert(&w, f.out.p, f.out.len, &b, &got);
	ck_assert_uint_eq(got.n_chunks, 4);
	has_damage(r, "damaged data was skipped", w.blocks[nth_chunk(&w, 1)].offset);
	tape_reader_close(r);
	bytes_free(&b);
	bytes_free(&f.out);
	whole_fini(&w);
}
END_TEST

START_TEST(test_cut__garbage_between_blocks)
{
	static const size_t lens[] = {8, 16, 4096, 65536 - 8, 65536, 65536 + 8, 200000};
	struct whole w;

	whole_init(&w);
	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (unsigned magic = 0; magic < 2; magic++) {
			uint8_t *junk = malloc(lens[i]);
			struct bytes b = {0};
			uint64_t state = i;
			struct tape_reader *r;
			struct seen got;

			ck_assert_ptr_nonnull(junk);
			for (size_t k = 0; k < lens[i]; k++) /* with magics, or without */
				junk[k] = magic ? (uint8_t) "TTB1\x05\0\xff\x0f"[k % 8]
						: (uint8_t)sample_random(&state);
			r = insert(&w, junk, lens[i], &b, &got);
			ck_assert_uint_eq(got.n_chunks, 4);
			has_damage(r, "damaged data was skipped",
				   w.blocks[nth_chunk(&w, 1)].offset);
			ck_assert(got.closed);
			tape_reader_close(r);
			bytes_free(&b);
			free(junk);
		}
	whole_fini(&w);
}
END_TEST

/* Blocks are found on 8-byte alignment only: the rest of this file is lost, and that is said. */
START_TEST(test_cut__shifted_blocks)
{
	struct bytes b = {0};
	struct tape_reader *r;
	struct whole w;
	struct seen got;

	whole_init(&w);
	r = insert(&w, "abc", 3, &b, &got);
	ck_assert_uint_eq(got.n_chunks, 1);
	has_damage(r, "damaged data up to the end", w.blocks[nth_chunk(&w, 1)].offset);
	tape_reader_close(r);
	bytes_free(&b);
	whole_fini(&w);
}
END_TEST

START_TEST(test_cut__data_after_the_end)
{
	struct tape_reader *r;
	struct whole w;
	struct seen got;
	size_t len;

	whole_init(&w);
	len = w.b.len;
	bytes_add(&w.b, "more", 4);
	r = reopen(&w.b, &got);
	ck_assert_uint_eq(got.n_chunks, 4);
	has_damage(r, "data after the end of the trace", len);
	tape_reader_close(r);
	whole_fini(&w);
}
END_TEST

START_TEST(test_cut__two_traces_in_one_file)
{
	struct bytes b = {0};
	struct whole w;
	struct tape_reader *r;
	struct seen got;

	whole_init(&w);
	bytes_add(&b, w.b.p, w.b.len);
	bytes_add(&b, w.b.p, w.b.len);
	r = reopen(&b, &got);
	ck_assert_uint_eq(got.n_chunks, 4);
	has_damage(r, "data after the end of the trace", w.b.len);
	tape_reader_window(r, 0, UINT64_MAX); /* the tail is the second trace's */
	tape_reader_close(r);
	bytes_free(&b);
	whole_fini(&w);
}
END_TEST

SUITE("cut", test_cut__file_at_every_byte, test_cut__pipe_at_every_byte,
      test_cut__every_byte_flipped, test_cut__damage_stays_local, test_cut__missing_block,
      test_cut__swapped_blocks, test_cut__foreign_block, test_cut__garbage_between_blocks,
      test_cut__shifted_blocks, test_cut__data_after_the_end, test_cut__two_traces_in_one_file)

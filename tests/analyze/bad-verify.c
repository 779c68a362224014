// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every fault that verify tells of what has right checksums: a good file, forged so that one thing
 * is wrong, and the words for it. What has wrong ones is in verify.sh.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "../format/suite.h"
#include "check-repair.h"
#include "codec.h"
#include "cursor.h"
#include "forge.h"
#include "layout.h"

#define ANCILLARY TAPE_BLOCK_ANCILLARY

/* Two chunks at 100 and 200 with a loss between, index, end: and where each stands. */
struct good {
	struct forge f;
	size_t clock, chunk[2], loss, index, end;
	struct forge_entry e[2];
};

static void put_u64(struct forge *f, size_t at, uint64_t v)
{
	struct tape_out o = tape_out(f->out.p + at, 8);

	tape_out_le(&o, v, 8);
}

static uint64_t head_at(const struct good *g, size_t block, unsigned offset)
{
	return block + TAPE_BLOCK_HEAD_LEN + offset;
}

static void put_chunk(struct good *g, unsigned i, uint64_t ts)
{
	struct forge_chunk c = forge_chunk(4);

	c.columns[0].body = &ts;
	c.ts_min = c.ts_max = ts;
	g->chunk[i] = forge_put_chunk(&g->f, &c);
	put_u64(&g->f, head_at(g, g->chunk[i], 24), 4 * i);
	put_u64(&g->f, head_at(g, g->chunk[i], 32), 7 * i);
	g->e[i] = (struct forge_entry){.offset = g->chunk[i],
				       .len = g->f.out.len - g->chunk[i],
				       .ts_min = ts,
				       .ts_max = ts,
				       .type = TAPE_BLOCK_CHUNK,
				       .record = EV_tcp_state,
				       .rows = 4};
}

static void put_end(struct good *g)
{
	g->end = forge_end(&g->f, g->index);
	put_u64(&g->f, head_at(g, g->end, 8), 8);
	put_u64(&g->f, head_at(g, g->end, 16), 7);
	put_u64(&g->f, head_at(g, g->end, 24), 300);
	forge_fix(g->f.out.p, g->f.out.len);
}

static void front(struct good *g)
{
	uint8_t loss[TAPE_LOSS_LEN] = {[8] = 1, [16] = 7};

	*g = (struct good){.f = {.file_id = 1}};
	forge_front(&g->f, NULL);
	put_chunk(g, 0, 100);
	g->loss = forge_block(&g->f, TAPE_BLOCK_LOSS, ANCILLARY, NULL, 0, loss, sizeof(loss));
	put_chunk(g, 1, 200);
}

static void good(struct good *g)
{
	front(g);
	g->index = forge_index(&g->f, g->e, 2);
	put_end(g);
}

/* It says that, and nothing else (n faults). Frees the file. */
static void says(struct good *g, const char *what, unsigned n)
{
	char sum[32];
	const char *said;

	forge_fix(g->f.out.p, g->f.out.len);
	said = check_verify(&g->f.out);
	snprintf(sum, sizeof(sum), ": %u fault", n);
	if (!said || !strstr(said, what) || !strstr(said, sum))
		ck_abort_msg("not \"%s\", %u, but: %s", what, n, said ? said : "good");
	bytes_free(&g->f.out);
}

START_TEST(test_verify__nothing)
{
	struct good g;
	const char *said;

	good(&g);
	said = check_verify(&g.f.out);
	if (said)
		ck_abort_msg("%s", said);
	bytes_free(&g.f.out);
}
END_TEST

/* One number of a block's type header set to another, and how many faults that gives. */
START_TEST(test_verify__numbers)
{
	enum { FIRST, SECOND, LOSS, END };
	static const struct {
		unsigned block, at;
		uint64_t value;
		const char *what;
		unsigned n;
	} rows[] = {
		{SECOND, 0, 199, "its times are not those of its header", 2},
		{FIRST, 16, 150, "another floor", 1},
		{FIRST, 16, 250, "4 events are earlier than was promised, its header says 0", 3},
		{SECOND, 16, 50, "the promised order is taken back", 2},
		{SECOND, 24, 5, "4 events are before it, not 5", 2},
		{SECOND, 32, 6, "the sum of lost events falls", 2},
		{SECOND, 32, 9, "9 events were lost before it, the records tell of 7", 2},
		{END, 0, 8, "the end names an index at byte 8, there is one at", 1},
		{END, 8, 9, "the end speaks of 9 events, there are 8", 1},
		{END, 16, 6, "the end speaks of 6 lost events, the trace of 7", 1},
		{END, 16, 8, "the end speaks of 8 lost events, the trace of 7", 1},
		{END, 24, 199, "the end is earlier than the last event", 1},
		{END, TAPE_END_HEAD_LEN, 8, "the last 16 bytes do not lead to the end block", 1},
		{LOSS, 0, 1000, "a loss ends before it begins", 1},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct good g;
		const size_t *blocks[] = {&g.chunk[0], &g.chunk[1], &g.loss, &g.end};

		good(&g);
		put_u64(&g.f, head_at(&g, *blocks[rows[i].block], rows[i].at), rows[i].value);
		says(&g, rows[i].what, rows[i].n);
	}
}
END_TEST

/* An index that says something else of the second chunk, or of no chunk. */
START_TEST(test_verify__index)
{
	static const char *const whats[] = {"another times",	       "another length, or type",
					    "another length, or type", "leaves out the chunk",
					    "where no chunk is",       "contradicts itself"};

	for (unsigned i = 0; i < 6; i++) {
		struct forge_entry e[3];
		struct good g;
		unsigned n = 2;

		front(&g);
		memcpy(e, g.e, sizeof(g.e));
		e[2] = (struct forge_entry){.offset = g.f.out.len - 80, .len = 40, .type = 5};
		switch (i) {
		case 0: e[1].ts_max = 201; break;
		case 1: e[1].len -= 8; break;
		case 2: e[1].type = TAPE_BLOCK_SNAPSHOT; break;
		case 3: n = 1; break;
		case 4:
			n = 3;
			e[1].len -= 80;
			break;
		case 5: e[1].offset = e[0].offset; break;
		}
		g.index = forge_index(&g.f, e, n);
		put_end(&g);
		says(&g, whats[i], i == 4 ? 2 : 1);
	}
}
END_TEST

START_TEST(test_verify__counts_of_the_index)
{
	struct good g;

	front(&g);
	g.e[0].rows = 5;
	g.e[1].record = 0;
	g.index = forge_index(&g.f, g.e, 2);
	put_end(&g);
	says(&g, "another counts", 2);
}
END_TEST

/* Blocks where they may not be, marked as they may not be. */
START_TEST(test_verify__places)
{
	static const uint8_t clock[TAPE_CLOCK_HEAD_LEN] = {1}, earlier[TAPE_CLOCK_HEAD_LEN];
	struct good g;

	good(&g);
	g.f.out.p[g.loss + 5] = 0;
	says(&g, "is not marked as one that can be left out", 1);
	good(&g);
	g.f.out.p[g.chunk[0] + 5] = ANCILLARY;
	says(&g, "is marked as one that can be left out", 1);
	front(&g);
	forge_file(&g.f, TAPE_VERSION_MAJOR, 0);
	put_end(&g);
	says(&g, "a second FILE block", 1);
	front(&g);
	forge_block(&g.f, TAPE_BLOCK_SCHEMA, 0, NULL, 0, "tape-schema\t1\n", 14);
	put_end(&g);
	says(&g, "is not that of the start", 1);
	front(&g);
	g.index = forge_index(&g.f, g.e, 2);
	forge_block(&g.f, TAPE_BLOCK_CLOCK, ANCILLARY, clock, sizeof(clock), NULL, 0);
	put_end(&g);
	says(&g, "stands behind the index", 1);
	front(&g);
	forge_block(&g.f, TAPE_BLOCK_CLOCK, ANCILLARY, clock, sizeof(clock), NULL, 0);
	forge_block(&g.f, TAPE_BLOCK_CLOCK, ANCILLARY, earlier, sizeof(earlier), NULL, 0);
	put_end(&g);
	says(&g, "a reading of the clocks is earlier than the one before", 1);
	front(&g);
	forge_block(&g.f, TAPE_BLOCK_END, ANCILLARY, NULL, 0, NULL, 0);
	says(&g, "the END block is too short", 1);
}
END_TEST

START_TEST(test_verify__losses_without_end)
{
	uint8_t loss[TAPE_LOSS_LEN] = {0};
	struct good g;

	front(&g);
	memset(loss + 16, 0xff, 8);
	forge_block(&g.f, TAPE_BLOCK_LOSS, ANCILLARY, NULL, 0, loss, sizeof(loss));
	says(&g, "the sum of lost events has no 64 bits", 1);
}
END_TEST

START_TEST(test_verify__no_front)
{
	struct forge_chunk c = forge_chunk(4);
	struct good g = {.f = {.file_id = 1}};

	forge_put_chunk(&g.f, &c);
	says(&g, "the FILE block is missing, or damaged", 3);
	forge_file(&g.f, TAPE_VERSION_MAJOR, 0);
	forge_put_chunk(&g.f, &c);
	says(&g, "a chunk before the schema", 2);
	g.f = (struct forge){.file_id = 1};
	forge_file(&g.f, TAPE_VERSION_MAJOR, 0);
	says(&g, "no schema can be read", 1);
}
END_TEST

/* Columns are decoded, all of them; without times or types there are no events. */
START_TEST(test_verify__columns)
{
	static const char *const whats[] = {"its events have no times", "its events have no types",
					    "cpu of record 0", "old_state of record 16"};

	for (unsigned i = 0; i < 4; i++) {
		struct good g = {.f = {.file_id = 1}};
		struct forge_chunk c = forge_chunk(4);

		forge_front(&g.f, NULL);
		c.columns[i].layout = TAPE_L_VARINT;
		c.columns[i].body = "\1\1\1";
		c.columns[i].len = 3;
		forge_put_chunk(&g.f, &c);
		says(&g, whats[i], i < 2 ? 2 : 1);
	}
}
END_TEST

SUITE("verify", test_verify__nothing, test_verify__numbers, test_verify__index,
      test_verify__counts_of_the_index, test_verify__places, test_verify__losses_without_end,
      test_verify__no_front, test_verify__columns)

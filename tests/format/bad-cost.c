// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files made to cost their reader as much as they can. Each is read and decoded wholly; the time of
 * the processor must stay in proportion to the file's bytes, and memory below the ceiling under
 * which the suite runs this program. `bad-cost DIRECTORY` prints a table
 * instead, and keeps the files there.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include "codec.h"
#include "cursor.h"
#include "forge.h"
#include "layout.h"
#include "reader.h"
#include "sample.h"
#include "suite.h"

enum { FIXED_MS = 200, NS_PER_BYTE = 3000 }; /* what a file may cost; sanitizers take some */

static const char schema_head[] =
	"tape-schema\t1\nrecord\t0\tevent\t-\tm\nfield\tu64\tts_ns\tdelta\tns\tm\n"
	"field\tu16\ttype\tplain\trecord\tm\nfield\tu32\tcpu\tplain\tcpu\tm\n";

static uint64_t sum;

static void decode(struct tape_reader *r, struct tape_chunk *c)
{
	const struct tape_schema *s = tape_reader_schema(r);

	for (size_t i = 0; i < s->n_records; i++)
		for (unsigned f = 0; f < s->records[i].n_fields; f++) {
			struct tape_column col;

			if (!tape_chunk_column(c, s->records[i].id, f, &col, NULL) && col.width)
				sum += *(const uint8_t *)col.values;
		}
}

/* Milliseconds of the processor to read these bytes; frees them. */
static double cost(struct forge *f, const char *what, bool print)
{
	clock_t start = clock();
	struct tape_reader *r;
	struct tape_chunk *c;
	struct tape_error err;
	unsigned n = 0;
	double ms;
	int rc = forge_open(&f->out, &r, &err);

	if (!rc) {
		while ((rc = tape_reader_next(r, &c, &err)) == 1) {
			decode(r, c);
			n++;
		}
		tape_reader_close(r);
	}
	ms = (double)(clock() - start) * 1e3 / CLOCKS_PER_SEC;
	if (print)
		printf("%-34s %10zu bytes %6u chunks %9.1f ms %9.1f ns/byte\n", what, f->out.len, n,
		       ms, ms * 1e6 / (double)f->out.len);
	return ms;
}

static void put_schema(struct forge *f, const char *more)
{
	struct bytes text = {0};

	bytes_add(&text, schema_head, sizeof(schema_head) - 1);
	bytes_add(&text, more, strlen(more) + 1);
	forge_front(f, (const char *)text.p);
	bytes_free(&text);
}

/* ---- the files ---- */

/* Constants: as many decoded bytes as a chunk may have. */
static void constants(struct forge *f)
{
	static const uint8_t zeros[18];
	struct forge_chunk c = forge_chunk(TAPE_MAX_EVENTS);

	put_schema(f, "record\t16\te\tg\tm\nfield\taddr\ta\tplain\tnone\tm\n"
		      "field\taddr\tb\tplain\tnone\tm\nfield\tu8\tc\tplain\tnone\tm\n"
		      "field\tu64\td\tplain\tnone\tm\n");
	c.pad = TAPE_MAX_EVENTS / TAPE_MAX_EVENTS_PER_BYTE;
	c.columns[3] = (struct forge_column){16, 0, 0, TAPE_L_FIXED, 0, zeros, 18, 0, 0};
	c.columns[4] = (struct forge_column){16, 1, 0, TAPE_L_FIXED, 0, zeros, 18, 0, 0};
	c.columns[5] = (struct forge_column){16, 2, 0, TAPE_L_CONST, 0, zeros, 1, 0, 0};
	c.n_columns = 6;
	for (unsigned i = 0; i < 20; i++)
		forge_put_chunk(f, &c);
}

/* One event a chunk. */
static void tiny_chunks(struct forge *f)
{
	struct forge_chunk c = forge_chunk(1);

	put_schema(f, "record\t16\te\tg\tm\nfield\tu8\ta\tplain\tnone\tm\n");
	c.n_columns = 3;
	for (unsigned i = 0; i < 5000; i++)
		forge_put_chunk(f, &c);
}

/* A chunk header of its own making: n columns of one record, all predicted or keyed. */
static void put_columns(struct forge *f, uint32_t n_events, uint32_t n_rows, unsigned n,
			unsigned transform, unsigned flags, const void *payload, size_t len)
{
	uint8_t head[32768];
	struct tape_out o = tape_out(head, sizeof(head));

	for (unsigned i = 0; i < 5; i++)
		tape_out_le(&o, 0, 8);
	tape_out_le(&o, n_events, 4);
	tape_out_le(&o, 0, 4);
	tape_out_le(&o, 3, 2);
	tape_out_le(&o, n, 2);
	tape_out_le(&o, flags, 4);
	tape_out_varint(&o, 1);
	tape_out_varint(&o, n_rows);
	tape_out_varint(&o, 16);
	tape_out_varint(&o, 1);
	tape_out_varint(&o, 17);
	tape_out_varint(&o, n_events - 1);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *entry = o.p;
		bool first = i == 0, origins = i == 1 && transform == TAPE_T_LAST;

		tape_out_le(&o, 0, 1);
		tape_out_varint(&o, origins ? 1 : 16);
		tape_out_varint(&o, origins ? TAPE_ORIGINS : i % 120);
		tape_out_le(&o, first || origins || i == n - 1 ? 0 : transform, 1);
		tape_out_le(&o, TAPE_L_CONST, 1);
		tape_out_le(&o, 0, 1);
		tape_out_varint(&o, flags ? 30000 : 4);
		tape_out_varint(&o, flags ? 0 : 4);
		tape_out_varint(&o, transform == TAPE_T_ROW ? i % 120 + 2 : 0); /* of the next */
		tape_out_varint(&o, 0);
		tape_out_varint(&o, 2); /* by the streams of field 0 */
		tape_out_varint(&o, 0);
		*entry = (uint8_t)(o.p - entry - 1);
	}
	forge_block(f, TAPE_BLOCK_CHUNK, 0, head, (size_t)(o.p - head), payload, len);
}

static void wide_schema(struct forge *f)
{
	char more[8192] = "record\t1\tflow\t-\tm\nfield\tu16\tp\tplain\tport\tm\n"
			  "record\t16\te\tg\tm\nfield\tdref:flow\tf\tref\tnone\tm\n";

	for (unsigned i = 1; i < 120; i++)
		sprintf(more + strlen(more), "field\tu32\tf%u\tplain\tnone\tm\n", i);
	strcat(more, "record\t17\tother\tg\tm\nfield\tu8\tx\tplain\tnone\tm\n");
	put_schema(f, more);
}

/* One row, whose columns each remember a value for each row of a long table. */
static void long_table(struct forge *f, unsigned transform)
{
	static uint8_t zeros[TAPE_MAX_EVENTS / TAPE_MAX_EVENTS_PER_BYTE + 4096];

	wide_schema(f);
	for (unsigned i = 0; i < 20; i++)
		put_columns(f, TAPE_MAX_EVENTS, 500000, 120, transform, 0, zeros, sizeof(zeros));
}

static void keyed(struct forge *f)
{
	long_table(f, TAPE_T_KEYED);
}

static void predicted(struct forge *f)
{
	long_table(f, TAPE_T_LAST);
}

/* Each column needs the next one; which is asked for first must not matter. */
static void chain(struct forge *f)
{
	static const uint8_t zeros[4096];

	wide_schema(f);
	for (unsigned i = 0; i < 100; i++)
		put_columns(f, 64, 1, 120, TAPE_T_ROW, 0, zeros, sizeof(zeros));
}

/* A frame that is damaged at its very end, asked for by each column. */
static void bad_frame(struct forge *f)
{
	size_t raw = 1000 * 30000, cap = ZSTD_compressBound(raw), len;
	uint8_t *zeros = calloc(1, raw), *frame = malloc(cap);
	ZSTD_CCtx *z = ZSTD_createCCtx();

	if (!zeros || !frame || !z)
		abort();
	ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
	len = ZSTD_compress2(z, frame, cap, zeros, raw);
	frame[len - 1] ^= 1;
	wide_schema(f);
	for (unsigned i = 0; i < 10; i++)
		put_columns(f, 64, 1, 1000, 0, TAPE_CHUNK_SINGLE, frame, len);
	ZSTD_freeCCtx(z);
	free(zeros);
	free(frame);
}

static void texts(struct forge *f, unsigned type, const char *line, unsigned n)
{
	size_t len = TAPE_MAX_TEXT / strlen(line) * strlen(line), cap = ZSTD_compressBound(len), z;
	char *text = malloc(len), *packed = malloc(cap);

	if (!text || !packed)
		abort();
	for (size_t at = 0; at < len; at += strlen(line))
		memcpy(text + at, line, strlen(line));
	memcpy(text, "tape-schema\t1\n", 14);
	z = ZSTD_compress(packed, cap, text, len, 3);
	forge_file(f, TAPE_VERSION_MAJOR, 0);
	for (unsigned i = 0; i < n; i++)
		forge_block(f, type, TAPE_BLOCK_ANCILLARY | TAPE_BLOCK_ZSTD, NULL, 0, packed, z);
	free(text);
	free(packed);
}

/* Metadata and schemas of a megabyte in a hundred bytes, all but the first to be refused. */
static void metadata(struct forge *f)
{
	texts(f, TAPE_BLOCK_META, "key\tand its value\n", 3000);
}

static void schemas(struct forge *f)
{
	texts(f, TAPE_BLOCK_SCHEMA, "another kind of line\n", 3000);
}

/* Headers that may be good, with long type headers, a good block between each few. */
static void candidates(struct forge *f)
{
	static const uint8_t bad[16] = {'T', 'T', 'B', '0', 5, 0, 0xff, 0xff, 9};

	wide_schema(f);
	for (unsigned i = 0; i < 3000; i++) {
		for (unsigned k = 0; k < 16; k++)
			bytes_add(&f->out, bad, sizeof(bad));
		forge_block(f, TAPE_BLOCK_MARK, TAPE_BLOCK_ANCILLARY, NULL, 0, NULL, 0);
	}
}

static void empty_blocks(struct forge *f)
{
	wide_schema(f);
	for (unsigned i = 0; i < 100000; i++)
		forge_block(f, TAPE_BLOCK_MARK, TAPE_BLOCK_ANCILLARY, NULL, 0, NULL, 0);
}

/* Losses and clocks up to their ceilings, and beyond. */
static void facts(struct forge *f)
{
	static const uint8_t clock[TAPE_CLOCK_HEAD_LEN], loss[1000 * TAPE_LOSS_LEN];

	wide_schema(f);
	for (unsigned i = 0; i < 50000; i++)
		forge_block(f, TAPE_BLOCK_CLOCK, 1, clock, sizeof(clock), NULL, 0);
	for (unsigned i = 0; i < 100; i++)
		forge_block(f, TAPE_BLOCK_LOSS, 1, NULL, 0, loss, sizeof(loss));
}

/* An index of as many entries as its bytes can hold, all of them about nothing. */
static void index_flood(struct forge *f)
{
	enum { N = 200000 };
	static struct forge_entry e[N];

	wide_schema(f);
	for (unsigned i = 0; i < N; i++)
		e[i] = (struct forge_entry){.offset = 8 * i, .len = 40, .type = TAPE_BLOCK_CHUNK};
	forge_end(f, forge_index(f, e, N));
}

static const struct {
	const char *what;
	void (*make)(struct forge *f);
} files[] = {
	{"constants, 64 MiB a chunk", constants},
	{"one event a chunk", tiny_chunks},
	{"keyed over a long table", keyed},
	{"predicted over a long table", predicted},
	{"columns that need each other", chain},
	{"a frame bad at its end", bad_frame},
	{"metadata that is refused", metadata},
	{"schemas that are refused", schemas},
	{"headers that may be good", candidates},
	{"empty blocks", empty_blocks},
	{"clocks and losses", facts},
	{"index entries", index_flood},
};

static void keep(const struct forge *f, const char *directory, const char *what)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s.tcptape", directory, what);
	out = fopen(path, "wb");
	if (!out || fwrite(f->out.p, 1, f->out.len, out) != f->out.len || fclose(out))
		perror(path);
}

START_TEST(test_cost__in_proportion)
{
	struct forge f = {.file_id = 1};
	double ms;

	files[_i].make(&f);
	ms = cost(&f, files[_i].what, false);
	if (ms > FIXED_MS + (double)f.out.len * NS_PER_BYTE / 1e6)
		ck_abort_msg("%s: %.0f ms for %zu bytes", files[_i].what, ms, f.out.len);
	bytes_free(&f.out);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("cost");
	TCase *tc = tcase_create("cost");
	SRunner *runner;
	int n_failed;

	for (size_t i = 0; argc > 1 && i < sizeof(files) / sizeof(files[0]); i++) {
		struct forge f = {.file_id = 1};

		files[i].make(&f);
		keep(&f, argv[1], files[i].what);
		cost(&f, files[i].what, true);
		bytes_free(&f.out);
	}
	if (argc > 1)
		return EXIT_SUCCESS;
	tcase_set_timeout(tc, SUITE_TIMEOUT);
	tcase_add_loop_test(tc, test_cost__in_proportion, 0, sizeof(files) / sizeof(files[0]));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

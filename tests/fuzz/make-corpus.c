// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * make-corpus DIRECTORY [TRACE...]: the first inputs of every target, in DIRECTORY/reader, schema,
 * codec; of the traces, in DIRECTORY/commands. They are unpacked (no zstd), so that changes of
 * single bytes reach the columns; those of traces have neither META nor what of the schema they do
 * not need, to be small.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "block.h"
#include "codec.h"
#include "cursor.h"
#include "forge.h"
#include "layout.h"
#include "reader.h"
#include "sample.h"

static const char *directory;

static void put(const char *target, const char *name, const void *p, size_t len, int last)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, target);
	mkdir(path, 0777); /* or it is there */
	snprintf(path, sizeof(path), "%s/%s/%s", directory, target, name);
	f = fopen(path, "wb");
	if (!f || fwrite(p, 1, len, f) != len || (last >= 0 && fputc(last, f) == EOF) ||
	    fclose(f)) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

/* FILE and a schema of few words, then chunks with every layout. */
static void put_tiny(void)
{
	static const char schema[] =
		"tape-schema\t1\nrecord\t0\tevent\t-\tm\nfield\tu64\tts_ns\tdelta\tns\tm\n"
		"field\tu16\ttype\tplain\trecord\tm\nfield\tu32\tcpu\tplain\tcpu\tm\n"
		"record\t1\tflow\t-\tm\nfield\tu16\tlport\tplain\tport\tm\n"
		"record\t16\te\tg\tm\nfield\tdref:flow\tf\tref\tnone\tm\n"
		"field\tstr\ts\tplain\tnone\tm\nfield\tu8\tb\tplain\tnone\tm\n"
		"field\tcomm\tc\tplain\tnone\tm\nfield\ti32\ti\tplain\tnone\tm\n";
	static const uint8_t refs[] = {0, 1, 2, 4}, strings[] = {1, 0, 2, 0, 'a', 'b', 'c'};
	static const uint8_t planes[] = {1, 1, 2, 3, 4, 1, 2, 5}, fixed[22] = {'x', [16] = 2};
	static const uint8_t port[] = {80, 0};
	struct forge_chunk c = forge_chunk(4);
	struct forge f = {.file_id = 7};

	c.n_counts = 2;
	c.counts[1][0] = 16;
	c.counts[1][1] = 4;
	c.counts[0][0] = 1;
	c.counts[0][1] = 2;
	c.columns[3] = (struct forge_column){16, 0, 0, TAPE_L_VARINT, 0, refs, 4, 0, 0};
	c.columns[4] = (struct forge_column){16, 1, 0, TAPE_L_STRINGS, 0, strings, 7, 0, 0};
	c.columns[5] = (struct forge_column){16, 3, 0, TAPE_L_FIXED, 0, fixed, 22, 0, 0};
	c.columns[6] = (struct forge_column){16, 4, 1, TAPE_L_PLANES, 0, planes, 8, 0, 0};
	c.columns[7] = (struct forge_column){1, 0, 0, TAPE_L_CONST, 0, port, 2, 0, 0};
	c.n_columns = 8;
	forge_front(&f, schema);
	forge_put_chunk(&f, &c);
	forge_put_chunk(&f, &c);
	put("reader", "tiny", f.out.p, f.out.len, 0);
	bytes_free(&f.out);
}

static void put_traces(void)
{
	struct sample_opts opts = {.n_chunks = 2, .n_events = 12, .pointers = true};
	struct forge f = {0};
	struct bytes b = {0};

	sample_trace(&opts, &b);
	put("reader", "packed-raw", b.p, b.len, 1);
	put("reader", "packed-window", b.p, b.len, 4);
	put("reader", "packed-cut", b.p, b.len * 2 / 3, 2);
	put("reader", "packed-pipe", b.p, b.len, 8);
	forge_unpack(&b, &f);
	put("reader", "plain", f.out.p, f.out.len, 0);
	put("reader", "plain-headers-window", f.out.p, f.out.len, 6);
	bytes_free(&f.out);
	bytes_free(&b);
	put_tiny();
}

static void put_schemas(void)
{
	char *text;
	size_t len;

	if (tape_schema_write(tape_schema_builtin(), NULL, true, NULL, &text, &len, NULL))
		abort();
	put("schema", "builtin", text, len, -1);
	put("schema", "front", text, 300, -1);
	free(text);
}

static void put_codecs(void)
{
	static const uint8_t how[][4] = {{0, 0, 1, 3}, {1, 1, 2, 3}, {2, 1, 3, 4},
					 {3, 0, 4, 1}, {4, 0, 0, 3}, {1, 0, 0x82, 9}};
	static const uint8_t bodies[][24] = {{1, 2},
					     {1, 10, 0, 44, 9, 1, 2, 0x81, 2},
					     {0x14, 0x13, 0, 0xa8, 2},
					     {'c', [16] = 1, 0, 5, 6},
					     {1, 0, 1, 2, 'a', 'b', 'c', 'd'},
					     {0}};
	char name[32];
	uint8_t input[28];

	for (unsigned i = 0; i < 6; i++) {
		memcpy(input, how[i], 4);
		memcpy(input + 4, bodies[i], 24);
		snprintf(name, sizeof(name), "layout-%u", i);
		put("codec", name, input, sizeof(input), -1);
	}
}

/* Which record types a trace has. */
static void find_records(const struct bytes *trace, bool has[UINT16_MAX + 1])
{
	struct tape_block_head h;

	for (size_t at = 0; at < trace->len; at += (size_t)tape_block_len(&h)) {
		const uint8_t *head = trace->p + at + TAPE_BLOCK_HEAD_LEN;
		struct tape_in in;

		if (!tape_block_unpack(trace->p + at, &h))
			abort();
		if (h.type != TAPE_BLOCK_CHUNK && h.type != TAPE_BLOCK_SNAPSHOT)
			continue;
		in = tape_in(head, h.hdr_len);
		tape_in_bytes(&in, TAPE_CHUNK_HEAD_LEN);
		for (unsigned i = (unsigned)tape_le(head + 48, 2); i; i--) {
			has[(uint16_t)tape_in_varint(&in)] = true;
			tape_in_varint(&in);
		}
	}
}

/* The lines of those, and of tables; no names. */
static void put_schema(struct forge *f, const struct tape_schema *schema,
		       const bool has[UINT16_MAX + 1])
{
	size_t n_records = schema->n_records, len;
	struct tape_schema less = *schema;
	struct tape_record *records = calloc(n_records, sizeof(*records));
	char *text;

	if (!records)
		abort();
	less.records = records;
	less.n_records = less.n_names = 0;
	for (size_t i = 0; i < n_records; i++)
		if (schema->records[i].is_table || !i || has[schema->records[i].id])
			records[less.n_records++] = schema->records[i];
	if (tape_schema_write(&less, NULL, true, NULL, &text, &len, NULL))
		abort();
	forge_block(f, TAPE_BLOCK_SCHEMA, 0, NULL, 0, text, len);
	free(text);
	free(records);
}

static void put_less(const struct bytes *trace, const struct tape_schema *schema, struct forge *ret)
{
	static bool has[UINT16_MAX + 1];
	struct tape_block_head h;

	memset(has, 0, sizeof(has));
	find_records(trace, has);
	for (size_t at = 0; at < trace->len; at += (size_t)tape_block_len(&h)) {
		const uint8_t *head = trace->p + at + TAPE_BLOCK_HEAD_LEN;

		tape_block_unpack(trace->p + at, &h);
		ret->file_id = h.file_id;
		if (h.type == TAPE_BLOCK_SCHEMA)
			put_schema(ret, schema, has);
		else if (h.type == TAPE_BLOCK_END)
			forge_end(ret, 0);
		else if (h.type != TAPE_BLOCK_META && h.type != TAPE_BLOCK_INDEX)
			forge_block(ret, h.type, h.flags, head, h.hdr_len, head + h.hdr_len,
				    h.payload_len);
	}
}

static void put_commands(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct forge plain = {0}, less = {0};
	FILE *f = fopen(path, "rb");
	struct tape_reader *r;
	struct bytes b = {0};
	char part[4096];
	size_t n;

	if (!f || tape_reader_open(&r, path, NULL)) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	while ((n = fread(part, 1, sizeof(part), f)))
		bytes_add(&b, part, n);
	fclose(f);
	forge_unpack(&b, &plain);
	put_less(&plain.out, tape_reader_schema(r), &less);
	put("commands", slash ? slash + 1 : path, less.out.p, less.out.len, 0);
	tape_reader_close(r);
	bytes_free(&less.out);
	bytes_free(&plain.out);
	bytes_free(&b);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	directory = argv[1];
	for (int i = 2; i < argc; i++)
		put_commands(argv[i]);
	put_traces();
	put_schemas();
	put_codecs();
	return 0;
}

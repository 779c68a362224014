// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * make-newer TRACE: on standard output, the same trace as a writer of a later minor version might
 * write it: every type header and directory entry is longer, every record has more fields (one of a
 * type that is known, one that is not) and each event type that is there has columns for them, one
 * in a transform that is not known; lines of the schema have more words; there are blocks between
 * all others. For newer.sh: a reader of this version must say of it what it says of TRACE.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "codec.h"
#include "cursor.h"
#include "forge.h"
#include "reader.h"

static const struct tape_schema *schema; /* of the trace */
static const uint8_t *end_head;		 /* its END: forge_unpack makes one that knows nothing */

static void read_file(const char *path, struct bytes *ret)
{
	FILE *f = fopen(path, "rb");
	uint8_t part[4096];
	size_t n;

	if (!f) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	while ((n = fread(part, 1, sizeof(part), f)))
		bytes_add(ret, part, n);
	fclose(f);
}

static void add_text(struct bytes *b, const char *text)
{
	bytes_add(b, text, strlen(text));
}

/* Two more fields for each record, a word more on each of its lines, and lines of a new kind. */
static void newer_schema(const uint8_t *text, size_t len, struct bytes *ret)
{
	static const char fields[] = "field\tu32\tnewer_1\t-\tnone\tappended\tmore\n"
				     "field\tu128\tnewer_2\t-\tnone\tappended\n";
	bool in_record = false;

	for (const uint8_t *p = text, *end = text + len; p < end;) {
		const uint8_t *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((stop ? stop : end) - p);
		bool field = n > 6 && !memcmp(p, "field\t", 6);
		bool name = n > 5 && !memcmp(p, "name\t", 5);

		if (!field && in_record)
			add_text(ret, fields);
		in_record = field || (n > 7 && !memcmp(p, "record\t", 7));
		bytes_add(ret, p, n);
		add_text(ret, name ? "\n" : "\ta word more\n");
		p += n + (stop != NULL);
	}
	add_text(ret, in_record ? fields : "");
	add_text(ret, "kind\tof line\nrecord\t60000\tnewer\tnewer\ta later event\n");
	add_text(ret, "field\tu8\tx\t-\tnone\tm\n");
}

static void put_entry(struct bytes *head, unsigned record, unsigned field, unsigned transform,
		      unsigned len)
{
	uint8_t entry[32];
	struct tape_out o = tape_out(entry, sizeof(entry));

	tape_out_le(&o, 0, 1);
	tape_out_varint(&o, record);
	tape_out_varint(&o, field);
	tape_out_le(&o, transform, 1);
	tape_out_le(&o, TAPE_L_CONST, 1);
	tape_out_le(&o, 0, 1);
	tape_out_varint(&o, len);
	tape_out_varint(&o, len);
	entry[0] = (uint8_t)(o.p - entry - 1);
	bytes_add(head, entry, (size_t)(o.p - entry));
}

/* Columns for the new fields of a record. */
static unsigned newer_columns(struct bytes *head, struct bytes *payload, unsigned record)
{
	static const uint8_t body[20] = {77};
	const struct tape_record *rec = tape_schema_record(schema, record);

	put_entry(head, record, rec->n_fields, 0, 4);
	put_entry(head, record, rec->n_fields + 1, 99, 16);
	bytes_add(payload, body, sizeof(body));
	return 2;
}

static void newer_chunk(struct forge *f, const struct tape_block_head *h, const uint8_t *b)
{
	struct tape_in in = tape_in(b + TAPE_BLOCK_HEAD_LEN, h->hdr_len);
	const uint8_t *fixed = tape_in_bytes(&in, TAPE_CHUNK_HEAD_LEN), *counts = in.p;
	unsigned n_records = (unsigned)tape_le(fixed + 48, 2), ids[TAPE_MAX_RECORDS];
	unsigned n_columns = (unsigned)tape_le(fixed + 50, 2), total = n_columns;
	struct bytes head = {0}, payload = {0};

	for (unsigned i = 0; i < n_records; i++) {
		ids[i] = (unsigned)tape_in_varint(&in);
		tape_in_varint(&in);
	}
	bytes_add(&head, fixed, TAPE_CHUNK_HEAD_LEN);
	bytes_add(&head, counts, (size_t)(in.p - counts));
	for (unsigned i = 0; i < n_columns; i++) {
		uint8_t len = tape_in_u8(&in), longer = len + 3;

		bytes_add(&head, &longer, 1);
		bytes_add(&head, tape_in_bytes(&in, len), len);
		add_text(&head, "abc");
	}
	bytes_add(&payload, b + TAPE_BLOCK_HEAD_LEN + h->hdr_len, h->payload_len);
	for (unsigned i = 0; i < n_records; i++)
		total += newer_columns(&head, &payload, ids[i]);
	head.p[50] = (uint8_t)total;
	head.p[51] = (uint8_t)(total >> 8);
	add_text(&head, "more of a header");
	forge_block(f, h->type, 0, head.p, head.len, payload.p, payload.len);
	bytes_free(&head);
	bytes_free(&payload);
}

/* FILE, META, CLOCK, LOSS, END: 8 bytes more at the end of what header there is. */
static void newer_block(struct forge *f, const struct tape_block_head *h, const uint8_t *b)
{
	struct bytes head = {0}, payload = {0};

	bytes_add(&head, b + TAPE_BLOCK_HEAD_LEN, h->hdr_len);
	add_text(&head, "8 bytes.");
	bytes_add(&payload, b + TAPE_BLOCK_HEAD_LEN + h->hdr_len, h->payload_len);
	if (h->type == TAPE_BLOCK_FILE)
		head.p[2] = 99; /* minor */
	if (h->type == TAPE_BLOCK_END) {
		struct tape_out at = tape_out(payload.p, 8);

		memcpy(head.p, end_head, TAPE_END_HEAD_LEN);
		memset(head.p, 0, 8); /* no INDEX: it would have to be made anew */
		tape_out_le(&at, f->out.len, 8);
	}
	forge_block(f, h->type, h->flags, head.p, head.len, payload.p, payload.len);
	bytes_free(&head);
	bytes_free(&payload);
}

static void newer_trace(const struct bytes *trace, struct forge *f)
{
	struct tape_block_head h;

	for (size_t at = 0; at < trace->len; at += (size_t)tape_block_len(&h)) {
		const uint8_t *b = trace->p + at;
		struct bytes text = {0};

		if (!tape_block_unpack(b, &h))
			abort();
		if (h.type == TAPE_BLOCK_INDEX)
			continue;
		if (h.type == TAPE_BLOCK_SCHEMA) {
			newer_schema(b + TAPE_BLOCK_HEAD_LEN + h.hdr_len, h.payload_len, &text);
			forge_block(f, h.type, 0, NULL, 0, text.p, text.len);
		} else if (h.type == TAPE_BLOCK_CHUNK || h.type == TAPE_BLOCK_SNAPSHOT) {
			newer_chunk(f, &h, b);
		} else {
			newer_block(f, &h, b);
		}
		if (h.type != TAPE_BLOCK_END)
			forge_block(f, 77, TAPE_BLOCK_ANCILLARY, "head", 4, "a block", 7);
		bytes_free(&text);
	}
}

int main(int argc, char **argv)
{
	struct forge plain = {0}, newer = {0};
	struct bytes trace = {0};
	struct tape_reader *r;
	struct tape_error err;
	bool failed;

	if (argc != 2)
		return 2;
	read_file(argv[1], &trace);
	if (tape_reader_open(&r, argv[1], &err)) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_FAILURE;
	}
	schema = tape_reader_schema(r);
	end_head = trace.p + tape_le(trace.p + trace.len - TAPE_TAIL_LEN, 8) + TAPE_BLOCK_HEAD_LEN;
	forge_unpack(&trace, &plain);
	newer.file_id = plain.file_id;
	newer_trace(&plain.out, &newer);
	tape_reader_close(r);
	failed = fwrite(newer.out.p, 1, newer.out.len, stdout) != newer.out.len;
	bytes_free(&plain.out);
	bytes_free(&newer.out);
	bytes_free(&trace);
	return failed;
}

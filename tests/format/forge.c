// SPDX-License-Identifier: GPL-2.0-or-later
#include "forge.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "block.h"
#include "codec.h"
#include "cursor.h"
#include "reader.h"

#define HASHED 32 /* bytes of the fixed header that head_xxh3 covers */

static void *need(size_t len)
{
	void *p = malloc(len + 1);

	if (!p)
		abort();
	return p;
}

size_t forge_block(struct forge *f, unsigned type, unsigned flags, const void *head, size_t hdr_len,
		   const void *payload, size_t payload_len)
{
	struct tape_block_head h = {.type = (uint8_t)type,
				    .flags = (uint8_t)flags,
				    .hdr_len = (uint16_t)hdr_len,
				    .payload_len = (uint32_t)payload_len,
				    .seq = f->seq++,
				    .file_id = f->file_id};
	static const uint8_t zeros[8];
	uint8_t fixed[TAPE_BLOCK_HEAD_LEN];
	size_t offset = f->out.len, used = sizeof(fixed) + hdr_len + payload_len;

	tape_block_pack(&h, head, payload_len ? payload : "", fixed);
	bytes_add(&f->out, fixed, sizeof(fixed));
	bytes_add(&f->out, head, hdr_len);
	bytes_add(&f->out, payload, payload_len);
	bytes_add(&f->out, zeros, (size_t)tape_block_len(&h) - used);
	return offset;
}

size_t forge_file(struct forge *f, unsigned major, unsigned minor)
{
	uint8_t head[TAPE_FILE_HEAD_LEN];
	struct tape_out o = tape_out(head, sizeof(head));

	tape_out_le(&o, major, 2);
	tape_out_le(&o, minor, 2);
	tape_out_le(&o, 3, 4);
	tape_out_le(&o, SAMPLE_START_NS, 8);
	return forge_block(f, TAPE_BLOCK_FILE, 0, head, sizeof(head), "forge", 5);
}

void forge_front(struct forge *f, const char *schema)
{
	static const uint8_t clock[TAPE_CLOCK_HEAD_LEN];
	char *text = NULL;
	size_t len;

	forge_file(f, TAPE_VERSION_MAJOR, TAPE_VERSION_MINOR);
	if (!schema &&
	    tape_schema_write(tape_schema_builtin(), NULL, true, NULL, &text, &len, NULL))
		abort();
	schema = schema ? schema : text;
	forge_block(f, TAPE_BLOCK_SCHEMA, 0, NULL, 0, schema, strlen(schema));
	free(text);
	forge_block(f, TAPE_BLOCK_CLOCK, TAPE_BLOCK_ANCILLARY, clock, sizeof(clock), NULL, 0);
}

size_t forge_end(struct forge *f, uint64_t index_offset)
{
	uint8_t head[TAPE_END_HEAD_LEN] = {0}, tail[TAPE_TAIL_LEN];
	struct tape_out h = tape_out(head, sizeof(head)), t = tape_out(tail, sizeof(tail));

	tape_out_le(&h, index_offset, 8);
	tape_out_le(&t, f->out.len, 8);
	tape_out_bytes(&t, TAPE_TAIL_MAGIC, 8);
	return forge_block(f, TAPE_BLOCK_END, TAPE_BLOCK_ANCILLARY, head, sizeof(head), tail,
			   sizeof(tail));
}

size_t forge_index(struct forge *f, const struct forge_entry *e, size_t n)
{
	size_t cap = 10 + n * 64, offset;
	uint8_t *payload = need(cap);
	struct tape_out o = tape_out(payload, cap);
	uint64_t at = 0, ts = 0;

	tape_out_varint(&o, n);
	for (size_t i = 0; i < n; i++) {
		tape_out_varint(&o, e[i].offset - at);
		tape_out_varint(&o, e[i].len / 8);
		tape_out_le(&o, e[i].type, 1);
		tape_out_varint(&o, tape_zigzag((int64_t)(e[i].ts_min - ts)));
		tape_out_varint(&o, e[i].ts_max - e[i].ts_min);
		tape_out_varint(&o, 0);
		tape_out_varint(&o, e[i].record != 0);
		if (e[i].record) {
			tape_out_varint(&o, e[i].record);
			tape_out_varint(&o, e[i].rows);
		}
		at = e[i].offset;
		ts = e[i].ts_min;
	}
	offset = forge_block(f, TAPE_BLOCK_INDEX, TAPE_BLOCK_ANCILLARY, NULL, 0, payload,
			     (size_t)(o.p - payload));
	free(payload);
	return offset;
}

/* ---- chunks ---- */

struct forge_chunk forge_chunk(uint32_t n)
{
	static const uint8_t ts[8], type[] = {EV_tcp_state, 0}, cpu[4], state[] = {7};
	struct forge_chunk c = {
		.n_events = n,
		.n_counts = 1,
		.counts = {{EV_tcp_state, n}},
		.n_columns = 4,
		.columns = {{TAPE_COMMON, TAPE_COMMON_TS, 0, TAPE_L_CONST, 0, ts, 8, 0, 0},
			    {TAPE_COMMON, TAPE_COMMON_TYPE, 0, TAPE_L_CONST, 0, type, 2, 0, 0},
			    {TAPE_COMMON, TAPE_COMMON_CPU, 0, TAPE_L_CONST, 0, cpu, 4, 0, 0},
			    {EV_tcp_state, 2, 0, TAPE_L_CONST, 0, state, 1, 0, 0}},
	};

	return c;
}

static void put_fixed_head(struct tape_out *o, const struct forge_chunk *c)
{
	tape_out_le(o, c->ts_min, 8);
	tape_out_le(o, c->ts_max, 8);
	tape_out_le(o, c->ts_max, 8);
	tape_out_le(o, 0, 8);
	tape_out_le(o, 0, 8);
	tape_out_le(o, c->n_events, 4);
	tape_out_le(o, 0, 4);
	tape_out_le(o, c->n_counts + (unsigned)c->claim_records, 2);
	tape_out_le(o, c->n_columns + (unsigned)c->claim_columns, 2);
	tape_out_le(o, c->flags, 4);
}

static void put_entry(struct tape_out *o, const struct forge_column *col, const uint8_t *guess,
		      size_t guess_len)
{
	uint8_t *len = o->p;

	tape_out_le(o, 0, 1);
	tape_out_varint(o, col->record);
	tape_out_varint(o, col->field);
	tape_out_le(o, col->transform, 1);
	tape_out_le(o, col->layout, 1);
	tape_out_le(o, col->flags, 1);
	tape_out_varint(o, col->raw_len ? col->raw_len : col->len);
	tape_out_varint(o, col->len);
	tape_out_bytes(o, guess, guess_len);
	for (unsigned i = 0; i < col->extra; i++)
		tape_out_le(o, 0xee, 1);
	*len = (uint8_t)(o->p - len - 1);
}

size_t forge_put_chunk(struct forge *f, const struct forge_chunk *c)
{
	uint8_t head[4096] = {0};
	struct tape_out o = tape_out(head, sizeof(head));
	struct bytes body = {0};
	size_t offset;
	void *pad = need(c->pad);

	put_fixed_head(&o, c);
	for (unsigned i = 0; i < c->n_counts; i++) {
		tape_out_varint(&o, c->counts[i][0]);
		tape_out_varint(&o, c->counts[i][1]);
	}
	for (unsigned i = 0; i < c->n_columns; i++) {
		put_entry(&o, &c->columns[i], c->guesses[i], c->guesses[i] ? 4 : 0);
		bytes_add(&body, c->columns[i].body, c->columns[i].len);
	}
	memset(pad, 0, c->pad);
	bytes_add(&body, pad, c->pad);
	offset = forge_block(f, TAPE_BLOCK_CHUNK, 0, head, (size_t)(o.p - head) + c->head_extra,
			     body.p, body.len);
	bytes_free(&body);
	free(pad);
	return offset;
}

/* ---- mending ---- */

static void put_le(uint8_t *p, uint64_t v, unsigned n)
{
	struct tape_out o = tape_out(p, n);

	tape_out_le(&o, v, n);
}

void forge_fix(uint8_t *p, size_t len)
{
	uint64_t file_id = len >= TAPE_BLOCK_HEAD_LEN ? tape_le(p + 16, 8) : 0;

	for (size_t at = 0; at + TAPE_BLOCK_HEAD_LEN <= len;) {
		uint8_t *b = p + at, *hashed;
		size_t hdr_len = (size_t)tape_le(b + 6, 2), payload_len = (size_t)tape_le(b + 8, 4);
		size_t used = TAPE_BLOCK_HEAD_LEN + hdr_len + payload_len;

		if (used > len - at)
			return;
		put_le(b, TAPE_MAGIC, 4);
		put_le(b + 16, file_id, 8);
		put_le(b + 24, XXH3_64bits(b + TAPE_BLOCK_HEAD_LEN + hdr_len, payload_len), 8);
		hashed = need(HASHED + hdr_len);
		memcpy(hashed, b, HASHED);
		memcpy(hashed + HASHED, b + TAPE_BLOCK_HEAD_LEN, hdr_len);
		put_le(b + HASHED, XXH3_64bits(hashed, HASHED + hdr_len), 8);
		free(hashed);
		at += (used + 7) & ~(size_t)7;
	}
}

int forge_open(const struct bytes *b, struct tape_reader **ret, struct tape_error *err)
{
	char path[32];
	int fd = sample_memfd(path), rc;

	if (b->len && write(fd, b->p, b->len) != (ssize_t)b->len)
		abort();
	rc = tape_reader_open(ret, path, err);
	close(fd);
	return rc;
}

/* ---- unpacking ---- */

static void unzstd(const uint8_t *src, size_t len, size_t raw_len, struct bytes *ret)
{
	void *raw = need(raw_len);

	if (ZSTD_decompress(raw, raw_len, src, len) != raw_len)
		abort();
	bytes_add(ret, raw, raw_len);
	free(raw);
}

struct entry { /* of a column directory */
	uint64_t record, field, raw_len, stored_len;
	uint8_t transform, layout, flags;
	const uint8_t *rest; /* what it is predicted from, and what a newer version appended */
	size_t rest_len;
};

static void get_entry(struct tape_in *in, struct entry *e)
{
	size_t len = tape_in_u8(in);
	struct tape_in one = tape_in(tape_in_bytes(in, len), len);

	e->record = tape_in_varint(&one);
	e->field = tape_in_varint(&one);
	e->transform = tape_in_u8(&one);
	e->layout = tape_in_u8(&one);
	e->flags = tape_in_u8(&one);
	e->raw_len = tape_in_varint(&one);
	e->stored_len = tape_in_varint(&one);
	e->rest = one.p;
	e->rest_len = tape_in_left(&one);
}

static void put_plain_entry(const struct entry *e, struct bytes *head)
{
	struct forge_column col = {.record = (unsigned)e->record,
				   .field = (unsigned)e->field,
				   .transform = e->transform,
				   .layout = e->layout,
				   .len = e->raw_len};
	uint8_t buf[512];
	struct tape_out o = tape_out(buf, sizeof(buf));

	put_entry(&o, &col, e->rest, e->rest_len);
	bytes_add(head, buf, (size_t)(o.p - buf));
}

static size_t unpack_chunk(struct forge *f, const struct tape_block_head *h, const uint8_t *b)
{
	const uint8_t *payload = b + TAPE_BLOCK_HEAD_LEN + h->hdr_len;
	struct tape_in in = tape_in(b + TAPE_BLOCK_HEAD_LEN, h->hdr_len);
	const uint8_t *fixed = tape_in_bytes(&in, TAPE_CHUNK_HEAD_LEN), *counts = in.p;
	unsigned n_records = (unsigned)tape_le(fixed + 48, 2);
	unsigned n_columns = (unsigned)tape_le(fixed + 50, 2);
	bool single = fixed[52] & TAPE_CHUNK_SINGLE;
	struct bytes head = {0}, body = {0};
	size_t raw = 0, offset;

	for (unsigned i = 0; i < 2 * n_records; i++)
		tape_in_varint(&in);
	bytes_add(&head, fixed, TAPE_CHUNK_HEAD_LEN);
	put_le(head.p + 52, 0, 4);
	bytes_add(&head, counts, (size_t)(in.p - counts));
	for (unsigned i = 0; i < n_columns; i++) {
		struct entry e;

		get_entry(&in, &e);
		put_plain_entry(&e, &head);
		raw += e.raw_len;
		if (single)
			continue;
		if (e.flags & TAPE_COLUMN_ZSTD)
			unzstd(payload, e.stored_len, e.raw_len, &body);
		else
			bytes_add(&body, payload, e.stored_len);
		payload += e.stored_len;
	}
	if (single)
		unzstd(payload, ZSTD_findFrameCompressedSize(payload, h->payload_len), raw, &body);
	offset = forge_block(f, h->type, 0, head.p, head.len, body.p, body.len);
	bytes_free(&head);
	bytes_free(&body);
	return offset;
}

static void unpack_text(struct forge *f, const struct tape_block_head *h, const uint8_t *b)
{
	const uint8_t *payload = b + TAPE_BLOCK_HEAD_LEN + h->hdr_len;
	struct bytes text = {0};

	if (h->flags & TAPE_BLOCK_ZSTD)
		unzstd(payload, h->payload_len, ZSTD_getFrameContentSize(payload, h->payload_len),
		       &text);
	else
		bytes_add(&text, payload, h->payload_len);
	forge_block(f, h->type, h->flags & ~TAPE_BLOCK_ZSTD, NULL, 0, text.p, text.len);
	bytes_free(&text);
}

void forge_unpack(const struct bytes *trace, struct forge *ret)
{
	struct forge_entry entries[FORGE_MAX];
	struct tape_block_head h;
	size_t n = 0;

	for (size_t at = 0; at < trace->len; at += (size_t)tape_block_len(&h)) {
		const uint8_t *b = trace->p + at;

		if (!tape_block_unpack(b, &h))
			abort();
		ret->file_id = h.file_id;
		if (h.type == TAPE_BLOCK_SCHEMA || h.type == TAPE_BLOCK_META) {
			unpack_text(ret, &h, b);
		} else if (h.type == TAPE_BLOCK_CHUNK || h.type == TAPE_BLOCK_SNAPSHOT) {
			struct forge_entry e = {.type = h.type,
						.ts_min = tape_le(b + TAPE_BLOCK_HEAD_LEN, 8),
						.ts_max = tape_le(b + TAPE_BLOCK_HEAD_LEN + 8, 8)};

			e.offset = unpack_chunk(ret, &h, b);
			e.len = ret->out.len - e.offset;
			if (n < FORGE_MAX)
				entries[n++] = e;
		} else if (h.type == TAPE_BLOCK_END) {
			forge_end(ret, forge_index(ret, entries, n));
		} else if (h.type != TAPE_BLOCK_INDEX) {
			forge_block(ret, h.type, h.flags, b + TAPE_BLOCK_HEAD_LEN, h.hdr_len,
				    b + TAPE_BLOCK_HEAD_LEN + h.hdr_len, h.payload_len);
		}
	}
}

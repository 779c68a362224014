// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "cursor.h"
#include "layout.h"

#define REPEAT_SCHEMA (64u << 20) /* bytes of file after which the schema is written again */
#define TEXT_LEVEL 19		  /* of SCHEMA and META: written seldom, read by everyone */

void tape_blocks_init(struct tape_blocks *b, int fd, uint64_t file_id)
{
	*b = (struct tape_blocks){.fd = fd, .file_id = file_id};
}

void tape_blocks_fini(struct tape_blocks *b)
{
	tape_index_fini(&b->index);
	free(b->schema);
	b->schema = NULL;
}

void tape_blocks_restore(struct tape_blocks *b, const struct tape_blocks *then)
{
	struct tape_index index = b->index;

	*b = *then;
	b->index.p = index.p;
	b->index.cap = index.cap;
}

int tape_blocks_put(struct tape_blocks *b, enum tape_block type, unsigned flags, const void *head,
		    size_t hdr_len, const void *payload, size_t payload_len, struct tape_error *err)
{
	struct tape_block_head h = {.type = (uint8_t)type,
				    .flags = (uint8_t)flags,
				    .hdr_len = (uint16_t)hdr_len,
				    .payload_len = (uint32_t)payload_len,
				    .seq = b->seq,
				    .file_id = b->file_id};

	if (hdr_len > UINT16_MAX || payload_len > TAPE_MAX_PAYLOAD)
		return tape_fail(err, TAPE_E_LIMIT, b->bytes, "a block of type %d is too long",
				 type);
	if (b->put ? b->put(b->ctx, &h, head, payload) < 0
		   : tape_block_write(b->fd, &h, head, payload) < 0)
		return tape_fail_errno(err, b->bytes, "write");
	b->bytes += tape_block_len(&h);
	b->seq++;
	return 0;
}

/* ---- texts ---- */

/* Compressed if that makes it smaller: *ret, which the caller frees, *ret_len and *flags. */
static int pack_text(const struct tape_blocks *b, const char *text, size_t len, void **ret,
		     size_t *ret_len, unsigned *flags, struct tape_error *err)
{
	size_t cap = ZSTD_compressBound(len), z;

	if (len > TAPE_MAX_TEXT)
		return tape_fail(err, TAPE_E_LIMIT, b->bytes,
				 "metadata of %zu bytes, at most %u in one block", len,
				 TAPE_MAX_TEXT);
	*ret = malloc(cap);
	if (!*ret)
		return tape_fail(err, TAPE_E_NOMEM, b->bytes, "no memory for metadata");
	z = ZSTD_compress(*ret, cap, text, len, TEXT_LEVEL);
	if (!ZSTD_isError(z) && z < len) {
		*ret_len = z;
		*flags = TAPE_BLOCK_ZSTD;
		return 0;
	}
	if (len)
		memcpy(*ret, text, len);
	*ret_len = len;
	*flags = 0;
	return 0;
}

int tape_blocks_file(struct tape_blocks *b, uint32_t n_cpus, uint64_t start_ns, const char *writer,
		     struct tape_error *err)
{
	uint8_t head[TAPE_FILE_HEAD_LEN];
	struct tape_out out = tape_out(head, sizeof(head));

	tape_out_le(&out, TAPE_VERSION_MAJOR, 2);
	tape_out_le(&out, TAPE_VERSION_MINOR, 2);
	tape_out_le(&out, n_cpus, 4);
	tape_out_le(&out, start_ns, 8);
	return tape_blocks_put(b, TAPE_BLOCK_FILE, 0, head, sizeof(head), writer, strlen(writer),
			       err);
}

static int repeat_schema(struct tape_blocks *b, struct tape_error *err)
{
	b->schema_at = b->bytes;
	return tape_blocks_put(b, TAPE_BLOCK_SCHEMA, b->schema_flags, NULL, 0, b->schema,
			       b->schema_len, err);
}

int tape_blocks_schema(struct tape_blocks *b, const char *text, size_t len, struct tape_error *err)
{
	void *packed;
	int rc = pack_text(b, text, len, &packed, &b->schema_len, &b->schema_flags, err);

	if (rc)
		return rc;
	b->schema = packed;
	return repeat_schema(b, err);
}

int tape_blocks_schema_as_is(struct tape_blocks *b, unsigned flags, const void *payload, size_t len,
			     struct tape_error *err)
{
	b->schema = malloc(len + 1);
	if (!b->schema)
		return tape_fail(err, TAPE_E_NOMEM, b->bytes, "no memory for a schema");
	memcpy(b->schema, payload, len);
	b->schema_len = len;
	b->schema_flags = flags;
	return repeat_schema(b, err);
}

/* "key\tvalue\n"; in the value \ becomes \\, tab \t, newline \n, so that a line stays a line. */
static bool put_meta_line(FILE *f, const struct tape_meta *m)
{
	fprintf(f, "%s\t", m->key);
	for (const char *p = m->value; *p; p++) {
		const char *special = "\\\t\n", *at = strchr(special, *p);

		if (at)
			fprintf(f, "\\%c", "\\tn"[at - special]);
		else
			fputc(*p, f);
	}
	fputc('\n', f);
	return !ferror(f);
}

int tape_blocks_meta(struct tape_blocks *b, const struct tape_meta *meta, size_t n,
		     struct tape_error *err)
{
	char *text = NULL;
	void *packed = NULL;
	size_t len = 0, packed_len = 0;
	unsigned flags = 0;
	FILE *f = open_memstream(&text, &len);
	bool ok = f != NULL;
	int rc;

	for (size_t i = 0; ok && i < n; i++)
		ok = put_meta_line(f, &meta[i]);
	if (!f || fclose(f) || !ok)
		rc = tape_fail(err, TAPE_E_NOMEM, b->bytes, "no memory for metadata");
	else
		rc = pack_text(b, text, len, &packed, &packed_len, &flags, err);
	if (!rc)
		rc = tape_blocks_put(b, TAPE_BLOCK_META, TAPE_BLOCK_ANCILLARY | flags, NULL, 0,
				     packed, packed_len, err);
	free(packed);
	free(text);
	return rc;
}

/* ---- clock, loss ---- */

int tape_blocks_clock(struct tape_blocks *b, const struct tape_clock *clock, struct tape_error *err)
{
	uint8_t head[TAPE_CLOCK_HEAD_LEN];
	struct tape_out out = tape_out(head, sizeof(head));

	tape_out_le(&out, clock->mono_ns, 8);
	tape_out_le(&out, clock->real_ns, 8);
	tape_out_le(&out, clock->boot_ns, 8);
	tape_out_le(&out, clock->uncertainty_ns, 8);
	return tape_blocks_put(b, TAPE_BLOCK_CLOCK, TAPE_BLOCK_ANCILLARY, head, sizeof(head), "", 0,
			       err);
}

int tape_blocks_loss(struct tape_blocks *b, const struct tape_loss *loss, size_t n,
		     struct tape_error *err)
{
	uint64_t sum = b->lost;
	struct tape_out out;
	uint8_t *payload;
	int rc;

	if (!n)
		return 0;
	payload = calloc(n, TAPE_LOSS_LEN);
	if (!payload)
		return tape_fail(err, TAPE_E_NOMEM, b->bytes, "no memory for a loss record");
	out = tape_out(payload, n * TAPE_LOSS_LEN);
	for (size_t i = 0; i < n; i++) {
		uint64_t room = UINT64_MAX - sum;
		uint64_t count = loss[i].count < room ? loss[i].count : room;

		tape_out_le(&out, loss[i].from_ns, 8);
		tape_out_le(&out, loss[i].to_ns, 8);
		tape_out_le(&out, count, 8);
		tape_out_le(&out, loss[i].cpu, 4);
		tape_out_le(&out, loss[i].reason, 4);
		tape_out_bytes(&out, loss[i].group, 8);
		sum += count;
	}
	rc = tape_blocks_put(b, TAPE_BLOCK_LOSS, TAPE_BLOCK_ANCILLARY, NULL, 0, payload,
			     n * TAPE_LOSS_LEN, err);
	if (!rc)
		b->lost = sum;
	free(payload);
	return rc;
}

/* ---- chunks ---- */

void tape_blocks_place(const struct tape_blocks *b, enum tape_block type, struct tape_chunk_head *h)
{
	if (type == TAPE_BLOCK_SNAPSHOT)
		h->ts_floor = b->floor_ns;
	else if (h->ts_floor < h->ts_max || h->ts_floor < b->floor_ns)
		h->ts_floor = h->ts_max > b->floor_ns ? h->ts_max : b->floor_ns;
	h->first_event = b->n_events;
	h->lost = b->lost;
}

int tape_blocks_chunk(struct tape_blocks *b, enum tape_block type, const struct tape_chunk_head *h,
		      const void *head, size_t hdr_len, const void *payload, size_t payload_len,
		      struct tape_error *err)
{
	uint64_t offset = b->bytes;
	int rc = tape_blocks_put(b, type, 0, head, hdr_len, payload, payload_len, err);

	if (rc)
		return rc;
	tape_index_add(&b->index, type, offset, b->bytes - offset, h, head, hdr_len);
	if (type == TAPE_BLOCK_SNAPSHOT)
		return 0;
	b->n_events += h->n_events;
	b->floor_ns = h->ts_floor;
	return b->bytes - b->schema_at > REPEAT_SCHEMA ? repeat_schema(b, err) : 0;
}

/* ---- the end ---- */

static int put_index(struct tape_blocks *b, uint64_t *ret_offset, struct tape_error *err)
{
	size_t len;
	void *payload = tape_index_payload(&b->index, &len);
	int rc;

	*ret_offset = 0;
	if (!payload)
		return 0; /* readers walk the headers instead */
	*ret_offset = b->bytes;
	rc = tape_blocks_put(b, TAPE_BLOCK_INDEX, TAPE_BLOCK_ANCILLARY, NULL, 0, payload, len, err);
	free(payload);
	return rc;
}

int tape_blocks_end(struct tape_blocks *b, uint64_t end_ns, struct tape_error *err)
{
	uint8_t head[TAPE_END_HEAD_LEN], tail[TAPE_TAIL_LEN];
	struct tape_out h = tape_out(head, sizeof(head)), t = tape_out(tail, sizeof(tail));
	uint64_t index_offset;
	int rc = put_index(b, &index_offset, err);

	if (rc)
		return rc;
	tape_out_le(&h, index_offset, 8);
	tape_out_le(&h, b->n_events, 8);
	tape_out_le(&h, b->lost, 8);
	tape_out_le(&h, end_ns, 8);
	tape_out_le(&t, b->bytes, 8);
	tape_out_bytes(&t, TAPE_TAIL_MAGIC, 8);
	return tape_blocks_put(b, TAPE_BLOCK_END, TAPE_BLOCK_ANCILLARY, head, sizeof(head), tail,
			       sizeof(tail), err);
}

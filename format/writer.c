// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "block.h"
#include "chunk.h"
#include "cursor.h"
#include "index.h"
#include "layout.h"

#define DEFAULT_CHUNK_EVENTS 65536u
#define MAX_CHUNK_BYTES (8u << 20) /* of records; bounds the writer's memory */
#define REPEAT_SCHEMA (64u << 20)  /* bytes of file after which the schema is written again */
#define TEXT_LEVEL 9		   /* of SCHEMA and META: written seldom, read by everyone */

#define END_ROOM 8192 /* bytes for LOSS, META and END, when the disk is full */

struct mark { /* what tape_writer_give_up goes back to; stats.bytes 0: none */
	struct tape_writer_stats stats;
	uint32_t seq;
	uint64_t floor, last_ns, schema_at;
	struct tape_index index; /* its numbers only */
};

struct tape_writer {
	int fd;
	uint64_t file_id;
	uint32_t seq, chunk_events;
	struct tape_build *events, *snapshot;
	uint64_t floor; /* of the last chunk written */
	uint64_t n_stragglers_open;
	struct tape_writer_stats stats;
	char *schema; /* as written; repeated */
	size_t schema_len;
	uint64_t schema_at;
	struct tape_index index;
	int (*put)(void *ctx, struct tape_block_head *h, const void *type_head,
		   const void *payload);
	void (*on_row)(void *ctx, const struct ev_head *row);
	void *ctx;
	uint64_t n_added, last_ns; /* events handed in; time of the last one written */
	struct mark marks[2];	   /* before a chunk; at least END_ROOM apart, the older first */
};

/* ---- blocks ---- */

static int put_block(struct tape_writer *w, enum tape_block type, unsigned flags,
		     const void *type_head, size_t hdr_len, const void *payload, size_t payload_len,
		     struct tape_error *err)
{
	struct tape_block_head h = {.type = (uint8_t)type,
				    .flags = (uint8_t)flags,
				    .hdr_len = (uint16_t)hdr_len,
				    .payload_len = (uint32_t)payload_len,
				    .seq = w->seq,
				    .file_id = w->file_id};

	if (hdr_len > UINT16_MAX || payload_len > TAPE_MAX_PAYLOAD)
		return tape_fail(err, TAPE_E_LIMIT, w->stats.bytes,
				 "a block of type %d is too long", type);
	if (w->put ? w->put(w->ctx, &h, type_head, payload) < 0
		   : tape_block_write(w->fd, &h, type_head, payload) < 0)
		return tape_fail_errno(err, w->stats.bytes, "write");
	w->stats.bytes += tape_block_len(&h);
	w->seq++;
	return 0;
}

/* A block of text, compressed if that makes it smaller. */
static int put_text(struct tape_writer *w, enum tape_block type, unsigned flags, const char *text,
		    size_t len, struct tape_error *err)
{
	size_t cap = ZSTD_compressBound(len), z;
	void *packed;
	int rc;

	if (len > TAPE_MAX_TEXT)
		return tape_fail(err, TAPE_E_LIMIT, w->stats.bytes,
				 "metadata of %zu bytes, at most %u in one block", len,
				 TAPE_MAX_TEXT);
	packed = malloc(cap);
	if (!packed)
		return tape_fail(err, TAPE_E_NOMEM, w->stats.bytes, "no memory for metadata");
	z = ZSTD_compress(packed, cap, text, len, TEXT_LEVEL);
	if (!ZSTD_isError(z) && z < len)
		rc = put_block(w, type, flags | TAPE_BLOCK_ZSTD, NULL, 0, packed, z, err);
	else
		rc = put_block(w, type, flags, NULL, 0, text, len, err);
	free(packed);
	return rc;
}

static int put_schema(struct tape_writer *w, struct tape_error *err)
{
	w->schema_at = w->stats.bytes;
	return put_text(w, TAPE_BLOCK_SCHEMA, 0, w->schema, w->schema_len, err);
}

static int put_file(struct tape_writer *w, const struct tape_writer_opts *o, struct tape_error *err)
{
	uint8_t head[TAPE_FILE_HEAD_LEN];
	struct tape_out out = tape_out(head, sizeof(head));
	const char *name = o->writer ? o->writer : "";

	tape_out_le(&out, TAPE_VERSION_MAJOR, 2);
	tape_out_le(&out, TAPE_VERSION_MINOR, 2);
	tape_out_le(&out, o->n_cpus, 4);
	tape_out_le(&out, o->start_ns, 8);
	return put_block(w, TAPE_BLOCK_FILE, 0, head, sizeof(head), name, strlen(name), err);
}

int tape_writer_open(struct tape_writer **ret, int fd, const struct tape_writer_opts *opts,
		     struct tape_error *err)
{
	struct tape_writer *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return tape_fail(err, TAPE_E_NOMEM, 0, "no memory for a writer");
	w->fd = fd;
	w->file_id = opts->file_id;
	w->put = opts->put;
	w->on_row = opts->on_row;
	w->ctx = opts->ctx;
	w->chunk_events = opts->chunk_events ? opts->chunk_events : DEFAULT_CHUNK_EVENTS;
	if (w->chunk_events > TAPE_MAX_EVENTS)
		w->chunk_events = TAPE_MAX_EVENTS;
	rc = tape_build_new(&w->events, opts->pointers, opts->level, err);
	if (!rc)
		rc = tape_build_new(&w->snapshot, opts->pointers, opts->level, err);
	if (!rc)
		rc = tape_schema_write(tape_schema_builtin(), opts->names, &w->schema,
				       &w->schema_len, err);
	if (!rc)
		rc = put_file(w, opts, err);
	if (!rc)
		rc = put_schema(w, err);
	if (rc) {
		tape_writer_free(w);
		return rc;
	}
	*ret = w;
	return 0;
}

void tape_writer_free(struct tape_writer *w)
{
	if (!w)
		return;
	tape_build_free(w->events);
	tape_build_free(w->snapshot);
	free(w->schema);
	tape_index_fini(&w->index);
	free(w);
}

/* ---- metadata, clock, loss ---- */

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

int tape_writer_meta(struct tape_writer *w, const struct tape_meta *meta, size_t n,
		     struct tape_error *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	bool ok = f != NULL;
	int rc;

	for (size_t i = 0; ok && i < n; i++)
		ok = put_meta_line(f, &meta[i]);
	if (!f || fclose(f) || !ok)
		rc = tape_fail(err, TAPE_E_NOMEM, w->stats.bytes, "no memory for metadata");
	else
		rc = put_text(w, TAPE_BLOCK_META, TAPE_BLOCK_ANCILLARY, text, len, err);
	free(text);
	return rc;
}

int tape_writer_clock(struct tape_writer *w, const struct tape_clock *clock, struct tape_error *err)
{
	uint8_t head[TAPE_CLOCK_HEAD_LEN];
	struct tape_out out = tape_out(head, sizeof(head));

	tape_out_le(&out, clock->mono_ns, 8);
	tape_out_le(&out, clock->real_ns, 8);
	tape_out_le(&out, clock->boot_ns, 8);
	tape_out_le(&out, clock->uncertainty_ns, 8);
	return put_block(w, TAPE_BLOCK_CLOCK, TAPE_BLOCK_ANCILLARY, head, sizeof(head), "", 0, err);
}

int tape_writer_loss(struct tape_writer *w, const struct tape_loss *loss, size_t n,
		     struct tape_error *err)
{
	uint8_t *payload;
	struct tape_out out;
	uint64_t sum = 0;
	int rc = tape_writer_flush(w, 0, err);

	if (rc || !n)
		return rc;
	payload = calloc(n, TAPE_LOSS_LEN);
	if (!payload)
		return tape_fail(err, TAPE_E_NOMEM, w->stats.bytes, "no memory for a loss record");
	out = tape_out(payload, n * TAPE_LOSS_LEN);
	for (size_t i = 0; i < n; i++) {
		tape_out_le(&out, loss[i].from_ns, 8);
		tape_out_le(&out, loss[i].to_ns, 8);
		tape_out_le(&out, loss[i].count, 8);
		tape_out_le(&out, loss[i].cpu, 4);
		tape_out_le(&out, loss[i].reason, 4);
		tape_out_bytes(&out, loss[i].group, 8);
		sum += loss[i].count;
	}
	rc = put_block(w, TAPE_BLOCK_LOSS, TAPE_BLOCK_ANCILLARY, NULL, 0, payload,
		       n * TAPE_LOSS_LEN, err);
	if (!rc)
		w->stats.lost += sum;
	free(payload);
	return rc;
}

/* ---- chunks ---- */

static bool far_enough(const struct tape_writer *w, const struct mark *m)
{
	return w->stats.bytes - m->stats.bytes >= END_ROOM + w->index.len;
}

static void set_mark(struct tape_writer *w)
{
	if (w->marks[1].stats.bytes && !far_enough(w, &w->marks[1]))
		return;
	w->marks[0] = w->marks[1];
	w->marks[1] = (struct mark){w->stats, w->seq, w->floor, w->last_ns, w->schema_at, w->index};
}

static int put_chunk(struct tape_writer *w, enum tape_block type, struct tape_build *b,
		     struct tape_chunk_head *h, struct tape_error *err)
{
	const void *type_head, *payload;
	size_t hdr_len, payload_len;
	uint64_t offset = w->stats.bytes;
	int rc;

	set_mark(w);
	h->lost = w->stats.lost;
	w->stats.raw_bytes += tape_build_bytes(b);
	rc = tape_build_encode(b, h, &type_head, &hdr_len, &payload, &payload_len, err);
	if (!rc)
		rc = put_block(w, type, 0, type_head, hdr_len, payload, payload_len, err);
	if (rc)
		return rc;
	tape_index_add(&w->index, type, offset, w->stats.bytes - offset, h, type_head, hdr_len);
	w->stats.n_chunks++;
	return 0;
}

static int flush_snapshot(struct tape_writer *w, struct tape_error *err)
{
	struct tape_chunk_head h = {.ts_floor = w->floor, .first_event = w->stats.n_events};
	uint32_t n = tape_build_count(w->snapshot);
	int rc;

	if (!n)
		return 0;
	rc = put_chunk(w, TAPE_BLOCK_SNAPSHOT, w->snapshot, &h, err);
	if (!rc)
		w->stats.n_snapshot += n;
	return rc;
}

static int flush_events(struct tape_writer *w, uint64_t floor_ns, struct tape_error *err)
{
	struct tape_chunk_head h = {.first_event = w->stats.n_events,
				    .n_stragglers = (uint32_t)w->n_stragglers_open};
	uint32_t n = tape_build_count(w->events);
	uint64_t last = tape_build_max_ts(w->events);
	int rc;

	if (!n)
		return 0;
	if (floor_ns < last)
		floor_ns = last;
	if (floor_ns < w->floor)
		floor_ns = w->floor;
	h.ts_floor = floor_ns;
	rc = put_chunk(w, TAPE_BLOCK_CHUNK, w->events, &h, err);
	if (rc)
		return rc;
	w->floor = floor_ns;
	if (h.ts_max > w->last_ns)
		w->last_ns = h.ts_max;
	w->stats.n_events += n;
	w->stats.n_stragglers += w->n_stragglers_open;
	w->n_stragglers_open = 0;
	if (w->stats.bytes - w->schema_at > REPEAT_SCHEMA)
		rc = put_schema(w, err);
	return rc;
}

int tape_writer_flush(struct tape_writer *w, uint64_t floor_ns, struct tape_error *err)
{
	int rc = flush_snapshot(w, err);

	return rc ? rc : flush_events(w, floor_ns, err);
}

static bool is_full(const struct tape_writer *w, const struct tape_build *b)
{
	return tape_build_count(b) >= w->chunk_events || tape_build_bytes(b) >= MAX_CHUNK_BYTES;
}

int tape_writer_event(struct tape_writer *w, const struct ev_head *e, struct tape_error *err)
{
	bool snapshot = e->type >= EV_SNAPSHOT_FIRST && e->type <= EV_SNAPSHOT_LAST;
	int rc = tape_build_add(snapshot ? w->snapshot : w->events, e, err);

	if (rc)
		return rc;
	w->n_added += !snapshot;
	if (snapshot && w->on_row)
		w->on_row(w->ctx, e);
	if (snapshot)
		return is_full(w, w->snapshot) ? flush_snapshot(w, err) : 0;
	w->n_stragglers_open += e->ts_ns < w->floor;
	return is_full(w, w->events) ? tape_writer_flush(w, 0, err) : 0;
}

uint64_t tape_writer_open_since(const struct tape_writer *w)
{
	return tape_build_first_ts(w->events);
}

/* ---- a full disk ---- */

/* Encoding empties it. */
static void forget_open(struct tape_build *b)
{
	struct tape_chunk_head h = {0};
	struct tape_error ignored;
	const void *head, *payload;
	size_t head_len, payload_len;

	if (tape_build_count(b))
		(void)tape_build_encode(b, &h, &head, &head_len, &payload, &payload_len, &ignored);
}

static bool go_back(struct tape_writer *w)
{
	bool older = w->marks[0].stats.bytes && !far_enough(w, &w->marks[1]);
	const struct mark *m = &w->marks[!older];

	if (!m->stats.bytes)
		return false;
	w->stats = m->stats;
	w->seq = m->seq;
	w->floor = m->floor;
	w->last_ns = m->last_ns;
	w->schema_at = m->schema_at;
	w->index.len = m->index.len;
	w->index.n = m->index.n;
	w->index.last_offset = m->index.last_offset;
	w->index.last_ts = m->index.last_ts;
	w->index.overflow = m->index.overflow;
	return true;
}

bool tape_writer_give_up(struct tape_writer *w, bool chunks, uint64_t *ret_events,
			 uint64_t *ret_last_ns)
{
	forget_open(w->snapshot);
	forget_open(w->events);
	w->n_stragglers_open = 0;
	if (chunks && !go_back(w))
		return false;
	*ret_events = w->n_added - w->stats.n_events;
	*ret_last_ns = w->last_ns;
	return true;
}

/* ---- blocks of another writer ---- */

static void unpack_head(const struct tape_block_view *b, struct tape_chunk_head *h)
{
	struct tape_in in = tape_in(b->type_head, b->h.hdr_len);

	h->ts_min = tape_in_u64(&in);
	h->ts_max = tape_in_u64(&in);
	h->ts_floor = tape_in_u64(&in);
	tape_in_u64(&in); /* first_event and lost: our own */
	tape_in_u64(&in);
	h->n_events = tape_in_u32(&in);
	h->n_stragglers = tape_in_u32(&in);
	h->n_records = tape_in_u16(&in);
	h->n_columns = tape_in_u16(&in);
	h->flags = tape_in_u32(&in);
}

static int take_chunk(struct tape_writer *w, const struct tape_block_view *b,
		      struct tape_error *err)
{
	bool snapshot = b->h.type == TAPE_BLOCK_SNAPSHOT;
	struct tape_chunk_head h = {.first_event = w->stats.n_events, .lost = w->stats.lost};
	uint64_t offset = w->stats.bytes;
	uint8_t *head = malloc(b->h.hdr_len);
	int rc;

	if (!head)
		return tape_fail(err, TAPE_E_NOMEM, offset, "no memory for a chunk");
	unpack_head(b, &h);
	if (snapshot)
		h.ts_floor = w->floor;
	else if (!w->stats.n_events)
		h.n_stragglers = 0; /* there was no promise before it */
	memcpy(head, b->type_head, b->h.hdr_len);
	tape_chunk_head_pack(&h, head);
	set_mark(w);
	rc = put_block(w, b->h.type, 0, head, b->h.hdr_len, b->payload, b->h.payload_len, err);
	if (!rc)
		tape_index_add(&w->index, b->h.type, offset, w->stats.bytes - offset, &h, head,
			       b->h.hdr_len);
	free(head);
	if (rc || snapshot)
		return rc;
	w->floor = h.ts_floor;
	w->last_ns = h.ts_max > w->last_ns ? h.ts_max : w->last_ns;
	w->n_added += h.n_events;
	w->stats.n_events += h.n_events;
	w->stats.n_stragglers += h.n_stragglers;
	w->stats.n_chunks++;
	return 0;
}

int tape_writer_take(struct tape_writer *w, const struct tape_block_view *b, struct tape_error *err)
{
	int rc = tape_writer_flush(w, 0, err);

	if (rc)
		return rc;
	switch (b->h.type) {
	case TAPE_BLOCK_CHUNK:
	case TAPE_BLOCK_SNAPSHOT: return take_chunk(w, b, err);
	case TAPE_BLOCK_LOSS:
		for (size_t at = 16; at < b->h.payload_len; at += TAPE_LOSS_LEN)
			w->stats.lost += tape_le(b->payload + at, 8);
		break;
	case TAPE_BLOCK_CLOCK: break;
	default: return 0;
	}
	return put_block(w, b->h.type, TAPE_BLOCK_ANCILLARY, b->type_head, b->h.hdr_len, b->payload,
			 b->h.payload_len, err);
}

/* ---- the end ---- */

static int put_index(struct tape_writer *w, uint64_t *ret_offset, struct tape_error *err)
{
	size_t len;
	void *payload = tape_index_payload(&w->index, &len);
	int rc;

	*ret_offset = 0;
	if (!payload || len > TAPE_MAX_PAYLOAD) {
		free(payload);
		return 0; /* readers walk the headers instead */
	}
	*ret_offset = w->stats.bytes;
	rc = put_block(w, TAPE_BLOCK_INDEX, TAPE_BLOCK_ANCILLARY, NULL, 0, payload, len, err);
	free(payload);
	return rc;
}

int tape_writer_close(struct tape_writer *w, uint64_t end_ns, struct tape_error *err)
{
	uint8_t head[TAPE_END_HEAD_LEN], tail[TAPE_TAIL_LEN];
	struct tape_out h = tape_out(head, sizeof(head)), t = tape_out(tail, sizeof(tail));
	uint64_t index_offset;
	int rc = tape_writer_flush(w, 0, err);

	if (!rc)
		rc = put_index(w, &index_offset, err);
	if (rc)
		return rc;
	tape_out_le(&h, index_offset, 8);
	tape_out_le(&h, w->stats.n_events, 8);
	tape_out_le(&h, w->stats.lost, 8);
	tape_out_le(&h, end_ns, 8);
	tape_out_le(&t, w->stats.bytes, 8);
	tape_out_bytes(&t, TAPE_TAIL_MAGIC, 8);
	return put_block(w, TAPE_BLOCK_END, TAPE_BLOCK_ANCILLARY, head, sizeof(head), tail,
			 sizeof(tail), err);
}

uint64_t tape_writer_offset(const struct tape_writer *w)
{
	return w->stats.bytes;
}

void tape_writer_stats(const struct tape_writer *w, struct tape_writer_stats *ret)
{
	*ret = w->stats;
	ret->n_events += tape_build_count(w->events);
	ret->n_snapshot += tape_build_count(w->snapshot);
}

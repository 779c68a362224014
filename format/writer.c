// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "writer.h"

#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "chunk.h"
#include "cursor.h"
#include "layout.h"
#include "rows.h"
#include "thread.h"

#define DEFAULT_CHUNK_EVENTS 65536u
#define MAX_CHUNK_BYTES (8u << 20)    /* of records; bounds the writer's memory */
#define MAX_SNAPSHOT_BYTES (1u << 20) /* the same for its second part, which is seldom used */

#define END_ROOM 8192 /* bytes for LOSS, META and END, when the disk is full */

struct counts {
	uint64_t n_snapshot, n_chunks, n_stragglers, raw_bytes;
	uint64_t last_ns; /* time of the last event written */
};

struct mark { /* what tape_writer_give_up goes back to; out.bytes 0: none */
	struct tape_blocks out;
	struct counts counts;
};

struct closed { /* a chunk to which nothing is added any more */
	struct tape_build *build;
	enum tape_block type;
	struct tape_chunk_head head; /* placed */
	const void *type_head, *payload;
	size_t type_head_len, payload_len, raw_bytes;
	int rc; /* of encoding */
	struct tape_error err;
};

struct tape_writer {
	struct tape_blocks out;
	struct counts counts;
	uint32_t chunk_events;
	size_t chunk_bytes;
	struct tape_build *events, *snapshot;
	struct tape_build *spare; /* the events of aside, while it is encoded; NULL: no aside */
	struct closed aside;
	struct tape_thread thread; /* is_on: it encodes aside */
	uint64_t n_stragglers_open;
	uint64_t floor_ns; /* of the last chunk, aside too */
	void (*on_row)(void *ctx, const struct ev_head *row);
	void *ctx;
	uint64_t n_added; /* events handed in */
	struct tape_absent absent;
	struct mark marks[2]; /* before a chunk; at least END_ROOM apart, the older first */
};

static int put_schema(struct tape_writer *w, const struct tape_writer_opts *o,
		      struct tape_error *err)
{
	char *text;
	size_t len;
	int rc;

	if (o->schema)
		return tape_blocks_schema(&w->out, o->schema, o->schema_len, err);
	rc = tape_schema_write(tape_schema_builtin(), o->groups, o->pointers, o->names, &text, &len,
			       err);
	if (rc)
		return rc;
	rc = tape_blocks_schema(&w->out, text, len, err);
	free(text);
	return rc;
}

int tape_writer_open(struct tape_writer **ret, int fd, const struct tape_writer_opts *opts,
		     struct tape_error *err)
{
	struct tape_writer *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return tape_fail(err, TAPE_E_NOMEM, 0, "no memory for a writer");
	tape_blocks_init(&w->out, fd, opts->file_id);
	w->out.put = opts->put;
	w->out.ctx = opts->ctx;
	w->on_row = opts->on_row;
	w->ctx = opts->ctx;
	w->chunk_events = opts->chunk_events ? opts->chunk_events : DEFAULT_CHUNK_EVENTS;
	w->chunk_bytes = opts->chunk_bytes ? opts->chunk_bytes : MAX_CHUNK_BYTES;
	if (w->chunk_events > TAPE_MAX_EVENTS)
		w->chunk_events = TAPE_MAX_EVENTS;
	rc = tape_build_new(&w->events, opts->pointers, opts->level, err);
	if (!rc && opts->aside)
		rc = tape_build_new(&w->spare, opts->pointers, opts->level, err);
	if (!rc)
		rc = tape_build_new(&w->snapshot, opts->pointers, opts->level, err);
	if (!rc)
		rc = tape_blocks_file(&w->out, opts->n_cpus, opts->start_ns,
				      opts->writer ? opts->writer : "", err);
	if (!rc)
		rc = put_schema(w, opts, err);
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
	tape_thread_join(&w->thread);
	tape_build_free(w->events);
	tape_build_free(w->spare);
	tape_build_free(w->snapshot);
	tape_blocks_fini(&w->out);
	free(w);
}

/* ---- metadata, clock, loss ---- */

int tape_writer_meta(struct tape_writer *w, const struct tape_meta *meta, size_t n,
		     struct tape_error *err)
{
	return tape_blocks_meta(&w->out, meta, n, err);
}

int tape_writer_clock(struct tape_writer *w, const struct tape_clock *clock, struct tape_error *err)
{
	return tape_blocks_clock(&w->out, clock, err);
}

int tape_writer_loss(struct tape_writer *w, const struct tape_loss *loss, size_t n,
		     struct tape_error *err)
{
	int rc = tape_writer_flush(w, 0, err);

	return rc ? rc : tape_blocks_loss(&w->out, loss, n, err);
}

/* ---- chunks ---- */

static bool far_enough(const struct tape_writer *w, const struct mark *m)
{
	return w->out.bytes - m->out.bytes >= END_ROOM + w->out.index.len;
}

static void set_mark(struct tape_writer *w)
{
	if (w->marks[1].out.bytes && !far_enough(w, &w->marks[1]))
		return;
	w->marks[0] = w->marks[1];
	w->marks[1] = (struct mark){w->out, w->counts};
}

/* Close what b holds; the caller has set ts_floor and n_stragglers. */
static void close_chunk(struct tape_writer *w, enum tape_block type, struct tape_build *b,
			struct closed *c)
{
	c->type = type;
	c->build = b;
	c->head.ts_max = tape_build_max_ts(b);
	tape_blocks_place(&w->out, type, &c->head);
	c->raw_bytes = tape_build_bytes(b);
}

/* On any thread. */
static void encode(void *chunk)
{
	struct closed *c = chunk;

	c->rc = tape_build_encode(c->build, &c->head, &c->type_head, &c->type_head_len, &c->payload,
				  &c->payload_len, &c->err);
}

static int put_chunk(struct tape_writer *w, const struct closed *c, struct tape_error *err)
{
	int rc = c->rc;

	if (rc) {
		*err = c->err;
		return rc;
	}
	set_mark(w);
	w->counts.raw_bytes += c->raw_bytes;
	rc = tape_blocks_chunk(&w->out, c->type, &c->head, c->type_head, c->type_head_len,
			       c->payload, c->payload_len, err);
	if (rc)
		return rc;
	w->counts.n_chunks++;
	w->counts.n_stragglers += c->head.n_stragglers;
	if (c->type == TAPE_BLOCK_SNAPSHOT)
		w->counts.n_snapshot += c->head.n_events;
	else if (c->head.ts_max > w->counts.last_ns)
		w->counts.last_ns = c->head.ts_max;
	return 0;
}

/* Write the chunk that is encoded aside. */
static int settle(struct tape_writer *w, struct tape_error *err)
{
	if (!w->thread.is_on)
		return 0;
	tape_thread_join(&w->thread);
	return put_chunk(w, &w->aside, err);
}

static int flush_snapshot(struct tape_writer *w, struct tape_error *err)
{
	struct closed c = {0};
	int rc = settle(w, err);

	if (rc || !tape_build_count(w->snapshot))
		return rc;
	close_chunk(w, TAPE_BLOCK_SNAPSHOT, w->snapshot, &c);
	encode(&c);
	return put_chunk(w, &c, err);
}

/* Snapshot and events; these may stay aside. */
static int close_open(struct tape_writer *w, uint64_t floor_ns, struct tape_error *err)
{
	struct closed *c = &w->aside;
	int rc = flush_snapshot(w, err);

	if (rc || !tape_build_count(w->events))
		return rc;
	*c = (struct closed){
		.head = {.ts_floor = floor_ns, .n_stragglers = (uint32_t)w->n_stragglers_open}};
	close_chunk(w, TAPE_BLOCK_CHUNK, w->events, c);
	w->floor_ns = c->head.ts_floor;
	w->n_stragglers_open = 0;
	if (w->spare && !tape_thread_start(&w->thread, encode, c)) {
		w->events = w->spare;
		w->spare = c->build;
		return 0;
	}
	encode(c);
	return put_chunk(w, c, err);
}

int tape_writer_flush(struct tape_writer *w, uint64_t floor_ns, struct tape_error *err)
{
	int rc = close_open(w, floor_ns, err);

	return rc ? rc : settle(w, err);
}

int tape_writer_absent(struct tape_writer *w, const struct tape_absent *a, struct tape_error *err)
{
	int rc = 0;

	if (!memcmp(&w->absent, a, sizeof(*a)))
		return 0;
	rc = tape_writer_flush(w, 0, err);
	w->absent = *a;
	tape_build_omit(w->events, a);
	if (w->spare)
		tape_build_omit(w->spare, a);
	tape_build_omit(w->snapshot, a);
	return rc;
}

/* Its events that are earlier than what was promised so far. */
static int count_stragglers(struct tape_writer *w, struct tape_chunk *c, uint32_t *ret,
			    struct tape_error *err)
{
	struct tape_column ts;
	int rc;

	*ret = 0;
	if (tape_chunk_is_snapshot(c) || tape_chunk_head(c)->ts_min >= w->out.floor_ns)
		return 0;
	rc = tape_chunk_column(c, TAPE_COMMON, TAPE_COMMON_TS, &ts, err);
	for (uint32_t i = 0; !rc && i < ts.n; i++)
		*ret += tape_column_get(&ts, i) < w->out.floor_ns;
	return rc;
}

int tape_writer_copy(struct tape_writer *w, struct tape_chunk *c, struct tape_error *err)
{
	struct tape_chunk_made made = {.head = *tape_chunk_head(c)};

	tape_chunk_stored(c, &made.type_head, &made.type_head_len, &made.payload,
			  &made.payload_len);
	return tape_writer_made(w, c, &made, err);
}

int tape_writer_made(struct tape_writer *w, struct tape_chunk *c,
		     const struct tape_chunk_made *made, struct tape_error *err)
{
	enum tape_block type = tape_chunk_is_snapshot(c) ? TAPE_BLOCK_SNAPSHOT : TAPE_BLOCK_CHUNK;
	struct tape_chunk_head h = made->head;
	uint8_t *copy;
	int rc = tape_writer_flush(w, 0, err);

	if (!rc)
		rc = count_stragglers(w, c, &h.n_stragglers, err);
	if (rc)
		return rc;
	copy = malloc(made->type_head_len);
	if (!copy)
		return tape_fail(err, TAPE_E_NOMEM, w->out.bytes, "no memory for a chunk");
	memcpy(copy, made->type_head, made->type_head_len);
	tape_blocks_place(&w->out, type, &h);
	tape_chunk_head_pack(&h, copy);
	rc = tape_blocks_chunk(&w->out, type, &h, copy, made->type_head_len, made->payload,
			       made->payload_len, err);
	free(copy);
	if (rc)
		return rc;
	w->floor_ns = w->out.floor_ns;
	w->counts.n_chunks++;
	w->counts.n_stragglers += h.n_stragglers;
	if (type == TAPE_BLOCK_SNAPSHOT)
		w->counts.n_snapshot += h.n_events;
	else
		w->n_added += h.n_events;
	return 0;
}

static size_t max_bytes(const struct tape_writer *w, const struct tape_build *b)
{
	return b == w->snapshot && w->chunk_bytes > MAX_SNAPSHOT_BYTES ? MAX_SNAPSHOT_BYTES
								       : w->chunk_bytes;
}

/* Something was added to b: close it if it is full. */
static int close_full(struct tape_writer *w, const struct tape_build *b, struct tape_error *err)
{
	if (tape_build_count(b) < w->chunk_events && tape_build_bytes(b) < max_bytes(w, b))
		return 0;
	return b == w->snapshot ? flush_snapshot(w, err) : close_open(w, 0, err);
}

int tape_writer_event(struct tape_writer *w, const struct ev_head *e, struct tape_error *err)
{
	bool snapshot = e->type >= EV_SNAPSHOT_FIRST && e->type <= EV_SNAPSHOT_LAST;
	struct tape_build *b = snapshot ? w->snapshot : w->events;
	int rc = tape_build_add(b, e, err);

	if (rc)
		return rc;
	if (snapshot && w->on_row)
		w->on_row(w->ctx, e);
	w->n_added += !snapshot;
	w->n_stragglers_open += !snapshot && e->ts_ns < w->floor_ns;
	return close_full(w, b, err);
}

int tape_writer_rows(struct tape_writer *w, struct tape_rows *rows, uint64_t until_ns,
		     struct tape_error *err)
{
	bool snapshot = tape_rows_is_snapshot(rows);
	struct tape_move m;
	int rc;

	do { /* the build is another one after each chunk */
		struct tape_build *b = snapshot ? w->snapshot : w->events;

		m = (struct tape_move){.until_ns = until_ns,
				       .floor_ns = snapshot ? 0 : w->floor_ns,
				       .max_events = w->chunk_events,
				       .max_bytes = max_bytes(w, b)};
		rc = tape_rows_move(rows, b, &m, err);
		w->n_stragglers_open += m.n_stragglers;
		if (!rc)
			rc = close_full(w, b, err);
		w->n_added += snapshot ? 0 : m.n_moved;
	} while (!rc && m.n_moved);
	return rc;
}

size_t tape_writer_open_bytes(const struct tape_writer *w)
{
	return tape_build_bytes(w->events);
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
	bool older = w->marks[0].out.bytes && !far_enough(w, &w->marks[1]);
	const struct mark *m = &w->marks[!older];

	if (!m->out.bytes)
		return false;
	tape_blocks_restore(&w->out, &m->out);
	w->counts = m->counts;
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
	w->floor_ns = w->out.floor_ns;
	*ret_events = w->n_added - w->out.n_events;
	*ret_last_ns = w->counts.last_ns;
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
	struct tape_chunk_head h;
	uint8_t *head = malloc(b->h.hdr_len);
	int rc;

	if (!head)
		return tape_fail(err, TAPE_E_NOMEM, w->out.bytes, "no memory for a chunk");
	unpack_head(b, &h);
	if (!w->out.n_events)
		h.n_stragglers = 0; /* there was no promise before it */
	tape_blocks_place(&w->out, b->h.type, &h);
	memcpy(head, b->type_head, b->h.hdr_len);
	tape_chunk_head_pack(&h, head);
	rc = tape_blocks_chunk(&w->out, b->h.type, &h, head, b->h.hdr_len, b->payload,
			       b->h.payload_len, err);
	free(head);
	if (rc)
		return rc;
	w->floor_ns = w->out.floor_ns;
	w->counts.n_chunks++;
	w->counts.n_stragglers += h.n_stragglers;
	if (b->h.type == TAPE_BLOCK_SNAPSHOT)
		w->counts.n_snapshot += h.n_events;
	else
		w->n_added += h.n_events;
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
			w->out.lost += tape_le(b->payload + at, 8);
		break;
	case TAPE_BLOCK_CLOCK: break;
	default: return 0;
	}
	return tape_blocks_put(&w->out, b->h.type, TAPE_BLOCK_ANCILLARY, b->type_head, b->h.hdr_len,
			       b->payload, b->h.payload_len, err);
}

/* ---- the end ---- */

int tape_writer_close(struct tape_writer *w, uint64_t end_ns, struct tape_error *err)
{
	int rc = tape_writer_flush(w, 0, err);

	return rc ? rc : tape_blocks_end(&w->out, end_ns, err);
}

uint64_t tape_writer_offset(const struct tape_writer *w)
{
	return w->out.bytes;
}

void tape_writer_stats(const struct tape_writer *w, struct tape_writer_stats *ret)
{
	*ret = (struct tape_writer_stats){
		.n_events = w->out.n_events + tape_build_count(w->events),
		.n_snapshot = w->counts.n_snapshot + tape_build_count(w->snapshot),
		.n_chunks = w->counts.n_chunks,
		.n_stragglers = w->counts.n_stragglers,
		.lost = w->out.lost,
		.bytes = w->out.bytes,
		.raw_bytes = w->counts.raw_bytes,
	};
}

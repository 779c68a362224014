// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "layout.h"
#include "reader_parts.h"

/* ---- small helpers ---- */

static int no_memory(struct tape_error *err)
{
	return tape_fail(err, TAPE_E_NOMEM, 0, "no memory to read a trace");
}

/* ---- steps ---- */

struct target { /* where the next chunk goes */
	struct tape_chunk *chunk;
	tape_wants_fn *wants; /* NULL: whole */
	void *ctx;
};

static bool is_chunk(const struct tape_block_head *h)
{
	return h->type == TAPE_BLOCK_CHUNK || h->type == TAPE_BLOCK_SNAPSHOT;
}

/* A chunk that this version can read. */
static bool known_chunk(const struct tape_reader *r, const struct tape_block_view *v)
{
	return is_chunk(&v->h) && r->facts.any && !(v->h.flags & ~TAPE_BLOCK_KNOWN_FLAGS);
}

static int parse(struct tape_reader *r, const struct tape_block_view *v, struct tape_chunk *chunk,
		 struct tape_error *err)
{
	return tape_chunk_parse(chunk, r->facts.schema, v->h.type == TAPE_BLOCK_SNAPSHOT,
				v->type_head, v->h.hdr_len, v->payload, v->h.payload_len, v->offset,
				err);
}

static void check_seq(struct tape_reader *r, const struct tape_block_view *v)
{
	char text[128];

	if (r->facts.any && !r->jumped && v->h.seq != r->next_seq) {
		snprintf(text, sizeof(text), "blocks are missing: number %u follows %u", v->h.seq,
			 r->next_seq - 1);
		tape_walk_note(r, v->offset, 0, text);
	}
	r->next_seq = v->h.seq + 1;
	r->jumped = false;
}

static bool in_window(const struct tape_reader *r, const struct tape_block_view *v)
{
	struct tape_in in = tape_in(v->type_head, v->h.hdr_len);
	uint64_t ts_min = tape_in_u64(&in), ts_max = tape_in_u64(&in);

	return v->h.type == TAPE_BLOCK_SNAPSHOT || in.bad ||
	       (ts_max >= r->from_ns && ts_min <= r->to_ns);
}

/* Parse the chunk in view; damage inside it is noted and the chunk left out: 1 ready, 0 left out.
 */
static int take_chunk(struct tape_reader *r, const struct tape_block_view *v,
		      struct tape_chunk *chunk, struct tape_error *err)
{
	struct tape_error inner;
	int rc = parse(r, v, chunk, &inner);

	if (!rc) {
		if (r->facts.end.lost < tape_chunk_head(chunk)->lost)
			r->facts.end.lost = tape_chunk_head(chunk)->lost;
		return 1;
	}
	if (rc == TAPE_E_NOMEM)
		return tape_fail(err, rc, v->offset, "%s", inner.text);
	tape_walk_note(r, v->offset, tape_block_len(&v->h), inner.text);
	return 0;
}

/* May the payload be left where it is? Whatever cannot be decided is read. */
static bool wants_payload(struct tape_reader *r, const struct tape_block_view *v,
			  const struct target *to)
{
	if (!is_chunk(&v->h))
		return true;
	if (!in_window(r, v) || r->header_only)
		return false;
	return !to->wants || !r->src.seekable || !known_chunk(r, v) ||
	       parse(r, v, to->chunk, NULL) || to->wants(to->ctx, to->chunk);
}

/* Deal with a block that is no chunk. One that a reader can do without is noted if it is bad. */
static int take_fact(struct tape_reader *r, const struct tape_block_view *v, struct tape_error *err)
{
	struct tape_error inner;
	int rc = tape_facts_block(&r->facts, v, &inner);

	if (rc && rc != TAPE_E_NOMEM && r->facts.any && v->h.flags & TAPE_BLOCK_ANCILLARY) {
		tape_walk_note(r, v->offset, tape_block_len(&v->h), inner.text);
		return 0;
	}
	return rc ? tape_fail(err, rc, inner.offset, "%s", inner.text) : 0;
}

/* All but the padding, as view_payload wants it. */
static bool whole_in_file(const struct tape_reader *r, const struct tape_block_view *v)
{
	return !r->src.seekable ||
	       v->offset + TAPE_BLOCK_HEAD_LEN + v->h.hdr_len + v->h.payload_len <= r->src.size;
}

/* The data ended; 2, for step. */
static int at_end(struct tape_reader *r)
{
	r->facts.ended = true;
	return 2;
}

static void note_trailing(struct tape_reader *r, const struct tape_block_view *v)
{
	uint64_t end = v->offset + tape_block_len(&v->h);

	if (r->src.seekable && r->src.size > end)
		tape_walk_note(r, end, r->src.size - end, "data after the end of the trace");
}

/* Deal with one block: 1 a chunk is ready (r->pending still to be passed over), 0 go on, 2 the end.
 */
static int step(struct tape_reader *r, const struct target *to, struct tape_error *err)
{
	bool want_payload;
	struct tape_block_view v;
	int rc = tape_walk_head(r, &v, err);

	if (rc <= 0)
		return rc ? rc : at_end(r);
	check_seq(r, &v);
	want_payload = wants_payload(r, &v, to);
	if (!want_payload && !whole_in_file(r, &v)) {
		r->facts.end.truncated = true;
		return at_end(r);
	}
	rc = want_payload ? tape_walk_payload(r, &v, err) : 1;
	if (rc <= 0)
		return rc ? rc : at_end(r);
	r->pending = tape_block_len(&v.h);
	if (rc == 2 && !r->facts.any)
		return tape_fail(err, TAPE_E_CORRUPT, 0, "the first block of the file is damaged");
	if (rc == 2 || (is_chunk(&v.h) && !in_window(r, &v)))
		return 0;
	if (known_chunk(r, &v))
		return take_chunk(r, &v, to->chunk, err);
	rc = take_fact(r, &v, err);
	if (!rc && r->facts.ended)
		note_trailing(r, &v);
	return rc ? rc : r->facts.ended ? 2 : 0;
}

/* Pass over the block that was dealt with last. */
static int pass(struct tape_reader *r, struct tape_error *err)
{
	uint64_t after = r->src.pos + r->pending;
	int rc = tape_source_skip(&r->src, r->pending, err);

	r->pending = 0;
	if (r->src.pos < after || (r->src.seekable && r->src.size < after)) {
		r->facts.end.truncated = true; /* a pipe ended in it, or its padding is missing */
		r->facts.end.truncated_at = r->src.seekable ? r->src.size : r->src.pos;
	}
	return rc;
}

/* ---- the index ---- */

/* Find END by the tail and INDEX by END; without them, or if they are damaged, there is no index.
 */
static void load_index(struct tape_reader *r)
{
	struct tape_source *s = &r->src;
	uint64_t back = s->pos, at;
	size_t got, n_damage = r->n_damage;
	bool truncated = r->facts.end.truncated, jumped = r->jumped;
	struct tape_block_view v;
	const uint8_t *p;

	r->index_tried = true;
	if (!s->seekable || s->size < TAPE_TAIL_LEN)
		return;
	tape_source_seek(s, s->size - TAPE_TAIL_LEN);
	if (!tape_source_peek(s, TAPE_TAIL_LEN, &p, &got, NULL) && got >= TAPE_TAIL_LEN &&
	    !memcmp(p + 8, TAPE_TAIL_MAGIC, 8)) {
		at = tape_le(p, 8);
		tape_source_seek(s, at < s->size ? at : s->size);
		if (tape_walk_head(r, &v, NULL) == 1 && v.h.type == TAPE_BLOCK_END &&
		    v.h.hdr_len >= TAPE_END_HEAD_LEN) {
			at = tape_le(v.type_head, 8);
			tape_source_seek(s, at && at < s->size ? at : s->size);
			if (tape_walk_head(r, &v, NULL) == 1 && v.h.type == TAPE_BLOCK_INDEX &&
			    tape_walk_payload(r, &v, NULL) == 1)
				r->index = tape_index_parse(v.payload, v.h.payload_len, v.offset,
							    &r->n_index);
		}
	}
	r->n_damage = n_damage; /* reading on will find it again, where it is */
	r->facts.end.truncated = truncated;
	r->jumped = jumped;
	tape_source_seek(s, back);
}

/*
 * Go on at the end of the block before the next wanted one, so that what stands between two chunks
 * (clock, loss) is read too.
 */
static void jump(struct tape_reader *r)
{
	size_t i = r->next_index;
	uint64_t before;

	while (i < r->n_index &&
	       (r->index[i].offset < r->src.pos ||
		(r->index[i].type != TAPE_BLOCK_SNAPSHOT &&
		 (r->index[i].ts_max < r->from_ns || r->index[i].ts_min > r->to_ns))))
		i++;
	r->next_index = i;
	if (!i)
		return;
	before = r->index[i - 1].offset + r->index[i - 1].len;
	if (before > r->src.pos) {
		tape_source_seek(&r->src, before);
		r->jumped = true;
	}
}

/* ---- the interface ---- */

static struct tape_seen seen_now(const struct tape_reader *r)
{
	struct tape_seen seen = {r->facts.meta.n, r->facts.clocks.n, r->facts.losses.n, r->n_damage,
				 r->facts.end};

	if (seen.end.truncated && !seen.end.truncated_at)
		seen.end.truncated_at = r->src.pos;
	return seen;
}

/* Read up to the first chunk: everything that describes the trace. */
static int read_front(struct tape_reader *r, struct tape_error *err)
{
	struct tape_block_view v;
	int rc;

	for (;;) {
		rc = pass(r, err);
		if (rc)
			return rc;
		if (r->facts.schema && r->facts.clocks.n && !r->src.seekable)
			return 0; /* a pipe must not be waited for */
		rc = tape_walk_head(r, &v, err);
		if (rc < 0)
			return rc;
		if (!rc && !r->facts.any)
			return tape_fail(err, TAPE_E_NOT_TAPE, 0,
					 "the file is empty, or too short for a trace");
		if (!rc)
			at_end(r);
		if (!rc || (r->facts.any && is_chunk(&v.h)))
			break;
		rc = step(r, &(struct target){.chunk = r->chunk}, err);
		if (rc < 0)
			return rc;
		if (rc == 2)
			break;
	}
	if (!r->facts.schema)
		return tape_fail(err, TAPE_E_TRUNCATED, r->src.pos,
				 "the trace ends, or is damaged, before its schema");
	return 0;
}

static int open_reader(struct tape_reader **ret, const char *path, bool by_block,
		       struct tape_error *err)
{
	struct tape_reader *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return no_memory(err);
	r->by_block = by_block;
	r->to_ns = UINT64_MAX;
	r->src.fd = -1;
	rc = tape_source_open(&r->src, path, err);
	if (!rc)
		rc = tape_chunk_new(&r->chunk, err);
	if (!rc && !by_block)
		rc = read_front(r, err);
	if (rc) {
		tape_reader_close(r);
		return rc;
	}
	tape_reader_show(r, NULL);
	*ret = r;
	return 0;
}

int tape_reader_open(struct tape_reader **ret, const char *path, struct tape_error *err)
{
	return open_reader(ret, path, false, err);
}

void tape_reader_close(struct tape_reader *r)
{
	if (!r)
		return;
	tape_facts_fini(&r->facts);
	free(r->index);
	tape_chunk_free(r->chunk);
	tape_source_fini(&r->src);
	free(r);
}

const struct tape_file_info *tape_reader_info(const struct tape_reader *r)
{
	return &r->facts.info;
}

const struct tape_schema *tape_reader_schema(const struct tape_reader *r)
{
	return r->facts.schema;
}

const char *tape_reader_schema_text(const struct tape_reader *r, size_t *ret_len)
{
	*ret_len = r->facts.schema_len;
	return r->facts.schema_text;
}

bool tape_reader_seekable(const struct tape_reader *r)
{
	return r->src.seekable;
}

const struct tape_meta *tape_reader_meta(const struct tape_reader *r, size_t *n)
{
	*n = r->seen.n_meta;
	return r->facts.meta.p;
}

const struct tape_clock *tape_reader_clocks(const struct tape_reader *r, size_t *n)
{
	*n = r->seen.n_clocks;
	return r->facts.clocks.p;
}

const struct tape_loss *tape_reader_losses(const struct tape_reader *r, size_t *n)
{
	*n = r->seen.n_losses;
	return r->facts.losses.p;
}

const struct tape_damage *tape_reader_damage(const struct tape_reader *r, size_t *n)
{
	*n = r->seen.n_damage;
	return r->damage;
}

void tape_reader_end(const struct tape_reader *r, struct tape_end *ret)
{
	*ret = r->seen.end;
}

void tape_reader_window(struct tape_reader *r, uint64_t from_ns, uint64_t to_ns)
{
	r->from_ns = from_ns;
	r->to_ns = to_ns;
	if (!r->index_tried)
		load_index(r);
}

/* Go on to the next chunk: 1, 0 at the end, or negative. */
static int next(struct tape_reader *r, const struct target *to, struct tape_error *err)
{
	for (;;) {
		int rc = pass(r, err);

		if (rc)
			return rc;
		if (r->facts.ended)
			return 0;
		jump(r);
		rc = step(r, to, err);
		if (rc < 0)
			r->facts.ended = true; /* nothing is read behind an error */
		if (rc)
			return rc == 2 ? 0 : rc;
	}
}

int tape_reader_next(struct tape_reader *r, struct tape_chunk **ret, struct tape_error *err)
{
	int rc;

	r->header_only = false;
	rc = next(r, &(struct target){.chunk = r->chunk}, err);
	tape_reader_show(r, NULL);
	*ret = r->chunk;
	return rc;
}

int tape_reader_next_header(struct tape_reader *r, struct tape_chunk **ret, struct tape_error *err)
{
	int rc;

	r->header_only = r->src.seekable;
	rc = next(r, &(struct target){.chunk = r->chunk}, err);
	tape_reader_show(r, NULL);
	*ret = r->chunk;
	return rc;
}

int tape_reader_fetch(struct tape_reader *r, struct tape_fetch *f, tape_wants_fn *wants, void *ctx,
		      struct tape_error *err)
{
	size_t len;
	int rc;

	r->header_only = false;
	rc = next(r, &(struct target){f->chunk, wants, ctx}, err);
	if (rc != 1)
		return rc;
	f->seen = seen_now(r);
	f->has_payload = tape_chunk_has_payload(f->chunk);
	if (!f->has_payload)
		return 1;
	len = r->pending < r->src.len ? (size_t)r->pending : r->src.len;
	rc = tape_source_take(&r->src, len, &f->buf, err);
	r->pending -= len;
	return rc ? rc : 1;
}

void tape_reader_show(struct tape_reader *r, const struct tape_seen *seen)
{
	r->seen = seen ? *seen : seen_now(r);
}

const struct tape_index_entry *tape_reader_index(struct tape_reader *r, size_t *n)
{
	if (!r->index_tried)
		load_index(r);
	*n = r->n_index;
	return r->index;
}

int tape_reader_rewind(struct tape_reader *r, struct tape_error *err)
{
	int rc;

	tape_facts_reset(&r->facts);
	r->n_damage = 0;
	r->resync_hashed = r->resync_passed = 0;
	tape_source_seek(&r->src, 0);
	r->pending = r->next_seq = 0;
	r->next_index = 0;
	r->jumped = false;
	rc = r->by_block ? 0 : read_front(r, err);
	tape_reader_show(r, NULL);
	return rc;
}

void tape_reader_stats(const struct tape_reader *r, struct tape_reader_stats *ret)
{
	*ret = (struct tape_reader_stats){
		.bytes = r->src.n_read, .n_heads = r->n_heads, .n_payloads = r->n_payloads};
}

/* ---- block by block ---- */

int tape_reader_open_blocks(struct tape_reader **ret, const char *path, struct tape_error *err)
{
	return open_reader(ret, path, true, err);
}

static int next_block(struct tape_reader *r, struct tape_block_view *ret, struct tape_error *err)
{
	int rc = pass(r, err);

	if (!rc)
		rc = r->facts.ended ? 0 : tape_walk_head(r, ret, err);
	if (rc <= 0)
		return rc;
	check_seq(r, ret);
	if (!r->facts.any) { /* the blocks that go with the first one are the file */
		r->facts.any = true;
		r->facts.info.file_id = ret->h.file_id;
	}
	rc = tape_walk_payload(r, ret, err);
	if (rc < 0)
		return rc;
	r->pending = tape_block_len(&ret->h);
	if (rc != 1)
		ret->payload = NULL;
	else if (ret->h.type == TAPE_BLOCK_END && !(ret->h.flags & ~TAPE_BLOCK_KNOWN_FLAGS)) {
		r->facts.ended = true;
		note_trailing(r, ret);
	}
	return 1;
}

int tape_reader_next_block(struct tape_reader *r, struct tape_block_view *ret,
			   struct tape_error *err)
{
	int rc = next_block(r, ret, err);

	tape_reader_show(r, NULL);
	return rc;
}

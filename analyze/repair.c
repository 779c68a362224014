// SPDX-License-Identifier: GPL-2.0-or-later
#include "repair.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cursor.h"
#include "layout.h"
#include "repair_chunk.h"

/* META lines at the end; room for them is set aside before any of the trace is taken. */
#define MAX_LINES (REPAIR_MAX_FINDS + 4)
#define MAX_LINE 800

static int failed(struct repair *r, const struct tape_error *err)
{
	return fail_tape(r->fail, r->path, err);
}

/* What writing returned. */
static int written(struct repair *r, int rc, const struct tape_error *err)
{
	if (!rc)
		return 0;
	return fail_set(r->fail, STATUS_FOUND, "writing %s: %s", r->file->path,
			err->code == TAPE_E_IO ? strerror(err->sys_errno) : err->text);
}

static void found(struct repair *r, uint64_t offset, uint64_t bytes, const char *text)
{
	struct repair_find *f;

	if (r->n_finds++ >= REPAIR_MAX_FINDS)
		return;
	f = &r->finds[r->n_finds - 1];
	f->offset = offset;
	f->bytes = bytes;
	snprintf(f->text, sizeof(f->text), "%s", text);
}

/* What the reader passed over since the call before. */
static void take_damage(struct repair *r)
{
	size_t n;
	const struct tape_damage *d = tape_reader_damage(r->in, &n);

	for (; r->n_damage < n; r->n_damage++)
		found(r, d[r->n_damage].offset, d[r->n_damage].bytes, d[r->n_damage].text);
}

static bool is_known(const struct tape_block_view *v)
{
	return v->h.type >= TAPE_BLOCK_FILE && v->h.type <= TAPE_BLOCK_END &&
	       v->h.type != TAPE_BLOCK_MARK && !(v->h.flags & ~TAPE_BLOCK_KNOWN_FLAGS);
}

static bool is_snapshot(const struct tape_block_view *v)
{
	return v->h.type == TAPE_BLOCK_SNAPSHOT;
}

static bool is_chunk(const struct tape_block_view *v)
{
	return v->h.type == TAPE_BLOCK_CHUNK || is_snapshot(v);
}

/* ---- the front: FILE and SCHEMA, wherever a good one is ---- */

static uint8_t *copy_of(const void *p, size_t len)
{
	uint8_t *copy = malloc(len + 1);

	if (copy && len)
		memcpy(copy, p, len);
	return copy;
}

/* Its type header is good in any case; a damaged name is left away. */
static int keep_file(struct repair *r, struct tape_block_view *v)
{
	struct tape_error err;

	if (!v->payload) {
		v->payload = (const uint8_t *)"";
		v->h.payload_len = 0;
	}
	if (tape_facts_block(&r->facts, v, &err))
		return failed(r, &err);
	r->file_head = copy_of(v->type_head, v->h.hdr_len);
	r->file_name = copy_of(v->payload, v->h.payload_len);
	r->file_head_len = v->h.hdr_len;
	r->file_name_len = v->h.payload_len;
	r->start_ns = r->facts.info.start_ns;
	return r->file_head && r->file_name ? 0 : fail_nomem(r->fail);
}

/* A damaged one is no error: it may be repeated. */
static int keep_schema(struct repair *r, const struct tape_block_view *v)
{
	bool had_file = r->facts.any;
	struct tape_error err;
	int rc;

	r->facts.any = true; /* else it takes nothing */
	rc = tape_facts_block(&r->facts, v, &err);
	r->facts.any = had_file;
	if (rc == TAPE_E_NOMEM)
		return failed(r, &err);
	if (rc || !r->facts.schema)
		return 0;
	r->schema = copy_of(v->payload, v->h.payload_len);
	r->schema_len = v->h.payload_len;
	r->schema_flags = v->h.flags & TAPE_BLOCK_ZSTD;
	return r->schema ? 0 : fail_nomem(r->fail);
}

static int front_block(struct repair *r, struct tape_block_view *v)
{
	if (v->h.type == TAPE_BLOCK_FILE && !r->facts.any && is_known(v))
		return keep_file(r, v);
	/* without FILE, the first time that is told is that of the start */
	if (!r->start_ns && v->h.hdr_len >= 8 && (v->h.type == TAPE_BLOCK_CLOCK || is_chunk(v)))
		r->start_ns = tape_le(v->type_head, 8);
	if (v->h.type == TAPE_BLOCK_SCHEMA && v->payload && !r->facts.schema && is_known(v))
		return keep_schema(r, v);
	return 0;
}

static int find_front(struct repair *r)
{
	struct tape_block_view v;
	struct tape_error err;
	bool any = false;
	int rc;

	while ((rc = tape_reader_next_block(r->in, &v, &err)) == 1) {
		any = true;
		if (front_block(r, &v))
			return -1;
		if (r->facts.schema && (r->facts.any || r->start_ns))
			break;
	}
	if (rc < 0)
		return failed(r, &err);
	if (!any)
		return fail_set(r->fail, STATUS_FOUND,
				"%s: not a tcptape trace, or nothing is left of it", r->path);
	if (!r->facts.schema)
		return fail_set(
			r->fail, STATUS_FOUND,
			"%s: no schema is left of it, without which its columns mean nothing",
			r->path);
	r->file_id = v.h.file_id;
	if (tape_reader_rewind(r->in, &err))
		return failed(r, &err);
	return 0;
}

static int put_file(struct repair *r, struct tape_error *err)
{
	if (r->file_head)
		return tape_blocks_put(&r->out, TAPE_BLOCK_FILE, 0, r->file_head, r->file_head_len,
				       r->file_name, r->file_name_len, err);
	return tape_blocks_file(&r->out, 0, r->start_ns, "", err);
}

static int put_front(struct repair *r)
{
	const char *slash = strrchr(r->path, '/');
	char id[32];
	struct tape_meta meta[] = {
		{"repair.by", "tcptape " TCPTAPE_VERSION},
		{"repair.of", slash ? slash + 1 : r->path},
		{"repair.file_id", id},
	};
	struct tape_error err;
	int rc;

	snprintf(id, sizeof(id), "%016" PRIx64, r->file_id);
	rc = put_file(r, &err);
	if (!rc)
		rc = tape_blocks_schema_as_is(&r->out, r->schema_flags, r->schema, r->schema_len,
					      &err);
	if (!rc)
		rc = tape_blocks_meta(&r->out, meta, sizeof(meta) / sizeof(meta[0]), &err);
	return written(r, rc, &err);
}

/* META has ceilings, and our last lines come behind those of the trace: they take their room first.
 */
static int reserve(struct repair *r)
{
	char text[MAX_LINES * MAX_LINE];
	struct tape_block_view v = {.h = {.type = TAPE_BLOCK_META, .payload_len = sizeof(text)},
				    .payload = (const uint8_t *)text};
	struct tape_error err;

	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < MAX_LINES; i++) {
		text[i * MAX_LINE] = '\t';
		text[(i + 1) * MAX_LINE - 1] = '\n';
	}
	tape_facts_reset(&r->facts);
	r->facts.any = true;
	return tape_facts_block(&r->facts, &v, &err) ? failed(r, &err) : 0;
}

/* ---- loss ---- */

static int put_loss(struct repair *r, uint64_t to_ns, uint64_t count, unsigned reason)
{
	struct tape_loss loss = {.from_ns = r->out.floor_ns ? r->out.floor_ns : r->start_ns,
				 .to_ns = to_ns,
				 .count = count,
				 .cpu = TAPE_CPU_UNKNOWN,
				 .reason = (uint8_t)reason};
	struct tape_error err;

	if (!count || r->out.lost == UINT64_MAX)
		return 0;
	if (loss.to_ns < loss.from_ns)
		loss.to_ns = loss.from_ns;
	return written(r, tape_blocks_loss(&r->out, &loss, 1, &err), &err);
}

/*
 * `upto` events stand before this place in the damaged trace, and `lost` were lost when it was
 * recorded: tell what is missing of the former, and what no record tells of the latter.
 */
static int tell_missing(struct repair *r, uint64_t upto, uint64_t lost, uint64_t to_ns)
{
	uint64_t n = upto > r->at ? upto - r->at : 0, untold = lost > r->lost ? lost - r->lost : 0;

	r->at += n;
	r->n_missing += n;
	r->lost += untold;
	if (put_loss(r, to_ns, n, TAPE_LOSS_DAMAGED))
		return -1;
	return put_loss(r, to_ns, untold, TAPE_LOSS_UNTOLD);
}

/* ---- blocks ---- */

/* What META, CLOCK or LOSS adds must be possible: times run on, counts have a sum. */
static const char *is_impossible(const struct repair *r, const struct tape_block_view *v,
				 size_t n_losses)
{
	const struct tape_loss *l = r->facts.losses.p;
	uint64_t sum = r->out.lost;

	if (v->h.type == TAPE_BLOCK_CLOCK && tape_le(v->type_head, 8) < r->last_mono_ns)
		return "a reading of the clocks is earlier than the one before";
	for (size_t i = n_losses; i < r->facts.losses.n; i++) {
		if (l[i].from_ns > l[i].to_ns || l[i].count > UINT64_MAX - sum)
			return "a record of loss that cannot be";
		sum += l[i].count;
	}
	return NULL;
}

static void count_fact(struct repair *r, const struct tape_block_view *v, size_t n_losses)
{
	const struct tape_loss *l = r->facts.losses.p;

	if (v->h.type == TAPE_BLOCK_CLOCK)
		r->last_mono_ns = tape_le(v->type_head, 8);
	for (size_t i = n_losses; i < r->facts.losses.n; i++) {
		r->lost += l[i].count;
		r->out.lost += l[i].count;
	}
}

/* META, CLOCK, LOSS, as they are; and blocks that only a newer version knows. */
static int take_fact(struct repair *r, const struct tape_block_view *v)
{
	unsigned flags = v->h.flags;
	size_t n_losses = r->facts.losses.n;
	struct tape_error err;
	int rc = tape_facts_block(&r->facts, v, &err);
	const char *why = rc ? err.text : NULL;

	if (rc == TAPE_E_NOMEM || rc == TAPE_E_VERSION)
		return failed(r, &err);
	if (!why && is_known(v))
		why = is_impossible(r, v, n_losses);
	if (why) {
		r->facts.losses.n = n_losses;
		found(r, v->offset, tape_block_len(&v->h), why);
		return 0;
	}
	if (is_known(v)) {
		count_fact(r, v, n_losses);
		flags = TAPE_BLOCK_ANCILLARY;
		if (v->h.type == TAPE_BLOCK_META)
			flags |= v->h.flags & TAPE_BLOCK_ZSTD;
	}
	return written(r,
		       tape_blocks_put(&r->out, v->h.type, flags, v->type_head, v->h.hdr_len,
				       v->payload, v->h.payload_len, &err),
		       &err);
}

/* The header of a chunk is good even where the rest is not. */
static void know(struct repair *r, const struct tape_chunk_head *h, bool snapshot)
{
	uint64_t n = snapshot ? 0 : h->n_events;

	if (h->first_event <= UINT64_MAX - n && h->first_event + n > r->known)
		r->known = h->first_event + n;
	if (h->lost > r->told_lost)
		r->told_lost = h->lost;
	if (!snapshot && h->ts_max > r->known_ns)
		r->known_ns = h->ts_max;
}

static int put_chunk(struct repair *r, const struct tape_block_view *v, struct repair_chunk *c)
{
	uint64_t first = c->h.first_event;
	struct tape_error err;

	if (r->is_ring && !is_snapshot(v) && !r->n_chunks) {
		r->at = first;
		r->lost = c->h.lost;
	}
	if (!is_snapshot(v) &&
	    tell_missing(r, first, c->h.lost, c->h.n_stragglers ? c->h.ts_max : c->h.ts_min))
		return -1;
	c->h.n_stragglers = is_snapshot(v) ? 0 : repair_chunk_stragglers(c, r->out.floor_ns);
	tape_blocks_place(&r->out, v->h.type, &c->h);
	tape_chunk_head_pack(&c->h, c->head);
	if (written(r,
		    tape_blocks_chunk(&r->out, v->h.type, &c->h, c->head, c->head_len, v->payload,
				      v->h.payload_len, &err),
		    &err))
		return -1;
	if (is_snapshot(v)) {
		r->n_snapshots++;
		return 0;
	}
	r->n_chunks++;
	if (c->h.ts_max > r->known_ns) /* its header may have told less */
		r->known_ns = c->h.ts_max;
	if (first <= UINT64_MAX - c->h.n_events && first + c->h.n_events > r->at)
		r->at = first + c->h.n_events;
	return 0;
}

static void tell_columns(struct repair *r, const struct tape_block_view *v,
			 const struct repair_chunk *c)
{
	char text[sizeof(r->finds[0].text)];

	if (!c->n_bad)
		return;
	snprintf(text, sizeof(text), "%u damaged column%s: %s", c->n_bad, c->n_bad == 1 ? "" : "s",
		 c->first.text);
	found(r, v->offset, 0, text);
	r->n_columns += c->n_bad;
}

static int take_chunk(struct repair *r, const struct tape_block_view *v)
{
	struct repair_chunk c = {.chunk = r->chunk};
	struct tape_error err;
	int rc = tape_chunk_parse(r->chunk, r->facts.schema, is_snapshot(v), v->type_head,
				  v->h.hdr_len, v->payload, v->h.payload_len, v->offset, &err);

	if (!rc) {
		know(r, tape_chunk_head(r->chunk), is_snapshot(v));
		if (!v->payload)
			return 0; /* damaged or cut off, which the reader has noted */
		rc = repair_chunk_check(&c, v, &err);
	}
	if (rc == TAPE_E_NOMEM) {
		failed(r, &err);
	} else if (rc) {
		found(r, v->offset, tape_block_len(&v->h), err.text);
		rc = 0;
	} else {
		tell_columns(r, v, &c);
		rc = put_chunk(r, v, &c);
	}
	free(c.head);
	return rc ? -1 : 0;
}

static void take_end(struct repair *r, const struct tape_block_view *v)
{
	if (!v->payload || v->h.hdr_len < TAPE_END_HEAD_LEN)
		return;
	r->closed = true;
	r->end_ns = tape_le(v->type_head + 24, 8);
	if (tape_le(v->type_head + 8, 8) > r->known)
		r->known = tape_le(v->type_head + 8, 8);
	if (tape_le(v->type_head + 16, 8) > r->told_lost)
		r->told_lost = tape_le(v->type_head + 16, 8);
}

static int take_block(struct repair *r, const struct tape_block_view *v)
{
	if (!is_known(v))
		return v->payload ? take_fact(r, v) : 0;
	switch (v->h.type) {
	case TAPE_BLOCK_CHUNK:
	case TAPE_BLOCK_SNAPSHOT: return take_chunk(r, v);
	case TAPE_BLOCK_META:
	case TAPE_BLOCK_CLOCK:
	case TAPE_BLOCK_LOSS: return v->payload ? take_fact(r, v) : 0;
	case TAPE_BLOCK_END: take_end(r, v); return 0;
	default: return 0; /* FILE, SCHEMA, INDEX are made anew */
	}
}

static int take_all(struct repair *r)
{
	struct tape_block_view v;
	struct tape_error err;
	struct tape_end end;
	int rc;

	while ((rc = tape_reader_next_block(r->in, &v, &err)) == 1) {
		take_damage(r);
		if (take_block(r, &v))
			return -1;
	}
	take_damage(r);
	tape_reader_end(r->in, &end);
	if (end.truncated)
		found(r, end.truncated_at, 0, "the trace ends inside a block");
	return rc ? failed(r, &err) : 0;
}

/* ---- the end ---- */

/* What was found, so that it is known when the damaged file is gone. */
static int put_finds(struct repair *r)
{
	struct tape_meta meta[MAX_LINES];
	char text[MAX_LINES][384];
	struct tape_error err;
	size_t n = 0;

	for (; n < r->n_finds && n < REPAIR_MAX_FINDS; n++) {
		snprintf(text[n], sizeof(text[n]), "byte %" PRIu64 ": %s", r->finds[n].offset,
			 r->finds[n].text);
		meta[n] = (struct tape_meta){"repair.found", text[n]};
	}
	if (r->n_finds > n) {
		snprintf(text[n], sizeof(text[n]), "%" PRIu64 " more places", r->n_finds - n);
		meta[n] = (struct tape_meta){"repair.found", text[n]};
		n++;
	}
	if (!r->file_head)
		meta[n++] = (struct tape_meta){"repair.lacks", "FILE: processors, start, recorder"};
	if (!r->closed)
		meta[n++] = (struct tape_meta){
			"repair.lacks", "the end: the recording was not closed, or it is damaged"};
	return n ? written(r, tape_blocks_meta(&r->out, meta, n, &err), &err) : 0;
}

static int put_end(struct repair *r)
{
	uint64_t end_ns = r->end_ns > r->known_ns ? r->end_ns : r->known_ns;
	struct tape_error err;

	if (end_ns < r->out.floor_ns && !r->closed)
		end_ns = r->out.floor_ns; /* up to there it is complete */
	if (tell_missing(r, r->known, r->told_lost, end_ns) || put_finds(r))
		return -1;
	return written(r, tape_blocks_end(&r->out, end_ns, &err), &err);
}

int repair_run(struct repair *r, const char *path, const char *from, bool is_ring,
	       struct outfile *file, struct fail *fail)
{
	struct tape_error err;
	uint64_t file_id;

	*r = (struct repair){.path = path, .fail = fail, .file = file, .is_ring = is_ring};
	if (getrandom(&file_id, sizeof(file_id), 0) != sizeof(file_id))
		return fail_set(fail, STATUS_FOUND, "no random number for a file id");
	tape_blocks_init(&r->out, file->fd, file_id);
	if (tape_reader_open_blocks(&r->in, from, &err) || tape_chunk_new(&r->chunk, &err))
		return failed(r, &err);
	if (find_front(r) || put_front(r) || reserve(r) || take_all(r))
		return -1;
	return put_end(r);
}

void repair_fini(struct repair *r)
{
	tape_blocks_fini(&r->out);
	tape_facts_fini(&r->facts);
	tape_chunk_free(r->chunk);
	tape_reader_close(r->in);
	free(r->file_head);
	free(r->file_name);
	free(r->schema);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * verify: reads all of a trace, block by block, and holds what it says of itself against what it
 * holds: checksums and block numbers (the reader's part), the order of blocks, every column of
 * every chunk, times against their bounds and the order promised, counts, losses, the index, the
 * end. docs/format.md says what must be.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cursor.h"
#include "layout.h"
#include "verify_parts.h"

static const struct out_col cols[] = {
	{"OFFSET", "offset", -12, false},
	{"BYTES", "bytes", -10, false},
	{"WHAT", "what", 0, false},
};

void verify_found(struct verify *v, uint64_t offset, uint64_t bytes, const char *fmt, ...)
{
	struct out *o = v->run->out;
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!v->n_found)
		out_table(o, cols, sizeof(cols) / sizeof(cols[0]));
	if (!v->n_found++ || offset < v->first_at)
		v->first_at = offset;
	out_u64(o, offset);
	if (bytes)
		out_u64(o, bytes);
	else
		out_none(o);
	out_str(o, text);
	out_end_row(o);
}

/* What the reader met and passed over since the call before. */
static void show_damage(struct verify *v)
{
	size_t n;
	const struct tape_damage *d = tape_reader_damage(v->reader, &n);

	if (n > v->n_damage)
		v->after_damage = v->any_damage = true;
	for (; v->n_damage < n; v->n_damage++)
		verify_found(v, d[v->n_damage].offset, d[v->n_damage].bytes, "%s",
			     d[v->n_damage].text);
}

/* ---- where a block may stand, and how it is marked ---- */

static bool is_chunk(const struct tape_block_view *b)
{
	return b->h.type == TAPE_BLOCK_CHUNK || b->h.type == TAPE_BLOCK_SNAPSHOT;
}

static bool is_known(const struct tape_block_view *b)
{
	return b->h.type >= TAPE_BLOCK_FILE && b->h.type <= TAPE_BLOCK_END &&
	       b->h.type != TAPE_BLOCK_MARK && !(b->h.flags & ~TAPE_BLOCK_KNOWN_FLAGS);
}

static void check_place(struct verify *v, const struct tape_block_view *b)
{
	bool needed = is_chunk(b) || b->h.type == TAPE_BLOCK_FILE || b->h.type == TAPE_BLOCK_SCHEMA;

	if (!is_known(b))
		return;
	if (needed == !!(b->h.flags & TAPE_BLOCK_ANCILLARY))
		verify_found(v, b->offset, 0,
			     "block at byte %" PRIu64 " is %smarked as one that "
			     "can be left out",
			     b->offset, needed ? "" : "not ");
	if ((b->h.type == TAPE_BLOCK_FILE) != !v->n_blocks)
		verify_found(v, b->offset, 0,
			     v->n_blocks ? "a second FILE block"
					 : "the FILE block is missing, or damaged");
	if (v->index_at && b->h.type != TAPE_BLOCK_END)
		verify_found(v, b->offset, 0, "block at byte %" PRIu64 " stands behind the index",
			     b->offset);
}

/* ---- blocks that are no chunks ---- */

/* Repeats are the same, byte for byte. */
static void check_schema(struct verify *v, const struct tape_block_view *b, bool is_first)
{
	uint64_t hash = XXH3_64bits(b->payload, b->h.payload_len);

	if (is_first)
		v->schema_hash = hash;
	else if (hash != v->schema_hash)
		verify_found(v, b->offset, 0, "schema at byte %" PRIu64 " is not that of the start",
			     b->offset);
}

static void check_clock(struct verify *v, const struct tape_block_view *b)
{
	uint64_t mono_ns = tape_le(b->type_head, 8);

	if (mono_ns < v->last_mono_ns)
		verify_found(v, b->offset, 0,
			     "a reading of the clocks is earlier than the one before");
	v->last_mono_ns = mono_ns;
}

static void check_losses(struct verify *v, const struct tape_block_view *b, size_t n_before)
{
	const struct tape_loss *l = v->facts.losses.p;

	for (size_t i = n_before; i < v->facts.losses.n; i++) {
		if (l[i].from_ns > l[i].to_ns)
			verify_found(v, b->offset, 0, "a loss ends before it begins");
		if (l[i].count > UINT64_MAX - v->lost) {
			verify_found(v, b->offset, 0, "the sum of lost events has no 64 bits");
			v->lost = UINT64_MAX;
		} else {
			v->lost += l[i].count;
		}
	}
}

static void check_end(struct verify *v, const struct tape_block_view *b)
{
	const struct tape_end *end = &v->facts.end;
	size_t len = b->h.payload_len;
	const uint8_t *tail = b->payload + len - TAPE_TAIL_LEN;

	if (!end->closed) {
		verify_found(v, b->offset, 0, "the END block is too short");
		return;
	}
	if (len < TAPE_TAIL_LEN || tape_le(tail, 8) != b->offset ||
	    memcmp(tail + 8, TAPE_TAIL_MAGIC, 8))
		verify_found(v, b->offset, 0, "the last 16 bytes do not lead to the end block");
	if (!v->any_damage && tape_le(b->type_head, 8) != v->index_at)
		verify_found(v, b->offset, 0,
			     "the end names an index at byte %" PRIu64 ", there is %s%" PRIu64,
			     tape_le(b->type_head, 8),
			     v->index_at ? "one at " : "none: ", v->index_at);
	if (!v->after_damage && end->n_events != v->n_events)
		verify_found(v, b->offset, 0,
			     "the end speaks of %" PRIu64 " events, there are %" PRIu64,
			     end->n_events, v->n_events);
	if (end->lost < v->lost || (!v->any_damage && end->lost != v->lost))
		verify_found(v, b->offset, 0,
			     "the end speaks of %" PRIu64 " lost events, the trace of %" PRIu64,
			     end->lost, v->lost);
	if (end->end_ns < v->last_ns)
		verify_found(v, b->offset, 0, "the end is earlier than the last event");
}

/* One that is good in itself. */
static void check_fact(struct verify *v, const struct tape_block_view *b, size_t n_losses,
		       bool had_schema)
{
	switch (b->h.type) {
	case TAPE_BLOCK_SCHEMA: check_schema(v, b, !had_schema); break;
	case TAPE_BLOCK_CLOCK: check_clock(v, b); break;
	case TAPE_BLOCK_LOSS: check_losses(v, b, n_losses); break;
	case TAPE_BLOCK_INDEX:
		verify_index(v, b);
		v->index_at = b->offset;
		break;
	case TAPE_BLOCK_END: check_end(v, b); break;
	default: break;
	}
}

/* 0, 1 nothing can be read behind it, -1 *fail. */
static int take_fact(struct verify *v, const struct tape_block_view *b)
{
	size_t n_losses = v->facts.losses.n;
	bool had_schema = v->facts.schema, had_file = v->facts.any;
	struct tape_error err;
	int rc = tape_facts_block(&v->facts, b, &err);

	if (!rc) {
		if (is_known(b))
			check_fact(v, b, n_losses, had_schema);
		return 0;
	}
	if (rc == TAPE_E_NOMEM || (rc == TAPE_E_VERSION && !had_file))
		return fail_tape(v->run->fail, v->run->path, &err);
	verify_found(v, b->offset, rc == TAPE_E_VERSION ? 0 : tape_block_len(&b->h), "%s",
		     err.text);
	v->after_damage = v->any_damage = true;
	return rc == TAPE_E_VERSION;
}

static int take_block(struct verify *v, const struct tape_block_view *b)
{
	check_place(v, b);
	if (b->h.type != TAPE_BLOCK_FILE)
		v->facts.any = true; /* it is missing, which was said */
	v->n_blocks++;
	if (!b->payload)
		return 0; /* noted by the reader */
	if (!is_chunk(b) || !is_known(b))
		return take_fact(v, b);
	if (v->facts.schema)
		return verify_chunk(v, b);
	verify_found(v, b->offset, tape_block_len(&b->h), "a chunk before the schema");
	v->after_damage = v->any_damage = true;
	return 0;
}

static int take_all(struct verify *v)
{
	struct tape_block_view b;
	struct tape_error err;
	int rc;

	while ((rc = tape_reader_next_block(v->reader, &b, &err)) == 1) {
		show_damage(v);
		rc = take_block(v, &b);
		if (rc < 0 || out_flush(v->run->out))
			return -1;
		if (rc)
			break;
	}
	show_damage(v);
	if (rc < 0)
		return fail_tape(v->run->fail, v->run->path, &err);
	if (!v->n_blocks)
		return fail_set(v->run->fail, STATUS_FOUND,
				"%s: not a tcptape trace, or nothing of it is left", v->run->path);
	return 0;
}

/* ---- the whole ---- */

static double seconds(const struct verify *v, uint64_t ts_ns)
{
	return (double)(int64_t)(ts_ns - v->facts.info.start_ns) / 1e9;
}

static void check_whole(struct verify *v)
{
	struct tape_end end;

	tape_reader_end(v->reader, &end);
	if (end.truncated)
		verify_found(v, end.truncated_at, 0, "the trace ends inside a block");
	if (!v->facts.schema)
		verify_found(v, 0, 0, "no schema can be read");
	if (v->facts.end.closed && !v->index_at && v->n_chunks + v->n_snapshots)
		out_note(v->run->out, "there is no index: finding a time takes longer");
	if (v->facts.end.closed)
		return;
	if (v->last_ns)
		out_note(v->run->out,
			 "the recording was not closed (it ended in a crash, or still runs): it "
			 "reaches to +%.3fs",
			 seconds(v, v->last_ns));
	else
		out_note(v->run->out,
			 "the recording was not closed (it ended in a crash, or still runs): no "
			 "whole chunk of events is there");
}

static void say(struct verify *v)
{
	struct out *o = v->run->out;
	struct json *j;

	if (out_is_json(o)) {
		j = out_object(o);
		json_str(j, "file", v->run->path, strlen(v->run->path));
		json_u64(j, "events", v->n_read);
		json_u64(j, "chunks", v->n_chunks);
		json_u64(j, "snapshots", v->n_snapshots);
		json_u64(j, "found", v->n_found);
		out_end_object(o);
	} else if (!out_is_csv(o)) {
		struct text *t = out_line(o);

		text_safe(t, v->run->path, strlen(v->run->path));
		text_fmt(t, ": %" PRIu64 " events in %" PRIu64 " chunks, %" PRIu64 " snapshots: ",
			 v->n_read, v->n_chunks, v->n_snapshots);
		if (v->n_found)
			text_fmt(t, "%" PRIu64 " fault%s", v->n_found, v->n_found == 1 ? "" : "s");
		else
			text_puts(t, "good");
		out_end_line(o);
	}
	if (v->n_strange)
		out_note(o, "%" PRIu64 " columns are written in a newer way and were not looked at",
			 v->n_strange);
	if (v->lost)
		out_note(o, "%" PRIu64 " events were lost (tcptape info shows where)", v->lost);
}

static int run(struct cmd_run *run)
{
	struct verify v = {.run = run};
	struct tape_error err;
	int rc;

	if (tape_reader_open_blocks(&v.reader, run->path, &err) || tape_chunk_new(&v.chunk, &err)) {
		rc = fail_tape(run->fail, run->path, &err);
	} else {
		rc = take_all(&v);
		if (!rc) {
			check_whole(&v);
			say(&v);
		}
		if (!rc && v.n_found)
			rc = fail_set(run->fail, STATUS_FOUND,
				      "%s: damaged, first at byte %" PRIu64, run->path, v.first_at);
	}
	tape_index_fini(&v.expected);
	tape_facts_fini(&v.facts);
	tape_chunk_free(v.chunk);
	tape_reader_close(v.reader);
	return rc;
}

const struct cmd cmd_verify = {
	.name = "verify",
	.summary = "checks every checksum, column, count, time and order of a trace",
	.about = "Each fault is a line with its place in the file; the exit status is 1 if there "
		 "is\n"
		 "one. A trace that was not closed is no fault, but is said.\n",
	.many_files = true,
	.plain_input = true,
	.opens_itself = true,
	.run = run,
};

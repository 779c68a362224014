// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* From block to block: headers, payloads, and what is damaged between them. */
#include <stdio.h>
#include <string.h>

#include "block.h"
#include "cursor.h"
#include "reader_parts.h"

#define RESYNC_READ (1u << 16)
#define RESYNC_HASH_FREE (1u << 20) /* bytes of headers that resync may hash in any case */
#define RESYNC_HASH_PER_BYTE 4	    /* and for each byte that it passes over */

void tape_walk_note(struct tape_reader *r, uint64_t offset, uint64_t bytes, const char *text)
{
	struct tape_damage *d = &r->damage[r->n_damage];

	if (r->n_damage == READER_MAX_DAMAGE) {
		d[-1].bytes += bytes;
		return;
	}
	d->offset = offset;
	d->bytes = bytes;
	snprintf(d->text, sizeof(d->text), "%s", text);
	r->n_damage++;
}

/* Is a good block header of this file at p? got: bytes visible there. */
static bool good_head(const struct tape_reader *r, const uint8_t *p, size_t got,
		      struct tape_block_head *h)
{
	return got >= TAPE_BLOCK_HEAD_LEN && tape_block_unpack(p, h) &&
	       got >= TAPE_BLOCK_HEAD_LEN + (size_t)h->hdr_len &&
	       (!r->facts.any || h->file_id == r->facts.info.file_id) && tape_block_head_ok(p, h);
}

/*
 * May a candidate be hashed? A forged file could have one in every 40 bytes, each with 64 KiB of
 * type header; so what is hashed stays in proportion to what is passed over.
 */
static bool in_budget(struct tape_reader *r, const uint8_t *p, size_t got, uint64_t passed)
{
	struct tape_block_head h;

	if (got < TAPE_BLOCK_HEAD_LEN || !tape_block_unpack(p, &h))
		return false;
	r->resync_hashed += TAPE_BLOCK_HEAD_LEN + h.hdr_len;
	return r->resync_hashed <=
	       RESYNC_HASH_FREE + RESYNC_HASH_PER_BYTE * (r->resync_passed + passed);
}

/*
 * Move to the next good header, on 8-byte alignment; 1 found, 0 end of the data. cut: what stands
 * here may be a good header that the data ends in; if nothing follows, that is what it was.
 */
static int resync(struct tape_reader *r, bool cut, struct tape_error *err)
{
	uint64_t from = r->src.pos;
	struct tape_block_head h;
	const uint8_t *p;
	size_t got, at;

	for (;;) {
		int rc = tape_source_peek(&r->src, RESYNC_READ, &p, &got, err);

		if (rc)
			return rc;
		for (at = r->src.pos == from ? 8 : 0; at + 8 <= got; at += 8) {
			const uint8_t *full = p;

			if (tape_le(p + at, 4) != TAPE_MAGIC)
				continue;
			/* its type header may lie outside the view: look again from there */
			rc = tape_source_skip(&r->src, at, err);
			if (!rc)
				rc = tape_source_peek(&r->src, TAPE_BLOCK_HEAD_LEN + UINT16_MAX,
						      &full, &got, err);
			if (rc)
				return rc;
			if (in_budget(r, full, got, r->src.pos - from) &&
			    good_head(r, full, got, &h)) {
				r->resync_passed += r->src.pos - from;
				r->resync_hashed -= TAPE_BLOCK_HEAD_LEN + h.hdr_len;
				tape_walk_note(r, from, r->src.pos - from,
					       "damaged data was skipped");
				r->jumped = true;
				return 1;
			}
			p = full;
			at = 0;
		}
		if (got < RESYNC_READ) {
			if (!cut)
				tape_walk_note(r, from, r->src.pos + got - from,
					       "damaged data up to the end");
			r->facts.end.truncated |= cut;
			return 0;
		}
		rc = tape_source_skip(&r->src, at, err);
		if (rc)
			return rc;
	}
}

/* The version of a block header that is not of ours, as its magic says; -1: it is no such thing. */
static int other_version(const uint8_t *p, size_t got)
{
	if (got < 4 || memcmp(p, "TTB", 3) || p[3] < '0' || p[3] > '9' ||
	    tape_le(p, 4) == TAPE_MAGIC)
		return -1;
	return p[3] - '0';
}

/* What the file is instead: what a newcomer is most likely to hand over. */
static const char *other_kind(const uint8_t *p, size_t got)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *what;
	} kinds[] = {
		{"\xd4\xc3\xb2\xa1", 4, ", but a packet capture (pcap)"},
		{"\xa1\xb2\xc3\xd4", 4, ", but a packet capture (pcap)"},
		{"\x4d\x3c\xb2\xa1", 4, ", but a packet capture (pcap)"},
		{"\xa1\xb2\x3c\x4d", 4, ", but a packet capture (pcap)"},
		{"\x0a\x0d\x0d\x0a", 4, ", but a packet capture (pcapng)"},
		{"\x1f\x8b", 2, ", but compressed by gzip"},
		{"\x28\xb5\x2f\xfd", 4, ", but compressed by zstd"},
		{"PERFILE2", 8, ", but a recording of perf"},
		{"\x17\x08\x44tracing", 10, ", but a recording of trace-cmd"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (got >= kinds[i].len && !memcmp(p, kinds[i].magic, kinds[i].len))
			return kinds[i].what;
	return "";
}

int tape_walk_head(struct tape_reader *r, struct tape_block_view *v, struct tape_error *err)
{
	const uint8_t *p;
	size_t got;
	bool cut;
	int rc = tape_source_peek(&r->src, TAPE_BLOCK_HEAD_LEN, &p, &got, err);

	if (rc || !got)
		return rc;
	if (got >= TAPE_BLOCK_HEAD_LEN && tape_block_unpack(p, &v->h)) {
		rc = tape_source_peek(&r->src, TAPE_BLOCK_HEAD_LEN + (size_t)v->h.hdr_len, &p, &got,
				      err);
		if (rc)
			return rc;
	}
	if (!good_head(r, p, got, &v->h)) {
		int version = !r->facts.any && !r->src.pos ? other_version(p, got) : -1;

		if (!r->facts.any && !r->by_block)
			return version < 0 ? tape_fail(err, TAPE_E_NOT_TAPE, 0,
						       "not a tcptape trace%s", other_kind(p, got))
					   : tape_facts_other_version((unsigned)version, 0, err);
		cut = got < TAPE_BLOCK_HEAD_LEN ||
		      (tape_block_unpack(p, &v->h) &&
		       got < TAPE_BLOCK_HEAD_LEN + (size_t)v->h.hdr_len);
		rc = resync(r, cut, err);
		if (!rc && version >= 0) {
			r->n_damage = 0;
			return tape_facts_other_version((unsigned)version, 0, err);
		}
		return rc <= 0 ? rc : tape_walk_head(r, v, err);
	}
	r->n_heads++;
	v->offset = r->src.pos;
	v->type_head = p + TAPE_BLOCK_HEAD_LEN;
	v->payload = NULL;
	return 1;
}

int tape_walk_payload(struct tape_reader *r, struct tape_block_view *v, struct tape_error *err)
{
	size_t at = TAPE_BLOCK_HEAD_LEN + (size_t)v->h.hdr_len, got;
	const uint8_t *p;
	int rc = tape_source_peek(&r->src, at + v->h.payload_len, &p, &got, err);

	if (rc)
		return rc;
	if (got < at + v->h.payload_len) {
		r->facts.end.truncated = true;
		r->facts.end.truncated_at = v->offset;
		return 0;
	}
	r->n_payloads++;
	v->type_head = p + TAPE_BLOCK_HEAD_LEN;
	v->payload = p + at;
	if (tape_block_payload_ok(&v->h, v->payload))
		return 1;
	tape_walk_note(r, v->offset, tape_block_len(&v->h), "the checksum of a block is wrong");
	return 2;
}

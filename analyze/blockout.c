// SPDX-License-Identifier: GPL-2.0-or-later
#include "blockout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "layout.h"
#include "text.h"

#define REPEAT_SCHEMA (64u << 20) /* bytes after which it is written again */

void blockout_init(struct blockout *w, struct outfile *file, uint64_t file_id, struct fail *fail)
{
	*w = (struct blockout){.file = file, .fail = fail, .file_id = file_id};
}

void blockout_fini(struct blockout *w)
{
	tape_index_fini(&w->index);
	free(w->schema);
	w->schema = NULL;
}

int blockout_put(struct blockout *w, enum tape_block type, unsigned flags, const void *head,
		 size_t hdr_len, const void *payload, size_t payload_len)
{
	struct tape_block_head h = {.type = (uint8_t)type,
				    .flags = (uint8_t)flags,
				    .hdr_len = (uint16_t)hdr_len,
				    .payload_len = (uint32_t)payload_len,
				    .seq = w->seq,
				    .file_id = w->file_id};

	if (tape_block_write(w->file->fd, &h, head, payload) < 0)
		return fail_set(w->fail, STATUS_FOUND, "writing %s: %s", w->file->path,
				strerror(errno));
	w->bytes += tape_block_len(&h);
	w->seq++;
	return 0;
}

static int repeat_schema(struct blockout *w)
{
	w->schema_at = w->bytes;
	return blockout_put(w, TAPE_BLOCK_SCHEMA, w->schema_flags, NULL, 0, w->schema,
			    w->schema_len);
}

int blockout_schema(struct blockout *w, unsigned flags, const void *payload, size_t len)
{
	w->schema = malloc(len + 1);
	if (!w->schema)
		return fail_nomem(w->fail);
	memcpy(w->schema, payload, len);
	w->schema_len = len;
	w->schema_flags = (uint8_t)flags;
	return repeat_schema(w);
}

/* "key\tvalue\n"; in the value \ becomes \\, tab \t, newline \n. */
static void put_line(struct text *t, const struct tape_meta *m)
{
	text_puts(t, m->key);
	text_putc(t, '\t');
	for (const char *p = m->value; *p; p++) {
		const char *special = "\\\t\n", *at = strchr(special, *p);

		if (at)
			text_putc(t, '\\');
		text_putc(t, at ? "\\tn"[at - special] : *p);
	}
	text_putc(t, '\n');
}

int blockout_meta(struct blockout *w, const struct tape_meta *meta, size_t n)
{
	struct text t = {0};
	int rc;

	for (size_t i = 0; i < n; i++)
		put_line(&t, &meta[i]);
	rc = t.failed ? fail_nomem(w->fail)
		      : blockout_put(w, TAPE_BLOCK_META, TAPE_BLOCK_ANCILLARY, NULL, 0, t.s, t.len);
	text_fini(&t);
	return rc;
}

int blockout_loss(struct blockout *w, const struct tape_loss *loss)
{
	uint64_t left = UINT64_MAX - w->lost, count = loss->count < left ? loss->count : left;
	uint8_t record[TAPE_LOSS_LEN];
	struct tape_out o = tape_out(record, sizeof(record));

	tape_out_le(&o, loss->from_ns, 8);
	tape_out_le(&o, loss->to_ns, 8);
	tape_out_le(&o, count, 8);
	tape_out_le(&o, loss->cpu, 4);
	tape_out_le(&o, loss->reason, 4);
	tape_out_bytes(&o, loss->group, 8);
	w->lost += count;
	return blockout_put(w, TAPE_BLOCK_LOSS, TAPE_BLOCK_ANCILLARY, NULL, 0, record,
			    sizeof(record));
}

int blockout_chunk(struct blockout *w, enum tape_block type, struct tape_chunk_head *h, void *head,
		   size_t hdr_len, const void *payload, size_t payload_len)
{
	bool snapshot = type == TAPE_BLOCK_SNAPSHOT;
	uint64_t offset = w->bytes;

	if (snapshot)
		h->ts_floor = w->floor_ns;
	else if (h->ts_floor < h->ts_max || h->ts_floor < w->floor_ns)
		h->ts_floor = h->ts_max > w->floor_ns ? h->ts_max : w->floor_ns;
	h->first_event = w->n_events;
	h->lost = w->lost;
	tape_chunk_head_pack(h, head);
	if (blockout_put(w, type, 0, head, hdr_len, payload, payload_len))
		return -1;
	tape_index_add(&w->index, type, offset, w->bytes - offset, h, head, hdr_len);
	if (!snapshot) {
		w->n_events += h->n_events;
		w->floor_ns = h->ts_floor;
	}
	return w->bytes - w->schema_at > REPEAT_SCHEMA ? repeat_schema(w) : 0;
}

static int put_index(struct blockout *w, uint64_t *ret_offset)
{
	size_t len;
	void *payload = tape_index_payload(&w->index, &len);
	int rc;

	*ret_offset = 0;
	if (!payload)
		return 0; /* readers walk the headers instead */
	*ret_offset = w->bytes;
	rc = blockout_put(w, TAPE_BLOCK_INDEX, TAPE_BLOCK_ANCILLARY, NULL, 0, payload, len);
	free(payload);
	return rc;
}

int blockout_end(struct blockout *w, uint64_t end_ns)
{
	uint8_t head[TAPE_END_HEAD_LEN], tail[TAPE_TAIL_LEN];
	struct tape_out h = tape_out(head, sizeof(head)), t = tape_out(tail, sizeof(tail));
	uint64_t index_offset;

	if (put_index(w, &index_offset))
		return -1;
	tape_out_le(&h, index_offset, 8);
	tape_out_le(&h, w->n_events, 8);
	tape_out_le(&h, w->lost, 8);
	tape_out_le(&h, end_ns, 8);
	tape_out_le(&t, w->bytes, 8);
	tape_out_bytes(&t, TAPE_TAIL_MAGIC, 8);
	return blockout_put(w, TAPE_BLOCK_END, TAPE_BLOCK_ANCILLARY, head, sizeof(head), tail,
			    sizeof(tail));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "labels.h"
#include "schema.h"

#define N_SLOTS (2u * REC_LABELS_MAX)
#define MAX_SIZE 256 /* of a row, without its strings */

void rec_labels_init(struct rec_labels *l)
{
	*l = (struct rec_labels){0};
}

void rec_labels_fini(struct rec_labels *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	free(l->slots);
	*l = (struct rec_labels){0};
}

/* What it names; false: no such row. */
static bool key_of(const struct ev_head *row, uint64_t *ret)
{
	switch (row->type) {
	case EV_snap_cgroup: *ret = ((const struct ev_snap_cgroup *)row)->cgroup; return true;
	case EV_snap_netns: *ret = ((const struct ev_snap_netns *)row)->netns; return true;
	case EV_snap_symbol: *ret = ((const struct ev_snap_symbol *)row)->id; return true;
	case EV_snap_stack: *ret = ((const struct ev_snap_stack *)row)->id; return true;
	case EV_snap_counter: *ret = ((const struct ev_snap_counter *)row)->counter; return true;
	case EV_snap_link:
		*ret = (uint64_t)((const struct ev_snap_link *)row)->netns << 32 |
		       ((const struct ev_snap_link *)row)->ifindex;
		return true;
	default: return false;
	}
}

/* These end, and others take their place. */
static bool comes_and_goes(const struct ev_head *row)
{
	return row->type == EV_snap_cgroup || row->type == EV_snap_netns ||
	       row->type == EV_snap_link;
}

/* The place of the row with this type and key, or the free one where it belongs. */
static uint32_t *slot_of(const struct rec_labels *l, unsigned type, uint64_t key)
{
	size_t i = ((key ^ (uint64_t)type << 56) * 0x9e3779b97f4a7c15u) >> 49; /* 15 bits */
	uint64_t other;

	for (; l->slots[i]; i = (i + 1) & (N_SLOTS - 1)) {
		const struct ev_head *row = l->v[l->slots[i] - 1];

		if (row->type == type && key_of(row, &other) && other == key)
			break;
	}
	return &l->slots[i];
}

static struct ev_str *string_at(struct ev_head *row, const struct tape_record *rec, unsigned i)
{
	return rec->fields[i].type == TAPE_STR
		       ? (struct ev_str *)((char *)row + tape_field_offset(rec, i))
		       : NULL;
}

/* Of a row and its strings. */
static size_t size_of(struct ev_head *row, const struct tape_record *rec)
{
	size_t size = (row->size + 7u) & ~7u;

	for (unsigned i = 0; i < rec->n_fields; i++) {
		struct ev_str *s = string_at(row, rec, i);

		size += s ? s->len : 0;
	}
	return size;
}

/* NULL: no memory. */
static struct ev_head *copy_of(const struct ev_head *row, const struct tape_record *rec,
			       size_t *ret_size)
{
	char room[MAX_SIZE];
	struct ev_head *from = (struct ev_head *)room, *copy;
	char *text;

	if (row->size > sizeof(room))
		return NULL;
	memcpy(room, row, row->size);
	*ret_size = size_of(from, rec);
	copy = malloc(*ret_size);
	if (!copy)
		return NULL;
	text = (char *)copy + ((row->size + 7u) & ~7u);
	memcpy(copy, room, row->size);
	for (unsigned i = 0; i < rec->n_fields; i++) {
		struct ev_str *s = string_at(copy, rec, i);

		if (!s)
			continue;
		if (s->len)
			memcpy(text, s->s, s->len);
		s->s = text;
		text += s->len;
	}
	return copy;
}

static void forget_some(struct rec_labels *l)
{
	const struct tape_schema *schema = tape_schema_builtin();
	size_t n = 0;
	uint64_t key = 0;

	memset(l->slots, 0, N_SLOTS * sizeof(*l->slots));
	for (size_t i = 0; i < l->n; i++) {
		struct ev_head *row = l->v[i];

		if (comes_and_goes(row)) {
			l->bytes -= size_of(row, tape_schema_record(schema, row->type));
			free(row);
			continue;
		}
		l->v[n++] = row;
		(void)key_of(row, &key);
		*slot_of(l, row->type, key) = (uint32_t)n;
	}
	l->n = n;
	l->forgot = true;
}

static bool has_room(const struct rec_labels *l, size_t size)
{
	return l->n < REC_LABELS_MAX && l->bytes + size <= REC_LABELS_BYTES;
}

/* Allocated when the first row comes. */
static bool is_ready(struct rec_labels *l)
{
	if (!l->v)
		l->v = calloc(REC_LABELS_MAX, sizeof(struct ev_head *));
	if (!l->slots)
		l->slots = calloc(N_SLOTS, sizeof(*l->slots));
	return l->v && l->slots;
}

/* In place of what is at the slot, if anything. */
static void put(struct rec_labels *l, uint32_t *slot, struct ev_head *copy, size_t size,
		const struct tape_record *rec)
{
	if (*slot) {
		l->bytes -= size_of(l->v[*slot - 1], rec);
		free(l->v[*slot - 1]);
	} else {
		*slot = (uint32_t)++l->n;
	}
	l->v[*slot - 1] = copy;
	l->bytes += size;
}

void rec_labels_see(struct rec_labels *l, const struct ev_head *row)
{
	const struct tape_record *rec = tape_schema_record(tape_schema_builtin(), row->type);
	struct ev_head *copy;
	uint32_t *slot;
	uint64_t key;
	size_t size;

	if (!rec || !key_of(row, &key))
		return;
	if (!is_ready(l)) {
		l->n_refused++;
		return;
	}
	slot = slot_of(l, row->type, key);
	if (*slot && l->v[*slot - 1] == row)
		return; /* it is being written once more */
	copy = copy_of(row, rec, &size);
	if (copy && !has_room(l, size))
		forget_some(l);
	if (copy && has_room(l, size)) {
		put(l, slot_of(l, row->type, key), copy, size, rec);
		return;
	}
	free(copy);
	l->n_refused++;
}

int rec_labels_write(const struct rec_labels *l, uint64_t now_ns, struct tape_writer *w,
		     struct tape_error *err)
{
	for (size_t i = 0; i < l->n; i++) {
		int r;

		l->v[i]->ts_ns = now_ns;
		r = tape_writer_event(w, l->v[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

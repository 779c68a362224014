/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "series.h"

#define MAX_BYTES (16u << 20) /* of one sample's records; about 300,000 */
#define MAX_SLOTS (1u << 20)
#define MAX_NAMES 65536

static const struct ev_head *series_next(struct rec_source *source)
{
	struct rec_series *s = (struct rec_series *)source;
	const struct ev_head *record = (const struct ev_head *)(s->bytes + s->at);

	if (s->at == s->len)
		return NULL;
	s->at += (record->size + 7u) & ~7u;
	return record;
}

static void series_done(struct rec_source *source)
{
	struct rec_series *s = (struct rec_series *)source;

	if (s->at == s->len)
		s->at = s->len = 0;
}

void rec_series_init(struct rec_series *s)
{
	*s = (struct rec_series){.source = {series_next, series_done}};
}

void rec_series_fini(struct rec_series *s)
{
	for (size_t i = 0; i < s->n_names; i++)
		free(s->names[i]);
	free(s->names);
	free(s->name_slots);
	free(s->slots);
	free(s->bytes);
	rec_series_init(s);
}

void rec_series_begin(struct rec_series *s, uint64_t now_ns)
{
	s->interval_us = s->n_samples++ ? (uint32_t)((now_ns - s->ts_ns) / 1000) : 0;
	s->ts_ns = now_ns;
}

void rec_series_emit(struct rec_series *s, struct ev_head *head)
{
	size_t size = (head->size + 7u) & ~7u;

	head->ts_ns = s->ts_ns;
	head->cpu = 0;
	if (s->cap - s->len < size) {
		size_t cap = s->cap ? 2 * s->cap : 1u << 16;
		char *bytes = cap > MAX_BYTES ? NULL : realloc(s->bytes, cap);

		if (!bytes) {
			s->failed = true;
			return;
		}
		s->bytes = bytes;
		s->cap = cap;
	}
	memcpy(s->bytes + s->len, head, head->size);
	s->len += size;
}

/* ---- names ---- */

static uint64_t hash_bytes(const char *p, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)p[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

static uint32_t *find_name(struct rec_series *s, const char *name)
{
	size_t mask = s->cap_name_slots - 1, i = hash_bytes(name, strlen(name)) & mask;

	while (s->name_slots[i] && strcmp(s->names[s->name_slots[i] - 1], name))
		i = (i + 1) & mask;
	return &s->name_slots[i];
}

static bool grow_names(struct rec_series *s)
{
	size_t cap = s->cap_names ? 2 * s->cap_names : 512;
	char **names = cap > MAX_NAMES ? NULL : realloc(s->names, cap * sizeof(*names));

	if (!names)
		return false;
	s->names = names;
	free(s->name_slots);
	s->name_slots = calloc(2 * cap, sizeof(*s->name_slots));
	s->cap_name_slots = s->name_slots ? 2 * cap : 0;
	if (!s->name_slots)
		return false;
	s->cap_names = cap;
	for (size_t i = 0; i < s->n_names; i++)
		*find_name(s, s->names[i]) = (uint32_t)i + 1;
	return true;
}

/* The place of a text in names, from 1; 0: no memory. */
static uint32_t intern(struct rec_series *s, const char *text)
{
	uint32_t *slot;

	if ((s->n_names == s->cap_names || !s->name_slots) && !grow_names(s))
		goto failed;
	slot = find_name(s, text);
	if (*slot)
		return *slot;
	s->names[s->n_names] = strdup(text);
	if (!s->names[s->n_names])
		goto failed;
	return *slot = (uint32_t)++s->n_names;
failed:
	s->failed = true;
	return 0;
}

uint32_t rec_series_name(struct rec_series *s, const char *group, const char *name, size_t len)
{
	struct ev_snap_counter row = {.head = {.type = EV_snap_counter, .size = sizeof(row)}};
	size_t n_before = s->n_names;
	char full[160];
	uint32_t id;

	snprintf(full, sizeof(full), "%s.%.*s", group, (int)len, name);
	id = intern(s, full);
	if (s->n_names != n_before) {
		row.counter = id;
		row.name = (struct ev_str){s->names[id - 1], strlen(full)};
		rec_series_emit(s, &row.head);
	}
	return id;
}

struct ev_str rec_series_text(struct rec_series *s, const char *text)
{
	uint32_t id = intern(s, text);
	const char *kept = id ? s->names[id - 1] : "";

	return (struct ev_str){kept, strlen(kept)};
}

/* ---- values ---- */

static struct rec_series_slot *find_slot(struct rec_series *s, uint32_t netns, uint32_t id,
					 uint32_t part)
{
	uint32_t key[3] = {netns, id, part};
	size_t mask = s->cap_slots - 1, i = hash_bytes((char *)key, sizeof(key)) & mask;

	for (; s->slots[i].id; i = (i + 1) & mask) {
		const struct rec_series_slot *t = &s->slots[i];

		if (t->netns == netns && t->id == id && t->part == part)
			break;
	}
	return &s->slots[i];
}

/* Twice as many slots as live entries, at least; the dead ones are left behind. */
static bool grow_slots(struct rec_series *s)
{
	struct rec_series_slot *old = s->slots;
	size_t n_old = s->cap_slots, n_live = 0, cap = 2048;

	for (size_t i = 0; i < n_old; i++)
		n_live += old[i].id && s->n_samples - old[i].sample < 2;
	while (cap < 3 * n_live)
		cap *= 2;
	s->slots = cap > MAX_SLOTS ? NULL : calloc(cap, sizeof(*s->slots));
	if (!s->slots) {
		s->slots = old;
		return false;
	}
	s->cap_slots = cap;
	s->n_slots = 0;
	for (size_t i = 0; i < n_old; i++) {
		if (!old[i].id || s->n_samples - old[i].sample >= 2)
			continue;
		*find_slot(s, old[i].netns, old[i].id, old[i].part) = old[i];
		s->n_slots++;
	}
	free(old);
	return true;
}

bool rec_series_moved(struct rec_series *s, uint32_t netns, uint32_t id, uint32_t part,
		      uint64_t value, uint64_t *ret_before, bool *ret_first)
{
	struct rec_series_slot *t;

	*ret_before = 0;
	*ret_first = true;
	if (!id)
		return false;
	if (2 * s->n_slots >= s->cap_slots && !grow_slots(s)) {
		s->failed = true;
		return false;
	}
	t = find_slot(s, netns, id, part);
	if (!t->id) {
		*t = (struct rec_series_slot){netns, id, part, s->n_samples, value};
		s->n_slots++;
		return value != 0;
	}
	*ret_before = t->value;
	*ret_first = false;
	t->value = value;
	t->sample = s->n_samples;
	return value != *ret_before;
}

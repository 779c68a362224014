// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers of one host's trace as those of the merged one. */
#include <string.h>

#include "merge.h"

#define HOST_SHIFT 56	    /* of cookies and cgroups */
#define HOST_STEP 10000000u /* of pids and namespaces */
#define FIRST_NETNS                                                                                \
	0xf0000000u /* PROC_DYNAMIC_FIRST, fs/proc/generic.c: their inodes begin there */

static int kind_of(const struct tape_field *f)
{
	static const struct {
		const char *unit;
		enum merge_kind kind;
	} kinds[] = {
		{"cookie", MERGE_COOKIE},
		{"cgroup", MERGE_CGROUP},
		{"pid", MERGE_PID},
		{"symbol", MERGE_SYMBOL},
		{"stack", MERGE_STACK},
		{"counter", MERGE_COUNTER},
		{"drop_reason", MERGE_DROP_REASON},
		{"rst_reason", MERGE_RST_REASON},
	};

	if (f->table)
		return -1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(f->unit, kinds[i].unit))
			return (int)kinds[i].kind;
	if (!strcmp(f->name, "netns"))
		return MERGE_NETNS;
	return strcmp(f->name, "departure_ns") ? -1 : MERGE_TIME;
}

/* Those of a record and of the structs in it. */
static void find(struct merge_edits *e, const struct tape_record *rec, size_t base)
{
	const struct tape_schema *s = tape_schema_builtin();

	for (unsigned i = 0; i < rec->n_fields; i++) {
		const struct tape_field *f = &rec->fields[i];
		size_t at = base + tape_field_offset(rec, i);
		int kind = kind_of(f);

		if (f->table)
			find(e, tape_schema_record(s, f->table), at);
		if (kind < 0 || e->n == MERGE_MAX_EDITS)
			continue;
		e->at[e->n++] = (struct merge_edit){(uint16_t)at, f->width, (enum merge_kind)kind};
	}
}

void merge_find_edits(struct merge *m)
{
	const struct tape_schema *s = tape_schema_builtin();

	for (size_t i = 1; i < s->n_records; i++)
		if (!s->records[i].is_table)
			find(&m->edits[s->records[i].id], &s->records[i], 0);
}

static uint64_t moved(const struct merge_source *s, enum merge_kind kind, uint64_t v)
{
	void *other;

	switch (kind) {
	case MERGE_COOKIE:
	case MERGE_CGROUP: return v ? v | (uint64_t)s->host << HOST_SHIFT : 0;
	case MERGE_PID: return v ? v + s->host * HOST_STEP : 0;
	case MERGE_NETNS:
		return s->host && v >= FIRST_NETNS ? v - FIRST_NETNS + s->host * HOST_STEP : v;
	case MERGE_TIME: return v ? v + (uint64_t)s->shift_ns : 0;
	default: other = map_get(&s->ids[kind], v + 1); return other ? (uintptr_t)other - 1 : v;
	}
}

void merge_source_edit(const struct merge *m, struct merge_source *s)
{
	struct ev_head *e = (struct ev_head *)(uintptr_t)s->event;
	const struct merge_edits *edits = &m->edits[e->type & 255];

	if (s->as_is)
		return;
	e->ts_ns += (uint64_t)s->shift_ns;
	e->cpu += s->cpu_base;
	for (unsigned i = 0; i < edits->n; i++) {
		uint8_t *at = (uint8_t *)e + edits->at[i].offset;
		uint64_t v = 0; /* hosts are little-endian */

		memcpy(&v, at, edits->at[i].width);
		v = moved(s, edits->at[i].kind, v);
		memcpy(at, &v, edits->at[i].width);
	}
}

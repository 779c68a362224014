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

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(f->unit, kinds[i].unit))
			return (int)kinds[i].kind;
	if (!strcmp(f->name, "netns"))
		return MERGE_NETNS;
	return strcmp(f->name, "departure_ns") ? -1 : MERGE_TIME;
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

static bool changes(const struct merge_source *s, int kind)
{
	switch (kind) {
	case -1: return false;
	case MERGE_COOKIE:
	case MERGE_CGROUP:
	case MERGE_PID:
	case MERGE_NETNS: return s->host;
	case MERGE_TIME: return s->shift_ns;
	default: return s->ids[kind].n;
	}
}

static bool wants(const void *ctx, const struct tape_record *rec, unsigned field)
{
	const struct merge_source *s = ctx;

	if (rec->id == TAPE_COMMON)
		return field == TAPE_COMMON_TS ? s->shift_ns : s->cpu_base;
	return changes(s, kind_of(&rec->fields[field]));
}

static void edit(void *ctx, const struct tape_record *rec, unsigned field, void *values, size_t n)
{
	const struct merge_source *s = ctx;
	const struct tape_field *f = &rec->fields[field];
	int kind = kind_of(f);
	uint8_t *at = values;

	for (size_t i = 0; i < n; i++, at += f->width) {
		uint64_t v = 0; /* hosts are little-endian */

		memcpy(&v, at, f->width);
		if (rec->id == TAPE_COMMON)
			v += field == TAPE_COMMON_TS ? (uint64_t)s->shift_ns : s->cpu_base;
		else
			v = moved(s, (enum merge_kind)kind, v);
		memcpy(at, &v, f->width);
	}
}

const struct tape_rows_edit merge_edit = {.wants = wants, .edit = edit};

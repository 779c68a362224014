// SPDX-License-Identifier: GPL-2.0-or-later
#include "out_aside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "batches.h"

struct note {
	uint8_t kind;
	uint8_t arg;
	uint16_t col;
	uint32_t len; /* of the string behind it, which ends with NUL; 0 none */
	union {
		uint64_t v;
		double real;
		const char *mark;
	};
};

struct aside {
	struct out *to;
	struct batches *notes;
};

/* ---- the thread ---- */

static void replay_one(struct out *o, const struct note *n, const char *s)
{
	switch ((enum aside_kind)n->kind) {
	case ASIDE_NONE: out_none(o); break;
	case ASIDE_U64: out_u64(o, n->v); break;
	case ASIDE_FIXED: out_fixed(o, n->real, n->arg); break;
	case ASIDE_NUMBER: out_number(o, s); break;
	case ASIDE_STR: out_strn(o, s, (size_t)n->v); break;
	case ASIDE_CUT: out_str_cut(o, s); break;
	case ASIDE_CONST: out_const(o, s); break;
	case ASIDE_LIST: out_list(o, s, (char)n->arg); break;
	case ASIDE_BOOL: out_bool(o, n->v); break;
	case ASIDE_MARK: out_mark(o, n->len ? s : NULL, n->mark); break;
	case ASIDE_END_ROW: out_end_row(o); break;
	}
}

static int replay(void *ctx, const char *p, size_t len)
{
	struct out *o = ctx;

	for (size_t at = 0; at < len;) {
		struct note n;

		memcpy(&n, p + at, sizeof(n));
		at += sizeof(n);
		if (n.kind < ASIDE_MARK)
			out_seek(o, n.col);
		replay_one(o, &n, p + at);
		at += n.len;
	}
	return out_flush(o);
}

/* ---- the caller ---- */

static void put(struct aside *a, struct note *n, const char *s, size_t len)
{
	char *p;

	n->len = s ? (uint32_t)len + 1 : 0;
	p = batches_room(a->notes, sizeof(*n) + n->len);
	if (!p)
		return;
	memcpy(p, n, sizeof(*n));
	if (!s)
		return;
	memcpy(p + sizeof(*n), s, len);
	p[sizeof(*n) + len] = '\0';
}

void aside_cell(struct aside *a, unsigned col, enum aside_kind kind, unsigned arg,
		const struct out_cell *cell)
{
	struct note n = {.kind = (uint8_t)kind, .arg = (uint8_t)arg, .col = (uint16_t)col};

	if (kind == ASIDE_FIXED)
		n.real = cell->real;
	else
		n.v = kind == ASIDE_STR ? cell->len : cell->v;
	put(a, &n, cell->s, cell->len);
}

void aside_mark(struct aside *a, const char *before, const char *behind)
{
	struct note n = {.kind = ASIDE_MARK, .mark = behind};

	put(a, &n, before, before ? strlen(before) : 0);
}

void aside_end_row(struct aside *a)
{
	struct note n = {.kind = ASIDE_END_ROW};

	put(a, &n, NULL, 0);
	batches_noted(a->notes);
}

struct out *aside_drain(struct aside *a)
{
	batches_drain(a->notes);
	return a->to;
}

int aside_flush(struct aside *a)
{
	int err = batches_error(a->notes);

	if (err == ENOMEM)
		return err;
	if (batches_is_empty(a->notes))
		return out_flush(aside_drain(a)); /* lines that are no table's */
	batches_submit(a->notes);
	return batches_error(a->notes);
}

struct aside *aside_new(struct out *to)
{
	struct aside *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->to = to;
	a->notes = batches_new(replay, to);
	if (a->notes)
		return a;
	free(a);
	return NULL;
}

void aside_free(struct aside *a)
{
	if (!a)
		return;
	batches_free(a->notes);
	out_free(a->to);
	free(a);
}

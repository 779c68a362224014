// SPDX-License-Identifier: GPL-2.0-or-later
/* Which host each trace is of, and which numbers mean the same in two of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "merge.h"
#include "pass.h"

static char yes;

static const char *meta(const struct merge_source *s, const char *key)
{
	size_t n;
	const struct tape_meta *m = tape_reader_meta(s->facts.reader, &n);

	return meta_get(m, n, key);
}

/*
 * What is the same in all traces of one boot of one host; unique without a boot id. Sockets that
 * the recorder numbered itself are those of one recording only.
 */
static char *host_key(const struct merge_source *s)
{
	const char *boot = meta(s, "boot_id"), *recording = meta(s, "recording.id");
	const char *identity = meta(s, "identity"), *of = meta(s, "derived.file_id");
	uint64_t file = tape_reader_info(s->facts.reader)->file_id;
	struct text t = {0};

	text_puts(&t, boot ? boot : "");
	if (!boot || (identity && !strncmp(identity, "numbers", 7))) {
		text_putc(&t, '/');
		if (recording || of)
			text_puts(&t, recording ? recording : of);
		else
			text_u64(&t, file);
	}
	text_putc(&t, '\0');
	if (t.failed) {
		text_fini(&t);
		return NULL;
	}
	return t.s;
}

static uint64_t wall(const struct merge_source *s, uint64_t ns)
{
	size_t n;
	const struct tape_clock *c = tape_reader_clocks(s->facts.reader, &n);

	return clock_wall(c, n, ns);
}

/* By wall time, or where all are of one boot by its clock. */
static int by_start(const void *a, const void *b)
{
	const struct merge_source *x = a, *y = b;
	bool same = !strcmp(x->key, y->key);
	uint64_t p = same ? x->start_ns : wall(x, x->start_ns);
	uint64_t q = same ? y->start_ns : wall(y, y->start_ns);

	return p < q ? -1 : p > q;
}

/* Times of s go on by what its wall clock and that of host 0 differ at its start. */
static int find_shift(struct merge *m, struct merge_source *s)
{
	size_t n, n0;
	const struct tape_clock *c0 = tape_reader_clocks(m->sources[0].facts.reader, &n0);

	tape_reader_clocks(s->facts.reader, &n);
	if (!n || !n0)
		return fail_set(m->run->fail, STATUS_LACKS,
				"%s: it does not tell wall-clock time, so how its times relate to "
				"those of another host is not known",
				n ? m->sources[0].path : s->path);
	s->shift_ns = (int64_t)(clock_mono(c0, n0, wall(s, s->start_ns), false) - s->start_ns);
	return 0;
}

static int new_host(struct merge *m, struct merge_source *s)
{
	uint32_t base = 0;

	for (unsigned i = 0; i < m->n; i++) {
		const struct merge_source *o = &m->sources[i];
		uint32_t n = o->cpu_base + tape_reader_info(o->facts.reader)->n_cpus;

		if (o == s)
			break;
		base = n > base ? n : base;
	}
	s->cpu_base = base;
	s->host = m->n_hosts++;
	return s->host ? find_shift(m, s) : 0;
}

int merge_find_hosts(struct merge *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		m->sources[i].key = host_key(&m->sources[i]);
		if (!m->sources[i].key)
			return fail_nomem(m->run->fail);
	}
	qsort(m->sources, m->n, sizeof(*m->sources), by_start);
	for (unsigned i = 0; i < m->n; i++) {
		struct merge_source *s = &m->sources[i], *o = m->sources;

		while (o < s && strcmp(o->key, s->key))
			o++;
		if (o < s) {
			s->host = o->host;
			s->shift_ns = o->shift_ns;
			s->cpu_base = o->cpu_base;
		} else if (new_host(m, s)) {
			return -1;
		}
	}
	return 0;
}

/* ---- numbers that a trace gives names to ---- */

static uint64_t name_hash(enum merge_kind kind, const char *name, size_t len, uint64_t salt)
{
	struct {
		uint64_t name, kind, salt;
	} key = {map_hash(name, len), kind, salt};

	return map_hash(&key, sizeof(key));
}

/* In s that number has this name: *ret what it is in the merged trace, which keeps it if it may. */
static int same_number(struct merge *m, struct merge_source *s, enum merge_kind kind, uint64_t v,
		       const char *name, size_t len, uint64_t *ret)
{
	/* without a name it is of that trace only */
	uint64_t h = name_hash(kind, name, len, len ? 0 : 1 + (uint64_t)(s - m->sources) + v);
	void *known = map_get(&m->names[kind], h);

	*ret = v;
	if (v >= UINT32_MAX - 1)
		return 0; /* none that a recorder gives */
	if (known) {
		*ret = (uintptr_t)known - 1;
	} else {
		if (map_get(&m->used[kind], v + 1))
			*ret = m->highest[kind] + 1;
		m->highest[kind] = *ret > m->highest[kind] ? *ret : m->highest[kind];
		if (map_put(&m->names[kind], h, (void *)(uintptr_t)(*ret + 1)) ||
		    map_put(&m->used[kind], *ret + 1, &yes))
			return fail_nomem(m->run->fail);
	}
	if (*ret != v && map_put(&s->ids[kind], v + 1, (void *)(uintptr_t)(*ret + 1)))
		return fail_nomem(m->run->fail);
	return 0;
}

static int take_row(struct merge *m, struct merge_source *s, const struct ev_head *e)
{
	const struct ev_snap_symbol *symbol = (const void *)e;
	const struct ev_snap_stack *stack = (const void *)e;
	const struct ev_snap_counter *counter = (const void *)e;
	uint64_t ignored;

	switch (e->type) {
	case EV_snap_symbol:
		return same_number(m, s, MERGE_SYMBOL, symbol->id, symbol->name.s, symbol->name.len,
				   &ignored);
	case EV_snap_stack:
		return same_number(m, s, MERGE_STACK, stack->id, stack->frames.s, stack->frames.len,
				   &ignored);
	case EV_snap_counter:
		return same_number(m, s, MERGE_COUNTER, counter->counter, counter->name.s,
				   counter->name.len, &ignored);
	default: return 0;
	}
}

struct look { /* one pass over the snapshots of a trace */
	struct merge *m;
	struct merge_source *s;
};

static bool look_at_head(void *ctx, const struct tape_chunk *c)
{
	struct merge_source *s = ((struct look *)ctx)->s;
	const struct tape_chunk_head *h = tape_chunk_head(c);
	uint64_t first = h->ts_min + (uint64_t)s->shift_ns;
	uint64_t last = h->ts_max + (uint64_t)s->shift_ns;

	if (tape_chunk_is_snapshot(c))
		return true;
	s->first_ns = first < s->first_ns ? first : s->first_ns;
	s->last_ns = last > s->last_ns ? last : s->last_ns;
	return false;
}

static int look_at(void *ctx, struct tape_chunk *c, void *work)
{
	struct look *l = ctx;
	const struct ev_head *e;

	if (!tape_chunk_is_snapshot(c) ||
	    tape_rows_begin(l->s->rows, c, tape_reader_schema(l->s->facts.reader), NULL))
		return 0; /* will be met again */
	while (tape_rows_next(l->s->rows, &e))
		if (take_row(l->m, l->s, e))
			return -1;
	return 0;
}

static int look_through(struct merge *m, struct merge_source *s)
{
	struct look l = {m, s};
	struct tape_pass pass = {
		.n_workers = 1, .wants = look_at_head, .reduce = look_at, .ctx = &l};
	struct tape_error err;
	int rc;

	s->first_ns = UINT64_MAX;
	rc = tape_pass_run(&pass, s->facts.reader, &err);

	if (rc == 1)
		return -1;
	if (!rc)
		rc = tape_reader_rewind(s->facts.reader, &err);
	return rc ? fail_tape(m->run->fail, s->path, &err) : 0;
}

/* A name that the kernel of s gives to a value: where another's has it too, it is that value. */
static int take_name(struct merge *m, struct merge_source *s, const struct tape_name *n)
{
	int kind = !strcmp(n->unit, "drop_reason")  ? (int)MERGE_DROP_REASON
		   : !strcmp(n->unit, "rst_reason") ? (int)MERGE_RST_REASON
						    : -1;
	uint64_t v = n->value, h;
	struct text t = {0};

	if (kind >= 0 && same_number(m, s, (enum merge_kind)kind, v, n->name, strlen(n->name), &v))
		return -1;
	if (tape_schema_name(tape_schema_builtin(), n->unit, v))
		return 0;
	text_fmt(&t, "name\t%s\t%" PRIu64 "\t", n->unit, v);
	h = t.failed ? 0 : map_hash(t.s, t.len);
	if (!t.failed && !map_get(&m->lines, h)) {
		text_add(&m->schema_names, t.s, t.len);
		text_puts(&m->schema_names, n->name);
		text_putc(&m->schema_names, '\n');
		t.failed = map_put(&m->lines, h, &yes) || m->schema_names.failed;
	}
	kind = t.failed;
	text_fini(&t);
	return kind ? fail_nomem(m->run->fail) : 0;
}

int merge_find_ids(struct merge *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct merge_source *s = &m->sources[i];
		const struct tape_schema *schema = tape_reader_schema(s->facts.reader);

		s->as_is = m->same_schema && !s->host && !meta(s, "pointers");
		for (size_t k = 0; k < schema->n_names; k++)
			if (take_name(m, s, &schema->names[k]))
				return -1;
		if (look_through(m, s))
			return -1;
		for (unsigned k = 0; k < MERGE_KINDS; k++)
			s->as_is &= !s->ids[k].n;
	}
	return 0;
}

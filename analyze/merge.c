// SPDX-License-Identifier: GPL-2.0-or-later
#include "merge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char yes;

static int failed(struct merge *m, const struct merge_source *s, const struct tape_error *err)
{
	return fail_tape(m->run->fail, s->path, err);
}

static uint64_t window(const struct merge_source *s, const char *key, uint64_t none)
{
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(s->facts.reader, &n);
	const char *value = meta_get(meta, n, key);
	uint64_t ns;

	return value && opt_number(value, UINT64_MAX, &ns) ? ns : none;
}

/* ---- META, CLOCK, LOSS ---- */

/* META of other hosts gets a prefix, but for what tells of events. A line is written once. */
static bool keep_meta(void *ctx, struct tape_meta *line)
{
	struct merge *m = ctx;
	const struct merge_source *s = m->facts_of;
	bool of_events = !strncmp(line->key, "probe.", 6) || !strncmp(line->key, "absent.", 7) ||
			 !strncmp(line->key, "parts.", 6);
	uint64_t h;

	if (!strncmp(line->key, "window.", 7) || !strcmp(line->key, "groups") ||
	    !strcmp(line->key, "pointers"))
		return false;
	text_clear(&m->key);
	if (s->host && !of_events)
		text_fmt(&m->key, "host.%u.", s->host);
	text_puts(&m->key, line->key);
	text_putc(&m->key, '\0');
	if (m->key.failed)
		return false;
	line->key = m->key.s;
	h = map_hash(m->key.s, m->key.len) ^ map_hash(line->value, strlen(line->value));
	if (map_get(&m->lines, h | 1))
		return false;
	map_put(&m->lines, h | 1, &yes);
	return true;
}

/* Those of host 0: the relation of its clock is that of all times. */
static bool keep_clock(void *ctx, struct tape_clock *c)
{
	struct merge *m = ctx;

	if (m->facts_of->host || c->mono_ns < m->last_clock_ns)
		return false;
	m->last_clock_ns = c->mono_ns;
	return true;
}

/* A loss that two parts of a cut trace tell is that of the part in which it begins. */
static bool keep_loss(void *ctx, struct tape_loss *l)
{
	const struct merge *m = ctx;
	const struct merge_source *s = m->facts_of;

	for (unsigned i = 0; l->from_ns < s->from_ns && i < m->n; i++) {
		const struct merge_source *o = &m->sources[i];

		if (o != s && o->host == s->host && o->from_ns <= l->from_ns &&
		    l->from_ns <= o->to_ns)
			return false;
	}
	l->from_ns += (uint64_t)s->shift_ns;
	l->to_ns += (uint64_t)s->shift_ns;
	if (l->cpu != UINT32_MAX)
		l->cpu += s->cpu_base;
	return true;
}

static int take_facts(struct merge *m, struct merge_source *s, bool only_meta)
{
	struct derive_rules rules = {keep_meta, keep_clock, keep_loss, m};

	m->facts_of = s;
	return only_meta ? derive_meta(&m->d, &s->facts, &rules)
			 : derive_facts(&m->d, &s->facts, &rules);
}

/* ---- opening ---- */

static int open_source(struct merge *m, struct merge_source *s, const char *path)
{
	struct tape_error err;

	s->of = m;
	s->path = path;
	if (tape_reader_open(&s->facts.reader, path, &err) || tape_rows_new(&s->rows, &err))
		return failed(m, s, &err);
	if (!tape_reader_seekable(s->facts.reader))
		return fail_set(m->run->fail, STATUS_USAGE,
				"%s: reads files: each is looked at twice, which a pipe is not",
				path);
	if (!tape_rows_fits(tape_reader_schema(s->facts.reader)))
		return fail_set(m->run->fail, STATUS_LACKS,
				"%s: its records are not those of this version", path);
	s->start_ns = tape_reader_info(s->facts.reader)->start_ns;
	s->from_ns = window(s, "window.from_ns", 0);
	s->to_ns = window(s, "window.to_ns", UINT64_MAX);
	return 0;
}

static bool same_schema(const struct merge_source *a, const struct merge_source *b)
{
	size_t n, k;
	const char *s = tape_reader_schema_text(a->facts.reader, &n);
	const char *t = tape_reader_schema_text(b->facts.reader, &k);

	return n == k && !memcmp(s, t, n);
}

/* Fields that the records of some trace do not have, and pointers: chunks are of all traces. */
static void find_absent(struct merge *m)
{
	const struct tape_schema *s = tape_schema_builtin();

	for (size_t i = 1; i < s->n_records; i++)
		for (unsigned k = 0; k < s->records[i].n_fields; k++)
			for (unsigned j = 0; j < m->n; j++) {
				const struct tape_record *rec = tape_schema_record(
					tape_reader_schema(m->sources[j].facts.reader),
					s->records[i].id);

				if (s->records[i].fields[k].hint == TAPE_POINTER ||
				    (rec && rec->n_fields <= k))
					tape_set_absent(&m->absent, s->records[i].id, k);
			}
}

static bool has_group(const struct text *list, const char *word, size_t len)
{
	for (size_t i = 0; i + len <= list->len; i++)
		if (!memcmp(list->s + i, word, len) && (!i || list->s[i - 1] == ',') &&
		    (i + len == list->len || list->s[i + len] == ','))
			return true;
	return false;
}

/* What any of them has of groups. */
static void find_groups(struct merge *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		size_t n;
		const struct tape_meta *meta = tape_reader_meta(m->sources[i].facts.reader, &n);
		const char *p = meta_get(meta, n, "groups");

		while (p && *p && m->groups.len < 512) {
			size_t len = strcspn(p, ",");

			if (len && !has_group(&m->groups, p, len)) {
				if (m->groups.len)
					text_putc(&m->groups, ',');
				text_add(&m->groups, p, len);
			}
			p += len + (p[len] == ',');
		}
	}
}

static int begin_output(struct merge *m, const char *output, bool force)
{
	const struct tape_file_info *info = tape_reader_info(m->sources[0].facts.reader);
	struct derive_how how = {.command = "merge",
				 .output = output,
				 .force = force,
				 .no_pointers = true,
				 .paths = m->run->paths,
				 .n_paths = m->n,
				 .writer = {.writer = info->writer, .start_ns = info->start_ns}};

	for (unsigned i = 0; i < m->n; i++) {
		const struct merge_source *s = &m->sources[i];
		uint32_t n = s->cpu_base + tape_reader_info(s->facts.reader)->n_cpus;

		how.writer.n_cpus = n > how.writer.n_cpus ? n : how.writer.n_cpus;
	}
	text_putc(&m->schema_names, '\0');
	if (m->schema_names.failed)
		return fail_nomem(m->run->fail);
	how.writer.names = m->schema_names.s;
	if (m->same_schema)
		how.writer.schema =
			tape_reader_schema_text(m->sources[0].facts.reader, &how.writer.schema_len);
	return derive_begin(&m->d, &how, m->run->fail);
}

static int tell(struct merge *m)
{
	char key[32];

	for (unsigned i = 0; i < m->n && i < 40; i++) /* META has its ceiling */
		derive_line_of(&m->d, m->sources[i].path, m->sources[i].facts.reader);
	if (m->groups.len)
		derive_line(&m->d, "groups", "%.*s", (int)m->groups.len, m->groups.s);
	for (unsigned i = 0, host = 0; i < m->n; i++) {
		const struct merge_source *s = &m->sources[i];

		if (s->host <= host)
			continue;
		host = s->host;
		snprintf(key, sizeof(key), "host.%u.shift_ns", host);
		derive_line(&m->d, key, "%" PRId64, s->shift_ns);
		snprintf(key, sizeof(key), "host.%u.first_cpu", host);
		derive_line(&m->d, key, "%u", s->cpu_base);
	}
	for (unsigned i = 0; i < m->n; i++)
		if (take_facts(m, &m->sources[i], true))
			return -1;
	return 0;
}

/* On any thread: only the columns of what will hardly be copied. */
static void decode(void *ctx, struct tape_chunk *chunk, void *work)
{
	const struct merge_source *s = ctx;
	const struct tape_chunk_head *h = tape_chunk_head(chunk);
	bool alone = s->as_is;

	for (const struct merge_source *o = s->of->sources; o < s->of->sources + s->of->n; o++)
		alone &= o == s || h->ts_max < o->first_ns || h->ts_min > o->last_ns;
	if (!alone && !(s->as_is && tape_chunk_is_snapshot(chunk)))
		derive_decode(tape_reader_schema(s->facts.reader), chunk, NULL);
}

/* Two or three hosts are read ahead; of many files, memory would be that of all of them. */
static int begin_pass(struct merge *m, struct merge_source *s)
{
	unsigned n = input_all_workers(), threads = m->n <= MERGE_MAX_AHEAD ? n / m->n : 0;
	struct tape_pass pass = {.n_workers = n < 2 ? 1 : 1 + threads, .map = decode, .ctx = s};
	struct tape_error err;
	int rc = tape_pass_begin(&s->pass, &pass, s->facts.reader, &err);

	return rc ? failed(m, s, &err) : 0;
}

int merge_open(struct merge *m, const char *output, bool force)
{
	m->closed = true;
	m->n = (unsigned)m->run->n_paths;
	if (m->n > MERGE_MAX)
		return fail_set(m->run->fail, STATUS_USAGE, "at most %d traces", MERGE_MAX);
	m->sources = calloc(m->n, sizeof(*m->sources));
	if (!m->sources)
		return fail_nomem(m->run->fail);
	for (unsigned i = 0; i < m->n; i++)
		if (open_source(m, &m->sources[i], m->run->paths[i]))
			return -1;
	m->same_schema = true;
	for (unsigned i = 1; i < m->n; i++)
		m->same_schema &= same_schema(&m->sources[0], &m->sources[i]);
	if (merge_find_hosts(m) || merge_find_ids(m))
		return -1;
	find_absent(m);
	find_groups(m);
	if (begin_output(m, output, force) || tell(m))
		return -1;
	for (unsigned i = 0; i < m->n; i++) {
		struct merge_source *s = &m->sources[i];

		if (s->from_ns || s->to_ns != UINT64_MAX)
			tape_reader_window(s->facts.reader, s->from_ns, s->to_ns);
		if (begin_pass(m, s) || merge_source_load(m, s))
			return -1;
	}
	return 0;
}

void merge_fini(struct merge *m)
{
	for (unsigned i = 0; m->sources && i < m->n; i++) {
		struct merge_source *s = &m->sources[i];

		for (unsigned k = 0; k < MERGE_KINDS; k++)
			map_fini(&s->ids[k]);
		tape_rows_free(s->rows);
		free(s->keep);
		tape_pass_end(s->pass);
		tape_reader_close(s->facts.reader);
		free(s->key);
	}
	for (unsigned k = 0; k < MERGE_KINDS; k++) {
		map_fini(&m->names[k]);
		map_fini(&m->used[k]);
	}
	map_fini(&m->snapshots);
	map_fini(&m->lines);
	text_fini(&m->schema_names);
	text_fini(&m->groups);
	text_fini(&m->key);
	free(m->sources);
}

/* ---- events ---- */

int merge_source_load(struct merge *m, struct merge_source *s)
{
	const struct tape_chunk_head *h;
	struct tape_error err;
	int rc = tape_pass_next(s->pass, &s->chunk, &err);

	if (rc < 0)
		return failed(m, s, &err);
	s->has_event = false;
	s->ended = !rc;
	if (!rc)
		return 0;
	h = tape_chunk_head(s->chunk);
	s->next_ns =
		tape_chunk_is_snapshot(s->chunk) ? s->pos_ns : h->ts_min + (uint64_t)s->shift_ns;
	return 0;
}

/* A snapshot that another part of the same recording has too. */
static bool is_repeated(struct merge *m, const struct merge_source *s)
{
	const void *head, *payload;
	size_t head_len, len;
	uint64_t key[2];

	if (!tape_chunk_is_snapshot(s->chunk))
		return false;
	tape_chunk_stored(s->chunk, &head, &head_len, &payload, &len);
	key[0] = map_hash(payload, len);
	key[1] = s->host + 1;
	key[0] = map_hash(key, sizeof(key));
	if (map_get(&m->snapshots, key[0]))
		return true;
	map_put(&m->snapshots, key[0], &yes); /* no memory: it is written twice */
	return false;
}

/* Nothing of the others comes before the end of this one's chunk, all of which is wanted. */
static bool stands_alone(const struct merge *m, const struct merge_source *s)
{
	const struct tape_chunk_head *h = tape_chunk_head(s->chunk);

	if (tape_chunk_is_snapshot(s->chunk))
		return true;
	for (unsigned i = 0; i < m->n; i++)
		if (&m->sources[i] != s && !m->sources[i].ended &&
		    m->sources[i].next_ns <= h->ts_max)
			return false;
	return h->ts_min >= s->from_ns && h->ts_max <= s->to_ns;
}

int merge_source_copy(struct merge *m, struct merge_source *s)
{
	if (take_facts(m, s, false))
		return -1;
	if (is_repeated(m, s))
		return merge_source_load(m, s) ? -1 : 1;
	if (!s->as_is || !stands_alone(m, s))
		return 0;
	if (!tape_chunk_is_snapshot(s->chunk))
		s->pos_ns = tape_chunk_head(s->chunk)->ts_max;
	if (derive_copy(&m->d, s->chunk) || merge_source_load(m, s))
		return -1;
	return 1;
}

static void find_chunk_absent(struct merge *m, struct merge_source *s)
{
	s->absent = *tape_rows_absent_fields(s->rows);
	for (unsigned i = 0; i < TAPE_MAX_BUILTIN; i++)
		for (unsigned k = 0; k < 2; k++)
			s->absent.of[i][k] |= m->absent.of[i][k];
	s->is_odd = memcmp(&s->absent, &m->absent, sizeof(s->absent)) != 0;
	if (m->current == &s->absent)
		m->current = NULL;
}

/* Of a cut trace, only what is in its window: the rest is another part's. */
static int keep_window(struct merge *m, struct merge_source *s)
{
	const struct tape_chunk_head *h = tape_chunk_head(s->chunk);
	struct tape_column ts;
	uint8_t *keep;

	if (tape_chunk_is_snapshot(s->chunk) || (h->ts_min >= s->from_ns && h->ts_max <= s->to_ns))
		return 0;
	keep = realloc(s->keep, h->n_events);
	if (!keep || tape_chunk_column(s->chunk, TAPE_COMMON, TAPE_COMMON_TS, &ts, NULL))
		return fail_nomem(m->run->fail); /* it was decoded before */
	s->keep = keep;
	for (uint32_t i = 0; i < ts.n; i++) {
		uint64_t ns = tape_column_get(&ts, i);

		keep[i] = ns >= s->from_ns && ns <= s->to_ns;
	}
	tape_rows_keep(s->rows, keep);
	return 0;
}

int merge_source_begin(struct merge *m, struct merge_source *s)
{
	struct tape_rows_edit edit = merge_edit;
	struct tape_error err;
	int rc = tape_rows_begin(s->rows, s->chunk, tape_reader_schema(s->facts.reader), &err);

	edit.ctx = s;
	if (!rc && !s->as_is)
		rc = tape_rows_edit(s->rows, &edit, &err);
	if (rc == TAPE_E_NOMEM)
		return failed(m, s, &err);
	if (rc) {
		m->d.n_damaged++;
		return merge_source_load(m, s);
	}
	m->d.n_damaged += tape_rows_damaged(s->rows, &err);
	m->d.n_unknown += tape_rows_unknown(s->rows);
	find_chunk_absent(m, s);
	return keep_window(m, s) ? -1 : merge_source_step(m, s);
}

int merge_source_step(struct merge *m, struct merge_source *s)
{
	uint64_t ts;

	s->has_event = tape_rows_peek(s->rows, &ts);
	if (!s->has_event)
		return merge_source_load(m, s);
	if (!tape_chunk_is_snapshot(s->chunk))
		s->pos_ns = ts;
	s->next_ns = s->pos_ns;
	return 0;
}

/* ---- the end ---- */

int merge_end(struct merge *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct merge_source *s = &m->sources[i];
		struct tape_end end;
		size_t n;
		uint64_t end_ns;

		if (take_facts(m, s, false))
			return -1;
		tape_reader_end(s->facts.reader, &end);
		tape_reader_damage(s->facts.reader, &n);
		m->closed &= end.closed;
		end_ns = (end.closed ? end.end_ns : s->pos_ns - (uint64_t)s->shift_ns) +
			 (uint64_t)s->shift_ns;
		m->end_ns = end_ns > m->end_ns ? end_ns : m->end_ns;
		if (n && !m->n_damage)
			m->damaged = s->path;
		m->n_damage += n;
	}
	m->d.n_damaged += m->n_damage;
	if (m->d.n_damaged && !m->n_damage) {
		m->n_damage = m->d.n_damaged;
		m->damaged = m->sources[0].path;
	}
	return derive_close(&m->d, m->closed, m->end_ns);
}

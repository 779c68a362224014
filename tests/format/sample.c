// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout.h"
#include "writer.h"

#define POOL 6 /* different sockets and tasks; 0 is none */

static const char text[] = "/kubepods.slice/pod-0123456789abcdef.slice/container.scope \"\\\t\xff";

static void die(const char *what)
{
	perror(what);
	abort();
}

uint64_t sample_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static const struct tape_record *record_of(unsigned id)
{
	return tape_schema_record(tape_schema_builtin(), id);
}

const struct tape_record *sample_event(size_t i)
{
	const struct tape_schema *s = tape_schema_builtin();

	for (size_t k = 0; k < s->n_records; k++)
		if (!s->records[k].is_table && !i--)
			return &s->records[k];
	return NULL;
}

/* ---- filling ---- */

static void fill_fields(const struct tape_record *rec, uint64_t seed, uint8_t *out);

/* Values of all magnitudes, with runs and extremes. */
static uint64_t some_value(uint64_t *state)
{
	uint64_t v = sample_random(state), kind = v % 5;

	if (kind == 0)
		return UINT64_MAX;
	if (kind == 1)
		return 0;
	return v >> 8 >> (sample_random(state) % 56);
}

static void fill_field(const struct tape_field *f, uint64_t *state, uint8_t *out)
{
	uint64_t v = some_value(state);
	struct ev_str str = {.s = text + v % 8, .len = (v >> 3) % (sizeof(text) - 8)};

	if (f->table) {
		memset(out, 0, tape_field_size(f));
		if (v % POOL)
			fill_fields(record_of(f->table), v % POOL, out);
	} else if (f->type == TAPE_STR) {
		memcpy(out, &str, sizeof(str));
	} else {
		for (unsigned b = 0; b < f->width; b++, v = v >> 8 ? v >> 8 : v)
			out[b] = (uint8_t)v;
	}
}

static void fill_fields(const struct tape_record *rec, uint64_t seed, uint8_t *out)
{
	uint64_t state = seed;

	for (unsigned i = 0; i < rec->n_fields; i++)
		fill_field(&rec->fields[i], &state, out + tape_field_offset(rec, i));
}

void sample_fill(const struct tape_record *rec, uint64_t seed, uint64_t ts_ns, union sample *ret)
{
	memset(ret, 0, sizeof(*ret));
	fill_fields(rec, seed, ret->bytes);
	ret->head = (struct ev_head){.ts_ns = ts_ns,
				     .cpu = (uint32_t)(seed % 3),
				     .type = rec->id,
				     .size = (uint16_t)tape_record_size(rec)};
}

/* ---- comparing ---- */

static const char *row_differs(struct tape_chunk *c, const struct tape_record *rec, uint32_t row,
			       const uint8_t *expected, bool pointers);

static void swap_ends(const uint8_t *src, struct ev_flow *ret)
{
	struct ev_flow f;

	memcpy(&f, src, sizeof(f));
	*ret = (struct ev_flow){f.raddr, f.laddr, f.rport, f.lport};
}

static bool ref_differs(struct tape_chunk *c, const struct tape_field *f, uint64_t ref,
			const uint8_t *expected, bool pointers)
{
	static const uint8_t none[256];
	struct ev_flow swapped;

	if (!memcmp(expected, none, tape_field_size(f)))
		return ref != 0;
	if (!ref)
		return true;
	ref--;
	if (f->type == TAPE_DREF) {
		if (ref & 1) {
			swap_ends(expected, &swapped);
			expected = (const uint8_t *)&swapped;
		}
		ref >>= 1;
	}
	return row_differs(c, record_of(f->table), (uint32_t)ref, expected, pointers) != NULL;
}

static bool str_differs(const struct tape_column *col, uint32_t row, const uint8_t *expected)
{
	const char *found = (const char *)col->values + col->str_start[row];
	struct ev_str s;

	memcpy(&s, expected, sizeof(s));
	return col->str_start[row + 1] - col->str_start[row] != s.len || memcmp(found, s.s, s.len);
}

static bool field_differs(struct tape_chunk *c, const struct tape_record *rec, unsigned field,
			  uint32_t row, const uint8_t *expected, bool pointers)
{
	const struct tape_field *f = &rec->fields[field];
	struct tape_column col;
	int rc = tape_chunk_column(c, rec->id, field, &col, NULL);

	if (f->hint == TAPE_POINTER && !pointers)
		return rc != TAPE_E_ABSENT;
	if (rc || row >= col.n)
		return true;
	if (f->table)
		return ref_differs(c, f, tape_column_get(&col, row), expected, pointers);
	if (f->type == TAPE_STR)
		return str_differs(&col, row, expected);
	return memcmp((const uint8_t *)col.values + (size_t)row * f->width, expected, f->width);
}

static const char *row_differs(struct tape_chunk *c, const struct tape_record *rec, uint32_t row,
			       const uint8_t *expected, bool pointers)
{
	for (unsigned i = 0; i < rec->n_fields; i++)
		if (field_differs(c, rec, i, row, expected + tape_field_offset(rec, i), pointers))
			return rec->fields[i].name;
	return NULL;
}

const char *sample_differs(struct tape_chunk *c, const struct tape_record *rec, uint32_t row,
			   const union sample *expected, bool pointers)
{
	return row_differs(c, rec, row, expected->bytes, pointers);
}

/* ---- bytes and files ---- */

void bytes_add(struct bytes *b, const void *p, size_t len)
{
	if (b->len + len > b->cap) {
		b->cap = 2 * (b->len + len);
		b->p = realloc(b->p, b->cap);
		if (!b->p)
			die("realloc");
	}
	if (len)
		memcpy(b->p + b->len, p, len);
	b->len += len;
}

void bytes_free(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes){0};
}

int sample_memfd(char path[32])
{
	int fd = memfd_create("tape", MFD_CLOEXEC);

	if (fd < 0)
		die("memfd_create");
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

void sample_read_back(int fd, struct bytes *ret)
{
	struct stat st;

	if (fstat(fd, &st))
		die("fstat");
	ret->p = malloc((size_t)st.st_size + 1);
	ret->len = ret->cap = (size_t)st.st_size;
	if (!ret->p || pread(fd, ret->p, ret->len, 0) != (ssize_t)ret->len)
		die("pread");
}

/* ---- a trace ---- */

static const struct tape_meta meta[] = {
	{"host.release", "6.1.0-test"},
	{"note", "tab\tnewline\nbackslash\\ and \xc3\xa9"},
	{"note", ""},
};

static void must(int rc, const struct tape_error *err)
{
	if (rc) {
		fprintf(stderr, "sample trace: %s\n", err->text);
		abort();
	}
}

/* Every event type in turn; those of group snapshot only where they belong. */
static void add_events(struct tape_writer *w, bool snapshot, unsigned n, uint64_t *ts)
{
	struct tape_error err;
	union sample e;

	for (size_t i = 0, done = 0; done < n; i++) {
		const struct tape_record *rec = sample_event(i);

		if (!rec) {
			i = SIZE_MAX;
			continue;
		}
		if (!strcmp(rec->group, "snapshot") != snapshot)
			continue;
		*ts += 1000 + 7 * done % 500;
		sample_fill(rec, *ts, *ts, &e);
		must(tape_writer_event(w, &e.head, &err), &err);
		done++;
	}
}

void sample_trace(const struct sample_opts *opts, struct bytes *ret)
{
	struct tape_writer_opts wo = {.file_id = SAMPLE_FILE_ID,
				      .writer = "sample 1",
				      .n_cpus = 3,
				      .start_ns = SAMPLE_START_NS,
				      .pointers = opts->pointers,
				      .names = opts->small ? NULL : "name\tdrop_reason\t2\tODD\n"};
	struct tape_clock clock = {SAMPLE_START_NS, 1700000000000000000, SAMPLE_START_NS + 5, 40};
	struct tape_loss loss = {.count = 3, .cpu = 1, .reason = TAPE_LOSS_RING, .group = "rtt"};
	uint64_t ts = SAMPLE_START_NS;
	struct tape_writer *w;
	struct tape_error err;
	char path[32];
	int fd = sample_memfd(path);

	must(tape_writer_open(&w, fd, &wo, &err), &err);
	must(tape_writer_meta(w, meta, 3, &err), &err);
	must(tape_writer_clock(w, &clock, &err), &err);
	add_events(w, true, 3, &ts);
	for (unsigned i = 0; i < opts->n_chunks; i++) {
		add_events(w, false, opts->n_events, &ts);
		must(tape_writer_flush(w, 0, &err), &err);
		loss.from_ns = ts;
		loss.to_ns = ts + 500;
		if (i + 1 < opts->n_chunks)
			must(tape_writer_loss(w, &loss, 1, &err), &err);
	}
	if (!opts->open_end)
		must(tape_writer_close(w, ts + 1000, &err), &err);
	tape_writer_free(w);
	sample_read_back(fd, ret);
	close(fd);
}

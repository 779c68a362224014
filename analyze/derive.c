// SPDX-License-Identifier: GPL-2.0-or-later
#include "derive.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"
#include "layout.h"
#include "patch.h"

/* META has ceilings; our own lines come first, then those of the traces as far as there is room. */
#define LINES_ROOM 64
#define TEXT_ROOM (64u << 10)
#define TEXT_A_BLOCK (256u << 10)

int derive_written(struct derive *d, int rc, const struct tape_error *err)
{
	if (!rc)
		return 0;
	if (err->code == TAPE_E_IO)
		return fail_set(d->fail, STATUS_FOUND, "writing %s: %s", d->file.path,
				strerror(err->sys_errno));
	return fail_tape(d->fail, d->file.path, err);
}

/* ---- opening ---- */

/* The output must be none of the traces that are read, also with --force. */
static int check_paths(const struct derive_how *how, struct fail *fail)
{
	struct stat out, in;

	if (stat(how->output, &out) || !S_ISREG(out.st_mode))
		return 0;
	for (unsigned i = 0; i < how->n_paths; i++)
		if (!(strcmp(how->paths[i], "-") ? stat(how->paths[i], &in)
						 : fstat(STDIN_FILENO, &in)) &&
		    in.st_dev == out.st_dev && in.st_ino == out.st_ino)
			return fail_set(fail, STATUS_USAGE, "%s is the trace itself", how->output);
	return 0;
}

int derive_begin(struct derive *d, const struct derive_how *how, struct fail *fail)
{
	struct tape_writer_opts wo = how->writer;
	struct tape_error err;
	int rc;

	*d = (struct derive){.fail = fail, .file = {.fd = -1}, .level = wo.level};
	if (getrandom(&wo.file_id, sizeof(wo.file_id), 0) != sizeof(wo.file_id))
		return fail_set(fail, STATUS_FOUND, "no random number for a file id");
	if (check_paths(how, fail) || outfile_open(&d->file, how->output, how->force, -1, fail))
		return -1;
	wo.aside = input_all_workers() > 1;
	wo.pointers = !how->no_pointers; /* as far as the trace has them: tape_writer_absent */
	rc = tape_rows_new(&d->rows, &err);
	if (!rc)
		rc = tape_writer_open(&d->w, d->file.fd, &wo, &err);
	derive_line(d, "derived.by", "tcptape " TCPTAPE_VERSION " %s", how->command);
	return derive_written(d, rc, &err);
}

int derive_end(struct derive *d, int rc)
{
	struct fail closing;
	int close_rc = outfile_close(&d->file, !rc, &closing);

	tape_writer_free(d->w);
	tape_rows_free(d->rows);
	tape_patch_free(d->patch);
	text_fini(&d->keys);
	if (!rc && close_rc)
		*d->fail = closing;
	return rc || close_rc ? -1 : 0;
}

/* ---- META ---- */

static int flush_lines(struct derive *d)
{
	struct tape_meta *lines = calloc(d->n_lines + 1, sizeof(*lines));
	const char *p = d->keys.s;
	struct tape_error err;
	int rc;

	if (!lines || d->keys.failed) {
		free(lines);
		return fail_nomem(d->fail);
	}
	for (size_t i = 0; i < d->n_lines; i++) {
		lines[i].key = p;
		lines[i].value = p + strlen(p) + 1;
		p = lines[i].value + strlen(lines[i].value) + 1;
	}
	rc = d->n_lines ? tape_writer_meta(d->w, lines, d->n_lines, &err) : 0;
	d->n_lines = d->keys.len = 0;
	free(lines);
	return derive_written(d, rc, &err);
}

static void add_line(struct derive *d, const char *key, const char *value)
{
	d->n_lines++;
	d->n_lines_all++;
	d->lines_len += 2 * (strlen(key) + strlen(value)) + 2; /* what escapes may make of it */
	text_add(&d->keys, key, strlen(key) + 1);
	text_add(&d->keys, value, strlen(value) + 1);
}

void derive_line(struct derive *d, const char *key, const char *fmt, ...)
{
	char value[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	add_line(d, key, value);
}

void derive_line_of(struct derive *d, const char *path, const struct tape_reader *r)
{
	const char *slash = strrchr(path, '/');

	derive_line(d, "derived.of", "%s", slash ? slash + 1 : path);
	derive_line(d, "derived.file_id", "%016" PRIx64, tape_reader_info(r)->file_id);
}

static int take_meta(struct derive *d, const struct tape_meta *m, const struct derive_rules *rules)
{
	struct tape_meta line = *m;

	if (rules && rules->meta && !rules->meta(rules->ctx, &line))
		return 0;
	if (d->n_lines_all + LINES_ROOM > TAPE_MAX_META ||
	    d->lines_len + 2 * (strlen(line.key) + strlen(line.value)) + TEXT_ROOM >
		    TAPE_MAX_META_TEXT) {
		d->lines_cut = true;
		return 0;
	}
	add_line(d, line.key, line.value);
	return d->keys.len > TEXT_A_BLOCK ? flush_lines(d) : 0;
}

/* ---- facts ---- */

static int take_losses(struct derive *d, const struct tape_loss *l, size_t n,
		       const struct derive_rules *rules)
{
	struct tape_loss *kept = n ? calloc(n, sizeof(*kept)) : NULL;
	struct tape_error err;
	size_t n_kept = 0;
	int rc;

	if (!n)
		return 0;
	if (!kept)
		return fail_nomem(d->fail);
	for (size_t i = 0; i < n; i++) {
		kept[n_kept] = l[i];
		if (!rules || !rules->loss || rules->loss(rules->ctx, &kept[n_kept]))
			n_kept++;
	}
	rc = n_kept ? tape_writer_loss(d->w, kept, n_kept, &err) : 0;
	free(kept);
	return derive_written(d, rc, &err);
}

int derive_meta(struct derive *d, struct derive_source *s, const struct derive_rules *rules)
{
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(s->reader, &n);

	for (; s->n_meta < n; s->n_meta++)
		if (take_meta(d, &meta[s->n_meta], rules))
			return -1;
	return flush_lines(d);
}

int derive_facts(struct derive *d, struct derive_source *s, const struct derive_rules *rules)
{
	size_t n_clocks, n_losses;
	const struct tape_clock *clocks = tape_reader_clocks(s->reader, &n_clocks);
	const struct tape_loss *losses = tape_reader_losses(s->reader, &n_losses);
	struct tape_error err;
	int rc = derive_meta(d, s, rules);

	for (; !rc && s->n_clocks < n_clocks; s->n_clocks++) {
		struct tape_clock c = clocks[s->n_clocks];

		if (!rules || !rules->clock || rules->clock(rules->ctx, &c))
			rc = derive_written(d, tape_writer_clock(d->w, &c, &err), &err);
	}
	if (!rc && s->n_losses < n_losses) {
		rc = take_losses(d, losses + s->n_losses, n_losses - s->n_losses, rules);
		s->n_losses = n_losses;
	}
	return rc;
}

/* ---- chunks ---- */

int derive_copy(struct derive *d, struct tape_chunk *c)
{
	struct tape_error err;

	return derive_written(d, tape_writer_copy(d->w, c, &err), &err);
}

int derive_rows(struct derive *d, struct tape_chunk *c, const struct tape_schema *schema,
		const uint8_t *keep, int (*edit)(void *ctx, struct ev_head *e), void *ctx)
{
	const struct ev_head *e;
	struct tape_error err, ignored;
	int rc = tape_rows_begin(d->rows, c, schema, &err);

	if (rc && rc != TAPE_E_NOMEM) {
		d->n_damaged++;
		return 0; /* without times or types it is no use */
	}
	d->n_damaged += tape_rows_damaged(d->rows, &ignored);
	tape_rows_keep(d->rows, keep);
	if (!rc)
		rc = tape_writer_absent(d->w, tape_rows_absent_fields(d->rows), &err);
	if (!rc && !edit)
		rc = tape_writer_rows(d->w, d->rows, UINT64_MAX, &err);
	while (!rc && edit && tape_rows_next(d->rows, &e))
		if (!edit(ctx, (struct ev_head *)(uintptr_t)e))
			rc = tape_writer_event(d->w, e, &err);
	return derive_written(d, rc, &err);
}

int derive_patch(struct derive *d, struct tape_chunk *c, const struct tape_patch_rules *rules)
{
	struct tape_chunk_made made;
	struct tape_error err;
	int rc = d->patch ? 0 : tape_patch_new(&d->patch, d->level, &err);

	if (!rc)
		rc = tape_patch_chunk(d->patch, c, rules, &made, &err);
	if (rc <= 0)
		return derive_written(d, rc, &err);
	rc = tape_writer_made(d->w, c, &made, &err);
	return derive_written(d, rc, &err) ? -1 : 1;
}

int derive_decode(const struct tape_schema *schema, struct tape_chunk *c, struct tape_error *err)
{
	struct tape_column col;

	for (size_t i = 0; i < schema->n_records; i++)
		for (unsigned k = 0; k < schema->records[i].n_fields; k++)
			if (tape_chunk_column(c, schema->records[i].id, k, &col, NULL) ==
			    TAPE_E_NOMEM)
				return tape_fail(err, TAPE_E_NOMEM, 0, "no memory for a chunk");
	return 0;
}

static bool has_more_fields(const struct tape_chunk *c, const struct tape_schema *schema)
{
	for (size_t i = 1; i < schema->n_records; i++) {
		const struct tape_record *rec = &schema->records[i];
		const struct tape_record *known =
			tape_schema_record(tape_schema_builtin(), rec->id);

		if (tape_chunk_rows(c, rec->id) && (!known || known->n_fields < rec->n_fields))
			return true;
	}
	return false;
}

int derive_rows_tell_all(struct derive *d, struct tape_chunk *c, const struct tape_schema *schema)
{
	struct tape_error err;
	int rc;

	if (!tape_rows_fits(schema) || has_more_fields(c, schema))
		return 0;
	rc = tape_rows_begin(d->rows, c, schema, &err);
	if (rc == TAPE_E_NOMEM)
		return fail_nomem(d->fail);
	return !rc && !tape_rows_unknown(d->rows) && !tape_rows_damaged(d->rows, &err);
}

int derive_close(struct derive *d, bool is_closed, uint64_t end_ns)
{
	struct tape_error err;

	if (!is_closed)
		derive_line(d, "derived.lacks",
			    "the end: a trace that it is made of was not closed");
	if (d->n_damaged)
		derive_line(d, "derived.lacks", "%" PRIu64 " damaged chunks or columns",
			    d->n_damaged);
	if (d->n_unknown)
		derive_line(d, "derived.lacks",
			    "%" PRIu64 " events of types that tcptape " TCPTAPE_VERSION
			    " does not know",
			    d->n_unknown);
	if (d->lines_cut)
		derive_line(d, "derived.lacks", "lines of metadata: there were too many");
	if (flush_lines(d))
		return -1;
	return derive_written(d, tape_writer_close(d->w, end_ns, &err), &err);
}

int derive_close_one(struct derive *d, const struct derive_source *s, uint64_t last_ns)
{
	struct tape_end end;
	size_t n_damage;

	tape_reader_end(s->reader, &end);
	tape_reader_damage(s->reader, &n_damage);
	d->n_damaged += n_damage;
	return derive_close(d, end.closed, end.closed ? end.end_ns : last_ns);
}

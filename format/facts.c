// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "facts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "cursor.h"
#include "frame.h"
#include "layout.h"

/* One more item of `size` bytes; NULL if there are max already, or no memory. */
static void *grow(struct tape_list *l, size_t size, size_t max)
{
	if (l->n == max)
		return NULL;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		void *p = realloc(l->p, cap * size);

		if (!p)
			return NULL;
		l->p = p;
		l->cap = cap;
	}
	return (char *)l->p + size * l->n++;
}

/* Bytes of the text of SCHEMA or META, TAPE_FRAME_BAD if it is no text. */
static uint64_t text_len(const struct tape_block_view *v)
{
	uint64_t content;
	size_t len = 0;

	if (!(v->h.flags & TAPE_BLOCK_ZSTD))
		return v->h.payload_len;
	content = tape_frame_content(v->payload, v->h.payload_len, &len);
	return len == v->h.payload_len ? content : TAPE_FRAME_BAD;
}

static int bad_text(const struct tape_block_view *v, struct tape_error *err)
{
	return tape_fail(err, TAPE_E_CORRUPT, v->offset,
			 "text block at byte %" PRIu64 " is damaged", v->offset);
}

/*
 * The text of SCHEMA or META, decompressed and NUL-terminated; the caller frees it. All of them
 * have one budget, also those that turn out to be damaged, and it is asked before anything is
 * decompressed: else a file of refused blocks would cost a megabyte of work for each hundred bytes.
 */
static int get_text(struct tape_facts *f, const struct tape_block_view *v, char **ret,
		    size_t *ret_len, struct tape_error *err)
{
	bool packed = v->h.flags & TAPE_BLOCK_ZSTD;
	uint64_t len = text_len(v);
	size_t n = v->h.payload_len;
	char *text;

	if (len == TAPE_FRAME_BAD)
		return bad_text(v, err);
	if (len > TAPE_MAX_TEXT)
		return tape_fail(err, TAPE_E_LIMIT, v->offset,
				 "text block at byte %" PRIu64 " is longer than %u bytes",
				 v->offset, TAPE_MAX_TEXT);
	if (f->texts_len + len > TAPE_MAX_META_TEXT)
		return tape_fail(err, TAPE_E_LIMIT, v->offset, "more than %u bytes of metadata",
				 TAPE_MAX_META_TEXT);
	f->texts_len += len;
	text = malloc((size_t)len + 1);
	if (!text)
		return tape_fail(err, TAPE_E_NOMEM, v->offset, "no memory to read a trace");
	if (packed)
		n = ZSTD_decompress(text, (size_t)len, v->payload, v->h.payload_len);
	else
		memcpy(text, v->payload, n);
	if (n != len) {
		free(text);
		return bad_text(v, err);
	}
	text[n] = '\0';
	*ret = text;
	*ret_len = n;
	return 0;
}

int tape_facts_other_version(unsigned major, uint64_t offset, struct tape_error *err)
{
	return tape_fail(err, TAPE_E_VERSION, offset,
			 "this file has format version %u, this program reads version %d: "
			 "use a tcptape of the same version",
			 major, TAPE_VERSION_MAJOR);
}

static int on_file(struct tape_facts *f, const struct tape_block_view *v, struct tape_error *err)
{
	struct tape_in in = tape_in(v->type_head, v->h.hdr_len);
	size_t len = v->h.payload_len;

	if (f->any)
		return 0; /* repeated */
	f->info.major = tape_in_u16(&in);
	f->info.minor = tape_in_u16(&in);
	f->info.n_cpus = tape_in_u32(&in);
	f->info.start_ns = tape_in_u64(&in);
	f->info.file_id = v->h.file_id;
	if (in.bad)
		return tape_fail(err, TAPE_E_CORRUPT, v->offset, "the FILE block is too short");
	if (f->info.major != TAPE_VERSION_MAJOR)
		return tape_facts_other_version(f->info.major, v->offset, err);
	if (len >= sizeof(f->info.writer))
		len = sizeof(f->info.writer) - 1;
	memcpy(f->info.writer, v->payload, len);
	f->info.writer[len] = '\0';
	f->any = true;
	return 0;
}

static int on_schema(struct tape_facts *f, const struct tape_block_view *v, struct tape_error *err)
{
	char *text = NULL;
	size_t len = 0;
	int rc;

	if (f->schema)
		return 0; /* repeated, for files that lost their head */
	rc = get_text(f, v, &text, &len, err);
	if (rc)
		return rc;
	rc = tape_schema_parse(text, len, &f->schema, err);
	if (rc) {
		free(text);
		return rc;
	}
	f->texts_len -= len;
	f->schema_text = text;
	f->schema_len = len;
	return 0;
}

/* Undo the escapes of a value in place (writer.c, put_meta_line). */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '\\' && s[1]) {
			s++;
			*to++ = *s == 't' ? '\t' : *s == 'n' ? '\n' : *s;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static int on_meta(struct tape_facts *f, const struct tape_block_view *v, struct tape_error *err)
{
	char *text, **keep = grow(&f->texts, sizeof(*keep), TAPE_MAX_META);
	size_t len = 0;
	int rc;

	if (!keep)
		return tape_fail(err, TAPE_E_LIMIT, v->offset, "more than %d META blocks",
				 TAPE_MAX_META);
	*keep = NULL;
	rc = get_text(f, v, keep, &len, err);
	if (rc)
		return rc;
	text = *keep;
	for (char *line = text, *next; *line; line = next) {
		char *tab, *end = strchr(line, '\n');
		struct tape_meta *m;

		next = end ? end + 1 : line + strlen(line);
		if (end)
			*end = '\0';
		tab = strchr(line, '\t');
		if (!tab)
			continue;
		*tab = '\0';
		unescape(tab + 1);
		m = grow(&f->meta, sizeof(*m), TAPE_MAX_META);
		if (!m)
			return tape_fail(err, TAPE_E_LIMIT, v->offset,
					 "more than %d lines of metadata", TAPE_MAX_META);
		*m = (struct tape_meta){line, tab + 1};
	}
	return 0;
}

static int on_clock(struct tape_facts *f, const struct tape_block_view *v, struct tape_error *err)
{
	struct tape_in in = tape_in(v->type_head, v->h.hdr_len);
	struct tape_clock c, *keep;

	c.mono_ns = tape_in_u64(&in);
	c.real_ns = tape_in_u64(&in);
	c.boot_ns = tape_in_u64(&in);
	c.uncertainty_ns = tape_in_u64(&in);
	if (in.bad)
		return tape_fail(err, TAPE_E_CORRUPT, v->offset, "a CLOCK block is too short");
	keep = grow(&f->clocks, sizeof(*keep), TAPE_MAX_CLOCKS);
	if (!keep)
		return tape_fail(err, TAPE_E_LIMIT, v->offset,
				 "more than %u readings of the clocks", TAPE_MAX_CLOCKS);
	*keep = c;
	return 0;
}

static int on_loss(struct tape_facts *f, const struct tape_block_view *v, struct tape_error *err)
{
	struct tape_in in = tape_in(v->payload, v->h.payload_len);

	while (tape_in_left(&in) >= TAPE_LOSS_LEN) {
		struct tape_loss *l = grow(&f->losses, sizeof(*l), TAPE_MAX_LOSSES);

		if (!l)
			return tape_fail(err, TAPE_E_LIMIT, v->offset,
					 "more than %u records of losses", TAPE_MAX_LOSSES);
		memset(l, 0, sizeof(*l));
		l->from_ns = tape_in_u64(&in);
		l->to_ns = tape_in_u64(&in);
		l->count = tape_in_u64(&in);
		l->cpu = tape_in_u32(&in);
		l->reason = tape_in_u8(&in);
		tape_in_bytes(&in, 3);
		memcpy(l->group, tape_in_bytes(&in, 8), 8);
		f->end.lost += l->count;
	}
	return 0;
}

static int on_end(struct tape_facts *f, const struct tape_block_view *v, struct tape_error *err)
{
	struct tape_in in = tape_in(v->type_head, v->h.hdr_len);

	tape_in_u64(&in);
	f->end.n_events = tape_in_u64(&in);
	f->end.lost = tape_in_u64(&in);
	f->end.end_ns = tape_in_u64(&in);
	f->end.closed = !in.bad;
	f->ended = true;
	return 0;
}

static const struct {
	uint8_t type;
	int (*handle)(struct tape_facts *f, const struct tape_block_view *v,
		      struct tape_error *err);
} handlers[] = {
	{TAPE_BLOCK_FILE, on_file},   {TAPE_BLOCK_SCHEMA, on_schema}, {TAPE_BLOCK_META, on_meta},
	{TAPE_BLOCK_CLOCK, on_clock}, {TAPE_BLOCK_LOSS, on_loss},     {TAPE_BLOCK_INDEX, NULL},
	{TAPE_BLOCK_END, on_end},
};

int tape_facts_block(struct tape_facts *f, const struct tape_block_view *v, struct tape_error *err)
{
	if (!f->any && v->h.type != TAPE_BLOCK_FILE)
		return tape_fail(err, TAPE_E_NOT_TAPE, 0, "a trace must start with a FILE block");
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].type == v->h.type && !(v->h.flags & ~TAPE_BLOCK_KNOWN_FLAGS))
			return handlers[i].handle ? handlers[i].handle(f, v, err) : 0;
	if (v->h.flags & TAPE_BLOCK_ANCILLARY)
		return 0;
	return tape_fail(err, TAPE_E_VERSION, v->offset,
			 "block type %u at byte %" PRIu64
			 " is needed to read this file: use a newer "
			 "tcptape",
			 v->h.type, v->offset);
}

static void free_texts(struct tape_facts *f)
{
	for (size_t i = 0; i < f->texts.n; i++)
		free(((char **)f->texts.p)[i]);
	f->texts.n = f->texts_len = 0;
}

void tape_facts_reset(struct tape_facts *f)
{
	free_texts(f);
	f->meta.n = f->clocks.n = f->losses.n = 0;
	memset(&f->end, 0, sizeof(f->end));
	f->any = f->ended = false;
}

void tape_facts_fini(struct tape_facts *f)
{
	free_texts(f);
	free(f->texts.p);
	free(f->meta.p);
	free(f->clocks.p);
	free(f->losses.p);
	tape_schema_free(f->schema);
	free(f->schema_text);
}

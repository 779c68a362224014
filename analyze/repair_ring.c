// SPDX-License-Identifier: GPL-2.0-or-later
#include "repair_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../format/facts.h" /* not that of this folder */
#include "layout.h"
#include "meta.h"
#include "reader.h"

struct place {
	uint64_t offset, len;
	uint32_t seq;
};

struct ring {
	const char *path;
	struct fail *fail;
	struct tape_reader *in;
	struct tape_facts facts;
	struct place *places; /* of all blocks */
	size_t n, cap;
};

static bool is_head(const struct tape_block_view *v)
{
	return v->h.type == TAPE_BLOCK_FILE || v->h.type == TAPE_BLOCK_SCHEMA ||
	       v->h.type == TAPE_BLOCK_META;
}

static int add(struct ring *g, const struct tape_block_view *v)
{
	if (g->n == g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 1024;
		struct place *more = realloc(g->places, cap * sizeof(*more));

		if (!more)
			return fail_nomem(g->fail);
		g->places = more;
		g->cap = cap;
	}
	g->places[g->n++] = (struct place){v->offset, tape_block_len(&v->h), v->h.seq};
	return 0;
}

static bool is_ring(const struct ring *g)
{
	return meta_get(g->facts.meta.p, g->facts.meta.n, "ring.size") &&
	       !meta_get(g->facts.meta.p, g->facts.meta.n, "repair.by");
}

/* 1: it is one, and all its blocks were found; 0: it is none. */
static int find_blocks(struct ring *g)
{
	struct tape_block_view v;
	struct tape_error err;
	bool any = false;
	int rc;

	while ((rc = tape_reader_next_block(g->in, &v, &err)) == 1) {
		if (is_head(&v) && v.payload)
			(void)tape_facts_block(&g->facts, &v, &err);
		any |= !is_head(&v);
		if (any && !is_ring(g))
			return 0;
		if (add(g, &v))
			return -1;
	}
	if (rc < 0)
		return fail_tape(g->fail, g->path, &err);
	return is_ring(g);
}

static int by_number(const void *a, const void *b)
{
	const struct place *p = a, *q = b;

	return p->seq != q->seq ? (p->seq > q->seq) - (p->seq < q->seq)
				: (p->offset > q->offset) - (p->offset < q->offset);
}

static int copy(struct ring *g, int fd, const struct place *p, FILE *to)
{
	char buf[65536];

	for (uint64_t done = 0; done < p->len;) {
		size_t want = p->len - done < sizeof(buf) ? (size_t)(p->len - done) : sizeof(buf);
		ssize_t n = pread(fd, buf, want, (off_t)(p->offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) /* it ends there: repair will say so */
			return 0;
		if (fwrite(buf, 1, (size_t)n, to) != (size_t)n)
			return fail_set(g->fail, STATUS_FOUND, "putting the ring in order: %s",
					strerror(errno));
		done += (uint64_t)n;
	}
	return 0;
}

static int copy_all(struct ring *g, FILE *to)
{
	int fd = strcmp(g->path, "-") ? open(g->path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	int rc = 0;

	if (fd < 0)
		return fail_set(g->fail, STATUS_USAGE, "%s: %s", g->path, strerror(errno));
	qsort(g->places, g->n, sizeof(*g->places), by_number);
	for (size_t i = 0; i < g->n && !rc; i++)
		rc = copy(g, fd, &g->places[i], to);
	close(fd);
	if (!rc && fflush(to))
		rc = fail_set(g->fail, STATUS_FOUND, "putting the ring in order: %s",
			      strerror(errno));
	return rc;
}

static int unring(struct ring *g, FILE **ret)
{
	FILE *to = tmpfile();

	if (!to)
		return fail_set(g->fail, STATUS_FOUND, "putting the ring in order: %s",
				strerror(errno));
	if (copy_all(g, to)) {
		fclose(to);
		return -1;
	}
	*ret = to;
	return 0;
}

int repair_unring(const char *path, FILE **ret, struct fail *fail)
{
	struct ring g = {.path = path, .fail = fail};
	struct tape_error err;
	int rc;

	*ret = NULL;
	rc = tape_reader_open_blocks(&g.in, path, &err);
	rc = rc ? fail_tape(fail, path, &err) : find_blocks(&g);
	if (rc == 1)
		rc = unring(&g, ret);
	tape_reader_close(g.in);
	tape_facts_fini(&g.facts);
	free(g.places);
	return rc;
}

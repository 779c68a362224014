/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cursor.h"
#include "flight.h"
#include "sudo.h"

#define NOWHERE SIZE_MAX
#define MAGIC_LEN 4

/* ---- the file ---- */

/* The folder and the name of a path. */
static int open_folder(struct rec_flight *f, const char *path, struct rec_error *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char dir[4096];

	if (!*name || strlen(name) + sizeof(".old") > sizeof(f->name) ||
	    (size_t)(name - path) >= sizeof(dir))
		return rec_fail(err, "--ring-file %.60s: no name, or too long a one", path);
	snprintf(dir, sizeof(dir), "%.*s", (int)(name - path), path);
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->dir_fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir_fd < 0)
		return rec_fail(err, "cannot make files in %s: %s", slash ? dir : ".",
				strerror(errno));
	return 0;
}

/* What a recorder that was killed has left is worth more than what is older still. */
static void keep_old(const struct rec_flight *f)
{
	char old[sizeof(f->name) + 4];
	struct stat st;

	if (fstatat(f->dir_fd, f->name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return;
	snprintf(old, sizeof(old), "%s.old", f->name);
	renameat(f->dir_fd, f->name, f->dir_fd, old);
}

/* Its room is taken at once: a full disk later would be a SIGBUS. */
static int open_file(struct rec_flight *f, const char *path, struct rec_error *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int fd, e;

	if (open_folder(f, path, err) < 0)
		return -1;
	keep_old(f);
	fd = openat(f->dir_fd, f->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return rec_fail(err, "cannot create %s: %s", path, strerror(errno));
	rec_sudo_user(&uid, &gid);
	e = fchown(fd, uid, gid) < 0 ? errno : posix_fallocate(fd, 0, (off_t)f->cap);
	if (!e) {
		f->map = mmap(NULL, f->cap, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		e = f->map == MAP_FAILED ? errno : 0;
	}
	close(fd);
	if (!e)
		return 0;
	f->map = NULL;
	unlinkat(f->dir_fd, f->name, 0);
	return rec_fail(err, "%s, %zu bytes: %s", path, f->cap, strerror(e));
}

int rec_flight_open(struct rec_flight *f, size_t bytes, uint64_t keep_ns, const char *path,
		    struct rec_error *err)
{
	*f = (struct rec_flight){.keep_ns = keep_ns, .cursor = NOWHERE, .dir_fd = -1};
	f->base = path ? REC_FLIGHT_HEAD : 0;
	f->cap = f->base + (bytes & ~(size_t)7);
	f->tail = f->at = f->base;
	if (path)
		return open_file(f, path, err);
	f->map = mmap(NULL, f->cap, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->map != MAP_FAILED)
		return 0;
	f->map = NULL;
	return rec_fail(err, "no memory for a ring of %zu bytes: %s", bytes, strerror(errno));
}

void rec_flight_close(struct rec_flight *f, bool remove)
{
	if (f->map)
		munmap(f->map, f->cap);
	f->map = NULL;
	if (f->dir_fd < 0)
		return;
	if (remove)
		unlinkat(f->dir_fd, f->name, 0);
	close(f->dir_fd);
	f->dir_fd = -1;
}

/* ---- blocks ---- */

static size_t len_at(const struct rec_flight *f, size_t at, struct tape_block_head *h)
{
	tape_block_unpack(f->map + at, h);
	return (size_t)tape_block_len(h);
}

/* The block behind one that is `len` long. */
static size_t behind(const struct rec_flight *f, size_t at, size_t len)
{
	return f->wrapped && at + len == f->end ? f->base : at + len;
}

static void drop_oldest(struct rec_flight *f)
{
	struct tape_block_head h;
	size_t len = len_at(f, f->tail, &h), next = behind(f, f->tail, len);

	if (h.type == TAPE_BLOCK_CLOCK) {
		memcpy(f->clock, f->map + f->tail + TAPE_BLOCK_HEAD_LEN, sizeof(f->clock));
		f->has_clock = true;
	}
	memset(f->map + f->tail, 0, MAGIC_LEN);
	if (f->cursor == f->tail) {
		f->cursor = next;
		f->n_passed++;
	}
	if (f->wrapped && next == f->base)
		f->wrapped = false;
	f->tail = next;
	f->n--;
}

/* When it was: the last thing that it tells. */
static uint64_t time_of(const struct rec_flight *f, size_t at)
{
	const uint8_t *p = f->map + at + TAPE_BLOCK_HEAD_LEN;
	struct tape_block_head h;

	len_at(f, at, &h);
	if (h.type == TAPE_BLOCK_CLOCK)
		return tape_le(p, 8);
	return tape_le(p + 8, 8); /* ts_max of a chunk, to_ns of the first loss */
}

/*
 * Find a place for so many bytes; false: the oldest block must go first. Where what is old goes
 * anyway, memory that was used is used again before more is touched.
 */
static bool find_place(struct rec_flight *f, size_t len)
{
	bool in_front = !f->wrapped && f->base + len <= f->tail;

	if (!f->n) {
		f->tail = f->at = f->base;
		f->wrapped = false;
		return true;
	}
	if (f->wrapped)
		return f->at + len <= f->tail;
	if (f->at + len <= f->cap && !(f->keep_ns && in_front))
		return true;
	if (!in_front)
		return false;
	f->end = f->at;
	f->at = f->base;
	f->wrapped = true;
	return true;
}

/* The magic comes last. */
static void lay(uint8_t *to, struct tape_block_head *h, const void *type_head, const void *payload)
{
	size_t used = TAPE_BLOCK_HEAD_LEN + h->hdr_len + (size_t)h->payload_len;
	uint8_t fixed[TAPE_BLOCK_HEAD_LEN];

	tape_block_pack(h, type_head, payload, fixed);
	memset(to, 0, MAGIC_LEN);
	memcpy(to + MAGIC_LEN, fixed + MAGIC_LEN, sizeof(fixed) - MAGIC_LEN);
	if (h->hdr_len)
		memcpy(to + sizeof(fixed), type_head, h->hdr_len);
	if (h->payload_len)
		memcpy(to + sizeof(fixed) + h->hdr_len, payload, h->payload_len);
	memset(to + used, 0, (size_t)tape_block_len(h) - used);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the compiler must not move it */
	memcpy(to, fixed, MAGIC_LEN);
}

/* FILE, SCHEMA and META stay; repeats are not needed. */
static int put_head(struct rec_flight *f, struct tape_block_head *h, const void *type_head,
		    const void *payload)
{
	size_t len = (size_t)tape_block_len(h);

	if (!f->base || (f->n && h->type == TAPE_BLOCK_SCHEMA))
		return 0;
	if (f->head_len + len > f->base) {
		errno = ENOSPC;
		return -1;
	}
	lay(f->map + f->head_len, h, type_head, payload);
	f->head_len += len;
	return 0;
}

int rec_flight_put(struct rec_flight *f, struct tape_block_head *h, const void *type_head,
		   const void *payload, uint64_t now_ns)
{
	size_t len = (size_t)tape_block_len(h);

	if (h->type == TAPE_BLOCK_FILE || h->type == TAPE_BLOCK_SCHEMA ||
	    h->type == TAPE_BLOCK_META)
		return put_head(f, h, type_head, payload);
	if (h->type == TAPE_BLOCK_SNAPSHOT && !f->base)
		return 0;
	if (len > f->cap - f->base) {
		f->n_too_long++;
		return 0;
	}
	while (!find_place(f, len))
		drop_oldest(f);
	lay(f->map + f->at, h, type_head, payload);
	f->at += len;
	f->newest = h->seq;
	f->n++;
	f->since_renewed += len;
	while (f->keep_ns && f->n > 1 && time_of(f, f->tail) + f->keep_ns < now_ns)
		drop_oldest(f);
	return 0;
}

/* ---- reading ---- */

static bool view(const struct rec_flight *f, size_t at, struct tape_block_view *v)
{
	if (!tape_block_unpack(f->map + at, &v->h))
		return false;
	v->offset = at;
	v->type_head = f->map + at + TAPE_BLOCK_HEAD_LEN;
	v->payload = v->type_head + v->h.hdr_len;
	return true;
}

bool rec_flight_oldest(const struct rec_flight *f, uint64_t *ret_first_event, uint64_t *ret_ts_min)
{
	struct tape_block_view v;
	size_t at = f->tail;

	for (uint64_t i = 0; i < f->n && view(f, at, &v); i++) {
		if (v.h.type == TAPE_BLOCK_CHUNK) {
			*ret_ts_min = tape_le(v.type_head, 8);
			*ret_first_event = tape_le(v.type_head + 24, 8);
			return true;
		}
		at = behind(f, at, (size_t)tape_block_len(&v.h));
	}
	return false;
}

void rec_flight_rewind(struct rec_flight *f)
{
	f->cursor = f->n ? f->tail : NOWHERE;
	f->n_passed = 0;
}

bool rec_flight_next(struct rec_flight *f, struct tape_block_view *v)
{
	size_t len;

	if (f->cursor == NOWHERE || !view(f, f->cursor, v)) {
		f->cursor = NOWHERE;
		return false;
	}
	len = (size_t)tape_block_len(&v->h);
	f->cursor = behind(f, f->cursor, len);
	if (f->cursor == f->at)
		f->cursor = NOWHERE;
	return true;
}

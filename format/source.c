// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_READ 4096 /* at least so much of a file at once: a header and its directory */
#define PIPE_READ 65536
#define FIRST_CAP (1u << 16)

int tape_source_open(struct tape_source *s, const char *path, struct tape_error *err)
{
	struct stat st;

	memset(s, 0, sizeof(*s));
	s->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (s->fd < 0 || fstat(s->fd, &st)) {
		tape_source_fini(s);
		return tape_fail_errno(err, 0, "open");
	}
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		tape_source_fini(s);
		return tape_fail_errno(err, 0, "open");
	}
	s->seekable = S_ISREG(st.st_mode);
	s->size = s->seekable ? (uint64_t)st.st_size : 0;
	return 0;
}

void tape_source_fini(struct tape_source *s)
{
	int e = errno;

	if (s->fd > STDIN_FILENO)
		close(s->fd);
	free(s->buf.p);
	s->buf = (struct tape_buffer){0};
	s->fd = -1;
	errno = e;
}

/* Room for len bytes from the window's start on; doubles at most, whatever was asked for. */
static bool make_room(struct tape_source *s, size_t len)
{
	size_t cap = s->buf.cap ? s->buf.cap : FIRST_CAP;
	uint8_t *p;

	if (s->start + len <= s->buf.cap)
		return true;
	if (s->start) {
		memmove(s->buf.p, s->buf.p + s->start, s->len);
		s->start = 0;
	}
	if (len <= s->buf.cap)
		return true;
	while (cap < len)
		cap *= 2;
	p = realloc(s->buf.p, cap);
	if (!p)
		return false;
	s->buf = (struct tape_buffer){p, cap};
	return true;
}

/* Nothing is there to be read yet: let the caller do what it has to. */
static int before_wait(struct tape_source *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};

	if (s->seekable || !s->before_wait || poll(&p, 1, 0))
		return 0;
	return s->before_wait(s->wait_ctx);
}

static ssize_t read_some(struct tape_source *s, uint8_t *dst, size_t len)
{
	ssize_t n;

	do {
		n = s->seekable ? pread(s->fd, dst, len, (off_t)(s->pos + s->len))
				: read(s->fd, dst, len);
	} while (n < 0 && errno == EINTR);
	return n;
}

int tape_source_peek(struct tape_source *s, size_t len, const uint8_t **ret, size_t *got,
		     struct tape_error *err)
{
	while (s->len < len && !s->eof) {
		size_t want = len - s->len, least = s->seekable ? FILE_READ : PIPE_READ;
		ssize_t n;

		/* grow with the data: a claimed length alone must not allocate */
		if (want > s->len + (1u << 20))
			want = s->len + (1u << 20);
		if (want < least)
			want = least;
		if (!make_room(s, s->len + want))
			return tape_fail(err, TAPE_E_NOMEM, s->pos, "no memory for a block");
		if (before_wait(s))
			return tape_fail(err, TAPE_E_IO, s->pos, "reading was stopped");
		n = read_some(s, s->buf.p + s->start + s->len, want);
		if (n < 0)
			return tape_fail_errno(err, s->pos, "read");
		s->eof = n == 0;
		s->n_read += (uint64_t)n;
		s->len += (size_t)n;
	}
	*ret = s->buf.p + s->start;
	*got = s->len;
	return 0;
}

int tape_source_skip(struct tape_source *s, uint64_t len, struct tape_error *err)
{
	while (len) {
		size_t n = len < s->len ? (size_t)len : s->len;
		const uint8_t *p;
		int rc;

		s->start += n;
		s->len -= n;
		s->pos += n;
		len -= n;
		if (!s->len)
			s->start = 0;
		if (!len)
			break;
		if (s->seekable) {
			tape_source_seek(s, s->pos + len);
			break;
		}
		rc = tape_source_peek(s, 1, &p, &n, err);
		if (rc)
			return rc;
		if (!n)
			break;
	}
	return 0;
}

int tape_source_take(struct tape_source *s, size_t len, struct tape_buffer *buf,
		     struct tape_error *err)
{
	struct tape_buffer taken = s->buf;
	size_t rest = s->len - len;

	if (rest > buf->cap) {
		uint8_t *p = realloc(buf->p, rest);

		if (!p)
			return tape_fail(err, TAPE_E_NOMEM, s->pos, "no memory for a block");
		*buf = (struct tape_buffer){p, rest};
	}
	if (rest)
		memcpy(buf->p, taken.p + s->start + len, rest);
	s->buf = *buf;
	*buf = taken;
	s->pos += len;
	s->start = 0;
	s->len = rest;
	return 0;
}

void tape_source_seek(struct tape_source *s, uint64_t pos)
{
	s->pos = pos;
	s->start = s->len = 0;
	s->eof = false;
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Bytes that grow, for what makes blocks. Free p with free(). */
#ifndef TAPE_BUFFER_H
#define TAPE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
	uint8_t *p;
	size_t len, cap;
};

/* Room for so many bytes more; false: no memory, as below. */
static inline bool reserve(struct buffer *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 4096;
	uint8_t *p;

	if (b->len + more <= b->cap)
		return true;
	while (cap < b->len + more)
		cap *= 2;
	p = realloc(b->p, cap);
	if (!p)
		return false;
	b->p = p;
	b->cap = cap;
	return true;
}

/* For what is filled by index: len has no meaning. */
static inline bool resize(struct buffer *b, size_t cap)
{
	uint8_t *p = cap > b->cap ? realloc(b->p, cap) : b->p;

	if (!p)
		return false;
	b->cap = cap > b->cap ? cap : b->cap;
	b->p = p;
	return true;
}

static inline bool append(struct buffer *b, const void *src, size_t len)
{
	if (!reserve(b, len))
		return false;
	if (len)
		memcpy(b->p + b->len, src, len);
	b->len += len;
	return true;
}

#endif

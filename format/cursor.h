/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Bounded little-endian reading and writing with sticky failure: after a read past the end or a
 * write past the room, `bad` stays set, reads give 0 and writes do nothing. Check once, at the end.
 */
#ifndef TAPE_CURSOR_H
#define TAPE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tape_in {
	const uint8_t *p, *end;
	bool bad;
};

struct tape_out {
	uint8_t *p, *end;
	bool bad;
};

static inline struct tape_in tape_in(const void *p, size_t len)
{
	return (struct tape_in){.p = p, .end = len ? (const uint8_t *)p + len : p};
}

static inline struct tape_out tape_out(void *p, size_t cap)
{
	return (struct tape_out){.p = p, .end = (uint8_t *)p + cap};
}

static inline size_t tape_in_left(const struct tape_in *in)
{
	return in->bad ? 0 : (size_t)(in->end - in->p);
}

/* The next len bytes, NULL if there are not so many. */
static inline const uint8_t *tape_in_bytes(struct tape_in *in, size_t len)
{
	const uint8_t *p = in->p;

	if (in->bad || (size_t)(in->end - in->p) < len) {
		in->bad = true;
		return NULL;
	}
	in->p += len;
	return p;
}

static inline uint64_t tape_le(const uint8_t *p, unsigned n_bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n_bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static inline uint64_t tape_in_le(struct tape_in *in, unsigned n_bytes)
{
	const uint8_t *p = tape_in_bytes(in, n_bytes);

	return p ? tape_le(p, n_bytes) : 0;
}

static inline uint8_t tape_in_u8(struct tape_in *in)
{
	return (uint8_t)tape_in_le(in, 1);
}
static inline uint16_t tape_in_u16(struct tape_in *in)
{
	return (uint16_t)tape_in_le(in, 2);
}
static inline uint32_t tape_in_u32(struct tape_in *in)
{
	return (uint32_t)tape_in_le(in, 4);
}
static inline uint64_t tape_in_u64(struct tape_in *in)
{
	return tape_in_le(in, 8);
}

/* LEB128, at most 10 bytes and 64 bits. */
static inline uint64_t tape_in_varint(struct tape_in *in)
{
	uint64_t v = 0;

	if (!in->bad && in->p < in->end && *in->p < 0x80) /* most are */
		return *in->p++;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = tape_in_u8(in);

		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return in->bad ? 0 : v;
	}
	in->bad = true;
	return 0;
}

static inline void tape_out_bytes(struct tape_out *out, const void *src, size_t len)
{
	if (out->bad || (size_t)(out->end - out->p) < len) {
		out->bad = true;
		return;
	}
	if (len)
		memcpy(out->p, src, len);
	out->p += len;
}

static inline void tape_out_le(struct tape_out *out, uint64_t v, unsigned n_bytes)
{
	uint8_t b[8];

	for (unsigned i = 0; i < n_bytes; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	tape_out_bytes(out, b, n_bytes);
}

static inline void tape_out_varint(struct tape_out *out, uint64_t v)
{
	uint8_t b[10];
	unsigned n = 0;

	if (v < 0x80 && !out->bad && out->p < out->end) {
		*out->p++ = (uint8_t)v;
		return;
	}
	for (; v >= 0x80; v >>= 7)
		b[n++] = (uint8_t)(v | 0x80);
	b[n++] = (uint8_t)v;
	tape_out_bytes(out, b, n);
}

/* Zigzag: small negative and positive differences both become small numbers. */
static inline uint64_t tape_zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t tape_unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#endif

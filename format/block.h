/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The header of a block (layout.h): packing, unpacking, checksums. Owns nothing.
 */
#ifndef TAPE_BLOCK_H
#define TAPE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

struct tape_block_head {
	uint8_t type, flags;
	uint16_t hdr_len;
	uint32_t payload_len, seq;
	uint64_t file_id, payload_xxh3;
};

/* One block in view; the pointers are valid until its source moves. */
struct tape_block_view {
	struct tape_block_head h;
	uint64_t offset;
	const uint8_t *type_head, *payload; /* payload NULL: not read */
};

/* Bytes of the whole block in the file, padding included. */
static inline uint64_t tape_block_len(const struct tape_block_head *h)
{
	return (TAPE_BLOCK_HEAD_LEN + (uint64_t)h->hdr_len + h->payload_len + 7) & ~(uint64_t)7;
}

/* Fill in both checksums and write the 40 bytes. hdr_len and payload_len bytes must be there. */
void tape_block_pack(struct tape_block_head *h, const void *type_head, const void *payload,
		     uint8_t out[TAPE_BLOCK_HEAD_LEN]);

/* Write the whole block, packed, padded, with one write(2) where it can; -1: errno tells why not.
 */
int tape_block_write(int fd, struct tape_block_head *h, const void *type_head, const void *payload);

/* Read 40 bytes; false if they do not start with the magic or payload_len is above its ceiling. */
bool tape_block_unpack(const uint8_t in[TAPE_BLOCK_HEAD_LEN], struct tape_block_head *h);

/* The header checksum; in: the 40 bytes and the hdr_len bytes that follow. */
bool tape_block_head_ok(const uint8_t *in, const struct tape_block_head *h);

/* The payload checksum. */
bool tape_block_payload_ok(const struct tape_block_head *h, const void *payload);

#endif

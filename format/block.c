// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "block.h"

#include <errno.h>
#include <sys/uio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cursor.h"

#define HASHED_LEN 32 /* of the header: all before head_xxh3 */

/* XXH3 of the fixed part and the type header, which need not lie together. */
static uint64_t head_hash(const uint8_t *fixed, const void *type_head, size_t hdr_len)
{
	XXH3_state_t state;

	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, fixed, HASHED_LEN);
	if (hdr_len)
		XXH3_64bits_update(&state, type_head, hdr_len);
	return XXH3_64bits_digest(&state);
}

void tape_block_pack(struct tape_block_head *h, const void *type_head, const void *payload,
		     uint8_t out[TAPE_BLOCK_HEAD_LEN])
{
	struct tape_out o = tape_out(out, TAPE_BLOCK_HEAD_LEN);

	h->payload_xxh3 = XXH3_64bits(payload, h->payload_len);
	tape_out_le(&o, TAPE_MAGIC, 4);
	tape_out_le(&o, h->type, 1);
	tape_out_le(&o, h->flags, 1);
	tape_out_le(&o, h->hdr_len, 2);
	tape_out_le(&o, h->payload_len, 4);
	tape_out_le(&o, h->seq, 4);
	tape_out_le(&o, h->file_id, 8);
	tape_out_le(&o, h->payload_xxh3, 8);
	tape_out_le(&o, head_hash(out, type_head, h->hdr_len), 8);
}

int tape_block_write(int fd, struct tape_block_head *h, const void *type_head, const void *payload)
{
	static const uint8_t zeros[8];
	uint8_t fixed[TAPE_BLOCK_HEAD_LEN];
	size_t used = TAPE_BLOCK_HEAD_LEN + h->hdr_len + (size_t)h->payload_len;
	struct iovec parts[4] = {{fixed, sizeof(fixed)},
				 {(void *)(uintptr_t)type_head, h->hdr_len},
				 {(void *)(uintptr_t)payload, h->payload_len},
				 {(void *)(uintptr_t)zeros, (size_t)tape_block_len(h) - used}};
	struct iovec *iov = parts;
	int n = 4;

	tape_block_pack(h, type_head, payload, fixed);
	while (n) {
		ssize_t done = writev(fd, iov, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		for (; n && (size_t)done >= iov->iov_len; n--, iov++)
			done -= (ssize_t)iov->iov_len;
		if (n) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

bool tape_block_unpack(const uint8_t in[TAPE_BLOCK_HEAD_LEN], struct tape_block_head *h)
{
	struct tape_in c = tape_in(in, TAPE_BLOCK_HEAD_LEN);

	if (tape_in_u32(&c) != TAPE_MAGIC)
		return false;
	h->type = tape_in_u8(&c);
	h->flags = tape_in_u8(&c);
	h->hdr_len = tape_in_u16(&c);
	h->payload_len = tape_in_u32(&c);
	h->seq = tape_in_u32(&c);
	h->file_id = tape_in_u64(&c);
	h->payload_xxh3 = tape_in_u64(&c);
	return h->payload_len <= TAPE_MAX_PAYLOAD;
}

bool tape_block_head_ok(const uint8_t *in, const struct tape_block_head *h)
{
	return head_hash(in, in + TAPE_BLOCK_HEAD_LEN, h->hdr_len) == tape_le(in + HASHED_LEN, 8);
}

bool tape_block_payload_ok(const struct tape_block_head *h, const void *payload)
{
	return XXH3_64bits(payload, h->payload_len) == h->payload_xxh3;
}

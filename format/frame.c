// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "frame.h"

#include <zstd.h>

#include "cursor.h"

uint64_t tape_frame_content(const void *src, size_t len, size_t *ret_len)
{
	unsigned long long content;
	size_t n;

	if (len < 4 || tape_le(src, 4) != ZSTD_MAGICNUMBER || ZSTD_getDictID_fromFrame(src, len))
		return TAPE_FRAME_BAD;
	content = ZSTD_getFrameContentSize(src, len);
	if (content == ZSTD_CONTENTSIZE_UNKNOWN || content == ZSTD_CONTENTSIZE_ERROR)
		return TAPE_FRAME_BAD;
	n = ZSTD_findFrameCompressedSize(src, len);
	if (ZSTD_isError(n))
		return TAPE_FRAME_BAD;
	*ret_len = n;
	return content;
}

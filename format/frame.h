/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What is taken for a zstd frame. zstd itself would also take frames of its old formats, skippable
 * frames, and several of them one after the other; a trace has none of these, and an enemy should
 * not reach the code for them.
 */
#ifndef TAPE_FRAME_H
#define TAPE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define TAPE_FRAME_BAD UINT64_MAX

/*
 * Bytes of content that the frame at src says it has, if src begins with one frame of RFC 8878;
 * *ret_len: bytes of the frame. Else TAPE_FRAME_BAD, also if it does not say, or needs a
 * dictionary.
 */
uint64_t tape_frame_content(const void *src, size_t len, size_t *ret_len);

#endif

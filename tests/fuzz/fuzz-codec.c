// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A column: the first 4 bytes say layout, transform, width and count, the rest is once the body,
 * to be decoded, and once the values, to come back as they were.
 */
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "fuzz.h"
#include "predict.h"

static const unsigned widths[] = {1, 2, 4, 8, 16};

static void *need(size_t len)
{
	void *p = malloc(len + !len);

	if (!p)
		abort();
	return p;
}

static void decode(const uint8_t *body, size_t len, const uint8_t *how, unsigned width)
{
	size_t n = 1 + how[3] * (how[2] & 0x80 ? 100u : 1u);
	uint8_t *values = need(n * width);
	uint32_t *starts = need((n + 1) * sizeof(*starts));
	const char *bytes;

	tape_decode(body, len, how[1] % (TAPE_N_TRANSFORMS + 1), how[0] % 6, n, width, values,
		    NULL);
	if (!tape_decode_strings(body, len, n, starts, &bytes, NULL) &&
	    (starts[n] > len || bytes + starts[n] != (const char *)body + len))
		abort();
	free(values);
	free(starts);
}

static void round_trip(const uint8_t *data, size_t len, unsigned transform, unsigned width)
{
	size_t n = len / width, bound = tape_encode_bound(n, width), used;
	uint8_t *values, *out;
	enum tape_layout layout;

	if (!n)
		return;
	values = need(n * width);
	out = need(bound);
	memcpy(values, data, n * width);
	used = tape_encode(values, n, width, transform, out, &layout);
	if (used > bound || tape_decode(out, used, transform, layout, n, width, values, NULL) ||
	    memcmp(values, data, n * width))
		abort();
	free(values);
	free(out);
}

/* The bytes as values, as what they are predicted from and, cut down, as keys. */
static void predict(const uint8_t *data, size_t len, unsigned how, unsigned width)
{
	size_t n = len / width;
	uint8_t *values = need(n * width), *of = need(n * width), *last = need(2 * 256 * 8);
	uint32_t *keys = need(n * sizeof(*keys));
	struct tape_guess g = {.of = of,
			       .plus = how & 1 ? of : NULL,
			       .plus_now = how & 2,
			       .keys = keys,
			       .last = last};

	memcpy(values, data, n * width);
	memcpy(of, data, n * width);
	for (size_t i = 0; i < n; i++)
		keys[i] = data[len - 1 - i] % 255;
	for (unsigned back = 0; back < 2; back++) {
		memset(last, 0, 2 * 256 * 8);
		if (how & 4 && width == 4)
			back ? tape_unsmooth((void *)values, n, &g)
			     : tape_smooth((void *)values, n, &g);
		else
			(back ? tape_unpredict : tape_predict)(TAPE_T_ROW + (how >> 3) % 3, values,
							       n, width, &g);
	}
	if (memcmp(values, data, n * width))
		abort();
	free(values);
	free(of);
	free(last);
	free(keys);
}

/* References out of a file, before they are checked: any values, and no fault. */
static void references(const uint8_t *data, size_t n)
{
	uint32_t *refs = need(n * sizeof(*refs)), *keys = need(n * sizeof(*keys)), last[256] = {0};

	memcpy(refs, data, n * sizeof(*refs));
	for (size_t i = 0; i < n; i++)
		keys[i] = data[i];
	tape_unnext(refs, n);
	tape_unsame(refs, n, keys, last);
	free(refs);
	free(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned width;

	if (len < 4)
		return 0;
	width = widths[(data[2] & 0x7f) % 5];
	decode(data + 4, len - 4, data, width);
	if (width == 4 || width == 8)
		predict(data + 4, len - 4, data[3], width);
	references(data + 4, (len - 4) / 4);
	round_trip(data + 4, len - 4, width < 16 ? data[1] % 2 : 0, width);
	return 0;
}

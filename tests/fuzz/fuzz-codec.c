// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A column: the first 4 bytes say layout, transform, width and count, the rest is once the body,
 * to be decoded, and once the values, to come back as they were.
 */
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "fuzz.h"

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

	tape_decode(body, len, how[1] % 4, how[0] % 6, n, width, values, NULL);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned width;

	if (len < 4)
		return 0;
	width = widths[(data[2] & 0x7f) % 5];
	decode(data + 4, len - 4, data, width);
	round_trip(data + 4, len - 4, width < 16 ? data[1] % 2 : 0, width);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "codec.h"

#include <string.h>

#include "cursor.h"
#include "layout.h"

/* Below so many values a varint each is smaller than planes (measured at 256: 8.66 to 9.15
 * B/event). */
#define VARINT_BELOW 512
/* What an exception of PLANES costs, in bytes before zstd, besides its width - k high bytes. */
#define EXCEPTION_COST 2
#define COUNT_BLOCK 255	  /* values: what a byte can count */
#define SAMPLE_FROM 32768 /* of so many values, each eighth block tells how long they are */
#define SAMPLE_EVERY 8
#define FIND_BLOCK 32 /* values, most often all small, so that one question is enough */
#define DELTA_BLOCK 256
#define EQUAL_BLOCK 256

/*
 * The typed inner loops, once for each width: T is the unsigned type. A switch on the width picks
 * the set once a column, never once a value.
 */
#define DEFINE_TYPED(T, BITS)                                                                      \
	/* Out of a copy, so that a compiler sees that it can take several at once. */             \
	static void delta_##T(T *v, size_t n)                                                      \
	{                                                                                          \
		T old[DELTA_BLOCK + 1] = {0};                                                      \
                                                                                                   \
		for (size_t from = 0; from < n; from += DELTA_BLOCK) {                             \
			size_t len = n - from < DELTA_BLOCK ? n - from : DELTA_BLOCK;              \
                                                                                                   \
			memcpy(&old[1], &v[from], len * sizeof(T));                                \
			for (size_t i = 0; i < len; i++) {                                         \
				T d = (T)(old[i + 1] - old[i]);                                    \
                                                                                                   \
				v[from + i] = (T)((T)(d << 1) ^ (T) - (T)(d >> (BITS - 1)));       \
			}                                                                          \
			old[0] = old[len];                                                         \
		}                                                                                  \
	}                                                                                          \
	static void undelta_##T(T *v, size_t n)                                                    \
	{                                                                                          \
		T sum = 0;                                                                         \
                                                                                                   \
		for (size_t i = 0; i < n; i++) {                                                   \
			sum = (T)(sum + ((T)(v[i] >> 1) ^ (T) - (T)(v[i] & 1)));                   \
			v[i] = sum;                                                                \
		}                                                                                  \
	}                                                                                          \
	static void keyed_##T(T *v, size_t n, const uint32_t *keys, T *last)                       \
	{                                                                                          \
		for (size_t i = 0; i < n; i++) {                                                   \
			T d = (T)(v[i] - last[keys[i]]);                                           \
                                                                                                   \
			last[keys[i]] = v[i];                                                      \
			v[i] = (T)((T)(d << 1) ^ (T) - (T)(d >> (BITS - 1)));                      \
		}                                                                                  \
	}                                                                                          \
	static void unkeyed_##T(T *v, size_t n, const uint32_t *keys, T *last)                     \
	{                                                                                          \
		for (size_t i = 0; i < n; i++) {                                                   \
			T *l = &last[keys[i]];                                                     \
                                                                                                   \
			*l = (T)(*l + ((T)(v[i] >> 1) ^ (T) - (T)(v[i] & 1)));                     \
			v[i] = *l;                                                                 \
		}                                                                                  \
	}                                                                                          \
	static uint64_t or_all_##T(const T *v, size_t n)                                           \
	{                                                                                          \
		T all = 0;                                                                         \
                                                                                                   \
		for (size_t i = 0; i < n; i++)                                                     \
			all = (T)(all | v[i]);                                                     \
		return all;                                                                        \
	}                                                                                          \
	/* Where values stand that do not fit in k bytes; returns how many. n <= FIND_BLOCK */     \
	static size_t find_above_##T(const T *v, size_t n, unsigned k, uint8_t *at)                \
	{                                                                                          \
		T limit = k ? (T)((T) ~(T)0 >> (BITS - 8 * k)) : 0;                                \
		size_t m = 0;                                                                      \
                                                                                                   \
		if (or_all_##T(v, n) <= limit)                                                     \
			return 0;                                                                  \
		for (size_t i = 0; i < n; i++) {                                                   \
			at[m] = (uint8_t)i;                                                        \
			m += v[i] > limit;                                                         \
		}                                                                                  \
		return m;                                                                          \
	}                                                                                          \
	static size_t count_above_##T(const T *v, size_t n, unsigned k)                            \
	{                                                                                          \
		T limit = k ? (T)((T) ~(T)0 >> (BITS - 8 * k)) : 0;                                \
		size_t m = 0;                                                                      \
                                                                                                   \
		for (size_t i = 0; i < n; i++)                                                     \
			m += v[i] > limit;                                                         \
		return m;                                                                          \
	}                                                                                          \
	static void put_planes_##T(const T *v, size_t n, unsigned k, uint8_t *out)                 \
	{                                                                                          \
		for (unsigned b = 0; b < k; b++, out += n)                                         \
			for (size_t i = 0; i < n; i++)                                             \
				out[i] = (uint8_t)(v[i] >> (8 * b));                               \
	}                                                                                          \
	static void get_planes_##T(T *v, size_t n, unsigned k, const uint8_t *in)                  \
	{                                                                                          \
		memset(v, 0, n * sizeof(T));                                                       \
		for (unsigned b = 0; b < k; b++, in += n)                                          \
			for (size_t i = 0; i < n; i++)                                             \
				v[i] = (T)(v[i] | (T)((T)in[i] << (8 * b)));                       \
	}                                                                                          \
	static bool all_equal_##T(const T *v, size_t n)                                            \
	{                                                                                          \
		for (size_t from = 0; from < n; from += EQUAL_BLOCK) {                             \
			size_t to = n - from < EQUAL_BLOCK ? n : from + EQUAL_BLOCK;               \
			T diff = 0;                                                                \
                                                                                                   \
			for (size_t i = from; i < to; i++)                                         \
				diff = (T)(diff | (v[i] ^ v[0]));                                  \
			if (diff)                                                                  \
				return false;                                                      \
		}                                                                                  \
		return true;                                                                       \
	}                                                                                          \
	static void fill_##T(T *v, size_t n, T value)                                              \
	{                                                                                          \
		for (size_t i = 0; i < n; i++)                                                     \
			v[i] = value;                                                              \
	}

DEFINE_TYPED(uint8_t, 8)
DEFINE_TYPED(uint16_t, 16)
DEFINE_TYPED(uint32_t, 32)
DEFINE_TYPED(uint64_t, 64)

/* m[k] += the values that do not fit in k bytes, of a block each `step`; as many as a T can count.
 */
#define DEFINE_N_ABOVE(T, BITS)                                                                    \
	static void n_above_##T(const T *v, size_t n, size_t step, unsigned most, size_t *m)       \
	{                                                                                          \
		for (size_t from = 0; from < n; from += step) {                                    \
			size_t to = n - from < COUNT_BLOCK ? n : from + COUNT_BLOCK;               \
                                                                                                   \
			for (unsigned k = 0; k < most; k++) {                                      \
				T limit = k ? (T)((T) ~(T)0 >> (BITS - 8 * k)) : 0, sum = 0;       \
                                                                                                   \
				for (size_t i = from; i < to; i++)                                 \
					sum = (T)(sum + (v[i] > limit));                           \
				m[k] += sum;                                                       \
			}                                                                          \
		}                                                                                  \
	}

DEFINE_N_ABOVE(uint8_t, 8)
DEFINE_N_ABOVE(uint16_t, 16)
DEFINE_N_ABOVE(uint32_t, 32)

/* The same by the length of each: a processor does not compare many of 64 bits at once. */
static void n_above_uint64_t(const uint64_t *v, size_t n, size_t step, unsigned most, size_t *m)
{
	size_t of_len[2][9] = {{0}}; /* two, as counting twice in one place takes long */

	for (size_t from = 0; from < n; from += step) {
		size_t to = n - from < COUNT_BLOCK ? n : from + COUNT_BLOCK;

		for (size_t i = from; i < to; i++)
			of_len[i & 1][(71 - __builtin_clzll(v[i] | 1)) / 8 - !v[i]]++;
	}
	for (unsigned k = 0; k < most; k++)
		for (unsigned len = k + 1; len <= 8; len++)
			m[k] += of_len[0][len] + of_len[1][len];
}

/* Call the typed variant of f for this width; its first argument is the array. */
#define BY_WIDTH(width, f, v, ...)                                                                 \
	((width) == 1	? f##_uint8_t((void *)(v), __VA_ARGS__)                                    \
	 : (width) == 2 ? f##_uint16_t((void *)(v), __VA_ARGS__)                                   \
	 : (width) == 4 ? f##_uint32_t((void *)(v), __VA_ARGS__)                                   \
			: f##_uint64_t((void *)(v), __VA_ARGS__))

static uint64_t value_at(const void *values, unsigned width, size_t i)
{
	switch (width) {
	case 1: return ((const uint8_t *)values)[i];
	case 2: return ((const uint16_t *)values)[i];
	case 4: return ((const uint32_t *)values)[i];
	default: return ((const uint64_t *)values)[i];
	}
}

static void set_value(void *values, unsigned width, size_t i, uint64_t v)
{
	switch (width) {
	case 1: ((uint8_t *)values)[i] = (uint8_t)v; break;
	case 2: ((uint16_t *)values)[i] = (uint16_t)v; break;
	case 4: ((uint32_t *)values)[i] = (uint32_t)v; break;
	default: ((uint64_t *)values)[i] = v; break;
	}
}

static bool fits(uint64_t v, unsigned width)
{
	return width == 8 || v >> (8 * width) == 0;
}

size_t tape_encode_bound(size_t n, unsigned width)
{
	/* PLANES with k = width: all planes, k and m; VARINT: 10 bytes for 64 bits, 5 for 32, ...
	 */
	return n * (width + width / 4 + 1) + 64;
}

/* ---- PLANES ---- */

/* The k of the least cost; m[k]: exceptions, of one value in `every`. */
static unsigned cheapest(size_t n, unsigned width, unsigned most, const size_t *m, unsigned every)
{
	size_t best_cost = n * most;
	unsigned best = most;

	for (unsigned k = most; k-- > 0;) {
		size_t cost = n * k + (EXCEPTION_COST + width - k) * every * m[k];

		if (cost <= best_cost) {
			best_cost = cost;
			best = k;
		}
	}
	return best;
}

/* How many planes are kept; *ret_m: exceptions then, values that do not fit in k bytes. */
static unsigned choose_k(const void *values, size_t n, unsigned width, size_t *ret_m)
{
	unsigned every = n < SAMPLE_FROM ? 1 : SAMPLE_EVERY, most = 0, k;
	uint64_t all = BY_WIDTH(width, or_all, values, n);
	size_t m[9] = {0};

	for (; all; all >>= 8)
		most++;
	BY_WIDTH(width, n_above, values, n, every * COUNT_BLOCK, most, m);
	k = cheapest(n, width, most, m, every);
	*ret_m = every > 1 && k < most ? BY_WIDTH(width, count_above, values, n, k) : m[k];
	if ((EXCEPTION_COST + width - k) * *ret_m <= n * (most - k))
		return k;
	*ret_m = 0; /* the sample has missed them */
	return most;
}

/* The m values that do not fit into k planes: where they stand, and what they have above. */
static void put_exceptions(const void *values, size_t n, unsigned width, unsigned k, size_t m,
			   struct tape_out *out)
{
	size_t next = 0, pos = 0;
	uint8_t at[FIND_BLOCK];
	struct tape_in gaps;

	tape_out_varint(out, m);
	gaps.p = out->p;
	for (size_t from = 0; m && from < n; from += FIND_BLOCK) {
		size_t len = n - from < FIND_BLOCK ? n - from : FIND_BLOCK;
		const uint8_t *v = (const uint8_t *)values + from * width;
		size_t found = BY_WIDTH(width, find_above, v, len, k, at);

		for (size_t i = 0; i < found; i++) {
			tape_out_varint(out, from + at[i] - next);
			next = from + at[i] + 1;
		}
	}
	gaps = tape_in(gaps.p, (size_t)(out->p - gaps.p));
	for (size_t i = 0; i < m; i++, pos++) {
		pos += tape_in_varint(&gaps);
		tape_out_varint(out, value_at(values, width, pos) >> (8 * k));
	}
}

static void put_planes(const void *values, size_t n, unsigned width, struct tape_out *out)
{
	size_t m;
	unsigned k = choose_k(values, n, width, &m);

	tape_out_le(out, k, 1);
	if ((size_t)(out->end - out->p) < n * k) {
		out->bad = true;
		return;
	}
	BY_WIDTH(width, put_planes, values, n, k, out->p);
	out->p += n * k;
	put_exceptions(values, n, width, k, m, out);
}

/* Returns false if the exceptions contradict n or width; *in is then of no use. */
static bool get_exceptions(struct tape_in *in, size_t n, unsigned width, unsigned k, void *values)
{
	uint64_t m = tape_in_varint(in), pos = 0;
	struct tape_in gap = *in;

	if (m > n || (m && k == width))
		return false;
	for (uint64_t i = 0; i < m; i++) /* skip the gaps: high parts follow them */
		tape_in_varint(in);
	for (uint64_t i = 0; i < m; i++, pos++) {
		uint64_t step = tape_in_varint(&gap), high = tape_in_varint(in);

		if (step >= n || (pos += step) >= n || !fits(high, width - k))
			return false;
		set_value(values, width, pos, value_at(values, width, pos) | high << (8 * k));
	}
	return true;
}

static bool get_planes(struct tape_in *in, size_t n, unsigned width, void *values)
{
	unsigned k = tape_in_u8(in);
	const uint8_t *planes;

	if (k > width)
		return false;
	planes = tape_in_bytes(in, n * k);
	if (!planes)
		return false;
	BY_WIDTH(width, get_planes, values, n, k, planes);
	return get_exceptions(in, n, width, k, values);
}

/* ---- FIXED: 16-byte values ---- */

#define FIXED 16

static void put_fixed(const uint8_t *values, size_t n, struct tape_out *out)
{
	unsigned mask = 0;

	for (unsigned b = 0; b < FIXED; b++)
		for (size_t i = 1; i < n; i++)
			if (values[i * FIXED + b] != values[b]) {
				mask |= 1u << b;
				break;
			}
	tape_out_bytes(out, values, FIXED);
	tape_out_le(out, mask, 2);
	for (unsigned b = 0; b < FIXED; b++) {
		if (!(mask >> b & 1))
			continue;
		if ((size_t)(out->end - out->p) < n) {
			out->bad = true;
			return;
		}
		for (size_t i = 0; i < n; i++)
			out->p[i] = values[i * FIXED + b];
		out->p += n;
	}
}

static bool get_fixed(struct tape_in *in, size_t n, uint8_t *values)
{
	const uint8_t *first = tape_in_bytes(in, FIXED);
	unsigned mask = tape_in_u16(in);

	if (in->bad)
		return false;
	for (size_t i = 0; i < n; i++)
		memcpy(values + i * FIXED, first, FIXED);
	for (unsigned b = 0; b < FIXED; b++) {
		const uint8_t *plane;

		if (!(mask >> b & 1))
			continue;
		plane = tape_in_bytes(in, n);
		if (!plane)
			return false;
		for (size_t i = 0; i < n; i++)
			values[i * FIXED + b] = plane[i];
	}
	return true;
}

/* ---- a column ---- */

void tape_keyed(void *values, size_t n, unsigned width, const uint32_t *keys, size_t n_keys,
		void *last)
{
	memset(last, 0, n_keys * width);
	BY_WIDTH(width, keyed, values, n, keys, (void *)last);
}

void tape_unkeyed(void *values, size_t n, unsigned width, const uint32_t *keys, size_t n_keys,
		  void *last)
{
	memset(last, 0, n_keys * width);
	BY_WIDTH(width, unkeyed, values, n, keys, (void *)last);
}

size_t tape_encode(void *values, size_t n, unsigned width, enum tape_transform transform,
		   uint8_t *out, enum tape_layout *layout)
{
	struct tape_out o = tape_out(out, tape_encode_bound(n, width));

	if (width == FIXED) {
		*layout = TAPE_L_FIXED;
		put_fixed(values, n, &o);
		return (size_t)(o.p - out);
	}
	if (transform == TAPE_T_DELTA)
		BY_WIDTH(width, delta, values, n);
	if (BY_WIDTH(width, all_equal, values, n)) {
		*layout = TAPE_L_CONST;
		tape_out_le(&o, value_at(values, width, 0), width);
	} else if (n < VARINT_BELOW && width > 1) {
		*layout = TAPE_L_VARINT;
		for (size_t i = 0; i < n; i++)
			tape_out_varint(&o, value_at(values, width, i));
	} else {
		*layout = TAPE_L_PLANES;
		put_planes(values, n, width, &o);
	}
	return (size_t)(o.p - out);
}

static bool get_varints(struct tape_in *in, size_t n, unsigned width, void *values)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = tape_in_varint(in);

		if (!fits(v, width))
			return false;
		set_value(values, width, i, v);
	}
	return true;
}

static bool get_const(struct tape_in *in, size_t n, unsigned width, void *values)
{
	uint64_t v = tape_in_le(in, width);

	switch (width) {
	case 1: fill_uint8_t(values, n, (uint8_t)v); break;
	case 2: fill_uint16_t(values, n, (uint16_t)v); break;
	case 4: fill_uint32_t(values, n, (uint32_t)v); break;
	default: fill_uint64_t(values, n, v); break;
	}
	return true;
}

int tape_decode(const uint8_t *body, size_t len, unsigned transform, unsigned layout, size_t n,
		unsigned width, void *values, struct tape_error *err)
{
	struct tape_in in = tape_in(body, len);
	bool ok;

	if (transform >= TAPE_N_TRANSFORMS || (transform && width == FIXED))
		return tape_fail(err, TAPE_E_UNKNOWN, 0, "transform %u of a column is unknown",
				 transform);
	if (layout == TAPE_L_FIXED && width == FIXED)
		ok = get_fixed(&in, n, values);
	else if (layout == TAPE_L_CONST && width != FIXED)
		ok = get_const(&in, n, width, values);
	else if (layout == TAPE_L_PLANES && width != FIXED)
		ok = get_planes(&in, n, width, values);
	else if (layout == TAPE_L_VARINT && width != FIXED)
		ok = get_varints(&in, n, width, values);
	else
		return tape_fail(err, TAPE_E_UNKNOWN, 0,
				 "layout %u of a column of %u-byte values is unknown", layout,
				 width);
	if (!ok || in.bad || in.p != in.end)
		return tape_fail(err, TAPE_E_CORRUPT, 0,
				 "a column body of %zu bytes does not hold %zu values", len, n);
	if (transform == TAPE_T_DELTA)
		BY_WIDTH(width, undelta, values, n);
	return 0;
}

/* ---- STRINGS ---- */

size_t tape_encode_strings(const char *bytes, const uint32_t *starts, size_t n, uint8_t *out)
{
	size_t total = starts[n] - starts[0];
	struct tape_out o = tape_out(out, 5 * n + total);

	for (size_t i = 0; i < n; i++)
		tape_out_varint(&o, starts[i + 1] - starts[i]);
	tape_out_bytes(&o, bytes + starts[0], total);
	return (size_t)(o.p - out);
}

int tape_decode_strings(const uint8_t *body, size_t len, size_t n, uint32_t *starts,
			const char **bytes, struct tape_error *err)
{
	struct tape_in in = tape_in(body, len);
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t l = tape_in_varint(&in);

		if (l > TAPE_MAX_STR)
			return tape_fail(err, TAPE_E_LIMIT, 0, "a string of %llu bytes, at most %d",
					 (unsigned long long)l, TAPE_MAX_STR);
		starts[i] = (uint32_t)total;
		total += l;
		if (total > len)
			break;
	}
	starts[n] = (uint32_t)total;
	*bytes = (const char *)tape_in_bytes(&in, total);
	if (in.bad || in.p != in.end)
		return tape_fail(err, TAPE_E_CORRUPT, 0,
				 "a column body of %zu bytes does not hold %zu strings", len, n);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "predict.h"

/* Difference to the guess, and back, as zigzag of T. */
#define ZIG(T, v, guess)                                                                           \
	((T)((T)((T)((v) - (guess)) << 1) ^ (T) - (T)((T)((v) - (guess)) >> (8 * sizeof(T) - 1))))
#define ZAG(T, z, guess) ((T)((guess) + ((T)((z) >> 1) ^ (T) - (T)((z)&1))))

/*
 * Each loop once for encoding and once for decoding, and for each width; which inputs there are is
 * asked once a row, which a processor predicts. V is the value, G the guess.
 */
#define STEP(T, encode, g)                                                                         \
	do {                                                                                       \
		T guess_ = (T)(g);                                                                 \
                                                                                                   \
		if (encode) {                                                                      \
			value = v[i];                                                              \
			v[i] = ZIG(T, value, guess_);                                              \
		} else {                                                                           \
			value = ZAG(T, v[i], guess_);                                              \
			v[i] = value;                                                              \
		}                                                                                  \
	} while (0)

#define DEFINE_PREDICT(T, NAME, ENCODE)                                                            \
	static void row_##NAME(T *v, size_t n, const struct tape_guess *g)                         \
	{                                                                                          \
		const T *of = g->of, *plus = g->plus;                                              \
		T value;                                                                           \
                                                                                                   \
		for (size_t i = 0; i < n; i++)                                                     \
			STEP(T, ENCODE, of[i] + (plus ? plus[i] : 0));                             \
		(void)value;                                                                       \
	}                                                                                          \
	static void last_##NAME(T *v, size_t n, const struct tape_guess *g)                        \
	{                                                                                          \
		const T *of = g->of, *now = g->plus_now ? g->plus : NULL;                          \
		const T *after = g->plus_now ? NULL : g->plus;                                     \
		T *last = g->last, value;                                                          \
                                                                                                   \
		for (size_t i = 0; i < n; i++) {                                                   \
			T *l = &last[g->keys[i]];                                                  \
			T guess = g->times && g->keys[i] && !*l ? (T)g->times[i]                   \
								: (T)(*l + (now ? now[i] : 0));    \
                                                                                                   \
			STEP(T, ENCODE, guess);                                                    \
			*l = (T)((of ? of[i] : value) + (after ? after[i] : 0));                   \
		}                                                                                  \
	}                                                                                          \
	static void cross_##NAME(T *v, size_t n, const struct tape_guess *g)                       \
	{                                                                                          \
		const T *of = g->of, *plus = g->plus;                                              \
		T *last = g->last, value;                                                          \
                                                                                                   \
		for (size_t i = 0; i < n; i++) {                                                   \
			T *other = &last[tape_opposite(g->keys[i])];                               \
                                                                                                   \
			STEP(T, ENCODE, *other);                                                   \
			*other = value;                                                            \
			last[g->keys[i]] = (T)(of[i] + (plus ? plus[i] : 0));                      \
		}                                                                                  \
	}

DEFINE_PREDICT(uint32_t, encode_4, true)
DEFINE_PREDICT(uint64_t, encode_8, true)
DEFINE_PREDICT(uint32_t, decode_4, false)
DEFINE_PREDICT(uint64_t, decode_8, false)

void tape_predict(enum tape_transform t, void *values, size_t n, unsigned width,
		  const struct tape_guess *g)
{
	if (t == TAPE_T_ROW)
		width == 4 ? row_encode_4(values, n, g) : row_encode_8(values, n, g);
	else if (t == TAPE_T_LAST)
		width == 4 ? last_encode_4(values, n, g) : last_encode_8(values, n, g);
	else
		width == 4 ? cross_encode_4(values, n, g) : cross_encode_8(values, n, g);
}

void tape_unpredict(enum tape_transform t, void *values, size_t n, unsigned width,
		    const struct tape_guess *g)
{
	if (t == TAPE_T_ROW)
		width == 4 ? row_decode_4(values, n, g) : row_decode_8(values, n, g);
	else if (t == TAPE_T_LAST)
		width == 4 ? last_decode_4(values, n, g) : last_decode_8(values, n, g);
	else
		width == 4 ? cross_decode_4(values, n, g) : cross_decode_8(values, n, g);
}

/* ---- smoothed values ---- */

/* tcp_rtt_estimator: a deviation that grows because the sample fell counts for an eighth of that.
 */
static inline uint32_t smoothed(uint32_t last, uint32_t sample, uint32_t mean, bool deviation)
{
	int32_t off = (int32_t)(sample - mean), d;

	if (!deviation)
		return last + (uint32_t)((int32_t)(sample - last) >> 3);
	d = (int32_t)((off < 0 ? 0 - (uint32_t)off : (uint32_t)off) - last);
	if (off < 0 && d > 0)
		d >>= 3;
	return last + (uint32_t)(d >> 2);
}

static inline void smooth(uint32_t *v, size_t n, const struct tape_guess *g, bool encode)
{
	const uint32_t *of = g->of, *plus = g->plus;
	uint32_t *last = g->last, value;

	for (size_t i = 0; i < n; i++) {
		uint32_t *l = &last[2 * (size_t)g->keys[i]];

		STEP(uint32_t, encode, smoothed(l[0], of[i], l[1], plus));
		l[0] = value;
		l[1] = plus ? plus[i] : 0;
	}
}

void tape_smooth(uint32_t *values, size_t n, const struct tape_guess *g)
{
	smooth(values, n, g, true);
}

void tape_unsmooth(uint32_t *values, size_t n, const struct tape_guess *g)
{
	smooth(values, n, g, false);
}

/* ---- references ---- */

void tape_next(uint32_t *refs, size_t n)
{
	uint32_t next = 1;

	for (size_t i = 0; i < n; i++) {
		uint32_t v = refs[i];

		refs[i] = v ? 1 + ZIG(uint32_t, next, v) : 0;
		if (v >= next)
			next = v + 1;
	}
}

void tape_unnext(uint32_t *refs, size_t n)
{
	uint32_t next = 1;

	for (size_t i = 0; i < n; i++) {
		uint32_t z = refs[i], v = 0;

		if (z) {
			z--;
			v = next - ((z >> 1) ^ -(z & 1));
		}
		refs[i] = v;
		if (v >= next)
			next = v + 1;
	}
}

void tape_same(uint32_t *refs, size_t n, const uint32_t *keys, uint32_t *last)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v = refs[i], *l = &last[keys[i]];

		refs[i] = !v ? 0 : v == *l ? 1 : v + 1;
		if (v)
			*l = v;
	}
}

void tape_unsame(uint32_t *refs, size_t n, const uint32_t *keys, uint32_t *last)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t z = refs[i], *l = &last[keys[i]];

		if (z > 1)
			*l = z - 1;
		refs[i] = z ? *l : 0;
	}
}

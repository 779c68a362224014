// SPDX-License-Identifier: GPL-2.0-or-later
#include "predict.h"

#include <string.h>

#include "sample.h"
#include "suite.h"

enum { MAX_N = 3000, KEYS = 9 };

static const unsigned widths[] = {4, 8};

/* The inputs of a prediction: of and plus as wide as the values. */
struct inputs {
	uint64_t times[MAX_N], last[KEYS];
	uint8_t values[MAX_N * 8], of[MAX_N * 8], plus[MAX_N * 8];
	uint32_t keys[MAX_N];
};

static void fill(struct inputs *in, uint64_t seed, unsigned width)
{
	memset(in->last, 0, sizeof(in->last));
	for (size_t i = 0; i < MAX_N; i++) {
		uint64_t v[3];

		for (unsigned k = 0; k < 3; k++)
			v[k] = sample_random(&seed) >> (sample_random(&seed) % 64);
		memcpy(in->values + i * width, &v[0], width);
		memcpy(in->of + i * width, &v[1], width);
		memcpy(in->plus + i * width, &v[2], width);
		in->times[i] = sample_random(&seed);
		in->keys[i] = (uint32_t)(sample_random(&seed) % KEYS);
	}
}

static void there_and_back(struct inputs *in, enum tape_transform t, unsigned width,
			   struct tape_guess g)
{
	static uint8_t before[MAX_N * 8];
	uint64_t last[KEYS];

	memcpy(before, in->values, sizeof(before));
	for (unsigned i = 0; i < KEYS; i++)
		last[i] = in->last[i] = 77 * i;
	g.keys = in->keys;
	g.last = last;
	tape_predict(t, in->values, MAX_N, width, &g);
	ck_assert(memcmp(before, in->values, MAX_N * width));
	g.last = in->last;
	tape_unpredict(t, in->values, MAX_N, width, &g);
	ck_assert_mem_eq(before, in->values, MAX_N * width);
	ck_assert_mem_eq(last, in->last, sizeof(last)); /* both came to know the same */
}

static void smooth_and_back(struct inputs *in, struct tape_guess g)
{
	static uint32_t before[MAX_N], last[2 * KEYS];

	memcpy(before, in->values, sizeof(before));
	memset(last, 0, sizeof(last));
	g.keys = in->keys;
	g.last = last;
	tape_smooth((uint32_t *)(void *)in->values, MAX_N, &g);
	ck_assert(memcmp(before, in->values, sizeof(before)));
	memset(last, 0, sizeof(last));
	tape_unsmooth((uint32_t *)(void *)in->values, MAX_N, &g);
	ck_assert_mem_eq(before, in->values, sizeof(before));
}

START_TEST(test_predict__comes_back)
{
	static struct inputs in;

	for (unsigned w = 0; w < 2; w++)
		for (unsigned how = 0; how < 16; how++) {
			struct tape_guess g = {.of = how & 1 ? in.of : NULL,
					       .plus = how & 2 ? in.plus : NULL,
					       .plus_now = how & 4,
					       .times = how & 8 ? in.times : NULL};

			fill(&in, how, widths[w]);
			there_and_back(&in, TAPE_T_LAST, widths[w], g);
			g.of = in.of;
			there_and_back(&in, TAPE_T_ROW, widths[w], g);
			there_and_back(&in, TAPE_T_CROSS, widths[w], g);
			if (widths[w] == 4)
				smooth_and_back(&in, g);
		}
}
END_TEST

START_TEST(test_predict__references_come_back)
{
	static uint32_t refs[MAX_N], before[MAX_N], keys[MAX_N];
	uint32_t last[KEYS] = {0}, next = 1;
	uint64_t state = 5;

	for (unsigned i = 0; i < MAX_N; i++) {
		refs[i] = (uint32_t)(sample_random(&state) % 3 ? sample_random(&state) % next
							       : next++);
		keys[i] = refs[i] % KEYS;
	}
	memcpy(before, refs, sizeof(refs));
	tape_next(refs, MAX_N);
	ck_assert(memcmp(before, refs, sizeof(refs)));
	tape_unnext(refs, MAX_N);
	ck_assert_mem_eq(before, refs, sizeof(refs));
	tape_same(refs, MAX_N, keys, last);
	ck_assert(memcmp(before, refs, sizeof(refs)));
	memset(last, 0, sizeof(last));
	tape_unsame(refs, MAX_N, keys, last);
	ck_assert_mem_eq(before, refs, sizeof(refs));
}
END_TEST

/* ---- the worked examples of docs/format.md ---- */

static const uint32_t streams[] = {1, 2, 1}, payload[] = {100, 20, 50}, seq[] = {1000, 7000, 1100};

static void decoded(const uint8_t *body, size_t len, enum tape_transform t, uint32_t *ret)
{
	struct tape_error err;

	ck_assert_int_eq(tape_decode(body, len, t, TAPE_L_VARINT, len, 4, ret, &err), 0);
}

#define EXPECT(t, g, body, ...)                                                                    \
	do {                                                                                       \
		static const uint8_t body_[] = body;                                               \
		static const uint32_t expected_[] = {__VA_ARGS__};                                 \
		uint32_t last_[] = {0, 1000, 7000}, v_[3];                                         \
		struct tape_guess g_ = g;                                                          \
                                                                                                   \
		g_.keys = streams;                                                                 \
		g_.last = last_;                                                                   \
		decoded(body_, 3, t, v_);                                                          \
		tape_unpredict(t, v_, 3, 4, &g_);                                                  \
		ck_assert_mem_eq(v_, expected_, sizeof(v_));                                       \
	} while (0)
#define BYTES(...)                                                                                 \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define GUESS(...) ((struct tape_guess){__VA_ARGS__})

START_TEST(test_predict__on_disk)
{
	static const uint32_t end[] = {1100, 7020, 1152};

	EXPECT(TAPE_T_LAST, GUESS(.plus = payload), BYTES(0, 0, 0), 1000, 7000, 1100);
	EXPECT(TAPE_T_CROSS, GUESS(.of = seq, .plus = payload), BYTES(0, 0, 0), 7000, 1100, 7020);
	EXPECT(TAPE_T_ROW, GUESS(.of = seq, .plus = payload), BYTES(0, 0, 4), 1100, 7020, 1152);
	EXPECT(TAPE_T_LAST, GUESS(.of = end), BYTES(0x50, 0, 0), 1040, 7000, 1100);
}
END_TEST

START_TEST(test_predict__references_on_disk)
{
	static const uint8_t next[] = {1, 3, 1, 0, 5, 2}, same[] = {0, 6, 1, 0, 7, 1};
	static const uint32_t nexts[] = {1, 1, 2, 0, 1, 4}, sames[] = {0, 5, 5, 0, 6, 5};
	static const uint32_t keys[] = {1, 1, 1, 2, 2, 1};
	uint32_t v[6], last[3] = {0};

	decoded(next, 6, TAPE_T_NEXT, v);
	tape_unnext(v, 6);
	ck_assert_mem_eq(v, nexts, sizeof(v));
	decoded(same, 6, TAPE_T_SAME, v);
	tape_unsame(v, 6, keys, last);
	ck_assert_mem_eq(v, sames, sizeof(v));
}
END_TEST

START_TEST(test_predict__smooth_on_disk)
{
	static const uint8_t body[] = {0xb0, 0x01, 0x00, 0x01};
	static const uint32_t expected[] = {100, 125, 124}, samples[] = {100, 300, 125},
			      keys[] = {1, 1, 1};
	uint32_t v[3], last[4] = {0};
	struct tape_guess g = {.of = samples, .keys = keys, .last = last};
	struct tape_error err;

	ck_assert_int_eq(tape_decode(body, 4, TAPE_T_SMOOTH, TAPE_L_VARINT, 3, 4, v, &err), 0);
	tape_unsmooth(v, 3, &g);
	ck_assert_mem_eq(v, expected, sizeof(v));
}
END_TEST

/* What a kernel makes of samples (tcp_rtt_estimator, in its units) is guessed to a microsecond or
 * so. */
START_TEST(test_predict__smooth_is_the_kernels)
{
	static const int samples[] = {1000, 1400, 900, 5000, 1000, 1010, 990, 40, 30000, 1000, 20};
	enum { N_SAMPLES = sizeof(samples) / sizeof(samples[0]) };
	uint32_t srtt[N_SAMPLES], mdev[N_SAMPLES], of[N_SAMPLES], keys[N_SAMPLES] = {0},
								  last[2] = {0};
	struct tape_guess g = {.of = of, .keys = keys, .last = last};
	int srtt8 = 8000, mdev4 = 2000;

	for (unsigned i = 0; i < N_SAMPLES; i++) {
		int m = samples[i] - (srtt8 >> 3);

		srtt8 += m;
		if (m < 0) {
			m = -m - (mdev4 >> 2);
			m = m > 0 ? m >> 3 : m;
		} else {
			m -= mdev4 >> 2;
		}
		mdev4 += m;
		of[i] = (uint32_t)samples[i];
		srtt[i] = (uint32_t)srtt8 >> 3;
		mdev[i] = (uint32_t)mdev4 >> 2;
	}
	g.plus = srtt;
	tape_smooth(mdev, N_SAMPLES, &g);
	g.plus = NULL;
	last[0] = last[1] = 0;
	tape_smooth(srtt, N_SAMPLES, &g);
	for (unsigned i = 1; i < N_SAMPLES; i++) {
		ck_assert_uint_le(srtt[i], 4);
		ck_assert_uint_le(mdev[i], 4);
	}
}
END_TEST

SUITE("predict", test_predict__smooth_on_disk, test_predict__smooth_is_the_kernels,
      test_predict__comes_back, test_predict__references_come_back, test_predict__on_disk,
      test_predict__references_on_disk)

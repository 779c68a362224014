// SPDX-License-Identifier: GPL-2.0-or-later
#include "map.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t mix(uint64_t x) /* finalizer of MurmurHash3 */
{
	x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

static uint64_t seed(void)
{
	static uint64_t value; /* the same for all threads: the first one that needs it sets it */
	uint64_t is = __atomic_load_n(&value, __ATOMIC_RELAXED), want;
	struct timespec now = {0};

	if (is)
		return is;
	clock_gettime(CLOCK_REALTIME, &now);
	want = mix((uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^ (uint64_t)(uintptr_t)&now) |
	       1;
	__atomic_compare_exchange_n(&value, &is, want, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return is ? is : want;
}

static uint64_t word_at(const unsigned char *b, size_t len)
{
	uint64_t word = 0;

	memcpy(&word, b, len < 8 ? len : 8);
	return word;
}

/* Both halves of a product, one into the other (as wyhash does). */
static uint64_t fold(uint64_t a, uint64_t b)
{
	__uint128_t v = (__uint128_t)a * b;

	return (uint64_t)v ^ (uint64_t)(v >> 64);
}

uint64_t map_hash(const void *p, size_t len)
{
	const unsigned char *b = p;
	uint64_t secret = seed(), h = secret * 0x9e3779b97f4a7c15ULL;

	for (; len >= 16; len -= 16, b += 16)
		h = fold(word_at(b, 8) ^ secret, word_at(b + 8, 8) ^ h);
	if (len > 8)
		h = fold(word_at(b, 8) ^ secret, word_at(b + 8, len - 8) ^ h);
	else if (len)
		h = fold(word_at(b, len) ^ secret, h);
	h = mix(h);
	return h ? h : 1;
}

static size_t home(const struct map *m, uint64_t key)
{
	return mix(key ^ seed()) & (m->cap - 1);
}

/* The slot that holds key, or the free one where it would go. */
static size_t find(const struct map *m, uint64_t key)
{
	size_t i = home(m, key);

	while (m->slots[i].key && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void map_fini(struct map *m)
{
	free(m->slots);
	*m = (struct map){0};
}

void *map_get(const struct map *m, uint64_t key)
{
	return m->n ? m->slots[find(m, key)].value : NULL;
}

static int resize(struct map *m, size_t cap)
{
	struct map bigger = {calloc(cap, sizeof(*bigger.slots)), m->n, cap};

	if (!bigger.slots)
		return -1;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].key)
			bigger.slots[find(&bigger, m->slots[i].key)] = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

int map_put(struct map *m, uint64_t key, void *value)
{
	size_t i;

	if (m->n * 4 >= m->cap * 3 && resize(m, m->cap ? m->cap * 2 : 64))
		return -1;
	i = find(m, key);
	m->n += !m->slots[i].key;
	m->slots[i] = (struct map_slot){key, value};
	return 0;
}

void *map_del(struct map *m, uint64_t key)
{
	size_t i, next;
	void *value;

	if (!m->n)
		return NULL;
	i = find(m, key);
	value = m->slots[i].value;
	if (!value)
		return NULL;
	/* close the gap: move back what was pushed past it */
	for (next = (i + 1) & (m->cap - 1); m->slots[next].key; next = (next + 1) & (m->cap - 1)) {
		size_t h = home(m, m->slots[next].key);

		if (((next - h) & (m->cap - 1)) >= ((next - i) & (m->cap - 1))) {
			m->slots[i] = m->slots[next];
			i = next;
		}
	}
	m->slots[i] = (struct map_slot){0};
	m->n--;
	return value;
}

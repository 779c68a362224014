/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash table from a 64-bit key (a socket cookie, mostly) to a pointer that the caller owns. Open
 * addressing, entries really removed, so its size follows what lives. Key 0 is not allowed. The
 * hash is seeded, since the keys come from files that may have been made to collide.
 */
#ifndef ANA_MAP_H
#define ANA_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t key; /* 0: free */
	void *value;
};

struct map {
	struct map_slot *slots;
	size_t n, cap; /* cap: 0 or a power of two */
};

/* Frees the table, not the values. */
void map_fini(struct map *m);

/* The value of key, NULL if there is none. */
void *map_get(const struct map *m, uint64_t key);

/* Set it; value must not be NULL. -1: no memory. */
int map_put(struct map *m, uint64_t key, void *value);

/* Remove it; returns the value, NULL if there was none. */
void *map_del(struct map *m, uint64_t key);

/* Seeded hash of some bytes, never 0. */
uint64_t map_hash(const void *p, size_t len);

#endif

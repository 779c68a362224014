// SPDX-License-Identifier: GPL-2.0-or-later
#include "pan.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"

#define MAX_BITS 128
#define MAX_CACHE (1u << 20) /* addresses that are remembered */
#define V4_AT 12	     /* bytes of ::ffff:0:0/96 */

struct range {
	uint8_t bytes[PAN_ADDR_LEN];
	unsigned len;
};

struct pan {
	EVP_CIPHER_CTX *aes;
	uint8_t pad[PAN_ADDR_LEN], name_key[32];
	bool strict;
	struct map cache; /* hash of an address -> struct entry that we own */
};

struct entry {
	uint8_t from[PAN_ADDR_LEN], to[PAN_ADDR_LEN];
};

/* IANA's registries of special-purpose addresses; multicast and reserved too. */
static const struct range special_v4[] = {
	{{0}, 8},	  {{10}, 8},	   {{100, 64}, 10},  {{127}, 8},
	{{169, 254}, 16}, {{172, 16}, 12}, {{192, 168}, 16}, {{224}, 3},
};
/* The first is no question of taste: an IPv6 address must not become an IPv4 one. */
static const struct range special_v6[] = {
	{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96},
	{{0}, 127}, /* unspecified, loopback */
	{{0xfc}, 7},
	{{0xfe, 0x80}, 10},
	{{0xff}, 8},
};

struct pan *pan_new(const uint8_t key[PAN_KEY_LEN], bool strict)
{
	static const char names[] = "tcptape names";
	struct pan *p = calloc(1, sizeof(*p));
	int len = 0;

	if (!p)
		return NULL;
	p->strict = strict;
	p->aes = EVP_CIPHER_CTX_new();
	if (!p->aes || !EVP_EncryptInit_ex(p->aes, EVP_aes_128_ecb(), NULL, key, NULL) ||
	    !EVP_CIPHER_CTX_set_padding(p->aes, 0) ||
	    !EVP_EncryptUpdate(p->aes, p->pad, &len, key + 16, 16) ||
	    !HMAC(EVP_sha256(), key, PAN_KEY_LEN, (const uint8_t *)names, sizeof(names) - 1,
		  p->name_key, NULL)) {
		pan_free(p);
		return NULL;
	}
	return p;
}

static void forget(struct pan *p)
{
	for (size_t i = 0; i < p->cache.cap; i++)
		if (p->cache.slots[i].key)
			free(p->cache.slots[i].value);
	map_fini(&p->cache);
	p->cache = (struct map){0};
}

void pan_free(struct pan *p)
{
	if (!p)
		return;
	forget(p);
	EVP_CIPHER_CTX_free(p->aes);
	free(p);
}

/* ---- addresses ---- */

static bool bit(const uint8_t *p, unsigned i)
{
	return p[i / 8] >> (7 - i % 8) & 1;
}

/* Bits that both begin with. */
static unsigned common(const uint8_t *a, const uint8_t *b, unsigned n)
{
	unsigned i = 0;

	while (i < n && bit(a, i) == bit(b, i))
		i++;
	return i;
}

/*
 * Bits at the front that must stay: of a special range all; else up to and with the one at which
 * the address leaves the last such range.
 */
static unsigned kept_bits(const uint8_t *addr, unsigned n, const struct range *r, size_t n_ranges)
{
	unsigned kept = 0;

	for (size_t i = 0; i < n_ranges; i++) {
		unsigned same = common(addr, r[i].bytes, r[i].len);

		if (same == r[i].len)
			return n;
		kept = same + 1 > kept ? same + 1 : kept;
	}
	return kept;
}

/* The n bits at addr: bit i is flipped by what AES makes of the bits before it. */
static bool encrypt(struct pan *p, uint8_t *addr, unsigned n, unsigned kept)
{
	uint8_t in[MAX_BITS][PAN_ADDR_LEN], out[MAX_BITS][PAN_ADDR_LEN];
	int len = 0;

	for (unsigned i = 0; i < n; i++) {
		memcpy(in[i], p->pad, PAN_ADDR_LEN);
		memcpy(in[i], addr, i / 8);
		if (i % 8) {
			uint8_t mask = (uint8_t)(0xff00u >> i % 8);

			in[i][i / 8] = (uint8_t)((addr[i / 8] & mask) | (p->pad[i / 8] & ~mask));
		}
	}
	if (!EVP_EncryptUpdate(p->aes, out[0], &len, in[0], (int)(n * PAN_ADDR_LEN)))
		return false;
	for (unsigned i = kept; i < n; i++)
		addr[i / 8] ^= (uint8_t)((out[i][0] >> 7) << (7 - i % 8));
	return true;
}

static bool is_zero(const uint8_t *p, unsigned n_bits)
{
	static const uint8_t zero[PAN_ADDR_LEN];

	return !memcmp(p, zero, n_bits / 8);
}

static bool map_bits(struct pan *p, uint8_t *addr, unsigned n)
{
	const struct range *r = n == 32 ? special_v4 : special_v6;
	size_t n_ranges = n == 32 ? sizeof(special_v4) / sizeof(special_v4[0])
				  : sizeof(special_v6) / sizeof(special_v6[0]);

	if (is_zero(addr, n))
		return true; /* no address */
	if (p->strict)
		n_ranges = n == 32 ? 0 : 1;
	if (!encrypt(p, addr, n, kept_bits(addr, n, r, n_ranges)))
		return false;
	/* nor does one become it: that gets what it would have become */
	return !is_zero(addr, n) || encrypt(p, addr, n, kept_bits(addr, n, r, n_ranges));
}

int pan_addr(struct pan *p, uint8_t addr[PAN_ADDR_LEN])
{
	uint64_t h = map_hash(addr, PAN_ADDR_LEN);
	struct entry *e = map_get(&p->cache, h);
	bool v4 = !memcmp(addr, special_v6[0].bytes, V4_AT);

	if (e && !memcmp(e->from, addr, PAN_ADDR_LEN)) {
		memcpy(addr, e->to, PAN_ADDR_LEN);
		return 0;
	}
	if (!e && p->cache.n >= MAX_CACHE)
		forget(p);
	if (!e) {
		e = malloc(sizeof(*e));
		if (!e || map_put(&p->cache, h, e)) {
			free(e);
			return -1;
		}
	}
	memcpy(e->from, addr, PAN_ADDR_LEN);
	if (!map_bits(p, v4 ? addr + V4_AT : addr, v4 ? 32 : 128))
		return -1;
	memcpy(e->to, addr, PAN_ADDR_LEN);
	return 0;
}

/* ---- names ---- */

uint64_t pan_number(struct pan *p, const void *name, size_t len)
{
	uint8_t out[32] = {0};
	uint64_t v;

	HMAC(EVP_sha256(), p->name_key, sizeof(p->name_key), name, len, out, NULL);
	memcpy(&v, out, sizeof(v));
	return v;
}

void pan_name(struct pan *p, const char *prefix, const void *name, size_t len,
	      char ret[PAN_NAME_LEN])
{
	ret[0] = '\0';
	if (len)
		snprintf(ret, PAN_NAME_LEN, "%s-%010llx", prefix,
			 (unsigned long long)(pan_number(p, name, len) & 0xffffffffffull));
}

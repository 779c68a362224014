/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses and names under a key. Addresses by Crypto-PAn (Xu, Fan, Ammar, Moon:
 * "Prefix-Preserving IP Address Anonymization", 2002): two addresses that share their first k bits
 * share them afterwards too, and no two become one. Names become a prefix and 40 bits of
 * HMAC-SHA256.
 *
 * Unless strict, private and special ranges stay what they are. A map that keeps prefixes and these
 * ranges must keep each address as far as it shares bits with one of them: so does this one, and no
 * public address becomes a private one.
 */
#ifndef ANA_PAN_H
#define ANA_PAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAN_KEY_LEN 32
#define PAN_NAME_LEN 32
#define PAN_ADDR_LEN 16

struct pan;

/* NULL: no memory, or libcrypto has no AES. */
struct pan *pan_new(const uint8_t key[PAN_KEY_LEN], bool strict);
void pan_free(struct pan *p); /* NULL allowed */

/* In place; IPv4 as v4-mapped stays IPv4, the unspecified address stays. -1: no memory. */
int pan_addr(struct pan *p, uint8_t addr[PAN_ADDR_LEN]);

/* PREFIX-xxxxxxxxxx; empty for an empty name. */
void pan_name(struct pan *p, const char *prefix, const void *name, size_t len,
	      char ret[PAN_NAME_LEN]);

/* 64 bits that depend on the key and that name. */
uint64_t pan_number(struct pan *p, const void *name, size_t len);

#endif

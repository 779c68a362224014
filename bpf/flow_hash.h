/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A number for a connection, the same from both of its ends and on every machine, by which
 * connections are left out (thin.h). No secret in it, so that two recorders choose alike. Plain C,
 * for a test too; multiplications and shifts, about 10 ns.
 */
#ifndef TAPE_FLOW_HASH_H
#define TAPE_FLOW_HASH_H

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TAPE_BE64(v) __builtin_bswap64(v)
#else
#define TAPE_BE64(v) (v)
#endif

/* Each bit of x moves about half of the bits of the result. Any large odd factors would do. */
static inline __attribute__((always_inline)) uint64_t tape_mix(uint64_t x)
{
	x = (x ^ x >> 32) * 0x9fb21c651e98df25ull;
	x = (x ^ x >> 29) * 0xd1b54a32d192ed03ull;
	return x ^ x >> 32;
}

static inline __attribute__((always_inline)) uint64_t tape_end_hash(const uint64_t *addr,
								    uint16_t port)
{
	return tape_mix(TAPE_BE64(addr[1]) + tape_mix(TAPE_BE64(addr[0]) + port));
}

/* Addresses of 16 bytes in network order, 8-byte aligned, IPv4 as v4-mapped. */
static inline __attribute__((always_inline)) uint32_t tape_flow_hash(const void *laddr,
								     uint16_t lport,
								     const void *raddr,
								     uint16_t rport)
{
	return tape_mix(tape_end_hash(laddr, lport) + tape_end_hash(raddr, rport)) >> 32;
}

#endif

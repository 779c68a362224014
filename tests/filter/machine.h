/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's BPF as far as filters use it, after Linux's instruction set (RFC 9669): what a
 * translated filter says of a flow. Anything that the verifier would refuse ends the test.
 */
#ifndef TEST_MACHINE_H
#define TEST_MACHINE_H

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"

static inline uint64_t machine_load(const struct filter_flow *flow, int off, unsigned size)
{
	uint64_t v8;
	uint32_t v4;
	uint16_t v2;

	if (off < 0 || (unsigned)off % size || off + size > sizeof(*flow))
		abort();
	memcpy(&v2, (const char *)flow + off, 2);
	if (size == 2)
		return v2;
	memcpy(&v4, (const char *)flow + off, 4);
	if (size == 4)
		return v4;
	memcpy(&v8, (const char *)flow + off, 8);
	return v8;
}

static inline bool machine_jumps(uint8_t code, uint32_t a, uint32_t k)
{
	switch (code) {
	case 0x16: return a == k;
	case 0x26: return a > k;
	case 0x36: return a >= k;
	case 0x46: return (a & k) != 0;
	default: abort();
	}
}

static inline bool machine_run(const struct filter_insn *insns, int n, const struct filter_flow *f)
{
	uint64_t r[16] = {0};

	for (int at = 0; at < n; at++) {
		const struct filter_insn *in = &insns[at];
		unsigned low = in->regs & 15, high = in->regs >> 4;
		bool little = __BYTE_ORDER == __LITTLE_ENDIAN;
		unsigned dst = little ? low : high, src = little ? high : low;
		uint32_t k = (uint32_t)in->imm;

		if (dst > 2 || (src && src != 1))
			abort();
		switch (in->code) {
		case 0xb4: r[dst] = k; break;
		case 0xb7: r[dst] = (uint64_t)(int64_t)in->imm; break;
		case 0x54: r[dst] = (uint32_t)r[dst] & k; break;
		case 0x61: r[dst] = machine_load(f, in->off, 4); break;
		case 0x69: r[dst] = machine_load(f, in->off, 2); break;
		case 0x79: r[dst] = machine_load(f, in->off, 8); break;
		case 0xdc:
			r[dst] = k == 16 ? be16toh((uint16_t)r[dst]) : be32toh((uint32_t)r[dst]);
			break;
		case 0x05: at += in->off; break;
		case 0x55: at += r[dst] != (uint64_t)(int64_t)in->imm ? in->off : 0; break;
		case 0x95: return r[0] != 0;
		default: at += machine_jumps(in->code, (uint32_t)r[dst], k) ? in->off : 0;
		}
	}
	abort(); /* it runs off the end */
}

#endif

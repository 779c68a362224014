// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * libpcap's program (classic BPF, on a packet) -> instructions of the kernel's BPF, on a flow. It
 * is copied for each version of IP and, where the ends are told apart, for each direction: so each
 * load is one of a field, or a constant, and the verifier leaves out what that decides.
 */
#include <endian.h>
#include <string.h>

#include "parts.h"

/* linux/bpf.h, which has other meanings for some names of pcap/bpf.h */
enum {
	OP_MOV = 0xb4, /* 32 bits, as all below but for those that say otherwise */
	OP_MOV_64 = 0xb7,
	OP_LOAD_4 = 0x61,
	OP_LOAD_2 = 0x69,
	OP_LOAD_8 = 0x79,
	OP_FROM_BE = 0xdc,
	OP_GOTO = 0x05,
	OP_IF_EQ = 0x16,
	OP_IF_NE_64 = 0x55,
	OP_EXIT = 0x95,
	CLASS_JMP32 = 0x06,
};
enum { R0, R1, R2 }; /* A, the flow, scratch */

enum { IP_PROTO_TCP = 6 };
enum { MAX_JUMPS = 2 * 4096 };

/* Where a jump goes: an instruction of the program that is copied, or one of these. */
enum { TO_MATCH = -1, TO_NO_MATCH = -2 };

struct jump {
	int at, to;
};

struct copy {
	const struct bpf_insn *insns;
	int n, version;
	uint8_t src, dst, sport, dport; /* offsets in struct filter_flow */
};

struct out {
	struct filter_insn *insns;
	int n, room; /* n may be more than room: then nothing is written any more */
	int matched; /* where the function returns 1 */
};

static int emit(struct out *o, uint8_t code, unsigned dst, unsigned src, int off, uint32_t imm)
{
	uint8_t regs = __BYTE_ORDER == __LITTLE_ENDIAN ? (uint8_t)(dst | src << 4)
						       : (uint8_t)(dst << 4 | src);

	if (o->n < o->room)
		o->insns[o->n] = (struct filter_insn){code, regs, (int16_t)off, (int32_t)imm};
	return o->n++;
}

static void set_jump(struct out *o, int at, int to)
{
	if (at < o->room)
		o->insns[at].off = (int16_t)(to - at - 1);
}

/* ---- loads ---- */

static void load(struct out *o, uint8_t code, int off)
{
	emit(o, code, R0, R1, off, 0);
}

static void load_port(struct out *o, int off)
{
	load(o, OP_LOAD_2, off); /* in host order already */
}

/* size 2 or 4, at a byte of an address; false if it is not within one. */
static bool load_address(struct out *o, const struct copy *c, uint32_t k, unsigned size)
{
	uint32_t first = c->version == 4 ? 12 : 8, len = c->version == 4 ? 4 : 16;
	uint32_t skip = 16 - len, at = k - first;

	if (k < first || at >= 2 * len || at % size)
		return false;
	load(o, size == 4 ? OP_LOAD_4 : OP_LOAD_2,
	     (int)((at < len ? c->src : c->dst) + skip + at % len));
	emit(o, OP_FROM_BE, R0, 0, 0, size * 8);
	return true;
}

/* A byte or two of the headers that language.c makes of a flow, at a constant place. */
static bool load_constant(struct out *o, const struct copy *c, const struct bpf_insn *in)
{
	uint32_t proto_at = c->version == 4 ? 9 : 6;

	if (in->code == (BPF_LD | BPF_B | BPF_ABS) && in->k == 0)
		emit(o, OP_MOV, R0, 0, 0, c->version == 4 ? 0x45 : 0x60);
	else if (in->code == (BPF_LD | BPF_B | BPF_ABS) && in->k == proto_at)
		emit(o, OP_MOV, R0, 0, 0, IP_PROTO_TCP);
	else if (in->code == (BPF_LD | BPF_H | BPF_ABS) && in->k == 6 && c->version == 4)
		emit(o, OP_MOV, R0, 0, 0, 0); /* no fragment */
	else
		return false;
	return true;
}

static bool load_field(struct out *o, const struct copy *c, const struct bpf_insn *in)
{
	bool v6 = c->version == 6;

	switch (in->code) {
	case BPF_LD | BPF_W | BPF_ABS: return load_address(o, c, in->k, 4);
	case BPF_LD | BPF_H | BPF_ABS:
		if (!v6 || (in->k != 40 && in->k != 42))
			return load_address(o, c, in->k, 2);
		load_port(o, in->k == 40 ? c->sport : c->dport);
		return true;
	case BPF_LD | BPF_H | BPF_IND: /* X is the length of an IPv4 header, nothing else */
		if (v6 || (in->k != 0 && in->k != 2))
			return false;
		load_port(o, in->k == 0 ? c->sport : c->dport);
		return true;
	default: return false;
	}
}

/* ---- a copy of the program ---- */

struct jumps {
	struct jump all[MAX_JUMPS];
	int n;
};

static bool put_jump(struct jumps *j, int at, int to)
{
	if (j->n == MAX_JUMPS)
		return false;
	j->all[j->n++] = (struct jump){at, to};
	return true;
}

static bool put_branch(struct out *o, struct jumps *j, const struct bpf_insn *in, int at)
{
	int yes = at + 1 + in->jt, no = at + 1 + in->jf;

	if (BPF_SRC(in->code) != BPF_K)
		return false;
	if (!put_jump(j, emit(o, CLASS_JMP32 | BPF_OP(in->code), R0, 0, 0, in->k), yes))
		return false;
	return !in->jf || put_jump(j, emit(o, OP_GOTO, 0, 0, 0, 0), no);
}

/*
 * A jump that is a condition, always true: the verifier wants a way to all instructions before it
 * finds out which ones are taken.
 */
static bool put_certain(struct out *o, struct jumps *j, int to)
{
	emit(o, OP_MOV, R0, 0, 0, 0);
	return put_jump(j, emit(o, OP_IF_EQ, R0, 0, 0, 0), to);
}

/* false: an instruction that no filter of connections has. */
static bool put_insn(struct out *o, struct jumps *j, const struct copy *c, int at)
{
	const struct bpf_insn *in = &c->insns[at];

	switch (BPF_CLASS(in->code)) {
	case BPF_LD: /* behind the end of such a packet: no match, as in bpf_filter */
		return load_constant(o, c, in) || load_field(o, c, in) ||
		       put_certain(o, j, TO_NO_MATCH);
	case BPF_LDX: return in->code == (BPF_LDX | BPF_B | BPF_MSH);
	case BPF_ALU:
		emit(o, (uint8_t)in->code, R0, 0, 0, in->k); /* the same numbers, 32 bits */
		return BPF_SRC(in->code) == BPF_K && BPF_OP(in->code) == BPF_AND;
	case BPF_JMP:
		if (BPF_OP(in->code) != BPF_JA)
			return put_branch(o, j, in, at);
		return put_jump(j, emit(o, OP_GOTO, 0, 0, 0, 0), at + 1 + (int)in->k);
	case BPF_RET:
		if (c->n == 1 && in->k) /* all match */
			return put_certain(o, j, TO_MATCH);
		return BPF_RVAL(in->code) == BPF_K &&
		       put_jump(j, emit(o, OP_GOTO, 0, 0, 0, 0), in->k ? TO_MATCH : TO_NO_MATCH);
	default: return false;
	}
}

/* It goes on behind the copy if the flow does not match. */
static bool put_copy(struct out *o, const struct copy *c)
{
	static const int far = INT16_MAX;
	struct jumps jumps;
	int starts[4096];

	jumps.n = 0;
	if (c->n > (int)(sizeof(starts) / sizeof(*starts)))
		return false;
	for (int i = 0; i < c->n; i++) {
		starts[i] = o->n;
		if (!put_insn(o, &jumps, c, i))
			return false;
	}
	for (int i = 0; i < jumps.n; i++) {
		int to = jumps.all[i].to;

		if (to >= c->n || o->n > far)
			return false;
		set_jump(o, jumps.all[i].at,
			 to == TO_MATCH	     ? o->matched
			 : to == TO_NO_MATCH ? o->n
					     : starts[to]);
	}
	return true;
}

static bool put_version(struct out *o, const struct filter *f, int version)
{
	struct copy c = {
		.insns = f->program.bf_insns,
		.n = (int)f->program.bf_len,
		.version = version,
		.src = offsetof(struct filter_flow, laddr),
		.dst = offsetof(struct filter_flow, raddr),
		.sport = offsetof(struct filter_flow, lport),
		.dport = offsetof(struct filter_flow, rport),
	};
	struct copy turned = c;

	turned.src = c.dst;
	turned.dst = c.src;
	turned.sport = c.dport;
	turned.dport = c.sport;
	if (!put_copy(o, &c) || (f->has_direction && !put_copy(o, &turned)))
		return false;
	emit(o, OP_MOV_64, R0, 0, 0, 0);
	emit(o, OP_EXIT, 0, 0, 0, 0);
	return true;
}

/* Go on where the address at off is no v4-mapped one; returns the jump for where it is. */
static int put_if_v4(struct out *o, int off)
{
	int no, yes;

	emit(o, OP_LOAD_8, R2, R1, off, 0);
	no = emit(o, OP_IF_NE_64, R2, 0, 0, 0);
	emit(o, OP_LOAD_4, R2, R1, off + 8, 0);
	yes = emit(o, OP_IF_EQ, R2, 0, 0, htobe32(0xffff));
	set_jump(o, no, o->n);
	return yes;
}

int filter_translate(const struct filter *f, struct filter_insn *to, size_t room)
{
	struct out o = {.insns = to, .room = (int)room};
	int rest, match_at, v4[2];

	/* what is left of the room is reached by the eye only: the verifier removes it at once */
	emit(&o, OP_MOV_64, R0, 0, 0, 0);
	rest = emit(&o, OP_IF_NE_64, R0, 0, 0, 0);
	match_at = emit(&o, OP_GOTO, 0, 0, 2, 0);
	o.matched = emit(&o, OP_MOV_64, R0, 0, 0, 1);
	emit(&o, OP_EXIT, 0, 0, 0, 0);
	set_jump(&o, match_at, o.n);
	v4[0] = put_if_v4(&o, offsetof(struct filter_flow, laddr));
	v4[1] = put_if_v4(&o, offsetof(struct filter_flow, raddr));
	if (!put_version(&o, f, 6))
		return -1;
	set_jump(&o, v4[0], o.n);
	set_jump(&o, v4[1], o.n);
	if (!put_version(&o, f, 4) || o.n >= o.room)
		return -1;
	set_jump(&o, rest, o.n);
	for (int used = o.n; o.n < o.room;)
		if (emit(&o, OP_MOV_64, R0, 0, 0, 0) == o.room - 1)
			return used;
	return -1;
}

/* ---- ports ---- */

static bool add_port(uint32_t port, uint16_t low, uint16_t high, uint16_t *ports, int *n, int max)
{
	if (port < low || port > high)
		return true;
	for (int i = 0; i < *n; i++)
		if (ports[i] == port)
			return true;
	if (*n == max)
		return false;
	ports[(*n)++] = (uint16_t)port;
	return true;
}

/* Whatever number a port may be compared with, = or > or >=, ends a range and begins another. */
int filter_ports(const struct filter *f, uint16_t low, uint16_t high, uint16_t *ports, int max)
{
	const struct bpf_insn *in = f->program.bf_insns;
	int n = 0;

	if (!add_port(low, low, high, ports, &n, max))
		return -1;
	for (unsigned i = 0; i < f->program.bf_len; i++) {
		if (BPF_CLASS(in[i].code) != BPF_JMP || BPF_OP(in[i].code) == BPF_JA ||
		    in[i].k > UINT16_MAX)
			continue;
		if (!add_port(in[i].k, low, high, ports, &n, max) ||
		    !add_port(in[i].k + 1, low, high, ports, &n, max))
			return -1;
	}
	return n;
}

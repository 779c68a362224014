/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters in tcpdump's language, matched on connections: compiled by libpcap, run on headers made
 * from the addresses and ports, in both directions (one of them must match). What a connection does
 * not have (flags, lengths, payload, link layer, other protocols) is refused by name, as are host
 * names: a trace is read offline. The analyzer runs the program itself, the recorder translates it
 * for the kernel; all of libpcap's use is here.
 */
#ifndef FILTER_H
#define FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILTER_ADDR_LEN 16

/* As struct ev_flow: network order, IPv4 as v4-mapped; ports in host order, 0: not known. */
struct filter_flow {
	uint8_t laddr[FILTER_ADDR_LEN], raddr[FILTER_ADDR_LEN];
	uint16_t lport, rport;
};

struct filter;

/* 0 and *ret; -1, and why in words; -2 no memory. */
int filter_new(struct filter **ret, const char *expression, char *why, size_t len);
void filter_free(struct filter *f); /* NULL allowed */

bool filter_match(const struct filter *f, const struct filter_flow *flow);

/* ---- for the kernel ---- */

struct filter_insn { /* as struct bpf_insn of linux/bpf.h */
	uint8_t code, regs;
	int16_t off;
	int32_t imm;
};

/*
 * The body of a BPF function: 1 if the struct filter_flow at r1 matches, else 0. All of `room` is
 * filled. Returns the instructions that are used, or -1 if there is no room.
 */
int filter_translate(const struct filter *f, struct filter_insn *to, size_t room);

/*
 * Ports from low to high, one of each range in which all ports make the same of any flow. Returns
 * how many, or -1 if there are more than max (at least 1).
 */
int filter_ports(const struct filter *f, uint16_t low, uint16_t high, uint16_t *ports, int max);

#endif

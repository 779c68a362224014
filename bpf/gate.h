/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether an event is recorded at all (-f, --netns, --sample, --max-rate): the one place that each
 * program asks, before it reserves. What is not asked for costs nothing: the verifier leaves its
 * code out. Included by probe.h.
 */
#ifndef TAPE_GATE_H
#define TAPE_GATE_H

#include "gate_limits.h"
#include "thin.h"

/* Set by the recorder. */
const volatile bool filter_flows SEC(".rodata") __weak = false;

/* Inode of the network namespace of --netns; 0 all. */
const volatile uint32_t filter_netns SEC(".rodata") __weak = 0;

/* Local ports, one of each range in which a flow matches or not alike; for starts of connects. */
const volatile uint16_t filter_ports[TAPE_FILTER_PORTS] SEC(".rodata") __weak = {0};
const volatile uint32_t filter_n_ports SEC(".rodata") __weak = 0;
const volatile bool filter_any_port SEC(".rodata") __weak = false; /* too many to try */

/*
 * -f: whether the expression takes this flow, in either direction. Its instructions are put in
 * place by the recorder (record/filter.c). Every byte of *flow must have a value.
 */
extern __hidden bool flow_matches(const struct ev_flow *flow);

/*
 * Sockets that close, having matched, by address: a failed connect and a disconnect wipe the ends,
 * a close the local port in skc_num, that the rest of their events would be known by. An entry ends
 * with the socket.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* TAPE_CLOSED_MAX, if there is a filter */
	__type(key, uint64_t);
	__type(value, uint8_t);
} closed SEC(".maps") __weak;

static __always_inline bool was_wanted(struct sock *sk)
{
	uint64_t key = (uint64_t)sk;

	return bpf_map_lookup_elem(&closed, &key) != NULL;
}

static __always_inline void forget(struct sock *sk)
{
	uint64_t key = (uint64_t)sk;

	if (filter_flows)
		bpf_map_delete_elem(&closed, &key);
}

/* flow: of a socket, whose local port may be unknown: at the start of a connect. */
static __always_inline bool matches(const struct ev_flow *flow, struct sock *sk)
{
	return flow_matches(flow) || ((!flow->lport || !flow->rport) && was_wanted(sk));
}

static __always_inline bool no_filter(void)
{
	return !filter_flows && !filter_netns;
}

static __always_inline bool in_netns(struct sock *sk)
{
	return !filter_netns || sk->__sk_common.skc_net.net->ns.inum == filter_netns;
}

static __always_inline bool in_netns_probed(struct sock *sk)
{
	return !filter_netns || BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) == filter_netns;
}

/* cookie: an expression that is evaluated only where it matters. */
#define PASSES_SOCK(group, sk, flow, cookie)                                                       \
	((!filter_flows || matches(flow, sk)) && (!thins(group) || keeps_sock(group, flow, cookie)))

/* An event of a socket, full or short; tp may be NULL. */
static __always_inline bool wants_sock(enum tape_group group, struct sock *sk, struct tcp_sock *tp)
{
	struct ev_flow flow __attribute__((aligned(8)));

	if (!in_netns(sk))
		return false;
	if (!filter_flows && !thins(group))
		return true;
	fill_flow(&flow, sk, tp);
	return PASSES_SOCK(group, sk, &flow, group == TAPE_GROUP_conn ? cookie_of(sk) : 0);
}

/* The same where tp is not at hand. */
static __always_inline bool wants_sk(enum tape_group group, struct sock *sk)
{
	return (no_filter() && !thins(group)) || wants_sock(group, sk, tcp_of(sk));
}

/* In kprobes. */
static __always_inline bool wants_sock_probed(enum tape_group group, struct sock *sk,
					      struct tcp_sock *tp)
{
	struct ev_flow flow __attribute__((aligned(8)));

	if (!in_netns_probed(sk))
		return false;
	if (!filter_flows && !thins(group))
		return true;
	fill_flow_probed(&flow, sk, tp);
	return PASSES_SOCK(group, sk, &flow, BPF_CORE_READ(sk, __sk_common.skc_cookie.counter));
}

/*
 * An event of a packet, by its headers; for a filter, or of its socket, which may be NULL. flow:
 * 8-byte aligned.
 */
static __always_inline bool wants_packet(enum tape_group group, const struct ev_flow *flow,
					 uint32_t netns, struct sock *sk)
{
	bool here = !filter_netns || netns == filter_netns;
	struct ev_flow ends __attribute__((aligned(8)));

	if (!no_filter() && !(here && (!filter_flows || flow_matches(flow)))) {
		if (!sk || !in_netns(sk))
			return false;
		if (filter_flows) {
			fill_flow(&ends, sk, NULL);
			if (!matches(&ends, sk))
				return false;
		}
	}
	return !thins(group) || keeps_flow(group, flow);
}

static __always_inline bool wants_packet_probed(enum tape_group group, const struct ev_flow *flow,
						uint32_t netns, struct sock *sk)
{
	bool here = !filter_netns || netns == filter_netns;
	struct ev_flow ends __attribute__((aligned(8)));

	if (!no_filter() && !(here && (!filter_flows || flow_matches(flow)))) {
		if (!sk || !in_netns_probed(sk))
			return false;
		if (filter_flows) {
			fill_flow_probed(&ends, sk, NULL);
			if (!matches(&ends, sk))
				return false;
		}
	}
	return !thins(group) || keeps_flow(group, flow);
}

/* An event that its local end and a remote one of its own describe, as a failed connect. */
static __always_inline bool wants_asked(enum tape_group group, struct sock *sk, struct tcp_sock *tp,
					const struct ev_addr *raddr, uint16_t rport)
{
	struct ev_flow flow __attribute__((aligned(8)));

	if (!in_netns(sk))
		return false;
	if (!filter_flows && !thins(group))
		return true;
	fill_flow(&flow, sk, tp);
	copy_addr(&flow.raddr, raddr);
	flow.rport = rport;
	return (!filter_flows || flow_matches(&flow)) &&
	       (!thins(group) || keeps_sock(group, &flow, cookie_of(sk)));
}

static __always_inline bool wants_asked_probed(enum tape_group group, struct sock *sk,
					       const struct ev_addr *raddr, uint16_t rport)
{
	struct ev_flow flow __attribute__((aligned(8)));

	if (!in_netns_probed(sk))
		return false;
	if (!filter_flows && !thins(group))
		return true;
	fill_flow_probed(&flow, sk, (struct tcp_sock *)sk);
	copy_addr(&flow.raddr, raddr);
	flow.rport = rport;
	return (!filter_flows || flow_matches(&flow)) &&
	       (!thins(group) ||
		keeps_sock(group, &flow, BPF_CORE_READ(sk, __sk_common.skc_cookie.counter)));
}

/*
 * The return of a driver tells nothing of the packet: it is wanted if the packet last given to a
 * driver by this processor was. Nothing comes between the two but the same packet on a device
 * below, as this runs with softirqs off.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, uint32_t);
} to_driver SEC(".maps") __weak;

static __always_inline void note_to_driver(bool wanted)
{
	uint32_t zero = 0, *note;

	if (no_filter() && !thins(TAPE_GROUP_tx))
		return;
	note = bpf_map_lookup_elem(&to_driver, &zero);
	if (note)
		*note = wanted;
}

static __always_inline bool wants_sent(void)
{
	uint32_t zero = 0, *note;

	if (no_filter() && !thins(TAPE_GROUP_tx))
		return true;
	note = bpf_map_lookup_elem(&to_driver, &zero);
	return note && *note;
}

#endif

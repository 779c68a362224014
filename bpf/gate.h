/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether an event is recorded at all (-f, --netns, -p, --comm, --cgroup, --sample, --max-rate):
 * the one place that each program asks, before it reserves. What is not asked for costs nothing:
 * the verifier leaves its code out. Included by probe.h.
 */
#ifndef TAPE_GATE_H
#define TAPE_GATE_H

#include "gate_limits.h"
#include "select.h"
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
	if (selecting)
		unchoose(sk);
}

/* flow: of a socket, whose local port may be unknown: at the start of a connect. */
static __always_inline bool matches(const struct ev_flow *flow, struct sock *sk)
{
	return flow_matches(flow) || ((!flow->lport || !flow->rport) && was_wanted(sk));
}

static __always_inline bool no_filter(void)
{
	return !filter_flows && !filter_netns && !selecting;
}

#define GATE(name) name
#define FILL(name) fill_##name
#define GET(p, member) ((p)->member)
#define GET2(p, a, b) ((p)->a->b)
#define COOKIE(group, sk) ((group) == TAPE_GROUP_conn ? cookie_of(sk) : 0)
#include "wants.h"

#define GATE(name) name##_probed
#define FILL(name) fill_##name##_probed
#define GET(p, member) BPF_CORE_READ(p, member)
#define GET2(p, a, b) BPF_CORE_READ(p, a, b)
#define COOKIE(group, sk) BPF_CORE_READ(sk, __sk_common.skc_cookie.counter)
#include "wants.h"

/* The same where tp is not at hand. */
static __always_inline bool wants_sk(enum tape_group group, struct sock *sk)
{
	return (no_filter() && !thins(group)) || wants_sock(group, sk, tcp_of(sk));
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

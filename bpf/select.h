/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Connections chosen by their owner (-p, --comm, --cgroup). What a softirq does to a socket has no
 * owner, so the sockets of chosen threads are remembered, by address, until they end (select.bpf.c,
 * conn.bpf.c); and the ends of their connections, for packets that have no socket yet, or no more.
 * Included by gate.h; what reads a socket's members stands in wants.h.
 */
#ifndef TAPE_SELECT_H
#define TAPE_SELECT_H

#include "gate_limits.h"

/* Set by the recorder. false: no owner is asked for, and the verifier leaves the code out. */
const volatile bool selecting SEC(".rodata") __weak = false;
const volatile bool select_pids SEC(".rodata") __weak = false;
const volatile uint32_t select_n_cgroups SEC(".rodata") __weak = 0;
const volatile uint32_t select_n_comms SEC(".rodata") __weak = 0;
const volatile uint64_t select_comms[TAPE_CHOSEN_NAMES][2] SEC(".rodata") __weak = {};
const volatile uint64_t select_comm_masks[TAPE_CHOSEN_NAMES][2] SEC(".rodata") __weak = {};

/* Group conn: false: its programs run for the selection only. */
const volatile bool conn_is_recorded SEC(".rodata") __weak = true;

/* The recorder lists the sockets that exist, and has put those of chosen processes into `old`. */
bool select_seeding SEC(".bss") __weak;

/* The ends of a connection, in one order for both directions; or of a listener, and its netns. */
struct select_flow {
	struct ev_flow flow;
	uint32_t netns; /* 0: a connection */
} __attribute__((aligned(8)));

/* All sizes are set by the recorder, if there is a selection. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* TAPE_CHOSEN_SOCKS */
	__type(key, uint64_t);	/* address of struct sock */
	__type(value, uint8_t);
} chosen SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* TAPE_CHOSEN_SOCKS */
	__type(key, struct select_flow);
	__type(value, uint32_t); /* listeners: how many */
} chosen_flows SEC(".maps") __weak;

/*
 * Of connections that have ended: their last ACK, a FIN that comes again and the queue of a socket
 * that closes are met after the end of the socket. The oldest go first: nothing lives here.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* TAPE_ENDED_FLOWS */
	__type(key, struct select_flow);
	__type(value, uint8_t);
} ended_flows SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* TAPE_CHOSEN_PIDS */
	__type(key, uint32_t);
	__type(value, uint8_t);
} chosen_pids SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, TAPE_CHOSEN_NAMES);
	__type(key, uint32_t);
	__type(value, uint32_t);
} chosen_cgroups SEC(".maps") __weak;

/* Inode numbers of sockets, as in /proc/PID/fd. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* only the recorder writes it */
	__uint(max_entries, 1);		      /* TAPE_CHOSEN_SOCKS */
	__type(key, uint64_t);
	__type(value, uint8_t);
} old SEC(".maps") __weak;

/* A connection, or a process, that is not followed since a map is full. */
static __noinline void count_unfollowed(void)
{
	uint32_t cpu = bpf_get_smp_processor_id();
	struct tape_lost *l = bpf_map_lookup_elem(&lost, &cpu);

	if (l)
		__sync_fetch_and_add(&l->unfollowed, 1);
}

static __always_inline bool is_chosen(struct sock *sk)
{
	uint64_t key = (uint64_t)sk;

	return !selecting || bpf_map_lookup_elem(&chosen, &key);
}

/* false: there is no room. */
static __always_inline bool choose(struct sock *sk)
{
	uint64_t key = (uint64_t)sk;
	uint8_t one = 1;

	if (!bpf_map_update_elem(&chosen, &key, &one, BPF_ANY))
		return true;
	count_unfollowed();
	return false;
}

static __always_inline void unchoose(struct sock *sk)
{
	uint64_t key = (uint64_t)sk;

	bpf_map_delete_elem(&chosen, &key);
}

static __always_inline void choose_pid(uint32_t pid)
{
	uint8_t one = 1;

	if (bpf_map_update_elem(&chosen_pids, &pid, &one, BPF_ANY))
		count_unfollowed();
}

/* Up to its zero: what stands behind that is anything before Linux 5.17. */
static __always_inline bool is_chosen_comm(const uint64_t name[2])
{
	for (uint32_t i = 0; i < TAPE_CHOSEN_NAMES; i++) {
		if (i >= select_n_comms)
			break;
		if ((name[0] & select_comm_masks[i][0]) == select_comms[i][0] &&
		    (name[1] & select_comm_masks[i][1]) == select_comms[i][1])
			return true;
	}
	return false;
}

/* The thread's name, or that of its process. Typed tasks came with Linux 5.11. */
static __noinline bool is_chosen_by_comm(void)
{
	struct task_struct *task;
	uint64_t name[2];

	if (has_cookies) {
		task = bpf_get_current_task_btf();
		copy_comm((struct ev_comm *)name, task->comm);
		if (is_chosen_comm(name))
			return true;
		copy_comm((struct ev_comm *)name, task->group_leader->comm);
		return is_chosen_comm(name);
	}
	task = (struct task_struct *)bpf_get_current_task();
	BPF_CORE_READ_INTO(&name, task, comm);
	if (is_chosen_comm(name))
		return true;
	BPF_CORE_READ_INTO(&name, task, group_leader, comm);
	return is_chosen_comm(name);
}

/* Whether the running thread is of an owner that was asked for. Only where that is the owner. */
static __always_inline bool task_is_chosen(void)
{
	uint32_t pid = bpf_get_current_pid_tgid() >> 32;

	if (select_pids && bpf_map_lookup_elem(&chosen_pids, &pid))
		return true;
	if (select_n_comms && is_chosen_by_comm())
		return true;
	for (uint32_t i = 0; i < TAPE_CHOSEN_NAMES; i++) {
		if (i >= select_n_cgroups)
			break;
		if (bpf_current_task_under_cgroup(&chosen_cgroups, i) == 1)
			return true;
	}
	return false;
}

/* ---- by ends ---- */

static __always_inline void order_ends(struct ev_flow *f)
{
	uint64_t *l = (void *)&f->laddr, *r = (void *)&f->raddr, word;
	uint16_t port = f->lport;

	if (l[0] < r[0] || (l[0] == r[0] && (l[1] < r[1] || (l[1] == r[1] && port < f->rport))))
		return;
	word = l[0];
	l[0] = r[0];
	r[0] = word;
	word = l[1];
	l[1] = r[1];
	r[1] = word;
	f->lport = f->rport;
	f->rport = port;
}

/* flow: 8-byte aligned. */
static __noinline bool is_chosen_flow(const struct ev_flow *flow)
{
	struct select_flow key;

	copy_flow(&key.flow, flow);
	order_ends(&key.flow);
	key.netns = 0;
	return bpf_map_lookup_elem(&chosen_flows, &key) || bpf_map_lookup_elem(&ended_flows, &key);
}

static __always_inline bool listener_is_chosen(const struct select_flow *key)
{
	uint32_t *n = bpf_map_lookup_elem(&chosen_flows, key);

	return n && *n;
}

/* A listener at this address and port, or at any address. */
static __noinline bool is_listened_at(uint32_t netns, const struct ev_addr *addr, uint16_t port)
{
	struct select_flow key = {.flow.lport = port, .netns = netns};

	copy_addr(&key.flow.laddr, addr);
	if (!netns || !port)
		return false;
	if (listener_is_chosen(&key))
		return true;
	map_v4(&key.flow.laddr, 0);
	if (listener_is_chosen(&key))
		return true;
	__builtin_memset(&key.flow.laddr, 0, sizeof(key.flow.laddr));
	return listener_is_chosen(&key);
}

/*
 * A packet of no connection yet: of the handshake, or what is dropped, or answered by RST, at the
 * port of a chosen listener. Which end of a dropped packet is local is not known.
 */
static __always_inline bool is_for_listener(enum tape_group group, const struct ev_flow *flow,
					    uint16_t tcp_flags, uint32_t netns)
{
	if (group != TAPE_GROUP_drop && group != TAPE_GROUP_reset && !(tcp_flags & TCP_FLAG_SYN))
		return false;
	return is_listened_at(netns, &flow->laddr, flow->lport) ||
	       (group == TAPE_GROUP_drop && is_listened_at(netns, &flow->raddr, flow->rport));
}

/* sk may be NULL. */
static __always_inline bool packet_is_chosen(enum tape_group group, const struct ev_flow *flow,
					     uint16_t tcp_flags, uint32_t netns, struct sock *sk)
{
	return !selecting || (sk && is_chosen(sk)) || is_chosen_flow(flow) ||
	       is_for_listener(group, flow, tcp_flags, netns);
}

static __always_inline void enter_flow(struct select_flow *key)
{
	uint32_t one = 1;

	order_ends(&key->flow);
	if (bpf_map_update_elem(&chosen_flows, key, &one, BPF_ANY))
		count_unfollowed();
}

/* Both ends may be here: the second one that leaves finds nothing. */
static __always_inline void leave_flow(struct select_flow *key)
{
	uint8_t one = 1;

	order_ends(&key->flow);
	if (!bpf_map_delete_elem(&chosen_flows, key))
		bpf_map_update_elem(&ended_flows, key, &one, BPF_ANY);
}

/* Several processes may listen at one port, each by a socket of its own. */
static __always_inline void enter_listener(const struct select_flow *key)
{
	uint32_t one = 1, *n = bpf_map_lookup_elem(&chosen_flows, key);

	if (n)
		__sync_fetch_and_add(n, 1);
	else if (bpf_map_update_elem(&chosen_flows, key, &one, BPF_NOEXIST))
		count_unfollowed();
}

static __always_inline void leave_listener(const struct select_flow *key)
{
	uint32_t *n = bpf_map_lookup_elem(&chosen_flows, key);

	if (!n)
		return;
	__sync_fetch_and_add(n, -1);
	if (!*(volatile uint32_t *)n)
		bpf_map_delete_elem(&chosen_flows, key);
}

#endif

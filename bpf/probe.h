/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What all probes share: rings, loss counters, and the filling of common parts. A probe reads,
 * stamps and submits; it keeps nothing. Maps are weak, so that the linker makes one of each out of
 * all files. Sizes are set by the recorder (record/object.c) before loading.
 */
#ifndef TAPE_PROBE_H
#define TAPE_PROBE_H

#include "kernel.h"
#include "groups.h"
#include "stack.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16); /* the recorder makes the real ones */
};

/*
 * Several rings of each kind, as processors that write to one ring wait for one another: the cache
 * line with the ring's lock and position goes from one to the next with each record.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, TAPE_RING_SLOTS);
	__type(key, uint32_t);
	__array(values, struct ring);
} control SEC(".maps") __weak, bulk SEC(".maps") __weak;

/* One element a possible CPU, read by the recorder through mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct tape_lost);
} lost SEC(".maps") __weak;

/* A quarter of the bytes of each ring, by kind, set by the recorder. A power of two. */
const volatile uint64_t ring_quarter[TAPE_N_RINGS] SEC(".rodata") __weak = {1 << 20, 1 << 21};

/* Timer ticks a second, set by the recorder. */
const volatile uint32_t hz SEC(".rodata") __weak = 250;

static __always_inline uint32_t us_of_ticks(uint32_t ticks)
{
	return ticks * 1000000ull / (hz ? hz : 1);
}

static __noinline void count_lost(uint32_t group)
{
	uint32_t cpu = bpf_get_smp_processor_id();
	struct tape_lost *l = bpf_map_lookup_elem(&lost, &cpu);

	if (l && group < TAPE_N_GROUPS)
		__sync_fetch_and_add(&l->n[group], 1);
}

static __always_inline void *ring_of(void *rings, uint32_t cpu)
{
	uint32_t i = cpu % TAPE_RING_SLOTS;

	return bpf_map_lookup_elem(rings, &i);
}

/* The time is taken before the ring's lock is waited for. */
static __always_inline void *reserve(void *rings, uint32_t group, uint16_t type, uint32_t size)
{
	uint64_t now = bpf_ktime_get_ns();
	uint32_t cpu = bpf_get_smp_processor_id();
	void *ring = ring_of(rings, cpu);
	struct ev_head *head = ring ? bpf_ringbuf_reserve(ring, size, 0) : NULL;

	if (!head) {
		count_lost(group);
		return NULL;
	}
	head->ts_ns = now;
	head->cpu = cpu;
	head->type = type;
	head->size = size;
	return head;
}

#define RESERVE(kind, group, name)                                                                 \
	((struct ev_##name *)reserve(&kind, TAPE_GROUP_##group, EV_##name,                         \
				     sizeof(struct ev_##name)))

/* --pointers, set by the recorder; false: the verifier leaves the code out. */
const volatile bool record_pointers SEC(".rodata") __weak = false;

/*
 * Bytes of an event that ends with a field `skb`, which TAKE_SKB fills: without the option it ends
 * before it. (Once another field stands behind it, this is the struct's size, and skb is 0.)
 */
#define SIZE_SKB(name)                                                                             \
	({                                                                                         \
		_Static_assert(sizeof(struct ev_##name) ==                                         \
				       __builtin_offsetof(struct ev_##name, skb) +                 \
					       sizeof(uint64_t),                                   \
			       "skb stands at the end");                                           \
		__builtin_offsetof(struct ev_##name, skb) +                                        \
			(record_pointers ? sizeof(uint64_t) : 0);                                  \
	})

#define RESERVE_SKB(kind, group, name)                                                             \
	((struct ev_##name *)reserve(&kind, TAPE_GROUP_##group, EV_##name, SIZE_SKB(name)))

/* What is known of the buffer is where it lies: nothing of it is read. */
#define TAKE_SKB(e, buffer)                                                                        \
	do {                                                                                       \
		if (record_pointers)                                                               \
			(e)->skb = (uint64_t)(buffer);                                             \
	} while (0)

/* --stacks, as record_pointers. */
const volatile bool record_stacks SEC(".rodata") __weak = false;

/* For an event of so many bytes with a field `stack`, which TAKE_STACK fills. */
#define RESERVE_STACK(ring, group, name, size)                                                     \
	((struct ev_##name *)reserve(&ring, TAPE_GROUP_##group, EV_##name,                         \
				     (size) + (record_stacks ? TAPE_STACK_BYTES : 0)))

static __always_inline uint64_t take_stack(void *ctx, void *frames)
{
	long bytes = bpf_get_stack(ctx, frames, TAPE_STACK_BYTES, 0);

	return bytes > 0 ? (uint64_t)bytes / 8 : 0;
}

#define TAKE_STACK(ctx, e, size)                                                                   \
	((e)->stack = record_stacks ? take_stack(ctx, (char *)(e) + (size)) : 0)

/*
 * The reader sleeps until its timer, unless a ring fills: it is woken at each quarter of the ring,
 * in a band of 1/4 quarter. Outside of the band no wake-up is queued, however far behind the reader
 * is. The look at the fill level costs about 100 ns, as it shares a cache line with the reader, so
 * only one record in 32 looks, picked by bits of its time: hundreds of records lie in a band, and
 * if all fail to look there are the next band and the timer.
 */
static __always_inline bool should_wake(void *rings, enum tape_ring kind, struct ev_head *head)
{
	uint64_t quarter, used;
	void *ring;

	if (head->ts_ns >> 6 & 31) /* coarser than the steps of any clock in use */
		return false;
	ring = ring_of(rings, head->cpu);
	if (!ring)
		return false;
	quarter = ring_quarter[kind];
	used = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
	return used >= quarter && (used & (quarter - 1)) < quarter / 4;
}

static __always_inline void submit(void *rings, enum tape_ring kind, struct ev_head *head)
{
	bool wake = should_wake(rings, kind, head);

	bpf_ringbuf_submit(head, wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

#define SUBMIT(kind, record) submit(&kind, TAPE_RING_##kind, &(record)->head)

/*
 * The linker of libbpf before 1.2 takes a function of the kernel in the section .ksyms of one file
 * only, the first that is linked.
 */
#ifndef TAPE_KSYM
#define TAPE_KSYM
#endif

/*
 * Since Linux 6.2: p as a pointer of a type, whose loads are checked as they are made. No call: the
 * verifier puts a move in its place. What it replaces are helpers, which cost about 20 ns (a cast)
 * and 30 ns (bpf_probe_read_kernel) where returns are guarded against speculation.
 */
extern void *bpf_rdonly_cast(const void *p, uint32_t type) TAPE_KSYM __weak;

#define CAST(name, p) ((struct name *)bpf_rdonly_cast(p, bpf_core_type_id_kernel(struct name)))

/*
 * size: a constant, even, at most 64. A type of the kernel is needed that begins with so long an
 * array; what cannot be read is zero by way of it.
 */
static __always_inline bool read_kernel(void *to, uint32_t size, const void *from)
{
	const char *f;
	uint32_t i;

	if (!bpf_rdonly_cast)
		return !bpf_probe_read_kernel(to, size, from);
	f = CAST(new_utsname, from)->sysname;
#pragma unroll
	for (i = 0; i + 8 <= size; i += 8)
		*(uint64_t *)(to + i) = *(const uint64_t *)(f + i);
	if (size & 4)
		*(uint32_t *)(to + (size & ~7u)) = *(const uint32_t *)(f + (size & ~7u));
	if (size & 2)
		*(uint16_t *)(to + (size & ~3u)) = *(const uint16_t *)(f + (size & ~3u));
	return true;
}

static __always_inline bool is_tcp(struct sock *sk)
{
	uint16_t protocol = sk->sk_protocol;

	return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP;
}

/*
 * Not a listener's request or TIME_WAIT, which are shorter than struct sock; nor a raw socket of
 * protocol TCP.
 */
static __always_inline bool is_full_stream(struct sock *sk)
{
	uint8_t state = sk->__sk_common.skc_state;
	uint16_t family = sk->__sk_common.skc_family;

	return (family == AF_INET || family == AF_INET6) && state != TCP_TIME_WAIT &&
	       state != TCP_NEW_SYN_RECV && sk->sk_type == SOCK_STREAM;
}

/*
 * As tcp_of, without a cast, so for skb->sk too: bpf_skc_to_tcp_sock does not take that, as its
 * type is "RCU pointer" since Linux 6.4. Or a socket of MPTCP.
 */
static __always_inline bool is_full_tcp(struct sock *sk)
{
	return is_full_stream(sk) && is_tcp(sk);
}

/* NULL if it is no full TCP socket. */
static __always_inline struct tcp_sock *tcp_of(struct sock *sk)
{
	if (!bpf_rdonly_cast)
		return bpf_skc_to_tcp_sock(sk);
	if (!is_full_stream(sk) || sk->sk_protocol != IPPROTO_TCP)
		return NULL;
	return CAST(tcp_sock, sk);
}

/*
 * bpf_get_socket_cookie exists in these programs since Linux 5.12. Before, there is only what lies
 * in the socket: the cookie if somebody else asked for it (ss, SO_COOKIE), else 0; the recorder
 * then numbers the sockets itself (record/generation.c).
 */
const volatile bool has_cookies SEC(".rodata") __weak = true;

/*
 * sk: of any kind, as all begin with struct sock_common. Not for kprobes. The helper makes a cookie
 * if there is none; mostly there is one (the snapshot, the first state change), and a load is 25 ns
 * cheaper.
 */
static __always_inline uint64_t cookie_of(void *sk)
{
	uint64_t cookie = ((struct sock *)sk)->__sk_common.skc_cookie.counter;

	return cookie || !has_cookies ? cookie : bpf_get_socket_cookie(sk);
}

/*
 * A member of a segment's control block, by plain loads. libbpf makes the load as wide as the
 * kernel's member: tcp_flags has 1 byte until 6.16.
 */
#define CB(skb, member) (((struct tcp_skb_cb *)(skb)->cb)->member)

/*
 * IPv4 as ::ffff:a.b.c.d. Addresses stand 8-byte aligned in all records. Here as below: through a
 * member of struct ev_addr, which is an array of bytes, clang would store byte by byte.
 */
static __always_inline void map_v4(void *addr, __be32 v4)
{
	uint64_t *zero = addr;
	uint32_t *words = addr;

	*zero = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = v4;
}

/* The verifier lets wide loads pass within one array (btf_struct_walk). */
static __always_inline void copy_addr(void *addr, const void *u6_addr8)
{
	const uint64_t *from = u6_addr8;
	uint64_t *to = addr;

	to[0] = from[0];
	to[1] = from[1];
}

static __always_inline void copy_comm(struct ev_comm *comm, const char *name)
{
	const uint64_t *from = (const void *)name;
	uint64_t *to = (void *)comm;

	to[0] = from[0];
	to[1] = from[1];
}

static __always_inline void copy_flow(struct ev_flow *flow, const struct ev_flow *from)
{
	copy_addr(&flow->laddr, &from->laddr);
	copy_addr(&flow->raddr, &from->raddr);
	*(uint32_t *)&flow->lport = *(const uint32_t *)&from->lport; /* both ports */
}

/* What packet.h needs of a buffer; offsets are from head. */
struct skb_view {
	const unsigned char *head;
	uint32_t data, tail, end, len;
	uint16_t protocol; /* host byte order */
	uint16_t network_header, mac_header;
	uint16_t vlan; /* id of the tag beside the packet; NO_VLAN none */
	bool cloned;
};

enum { NO_VLAN = 0xffff, VLAN_ID = 0xfff };
enum { HAVE_IP = 1, HAVE_TCP = 2, OF_SOCKET = 4 }; /* ev_packet.headers */

/*
 * Segments in a buffer. gso_segs stands behind gso_size in struct skb_shared_info; it is 0 where a
 * virtual machine's host or tun made the packet. Without payload there is one.
 */
static __always_inline uint16_t gso_segs_of(const unsigned char *head, uint32_t end,
					    uint32_t payload)
{
	struct skb_shared_info *info = (void *)(head + end);
	uint16_t gso[2] __attribute__((aligned(4))); /* size, segs */

	if (!payload || !read_kernel(gso, sizeof(gso), &info->gso_size) || !gso[0])
		return 1;
	return gso[1] ? gso[1] : (payload + gso[0] - 1) / gso[0];
}

#define FILL(name) fill_##name
#define GET(p, member) ((p)->member)
#define GET2(p, a, b) ((p)->a->b)
#define GET_BITS(p, member) BPF_CORE_READ_BITFIELD(p, member)
#define GET_ADDR(to, p, member) copy_addr(to, (p)->member.in6_u.u6_addr8)
#include "fill.h"

#define FILL(name) fill_##name##_probed
#define GET(p, member) BPF_CORE_READ(p, member)
#define GET2(p, a, b) BPF_CORE_READ(p, a, b)
#define GET_BITS(p, member) BPF_CORE_READ_BITFIELD_PROBED(p, member)
#define GET_ADDR(to, p, member) BPF_CORE_READ_INTO(to, p, member)
#include "fill.h"

#include "gate.h"

/*
 * Direct loads: three helpers for the same take 100 ns more on the development machine. The task as
 * a typed pointer came with Linux 5.11, one release before cookies in these programs.
 */
static __always_inline void fill_task(struct ev_task *task)
{
	uint64_t id;

	if (has_cookies) {
		struct task_struct *t = bpf_get_current_task_btf();

		task->cgroup = t->cgroups->dfl_cgrp->kn->id;
		task->pid = t->tgid;
		task->tid = t->pid;
		copy_comm(&task->comm, t->comm);
		return;
	}
	id = bpf_get_current_pid_tgid();
	task->cgroup = bpf_get_current_cgroup_id();
	task->pid = id >> 32;
	task->tid = (uint32_t)id;
	bpf_get_current_comm(task->comm.s, sizeof(task->comm.s));
}

/*
 * The current thread is the socket's owner if the socket is locked by a thread: softirqs and
 * timers find sk_lock.owned zero, or leave the socket alone (they queue to its backlog, which is
 * worked off by the owner). Otherwise "current" is whoever was interrupted, and is not recorded.
 */
static __always_inline void fill_owner(struct ev_task *task, struct sock *sk)
{
	if (sk->sk_lock.owned)
		fill_task(task);
	else
		__builtin_memset(task, 0, sizeof(*task));
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Group drop: TCP packets that the kernel throws away, and those with a wrong checksum. */
#include "packet.h"

static __always_inline uint32_t netns_of_route(unsigned long refdst)
{
	struct dst_entry *dst = (struct dst_entry *)(refdst & ~1ul); /* SKB_DST_NOREF */

	return dst ? BPF_CORE_READ(dst, dev, nd_net.net, ns.inum) : 0;
}

/*
 * Where the packet is, which is not where its socket is: since Linux 4.19 a packet keeps its
 * sender's socket through a veth, until ip_rcv_core. skb->dev shares its place with a pointer of
 * the tree in which TCP keeps packets out of order: what has no namespace's number (proc_alloc_inum
 * gives them from 0xf0000000 on, the first of each kind stand just below) is no device. tcp_v4_rcv
 * clears it; then the receiving socket tells the namespace, or, before 6.11, the route.
 */
#define FIRST_NS_INUM 0xefffff00
struct place {
	uint32_t netns, ifindex;
};

static __always_inline struct place place_of(struct sk_buff *skb, struct sock *sk)
{
	struct net_device *dev = skb->dev;
	struct place at = {.netns = dev ? dev->nd_net.net->ns.inum : 0};

	if (at.netns >= FIRST_NS_INUM) {
		at.ifindex = dev->ifindex;
		return at;
	}
	at.ifindex = skb->skb_iif;
	at.netns = sk ? sk->__sk_common.skc_net.net->ns.inum : 0;
	if (!at.netns)
		at.netns = netns_of_route(skb->_skb_refdst);
	return at;
}

/*
 * sk NULL: no full TCP socket, and nothing of it is recorded. The cookie is read where it lies, for
 * the same reason; 0 only if neither the snapshot nor a state change has asked for one so far.
 */
#define FILL_PACKET(e, p, skb, sk, at)                                                             \
	do {                                                                                       \
		__builtin_memset(&(e)->sock, 0, sizeof((e)->sock));                                \
		(e)->state = 0;                                                                    \
		if (sk) {                                                                          \
			fill_sock(&(e)->sock, sk, NULL, (sk)->__sk_common.skc_cookie.counter);     \
			(e)->state = (sk)->__sk_common.skc_state;                                  \
		}                                                                                  \
		copy_flow(&(e)->flow, (p)->ev.headers ? &(p)->ev.flow : &(e)->sock.flow);          \
		(e)->netns = (at).netns;                                                           \
		(e)->ifindex = (at).ifindex;                                                       \
		(e)->seq = (p)->ev.seq;                                                            \
		(e)->ack_seq = (p)->ev.ack_seq;                                                    \
		(e)->len = (p)->len;                                                               \
		(e)->payload = (p)->ev.payload;                                                    \
		(e)->skb_len = (skb)->len;                                                         \
		(e)->ethertype = bpf_ntohs((skb)->protocol);                                       \
		(e)->tcp_flags = (p)->ev.tcp_flags;                                                \
		(e)->ttl = (p)->ttl;                                                               \
		(e)->headers = (p)->ev.headers;                                                    \
		(e)->protocol = (p)->protocol;                                                     \
	} while (0)

/* sk: a full TCP socket that receives, where the tracepoint has it. */
static __always_inline int dropped(void *ctx, struct sk_buff *skb, void *location, uint32_t reason,
				   struct sock *sk)
{
	struct packet p = {};
	enum found found = read_packet(&p, skb, LOCAL_IS_SOURCE);
	struct ev_drop *e;
	struct place at;

	if (found == NOT_TCP)
		return 0;
	if (!sk) {
		sk = skb->sk;
		if (sk && !is_full_tcp(sk))
			sk = NULL;
	}
	if (found == NO_HEADERS && !sk)
		return 0;
	at = place_of(skb, sk);
	if (!wants_packet(TAPE_GROUP_drop, &p.ev.flow, p.ev.tcp_flags, at.netns, sk))
		return 0;
	e = RESERVE_STACK(control, drop, drop, SIZE_SKB(drop));
	if (!e)
		return 0;
	FILL_PACKET(e, &p, skb, sk, at);
	e->location = (uint64_t)location;
	e->reason = reason;
	e->mark = skb->mark;
	TAKE_SKB(e, skb);
	TAKE_STACK(ctx, e, SIZE_SKB(drop));
	SUBMIT(control, e);
	return 0;
}

/* kfree_skb(), and with it every drop: kfree_skb_reason since 5.17, sk_skb_reason_drop since 6.11.
 */
SEC("?tp_btf/kfree_skb")
int BPF_PROG(drop__2, struct sk_buff *skb, void *location)
{
	return dropped(ctx, skb, location, 0, NULL);
}

SEC("?tp_btf/kfree_skb")
int BPF_PROG(drop__3, struct sk_buff *skb, void *location, uint32_t reason)
{
	return dropped(ctx, skb, location, reason, NULL);
}

SEC("?tp_btf/kfree_skb")
int BPF_PROG(drop__4, struct sk_buff *skb, void *location, uint32_t reason, struct sock *rx_sk)
{
	if (rx_sk && !is_full_tcp(rx_sk))
		rx_sk = NULL;
	return dropped(ctx, skb, location, reason, rx_sk);
}

/* tcp_v4_rcv, tcp_v6_rcv and the like, before the packet is dropped. Softirq, or the owner. */
SEC("?tp_btf/tcp_bad_csum")
int BPF_PROG(bad_csum, struct sk_buff *skb)
{
	struct sock *sk = skb->sk;
	struct packet p = {};
	struct ev_bad_csum *e;
	struct place at;

	read_packet(&p, skb, LOCAL_IS_SOURCE);
	if (sk && !is_full_tcp(sk))
		sk = NULL;
	at = place_of(skb, sk);
	if (!wants_packet(TAPE_GROUP_drop, &p.ev.flow, p.ev.tcp_flags, at.netns, sk))
		return 0;
	e = RESERVE(control, drop, bad_csum);
	if (!e)
		return 0;
	FILL_PACKET(e, &p, skb, sk, at);
	SUBMIT(control, e);
	return 0;
}

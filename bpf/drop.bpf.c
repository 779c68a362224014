/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Group drop: TCP packets that the kernel throws away, and those with a wrong checksum.
 *
 * Packets are met at every layer, so skb->data may stand anywhere; the headers are found from
 * skb->head. network_header is set by all that send, and by __netif_receive_skb_core for what
 * comes in; before that (drivers, tun, the CPU's backlog) it is 0, which is no valid place since
 * head room comes first, and data stands behind the Ethernet header (eth_type_trans).
 */
#include "probe.h"

enum { HAVE_IP = 1, HAVE_TCP = 2 };
enum { V4_LEN = 20, V6_LEN = 40, TCP_LEN = 20, V6_MAX_HEADERS = 3 };
enum { V6_HOPOPTS = 0, V6_ROUTING = 43, V6_DSTOPTS = 60 };

struct packet { /* the common fields of drop and bad_csum */
	struct ev_flow flow;
	uint32_t seq, ack_seq, len, payload;
	uint16_t tcp_flags;
	uint8_t ttl, headers, protocol;
};

/* Both headers, if neither has options. What lies behind skb->tail is not looked at. */
struct wire {
	uint8_t b[V6_LEN + TCP_LEN];
};

static __always_inline uint16_t be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static __always_inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* t: TCP_LEN bytes; `at` is their place, `end` that of the packet's last byte, from skb->head. */
static __always_inline void take_tcp(struct packet *p, const uint8_t *t, uint32_t at, uint32_t end)
{
	uint32_t header = (t[12] >> 4) * 4;

	p->flow.lport = be16(t);
	p->flow.rport = be16(t + 2);
	p->seq = be32(t + 4);
	p->ack_seq = be32(t + 8);
	p->tcp_flags = (t[12] & 1) << 8 | t[13];
	p->payload = end > at + header ? end - at - header : 0;
	p->headers |= HAVE_TCP;
}

/* The TCP header where it is not at the usual place. */
static __always_inline void read_tcp(struct packet *p, const unsigned char *head, uint32_t at,
				     uint32_t end, uint32_t tail)
{
	uint8_t t[TCP_LEN];

	if (at + TCP_LEN <= tail && !bpf_probe_read_kernel(t, sizeof(t), head + at))
		take_tcp(p, t, at, end);
}

/*
 * false: it is no TCP packet. A fragment that is not the first has no TCP header. total 0: BIG TCP
 * (Linux 6.3) keeps the length in skb->len only.
 */
static __always_inline bool take_v4(struct packet *p, const struct wire *w, struct sk_buff *skb,
				    const unsigned char *head, uint32_t nh, uint32_t tail)
{
	uint32_t total = be16(w->b + 2), at = nh + (w->b[0] & 15) * 4, data;

	p->protocol = w->b[9];
	if (p->protocol != IPPROTO_TCP)
		return false;
	p->ttl = w->b[8];
	map_v4(&p->flow.laddr, *(uint32_t *)(w->b + 12));
	map_v4(&p->flow.raddr, *(uint32_t *)(w->b + 16));
	data = (uint32_t)(skb->data - head);
	p->len = total ? total : data + skb->len - nh;
	p->headers = HAVE_IP;
	if (be16(w->b + 6) & 0x1fff)
		return true;
	if (at == nh + V4_LEN && at + TCP_LEN <= tail)
		take_tcp(p, w->b + V4_LEN, at, nh + p->len);
	else
		read_tcp(p, head, at, nh + p->len, tail);
	return true;
}

/* Past the extension headers that all packets of a flow may have; at fragments and the like 0. */
static __always_inline uint32_t skip_v6(const unsigned char *head, uint32_t at, uint8_t *next)
{
	uint8_t ext[2];

	for (int i = 0; i < V6_MAX_HEADERS; i++) {
		if (*next != V6_HOPOPTS && *next != V6_ROUTING && *next != V6_DSTOPTS)
			break;
		if (bpf_probe_read_kernel(ext, sizeof(ext), head + at))
			return 0;
		*next = ext[0];
		at += (ext[1] + 1) * 8;
	}
	return at;
}

static __always_inline bool take_v6(struct packet *p, const struct wire *w, struct sk_buff *skb,
				    const unsigned char *head, uint32_t nh, uint32_t tail)
{
	uint32_t payload = be16(w->b + 4), at = nh + V6_LEN, data;
	uint8_t next = w->b[6];

	if (next != IPPROTO_TCP)
		at = skip_v6(head, at, &next);
	p->protocol = next;
	if (next != IPPROTO_TCP)
		return false;
	p->ttl = w->b[7];
	__builtin_memcpy(&p->flow.laddr, w->b + 8, sizeof(p->flow.laddr));
	__builtin_memcpy(&p->flow.raddr, w->b + 24, sizeof(p->flow.raddr));
	data = (uint32_t)(skb->data - head);
	p->len = payload ? payload + V6_LEN : data + skb->len - nh;
	p->headers = HAVE_IP;
	if (at == nh + V6_LEN && at + TCP_LEN <= tail)
		take_tcp(p, w->b + V6_LEN, at, nh + p->len);
	else if (at)
		read_tcp(p, head, at, nh + p->len, tail);
	return true;
}

enum found { NOT_TCP, NO_HEADERS, FOUND };

/* One read of the kernel's memory for what has no options. */
static __always_inline enum found read_packet(struct packet *p, struct sk_buff *skb)
{
	const unsigned char *head = skb->head;
	uint16_t protocol = bpf_ntohs(skb->protocol);
	bool vlan = protocol == ETH_P_8021Q || protocol == ETH_P_8021AD;
	uint32_t nh = skb->network_header, tail = skb->tail;
	struct wire w;

	if (protocol != ETH_P_IP && protocol != ETH_P_IPV6 && !vlan)
		return NO_HEADERS;
	if (!nh) /* eth_type_trans leaves data behind the type, in front of the rest of a tag */
		nh = (uint32_t)(skb->data - head) + (vlan ? 4 : 0);
	if (nh + V4_LEN > tail || bpf_probe_read_kernel(&w, sizeof(w), head + nh))
		return NO_HEADERS;
	if (w.b[0] >> 4 == 4 && protocol != ETH_P_IPV6)
		return take_v4(p, &w, skb, head, nh, tail) ? FOUND : NOT_TCP;
	if (w.b[0] >> 4 == 6 && protocol != ETH_P_IP && nh + V6_LEN <= tail)
		return take_v6(p, &w, skb, head, nh, tail) ? FOUND : NOT_TCP;
	return NO_HEADERS;
}

/*
 * Where the packet is, which is not where its socket is: since Linux 4.19 a packet keeps its
 * sender's socket through a veth, until ip_rcv_core. skb->dev shares its place with a pointer of
 * the tree in which TCP keeps packets out of order: what has no namespace's number (proc_alloc_inum
 * gives them from 0xf0000000 on, the first of each kind stand just below) is no device. tcp_v4_rcv
 * clears it; then the receiving socket tells the namespace, or, before 6.11, the route.
 */
#define FIRST_NS_INUM 0xefffff00
#define FILL_PLACE(e, skb)                                                                         \
	do {                                                                                       \
		struct net_device *dev = (skb)->dev;                                               \
		uint32_t netns = dev ? dev->nd_net.net->ns.inum : 0;                               \
                                                                                                   \
		if (netns >= FIRST_NS_INUM) {                                                      \
			(e)->ifindex = dev->ifindex;                                               \
		} else {                                                                           \
			(e)->ifindex = (skb)->skb_iif;                                             \
			netns = (e)->sock.netns;                                                   \
			if (!netns)                                                                \
				netns = netns_of_route((skb)->_skb_refdst);                        \
		}                                                                                  \
		(e)->netns = netns;                                                                \
	} while (0)

static __always_inline uint32_t netns_of_route(unsigned long refdst)
{
	struct dst_entry *dst = (struct dst_entry *)(refdst & ~1ul); /* SKB_DST_NOREF */

	return dst ? BPF_CORE_READ(dst, dev, nd_net.net, ns.inum) : 0;
}

/*
 * A TCP socket, not a listener's request or TIME_WAIT, which are shorter than struct sock; nor a
 * raw socket of protocol TCP.
 * bpf_skc_to_tcp_sock does not take skb->sk: its type is "RCU pointer" since Linux 6.4.
 */
static __always_inline bool is_full_tcp(struct sock *sk)
{
	uint8_t state = sk->__sk_common.skc_state;
	uint16_t family = sk->__sk_common.skc_family;

	return (family == AF_INET || family == AF_INET6) && state != TCP_TIME_WAIT &&
	       state != TCP_NEW_SYN_RECV && sk->sk_type == SOCK_STREAM && is_tcp(sk);
}

/*
 * sk NULL: no full TCP socket, and nothing of it is recorded. The cookie is read where it lies, for
 * the same reason; 0 only if neither the snapshot nor a state change has asked for one so far.
 */
#define FILL_PACKET(e, p, skb, sk)                                                                 \
	do {                                                                                       \
		__builtin_memset(&(e)->sock, 0, sizeof((e)->sock));                                \
		(e)->state = 0;                                                                    \
		if (sk) {                                                                          \
			fill_sock(&(e)->sock, sk, NULL, (sk)->__sk_common.skc_cookie.counter);     \
			(e)->state = (sk)->__sk_common.skc_state;                                  \
		}                                                                                  \
		(e)->flow = (p)->headers ? (p)->flow : (e)->sock.flow;                             \
		FILL_PLACE(e, skb);                                                                \
		(e)->seq = (p)->seq;                                                               \
		(e)->ack_seq = (p)->ack_seq;                                                       \
		(e)->len = (p)->len;                                                               \
		(e)->payload = (p)->payload;                                                       \
		(e)->skb_len = (skb)->len;                                                         \
		(e)->ethertype = bpf_ntohs((skb)->protocol);                                       \
		(e)->tcp_flags = (p)->tcp_flags;                                                   \
		(e)->ttl = (p)->ttl;                                                               \
		(e)->headers = (p)->headers;                                                       \
		(e)->protocol = (p)->protocol;                                                     \
	} while (0)

/* sk: a full TCP socket that receives, where the tracepoint has it. */
static __always_inline int dropped(void *ctx, struct sk_buff *skb, void *location, uint32_t reason,
				   struct sock *sk)
{
	struct packet p = {};
	enum found found = read_packet(&p, skb);
	struct ev_drop *e;

	if (found == NOT_TCP)
		return 0;
	if (!sk) {
		sk = skb->sk;
		if (sk && !is_full_tcp(sk))
			sk = NULL;
	}
	if (found == NO_HEADERS && !sk)
		return 0;
	e = RESERVE_STACK(control, drop, drop);
	if (!e)
		return 0;
	FILL_PACKET(e, &p, skb, sk);
	e->location = (uint64_t)location;
	e->reason = reason;
	e->mark = skb->mark;
	TAKE_STACK(ctx, e);
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

	read_packet(&p, skb);
	if (sk && !is_full_tcp(sk))
		sk = NULL;
	e = RESERVE(control, drop, bad_csum);
	if (!e)
		return 0;
	FILL_PACKET(e, &p, skb, sk);
	SUBMIT(control, e);
	return 0;
}

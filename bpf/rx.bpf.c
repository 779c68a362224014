/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Group rx: a received TCP packet at each layer. Up to TCP's entry its headers are read as they
 * are there, of whatever is routed, bridged or looped through here too; from then on a socket has
 * it, and its control block says what TCP makes of it (tcp_v4_fill_cb, tcp_v6_fill_cb).
 *
 * All hooks run in softirq, or in a thread that sends through loopback or works off a backlog.
 */
#include "packet.h"

enum layer { /* unit rx_layer */
	     LAYER_DRIVER = 1,
	     LAYER_MAC,
	     LAYER_IP,
	     LAYER_DELIVER,
	     LAYER_TCP,
	     LAYER_BACKLOG,
	     LAYER_ESTABLISHED,
	     LAYER_QUEUE,
	     LAYER_DONE
};

/* ---- before a socket is known ---- */

/* What is in skb->sk, if anything, is the sender's (veth) or early demux's: not recorded. */
static __always_inline int on_wire(struct packet *p, enum found found, struct sk_buff *skb,
				   uint32_t netns, uint32_t ifindex, enum layer layer)
{
	struct ev_rx *e;

	if (found != FOUND || !(p->ev.headers & HAVE_TCP) ||
	    !wants_packet(TAPE_GROUP_rx, &p->ev.flow, p->ev.tcp_flags, netns, NULL))
		return 0;
	finish_packet(p);
	e = RESERVE_SKB(bulk, rx, rx);
	if (!e)
		return 0;
	__builtin_memset(&e->sock, 0, sizeof(e->sock));
	copy_packet(&e->packet, &p->ev);
	e->netns = netns;
	e->ifindex = ifindex;
	e->rcv_nxt = 0;
	e->layer = layer;
	e->cloned = p->skb.cloned;
	TAKE_SKB(e, skb);
	SUBMIT(bulk, e);
	return 0;
}

static __always_inline int at(struct sk_buff *skb, enum layer layer)
{
	struct net_device *dev = skb->dev;
	struct packet p = {};

	return on_wire(&p, read_packet(&p, skb, LOCAL_IS_DESTINATION), skb,
		       dev->nd_net.net->ns.inum, dev->ifindex, layer);
}

static __always_inline int at_probed(struct sk_buff *skb, enum layer layer)
{
	struct net_device *dev = BPF_CORE_READ(skb, dev);
	struct packet p = {};

	return on_wire(&p, read_packet_probed(&p, skb, LOCAL_IS_DESTINATION), skb,
		       BPF_CORE_READ(dev, nd_net.net, ns.inum), BPF_CORE_READ(dev, ifindex), layer);
}

/* NAPI drivers, before GRO; veth where it uses NAPI; tunnels by way of gro_cells. */
SEC("?tp_btf/napi_gro_receive_entry")
int BPF_PROG(rx__driver_gro, struct sk_buff *skb)
{
	return at(skb, LAYER_DRIVER);
}

/*
 * NAPI drivers that leave the headers in a page: GRO's control block says where (frag0, since
 * napi_frags_skb has pulled the Ethernet header). All kernels; frag0 is data from 6.0 on if the
 * driver has copied the headers.
 */
SEC("?tp_btf/napi_gro_frags_entry")
int BPF_PROG(rx__driver_frags, struct sk_buff *skb)
{
	struct napi_gro_cb *cb = (struct napi_gro_cb *)skb->cb;
	struct net_device *dev = skb->dev;
	struct packet p = {};

	fill_skb(&p.skb, skb);
	if (cb->frag0_len >= V4_LEN) {
		p.skb.head = cb->frag0;
		p.skb.data = p.skb.network_header = 0;
		p.skb.tail = cb->frag0_len;
	}
	return on_wire(&p, parse_packet(&p, LOCAL_IS_DESTINATION), skb, dev->nd_net.net->ns.inum,
		       dev->ifindex, LAYER_DRIVER);
}

/* netif_rx_internal, to the CPU's backlog: loopback, veth, old drivers, multicast looped back. */
SEC("?tp_btf/netif_rx")
int BPF_PROG(rx__driver_backlog, struct sk_buff *skb)
{
	return at(skb, LAYER_DRIVER);
}

/* tun; also a bridge, macvlan and the like, which hand the packet on as theirs. */
SEC("?tp_btf/netif_receive_skb_entry")
int BPF_PROG(rx__driver_one, struct sk_buff *skb)
{
	return at(skb, LAYER_DRIVER);
}

/* The few drivers that hand over lists without GRO; fires for each packet. */
SEC("?tp_btf/netif_receive_skb_list_entry")
int BPF_PROG(rx__driver_list, struct sk_buff *skb)
{
	return at(skb, LAYER_DRIVER);
}

/* __netif_receive_skb_core. The device is that of the wire, not the VLAN's; the tag is still on. */
SEC("?tp_btf/netif_receive_skb")
int BPF_PROG(rx__mac, struct sk_buff *skb)
{
	return at(skb, LAYER_MAC);
}

/*
 * Functions that take a buffer first: a program of each kind. NAME as in the table of probes.
 * ip_rcv_core, ip6_rcv_core are called for single packets and for lists, ahead of netfilter.
 */
#define AT_FUNCTION(NAME, FUNCTION, LAYER)                                                         \
	SEC("?fentry/" #FUNCTION)                                                                  \
	int BPF_PROG(rx__##NAME, struct sk_buff *skb)                                              \
	{                                                                                          \
		return at(skb, LAYER);                                                             \
	}                                                                                          \
	SEC("?kprobe/" #FUNCTION)                                                                  \
	int BPF_KPROBE(rx__##NAME##_kprobe, struct sk_buff *skb)                                   \
	{                                                                                          \
		return at_probed(skb, LAYER);                                                      \
	}

AT_FUNCTION(ip_v4, ip_rcv_core, LAYER_IP)
AT_FUNCTION(ip_v6, ip6_rcv_core, LAYER_IP)
AT_FUNCTION(deliver_v4, ip_local_deliver, LAYER_DELIVER)
AT_FUNCTION(deliver_v6, ip6_input, LAYER_DELIVER)
AT_FUNCTION(tcp_v4, tcp_v4_rcv, LAYER_TCP)
AT_FUNCTION(tcp_v6, tcp_v6_rcv, LAYER_TCP)

/* ---- with a socket ---- */

static __always_inline int at_socket(struct sock *sk, struct sk_buff *skb, enum layer layer)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct ev_rx *e;

	if (!tp || !wants_sock(TAPE_GROUP_rx, sk, tp))
		return 0;
	e = RESERVE_SKB(bulk, rx, rx);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_rx(e, tp, skb);
	e->layer = layer;
	TAKE_SKB(e, skb);
	SUBMIT(bulk, e);
	return 0;
}

static __always_inline int at_socket_probed(struct sock *sk, struct sk_buff *skb, enum layer layer)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct ev_rx *e;

	if (!wants_sock_probed(TAPE_GROUP_rx, sk, tp))
		return 0;
	e = RESERVE_SKB(bulk, rx, rx);
	if (!e)
		return 0;
	fill_sock_probed(&e->sock, sk, tp, BPF_CORE_READ(sk, __sk_common.skc_cookie.counter));
	fill_rx_probed(e, tp, skb);
	e->layer = layer;
	TAKE_SKB(e, skb);
	SUBMIT(bulk, e);
	return 0;
}

/* Where the packet is not known, or gone. */
static __always_inline int at_socket_only(struct sock *sk, enum layer layer)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct ev_rx *e;

	if (!tp || sk->__sk_common.skc_state == TCP_LISTEN || !wants_sock(TAPE_GROUP_rx, sk, tp))
		return 0;
	e = RESERVE_SKB(bulk, rx, rx);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	__builtin_memset(&e->packet, 0, sizeof(e->packet));
	e->netns = e->sock.netns;
	e->rcv_nxt = tp->rcv_nxt;
	e->layer = layer;
	e->ifindex = e->cloned = 0;
	TAKE_SKB(e, 0);
	SUBMIT(bulk, e);
	return 0;
}

/* tcp_v4_rcv, tcp_v6_rcv, while a thread has the socket. */
SEC("?fentry/tcp_add_backlog")
int BPF_PROG(rx__backlog, struct sock *sk, struct sk_buff *skb)
{
	return at_socket(sk, skb, LAYER_BACKLOG);
}

SEC("?kprobe/tcp_add_backlog")
int BPF_KPROBE(rx__backlog_kprobe, struct sock *sk, struct sk_buff *skb)
{
	return at_socket_probed(sk, skb, LAYER_BACKLOG);
}

/* tcp_rcv_established begins, in softirq or where the owner works off its backlog. */
SEC("?tp_btf/tcp_probe")
int BPF_PROG(rx__established, struct sock *sk, struct sk_buff *skb)
{
	return at_socket(sk, skb, LAYER_ESTABLISHED);
}

/*
 * What is in order and goes to the receive queue; rcv_nxt is not yet moved. Not what waited out of
 * order: tcp_ofo_queue moves that later, inlined.
 */
SEC("?fentry/tcp_queue_rcv")
int BPF_PROG(rx__queue, struct sock *sk, struct sk_buff *skb)
{
	return at_socket(sk, skb, LAYER_QUEUE);
}

SEC("?kprobe/tcp_queue_rcv")
int BPF_KPROBE(rx__queue_kprobe, struct sock *sk, struct sk_buff *skb)
{
	return at_socket_probed(sk, skb, LAYER_QUEUE);
}

/* sock_def_readable and the like, for every kind of socket; rcv_nxt is behind what came. */
SEC("?tp_btf/sk_data_ready")
int BPF_PROG(rx__queue_ready, struct sock *sk)
{
	return at_socket_only(sk, LAYER_QUEUE);
}

/* The packet may be freed by now, or merged into another one. */
SEC("?fexit/tcp_rcv_established")
int BPF_PROG(rx__done, struct sock *sk)
{
	return at_socket_only(sk, LAYER_DONE);
}

static __always_inline uint32_t copied_seq_of(struct sock *sk)
{
	uint32_t seq = 0;

	read_kernel(&seq, sizeof(seq), &((struct tcp_sock *)sk)->copied_seq);
	return seq;
}

/*
 * tcp_recvmsg_locked, in the thread that reads, for each buffer it copies from; UDP and others pass
 * here too. A buffer in the queue of a TCP socket has that socket (skb_set_owner_r); that of an
 * MPTCP socket has another control block. Its seq counts a SYN.
 */
SEC("?tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(rx_copy, struct sk_buff *skb, int len)
{
	struct sock *sk = skb->sk;
	struct ev_rx_copy *e;

	if (!sk || !is_full_tcp(sk) || sk->sk_protocol != IPPROTO_TCP ||
	    !wants_sock(TAPE_GROUP_rx, sk, NULL))
		return 0;
	e = RESERVE_SKB(bulk, rx, rx_copy);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, NULL, sk->__sk_common.skc_cookie.counter);
	fill_task(&e->task);
	e->seq = CB(skb, seq);
	e->end_seq = CB(skb, end_seq);
	e->copied_seq = copied_seq_of(sk);
	e->bytes = len;
	TAKE_SKB(e, skb);
	SUBMIT(bulk, e);
	return 0;
}

/* ---- where functions cannot be traced ---- */

/*
 * The first of all at these hooks, ahead of defragmentation, NAT and rules; in the namespace that
 * the link belongs to.
 */
#define AT_NETFILTER(NAME, LAYER)                                                                  \
	SEC("?netfilter")                                                                          \
	int rx__##NAME##_nf(struct bpf_nf_ctx *ctx)                                                \
	{                                                                                          \
		at(ctx->skb, LAYER);                                                               \
		return PASS;                                                                       \
	}

AT_NETFILTER(ip_v4, LAYER_IP)
AT_NETFILTER(ip_v6, LAYER_IP)
AT_NETFILTER(deliver_v4, LAYER_DELIVER)
AT_NETFILTER(deliver_v6, LAYER_DELIVER)

/* since Linux 6.2: the sk_buff behind the context */
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

/*
 * tcp_filter, in tcp_v4_rcv and tcp_v6_rcv, once the socket is known: a listener for SYNs and the
 * handshake's last ACK. Not for what meets no socket, nor for one in TIME_WAIT. In all namespaces.
 */
SEC("?cgroup_skb/ingress")
int rx__tcp_cgroup(struct __sk_buff *ctx)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx(ctx);
	struct bpf_sock *sk = ctx->sk;
	struct packet p = {};
	struct tcp_sock *tp;
	struct ev_rx *e;
	uint64_t cookie;

	if (!sk || read_packet(&p, skb, LOCAL_IS_DESTINATION) != FOUND ||
	    !(p.ev.headers & HAVE_TCP))
		return PASS;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || !wants_packet(TAPE_GROUP_rx, &p.ev.flow, p.ev.tcp_flags, 0, (struct sock *)tp))
		return PASS;
	finish_packet(&p);
	e = RESERVE_SKB(bulk, rx, rx);
	if (!e)
		return PASS;
	cookie = ((struct sock *)tp)->__sk_common.skc_cookie.counter;
	fill_sock(&e->sock, (struct sock *)tp, tp, cookie ? cookie : bpf_get_socket_cookie(ctx));
	copy_packet(&e->packet, &p.ev);
	e->netns = e->sock.netns;
	e->ifindex = skb->dev->ifindex;
	e->rcv_nxt = tp->rcv_nxt;
	e->layer = LAYER_TCP;
	e->cloned = p.skb.cloned;
	TAKE_SKB(e, skb);
	SUBMIT(bulk, e);
	return PASS;
}

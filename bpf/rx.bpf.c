/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Group rx: a received TCP packet at each layer. Up to TCP's entry its headers are read as they
 * are there, for whatever is routed, bridged or looped through here too; from then on a socket
 * has it, and its control block says what TCP makes of it (tcp_v4_fill_cb, tcp_v6_fill_cb).
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

/*
 * The socket in skb->sk, if any, is the sender's (veth) or that of early demux: not recorded.
 */
static __always_inline int on_wire(struct sk_buff *skb, struct net_device *dev, enum layer layer)
{
	struct packet p = {};
	struct ev_rx *e;

	if (read_packet(&p, skb, LOCAL_IS_DESTINATION) != FOUND || !(p.ev.headers & HAVE_TCP))
		return 0;
	finish_packet(&p, skb);
	e = RESERVE(bulk, rx, rx);
	if (!e)
		return 0;
	__builtin_memset(&e->sock, 0, sizeof(e->sock));
	e->packet = p.ev;
	e->netns = dev->nd_net.net->ns.inum;
	e->ifindex = dev->ifindex;
	e->rcv_nxt = 0;
	e->layer = layer;
	e->cloned = BPF_CORE_READ_BITFIELD(skb, cloned);
	SUBMIT(bulk, e);
	return 0;
}

/* NAPI drivers, before GRO; veth where it uses NAPI, tunnels by way of gro_cells. */
SEC("?tp_btf/napi_gro_receive_entry")
int BPF_PROG(rx__driver_gro, struct sk_buff *skb)
{
	return on_wire(skb, skb->dev, LAYER_DRIVER);
}

/* To the CPU's backlog: loopback, veth, old drivers. Also what is looped back for multicast. */
SEC("?tp_btf/netif_rx")
int BPF_PROG(rx__driver_netif_rx, struct sk_buff *skb)
{
	return on_wire(skb, skb->dev, LAYER_DRIVER);
}

/* tun; also a bridge, macvlan and the like, which hand the packet on as theirs. */
SEC("?tp_btf/netif_receive_skb_entry")
int BPF_PROG(rx__driver_one, struct sk_buff *skb)
{
	return on_wire(skb, skb->dev, LAYER_DRIVER);
}

/* The few drivers that hand over lists without GRO; fires for each packet. */
SEC("?tp_btf/netif_receive_skb_list_entry")
int BPF_PROG(rx__driver_list, struct sk_buff *skb)
{
	return on_wire(skb, skb->dev, LAYER_DRIVER);
}

/* __netif_receive_skb_core. The device is that of the wire, not the VLAN's; the tag is still on. */
SEC("?tp_btf/netif_receive_skb")
int BPF_PROG(rx__mac, struct sk_buff *skb)
{
	return on_wire(skb, skb->dev, LAYER_MAC);
}

/* ---- with a socket ---- */

#define CB(skb, member) (((struct tcp_skb_cb *)(skb)->cb)->member)

static __always_inline uint32_t payload_of_cb(struct sk_buff *skb, uint16_t flags)
{
	uint32_t payload = CB(skb, end_seq) - CB(skb, seq);

	return payload - !!(flags & TCP_FLAG_SYN) - !!(flags & TCP_FLAG_FIN);
}

/* Not from the headers: tcp_add_backlog joins packets and leaves the IP header's length alone. */
static __always_inline void take_cb(struct ev_packet *p, struct sk_buff *skb)
{
	uint16_t flags = CB(skb, tcp_flags);

	p->seq = CB(skb, seq);
	p->ack_seq = flags & TCP_FLAG_ACK ? CB(skb, ack_seq) : 0;
	p->payload = payload_of_cb(skb, flags);
	p->segs = gso_segs_of(skb, p->payload);
	p->tcp_flags = flags;
	p->vlan = NO_VLAN;
	p->headers = OF_SOCKET;
}

/* skb NULL: it is not known, or gone. */
static __always_inline int at_socket(struct sock *sk, struct sk_buff *skb, enum layer layer)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct ev_rx *e;

	if (!tp)
		return 0;
	e = RESERVE(bulk, rx, rx);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, bpf_get_socket_cookie(sk));
	if (skb) {
		e->packet.flow = e->sock.flow;
		take_cb(&e->packet, skb);
		e->ifindex = skb->skb_iif;
		e->cloned = BPF_CORE_READ_BITFIELD(skb, cloned);
	} else {
		__builtin_memset(&e->packet, 0, sizeof(e->packet));
		e->ifindex = e->cloned = 0;
	}
	e->netns = e->sock.netns;
	e->rcv_nxt = tp->rcv_nxt;
	e->layer = layer;
	SUBMIT(bulk, e);
	return 0;
}

/* tcp_rcv_established begins, in softirq or where the owner works off its backlog. */
SEC("?tp_btf/tcp_probe")
int BPF_PROG(rx__established, struct sock *sk, struct sk_buff *skb)
{
	return at_socket(sk, skb, LAYER_ESTABLISHED);
}

/*
 * tcp_recvmsg_locked, in the thread that reads, for each buffer it copies from; UDP and others pass
 * here too. A buffer in the queue of a TCP socket has that socket (skb_set_owner_r). Its seq counts
 * a SYN.
 */
SEC("?tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(rx_copy, struct sk_buff *skb, int len)
{
	struct sock *sk = skb->sk;
	struct ev_rx_copy *e;

	if (!sk || !is_full_tcp(sk))
		return 0;
	e = RESERVE(bulk, rx, rx_copy);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, NULL, sk->__sk_common.skc_cookie.counter);
	fill_task(&e->task);
	e->seq = CB(skb, seq);
	e->end_seq = CB(skb, end_seq);
	e->copied_seq = BPF_CORE_READ((struct tcp_sock *)sk, copied_seq);
	e->bytes = len;
	SUBMIT(bulk, e);
	return 0;
}

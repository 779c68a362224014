/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Group tx: what the application hands to TCP, and each TCP packet at each layer below, with the
 * headers that it has there. Packets that are only routed or bridged through here pass the lower
 * layers too: those have no socket.
 */
#include "packet.h"

enum layer { /* unit tx_layer */
	     LAYER_TCP = 1,
	     LAYER_IP,
	     LAYER_OUTPUT,
	     LAYER_QDISC,
	     LAYER_DRIVER,
	     LAYER_SENT,
	     LAYER_COMPLETE
};

/* ---- the application ---- */

static __always_inline int wrote(struct sock *sk, struct sk_buff *skb, uint64_t size)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct ev_tx_write *e;

	if (!tp || !wants_call(TAPE_GROUP_tx, sk, tp))
		return 0;
	e = RESERVE_SKB(bulk, tx, tx_write);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_task(&e->task);
	e->size = size;
	fill_tx_write(e, tp);
	TAKE_SKB(e, skb);
	SUBMIT(bulk, e);
	return 0;
}

/* Runs in the thread that writes, before it has the socket. */
SEC("?fentry/tcp_sendmsg")
int BPF_PROG(tx_write__fentry, struct sock *sk, struct msghdr *msg, unsigned long size)
{
	return wrote(sk, NULL, size);
}

SEC("?kprobe/tcp_sendmsg")
int BPF_KPROBE(tx_write__kprobe, struct sock *sk, struct msghdr *msg, unsigned long size)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct ev_tx_write *e;

	if (!wants_call_probed(TAPE_GROUP_tx, sk, tp))
		return 0;
	e = RESERVE_SKB(bulk, tx, tx_write);
	if (!e)
		return 0;
	fill_sock_probed(&e->sock, sk, tp, BPF_CORE_READ(sk, __sk_common.skc_cookie.counter));
	fill_task(&e->task);
	e->size = size;
	fill_tx_write_probed(e, tp);
	TAKE_SKB(e, 0);
	SUBMIT(bulk, e);
	return 0;
}

/*
 * Since Linux 6.16, inside the call: once for each buffer that is filled, with what is left to
 * write. Skipped while the thread waits for memory.
 */
SEC("?tp_btf/tcp_sendmsg_locked")
int BPF_PROG(tx_write__locked, struct sock *sk, struct msghdr *msg, struct sk_buff *skb)
{
	return wrote(sk, skb, msg->msg_iter.count);
}

/* ---- TCP: no headers yet, but the control block ---- */

/* What is not known, or only in some layers; and where the buffer lies. */
static __always_inline void start_tx(struct ev_tx *e, struct sk_buff *skb, enum layer layer)
{
	e->departure_ns = 0;
	e->ifindex = e->result = 0;
	e->layer = layer;
	e->again = 0;
	TAKE_SKB(e, skb);
}

/* What is new; a segment that is sent again lies below snd_nxt. */
static __always_inline bool is_new(const struct ev_packet *p, uint32_t snd_nxt)
{
	return p->payload && p->seq == snd_nxt;
}

/*
 * Ahead of the segment's own event. wmem: without this segment. paced_to_ns: here tcp_wstamp_ns
 * still is what pacing asks for.
 */
static __always_inline void tell_state(struct sock *sk, struct tcp_sock *tp, struct sk_buff *skb)
{
	struct ev_tx_state *e;
	struct ev_packet p;

	fill_cb(&p, skb);
	if (!is_new(&p, tp->snd_nxt))
		return;
	e = RESERVE(bulk, tx, tx_state);
	if (!e)
		return;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_tx_state(e, tp, skb->truesize);
	e->paced_to_ns = tp->tcp_wstamp_ns;
	e->seq = p.seq;
	e->payload = p.payload;
	e->wmem = fill_wmem(tp);
	SUBMIT(bulk, e);
}

static __always_inline void tell_state_probed(struct sock *sk, struct tcp_sock *tp,
					      struct sk_buff *skb)
{
	struct ev_tx_state *e;
	struct ev_packet p;

	fill_cb_probed(&p, skb);
	if (!is_new(&p, BPF_CORE_READ(tp, snd_nxt)))
		return;
	e = RESERVE(bulk, tx, tx_state);
	if (!e)
		return;
	fill_sock_probed(&e->sock, sk, tp, BPF_CORE_READ(sk, __sk_common.skc_cookie.counter));
	fill_tx_state_probed(e, tp, BPF_CORE_READ(skb, truesize));
	e->paced_to_ns = BPF_CORE_READ(tp, tcp_wstamp_ns);
	e->seq = p.seq;
	e->payload = p.payload;
	e->wmem = fill_wmem_probed(tp);
	SUBMIT(bulk, e);
}

/*
 * __tcp_transmit_skb: every segment of a full socket, new or again; not SYN-ACKs of a request, nor
 * RSTs and ACKs without a socket. It sets tcp_wstamp_ns and skb_mstamp_ns to this departure.
 */
SEC("?fentry/__tcp_transmit_skb")
int BPF_PROG(tx__tcp, struct sock *sk, struct sk_buff *skb, int clone_it, uint32_t gfp,
	     uint32_t rcv_nxt)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct ev_tx *e;

	if (!tp || !wants_sock(TAPE_GROUP_tx, sk, tp))
		return 0;
	tell_state(sk, tp, skb);
	e = RESERVE_SKB(bulk, tx, tx);
	if (!e)
		return 0;
	start_tx(e, skb, LAYER_TCP);
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_tx(e, tp, skb, clone_it, rcv_nxt);
	SUBMIT(bulk, e);
	return 0;
}

SEC("?kprobe/__tcp_transmit_skb")
int BPF_KPROBE(tx__tcp_kprobe, struct sock *sk, struct sk_buff *skb, int clone_it, uint32_t gfp,
	       uint32_t rcv_nxt)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct ev_tx *e;

	if (!wants_sock_probed(TAPE_GROUP_tx, sk, tp))
		return 0;
	tell_state_probed(sk, tp, skb);
	e = RESERVE_SKB(bulk, tx, tx);
	if (!e)
		return 0;
	start_tx(e, skb, LAYER_TCP);
	fill_sock_probed(&e->sock, sk, tp, BPF_CORE_READ(sk, __sk_common.skc_cookie.counter));
	fill_tx_probed(e, tp, skb, clone_it, rcv_nxt);
	SUBMIT(bulk, e);
	return 0;
}

/* ---- IP: the TCP header is there, and data stands at it ---- */

static __always_inline bool take_tcp_only(struct ev_packet *p, const unsigned char *data,
					  uint32_t len)
{
	uint8_t t[TCP_LEN] __attribute__((aligned(8)));
	uint32_t header;

	if (!read_kernel(t, sizeof(t), data))
		return false;
	header = (t[12] >> 4) * 4;
	p->seq = be32(t + 4);
	p->tcp_flags = (t[12] & 1) << 8 | t[13];
	p->ack_seq = p->tcp_flags & TCP_FLAG_ACK ? be32(t + 8) : 0;
	p->payload = len > header ? len - header : 0;
	p->vlan = NO_VLAN;
	p->headers = HAVE_TCP | OF_SOCKET;
	return true;
}

/* __ip_queue_xmit serves SCTP, DCCP and L2TP as well. */
static __always_inline int to_ip(struct sock *sk, struct sk_buff *skb)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct ev_packet p __attribute__((aligned(8))) = {};
	struct ev_tx *e;

	if (!tp || !wants_sock(TAPE_GROUP_tx, sk, tp) || !take_tcp_only(&p, skb->data, skb->len))
		return 0;
	p.segs = gso_segs_of(skb->head, skb->end, p.payload);
	e = RESERVE_SKB(bulk, tx, tx);
	if (!e)
		return 0;
	start_tx(e, skb, LAYER_IP);
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	copy_packet(&e->packet, &p);
	copy_flow(&e->packet.flow, &e->sock.flow);
	e->departure_ns = skb->skb_mstamp_ns;
	e->netns = e->sock.netns;
	e->cloned = BPF_CORE_READ_BITFIELD(skb, cloned);
	SUBMIT(bulk, e);
	return 0;
}

static __always_inline int to_ip_probed(struct sock *sk, struct sk_buff *skb)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct ev_packet p __attribute__((aligned(8))) = {};
	struct ev_tx *e;

	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP ||
	    !wants_sock_probed(TAPE_GROUP_tx, sk, tp) ||
	    !take_tcp_only(&p, BPF_CORE_READ(skb, data), BPF_CORE_READ(skb, len)))
		return 0;
	p.segs = gso_segs_of(BPF_CORE_READ(skb, head), BPF_CORE_READ(skb, end), p.payload);
	e = RESERVE_SKB(bulk, tx, tx);
	if (!e)
		return 0;
	start_tx(e, skb, LAYER_IP);
	fill_sock_probed(&e->sock, sk, tp, BPF_CORE_READ(sk, __sk_common.skc_cookie.counter));
	copy_packet(&e->packet, &p);
	copy_flow(&e->packet.flow, &e->sock.flow);
	e->departure_ns = BPF_CORE_READ(skb, skb_mstamp_ns);
	e->netns = e->sock.netns;
	e->cloned = BPF_CORE_READ_BITFIELD_PROBED(skb, cloned);
	SUBMIT(bulk, e);
	return 0;
}

/* From __tcp_transmit_skb: what passes layer tcp passes here, unless memory was short. */
SEC("?fentry/__ip_queue_xmit")
int BPF_PROG(tx__ip_v4, struct sock *sk, struct sk_buff *skb)
{
	return to_ip(sk, skb);
}

SEC("?kprobe/__ip_queue_xmit")
int BPF_KPROBE(tx__ip_v4_kprobe, struct sock *sk, struct sk_buff *skb)
{
	return to_ip_probed(sk, skb);
}

SEC("?fentry/inet6_csk_xmit")
int BPF_PROG(tx__ip_v6, struct sock *sk, struct sk_buff *skb)
{
	return to_ip(sk, skb);
}

SEC("?kprobe/inet6_csk_xmit")
int BPF_KPROBE(tx__ip_v6_kprobe, struct sock *sk, struct sk_buff *skb)
{
	return to_ip_probed(sk, skb);
}

/* ---- packets that have their headers ---- */

/* sk NULL: no full TCP socket. The rest of what the hooks below have in common. */
#define FINISH_TX(e, p, sk_, cookie, fill, mstamp)                                                 \
	do {                                                                                       \
		if (sk_) {                                                                         \
			fill(&(e)->sock, sk_, NULL, cookie);                                       \
			(e)->departure_ns = mstamp;                                                \
		} else {                                                                           \
			__builtin_memset(&(e)->sock, 0, sizeof((e)->sock));                        \
		}                                                                                  \
		copy_packet(&(e)->packet, &(p)->ev);                                               \
		(e)->cloned = (p)->skb.cloned;                                                     \
	} while (0)

/*
 * The same at IP, where that comes by netfilter: then TCP itself cannot be hooked. The buffer
 * counts as one below TCP by now. What pacing asked for shows only if it lies ahead. What TCP sends
 * again is in none of its packets (skb->sk of another namespace's) but those below snd_nxt.
 */
static __always_inline void tell_state_late(struct sock *sk, struct sk_buff *skb,
					    const struct ev_packet *p)
{
	struct ev_tx_state *e;
	struct tcp_sock *tp;

	if (!bpf_rdonly_cast || sk->sk_protocol != IPPROTO_TCP)
		return;
	tp = CAST(tcp_sock, sk);
	if (!is_new(p, tp->snd_nxt))
		return;
	e = RESERVE(bulk, tx, tx_state);
	if (!e)
		return;
	fill_sock(&e->sock, sk, tp, sk->__sk_common.skc_cookie.counter);
	fill_tx_state(e, tp, skb->truesize);
	e->paced_to_ns = skb->skb_mstamp_ns > e->head.ts_ns ? skb->skb_mstamp_ns : 0;
	e->seq = p->seq;
	e->payload = p->payload;
	e->wmem = fill_wmem(tp) - e->truesize;
	SUBMIT(bulk, e);
}

/*
 * skb_mstamp_ns is TCP's only while the buffer has TCP's socket: others may keep the time of
 * reception there, by another clock. A packet keeps its socket through a veth, up to ip_rcv_core.
 */
static __always_inline int at(struct sk_buff *skb, struct net_device *dev, enum layer layer)
{
	struct sock *sk = skb->sk;
	struct packet p = {};
	struct ev_tx *e;
	uint32_t netns;
	bool wanted;

	if (read_packet(&p, skb, LOCAL_IS_SOURCE) != FOUND || !(p.ev.headers & HAVE_TCP)) {
		if (layer == LAYER_DRIVER)
			note_to_driver(false);
		return 0;
	}
	if (sk && !is_full_tcp(sk))
		sk = NULL;
	netns = dev->nd_net.net->ns.inum;
	wanted = wants_packet(TAPE_GROUP_tx, &p.ev.flow, p.ev.tcp_flags, netns, sk);
	if (layer == LAYER_DRIVER)
		note_to_driver(wanted);
	if (!wanted)
		return 0;
	finish_packet(&p);
	if (layer == LAYER_IP && sk)
		tell_state_late(sk, skb, &p.ev);
	e = RESERVE_SKB(bulk, tx, tx);
	if (!e)
		return 0;
	start_tx(e, skb, layer);
	FINISH_TX(e, &p, sk, sk->__sk_common.skc_cookie.counter, fill_sock, skb->skb_mstamp_ns);
	e->netns = netns;
	e->ifindex = dev->ifindex;
	SUBMIT(bulk, e);
	return 0;
}

static __always_inline bool is_full_tcp_probed(struct sock *sk)
{
	uint8_t state = BPF_CORE_READ(sk, __sk_common.skc_state);

	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV &&
	       BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP &&
	       BPF_CORE_READ(sk, sk_type) == SOCK_STREAM;
}

static __always_inline int at_probed(struct sk_buff *skb, enum layer layer)
{
	struct net_device *dev = BPF_CORE_READ(skb, dev);
	struct sock *sk = BPF_CORE_READ(skb, sk);
	struct packet p = {};
	struct ev_tx *e;
	uint32_t netns;

	if (read_packet_probed(&p, skb, LOCAL_IS_SOURCE) != FOUND || !(p.ev.headers & HAVE_TCP))
		return 0;
	if (sk && !is_full_tcp_probed(sk))
		sk = NULL;
	netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
	if (!wants_packet_probed(TAPE_GROUP_tx, &p.ev.flow, p.ev.tcp_flags, netns, sk))
		return 0;
	finish_packet(&p);
	e = RESERVE_SKB(bulk, tx, tx);
	if (!e)
		return 0;
	start_tx(e, skb, layer);
	FINISH_TX(e, &p, sk, BPF_CORE_READ(sk, __sk_common.skc_cookie.counter), fill_sock_probed,
		  BPF_CORE_READ(skb, skb_mstamp_ns));
	e->netns = netns;
	e->ifindex = BPF_CORE_READ(dev, ifindex);
	SUBMIT(bulk, e);
	return 0;
}

/* Behind netfilter's POSTROUTING; what is routed through here passes too. */
SEC("?fentry/ip_finish_output2")
int BPF_PROG(tx__output_v4, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return at(skb, skb->dev, LAYER_OUTPUT);
}

SEC("?kprobe/ip_finish_output2")
int BPF_KPROBE(tx__output_v4_kprobe, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return at_probed(skb, LAYER_OUTPUT);
}

SEC("?fentry/ip6_finish_output2")
int BPF_PROG(tx__output_v6, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return at(skb, skb->dev, LAYER_OUTPUT);
}

SEC("?kprobe/ip6_finish_output2")
int BPF_KPROBE(tx__output_v6_kprobe, struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return at_probed(skb, LAYER_OUTPUT);
}

/* __dev_queue_xmit, for devices without a queueing discipline too. A VLAN's packet passes twice. */
SEC("?tp_btf/net_dev_queue")
int BPF_PROG(tx__qdisc, struct sk_buff *skb)
{
	return at(skb, skb->dev, LAYER_QDISC);
}

/* dev_hard_start_xmit: each buffer handed to a driver, after software segmentation. */
SEC("?tp_btf/net_dev_start_xmit")
int BPF_PROG(tx__driver, struct sk_buff *skb, struct net_device *dev)
{
	return at(skb, dev, LAYER_DRIVER);
}

/*
 * xmit_one, after the driver returned: the buffer may be freed, so nothing tells whose packet it
 * was, nor whether it was TCP. It belongs to the driver event before it, of this processor and
 * interface, last in, first out.
 */
SEC("?tp_btf/net_dev_xmit")
int BPF_PROG(tx__sent, struct sk_buff *skb, int rc, struct net_device *dev)
{
	struct ev_tx *e;

	if (!wants_sent())
		return 0;
	e = RESERVE_SKB(bulk, tx, tx);
	if (!e)
		return 0;
	start_tx(e, skb, LAYER_SENT);
	__builtin_memset(&e->sock, 0, sizeof(e->sock));
	__builtin_memset(&e->packet, 0, sizeof(e->packet));
	e->netns = dev->nd_net.net->ns.inum;
	e->ifindex = dev->ifindex;
	e->result = rc;
	e->cloned = 0;
	SUBMIT(bulk, e);
	return 0;
}

/*
 * napi_consume_skb, dev_consume_skb_any: a driver gives a buffer back. Only what no interface has
 * received (skb_iif), as other code frees packets so too; and no capture's copy. A packet that the
 * kernel segments itself is freed here as well, ahead of its segments' driver events.
 */
SEC("?tp_btf/consume_skb")
int BPF_PROG(tx__complete, struct sk_buff *skb)
{
	if (skb->skb_iif || BPF_CORE_READ_BITFIELD(skb, pkt_type) == PACKET_OUTGOING || !skb->dev)
		return 0;
	return at(skb, skb->dev, LAYER_COMPLETE);
}

/* ---- where functions cannot be traced ---- */

/*
 * The first of all at LOCAL_OUT, the last one at POST_ROUTING but for the one that confirms
 * connections, so behind NAT; in the namespace that the link belongs to. At LOCAL_OUT skb->dev is
 * not set yet.
 */
#define AT_NETFILTER(NAME, LAYER)                                                                  \
	SEC("?netfilter")                                                                          \
	int tx__##NAME##_nf(struct bpf_nf_ctx *ctx)                                                \
	{                                                                                          \
		at(ctx->skb, ctx->state->out, LAYER);                                              \
		return PASS;                                                                       \
	}

AT_NETFILTER(ip_v4, LAYER_IP)
AT_NETFILTER(ip_v6, LAYER_IP)
AT_NETFILTER(output_v4, LAYER_OUTPUT)
AT_NETFILTER(output_v6, LAYER_OUTPUT)

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

/* ---- packets that have their headers ---- */

/*
 * skb_mstamp_ns is TCP's only while the buffer has TCP's socket: others may keep the time of
 * reception there, by another clock. A packet keeps its socket through a veth, up to ip_rcv_core.
 */
static __always_inline int on_wire(struct sk_buff *skb, struct net_device *dev, enum layer layer)
{
	struct sock *sk = skb->sk;
	struct packet p = {};
	struct ev_tx *e;

	if (read_packet(&p, skb, LOCAL_IS_SOURCE) != FOUND || !(p.ev.headers & HAVE_TCP))
		return 0;
	finish_packet(&p, skb);
	e = RESERVE(bulk, tx, tx);
	if (!e)
		return 0;
	if (sk && is_full_tcp(sk)) {
		fill_sock(&e->sock, sk, NULL, sk->__sk_common.skc_cookie.counter);
		e->departure_ns = skb->skb_mstamp_ns;
	} else {
		__builtin_memset(&e->sock, 0, sizeof(e->sock));
		e->departure_ns = 0;
	}
	e->packet = p.ev;
	e->netns = dev->nd_net.net->ns.inum;
	e->ifindex = dev->ifindex;
	e->result = 0;
	e->layer = layer;
	e->cloned = BPF_CORE_READ_BITFIELD(skb, cloned);
	e->again = 0;
	SUBMIT(bulk, e);
	return 0;
}

/* __dev_queue_xmit, for devices without a queueing discipline too. A VLAN's packet passes twice. */
SEC("?tp_btf/net_dev_queue")
int BPF_PROG(tx__qdisc, struct sk_buff *skb)
{
	return on_wire(skb, skb->dev, LAYER_QDISC);
}

/* dev_hard_start_xmit: each buffer handed to a driver, after software segmentation. */
SEC("?tp_btf/net_dev_start_xmit")
int BPF_PROG(tx__driver, struct sk_buff *skb, struct net_device *dev)
{
	return on_wire(skb, dev, LAYER_DRIVER);
}

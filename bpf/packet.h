/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The headers of a TCP packet -> struct ev_packet, wherever in the stack the packet is met. Every
 * layer moves skb->data, so headers are found from skb->head. network_header is set by all that
 * send, and by __netif_receive_skb_core for what comes in; before that (drivers, tun, the CPU's
 * backlog) it is 0, which is no valid place since head room comes first, and data stands behind the
 * Ethernet header (eth_type_trans).
 *
 * read_packet is for programs whose sk_buff is a typed pointer: its members are plain loads. The
 * packet's own bytes have no type: one read_kernel for what has no options.
 */
#ifndef TAPE_PACKET_H
#define TAPE_PACKET_H

#include "probe.h"

enum { NO_MAC_HEADER = 0xffff };
enum { ETH_LEN = 14, VLAN_LEN = 4, V4_LEN = 20, V6_LEN = 40, TCP_LEN = 20, V6_MAX_HEADERS = 3 };
enum { V6_HOPOPTS = 0, V6_ROUTING = 43, V6_DSTOPTS = 60 };

struct packet {
	struct ev_packet ev; /* segs, vlan: not before finish_packet */
	struct skb_view skb;
	uint32_t len; /* of the IP packet; GSO and GRO: of all its segments together */
	uint8_t ttl, protocol;
	uint16_t inner_vlan; /* of a tag that stands in the packet; NO_VLAN none */
} __attribute__((aligned(8)));

/* Into a record, by words: it stands 8-byte aligned there. */
static __always_inline void copy_packet(struct ev_packet *record, const struct ev_packet *from)
{
	const uint64_t *f = (const void *)from;
	uint64_t *to = (void *)record;

	_Static_assert(sizeof(*from) % 8 == 0, "whole words");
#pragma unroll
	for (unsigned i = 0; i < sizeof(*from) / 8; i++)
		to[i] = f[i];
}

/* Which end is local: that of what is received is its destination. */
enum packet_way { LOCAL_IS_SOURCE, LOCAL_IS_DESTINATION };

/*
 * Both headers, if neither has options. What lies behind skb->tail is not looked at. Aligned, and
 * with it all numbers in headers, so that each is one load.
 */
struct wire {
	uint8_t b[V6_LEN + TCP_LEN];
} __attribute__((aligned(8)));

static __always_inline uint16_t be16(const void *p)
{
	return bpf_ntohs(*(const uint16_t *)p);
}

static __always_inline uint32_t be32(const void *p)
{
	return bpf_ntohl(*(const uint32_t *)p);
}

/* t: TCP_LEN bytes; at: their place; nh: that of the IP header. Both from head. */
static __always_inline void take_tcp(struct packet *p, const uint8_t *t, uint32_t nh, uint32_t at,
				     enum packet_way way)
{
	uint32_t end = nh + p->len, header = (t[12] >> 4) * 4;

	p->ev.flow.lport = be16(way == LOCAL_IS_SOURCE ? t : t + 2);
	p->ev.flow.rport = be16(way == LOCAL_IS_SOURCE ? t + 2 : t);
	p->ev.seq = be32(t + 4);
	p->ev.ack_seq = be32(t + 8);
	p->ev.tcp_flags = (t[12] & 1) << 8 | t[13];
	p->ev.payload = end > at + header ? end - at - header : 0;
	p->ev.headers |= HAVE_TCP;
}

/* The TCP header where it is not at the usual place. */
static __always_inline void read_tcp(struct packet *p, uint32_t nh, uint32_t at,
				     enum packet_way way)
{
	uint8_t t[TCP_LEN] __attribute__((aligned(4)));

	if (at + TCP_LEN <= p->skb.tail && read_kernel(t, sizeof(t), p->skb.head + at))
		take_tcp(p, t, nh, at, way);
}

/*
 * false: it is no TCP packet. A fragment that is not the first has no TCP header. total 0: BIG TCP
 * (Linux 6.3) keeps the length in skb->len only.
 */
static __always_inline bool take_v4(struct packet *p, const struct wire *w, uint32_t nh,
				    enum packet_way way)
{
	uint32_t total = be16(w->b + 2), at = nh + (w->b[0] & 15) * 4;

	p->protocol = w->b[9];
	if (p->protocol != IPPROTO_TCP)
		return false;
	p->ttl = w->b[8];
	map_v4(way == LOCAL_IS_SOURCE ? &p->ev.flow.laddr : &p->ev.flow.raddr,
	       *(uint32_t *)(w->b + 12));
	map_v4(way == LOCAL_IS_SOURCE ? &p->ev.flow.raddr : &p->ev.flow.laddr,
	       *(uint32_t *)(w->b + 16));
	p->len = total ? total : p->skb.data + p->skb.len - nh;
	p->ev.headers = HAVE_IP;
	if (be16(w->b + 6) & 0x1fff)
		return true;
	if (at == nh + V4_LEN && at + TCP_LEN <= p->skb.tail)
		take_tcp(p, w->b + V4_LEN, nh, at, way);
	else
		read_tcp(p, nh, at, way);
	return true;
}

/* Past the extension headers that all packets of a flow may have; at fragments and the like 0. */
static __always_inline uint32_t skip_v6(const unsigned char *head, uint32_t at, uint8_t *next)
{
	uint8_t ext[2] __attribute__((aligned(2)));

	for (int i = 0; i < V6_MAX_HEADERS; i++) {
		if (*next != V6_HOPOPTS && *next != V6_ROUTING && *next != V6_DSTOPTS)
			break;
		if (!read_kernel(ext, sizeof(ext), head + at))
			return 0;
		*next = ext[0];
		at += (ext[1] + 1) * 8;
	}
	return at;
}

static __always_inline bool take_v6(struct packet *p, const struct wire *w, uint32_t nh,
				    enum packet_way way)
{
	struct ev_addr *from = way == LOCAL_IS_SOURCE ? &p->ev.flow.laddr : &p->ev.flow.raddr;
	struct ev_addr *to = way == LOCAL_IS_SOURCE ? &p->ev.flow.raddr : &p->ev.flow.laddr;
	uint32_t payload = be16(w->b + 4), at = nh + V6_LEN;
	uint8_t next = w->b[6];

	if (next != IPPROTO_TCP)
		at = skip_v6(p->skb.head, at, &next);
	p->protocol = next;
	if (next != IPPROTO_TCP)
		return false;
	p->ttl = w->b[7];
	copy_addr(from, w->b + 8);
	copy_addr(to, w->b + 24);
	p->len = payload ? payload + V6_LEN : p->skb.data + p->skb.len - nh;
	p->ev.headers = HAVE_IP;
	if (at == nh + V6_LEN && at + TCP_LEN <= p->skb.tail)
		take_tcp(p, w->b + V6_LEN, nh, at, way);
	else if (at)
		read_tcp(p, nh, at, way);
	return true;
}

/*
 * Where the IP header is. tagged: a VLAN tag stands in the packet, and network_header may still be
 * at the tag's second half (eth_type_trans and GRO leave it there), or at the IP header behind it.
 */
static __always_inline uint32_t ip_at(const struct skb_view *v, bool tagged)
{
	uint32_t nh = v->network_header;

	if (!nh)
		return v->data + (tagged ? VLAN_LEN : 0);
	if (tagged && v->mac_header != NO_MAC_HEADER && nh == v->mac_header + ETH_LEN)
		return nh + VLAN_LEN;
	return nh;
}

enum found { NOT_TCP, NO_HEADERS, FOUND };

/* As read_packet, which has filled p->skb. */
static __always_inline enum found parse_packet(struct packet *p, enum packet_way way)
{
	uint16_t protocol = p->skb.protocol;
	bool tagged = protocol == ETH_P_8021Q || protocol == ETH_P_8021AD;
	const unsigned char *head = p->skb.head;
	uint32_t nh, tail = p->skb.tail;
	uint8_t tag[2] __attribute__((aligned(2)));
	struct wire w;

	p->inner_vlan = NO_VLAN;
	if (protocol != ETH_P_IP && protocol != ETH_P_IPV6 && !tagged)
		return NO_HEADERS;
	nh = ip_at(&p->skb, tagged);
	if (nh + V4_LEN > tail || !read_kernel(&w, sizeof(w), head + nh))
		return NO_HEADERS;
	if (tagged && read_kernel(tag, sizeof(tag), head + nh - VLAN_LEN))
		p->inner_vlan = be16(tag) & VLAN_ID;
	if (w.b[0] >> 4 == 4 && protocol != ETH_P_IPV6)
		return take_v4(p, &w, nh, way) ? FOUND : NOT_TCP;
	if (w.b[0] >> 4 == 6 && protocol != ETH_P_IP && nh + V6_LEN <= tail)
		return take_v6(p, &w, nh, way) ? FOUND : NOT_TCP;
	return NO_HEADERS;
}

/*
 * p: zero. FOUND: a TCP packet; of its TCP header too, if p->ev.headers has HAVE_TCP. NO_HEADERS:
 * nothing can be said of it.
 */
static __always_inline enum found read_packet(struct packet *p, struct sk_buff *skb,
					      enum packet_way way)
{
	fill_skb(&p->skb, skb);
	return parse_packet(p, way);
}

/* The same for kprobes. */
static __always_inline enum found read_packet_probed(struct packet *p, struct sk_buff *skb,
						     enum packet_way way)
{
	fill_skb_probed(&p->skb, skb);
	return parse_packet(p, way);
}

/* What drop does not need. The outer tag: beside the packet, as most drivers keep it, or in it. */
static __always_inline void finish_packet(struct packet *p)
{
	if (!(p->ev.tcp_flags & TCP_FLAG_ACK))
		p->ev.ack_seq = 0;
	p->ev.vlan = p->skb.vlan == NO_VLAN ? p->inner_vlan : p->skb.vlan;
	p->ev.segs = gso_segs_of(p->skb.head, p->skb.end, p->ev.payload);
}

/*
 * Programs in the data path: netfilter's (Linux 6.4) and cgroup_skb's. The packet always passes.
 * IP puts its header and skb->protocol in place ahead of the hooks (__ip_local_out, ip6_xmit).
 */
enum { PASS = 1 }; /* NF_ACCEPT; of cgroup_skb: no drop */

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Group reset: RSTs, sent and received. */
#include "packet.h"

enum { SENT = 1, RECEIVED = 2 }; /* unit rst_direction */

#define NO_REASON 65535
#define NO_UID 4294967295u
#define FLAG_RST 4

struct segment { /* that provoked an RST */
	struct ev_flow flow;
	uint32_t netns, seq, ack_seq;
	uint16_t tcp_flags;
} __attribute__((aligned(8)));

/*
 * tcp_v4_rcv clears skb->dev before it hands a segment to a socket (tcp_v4_do_rcv), and then the
 * socket tells the namespace; without one the device is there. skb is one that TCP received, so
 * both header offsets are set; it was pulled past the TCP header, so both headers lie in its head.
 */
static __always_inline void read_segment(struct segment *s, struct sk_buff *skb)
{
	const unsigned char *head = skb->head;
	struct net_device *dev = skb->dev;
	uint8_t ip[V6_LEN] __attribute__((aligned(8))), tcp[TCP_LEN] __attribute__((aligned(8)));

	if (dev)
		s->netns = dev->nd_net.net->ns.inum;
	if (!read_kernel(ip, sizeof(ip), head + skb->network_header) ||
	    !read_kernel(tcp, sizeof(tcp), head + skb->transport_header))
		return;
	if (ip[0] >> 4 == 4) {
		map_v4(&s->flow.raddr, *(uint32_t *)(ip + 12));
		map_v4(&s->flow.laddr, *(uint32_t *)(ip + 16));
	} else {
		copy_addr(&s->flow.raddr, ip + 8);
		copy_addr(&s->flow.laddr, ip + 24);
	}
	s->flow.rport = be16(tcp);
	s->flow.lport = be16(tcp + 2);
	s->seq = be32(tcp + 4);
	s->ack_seq = be32(tcp + 8);
	s->tcp_flags = (tcp[12] & 1) << 8 | tcp[13];
}

/* sk may be a connection request or in TIME_WAIT: shorter than struct sock. */
static __always_inline void take_sock(struct ev_reset *e, struct sock *sk)
{
	struct tcp_sock *tp = tcp_of(sk); /* NULL for those */
	uint64_t cookie = cookie_of(sk);

	e->state = sk->__sk_common.skc_state;
	if (tp) {
		fill_sock(&e->sock, sk, tp, cookie);
		fill_owner(&e->task, sk);
		e->shutdown = sk->sk_shutdown;
	} else {
		fill_short(&e->sock, sk, cookie, NO_UID);
		__builtin_memset(&e->task, 0, sizeof(e->task));
		e->shutdown = 0;
	}
	e->netns = e->sock.netns;
}

static __always_inline void take_no_sock(struct ev_reset *e, uint32_t netns)
{
	__builtin_memset(&e->sock, 0, sizeof(e->sock));
	__builtin_memset(&e->task, 0, sizeof(e->task));
	e->state = 0;
	e->shutdown = 0;
	e->netns = netns;
}

static __always_inline bool wants_segment(const struct segment *s, struct sock *sk,
					  struct sk_buff *skb)
{
	if (!skb)
		return !sk || wants_sk(TAPE_GROUP_reset, sk);
	return wants_packet(TAPE_GROUP_reset, &s->flow, s->tcp_flags, s->netns, sk);
}

/* sk, skb: either may be NULL, not both. */
static __always_inline int sent(void *ctx, struct sock *sk, struct sk_buff *skb, uint16_t reason)
{
	struct segment s = {};
	struct ev_reset *e;

	if (skb) {
		read_segment(&s, skb);
		if (s.tcp_flags & FLAG_RST) /* the functions begin with this check */
			return 0;
	}
	if (!wants_segment(&s, sk, skb))
		return 0;
	e = RESERVE_STACK(control, reset, reset, sizeof(*e));
	if (!e)
		return 0;
	if (sk)
		take_sock(e, sk);
	else
		take_no_sock(e, s.netns);
	copy_flow(&e->flow, skb ? &s.flow : &e->sock.flow);
	e->seq = s.seq;
	e->ack_seq = s.ack_seq;
	e->tcp_flags = s.tcp_flags;
	e->active = !skb;
	e->reason = reason;
	e->direction = SENT;
	TAKE_STACK(ctx, e, sizeof(*e));
	SUBMIT(control, e);
	return 0;
}

/* Linux 6.10 and later: all RSTs of TCP. Reading through a pointer not yet tested is refused. */
SEC("?tp_btf/tcp_send_reset")
int BPF_PROG(reset__3, struct sock *sk, struct sk_buff *skb, uint32_t reason)
{
	return sent(ctx, sk, skb, reason);
}

/* Before, this tracepoint knows only RSTs of a full socket; the functions know all. */
SEC("?tp_btf/tcp_send_reset")
int BPF_PROG(reset__2, struct sock *sk, struct sk_buff *skb)
{
	return sent(ctx, sk, skb, NO_REASON);
}

SEC("?fentry/tcp_v4_send_reset")
int BPF_PROG(reset__v4, struct sock *sk, struct sk_buff *skb)
{
	return sent(ctx, sk, skb, NO_REASON);
}

SEC("?fentry/tcp_v6_send_reset")
int BPF_PROG(reset__v6, struct sock *sk, struct sk_buff *skb)
{
	return sent(ctx, sk, skb, NO_REASON);
}

SEC("?fentry/tcp_send_active_reset")
int BPF_PROG(reset__active, struct sock *sk)
{
	return sent(ctx, sk, NULL, NO_REASON);
}

/*
 * tcp_reset, before the socket is changed. It is not called for a connection request
 * (tcp_check_req; counter EmbryonicRsts) nor in TIME_WAIT: those RSTs have no hook.
 */
SEC("?tp_btf/tcp_receive_reset")
int BPF_PROG(reset__received, struct sock *sk)
{
	struct ev_reset *e;

	if (!wants_sk(TAPE_GROUP_reset, sk))
		return 0;
	e = RESERVE_STACK(control, reset, reset, sizeof(*e));
	if (!e)
		return 0;
	take_sock(e, sk);
	copy_flow(&e->flow, &e->sock.flow);
	e->seq = e->ack_seq = 0;
	e->tcp_flags = 0;
	e->active = 0;
	e->reason = NO_REASON;
	e->direction = RECEIVED;
	TAKE_STACK(ctx, e, sizeof(*e));
	SUBMIT(control, e);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Group listen: accept and SYN queues of listeners, sampled, and at each new connection. */
#include "probe.h"

#define ETH_P_IP 0x0800
enum { KIND_ACK = 1, KIND_SYN = 2 }; /* unit listen_kind */

/*
 * Listeners come first (tcp_seq: listening_get_first, then established_get_first), so the walk ends
 * at the first socket that does not listen: 1 makes read() return what it has, or EAGAIN.
 */
SEC("?iter/tcp")
int listen_queue(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct ev_listen_queue e = {};
	struct tcp_sock *tp;
	struct sock *sk;

	if (!skc)
		return 0;
	if (skc->skc_state != TCP_LISTEN)
		return 1;
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp)
		return 0;
	sk = &tp->inet_conn.icsk_inet.sk;
	if (!wants_sock(TAPE_GROUP_listen, sk, tp))
		return 0;
	e.head.ts_ns = bpf_ktime_get_ns();
	e.head.cpu = bpf_get_smp_processor_id();
	e.head.type = EV_listen_queue;
	e.head.size = sizeof(e);
	fill_sock(&e.sock, sk, tp, cookie_of(skc));
	e.backlog = sk->sk_ack_backlog;
	e.max_backlog = sk->sk_max_ack_backlog;
	e.syn_queue = tp->inet_conn.icsk_accept_queue.qlen.counter;
	e.syn_young = tp->inet_conn.icsk_accept_queue.young.counter;
	e.drops = sk->sk_drops.counter;
	bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	return 0;
}

static __always_inline int child(struct sock *sk, uint32_t kind)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct ev_listen_child *e;

	if (!wants_sock(TAPE_GROUP_listen, sk, tp))
		return 0;
	e = RESERVE(control, listen, listen_child);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	e->backlog = sk->sk_ack_backlog;
	e->max_backlog = sk->sk_max_ack_backlog;
	e->syn_queue = tp ? tp->inet_conn.icsk_accept_queue.qlen.counter : 0;
	e->kind = kind;
	SUBMIT(control, e);
	return 0;
}

/* In a kprobe pointers have no type, and bpf_get_socket_cookie is not there. */
static __always_inline int child_probed(struct sock *sk, uint32_t kind)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct ev_listen_child *e;

	if (!wants_sock_probed(TAPE_GROUP_listen, sk, tp))
		return 0;
	e = RESERVE(control, listen, listen_child);
	if (!e)
		return 0;
	fill_sock_probed(&e->sock, sk, tp, BPF_CORE_READ(sk, __sk_common.skc_cookie.counter));
	e->backlog = BPF_CORE_READ(sk, sk_ack_backlog);
	e->max_backlog = BPF_CORE_READ(sk, sk_max_ack_backlog);
	e->syn_queue = BPF_CORE_READ(tp, inet_conn.icsk_accept_queue.qlen.counter);
	e->kind = kind;
	SUBMIT(control, e);
	return 0;
}

/* The last ACK of a handshake found its request: the child is made, unless the queue is full. */
SEC("?fentry/tcp_v4_syn_recv_sock")
int BPF_PROG(listen_child__v4, struct sock *sk, struct sk_buff *skb)
{
	return child(sk, KIND_ACK);
}

SEC("?kprobe/tcp_v4_syn_recv_sock")
int BPF_KPROBE(listen_child__v4_kprobe, struct sock *sk, struct sk_buff *skb)
{
	return child_probed(sk, KIND_ACK);
}

/* For IPv4 on an IPv6 socket it calls tcp_v4_syn_recv_sock. */
SEC("?fentry/tcp_v6_syn_recv_sock")
int BPF_PROG(listen_child__v6, struct sock *sk, struct sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP) ? 0 : child(sk, KIND_ACK);
}

SEC("?kprobe/tcp_v6_syn_recv_sock")
int BPF_KPROBE(listen_child__v6_kprobe, struct sock *sk, struct sk_buff *skb)
{
	if (BPF_CORE_READ(skb, protocol) == bpf_htons(ETH_P_IP))
		return 0;
	return child_probed(sk, KIND_ACK);
}

/* A SYN, after the checks for cookies: refused if the accept queue is full (sk_acceptq_is_full). */
SEC("?fentry/tcp_conn_request")
int BPF_PROG(listen_child__syn, void *rsk_ops, void *af_ops, struct sock *sk)
{
	return sk->sk_ack_backlog > sk->sk_max_ack_backlog ? child(sk, KIND_SYN) : 0;
}

SEC("?kprobe/tcp_conn_request")
int BPF_KPROBE(listen_child__syn_kprobe, void *rsk_ops, void *af_ops, struct sock *sk)
{
	if (BPF_CORE_READ(sk, sk_ack_backlog) <= BPF_CORE_READ(sk, sk_max_ack_backlog))
		return 0;
	return child_probed(sk, KIND_SYN);
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Group retrans: segments, SYN-ACKs sent again, and tail loss probes. The events hold what the
 * kernel decided by; the analyzer names the cause (analyze/cmd-retrans.c).
 */
#include "probe.h"

#define NET_XMIT_DROP 1 /* include/linux/netdevice.h */
#define ENOBUFS 105

/*
 * __tcp_retransmit_skb, after the segment went out: in softirq (an ACK), in a timer, or in the
 * owner's context when it works off its backlog. retrans_out and, at a timeout, icsk_rto are
 * changed only afterwards. err: what tcp_transmit_skb returned; before 6.18 the hook fires for 0
 * only.
 */
static __always_inline int resent(struct sock *sk, struct sk_buff *skb, int err)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct ev_retransmit *e;

	if (!tp || !wants_sock(TAPE_GROUP_retrans, sk, tp))
		return 0;
	e = RESERVE(control, retrans, retransmit);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	e->seq = CB(skb, seq);
	e->end_seq = CB(skb, end_seq);
	e->snd_una = tp->snd_una;
	e->snd_nxt = tp->snd_nxt;
	e->cwnd = tp->snd_cwnd;
	e->ssthresh = tp->snd_ssthresh;
	e->in_flight = fill_in_flight(tp);
	e->rto_us = us_of_ticks(tp->inet_conn.icsk_rto);
	e->srtt_us = tp->srtt_us >> 3;
	e->segs = CB(skb, tcp_gso_segs);
	e->tcp_flags = CB(skb, tcp_flags);
	e->state = sk->__sk_common.skc_state;
	e->ca_state = BPF_CORE_READ_BITFIELD(tp, inet_conn.icsk_ca_state);
	e->retransmits = tp->inet_conn.icsk_retransmits;
	e->timer = tp->inet_conn.icsk_pending;
	/* a queueing discipline that dropped it is no errno: as net_xmit_errno does */
	e->err = err >= NET_XMIT_DROP ? ENOBUFS : -err;
	SUBMIT(control, e);
	return 0;
}

SEC("?tp_btf/tcp_retransmit_skb")
int BPF_PROG(retransmit__2, struct sock *sk, struct sk_buff *skb)
{
	return resent(sk, skb, 0);
}

SEC("?tp_btf/tcp_retransmit_skb")
int BPF_PROG(retransmit__3, struct sock *sk, struct sk_buff *skb, int err)
{
	return resent(sk, skb, err);
}

/*
 * tcp_rtx_synack: the timer of a connection request, or its SYN came again. The request's cookie
 * becomes that of the accepted socket (inet_csk_clone_lock). sk is the listener, or the socket of
 * the connection itself with TCP Fast Open.
 */
SEC("?tp_btf/tcp_retransmit_synack")
int BPF_PROG(synack_retransmit, struct sock *sk, struct request_sock *req)
{
	struct ev_synack_retransmit *e;

	if (!wants_sock_of(TAPE_GROUP_retrans, (struct sock *)req, NULL, sk))
		return 0;
	e = RESERVE(control, retrans, synack_retransmit);
	if (!e)
		return 0;
	fill_short(&e->sock, (struct sock *)req, cookie_of(req), sk->sk_uid.val);
	e->listener = has_cookies ? cookie_of(sk) : (uint64_t)sk; /* the recorder numbers it */
	e->seq = BPF_CORE_READ((struct tcp_request_sock *)req, snt_isn);
	e->mss = req->mss;
	e->retransmits = req->num_retrans;
	e->timeouts = BPF_CORE_READ_BITFIELD(req, num_timeout);
	SUBMIT(control, e);
	return 0;
}

/*
 * The timer that ran out was the probe's. Nothing has been decided yet: it sends new data if there
 * is some, else it sends the last segment again (a retransmit event follows), or nothing at all
 * while another probe is unanswered.
 */
SEC("?fentry/tcp_send_loss_probe")
int BPF_PROG(loss_probe__fentry, struct sock *sk)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct ev_loss_probe *e;

	if (!tp || !wants_sock(TAPE_GROUP_retrans, sk, tp))
		return 0;
	e = RESERVE(control, retrans, loss_probe);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_loss_probe(e, tp);
	e->rto_us = us_of_ticks(tp->inet_conn.icsk_rto);
	SUBMIT(control, e);
	return 0;
}

SEC("?kprobe/tcp_send_loss_probe")
int BPF_KPROBE(loss_probe__kprobe, struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct ev_loss_probe *e;

	if (!wants_sock_probed(TAPE_GROUP_retrans, sk, tp))
		return 0;
	e = RESERVE(control, retrans, loss_probe);
	if (!e)
		return 0;
	fill_sock_probed(&e->sock, sk, tp, BPF_CORE_READ(sk, __sk_common.skc_cookie.counter));
	fill_loss_probe_probed(e, tp);
	e->rto_us = us_of_ticks(BPF_CORE_READ(tp, inet_conn.icsk_rto));
	SUBMIT(control, e);
	return 0;
}

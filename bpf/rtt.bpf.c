/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Group rtt: one event per ACK that acknowledges something, by the best hook there is. */
#include "probe.h"

enum { SOURCE_NONE, SOURCE_SEQ, SOURCE_SACK, SOURCE_TSECR, SOURCE_PROBE }; /* unit rtt_source */

#define FLAG_ACKED 0x14 /* net/ipv4/tcp_input.c: FLAG_DATA_ACKED | FLAG_SYN_ACKED */

/*
 * tcp_clean_rtx_queue and tcp_synack_rtt_meas end here; the estimator has run when it returns.
 * The same preference as in the function: sequence number, SACK, timestamp. The function leaves a
 * sample that it took from a timestamp in rs->rtt_us.
 */
SEC("?fexit/tcp_ack_update_rtt")
int BPF_PROG(rtt__fexit, struct sock *sk, int flag, long seq_rtt_us, long sack_rtt_us,
	     long ca_rtt_us, struct rate_sample *rs, uint8_t updated /* al only */)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct ev_rtt *e;

	if (!tp || !wants_sock(TAPE_GROUP_rtt, sk, tp))
		return 0;
	e = RESERVE(bulk, rtt, rtt);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_rtt(e, tp);
	if (seq_rtt_us >= 0) {
		e->source = SOURCE_SEQ;
		e->rtt_us = seq_rtt_us;
	} else if (sack_rtt_us >= 0) {
		e->source = SOURCE_SACK;
		e->rtt_us = sack_rtt_us;
	} else {
		e->source = updated ? SOURCE_TSECR : SOURCE_NONE;
		e->rtt_us = updated ? rs->rtt_us : -1;
	}
	e->ack_seq = e->snd_una;
	e->before = 0;
	SUBMIT(bulk, e);
	return 0;
}

/* 1 if tcp_ack_update_rtt is about to take its sample from the timestamp option. */
static __always_inline bool takes_timestamp(struct tcp_sock *tp, int flag)
{
	return (flag & FLAG_ACKED) && BPF_CORE_READ_BITFIELD_PROBED(tp, rx_opt.saw_tstamp) &&
	       BPF_CORE_READ(tp, rx_opt.rcv_tsecr);
}

/*
 * The same function at its start: a kprobe has no types, so every read is a helper call, and no
 * bpf_get_socket_cookie: skc_cookie is 0 for a socket that neither the snapshot nor a state change
 * has met.
 */
SEC("?kprobe/tcp_ack_update_rtt")
int BPF_KPROBE(rtt__kprobe, struct sock *sk, int flag, long seq_rtt_us, long sack_rtt_us)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct ev_rtt *e;

	if (!wants_sock_probed(TAPE_GROUP_rtt, sk, tp))
		return 0;
	e = RESERVE(bulk, rtt, rtt);
	if (!e)
		return 0;
	fill_sock_probed(&e->sock, sk, tp, BPF_CORE_READ(sk, __sk_common.skc_cookie.counter));
	fill_rtt_probed(e, tp);
	if (seq_rtt_us >= 0) {
		e->source = SOURCE_SEQ;
		e->rtt_us = seq_rtt_us;
	} else if (sack_rtt_us >= 0) {
		e->source = SOURCE_SACK;
		e->rtt_us = sack_rtt_us;
	} else {
		e->source = takes_timestamp(tp, flag) ? SOURCE_TSECR : SOURCE_NONE;
		e->rtt_us = -1;
	}
	e->ack_seq = e->snd_una;
	e->before = 1;
	SUBMIT(bulk, e);
	return 0;
}

/* The ACK's number; tcp_v4_fill_cb and tcp_v6_fill_cb have put it into the control block. */
static __always_inline uint32_t ack_of(struct sk_buff *skb)
{
	return *(uint32_t *)(skb->cb + bpf_core_field_offset(struct tcp_skb_cb, ack_seq));
}

/*
 * Kernels without trampolines and kprobes: tcp_rcv_established, before the ACK is processed, so
 * values are those that the ACK before left behind. Only ACKs that advance are worth an event.
 */
SEC("?tp_btf/tcp_probe")
int BPF_PROG(rtt__probe, struct sock *sk, struct sk_buff *skb)
{
	struct tcp_sock *tp = tcp_of(sk);
	uint32_t ack = ack_of(skb);
	struct ev_rtt *e;

	if (!tp || (int32_t)(ack - tp->snd_una) <= 0 || (int32_t)(ack - tp->snd_nxt) > 0 ||
	    !wants_sock(TAPE_GROUP_rtt, sk, tp))
		return 0;
	e = RESERVE(bulk, rtt, rtt);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_rtt(e, tp);
	e->rtt_us = -1;
	e->source = SOURCE_PROBE;
	e->ack_seq = ack;
	e->before = 1;
	SUBMIT(bulk, e);
	return 0;
}

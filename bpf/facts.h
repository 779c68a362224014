/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The facts of a connection: fields that tcp_facts and snap_sock share, filled for both. */
#ifndef TAPE_FACTS_H
#define TAPE_FACTS_H

#include "probe.h"

enum { /* bits of `options` */
       OPTION_TIMESTAMPS = 1,
       OPTION_SACK = 2,
       OPTION_WSCALE = 4,
       OPTION_SYN_DATA = 8,
       OPTION_USEC_TS = 16
};

static __always_inline uint8_t options_of(struct tcp_sock *tp)
{
	uint8_t options = 0;

	if (BPF_CORE_READ_BITFIELD(tp, rx_opt.tstamp_ok))
		options |= OPTION_TIMESTAMPS;
	if (BPF_CORE_READ_BITFIELD(tp, rx_opt.sack_ok))
		options |= OPTION_SACK;
	if (BPF_CORE_READ_BITFIELD(tp, rx_opt.wscale_ok))
		options |= OPTION_WSCALE;
	if (BPF_CORE_READ_BITFIELD(tp, syn_data) || BPF_CORE_READ_BITFIELD(tp, syn_data_acked))
		options |= OPTION_SYN_DATA;
	if (bpf_core_field_exists(tp->tcp_usec_ts) && BPF_CORE_READ_BITFIELD(tp, tcp_usec_ts))
		options |= OPTION_USEC_TS;
	return options;
}

/* e: struct ev_tcp_facts or ev_snap_sock; both of the socket. */
#define FILL_FACTS(e, sk, tp)                                                                      \
	do {                                                                                       \
		copy_comm(&(e)->cc, (tp)->inet_conn.icsk_ca_ops->name);                            \
		(e)->mss = (tp)->mss_cache;                                                        \
		(e)->pmtu = (tp)->inet_conn.icsk_pmtu_cookie;                                      \
		(e)->rto_us = us_of_ticks((tp)->inet_conn.icsk_rto);                               \
		(e)->srtt_us = (tp)->srtt_us >> 3;                                                 \
		(e)->snd_wnd = (tp)->snd_wnd;                                                      \
		(e)->cwnd = (tp)->snd_cwnd;                                                        \
		(e)->sndbuf = (sk)->sk_sndbuf;                                                     \
		(e)->rcvbuf = (sk)->sk_rcvbuf;                                                     \
		(e)->advmss = (tp)->advmss;                                                        \
		(e)->rcv_mss = (tp)->inet_conn.icsk_ack.rcv_mss;                                   \
		(e)->mss_clamp = (tp)->rx_opt.mss_clamp;                                           \
		(e)->user_mss = (tp)->rx_opt.user_mss;                                             \
		(e)->snd_wscale = BPF_CORE_READ_BITFIELD(tp, rx_opt.snd_wscale);                   \
		(e)->rcv_wscale = BPF_CORE_READ_BITFIELD(tp, rx_opt.rcv_wscale);                   \
		(e)->options = options_of(tp);                                                     \
		(e)->ecn = (tp)->ecn_flags;                                                        \
		(e)->nonagle = BPF_CORE_READ_BITFIELD(tp, nonagle);                                \
		(e)->buf_locks = BPF_CORE_READ_BITFIELD(sk, sk_userlocks) & 3;                     \
		(e)->mtu_probing = BPF_CORE_READ_BITFIELD(tp, inet_conn.icsk_mtup.enabled);        \
	} while (0)

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Fields of sockets and buffers -> record fields. probe.h includes this twice: once with plain
 * loads through typed pointers (about 1 ns each; tracepoints, fentry, fexit, iterators), once
 * through bpf_probe_read_kernel (about 25 ns each), for kprobes, where the verifier knows no types.
 *
 * GET(p, member) reads p->member, GET2(p, a, b) reads p->a->b, GET_ADDR copies 16 bytes, GET_BITS
 * reads a bit field: its p must be a variable, as the macro adds the whole path's offset to it.
 * FILL(name) is the name of the function.
 */

static __always_inline void FILL(addresses)(struct ev_flow *flow, struct sock *sk, uint16_t family)
{
	if (family == AF_INET) {
		map_v4(&flow->laddr, GET(sk, __sk_common.skc_rcv_saddr));
		map_v4(&flow->raddr, GET(sk, __sk_common.skc_daddr));
	} else if (family == AF_INET6 && bpf_core_field_exists(sk->__sk_common.skc_v6_daddr)) {
		GET_ADDR(&flow->laddr, sk, __sk_common.skc_v6_rcv_saddr);
		GET_ADDR(&flow->raddr, sk, __sk_common.skc_v6_daddr);
	} else {
		__builtin_memset(__builtin_assume_aligned(flow, 8), 0, sizeof(*flow));
	}
}

/*
 * tp may be NULL (an MPTCP socket). The local port is taken from inet_sport: skc_num is cleared
 * by inet_put_port before the state becomes CLOSE.
 */
static __always_inline void FILL(flow)(struct ev_flow *flow, struct sock *sk, struct tcp_sock *tp)
{
	uint16_t lport = 0;

	FILL(addresses)(flow, sk, GET(sk, __sk_common.skc_family));
	if (tp)
		lport = bpf_ntohs(GET(tp, inet_conn.icsk_inet.inet_sport));
	flow->lport = lport ? lport : GET(sk, __sk_common.skc_num);
	flow->rport = bpf_ntohs(GET(sk, __sk_common.skc_dport));
}

static __always_inline void FILL(sock)(struct ev_sock *s, struct sock *sk, struct tcp_sock *tp,
				       uint64_t cookie)
{
	s->cookie = cookie;
	s->skaddr = (uint64_t)sk;
	FILL(flow)(&s->flow, sk, tp);
	s->netns = GET2(sk, __sk_common.skc_net.net, ns.inum);
	s->uid = GET(sk, sk_uid.val);
	s->family = GET(sk, __sk_common.skc_family);
	s->protocol = GET(sk, sk_protocol);
}

/*
 * A connection request or a socket in TIME_WAIT, which have no more than struct sock_common; their
 * local port stands in skc_num.
 */
static __always_inline void FILL(short)(struct ev_sock *s, struct sock *sk, uint64_t cookie,
					uint32_t uid)
{
	uint16_t family = GET(sk, __sk_common.skc_family);

	s->cookie = cookie;
	s->skaddr = (uint64_t)sk;
	FILL(addresses)(&s->flow, sk, family);
	s->flow.lport = GET(sk, __sk_common.skc_num);
	s->flow.rport = bpf_ntohs(GET(sk, __sk_common.skc_dport));
	s->netns = GET2(sk, __sk_common.skc_net.net, ns.inum);
	s->uid = uid;
	s->family = family;
	s->protocol = IPPROTO_TCP;
}

/* tcp_packets_in_flight */
static __always_inline uint32_t FILL(in_flight)(struct tcp_sock *tp)
{
	return GET(tp, packets_out) - (GET(tp, sacked_out) + GET(tp, lost_out)) +
	       GET(tp, retrans_out);
}

/* All of an rtt event but its head, sock, and what only the hook knows. */
static __always_inline void FILL(rtt)(struct ev_rtt *e, struct tcp_sock *tp)
{
	e->srtt_us = GET(tp, srtt_us) >> 3;
	e->mdev_us = GET(tp, mdev_us) >> 2;
	e->rttvar_us = GET(tp, rttvar_us);
	e->min_rtt_us = GET(tp, rtt_min.s[0].v);
	e->rack_rtt_us = GET(tp, rack.rtt_us);
	e->cwnd = GET(tp, snd_cwnd);
	e->ssthresh = GET(tp, snd_ssthresh);
	e->in_flight = FILL(in_flight)(tp);
	e->delivered = GET(tp, delivered);
	e->lost = GET(tp, lost);
	e->total_retrans = GET(tp, total_retrans);
	e->snd_una = GET(tp, snd_una);
	e->snd_nxt = GET(tp, snd_nxt);
	e->ca_state = GET_BITS(tp, inet_conn.icsk_ca_state);
}

/* All of a loss_probe event but its head, sock and rto_us. */
static __always_inline void FILL(loss_probe)(struct ev_loss_probe *e, struct tcp_sock *tp)
{
	e->snd_una = GET(tp, snd_una);
	e->snd_nxt = GET(tp, snd_nxt);
	e->write_seq = GET(tp, write_seq);
	e->cwnd = GET(tp, snd_cwnd);
	e->in_flight = FILL(in_flight)(tp);
	e->srtt_us = GET(tp, srtt_us) >> 3;
	e->ca_state = GET_BITS(tp, inet_conn.icsk_ca_state);
	e->state = GET(tp, inet_conn.icsk_inet.sk.__sk_common.skc_state);
	e->outstanding = GET(tp, tlp_high_seq) != 0;
}

/* vlan_proto may be stale until 6.1, which has a bit beside it. */
static __always_inline void FILL(skb)(struct skb_view *v, struct sk_buff *skb)
{
	bool tagged;

	v->head = GET(skb, head);
	v->data = (uint32_t)(GET(skb, data) - v->head);
	v->tail = GET(skb, tail);
	v->end = GET(skb, end);
	v->len = GET(skb, len);
	v->protocol = bpf_ntohs(GET(skb, protocol));
	v->network_header = GET(skb, network_header);
	v->mac_header = GET(skb, mac_header);
	if (bpf_core_field_exists(skb->vlan_present))
		tagged = GET_BITS(skb, vlan_present);
	else
		tagged = GET(skb, vlan_proto) != 0;
	v->vlan = tagged ? GET(skb, vlan_tci) & VLAN_ID : NO_VLAN;
	v->cloned = GET_BITS(skb, cloned);
}

/* A segment that a socket sends or has received, by its control block; not flow and segs. */
static __always_inline void FILL(cb)(struct ev_packet *p, struct sk_buff *skb)
{
	struct tcp_skb_cb *cb = (struct tcp_skb_cb *)skb->cb;
	uint16_t flags = GET_BITS(cb, tcp_flags); /* not only bits: 1 byte until 6.16, then 2 */

	p->seq = GET(cb, seq);
	p->payload =
		GET(cb, end_seq) - p->seq - !!(flags & TCP_FLAG_SYN) - !!(flags & TCP_FLAG_FIN);
	p->tcp_flags = flags;
	p->vlan = NO_VLAN;
	p->headers = OF_SOCKET;
}

/*
 * All of an rx event but its head, sock and layer. Not from the headers: tcp_add_backlog joins
 * packets, and leaves the IP header's length alone. skb->dev is NULL by now (tcp_v4_rcv).
 */
static __always_inline void FILL(rx)(struct ev_rx *e, struct tcp_sock *tp, struct sk_buff *skb)
{
	struct tcp_skb_cb *cb = (struct tcp_skb_cb *)skb->cb;
	struct ev_packet *p = &e->packet;

	copy_flow(&p->flow, &e->sock.flow);
	FILL(cb)(p, skb);
	p->ack_seq = p->tcp_flags & TCP_FLAG_ACK ? GET(cb, ack_seq) : 0;
	p->segs = gso_segs_of(GET(skb, head), GET(skb, end), p->payload);
	e->netns = e->sock.netns;
	e->ifindex = GET(skb, skb_iif);
	e->rcv_nxt = GET(tp, rcv_nxt);
	e->cloned = GET_BITS(skb, cloned);
}

/*
 * Below snd_nxt: TCP moves that only after a new segment went out. TCPCB_EVER_RETRANS is set after
 * the first retransmission, so it comes one late, but stays if snd_nxt is taken back (a zero
 * window's repair).
 */
static __always_inline bool FILL(again)(const struct ev_packet *p, struct tcp_sock *tp,
					struct tcp_skb_cb *cb)
{
	return (GET(cb, sacked) & TCPCB_EVER_RETRANS) ||
	       (GET(cb, end_seq) != p->seq && (int32_t)(p->seq - GET(tp, snd_nxt)) < 0);
}

/* All of a tx event at TCP's end but its head, sock, layer and result; arguments as there. */
static __always_inline void FILL(tx)(struct ev_tx *e, struct tcp_sock *tp, struct sk_buff *skb,
				     int clone_it, uint32_t rcv_nxt)
{
	struct tcp_skb_cb *cb = (struct tcp_skb_cb *)skb->cb;
	uint64_t departure_ns = GET(tp, tcp_wstamp_ns), clock_ns = GET(tp, tcp_clock_cache);
	uint16_t segs = GET(cb, tcp_gso_segs);
	struct ev_packet *p = &e->packet;

	copy_flow(&p->flow, &e->sock.flow);
	FILL(cb)(p, skb);
	p->segs = segs ? segs : 1;
	p->ack_seq = p->tcp_flags & TCP_FLAG_ACK ? rcv_nxt : 0;
	e->departure_ns = departure_ns < clock_ns ? clock_ns : departure_ns;
	e->netns = e->sock.netns;
	e->cloned = clone_it;
	e->again = FILL(again)(p, tp, cb);
}

/* What is in queues and devices, in bytes of buffers; the socket itself counts as one. */
static __always_inline uint32_t FILL(wmem)(struct tcp_sock *tp)
{
	return GET(tp, inet_conn.icsk_inet.sk.sk_wmem_alloc.refs.counter) - 1;
}

/* sk_stream_memory_free, but for TCP_NOTSENT_LOWAT */
static __always_inline bool FILL(is_full)(struct tcp_sock *tp)
{
	return GET(tp, inet_conn.icsk_inet.sk.sk_wmem_queued) >=
	       GET(tp, inet_conn.icsk_inet.sk.sk_sndbuf);
}

/* All of a tx_write event but its head, sock, task and size. */
static __always_inline void FILL(tx_write)(struct ev_tx_write *e, struct tcp_sock *tp)
{
	e->write_seq = GET(tp, write_seq);
	e->snd_una = GET(tp, snd_una);
	e->snd_nxt = GET(tp, snd_nxt);
	e->snd_wnd = GET(tp, snd_wnd);
	e->cwnd = GET(tp, snd_cwnd);
	e->in_flight = FILL(in_flight)(tp);
	e->mss = GET(tp, mss_cache);
	e->state = GET(tp, inet_conn.icsk_inet.sk.__sk_common.skc_state);
	e->nonagle = GET_BITS(tp, nonagle);
	e->wmem = FILL(wmem)(tp);
	e->tsq = GET(tp, inet_conn.icsk_inet.sk.sk_tsq_flags);
	e->chrono = GET_BITS(tp, chrono_type);
	e->full = FILL(is_full)(tp);
}

/* As tcp_small_queue_check has it for what is new. */
static __always_inline uint32_t FILL(tsq_limit)(struct sock *sk, uint32_t truesize, bool paced)
{
	uint64_t limit = GET(sk, sk_pacing_rate) >> GET(sk, sk_pacing_shift);
	uint32_t most;

	if (limit < 2ull * truesize)
		limit = 2ull * truesize;
	if (!paced) {
		most = GET2(sk, __sk_common.skc_net.net, ipv4.sysctl_tcp_limit_output_bytes);
		if (limit > most)
			limit = most;
	}
	return limit > 0xffffffff ? 0xffffffff : limit;
}

/* All of a tx_state event but its head, sock, paced_to_ns, seq, payload and wmem. */
static __always_inline void FILL(tx_state)(struct ev_tx_state *e, struct tcp_sock *tp,
					   uint32_t truesize)
{
	struct sock *sk = (struct sock *)tp;

	e->write_seq = GET(tp, write_seq);
	e->snd_una = GET(tp, snd_una);
	e->snd_wnd = GET(tp, snd_wnd);
	e->cwnd = GET(tp, snd_cwnd);
	e->in_flight = FILL(in_flight)(tp);
	e->mss = GET(tp, mss_cache);
	e->nonagle = GET_BITS(tp, nonagle);
	e->pacing = GET_BITS(sk, sk_pacing_status); /* not bits: GET takes no other size */
	e->truesize = truesize;
	e->tsq_limit = FILL(tsq_limit)(sk, truesize, e->pacing);
	e->chrono = GET_BITS(tp, chrono_type);
	e->full = FILL(is_full)(tp);
}

#undef GET
#undef GET2
#undef GET_BITS
#undef GET_ADDR
#undef FILL

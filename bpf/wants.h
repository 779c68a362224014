/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The gate's questions that read a socket. gate.h includes this twice, as probe.h does fill.h: once
 * with plain loads, once for kprobes. GATE(name) and FILL(name) are the names of functions,
 * GET(p, member) reads p->member, GET2(p, a, b) reads p->a->b; COOKIE(sk) is what can be known of
 * it.
 */

static __always_inline bool GATE(in_netns)(struct sock *sk)
{
	return !filter_netns || GET2(sk, __sk_common.skc_net.net, ns.inum) == filter_netns;
}

/* ---- the selection ---- */

static __always_inline void GATE(connection_of)(struct select_flow *key, struct sock *sk,
						struct tcp_sock *tp)
{
	FILL(flow)(&key->flow, sk, tp);
	key->netns = 0;
}

static __always_inline void GATE(listener_of)(struct select_flow *key, struct sock *sk,
					      struct tcp_sock *tp)
{
	FILL(flow)(&key->flow, sk, tp);
	__builtin_memset(&key->flow.raddr, 0, sizeof(key->flow.raddr));
	key->flow.rport = 0;
	key->netns = GET2(sk, __sk_common.skc_net.net, ns.inum);
}

/* The ends of a socket that is, or is about to be, in this state. MPTCP's own has none. */
static __noinline void GATE(enter)(struct sock *sk, struct tcp_sock *tp, uint32_t state)
{
	struct select_flow key;

	if (!tp)
		return;
	if (state == TCP_LISTEN) {
		GATE(listener_of)(&key, sk, tp);
		enter_listener(&key);
		return;
	}
	GATE(connection_of)(&key, sk, tp);
	if (key.flow.lport && key.flow.rport)
		enter_flow(&key);
}

static __noinline void GATE(leave)(struct sock *sk, struct tcp_sock *tp, uint32_t state)
{
	struct select_flow key;

	if (!tp)
		return;
	if (state == TCP_LISTEN) {
		GATE(listener_of)(&key, sk, tp);
		leave_listener(&key);
		return;
	}
	GATE(connection_of)(&key, sk, tp);
	leave_flow(&key);
}

/* It is somebody else's after all. */
static __always_inline void GATE(let_go)(struct sock *sk, struct tcp_sock *tp)
{
	if (!is_chosen(sk))
		return;
	GATE(leave)(sk, tp, GET(sk, __sk_common.skc_state));
	unchoose(sk);
}

/* A socket that has a life behind it. tp may be NULL. */
static __always_inline bool GATE(take_in)(struct sock *sk, struct tcp_sock *tp)
{
	uint8_t state = GET(sk, __sk_common.skc_state);

	if (is_chosen(sk))
		return true;
	if (!choose(sk))
		return false;
	if (state != TCP_CLOSE)
		GATE(enter)(sk, tp, state);
	return true;
}

/* In the thread that uses the socket: which makes it its own. */
static __always_inline bool GATE(is_callers)(struct sock *sk, struct tcp_sock *tp)
{
	return is_chosen(sk) || (task_is_chosen() && GATE(take_in)(sk, tp));
}

/* ---- events ---- */

/* An event of a socket, full or short, which stands for `owned`. tp may be NULL. */
static __always_inline bool GATE(wants_sock_of)(enum tape_group group, struct sock *sk,
						struct tcp_sock *tp, struct sock *owned)
{
	struct ev_flow flow __attribute__((aligned(8)));

	if (!GATE(in_netns)(sk) || !is_chosen(owned))
		return false;
	if (!filter_flows && !thins(group))
		return true;
	FILL(flow)(&flow, sk, tp);
	return (!filter_flows || matches(&flow, sk)) &&
	       (!thins(group) || keeps_sock(group, &flow, COOKIE(group, sk)));
}

static __always_inline bool GATE(wants_sock)(enum tape_group group, struct sock *sk,
					     struct tcp_sock *tp)
{
	return GATE(wants_sock_of)(group, sk, tp, sk);
}

/* What a thread does with its socket. */
static __always_inline bool GATE(wants_call)(enum tape_group group, struct sock *sk,
					     struct tcp_sock *tp)
{
	return GATE(is_callers)(sk, tp) && GATE(wants_sock)(group, sk, tp);
}

/*
 * An event of a packet, by its headers; for a filter, or of its socket, which may be NULL. flow:
 * 8-byte aligned.
 */
static __always_inline bool GATE(wants_packet)(enum tape_group group, const struct ev_flow *flow,
					       uint16_t tcp_flags, uint32_t netns, struct sock *sk)
{
	bool here = !filter_netns || netns == filter_netns;
	struct ev_flow ends __attribute__((aligned(8)));

	if (!packet_is_chosen(group, flow, tcp_flags, netns, sk))
		return false;
	if ((filter_flows || filter_netns) && !(here && (!filter_flows || flow_matches(flow)))) {
		if (!sk || !GATE(in_netns)(sk))
			return false;
		if (filter_flows) {
			FILL(flow)(&ends, sk, NULL);
			if (!matches(&ends, sk))
				return false;
		}
	}
	return !thins(group) || keeps_flow(group, flow);
}

/*
 * An event that its local end and a remote one of its own describe, as a failed connect; in the
 * thread that called.
 */
static __always_inline bool GATE(wants_asked)(enum tape_group group, struct sock *sk,
					      struct tcp_sock *tp, const struct ev_addr *raddr,
					      uint16_t rport)
{
	struct ev_flow flow __attribute__((aligned(8)));

	if (!GATE(in_netns)(sk) || !GATE(is_callers)(sk, tp))
		return false;
	if (!filter_flows && !thins(group))
		return true;
	FILL(flow)(&flow, sk, tp);
	copy_addr(&flow.raddr, raddr);
	flow.rport = rport;
	return (!filter_flows || flow_matches(&flow)) &&
	       (!thins(group) || keeps_sock(group, &flow, COOKIE(TAPE_GROUP_conn, sk)));
}

#undef GATE
#undef FILL
#undef GET
#undef GET2
#undef COOKIE

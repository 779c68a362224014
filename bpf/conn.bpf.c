/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Group conn: the life of a TCP socket. */
#define TAPE_KSYM __ksym /* this is the first file that is linked */
#include "facts.h"

/* Whether some local port that the kernel may choose makes it match. */
static __always_inline bool may_match(struct ev_flow *flow)
{
	bool may = filter_any_port;

	for (uint32_t i = 0; i < TAPE_FILTER_PORTS && !may; i++) {
		if (i >= filter_n_ports)
			break;
		flow->lport = filter_ports[i];
		may = flow_matches(flow);
	}
	flow->lport = 0;
	return may;
}

/* It has nothing yet that the rest of the connection could be known by. */
static __always_inline bool wants_birth(void)
{
	if (!thins(TAPE_GROUP_conn))
		return true;
	count_left_out(TAPE_GROUP_conn);
	return false;
}

/*
 * At the start of a connect, and where that fails at once, the local port is not chosen yet. Of
 * those that are born the recorder decides (record/identity.c).
 */
static __always_inline bool wants_change(struct sock *sk, struct tcp_sock *tp, int new_state,
					 bool born)
{
	const struct ev_flow none = {}; /* before Linux 5.12: one by one */
	struct ev_flow flow __attribute__((aligned(8)));
	uint64_t key = (uint64_t)sk;
	uint8_t one = 1;
	bool wanted;

	if (!in_netns(sk) || !is_chosen(sk))
		return false;
	if (born)
		return wants_birth();
	if (thins(TAPE_GROUP_conn) && !keeps_sock(TAPE_GROUP_conn, &none, cookie_of(sk)))
		return false;
	if (!filter_flows)
		return true;
	fill_flow(&flow, sk, tp);
	if (new_state == TCP_SYN_SENT) /* inet_sport is still that of the connect before */
		flow.lport = sk->__sk_common.skc_num;
	wanted = matches(&flow, sk);
	if (new_state == TCP_SYN_SENT)
		bpf_map_delete_elem(&closed, &key);
	if (tp && wanted && new_state == TCP_CLOSE && flow.lport && flow.rport)
		bpf_map_update_elem(&closed, &key, &one, BPF_ANY);
	return wanted || (!flow.lport && flow.rport && may_match(&flow));
}

/*
 * -p and the like: a socket is its owner's from connect() and listen() on, which run there; a child
 * is its listener's, whose end it still has. Addresses come again, so each begin decides anew.
 */
static __always_inline void follow_change(struct sock *sk, struct tcp_sock *tp, int old_state,
					  int new_state, bool born)
{
	struct select_flow key;
	bool mine;

	if (born || new_state == TCP_SYN_SENT || new_state == TCP_LISTEN) {
		listener_of(&key, sk, tp);
		mine = born ? listener_is_chosen(&key) : sk->sk_lock.owned && task_is_chosen();
		if (!mine || !choose(sk))
			unchoose(sk);
	}
	if (!is_chosen(sk))
		return;
	if (new_state == TCP_LISTEN || new_state == TCP_ESTABLISHED)
		enter(sk, tp, new_state);
	else if (new_state == TCP_CLOSE)
		leave(sk, tp, old_state);
}

/*
 * Every change of sk_state. A child is born as LISTEN -> SYN_RECV in inet_csk_clone_lock, while its
 * tuple is still the listener's and its cookie is not yet set: asking for the cookie would make one
 * that the kernel then overwrites. It is left 0, and the recorder completes it (record/identity.c).
 */
SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int old_state, int new_state)
{
	bool born = old_state == TCP_LISTEN && new_state == TCP_SYN_RECV;
	struct ev_tcp_state *e;
	struct tcp_sock *tp;

	if (!is_tcp(sk))
		return 0;
	tp = tcp_of(sk);
	if (selecting)
		follow_change(sk, tp, old_state, new_state, born);
	if (!conn_is_recorded || !wants_change(sk, tp, new_state, born))
		return 0;
	e = RESERVE(control, conn, tcp_state);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, born ? 0 : cookie_of(sk));
	if (new_state == TCP_SYN_SENT) /* inet_sport is still that of the connect before */
		e->sock.flow.lport = sk->__sk_common.skc_num;
	fill_owner(&e->task, sk);
	e->old_state = old_state;
	e->new_state = new_state;
	e->retransmits = tp ? tp->inet_conn.icsk_retransmits : 0;
	e->shutdown = sk->sk_shutdown;
	e->err = sk->sk_err;
	e->soft_err = sk->sk_err_soft;
	SUBMIT(control, e);
	return 0;
}

/*
 * tcp_finish_connect, which comes behind the negotiation but before tcp_init_transfer; or
 * tcp_rcv_state_process in SYN_RECV, behind tcp_init_transfer. All that is read is final, but for
 * what events.def says; the congestion control is that of the route already (tcp_ca_dst_init,
 * tcp_ca_openreq_child).
 */
SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_facts, struct sock *sk, int old_state, int new_state)
{
	struct tcp_sock *tp;
	struct ev_tcp_facts *e;

	if (new_state != TCP_ESTABLISHED)
		return 0;
	tp = tcp_of(sk);
	if (!tp || !wants_sock(TAPE_GROUP_conn, sk, tp))
		return 0;
	e = RESERVE(control, conn, tcp_facts);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	FILL_FACTS(e, sk, tp);
	e->old_state = old_state;
	SUBMIT(control, e);
	return 0;
}

/* to: where it should have gone. */
static __always_inline int connect_error(struct sock *sk, const struct ev_addr *to, uint16_t port,
					 int ret)
{
	struct tcp_sock *tp = tcp_of(sk);
	struct ev_connect_error *e;

	if (!wants_asked(TAPE_GROUP_conn, sk, tp, to, port))
		return 0;
	e = RESERVE(control, conn, connect_error);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_task(&e->task);
	copy_addr(&e->daddr, to);
	e->dport = port;
	e->err = -ret;
	e->state = sk->__sk_common.skc_state;
	SUBMIT(control, e);
	return 0;
}

/* connect() that fails before a SYN is sent: no route, no local port. Runs in the caller. */
SEC("?fexit/tcp_v4_connect")
int BPF_PROG(connect_error__v4, struct sock *sk, void *uaddr, int len, int ret)
{
	struct ev_addr addr __attribute__((aligned(8)));
	struct sockaddr_in to = {};

	if (!ret)
		return 0;
	bpf_probe_read_kernel(&to, sizeof(to), uaddr);
	map_v4(&addr, to.sin_addr);
	return connect_error(sk, &addr, bpf_ntohs(to.sin_port), ret);
}

SEC("?fexit/tcp_v6_connect")
int BPF_PROG(connect_error__v6, struct sock *sk, void *uaddr, int len, int ret)
{
	struct ev_addr addr __attribute__((aligned(8)));
	struct sockaddr_in6 to = {};

	if (!ret)
		return 0;
	bpf_probe_read_kernel(&to, sizeof(to), uaddr);
	__builtin_memcpy(addr.b, to.sin6_addr, sizeof(addr.b));
	return connect_error(sk, &addr, bpf_ntohs(to.sin6_port), ret);
}

static __always_inline void record_accept(struct sock *listener, struct sock *child)
{
	struct ev_tcp_accept *e;

	if (!conn_is_recorded || !wants_sk(TAPE_GROUP_conn, child))
		return;
	e = RESERVE(control, conn, tcp_accept);
	if (!e)
		return;
	fill_sock(&e->sock, child, tcp_of(child), cookie_of(child));
	fill_task(&e->task);
	e->backlog = listener->sk_ack_backlog;
	e->max_backlog = listener->sk_max_ack_backlog;
	SUBMIT(control, e);
}

/*
 * Runs in the thread that called accept(). child: NULL if accept failed. Of a listener that several
 * processes share, a child is that one's that accepts it: the event that says so is its last one.
 */
static __always_inline int accepted(struct sock *listener, struct sock *child)
{
	bool mine;

	if (!child || !is_tcp(child))
		return 0;
	mine = !selecting || task_is_chosen();
	if (selecting && mine)
		take_in(child, tcp_of(child));
	record_accept(listener, child);
	if (!mine)
		let_go(child, tcp_of(child));
	return 0;
}

/* Linux 6.10 and later; two programs, as fexit's return value stands behind the arguments. */
SEC("?fexit/inet_csk_accept")
int BPF_PROG(tcp_accept__2, struct sock *sk, struct proto_accept_arg *arg, struct sock *child)
{
	return accepted(sk, child);
}

SEC("?fexit/inet_csk_accept")
int BPF_PROG(tcp_accept__4, struct sock *sk, int flags, int *err, bool kern, struct sock *child)
{
	return accepted(sk, child);
}

#define SHUTDOWN_FIN_RECEIVED 4 /* not of sk_shutdown: our bit, see events.def */

static __always_inline void record_destroy(struct sock *sk, struct tcp_sock *tp)
{
	struct ev_tcp_destroy *e;

	if (!tp || !conn_is_recorded || !wants_sock(TAPE_GROUP_conn, sk, tp))
		return;
	e = RESERVE(control, conn, tcp_destroy);
	if (!e)
		return;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_owner(&e->task, sk);
	e->bytes_sent = tp->bytes_sent;
	e->bytes_acked = tp->bytes_acked;
	e->bytes_received = tp->bytes_received;
	e->bytes_retrans = tp->bytes_retrans;
	e->segs_out = tp->segs_out;
	e->segs_in = tp->segs_in;
	e->data_segs_out = tp->data_segs_out;
	e->data_segs_in = tp->data_segs_in;
	e->total_retrans = tp->total_retrans;
	e->lost = tp->lost;
	e->srtt_us = tp->srtt_us >> 3;
	e->mdev_us = tp->mdev_us >> 2;
	e->min_rtt_us = tp->rtt_min.s[0].v;
	e->cwnd = tp->snd_cwnd;
	e->mss = tp->mss_cache;
	e->err = sk->sk_err;
	e->state = sk->__sk_common.skc_state;
	e->shutdown = sk->sk_shutdown;
	if (sk->__sk_common.skc_flags >> SOCK_DONE & 1) /* set by tcp_fin() */
		e->shutdown |= SHUTDOWN_FIN_RECEIVED;
	copy_comm(&e->cc, tp->inet_conn.icsk_ca_ops->name);
	e->pmtu = tp->inet_conn.icsk_pmtu_cookie;
	e->sndbuf = sk->sk_sndbuf;
	e->rcvbuf = sk->sk_rcvbuf;
	e->rcv_mss = tp->inet_conn.icsk_ack.rcv_mss;
	e->ecn = tp->ecn_flags;
	SUBMIT(control, e);
}

/* tcp_v4_destroy_sock (IPv6 too): the socket's last moment, whoever ends it. */
SEC("?tp_btf/tcp_destroy_sock")
int BPF_PROG(tcp_destroy, struct sock *sk)
{
	record_destroy(sk, tcp_of(sk));
	forget(sk);
	return 0;
}

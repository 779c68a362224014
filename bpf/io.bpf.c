/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Group io: what applications send and receive, one event at the end of each call, with what it
 * returned; and when a thread sleeps in such a call. All run in the thread that called, maybe one
 * of the kernel (NFS, io_uring). The socket is not locked any more where the hook is the return of
 * the call: write_seq and copied_seq may already have what another thread did.
 */
#include "probe.h"

enum { CALL_MSG = 1, CALL_SENDPAGE, CALL_SPLICE, CALL_ZEROCOPY }; /* unit io_call */
enum { WAIT_TX, WAIT_RX };					  /* unit direction */
enum { WAIT_BEGIN = 1, WAIT_END };				  /* unit io_edge */

/* Protocol 6 alone may be a raw socket, or netlink's NETLINK_XFRM. */
static __always_inline bool is_stream(struct sock *sk)
{
	return is_tcp(sk) && sk->sk_type == SOCK_STREAM;
}

/* sk of type MPTCP is no tcp_sock: the sequence numbers are those of its subflows. */
static __always_inline int sent(struct sock *sk, int ret, uint16_t call)
{
	struct ev_io_send *e;
	struct tcp_sock *tp;

	if (!is_stream(sk))
		return 0;
	tp = tcp_of(sk);
	if (!wants_call(TAPE_GROUP_io, sk, tp))
		return 0;
	e = RESERVE(bulk, io, io_send);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_task(&e->task);
	e->bytes = ret > 0 ? ret : 0;
	e->write_seq = tp ? tp->write_seq : 0;
	e->snd_una = tp ? tp->snd_una : 0;
	e->err = ret < 0 ? -ret : 0;
	e->call = call;
	SUBMIT(bulk, e);
	return 0;
}

static __always_inline int received(struct sock *sk, int ret, uint32_t flags, uint16_t call)
{
	struct ev_io_recv *e;
	struct tcp_sock *tp;

	if (!is_stream(sk))
		return 0;
	tp = tcp_of(sk);
	if (!wants_call(TAPE_GROUP_io, sk, tp))
		return 0;
	e = RESERVE(bulk, io, io_recv);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_task(&e->task);
	e->bytes = ret > 0 ? ret : 0;
	e->copied_seq = tp ? tp->copied_seq : 0;
	e->rcv_nxt = tp ? tp->rcv_nxt : 0;
	e->flags = flags;
	e->err = ret < 0 ? -ret : 0;
	e->call = call;
	e->state = sk->__sk_common.skc_state;
	SUBMIT(bulk, e);
	return 0;
}

/*
 * sock_sendmsg_nosec, sock_recvmsg_nosec, since 6.3, of all protocols: send, write, and since 6.5
 * sendfile and splice (splice_to_socket); NFS, io_uring and others in the kernel too. For a socket
 * with kTLS bytes are those before encryption.
 */
SEC("?tp_btf/sock_send_length")
int BPF_PROG(io_send__call, struct sock *sk, int ret)
{
	return sent(sk, ret, CALL_MSG);
}

SEC("?tp_btf/sock_recv_length")
int BPF_PROG(io_recv__call, struct sock *sk, int ret, int flags)
{
	return received(sk, ret, flags, CALL_MSG);
}

/* The same before 6.3, TCP only. Not tcp_cleanup_rbuf, which counts what MSG_PEEK saw, and
 * MSG_WAITALL twice. */
SEC("?fexit/tcp_sendmsg")
int BPF_PROG(io_send__msg, struct sock *sk, void *msg, unsigned long size, int ret)
{
	return sent(sk, ret, CALL_MSG);
}

SEC("?fexit/tcp_recvmsg")
int BPF_PROG(io_recv__5, struct sock *sk, void *msg, unsigned long len, int flags, int *addr_len,
	     int ret)
{
	return received(sk, ret, flags, CALL_MSG);
}

SEC("?fexit/tcp_recvmsg") /* 5.10 */
int BPF_PROG(io_recv__6, struct sock *sk, void *msg, unsigned long len, int nonblock, int flags,
	     int *addr_len, int ret)
{
	return received(sk, ret, flags, CALL_MSG);
}

/* sendfile and splice, before 6.5: a page a call. */
SEC("?fexit/tcp_sendpage")
int BPF_PROG(io_send__page, struct sock *sk, void *page, int offset, unsigned long size, int flags,
	     int ret)
{
	return sent(sk, ret, CALL_SENDPAGE);
}

/* splice out of a socket: no recvmsg on its way. */
SEC("?fexit/tcp_splice_read")
int BPF_PROG(io_recv__splice, struct socket *sock, void *ppos, void *pipe, unsigned long len,
	     unsigned int flags, long ret)
{
	return received(sock->sk, ret, 0, CALL_SPLICE);
}

/*
 * getsockopt(TCP_ZEROCOPY_RECEIVE): pages that were mapped, and bytes that were copied instead
 * (since 5.11, and in later releases of 5.10).
 */
static __always_inline int mapped(struct sock *sk, struct tcp_zerocopy_receive *zc, int ret)
{
	int copied = 0;

	if (bpf_core_field_exists(zc->copybuf_len))
		copied = zc->copybuf_len;
	if (ret >= 0)
		ret = zc->length + (copied > 0 ? copied : 0);
	return received(sk, ret, 0, CALL_ZEROCOPY);
}

SEC("?fexit/tcp_zerocopy_receive")
int BPF_PROG(io_recv__zerocopy_3, struct sock *sk, struct tcp_zerocopy_receive *zc, void *tss,
	     int ret)
{
	return mapped(sk, zc, ret);
}

SEC("?fexit/tcp_zerocopy_receive") /* 5.10 */
int BPF_PROG(io_recv__zerocopy_2, struct sock *sk, struct tcp_zerocopy_receive *zc, int ret)
{
	return mapped(sk, zc, ret);
}

static __always_inline int waits(struct sock *sk, uint16_t direction, uint16_t edge, int ret)
{
	struct ev_io_wait *e;
	struct tcp_sock *tp;

	if (!is_stream(sk))
		return 0;
	tp = tcp_of(sk);
	if (!wants_call(TAPE_GROUP_io, sk, tp))
		return 0;
	e = RESERVE(bulk, io, io_wait);
	if (!e)
		return 0;
	fill_sock(&e->sock, sk, tp, cookie_of(sk));
	fill_task(&e->task);
	e->direction = direction;
	e->edge = edge;
	e->err = ret < 0 ? -ret : 0;
	SUBMIT(bulk, e);
	return 0;
}

/* tcp_recvmsg_locked, __tcp_splice_read, mptcp_recvmsg find nothing to read and may sleep. */
SEC("?fentry/sk_wait_data")
int BPF_PROG(io_wait__rx, struct sock *sk)
{
	return waits(sk, WAIT_RX, WAIT_BEGIN, 0);
}

SEC("?fexit/sk_wait_data")
int BPF_PROG(io_wait__rx_end, struct sock *sk, void *timeo, void *skb, int woken)
{
	return waits(sk, WAIT_RX, WAIT_END, 0);
}

/* tcp_sendmsg_locked, do_tcp_sendpages find no room; called also if they may not sleep. */
SEC("?fentry/sk_stream_wait_memory")
int BPF_PROG(io_wait__tx, struct sock *sk)
{
	return waits(sk, WAIT_TX, WAIT_BEGIN, 0);
}

SEC("?fexit/sk_stream_wait_memory")
int BPF_PROG(io_wait__tx_end, struct sock *sk, void *timeo, int ret)
{
	return waits(sk, WAIT_TX, WAIT_END, ret);
}

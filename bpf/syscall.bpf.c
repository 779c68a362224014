/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Group conn without fexit: connect() and accept() as their caller sees them, from what is there
 * when the system call, or its kernel function, returns: the arguments in the thread's saved
 * registers, and the sockets behind its file descriptors. Of io_uring, which makes no such call,
 * nothing is seen. Nothing has a type here, so all is read by helper.
 */
#include "files.h"

enum {
	EINTR = 4,
	EBADF = 9,
	EACCES = 13,
	EFAULT = 14,
	ENONET = 64,
	EPROTO = 71,
	ENOTSOCK = 88,
	EMSGSIZE = 90,
	ENOPROTOOPT = 92,
	EOPNOTSUPP = 95,
	ENETUNREACH = 101,
	ECONNABORTED = 103,
	ECONNRESET = 104,
	EISCONN = 106,
	ETIMEDOUT = 110,
	ECONNREFUSED = 111,
	EHOSTDOWN = 112,
	EHOSTUNREACH = 113,
	EALREADY = 114,
	EINPROGRESS = 115,
	ERESTARTSYS = 512, /* and more of that kind: not seen by programs */
};

/* The system call's own registers, as the thread brought them into the kernel. */
static __always_inline struct pt_regs *call_regs(void)
{
	return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

/* What a probe can know of a cookie is whether somebody has asked for it. */
static __always_inline void fill_sock_untyped(struct ev_sock *s, struct sock *sk)
{
	fill_sock_probed(s, sk, (struct tcp_sock *)sk,
			 BPF_CORE_READ(sk, __sk_common.skc_cookie.counter));
}

static __always_inline void record_accept(struct sock *listener, struct sock *child)
{
	struct ev_tcp_accept *e;

	if (!conn_is_recorded ||
	    !wants_sock_probed(TAPE_GROUP_conn, child, (struct tcp_sock *)child))
		return;
	e = RESERVE(control, conn, tcp_accept);
	if (!e)
		return;
	fill_sock_untyped(&e->sock, child);
	fill_task(&e->task);
	e->backlog = BPF_CORE_READ(listener, sk_ack_backlog);
	e->max_backlog = BPF_CORE_READ(listener, sk_max_ack_backlog);
	SUBMIT(control, e);
}

/* fd: what accept() has returned. The rest is as in accepted(), of conn.bpf.c. */
static __always_inline int accept_returned(int64_t fd)
{
	struct sock *listener, *child;
	bool mine;

	if (fd < 0)
		return 0;
	child = sock_of_fd(fd);
	listener = sock_of_fd((uint32_t)PT_REGS_PARM1_CORE_SYSCALL(call_regs()));
	if (!child || !listener)
		return 0;
	mine = !selecting || task_is_chosen();
	if (selecting && mine)
		take_in_probed(child, (struct tcp_sock *)child);
	record_accept(listener, child);
	if (!mine)
		let_go_probed(child, (struct tcp_sock *)child);
	return 0;
}

/* An answer, the wish to wait for one, or nothing that TCP has to do with. */
static __always_inline bool is_no_local_error(int64_t err)
{
	return err == EINPROGRESS || err == EALREADY || err == EISCONN || err == ECONNREFUSED ||
	       err == ECONNRESET || err == ECONNABORTED || err == ETIMEDOUT || err == EINTR ||
	       err == EBADF || err == ENOTSOCK || err == EFAULT || err >= ERESTARTSYS;
}

/* net/ipv4/icmp.c: icmp_err_convert; net/ipv6/icmp.c: tab_unreach, icmpv6_err_convert */
static __always_inline bool may_come_by_icmp(int64_t err)
{
	return err == EHOSTUNREACH || err == ENETUNREACH || err == EACCES || err == EPROTO ||
	       err == EHOSTDOWN || err == ENONET || err == EMSGSIZE || err == ENOPROTOOPT ||
	       err == EOPNOTSUPP;
}

/* Returns the port. */
static __always_inline uint16_t read_address(struct ev_addr *addr, const void *user)
{
	struct sockaddr_in6 to = {};

	__builtin_memset(addr, 0, sizeof(*addr));
	if (bpf_probe_read_user(&to, sizeof(struct sockaddr_in), user))
		return 0;
	if (to.sin6_family == AF_INET)
		map_v4(addr, ((struct sockaddr_in *)&to)->sin_addr);
	else if (to.sin6_family == AF_INET6 && !bpf_probe_read_user(&to, sizeof(to), user))
		__builtin_memcpy(addr->b, to.sin6_addr, sizeof(addr->b));
	return bpf_ntohs(to.sin6_port); /* at the same place in both */
}

/*
 * ret: what connect() has returned. A socket that has sent a SYN since it was made has chosen a
 * sequence number, which no disconnect clears: an error that an ICMP message may have brought is
 * taken as one, and told by the change of state.
 */
static __always_inline int connect_returned(int64_t ret)
{
	struct ev_addr to __attribute__((aligned(8)));
	struct ev_connect_error *e;
	struct pt_regs *regs;
	struct tcp_sock *tp;
	struct sock *sk;
	uint16_t port;

	if (ret >= 0 || is_no_local_error(-ret))
		return 0;
	regs = call_regs();
	sk = sock_of_fd((uint32_t)PT_REGS_PARM1_CORE_SYSCALL(regs));
	tp = (struct tcp_sock *)sk;
	if (!sk || (may_come_by_icmp(-ret) && BPF_CORE_READ(tp, write_seq)))
		return 0;
	port = read_address(&to, (const void *)PT_REGS_PARM2_CORE_SYSCALL(regs));
	if (!wants_asked_probed(TAPE_GROUP_conn, sk, tp, &to, port))
		return 0;
	e = RESERVE(control, conn, connect_error);
	if (!e)
		return 0;
	fill_sock_untyped(&e->sock, sk);
	fill_task(&e->task);
	copy_addr(&e->daddr, &to);
	e->dport = port;
	e->err = -ret;
	e->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	SUBMIT(control, e);
	return 0;
}

/* accept and accept4 end here, in the calling thread. */
SEC("?kretprobe/__sys_accept4")
int BPF_KRETPROBE(tcp_accept__kretprobe, int ret)
{
	return accept_returned(ret);
}

SEC("?kretprobe/__sys_connect")
int BPF_KRETPROBE(connect_error__kretprobe, int ret)
{
	return connect_returned(ret);
}

/* The way back of these system calls. As long as one is attached, all of the machine take it. */
SEC("?tracepoint/syscalls/sys_exit_accept")
int tcp_accept__exit(struct sys_exit_ctx *ctx)
{
	return accept_returned(ctx->ret);
}

SEC("?tracepoint/syscalls/sys_exit_accept4")
int tcp_accept__exit4(struct sys_exit_ctx *ctx)
{
	return accept_returned(ctx->ret);
}

SEC("?tracepoint/syscalls/sys_exit_connect")
int connect_error__exit(struct sys_exit_ctx *ctx)
{
	return connect_returned(ctx->ret);
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The sockets that exist: walked by the recorder, once in each network namespace; and who has them.
 */
#include "facts.h"
#include "owner.h"

/* Number of the socket's inode, as in /proc/PID/fd; 0 if no process holds it. */
static __always_inline uint64_t inode_of(struct sock *sk)
{
	struct socket_alloc *alloc = (struct socket_alloc *)sk->sk_socket; /* its first member */

	return alloc ? BPF_CORE_READ(alloc, vfs_inode.i_ino) : 0;
}

/* Called for each socket, then once with NULL. Its task is known by the walk below. */
SEC("?iter/tcp")
int snap_sock(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct ev_snap_sock e = {};
	struct tcp_sock *tp;
	struct sock *sk;
	uint64_t inode;

	if (!skc || skc->skc_state == TCP_TIME_WAIT || skc->skc_state == TCP_NEW_SYN_RECV)
		return 0; /* not full sockets */
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp)
		return 0;
	sk = &tp->inet_conn.icsk_inet.sk;
	inode = inode_of(sk);
	if (selecting && *(volatile bool *)&select_seeding && bpf_map_lookup_elem(&old, &inode))
		take_in(sk, tp);
	if (!wants_sock(TAPE_GROUP_conn, sk, tp))
		return 0;
	e.head.ts_ns = bpf_ktime_get_ns();
	e.head.cpu = bpf_get_smp_processor_id();
	e.head.type = EV_snap_sock;
	e.head.size = sizeof(e);
	fill_sock(&e.sock, sk, tp, cookie_of(skc));
	e.inode = inode;
	e.bytes_acked = tp->bytes_acked;
	e.bytes_received = tp->bytes_received;
	e.total_retrans = tp->total_retrans;
	e.backlog = sk->sk_ack_backlog;
	e.max_backlog = sk->sk_max_ack_backlog;
	e.err = sk->sk_err;
	e.state = sk->__sk_common.skc_state;
	e.ca_state = BPF_CORE_READ_BITFIELD(tp, inet_conn.icsk_ca_state);
	FILL_FACTS(&e, sk, tp);
	bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	return 0;
}

/*
 * Called for each open file of each task (of those that share a table of files, one), then once
 * with NULL. A file that O_PATH opened has no private_data; an inode of this kind that has is a
 * socket.
 */
SEC("?iter/task_file")
int snap_owner(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct tape_owner e = {};
	struct socket *socket;
	struct sock *sk;

	if (!task || !file || (file->f_inode->i_mode & S_IFMT) != S_IFSOCK)
		return 0;
	socket = file->private_data;
	sk = socket ? BPF_CORE_READ(socket, sk) : NULL;
	if (!sk || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	e.inode = file->f_inode->i_ino;
	e.cgroup = task->cgroups->dfl_cgrp->kn->id;
	e.pid = task->tgid;
	copy_comm(&e.comm, task->group_leader->comm);
	bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	return 0;
}

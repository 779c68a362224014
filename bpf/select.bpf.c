/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a selection by owner (select.h) must see beside the hooks of group conn: processes, and the
 * ends of connections that are about to be opened. Loaded only if there is a selection.
 */
#include "files.h"

#define MAX_FDS 256

/* The parent runs. Of its threads, too: those have its number already. */
SEC("?tp_btf/sched_process_fork")
int BPF_PROG(select_fork, struct task_struct *parent, struct task_struct *child)
{
	uint32_t from = parent->tgid, to = child->tgid;

	if (from != to && bpf_map_lookup_elem(&chosen_pids, &from))
		choose_pid(to);
	return 0;
}

/* do_exit: its last thread ends. Its sockets are closed afterwards, and known without it. */
SEC("?tp_btf/sched_process_exit")
int BPF_PROG(select_exit, struct task_struct *task)
{
	uint32_t pid = task->tgid;

	if (!task->signal->live.counter)
		bpf_map_delete_elem(&chosen_pids, &pid);
	return 0;
}

/* A global function: it is verified by itself, once and not for each descriptor. */
__noinline int take_in_fd(uint32_t fd)
{
	struct sock *sk = sock_of_fd(fd);

	if (sk)
		take_in_probed(sk, (struct tcp_sock *)sk);
	return 0;
}

/*
 * exec_binprm: the thread has its new name, and may be in another cgroup than when it was forked:
 * so what it has inherited is looked at, as the listeners that systemd opens for a service.
 */
SEC("?tp_btf/sched_process_exec")
int BPF_PROG(select_exec, struct task_struct *task)
{
	if (!task_is_chosen())
		return 0;
	for (uint32_t fd = 0; fd < MAX_FDS; fd++)
		take_in_fd(fd);
	return 0;
}

/*
 * A connect whose port is chosen: from now on its packets can be known. The change to SYN_SENT was
 * before that. Without these hooks they are known from ESTABLISHED on.
 */
SEC("?fentry/tcp_connect")
int BPF_PROG(select_start__fentry, struct sock *sk)
{
	if (is_chosen(sk))
		enter(sk, tcp_of(sk), TCP_SYN_SENT);
	return 0;
}

SEC("?kprobe/tcp_connect")
int BPF_KPROBE(select_start__kprobe, struct sock *sk)
{
	if (is_chosen(sk))
		enter_probed(sk, (struct tcp_sock *)sk, TCP_SYN_SENT);
	return 0;
}

/* __dev_queue_xmit: the SYN itself, among all packets of the machine. */
SEC("?tp_btf/net_dev_queue")
int BPF_PROG(select_start__queue, struct sk_buff *skb)
{
	struct sock *sk = skb->sk;
	struct tcp_sock *tp;

	if (!sk || sk->__sk_common.skc_state != TCP_SYN_SENT || !is_full_tcp(sk) || !is_chosen(sk))
		return 0;
	tp = tcp_of(sk);
	enter(sk, tp, TCP_SYN_SENT);
	return 0;
}

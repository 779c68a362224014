/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The sockets behind the file descriptors of a thread. Nothing has a type there, so all is read by
 * helper. */
#ifndef TAPE_FILES_H
#define TAPE_FILES_H

#include "probe.h"

/* The TCP socket behind a file descriptor of this process, NULL if it is none. */
static __always_inline struct sock *sock_of_fd(uint64_t fd)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file *file = NULL;
	struct socket *socket;
	struct sock *sk;
	uint16_t family;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if ((family != AF_INET && family != AF_INET6) ||
	    BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP ||
	    BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
		return NULL;
	return sk;
}

#endif

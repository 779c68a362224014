/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this kernel offers to probes: its BTF, and which kinds of program it accepts, found out by
 * loading tiny ones. Owns the BTF.
 */
#ifndef REC_KERNEL_H
#define REC_KERNEL_H

#include <stdbool.h>

#include "fail.h"

struct btf;

/*
 * REC_ITER: a BPF iterator that the sampler reads; REC_SAMPLE: a file or the like that it reads.
 * REC_TRACEPOINT: one that BTF does not know, of system calls; only with --syscalls, as these cost
 * every system call of the machine something.
 * REC_NETFILTER, REC_CGROUP_SKB: programs in the data path, which let every packet pass.
 */
enum rec_method {
	REC_TP_BTF,
	REC_FEXIT,
	REC_KPROBE,
	REC_FENTRY,
	REC_ITER,
	REC_SAMPLE,
	REC_KRETPROBE,
	REC_TRACEPOINT,
	REC_NETFILTER,
	REC_CGROUP_SKB,
	REC_N_METHODS
};

struct rec_kernel {
	struct btf *btf;
	bool tried;	    /* false: no privilege to load programs, so only BTF is known */
	bool has_cookies;   /* bpf_get_socket_cookie in tracing programs: since Linux 5.12 */
	char no_stacks[96]; /* why tracing programs cannot have call stacks; "" they can */
	char refused[REC_N_METHODS][96]; /* why a method cannot work; "" it can */
};

/* -1 if there is no BTF, or TCPTAPE_REFUSE is wrong. Without privilege `tried` stays false. */
int rec_kernel_open(struct rec_kernel *k, struct rec_error *err);
void rec_kernel_close(struct rec_kernel *k);

/* As --list names it: "tp_btf", "fexit" ... */
const char *rec_method_name(enum rec_method m);

/*
 * Arguments of a kernel function or, for REC_TP_BTF, of a tracepoint; -1 if the kernel (or the
 * module btf knows about) has none of that name that could be traced. Only for
 * those of a function or tracepoint.
 */
int rec_kernel_n_args(const struct rec_kernel *k, enum rec_method m, const char *target);

#endif

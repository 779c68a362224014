/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"
#include "memlock.h"

const char *rec_method_name(enum rec_method m)
{
	static const char *const names[REC_N_METHODS] = {
		"tp_btf", "fexit",     "kprobe",     "fentry",	  "iter",
		"sample", "kretprobe", "tracepoint", "netfilter", "cgroup_skb",
	};

	return names[m];
}

static int target_id(const struct rec_kernel *k, enum rec_method m, const char *target)
{
	char name[96];

	if (m != REC_TP_BTF)
		return btf__find_by_name_kind(k->btf, target, BTF_KIND_FUNC);
	snprintf(name, sizeof(name), "btf_trace_%s", target);
	return btf__find_by_name_kind(k->btf, name, BTF_KIND_TYPEDEF);
}

int rec_kernel_n_args(const struct rec_kernel *k, enum rec_method m, const char *target)
{
	int id = target_id(k, m, target);
	const struct btf_type *t;

	if (id < 0)
		return -1;
	t = btf__type_by_id(k->btf, btf__type_by_id(k->btf, id)->type);
	if (m != REC_TP_BTF)
		return btf_vlen(t);
	/* typedef -> pointer -> prototype, whose first argument is the tracepoint's data */
	t = btf__type_by_id(k->btf, t->type);
	return btf_vlen(t) - 1;
}

static const struct bpf_insn nothing[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	{.code = BPF_JMP | BPF_EXIT},
};

/* bpf_get_socket_cookie(first argument) */
static const struct bpf_insn cookie[] = {
	{.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_1},
	{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_socket_cookie},
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	{.code = BPF_JMP | BPF_EXIT},
};

/* bpf_get_stack(ctx, 8 bytes of its own stack, 8, 0) */
static const struct bpf_insn stack[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_10},
	{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_2, .imm = -8},
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = 8},
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4},
	{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_stack},
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	{.code = BPF_JMP | BPF_EXIT},
};

#define N_INSNS(program) (sizeof(program) / sizeof(*(program)))

/* 0 if a tiny program loads there, else -errno. */
static int try_load(const struct rec_kernel *k, enum rec_method m, const char *target,
		    const struct bpf_insn *insns, size_t n_insns)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	int id = target_id(k, m, target), fd;

	if (id < 0)
		return -ENOENT;
	opts.expected_attach_type = m == REC_TP_BTF ? BPF_TRACE_RAW_TP : BPF_TRACE_FEXIT;
	opts.attach_btf_id = (unsigned)id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "tcptape_try", "Dual BSD/GPL", insns, n_insns,
			   &opts);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static bool kprobes_exist(void)
{
	return !access("/sys/bus/event_source/devices/kprobe/type", R_OK) ||
	       !access("/sys/kernel/tracing/kprobe_events", W_OK) ||
	       !access("/sys/kernel/debug/tracing/kprobe_events", W_OK);
}

/* -1 if it is not the kernel that refuses, but we that have run out of something. */
static int try_methods(struct rec_kernel *k, struct rec_error *err)
{
	static const char state[] = "inet_sock_set_state";
	int tp = try_load(k, REC_TP_BTF, state, nothing, N_INSNS(nothing));
	int fexit = try_load(k, REC_FEXIT, "tcp_v4_connect", nothing, N_INSNS(nothing)), r;

	if (rec_fail_is_fatal(-tp) || rec_fail_is_fatal(-fexit))
		return rec_fail(err, "loading BPF programs: %s",
				strerror(rec_fail_is_fatal(-tp) ? -tp : -fexit));
	k->tried = tp != -EPERM && tp != -EACCES;
	k->has_cookies = !try_load(k, REC_TP_BTF, state, cookie, N_INSNS(cookie));
	r = try_load(k, REC_TP_BTF, state, stack, N_INSNS(stack));
	if (r < 0)
		snprintf(k->no_stacks, sizeof(k->no_stacks),
			 "this kernel gives tracing programs no call stacks (%s)", strerror(-r));
	if (k->tried && tp < 0)
		snprintf(k->refused[REC_TP_BTF], sizeof(k->refused[0]),
			 "this kernel refuses BTF tracepoint programs (%s)", strerror(-tp));
	if (k->tried && fexit < 0)
		snprintf(k->refused[REC_FEXIT], sizeof(k->refused[0]),
			 "this kernel refuses fexit programs (%s)", strerror(-fexit));
	if (k->tried && fexit < 0) /* the same trampoline */
		snprintf(k->refused[REC_FENTRY], sizeof(k->refused[0]),
			 "this kernel refuses fentry programs (%s)", strerror(-fexit));
	if (btf__find_by_name_kind(k->btf, "bpf_nf_ctx", BTF_KIND_STRUCT) < 0)
		snprintf(k->refused[REC_NETFILTER], sizeof(k->refused[0]),
			 "netfilter takes BPF programs since Linux 6.4");
	/* what rx__tcp_cgroup needs of them */
	if (btf__find_by_name_kind(k->btf, "bpf_cast_to_kern_ctx", BTF_KIND_FUNC) < 0)
		snprintf(k->refused[REC_CGROUP_SKB], sizeof(k->refused[0]),
			 "cgroup_skb programs can look into packets since Linux 6.2");
	if (!kprobes_exist()) {
		snprintf(k->refused[REC_KPROBE], sizeof(k->refused[0]),
			 "this kernel has no kprobes");
		snprintf(k->refused[REC_KRETPROBE], sizeof(k->refused[0]),
			 "this kernel has no kprobes");
	}
	return 0;
}

static bool is_word(const char *at, size_t len, const char *word)
{
	return strlen(word) == len && !strncmp(at, word, len);
}

/* For tests (CONTRIBUTING.md): a list of methods to go without, as on a kernel that refuses them.
 */
static int refuse_by_environment(struct rec_kernel *k, struct rec_error *err)
{
	const char *at = getenv("TCPTAPE_REFUSE");

	for (; at && *at; at += *at == ',') {
		size_t len = strcspn(at, ",");
		bool any = false;

		for (int m = 0; m < REC_N_METHODS; m++) {
			if (!is_word(at, len, rec_method_name(m)) && !is_word(at, len, "all"))
				continue;
			any = true;
			snprintf(k->refused[m], sizeof(k->refused[m]),
				 "%s refused by TCPTAPE_REFUSE", rec_method_name(m));
		}
		if (!any)
			return rec_fail(err, "TCPTAPE_REFUSE: there is no method '%.*s'", (int)len,
					at);
		at += len;
	}
	return 0;
}

int rec_kernel_open(struct rec_kernel *k, struct rec_error *err)
{
	struct rec_memlock limit;
	int r;

	*k = (struct rec_kernel){0};
	libbpf_set_print(NULL); /* what it would say, we say */
	k->btf = btf__load_vmlinux_btf();
	if (!k->btf && rec_fail_is_fatal(errno))
		return rec_fail(err, "reading /sys/kernel/btf/vmlinux: %s", strerror(errno));
	if (!k->btf)
		return rec_fail(err,
				"this kernel gives no type information in "
				"/sys/kernel/btf/vmlinux (%s): tcptape-record needs Linux 5.10 "
				"or later with CONFIG_DEBUG_INFO_BTF",
				strerror(errno));
	limit = rec_memlock_raise();
	r = try_methods(k, err);
	rec_memlock_restore(&limit);
	if (r < 0 || refuse_by_environment(k, err) < 0) {
		rec_kernel_close(k);
		return -1;
	}
	return 0;
}

void rec_kernel_close(struct rec_kernel *k)
{
	btf__free(k->btf);
	k->btf = NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the probes know of the kernel: only the members they read, by name. libbpf finds the real
 * offsets in the BTF of the running kernel when the programs are loaded (CO-RE), so neither order
 * nor size here matters, and nothing here is generated. Included by BPF programs only.
 */
#ifndef TAPE_KERNEL_H
#define TAPE_KERNEL_H

typedef unsigned char __u8, uint8_t;
typedef unsigned short __u16, uint16_t, __be16;
typedef unsigned int __u32, uint32_t, __be32, __wsum;
typedef unsigned long long __u64, uint64_t, __be64;
typedef signed char __s8, int8_t;
typedef short __s16, int16_t;
typedef int __s32, int32_t;
typedef long long __s64, int64_t;
typedef _Bool bool;

enum { false, true };

#define NULL ((void *)0)

#define TAPE_BPF
#include "../format/events.h"

/* include/uapi/linux/bpf.h */
#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_HASH 5
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_CGROUP_ARRAY 8
#define BPF_MAP_TYPE_LRU_HASH 9
#define BPF_MAP_TYPE_ARRAY_OF_MAPS 12
#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_MAP_TYPE_RINGBUF 27
#define BPF_F_NO_PREALLOC 1
#define BPF_F_MMAPABLE (1u << 10)
#define BPF_RB_NO_WAKEUP 1
#define BPF_RB_FORCE_WAKEUP 2
#define BPF_RB_AVAIL_DATA 0

/* include/net/tcp_states.h, include/linux/socket.h, include/uapi/linux/in.h */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_LISTEN = 10,
	TCP_NEW_SYN_RECV = 12
};
enum { AF_INET = 2, AF_INET6 = 10 };
enum { ETH_P_IP = 0x0800, ETH_P_8021Q = 0x8100, ETH_P_IPV6 = 0x86dd, ETH_P_8021AD = 0x88a8 };
enum { SOCK_STREAM = 1 };
enum { S_IFMT = 0170000, S_IFSOCK = 0140000 };			/* include/uapi/linux/stat.h */
enum { PACKET_OUTGOING = 4 };					/* include/uapi/linux/if_packet.h */
enum { TCP_FLAG_FIN = 1, TCP_FLAG_SYN = 2, TCP_FLAG_ACK = 16 }; /* TCPHDR_*, include/net/tcp.h */
enum { TCPCB_EVER_RETRANS = 0x80 };				/* sacked, include/net/tcp.h */
enum { IPPROTO_TCP = 6, IPPROTO_MPTCP = 262 };
enum { SOCK_DONE = 1 }; /* enum sock_flags, include/net/sock.h: bit number in sk_flags */

#define __VMLINUX_H__ /* bpf_tracing.h: take the kernel's names of registers */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di, si, dx, cx, r8, r9, sp, bp, ax, ip;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31], sp, pc, pstate;
};
#endif

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct netns_ipv4 {
	int sysctl_tcp_limit_output_bytes;
};

struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

typedef struct {
	long long counter;
} atomic64_t;

typedef struct {
	int counter;
} atomic_t;

typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	int owned;
} socket_lock_t;

struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
	unsigned long skc_flags;
};

struct socket;

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	__u32 sk_ack_backlog, sk_max_ack_backlog;
	atomic_t sk_drops;
	int sk_err, sk_err_soft;
	__u8 sk_shutdown;
	int sk_sndbuf, sk_rcvbuf, sk_wmem_queued;
	refcount_t sk_wmem_alloc;
	unsigned long sk_pacing_rate, sk_tsq_flags;
	__u32 sk_pacing_status; /* enum sk_pacing */
	__u8 sk_pacing_shift;
	__u8 sk_userlocks : 4;
	__u16 sk_protocol, sk_type;
	kuid_t sk_uid;
	struct socket *sk_socket;
};

struct socket {
	struct sock *sk;
};

struct inet_sock {
	struct sock sk;
	__be16 inet_sport;
};

struct request_sock_queue {
	atomic_t qlen, young;
};

struct tcp_congestion_ops {
	char name[16]; /* TCP_CA_NAME_MAX, NUL-padded */
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	__u32 icsk_rto, icsk_pmtu_cookie;
	const struct tcp_congestion_ops *icsk_ca_ops;
	struct {
		__u16 rcv_mss;
	} icsk_ack;
	struct {
		__u32 enabled : 1;
	} icsk_mtup;
	struct request_sock_queue icsk_accept_queue;
	__u8 icsk_ca_state : 5;
	__u8 icsk_retransmits, icsk_pending;
};

struct minmax_sample {
	__u32 t, v;
};

struct minmax {
	struct minmax_sample s[3];
};

struct tcp_rack {
	__u32 rtt_us;
};

struct tcp_options_received {
	__u32 rcv_tsecr;
	__u16 saw_tstamp : 1, tstamp_ok : 1, wscale_ok : 1, sack_ok : 3;
	__u16 snd_wscale : 4, rcv_wscale : 4;
	__u16 user_mss, mss_clamp;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	struct tcp_options_received rx_opt;
	struct tcp_rack rack;
	struct minmax rtt_min;
	__u32 srtt_us, mdev_us, rttvar_us;
	__u32 snd_una, snd_nxt, snd_cwnd, snd_ssthresh, mss_cache;
	__u32 write_seq, tlp_high_seq, rcv_nxt, copied_seq;
	__u64 tcp_wstamp_ns, tcp_clock_cache;
	__u32 packets_out, sacked_out, lost_out, retrans_out;
	__u32 delivered, lost, total_retrans;
	__u64 bytes_sent, bytes_acked, bytes_received, bytes_retrans;
	__u32 segs_out, segs_in, data_segs_out, data_segs_in;
	__u32 snd_wnd;
	__u16 advmss;
	__u8 ecn_flags, nonagle : 4;
	__u8 chrono_type : 2;
	__u8 syn_data : 1, syn_data_acked : 1;
	__u8 tcp_usec_ts : 1; /* since 6.7 */
};

struct net_device {
	int ifindex;
	possible_net_t nd_net;
};

struct dst_entry {
	struct net_device *dev;
};

struct sk_buff {
	char cb[48];
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	unsigned int len, tail, truesize;
	int skb_iif;
	__u32 mark;
	__be16 protocol, vlan_proto;
	__u16 vlan_tci;
	__u8 vlan_present : 1, cloned : 1, pkt_type : 3;
	__u16 network_header, transport_header, queue_mapping, mac_header;
	__u64 skb_mstamp_ns;
	unsigned int end; /* an offset from head on 64-bit machines */
	unsigned char *head, *data;
};

struct new_utsname {
	char sysname[65];
};

struct nf_hook_state {
	struct net_device *in, *out;
};

/* Argument of netfilter programs. */
struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};

struct napi_gro_cb {
	void *frag0;
	unsigned int frag0_len;
};

struct skb_shared_info {
	unsigned short gso_size, gso_segs;
};

struct tcp_skb_cb {
	__u32 seq, end_seq, ack_seq;
	__u16 tcp_gso_segs;
	__u16 tcp_flags; /* 1 byte until 6.16 */
	__u8 sacked;
};

struct iov_iter {
	unsigned long count;
};

struct msghdr {
	struct iov_iter msg_iter;
};

struct request_sock {
	struct sock_common __req_common;
	__u16 mss;
	__u8 num_retrans;
	__u8 num_timeout : 7;
};

struct tcp_request_sock {
	__u32 snt_isn;
};

struct rate_sample {
	long rtt_us;
};

struct proto_accept_arg;

struct tcp_zerocopy_receive { /* include/uapi/linux/tcp.h */
	__u32 length;
	__s32 copybuf_len;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct signal_struct {
	atomic_t live; /* threads */
};

struct task_struct {
	int pid, tgid;
	char comm[16];
	struct css_set *cgroups;
	struct files_struct *files;
	struct task_struct *group_leader;
	struct signal_struct *signal;
};

struct inode {
	unsigned long i_ino;
	__u16 i_mode;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct socket_alloc {
	struct inode vfs_inode;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct file *file;
};

#pragma clang attribute pop

/* include/trace/syscall.h; as perf hands it to programs (kernel/trace/trace_syscalls.c). */
struct sys_exit_ctx {
	__u64 common;
	int nr;
	__s64 ret;
};

/* Argument of cgroup_skb programs, as much as is used of it; ABI too. */
struct __sk_buff {
	__u8 not_used[168];
	struct bpf_sock *sk;
};

/* connect()'s argument; part of the ABI, so it needs no CO-RE. */
struct sockaddr_in {
	__u16 sin_family;
	__be16 sin_port;
	__be32 sin_addr;
};

struct sockaddr_in6 {
	__u16 sin6_family;
	__be16 sin6_port;
	__be32 sin6_flowinfo;
	__u8 sin6_addr[16];
};

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probes.h"

/* clang-format off */
const struct rec_event rec_events[] = {
	{"tcp_state", TAPE_GROUP_conn, "all state changes: nearly everything about connections"},
	{"connect_error", TAPE_GROUP_conn,
		"connect() that fails before a SYN is sent (no route, no free port)"},
	{"tcp_accept", TAPE_GROUP_conn, "when accept() took a connection, and who did"},
	{"tcp_destroy", TAPE_GROUP_conn, "byte and segment totals of a connection"},
	{"tcp_facts", TAPE_GROUP_conn, "congestion control, MSS, options, path MTU of a connection"},
	{"rtt", TAPE_GROUP_rtt, "round-trip times"},
	{"retransmit", TAPE_GROUP_retrans, "segments sent again"},
	{"synack_retransmit", TAPE_GROUP_retrans, "SYN-ACKs sent again"},
	{"loss_probe", TAPE_GROUP_retrans,
		"tail loss probes that send new data (those that send a segment again are told)"},
	{"reset", TAPE_GROUP_reset, "RSTs sent and received"},
	{"drop", TAPE_GROUP_drop, "packets that the kernel drops, why and where"},
	{"bad_csum", TAPE_GROUP_drop, "segments that came in with a wrong checksum"},
	{"counter", TAPE_GROUP_counters, "the kernel's own counters"},
	{"listen_queue", TAPE_GROUP_listen, "queues of the listeners, sampled"},
	{"listen_child", TAPE_GROUP_listen,
		"a listener's queues at each new connection, and each overflow"},
	{"nic_queue", TAPE_GROUP_nic, "packets and bytes of each queue of an interface"},
	{"nic_stat", TAPE_GROUP_nic, "the counters of interfaces and their drivers"},
	{"rx", TAPE_GROUP_rx, "when received packets pass these layers"},
	{"rx_copy", TAPE_GROUP_rx, "when received bytes are copied to the application"},
	{"tx", TAPE_GROUP_tx, "when packets to be sent pass these layers"},
	{"tx_write", TAPE_GROUP_tx, "what the application hands to TCP, and when"},
	{"io_send", TAPE_GROUP_io, "what applications send: bytes, process"},
	{"io_recv", TAPE_GROUP_io,
		"what applications receive (partly: by splice and TCP_ZEROCOPY_RECEIVE only)"},
	{"io_wait", TAPE_GROUP_io, "how long a thread sleeps in a call that sends or receives"},
};

const struct rec_probe rec_probes[] = {
	{"tcp_state", "", REC_TP_BTF, "inet_sock_set_state", 3, "tcp_state"},
	{"connect_error", "/v4", REC_FEXIT, "tcp_v4_connect", 3, "connect_error__v4"},
	{"connect_error", "/v6", REC_FEXIT, "tcp_v6_connect", 3, "connect_error__v6"},
	{"connect_error", "", REC_KRETPROBE, "__sys_connect", 0, "connect_error__kretprobe"},
	{"connect_error", "", REC_TRACEPOINT, "syscalls/sys_exit_connect", 0,
		"connect_error__exit"},
	/* Linux 6.10 put three arguments into a struct; fexit's return value follows the arguments */
	{"tcp_accept", "", REC_FEXIT, "inet_csk_accept", 2, "tcp_accept__2"},
	{"tcp_accept", "", REC_FEXIT, "inet_csk_accept", 4, "tcp_accept__4"},
	{"tcp_accept", "", REC_KRETPROBE, "__sys_accept4", 0, "tcp_accept__kretprobe"},
	{"tcp_accept", "/accept4", REC_TRACEPOINT, "syscalls/sys_exit_accept4", 0,
		"tcp_accept__exit4"},
	{"tcp_accept", "/accept", REC_TRACEPOINT, "syscalls/sys_exit_accept", 0,
		"tcp_accept__exit"},
	{"tcp_destroy", "", REC_TP_BTF, "tcp_destroy_sock", 1, "tcp_destroy"},
	{"tcp_facts", "", REC_TP_BTF, "inet_sock_set_state", 3, "tcp_facts"},
	/* the return of the function: raw sample and the values it led to */
	{"rtt", "", REC_FEXIT, "tcp_ack_update_rtt", 6, "rtt__fexit"},
	/* its start: raw sample, values of the ACK before */
	{"rtt", "", REC_KPROBE, "tcp_ack_update_rtt", 6, "rtt__kprobe"},
	/* values of the ACK before, no sample */
	{"rtt", "", REC_TP_BTF, "tcp_probe", 2, "rtt__probe"},
	/* 6.18 fires it for failed tries too, and says so */
	{"retransmit", "", REC_TP_BTF, "tcp_retransmit_skb", 3, "retransmit__3"},
	{"retransmit", "", REC_TP_BTF, "tcp_retransmit_skb", 2, "retransmit__2"},
	{"synack_retransmit", "", REC_TP_BTF, "tcp_retransmit_synack", 2, "synack_retransmit"},
	{"loss_probe", "", REC_FENTRY, "tcp_send_loss_probe", 1, "loss_probe__fentry"},
	{"loss_probe", "", REC_KPROBE, "tcp_send_loss_probe", 1, "loss_probe__kprobe"},
	/* since 6.10 one tracepoint for all, with the reason; it missed RSTs without a socket before */
	{"reset", "sent", REC_TP_BTF, "tcp_send_reset", 3, "reset__3"},
	{"reset", "sent/v4", REC_FENTRY, "tcp_v4_send_reset", 2, "reset__v4"},
	{"reset", "sent/v6", REC_FENTRY, "tcp_v6_send_reset", 2, "reset__v6"},
	{"reset", "sent/active", REC_FENTRY, "tcp_send_active_reset", 0, "reset__active"},
	{"reset", "sent", REC_TP_BTF, "tcp_send_reset", 2, "reset__2"},
	{"reset", "received", REC_TP_BTF, "tcp_receive_reset", 1, "reset__received"},
	/* 5.17 added the reason, 6.11 the receiving socket */
	{"drop", "", REC_TP_BTF, "kfree_skb", 4, "drop__4"},
	{"drop", "", REC_TP_BTF, "kfree_skb", 3, "drop__3"},
	{"drop", "", REC_TP_BTF, "kfree_skb", 2, "drop__2"},
	{"bad_csum", "", REC_TP_BTF, "tcp_bad_csum", 1, "bad_csum"}, /* since 6.0 */
	{"counter", "", REC_SAMPLE, "/proc/net/netstat", 0, NULL},
	{"listen_queue", "", REC_ITER, "tcp", 0, "listen_queue"},
	/* since Linux 6.1 a seventh argument, which trampolines take since 6.6 */
	{"listen_child", "v4", REC_FENTRY, "tcp_v4_syn_recv_sock", 0, "listen_child__v4"},
	{"listen_child", "v4", REC_KPROBE, "tcp_v4_syn_recv_sock", 0, "listen_child__v4_kprobe"},
	{"listen_child", "v6", REC_FENTRY, "tcp_v6_syn_recv_sock", 0, "listen_child__v6"},
	{"listen_child", "v6", REC_KPROBE, "tcp_v6_syn_recv_sock", 0, "listen_child__v6_kprobe"},
	{"listen_child", "syn", REC_FENTRY, "tcp_conn_request", 4, "listen_child__syn"},
	{"listen_child", "syn", REC_KPROBE, "tcp_conn_request", 4, "listen_child__syn_kprobe"},
	{"nic_queue", "tx", REC_TP_BTF, "net_dev_start_xmit", 2, "nic_queue__tx"},
	{"nic_queue", "rx", REC_TP_BTF, "netif_receive_skb", 1, "nic_queue__rx"},
	{"nic_stat", "", REC_SAMPLE, "/proc/net/dev", 0, NULL},
	/* the ways by which a packet comes to the stack: each is taken by other drivers */
	{"rx", "driver/gro", REC_TP_BTF, "napi_gro_receive_entry", 1, "rx__driver_gro"},
	{"rx", "driver/frags", REC_TP_BTF, "napi_gro_frags_entry", 1, "rx__driver_frags"},
	{"rx", "driver/backlog", REC_TP_BTF, "netif_rx", 1, "rx__driver_backlog"},
	{"rx", "driver/one", REC_TP_BTF, "netif_receive_skb_entry", 1, "rx__driver_one"},
	{"rx", "driver/list", REC_TP_BTF, "netif_receive_skb_list_entry", 1, "rx__driver_list"},
	{"rx", "mac", REC_TP_BTF, "netif_receive_skb", 1, "rx__mac"},
	{"rx", "ip/v4", REC_FENTRY, "ip_rcv_core", 2, "rx__ip_v4"},
	{"rx", "ip/v4", REC_KPROBE, "ip_rcv_core", 2, "rx__ip_v4_kprobe"},
	{"rx", "ip/v4", REC_NETFILTER, "ipv4/pre_routing", 0, "rx__ip_v4_nf"},
	{"rx", "ip/v6", REC_FENTRY, "ip6_rcv_core", 3, "rx__ip_v6"},
	{"rx", "ip/v6", REC_KPROBE, "ip6_rcv_core", 3, "rx__ip_v6_kprobe"},
	{"rx", "ip/v6", REC_NETFILTER, "ipv6/pre_routing", 0, "rx__ip_v6_nf"},
	{"rx", "deliver/v4", REC_FENTRY, "ip_local_deliver", 1, "rx__deliver_v4"},
	{"rx", "deliver/v4", REC_KPROBE, "ip_local_deliver", 1, "rx__deliver_v4_kprobe"},
	{"rx", "deliver/v4", REC_NETFILTER, "ipv4/local_in", 0, "rx__deliver_v4_nf"},
	{"rx", "deliver/v6", REC_FENTRY, "ip6_input", 1, "rx__deliver_v6"},
	{"rx", "deliver/v6", REC_KPROBE, "ip6_input", 1, "rx__deliver_v6_kprobe"},
	{"rx", "deliver/v6", REC_NETFILTER, "ipv6/local_in", 0, "rx__deliver_v6_nf"},
	{"rx", "tcp/v4", REC_FENTRY, "tcp_v4_rcv", 1, "rx__tcp_v4"},
	{"rx", "tcp/v4", REC_KPROBE, "tcp_v4_rcv", 1, "rx__tcp_v4_kprobe"},
	{"rx", "tcp/v6", REC_FENTRY, "tcp_v6_rcv", 1, "rx__tcp_v6"},
	{"rx", "tcp/v6", REC_KPROBE, "tcp_v6_rcv", 1, "rx__tcp_v6_kprobe"},
	/* after the socket was found, so only what has one */
	{"rx", "tcp", REC_CGROUP_SKB, "ingress", 0, "rx__tcp_cgroup"},
	/* a third argument from 5.17 to 7.1 */
	{"rx", "backlog", REC_FENTRY, "tcp_add_backlog", 0, "rx__backlog"},
	{"rx", "backlog", REC_KPROBE, "tcp_add_backlog", 0, "rx__backlog_kprobe"},
	{"rx", "established", REC_TP_BTF, "tcp_probe", 2, "rx__established"},
	{"rx", "queue", REC_FENTRY, "tcp_queue_rcv", 3, "rx__queue"},
	{"rx", "queue", REC_KPROBE, "tcp_queue_rcv", 3, "rx__queue_kprobe"},
	{"rx", "queue", REC_TP_BTF, "sk_data_ready", 1, "rx__queue_ready"}, /* no packet */
	{"rx", "done", REC_FEXIT, "tcp_rcv_established", 2, "rx__done"},
	{"rx_copy", "", REC_TP_BTF, "skb_copy_datagram_iovec", 2, "rx_copy"},
	{"tx", "tcp", REC_FENTRY, "__tcp_transmit_skb", 5, "tx__tcp"},
	{"tx", "tcp", REC_KPROBE, "__tcp_transmit_skb", 5, "tx__tcp_kprobe"},
	{"tx", "ip/v4", REC_FENTRY, "__ip_queue_xmit", 4, "tx__ip_v4"},
	{"tx", "ip/v4", REC_KPROBE, "__ip_queue_xmit", 4, "tx__ip_v4_kprobe"},
	{"tx", "ip/v4", REC_NETFILTER, "ipv4/local_out", 0, "tx__ip_v4_nf"},
	{"tx", "ip/v6", REC_FENTRY, "inet6_csk_xmit", 3, "tx__ip_v6"},
	{"tx", "ip/v6", REC_KPROBE, "inet6_csk_xmit", 3, "tx__ip_v6_kprobe"},
	{"tx", "ip/v6", REC_NETFILTER, "ipv6/local_out", 0, "tx__ip_v6_nf"},
	{"tx", "output/v4", REC_FENTRY, "ip_finish_output2", 3, "tx__output_v4"},
	{"tx", "output/v4", REC_KPROBE, "ip_finish_output2", 3, "tx__output_v4_kprobe"},
	{"tx", "output/v4", REC_NETFILTER, "ipv4/post_routing", 0, "tx__output_v4_nf"},
	{"tx", "output/v6", REC_FENTRY, "ip6_finish_output2", 3, "tx__output_v6"},
	{"tx", "output/v6", REC_KPROBE, "ip6_finish_output2", 3, "tx__output_v6_kprobe"},
	{"tx", "output/v6", REC_NETFILTER, "ipv6/post_routing", 0, "tx__output_v6_nf"},
	{"tx", "qdisc", REC_TP_BTF, "net_dev_queue", 1, "tx__qdisc"},
	{"tx", "driver", REC_TP_BTF, "net_dev_start_xmit", 2, "tx__driver"},
	{"tx", "sent", REC_TP_BTF, "net_dev_xmit", 4, "tx__sent"},
	{"tx", "complete", REC_TP_BTF, "consume_skb", 0, "tx__complete"},
	{"tx_write", "", REC_FENTRY, "tcp_sendmsg", 3, "tx_write__fentry"},
	{"tx_write", "", REC_KPROBE, "tcp_sendmsg", 3, "tx_write__kprobe"},
	/* once for each buffer that a call fills */
	{"tx_write", "", REC_TP_BTF, "tcp_sendmsg_locked", 4, "tx_write__locked"},
	/* since 6.3 a tracepoint for all; tcp_sendpage ended with 6.5 */
	{"io_send", "call", REC_TP_BTF, "sock_send_length", 3, "io_send__call"},
	{"io_send", "call/msg", REC_FEXIT, "tcp_sendmsg", 3, "io_send__msg"},
	{"io_send", "call/page", REC_FEXIT, "tcp_sendpage", 5, "io_send__page"},
	{"io_recv", "call", REC_TP_BTF, "sock_recv_length", 3, "io_recv__call"},
	{"io_recv", "call", REC_FEXIT, "tcp_recvmsg", 5, "io_recv__5"},
	{"io_recv", "call", REC_FEXIT, "tcp_recvmsg", 6, "io_recv__6"},
	{"io_recv", "splice", REC_FEXIT, "tcp_splice_read", 5, "io_recv__splice"},
	{"io_recv", "zerocopy", REC_FEXIT, "tcp_zerocopy_receive", 3, "io_recv__zerocopy_3"},
	{"io_recv", "zerocopy", REC_FEXIT, "tcp_zerocopy_receive", 2, "io_recv__zerocopy_2"},
	/* ends are attached first: no begin without its end */
	{"io_wait", "rx-end", REC_FEXIT, "sk_wait_data", 3, "io_wait__rx_end"},
	{"io_wait", "tx-end", REC_FEXIT, "sk_stream_wait_memory", 2, "io_wait__tx_end"},
	{"io_wait", "rx-begin", REC_FENTRY, "sk_wait_data", 3, "io_wait__rx"},
	{"io_wait", "tx-begin", REC_FENTRY, "sk_stream_wait_memory", 2, "io_wait__tx"},
};

/* What a row sees less than the one before it would. */
static const struct {
	const char *program, *lacks;
} lesser[] = {
	{"rtt__kprobe", "values after the ACK (it has those before), samples out of timestamps"},
	{"rtt__probe", "raw samples, values after the ACK (it has those before), handshakes and closing states"},
	{"reset__2", "RSTs that no socket sends (closed ports), reasons"},
	{"reset__v4", "reasons"},
	{"drop__3", "the socket that was to receive the packet"},
	{"drop__2", "reasons, the socket that was to receive the packet"},
};
/* clang-format on */

const struct rec_start rec_starts[] = {
	{REC_FENTRY, "tcp_connect", "select_start__fentry"},
	{REC_KPROBE, "tcp_connect", "select_start__kprobe"},
	{REC_TP_BTF, "net_dev_queue", "select_start__queue"},
};
const unsigned rec_n_starts = sizeof(rec_starts) / sizeof(*rec_starts);

const size_t rec_n_events = sizeof(rec_events) / sizeof(*rec_events);
const size_t rec_n_probes = sizeof(rec_probes) / sizeof(*rec_probes);
_Static_assert(sizeof(rec_probes) / sizeof(*rec_probes) <= REC_MAX_PROBES, "raise REC_MAX_PROBES");

static const char rec_needs_syscalls[] = "--syscalls would record it (70 ns a system call)";

static void check(struct rec_choice *c, size_t i, const struct rec_kernel *k)
{
	const struct rec_probe *p = &rec_probes[i];
	int n_args;
	char why[112];

	if (*k->refused[p->method]) {
		rec_choice_refuse(c, i, k->refused[p->method]);
		return;
	}
	if (p->method != REC_TP_BTF && p->method != REC_FENTRY && p->method != REC_FEXIT &&
	    p->method != REC_KPROBE && p->method != REC_KRETPROBE) {
		if (p->method == REC_TRACEPOINT && !c->syscalls)
			rec_choice_refuse(c, i, rec_needs_syscalls);
		if (p->method == REC_SAMPLE && access(p->target, R_OK) < 0) {
			snprintf(why, sizeof(why), "%s: %s", p->target, strerror(errno));
			rec_choice_refuse(c, i, why);
		}
		return; /* of the others attaching tells */
	}
	n_args = rec_kernel_n_args(k, p->method, p->target);
	if (n_args < 0) {
		snprintf(why, sizeof(why), "this kernel has no %s %s",
			 p->method == REC_TP_BTF ? "tracepoint" : "function", p->target);
		rec_choice_refuse(c, i, why);
	} else if (p->n_args && p->n_args != n_args) {
		rec_choice_refuse(c, i, ""); /* another row is for this form */
	}
}

void rec_choice_init(struct rec_choice *c, const struct rec_kernel *k, bool syscalls, bool stacks)
{
	memset(c, 0, sizeof(*c));
	c->syscalls = syscalls;
	c->stacks = stacks;
	memcpy(c->no_stacks, k->no_stacks, sizeof(c->no_stacks));
	snprintf(c->no_iter, sizeof(c->no_iter), "%s", k->refused[REC_ITER]);
	c->has_cookies = k->has_cookies;
	for (size_t i = 0; i < rec_n_probes; i++)
		check(c, i, k);
	while (c->start < rec_n_starts &&
	       (*k->refused[rec_starts[c->start].method] ||
		rec_kernel_n_args(k, rec_starts[c->start].method, rec_starts[c->start].target) < 0))
		c->start++;
}

void rec_choice_refuse(struct rec_choice *c, size_t probe, const char *why)
{
	c->state[probe] = REC_PROBE_IMPOSSIBLE;
	snprintf(c->why[probe], sizeof(c->why[probe]), "%s", why);
}

static bool same_part(const struct rec_probe *a, const struct rec_probe *b)
{
	return !strcmp(a->event, b->event) && !strcmp(a->part, b->part);
}

/* The same part, or one is a part of the other: "sent" and "sent/v4". */
static bool overlap(const struct rec_probe *a, const struct rec_probe *b)
{
	size_t n = strlen(a->part), m = strlen(b->part), least = n < m ? n : m;

	return !strcmp(a->event, b->event) && !strncmp(a->part, b->part, least) &&
	       (n == m || (n < m ? b->part[n] : a->part[m]) == '/');
}

bool rec_choice_is_best(const struct rec_choice *c, size_t probe)
{
	for (size_t i = 0; i < probe; i++) {
		if (overlap(&rec_probes[i], &rec_probes[probe]) &&
		    c->state[i] != REC_PROBE_IMPOSSIBLE)
			return false;
	}
	return c->state[probe] != REC_PROBE_IMPOSSIBLE;
}

bool rec_choice_has(const struct rec_choice *c, const char *event)
{
	for (size_t i = 0; i < rec_n_probes; i++) {
		if (!strcmp(rec_probes[i].event, event) && c->state[i] != REC_PROBE_IMPOSSIBLE)
			return true;
	}
	return false;
}

bool rec_choice_attached(const struct rec_choice *c, const char *event)
{
	bool any = false;

	for (size_t i = 0; i < rec_n_probes; i++) {
		if (strcmp(rec_probes[i].event, event) || !rec_choice_is_best(c, i))
			continue;
		if (c->state[i] != REC_PROBE_ATTACHED)
			return false;
		any = true;
	}
	return any;
}

bool rec_choice_has_group(const struct rec_choice *c, enum tape_group group)
{
	for (size_t i = 0; i < rec_n_events; i++) {
		if (rec_events[i].group == group && rec_choice_has(c, rec_events[i].name))
			return true;
	}
	return false;
}

/* A part as it is shown: "/v4", a part of all, is "v4". */
static const char *part_name(const struct rec_probe *p)
{
	return p->part + (*p->part == '/');
}

void rec_choice_hooks(const struct rec_choice *c, const char *event, char *buf, size_t len)
{
	size_t used = 0;

	*buf = '\0';
	for (size_t i = 0; i < rec_n_probes && used < len; i++) {
		const struct rec_probe *p = &rec_probes[i];

		if (!strcmp(p->event, event) && rec_choice_is_best(c, i))
			used += (size_t)snprintf(buf + used, len - used, "%s%s%s%s:%s",
						 used ? " " : "", part_name(p), *p->part ? "=" : "",
						 rec_method_name(p->method), p->target);
	}
}

static bool has_word(const char *list, const char *word, size_t len)
{
	for (const char *p = list; *p; p += strcspn(p, " "), p += strspn(p, " "))
		if (strcspn(p, " ") == len && !memcmp(p, word, len))
			return true;
	return false;
}

void rec_choice_parts(const struct rec_choice *c, const char *event, char *buf, size_t len)
{
	size_t used = 0;

	*buf = '\0';
	for (size_t i = 0; i < rec_n_probes && used < len; i++) {
		const struct rec_probe *p = &rec_probes[i];
		size_t n = strcspn(p->part, "/");

		if (n && !strcmp(p->event, event) && rec_choice_is_best(c, i) &&
		    !has_word(buf, p->part, n))
			used += (size_t)snprintf(buf + used, len - used, "%s%.*s", used ? " " : "",
						 (int)n, p->part);
	}
}

/*
 * If row i is the first of a part that has no row left: why. A row for other arguments than the
 * function has here gives no reason, as long as another row does.
 */
static const char *why_lost(const struct rec_choice *c, size_t i)
{
	const char *why = "";

	for (size_t j = 0; j < rec_n_probes; j++) {
		if (!overlap(&rec_probes[i], &rec_probes[j]))
			continue;
		if ((j < i && same_part(&rec_probes[i], &rec_probes[j])) ||
		    c->state[j] != REC_PROBE_IMPOSSIBLE)
			return NULL;
		if (!*why)
			why = c->why[j];
	}
	return *why ? why : "the function's arguments are not of a form that is known";
}

/* Whether that option would give it a hook. */
static bool wants_syscalls(const struct rec_choice *c, const char *event)
{
	for (size_t i = 0; i < rec_n_probes; i++) {
		if (!strcmp(rec_probes[i].event, event) && !strcmp(c->why[i], rec_needs_syscalls))
			return true;
	}
	return false;
}

/* The same, but NULL if row i is of another event. */
static const char *why_lost_of(const struct rec_choice *c, const char *event, size_t i)
{
	return strcmp(rec_probes[i].event, event) ? NULL : why_lost(c, i);
}

/* Whether a row before i, or with i = rec_n_probes any row, is lost for that reason too. */
static bool lost_before(const struct rec_choice *c, const char *event, size_t i, const char *why,
			bool whole)
{
	for (size_t j = 0; j < i; j++) {
		const char *lost = why_lost_of(c, event, j);

		if (lost && !strcmp(lost, why) && !(whole && *rec_probes[j].part))
			return true;
	}
	return false;
}

/* "ip/v4, ip/v6: ": the parts that are lost for that reason; nothing where all of the event is. */
static size_t put_parts(const struct rec_choice *c, const char *event, const char *why, char *buf,
			size_t len)
{
	size_t used = 0;

	if (lost_before(c, event, rec_n_probes, why, true))
		return 0;
	for (size_t i = 0; i < rec_n_probes && used < len; i++) {
		const char *lost = why_lost_of(c, event, i);

		if (lost && !strcmp(lost, why))
			used += (size_t)snprintf(buf + used, len - used, "%s%s", used ? ", " : "",
						 part_name(&rec_probes[i]));
	}
	if (used < len)
		used += (size_t)snprintf(buf + used, len - used, ": ");
	return used;
}

/* Parts that are lost for the same reason stand together: "ip/v4, ip/v6: no kprobes; queue: ..." */
void rec_choice_reasons(const struct rec_choice *c, const char *event, char *buf, size_t len)
{
	size_t used = 0;

	*buf = '\0';
	for (size_t i = 0; i < rec_n_probes && used < len; i++) {
		const char *why = why_lost_of(c, event, i);

		if (!why || lost_before(c, event, i, why, false))
			continue; /* not lost, or told */
		used += (size_t)snprintf(buf + used, len - used, "%s", used ? "; " : "");
		if (used < len)
			used += put_parts(c, event, why, buf + used, len - used);
		if (used < len)
			used += (size_t)snprintf(buf + used, len - used, "%s", why);
	}
	if (used && used < len && wants_syscalls(c, event))
		snprintf(buf + used, len - used, "; %s", rec_needs_syscalls);
}

const char *rec_choice_lacks(const struct rec_choice *c, const char *event)
{
	for (size_t i = 0; i < rec_n_probes; i++) {
		if (strcmp(rec_probes[i].event, event) || !rec_choice_is_best(c, i))
			continue;
		for (size_t j = 0; j < sizeof(lesser) / sizeof(*lesser); j++) {
			if (rec_probes[i].program &&
			    !strcmp(rec_probes[i].program, lesser[j].program))
				return lesser[j].lacks;
		}
	}
	return "";
}

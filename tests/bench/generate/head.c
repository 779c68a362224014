// SPDX-License-Identifier: GPL-2.0-or-later
/* What stands before the events: metadata, the clocks, what exists. */
#include <stdio.h>
#include <string.h>

#include "gen.h"

static void add(struct machine *m, const void *e)
{
	if (tape_writer_event(m->writer, e, &m->err))
		m->failed = true;
}

static struct ev_head head(unsigned id, size_t size)
{
	return (struct ev_head){
		.ts_ns = gen_ns(START_TICK), .type = (uint16_t)id, .size = (uint16_t)size};
}
#define HEAD(name) head(EV_##name, sizeof(struct ev_##name))
#define TEXT(text)                                                                                 \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

/* The hooks whose gaps were measured: of a kernel that refuses kprobes and trampolines. */
static const struct {
	const char *event, *hooks;
} probes[] = {
	{"tcp_state", "tp_btf:inet_sock_set_state"},
	{"tcp_destroy", "tp_btf:tcp_destroy_sock"},
	{"tcp_facts", "tp_btf:inet_sock_set_state"},
	{"rtt", "tp_btf:tcp_probe"},
	{"retransmit", "tp_btf:tcp_retransmit_skb"},
	{"synack_retransmit", "tp_btf:tcp_retransmit_synack"},
	{"reset", "sent=tp_btf:tcp_send_reset received=tp_btf:tcp_receive_reset"},
	{"drop", "tp_btf:kfree_skb"},
	{"counter", "sample:/proc/net/netstat"},
	{"listen_queue", "iter:tcp"},
	{"rx", "driver/backlog=tp_btf:netif_rx mac=tp_btf:netif_receive_skb "
	       "ip/v4=netfilter:ipv4/pre_routing deliver/v4=netfilter:ipv4/local_in "
	       "tcp=cgroup_skb:ingress established=tp_btf:tcp_probe queue=tp_btf:sk_data_ready"},
	{"rx_copy", "tp_btf:skb_copy_datagram_iovec"},
	{"tx", "ip/v4=netfilter:ipv4/local_out output/v4=netfilter:ipv4/post_routing "
	       "qdisc=tp_btf:net_dev_queue driver=tp_btf:net_dev_start_xmit "
	       "sent=tp_btf:net_dev_xmit complete=tp_btf:consume_skb"},
	{"tx_write", "tp_btf:tcp_sendmsg_locked"},
	{"io_send", "call=tp_btf:sock_send_length"},
	{"io_recv", "call=tp_btf:sock_recv_length"},
};

static bool is_recorded(const struct machine *m, const char *group, const char *const *groups,
			size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(groups[i], group))
			return m->opts.groups >> i & 1;
	return false;
}

static const char *group_of(const char *event)
{
	return tape_schema_record_by_name(tape_schema_builtin(), event)->group;
}

static void write_meta(struct machine *m, const char *const *groups, size_t n)
{
	char list[128] = "", keys[32][64], number[32];
	struct tape_meta meta[40] = {{"machine", "x86_64"},
				     {"kernel.release", "6.18.44-model"},
				     {"recorder", "generate " TCPTAPE_VERSION},
				     {"note", m->opts.scenario},
				     {"option.seed", number}};
	size_t k = 5;

	snprintf(number, sizeof(number), "%llu", (unsigned long long)m->opts.seed);
	for (size_t i = 0; i < n; i++)
		if (m->opts.groups >> i & 1)
			snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
				 *list ? "," : "", groups[i]);
	meta[k++] = (struct tape_meta){"groups", list};
	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++) {
		if (!is_recorded(m, group_of(probes[i].event), groups, n))
			continue;
		snprintf(keys[i], sizeof(keys[i]), "probe.%s", probes[i].event);
		meta[k++] = (struct tape_meta){keys[i], probes[i].hooks};
	}
	if (m->opts.groups & G_CONN)
		meta[k++] = (struct tape_meta){"absent.tcp_accept",
					       "this kernel refuses fexit programs"};
	if (m->opts.groups & G_RX)
		meta[k++] = (struct tape_meta){"parts.rx",
					       "driver mac ip deliver tcp established queue"};
	if (m->opts.groups & G_TX)
		meta[k++] = (struct tape_meta){"parts.tx", "ip output qdisc driver sent complete"};
	if (tape_writer_meta(m->writer, meta, k, &m->err))
		m->failed = true;
}

static void write_links(struct machine *m)
{
	static const struct ev_str names[] = {
		[PATH_LO] = TEXT("lo"), [PATH_VETH] = TEXT("veth0"), [PATH_WIRE] = TEXT("eth0")};
	static const struct ev_str netns[] = {TEXT("client"), TEXT("server")};
	const struct path *p = m->path;

	for (unsigned side = 0; side < (p->netns[0] == p->netns[1] ? 1 : 2); side++) {
		struct ev_snap_link link = {.head = HEAD(snap_link),
					    .name = names[p->kind],
					    .qdisc = TEXT("noqueue"),
					    .netns = p->netns[side],
					    .ifindex = p->ifindex[side],
					    .mtu = p->mtu,
					    .link_type = p->kind == PATH_LO ? 772 : 1,
					    .offloads = 63,
					    .tx_queues = 1,
					    .rx_queues = 1};
		struct ev_snap_netns ns = {
			.head = HEAD(snap_netns), .netns = p->netns[side], .name = netns[side]};

		add(m, &link);
		add(m, &ns);
	}
}

static void write_places(struct machine *m)
{
	struct ev_snap_cgroup cgroup = {.head = HEAD(snap_cgroup), .cgroup = 1, .path = TEXT("/")};
	struct ev_snap_symbol purge = {
		.head = HEAD(snap_symbol), .id = 1, .name = TEXT("sk_stream_kill_queues+0x57")};
	struct ev_snap_symbol qdisc = {
		.head = HEAD(snap_symbol), .id = 2, .name = TEXT("__dev_queue_xmit+0x7a2")};

	add(m, &cgroup);
	add(m, &purge);
	add(m, &qdisc);
}

void head_listener(struct machine *m, const struct actor *a)
{
	struct ev_snap_sock sock = {.head = HEAD(snap_sock),
				    .sock = a->listener,
				    .task = a->task,
				    .inode = 130000 + a->task.pid,
				    .max_backlog = 511,
				    .mss = 536,
				    .state = LISTEN,
				    .n_owners = 1,
				    .rto_us = 1000000,
				    .cwnd = 10,
				    .sndbuf = 16384,
				    .rcvbuf = 131072};

	memcpy(sock.cc.s, "bbr", 4);
	add(m, &sock);
}

void head_sock(struct machine *m, const struct end *e)
{
	struct ev_snap_sock sock = {.head = HEAD(snap_sock),
				    .sock = e->sock,
				    .task = e->actor->task,
				    .inode = 200000 + (uint32_t)e->sock.cookie,
				    .srtt_us = e->srtt8 >> 3,
				    .mss = e->mss,
				    .state = e->state,
				    .n_owners = 1,
				    .pmtu = e->conn->path->mtu,
				    .rto_us = tcp_rto_us(e),
				    .snd_wnd = e->snd_wnd,
				    .cwnd = e->cwnd,
				    .sndbuf = 87040,
				    .rcvbuf = 131072,
				    .advmss = (uint16_t)e->mss,
				    .rcv_mss = 536,
				    .mss_clamp = (uint16_t)(e->mss + 12),
				    .snd_wscale = 10,
				    .rcv_wscale = 10,
				    .options = 7};

	memcpy(sock.cc.s, "bbr", 4);
	add(m, &sock);
}

void head_write(struct machine *m, const char *const *groups, size_t n)
{
	uint64_t ns = gen_ns(START_TICK);
	struct tape_clock clock = {ns, 1790000000000000000u + ns, ns, 60};

	write_meta(m, groups, n);
	if (tape_writer_clock(m->writer, &clock, &m->err))
		m->failed = true;
	m->next_clock = ns + 1000000000;
	write_places(m);
	write_links(m);
}

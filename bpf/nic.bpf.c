/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Group nic: per-CPU counters of what passes each queue of each interface. No event leaves from
 * here; the recorder reads the counters at its interval.
 */
#include "probe.h"
#include "nic.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, TAPE_NIC_KEYS);
	__uint(map_flags, 1); /* BPF_F_NO_PREALLOC: memory for the queues that are used */
	__type(key, struct tape_nic_key);
	__type(value, struct tape_nic_count);
} nic_counts SEC(".maps");

/* gso_segs of skb_shinfo, which lies behind the head's data; 0 means one packet. */
static __always_inline uint32_t segs_of(struct sk_buff *skb)
{
	struct skb_shared_info *info = (void *)(skb->head + skb->end);
	uint16_t segs;

	return read_kernel(&segs, sizeof(segs), &info->gso_segs) && segs ? segs : 1;
}

static __always_inline void count(struct tape_nic_key *key, struct sk_buff *skb, uint32_t bytes)
{
	struct tape_nic_count *c = bpf_map_lookup_elem(&nic_counts, key), none = {};

	if (!c) {
		bpf_map_update_elem(&nic_counts, key, &none, BPF_NOEXIST);
		c = bpf_map_lookup_elem(&nic_counts, key);
		if (!c) {
			count_lost(TAPE_GROUP_nic);
			return;
		}
	}
	/* This CPU's own; a softirq may come in between when the sender runs in a system call. */
	__sync_fetch_and_add(&c->skbs, 1);
	__sync_fetch_and_add(&c->segs, segs_of(skb));
	__sync_fetch_and_add(&c->bytes, bytes);
}

/* dev_hard_start_xmit: each buffer handed to a driver, after software segmentation. */
SEC("?tp_btf/net_dev_start_xmit")
int BPF_PROG(nic_queue__tx, struct sk_buff *skb, struct net_device *dev)
{
	struct tape_nic_key key = {
		.netns = dev->nd_net.net->ns.inum,
		.ifindex = dev->ifindex,
		.queue = skb->queue_mapping,
	};

	count(&key, skb, skb->len);
	return 0;
}

/*
 * __netif_receive_skb_core: each buffer handed to the stack, after GRO, once, with the device that
 * received it (not the VLAN's). The link-layer header is already pulled: it is counted again, as
 * interface statistics do. queue_mapping holds the queue + 1 here, 0 unknown (skb_record_rx_queue).
 */
SEC("?tp_btf/netif_receive_skb")
int BPF_PROG(nic_queue__rx, struct sk_buff *skb)
{
	struct net_device *dev = skb->dev;
	struct tape_nic_key key = {
		.netns = dev->nd_net.net->ns.inum,
		.ifindex = dev->ifindex,
		.queue = skb->queue_mapping - 1,
		.direction = 1,
	};
	uint32_t header = 0;

	if (skb->mac_header != 0xffff)
		header = (uint32_t)(skb->data - skb->head) - skb->mac_header;
	count(&key, skb, skb->len + header);
	return 0;
}

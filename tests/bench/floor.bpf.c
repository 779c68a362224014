/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What any probe costs on this machine before it reads anything: nothing at all; the time; the time
 * and a record of 128 bytes in a ring that no other processor writes to. They sit on tcp_probe
 * (tcp_rcv_established), so they run once a segment that an established connection receives.
 */
#include "../../bpf/probe.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__array(values, struct ring);
} floor_rings SEC(".maps");

SEC("tp_btf/tcp_probe")
int BPF_PROG(floor_empty)
{
	return 0;
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(floor_time)
{
	uint64_t now = bpf_ktime_get_ns();

	__asm__ volatile("" ::"r"(now)); /* used; a variable would go from processor to processor */
	return 0;
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(floor_ring)
{
	uint64_t now = bpf_ktime_get_ns();
	uint32_t cpu = bpf_get_smp_processor_id();
	void *ring = bpf_map_lookup_elem(&floor_rings, &cpu);
	struct ev_head *head;

	if (!ring)
		return 0;
	head = bpf_ringbuf_reserve(ring, 128, 0);
	if (!head)
		return 0;
	head->ts_ns = now;
	bpf_ringbuf_submit(head, BPF_RB_NO_WAKEUP);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "correlate.h"
#include "delay.h"

static const struct {
	const char *name, *unit;
} metrics[CORR_N] = {
	[CORR_RTT_P50] = {"rtt.p50", "ms"},
	[CORR_RTT_P90] = {"rtt.p90", "ms"},
	[CORR_RTT_OVER_MIN] = {"rtt.over_min", "ms"},
	[CORR_CWND] = {"cwnd", "segs"},
	[CORR_IN_FLIGHT] = {"in_flight", "segs"},
	[CORR_BYTES_ACKED] = {"bytes_acked", "bytes"},
	[CORR_RETRANSMITS] = {"retransmits", "segs"},
	[CORR_SYN_RETRANSMITS] = {"syn_retransmits", "segs"},
	[CORR_RESETS] = {"resets", ""},
	[CORR_DROPS] = {"drops", ""},
	[CORR_CONNECT] = {"connect", "ms"},
	[CORR_CONNECT_FAILED] = {"connect_failed", ""},
	[CORR_ACCEPT_WAIT] = {"accept_wait", "ms"},
	[CORR_ACCEPT_QUEUE] = {"accept_queue", ""},
	[CORR_IN] = {"in", "ms"},
	[CORR_OUT] = {"out", "ms"},
	[CORR_NIC_SKBS] = {"nic", "/s"},
	[CORR_NIC_BYTES] = {"nic", "bytes/s"},
	[CORR_LOST] = {"events_lost", ""},
};

static void name_drops(const struct correlate *c, uint32_t reason, struct text *t)
{
	const char *name = names_get(&c->reasons, reason);

	if (name)
		text_puts(t, name);
	else
		text_u64(t, reason);
}

static void name_queue(const struct correlate *c, const struct windows_key *key, struct text *t)
{
	const char *name = by_interface_name(&c->who, key->c, key->a);

	if (name)
		text_puts(t, name);
	else
		text_u64(t, key->a);
	text_fmt(t, ".%u.%s.%s", key->b >> 1, key->b & 1 ? "rx" : "tx",
		 key->metric == CORR_NIC_BYTES ? "bytes" : "packets");
}

static void name_layer(uint32_t metric, uint32_t layer, struct text *t)
{
	const struct delay_layer *l = delay_layers(metric == CORR_IN ? SEG_IN : SEG_OUT);

	while (l->title && l->layer + 1 != layer)
		l++;
	text_puts(t, l->title ? l->name : "total");
}

void correlate_name(const struct correlate *c, const struct windows_key *key, struct text *t)
{
	text_puts(t, metrics[key->metric].name);
	switch (key->metric) {
	case CORR_DROPS:
		text_putc(t, '.');
		name_drops(c, key->a, t);
		if (key->b)
			text_puts(t, ".sockless");
		break;
	case CORR_NIC_SKBS:
	case CORR_NIC_BYTES:
		text_putc(t, '.');
		name_queue(c, key, t);
		break;
	case CORR_IN:
	case CORR_OUT:
		text_putc(t, '.');
		name_layer(key->metric, key->a, t);
		break;
	default:
		if (key->b)
			text_puts(t, ".sockless");
		break;
	}
}

const char *correlate_unit(const struct windows_key *key)
{
	return metrics[key->metric].unit;
}

static bool is_traffic(uint32_t metric)
{
	return metric == CORR_BYTES_ACKED || metric == CORR_NIC_SKBS || metric == CORR_NIC_BYTES;
}

bool correlate_is_identity(const struct windows_key *x, const struct windows_key *y)
{
	if (x->metric <= CORR_RTT_OVER_MIN && y->metric <= CORR_RTT_OVER_MIN)
		return true;
	if (is_traffic(x->metric) && is_traffic(y->metric))
		return true;
	return x->metric == y->metric && (x->metric == CORR_IN || x->metric == CORR_OUT) &&
	       (!x->a || !y->a);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "delay.h"

#define WIRE                                                                                       \
	{                                                                                          \
		SEG_WIRE, "wire", "WIRE", "wire_us"                                                \
	}
#define END                                                                                        \
	{                                                                                          \
		0, NULL, NULL, NULL                                                                \
	}
#define IN_DEVICE                                                                                  \
	{SEG_IN_DRIVER, "driver", "DRIVER", "driver_us"},                                          \
	{                                                                                          \
		SEG_IN_MAC, "mac", "MAC", "mac_us"                                                 \
	}
#define IN_REST                                                                                    \
	{SEG_IN_IP, "ip", "IP", "ip_us"}, {SEG_IN_DELIVER, "deliver", "DELIVER", "deliver_us"},    \
		{SEG_IN_TCP, "tcp", "TCP", "tcp_us"},                                              \
		{SEG_IN_BACKLOG, "backlog", "BACKLOG", "backlog_us"},                              \
		{SEG_IN_ESTABLISHED, "established", "ESTAB", "established_us"},                    \
		{SEG_IN_HOLE, "hole", "HOLE", "hole_us"},                                          \
	{                                                                                          \
		SEG_IN_QUEUE, "queue", "QUEUE", "queue_us"                                         \
	}
#define OUT_REST                                                                                   \
	{SEG_OUT_WRITE, "write", "WRITE", "write_us"}, {SEG_OUT_TCP, "tcp", "TCP", "tcp_us"},      \
		{SEG_OUT_IP, "ip", "IP", "ip_us"},                                                 \
		{SEG_OUT_OUTPUT, "output", "OUTPUT", "output_us"},                                 \
	{                                                                                          \
		SEG_OUT_QDISC, "qdisc", "QDISC", "qdisc_us"                                        \
	}
#define OUT_DEVICE                                                                                 \
	{SEG_OUT_DRIVER, "driver", "DRIVER", "driver_us"},                                         \
	{                                                                                          \
		SEG_OUT_SENT, "sent", "SENT", "sent_us"                                            \
	}

const struct delay_layer *delay_layers_of(enum seg_dir dir, uint32_t recorded)
{
	static const struct delay_layer layers[SEG_DIRS][2][SEG_LAYERS] = {
		[SEG_IN] = {{IN_DEVICE, IN_REST, END}, {IN_DEVICE, WIRE, IN_REST, END}},
		[SEG_OUT] = {{OUT_REST, OUT_DEVICE, END}, {OUT_REST, WIRE, OUT_DEVICE, END}},
	};

	return layers[dir][(recorded & SEG_BIT(SEG_WIRE)) != 0];
}

const struct delay_layer *delay_layers(enum seg_dir dir)
{
	return delay_layers_of(dir, 0);
}

const char *delay_layer_name(enum seg_dir dir, unsigned layer)
{
	for (const struct delay_layer *l = delay_layers(dir); l->title; l++)
		if (l->layer == layer)
			return l->name;
	if (dir == SEG_IN)
		return layer == SEG_IN_COPY ? "copy" : "done";
	return "complete";
}

uint32_t delay_detours(enum seg_dir dir)
{
	return dir == SEG_IN ? SEG_BIT(SEG_IN_BACKLOG) | SEG_BIT(SEG_IN_HOLE) : 0;
}

static unsigned last_layer(enum seg_dir dir)
{
	return dir == SEG_IN ? SEG_IN_COPY : SEG_OUT_COMPLETE;
}

uint32_t delay_span(enum seg_dir dir, uint32_t recorded, unsigned layer)
{
	uint32_t span = SEG_BIT(layer);

	if (!(recorded & SEG_BIT(layer)))
		return 0;
	if (layer == SEG_WIRE)
		return span;
	for (unsigned l = layer + 1; l <= last_layer(dir); l++) {
		if (recorded & SEG_BIT(l) && !(delay_detours(dir) & SEG_BIT(l)))
			return span;
		if (!(recorded & SEG_BIT(l)) && !(delay_detours(dir) & SEG_BIT(l)))
			span |= SEG_BIT(l);
	}
	/* nothing behind it tells when it ends; but TCP's end is told */
	return layer == SEG_IN_ESTABLISHED && dir == SEG_IN ? SEG_BIT(layer) : 0;
}

void delay_title(enum seg_dir dir, uint32_t span, char buf[DELAY_TITLE_LEN])
{
	size_t used = 0;

	*buf = '\0';
	for (const struct delay_layer *l = delay_layers_of(dir, span); l->title; l++)
		if (span & SEG_BIT(l->layer))
			used += (size_t)snprintf(buf + used, DELAY_TITLE_LEN - used, "%s%s",
						 used ? "+" : "", l->title);
}

bool delay_is_clean(const struct segment *s, uint32_t recorded, unsigned layer)
{
	uint32_t missed = 0;

	if (!(s->known & SEG_BIT(layer)))
		return false;
	if (!(s->spans & SEG_BIT(layer)))
		return true;
	if (layer == SEG_WIRE)
		return false;
	for (unsigned l = layer + 1; l <= last_layer(s->dir); l++) {
		if (s->known & SEG_BIT(l))
			break;
		missed |= SEG_BIT(l) & ~delay_detours(s->dir) & ~SEG_BIT(last_layer(s->dir));
	}
	/* the layer where it ended tells no time, but was there */
	return !(missed & recorded & ~s->seen);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* How packets come from one socket to the other: processors' backlogs, devices, delay, loss. */
#include <stdlib.h>

#include "gen.h"

#define GSO_LIMIT 65536u /* payload that a device takes */

static void to_backlog(struct cpu *c, const struct packet *p)
{
	if (c->backlog_n == c->backlog_cap) {
		unsigned cap = c->backlog_cap ? 2 * c->backlog_cap : 64;
		struct packet *more = malloc(cap * sizeof(*more));

		if (!more)
			gen_die("generate");
		for (unsigned i = 0; i < c->backlog_n; i++)
			more[i] = c->backlog[(c->backlog_first + i) & (c->backlog_cap - 1)];
		free(c->backlog);
		c->backlog = more;
		c->backlog_cap = cap;
		c->backlog_first = 0;
	}
	c->backlog[(c->backlog_first + c->backlog_n++) & (c->backlog_cap - 1)] = *p;
}

/* The receiving side runs where the packet was sent, as soon as softirqs may. */
void net_softirq(struct machine *m, struct cpu *c)
{
	if (c->in_softirq)
		return;
	c->in_softirq = true;
	while (c->backlog_n) {
		struct packet p = c->backlog[c->backlog_first];

		c->backlog_first = (c->backlog_first + 1) & (c->backlog_cap - 1);
		c->backlog_n--;
		tcp_input(m, c, &p);
	}
	c->in_softirq = false;
}

struct delayed {
	struct delayed *next; /* of those that are not used */
	struct packet packet;
	uint32_t cpu;
};

/* A delayed packet is there: at the device, or at the other machine. */
static void arrive(struct machine *m, void *arg)
{
	struct delayed *d = arg;
	struct packet *p = &d->packet;
	struct cpu *c = p->to->seen ? &m->cpus[d->cpu] : &m->cpus[REMOTE];

	if (c->tick < m->now) {
		c->tick = m->now;
		c->last = K_NONE;
	}
	if (!p->from->seen)
		emit_wire_in(m, c, p);
	else if (p->to->seen)
		emit_driver(m, c, p);
	to_backlog(c, p);
	net_softirq(m, c);
	p->to->conn->n_flying--;
	tcp_forget(m, p->to);
	d->next = m->free_delayed;
	m->free_delayed = d;
}

static void delay(struct machine *m, struct cpu *c, const struct packet *p)
{
	struct delayed *d = m->free_delayed;
	uint64_t ticks = p->from->conn->path->delay;

	if (d)
		m->free_delayed = d->next;
	else
		d = gen_alloc(m, sizeof(*d));
	p->from->conn->n_flying++;
	*d = (struct delayed){NULL, *p,
			      p->from->seen ? (uint32_t)(c - m->cpus) : p->to->actor->cpu};
	if (p->from->conn->path->kind == PATH_WIRE)
		ticks += gen_below(m, (uint32_t)ticks / 4);
	gen_timer(m, c->tick + ticks, arrive, d);
}

/* Software segmentation: what the device gets are clones no more. */
static void split(struct machine *m, struct cpu *c, const struct packet *p)
{
	uint32_t mss = p->from->gso_mss;

	emit_split(m, c, p);
	for (uint32_t at = 0; at < p->payload; at += mss) {
		struct packet part = *p;

		part.seq += at;
		part.payload = p->payload - at < mss ? p->payload - at : mss;
		part.segs = 1;
		part.cloned = false;
		part.more = at + mss < p->payload;
		if (part.more)
			part.flags &= (uint16_t)~PSH;
		emit_driver(m, c, &part);
		to_backlog(c, &part);
	}
}

/* A packet of loopback or a veth goes to the receiver at once, unless a discipline holds it. */
void tcp_transmit(struct machine *m, struct cpu *c, struct packet *p)
{
	static const uint8_t before_ip[] = {59, 61, 62, 62, 63, 68, 73, 82};
	const struct path *path = p->from->conn->path;

	p->to = p->from->peer;
	p->window = p->from->told_wnd = tcp_window(p->from);
	if (p->from->seen)
		emit_tx(m, c, p, before_ip[gen_below(m, sizeof(before_ip))] + gen_below(m, 2));
	if (path->loss && gen_below(m, 65536) < path->loss) {
		if (p->from->seen)
			emit_drop(m, c, p->no_sock ? NULL : p->from, p, DROP_QDISC);
	} else if (path->delay) {
		if (p->from->seen && !p->to->seen)
			emit_wire_out(m, c, p);
		delay(m, c, p);
		return;
	} else if (p->payload > GSO_LIMIT) {
		split(m, c, p);
	} else {
		emit_driver(m, c, p);
		to_backlog(c, p);
	}
	net_softirq(m, c);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Events without a packet: they belong to the last packet that their processor was seen with. */
#include <stdlib.h>
#include <string.h>

#include "segment_parts.h"

#define MAX_NESTED 64

struct on_cpu *segments_cpu(struct segments *s, uint32_t cpu)
{
	if (cpu >= MAX_CPUS)
		return NULL;
	if (!s->cpus[cpu])
		s->cpus[cpu] = calloc(1, sizeof(*s->cpus[cpu]));
	if (!s->cpus[cpu])
		s->failed = true;
	return s->cpus[cpu];
}

/* For layer `sent`, which has no packet. */
void cpu_push_driver(struct segments *s, struct unit *u, const struct seg_event *e)
{
	struct on_cpu *c = segments_cpu(s, e->cpu);

	if (!c)
		return;
	if (c->n_drivers == CPU_STACK) { /* their `sent` were lost */
		memmove(&c->drivers[0], &c->drivers[1], (CPU_STACK - 1) * sizeof(c->drivers[0]));
		c->n_drivers--;
	}
	c->drivers[c->n_drivers].unit = u;
	c->drivers[c->n_drivers].gen = u->gen;
	c->drivers[c->n_drivers].ifindex = e->ifindex;
	c->drivers[c->n_drivers++].bytes = e->packet->payload;
}

/* ---- events without a packet ---- */

void cpu_sent(struct segments *s, const struct seg_event *e)
{
	struct on_cpu *c = segments_cpu(s, e->cpu);
	struct mark *m;
	struct unit *u;
	uint32_t bytes;
	unsigned at;

	if (!c || !c->n_drivers || c->drivers[c->n_drivers - 1].ifindex != e->ifindex)
		return;
	u = c->drivers[--c->n_drivers].unit;
	bytes = c->drivers[c->n_drivers].bytes;
	if (!u->lane || u->gen != c->drivers[c->n_drivers].gen)
		return;
	m = unit_mark(u, SEG_OUT_DRIVER, e->ifindex);
	if (e->result && m) { /* NETDEV_TX_BUSY: it comes again */
		u->flags |= SEG_BUSY;
		m->bytes -= bytes < m->bytes ? bytes : m->bytes;
		m->n -= m->n > 0;
		unit_find_whole(u);
		unit_wait(s, u, WAIT_LONG);
		return;
	}
	/* of a device above the one that has it: its driver has returned later */
	if (!unit_mark(u, SEG_OUT_SENT, e->ifindex) && (u->seen & SEG_BIT(SEG_OUT_SENT)))
		return;
	for (at = 0; at < u->n_marks && u->marks[at].layer != SEG_OUT_COMPLETE;)
		at++;
	if (at < u->n_marks) /* freed inside the driver's call: no time passed after it */
		u->marks[at].last_ns = e->ts_ns;
	unit_add(u, SEG_OUT_SENT, e->ifindex, e->ts_ns, bytes);
	if (at + 1 < u->n_marks && u->marks[u->n_marks - 1].layer == SEG_OUT_SENT) {
		struct mark sent = u->marks[u->n_marks - 1];

		memmove(&u->marks[at + 1], &u->marks[at],
			(size_t)(u->n_marks - 1 - at) * sizeof(sent));
		u->marks[at] = sent;
	}
	if (u->rank < SEG_OUT_SENT)
		u->rank = SEG_OUT_SENT;
	segments_settle(s, u);
}

static struct unit *done_unit(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	const struct wire *p = e->packet;
	struct on_cpu *c = segments_cpu(s, e->cpu);
	struct unit *u;

	if (c && c->established && c->established->lane == lane &&
	    c->established_gen == c->established->gen) {
		u = c->established;
		c->established = NULL;
		return u;
	}
	/* a thread that works off its backlog is interrupted by packets of other connections */
	u = lane->tail;
	for (unsigned i = 0; u && i < MAX_NESTED; i++, u = u->prev)
		if (!u->done_ns && (u->seen & SEG_BIT(SEG_IN_ESTABLISHED)) &&
		    (!packet_has_bytes(p) || (u->seq == p->seq && u->payload == p->payload)))
			return u;
	return NULL;
}

void cpu_done(struct segments *s, struct lane *lane, const struct seg_event *e)
{
	struct unit *u = done_unit(s, lane, e);

	if (!u || u->done_ns)
		return;
	u->done_ns = e->ts_ns;
	if (u->wait == WAIT_SHORT)
		segments_finish(s, u);
}

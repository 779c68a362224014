// SPDX-License-Identifier: GPL-2.0-or-later
/* What a recorder samples once a second: the kernel's counters, listeners, interfaces. */
#include <string.h>

#include "gen.h"

static const char *const names[N_COUNTERS] = {
	[C_ACTIVE_OPENS] = "Tcp.ActiveOpens",
	[C_PASSIVE_OPENS] = "Tcp.PassiveOpens",
	[C_ATTEMPT_FAILS] = "Tcp.AttemptFails",
	[C_ESTAB_RESETS] = "Tcp.EstabResets",
	[C_CURR_ESTAB] = "Tcp.CurrEstab",
	[C_IN_SEGS] = "Tcp.InSegs",
	[C_OUT_SEGS] = "Tcp.OutSegs",
	[C_RETRANS_SEGS] = "Tcp.RetransSegs",
	[C_OUT_RSTS] = "Tcp.OutRsts",
	[C_OVERFLOWS] = "TcpExt.ListenOverflows",
	[C_TIMEOUTS] = "TcpExt.TCPTimeouts",
	[C_LOSS_PROBES] = "TcpExt.TCPLossProbes",
	[C_FAST_RETRANS] = "TcpExt.TCPFastRetrans",
	[C_ORIG_DATA] = "TcpExt.TCPOrigDataSent",
	[C_DELIVERED] = "TcpExt.TCPDelivered",
	[C_RX_BYTES] = "dev.rx_bytes",
	[C_RX_PACKETS] = "dev.rx_packets",
	[C_TX_BYTES] = "dev.tx_bytes",
	[C_TX_PACKETS] = "dev.tx_packets",
};

void gen_count(struct machine *m, const struct end *e, enum counter counter, int64_t n)
{
	unsigned side = e->conn->path->netns[0] != e->conn->path->netns[1] && e->is_server;

	if (e->seen)
		m->counts[side][counter] += (uint64_t)n;
}

/* ---- what moved ---- */

static void counter_moved(struct machine *m, struct cpu *c, unsigned side, unsigned i,
			  uint32_t interval_us)
{
	bool is_nic = i >= FIRST_NIC_COUNTER;
	uint64_t v = m->counts[side][i], delta = v - m->sampled[side][i];

	if (interval_us ? !delta : !v)
		return;
	if (is_nic) {
		struct ev_nic_stat *e = EVENT_OF(m, c, G_NIC, nic_stat);

		if (!e)
			return;
		e->value = v;
		e->delta = interval_us ? (int64_t)delta : 0;
		e->netns = m->path->netns[side];
		e->counter = i + 1;
		e->ifindex = m->path->ifindex[side];
		e->interval_us = interval_us;
	} else {
		struct ev_counter *e = EVENT_OF(m, c, G_COUNTERS, counter);

		if (!e)
			return;
		e->value = v;
		e->delta = interval_us ? (int64_t)delta : 0;
		e->netns = m->path->netns[side];
		e->counter = i + 1;
		e->cpu_index = UINT32_MAX;
		e->interval_us = interval_us;
	}
}

static void queue_moved(struct machine *m, struct cpu *c, unsigned side, bool received,
			uint32_t interval_us)
{
	unsigned bytes = received ? C_RX_BYTES : C_TX_BYTES, packets = bytes + 1;
	struct ev_nic_queue *e;

	if (m->counts[side][packets] == m->sampled[side][packets] || !interval_us)
		return;
	e = EVENT_OF(m, c, G_NIC, nic_queue);
	if (!e)
		return;
	e->skbs = e->segs = m->counts[side][packets] - m->sampled[side][packets];
	e->bytes = m->counts[side][bytes] - m->sampled[side][bytes];
	e->netns = m->path->netns[side];
	e->ifindex = m->path->ifindex[side];
	e->interval_us = interval_us;
	e->queue = received ? UINT16_MAX : 0;
	e->direction = received;
}

static void listeners(struct machine *m, struct cpu *c, unsigned sample)
{
	for (unsigned i = 0; i < m->n_actors; i++) {
		struct ev_listen_queue *e;

		if (!m->actors[i].listener.cookie)
			continue;
		e = EVENT_OF(m, c, G_LISTEN, listen_queue);
		if (!e)
			return;
		e->sock = m->actors[i].listener;
		e->max_backlog = BACKLOG;
		e->sample = sample;
	}
}

/* All processors wait for it, so that what is counted is what the events before it say. */
void sample_take(struct machine *m, unsigned sample)
{
	uint64_t tick = gen_last_tick(m) + 1;
	uint32_t interval_us = sample == SAMPLE_FIRST ? 0 : gen_us(tick - m->sampled_at);
	struct cpu *c = &m->cpus[0];

	for (unsigned i = 0; i < MAX_CPUS; i++)
		m->cpus[i].tick = tick;
	for (unsigned side = 0; side < (m->path->netns[0] == m->path->netns[1] ? 1 : 2); side++) {
		for (unsigned i = 0; i < N_COUNTERS; i++)
			counter_moved(m, c, side, i, interval_us);
		queue_moved(m, c, side, false, interval_us);
		queue_moved(m, c, side, true, interval_us);
	}
	if (sample != SAMPLE_REGULAR)
		listeners(m, c, sample);
	memcpy(m->sampled, m->counts, sizeof(m->counts));
	m->sampled_at = tick;
	for (unsigned i = 0; i < MAX_CPUS; i++)
		m->cpus[i].tick++;
}

static void on_second(struct machine *m, void *arg)
{
	sample_take(m, SAMPLE_REGULAR);
	gen_timer(m, m->sampled_at + TICKS_S, on_second, NULL);
}

/* ---- beginning ---- */

void sample_start(struct machine *m)
{
	struct ev_snap_counter e = {
		.head = {.ts_ns = gen_ns(START_TICK), .type = EV_snap_counter, .size = sizeof(e)}};

	if (!(m->opts.groups & (G_COUNTERS | G_NIC | G_LISTEN)))
		return;
	for (unsigned i = 0; i < N_COUNTERS; i++) {
		e.counter = i + 1;
		e.name = (struct ev_str){names[i], strlen(names[i])};
		if (tape_writer_event(m->writer, &e.head, &m->err))
			m->failed = true;
		for (unsigned side = 0; side < 2;
		     side++) /* a machine that has been up for a while */
			m->counts[side][i] = i == C_CURR_ESTAB ? 0 : gen_below(m, 100000);
	}
	sample_take(m, SAMPLE_FIRST);
	gen_timer(m, m->sampled_at + TICKS_S, on_second, NULL);
}

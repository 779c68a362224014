// SPDX-License-Identifier: GPL-2.0-or-later
/* What the trace must show, by the model. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gen.h"

static uint64_t quantile(const struct dist *d, uint64_t of_1000)
{
	uint64_t rank = (d->n * of_1000 + 999) / 1000, seen = 0;

	for (uint32_t i = 0; i < DIST_CELLS; i++) {
		seen += d->cells[i];
		if (seen >= rank)
			return dist_value(i);
	}
	return d->max;
}

static void print_dist(FILE *f, const char *name, const struct dist *d, unsigned ps_unit)
{
	static const unsigned points[] = {500, 900, 990};

	fprintf(f, "%s.n %" PRIu64 "\n", name, d->n);
	if (!d->n)
		return;
	for (unsigned i = 0; i < 3; i++)
		fprintf(f, "%s.p%u %" PRIu64 "\n", name, points[i] / 10,
			quantile(d, points[i]) * ps_unit / 1000);
	fprintf(f, "%s.min %" PRIu64 "\n%s.max %" PRIu64 "\n", name, d->min * ps_unit / 1000, name,
		d->max * ps_unit / 1000);
}

int truth_write(const struct machine *m, const char *path)
{
	static const char *const layers[N_LAYERS] = {
		[OUT_IP] = "out.ip",	   [OUT_OUTPUT] = "out.output",
		[OUT_QDISC] = "out.qdisc", [OUT_DRIVER] = "out.driver",
		[IN_DRIVER] = "in.driver", [IN_MAC] = "in.mac",
		[IN_IP] = "in.ip",	   [IN_DELIVER] = "in.deliver",
		[IN_TCP] = "in.tcp",	   [IN_ESTABLISHED] = "in.established"};
	const struct truth *t = &m->truth;
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"events", m->n_events},
		{"connects", t->active},
		{"connects.ok", t->active_ok},
		{"accepted", t->passive},
		{"destroyed", t->destroyed},
		{"states", t->states},
		{"packets", t->packets},
		{"exchanges", t->exchanges},
		{"bytes.sent", t->sock_bytes_sent},
		{"bytes.received", t->sock_bytes_received},
		{"io.sent", t->io_sent},
		{"io.received", t->io_received},
		{"resets.sent", t->resets_sent},
		{"resets.received", t->resets_received},
		{"drops.QUEUE_PURGE", t->drop_purge},
		{"drops.QDISC_DROP", t->drop_queue},
		{"retrans.fast", t->retrans[WHY_FAST]},
		{"retrans.rto", t->retrans[WHY_RTO]},
		{"retrans.rto_recovery", t->retrans[WHY_RTO_RECOVERY]},
		{"retrans.tlp", t->retrans[WHY_TLP]},
		{"retrans.synack", t->synack_retrans},
	};
	FILE *f = strcmp(path, "-") ? fopen(path, "we") : stderr;

	if (!f)
		return -1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		fprintf(f, "%s %" PRIu64 "\n", rows[i].name, rows[i].value);
	print_dist(f, "rtt_us", &t->rtt, 1000);
	for (unsigned i = 0; i < N_LAYERS; i++)
		print_dist(f, layers[i], &t->layer[i], TICK_PS);
	return f == stderr ? fflush(f) : fclose(f);
}

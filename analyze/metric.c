// SPDX-License-Identifier: GPL-2.0-or-later
#include "metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "segment.h"

#define NS_PER_US 1e3
#define P50 1
#define P99 4
#define ALL 7
#define MIN_CONNS 8   /* of a recording: below, one of them decides */
#define MIN_BEYOND 10 /* samples on the far side of a quantile */

/* clang-format off */
#define TIME(id, word, scale_, quantiles_, tolerance_, needs_, about_)                             \
	[METRIC_##id] = {.name = word, .kind = METRIC_TIME, .unit = "us", .scale = scale_,         \
			 .quantiles = quantiles_, .tolerance = tolerance_, .needs = needs_,        \
			 .about = about_}
#define LAYER(dir, layer, word, needs_, about_)                                                    \
	TIME(DELAY_##dir##_LAYER + SEG_##dir##_##layer, word, NS_PER_US, P50 | P99, 0.05, needs_, about_)
#define RATE(id, word, kind_, unit_, tolerance_, least_, needs_, about_)                           \
	[METRIC_##id] = {.name = word, .kind = METRIC_##kind_, .unit = unit_, .scale = 1,          \
			 .tolerance = tolerance_, .least = least_, .needs = needs_, .about = about_}

const struct metric_def metric_defs[METRIC_N] = {
	TIME(CONNECT, "connect", NS_PER_US, ALL, 0.03, "tcp_state",
	     "connects of this host, from the SYN to the answer"),
	TIME(ACCEPT, "accept", NS_PER_US, ALL, 0.03, "tcp_accept",
	     "time in the accept queue"),
	TIME(TURN_SERVER, "turnaround.server", NS_PER_US, ALL, 0.03, "io_send",
	     "from a request read to the answer written"),
	TIME(TURN_CLIENT, "turnaround.client", NS_PER_US, ALL, 0.03, "io_send",
	     "from a request written to the answer read"),
	TIME(RTT_RAW, "rtt.raw", 1, ALL, 0.03, "rtt", "round-trip samples"),
	TIME(RTT_SMOOTHED, "rtt.smoothed", 1, ALL, 0.03, "rtt",
	     "srtt at each ACK, where there are no raw samples"),
	TIME(RTT_MIN, "rtt.min", 1, P50, 0.03, "rtt", "smallest round-trip time of each connection"),

	TIME(DELAY_IN, "delay.in", NS_PER_US, P50 | P99, 0.05, "rx",
	     "received data, from the driver to the application"),
	LAYER(IN, DRIVER, "delay.in.driver", "rx", "that in GRO, and in the backlog of a processor"),
	LAYER(IN, MAC, "delay.in.mac", "rx", "that before IP"),
	LAYER(IN, IP, "delay.in.ip", "rx", "that in IP"),
	LAYER(IN, DELIVER, "delay.in.deliver", "rx", "that between IP and TCP"),
	LAYER(IN, TCP, "delay.in.tcp", "rx", "that in TCP, to its socket"),
	LAYER(IN, BACKLOG, "delay.in.backlog", "rx", "that while a thread held the socket"),
	LAYER(IN, ESTABLISHED, "delay.in.established", "rx", "that in the socket"),
	LAYER(IN, HOLE, "delay.in.hole", "rx", "that waiting for bytes before it"),
	LAYER(IN, QUEUE, "delay.in.queue", "rx", "that until it was read"),

	TIME(DELAY_OUT, "delay.out", NS_PER_US, P50 | P99, 0.05, "tx",
	     "sent data, from the application to the device"),
	LAYER(OUT, WRITE, "delay.out.write", "tx", "that until TCP sent it"),
	LAYER(OUT, TCP, "delay.out.tcp", "tx", "that in TCP"),
	LAYER(OUT, IP, "delay.out.ip", "tx", "that in IP"),
	LAYER(OUT, OUTPUT, "delay.out.output", "tx", "that between IP and the queueing discipline"),
	LAYER(OUT, QDISC, "delay.out.qdisc", "tx", "that in the queueing discipline"),
	LAYER(OUT, DRIVER, "delay.out.driver", "tx", "that in the driver"),
	LAYER(OUT, SENT, "delay.out.sent", "tx", "that until the device had it"),

	RATE(CONNECT_FAILED, "connect.failed", RATE, "%", 0.25, 0.001, "tcp_state",
	     "connects that failed, of all"),
	RATE(RETRANSMITS, "retransmits", RATE, "%", 0.25, 0.0002, "retransmit",
	     "segments sent again, of all with data"),
	RATE(RESETS, "resets", RATE, "%", 0.25, 0.001, "reset",
	     "RSTs sent or received, of all connections"),
	RATE(DROPS, "drops", RATE, "%", 0.25, 0.0002, "drop",
	     "packets dropped, of all segments with data"),
	RATE(CONNECTIONS, "connections", LOAD, "/s", 0.1, 0.1, "tcp_state",
	     "connections begun in a second"),
	RATE(BYTES, "bytes", LOAD, "/s", 0.1, 1, "tcp_destroy",
	     "moved by connections that ended, both ways"),
};
/* clang-format on */

static const struct {
	const char *name;
	double part;
} quantiles[METRIC_MAX_QUANTILES] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}};

const char *metric_quantile_name(unsigned k)
{
	return quantiles[k].name;
}

double metric_quantile(unsigned k)
{
	return quantiles[k].part;
}

void metric_fini(struct metric *m)
{
	for (unsigned i = 0; i < METRIC_PARTS; i++)
		if (m->parts[i]) {
			hist_fini(m->parts[i]);
			free(m->parts[i]);
		}
	memset(m, 0, sizeof(*m));
}

int metric_add(struct metric *m, unsigned part, uint64_t sample)
{
	if (!m->parts[part]) {
		m->parts[part] = malloc(sizeof(*m->parts[part]));
		if (!m->parts[part])
			return -1;
		hist_init(m->parts[part], 1, true);
	}
	hist_add(m->parts[part], sample);
	return m->parts[part]->failed ? -1 : 0;
}

/* ---- figures ---- */

/*
 * Whole recording, and without each part. The variance of what a figure would be in other
 * connections: (G - 1) / G times the sum of squares, of the G parts that have any.
 */
struct jackknife {
	double all, without[METRIC_PARTS];
	bool used[METRIC_PARTS];
	unsigned n_used;
};

static double variance(const struct jackknife *j)
{
	double mean = 0, sum = 0, n = j->n_used;

	if (j->n_used < METRIC_PARTS / 2)
		return 0;
	for (unsigned i = 0; i < METRIC_PARTS; i++)
		mean += j->used[i] ? j->without[i] / n : 0;
	for (unsigned i = 0; i < METRIC_PARTS; i++)
		sum += j->used[i] ? (j->without[i] - mean) * (j->without[i] - mean) : 0;
	return sum * (n - 1) / n;
}

/* Samples may be whole microseconds: v stands for all of [v, v + 1). 0 would have no logarithm. */
static double log_of(double v)
{
	return log(v > 0.5 ? v : 0.5);
}

static int quantile_figure(const struct metric *m, const struct metric_def *def, double part,
			   struct metric_figure *ret)
{
	struct hist all;
	struct jackknife j = {0};
	bool failed;

	hist_init(&all, 1, true);
	for (unsigned i = 0; i < METRIC_PARTS; i++)
		if (m->parts[i])
			hist_merge(&all, m->parts[i]);
	failed = all.failed;
	j.all = log_of(hist_quantile(&all, NULL, part));
	for (unsigned i = 0; i < METRIC_PARTS; i++) {
		if (!m->parts[i] || m->parts[i]->n == all.n)
			continue;
		j.used[i] = true;
		j.without[i] = log_of(hist_quantile(&all, m->parts[i], part));
		j.n_used++;
	}
	ret->n = all.n;
	ret->conns = m->n_conns;
	ret->log = j.all - log(def->scale);
	ret->var = variance(&j);
	ret->known = (double)all.n * (1 - part) > MIN_BEYOND - 0.001 && m->n_conns >= MIN_CONNS;
	hist_fini(&all);
	return failed ? -1 : 0;
}

/* Half an event more, so that none has a logarithm (Haldane 1956; Anscombe 1956). */
static double log_rate(double num, double den)
{
	return log((num + 0.5) / den);
}

static void rate_figure(const struct metric *m, struct metric_figure *ret)
{
	double num = m->loose, den = 0, least;
	struct jackknife j = {0};

	for (unsigned i = 0; i < METRIC_PARTS; i++) {
		num += m->num[i];
		den += m->den[i];
	}
	for (unsigned i = 0; i < METRIC_PARTS; i++) {
		if (m->den[i] <= 0 || m->den[i] >= den)
			continue;
		j.used[i] = true;
		j.without[i] = log_rate(num - m->num[i], den - m->den[i]);
		j.n_used++;
	}
	least = 1 / (num + 0.5); /* of a Poisson count, which any clustering only adds to */
	ret->n = (uint64_t)num;
	ret->den = den;
	ret->conns = m->n_conns;
	ret->log = log_rate(num, den);
	ret->var = fmax(variance(&j), least);
	ret->known = den > 0;
}

int metric_figure(const struct metric *m, enum metric_id id, unsigned k, struct metric_figure *ret)
{
	const struct metric_def *def = &metric_defs[id];

	memset(ret, 0, sizeof(*ret));
	if (def->kind == METRIC_TIME)
		return quantile_figure(m, def, quantiles[k].part, ret);
	rate_figure(m, ret);
	return 0;
}

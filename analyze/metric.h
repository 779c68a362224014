/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What compare measures of a recording: quantiles of times, and rates. A connection's samples
 * depend on each other, so what is known of a figure is asked of groups of whole connections: each
 * belongs to one of METRIC_PARTS by its number, and the figure is taken again without each part
 * (delete-a-group jackknife: Kott, Journal of Official Statistics 17, 2001; of quantiles it holds
 * as the parts are large, Shao and Wu, Annals of Statistics 17, 1989).
 */
#ifndef ANA_METRIC_H
#define ANA_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fail.h"
#include "hist.h"

#define METRIC_PARTS 16
#define METRIC_MAX_QUANTILES 3

enum metric_kind {
	METRIC_TIME, /* a sample is a time; the figures are quantiles of them */
	METRIC_RATE, /* the figure is a sum over a sum */
	METRIC_LOAD, /* the same, of which neither more nor less is worse */
};

enum metric_id {
	METRIC_CONNECT,
	METRIC_ACCEPT,
	METRIC_TURN_SERVER,
	METRIC_TURN_CLIENT,
	METRIC_RTT_RAW,
	METRIC_RTT_SMOOTHED,
	METRIC_RTT_MIN,
	METRIC_DELAY_IN,
	METRIC_DELAY_IN_LAYER, /* + enum seg_in_layer */
	METRIC_DELAY_OUT = METRIC_DELAY_IN_LAYER + 11,
	METRIC_DELAY_OUT_LAYER, /* + enum seg_out_layer */
	METRIC_CONNECT_FAILED = METRIC_DELAY_OUT_LAYER + 11,
	METRIC_RETRANSMITS,
	METRIC_RESETS,
	METRIC_DROPS,
	METRIC_CONNECTIONS,
	METRIC_BYTES,
	METRIC_N
};

struct metric_def {
	const char *name;
	enum metric_kind kind;
	const char *unit;   /* that the figures are shown in */
	double scale;	    /* samples in one unit */
	unsigned quantiles; /* of METRIC_TIME, as bits */
	double tolerance;   /* default: the smallest change that matters, as a part of 1 */
	double least;	    /* METRIC_RATE: rates below are no worse than none */
	const char *needs;  /* event that it is made of */
	const char *about;  /* a line of help */
};

extern const struct metric_def metric_defs[METRIC_N]; /* name NULL: there is none */

/* "p50" of a quantile's place; its part of 1. */
const char *metric_quantile_name(unsigned k);
double metric_quantile(unsigned k);

struct metric { /* of one recording, or of one group of connections in it */
	uint32_t n_conns;
	struct hist *parts[METRIC_PARTS]; /* of METRIC_TIME, NULL: empty */
	double num[METRIC_PARTS], den[METRIC_PARTS];
	double loose; /* of num, of no known connection */
};

void metric_fini(struct metric *m);
int metric_add(struct metric *m, unsigned part, uint64_t sample); /* -1: no memory */

struct metric_figure {
	bool known;	/* there is enough to compare it */
	double log;	/* natural logarithm of the figure, in its unit */
	double var;	/* of log, by the spread over connections; 0: not known */
	uint64_t n;	/* samples, or events of a rate */
	double den;	/* of a rate */
	uint32_t conns; /* that they are of */
};

/* The k-th quantile, or the rate; -1: no memory. */
int metric_figure(const struct metric *m, enum metric_id id, unsigned k, struct metric_figure *ret);

#endif

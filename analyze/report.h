/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the page of tcptape report shows: one axis of time in at most REPORT_BINS steps, and on it
 * distributions, layers and counts; and the connections that moved most or were slowest. Memory
 * does not grow with the trace. Everything is told as JSON, which analyze/page/report.js draws.
 */
#ifndef ANA_REPORT_H
#define ANA_REPORT_H

#include "cmd.h"
#include "delay.h"
#include "evidence.h"
#include "explain.h"
#include "hist.h"
#include "segment.h"
#include "slowest.h"

#define REPORT_BINS 240
#define REPORT_STEPS 4 /* of the heat map, in each power of two */
#define REPORT_CELLS (HIST_SLOTS * REPORT_STEPS)
#define REPORT_REASONS 24
#define REPORT_CONNS 1000 /* that moved most, and as many that were slowest */
#define REPORT_LOSSES 500

struct report_axis {
	uint64_t start_ns; /* of the trace: what times count from */
	uint64_t from_ns, to_ns, step_ns;
	unsigned n;
};

/* A distribution over time. */
struct report_series {
	const char *name, *title, *command; /* which shows the same in text */
	unsigned per_us;		    /* values are so many to a microsecond: 1 or 1000 */
	struct hist all, bins[REPORT_BINS];
	uint64_t cells[REPORT_BINS][REPORT_CELLS];
};

struct report_reason {
	char text[64];
	uint64_t n;
};

/* Events of a kind: how many in each step, and why. */
struct report_lane {
	const char *name, *title, *command;
	uint64_t n, bins[REPORT_BINS];
	struct report_reason reasons[REPORT_REASONS];
	unsigned n_reasons;
	uint64_t n_other; /* of further reasons */
};

struct report_layers { /* of one direction */
	bool has;
	uint32_t recorded; /* bits */
	struct report_series *total;
	struct hist all[SEG_LAYERS];
	double sum_ns[REPORT_BINS][SEG_LAYERS];
	const struct weight_group *weights;
};

struct report_conn {
	double bytes, slow; /* what it moved; its smoothed round-trip time, us */
	uint64_t number;    /* of the row */
	char json[640];
};

struct report_missing { /* what the trace does not have */
	char what[64], why[640];
};

enum { SERIES_RTT, SERIES_CONNECT, SERIES_IN, SERIES_OUT, SERIES_N };
enum { LANE_RETRANS, LANE_DROPS, LANE_RESETS, LANE_FAILED, LANE_N };

struct report {
	struct cmd_run *run;
	struct report_axis axis;
	struct report_series *series[SERIES_N]; /* NULL: not there */
	struct report_lane lanes[LANE_N];
	bool has_lane[LANE_N];
	struct report_layers layers[SEG_DIRS];
	struct slowest most, slowest;
	uint64_t n_conns;
	struct report_missing missing[SERIES_N + LANE_N + 1];
	unsigned n_missing;
	struct evidence evidence;
	struct explain explain;
	uint64_t *n_of_record; /* rows by place in the schema */
	uint64_t n_events;
	bool failed; /* no memory */
};

/* ---- report_axis.c ---- */

void report_axis_set(struct report_axis *a, uint64_t start_ns, uint64_t from_ns, uint64_t to_ns);
/* false: outside. */
bool report_axis_bin(const struct report_axis *a, uint64_t ts_ns, unsigned *ret);

struct report_series *report_series_new(const char *name, const char *title, const char *command,
					unsigned per_us); /* NULL: no memory */
void report_series_free(struct report_series *s);	  /* NULL allowed */
void report_series_add(struct report_series *s, const struct report_axis *a, uint64_t ts_ns,
		       uint64_t v, uint64_t weight);
bool report_series_failed(const struct report_series *s);

void report_lane_add(struct report_lane *l, const struct report_axis *a, uint64_t ts_ns,
		     const char *why, size_t len);

/* ---- report_read.c, report_rows.c: 0, or -1 and run->fail ---- */

int report_read(struct report *r);
int report_read_rows(struct report *r);
/*
 * Something failed as the trace lacks what it needs, or is damaged: 0, and the page says so. Else
 * -1. That the trace is damaged is told at the end once more, by input_finish.
 */
int report_lacks(struct report *r, const char *what);

/* ---- report_json.c ---- */

void report_json(struct report *r, struct json *j);

/* ---- made when built, by page.py: what stands before and behind the data ---- */

extern const unsigned char report_page_head[], report_page_tail[];
extern const size_t report_page_head_len, report_page_tail_len;

#endif

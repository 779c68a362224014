/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tcptape delay is made of: the layers of one direction, the table of segments, and the
 * distribution of their times.
 */
#ifndef ANA_DELAY_H
#define ANA_DELAY_H

#include "by.h"
#include "capture.h"
#include "cells.h"
#include "cmd.h"
#include "interval.h"
#include "segment.h"

/* ---- layers (delay_layer.c) ---- */

struct delay_layer {
	unsigned layer;
	const char *name;  /* "qdisc" */
	const char *title; /* "QDISC" */
	const char *key;   /* "qdisc_us" */
};

/* Layers in which time is spent, in order; ends with title NULL. */
const struct delay_layer *delay_layers(enum seg_dir dir);
/* The same, and if SEG_WIRE is among `recorded` that, where this host's taps stand. */
const struct delay_layer *delay_layers_of(enum seg_dir dir, uint32_t recorded);
/* Of any layer but SEG_WIRE: "driver", "copy", "complete". */
const char *delay_layer_name(enum seg_dir dir, unsigned layer);

/* Layers that not every segment passes, so nobody's time is also theirs; as bits. */
uint32_t delay_detours(enum seg_dir dir);

/*
 * The layers whose time is that of `layer` in all of a recording that has only `recorded`: itself
 * and those behind it that have no hook. 0: its time cannot be known.
 */
uint32_t delay_span(enum seg_dir dir, uint32_t recorded, unsigned layer);

/* "MAC+IP+DELIVER" */
#define DELAY_TITLE_LEN 80
void delay_title(enum seg_dir dir, uint32_t span, char buf[DELAY_TITLE_LEN]);

/*
 * Whether the time of a layer is the time of that layer, and not also of others behind it that
 * this segment was not seen at, though they are recorded.
 */
bool delay_is_clean(const struct segment *s, uint32_t recorded, unsigned layer);

/* ---- the table of segments (delay_table.c) ---- */

#define DELAY_MAX_COLUMNS 64

struct delay_table {
	struct out *out;
	struct input *in;
	enum seg_dir dir;
	uint32_t recorded; /* layers as bits */
	bool holds;	   /* segment.held_ns is recorded */
	bool time_of_day;
	bool wide; /* PID, TID, COMM in text too */

	struct out_col cols[DELAY_MAX_COLUMNS];
	unsigned n_cols;
	char titles[SEG_LAYERS][DELAY_TITLE_LEN + 4];
};

/* Begin the table; what stands above the blank line is set. */
void delay_table_begin(struct delay_table *t);
/* owner: whose connection it is; NULL: not known. lack: why a capture does not have it. */
void delay_table_row(struct delay_table *t, const struct segment *s, const struct task *owner,
		     enum capture_lack lack);

/* ---- the distribution (delay_dist.c) ---- */

struct delay_dist;

struct delay_dist_opts {
	enum seg_dir dir;
	uint32_t recorded; /* layers as bits */
	enum by_key by;
	const struct by_who *who; /* stays the caller's */
	bool picture;		  /* a histogram instead of percentiles */
	struct input *in;
	struct opt_fixed interval;
	bool sampled; /* segments stand for more than themselves, as far as is known yet */
};

/* NULL: no memory. */
struct delay_dist *delay_dist_new(const struct delay_dist_opts *opts, struct out *out);
void delay_dist_free(struct delay_dist *d); /* NULL allowed */
/* weight: segments that it stands for. */
void delay_dist_add(struct delay_dist *d, const struct segment *s, const struct conn *owner,
		    uint64_t weight);
/* A segment whose way ended at ts_ns is next: print the interval if it is over. */
void delay_dist_pass(struct delay_dist *d, uint64_t ts_ns);
bool delay_dist_print(struct delay_dist *d); /* false: memory ran out somewhere */

/* ---- a capture beside the trace (delay_wire.c) ---- */

struct delay_wire {
	struct cmd_run *run;
	struct capture capture;
	uint64_t slack_ns;
	uint64_t n[CAPTURE_LACKS], n_after[SEG_LAYERS]; /* segments; by segment.wire_after */
};

/* Read it. 0, or -1 and run->fail. In any case delay_wire_fini. */
int delay_wire_begin(struct delay_wire *w, const char *path, struct cmd_run *run);
void delay_wire_fini(struct delay_wire *w);
/* Within `on` of segments: s, and when the capture saw it, if it did, into *ret. */
enum capture_lack delay_wire_see(struct delay_wire *w, struct segments *segments,
				 const struct segment *s, struct segment *ret);
/* At the end: how many it has, where it stands, what it lacks. */
void delay_wire_note(const struct delay_wire *w, enum seg_dir dir);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trace as series of values, one for each window of time: what correlate compares. Owns the
 * series; the windows are all of the same width. A series is known by what it measures and, of some
 * metrics, by of what (a drop reason, a queue of an interface). Times in nanoseconds.
 */
#ifndef ANA_WINDOWS_H
#define ANA_WINDOWS_H

#include "by.h"
#include "hist.h"
#include "relate.h"

#define WINDOWS_MAX 2000	/* windows */
#define WINDOWS_MAX_SERIES 4096 /* of all groups: with that many windows, 100 MB */

enum windows_kind {
	WINDOWS_MEAN, /* of the values in a window; none without one */
	WINDOWS_SUM,  /* 0 without one */
	WINDOWS_MOST, /* the largest; 0 without one */
};

struct windows_key {
	uint32_t metric; /* the caller's */
	uint32_t a, b, c;
};

struct windows_series {
	struct windows_key key;
	enum windows_kind kind;
	uint32_t *n;		 /* values in each window */
	struct relate_series is; /* v: their sum, or the largest; the value after windows_finish */
};

struct windows_group {
	struct by_group group; /* first */
	struct windows_series *series;
	size_t n, cap;
	struct hist rtt; /* of the window rtt_at */
	size_t rtt_at;
};

struct windows {
	uint64_t from_ns, width_ns;
	size_t n;
	struct by_groups groups;
	struct windows_group machine; /* what no connection has for itself */
	size_t n_series;
	uint64_t n_left_out; /* values of series too many */
	bool failed;
};

/*
 * The width that makes 50 to 500 windows of [from, to], the fewer the fewer samples there are: 1, 2
 * or 5 times a power of ten.
 */
uint64_t windows_width(uint64_t from_ns, uint64_t to_ns, uint64_t n_samples);

/* to_ns is in the last window. -1: they would be more than WINDOWS_MAX. */
int windows_begin(struct windows *w, uint64_t from_ns, uint64_t to_ns, uint64_t width_ns,
		  enum by_key key);
void windows_fini(struct windows *w);

/* The window of a time; of one outside the first or the last. */
size_t windows_at(const struct windows *w, uint64_t ts_ns);

/* A value of a group (NULL: of the machine) at ts_ns; in the order of time only where it is said.
 */
void windows_add(struct windows *w, struct windows_group *g, struct windows_key key,
		 enum windows_kind kind, uint64_t ts_ns, double v);

/* A value for a window that is made elsewhere. */
void windows_set(struct windows *w, struct windows_group *g, struct windows_key key, size_t at,
		 double v);

/* No more values: sums become means, and what relate() needs is made. -1: no memory. */
int windows_finish(struct windows *w);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last value of each sampled counter, and the names of counters: what tells whether there is
 * anything to record. Also the records of a sample, as a source for the drain. Owns its memory. One
 * that stops being sampled (its namespace is gone) is forgotten two samples later.
 */
#ifndef REC_SERIES_H
#define REC_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drain.h"

struct rec_series_slot {
	uint32_t netns, id, part; /* id 0: free */
	uint32_t sample;	  /* in which it was last seen */
	uint64_t value;
};

struct rec_series {
	struct rec_source source; /* first, so that a pointer to it is one to the series */
	char *bytes;		  /* records of the sample, waiting for the drain */
	size_t at, len, cap;
	struct rec_series_slot *slots;
	size_t n_slots, cap_slots;
	char **names; /* names[id - 1]; other texts have places among them too */
	size_t n_names, cap_names;
	uint32_t *name_slots; /* hash of names: ids */
	size_t cap_name_slots;
	uint32_t n_samples;   /* so far, with the one that is being taken; from 1 */
	uint32_t interval_us; /* since the sample before; 0 in the first */
	uint64_t ts_ns;	      /* of the sample that is being taken */
	bool all;	      /* what has not moved is sampled too */
	bool failed;	      /* there was no memory for something */
};

void rec_series_init(struct rec_series *s);
void rec_series_fini(struct rec_series *s);

/* Begin a sample. */
void rec_series_begin(struct rec_series *s, uint64_t now_ns);

/* Copy a record; head.type and head.size are set by the caller, the rest of the head here. */
void rec_series_emit(struct rec_series *s, struct ev_head *head);

/* The id of a counter's name; the first time, its snap_counter is emitted. 0: no memory. */
uint32_t rec_series_name(struct rec_series *s, const char *group, const char *name, size_t len);

/* A text for a record, which lives as long as the series. */
struct ev_str rec_series_text(struct rec_series *s, const char *text);

/*
 * Keep the value. True if the caller should record it; *ret_before: the value before, 0 if
 * *ret_first: it was never seen.
 */
bool rec_series_moved(struct rec_series *s, uint32_t netns, uint32_t id, uint32_t part,
		      uint64_t value, uint64_t *ret_before, bool *ret_first);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the times of a trace (CLOCK_MONOTONIC nanoseconds) to wall-clock time and back, and the
 * times that a user writes. Between two readings of both clocks the wall time is interpolated,
 * outside it goes on at the same pace; wall times are nanoseconds since 1970.
 */
#ifndef ANA_CLOCK_H
#define ANA_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"
#include "writer.h" /* struct tape_clock */

/* Wall time at mono_ns; clocks by rising mono_ns. 0 if there is no reading. */
uint64_t clock_wall(const struct tape_clock *clocks, size_t n, uint64_t mono_ns);

/*
 * The other way. A time that wall time passed twice, as it was set back, is the first or the last
 * of both; one that it skipped is the moment at which it was set. One before the first reading may
 * wrap.
 */
uint64_t clock_mono(const struct tape_clock *clocks, size_t n, uint64_t wall_ns, bool last);

/* True if between this reading and the next one wall time was set, or the machine slept. */
bool clock_was_set(const struct tape_clock *reading);

/* HH:MM:SS in local time, and the date, as ISO 8601 in UTC with milliseconds. */
void clock_time_of_day(uint64_t wall_ns, char ret[16]);
void clock_date(uint64_t wall_ns, char ret[40]);

/* One of them, the date if `date`; most times are of the same second as the one before. */
struct clock_text {
	uint64_t s;
	bool date;
	size_t len;
	char text[40]; /* empty at first */
};
const char *clock_text(struct clock_text *t, uint64_t wall_ns, bool date);

enum clock_kind { CLOCK_AFTER_START, CLOCK_BEFORE_END, CLOCK_WALL };

struct clock_point { /* a time as it was written */
	enum clock_kind kind;
	uint64_t ns; /* from the start; before the end; CLOCK_WALL: since 1970, or since midnight */
	bool of_day; /* CLOCK_WALL without a date */
	bool utc;
};

/* "+1.5s" "-10s" "HH:MM:SS[.frac][Z]" "YYYY-mm-ddTHH:MM:SS[.frac][Z]"; whether it is one. */
bool clock_parse(const char *s, struct clock_point *ret);

/* A time of day as wall time: the one of the day at which near_ns is, or the day after if that is
 * more than 12 hours before it. */
uint64_t clock_on_day(const struct clock_point *p, uint64_t near_ns);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clocks of two hosts, from what went both ways between them. Server time minus client time is
 * taken as a straight line of client time, theta(t) = a + b t. A packet that left at client time c
 * and came at server time s says theta(c) <= s - c, one that left at s and came at c says
 * theta(c) >= s - c: whatever the network did, theta lies below all points of the one kind and
 * above all of the other, so only the lower and upper convex hulls of them count.
 *
 * The lines that fit are a convex region of (a, b), and all of them explain the packets equally
 * well: unlike the linear program of Moon, Skelly and Towsley ("Estimation and removal of clock
 * skew from network delay measurements", INFOCOM 1999) or the hulls of Zhang, Liu and Xia ("Clock
 * synchronization algorithms for network measurements", INFOCOM 2002), which choose one line of one
 * direction, both directions give the whole region: its middle is the estimate, its extent the
 * bound. The bound is as wide as the smallest round trip; that the two ways take equally long is
 * never assumed.
 *
 * Times are nanoseconds. Points come in the order of their time. Memory: that of the hulls.
 */
#ifndef ANA_SKEW_H
#define ANA_SKEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Two clocks do not drift apart faster: NTP moves a clock by 500 ppm at most (MAXFREQ,
 * include/linux/timex.h), crystals are off by up to 100 ppm, and there are two of each; rounded up.
 */
#define SKEW_MAX_PPM 2000.0

enum skew_way { SKEW_TO_SERVER, SKEW_TO_CLIENT, SKEW_WAYS };

struct skew_point {
	double t, v; /* since skew.t_ns, above skew.v_ns */
};

struct skew {
	struct skew_hull {
		struct skew_point *p;
		size_t n, cap;
	} hulls[SKEW_WAYS];
	bool begun;
	uint64_t t_ns, last_ns; /* client time of the first and last point */
	int64_t v_ns;		/* server minus client time of the first one */
	bool failed;		/* no memory */
};

struct skew_line {
	uint64_t from_ns, to_ns; /* client time that the points cover */
	int64_t v_ns;
	double a, b;		     /* theta(t) = v_ns + a + b (t - from_ns) */
	double from_bound, to_bound; /* theta is not farther off at from_ns, to_ns */
	double drift_bound;	     /* of b */
	double misfit;		     /* if nothing fits: the best line is off by so much */
};

void skew_fini(struct skew *s);
void skew_add(struct skew *s, enum skew_way way, uint64_t client_ns, uint64_t server_ns);

/* Whether a line fits: else *ret has the misfit alone. Both ways need a point. */
bool skew_solve(const struct skew *s, struct skew_line *ret);

/* Server time minus client time, in whole nanoseconds. */
int64_t skew_theta(const struct skew_line *l, uint64_t client_ns);

#endif

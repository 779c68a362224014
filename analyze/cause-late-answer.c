// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The application takes its time: from the last byte of a request read to the first byte of the
 * answer written (turn.h), on the side that answers.
 *
 * Threshold: 10 ms, in 5 % of the exchanges or more. That is longer than a look into memory, or
 * into a disk (some 10 ms for one seek), so something was computed or waited for. A service that
 * answers late on purpose (long polling) is found too.
 */
#include <inttypes.h>

#include "explain.h"

#define MIN_PART 0.05

static bool find(const struct evidence *e, struct finding *f)
{
	const struct toll *t = &e->tolls[TROUBLE_ANSWER];

	if (!t->n || part_of_all(t->n, e->n_exchanges) < MIN_PART)
		return false;
	finding_take(f, t);
	finding_say(f,
		    "%" PRIu64 " of %" PRIu64
		    " answers took the application 10 ms or longer: %.1f ms on average, up to "
		    "%.1f ms",
		    t->n, e->n_exchanges, (double)t->cost_ns / (double)t->n / 1e6,
		    (double)e->answer_longest_ns / 1e6);
	finding_show(f, e, t, "answers");
	finding_trust(f, CONFIDENCE_HIGH, "measured between its read and its write");
	return true;
}

const struct cause cause_late_answer = {
	.name = "late-answer",
	.title = "the application answered late",
	.next = "tcptape turnaround --server --slowest 10; profile the process that answers, or "
		"what it waits for in turn",
	.needs = EVID_BIT(EVID_CALLS),
	.record = "+io",
	.find = find,
};

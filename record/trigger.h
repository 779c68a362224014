/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules that have the ring written (--trigger), looked at for each record that comes in:
 *
 *   rtt>TIME         a round-trip time: the raw sample, or where the hook has none the smoothed one
 *   connect>TIME     connect() of this host, answered or not, from its SYN on; one that is still
 *                    open is noticed within 0.2 s
 *   retrans>N/s      so many segments sent again in any second
 *   drop>N/s         so many packets freed undelivered (group drop), ordinary ones included
 *   reset            an RST sent or received
 *   overflow         a full accept queue: listen_child, or where that has no hook
 *                    TcpExt.ListenOverflows when it is sampled
 *
 * Memory is fixed. No clock, no files: the caller asks rec_trigger_due when to write.
 */
#ifndef REC_TRIGGER_H
#define REC_TRIGGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events.h"
#include "fail.h"

#define REC_MAX_TRIGGERS 16
#define REC_TRIGGER_REST_NS 10000000000ull /* after a file of a trigger, until the next one */
#define REC_TRIGGER_CONNECTS 8192	   /* under way that are watched; a power of two */

enum rec_trigger_kind {
	REC_ON_RTT,
	REC_ON_CONNECT,
	REC_ON_RETRANS,
	REC_ON_DROP,
	REC_ON_RESET,
	REC_ON_OVERFLOW,
	REC_N_ON,
};

struct rec_rule {
	const char *text; /* as it was given */
	enum rec_trigger_kind kind;
	uint64_t limit; /* us, or a number a second */
};

/* Read one rule; the text must outlive it. -1 with a text that says what is possible. */
int rec_rule_parse(struct rec_rule *ret, const char *text, struct rec_error *err);

/* The groups of which one at least must be recorded for it, as bits; and the events of them. */
uint32_t rec_rule_groups(const struct rec_rule *rule);
const char *const *rec_rule_events(const struct rec_rule *rule); /* ends with NULL */

struct rec_fired {
	const struct rec_rule *rule;
	uint64_t ts_ns;
	char value[32];	 /* with its unit */
	char whose[128]; /* the connection, "" of none */
};

struct rec_rate {	    /* of events, over the last second */
	uint64_t tenth;	    /* the tenth of a second that was seen last */
	uint32_t count[10]; /* by tenth */
};

struct rec_connecting {
	uint64_t cookie, since_ns; /* cookie 0: free */
	bool told;
	char whose[128];
};

struct rec_trigger {
	const struct rec_rule *rules;
	size_t n;
	uint8_t kinds[256]; /* by event id: bits of the kinds that it concerns */
	struct rec_rate rates[REC_N_ON];
	struct rec_connecting *connects; /* NULL: no rule about them */
	size_t n_connects;
	uint64_t overflows_id;	/* of the counter, once it is known */
	struct rec_fired first; /* since the last file; rule NULL: none */
	uint64_t n_more;	/* that fired after it */
	uint64_t n_quiet;	/* that fired in the rest behind a file */
	uint64_t rest_until_ns, after_ns;
};

/* rules must outlive it. after_ns: how long recording goes on after a rule fired. -1: no memory. */
int rec_trigger_init(struct rec_trigger *t, const struct rec_rule *rules, size_t n,
		     uint64_t after_ns);
void rec_trigger_fini(struct rec_trigger *t);

/* Look at a record, of any event; only with rules. */
void rec_trigger_see_it(struct rec_trigger *t, const struct ev_head *record);

static inline void rec_trigger_see(struct rec_trigger *t, const struct ev_head *record)
{
	if (t->n && t->kinds[record->type & 255])
		rec_trigger_see_it(t, record);
}

/* Look at what is open: now and then. */
void rec_trigger_look(struct rec_trigger *t, uint64_t now_ns);

/* When the ring is to be written; UINT64_MAX: no rule has fired. */
uint64_t rec_trigger_due_ns(const struct rec_trigger *t);

/* The file was written, or could not be: begin anew, after a rest. */
void rec_trigger_done(struct rec_trigger *t, uint64_t now_ns);

#endif

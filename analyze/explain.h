/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What may be wrong: the causes that tcptape explain knows, one file each (cause-NAME.c), and how
 * they are ranked. A cause looks at the evidence, and says whether it passes its threshold; the
 * thresholds stand in its file, with their reasons, and in docs/explain.md.
 */
#ifndef ANA_EXPLAIN_H
#define ANA_EXPLAIN_H

#include "evidence.h"
#include "text.h"

enum confidence { CONFIDENCE_LOW, CONFIDENCE_MEDIUM, CONFIDENCE_HIGH };
const char *confidence_name(enum confidence c);

struct cause;

struct finding {
	const struct cause *cause;
	uint64_t cost_ns; /* that somebody waited; an estimate where the reason says so */
	uint64_t n_conns, n_failed;
	uint64_t n; /* events: decides between causes of the same cost */
	enum confidence confidence;
	struct text reason;   /* of the confidence */
	struct text evidence; /* lines, each with \n; may quote the trace */
	const char *next;     /* what to look at; NULL: what the cause says */
};

struct cause {
	const char *name;   /* stable: tests and programs go by it */
	const char *title;  /* what it is, in a few words */
	const char *next;   /* what to look at next */
	uint32_t needs;	    /* EVID_BITs: any of these is enough to look for it */
	const char *record; /* groups that would have shown it */
	bool is_last;	    /* told only if nothing else is found */
	/* Whether it is there; *f is filled, but for its cause. */
	bool (*find)(const struct evidence *e, struct finding *f);
};

extern const struct cause cause_accept_queue, cause_syn_lost, cause_refused, cause_unreachable,
	cause_ports_exhausted, cause_loss, cause_reordering, cause_bufferbloat, cause_path_rtt,
	cause_receiver_window, cause_late_accept, cause_late_answer, cause_nagle, cause_qdisc_hold,
	cause_softirq_delay, cause_firewall, cause_bad_segments, cause_resets, cause_memory,
	cause_mtu_black_hole;

/* What was lost was dropped here for want of memory, by a kernel that does not tell why. */
bool cause_memory_lost(const struct evidence *e);

#define EXPLAIN_CAUSES 20
extern const struct cause *const explain_causes[EXPLAIN_CAUSES];

/* A failed connection weighs as much as waiting for that long: who tries again has lost the
 * timeout of a SYN (RFC 6298, 2.1). */
#define EXPLAIN_FAILED_NS EVID_SYN_RTO_NS

struct explain {
	struct finding findings[EXPLAIN_CAUSES]; /* the worst first */
	unsigned n;
	bool failed; /* no memory */
};

/* The causes that the evidence shows. */
void explain_run(struct explain *x, const struct evidence *e);
void explain_fini(struct explain *x);

/* Whether the trace has what the cause needs. */
static inline bool explain_can(const struct evidence *e, const struct cause *c)
{
	return e->has & c->needs;
}

/* So much that what is missing may change what the rest seems to say. */
bool explain_much_lost(const struct evidence *e);

/* ---- for causes ---- */

/* A line of evidence; "\n" is added. */
void finding_say(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Take over cost, connections and failures. */
void finding_take(struct finding *f, const struct toll *t);
/* When it was, and the worst connections; what: "segments". */
void finding_show(struct finding *f, const struct evidence *e, const struct toll *t,
		  const char *what);
/* Those counters that moved. */
void finding_count(struct finding *f, const struct evidence *e, const enum evid_count *ids,
		   unsigned n);
/* Packets dropped for that; whether there were any. */
bool finding_dropped(struct finding *f, const struct evidence *e, enum drop_class c);
/* Interfaces that lost packets. */
void finding_nics(struct finding *f, const struct evidence *e);
void finding_trust(struct finding *f, enum confidence c, const char *reason);

/* a of b, as part of 1; 0 of nothing. */
static inline double part_of_all(uint64_t a, uint64_t b)
{
	return b ? (double)a / (double)b : 0;
}

#endif

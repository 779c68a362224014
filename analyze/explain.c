// SPDX-License-Identifier: GPL-2.0-or-later
#include "explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Above that, what the trace does not have may change what it seems to say. */
#define MUCH_LOST 0.01

const struct cause *const explain_causes[EXPLAIN_CAUSES] = {
	&cause_accept_queue,	&cause_syn_lost,	&cause_refused,
	&cause_unreachable,	&cause_ports_exhausted, &cause_loss,
	&cause_reordering,	&cause_bufferbloat,	&cause_path_rtt,
	&cause_receiver_window, &cause_late_accept,	&cause_late_answer,
	&cause_nagle,		&cause_qdisc_hold,	&cause_softirq_delay,
	&cause_firewall,	&cause_bad_segments,	&cause_resets,
	&cause_memory,		&cause_mtu_black_hole,
};

const char *confidence_name(enum confidence c)
{
	static const char *const names[] = {"low", "medium", "high"};

	return names[c];
}

/* ---- what causes say ---- */

void finding_say(struct finding *f, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (char *c = line; *c; c++) /* names out of the trace */
		if (*c == '\n')
			*c = ' ';
	text_puts(&f->evidence, line);
	text_putc(&f->evidence, '\n');
}

void finding_trust(struct finding *f, enum confidence c, const char *reason)
{
	f->confidence = c;
	text_clear(&f->reason);
	text_puts(&f->reason, reason);
}

void finding_take(struct finding *f, const struct toll *t)
{
	f->cost_ns = t->cost_ns;
	f->n_conns = t->n_conns;
	f->n_failed = t->n_failed;
	f->n = t->n;
}

static double seconds(const struct evidence *e, uint64_t ts_ns)
{
	return ts_ns > e->start_ns ? (double)(ts_ns - e->start_ns) / 1e9 : 0;
}

void finding_show(struct finding *f, const struct evidence *e, const struct toll *t,
		  const char *what)
{
	if (t->first_ns && t->first_ns == t->last_ns)
		finding_say(f, "at +%.3fs", seconds(e, t->first_ns));
	else if (t->first_ns)
		finding_say(f, "between +%.3fs and +%.3fs", seconds(e, t->first_ns),
			    seconds(e, t->last_ns));
	for (unsigned i = 0; i < TOLL_WORST && t->worst[i].n; i++) {
		const struct toll_conn *c = &t->worst[i];
		char from[FLOW_END_LEN] = "?", to[FLOW_END_LEN] = "?", cookie[COOKIE_TEXT_LEN];
		char owner[EV_COMM_LEN + 16] = "";

		if (c->pid)
			snprintf(owner, sizeof(owner), ", %" PRIu32 "/%s", c->pid, c->comm);
		if (c->has_flow) {
			flow_end_text(c->flow.laddr, c->flow.lport, from);
			flow_end_text(c->flow.raddr, c->flow.rport, to);
		}
		finding_say(f, "%s > %s (%s%s): %s %" PRIu64 ", %.1f ms", from, to,
			    cookie_text(c->cookie, cookie), owner, what, c->n,
			    (double)c->cost_ns / 1e6);
	}
}

void finding_count(struct finding *f, const struct evidence *e, const enum evid_count *ids,
		   unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (e->counters[ids[i]])
			finding_say(f, "kernel counter %s: %" PRIu64, evidence_counter_name(ids[i]),
				    e->counters[ids[i]]);
}

bool finding_dropped(struct finding *f, const struct evidence *e, enum drop_class c)
{
	const struct drop_tally *d = &e->drops[c];

	if (d->n)
		finding_say(f, "packets dropped: %" PRIu64 ", the first: %s", d->n,
			    d->what[0] ? d->what : "wrong checksum");
	return d->n;
}

void finding_nics(struct finding *f, const struct evidence *e)
{
	for (unsigned i = 0; i < e->n_nics; i++)
		finding_say(f, "counter of an interface %s: %" PRIu64 " (tcptape nic --stats)",
			    e->nics[i].name, e->nics[i].n);
}

/* ---- ranking ---- */

static uint64_t weight_of(const struct finding *f)
{
	return f->cost_ns + f->n_failed * EXPLAIN_FAILED_NS;
}

static int by_weight(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	if (weight_of(x) != weight_of(y))
		return weight_of(x) > weight_of(y) ? -1 : 1;
	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return strcmp(x->cause->name, y->cause->name);
}

static void lower(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void lower(struct finding *f, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (f->confidence > CONFIDENCE_LOW)
		f->confidence--;
	text_fmt(&f->reason, "%s%s", f->reason.len ? "; but " : "", why);
}

bool explain_much_lost(const struct evidence *e)
{
	return (double)e->n_lost > MUCH_LOST * (double)(e->n_events + e->n_lost);
}

/* What the recording lacks makes every answer less sure. */
static void doubt(struct finding *f, const struct evidence *e)
{
	static const uint32_t bulk = EVID_BIT(EVID_RTT) | EVID_BIT(EVID_RX) | EVID_BIT(EVID_TX) |
				     EVID_BIT(EVID_IO) | EVID_BIT(EVID_CALLS);

	if (explain_much_lost(e))
		lower(f, "%" PRIu64 " of %" PRIu64 " events were lost", e->n_lost,
		      e->n_events + e->n_lost);
	if (e->weight > 1 && f->cause->needs & bulk)
		lower(f, "rtt, rx, tx and io have one connection in %" PRIu64, e->weight);
}

static void look(struct explain *x, const struct evidence *e, const struct cause *c)
{
	struct finding *f = &x->findings[x->n];

	*f = (struct finding){.cause = c, .next = c->next};
	if (!explain_can(e, c) || !c->find(e, f)) {
		x->failed |= f->reason.failed || f->evidence.failed;
		text_fini(&f->reason);
		text_fini(&f->evidence);
		return;
	}
	doubt(f, e);
	x->failed |= f->reason.failed || f->evidence.failed;
	x->n++;
}

void explain_run(struct explain *x, const struct evidence *e)
{
	*x = (struct explain){0};
	for (unsigned last = 0; last < 2; last++) {
		if (last && x->n)
			break;
		for (unsigned i = 0; i < EXPLAIN_CAUSES; i++)
			if (explain_causes[i]->is_last == last)
				look(x, e, explain_causes[i]);
	}
	qsort(x->findings, x->n, sizeof(x->findings[0]), by_weight);
}

void explain_fini(struct explain *x)
{
	for (unsigned i = 0; i < x->n; i++) {
		text_fini(&x->findings[i].reason);
		text_fini(&x->findings[i].evidence);
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups.h"
#include "trigger.h"

#define TENTH_NS 100000000u

#define MAX_CONNECT_NS 1200000000000ull /* its end was lost */

enum { TCP_SYN_SENT = 2 }; /* include/net/tcp_states.h */
enum { RTT_SOURCE_NONE };  /* unit rtt_source */

/* ---- rules ---- */

static const struct kind {
	const char *name;
	bool is_time, is_rate;
	uint32_t groups;
	const char *events[4]; /* ends with NULL */
} kinds[REC_N_ON] = {
	[REC_ON_RTT] = {"rtt", true, false, 1u << TAPE_GROUP_rtt, {"rtt"}},
	[REC_ON_CONNECT] = {"connect", true, false, 1u << TAPE_GROUP_conn, {"tcp_state"}},
	[REC_ON_RETRANS] = {"retrans", false, true, 1u << TAPE_GROUP_retrans, {"retransmit"}},
	[REC_ON_DROP] = {"drop", false, true, 1u << TAPE_GROUP_drop, {"drop"}},
	[REC_ON_RESET] = {"reset", false, false, 1u << TAPE_GROUP_reset, {"reset"}},
	[REC_ON_OVERFLOW] = {"overflow",
			     false,
			     false,
			     1u << TAPE_GROUP_listen | 1u << TAPE_GROUP_counters,
			     {"listen_child", "counter"}},
};

/* "200ms" in us; 0: no time. */
static uint64_t time_us(const char *text)
{
	static const struct {
		const char *unit;
		double us;
	} units[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}};
	char *end;
	double v = strtod(text, &end);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (end != text && !strcmp(end, units[i].unit) && v > 0 && v * units[i].us < 1e12)
			return (uint64_t)(v * units[i].us);
	}
	return 0;
}

/* "50/s"; 0: no rate. */
static uint64_t per_second(const char *text)
{
	char *end;
	double v = strtod(text, &end);

	return end != text && !strcmp(end, "/s") && v >= 1 && v < 1e9 ? (uint64_t)v : 0;
}

int rec_rule_parse(struct rec_rule *ret, const char *text, struct rec_error *err)
{
	for (int i = 0; i < REC_N_ON; i++) {
		const struct kind *k = &kinds[i];
		size_t len = strlen(k->name);

		if (strncmp(text, k->name, len))
			continue;
		*ret = (struct rec_rule){.text = text, .kind = (enum rec_trigger_kind)i};
		if (!k->is_time && !k->is_rate && !text[len])
			return 0;
		if (text[len] != '>')
			continue;
		ret->limit = k->is_time	  ? time_us(text + len + 1)
			     : k->is_rate ? per_second(text + len + 1)
					  : 0;
		if (ret->limit)
			return 0;
	}
	return rec_fail(err,
			"--trigger %.40s: one of these was expected: rtt>TIME, connect>TIME (as "
			"200ms, 1s), retrans>N/s, drop>N/s (as 50/s), reset, overflow",
			text);
}

uint32_t rec_rule_groups(const struct rec_rule *rule)
{
	return kinds[rule->kind].groups;
}

const char *const *rec_rule_events(const struct rec_rule *rule)
{
	return kinds[rule->kind].events;
}

int rec_trigger_init(struct rec_trigger *t, const struct rec_rule *rules, size_t n,
		     uint64_t after_ns)
{
	static const struct {
		unsigned event;
		enum rec_trigger_kind kind;
	} rows[] = {
		{EV_rtt, REC_ON_RTT},
		{EV_tcp_state, REC_ON_CONNECT},
		{EV_retransmit, REC_ON_RETRANS},
		{EV_drop, REC_ON_DROP},
		{EV_reset, REC_ON_RESET},
		{EV_listen_child, REC_ON_OVERFLOW},
		{EV_snap_counter, REC_ON_OVERFLOW},
		{EV_counter, REC_ON_OVERFLOW},
	};
	unsigned wanted = 0;

	*t = (struct rec_trigger){.rules = rules, .n = n, .after_ns = after_ns};
	for (size_t i = 0; i < n; i++)
		wanted |= 1u << rules[i].kind;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		t->kinds[rows[i].event] |= (uint8_t)(wanted & 1u << rows[i].kind);
	if (wanted >> REC_ON_CONNECT & 1)
		t->connects = calloc(REC_TRIGGER_CONNECTS, sizeof(*t->connects));
	return wanted >> REC_ON_CONNECT & 1 && !t->connects ? -1 : 0;
}

void rec_trigger_fini(struct rec_trigger *t)
{
	free(t->connects);
	t->connects = NULL;
}

/* ---- firing ---- */

static void end_text(const struct ev_addr *a, unsigned port, char *buf, size_t len)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char text[INET6_ADDRSTRLEN];

	if (!memcmp(a->b, mapped, sizeof(mapped))) {
		inet_ntop(AF_INET, a->b + 12, text, sizeof(text));
		snprintf(buf, len, "%s:%u", text, port);
	} else {
		inet_ntop(AF_INET6, a->b, text, sizeof(text));
		snprintf(buf, len, "[%s]:%u", text, port);
	}
}

static void flow_text(const struct ev_flow *f, char buf[128])
{
	char l[60], r[60];

	*buf = '\0';
	if (!f->lport && !f->rport)
		return;
	end_text(&f->laddr, f->lport, l, sizeof(l));
	end_text(&f->raddr, f->rport, r, sizeof(r));
	snprintf(buf, 128, "%s - %s", l, r);
}

static void fire(struct rec_trigger *t, const struct rec_rule *rule, uint64_t ts_ns, double value,
		 const char *unit, const char *whose)
{
	if (ts_ns < t->rest_until_ns) {
		t->n_quiet++;
		return;
	}
	if (t->first.rule) {
		t->n_more++;
		return;
	}
	t->first.rule = rule;
	t->first.ts_ns = ts_ns;
	snprintf(t->first.value, sizeof(t->first.value), "%g%s", value, unit);
	snprintf(t->first.whose, sizeof(t->first.whose), "%s", whose);
}

/* All rules of that kind whose limit is passed. */
static void judge(struct rec_trigger *t, enum rec_trigger_kind kind, uint64_t ts_ns, uint64_t value,
		  const struct ev_flow *flow)
{
	char whose[128] = "";

	for (size_t i = 0; i < t->n; i++) {
		const struct rec_rule *r = &t->rules[i];

		if (r->kind != kind || value <= r->limit)
			continue;
		if (flow && !*whose)
			flow_text(flow, whose);
		if (kinds[kind].is_time)
			fire(t, r, ts_ns, (double)value / 1e3, " ms", whose);
		else if (kinds[kind].is_rate)
			fire(t, r, ts_ns, (double)value, "/s", whose);
		else
			fire(t, r, ts_ns, (double)value, "", whose);
	}
}

/* ---- what records say ---- */

/* Add to the rate; how many there were in the last second. */
static uint64_t count(struct rec_rate *r, uint64_t ts_ns, uint32_t n)
{
	uint64_t tenth = ts_ns / TENTH_NS, sum = 0;

	for (uint64_t i = r->tenth + 1; i <= tenth && i <= r->tenth + 10; i++)
		r->count[i % 10] = 0;
	if (tenth > r->tenth)
		r->tenth = tenth;
	r->count[r->tenth % 10] += n;
	for (int i = 0; i < 10; i++)
		sum += r->count[i];
	return sum;
}

/* The place of a connect, or the free one; NULL: there are too many. */
static struct rec_connecting *connect_of(struct rec_trigger *t, uint64_t cookie)
{
	size_t mask = REC_TRIGGER_CONNECTS - 1;
	size_t i = (cookie * 0x9e3779b97f4a7c15u) >> 51;

	for (size_t k = 0; k < REC_TRIGGER_CONNECTS; k++, i++) {
		struct rec_connecting *c = &t->connects[i & mask];

		if (!c->cookie || c->cookie == cookie)
			return c;
	}
	return NULL;
}

/* Take it out; what follows in its row of places moves up. */
static void forget(struct rec_trigger *t, struct rec_connecting *c)
{
	size_t mask = REC_TRIGGER_CONNECTS - 1, hole = (size_t)(c - t->connects), i = hole;

	t->n_connects--;
	for (;;) {
		size_t home;

		i = (i + 1) & mask;
		if (!t->connects[i].cookie)
			break;
		home = (t->connects[i].cookie * 0x9e3779b97f4a7c15u) >> 51;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		t->connects[hole] = t->connects[i];
		hole = i;
	}
	t->connects[hole].cookie = 0;
}

static void see_state(struct rec_trigger *t, const struct ev_tcp_state *e)
{
	uint64_t cookie = e->sock.cookie;
	struct rec_connecting *c;

	if (!cookie || (e->new_state != TCP_SYN_SENT && e->old_state != TCP_SYN_SENT))
		return;
	c = connect_of(t, cookie);
	if (e->new_state == TCP_SYN_SENT) {
		if (!c || c->cookie || t->n_connects >= REC_TRIGGER_CONNECTS / 2)
			return;
		*c = (struct rec_connecting){.cookie = cookie, .since_ns = e->head.ts_ns};
		flow_text(&e->sock.flow, c->whose);
		t->n_connects++;
	} else if (c && c->cookie) {
		if (!c->told)
			judge(t, REC_ON_CONNECT, e->head.ts_ns,
			      (e->head.ts_ns - c->since_ns) / 1000, &e->sock.flow);
		forget(t, c);
	}
}

void rec_trigger_look(struct rec_trigger *t, uint64_t now_ns)
{
	for (size_t i = 0; t->n_connects && i < REC_TRIGGER_CONNECTS; i++) {
		struct rec_connecting *c = &t->connects[i];

		if (c->cookie && now_ns > c->since_ns + MAX_CONNECT_NS)
			forget(t, c);
		for (size_t k = 0; c->cookie && !c->told && k < t->n; k++) {
			const struct rec_rule *r = &t->rules[k];

			if (r->kind != REC_ON_CONNECT || now_ns <= c->since_ns + 1000 * r->limit)
				continue;
			c->told = true;
			fire(t, r, now_ns, (double)(now_ns - c->since_ns) / 1e6,
			     " ms and still open", c->whose);
		}
	}
}

static void see_rtt(struct rec_trigger *t, const struct ev_rtt *e)
{
	uint64_t us = e->rtt_us >= 0 ? (uint64_t)e->rtt_us : e->srtt_us;

	if (e->rtt_us < 0 && e->source == RTT_SOURCE_NONE)
		return; /* this ACK gave none */
	judge(t, REC_ON_RTT, e->head.ts_ns, us, &e->sock.flow);
}

static void see_name(struct rec_trigger *t, const struct ev_snap_counter *e)
{
	static const char name[] = "TcpExt.ListenOverflows";

	if (e->name.len == strlen(name) && !memcmp(e->name.s, name, strlen(name)))
		t->overflows_id = e->counter;
}

void rec_trigger_see_it(struct rec_trigger *t, const struct ev_head *h)
{
	const struct ev_listen_child *child = (const struct ev_listen_child *)h;
	const struct ev_counter *counter = (const struct ev_counter *)h;
	const struct ev_retransmit *retrans = (const struct ev_retransmit *)h;
	const struct ev_drop *drop = (const struct ev_drop *)h;

	switch (h->type) {
	case EV_rtt: see_rtt(t, (const struct ev_rtt *)h); break;
	case EV_tcp_state: see_state(t, (const struct ev_tcp_state *)h); break;
	case EV_retransmit:
		judge(t, REC_ON_RETRANS, h->ts_ns,
		      count(&t->rates[REC_ON_RETRANS], h->ts_ns, retrans->segs ? retrans->segs : 1),
		      &retrans->sock.flow);
		break;
	case EV_drop:
		judge(t, REC_ON_DROP, h->ts_ns, count(&t->rates[REC_ON_DROP], h->ts_ns, 1),
		      &drop->flow);
		break;
	case EV_reset:
		judge(t, REC_ON_RESET, h->ts_ns, 1, &((const struct ev_reset *)h)->flow);
		break;
	case EV_listen_child:
		if (child->backlog > child->max_backlog)
			judge(t, REC_ON_OVERFLOW, h->ts_ns, child->backlog, &child->sock.flow);
		break;
	case EV_snap_counter: see_name(t, (const struct ev_snap_counter *)h); break;
	case EV_counter:
		if (counter->counter == t->overflows_id && t->overflows_id &&
		    counter->interval_us && counter->delta > 0)
			judge(t, REC_ON_OVERFLOW, h->ts_ns, (uint64_t)counter->delta, NULL);
		break;
	default: break;
	}
}

/* ---- when to write ---- */

uint64_t rec_trigger_due_ns(const struct rec_trigger *t)
{
	return t->first.rule ? t->first.ts_ns + t->after_ns : UINT64_MAX;
}

void rec_trigger_done(struct rec_trigger *t, uint64_t now_ns)
{
	t->first.rule = NULL;
	t->n_more = t->n_quiet = 0;
	t->rest_until_ns = now_ns + REC_TRIGGER_REST_NS;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "budget.h"
#include "options.h"

#define WINDOW_NS 1000000000u
#define MIN_WINDOW_NS 1000000u /* one that the budget ended counts as so long at least */
#define PATIENCE 3	       /* windows */
#define MAX_PATIENCE 48

enum cause { CAUSE_SAMPLE = 1, CAUSE_BUDGET, CAUSE_RECOVER }; /* unit rate_cause */

static bool is_bulk(int g)
{
	return rec_group_is_bulk((enum tape_group)g);
}

/* What is sampled at an interval has its own bound (sampler.h). */
static bool can_thin(int g)
{
	return g != TAPE_GROUP_counters && g != TAPE_GROUP_nic;
}

static bool has(const struct rec_budget *b, int g)
{
	return b->groups >> g & 1;
}

static struct ev_rate rate_of(const struct rec_budget *b, int g, uint64_t ts_ns, enum cause cause)
{
	const char *name = rec_group_name((enum tape_group)g);

	return (struct ev_rate){
		.head = {ts_ns, 0, EV_rate, sizeof(struct ev_rate)},
		.group = {name, strlen(name)},
		.weight = b->thin[g].weight,
		.budget = (uint32_t)b->events_s,
		.cause = cause,
	};
}

/* The oldest that was not taken yet gives way: there are rings of records before it. */
static void push(struct rec_budget *b, const struct ev_rate *e)
{
	const unsigned cap = sizeof(b->rates) / sizeof(b->rates[0]);

	b->rates[b->n++ % cap] = *e;
	if (b->n - b->at > cap)
		b->at++;
}

static void add_rate(struct rec_budget *b, int g, uint64_t now_ns, enum cause cause, uint64_t rate)
{
	struct ev_rate e = rate_of(b, g, now_ns, cause);

	e.rate = rate;
	push(b, &e);
}

static const struct ev_head *next_rate(struct rec_source *s)
{
	struct rec_budget *b = (struct rec_budget *)s;

	if (b->at == b->n)
		return NULL;
	return &b->rates[b->at++ % (sizeof(b->rates) / sizeof(b->rates[0]))].head;
}

static void rates_done(struct rec_source *s)
{
	(void)s;
}

void rec_budget_init(struct rec_budget *b, uint64_t events_s, uint32_t sample, uint32_t groups,
		     uint64_t now_ns)
{
	*b = (struct rec_budget){
		.source = {next_rate, rates_done},
		.events_s = events_s,
		.sample = sample,
		.groups = groups,
		.from_ns = now_ns,
	};
	for (int g = 0; g < TAPE_N_GROUPS; g++) {
		b->thin[g].weight = is_bulk(g) ? sample : 1;
		b->thin[g].patience = PATIENCE;
		if (has(b, g) && b->thin[g].weight > 1)
			add_rate(b, g, now_ns, CAUSE_SAMPLE, 0);
	}
}

bool rec_budget_is_due(const struct rec_budget *b, uint64_t now_ns)
{
	return b->events_s && (b->n_seen >= b->events_s || now_ns >= b->from_ns + WINDOW_NS);
}

uint32_t rec_budget_floor(const struct rec_budget *b, enum tape_group g)
{
	return (uint32_t)((1ull << 32) - (1ull << 32) / b->thin[g].weight);
}

unsigned rec_budget_rates(const struct rec_budget *b, uint64_t now_ns, struct ev_rate *ret)
{
	unsigned n = 0;

	for (int g = 0; g < TAPE_N_GROUPS; g++) {
		if (has(b, g) && b->thin[g].weight > 1)
			ret[n++] = rate_of(b, g, now_ns,
					   is_bulk(g) && b->thin[g].weight == b->sample
						   ? CAUSE_SAMPLE
						   : CAUSE_BUDGET);
	}
	return n;
}

void rec_budget_repeat(struct rec_budget *b, uint64_t now_ns)
{
	struct ev_rate rates[TAPE_N_GROUPS];
	unsigned n = rec_budget_rates(b, now_ns, rates);

	for (unsigned i = 0; i < n; i++)
		push(b, &rates[i]);
}

/* ---- how much room each has ---- */

/* What each control group may take so that all together take room: those that want less, less. */
static uint64_t fair_part(const uint64_t *wanted, uint64_t room)
{
	uint64_t part = 0;

	for (;;) {
		uint64_t left = room, n = 0;

		for (int g = 0; g < TAPE_N_GROUPS; g++) {
			if (is_bulk(g))
				continue;
			if (wanted[g] > part)
				n++;
			else
				left -= wanted[g];
		}
		if (!n)
			return UINT64_MAX;
		if (left / n <= part)
			return part ? part : 1;
		part = left / n;
	}
}

/* The smallest weight, of those that are a power of two times base, at which n fit into room. */
static uint64_t weight_for(uint64_t base, uint64_t n, uint64_t room)
{
	uint64_t weight = base;

	while (weight < REC_MAX_WEIGHT && n / weight > room)
		weight *= 2;
	return weight;
}

/* ---- decisions ---- */

/* need: the weight without which there is too much; ease: that would leave half of the room free.
 */
static enum cause adjust(struct rec_thin *t, uint64_t need, uint64_t ease, uint64_t base)
{
	if (need > t->weight) {
		if (t->eased && t->patience < MAX_PATIENCE) /* that was too early */
			t->patience *= 2;
		t->weight = need;
		t->calm = 0;
		t->eased = false;
		return CAUSE_BUDGET;
	}
	if (t->weight == base)
		t->patience = PATIENCE;
	if (ease >= t->weight || ++t->calm < t->patience) {
		t->calm = ease >= t->weight ? 0 : t->calm;
		return 0;
	}
	t->weight = t->weight / 2 < base ? base : t->weight / 2;
	t->calm = 0;
	t->eased = true;
	return CAUSE_RECOVER;
}

static bool decide_bulk(struct rec_budget *b, uint64_t now_ns, const uint64_t *wanted,
			const uint64_t *taken, uint64_t control)
{
	uint64_t room = b->events_s / 8, want = 0, take = 0, need;
	struct rec_thin thin = b->thin[TAPE_GROUP_rtt];
	enum cause cause;

	if (control < b->events_s - room)
		room = b->events_s - control;
	for (int g = 0; g < TAPE_N_GROUPS; g++) {
		want += is_bulk(g) ? wanted[g] : 0;
		take += is_bulk(g) ? taken[g] : 0;
	}
	/* by what was taken: of few connections, one may be most of it */
	need = weight_for(thin.weight, take * thin.weight, room);
	cause = adjust(&thin, need, weight_for(b->sample, want, room / 2), b->sample);
	for (int g = 0; g < TAPE_N_GROUPS; g++) {
		if (!is_bulk(g))
			continue;
		b->thin[g] = thin;
		if (cause && has(b, g))
			add_rate(b, g, now_ns, cause, wanted[g]);
	}
	return cause != 0;
}

static bool decide_control(struct rec_budget *b, uint64_t now_ns, const uint64_t *wanted)
{
	uint64_t room = b->events_s - b->events_s / 8;
	uint64_t part = fair_part(wanted, room), half = fair_part(wanted, room / 2);
	bool any = false;

	for (int g = 0; g < TAPE_N_GROUPS; g++) {
		enum cause cause;

		if (is_bulk(g) || !has(b, g) || !can_thin(g))
			continue;
		cause = adjust(&b->thin[g], weight_for(1, wanted[g], part),
			       weight_for(1, wanted[g], half), 1);
		any |= cause != 0;
		if (cause)
			add_rate(b, g, now_ns, cause, wanted[g]);
	}
	return any;
}

bool rec_budget_decide(struct rec_budget *b, uint64_t now_ns,
		       const uint64_t left_out[TAPE_N_GROUPS])
{
	uint64_t wanted[TAPE_N_GROUPS], taken[TAPE_N_GROUPS], control = 0;
	uint64_t took_ns = now_ns - b->from_ns;
	bool changed;

	if (took_ns < MIN_WINDOW_NS)
		took_ns = MIN_WINDOW_NS;
	for (int g = 0; g < TAPE_N_GROUPS; g++) {
		double per_s = 1e9 / (double)took_ns;

		taken[g] = (uint64_t)((double)b->seen[g] * per_s);
		wanted[g] = taken[g] + (uint64_t)((double)(left_out[g] - b->left_out[g]) * per_s);
		control += is_bulk(g) ? 0 : taken[g];
	}
	memcpy(b->left_out, left_out, sizeof(b->left_out));
	memset(b->seen, 0, sizeof(b->seen));
	b->n_seen = 0;
	b->from_ns = now_ns;
	if (!b->events_s)
		return false;
	changed = decide_control(b, now_ns, wanted);
	changed |= decide_bulk(b, now_ns, wanted, taken, control);
	b->changed |= changed;
	return changed;
}

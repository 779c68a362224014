// SPDX-License-Identifier: GPL-2.0-or-later
#include "weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { F_GROUP, F_WEIGHT, F_RATE, F_BUDGET, F_CAUSE, F_N };
static const struct bind_field fields[F_N] = {
	{"group", BIND_STR},  {"weight", BIND_INT}, {"rate", BIND_INT},
	{"budget", BIND_INT}, {"cause", BIND_INT},
};

void weights_fini(struct weights *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->groups[i].steps);
	*w = (struct weights){0};
}

static struct weight_group *find(struct weights *w, const char *name, size_t len)
{
	struct weight_group *g;

	for (size_t i = 0; i < w->n; i++)
		if (strlen(w->groups[i].name) == len && !memcmp(w->groups[i].name, name, len))
			return &w->groups[i];
	if (w->n == WEIGHTS_MAX_GROUPS || len >= sizeof(g->name))
		return NULL;
	g = &w->groups[w->n++];
	memcpy(g->name, name, len);
	return g;
}

const struct weight_group *weights_of(struct weights *w, const char *group)
{
	return find(w, group, strlen(group));
}

/* Steps come in order, some a second time, and each second the same again; one that is out of order
 * is of a hostile trace. */
static void add_step(struct weights *w, struct weight_group *g, const struct weight_step *step)
{
	const struct weight_step *last = g->n ? &g->steps[g->n - 1] : NULL;

	if (last && (step->from_ns <= last->from_ns || step->weight == last->weight))
		return;
	if (g->n == g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 16;
		struct weight_step *more = realloc(g->steps, cap * sizeof(*more));

		w->failed |= !more;
		if (!more)
			return;
		g->steps = more;
		g->cap = cap;
	}
	g->steps[g->n++] = *step;
}

static uint64_t bounded(uint64_t weight)
{
	return weight < 1 ? 1 : weight > WEIGHTS_MAX ? WEIGHTS_MAX : weight;
}

static void learn_row(struct weights *w, const struct bind_row *row)
{
	const struct weight_step step = {
		.from_ns = row->ts_ns,
		.weight = bounded(bind_get(row, F_WEIGHT, 1)),
		.rate = bind_get(row, F_RATE, 0),
		.budget = bind_get(row, F_BUDGET, 0),
		.cause = (uint32_t)bind_get(row, F_CAUSE, 0),
	};
	struct weight_group *g;
	const char *name;
	size_t len;

	name = bind_str(row, F_GROUP, &len);
	g = name ? find(w, name, len) : NULL;
	if (g)
		add_step(w, g, &step);
}

bool weights_are_in(const struct tape_schema *schema, const struct tape_chunk *chunk)
{
	const struct tape_record *rec = tape_schema_record_by_name(schema, "rate");

	return rec && tape_chunk_rows(chunk, rec->id);
}

int weights_learn(struct weights *w, const struct tape_schema *schema, struct tape_chunk *chunk,
		  struct tape_error *err)
{
	struct bind b = {.record = "rate", .fields = fields, .n_fields = F_N};
	struct bind_row row = {.bind = &b};
	struct tape_column ts, type;
	int rc;

	if (!weights_are_in(schema, chunk) || !tape_chunk_has_payload(chunk))
		return 0;
	bind_schema(&b, schema);
	rc = bind_chunk(&b, chunk, err);
	if (!rc)
		rc = tape_chunk_column(chunk, TAPE_COMMON, TAPE_COMMON_TS, &ts, err);
	if (!rc)
		rc = tape_chunk_column(chunk, TAPE_COMMON, TAPE_COMMON_TYPE, &type, err);
	for (uint32_t i = 0; !rc && i < ts.n && row.k < b.n_rows; i++) {
		if (tape_column_get(&type, i) != b.rec->id)
			continue;
		row.ts_ns = tape_column_get(&ts, i);
		learn_row(w, &row);
		row.k++;
	}
	return rc;
}

bool weights_are_plain(const struct weights *w, uint64_t to_ns)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->groups[i].n && w->groups[i].steps[0].from_ns <= to_ns)
			return false;
	return true;
}

uint64_t weight_search(const struct weight_group *g, uint64_t ts_ns)
{
	size_t low = 0, high = g->n; /* the first step that is later */

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (g->steps[mid].from_ns <= ts_ns)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? g->steps[low - 1].weight : 1;
}

/* ---- what an estimate is worth ---- */

struct cluster { /* what a connection has added to a sum */
	double sum, max_weight;
};

void estimates_fini(struct estimates *s)
{
	for (size_t i = 0; i < s->conns.cap; i++)
		free(s->conns.slots[i].value);
	map_fini(&s->conns);
}

/* The same from both ends: of a connection within this host both are recorded, or neither. */
static uint64_t key_of(const struct estimate *e, const struct flow *f)
{
	struct {
		const struct estimate *e;
		uint64_t ends;
	} key = {.e = e};
	uint8_t end[FLOW_ADDR_LEN + 2];

	if (f) {
		memcpy(end, f->laddr, FLOW_ADDR_LEN);
		memcpy(end + FLOW_ADDR_LEN, &f->lport, 2);
		key.ends = map_hash(end, sizeof(end));
		memcpy(end, f->raddr, FLOW_ADDR_LEN);
		memcpy(end + FLOW_ADDR_LEN, &f->rport, 2);
		key.ends += map_hash(end, sizeof(end));
	}
	return map_hash(&key, sizeof(key));
}

static double spread(const struct cluster *c)
{
	return c->max_weight > 0 ? c->sum * c->sum * (1 - 1 / c->max_weight) : 0;
}

void estimate_add(struct estimates *s, struct estimate *e, const struct flow *flow, uint64_t v,
		  uint64_t weight)
{
	uint64_t key;
	struct cluster *c;

	if (weight <= 1)
		return;
	key = key_of(e, flow);
	c = map_get(&s->conns, key);
	if (!c && s->conns.n >= ESTIMATE_MAX_CONNS) {
		s->n_over++;
		return;
	}
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c || map_put(&s->conns, key, c)) {
			free(c);
			s->failed = true;
			return;
		}
		e->n_conns++;
	}
	e->variance -= spread(c);
	c->sum += (double)v * (double)weight;
	if (c->max_weight < (double)weight)
		c->max_weight = (double)weight;
	e->variance += spread(c);
}

double estimate_error(const struct estimate *e)
{
	return e->variance > 0 ? sqrt(e->variance) : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A trace as metrics in time, in the text format of OpenMetrics 1.0 (prometheus.io/docs/specs/om):
 * what was counted since the trace's start, at the end of each interval, with the time of it. So
 * `promtool tsdb create-blocks-from openmetrics` puts it into a Prometheus afterwards.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "by.h"
#include "export.h"
#include "outcome.h"

#define NS_PER_S 1e9
#define MAX_STEPS 1000000
#define MAX_SERIES 4096

enum family {
	F_CONNECTS,
	F_CONNECT_SECONDS,
	F_ACCEPTS,
	F_CLOSED,
	F_SENT,
	F_RECEIVED,
	F_RETRANSMITS,
	F_RESETS,
	F_DROPS,
	F_RTT_SECONDS,
	F_N
};
static const struct {
	const char *name, *unit, *label, *help; /* unit NULL: none; label NULL: one series */
	bool is_histogram;
	const char *event; /* that it is made of */
} families[F_N] = {
	[F_CONNECTS] = {"tcptape_connects", NULL, "outcome", "Connects of this host that ended",
			false, "tcp_state"},
	[F_CONNECT_SECONDS] = {"tcptape_connect_duration_seconds", "seconds", "le",
			       "Time from the SYN to the answer, of connects that succeeded", true,
			       "tcp_state"},
	[F_ACCEPTS] = {"tcptape_accepts", NULL, NULL, "Connections that were accepted", false,
		       "tcp_accept"},
	[F_CLOSED] = {"tcptape_closed_connections", NULL, "first",
		      "Connections that ended, by who ended them", false, "tcp_state"},
	[F_SENT] = {"tcptape_acked_bytes", "bytes", NULL,
		    "Sent and acknowledged, by connections that ended", false, "tcp_destroy"},
	[F_RECEIVED] = {"tcptape_received_bytes", "bytes", NULL,
			"Received, by connections that ended", false, "tcp_destroy"},
	[F_RETRANSMITS] = {"tcptape_retransmitted_segments", NULL, "kind",
			   "Segments and SYN-ACKs that were sent again", false, "retransmit"},
	[F_RESETS] = {"tcptape_resets", NULL, "direction", "RSTs", false, "reset"},
	[F_DROPS] = {"tcptape_dropped_packets", NULL, "reason",
		     "TCP packets that the kernel dropped", false, "drop"},
	[F_RTT_SECONDS] = {"tcptape_rtt_seconds", "seconds", "le",
			   "Smoothed round-trip time at each ACK", true, "rtt"},
};

/* Upper edges of the buckets, in seconds; the last is +Inf. */
static const double edges[] = {1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02,
			       0.05, 0.1,  0.2,	 0.5,  1,    2,	   5,	 10,   30,   60};
#define N_EDGES (sizeof(edges) / sizeof(edges[0]))

struct series {
	enum family family;
	const char *suffix; /* of the sample's name */
	char label[64];	    /* its value */
	double now;
	size_t first;  /* step that steps[0] is of */
	double *steps; /* at the end of each */
	size_t cap;
};

struct metrics {
	struct by_who who; /* first: its binds find it */
	struct export *x;
	struct series *list;
	size_t n_series;
	struct map by_name;
	size_t hist_at[F_N]; /* of the first bucket in the list; then come the others, count, sum */
	bool has[F_N];	     /* the recording could have it */

	uint64_t start_ns, step_ns;
	uint64_t *ends; /* of the steps */
	size_t n_steps, cap_steps;
	int (*on_state)(void *ctx, const struct bind_row *row);
	int (*on_accept)(void *ctx, const struct bind_row *row);
	int (*on_destroy)(void *ctx, const struct bind_row *row);
	bool failed, has_more;
};

/* ---- series ---- */

static struct series *new_series(struct metrics *m, enum family f, const char *suffix,
				 const char *label)
{
	struct series *s = &m->list[m->n_series];

	if (m->n_series == MAX_SERIES) {
		m->has_more = true;
		return NULL;
	}
	*s = (struct series){.family = f, .suffix = suffix, .first = m->n_steps};
	snprintf(s->label, sizeof(s->label), "%s", label);
	m->n_series++;
	return s;
}

static void count(struct metrics *m, enum family f, const char *label, double n)
{
	char name[72];
	struct series *s;
	uint64_t key;

	snprintf(name, sizeof(name), "%u %s", f, label);
	key = map_hash(name, strlen(name));
	s = map_get(&m->by_name, key);
	if (!s) {
		s = new_series(m, f, "_total", label);
		m->failed |= s && map_put(&m->by_name, key, s);
	}
	if (s)
		s->now += n;
}

static void begin_histogram(struct metrics *m, enum family f)
{
	char label[32];

	m->hist_at[f] = m->n_series;
	for (size_t i = 0; i < N_EDGES; i++) {
		snprintf(label, sizeof(label), "%g", edges[i]);
		new_series(m, f, "_bucket", label);
	}
	new_series(m, f, "_bucket", "+Inf");
	new_series(m, f, "_count", "");
	new_series(m, f, "_sum", "");
}

/* Buckets are cumulative. */
static void observe(struct metrics *m, enum family f, double seconds, double n)
{
	struct series *s = &m->list[m->hist_at[f]];

	for (size_t i = 0; i < N_EDGES; i++)
		s[i].now += seconds <= edges[i] ? n : 0;
	s[N_EDGES].now += n;
	s[N_EDGES + 1].now += n;
	s[N_EDGES + 2].now += n * seconds;
}

static int keep(struct series *s, size_t step)
{
	size_t at = step - s->first;

	if (at >= s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;
		double *more = realloc(s->steps, cap * sizeof(*more));

		if (!more)
			return -1;
		s->steps = more;
		s->cap = cap;
	}
	s->steps[at] = s->now;
	return 0;
}

static void end_step(struct metrics *m, uint64_t end_ns)
{
	if (m->n_steps == m->cap_steps) {
		size_t cap = m->cap_steps ? 2 * m->cap_steps : 64;
		uint64_t *more = realloc(m->ends, cap * sizeof(*more));

		if (!more) {
			m->failed = true;
			return;
		}
		m->ends = more;
		m->cap_steps = cap;
	}
	for (size_t i = 0; i < m->n_series; i++)
		m->failed |= keep(&m->list[i], m->n_steps) < 0;
	m->ends[m->n_steps++] = end_ns;
}

/* Steps that were over by then; a trace with more than MAX_STEPS of them is long for its -i. */
static void advance(struct metrics *m, uint64_t ts_ns)
{
	while (!m->failed && m->step_ns && m->n_steps < MAX_STEPS &&
	       ts_ns >= m->start_ns + (m->n_steps + 1) * m->step_ns)
		end_step(m, m->start_ns + (m->n_steps + 1) * m->step_ns);
}

/* ---- events ---- */

static int on_state(void *ctx, const struct bind_row *row)
{
	struct metrics *m = ctx;
	struct conn_change ch;
	enum outcome end;

	advance(m, row->ts_ns);
	conn_change_take(&m->who.conns, row, &ch);
	if (outcome_ends_connect(&ch)) {
		end = outcome_of_connect(&ch, row->sock);
		count(m, F_CONNECTS, outcome_name(end), 1);
		if (end == OUTCOME_OK && ch.conn && ch.conn->connect_ns)
			observe(m, F_CONNECT_SECONDS,
				(double)(ch.ts_ns - ch.conn->connect_ns) / NS_PER_S, 1);
	} else if ((end = outcome_of_close(&ch)) != OUTCOME_NONE && ch.conn && !ch.conn->reason) {
		ch.conn->reason = end; /* the first answer counts */
		count(m, F_CLOSED, outcome_name(end), 1);
	}
	return m->on_state(ctx, row);
}

static int on_accept(void *ctx, const struct bind_row *row)
{
	advance(ctx, row->ts_ns);
	count(ctx, F_ACCEPTS, "", 1);
	return ((struct metrics *)ctx)->on_accept(ctx, row);
}

enum { END_SOCK, END_TASK, END_ACKED, END_RECEIVED, END_N };
static const struct bind_field end_fields[END_N] = {{"sock", BIND_SOCK},
						    {"task", BIND_TASK},
						    {"bytes_acked", BIND_INT},
						    {"bytes_received", BIND_INT}};

static int on_destroy(void *ctx, const struct bind_row *row)
{
	struct metrics *m = ctx;

	advance(m, row->ts_ns);
	count(m, F_SENT, "", (double)bind_get(row, END_ACKED, 0));
	count(m, F_RECEIVED, "", (double)bind_get(row, END_RECEIVED, 0));
	return m->on_destroy(ctx, row);
}

static const struct bind_field rtt_fields[] = {{"sock", BIND_SOCK}, {"srtt_us", BIND_INT}};

static int on_rtt(void *ctx, const struct bind_row *row)
{
	struct metrics *m = ctx;
	uint64_t us = bind_get(row, 1, 0);

	advance(m, row->ts_ns);
	if (us)
		observe(m, F_RTT_SECONDS, (double)us / 1e6,
			(double)weight_at(input_weights(m->x->run->in, "rtt"), row->ts_ns));
	return 0;
}

static const struct bind_field resent_fields[] = {{"sock", BIND_SOCK}, {"segs", BIND_INT}};

static int on_retransmit(void *ctx, const struct bind_row *row)
{
	advance(ctx, row->ts_ns);
	count(ctx, F_RETRANSMITS, "segment", (double)bind_get(row, 1, 1));
	return 0;
}

static int on_synack(void *ctx, const struct bind_row *row)
{
	advance(ctx, row->ts_ns);
	count(ctx, F_RETRANSMITS, "syn-ack", 1);
	return 0;
}

/* A value by the name that the trace gives it. */
static void count_named(struct metrics *m, enum family f, const struct bind_row *row,
			const char *unit)
{
	uint64_t v = bind_get(row, 1, 0);
	const char *name = tape_schema_name(input_schema(m->x->run->in), unit, v);
	char number[24];

	advance(m, row->ts_ns);
	snprintf(number, sizeof(number), "%" PRIu64, v);
	count(m, f, name ? name : number, 1);
}

static const struct bind_field reset_fields[] = {{"sock", BIND_SOCK}, {"direction", BIND_INT}};

static int on_reset(void *ctx, const struct bind_row *row)
{
	count_named(ctx, F_RESETS, row, "rst_direction");
	return 0;
}

static const struct bind_field drop_fields[] = {{"sock", BIND_SOCK}, {"reason", BIND_INT}};

static int on_drop(void *ctx, const struct bind_row *row)
{
	count_named(ctx, F_DROPS, row, "drop_reason");
	return 0;
}

/* ---- the text ---- */

static void put_label(struct text *t, char before, const char *name, const char *value)
{
	text_fmt(t, "%c%s=\"", before, name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			text_putc(t, '\\');
		if (*value == '\n')
			text_puts(t, "\\n");
		else
			text_putc(t, *value);
	}
	text_putc(t, '"');
}

static void put_sample(struct metrics *m, const struct series *s, size_t step)
{
	struct text *t = &m->x->one.text;
	uint64_t wall = input_wall(m->x->run->in, m->ends[step]);
	const char *host = input_meta(m->x->run->in, "host");
	double v = s->steps[step - s->first];

	text_fmt(t, "%s%s", families[s->family].name, s->suffix);
	put_label(t, '{', "instance", host ? host : "");
	if (families[s->family].label && s->label[0])
		put_label(t, ',', families[s->family].label, s->label);
	text_putc(t, '}');
	text_fmt(t, v == floor(v) ? " %.0f" : " %.9g", v);
	text_fmt(t, " %" PRIu64 ".%03" PRIu64 "\n", wall / 1000000000, wall / 1000000 % 1000);
}

/* All samples of a histogram at one time stand together; a counter's stand in the order of time. */
static int put_family(struct metrics *m, enum family f)
{
	struct text *t = &m->x->one.text;

	if (!m->has[f])
		return 0;
	text_fmt(t, "# TYPE %s %s\n", families[f].name,
		 families[f].is_histogram ? "histogram" : "counter");
	if (families[f].unit)
		text_fmt(t, "# UNIT %s %s\n", families[f].name, families[f].unit);
	text_fmt(t, "# HELP %s %s.\n", families[f].name, families[f].help);
	for (size_t step = 0; families[f].is_histogram && step < m->n_steps; step++)
		for (size_t i = 0; i < N_EDGES + 3; i++)
			put_sample(m, &m->list[m->hist_at[f] + i], step);
	for (size_t i = 0; !families[f].is_histogram && i < m->n_series; i++) {
		const struct series *s = &m->list[i];

		for (size_t step = s->first; s->family == f && step < m->n_steps; step++)
			put_sample(m, s, step);
		if (export_flush(m->x, &m->x->one, false))
			return -1;
	}
	return export_flush(m->x, &m->x->one, false);
}

static int put_all(struct metrics *m)
{
	struct cmd_run *run = m->x->run;

	if (export_open(m->x, &m->x->one, NULL, NULL))
		return -1;
	if (!input_wall(run->in, m->start_ns))
		out_note(run->out, "the trace does not tell the time of day: times are since 1970");
	for (unsigned f = 0; f < F_N; f++)
		if (put_family(m, f))
			return -1;
	text_puts(&m->x->one.text, "# EOF\n");
	if (m->has_more)
		out_note(run->out, "series beyond the first %d are left out", MAX_SERIES);
	if (m->n_steps == MAX_STEPS)
		out_note(run->out, "what comes after %d intervals is left out; -i longer",
			 MAX_STEPS);
	return 0;
}

/* ---- the whole ---- */

enum { N_OWN = 5 };

static int read_events(struct metrics *m)
{
	struct cmd_run *run = m->x->run;
	struct bind binds[N_OWN + BY_N_BINDS] = {
		{.record = "rtt", .fields = rtt_fields, .n_fields = 2, .on = on_rtt},
		{.record = "retransmit",
		 .fields = resent_fields,
		 .n_fields = 2,
		 .on = on_retransmit},
		{.record = "synack_retransmit",
		 .fields = resent_fields,
		 .n_fields = 1,
		 .on = on_synack},
		{.record = "reset", .fields = reset_fields, .n_fields = 2, .on = on_reset},
		{.record = "drop", .fields = drop_fields, .n_fields = 2, .on = on_drop},
	};
	struct bind *track = binds + N_OWN + BY_BIND_CONN;
	struct input_job job = {
		.binds = binds, .n_binds = N_OWN + BY_N_BINDS, .tcp_only = true, .ctx = m};

	by_bind(binds + N_OWN);
	m->on_state = track[CONN_TRACK_STATE].on;
	m->on_accept = track[CONN_TRACK_ACCEPT].on;
	m->on_destroy = track[CONN_TRACK_DESTROY].on;
	track[CONN_TRACK_STATE].on = on_state;
	track[CONN_TRACK_ACCEPT].on = on_accept;
	track[CONN_TRACK_DESTROY].on = on_destroy;
	track[CONN_TRACK_DESTROY].fields = end_fields;
	track[CONN_TRACK_DESTROY].n_fields = END_N;
	if (input_run(run->in, &job, run->fail))
		return -1;
	advance(m, input_last(run->in));
	end_step(m, input_last(run->in));
	return m->failed || by_who_failed(&m->who) ? fail_nomem(run->fail) : 0;
}

static void begin(struct metrics *m, struct export *x)
{
	const char *why;

	m->x = x;
	m->start_ns = input_from(x->run->in);
	m->step_ns = (uint64_t)(x->seconds * NS_PER_S);
	for (unsigned f = 0; f < F_N; f++) {
		m->has[f] = input_has_probe(x->run->in, families[f].event, &why) != META_NO;
		if (families[f].is_histogram)
			begin_histogram(m, f);
		else if (!families[f].label)
			count(m, f, "", 0);
	}
}

int export_openmetrics(struct export *x)
{
	struct metrics *m = calloc(1, sizeof(*m));
	int rc;

	if (m)
		m->list = calloc(MAX_SERIES, sizeof(*m->list));
	if (!m || !m->list) {
		free(m);
		return fail_nomem(x->run->fail);
	}
	begin(m, x);
	rc = read_events(m);
	rc = rc ? rc : put_all(m);
	for (size_t i = 0; i < m->n_series; i++)
		free(m->list[i].steps);
	map_fini(&m->by_name);
	by_who_fini(&m->who);
	free(m->ends);
	free(m->list);
	free(m);
	return rc;
}

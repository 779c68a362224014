// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "crosscheck.h"

#define MAX_NAMES 65536
#define BIT(state) (1u << TCP_S_##state)
#define ANY UINT32_MAX
#define MAX_RULE_FIELDS 3
#define RST_SENT 1 /* unit rst_direction */

enum how {
	COUNT_IN,    /* rows whose first two fields are in the two sets */
	COUNT_ERR,   /* the same, if the third one is not 0 */
	COUNT_ABOVE, /* rows whose first field is greater than the second */
	SUM,	     /* of the first field */
};

/*
 * What a counter counts, in terms of events. Rows of one counter add up, and stand
 * together; those of one record look at the same fields.
 */
/* clang-format off */
#define STATE_FIELDS {{"old_state", BIND_INT}, {"new_state", BIND_INT}, {"err", BIND_INT}}
/* clang-format on */

static const struct rule {
	const char *counter, *record;
	struct bind_field fields[MAX_RULE_FIELDS];
	enum how how;
	uint32_t in[2];
} rules[] = {
	/* tcp_connect */
	{"Tcp.ActiveOpens", "tcp_state", STATE_FIELDS, COUNT_IN, {ANY, BIT(SYN_SENT)}},
	/* tcp_create_openreq_child, after inet_csk_clone_lock has changed the state */
	{"Tcp.PassiveOpens", "tcp_state", STATE_FIELDS, COUNT_IN, {BIT(LISTEN), BIT(SYN_RECV)}},
	/*
	 * tcp_done: with an error, which connect() that fails in this host, and close(), do not
	 * leave in the socket when they leave these states. Not told: an RST or SYN for a request
	 * (tcp_check_req), which has no hook.
	 */
	{"Tcp.AttemptFails",
	 "tcp_state",
	 STATE_FIELDS,
	 COUNT_ERR,
	 {BIT(SYN_SENT) | BIT(SYN_RECV), BIT(CLOSE)}},
	/* tcp_set_state */
	{"Tcp.EstabResets",
	 "tcp_state",
	 STATE_FIELDS,
	 COUNT_IN,
	 {BIT(ESTABLISHED) | BIT(CLOSE_WAIT), BIT(CLOSE)}},
	/* tcp_v4_send_reset, tcp_v6_send_reset, tcp_send_active_reset */
	{"Tcp.OutRsts",
	 "reset",
	 {{"direction", BIND_INT}, {"direction", BIND_INT}},
	 COUNT_IN,
	 {1u << RST_SENT, ANY}},
	/* __tcp_retransmit_skb counts segments, tcp_rtx_synack one */
	{"Tcp.RetransSegs", "retransmit", {{"segs", BIND_INT}, {"err", BIND_INT}}, SUM, {0, 0}},
	{"Tcp.RetransSegs",
	 "synack_retransmit",
	 {{"mss", BIND_INT}, {"mss", BIND_INT}},
	 COUNT_IN,
	 {ANY, ANY}},
	/* tcp_v4_syn_recv_sock, tcp_v6_syn_recv_sock, tcp_conn_request: sk_acceptq_is_full */
	{"TcpExt.ListenOverflows",
	 "listen_child",
	 {{"backlog", BIND_INT}, {"max_backlog", BIND_INT}},
	 COUNT_ABOVE,
	 {0, 0}},
};
#define N_RULES (sizeof(rules) / sizeof(rules[0]))

struct counter {
	char *name; /* NULL: a snapshot that does not name it */
	int64_t moved;
};

struct check {
	struct cmd_run *run;
	struct counter *counters; /* by id */
	size_t n;
	uint64_t first_ns, last_ns;		/* of the samples */
	uint64_t found[N_RULES], held[N_RULES]; /* held: since the last sample */
	bool failed;
};

enum { C_ID, C_DELTA, C_INTERVAL, C_N };
static const struct bind_field counter_fields[C_N] = {
	{"counter", BIND_INT}, {"delta", BIND_INT}, {"interval_us", BIND_INT}};
enum { N_ID, N_NAME, N_N };
static const struct bind_field name_fields[N_N] = {{"counter", BIND_INT}, {"name", BIND_STR}};

static struct counter *counter_at(struct check *c, uint64_t id)
{
	if (id >= MAX_NAMES)
		return NULL;
	if (id >= c->n) {
		size_t n = id + 256;
		struct counter *more = realloc(c->counters, n * sizeof(*more));

		if (!more) {
			c->failed = true;
			return NULL;
		}
		memset(more + c->n, 0, (n - c->n) * sizeof(*more));
		c->counters = more;
		c->n = n;
	}
	return &c->counters[id];
}

static int on_name(void *ctx, const struct bind_row *row)
{
	struct check *c = ctx;
	struct counter *k = counter_at(c, bind_get(row, N_ID, MAX_NAMES));
	size_t len;
	const char *name = bind_str(row, N_NAME, &len);

	if (k && name && !k->name)
		k->name = strndup(name, len);
	return 0;
}

/* Only what lies between two samples can be compared. */
static int on_counter(void *ctx, const struct bind_row *row)
{
	struct check *c = ctx;
	struct counter *k = counter_at(c, bind_get(row, C_ID, MAX_NAMES));

	if (!c->first_ns)
		c->first_ns = row->ts_ns;
	if (row->ts_ns != c->last_ns) {
		for (size_t i = 0; i < N_RULES; i++)
			c->found[i] += c->held[i];
		memset(c->held, 0, sizeof(c->held));
	}
	c->last_ns = row->ts_ns;
	if (k && bind_get(row, C_INTERVAL, 0))
		k->moved += (int64_t)bind_get(row, C_DELTA, 0);
	return 0;
}

static uint64_t weigh(const struct rule *r, const struct bind_row *row)
{
	uint64_t a = bind_get(row, 0, 0), b = bind_get(row, 1, 0);

	if (r->how == SUM)
		return a;
	if (r->how == COUNT_ABOVE)
		return a > b;
	if (r->how == COUNT_ERR && !bind_get(row, 2, 0))
		return 0;
	return (r->in[0] == ANY || (a < 32 && r->in[0] >> a & 1)) &&
	       (r->in[1] == ANY || (b < 32 && r->in[1] >> b & 1));
}

static int on_event(void *ctx, const struct bind_row *row)
{
	struct check *c = ctx;

	for (size_t i = 0; c->first_ns && i < N_RULES; i++)
		if (!strcmp(rules[i].record, row->bind->record))
			c->held[i] += weigh(&rules[i], row);
	return 0;
}

static const struct counter *find(const struct check *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->counters[i].name && !strcmp(c->counters[i].name, name))
			return &c->counters[i];
	return NULL;
}

/* Whether the trace can have what the rule looks at. */
static bool recorded(struct check *c, const struct rule *r)
{
	const char *why;

	return tape_schema_record_by_name(input_schema(c->run->in), r->record) &&
	       input_has_probe(c->run->in, r->record, &why) == META_YES;
}

/* ---- printing ---- */

static const struct out_col columns[] = {
	{"COUNTER", "counter", 28, false},
	{"KERNEL", "kernel", -12, false},
	{"RECORDED", "recorded", -12, false},
	{"DIFFERENCE", "difference", -12, false},
};

static void print_rules(struct check *c)
{
	struct out *o = c->run->out;

	for (size_t i = 0; i < N_RULES; i++) {
		const struct counter *k = find(c, rules[i].counter);
		uint64_t n = 0;
		bool have = false;

		if (!k || (i && !strcmp(rules[i].counter, rules[i - 1].counter)))
			continue;
		for (size_t j = i; j < N_RULES && !strcmp(rules[i].counter, rules[j].counter);
		     j++) {
			have |= recorded(c, &rules[j]);
			n += c->found[j];
		}
		out_str(o, k->name);
		out_fixed(o, (double)k->moved, 0);
		if (have)
			out_u64(o, n);
		else
			out_none(o);
		if (have)
			out_fixed(o, (double)(k->moved - (int64_t)n), 0);
		else
			out_none(o);
		out_end_row(o);
	}
}

static void print_rest(struct check *c)
{
	struct out *o = c->run->out;

	for (size_t i = 0; i < c->n; i++) {
		const struct counter *k = &c->counters[i];
		bool shown = false;

		for (size_t j = 0; k->name && j < N_RULES; j++)
			shown |= !strcmp(k->name, rules[j].counter);
		if (!k->name || !k->moved || shown)
			continue;
		out_str(o, k->name);
		out_fixed(o, (double)k->moved, 0);
		out_none(o);
		out_none(o);
		out_end_row(o);
	}
}

static void print(struct check *c)
{
	out_table(c->run->out, columns, sizeof(columns) / sizeof(columns[0]));
	print_rules(c);
	print_rest(c);
	if (c->first_ns)
		out_note(c->run->out,
			 "KERNEL: all namespaces together, from the sample at +%.3fs to that at "
			 "+%.3fs; RECORDED: events between them, - where there is no hook",
			 input_seconds(c->run->in, c->first_ns),
			 input_seconds(c->run->in, c->last_ns));
}

static unsigned n_fields(const struct rule *r)
{
	return r->fields[2].name ? 3 : 2;
}

/* A bind for each record that rules look at; returns how many. */
static unsigned add_rules(struct bind *binds)
{
	unsigned n = 0;

	for (size_t i = 0; i < N_RULES; i++) {
		bool there = false;

		for (unsigned k = 0; k < n; k++)
			there |= !strcmp(binds[k].record, rules[i].record);
		if (!there)
			binds[n++] = (struct bind){.record = rules[i].record,
						   .fields = rules[i].fields,
						   .n_fields = n_fields(&rules[i]),
						   .on = on_event};
	}
	return n;
}

int crosscheck_run(struct cmd_run *run)
{
	struct check c = {.run = run};
	struct bind binds[N_RULES + 2];
	struct input_job job = {.binds = binds, .ctx = &c};
	char words[512];
	int rc;

	if (input_needs(run->in, "counters", "counter", run->fail))
		return -1;
	job.n_binds = add_rules(binds);
	binds[job.n_binds++] = (struct bind){
		.record = "counter", .fields = counter_fields, .n_fields = C_N, .on = on_counter};
	binds[job.n_binds++] = (struct bind){
		.record = "snap_counter", .fields = name_fields, .n_fields = N_N, .on = on_name};
	rc = input_run(run->in, &job, run->fail);
	if (!rc && c.failed)
		rc = fail_nomem(run->fail);
	if (!rc)
		print(&c);
	if (!rc && input_choice(run->in, words, sizeof(words)))
		out_note(run->out,
			 "recorded with %s: the counters are of all connections, the events only "
			 "of those",
			 words);
	for (size_t i = 0; i < c.n; i++)
		free(c.counters[i].name);
	free(c.counters);
	return rc;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape rtt: histograms of round-trip times, as bcc's tcprtt, of the smoothed value at each ACK
 * or of the raw samples. Without a choice of connections it runs over whole columns.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "by.h"
#include "cells.h"
#include "cmd.h"
#include "dist.h"
#include "names.h"

#define NS_PER_S 1e9

static struct {
	struct opt_fixed interval, duration;
	bool timestamp, ms, by_laddr, by_raddr, mean, raw, percentiles, each;
	struct opt_u32 lport, rport;
	const char *laddr, *raddr, *by;
	enum by_key key; /* what -b, -B or --by says */
	uint8_t laddr_b[FLOW_ADDR_LEN], raddr_b[FLOW_ADDR_LEN];
	struct cells_filter filter;
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	INTERVAL_ROW(opts, "a summary for each interval"),
	{'d', "duration", "SECONDS", OPT_FIXED, AT(duration), "only the first so many seconds"},
	{'T', "timestamp", NULL, OPT_FLAG, AT(timestamp), "the time of day with each summary"},
	{'m', "millisecond", NULL, OPT_FLAG, AT(ms), "milliseconds instead of microseconds"},
	{'p', "lport", "PORT", OPT_PORT, AT(lport), "only this local port"},
	{'P', "rport", "PORT", OPT_PORT, AT(rport), "only this remote port"},
	{'a', "laddr", "ADDRESS", OPT_STR, AT(laddr), "only this local address"},
	{'A', "raddr", "ADDRESS", OPT_STR, AT(raddr), "only this remote address"},
	CELLS_FAMILY_ROWS(opts),
	{'b', "byladdr", NULL, OPT_FLAG, AT(by_laddr),
	 "a histogram for each local address: --by local"},
	{'B', "byraddr", NULL, OPT_FLAG, AT(by_raddr),
	 "a histogram for each remote address: --by remote"},
	{0, "by", "KEY", OPT_STR, AT(by), "one for each " BY_OF_SOCKETS_HELP},
	{'e', "extension", NULL, OPT_FLAG, AT(mean), "the mean with each histogram"},
	{0, "raw", NULL, OPT_FLAG, AT(raw), "raw samples instead of the smoothed value (srtt)"},
	{0, "percentiles", NULL, OPT_FLAG, AT(percentiles),
	 "a line of figures instead of a histogram; percentiles are\n"
	 "off by less than 1 % of the value, the rest is exact"},
	{0, "each", NULL, OPT_FLAG, AT(each), "each value, one a line"},
};

enum { R_SOCK, R_RTT, R_SRTT, R_SOURCE, R_N };
static const struct bind_field rtt_fields[R_N] = {
	[R_SOCK] = {"sock", BIND_SOCK},
	[R_RTT] = {"rtt_us", BIND_INT},
	[R_SRTT] = {"srtt_us", BIND_INT},
	[R_SOURCE] = {"source", BIND_INT},
};

struct rtt {
	struct by_who who; /* first: by_bind() */
	struct cmd_run *run;
	struct dist dist;
	struct dist_group *all; /* the one group, where there is no key */
	struct names sources;
	uint64_t end_ns; /* of -d */
	uint64_t n_events, n_values, n_probe;
	uint64_t probe; /* the value of source that means: no sample visible */
	bool has_probe;
};

/* ---- values ---- */

static const struct out_col each_columns[] = {
	{"TIME(s)", "time_s", 12, false},   {"RTT(us)", "rtt_us", -9, false},
	{"SRTT(us)", "srtt_us", -9, false}, {"COOKIE", "conn", 12, false},
	{"LADDR", "laddr", 15, false},	    {"LPORT", "lport", 5, false},
	{"RADDR", "raddr", 15, false},	    {"RPORT", "rport", 5, false},
	{"SOURCE", "source", 0, false},
};
#define N_EACH_COLUMNS (sizeof(each_columns) / sizeof(each_columns[0]))

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	struct rtt *r = ctx;

	dist_pass(&r->dist, floor_ns);
	return 0;
}

static struct dist_group *find_group(struct rtt *r, const struct sock *sock)
{
	struct task room;
	struct by_event e = {.sock = sock};

	if (by_needs_conns(opts.key))
		e.task = conn_task(conn_find(&r->who.conns, sock), &room);
	return dist_group(&r->dist, &e);
}

static bool is_wanted(const struct bind_row *row)
{
	const struct flow *f = row->sock && row->sock->has_flow ? &row->sock->flow : NULL;

	if (!cells_filter_has(&opts.filter, f))
		return false;
	if (!f)
		return !opts.lport.given && !opts.rport.given && !opts.laddr && !opts.raddr;
	return (!opts.lport.given || f->lport == opts.lport.v) &&
	       (!opts.rport.given || f->rport == opts.rport.v) &&
	       (!opts.laddr || !memcmp(f->laddr, opts.laddr_b, FLOW_ADDR_LEN)) &&
	       (!opts.raddr || !memcmp(f->raddr, opts.raddr_b, FLOW_ADDR_LEN));
}

static void print_each(struct rtt *r, const struct bind_row *row, int64_t rtt, uint64_t srtt)
{
	uint64_t source = bind_get(row, R_SOURCE, UINT64_MAX);
	const char *name = names_get(&r->sources, source);
	struct out *o = r->run->out;

	cell_seconds(o, r->run->in, row->ts_ns);
	if (rtt >= 0)
		out_u64(o, (uint64_t)rtt);
	else
		out_none(o);
	if (srtt)
		out_u64(o, srtt);
	else
		out_none(o);
	cell_cookie(o, row->sock ? row->sock->cookie : 0);
	cells_flow(o, row->sock && row->sock->has_flow ? &row->sock->flow : NULL);
	if (name)
		out_str(o, name);
	else if (bind_has(row, R_SOURCE))
		out_u64(o, source);
	else
		out_none(o);
	out_end_row(o);
}

static int on_row(void *ctx, const struct bind_row *row)
{
	struct rtt *r = ctx;
	int64_t rtt = (int64_t)bind_get(row, R_RTT, (uint64_t)-1);
	uint64_t srtt = bind_get(row, R_SRTT, 0);
	struct dist_group *g;

	if (row->ts_ns > r->end_ns || !is_wanted(row))
		return 0;
	dist_pass(&r->dist, row->ts_ns);
	r->n_events++;
	r->n_probe += r->has_probe && bind_get(row, R_SOURCE, r->probe + 1) == r->probe;
	if (opts.raw ? rtt < 0 : !srtt) /* no sample; not yet one */
		return 0;
	r->n_values++;
	if (opts.each) {
		print_each(r, row, rtt, srtt);
		return 0;
	}
	g = r->all ? r->all : find_group(r, row->sock);
	if (g)
		dist_add(&r->dist, g, row->sock && row->sock->has_flow ? &row->sock->flow : NULL,
			 row->ts_ns, opts.raw ? (uint64_t)rtt : srtt);
	return 0;
}

/* The same over whole columns, for one histogram of everything. */
static int on_columns(void *ctx, const struct bind *b)
{
	struct rtt *r = ctx;
	unsigned field = opts.raw ? R_RTT : R_SRTT;
	const struct tape_column *col = &b->cols[field];
	struct hist *h = &r->all->hist;
	uint64_t before = h->n;

	r->n_events += b->n_rows;
	for (uint32_t i = 0; r->has_probe && b->have[R_SOURCE] && i < b->n_rows; i++)
		r->n_probe += tape_column_get(&b->cols[R_SOURCE], i) == r->probe;
	if (!b->have[field])
		return 0;
	if (col->width == 4 && !opts.raw) {
		const uint32_t *v = col->values;

		for (uint32_t i = 0; i < b->n_rows; i++)
			if (v[i])
				hist_add(h, v[i]);
	} else {
		for (uint32_t i = 0; i < b->n_rows; i++) {
			int64_t v = (int64_t)tape_column_get(col, i);

			if (opts.raw ? v >= 0 : v != 0)
				hist_add(h, (uint64_t)v);
		}
	}
	r->n_values += h->n - before;
	r->all->n_recorded += h->n - before;
	return 0;
}

/* ---- the command ---- */

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (opts.by_laddr + opts.by_raddr + (opts.by != NULL) > 1)
		return fail_set(fail, STATUS_USAGE, "-b, -B and --by exclude each other");
	opts.key = opts.by_laddr ? BY_LOCAL : opts.by_raddr ? BY_REMOTE : BY_ALL;
	if (by_parse(opts.by, BY_OF_SOCKETS, &opts.key, fail))
		return -1;
	if (opts.laddr && !flow_addr_parse(opts.laddr, opts.laddr_b))
		return fail_set(fail, STATUS_USAGE, "-a takes an IP address, not '%s'", opts.laddr);
	if (opts.raddr && !flow_addr_parse(opts.raddr, opts.raddr_b))
		return fail_set(fail, STATUS_USAGE, "-A takes an IP address, not '%s'", opts.raddr);
	if (interval_check(&opts.interval, fail))
		return -1;
	if (opts.duration.given && opts.duration.v > 1e9)
		return fail_set(fail, STATUS_USAGE, "-d takes seconds");
	return 0;
}

static bool needs_rows(void)
{
	return opts.interval.given || opts.duration.given || opts.each || opts.key != BY_ALL ||
	       opts.lport.given || opts.rport.given || opts.laddr || opts.raddr || opts.filter.v4 ||
	       opts.filter.v6;
}

static void begin_output(struct rtt *r)
{
	struct dist_opts dist = {.by = opts.key,
				 .value = opts.raw ? "rtt" : "srtt",
				 .per_us = 1,
				 .ms = opts.ms,
				 .percentiles = opts.percentiles,
				 .mean = opts.mean,
				 .time_of_day = opts.timestamp,
				 .interval = opts.interval,
				 .group = "rtt"};

	if (opts.each)
		out_table(r->run->out, each_columns, N_EACH_COLUMNS);
	else
		dist_begin(&r->dist, r->run, &r->who, &dist);
}

static int begin(struct rtt *r)
{
	const struct tape_schema *s = input_schema(r->run->in);

	if (input_needs(r->run->in, "rtt", "rtt", r->run->fail) ||
	    (opts.raw && input_needs_field(r->run->in, "rtt", "rtt_us", r->run->fail)))
		return -1;
	begin_output(r);
	if (opts.key == BY_ALL && !opts.each) {
		r->all = find_group(r, NULL);
		if (!r->all)
			return fail_nomem(r->run->fail);
	}
	if (names_init(&r->sources, s, "rtt_source"))
		return fail_nomem(r->run->fail);
	for (size_t i = 0; i < r->sources.n; i++)
		if (!strcmp(r->sources.rows[i]->name, "probe")) {
			r->probe = r->sources.rows[i]->value;
			r->has_probe = true;
		}
	r->end_ns = UINT64_MAX;
	if (opts.duration.given)
		r->end_ns = input_from(r->run->in) + (uint64_t)(opts.duration.v * NS_PER_S);
	return 0;
}

static int finish(struct rtt *r)
{
	if (opts.raw && !r->n_values && r->n_events && r->n_probe == r->n_events)
		return fail_set(
			r->run->fail, STATUS_LACKS,
			"%s: the trace has no raw samples: this kernel let the recorder use "
			"tcp_probe "
			"only; record with tcptape-record -e rtt on a kernel with fexit or kprobes",
			r->run->path);
	if (by_who_failed(&r->who))
		return fail_nomem(r->run->fail);
	if (!opts.each && dist_finish(&r->dist, r->run->fail))
		return -1;
	if (!r->n_values)
		out_note(r->run->out, "no round-trip times among the chosen events");
	return 0;
}

static int run(struct cmd_run *run)
{
	struct rtt r = {.run = run};
	struct bind binds[1 + BY_N_BINDS] = {
		{.record = "rtt", .fields = rtt_fields, .n_fields = R_N, .on = on_row}};
	struct input_job job = {.binds = binds,
				.n_binds = 1,
				.on_chunk = on_chunk,
				.ctx = &r,
				.on_columns = needs_rows() ? NULL : on_columns};
	int rc = begin(&r);

	by_bind(binds + 1);
	job.n_binds += dist_n_binds(opts.key);
	if (!rc)
		rc = input_run(run->in, &job, run->fail);
	if (!rc)
		rc = finish(&r);
	dist_fini(&r.dist);
	by_who_fini(&r.who);
	names_fini(&r.sources);
	return rc;
}

const struct cmd cmd_rtt = {
	.name = "rtt",
	.summary = "histograms of round-trip times (tcprtt)",
	.about = "The value is srtt, the kernel's smoothed round-trip time at each ACK that it "
		 "processed, as\n"
		 "tcprtt shows it; with --raw the samples that the kernel measured, which need a "
		 "recording\n"
		 "made with fexit or a kprobe. ACKs of connections without a sample yet are not "
		 "counted.\n"
		 "Intervals count from the start of the trace, or from --from; empty ones are not "
		 "printed.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "rtt",
	.check = check,
	.run = run,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape delay: each received or sent segment and its time in every layer, as LMP's
 * delay_analysis_in and delay_analysis_out; or the slowest ones, or the distribution.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "batches.h"
#include "delay.h"
#include "segment_read.h"
#include "slowest.h"

#define MAX_SLOWEST 100000
#define KEYS (BY_OF_SOCKETS | BY_BIT(BY_TID) | BY_BIT(BY_INTERFACE))

static struct {
	bool in, out, timestamp, data, all, percentiles, hist, wide;
	struct opt_u32 sport, dport, slowest;
	const char *by, *pcap;
	struct opt_fixed interval, min_us;
	struct cells_filter filter;
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	{0, "in", NULL, OPT_FLAG, AT(in), "what was received, from the driver to the application"},
	{0, "out", NULL, OPT_FLAG, AT(out), "what was sent, from the application to the driver"},
	{0, "sport", "PORT", OPT_PORT, AT(sport), "only this source port"},
	{0, "dport", "PORT", OPT_PORT, AT(dport), "only this destination port"},
	CELLS_FAMILY_ROWS(opts),
	{0, "data", NULL, OPT_FLAG, AT(data), "only segments with payload"},
	{'a', "all", NULL, OPT_FLAG, AT(all),
	 "also packets that only passed through this host, or came to\n"
	 "no TCP here"},
	{'m', "min", "US", OPT_FIXED, AT(min_us),
	 "only segments that took at least so many microseconds"},
	{0, "slowest", "N", OPT_U32, AT(slowest),
	 "the N segments that took longest, the slowest first"},
	{0, "percentiles", NULL, OPT_FLAG, AT(percentiles),
	 "instead: the distribution of the time in each layer;\n"
	 "percentiles are off by less than 1 % of the value"},
	{0, "hist", NULL, OPT_FLAG, AT(hist), "instead: a histogram for each layer"},
	{0, "by", "KEY", OPT_STR, AT(by), "one for each tid, interface, " BY_OF_SOCKETS_HELP},
	INTERVAL_ROW(opts, "one for each interval: of the segments whose way ended in it; one\n"
			   "that is complete late (a lost event) counts in the next"),
	{0, "pcap", "FILE", OPT_STR, AT(pcap),
	 "a capture (tcpdump -w) of the same time: when it saw each segment"},
	{'t', "timestamp", NULL, OPT_FLAG, AT(timestamp),
	 "the time of day, not seconds since the start of the trace"},
	{'w', "wide", NULL, OPT_FLAG, AT(wide),
	 "columns with who read or wrote it, else whose connection it is"},
};

struct delay {
	struct segment_read read;
	struct delay_wire wire;
	struct delay_table table;
	struct slowest slowest;	 /* of struct slow */
	struct delay_dist *dist; /* NULL: not asked for */
	struct batches *aside;	 /* of struct counted, for dist; NULL: on this thread */
	const struct weight_group *weights;
	enum seg_dir dir;
	uint64_t n_passed;
};

struct slow {
	struct segment segment;
	struct task owner; /* pid 0: not known */
	enum capture_lack lack;
};

struct counted { /* what goes into the distribution */
	struct segment segment;
	uint64_t weight;
};

/* Of two that took equally long the earlier one counts as slower. */
static bool is_faster(const void *a, const void *b)
{
	const struct segment *x = &((const struct slow *)a)->segment;
	const struct segment *y = &((const struct slow *)b)->segment;
	uint64_t v = x->end_ns - x->start_ns, w = y->end_ns - y->start_ns;

	return v != w ? v < w : x->start_ns > y->start_ns;
}

static void add_slow(struct delay *d, const struct segment *s, const struct task *owner,
		     enum capture_lack lack)
{
	struct slow slow = {.segment = *s, .lack = lack};

	if (owner)
		slow.owner = *owner;
	slowest_add(&d->slowest, &slow);
}

static bool has_port(const struct segment *s, const struct opt_u32 *port, bool source)
{
	bool local = source == (s->dir == SEG_OUT);

	return !port->given || port->v == (local ? s->wire.lport : s->wire.rport) ||
	       port->v == (local ? s->inner.lport : s->inner.rport);
}

static int count_aside(void *ctx, const char *p, size_t len)
{
	const struct counted *c = (const struct counted *)(const void *)p;

	for (size_t n = len / sizeof(*c); n; n--, c++)
		delay_dist_add(ctx, &c->segment, NULL, c->weight);
	return 0;
}

static int count(struct delay *d, const struct segment *s, const struct conn *conn)
{
	uint64_t weight = weight_at(d->weights, s->start_ns);
	struct counted *c;

	if (!d->aside) {
		delay_dist_pass(d->dist, s->end_ns);
		delay_dist_add(d->dist, s, conn, weight);
		return 0;
	}
	c = batches_room(d->aside, sizeof(*c));
	if (!c)
		return fail_nomem(d->read.run->fail);
	*c = (struct counted){*s, weight};
	batches_noted(d->aside);
	return 0;
}

static int on_segment(void *ctx, const struct segment *s, const struct conn *conn)
{
	struct delay *d = ctx;
	const struct task *owner;
	enum capture_lack lack = CAPTURE_HAS;
	struct segment seen;
	struct task room;

	if ((opts.data && !s->payload) || !cells_filter_has(&opts.filter, &s->wire) ||
	    !has_port(s, &opts.sport, true) || !has_port(s, &opts.dport, false))
		return 0;
	if (opts.min_us.given && (double)(s->end_ns - s->start_ns) < opts.min_us.v * 1000)
		return 0;
	if (s->marks & SEG_PASSED && !opts.all) {
		d->n_passed++;
		return 0;
	}
	if (opts.pcap) {
		lack = delay_wire_see(&d->wire, d->read.segments, s, &seen);
		s = &seen;
	}
	if (d->dist)
		return count(d, s, conn);
	owner = conn_task(conn, &room);
	if (opts.slowest.given)
		add_slow(d, s, owner, lack);
	else
		delay_table_row(&d->table, s, owner, lack);
	return 0;
}

static int check(int *n_operands, char **operands, struct fail *fail)
{
	enum by_key by;

	if (opts.pcap && !strcmp(opts.pcap, "-") &&
	    (!*n_operands || !strcmp(operands[*n_operands - 1], "-")))
		return fail_set(fail, STATUS_USAGE, "standard input is the trace or the capture");
	if (opts.in == opts.out)
		return fail_set(fail, STATUS_USAGE,
				opts.in ? "--in and --out exclude each other"
					: "which way: --in or --out?");
	if (opts.percentiles + opts.hist + opts.slowest.given > 1)
		return fail_set(fail, STATUS_USAGE,
				"--percentiles, --hist and --slowest exclude each other");
	if ((opts.by || opts.interval.given) && !opts.percentiles && !opts.hist)
		return fail_set(fail, STATUS_USAGE, "--by and -i go with --percentiles or --hist");
	if (interval_check(&opts.interval, fail))
		return -1;
	if (by_parse(opts.by, KEYS, &by, fail))
		return -1;
	if (opts.slowest.given && (!opts.slowest.v || opts.slowest.v > MAX_SLOWEST))
		return fail_set(fail, STATUS_USAGE, "--slowest takes 1 to %d", MAX_SLOWEST);
	return cells_filter_check(&opts.filter, fail);
}

static int begin(struct delay *d, struct cmd_run *run)
{
	struct delay_dist_opts dist = {.dir = d->dir,
				       .picture = opts.hist,
				       .by = BY_ALL,
				       .who = &d->read.who,
				       .in = run->in,
				       .interval = opts.interval};

	d->read.dirs[d->dir] = true;
	d->read.on = on_segment;
	d->read.ctx = d;
	if (by_parse(opts.by, KEYS, &dist.by, run->fail))
		return -1;
	d->read.no_owners = opts.percentiles || opts.hist
				    ? !by_needs_conns(dist.by)
				    : !out_is_json(run->out) && !out_is_csv(run->out);
	if (segment_read_begin(&d->read, run))
		return -1;
	if (opts.pcap) {
		if (delay_wire_begin(&d->wire, opts.pcap, run))
			return -1;
		d->read.timed[d->dir] |= SEG_BIT(SEG_WIRE);
	}
	if (opts.percentiles || opts.hist) {
		dist.recorded = d->read.timed[d->dir];
		d->weights = input_weights(run->in, opts.in ? "rx" : "tx");
		dist.sampled = input_is_sampled(run->in, opts.in ? "rx" : "tx");
		d->dist = delay_dist_new(&dist, run->out);
		if (d->dist && d->read.no_owners && !opts.interval.given &&
		    input_workers(run->in) > 1)
			d->aside = batches_new(count_aside, d->dist);
		return d->dist ? 0 : fail_nomem(run->fail);
	}
	if (opts.slowest.given &&
	    slowest_init(&d->slowest, opts.slowest.v, sizeof(struct slow), is_faster))
		return fail_nomem(run->fail);
	d->table = (struct delay_table){.out = run->out,
					.in = run->in,
					.dir = d->dir,
					.recorded = d->read.timed[d->dir],
					.holds = d->read.holds,
					.time_of_day = opts.timestamp,
					.wide = opts.wide};
	delay_table_begin(&d->table);
	return 0;
}

static void print_slowest(struct delay *d)
{
	slowest_sort(&d->slowest);
	for (size_t i = 0; i < d->slowest.n; i++) {
		const struct slow *slow = slowest_at(&d->slowest, i);

		delay_table_row(&d->table, &slow->segment, &slow->owner, slow->lack);
	}
}

static int run(struct cmd_run *run)
{
	struct delay *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return fail_nomem(run->fail);
	d->dir = opts.in ? SEG_IN : SEG_OUT;
	rc = begin(d, run);
	if (!rc)
		rc = segment_read_run(&d->read);
	batches_free(d->aside); /* all is counted */
	if (!rc && d->dist && !delay_dist_print(d->dist))
		rc = fail_nomem(run->fail);
	if (!rc)
		print_slowest(d);
	if (d->n_passed)
		out_note(run->out,
			 "%" PRIu64
			 " packets that only passed through this host, or came to no TCP here, "
			 "are not shown (-a shows them)",
			 d->n_passed);
	if (!rc && opts.pcap)
		delay_wire_note(&d->wire, d->dir);
	delay_wire_fini(&d->wire);
	delay_dist_free(d->dist);
	slowest_fini(&d->slowest);
	segment_read_fini(&d->read);
	free(d);
	return rc;
}

const struct cmd cmd_delay = {
	.name = "delay",
	.summary = "each segment's time in every layer (delay_analysis_in, delay_analysis_out)",
	.about =
		"Each column is the time from a layer to the next one; they add up to TOTAL. Of "
		"what is\n"
		"received: DRIVER (GRO, and the processor's backlog), MAC, IP, DELIVER, TCP, "
		"BACKLOG (a\n"
		"thread held the socket), ESTAB (TCP's work), HOLE (bytes before it were missing), "
		"QUEUE\n"
		"(until its last byte was read). Of what is sent: WRITE (from its first byte "
		"written to\n"
		"TCP's sending it), TCP, IP (netfilter), OUTPUT, QDISC, DRIVER (its call), SENT "
		"(until the\n"
		"device has it). HELD is what WRITE was, but for the way through the code: cwnd, "
		"rwnd (a\n"
		"window was full), nagle (Nagle, TCP_CORK, autocork), sndbuf (no room in the send\n"
		"buffer), tsq (enough is in the queues below), pacing, unknown; WRITE:path is that "
		"way.\n"
		"- is not known, or not passed; + includes the unknown layers behind it.\n"
		"A segment stands for SEGS on the wire. Rows come in the order in which segments "
		"were\n"
		"complete. NOTES: merged:N and split:N, packets at the driver; again, sent before; "
		"waited,\n"
		"for bytes before it; old, had been received; unread, to the end; part, a layer "
		"saw "
		"only a\n"
		"part of it; nat, other addresses on the wire than at the socket; stacked, several "
		"devices;\n"
		"busy, a driver refused it once; passed, of no TCP here; cut, told early for lack "
		"of room.\n"
		"With --pcap: WIRE, from a capture's time to the next layer, where that time "
		"falls; "
		"a tap of\n"
		"this host sees a segment in front of DRIVER on its way out, behind MAC on its way "
		"in.\n"
		"wire:LAYER, it was captured behind that one instead; wire:first, before all; "
		"uncaptured.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.check = check,
	.run = run,
};

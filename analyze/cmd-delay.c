// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape delay: each received or sent segment and its time in every layer, as LMP's
 * delay_analysis_in and delay_analysis_out; or the slowest ones, or the distribution.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delay.h"
#include "packet.h"
#include "segment_read.h"

#define MAX_SLOWEST 100000

static struct {
	bool in, out, timestamp, data, all, percentiles, hist;
	struct opt_u32 sport, dport, slowest;
	const char *by;
	struct cells_filter filter;
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	{0, "in", NULL, OPT_FLAG, AT(in), "what was received, from the driver to the application"},
	{0, "out", NULL, OPT_FLAG, AT(out), "what was sent, from the application to the driver"},
	{0, "sport", "PORT", OPT_PORT, AT(sport), "only this source port"},
	{0, "dport", "PORT", OPT_PORT, AT(dport), "only this destination port"},
	{'4', "ipv4", NULL, OPT_FLAG, AT(filter.v4), "only IPv4"},
	{'6', "ipv6", NULL, OPT_FLAG, AT(filter.v6), "only IPv6"},
	{0, "data", NULL, OPT_FLAG, AT(data), "only segments with payload"},
	{'a', "all", NULL, OPT_FLAG, AT(all),
	 "also packets that only passed through this host, or came to\n"
	 "no TCP here"},
	{0, "slowest", "N", OPT_U32, AT(slowest),
	 "the N segments that took longest, the slowest first"},
	{0, "percentiles", NULL, OPT_FLAG, AT(percentiles),
	 "instead: the distribution of the time in each layer;\n"
	 "percentiles are off by less than 1 % of the value"},
	{0, "hist", NULL, OPT_FLAG, AT(hist), "instead: a histogram for each layer"},
	{0, "by", "KEY", OPT_STR, AT(by),
	 "a distribution for each remote, local, conn, pid, comm,\n"
	 "netns or interface"},
	{'t', "timestamp", NULL, OPT_FLAG, AT(timestamp),
	 "the time of day, not seconds since the start of the trace"},
};

/* ---- columns ---- */

enum { MAX_COLUMNS = 56 };

struct delay {
	struct segment_read read;
	struct out *out;
	enum seg_dir dir;
	struct delay_dist *dist;
	struct segment *slowest; /* a heap, the fastest of them first; owners beside it */
	struct task *owners;
	size_t n_slowest;
	uint64_t n_passed;
	struct out_col cols[MAX_COLUMNS];
	unsigned n_cols;
	char titles[SEG_LAYERS][DELAY_TITLE_LEN + 4];
};

static const struct out_col front_columns[] = {
	CELLS_TIME_COLS,
	{"SADDR:SPORT", NULL, 21, false},
	{"DADDR:DPORT", NULL, 21, false},
	CELLS_PACKET_FLOW_COLS,
	{"SEQ", "seq", -10, false},
	{"ACK", "ack", -10, false},
	{"LEN", "payload", -6, false},
	{"SEGS", "segs", -4, false},
	{NULL, "flags", 0, false},
	{"TOTAL(us)", "total_us", -11, false},
};
static const struct out_col back_columns[] = {
	{"NOTES", "notes", 0, false},
	{NULL, "spans", 0, false},
	{NULL, "first_layer", 0, false},
	{NULL, "last_layer", 0, false},
	{NULL, "conn", 0, false},
	{NULL, "pid", 0, false},
	{NULL, "comm", 0, false},
	{NULL, "netns", 0, false},
	{NULL, "ifindex", 0, false},
	{NULL, "socket_saddr", 0, false},
	{NULL, "socket_sport", 0, false},
	{NULL, "socket_daddr", 0, false},
	{NULL, "socket_dport", 0, false},
	{NULL, "driver_packets", 0, false},
	{NULL, "driver_spread_us", 0, false},
};
static const struct out_col in_columns[] = {
	{NULL, "done_us", 0, false},
	{NULL, "read_spread_us", 0, false},
};
static const struct out_col out_columns[] = {
	{NULL, "paced_us", 0, false},
	{NULL, "written_spread_us", 0, false},
};

static void add_columns(struct delay *d, const struct out_col *cols, size_t n)
{
	memcpy(d->cols + d->n_cols, cols, n * sizeof(*cols));
	d->n_cols += (unsigned)n;
}

static void begin_table(struct delay *d)
{
	add_columns(d, front_columns, sizeof(front_columns) / sizeof(front_columns[0]));
	d->cols[0].hidden = !opts.timestamp;
	d->cols[1].hidden = opts.timestamp;
	for (const struct delay_layer *l = delay_layers(d->dir); l->title; l++) {
		uint32_t span = delay_span(d->dir, d->read.timed[d->dir], l->layer);
		char *title = d->titles[l->layer];
		int width;

		delay_title(d->dir, span, title);
		width = (int)strlen(title) > 9 ? (int)strlen(title) : 9;
		d->cols[d->n_cols++] =
			(struct out_col){*title ? title : NULL, l->key, -width, false};
	}
	add_columns(d, back_columns, sizeof(back_columns) / sizeof(back_columns[0]));
	if (d->dir == SEG_IN)
		add_columns(d, in_columns, sizeof(in_columns) / sizeof(in_columns[0]));
	else
		add_columns(d, out_columns, sizeof(out_columns) / sizeof(out_columns[0]));
	out_table(d->out, d->cols, d->n_cols);
}

/* ---- rows ---- */

static const struct {
	uint32_t mark;
	const char *text;
} mark_names[] = {
	{SEG_MERGED, "merged"}, {SEG_SPLIT, "split"},	  {SEG_AGAIN, "again"},
	{SEG_PART, "part"},	{SEG_OLD, "old"},	  {SEG_WAITED, "waited"},
	{SEG_UNREAD, "unread"}, {SEG_PASSED, "passed"},	  {SEG_BUSY, "busy"},
	{SEG_NAT, "nat"},	{SEG_STACKED, "stacked"}, {SEG_CUT, "cut"},
};

static const char *layer_name(enum seg_dir dir, unsigned layer)
{
	for (const struct delay_layer *l = delay_layers(dir); l->title; l++)
		if (l->layer == layer)
			return l->name;
	if (dir == SEG_IN)
		return layer == SEG_IN_COPY ? "copy" : "done";
	return "complete";
}

static void cell_us(struct out *o, uint64_t ns)
{
	out_fixed(o, (double)ns / 1000, 3);
}

/* From the source's side: what is local is the destination of what was received. */
static void cells_ends_of(struct out *o, const struct flow *f, bool received)
{
	const uint8_t *s = received ? f->raddr : f->laddr, *t = received ? f->laddr : f->raddr;

	cell_addr(o, s);
	out_u64(o, received ? f->rport : f->lport);
	cell_addr(o, t);
	out_u64(o, received ? f->lport : f->rport);
}

static void cells_front(struct delay *d, const struct segment *s)
{
	const struct flow *f = &s->wire;
	bool in = s->dir == SEG_IN;
	char flags[PACKET_FLAGS_LEN], text[2][FLOW_TEXT_LEN + 10], addr[FLOW_TEXT_LEN];

	for (unsigned i = 0; i < 2; i++) {
		bool local = (i == 0) != in;
		const uint8_t *a = local ? f->laddr : f->raddr;

		snprintf(text[i], sizeof(text[i]), flow_addr_is_v4(a) ? "%s:%u" : "[%s]:%u",
			 flow_addr_text(a, addr), local ? f->lport : f->rport);
	}
	cell_clock(d->out, d->read.run->in, s->start_ns);
	cell_seconds(d->out, d->read.run->in, s->start_ns);
	out_const(d->out, text[0]);
	out_const(d->out, text[1]);
	cells_ends_of(d->out, f, in);
	out_u64(d->out, s->seq);
	out_u64(d->out, s->ack_seq);
	out_u64(d->out, s->payload);
	out_u64(d->out, s->segs);
	out_str(d->out, packet_flags(s->tcp_flags, flags));
	cell_us(d->out, s->end_ns - s->start_ns);
}

static void cells_layers(struct delay *d, const struct segment *s)
{
	for (const struct delay_layer *l = delay_layers(s->dir); l->title; l++) {
		if (!(s->known & SEG_BIT(l->layer))) {
			out_none(d->out);
			continue;
		}
		if (!delay_is_clean(s, d->read.timed[s->dir], l->layer))
			out_mark(d->out, NULL, "+");
		cell_us(d->out, s->spent_ns[l->layer]);
	}
}

/* "mac+ip+deliver": times that are those of several layers, in this segment. */
static void cell_spans(struct delay *d, const struct segment *s)
{
	char text[160] = "";
	size_t used = 0;

	for (const struct delay_layer *l = delay_layers(s->dir); l->title; l++) {
		if (!(s->spans & SEG_BIT(l->layer)))
			continue;
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? " " : "",
					 l->name);
		for (const struct delay_layer *m = l + 1; m->title; m++) {
			if ((s->known | s->seen) & SEG_BIT(m->layer))
				break;
			if (s->dir == SEG_OUT ||
			    (m->layer != SEG_IN_BACKLOG && m->layer != SEG_IN_HOLE))
				used += (size_t)snprintf(text + used, sizeof(text) - used, "+%s",
							 m->name);
		}
	}
	if (used)
		out_str(d->out, text);
	else
		out_none(d->out);
}

static void cell_notes(struct delay *d, const struct segment *s)
{
	unsigned driver = s->dir == SEG_IN ? SEG_IN_DRIVER : SEG_OUT_DRIVER;
	char text[160] = "";
	size_t used = 0;

	for (size_t i = 0; i < sizeof(mark_names) / sizeof(mark_names[0]); i++) {
		if (!(s->marks & mark_names[i].mark))
			continue;
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "," : "",
					 mark_names[i].text);
		if (mark_names[i].mark & (SEG_MERGED | SEG_SPLIT) && s->n[driver] > 1)
			used += (size_t)snprintf(text + used, sizeof(text) - used, ":%u",
						 s->n[driver]);
	}
	if (used)
		out_str(d->out, text);
	else
		out_none(d->out);
}

static void cell_spread(struct out *o, const struct segment *s, unsigned layer)
{
	if (s->seen & SEG_BIT(layer))
		cell_us(o, s->last_ns[layer] - s->first_ns[layer]);
	else
		out_none(o);
}

static void cells_side(struct delay *d, const struct segment *s)
{
	unsigned driver = s->dir == SEG_IN ? SEG_IN_DRIVER : SEG_OUT_DRIVER;
	struct out *o = d->out;

	if (s->seen & SEG_BIT(driver))
		out_u64(o, s->n[driver]);
	else
		out_none(o);
	cell_spread(o, s, driver);
	if (s->dir == SEG_OUT) {
		cell_us(o, s->paced_ns);
		cell_spread(o, s, SEG_OUT_WRITE);
		return;
	}
	if (s->seen & SEG_BIT(SEG_IN_DONE) && s->seen & SEG_BIT(SEG_IN_ESTABLISHED) &&
	    s->last_ns[SEG_IN_DONE] >= s->first_ns[SEG_IN_ESTABLISHED])
		cell_us(o, s->last_ns[SEG_IN_DONE] - s->first_ns[SEG_IN_ESTABLISHED]);
	else
		out_none(o);
	cell_spread(o, s, SEG_IN_COPY);
}

static void cell_edge(struct out *o, const struct segment *s, bool last)
{
	unsigned at = SEG_LAYERS;

	for (unsigned l = 0; l < SEG_LAYERS; l++)
		if (s->seen & SEG_BIT(l) && (last || at == SEG_LAYERS))
			at = l;
	out_str(o, layer_name(s->dir, at));
}

static void print(struct delay *d, const struct segment *s, const struct task *owner)
{
	const struct task *task = s->task.pid ? &s->task : owner;
	struct out *o = d->out;

	cells_front(d, s);
	cells_layers(d, s);
	cell_notes(d, s);
	cell_spans(d, s);
	cell_edge(o, s, false);
	cell_edge(o, s, true);
	cell_cookie(o, s->cookie);
	if (task && task->pid) {
		out_u64(o, task->pid);
		out_str(o, task->comm);
	} else {
		out_none(o);
		out_none(o);
	}
	out_u64(o, s->netns);
	out_u64(o, s->ifindex);
	if (s->marks & SEG_NAT) {
		cells_ends_of(o, &s->inner, s->dir == SEG_IN);
	} else {
		for (unsigned i = 0; i < 4; i++)
			out_none(o);
	}
	cells_side(d, s);
	out_end_row(o);
}

/* ---- the slowest ---- */

static uint64_t total_of(const struct segment *s)
{
	return s->end_ns - s->start_ns;
}

/* Of two that took equally long the earlier one counts as slower. */
static bool is_faster(const struct segment *a, const struct segment *b)
{
	if (total_of(a) != total_of(b))
		return total_of(a) < total_of(b);
	return a->start_ns > b->start_ns;
}

static void swap_slowest(struct delay *d, size_t a, size_t b)
{
	struct segment s = d->slowest[a];
	struct task t = d->owners[a];

	d->slowest[a] = d->slowest[b];
	d->owners[a] = d->owners[b];
	d->slowest[b] = s;
	d->owners[b] = t;
}

static void sink(struct delay *d, size_t at, size_t n)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < n && is_faster(&d->slowest[child + 1], &d->slowest[child]))
			child++;
		if (child >= n || !is_faster(&d->slowest[child], &d->slowest[at]))
			return;
		swap_slowest(d, at, child);
		at = child;
	}
}

static void keep_slowest(struct delay *d, const struct segment *s, const struct task *owner)
{
	size_t at = d->n_slowest;

	if (at == opts.slowest.v) {
		if (is_faster(s, &d->slowest[0]))
			return;
		d->slowest[0] = *s;
		d->owners[0] = *owner;
		sink(d, 0, at);
		return;
	}
	d->slowest[at] = *s;
	d->owners[at] = *owner;
	d->n_slowest++;
	for (; at && is_faster(&d->slowest[at], &d->slowest[(at - 1) / 2]); at = (at - 1) / 2)
		swap_slowest(d, at, (at - 1) / 2);
}

static void print_slowest(struct delay *d)
{
	/* the fastest to the end, again and again: what remains in front gets slower */
	for (size_t n = d->n_slowest; n > 1; n--) {
		swap_slowest(d, 0, n - 1);
		sink(d, 0, n - 1);
	}
	for (size_t i = 0; i < d->n_slowest; i++)
		print(d, &d->slowest[i], &d->owners[i]);
}

/* ---- the command ---- */

static bool has_port(const struct segment *s, const struct opt_u32 *port, bool source)
{
	bool local = source == (s->dir == SEG_OUT);

	return !port->given || port->v == (local ? s->wire.lport : s->wire.rport) ||
	       port->v == (local ? s->inner.lport : s->inner.rport);
}

static int on_segment(void *ctx, const struct segment *s, const struct conn *conn)
{
	struct delay *d = ctx;
	struct task owner = {0};

	if ((opts.data && !s->payload) || !cells_filter_has(&opts.filter, &s->wire) ||
	    !has_port(s, &opts.sport, true) || !has_port(s, &opts.dport, false))
		return 0;
	if (s->marks & SEG_PASSED && !opts.all) {
		d->n_passed++;
		return 0;
	}
	if (d->dist) {
		delay_dist_add(d->dist, s, conn);
		return 0;
	}
	if (conn && conn->has_owner) {
		owner.pid = conn->pid;
		memcpy(owner.comm, conn->comm, sizeof(owner.comm));
	}
	if (opts.slowest.given)
		keep_slowest(d, s, &owner);
	else
		print(d, s, &owner);
	return 0;
}

static const struct {
	const char *key;
	enum delay_by by;
} keys[] = {
	{"remote", DELAY_REMOTE},	{"local", DELAY_LOCAL},
	{"conn", DELAY_CONN},		{"pid", DELAY_PID},
	{"comm", DELAY_COMM},		{"netns", DELAY_NETNS},
	{"interface", DELAY_INTERFACE},
};

static int find_key(enum delay_by *ret)
{
	*ret = DELAY_ALL;
	for (size_t i = 0; opts.by && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(keys[i].key, opts.by))
			*ret = keys[i].by;
	return opts.by && *ret == DELAY_ALL ? -1 : 0;
}

static int check(int *n_operands, char **operands, struct fail *fail)
{
	enum delay_by by;

	if (opts.in == opts.out)
		return fail_set(fail, STATUS_USAGE,
				opts.in ? "--in and --out exclude each other"
					: "which way: --in or --out?");
	if (opts.percentiles + opts.hist + opts.slowest.given > 1)
		return fail_set(fail, STATUS_USAGE,
				"--percentiles, --hist and --slowest exclude each other");
	if (opts.by && !opts.percentiles && !opts.hist)
		return fail_set(fail, STATUS_USAGE, "--by goes with --percentiles or --hist");
	if (find_key(&by))
		return fail_set(fail, STATUS_USAGE,
				"--by takes remote, local, conn, pid, comm, netns or interface, "
				"not '%s'",
				opts.by);
	if (opts.slowest.given && (!opts.slowest.v || opts.slowest.v > MAX_SLOWEST))
		return fail_set(fail, STATUS_USAGE, "--slowest takes 1 to %d", MAX_SLOWEST);
	return cells_filter_check(&opts.filter, fail);
}

static int begin(struct delay *d, struct cmd_run *run)
{
	struct delay_dist_opts dist = {.dir = d->dir, .picture = opts.hist};

	d->read.dirs[d->dir] = true;
	d->read.on = on_segment;
	d->read.ctx = d;
	if (segment_read_begin(&d->read, run))
		return -1;
	if (opts.percentiles || opts.hist) {
		dist.recorded = d->read.timed[d->dir];
		find_key(&dist.by);
		d->dist = delay_dist_new(&dist, run->out);
		return d->dist ? 0 : fail_nomem(run->fail);
	}
	if (opts.slowest.given) {
		d->slowest = calloc(opts.slowest.v, sizeof(*d->slowest));
		d->owners = calloc(opts.slowest.v, sizeof(*d->owners));
		if (!d->slowest || !d->owners)
			return fail_nomem(run->fail);
	}
	begin_table(d);
	return 0;
}

static int run(struct cmd_run *run)
{
	struct delay *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return fail_nomem(run->fail);
	d->out = run->out;
	d->dir = opts.in ? SEG_IN : SEG_OUT;
	rc = begin(d, run);
	if (!rc)
		rc = segment_read_run(&d->read);
	if (!rc && d->dist && !delay_dist_print(d->dist))
		rc = fail_nomem(run->fail);
	if (!rc)
		print_slowest(d);
	if (d->n_passed)
		out_note(run->out,
			 "%llu packets that only passed through this host, or came to no TCP here, "
			 "are not shown (-a shows them)",
			 (unsigned long long)d->n_passed);
	delay_dist_free(d->dist);
	free(d->slowest);
	free(d->owners);
	segment_read_fini(&d->read);
	free(d);
	return rc;
}

const struct cmd cmd_delay = {
	.name = "delay",
	.summary =
		"the time of each segment in every layer (delay_analysis_in, delay_analysis_out)",
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
		"device has it). - is not known, or not passed; + includes the unknown layers "
		"behind it.\n"
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
		"of room.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.check = check,
	.run = run,
};

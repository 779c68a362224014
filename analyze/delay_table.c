// SPDX-License-Identifier: GPL-2.0-or-later
/* A row for each segment: its ends, its time in every layer, what it went through. */
#include <stdio.h>
#include <string.h>

#include "delay.h"
#include "packet.h"

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
enum { N_TASK = 3 }; /* the first of them */
static const struct out_col back_columns[] = {
	{"PID", "pid", 7, true},
	{"TID", "tid", 7, true},
	{"COMM", "comm", 15, true},
	{"NOTES", "notes", 0, false},
	{NULL, "spans", 0, false},
	{NULL, "first_layer", 0, false},
	{NULL, "last_layer", 0, false},
	{NULL, "conn", 0, false},
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
	{NULL, "paced_us", 0, false},	      {NULL, "written_spread_us", 0, false},
	{NULL, "write_cwnd_us", 0, false}, /* in the order of enum hold_why */
	{NULL, "write_rwnd_us", 0, false},    {NULL, "write_nagle_us", 0, false},
	{NULL, "write_sndbuf_us", 0, false},  {NULL, "write_tsq_us", 0, false},
	{NULL, "write_pacing_us", 0, false},  {NULL, "write_path_us", 0, false},
	{NULL, "write_unknown_us", 0, false},
};

static const struct out_col wire_columns[] = {
	{NULL, "wire_after", 0, false},
	{NULL, "wire_packets", 0, false},
	{NULL, "wire_lacks", 0, false},
};

static void add_columns(struct delay_table *t, const struct out_col *cols, size_t n)
{
	memcpy(t->cols + t->n_cols, cols, n * sizeof(*cols));
	t->n_cols += (unsigned)n;
}

static const struct delay_layer *layers_of(const struct delay_table *t)
{
	return delay_layers_of(t->dir, t->recorded);
}

static bool has_wire(const struct delay_table *t)
{
	return t->recorded & SEG_BIT(SEG_WIRE);
}

void delay_table_begin(struct delay_table *t)
{
	struct out_col back[sizeof(back_columns) / sizeof(back_columns[0])];

	memcpy(back, back_columns, sizeof(back));
	add_columns(t, front_columns, sizeof(front_columns) / sizeof(front_columns[0]));
	t->cols[0].hidden = !t->time_of_day;
	t->cols[1].hidden = t->time_of_day;
	for (const struct delay_layer *l = layers_of(t); l->title; l++) {
		uint32_t span = delay_span(t->dir, t->recorded, l->layer);
		char *title = t->titles[l->layer];
		int width;

		delay_title(t->dir, span, title);
		width = (int)strlen(title) > 9 ? (int)strlen(title) : 9;
		t->cols[t->n_cols++] =
			(struct out_col){*title ? title : NULL, l->key, -width, false};
	}
	if (t->dir == SEG_OUT)
		t->cols[t->n_cols++] = (struct out_col){"HELD(us)", NULL, 16, !t->holds};
	for (unsigned i = 0; i < N_TASK; i++)
		back[i].hidden = !t->wide;
	add_columns(t, back, sizeof(back) / sizeof(back[0]));
	if (t->dir == SEG_IN)
		add_columns(t, in_columns, sizeof(in_columns) / sizeof(in_columns[0]));
	else
		add_columns(t, out_columns, sizeof(out_columns) / sizeof(out_columns[0]));
	if (has_wire(t))
		add_columns(t, wire_columns, sizeof(wire_columns) / sizeof(wire_columns[0]));
	out_table(t->out, t->cols, t->n_cols);
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

static void cell_us(struct out *o, uint64_t ns)
{
	if (!out_skips(o))
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

static void cells_front(struct delay_table *t, const struct segment *s)
{
	const struct flow *f = &s->wire;
	bool in = s->dir == SEG_IN;
	char flags[PACKET_FLAGS_LEN];

	cell_clock(t->out, t->in, s->start_ns);
	cell_seconds(t->out, t->in, s->start_ns);
	cell_addr_port(t->out, in ? f->raddr : f->laddr, in ? f->rport : f->lport);
	cell_addr_port(t->out, in ? f->laddr : f->raddr, in ? f->lport : f->rport);
	cells_ends_of(t->out, f, in);
	out_u64(t->out, s->seq);
	out_u64(t->out, s->ack_seq);
	out_u64(t->out, s->payload);
	out_u64(t->out, s->segs);
	if (!out_skips(t->out))
		out_str(t->out, packet_flags(s->tcp_flags, flags));
	cell_us(t->out, s->end_ns - s->start_ns);
}

static void cells_layers(struct delay_table *t, const struct segment *s)
{
	for (const struct delay_layer *l = layers_of(t); l->title; l++) {
		if (!(s->known & SEG_BIT(l->layer))) {
			out_none(t->out);
			continue;
		}
		if (!delay_is_clean(s, t->recorded, l->layer))
			out_mark(t->out, NULL, "+");
		cell_us(t->out, s->spent_ns[l->layer]);
	}
}

/* "cwnd:1200.5,path": what WRITE was, but for the way through the code. */
static void cell_held(struct delay_table *t, const struct segment *s)
{
	char text[160] = "";
	size_t used = 0;

	for (unsigned i = 0; i < HOLD_WHYS; i++)
		if (s->held_ns[i] && i != HOLD_PATH)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s:%.3f",
						 used ? "," : "", hold_names[i],
						 (double)s->held_ns[i] / 1000);
	if (!s->has_held)
		out_none(t->out);
	else
		out_str(t->out, used ? text : hold_names[HOLD_PATH]);
}

static void cells_held(struct out *o, const struct segment *s)
{
	for (unsigned i = 0; i < HOLD_WHYS; i++) {
		if (s->has_held)
			cell_us(o, s->held_ns[i]);
		else
			out_none(o);
	}
}

/* "mac+ip+deliver": times that are those of several layers, in this segment. */
static void cell_spans(struct delay_table *t, const struct segment *s)
{
	char text[160] = "";
	size_t used = 0;

	if (out_skips(t->out))
		return;
	for (const struct delay_layer *l = layers_of(t); l->title; l++) {
		if (!(s->spans & SEG_BIT(l->layer)))
			continue;
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? " " : "",
					 l->name);
		for (const struct delay_layer *m = l + 1; m->title; m++) {
			if (m->layer == SEG_WIRE)
				continue;
			if ((s->known | s->seen) & SEG_BIT(m->layer))
				break;
			if (s->dir == SEG_OUT ||
			    (m->layer != SEG_IN_BACKLOG && m->layer != SEG_IN_HOLE))
				used += (size_t)snprintf(text + used, sizeof(text) - used, "+%s",
							 m->name);
		}
	}
	if (used)
		out_str(t->out, text);
	else
		out_none(t->out);
}

/* Where a capture's time falls, if not at the place of this host's own taps. */
static size_t put_wire(const struct delay_table *t, const struct segment *s, enum capture_lack lack,
		       char *text, size_t len)
{
	unsigned tap = s->dir == SEG_IN ? SEG_IN_MAC : SEG_OUT_QDISC;

	if (!has_wire(t))
		return 0;
	if (lack != CAPTURE_HAS)
		return (size_t)snprintf(text, len, "uncaptured");
	if (!(s->seen & SEG_BIT(SEG_WIRE)) || s->wire_after == tap)
		return 0;
	if (s->wire_after == SEG_WIRE)
		return (size_t)snprintf(text, len, "wire:first");
	return (size_t)snprintf(text, len, "wire:%s", delay_layer_name(s->dir, s->wire_after));
}

static void cell_notes(struct delay_table *t, const struct segment *s, enum capture_lack lack)
{
	unsigned driver = s->dir == SEG_IN ? SEG_IN_DRIVER : SEG_OUT_DRIVER;
	char text[192] = "";
	size_t used = put_wire(t, s, lack, text, sizeof(text));

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
		out_str(t->out, text);
	else
		out_none(t->out);
}

static void cell_spread(struct out *o, const struct segment *s, unsigned layer)
{
	if (s->seen & SEG_BIT(layer))
		cell_us(o, s->last_ns[layer] - s->first_ns[layer]);
	else
		out_none(o);
}

static void cells_side(struct delay_table *t, const struct segment *s)
{
	unsigned driver = s->dir == SEG_IN ? SEG_IN_DRIVER : SEG_OUT_DRIVER;
	struct out *o = t->out;

	if (s->seen & SEG_BIT(driver))
		out_u64(o, s->n[driver]);
	else
		out_none(o);
	cell_spread(o, s, driver);
	if (s->dir == SEG_OUT) {
		cell_us(o, s->paced_ns);
		cell_spread(o, s, SEG_OUT_WRITE);
		cells_held(o, s);
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

	if (out_skips(o))
		return;
	for (unsigned l = 0; l < SEG_WIRE; l++)
		if (s->seen & SEG_BIT(l) && (last || at == SEG_LAYERS))
			at = l;
	out_str(o, delay_layer_name(s->dir, at));
}

static void cells_wire(struct out *o, const struct segment *s, enum capture_lack lack)
{
	bool seen = s->seen & SEG_BIT(SEG_WIRE);

	if (seen && s->wire_after != SEG_WIRE)
		out_str(o, delay_layer_name(s->dir, s->wire_after));
	else
		out_none(o);
	cell_known(o, seen, s->n[SEG_WIRE]);
	if (lack != CAPTURE_HAS)
		out_str(o, capture_lacks[lack]);
	else
		out_none(o);
}

static void cells_who(struct out *o, const struct task *task)
{
	cell_known(o, task, task ? task->pid : 0);
	cell_known(o, task && task->tid, task ? task->tid : 0);
	if (task)
		out_str_cut(o, task->comm);
	else
		out_none(o);
}

void delay_table_row(struct delay_table *t, const struct segment *s, const struct task *owner,
		     enum capture_lack lack)
{
	const struct task *task = s->task.pid ? &s->task : owner;
	struct out *o = t->out;

	cells_front(t, s);
	cells_layers(t, s);
	if (s->dir == SEG_OUT)
		cell_held(t, s);
	cells_who(o, task && task->pid ? task : NULL);
	cell_notes(t, s, lack);
	cell_spans(t, s);
	cell_edge(o, s, false);
	cell_edge(o, s, true);
	cell_cookie(o, s->cookie);
	out_u64(o, s->netns);
	out_u64(o, s->ifindex);
	if (s->marks & SEG_NAT) {
		cells_ends_of(o, &s->inner, s->dir == SEG_IN);
	} else {
		for (unsigned i = 0; i < 4; i++)
			out_none(o);
	}
	cells_side(t, s);
	if (has_wire(t))
		cells_wire(o, s, lack);
	out_end_row(o);
}

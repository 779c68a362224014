// SPDX-License-Identifier: GPL-2.0-or-later
/* The reading: what the trace has, whom its events go to, and the end. */
#include "evidence.h"

#include <stdlib.h>
#include <string.h>

#include "evidence_parts.h"

/* ---- what there is ---- */

static const struct {
	enum evid_source source;
	const char *group, *record;
} sources[] = {
	{EVID_STATE, "conn", "tcp_state"},
	{EVID_ACCEPT, "conn", "tcp_accept"},
	{EVID_ERROR, "conn", "connect_error"},
	{EVID_RTT, "rtt", "rtt"},
	{EVID_RETRANS, "retrans", "retransmit"},
	{EVID_RESET, "reset", "reset"},
	{EVID_DROP, "drop", "drop"},
	{EVID_COUNTER, "counters", "counter"},
	{EVID_LISTEN, "listen", "listen_queue"},
	{EVID_LISTEN, "listen", "listen_child"},
	{EVID_RX, "rx", "rx"},
	{EVID_TX, "tx", "tx"},
	{EVID_IO, "io", "io_send"},
};

static void find_sources(struct gather *g)
{
	struct input *in = g->run->in;
	struct fail none;

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		if (!input_needs(in, sources[i].group, sources[i].record, &none))
			g->e->has |= EVID_BIT(sources[i].source);
	g->has_io = evid_has(g, EVID_IO);
	if (g->has_io ||
	    (!input_needs(in, "rx", "rx_copy", &none) && !input_needs(in, "tx", "tx_write", &none)))
		g->e->has |= EVID_BIT(EVID_CALLS);
	g->segs.dirs[SEG_IN] = evid_has(g, EVID_RX);
	g->segs.dirs[SEG_OUT] = evid_has(g, EVID_TX);
	g->all_rows = g->segs.dirs[SEG_IN] || g->segs.dirs[SEG_OUT];
}

/* ---- the reading ---- */

enum {
	BIND_CONNECT = SEGMENT_READ_N,
	BIND_SENT = BIND_CONNECT + EVID_CONNECT_BINDS,
	BIND_DROP = BIND_SENT + EVID_SENT_BINDS,
	BIND_MACHINE = BIND_DROP + EVID_DROP_BINDS,
	BIND_WAIT = BIND_MACHINE + EVID_MACHINE_BINDS,
	N_BINDS = BIND_WAIT + EVID_WAIT_BINDS
};

static void take_over(struct gather *g, struct bind *binds)
{
	struct bind *track = binds + SEGMENT_READ_BY + BY_BIND_CONN;
	struct bind *link = binds + SEGMENT_READ_BY + BY_BIND_LINK;

	g->on_link = link->on;
	g->on_state = track[CONN_TRACK_STATE].on;
	g->on_accept = track[CONN_TRACK_ACCEPT].on;
	g->on_destroy = track[CONN_TRACK_DESTROY].on;
	g->on_copy = binds[SEGMENT_READ_COPY].on;
	g->on_write = binds[SEGMENT_READ_WRITE].on;
	track[CONN_TRACK_STATE].on = evid_on_state;
	track[CONN_TRACK_ACCEPT].on = evid_on_accept;
	track[CONN_TRACK_DESTROY].on = evid_on_destroy;
	track[CONN_TRACK_DESTROY].fields = evid_destroy_fields;
	track[CONN_TRACK_DESTROY].n_fields = evid_n_destroy_fields;
	link->on = evid_on_link;
	link->fields = evid_link_fields;
	link->n_fields = evid_n_link_fields;
	binds[SEGMENT_READ_COPY].on = evid_on_copy;
	binds[SEGMENT_READ_WRITE].on = evid_on_write;
	evid_connect_bind(binds + BIND_CONNECT);
	evid_sent_bind(binds + BIND_SENT);
	evid_drop_bind(binds + BIND_DROP);
	evid_machine_bind(binds + BIND_MACHINE);
	evid_wait_bind(binds + BIND_WAIT);
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	struct gather *g = ctx;
	int rc = g->all_rows ? segment_read_chunk(&g->segs, floor_ns) : 0;

	turns_pass(&g->turns, floor_ns);
	evid_conns_sweep(g, floor_ns);
	return rc;
}

/* Segments take room, so they are joined only where there are any. Returns the first bind. */
static int open_binds(struct gather *g, struct bind *binds)
{
	g->segs.run = g->run;
	g->segs.on = evid_on_segment;
	g->segs.ctx = g;
	if (!g->all_rows) {
		by_bind(binds + SEGMENT_READ_BY);
		take_over(g, binds);
		return SEGMENT_READ_BY;
	}
	if (segment_read_begin(&g->segs, g->run))
		return -1;
	g->segs.holds = false; /* no cause has it */
	if (segment_read_open(&g->segs, binds))
		return -1;
	take_over(g, binds);
	return 0;
}

static int read_all(struct gather *g)
{
	struct bind binds[N_BINDS] = {0};
	int first = open_binds(g, binds);
	struct input_job job = {.binds = binds + (first < 0 ? 0 : first),
				.n_binds = N_BINDS - (unsigned)first,
				.on_chunk = on_chunk,
				.tcp_only = true,
				.all_rows = g->all_rows,
				.margin_ns = g->all_rows ? INPUT_MARGIN_NS : 0,
				.ctx = g};
	uint64_t last;

	if (first < 0)
		return -1;
	if (input_run(g->run->in, &job, g->run->fail))
		return g->run->fail->status ? -1 : fail_nomem(g->run->fail);
	last = input_last(g->run->in);
	turns_pass(&g->turns, last);
	turns_end(&g->turns, last);
	if (g->all_rows)
		return segment_read_close(&g->segs);
	return by_who_failed(&g->segs.who) ? fail_nomem(g->run->fail) : 0;
}

static void find_weights(struct evidence *e, struct input *in)
{
	static const char *const bulk[] = {"rtt", "rx", "tx", "io"};
	uint64_t from = input_from(in), to = input_last(in);

	e->weight = 1;
	for (size_t i = 0; i < sizeof(bulk) / sizeof(bulk[0]); i++) {
		const struct weight_group *w = input_weights(in, bulk[i]);

		if (weight_at(w, from) > e->weight)
			e->weight = weight_at(w, from);
		for (size_t k = 0; w && k < w->n; k++)
			if (w->steps[k].from_ns <= to && w->steps[k].weight > e->weight)
				e->weight = w->steps[k].weight;
	}
}

/* Losses that the trace tells of, in this window. */
static uint64_t lost_in(struct input *in)
{
	uint64_t count = 0;
	size_t n;
	const struct tape_loss *l = tape_reader_losses(input_reader(in), &n);

	for (size_t i = 0; i < n; i++)
		if (l[i].from_ns <= input_to(in) && l[i].to_ns >= input_from(in))
			count += l[i].count;
	return count;
}

static void finish(struct gather *g)
{
	struct evidence *e = g->e;
	struct input *in = g->run->in;
	bool is_chosen = input_selects(in) || input_meta(in, "option.filter");
	struct tape_end end;

	tape_reader_end(input_reader(in), &end);
	e->n_events = end.n_events;
	e->n_lost = lost_in(in);
	e->start_ns = input_start(in);
	e->from_ns = input_from(in);
	e->last_ns = input_last(in);
	find_weights(e, in);
	evid_machine_finish(g);
	if (is_chosen && evid_has(g, EVID_COUNTER)) {
		memset(e->counters, 0, sizeof(e->counters));
		e->n_nics = 0;
		e->has &= ~EVID_BIT(EVID_COUNTER);
		out_note(g->run->out, "the kernel's counters are left out: they are of all "
				      "connections, not only of those chosen");
	}
	if (g->n_bad_csum > e->drops[DROP_CHECKSUM].n)
		e->drops[DROP_CHECKSUM].n = g->n_bad_csum;
	evid_conns_finish(g);
}

static void fini(struct gather *g)
{
	evid_conns_fini(g);
	for (size_t i = 0; i < g->paths.cap; i++)
		free(g->paths.slots[i].value);
	for (size_t i = 0; i < g->n_moved; i++)
		free(g->moved[i].name);
	free(g->moved);
	map_fini(&g->netems);
	map_fini(&g->paths);
	labels_fini(&g->places);
	names_fini(&g->reasons);
	names_fini(&g->rst_reasons);
	turns_fini(&g->turns);
	segment_read_fini(&g->segs);
}

int evidence_read_with(struct evidence *e, struct cmd_run *run, const struct evidence_tap *tap)
{
	struct gather g = {.e = e, .run = run, .tap = tap};
	int rc;

	g.last_gone = &g.gone;
	*e = (struct evidence){0};
	find_sources(&g);
	evid_wait_begin(&g);
	rc = evid_drop_begin(&g) ? fail_nomem(run->fail) : read_all(&g);
	if (!rc)
		finish(&g);
	if (!rc && (g.failed || g.places.failed || g.turns.failed))
		rc = fail_nomem(run->fail);
	fini(&g);
	return rc;
}

int evidence_read(struct evidence *e, struct cmd_run *run)
{
	return evidence_read_with(e, run, NULL);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "segment_read.h"

#include <stdio.h>
#include <string.h>

#include "meta.h"
#include "segment_rows.h"

/* A segment that begins in the window is read to its end, and one that began before is known. */

/* In the order of turn_rows.h, which may look at the same rows. */
enum { BYTES_SOCK, BYTES_TASK, BYTES_SIZE, BYTES_SEQ, BYTES_N };
static const struct bind_field copy_fields[BYTES_N] = {
	{"sock", BIND_SOCK}, {"task", BIND_TASK}, {"bytes", BIND_INT}, {"copied_seq", BIND_INT}};
static const struct bind_field write_fields[BYTES_N] = {
	{"sock", BIND_SOCK}, {"task", BIND_TASK}, {"size", BIND_INT}, {"write_seq", BIND_INT}};

/* struct hold_state: of tx_write, tx_state and rtt, as much as each has. */
enum {
	STATE_SEQ = BYTES_N,
	STATE_PAYLOAD,
	STATE_UNA,
	STATE_NXT,
	STATE_WND,
	STATE_CWND,
	STATE_IN_FLIGHT,
	STATE_MSS,
	STATE_WMEM,
	STATE_TRUESIZE,
	STATE_PACED_TO,
	STATE_TSQ_LIMIT,
	STATE_PACING,
	STATE_NONAGLE,
	STATE_CHRONO,
	STATE_FULL,
	STATE_BEFORE,
	STATE_N
};
static const struct bind_field state_fields[STATE_N] = {
	{"sock", BIND_SOCK},	 {"task", BIND_TASK},	  {"size", BIND_INT},
	{"write_seq", BIND_INT}, {"seq", BIND_INT},	  {"payload", BIND_INT},
	{"snd_una", BIND_INT},	 {"snd_nxt", BIND_INT},	  {"snd_wnd", BIND_INT},
	{"cwnd", BIND_INT},	 {"in_flight", BIND_INT}, {"mss", BIND_INT},
	{"wmem", BIND_INT},	 {"truesize", BIND_INT},  {"paced_to_ns", BIND_INT},
	{"tsq_limit", BIND_INT}, {"pacing", BIND_INT},	  {"nonagle", BIND_INT},
	{"chrono", BIND_INT},	 {"full", BIND_INT},	  {"before", BIND_INT}};

enum {
	RX = SEGMENT_READ_RX,
	RX_COPY = SEGMENT_READ_COPY,
	TX = SEGMENT_READ_TX,
	TX_WRITE = SEGMENT_READ_WRITE,
	N_OWN = SEGMENT_READ_BY
};
enum { OF_STATE, OF_RTT, N_HOLDS }; /* behind all others: only where they are recorded */

/* ---- rows ---- */

static int on_event(void *ctx, const struct bind_row *row, enum seg_dir dir)
{
	struct segment_read *r = ctx;
	struct seg_event e;

	return segment_rows_event(row, dir, &e) ? segments_packet(r->segments, &e) : 0;
}

static int on_rx(void *ctx, const struct bind_row *row)
{
	return on_event(ctx, row, SEG_IN);
}

static int on_tx(void *ctx, const struct bind_row *row)
{
	return on_event(ctx, row, SEG_OUT);
}

/* The same, out of what was made of the whole chunk. */
static int on_digested(struct segment_read *r, struct segment_rows *rows, enum seg_dir dir,
		       uint32_t k)
{
	const struct seg_event *e = segment_rows_at(rows, dir, k);

	return e ? segments_run(r->segments, e) : 0;
}

static int on_rx_digested(void *ctx, void *digest, uint32_t k)
{
	return on_digested(ctx, digest, SEG_IN, k);
}

static int on_tx_digested(void *ctx, void *digest, uint32_t k)
{
	return on_digested(ctx, digest, SEG_OUT, k);
}

static struct seg_bytes bytes_of(const struct bind_row *row)
{
	return (struct seg_bytes){.ts_ns = row->ts_ns,
				  .size = bind_get(row, BYTES_SIZE, 0),
				  .sock = row->sock,
				  .task = row->task,
				  .seq = (uint32_t)bind_get(row, BYTES_SEQ, 0)};
}

/* Who reads or writes has the connection, as far as nothing surer is known. */
static void learn_owner(struct segment_read *r, const struct bind_row *row)
{
	struct conn *c = row->task ? conn_find(&r->who.conns, row->sock) : NULL;

	if (c)
		conn_own(c, row->task, false);
}

static int on_copy(void *ctx, const struct bind_row *row)
{
	struct segment_read *r = ctx;
	struct seg_bytes bytes = bytes_of(row);

	learn_owner(r, row);
	return segments_copy(r->segments, &bytes);
}

/* Of the other direction: who it was, and that time went on. */
static int on_other_bytes(void *ctx, const struct bind_row *row)
{
	struct segment_read *r = ctx;

	learn_owner(r, row);
	return segments_pass(r->segments, row->ts_ns);
}

static int on_other(void *ctx, uint64_t ts_ns)
{
	struct segment_read *r = ctx;

	return segments_pass(r->segments, ts_ns);
}

static uint32_t get32(const struct bind_row *row, unsigned field)
{
	return (uint32_t)bind_get(row, field, 0);
}

static struct hold_state state_of(const struct bind_row *row)
{
	return (struct hold_state){.ts_ns = row->ts_ns,
				   .paced_to_ns = bind_get(row, STATE_PACED_TO, 0),
				   .seq = get32(row, STATE_SEQ),
				   .bytes = get32(row, STATE_PAYLOAD),
				   .write_seq = get32(row, BYTES_SEQ),
				   .snd_una = get32(row, STATE_UNA),
				   .snd_nxt = get32(row, STATE_NXT),
				   .snd_wnd = get32(row, STATE_WND),
				   .cwnd = get32(row, STATE_CWND),
				   .in_flight = get32(row, STATE_IN_FLIGHT),
				   .mss = get32(row, STATE_MSS),
				   .wmem = get32(row, STATE_WMEM),
				   .truesize = get32(row, STATE_TRUESIZE),
				   .tsq_limit = get32(row, STATE_TSQ_LIMIT),
				   .nonagle = (uint8_t)get32(row, STATE_NONAGLE),
				   .pacing = (uint8_t)get32(row, STATE_PACING),
				   .chrono = (uint8_t)get32(row, STATE_CHRONO),
				   .full = get32(row, STATE_FULL)};
}

static int on_write(void *ctx, const struct bind_row *row)
{
	struct segment_read *r = ctx;
	struct seg_bytes bytes = bytes_of(row);
	struct hold_state state;

	learn_owner(r, row);
	bytes.again = r->tells_buffers;
	if (r->holds) {
		state = state_of(row);
		state.bytes = bytes.size < INT32_MAX ? (uint32_t)bytes.size : INT32_MAX;
		bytes.state = &state;
	}
	return segments_write(r->segments, &bytes);
}

static int on_state(void *ctx, const struct bind_row *row)
{
	struct segment_read *r = ctx;
	struct hold_state state = state_of(row);

	return segments_state(r->segments, row->sock, &state);
}

/* Values of the time before an ACK tell nothing of what it brought. */
static int on_rtt(void *ctx, const struct bind_row *row)
{
	struct segment_read *r = ctx;
	struct hold_state state = state_of(row);

	return bind_get(row, STATE_BEFORE, 1) ? 0 : segments_ack(r->segments, row->sock, &state);
}

/* Its segments first, as long as its owner is known. */
static int on_destroy(void *ctx, const struct bind_row *row)
{
	struct segment_read *r = ctx;
	struct conn *c = conn_find(&r->who.conns, row->sock);
	int rc = row->sock ? segments_gone(r->segments, row->sock->cookie, row->ts_ns) : 0;

	if (c)
		conn_drop(&r->who.conns, c);
	return rc;
}

/* ---- segments ---- */

/* Chosen by its socket's addresses, or by those on the wire. */
static bool is_chosen(struct segment_read *r, const struct segment *s)
{
	struct sock base = {.cookie = s->cookie, .netns = s->netns}, room, other;
	const struct sock *sock;

	if (!input_selects(r->run->in))
		return s->start_ns >= input_from(r->run->in) && s->start_ns <= input_to(r->run->in);
	sock = input_packet(r->run->in, &base, &s->inner, &room);
	if (!sock->selected && s->marks & SEG_NAT)
		sock = input_packet(r->run->in, &base, &s->wire, &other);
	return s->start_ns >= input_from(r->run->in) &&
	       input_wants(r->run->in, s->start_ns, sock, s->task.pid ? &s->task : NULL);
}

static int on_segment(void *ctx, const struct segment *s)
{
	struct segment_read *r = ctx;
	struct sock sock = {.cookie = s->cookie};

	if (!is_chosen(r, s)) {
		r->n_outside++;
		return 0;
	}
	return r->on(r->ctx, s, r->no_owners ? NULL : conn_find(&r->who.conns, &sock));
}

/* ---- which layers there are ---- */

static const struct {
	const char *group, *meta, *unit, *bytes_event;
	unsigned bytes_layer;
} directions[SEG_DIRS] = {
	[SEG_IN] = {"rx", "parts.rx", "rx_layer", "rx_copy", SEG_IN_COPY},
	[SEG_OUT] = {"tx", "parts.tx", "tx_layer", "tx_write", SEG_OUT_WRITE},
};

/* "driver mac tcp", by the names that the trace itself gives to the layers. */
static uint32_t named_layers(const struct tape_schema *schema, enum seg_dir dir, const char *list)
{
	uint32_t bits = 0;

	for (unsigned v = 1; v < 16; v++) {
		const char *name = tape_schema_name(schema, directions[dir].unit, v), *p;
		size_t len = name ? strlen(name) : 0;
		int layer = seg_layer(dir, v);

		for (p = len && layer >= 0 ? strstr(list, name) : NULL; p; p = strstr(p + 1, name))
			if ((p == list || p[-1] == ' ') && (!p[len] || p[len] == ' '))
				bits |= SEG_BIT(layer);
	}
	return bits;
}

/* tx_state comes from the hook at TCP, or from netfilter's at IP. */
static bool has_holds(const struct segment_read *r)
{
	struct input *in = r->run->in;
	const char *hooks = input_hooks(in, "tx");

	return tape_schema_record_by_name(input_schema(in), "tx_state") &&
	       (r->layers[SEG_OUT] & SEG_BIT(SEG_OUT_TCP) ||
		(hooks && strstr(hooks, "netfilter:ipv4/local_out"))) &&
	       r->layers[SEG_OUT] & SEG_BIT(SEG_OUT_WRITE);
}

static bool tells_buffers(const struct segment_read *r)
{
	const char *hooks = input_hooks(r->run->in, "tx_write");

	return hooks && strstr(hooks, "tcp_sendmsg_locked");
}

static void find_layers(struct segment_read *r, enum seg_dir dir)
{
	struct input *in = r->run->in;
	const char *list = input_meta(in, directions[dir].meta), *why;
	enum meta_answer has;

	r->layers[dir] = SEG_BIT(SEG_WIRE) - 1;
	if (list) {
		r->layers[dir] = named_layers(input_schema(in), dir, list);
		r->layers[dir] |= SEG_BIT(directions[dir].bytes_layer);
		if (dir == SEG_IN && r->layers[dir] & SEG_BIT(SEG_IN_QUEUE))
			r->layers[dir] |= SEG_BIT(SEG_IN_HOLE);
	}
	has = input_has_probe(in, directions[dir].bytes_event, &why);
	if (has == META_NO || (list && has == META_UNKNOWN))
		r->layers[dir] &= ~SEG_BIT(directions[dir].bytes_layer);
	if (dir == SEG_OUT) {
		r->holds = has_holds(r);
		r->tells_buffers = tells_buffers(r);
	}
	r->timed[dir] = r->layers[dir];
	if (dir == SEG_OUT && r->layers[dir] & ~(SEG_BIT(SEG_OUT_IP) - 1))
		r->timed[dir] |= SEG_BIT(SEG_OUT_TCP); /* departure_ns of the layers below */
}

/* What is missing, and why. */
static void note_absent(struct segment_read *r, enum seg_dir dir)
{
	static const char *const events[SEG_DIRS][2] = {{"rx", "rx_copy"}, {"tx", "tx_write"}};
	char key[32];

	for (unsigned i = 0; i < 2; i++) {
		const char *why;

		snprintf(key, sizeof(key), "absent.%s", events[dir][i]);
		why = input_meta(r->run->in, key);
		if (why)
			out_note(r->run->out,
				 "layers without a hook in this recording (%s): their time is "
				 "part of the layer before",
				 why);
	}
}

int segment_read_begin(struct segment_read *r, struct cmd_run *run)
{
	r->run = run;
	for (unsigned dir = 0; dir < SEG_DIRS; dir++) {
		if (!r->dirs[dir])
			continue;
		if (input_needs(run->in, directions[dir].group, directions[dir].group, run->fail))
			return -1;
		find_layers(r, dir);
		note_absent(r, dir);
	}
	return 0;
}

static void note_limits(const struct segment_read *r)
{
	struct segments_stats stats;

	segments_stats(r->segments, &stats);
	if (stats.n_cut)
		out_note(r->run->out,
			 "%llu segments were still under way when there were more than %u of them: "
			 "they are told as far as they had come",
			 (unsigned long long)stats.n_cut, SEGMENTS_OPEN);
	if (stats.n_writes_cut)
		out_note(r->run->out,
			 "more than %u writes waited to be sent: %llu of them were forgotten",
			 SEGMENTS_WRITES, (unsigned long long)stats.n_writes_cut);
	if (stats.n_headless)
		out_note(r->run->out, "%llu packets whose headers were not read are left out",
			 (unsigned long long)stats.n_headless);
}

/* Columns of a direction that is not wanted are not decoded. */
static void choose_binds(const struct segment_read *r, struct bind binds[N_OWN])
{
	static const unsigned packets[SEG_DIRS] = {[SEG_IN] = RX, [SEG_OUT] = TX};
	static const unsigned bytes[SEG_DIRS] = {[SEG_IN] = RX_COPY, [SEG_OUT] = TX_WRITE};

	for (unsigned d = 0; d < SEG_DIRS; d++) {
		if (r->dirs[d])
			continue;
		binds[packets[d]].on = NULL;
		binds[packets[d]].on_time = on_other;
		binds[packets[d]].n_fields = 0;
		binds[bytes[d]].on = on_other_bytes;
		binds[bytes[d]].n_fields = BYTES_TASK + 1;
	}
}

int segment_read_open(struct segment_read *r, struct bind binds[SEGMENT_READ_N])
{
	const struct bind own[N_OWN] = {
		[RX] = {.record = "rx",
			.fields = segment_rx_fields,
			.n_fields = SEGMENT_RX_FIELDS,
			.on = on_rx},
		[RX_COPY] = {.record = "rx_copy",
			     .fields = copy_fields,
			     .n_fields = BYTES_N,
			     .on = on_copy},
		[TX] = {.record = "tx",
			.fields = segment_tx_fields,
			.n_fields = SEGMENT_TX_FIELDS,
			.on = on_tx},
		[TX_WRITE] = {.record = "tx_write",
			      .fields = r->holds ? state_fields : write_fields,
			      .n_fields = r->holds ? STATE_N : BYTES_N,
			      .on = on_write},
	};
	struct segments_opts opts = {.on = on_segment, .holds = r->holds, .ctx = r};

	memcpy(opts.layers, r->layers, sizeof(opts.layers));
	memcpy(opts.dirs, r->dirs, sizeof(opts.dirs));
	memcpy(binds, own, sizeof(own));
	choose_binds(r, binds);
	by_bind(binds + SEGMENT_READ_BY);
	binds[SEGMENT_READ_BY + BY_BIND_CONN + CONN_TRACK_DESTROY].on = on_destroy;
	r->segments = segments_new(&opts);
	return r->segments ? 0 : fail_nomem(r->run->fail);
}

int segment_read_chunk(struct segment_read *r, uint64_t floor_ns)
{
	segments_batch(r->segments); /* another chunk has other tables */
	return segments_pass(r->segments, floor_ns);
}

int segment_read_close(struct segment_read *r)
{
	if (segments_end(r->segments))
		return r->run->fail->status ? -1 : fail_nomem(r->run->fail);
	note_limits(r);
	return by_who_failed(&r->who) ? fail_nomem(r->run->fail) : 0;
}

static int on_chunk(void *ctx, uint64_t floor_ns)
{
	return segment_read_chunk(ctx, floor_ns);
}

static bool digest(const void *ctx, struct input_chunk *chunk, void *rows)
{
	const struct segment_read *r = ctx;
	const int binds[SEG_DIRS] = {
		[SEG_IN] = r->dirs[SEG_IN] ? RX : -1, [SEG_OUT] = r->dirs[SEG_OUT] ? TX : -1};

	return segment_rows_load(rows, binds, chunk);
}

static void digest_fini(void *rows)
{
	segment_rows_fini(rows);
}

int segment_read_run(struct segment_read *r)
{
	static const struct bind hold_binds[N_HOLDS] = {
		[OF_STATE] = {.record = "tx_state",
			      .fields = state_fields,
			      .n_fields = STATE_N,
			      .on = on_state},
		[OF_RTT] = {.record = "rtt",
			    .fields = state_fields,
			    .n_fields = STATE_N,
			    .on = on_rtt},
	};
	struct bind binds[SEGMENT_READ_N + N_HOLDS];
	struct input_job job = {.binds = binds,
				.n_binds = SEGMENT_READ_N,
				.n_digested = TX + 1,
				.digest_size = sizeof(struct segment_rows),
				.digest = digest,
				.digest_fini = digest_fini,
				.on_chunk = on_chunk,
				.all_rows = true,
				.wants_cpu = true,
				.margin_ns = INPUT_MARGIN_NS,
				.ctx = r};

	if (segment_read_open(r, binds))
		return -1;
	binds[RX].on_digested = r->dirs[SEG_IN] ? on_rx_digested : NULL;
	binds[TX].on_digested = r->dirs[SEG_OUT] ? on_tx_digested : NULL;
	if (r->no_owners && !input_selects(r->run->in)) { /* of connections, just their end */
		binds[SEGMENT_READ_BY + BY_BIND_CONN] =
			binds[SEGMENT_READ_BY + BY_BIND_CONN + CONN_TRACK_DESTROY];
		job.n_binds = SEGMENT_READ_BY + BY_BIND_CONN + 1;
	}
	if (r->holds) {
		memcpy(binds + job.n_binds, hold_binds, sizeof(hold_binds));
		job.n_binds += N_HOLDS;
	}
	if (input_run(r->run->in, &job, r->run->fail))
		return r->run->fail->status ? -1 : fail_nomem(r->run->fail);
	return segment_read_close(r);
}

void segment_read_fini(struct segment_read *r)
{
	segments_free(r->segments);
	by_who_fini(&r->who);
}

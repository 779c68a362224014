// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading a trace for a command. What a chunk needs by itself (columns, tables) is decoded in
 * map_chunk, on the threads of pass.h; what depends on the order (selection, the command) happens
 * in reduce_chunk.
 */
#include <stdlib.h>
#include <string.h>

#include "input_parts.h"
#include "pass.h"

#define NO_BIND UINT8_MAX

/* One reading of the trace; map_chunk may only look at it. */
struct run {
	struct input *in;
	const struct input_job *job;
	struct fail *fail;
	struct bind_tables want; /* which tables */
	bool is_enough;		 /* the first pass knows all that it can */
};

struct common {
	const uint64_t *ts;
	const uint16_t *type;
	const uint32_t *cpu; /* NULL: not recorded */
};

struct work { /* of one chunk */
	struct bind_tables tables;
	struct common common;
	uint64_t n_rows;
	bool whole; /* columns, not rows */
	bool digested;
	int rc, raw_rc; /* of decoding */
	struct tape_error err;
	struct bind binds[];
};

/* ---- decoding ---- */

/* Columns of the common record; NULL: this chunk has none that can be read. */
static int common_column(struct tape_chunk *chunk, unsigned field, unsigned width, const void **ret,
			 struct tape_error *err)
{
	struct tape_column col;
	int rc = tape_chunk_column(chunk, TAPE_COMMON, field, &col, err);

	*ret = rc || col.width != width ? NULL : col.values;
	if (!rc && !*ret)
		return tape_fail(err, TAPE_E_UNKNOWN, tape_chunk_offset(chunk),
				 "the column %u of all events is of another type", field);
	return rc;
}

static int load_common(struct tape_chunk *chunk, struct common *c, struct tape_error *err)
{
	int rc = common_column(chunk, TAPE_COMMON_TS, 8, (const void **)&c->ts, err);

	if (!rc)
		rc = common_column(chunk, TAPE_COMMON_TYPE, 2, (const void **)&c->type, err);
	if (rc)
		return rc;
	rc = common_column(chunk, TAPE_COMMON_CPU, 4, (const void **)&c->cpu, err);
	return rc == TAPE_E_ABSENT || rc == TAPE_E_UNKNOWN ? 0 : rc;
}

/* No row must be left out. */
static bool is_all_wanted(const struct run *run, const struct tape_chunk *chunk)
{
	const struct tape_chunk_head *head = tape_chunk_head(chunk);

	return !select_is_active(&run->in->select) && head->ts_min >= run->in->from_ns &&
	       head->ts_max <= run->in->to_ns;
}

static bool whole_chunk(const struct run *run, const struct tape_chunk *chunk)
{
	return run->job->on_columns && run->job->n_binds == 1 && is_all_wanted(run, chunk);
}

static int load_tables(const struct run *run, struct work *w, struct tape_chunk *chunk)
{
	w->tables.want_flows = run->want.want_flows;
	w->tables.want_socks = run->want.want_socks;
	w->tables.want_tasks = run->want.want_tasks;
	w->tables.want_packets = run->want.want_packets;
	w->tables.want_uids = run->want.want_uids;
	return bind_tables_load(&w->tables, input_schema(run->in), chunk, &w->err);
}

static int decode_raw(const struct run *run, struct work *w, struct tape_chunk *chunk)
{
	int rc = load_tables(run, w, chunk);

	w->raw_rc = 0;
	if (!rc && run->job->raw_decode)
		w->raw_rc = run->job->raw_decode(run->job->ctx, chunk, &w->err);
	return rc;
}

static void *digest_of(const struct run *run, struct work *w)
{
	return w->binds + run->job->n_binds;
}

static struct input_chunk chunk_of(const struct work *w, const struct tape_chunk *chunk)
{
	return (struct input_chunk){.binds = w->binds,
				    .tables = &w->tables,
				    .ts_ns = w->common.ts,
				    .types = w->common.type,
				    .n_events = tape_chunk_rows(chunk, TAPE_COMMON),
				    .to_ns = tape_chunk_head(chunk)->ts_max};
}

static void digest(const struct run *run, struct work *w, const struct tape_chunk *chunk)
{
	const struct input_job *job = run->job;
	struct input_chunk c = chunk_of(w, chunk);
	uint64_t n = 0;

	for (unsigned i = 0; i < job->n_digested; i++)
		n += w->binds[i].n_rows;
	w->digested = n && is_all_wanted(run, chunk) && !tape_chunk_is_snapshot(chunk) &&
		      job->digest(job->ctx, &c, digest_of(run, w));
}

static int decode(const struct run *run, struct work *w, struct tape_chunk *chunk)
{
	const struct input_job *job = run->job;
	int rc = 0;

	if (job->n_binds && !w->binds[0].record)
		memcpy(w->binds, job->binds, job->n_binds * sizeof(*w->binds));
	w->n_rows = 0;
	w->digested = false;
	w->whole = whole_chunk(run, chunk);
	for (unsigned i = 0; !rc && i < job->n_binds; i++) {
		rc = bind_chunk(&w->binds[i], chunk, &w->err);
		w->n_rows += w->binds[i].n_rows;
	}
	if (rc || !w->n_rows || w->whole)
		return rc;
	rc = load_tables(run, w, chunk);
	if (!rc)
		rc = load_common(chunk, &w->common, &w->err);
	if (!rc)
		digest(run, w, chunk);
	return rc;
}

static void map_chunk(void *ctx, struct tape_chunk *chunk, void *work)
{
	const struct run *run = ctx;
	struct work *w = work;

	w->rc = run->job->on_raw ? decode_raw(run, w, chunk) : decode(run, w, chunk);
}

static void fini_work(void *ctx, void *work)
{
	const struct run *run = ctx;

	if (run->job && run->job->digest_fini)
		run->job->digest_fini(digest_of(run, work));
	bind_tables_fini(&((struct work *)work)->tables);
}

/* ---- rows ---- */

static bool is_chosen(struct input *in, const struct bind_row *row, uint64_t ts)
{
	const struct bind *b = row->bind;
	const struct sock *sock = row->sock;
	struct flow flow;
	struct sock room;

	if (!select_is_active(&in->select))
		return ts >= in->from_ns && ts <= in->to_ns;
	if (b->flow_field >= 0 && b->have[b->flow_field] &&
	    bind_flow(row->tables, tape_column_get(&b->cols[b->flow_field], row->k), &flow))
		sock = input_packet(in, sock, &flow, &room);
	else if (row->packet && row->packet->has_flow)
		sock = input_packet(in, sock, &row->packet->flow, &room);
	return input_wants(in, ts, sock, row->task);
}

bool input_wants_row(struct input *in, const struct bind_row *row)
{
	return row->snapshot || is_chosen(in, row, row->ts_ns);
}

/*
 * Snapshots come through the window whatever its limits: a connection that exists at --from is
 * known by what existed before.
 */
static bool row_wanted(struct input *in, const struct input_job *job, struct bind_row *row)
{
	uint64_t ts = row->snapshot ? in->from_ns : row->ts_ns;
	const struct bind *b = row->bind;

	row->stale = row->snapshot && (row->ts_ns < in->from_ns || in->rows_are_late);
	if (row->snapshot && b->sock_field < 0 && b->task_field < 0)
		return true; /* a fact about the machine, of no connection */
	if (job->all_rows) {
		select_learn(&in->select, row->sock, row->task);
		return true;
	}
	return is_chosen(in, row, ts);
}

static int deliver_row(struct input *in, const struct input_job *job, struct bind_row *row)
{
	const struct bind *b = row->bind;
	struct sock asked;

	row->sock = b->socks ? bind_sock(row->tables, b->socks[row->k]) : NULL;
	row->task = b->tasks ? bind_task(row->tables, b->tasks[row->k]) : NULL;
	row->packet = b->packets ? bind_packet(row->tables, b->packets[row->k]) : NULL;
	if (b->daddr_field >= 0 && b->dport_field >= 0)
		row->sock = input_asked(in, row->sock, bind_addr(row, (unsigned)b->daddr_field),
					bind_get(row, (unsigned)b->dport_field, 0), &asked);
	if (!row_wanted(in, job, row))
		; /* but it may end */
	else if (job->tcp_only && row->sock && row->sock->protocol == BIND_MPTCP)
		in->has_mptcp = true;
	else if (b->on(job->ctx, row))
		return -1;
	if (b->ends_socket && input_is_pipe(in))
		select_forget(&in->select, row->sock);
	return 0;
}

/* Rows of the first `done` binds are told already. */
static int deliver_rows(const struct run *run, struct work *w, const struct tape_chunk *chunk,
			unsigned done)
{
	uint32_t n = tape_chunk_rows(chunk, TAPE_COMMON), next[NO_BIND] = {0};
	struct bind_row row = {.snapshot = tape_chunk_is_snapshot(chunk), .tables = &w->tables};
	const struct common *c = &w->common;
	const uint8_t *by_type = run->in->by_type;
	uint64_t left = 0;

	for (unsigned i = done; i < run->job->n_binds; i++)
		left += w->binds[i].n_rows;
	for (uint32_t i = 0; left && i < n; i++) {
		unsigned at = by_type[c->type[i]];

		if (at == NO_BIND || at < done || next[at] >= w->binds[at].n_rows)
			continue;
		left--;
		row.bind = &w->binds[at];
		row.k = next[at]++;
		row.ts_ns = c->ts[i];
		if (row.bind->on_time) {
			if (row.bind->on_time(run->job->ctx, row.ts_ns))
				return -1;
			continue;
		}
		row.cpu = c->cpu ? c->cpu[i] : 0;
		if (deliver_row(run->in, run->job, &row))
			return -1;
	}
	return 0;
}

/* ---- chunks ---- */

static int deliver_raw(const struct run *run, struct work *w, struct tape_chunk *chunk)
{
	if (w->raw_rc && input_chunk_damage(run->in, w->raw_rc, &w->err, run->fail))
		return -1;
	select_tables(&run->in->select, &w->tables);
	return run->job->on_raw(run->job->ctx, chunk, &w->tables);
}

/* How many of the binds are told that way. */
static unsigned deliver_digest(const struct run *run, struct work *w,
			       const struct tape_chunk *chunk)
{
	struct input_chunk c = chunk_of(w, chunk);

	if (!w->digested || !weights_are_plain(&run->in->weights, c.to_ns) ||
	    !run->job->on_digest(run->job->ctx, &c, digest_of(run, w)))
		return 0;
	return run->job->n_digested;
}

static int deliver(const struct run *run, struct work *w, struct tape_chunk *chunk)
{
	const struct input_job *job = run->job;

	if (w->rc)
		return input_chunk_damage(run->in, w->rc, &w->err, run->fail);
	if (job->on_raw)
		return deliver_raw(run, w, chunk);
	if (!w->n_rows)
		return 0;
	if (w->whole && weights_are_plain(&run->in->weights, tape_chunk_head(chunk)->ts_max))
		return job->on_columns(job->ctx, &w->binds[0]);
	if (w->whole) { /* rows after all, which have times */
		w->rc = load_tables(run, w, chunk);
		w->rc = w->rc ? w->rc : load_common(chunk, &w->common, &w->err);
		if (w->rc)
			return input_chunk_damage(run->in, w->rc, &w->err, run->fail);
	}
	select_tables(&run->in->select, &w->tables);
	return deliver_rows(run, w, chunk, deliver_digest(run, w, chunk));
}

static bool wants_chunk(void *ctx, const struct tape_chunk *chunk)
{
	const struct run *run = ctx;
	const struct input_job *job = run->job;

	if (job->on_raw)
		return !job->raw_wants || job->raw_wants(job->ctx, chunk) ||
		       weights_are_in(input_schema(run->in), chunk);
	for (unsigned i = 0; i < job->n_binds; i++)
		if (job->binds[i].rec && tape_chunk_rows(chunk, job->binds[i].rec->id))
			return true;
	return weights_are_in(input_schema(run->in), chunk);
}

static int reduce_chunk(void *ctx, struct tape_chunk *chunk, void *work)
{
	const struct run *run = ctx;
	const struct tape_chunk_head *head = tape_chunk_head(chunk);
	struct input *in = run->in;

	in->n_stragglers += head->n_stragglers;
	input_reached(in, head->ts_max);
	if (input_learn_rates(in, chunk, run->fail))
		return -1;
	if (tape_chunk_has_payload(chunk) && deliver(run, work, chunk))
		return -1;
	if (run->job->on_chunk && run->job->on_chunk(run->job->ctx, head->ts_floor))
		return -1;
	if (out_flush(in->out))
		return -1;
	return in->select.failed ? fail_nomem(run->fail) : 0;
}

/* ---- the whole ---- */

/* Look the job's columns up, and with them which tables it needs. */
static void bind_job(struct run *run)
{
	const struct input_job *job = run->job;
	struct input *in = run->in;

	memset(in->by_type, NO_BIND, sizeof(in->by_type));
	if (job->on_raw)
		run->want = (struct bind_tables){.want_flows = true,
						 .want_socks = true,
						 .want_tasks = true,
						 .want_packets = job->raw_packets ||
								 select_is_active(&in->select)};
	run->want.want_uids = job->uids;
	for (unsigned i = 0; i < job->n_binds; i++) {
		struct bind *b = &job->binds[i];

		bind_schema(b, input_schema(in));
		if (!b->rec)
			continue;
		in->by_type[b->rec->id] = (uint8_t)i;
		run->want.want_flows |= b->flow_field >= 0;
		run->want.want_socks |= b->sock_field >= 0;
		run->want.want_tasks |= b->task_field >= 0;
		run->want.want_packets |= b->packet_field >= 0;
	}
}

static void widen_window(struct input *in, uint64_t margin)
{
	if (in->windowed && margin)
		tape_reader_window(in->reader, in->from_ns > margin ? in->from_ns - margin : 0,
				   in->to_ns < UINT64_MAX - margin ? in->to_ns + margin
								   : UINT64_MAX);
}

void input_reached(struct input *in, uint64_t ts_ns)
{
	if (ts_ns > in->last_ns)
		in->last_ns = ts_ns;
}

static void note_end(struct input *in)
{
	struct tape_end end;

	tape_reader_end(in->reader, &end);
	if (end.closed)
		input_reached(in, end.end_ns);
}

int input_run(struct input *in, const struct input_job *job, struct fail *fail)
{
	struct run run = {.in = in, .job = job, .fail = fail};
	struct tape_pass pass = {
		.n_workers = in->n_workers,
		.wants = wants_chunk,
		.map = map_chunk,
		.reduce = reduce_chunk,
		.work_size =
			sizeof(struct work) + job->n_binds * sizeof(struct bind) + job->digest_size,
		.work_fini = fini_work,
		.ctx = &run,
	};
	struct tape_error err;
	int rc;

	bind_job(&run);
	widen_window(in, job->margin_ns);
	rc = tape_pass_run(&pass, in->reader, &err);
	if (rc == 1)
		return -1;
	note_end(in);
	return rc ? fail_tape(fail, in->path, &err) : 0;
}

int input_tables(struct input *in, struct tape_chunk *chunk, struct bind_tables *tables,
		 struct fail *fail)
{
	struct tape_error err;
	int rc;

	tables->want_flows = tables->want_socks = tables->want_tasks = tables->want_packets = true;
	rc = bind_tables_load(tables, input_schema(in), chunk, &err);
	if (rc) {
		input_chunk_damage(in, rc, &err, fail);
		return -1;
	}
	select_tables(&in->select, tables);
	return 0;
}

/* ---- rates ---- */

int input_learn_rates(struct input *in, struct tape_chunk *chunk, struct fail *fail)
{
	struct tape_error err;
	int rc = weights_learn(&in->weights, input_schema(in), chunk, &err);

	if (rc)
		return input_chunk_damage(in, rc, &err, fail);
	return in->weights.failed ? fail_nomem(fail) : 0;
}

static bool has_rates(void *ctx, const struct tape_chunk *chunk)
{
	const struct run *run = ctx;

	return tape_chunk_head(chunk)->ts_min <= run->in->to_ns &&
	       weights_are_in(input_schema(run->in), chunk);
}

static int reduce_rates(void *ctx, struct tape_chunk *chunk, void *work)
{
	const struct run *run = ctx;

	return input_learn_rates(run->in, chunk, run->fail);
}

int input_read_rates(struct input *in, struct fail *fail)
{
	struct run run = {.in = in, .fail = fail};
	struct tape_pass pass = {
		.n_workers = 1, .wants = has_rates, .reduce = reduce_rates, .ctx = &run};
	struct tape_error err;
	int rc;

	if (!tape_schema_record_by_name(input_schema(in), "rate"))
		return 0;
	rc = tape_pass_run(&pass, in->reader, &err);
	if (rc == 1)
		return -1;
	return rc ? fail_tape(fail, in->path, &err) : 0;
}

/* Passes decode different columns, and meet the same damage again: what the worst of them met
 * counts. */
static void keep_damage(struct input *in)
{
	if (in->damage.n > in->damage_before.n)
		in->damage_before = in->damage;
	in->damage.n = 0;
}

int input_rewind(struct input *in, struct fail *fail)
{
	struct tape_error err;

	keep_damage(in);
	in->n_stragglers = 0;
	return tape_reader_rewind(in->reader, &err) ? fail_tape(fail, in->path, &err) : 0;
}

/* ---- the first pass ---- */

static void map_first(void *ctx, struct tape_chunk *chunk, void *work)
{
	const struct run *run = ctx;
	struct work *w = work;

	w->rc = load_tables(run, w, chunk);
	if (!w->rc)
		w->rc = select_first_decode(&run->in->select, input_schema(run->in), chunk,
					    &w->err);
}

static int reduce_first(void *ctx, struct tape_chunk *chunk, void *work)
{
	struct run *run = ctx;
	struct input *in = run->in;
	struct work *w = work;
	int rc = w->rc;

	run->is_enough = !in->select.by_owner && !in->select.unbound.n &&
			 tape_chunk_head(chunk)->ts_min > in->to_ns;
	if (run->is_enough)
		return 1; /* no port is missing any more */
	if (!rc)
		rc = select_first_pass(&in->select, input_schema(in), chunk, &w->tables, &w->err);
	return rc && input_chunk_damage(in, rc, &w->err, run->fail) ? -1 : 0;
}

int input_first_pass(struct input *in, struct fail *fail)
{
	struct run run = {.in = in, .fail = fail};
	struct tape_pass pass = {.n_workers = in->n_workers,
				 .map = map_first,
				 .reduce = reduce_first,
				 .work_size = sizeof(struct work),
				 .work_fini = fini_work,
				 .ctx = &run};
	struct tape_error err;
	int rc;

	run.want = (struct bind_tables){.want_socks = true, .want_tasks = in->select.by_owner};
	if (in->windowed && !in->select.by_owner) /* whoever owns it may be told anywhere */
		tape_reader_window(in->reader, in->from_ns,
				   in->to_ns < UINT64_MAX - INPUT_LOOK_BEHIND_NS
					   ? in->to_ns + INPUT_LOOK_BEHIND_NS
					   : UINT64_MAX);
	rc = tape_pass_run(&pass, in->reader, &err);
	if (rc == 1 && !run.is_enough)
		return -1;
	keep_damage(in);
	if (rc >= 0)
		rc = tape_reader_rewind(in->reader, &err);
	return rc ? fail_tape(fail, in->path, &err) : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "input.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "input_parts.h"

#define NO_BIND UINT8_MAX

const struct opt_row input_opt_rows[] = {
	{0, "from", "TIME", OPT_STR, offsetof(struct input_opts, from),
	 "leave out what was before TIME: +1.5s after the start of the\n"
	 "trace, -10s before its end, 13:05:00.2 (local time; 13:05:00Z\n"
	 "in UTC), 2026-01-31T13:05:00Z"},
	{0, "to", "TIME", OPT_STR, offsetof(struct input_opts, to),
	 "leave out what was after TIME"},
	{'f', "filter", "EXPR", OPT_STR, offsetof(struct input_opts, select.filter),
	 "connections that match a tcpdump expression, in either\n"
	 "direction: host net port portrange ip ip6 src dst and or not"},
	{0, "pid", "PID", OPT_U32, offsetof(struct input_opts, select.pid),
	 "connections that this process has or had"},
	{0, "comm", "NAME", OPT_STR, offsetof(struct input_opts, select.comm),
	 "connections of processes of this name"},
	{0, "conn", "COOKIE", OPT_STR, offsetof(struct input_opts, select.conn),
	 "one connection, by the number that all commands print"},
};
const size_t input_n_opt_rows = sizeof(input_opt_rows) / sizeof(input_opt_rows[0]);

/* ---- facts ---- */

struct tape_reader *input_reader(struct input *in)
{
	return in->reader;
}

const struct tape_schema *input_schema(const struct input *in)
{
	return tape_reader_schema(in->reader);
}

bool input_is_pipe(const struct input *in)
{
	return !tape_reader_seekable(in->reader);
}

uint64_t input_start(const struct input *in)
{
	return tape_reader_info(in->reader)->start_ns;
}

uint64_t input_from(const struct input *in)
{
	return in->from_ns > input_start(in) ? in->from_ns : input_start(in);
}

uint64_t input_to(const struct input *in)
{
	return in->to_ns;
}

uint64_t input_last(const struct input *in)
{
	return in->last_ns < in->to_ns ? in->last_ns : in->to_ns;
}

const char *input_state_name(const struct input *in, unsigned state)
{
	return names_get(&in->states, state);
}

double input_seconds(const struct input *in, uint64_t ts_ns)
{
	return (double)(int64_t)(ts_ns - input_start(in)) / 1e9;
}

uint64_t input_wall(const struct input *in, uint64_t ts_ns)
{
	size_t n;
	const struct tape_clock *clocks = tape_reader_clocks(in->reader, &n);

	return clock_wall(clocks, n, ts_ns);
}

enum meta_answer input_has_probe(struct input *in, const char *event, const char **why)
{
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(in->reader, &n);

	if (!tape_schema_record_by_name(input_schema(in), event)) {
		*why = "this recorder did not know it";
		return META_NO;
	}
	return meta_has_probe(meta, n, event, why);
}

const char *input_hooks(struct input *in, const char *event)
{
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(in->reader, &n);
	const char *hooks;

	return meta_has_probe(meta, n, event, &hooks) == META_YES ? hooks : NULL;
}

const char *input_lost_part(struct input *in, const char *event)
{
	char key[64];

	snprintf(key, sizeof(key), "absent.%s", event);
	return input_hooks(in, event) ? input_meta(in, key) : NULL;
}

const char *input_meta(struct input *in, const char *key)
{
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(in->reader, &n);

	return meta_get(meta, n, key);
}

int input_needs(struct input *in, const char *group, const char *record, struct fail *fail)
{
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(in->reader, &n);
	const char *why;

	if (meta_has_group(meta, n, group) == META_NO)
		return fail_set(fail, STATUS_LACKS,
				"%s: the trace has no events of group %s; record it with: "
				"tcptape-record -e +%s",
				in->path, group, group);
	if (record && input_has_probe(in, record, &why) == META_NO)
		return fail_set(fail, STATUS_LACKS,
				"%s: the trace has no %s events (%s); they belong to: "
				"tcptape-record -e +%s",
				in->path, record, why, group);
	return 0;
}

int input_needs_field(struct input *in, const char *record, const char *field, struct fail *fail)
{
	const struct tape_record *rec = tape_schema_record_by_name(input_schema(in), record);

	if (rec && tape_record_field(rec, field) >= 0)
		return 0;
	return fail_set(fail, STATUS_LACKS,
			"%s: this trace has no %s in its %s events: record it with a newer "
			"tcptape-record -e +%s",
			in->path, field, record, record);
}

/* ---- opening ---- */

/* Walk over the headers to learn where the trace ends. */
static int find_end(struct input *in, uint64_t *ret_ns, struct fail *fail)
{
	struct tape_chunk *chunk;
	struct tape_error err;
	struct tape_end end;
	uint64_t last = input_start(in);
	int rc;

	while ((rc = tape_reader_next_header(in->reader, &chunk, &err)) == 1)
		if (tape_chunk_head(chunk)->ts_max > last)
			last = tape_chunk_head(chunk)->ts_max;
	tape_reader_end(in->reader, &end);
	*ret_ns = end.closed && end.end_ns > last ? end.end_ns : last;
	if (!rc)
		rc = tape_reader_rewind(in->reader, &err);
	return rc ? fail_tape(fail, in->path, &err) : 0;
}

static int resolve_wall(struct input *in, const struct clock_point *p, uint64_t *ret_ns,
			struct fail *fail)
{
	size_t n;
	const struct tape_clock *clocks = tape_reader_clocks(in->reader, &n);
	uint64_t wall = p->ns, start_wall = clock_wall(clocks, n, input_start(in)), mono;

	if (!n)
		return fail_set(fail, STATUS_LACKS, "%s: the trace does not tell wall-clock time",
				in->path);
	if (p->of_day)
		wall = clock_on_day(p, start_wall);
	mono = clock_mono(clocks, n, wall);
	if (wall < start_wall && mono > input_start(in))
		mono = 0; /* before the machine started */
	*ret_ns = mono;
	return 0;
}

static int resolve(struct input *in, const char *option, const char *s, uint64_t *ret_ns,
		   struct fail *fail)
{
	struct clock_point p;
	uint64_t end;

	if (!s)
		return 0;
	in->windowed = true;
	if (!clock_parse(s, &p))
		return fail_set(fail, STATUS_USAGE,
				"%s takes +1.5s, -10s, 13:05:00 or 2026-01-31T13:05:00Z, not '%s'",
				option, s);
	if (p.kind == CLOCK_WALL)
		return resolve_wall(in, &p, ret_ns, fail);
	if (p.kind == CLOCK_AFTER_START) {
		*ret_ns = input_start(in) + p.ns;
		return 0;
	}
	if (input_is_pipe(in))
		return fail_set(fail, STATUS_USAGE,
				"%s %s counts from the end, which a pipe does not tell", option, s);
	if (find_end(in, &end, fail))
		return -1;
	*ret_ns = end > p.ns ? end - p.ns : 0;
	return 0;
}

void input_damaged(struct input *in, const struct tape_error *err)
{
	if (!in->n_damage++)
		in->damage = *err;
}

/* A damaged chunk is left out: remember it for the verdict. */
static int chunk_damage(struct input *in, int rc, const struct tape_error *err, struct fail *fail)
{
	if (rc == TAPE_E_NOMEM || rc == TAPE_E_IO)
		return fail_tape(fail, in->path, err);
	input_damaged(in, err);
	return 0;
}

static int first_pass(struct input *in, struct fail *fail)
{
	struct tape_chunk *chunk;
	struct tape_error err;
	int rc;

	while ((rc = tape_reader_next(in->reader, &chunk, &err)) == 1) {
		rc = select_first_pass(&in->select, input_schema(in), chunk, &in->tables, &err);
		if (rc && chunk_damage(in, rc, &err, fail))
			return -1;
	}
	in->n_damage = 0; /* will be met again */
	if (!rc)
		rc = tape_reader_rewind(in->reader, &err);
	return rc ? fail_tape(fail, in->path, &err) : 0;
}

static int prepare(struct input *in, const struct input_opts *opts, struct fail *fail)
{
	if (names_init(&in->states, input_schema(in), "tcp_state"))
		return fail_nomem(fail);
	if (select_init(&in->select, &opts->select, fail) ||
	    resolve(in, "--from", opts->from, &in->from_ns, fail) ||
	    resolve(in, "--to", opts->to, &in->to_ns, fail))
		return -1;
	if (in->from_ns > in->to_ns)
		return fail_set(fail, STATUS_USAGE, "--from %s is later than --to %s", opts->from,
				opts->to);
	if (!input_is_pipe(in)) {
		if ((opts->local_ports || in->select.filter || in->select.by_owner) &&
		    first_pass(in, fail))
			return -1;
	} else if (in->select.by_owner) {
		out_note(in->out,
			 "reading a pipe: a connection is shown from the moment its owner is "
			 "known; a file shows it from its start");
	}
	if (in->windowed)
		tape_reader_window(in->reader, in->from_ns, in->to_ns);
	return 0;
}

int input_open(struct input **ret, const char *path, const struct input_opts *opts, struct out *out,
	       struct fail *fail)
{
	struct input *in = calloc(1, sizeof(*in));
	struct tape_error err;
	int rc;

	if (!in)
		return fail_nomem(fail);
	in->path = path;
	in->out = out;
	in->to_ns = UINT64_MAX;
	rc = tape_reader_open(&in->reader, path, &err);
	if (rc)
		rc = fail_tape(fail, path, &err);
	else
		rc = prepare(in, opts, fail);
	if (rc) {
		input_close(in);
		return rc;
	}
	*ret = in;
	return 0;
}

void input_close(struct input *in)
{
	if (!in)
		return;
	tape_reader_close(in->reader);
	select_fini(&in->select);
	bind_tables_fini(&in->tables);
	names_fini(&in->states);
	free(in);
}

/* ---- reading ---- */

bool input_wants(struct input *in, uint64_t ts_ns, const struct sock *sock, const struct task *task)
{
	select_learn(&in->select, sock, task);
	return ts_ns >= in->from_ns && ts_ns <= in->to_ns && select_has(&in->select, sock, task);
}

const struct sock *input_asked(struct input *in, const struct sock *sock, const uint8_t *daddr,
			       uint64_t dport, struct sock *room)
{
	if (!daddr)
		return sock;
	*room = sock ? *sock : (struct sock){0};
	memcpy(room->flow.raddr, daddr, FLOW_ADDR_LEN);
	room->flow.rport = (uint16_t)dport;
	room->has_flow = true;
	select_sock(&in->select, room);
	return room;
}

const struct sock *input_packet(struct input *in, const struct sock *sock, const struct flow *flow,
				struct sock *room)
{
	if (sock && sock->selected)
		return sock;
	*room = sock ? *sock : (struct sock){0};
	room->flow = *flow;
	room->has_flow = true;
	select_sock(&in->select, room);
	return room;
}

struct common {
	struct tape_column ts, type, cpu;
	bool has_cpu;
};

static int load_common(struct tape_chunk *chunk, struct common *c, struct tape_error *err)
{
	int rc = tape_chunk_column(chunk, TAPE_COMMON, TAPE_COMMON_TS, &c->ts, err);

	if (!rc)
		rc = tape_chunk_column(chunk, TAPE_COMMON, TAPE_COMMON_TYPE, &c->type, err);
	if (rc)
		return rc;
	rc = bind_column(chunk, TAPE_COMMON, TAPE_COMMON_CPU, &c->cpu, err);
	c->has_cpu = rc > 0;
	return rc < 0 ? rc : 0;
}

static const struct sock *row_sock(const struct input *in, const struct bind *b, uint32_t k)
{
	if (b->sock_field < 0 || !b->have[b->sock_field])
		return NULL;
	return bind_sock(&in->tables, tape_column_get(&b->cols[b->sock_field], k));
}

static const struct wire *row_packet(const struct input *in, const struct bind *b, uint32_t k)
{
	if (b->packet_field < 0 || !b->have[b->packet_field])
		return NULL;
	return bind_packet(&in->tables, tape_column_get(&b->cols[b->packet_field], k));
}

static const struct task *row_task(const struct input *in, const struct bind *b, uint32_t k)
{
	if (b->task_field < 0 || !b->have[b->task_field])
		return NULL;
	return bind_task(&in->tables, tape_column_get(&b->cols[b->task_field], k));
}

/*
 * Snapshots come through the window whatever its limits: a connection that exists at --from is
 * known by what existed before.
 */
static bool row_wanted(struct input *in, const struct input_job *job, struct bind_row *row)
{
	uint64_t ts = row->snapshot ? in->from_ns : row->ts_ns;
	const struct bind *b = row->bind;
	const struct sock *sock = row->sock;
	struct flow flow;
	struct sock room;

	row->stale = row->snapshot && row->ts_ns < in->from_ns;
	if (row->snapshot && b->sock_field < 0 && b->task_field < 0)
		return true; /* a fact about the machine, of no connection */
	if (job->all_rows) {
		select_learn(&in->select, sock, row->task);
		return true;
	}
	if (b->flow_field >= 0 && b->have[b->flow_field] &&
	    bind_flow(&in->tables, tape_column_get(&b->cols[b->flow_field], row->k), &flow))
		sock = input_packet(in, sock, &flow, &room);
	else if (row->packet && row->packet->has_flow)
		sock = input_packet(in, sock, &row->packet->flow, &room);
	return input_wants(in, ts, sock, row->task);
}

static int deliver_rows(struct input *in, const struct input_job *job, struct tape_chunk *chunk,
			struct tape_error *err, struct fail *fail)
{
	uint32_t n = tape_chunk_rows(chunk, TAPE_COMMON), next[NO_BIND] = {0};
	struct bind_row row = {.snapshot = tape_chunk_is_snapshot(chunk), .tables = &in->tables};
	struct sock asked;
	struct common c;
	int rc = load_common(chunk, &c, err);

	if (rc)
		return chunk_damage(in, rc, err, fail);
	for (uint32_t i = 0; i < n; i++) {
		unsigned at = in->by_type[(uint16_t)tape_column_get(&c.type, i)];
		const struct bind *b = at == NO_BIND ? NULL : &job->binds[at];

		if (!b || next[at] >= b->n_rows)
			continue;
		row.bind = b;
		row.k = next[at]++;
		row.ts_ns = tape_column_get(&c.ts, i);
		row.cpu = c.has_cpu ? (uint32_t)tape_column_get(&c.cpu, i) : 0;
		row.sock = row_sock(in, b, row.k);
		row.task = row_task(in, b, row.k);
		row.packet = row_packet(in, b, row.k);
		if (b->daddr_field >= 0 && b->dport_field >= 0)
			row.sock =
				input_asked(in, row.sock, bind_addr(&row, (unsigned)b->daddr_field),
					    bind_get(&row, (unsigned)b->dport_field, 0), &asked);
		if (!row_wanted(in, job, &row))
			; /* but it may end */
		else if (job->tcp_only && row.sock && row.sock->protocol == BIND_MPTCP)
			in->has_mptcp = true;
		else if (b->on(job->ctx, &row))
			return -1;
		if (b->ends_socket && input_is_pipe(in))
			select_forget(&in->select, row.sock);
	}
	return 0;
}

static bool whole_chunk(const struct input *in, const struct input_job *job,
			const struct tape_chunk *chunk)
{
	const struct tape_chunk_head *head = tape_chunk_head(chunk);

	return job->on_columns && job->n_binds == 1 && !select_is_active(&in->select) &&
	       head->ts_min >= in->from_ns && head->ts_max <= in->to_ns;
}

static int load_tables(struct input *in, struct tape_chunk *chunk, struct tape_error *err)
{
	int rc = bind_tables_load(&in->tables, input_schema(in), chunk, err);

	if (!rc)
		select_tables(&in->select, &in->tables);
	return rc;
}

static int deliver(struct input *in, const struct input_job *job, struct tape_chunk *chunk,
		   struct fail *fail)
{
	struct tape_error err;
	uint64_t n_rows = 0;
	int rc = 0;

	if (job->on_raw) {
		rc = load_tables(in, chunk, &err);
		return rc ? chunk_damage(in, rc, &err, fail)
			  : job->on_raw(job->ctx, chunk, &in->tables);
	}
	for (unsigned i = 0; !rc && i < job->n_binds; i++) {
		rc = bind_chunk(&job->binds[i], chunk, &err);
		n_rows += job->binds[i].n_rows;
	}
	if (rc)
		return chunk_damage(in, rc, &err, fail);
	if (!n_rows)
		return 0;
	if (whole_chunk(in, job, chunk))
		return job->on_columns(job->ctx, &job->binds[0]);
	rc = load_tables(in, chunk, &err);
	if (rc)
		return chunk_damage(in, rc, &err, fail);
	return deliver_rows(in, job, chunk, &err, fail);
}

static void start_job(struct input *in, const struct input_job *job)
{
	uint64_t margin = job->margin_ns;

	if (in->windowed && margin)
		tape_reader_window(in->reader, in->from_ns > margin ? in->from_ns - margin : 0,
				   in->to_ns < UINT64_MAX - margin ? in->to_ns + margin
								   : UINT64_MAX);
	in->tables.want_packets = false;
	memset(in->by_type, NO_BIND, sizeof(in->by_type));
	for (unsigned i = 0; i < job->n_binds; i++) {
		bind_schema(&job->binds[i], input_schema(in));
		if (job->binds[i].rec)
			in->by_type[job->binds[i].rec->id] = (uint8_t)i;
		if (job->binds[i].packet_field >= 0)
			in->tables.want_packets = true;
	}
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
	struct tape_chunk *chunk;
	struct tape_error err;
	int rc;

	start_job(in, job);
	while ((rc = tape_reader_next(in->reader, &chunk, &err)) == 1) {
		const struct tape_chunk_head *head = tape_chunk_head(chunk);

		in->n_stragglers += head->n_stragglers;
		input_reached(in, head->ts_max);
		if (deliver(in, job, chunk, fail))
			return -1;
		if (job->on_chunk && job->on_chunk(job->ctx, head->ts_floor))
			return -1;
		if (out_flush(in->out))
			return -1;
		if (in->select.failed)
			return fail_nomem(fail);
	}
	note_end(in);
	return rc ? fail_tape(fail, in->path, &err) : 0;
}

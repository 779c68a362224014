// SPDX-License-Identifier: GPL-2.0-or-later
#include "input.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "input_parts.h"

#define MAX_WORKERS 8

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

unsigned input_workers(const struct input *in)
{
	return in->n_workers;
}

uint64_t input_conn(const struct input *in)
{
	return in->select.cookie;
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

bool input_has_window(const struct input *in)
{
	return in->windowed;
}

bool input_selects(const struct input *in)
{
	return select_is_active(&in->select);
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

static const struct tape_clock *clocks_of(const struct input *in, size_t *n)
{
	*n = in->n_clocks;
	return in->clocks ? in->clocks : tape_reader_clocks(in->reader, n);
}

uint64_t input_wall(const struct input *in, uint64_t ts_ns)
{
	size_t n;
	const struct tape_clock *clocks = clocks_of(in, &n);

	return clock_wall(clocks, n, ts_ns);
}

uint64_t input_mono(const struct input *in, uint64_t wall_ns)
{
	size_t n;
	const struct tape_clock *clocks = clocks_of(in, &n);

	return clock_mono(clocks, n, wall_ns, false);
}

struct clock_text *input_clock_text(struct input *in)
{
	return &in->clock_text;
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

const struct weight_group *input_weights(struct input *in, const char *group)
{
	return weights_of(&in->weights, group);
}

const struct weights *input_rates(const struct input *in)
{
	return &in->weights;
}

bool input_is_sampled(struct input *in, const char *group)
{
	const char *sample = input_meta(in, "option.sample");
	const struct weight_group *g = input_weights(in, group);

	return (sample && strcmp(sample, "1")) || (g && g->n);
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

/* Learn where the trace ends: from its index, else by walking over the headers. */
static int find_end(struct input *in, uint64_t *ret_ns, struct fail *fail)
{
	size_t n;
	const struct tape_index_entry *index = tape_reader_index(in->reader, &n);
	struct tape_chunk *chunk;
	struct tape_error err;
	struct tape_end end;
	uint64_t last = input_start(in);
	int rc;

	for (size_t i = 0; index && i < n; i++)
		last = index[i].ts_max > last ? index[i].ts_max : last;
	if (index)
		tape_reader_window(in->reader, UINT64_MAX, UINT64_MAX);
	while ((rc = tape_reader_next_header(in->reader, &chunk, &err)) == 1)
		if (tape_chunk_head(chunk)->ts_max > last)
			last = tape_chunk_head(chunk)->ts_max;
	tape_reader_end(in->reader, &end);
	*ret_ns = end.closed && end.end_ns > last ? end.end_ns : last;
	if (!rc)
		rc = tape_reader_rewind(in->reader, &err);
	return rc ? fail_tape(fail, in->path, &err) : 0;
}

/*
 * All readings of the clocks, by walking over the headers. At first only those in front are known,
 * and somebody may have set the clock since.
 */
static int read_clocks(struct input *in, struct fail *fail)
{
	const struct tape_clock *clocks;
	struct tape_chunk *chunk;
	struct tape_error err;
	int rc;

	if (input_is_pipe(in))
		return 0;
	while ((rc = tape_reader_next_header(in->reader, &chunk, &err)) == 1)
		;
	clocks = tape_reader_clocks(in->reader, &in->n_clocks);
	if (!rc && in->n_clocks) {
		in->clocks = malloc(in->n_clocks * sizeof(*clocks));
		if (!in->clocks)
			return fail_nomem(fail);
		memcpy(in->clocks, clocks, in->n_clocks * sizeof(*clocks));
	}
	if (!rc)
		rc = tape_reader_rewind(in->reader, &err);
	return rc ? fail_tape(fail, in->path, &err) : 0;
}

static int resolve_wall(struct input *in, const struct clock_point *p, bool last, uint64_t *ret_ns,
			struct fail *fail)
{
	size_t n;
	const struct tape_clock *clocks;
	uint64_t wall = p->ns, start_wall, mono;

	if (!in->clocks && read_clocks(in, fail))
		return -1;
	clocks = clocks_of(in, &n);
	start_wall = clock_wall(clocks, n, input_start(in));
	if (!n)
		return fail_set(fail, STATUS_LACKS, "%s: the trace does not tell wall-clock time",
				in->path);
	if (p->of_day)
		wall = clock_on_day(p, start_wall);
	mono = clock_mono(clocks, n, wall, last);
	*ret_ns = mono > INT64_MAX ? 0 : mono; /* before the machine started */
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
		return resolve_wall(in, &p, !strcmp(option, "--to"), ret_ns, fail);
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

/*
 * What tcptape cut made holds more than its window, for what crosses the edges: commands show the
 * window, and the part of it that was asked for.
 */
static void keep_to_cut(struct input *in)
{
	const char *from = input_meta(in, "window.from_ns"), *to = input_meta(in, "window.to_ns");
	uint64_t ns;

	if (from && opt_number(from, UINT64_MAX, &ns)) {
		in->windowed = true;
		in->from_ns = ns > in->from_ns ? ns : in->from_ns;
	}
	if (to && opt_number(to, UINT64_MAX, &ns)) {
		in->windowed = true;
		in->to_ns = ns < in->to_ns ? ns : in->to_ns;
	}
}

void input_damaged(struct input *in, const struct tape_error *err)
{
	if (!in->damage.n++)
		in->damage.first = *err;
}

/* A damaged chunk is left out: remember it for the verdict. */
int input_chunk_damage(struct input *in, int rc, const struct tape_error *err, struct fail *fail)
{
	if (rc == TAPE_E_NOMEM || rc == TAPE_E_IO)
		return fail_tape(fail, in->path, err);
	input_damaged(in, err);
	return 0;
}

/* What holds when the window begins was said in the second before it. */
#define SAID_AGAIN_NS 2000000000ull

static int read_rates_first(struct input *in, struct fail *fail)
{
	uint64_t from = in->from_ns > SAID_AGAIN_NS ? in->from_ns - SAID_AGAIN_NS : 0;

	tape_reader_window(in->reader, from, in->to_ns);
	if (input_read_rates(in, fail) || input_rewind(in, fail))
		return -1;
	tape_reader_window(in->reader, 0, UINT64_MAX);
	return 0;
}

static int prepare(struct input *in, const struct input_opts *opts, struct fail *fail)
{
	if (names_init(&in->states, input_schema(in), "tcp_state"))
		return fail_nomem(fail);
	if (select_init(&in->select, &opts->select, fail) ||
	    resolve(in, "--from", opts->from, &in->from_ns, fail) ||
	    resolve(in, "--to", opts->to, &in->to_ns, fail))
		return -1;
	if (input_meta(in, "filter.starts") && input_meta(in, "option.filter"))
		select_recorded(&in->select, input_meta(in, "option.filter"));
	if (in->from_ns > in->to_ns)
		return fail_set(fail, STATUS_USAGE, "--from %s is later than --to %s", opts->from,
				opts->to);
	if (!opts->whole)
		keep_to_cut(in);
	if (in->windowed && !input_is_pipe(in) && read_rates_first(in, fail))
		return -1;
	if (!input_is_pipe(in)) {
		if ((opts->local_ports || in->select.filter || in->select.recorded ||
		     in->select.by_owner) &&
		    input_first_pass(in, fail))
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

/* TCPTAPE_WORKERS in the environment, else one a processor; more than 8 have nothing to do. */
unsigned input_all_workers(void)
{
	const char *s = getenv("TCPTAPE_WORKERS");
	long n = s ? strtol(s, NULL, 10) : sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > MAX_WORKERS ? MAX_WORKERS : (unsigned)n;
}

/* What META says of recordings that make several files. */
static int look_at_kind(struct input *in, struct fail *fail)
{
	const char *kind = input_meta(in, "recording.kind");

	in->rows_are_late = kind && !strcmp(kind, "ring");
	if (!input_meta(in, "ring.size") || input_meta(in, "repair.by"))
		return 0;
	return fail_set(fail, STATUS_FOUND,
			"%s: the file of a ring, as a recorder that was killed has left it, or "
			"that still runs; 'tcptape repair -o OUT' makes a trace of it",
			in->path);
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
	in->n_workers = input_all_workers();
	if (opts->n_workers && opts->n_workers < in->n_workers)
		in->n_workers = opts->n_workers;
	if (in->n_workers > 1)
		out_on_thread(out);
	rc = tape_reader_open(&in->reader, path, &err);
	if (rc)
		rc = fail_tape(fail, path, &err);
	else
		rc = look_at_kind(in, fail);
	if (!rc)
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
	free(in->clocks);
	select_fini(&in->select);
	weights_fini(&in->weights);
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
	select_packet(&in->select, room);
	return room;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape join: both ends' traces of the same connections as one: what their clocks differ by, and
 * how long segments took in the client, in the network and in the server.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "join.h"
#include "turn_read.h"

#define MAX_GROUPS 2048 /* with some 100 KiB each */

static struct {
	bool each, clock, data;
	const char *by;
} opts;

#define AT(member) offsetof(__typeof__(opts), member)
static const struct opt_row rows[] = {
	{0, "each", NULL, OPT_FLAG, AT(each), "instead: a row for each segment"},
	{0, "clock", NULL, OPT_FLAG, AT(clock), "instead: the clocks alone"},
	{0, "data", NULL, OPT_FLAG, AT(data), "only segments with payload (clocks: of all)"},
	{0, "by", "KEY", OPT_STR, AT(by),
	 "one for each " BY_OF_SOCKETS_HELP ":\n"
	 "listeners are the server's, all others the client's"},
};

/* ---- clocks, and what was joined ---- */

static const struct out_col clock_columns[] = {
	{"OFFSET(ms)", "offset_ms", -18, false},
	{"+-", "offset_bound_ms", -11, false},
	{"AT END(ms)", "end_offset_ms", -18, false},
	{"+-", "end_offset_bound_ms", -11, false},
	{"DRIFT(ppm)", "drift_ppm", -11, false},
	{"+-", "drift_bound_ppm", -9, false},
	{"OVER(s)", "over_s", -9, false},
	{NULL, "from_ns", 0, false},
	{NULL, "to_ns", 0, false},
};

static void print_clocks(struct out *o, const struct skew_line *l)
{
	int64_t from = skew_theta(l, l->from_ns), to = skew_theta(l, l->to_ns);

	out_table(o, clock_columns, sizeof(clock_columns) / sizeof(clock_columns[0]));
	out_fixed(o, (double)from / 1e6, 6);
	out_fixed(o, l->from_bound / 1e6, 6);
	out_fixed(o, (double)to / 1e6, 6);
	out_fixed(o, l->to_bound / 1e6, 6);
	out_fixed(o, l->b * 1e6, 3);
	out_fixed(o, l->drift_bound * 1e6, 3);
	out_fixed(o, (double)(l->to_ns - l->from_ns) / 1e9, 3);
	out_u64(o, l->from_ns);
	out_u64(o, l->to_ns);
	out_end_row(o);
}

static const struct out_col end_columns[] = {
	{"END", "end", 18, false},
	{"CONNS", "connections", -9, false},
	{"JOINED", "joined_connections", -9, false},
	{"SEGMENTS", "segments", -10, false},
	{"JOINED", "joined_segments", -10, false},
	{"ALONE", "alone", -10, false},
	{"TWICE", "twice", -10, false},
};

static void print_ends(struct out *o, const struct join *j)
{
	static const char *const names[JOIN_ENDS] = {"client", "server"};

	out_table(o, end_columns, sizeof(end_columns) / sizeof(end_columns[0]));
	for (unsigned i = 0; i < JOIN_ENDS; i++) {
		const struct join_side *side = &j->sides[i];

		out_str(o, names[i]);
		out_u64(o, side->n_conns);
		out_u64(o, j->n_joined_pairs);
		out_u64(o, side->n_segments);
		out_u64(o, side->n_joined);
		out_u64(o, side->n_alone);
		out_u64(o, side->n_twice);
		out_end_row(o);
	}
}

/* ---- each segment ---- */

static const struct out_col each_columns[] = {
	{"TIME", "time", 8, true},	     {"TIME(s)", "time_s", 9, false},
	CELLS_ENDS_COLS("", "direction"),    {"SEQ", "seq", -10, false},
	{"LEN", "payload", -6, false},	     {"TOTAL(us)", "total_us", -11, false},
	{"CLIENT", "client_us", -10, false}, {"NETWORK", "network_us", -11, false},
	{"SERVER", "server_us", -10, false}, {NULL, "conn", 0, false},
	{NULL, "server_conn", 0, false},     {NULL, "server_laddr", 0, false},
	{NULL, "server_lport", 0, false},    {NULL, "server_raddr", 0, false},
	{NULL, "server_rport", 0, false},
};

static void cell_us(struct out *o, int64_t ns)
{
	out_fixed(o, (double)ns / 1000, 3);
}

static void print_each(const struct join *j, const struct join_segment *s)
{
	const struct join_conn *client = &j->sides[JOIN_CLIENT].conns[s->conn[JOIN_CLIENT]];
	const struct join_conn *server = &j->sides[JOIN_SERVER].conns[s->conn[JOIN_SERVER]];
	int64_t at_client = (int64_t)join_at_end_ns(s, JOIN_CLIENT);
	int64_t at_server = (int64_t)join_at_end_ns(s, JOIN_SERVER);
	int64_t network = join_network_ns(j, s);
	bool to_server = s->way == SKEW_TO_SERVER;
	struct out *o = j->run->out;

	cell_clock(o, j->sides[JOIN_CLIENT].in, s->wire_ns[JOIN_CLIENT]);
	cell_seconds(o, j->sides[JOIN_CLIENT].in, s->wire_ns[JOIN_CLIENT]);
	cells_ends(o, &client->flow, to_server ? "->" : "<-", to_server ? "out" : "in");
	out_u64(o, s->seq);
	out_u64(o, s->payload);
	cell_us(o, at_client + network + at_server);
	cell_us(o, at_client);
	cell_us(o, network);
	cell_us(o, at_server);
	cell_cookie(o, client->cookie);
	cell_cookie(o, server->cookie);
	cells_flow(o, &server->flow);
	out_end_row(o);
}

/* ---- where the time goes ---- */

enum part {
	CLIENT_OUT,
	TO_SERVER,
	SERVER_IN,
	APPLICATION,
	SERVER_OUT,
	TO_CLIENT,
	CLIENT_IN,
	N_PARTS
};
static const struct {
	const char *title, *key;
} part_names[N_PARTS] = {
	[CLIENT_OUT] = {"client out", "client_out"},
	[TO_SERVER] = {"network to server", "network_to_server"},
	[SERVER_IN] = {"server in", "server_in"},
	[APPLICATION] = {"server application", "server_application"},
	[SERVER_OUT] = {"server out", "server_out"},
	[TO_CLIENT] = {"network to client", "network_to_client"},
	[CLIENT_IN] = {"client in", "client_in"},
};
/* Of a segment: at the client, between, at the server. */
static const enum part parts_of[SKEW_WAYS][3] = {
	[SKEW_TO_SERVER] = {CLIENT_OUT, TO_SERVER, SERVER_IN},
	[SKEW_TO_CLIENT] = {CLIENT_IN, TO_CLIENT, SERVER_OUT},
};

static const struct out_col part_columns[] = {
	{"PART", "part", 18, false},	   {"N", "n", -9, false},
	{"MIN(us)", "min_us", -10, false}, {"P50", "p50_us", -10, false},
	{"P90", "p90_us", -10, false},	   {"P99", "p99_us", -10, false},
	{"P99.9", "p99_9_us", -10, false}, {"MAX", "max_us", -10, false},
	{"MEAN", "mean_us", -10, false},
};

struct group {
	struct by_group by;
	struct hist hists[N_PARTS]; /* nanoseconds */
};

struct parts {
	struct turn_read turns;
	const struct join *join;
	struct map servers; /* cookies of the server's connections that were joined -> group */
	struct group all;   /* without --by */
	bool has_turns;
};

static void begin_group(struct group *g)
{
	for (unsigned i = 0; i < N_PARTS && !g->hists[i].unit; i++)
		hist_init(&g->hists[i], 1000, true);
}

/* Where a joined connection's times go; NULL: too many groups, or no memory. */
static struct group *group_of(struct parts *p, const struct join_conn *client)
{
	struct group *g = &p->all;

	if (p->join->groups)
		g = (struct group *)join_group(p->join, client);
	if (g)
		begin_group(g);
	return g;
}

static void on_exchange(void *ctx, const struct exchange *x, uint64_t ts_ns)
{
	struct parts *p = ctx;
	struct group *g = x->role == TURN_SERVER ? map_get(&p->servers, x->sock.cookie) : NULL;

	if (g)
		hist_add(&g->hists[APPLICATION], exchange_turn_ns(x));
}

/* Which of the server's sockets were joined, and whose they are. 0, or -1: no memory. */
static int find_servers(struct parts *p)
{
	const struct join *j = p->join;
	const struct join_side *client = &j->sides[JOIN_CLIENT];
	int rc = 0;

	for (size_t i = 0; !rc && i < client->n_conns; i++) {
		const struct join_conn *c = &client->conns[i], *server;
		struct group *g;

		if (!c->joined)
			continue;
		server = &j->sides[JOIN_SERVER].conns[j->pairs[c->pair - 1].conn[JOIN_SERVER]];
		g = server->cookie ? group_of(p, c) : NULL;
		if (g)
			rc = map_put(&p->servers, server->cookie, g);
	}
	return rc;
}

/* The server's trace once more, for its answers. 0, or -1 and fail. */
static int read_turns(struct parts *p, const struct join *j)
{
	const struct join_side *server = &j->sides[JOIN_SERVER];
	struct cmd_run run = *j->run;
	struct fail none;
	int rc;

	run.in = server->in;
	run.path = run.paths[JOIN_SERVER];
	if (find_servers(p))
		return fail_nomem(run.fail);
	p->turns.on = on_exchange;
	p->turns.ctx = p;
	run.fail = &none;
	if (turn_read_begin(&p->turns, &run))
		return 0; /* not recorded: the part has no row */
	p->has_turns = true;
	p->turns.run = &run;
	run.fail = j->run->fail;
	rc = input_rewind(run.in, run.fail) || turn_read_run(&p->turns) ? -1 : 0;
	if (!rc)
		turn_read_note(&p->turns);
	return rc;
}

static void add_segment(struct parts *p, const struct join *j, const struct join_segment *s)
{
	const enum part *of = parts_of[s->way];
	int64_t network = join_network_ns(j, s);
	struct group *g = group_of(p, &j->sides[JOIN_CLIENT].conns[s->conn[JOIN_CLIENT]]);

	if (!g)
		return;
	hist_add(&g->hists[of[0]], join_at_end_ns(s, JOIN_CLIENT));
	hist_add(&g->hists[of[1]], network > 0 ? (uint64_t)network : 0);
	hist_add(&g->hists[of[2]], join_at_end_ns(s, JOIN_SERVER));
}

static enum by_key key_of(const struct join *j)
{
	return j->groups ? j->groups->key : BY_ALL;
}

/* One that no joined segment is of has no rows. */
static int print_group(const struct join *j, const struct parts *p, const struct group *g)
{
	struct out *o = j->run->out;
	bool text = !out_is_json(o) && !out_is_csv(o);

	for (unsigned i = 0; i < N_PARTS && g->hists[i].unit; i++) {
		if (g->hists[i].failed)
			return fail_nomem(j->run->fail);
		if (i == APPLICATION && !p->has_turns)
			continue;
		by_cells(o, &j->sides[j->group_end].who, key_of(j), &g->by);
		out_str(o, text ? part_names[i].title : part_names[i].key);
		out_u64(o, g->hists[i].n);
		cells_percentiles(o, &g->hists[i], 1000, 3, 3);
		out_end_row(o);
	}
	return 0;
}

static int print_parts(const struct join *j, struct parts *p)
{
	struct out_col cols[BY_N_COLS + sizeof(part_columns) / sizeof(part_columns[0])];
	int rc = 0;

	by_cols(key_of(j), cols);
	memcpy(cols + BY_N_COLS, part_columns, sizeof(part_columns));
	out_table(j->run->out, cols, sizeof(cols) / sizeof(cols[0]));
	if (!j->groups)
		return print_group(j, p, &p->all);
	if (j->groups->failed)
		return fail_nomem(j->run->fail);
	by_groups_sort(j->groups);
	for (size_t i = 0; !rc && i < j->groups->n; i++)
		rc = print_group(j, p, (const struct group *)j->groups->list[i]);
	if (j->groups->n_left_out)
		out_note(j->run->out,
			 "%" PRIu64
			 " segments of further groups are left out: there are more than %d",
			 j->groups->n_left_out, MAX_GROUPS);
	return rc;
}

static void group_fini(struct group *g)
{
	for (unsigned i = 0; i < N_PARTS; i++)
		hist_fini(&g->hists[i]);
}

static int show_parts(const struct join *j)
{
	struct parts *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return fail_nomem(j->run->fail);
	p->join = j;
	begin_group(&p->all);
	for (size_t i = 0; i < j->n; i++)
		if (!opts.data || j->segments[i].payload)
			add_segment(p, j, &j->segments[i]);
	rc = read_turns(p, j);
	if (!rc)
		rc = print_parts(j, p);
	group_fini(&p->all);
	for (size_t i = 0; j->groups && i < j->groups->n; i++)
		group_fini((struct group *)j->groups->list[i]);
	map_fini(&p->servers);
	if (p->has_turns)
		turn_read_fini(&p->turns);
	free(p);
	return rc;
}

/* ---- the command ---- */

static int check(int *n_operands, char **operands, struct fail *fail)
{
	enum by_key by;

	if (opts.each + opts.clock + (opts.by != NULL) > 1)
		return fail_set(fail, STATUS_USAGE, "--each, --clock and --by exclude each other");
	if (by_parse(opts.by, BY_OF_SOCKETS, &by, fail))
		return -1;
	if (*n_operands && *n_operands != JOIN_ENDS)
		return fail_set(fail, STATUS_USAGE, "takes two traces: the client's, the server's");
	for (int i = 0; i < *n_operands; i++)
		if (!strcmp(operands[i], "-"))
			return fail_set(fail, STATUS_USAGE,
					"reads traces more than once: not from a pipe");
	return 0;
}

static void note_limits(const struct join *j)
{
	for (unsigned i = 0; i < JOIN_ENDS; i++) {
		if (j->sides[i].n_left_out)
			out_note(j->run->out,
				 "%" PRIu64 " segments of %s are left out: there are more than %u "
				 "(choose a part by --from and --to, or -f)",
				 j->sides[i].n_left_out, j->run->paths[i], JOIN_MAX);
		if (input_is_sampled(j->sides[i].in, "rx"))
			out_note(j->run->out,
				 "%s holds only some connections: both ends choose the same ones, "
				 "unless a NAT lies between them",
				 j->run->paths[i]);
	}
}

/* Between two tables. */
static void print_gap(struct out *o)
{
	if (out_is_csv(o) || out_is_json(o))
		return;
	out_line(o);
	out_end_line(o);
}

static int show(const struct join *j)
{
	struct out *o = j->run->out;

	if (opts.each) {
		out_table(o, each_columns, sizeof(each_columns) / sizeof(each_columns[0]));
		for (size_t i = 0; i < j->n; i++)
			if (!opts.data || j->segments[i].payload)
				print_each(j, &j->segments[i]);
		return 0;
	}
	if (opts.clock || !out_is_csv(o)) /* a CSV has one table */
		print_clocks(o, &j->line);
	if (opts.clock)
		return 0;
	print_gap(o);
	if (!out_is_csv(o))
		print_ends(o, j);
	print_gap(o);
	return show_parts(j);
}

static int run(struct cmd_run *run)
{
	struct by_groups groups = {.size = sizeof(struct group), .max = MAX_GROUPS};
	struct join j = {0};
	int rc = by_parse(opts.by, BY_OF_SOCKETS, &groups.key, run->fail);

	if (opts.by) {
		j.groups = &groups;
		j.group_end = groups.key == BY_LISTENER ? JOIN_SERVER : JOIN_CLIENT;
	}
	if (!rc)
		rc = join_read(&j, run);
	if (!rc) {
		note_limits(&j);
		rc = show(&j);
	}
	for (unsigned i = 0; i < JOIN_ENDS; i++)
		if (!rc)
			rc = input_finish(j.sides[i].in, NULL, run->fail);
	join_fini(&j);
	by_groups_fini(&groups);
	return rc;
}

const struct cmd cmd_join = {
	.name = "join",
	.summary = "both ends' traces of the same connections: clocks, client, network, server",
	.operands = "CLIENT SERVER",
	.no_pipe = true,
	.about = "Of two traces, the client's and the server's, recorded at the same time with "
		 "-e +rx,+tx\n"
		 "(+io: how long the server's application took). Segments are known by their "
		 "sequence\n"
		 "numbers, so a NAT does not matter. OFFSET is what the server's clock "
		 "(CLOCK_MONOTONIC)\n"
		 "is ahead of the client's when the first segment passes, DRIFT how it moves; each "
		 "may be\n"
		 "off by +- at most, which is half of the smallest round trip: that both ways take "
		 "equally\n"
		 "long is not assumed. Each way of the network may be off by as much; their sum is "
		 "not.\n"
		 "Time out is from the first byte written to the driver, time in from the driver "
		 "until it\n"
		 "was read. ALONE are segments that the other trace does not have: lost, cut "
		 "otherwise by\n"
		 "GSO and GRO, or not recorded; TWICE those sent again.\n"
		 "What chooses events (-f, --from, ...) is about the client's trace.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.at_once = true,
	.check = check,
	.run = run,
};

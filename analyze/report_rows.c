// SPDX-License-Identifier: GPL-2.0-or-later
/* What other commands tell row by row: connections, connects, and what went wrong when. */
#include <math.h>
#include <string.h>

#include "report.h"

#define MAX_KEYS 20

/* Rows of a command, by the keys that are asked for. */
struct taker {
	struct report *r;
	unsigned id; /* of the lane */
	const char *const *keys;
	unsigned n_keys;
	int at[MAX_KEYS]; /* columns; -1: not there */
	struct out_cell cells[MAX_KEYS];
	char texts[MAX_KEYS][192]; /* what cells point to is gone when the row ends */
	void (*row)(struct taker *t);
};

static void take_columns(void *ctx, const struct out_col *cols, unsigned n)
{
	struct taker *t = ctx;

	for (unsigned k = 0; k < t->n_keys; k++) {
		t->at[k] = -1;
		for (unsigned c = 0; c < n; c++)
			if (cols[c].key && !strcmp(cols[c].key, t->keys[k]))
				t->at[k] = (int)c;
	}
}

static void take_cell(void *ctx, unsigned col, const struct out_cell *cell)
{
	struct taker *t = ctx;

	for (unsigned k = 0; k < t->n_keys; k++) {
		if (t->at[k] != (int)col)
			continue;
		t->cells[k] = *cell;
		if (cell->kind != OUT_TEXT)
			continue;
		if (t->cells[k].len > sizeof(t->texts[k]))
			t->cells[k].len = sizeof(t->texts[k]);
		memcpy(t->texts[k], cell->s, t->cells[k].len);
		t->cells[k].s = t->texts[k];
	}
}

static void take_row(void *ctx)
{
	struct taker *t = ctx;

	t->row(t);
	memset(t->cells, 0, sizeof(t->cells));
}

static double number_of(const struct out_cell *c)
{
	return c->kind == OUT_REAL ? c->real : c->kind == OUT_U64 ? (double)c->v : 0;
}

static uint64_t time_of(const struct taker *t, const struct out_cell *c)
{
	return t->r->axis.start_ns + (uint64_t)llround(number_of(c) * 1e9);
}

static int take(struct taker *t, const struct cmd *cmd, const char *what)
{
	struct out_sink sink = {.columns = take_columns,
				.cell = take_cell,
				.row = take_row,
				.ctx = t,
				.notes = t->r->run->out};

	if (!cmd_rows(cmd, NULL, t->r->run, &sink))
		return 0;
	return report_lacks(t->r, what);
}

/* ---- what went wrong ---- */

enum { L_TIME, L_WHY, L_WHY2, L_LATENCY, L_N };

static void add_lane(struct taker *t)
{
	const struct out_cell *why = &t->cells[L_WHY];
	struct text number = {0};

	if (why->kind == OUT_NONE)
		why = &t->cells[L_WHY2];
	if (why->kind == OUT_U64)
		text_u64(&number, why->v);
	else if (why->kind == OUT_TEXT)
		text_add(&number, why->s, why->len);
	else
		text_puts(&number, "not recorded");
	t->r->failed |= number.failed;
	if (!number.failed)
		report_lane_add(&t->r->lanes[t->id], &t->r->axis, time_of(t, &t->cells[L_TIME]),
				number.s, number.len);
	text_fini(&number);
}

static bool is_text(const struct out_cell *c, const char *s)
{
	return c->kind == OUT_TEXT && c->len == strlen(s) && !memcmp(c->s, s, c->len);
}

/* connlat: how long those took that worked; which did not. */
static void add_connect(struct taker *t)
{
	const struct out_cell *outcome = &t->cells[L_WHY];

	if (is_text(outcome, "ok")) {
		if (t->cells[L_LATENCY].kind == OUT_REAL)
			report_series_add(t->r->series[SERIES_CONNECT], &t->r->axis,
					  time_of(t, &t->cells[L_TIME]),
					  (uint64_t)llround(t->cells[L_LATENCY].real * 1e6), 1);
	} else if (!is_text(outcome, "pending")) {
		add_lane(t);
	}
}

static const struct {
	const char *name, *title, *command;
	const struct cmd *cmd;
	const char *keys[L_N];
	void (*row)(struct taker *t);
} lanes[LANE_N] = {
	[LANE_RETRANS] = {"retransmits",
			  "Retransmits",
			  "tcptape retrans",
			  &cmd_retrans,
			  {"time_s", "cause", "type", ""},
			  add_lane},
	[LANE_DROPS] = {"drops",
			"Drops",
			"tcptape drops",
			&cmd_drops,
			{"time_s", "reason", "location", ""},
			add_lane},
	[LANE_RESETS] = {"resets",
			 "Resets",
			 "tcptape resets",
			 &cmd_resets,
			 {"time_s", "reason", "by", ""},
			 add_lane},
	[LANE_FAILED] = {"failed",
			 "Failed connects",
			 "tcptape connlat",
			 &cmd_connlat,
			 {"time_s", "outcome", "error", "lat_ms"},
			 add_connect},
};

static int read_lane(struct report *r, unsigned id)
{
	struct taker t = {
		.r = r, .id = id, .keys = lanes[id].keys, .n_keys = L_N, .row = lanes[id].row};
	unsigned lacks = r->n_missing;

	r->lanes[id].name = lanes[id].name;
	r->lanes[id].title = lanes[id].title;
	r->lanes[id].command = lanes[id].command;
	if (take(&t, lanes[id].cmd, lanes[id].command))
		return -1;
	r->has_lane[id] = lacks == r->n_missing;
	return 0;
}

/* ---- connections ---- */

enum {
	C_TIME,
	C_MS,
	C_TX,
	C_RX,
	C_RETRANS,
	C_SRTT,
	C_MIN_RTT,
	C_PID,
	C_COMM,
	C_LADDR,
	C_LPORT,
	C_RADDR,
	C_RPORT,
	C_END,
	C_CONN,
	C_N
};
static const char *const conn_keys[C_N] = {
	"time_s", "ms",	   "tx_bytes", "rx_bytes", "retransmits", "srtt_us", "min_rtt_us", "pid",
	"comm",	  "laddr", "lport",    "raddr",	   "rport",	  "end",     "conn"};

static void json_cell(struct json *j, const struct out_cell *c)
{
	switch (c->kind) {
	case OUT_NONE: json_null(j, NULL); break;
	case OUT_U64: json_u64(j, NULL, c->v); break;
	case OUT_REAL: json_fixed(j, NULL, c->real, 3); break;
	case OUT_TEXT: json_str(j, NULL, c->s, c->len); break;
	case OUT_BOOL: json_bool(j, NULL, c->v != 0); break;
	}
}

static void add_conn(struct taker *t)
{
	struct report_conn conn = {.bytes = number_of(&t->cells[C_TX]) + number_of(&t->cells[C_RX]),
				   .slow = number_of(&t->cells[C_SRTT]),
				   .number = t->r->n_conns++};
	struct text text = {0};
	struct json j = {.t = &text};

	json_open(&j, NULL, '[');
	for (unsigned k = 0; k < C_N; k++)
		json_cell(&j, &t->cells[k]);
	json_close(&j, ']');
	t->r->failed |= text.failed;
	if (!text.failed && text.len < sizeof(conn.json)) {
		memcpy(conn.json, text.s, text.len);
		slowest_add(&t->r->most, &conn);
		slowest_add(&t->r->slowest, &conn);
	}
	text_fini(&text);
}

static int read_conns(struct report *r)
{
	struct taker t = {.r = r, .keys = conn_keys, .n_keys = C_N, .row = add_conn};

	return take(&t, &cmd_life, "tcptape life");
}

int report_read_rows(struct report *r)
{
	int rc = 0;

	r->series[SERIES_CONNECT] =
		report_series_new("connect", "Time that connects took, of those that worked",
				  "tcptape connlat --percentiles", 1000);
	if (!r->series[SERIES_CONNECT])
		return fail_nomem(r->run->fail);
	for (unsigned id = 0; !rc && id < LANE_N; id++)
		rc = read_lane(r, id);
	return rc ? rc : read_conns(r);
}

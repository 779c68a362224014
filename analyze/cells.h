/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cells that several commands print, so that a connection looks the same everywhere. Each fills the
 * next cells of the row that is open in out.h.
 */
#ifndef ANA_CELLS_H
#define ANA_CELLS_H

#include "conn.h"
#include "hist.h"
#include "input.h"
#include "out.h"

/* A field of an object: a string, since such numbers do not fit into a double. */
void json_cookie(struct json *j, const char *key, uint64_t cookie);

/* One cell each. */
void cell_known(struct out *o, bool known, uint64_t v); /* else: not known */
void cell_cookie(struct out *o, uint64_t cookie);	/* 0: not known */
void cell_addr(struct out *o, const uint8_t *addr);	/* NULL: not known */
/* Text only: "10.0.0.1:80"; addr NULL: not known. */
void cell_addr_port(struct out *o, const uint8_t *addr, uint16_t port);
void cell_seconds(struct out *o, struct input *in, uint64_t ts_ns); /* since the trace's start */
void cell_clock(struct out *o, struct input *in, uint64_t ts_ns);   /* wall time */
void cell_ms(struct out *o, uint64_t ns, unsigned decimals);
void cell_kb(struct out *o, uint64_t bytes);		/* 1024 bytes; JSON and CSV: bytes */
void cell_version(struct out *o, const struct flow *f); /* 4, 6; NULL: not known */
void cell_errno(struct out *o, unsigned err);		/* "ECONNREFUSED", or the number; 0: none */
void cell_state(struct out *o, const struct input *in, unsigned state);

/*
 * Four cells: laddr lport raddr rport. NULL: not known; so is a local port of 0, which no socket
 * has (a packet may), in JSON and CSV.
 */
void cells_flow(struct out *o, const struct flow *f);
void cells_raw_flow(struct out *o, const struct flow *f);

/*
 * Text: "10.0.0.1:80", the mark, "[fd00::1]:443"; others: laddr lport TYPE raddr rport. f NULL: not
 * known; type NULL: none. CELLS_ENDS_COLS has the columns.
 */
void cells_ends(struct out *o, const struct flow *f, const char *mark, const char *type);

/*
 * Three cells: pid, comm, pid_from. Of the event itself ("event"), else of the known owner of the
 * connection, marked with * in text: it connected or accepted ("owner"), was seen at work on it
 * ("seen"), had it open in a snapshot ("snapshot"); else unknown. Both may be NULL.
 */
void cells_task(struct out *o, const struct task *task, const struct conn *owner);

/* Seven cells: min, p50, p90, p99, p99.9, max, mean; in units of `unit`. Nothing counted: unknown.
 */
void cells_percentiles(struct out *o, const struct hist *h, double unit, unsigned decimals,
		       unsigned mean_decimals);

/* What -4 -6 -L -D ask for. */
struct cells_filter {
	bool v4, v6;
	const char *local_ports, *remote_ports; /* lists with commas, NULL: any */
};

/* Their rows of a table of options, in whose struct `filter` is one. */
#define CELLS_FAMILY_ROWS(opts)                                                                    \
	{'4', "ipv4", NULL, OPT_FLAG, offsetof(__typeof__(opts), filter.v4), "only IPv4"},         \
	{                                                                                          \
		'6', "ipv6", NULL, OPT_FLAG, offsetof(__typeof__(opts), filter.v6), "only IPv6"    \
	}
/* Of the user who created the socket; uid and print_uid are members of opts, too. */
#define CELLS_UID_ROWS(opts)                                                                       \
	{'u',                                                                                      \
	 "uid",                                                                                    \
	 "UID",                                                                                    \
	 OPT_U32,                                                                                  \
	 offsetof(__typeof__(opts), uid),                                                          \
	 "only sockets that this user created, by number"},                                        \
	{                                                                                          \
		'U', "print-uid", NULL, OPT_FLAG, offsetof(__typeof__(opts), print_uid),           \
			"a column with the user who created the socket"                            \
	}
#define CELLS_PORT_ROWS(opts)                                                                      \
	{'L',                                                                                      \
	 "localport",                                                                              \
	 "PORTS",                                                                                  \
	 OPT_STR,                                                                                  \
	 offsetof(__typeof__(opts), filter.local_ports),                                           \
	 "only these local ports: 80,443"},                                                        \
	{                                                                                          \
		'D', "remoteport", "PORTS", OPT_STR,                                               \
			offsetof(__typeof__(opts), filter.remote_ports), "only these remote ports" \
	}

/* 0, or -1 and *fail where a list of ports is none. */
int cells_filter_check(const struct cells_filter *f, struct fail *fail);
bool cells_filter_has(const struct cells_filter *f, const struct flow *flow); /* flow may be NULL */

/* Columns of the cells above. */
#define CELLS_TIME_COLS                                                                            \
	{"TIME", "time", 8, true},                                                                 \
	{                                                                                          \
		"TIME(s)", "time_s", 9, true                                                       \
	}
#define CELLS_ENDS_COLS(title, key)                                                                \
	{"LADDR:LPORT", NULL, 21, false}, {title, NULL, 3, false},                                 \
		{"RADDR:RPORT", NULL, 21, false}, {NULL, "laddr", 0, false},                       \
		{NULL, "lport", 0, false}, {NULL, key, 0, false}, {NULL, "raddr", 0, false},       \
	{                                                                                          \
		NULL, "rport", 0, false                                                            \
	}
#define CELLS_TASK_COLS                                                                            \
	{"PID", "pid", 7, false}, {"COMM", "comm", 15, false},                                     \
	{                                                                                          \
		NULL, "pid_from", 0, false                                                         \
	}

#endif

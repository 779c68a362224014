// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcptape inerrs: segments that TCP refused because something in them was wrong: checksum, sequence
 * number, header; as LMP's tcp_inerrs. What is wrong comes from the kernel's own reason for the
 * drop; checksums from the tracepoint tcp_bad_csum, where the trace has it.
 */
#include <string.h>

#include "packet.h"

static struct {
	bool timestamp;
	struct cells_filter filter;
} opts;

static const struct opt_row rows[] = {
	{'t', "timestamp", NULL, OPT_FLAG, offsetof(__typeof__(opts), timestamp),
	 "seconds since the start of the trace, not the time of day"},
	CELLS_FAMILY_ROWS(opts),
};

/*
 * Names of enum skb_drop_reason (include/net/dropreason-core.h) that say that the segment was
 * wrong. TCP_OLD_DATA and TCP_OLD_ACK do not: within the window, they merely came twice. By name,
 * as numbers differ from kernel to kernel.
 */
static const struct reason {
	const char *name, *kind;
} reasons[] = {
	{"TCP_CSUM", "checksum"},
	{"SKB_CSUM", "checksum"},
	{"IP_CSUM", "checksum"},
	{"TCP_INVALID_SEQUENCE", "sequence"},
	{"TCP_INVALID_END_SEQUENCE", "sequence"}, /* 6.17: the end behind the window */
	{"TCP_OLD_SEQUENCE", "sequence"},
	{"TCP_OVERWINDOW", "sequence"},
	{"TCP_ZEROWINDOW", "sequence"},
	{"TCP_RFC7323_PAWS", "timestamp"},
	{"TCP_RFC7323_PAWS_ACK", "timestamp"},
	{"TCP_RFC7323_TW_PAWS", "timestamp"},
	{"TCP_RFC7323_TSECR", "timestamp"},
	{"TCP_INVALID_ACK_SEQUENCE", "ack"},
	{"TCP_ACK_UNSENT_DATA", "ack"},
	{"TCP_TOO_OLD_ACK", "ack"},
	{"TCP_INVALID_SYN", "flags"},
	{"TCP_FLAGS", "flags"},
	{"PKT_TOO_SMALL", "header"},
	{"HDR_TRUNC", "header"},
	{"IP_INHDR", "header"},
	{"IPV6_BAD_EXTHDR", "header"},
	{"TCP_AUTH_HDR", "header"},
};
#define N_REASONS (sizeof(reasons) / sizeof(reasons[0]))

enum { COL_TIME, COL_TIME_S };
static const struct out_col columns[] = {
	CELLS_TIME_COLS,
	CELLS_TASK_COLS,
	{"IP", "ip", 2, false},
	{"SADDR:SPORT", NULL, 21, false},
	{"DADDR:DPORT", NULL, 21, false},
	CELLS_PACKET_FLOW_COLS,
	{"WRONG", "wrong", 9, false},
	{"REASON", "reason", 20, false},
	{"STATE", "state", 0, false},
	CELLS_PACKET_REST_COLS,
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

struct inerrs {
	struct packets packets;
	struct out *out;
	bool has_csum; /* bad_csum tells checksums: the drop that follows is the same segment */
};

static void print(struct inerrs *d, const struct packet *p, const char *wrong, const char *reason)
{
	struct out *o = d->out;

	cell_clock(o, d->packets.in, p->ts_ns);
	cell_seconds(o, d->packets.in, p->ts_ns);
	cells_task(o, NULL, p->conn);
	if (p->has_flow) {
		out_u64(o, flow_version(&p->flow));
		cell_end_of(o, p->flow.laddr, p->flow.lport, p->has_tcp || p->flow.lport);
		cell_end_of(o, p->flow.raddr, p->flow.rport, p->has_tcp || p->flow.rport);
	} else {
		out_none(o);
		out_none(o);
		out_none(o);
	}
	cells_packet_flow(o, p);
	out_str(o, wrong);
	out_str(o, reason);
	cell_packet_state(o, d->packets.in, p);
	cells_packet_rest(o, p);
	out_end_row(o);
}

static int on_packet(void *ctx, const struct packet *p)
{
	char text[PACKET_REASON_LEN];
	struct inerrs *d = ctx;
	const char *name;

	if (p->is_csum) {
		print(d, p, "checksum", "TCP_CSUM");
		return 0;
	}
	name = packet_reason(&d->packets, p->reason, text);
	for (size_t i = 0; i < N_REASONS; i++) {
		if (strcmp(name, reasons[i].name) || (d->has_csum && !strcmp(name, "TCP_CSUM")))
			continue;
		print(d, p, reasons[i].kind, name);
	}
	return 0;
}

static int check(int *n_operands, char **operands, struct fail *fail)
{
	return cells_filter_check(&opts.filter, fail);
}

static int run(struct cmd_run *run)
{
	struct inerrs d = {.out = run->out};
	struct out_col cols[N_COLUMNS];
	const char *why = "";
	int rc;

	if (input_needs(run->in, "drop", "drop", run->fail))
		return -1;
	d.packets.on = on_packet;
	d.packets.ctx = &d;
	d.has_csum = input_has_probe(run->in, "bad_csum", &why) != META_NO;
	memcpy(cols, columns, sizeof(cols));
	cols[COL_TIME].hidden = opts.timestamp;
	cols[COL_TIME_S].hidden = !opts.timestamp;
	out_table(run->out, cols, N_COLUMNS);
	rc = packets_run(&d.packets, run, &opts.filter, d.has_csum);
	if (!rc && !d.packets.reasons.n)
		out_note(run->out, "the recorded kernel gives no reasons for drops (Linux 5.17 "
				   "does): sequence numbers and headers that it refused are not "
				   "recorded");
	if (!rc && !d.has_csum && !d.packets.reasons.n)
		out_note(run->out, "wrong checksums are not recorded: %s", why);
	packets_fini(&d.packets);
	return rc;
}

const struct cmd cmd_inerrs = {
	.name = "inerrs",
	.summary = "segments refused: checksum, sequence number, header (tcp_inerrs)",
	.about = "REASON is the recorded kernel's own name. With a wrong checksum any of the "
		 "addresses may be\n"
		 "wrong too. A retransmit that was not needed can be behind the window: it is "
		 "wrong in its\n"
		 "sequence then (TCP_OLD_SEQUENCE, before Linux 6.17 TCP_INVALID_SEQUENCE).\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.group = "drop",
	.check = check,
	.run = run,
};

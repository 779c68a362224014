/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What correlate measures of a trace in each window, and which of these move together. A metric of
 * connections belongs to their group; queues of interfaces, accept queues, lost events and what no
 * socket is known of belong to the machine.
 */
#ifndef ANA_CORRELATE_H
#define ANA_CORRELATE_H

#include "cmd.h"
#include "names.h"
#include "windows.h"

enum correlate_metric {
	CORR_RTT_P50,
	CORR_RTT_P90,
	CORR_RTT_OVER_MIN,
	CORR_CWND,
	CORR_IN_FLIGHT,
	CORR_BYTES_ACKED,
	CORR_RETRANSMITS,
	CORR_SYN_RETRANSMITS,
	CORR_RESETS,
	CORR_DROPS, /* a: reason; of this and those beside it b: 1 no socket is known */
	CORR_CONNECT,
	CORR_CONNECT_FAILED,
	CORR_ACCEPT_WAIT,
	CORR_ACCEPT_QUEUE,
	CORR_IN,       /* a: layer + 1; 0 all of them */
	CORR_OUT,      /* likewise */
	CORR_NIC_SKBS, /* a: ifindex, b: queue << 1 | received, c: netns */
	CORR_NIC_BYTES,
	CORR_LOST, /* events that were not recorded */
	CORR_N
};

struct correlate {
	struct by_who who; /* first: its binds find it; the groups' names */
	struct cmd_run *run;
	struct windows windows;
	struct map links;     /* connections, by cookie */
	struct names reasons; /* of drops */
	bool failed;
	int (*on_state)(void *ctx, const struct bind_row *row);
	int (*on_accept)(void *ctx, const struct bind_row *row);
	int (*on_destroy)(void *ctx, const struct bind_row *row);
};

/* Read run->in, a file, twice or three times. width_ns 0: chosen. 0, or -1 and run->fail. */
int correlate_read(struct correlate *c, struct cmd_run *run, uint64_t width_ns, enum by_key key);
void correlate_fini(struct correlate *c);

/* "rtt.p90", "drops.TCP_CSUM", "nic.veth0.0.tx.bytes"; and its unit. */
void correlate_name(const struct correlate *c, const struct windows_key *key, struct text *t);
const char *correlate_unit(const struct windows_key *key);

/*
 * Whether two series are made of the same numbers, so that moving together says nothing: quantiles
 * of one RTT, packets and bytes of one traffic, a layer and the sum of all.
 */
bool correlate_is_identity(const struct windows_key *x, const struct windows_key *y);

#endif

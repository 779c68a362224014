/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The facts of a connection, as tcp_facts tells them when it is established, snap_sock for one that
 * is older than the trace, and tcp_destroy at its end. One entry a live connection, by cookie; the
 * caller forgets it when the socket ends.
 */
#ifndef ANA_FACTS_H
#define ANA_FACTS_H

#include "bind.h"
#include "map.h"
#include "out.h"

struct facts {
	char cc[EV_COMM_LEN + 1]; /* "" not known; may hold anything */
	uint32_t mss, pmtu;	  /* at the start; 0 not known */
	uint32_t mss_end, pmtu_end, sndbuf, rcvbuf;
	uint16_t peer_mss;
	uint8_t snd_wscale, rcv_wscale, options, ecn;
	bool agreed; /* these are known */
};

struct facts_table {
	struct map map; /* cookie -> struct facts that we own */
	bool failed;	/* no memory; the caller asks at the end */
};

/* Of a connection; made if need be. NULL: its cookie is not known, or no memory. */
struct facts *facts_get(struct facts_table *t, const struct sock *s);
struct facts *facts_find(const struct facts_table *t, uint64_t cookie); /* NULL: not there */
void facts_forget(struct facts_table *t, uint64_t cookie);
void facts_table_fini(struct facts_table *t);

/* Fields of tcp_facts, and of snap_sock behind the caller's own ones. */
enum {
	FACT_CC,
	FACT_MSS,
	FACT_PMTU,
	FACT_PEER_MSS,
	FACT_SND_WSCALE,
	FACT_RCV_WSCALE,
	FACT_OPTIONS,
	FACT_ECN,
	FACT_SNDBUF,
	FACT_RCVBUF,
	FACT_N
};
#define FACT_FIELDS                                                                                \
	{"cc", BIND_COMM}, {"mss", BIND_INT}, {"pmtu", BIND_INT}, {"mss_clamp", BIND_INT},         \
		{"snd_wscale", BIND_INT}, {"rcv_wscale", BIND_INT}, {"options", BIND_INT},         \
		{"ecn", BIND_INT}, {"sndbuf", BIND_INT},                                           \
	{                                                                                          \
		"rcvbuf", BIND_INT                                                                 \
	}

/* Take a row; `first` is the field at which FACT_FIELDS begin. */
void facts_take(struct facts *f, const struct bind_row *row, unsigned first);

/* Take a row of tcp_destroy, where only the fields from FACT_CC to FACT_PMTU and ECN, SNDBUF,
 * RCVBUF mean something. */
void facts_take_end(struct facts *f, const struct bind_row *row, unsigned first);

/* Cells: cc mss pmtu; then, for JSON and CSV, what FACTS_COLS lists. f NULL: not known. */
void cells_facts(struct out *o, const struct facts *f);

#define FACTS_N_SHOWN 4 /* columns that the text table can show, the first ones */
#define FACTS_COLS                                                                                 \
	{"CC", "cc", 8, true}, {"MSS", NULL, 9, true}, {"PMTU", NULL, 11, true},                   \
		{"OPTIONS", "options", 14, true}, {NULL, "mss_start", 0, false},                   \
		{NULL, "mss", 0, false}, {NULL, "pmtu_start", 0, false}, {NULL, "pmtu", 0, false}, \
		{NULL, "peer_mss", 0, false}, {NULL, "snd_wscale", 0, false},                      \
		{NULL, "rcv_wscale", 0, false}, {NULL, "sndbuf", 0, false},                        \
	{                                                                                          \
		NULL, "rcvbuf", 0, false                                                           \
	}

#endif

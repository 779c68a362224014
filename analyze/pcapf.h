/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters in tcpdump's language, matched on connections: compiled by libpcap, run on headers made
 * from the addresses and ports, in both directions (one of them must match). What a connection does
 * not have (flags, lengths, payload, link layer, other protocols) is refused by name, as are host
 * names: a trace is read offline. All of libpcap's use in the analyzer is here.
 */
#ifndef ANA_PCAPF_H
#define ANA_PCAPF_H

#include <stdbool.h>

#include "fail.h"
#include "flow.h"

struct pcapf;

/* 0 and *ret, or -1 and *fail. */
int pcapf_new(struct pcapf **ret, const char *expression, struct fail *fail);
void pcapf_free(struct pcapf *f); /* NULL allowed */

bool pcapf_match(const struct pcapf *f, const struct flow *flow);

#endif

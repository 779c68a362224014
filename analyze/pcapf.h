/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -f: a filter of filter/ on the analyzer's flows, with the analyzer's errors. */
#ifndef ANA_PCAPF_H
#define ANA_PCAPF_H

#include "fail.h"
#include "filter.h"
#include "flow.h"

/* 0 and *ret, or -1 and *fail. */
int pcapf_new(struct filter **ret, const char *expression, struct fail *fail);

bool pcapf_match(const struct filter *f, const struct flow *flow);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Texts for which a trace has numbers: places in the kernel (rows of snap_symbol), its call stacks
 * (snap_stack), each told before the first event that has its number. Owns its memory; numbers
 * beyond LABELS_MAX different ones stay without a text.
 */
#ifndef ANA_LABELS_H
#define ANA_LABELS_H

#include "bind.h"
#include "map.h"

#define LABELS_MAX 65536

struct labels {
	struct map rows; /* id -> char * */
	bool failed;	 /* no memory; the caller asks at the end */
};

/* A bind for them: binds of both kinds have LABEL_N fields. */
enum { LABEL_ID, LABEL_TEXT, LABEL_N };
extern const struct bind_field symbol_fields[LABEL_N], stack_fields[LABEL_N];

void labels_take(struct labels *l, const struct bind_row *row);
void labels_fini(struct labels *l);

/* NULL: none. Valid until labels_fini. */
const char *labels_get(const struct labels *l, uint64_t id);

#endif

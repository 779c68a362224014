/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows of rx and tx as events for segment.h: one by one, or those of a chunk at once, which any
 * thread can do ahead of the one that joins them.
 */
#ifndef ANA_SEGMENT_ROWS_H
#define ANA_SEGMENT_ROWS_H

#include "input.h"
#include "segment.h"

enum { SEGMENT_RX_FIELDS = 6, SEGMENT_TX_FIELDS = 8 };
extern const struct bind_field segment_rx_fields[SEGMENT_RX_FIELDS];
extern const struct bind_field segment_tx_fields[SEGMENT_TX_FIELDS];

/* false: of a layer that is not known. */
bool segment_rows_event(const struct bind_row *row, enum seg_dir dir, struct seg_event *ret);

struct segment_rows { /* zeroed once, then used for chunk after chunk */
	struct seg_event *events[SEG_DIRS];
	uint32_t cap[SEG_DIRS];
};

/*
 * All rows of bind number binds[dir] of the chunk, -1: not wanted; runs (segments_run) are made
 * one, and all but their first row taken out of the chunk's rows. false: no memory.
 */
bool segment_rows_load(struct segment_rows *rows, const int binds[SEG_DIRS],
		       struct input_chunk *chunk);
/* That of row k; NULL: of a layer that is not known. */
const struct seg_event *segment_rows_at(const struct segment_rows *rows, enum seg_dir dir,
					uint32_t k);
void segment_rows_fini(struct segment_rows *rows);

#endif

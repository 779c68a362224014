// SPDX-License-Identifier: GPL-2.0-or-later
#include "segment_rows.h"

#include <stdlib.h>

#define NO_LAYER UINT8_MAX

/* What both have stands in front, in the same order. */
enum { SOCK, PACKET, NETNS, IFINDEX, LAYER, RX_NXT, TX_DEPARTURE = RX_NXT, TX_RESULT, TX_AGAIN };

const struct bind_field segment_rx_fields[SEGMENT_RX_FIELDS] = {
	[SOCK] = {"sock", BIND_SOCK},  [PACKET] = {"packet", BIND_PACKET},
	[NETNS] = {"netns", BIND_INT}, [IFINDEX] = {"ifindex", BIND_INT},
	[LAYER] = {"layer", BIND_INT}, [RX_NXT] = {"rcv_nxt", BIND_INT},
};
const struct bind_field segment_tx_fields[SEGMENT_TX_FIELDS] = {
	[SOCK] = {"sock", BIND_SOCK},	    [PACKET] = {"packet", BIND_PACKET},
	[NETNS] = {"netns", BIND_INT},	    [IFINDEX] = {"ifindex", BIND_INT},
	[LAYER] = {"layer", BIND_INT},	    [TX_DEPARTURE] = {"departure_ns", BIND_INT},
	[TX_RESULT] = {"result", BIND_INT}, [TX_AGAIN] = {"again", BIND_INT},
};

bool segment_rows_event(const struct bind_row *row, enum seg_dir dir, struct seg_event *ret)
{
	int layer = seg_layer(dir, bind_get(row, LAYER, 0));

	if (layer < 0)
		return false;
	*ret = (struct seg_event){.dir = (uint8_t)dir,
				  .layer = (uint8_t)layer,
				  .ts_ns = row->ts_ns,
				  .cpu = row->cpu,
				  .netns = (uint32_t)bind_get(row, NETNS, 0),
				  .ifindex = (uint32_t)bind_get(row, IFINDEX, 0),
				  .sock = row->sock,
				  .packet = row->packet};
	if (dir == SEG_IN) {
		ret->rcv_nxt = (uint32_t)bind_get(row, RX_NXT, 0);
		return true;
	}
	ret->departure_ns = bind_get(row, TX_DEPARTURE, 0);
	ret->result = (uint32_t)bind_get(row, TX_RESULT, 0);
	ret->again = bind_get(row, TX_AGAIN, 0);
	return true;
}

/* ---- of a chunk ---- */

static void fill_layers(struct seg_event *e, enum seg_dir dir, const struct bind *b)
{
	uint8_t layers[16];

	for (unsigned i = 0; i < sizeof(layers); i++) {
		int layer = seg_layer(dir, i);

		layers[i] = layer < 0 ? NO_LAYER : (uint8_t)layer;
	}
	for (uint32_t k = 0; k < b->n_rows; k++) {
		uint64_t v = bind_value(b, LAYER, k, 0);

		e[k].layer = v < sizeof(layers) ? layers[v] : NO_LAYER;
	}
}

static void fill(struct seg_event *e, enum seg_dir dir, const struct bind *b,
		 const struct bind_tables *tables)
{
	for (uint32_t k = 0; k < b->n_rows; k++)
		e[k] = (struct seg_event){.dir = (uint8_t)dir,
					  .sock = b->socks ? bind_sock(tables, b->socks[k]) : NULL,
					  .packet = b->packets ? bind_packet(tables, b->packets[k])
							       : NULL};
	fill_layers(e, dir, b);
	bind_spread32(b, NETNS, &e->netns, sizeof(*e));
	bind_spread32(b, IFINDEX, &e->ifindex, sizeof(*e));
	if (dir == SEG_IN) {
		bind_spread32(b, RX_NXT, &e->rcv_nxt, sizeof(*e));
		return;
	}
	bind_spread64(b, TX_DEPARTURE, &e->departure_ns, sizeof(*e));
	bind_spread32(b, TX_RESULT, &e->result, sizeof(*e));
	for (uint32_t k = 0; k < b->n_rows; k++)
		e[k].again = bind_value(b, TX_AGAIN, k, 0);
}

static bool load(struct segment_rows *rows, enum seg_dir dir, const struct bind *b,
		 const struct bind_tables *tables)
{
	if (b->n_rows > rows->cap[dir]) {
		free(rows->events[dir]);
		rows->events[dir] = malloc(b->n_rows * sizeof(struct seg_event));
		rows->cap[dir] = rows->events[dir] ? b->n_rows : 0;
	}
	if (!b->n_rows)
		return true;
	if (!rows->events[dir])
		return false;
	fill(rows->events[dir], dir, b, tables);
	return true;
}

/* A row of something else ends a run, but if it is there for its time alone. */
static void find_runs(struct segment_rows *rows, const int binds[SEG_DIRS],
		      struct input_chunk *chunk)
{
	struct seg_event *first = NULL, *before = NULL, *e;
	uint32_t n = 0;

	for (uint32_t i = 0; i < chunk->n_rows; i++) {
		struct input_row row = chunk->rows[i];
		bool in = row.bind == binds[SEG_IN], out = row.bind == binds[SEG_OUT];

		chunk->rows[n++] = row;
		if (!in && !out) {
			before = chunk->binds[row.bind].on_time ? before : NULL;
			continue;
		}
		e = &rows->events[in ? SEG_IN : SEG_OUT][row.k];
		e->ts_ns = chunk->ts_ns[row.event];
		e->cpu = chunk->cpus ? chunk->cpus[row.event] : 0;
		e->n_run = 1;
		if (before && e == before + 1 && segments_is_run(first, before, e)) {
			first->n_run++;
			n--;
		} else {
			first = e;
		}
		before = e->layer == NO_LAYER ? NULL : e;
	}
	chunk->n_rows = n;
}

bool segment_rows_load(struct segment_rows *rows, const int binds[SEG_DIRS],
		       struct input_chunk *chunk)
{
	for (unsigned dir = 0; dir < SEG_DIRS; dir++)
		if (binds[dir] >= 0 && !load(rows, dir, &chunk->binds[binds[dir]], chunk->tables))
			return false;
	find_runs(rows, binds, chunk);
	return true;
}

const struct seg_event *segment_rows_at(const struct segment_rows *rows, enum seg_dir dir,
					uint32_t k)
{
	const struct seg_event *e = &rows->events[dir][k];

	return e->layer == NO_LAYER ? NULL : e;
}

void segment_rows_fini(struct segment_rows *rows)
{
	for (unsigned dir = 0; dir < SEG_DIRS; dir++)
		free(rows->events[dir]);
	*rows = (struct segment_rows){0};
}

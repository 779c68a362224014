/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places in the kernel's code. Probes emit addresses; none of them goes into a file, as they would
 * tell where the kernel lies in memory. Each is replaced by a small number before it is written,
 * and a snap_symbol row names it as symbol+offset, from /proc/kallsyms. That is read before the
 * first event (about 0.1 s, then 5 MB until the end): there is the privilege to see addresses, and
 * rings that could fill meanwhile are not there yet. It is read again when a place is new, and a
 * module has come or gone. Fields of unit `symbol` are found through the schema.
 */
#ifndef REC_SYMBOLS_H
#define REC_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "events.h"
#include "writer.h"

#define REC_SYMBOLS_ROOM 4096 /* places, a power of two; any more have no name and number 0 */

struct rec_symbol; /* of the kernel */

struct rec_symbols {
	int fd; /* /proc/kallsyms, as it was opened; -1: cannot be read */
	uint64_t modules;
	struct rec_symbol *v; /* by address */
	size_t n, cap;
	char *names;
	size_t names_len, names_cap;
	uint64_t places[REC_SYMBOLS_ROOM]; /* address by hash; 0 free */
	uint32_t ids[REC_SYMBOLS_ROOM];
	uint32_t n_places, n_unknown;
	uint16_t at[256]; /* by event id: offset of the address in the record, 0 none */
};

/* wanted: there may be addresses in records. */
void rec_symbols_init(struct rec_symbols *s, bool wanted);
void rec_symbols_fini(struct rec_symbols *s);

/*
 * Replace the address of a record, if it has one, by its number, and write the row of a new one. 0,
 * or the writer's error.
 */
int rec_symbols_see(struct rec_symbols *s, struct ev_head *record, struct tape_writer *w,
		    struct tape_error *err);

/* "symbol+offset [module]" of an address, its length; 0 and "" if it has no name. */
size_t rec_symbols_name(struct rec_symbols *s, uint64_t address, char *buf, size_t len);

/* The same for one address: its number in *ret, 0 if there is no more room. */
int rec_symbols_id(struct rec_symbols *s, uint64_t address, struct tape_writer *w, uint64_t *ret,
		   struct tape_error *err);

/* Why places have no name; "" they have. */
const char *rec_symbols_trouble(const struct rec_symbols *s);

#endif

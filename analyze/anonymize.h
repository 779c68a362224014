/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What anonymize does to one event, one line of META, one reading of the clocks. What is not known
 * to be harmless is replaced or left out: META by a list of keys, text by a list of fields.
 */
#ifndef ANA_ANONYMIZE_H
#define ANA_ANONYMIZE_H

#include "events.h"
#include "pan.h"
#include "patch.h"
#include "text.h"
#include "writer.h" /* struct tape_meta, tape_clock, tape_loss */

struct anonymize {
	struct pan *pan;
	bool ports;		  /* these too */
	uint16_t port_map[65536]; /* one to one; 0 stays */
	struct {
		struct ev_comm from, to;
	} recent[256];	     /* names of processes: few, and in each event */
	struct text text[4]; /* of an event's strings */
	char value[PAN_NAME_LEN + 8], release[64], key[64];
	uint64_t shift_ns;
	bool failed; /* no memory */
};

/* pan and ports are set by the caller; anonymize_fini frees pan. */
void anonymize_init(struct anonymize *a);
void anonymize_fini(struct anonymize *a);

int anonymize_event(void *a, struct ev_head *e); /* 0, or 1: leave it out (no memory) */
/* The same to a column, for tape_patch_rules. */
enum tape_patch_what anonymize_what(const void *a, const struct tape_record *rec, unsigned field);
int anonymize_column(void *a, const struct tape_record *rec, unsigned field, void *values,
		     size_t n);
bool anonymize_meta(void *a, struct tape_meta *m); /* false: leave it out */
bool anonymize_clock(void *a, struct tape_clock *c);
bool anonymize_loss(void *a, struct tape_loss *l);

/* A field of text that tells of a kernel, not of who runs it: it stays. */
bool anonymize_keeps(const char *record, const char *field);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a snap_cgroup row for each cgroup and a snap_netns row for each network namespace that
 * events speak of, when it is first met: their numbers alone mean nothing later. Memory is fixed;
 * if more are met than it holds, it forgets all and rows may repeat.
 */
#ifndef REC_PLACES_H
#define REC_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "cgroup.h"
#include "events.h"
#include "netns.h"
#include "writer.h"

#define REC_PLACES_ROOM 4096 /* a power of two */
#define REC_PLACES_PENDING 64

struct rec_id_set {
	uint64_t ids[REC_PLACES_ROOM], last;
	unsigned n;
};

struct rec_places {
	struct rec_cgroup_mount mount;
	struct rec_id_set cgroups, netns;
	uint32_t named[REC_PLACES_ROOM];      /* beside netns.ids: a hash of what the row said */
	uint32_t pending[REC_PLACES_PENDING]; /* network namespaces without a row so far */
	unsigned n_pending;
	uint64_t lost_cgroups[REC_PLACES_PENDING]; /* without a row: their process has gone */
	unsigned n_lost_cgroups;
	int64_t names_ns;   /* when /run/netns was changed last */
	unsigned n_looks;   /* to come: a name is mounted somewhat later than it is made */
	bool netns_changed; /* set by the caller too: a number may belong to another one now */
	uint64_t n_met;	    /* namespaces, since the start */
	uint16_t sock_at[256], task_at[256],
		netns_at[256]; /* by event id: offset in the record, 0 none */
};

void rec_places_init(struct rec_places *p);
void rec_places_fini(struct rec_places *p);

/* Look at an event before it is written. 0, or the writer's error. */
int rec_places_see(struct rec_places *p, const struct ev_head *record, struct tape_writer *w,
		   struct tape_error *err);

/* A row for each namespace of the list that has none. */
int rec_places_add_netns(struct rec_places *p, const struct rec_netns_list *l,
			 struct tape_writer *w, struct tape_error *err);

/*
 * A namespace has ended: its number may be given to another one, so that all count as not met.
 * Rows may repeat.
 */
void rec_places_forget_netns(struct rec_places *p);

/* All rows were forgotten, of cgroups too: they count as not met. */
void rec_places_forget(struct rec_places *p);

/*
 * Find the namespaces and cgroups that were met since the call before, and are not known: reads
 * /proc, and walks over the cgroups, if there are any. The kernel gives the number of one that has
 * ended to the next one, so names are compared when there may be others, and rows repeat with a new
 * name.
 */
int rec_places_resolve(struct rec_places *p, struct tape_writer *w, struct tape_error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --by KEY: what events are grouped by, for commands that add up. A group's id is a plain value
 * without pointers; who it was seen with first is kept beside it, for the cells. The paths of
 * cgroups and the names of network namespaces come from the trace, and are bounded in number.
 */
#ifndef ANA_BY_H
#define ANA_BY_H

#include <stdbool.h>
#include <stdint.h>

#include "bind.h"
#include "fail.h"
#include "map.h"
#include "out.h"

enum by_key { BY_CONN, BY_PID, BY_TID, BY_COMM, BY_CGROUP, BY_NETNS, BY_REMOTE, BY_N };

/* "pid" -> BY_PID; NULL: BY_CONN. -1 and *fail if there is no such key. */
int by_parse(const char *name, enum by_key *ret, struct fail *fail);

struct by_id { /* compare with memcmp, hash with map_hash */
	uint64_t a, b;
	uint8_t bytes[16];
};

struct by_group {
	struct by_id id;
	struct task task; /* of the event that opened it, or one of the process' main thread */
	struct sock sock;
};

/* False if the event does not tell what it would be grouped by. Either may be NULL. */
bool by_id(enum by_key key, const struct sock *sock, const struct task *task, struct by_id *ret);
void by_open(struct by_group *g, const struct by_id *id, const struct sock *sock,
	     const struct task *task);
/* Another event of it: a process is named by its main thread, if that is seen. */
void by_see(struct by_group *g, const struct task *task);

/* ---- names of cgroups and network namespaces ---- */

struct by_names {
	struct map map;
	bool failed; /* no memory; the caller asks at the end */
};

enum { BY_BIND_CGROUP, BY_BIND_NETNS, BY_N_BINDS };
/* Binds that fill the names; the ctx of the job must point to them, or a struct that begins so. */
void by_bind(struct bind ret[BY_N_BINDS]);
void by_names_fini(struct by_names *n);

/* ---- cells ---- */

/*
 * PID TID COMM CGROUP NETNS REMOTE and the ends: text shows what the key tells, JSON and CSV have
 * all, null where the group is of many.
 */
#define BY_N_COLS 16
void by_show_cols(enum by_key key, struct out_col cols[BY_N_COLS]);
void by_cells(struct out *o, enum by_key key, const struct by_group *g, const struct by_names *n);

#endif

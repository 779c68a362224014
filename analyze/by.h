/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --by KEY: what events are grouped by, for all commands that add up: the words, the groups, and
 * how they are shown. A command says which keys it takes. What an event does not tell is a group of
 * its own, shown as not known.
 */
#ifndef ANA_BY_H
#define ANA_BY_H

#include <stdbool.h>
#include <stdint.h>

#include "conn.h"
#include "fail.h"
#include "json.h"
#include "map.h"
#include "opt.h"
#include "out.h"

enum by_key {
	BY_ALL,	   /* no key: all is one group */
	BY_CALLER, /* connection and process; has no word: what a command does without --by */
	BY_TARGET, /* local address, remote address and port; has no word either */
	BY_CONN,
	BY_PID,
	BY_TID,
	BY_COMM,
	BY_CGROUP,
	BY_NETNS,
	BY_REMOTE,   /* address */
	BY_LOCAL,    /* address */
	BY_LISTENER, /* address and port of the listening socket of an accepted connection */
	BY_INTERFACE,
	BY_N
};
#define BY_BIT(key) (1u << (key))

/* What all events of sockets can be grouped by; and its words, for the line of --help. */
#define BY_OF_SOCKETS                                                                              \
	(BY_BIT(BY_CONN) | BY_BIT(BY_PID) | BY_BIT(BY_COMM) | BY_BIT(BY_CGROUP) |                  \
	 BY_BIT(BY_NETNS) | BY_BIT(BY_REMOTE) | BY_BIT(BY_LOCAL) | BY_BIT(BY_LISTENER))
#define BY_OF_SOCKETS_HELP                                                                         \
	"conn, pid, comm, cgroup, netns,\n"                                                        \
	"remote or local (address), listener (address and port)"

/* "pid" -> BY_PID, if it is one of keys (as bits); NULL leaves *ret. -1 and *fail if it is none. */
int by_parse(const char *name, uint32_t keys, enum by_key *ret, struct fail *fail);

/* The options of a command that counts where -c is given: --by and -i go with it. 0, or -1. */
int by_check_counts(bool count, const char *by, const struct opt_fixed *interval,
		    struct fail *fail);

/* ---- who is who: what the trace tells beside the events ---- */

struct by_who {
	struct conn_table conns; /* first: conn_track() */
	struct map names;	 /* of cgroups, network namespaces and interfaces */
	struct map listeners;	 /* ends that were listened on */
	bool failed;
};

/*
 * The binds that fill it: of names, then from BY_BIND_CONN on those of conn_track(), which some
 * keys do without. The ctx of the job must point to it, or to a struct that begins so.
 */
enum {
	BY_BIND_CGROUP,
	BY_BIND_NETNS,
	BY_BIND_LINK,
	BY_BIND_CONN,
	BY_N_BINDS = BY_BIND_CONN + CONN_TRACK_N
};
void by_bind(struct bind ret[BY_N_BINDS]);
bool by_needs_conns(enum by_key key);
bool by_who_failed(const struct by_who *w);
void by_who_fini(struct by_who *w);

/* ---- groups ---- */

struct by_event { /* what of an event can make a group; NULL and 0: not known */
	const struct sock *sock;
	const struct task *task; /* who did it, or whose connection it is */
	uint32_t ifindex;
};

struct by_id { /* all 0: not known; else compared byte by byte */
	uint64_t a, b;
	uint8_t bytes[16];
};

/* Whether it is known. */
bool by_id(const struct by_who *w, enum by_key key, const struct by_event *e, struct by_id *ret);

struct by_group { /* a command's own struct begins with it */
	struct by_id id;
	struct task task; /* of the event that opened it, or one of the process' main thread */
	struct sock sock;
	uint32_t ifindex;
	struct by_group *next; /* of the same hash */
};

struct by_groups {
	/* set by the command */
	enum by_key key;
	size_t size; /* of its struct */
	size_t max;  /* groups: a hostile trace may have more */

	struct by_group **list; /* may be sorted */
	size_t n, cap;
	struct map map;
	uint64_t n_left_out; /* events of further groups */
	bool failed;	     /* no memory; the caller asks at the end */
};

/* The group of an event; a new one is zero behind its struct by_group. NULL: above the bound. */
void *by_groups_get(struct by_groups *gs, const struct by_who *w, const struct by_event *e);
/* By their ids: addresses and names in their order, numbers by size. */
void by_groups_sort(struct by_groups *gs);
/* Frees those that `keep` says no to. */
void by_groups_keep(struct by_groups *gs, bool (*keep)(struct by_group *g));
void by_groups_fini(struct by_groups *gs);

/* For qsort: by id. */
int by_compare(const struct by_group *x, const struct by_group *y);

/* ---- how they are shown (by_cells.c) ---- */

/*
 * Columns PID TID COMM CGROUP NETNS INTERFACE, addresses and ends: text shows what the key tells,
 * JSON and CSV have all, null where the group is of many.
 */
#define BY_N_COLS 18
void by_cols(enum by_key key, struct out_col cols[BY_N_COLS]);
void by_cells(struct out *o, const struct by_who *w, enum by_key key, const struct by_group *g);

/* The same as the fields of an object, those that are known. */
void by_json(struct json *j, const struct by_who *w, enum by_key key, const struct by_group *g);

/* "Remote Address = 10.0.0.1", to stand above a picture. */
void by_text(struct text *t, const struct by_who *w, enum by_key key, const struct by_group *g);

/* The name that the trace gives it, NULL without one. */
const char *by_cgroup_name(const struct by_who *w, uint64_t cgroup);
const char *by_netns_name(const struct by_who *w, uint32_t netns);
const char *by_interface_name(const struct by_who *w, uint32_t netns, uint32_t ifindex);

#endif

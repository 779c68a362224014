/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of probes: for each event, the ways to observe it, best first. The first one that this
 * kernel can load and attach is used; that the others fail stops nothing. An event may have parts
 * (IPv4, IPv6) that are hooked one by one; a part "sent" is all of "sent/v4" and "sent/v6". A new
 * probe is a row here and a program in bpf/.
 */
#ifndef REC_PROBES_H
#define REC_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events.h"
#include "groups.h"
#include "kernel.h"

struct rec_event { /* something that is recorded, and what a recording lacks without it */
	const char *name;
	enum tape_group group;
	const char *lacks;
};

struct rec_probe { /* one way to observe it */
	const char *event, *part;
	enum rec_method method;
	const char *target;  /* tracepoint (REC_TRACEPOINT: "group/name"), function, hook;
				REC_SAMPLE: a  file that must be there */
	int n_args;	     /* that it must have; 0: any */
	const char *program; /* in bpf/; REC_SAMPLE has none */
};

extern const struct rec_event rec_events[];
extern const size_t rec_n_events;
extern const struct rec_probe rec_probes[];
extern const size_t rec_n_probes;

#define REC_MAX_PROBES 128
#define REC_HOOKS_LEN 2048

enum rec_probe_state { REC_PROBE_POSSIBLE, REC_PROBE_ATTACHED, REC_PROBE_IMPOSSIBLE };

struct rec_choice { /* what is known of each row of rec_probes */
	enum rec_probe_state state[REC_MAX_PROBES];
	char why[REC_MAX_PROBES][112];	    /* of IMPOSSIBLE */
	bool syscalls, stacks;		    /* these options were given */
	char no_stacks[96];		    /* why call stacks cannot be had; "" they can */
	char no_iter[96];		    /* why there are no iterators at all; "" there are */
	bool has_cookies;		    /* the kernel tells programs the cookies of sockets */
	bool pointers;			    /* set by the caller: --pointers */
	bool may_thin;			    /* set by the caller: connections may be left out */
	uint32_t thin_below[TAPE_N_GROUPS]; /* set by the caller: which, at first (bpf/thin.h) */
	unsigned start; /* index of rec_starts; rec_n_starts: this kernel has none of them */
};

/*
 * How a selection by owner (bpf/select.bpf.c) meets a connect whose port is chosen: best first.
 */
struct rec_start {
	enum rec_method method;
	const char *target, *program;
};

extern const struct rec_start rec_starts[];
extern const unsigned rec_n_starts;

/* Sort out what this kernel cannot have. */
void rec_choice_init(struct rec_choice *c, const struct rec_kernel *k, bool syscalls, bool stacks);

/* Say that a row turned out not to work. */
void rec_choice_refuse(struct rec_choice *c, size_t probe, const char *why);

/* True if row `probe` is the best one left for its event and part. */
bool rec_choice_is_best(const struct rec_choice *c, size_t probe);

/* True if any part of the event has a row left. */
bool rec_choice_has(const struct rec_choice *c, const char *event);

/* True if all parts of the event that have a row at all are attached. */
bool rec_choice_attached(const struct rec_choice *c, const char *event);

/* True if the group has an event with a row left. */
bool rec_choice_has_group(const struct rec_choice *c, enum tape_group group);

/*
 * "tp_btf:tcp_probe", or for each part "mac=tp_btf:netif_receive_skb", into buf; "" if there is
 * none. REC_HOOKS_LEN bytes are enough for both texts.
 */
void rec_choice_hooks(const struct rec_choice *c, const char *event, char *buf, size_t len);

/* "driver mac tcp": the parts that have a hook, each once, without what is behind a slash. */
void rec_choice_parts(const struct rec_choice *c, const char *event, char *buf, size_t len);

/* Which parts have no hook, and why not (the best row's reason); "" if all have one. */
void rec_choice_reasons(const struct rec_choice *c, const char *event, char *buf, size_t len);

/* What the hooks in use see less than those preferred to them would; "" nothing. */
const char *rec_choice_lacks(const struct rec_choice *c, const char *event);

#endif

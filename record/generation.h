/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Identity of sockets on kernels that tell no cookies to probes (before Linux 5.12): the address of
 * the struct sock, and a number for each socket that was seen to live there. Records come with the
 * cookie that lies in the socket (0 but for sockets that somebody else asked about: only evidence)
 * and leave with that number in its place. Owns its memory: 64 bytes for a socket, and as much
 * again in reserve, up to REC_GENERATION_MAX of them; no socket that lives is ever forgotten for
 * another.
 *
 * A number is doubtful if nothing but the addresses told that the socket is a new one.
 */
#ifndef REC_GENERATION_H
#define REC_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events.h"

/*
 * Real cookies count from 0 up, and, where two contexts ask for one at the same time, from 2^64
 * down: none of them comes here in a hundred years of a million sockets a second.
 */
#define REC_GENERATION_BASE (1ull << 52)
#define REC_GENERATION_DOUBTFUL (1ull << 51)
#define REC_GENERATION_MAX (1u << 20) /* sockets at a time; further ones have cookie 0 */

struct rec_generation_slot;
struct rec_generation_short;

struct rec_generation {
	struct rec_generation_slot *slots; /* open addressing by address; a power of two */
	size_t n, n_ended, n_slots, max;   /* n: with those that have ended, until room is needed */
	struct rec_generation_short *shorts; /* requests and sockets in TIME_WAIT, by their ends */
	uint16_t sock_at[256];		     /* offset of struct ev_sock in a record; 0 none */
	uint64_t last;			     /* number given */
	bool blind;			     /* no state events: sockets end unseen */
	uint64_t n_doubtful;		     /* such numbers, and sockets that lived at a loss */
	uint64_t n_without;		     /* records of sockets that had no place */
};

/* blind: tcp_state and tcp_destroy are not recorded. max 0: REC_GENERATION_MAX. -1: no memory. */
int rec_generation_init(struct rec_generation *g, bool blind, size_t max);
void rec_generation_fini(struct rec_generation *g);

/* Number the socket of a record. Records come in order of time, but snap_sock rows before all. */
void rec_generation_see(struct rec_generation *g, struct ev_head *record);

/* Records of group conn were lost: whatever is known may have ended meanwhile. */
void rec_generation_lost(struct rec_generation *g);

#endif

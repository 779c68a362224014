/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that works off batches of bytes, one after the other, while the caller notes the next
 * one: for what comes behind the caller's own work, and gives it nothing back.
 */
#ifndef ANA_BATCHES_H
#define ANA_BATCHES_H

#include <stdbool.h>
#include <stddef.h>

struct batches;

/* NULL: no memory, or no thread. work returns 0 or an error, of which the last one is kept. */
struct batches *batches_new(int (*work)(void *ctx, const char *p, size_t len), void *ctx);
void batches_free(struct batches *b); /* all is worked off; NULL allowed */

/* Room for so many bytes behind what was noted, up to the next call; NULL: no memory. */
void *batches_room(struct batches *b, size_t len);
/* A note is complete: hand the batch over if it is large enough. */
void batches_noted(struct batches *b);
/* Hand over what was noted, if anything; that before it is worked off then. */
void batches_submit(struct batches *b);
/* The same, and wait until it is worked off too. */
void batches_drain(struct batches *b);
bool batches_is_empty(const struct batches *b); /* nothing noted since the last batch */
int batches_error(struct batches *b);		/* ENOMEM, or what work returned */

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a command knows of the rows of a chunk's table of sockets, so that it looks each of them up
 * once a chunk, not once an event. One thread.
 */
#ifndef ANA_PER_SOCK_H
#define ANA_PER_SOCK_H

#include <stdlib.h>
#include <string.h>

#include "bind.h"

struct per_sock {
	void **of; /* by row of the table; NULL: not known yet */
	size_t n;
};

/* Room for what belongs to the row's socket; NULL: it is not of the table, or no memory. */
static inline void **per_sock_at(struct per_sock *p, const struct bind_row *row)
{
	const struct bind_tables *t = row->tables;
	void **more;

	if (row->sock < t->socks || row->sock >= t->socks + t->n_socks)
		return NULL;
	if (p->n < t->n_socks) {
		more = realloc(p->of, t->n_socks * sizeof(*more));
		if (!more)
			return NULL;
		memset(more + p->n, 0, (t->n_socks - p->n) * sizeof(*more));
		p->of = more;
		p->n = t->n_socks;
	}
	return &p->of[row->sock - t->socks];
}

/* Behind a chunk: the next one has other rows. */
static inline void per_sock_clear(struct per_sock *p)
{
	if (p->n)
		memset(p->of, 0, p->n * sizeof(*p->of));
}

static inline void per_sock_fini(struct per_sock *p)
{
	free(p->of);
	*p = (struct per_sock){0};
}

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
#include "part.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meta.h"

static uint64_t number(const struct tape_meta *meta, size_t n, const char *key)
{
	const char *text = meta_get(meta, n, key);

	return text ? strtoull(text, NULL, 10) : 0;
}

void part_read(struct part *p, const struct tape_meta *meta, size_t n, uint64_t n_events,
	       bool closed)
{
	const char *id = meta_get(meta, n, "recording.id");
	const char *kind = meta_get(meta, n, "recording.kind");
	const char *end = meta_get(meta, n, "end.reason");

	*p = (struct part){.n_events = n_events};
	p->number = number(meta, n, "recording.part");
	p->before = number(meta, n, "recording.events_before");
	if (!id || !kind || !p->number)
		return;
	p->any = true;
	snprintf(p->id, sizeof(p->id), "%s", id);
	snprintf(p->kind, sizeof(p->kind), "%s", kind);
	p->last = closed && end && strcmp(end, "rotate") && strcmp(end, "error") &&
		  strcmp(end, "dump");
}

struct part_gap part_between(const struct part *a, const struct part *b)
{
	struct part_gap g = {.known = a->any && b->any && !strcmp(a->id, b->id)};
	uint64_t end = a->before + a->n_events;

	if (!g.known)
		return g;
	g.backward = b->number <= a->number;
	if (g.backward)
		return g;
	if (b->number - a->number > 1) {
		g.first = a->number + 1;
		g.last = b->number - 1;
	}
	g.twice = b->before < end;
	g.events = g.twice ? end - b->before : b->before - end;
	if (g.twice && g.events > b->n_events)
		g.events = b->n_events;
	return g;
}

void part_tell(const struct part_gap *g, char *buf, size_t len)
{
	size_t used = 0;

	*buf = '\0';
	if (!g->known || g->backward) {
		snprintf(buf, len, "%s",
			 g->known ? "does not come after the file before: give them in order"
				  : "is of another recording than the file before");
		return;
	}
	if (g->first && g->first == g->last)
		used = (size_t)snprintf(buf, len, "part %" PRIu64 " is missing; ", g->first);
	else if (g->first)
		used = (size_t)snprintf(buf, len, "parts %" PRIu64 " to %" PRIu64 " are missing; ",
					g->first, g->last);
	if (used >= len)
		return;
	if (g->events)
		snprintf(buf + used, len - used, "%" PRIu64 " events %s", g->events,
			 g->twice ? "are in the file before, too" : "between are not here");
	else
		snprintf(buf + used, len - used, "follows the file before, no event is missing");
}

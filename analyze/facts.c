// SPDX-License-Identifier: GPL-2.0-or-later
#include "facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct facts *facts_find(const struct facts_table *t, uint64_t cookie)
{
	return cookie ? map_get(&t->map, cookie) : NULL;
}

struct facts *facts_get(struct facts_table *t, const struct sock *s)
{
	uint64_t cookie = s ? s->cookie : 0;
	struct facts *f = facts_find(t, cookie);

	if (f || !cookie)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f || map_put(&t->map, cookie, f)) {
		free(f);
		t->failed = true;
		return NULL;
	}
	return f;
}

void facts_forget(struct facts_table *t, uint64_t cookie)
{
	if (cookie)
		free(map_del(&t->map, cookie));
}

void facts_table_fini(struct facts_table *t)
{
	for (size_t i = 0; i < t->map.cap; i++)
		free(t->map.slots[i].value);
	map_fini(&t->map);
}

/* ---- rows ---- */

static void take_cc(struct facts *f, const struct bind_row *row, unsigned field)
{
	const char *cc = bind_comm(row, field);

	if (!cc || !*cc)
		return;
	memcpy(f->cc, cc, EV_COMM_LEN);
	f->cc[EV_COMM_LEN] = '\0';
}

void facts_take(struct facts *f, const struct bind_row *row, unsigned first)
{
	*f = (struct facts){0};
	take_cc(f, row, first + FACT_CC);
	f->mss = (uint32_t)bind_get(row, first + FACT_MSS, 0);
	f->pmtu = (uint32_t)bind_get(row, first + FACT_PMTU, 0);
	f->peer_mss = (uint16_t)bind_get(row, first + FACT_PEER_MSS, 0);
	f->agreed = bind_has(row, first + FACT_OPTIONS);
	f->snd_wscale = (uint8_t)bind_get(row, first + FACT_SND_WSCALE, 0);
	f->rcv_wscale = (uint8_t)bind_get(row, first + FACT_RCV_WSCALE, 0);
	f->options = (uint8_t)bind_get(row, first + FACT_OPTIONS, 0);
	f->ecn = (uint8_t)bind_get(row, first + FACT_ECN, 0);
	f->sndbuf = (uint32_t)bind_get(row, first + FACT_SNDBUF, 0);
	f->rcvbuf = (uint32_t)bind_get(row, first + FACT_RCVBUF, 0);
}

void facts_take_end(struct facts *f, const struct bind_row *row, unsigned first)
{
	take_cc(f, row, first + FACT_CC);
	f->mss_end = (uint32_t)bind_get(row, first + FACT_MSS, 0);
	f->pmtu_end = (uint32_t)bind_get(row, first + FACT_PMTU, 0);
	f->ecn |= (uint8_t)bind_get(row, first + FACT_ECN, 0);
	f->sndbuf = (uint32_t)bind_get(row, first + FACT_SNDBUF, f->sndbuf);
	f->rcvbuf = (uint32_t)bind_get(row, first + FACT_RCVBUF, f->rcvbuf);
}

/* ---- printing ---- */

/* "1448", or "1448>1148" if it changed. */
static void cell_changed(struct out *o, uint32_t start, uint32_t end)
{
	char text[32];

	if (!start && !end) {
		out_none(o);
		return;
	}
	if (!start || !end || start == end)
		snprintf(text, sizeof(text), "%" PRIu32, end ? end : start);
	else
		snprintf(text, sizeof(text), "%" PRIu32 ">%" PRIu32, start, end);
	out_str(o, text);
}

static void cell_known(struct out *o, bool known, uint64_t v)
{
	if (known)
		out_u64(o, v);
	else
		out_none(o);
}

/* As ss writes them: "ts sack wscale ecn". */
static void cell_options(struct out *o, const struct facts *f)
{
	static const char *const names[] = {"ts", "sack", "wscale", "tfo", "us"};
	char text[64] = "";
	size_t used = 0;

	if (!f->agreed) {
		out_none(o);
		return;
	}
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (f->options >> i & 1)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
						 used ? " " : "", names[i]);
	if (f->ecn & 1)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%secn",
					 used ? " " : "");
	if (f->ecn & 16)
		snprintf(text + used, sizeof(text) - used, "%saccecn", used ? " " : "");
	out_str(o, text);
}

void cells_facts(struct out *o, const struct facts *f)
{
	static const struct facts none;

	if (!f)
		f = &none;
	if (*f->cc)
		out_str(o, f->cc);
	else
		out_none(o);
	cell_changed(o, f->mss, f->mss_end);
	cell_changed(o, f->pmtu, f->pmtu_end);
	cell_options(o, f);
	cell_known(o, f->mss, f->mss);
	cell_known(o, f->mss || f->mss_end, f->mss_end ? f->mss_end : f->mss);
	cell_known(o, f->pmtu, f->pmtu);
	cell_known(o, f->pmtu || f->pmtu_end, f->pmtu_end ? f->pmtu_end : f->pmtu);
	cell_known(o, f->agreed, f->peer_mss);
	cell_known(o, f->agreed, f->snd_wscale);
	cell_known(o, f->agreed, f->rcv_wscale);
	cell_known(o, f->sndbuf, f->sndbuf);
	cell_known(o, f->rcvbuf, f->rcvbuf);
}

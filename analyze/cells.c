// SPDX-License-Identifier: GPL-2.0-or-later
#include "cells.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "outcome.h"

void cell_known(struct out *o, bool known, uint64_t v)
{
	if (known)
		out_u64(o, v);
	else
		out_none(o);
}

void json_cookie(struct json *j, const char *key, uint64_t cookie)
{
	char text[COOKIE_TEXT_LEN];

	cookie_text(cookie, text);
	json_str(j, key, text, strlen(text));
}

void cell_cookie(struct out *o, uint64_t cookie)
{
	char text[COOKIE_TEXT_LEN];

	if (out_skips(o))
		return;
	if (cookie)
		out_str(o, cookie_text(cookie, text));
	else
		out_none(o);
}

void cell_addr(struct out *o, const uint8_t *addr)
{
	char text[FLOW_TEXT_LEN];

	if (out_skips(o))
		return;
	if (addr)
		out_str(o, flow_addr_text(addr, text));
	else
		out_none(o);
}

void cell_addr_port(struct out *o, const uint8_t *addr, uint16_t port)
{
	char text[FLOW_END_LEN];

	if (!out_skips(o))
		out_const(o, addr ? flow_end_text(addr, port, text) : "-");
}

void cell_seconds(struct out *o, struct input *in, uint64_t ts_ns)
{
	bool text = !out_is_json(o) && !out_is_csv(o);

	if (!out_skips(o))
		out_fixed(o, input_seconds(in, ts_ns), text ? 6 : 9);
}

void cell_clock(struct out *o, struct input *in, uint64_t ts_ns)
{
	uint64_t wall;

	if (out_skips(o))
		return;
	wall = input_wall(in, ts_ns);
	if (!wall)
		out_none(o);
	else
		out_str(o, clock_text(input_clock_text(in), wall, out_is_json(o) || out_is_csv(o)));
}

void cell_ms(struct out *o, uint64_t ns, unsigned decimals)
{
	bool text = !out_is_json(o) && !out_is_csv(o);

	if (!out_skips(o))
		out_fixed(o, (double)ns / 1e6, text ? decimals : 6);
}

void cell_kb(struct out *o, uint64_t bytes)
{
	if (out_is_json(o) || out_is_csv(o))
		out_u64(o, bytes);
	else
		out_fixed(o, (double)bytes / 1024, 1);
}

void cell_version(struct out *o, const struct flow *f)
{
	cell_known(o, f, f ? flow_version(f) : 0);
}

void cell_errno(struct out *o, unsigned err)
{
	const char *name = outcome_errno(err);

	if (name)
		out_str(o, name);
	else
		cell_known(o, err, err);
}

void cell_state(struct out *o, const struct input *in, unsigned state)
{
	const char *name;
	char text[16];

	if (out_skips(o))
		return;
	name = input_state_name(in, state);
	if (!name) {
		snprintf(text, sizeof(text), "%u", state);
		name = text;
	}
	out_str(o, name);
}

static void print_flow(struct out *o, const struct flow *f, bool has_lport)
{
	cell_addr(o, f ? f->laddr : NULL);
	cell_known(o, f && has_lport, f ? f->lport : 0);
	cell_addr(o, f ? f->raddr : NULL);
	cell_known(o, f, f ? f->rport : 0);
}

void cells_ends(struct out *o, const struct flow *f, const char *mark, const char *type)
{
	cell_addr_port(o, f ? f->laddr : NULL, f ? f->lport : 0);
	out_const(o, mark);
	cell_addr_port(o, f ? f->raddr : NULL, f ? f->rport : 0);
	cell_addr(o, f ? f->laddr : NULL);
	cell_known(o, f, f ? f->lport : 0);
	if (type)
		out_str(o, type);
	else
		out_none(o);
	cell_addr(o, f ? f->raddr : NULL);
	cell_known(o, f, f ? f->rport : 0);
}

void cells_flow(struct out *o, const struct flow *f)
{
	bool is_text = !out_is_json(o) && !out_is_csv(o);

	print_flow(o, f, f && (f->lport || is_text));
}

void cells_raw_flow(struct out *o, const struct flow *f)
{
	print_flow(o, f, true);
}

void cells_task(struct out *o, const struct task *task, const struct conn *owner)
{
	if (task) {
		out_u64(o, task->pid);
		out_str_cut(o, task->comm);
		out_str(o, "event");
	} else if (owner && owner->has_owner) {
		out_mark(o, NULL, "*");
		out_u64(o, owner->pid);
		out_str_cut(o, owner->comm);
		out_str(o, conn_owner_name(owner));
	} else {
		out_none(o);
		out_none(o);
		out_none(o);
	}
}

void cells_percentiles(struct out *o, const struct hist *h, double unit, unsigned decimals,
		       unsigned mean_decimals)
{
	static const double parts[] = {0.5, 0.9, 0.99, 0.999};

	for (unsigned i = 0; !h->n && i < 7; i++)
		out_none(o);
	if (!h->n)
		return;
	out_fixed(o, (double)h->min / unit, decimals);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		out_fixed(o, (double)hist_percentile(h, parts[i]) / unit, decimals);
	out_fixed(o, (double)h->max / unit, decimals);
	out_fixed(o, hist_mean(h) / unit, mean_decimals);
}

/* ---- -4 -6 -L -D ---- */

/* Whether port stands in the list; port -1 only checks the list: -1 if it is none. */
static int in_list(const char *list, long port)
{
	bool found = false;

	for (const char *p = list;;) {
		char *end;
		long v;

		if (!isdigit((unsigned char)*p))
			return -1;
		v = strtol(p, &end, 10);
		if (v > 65535 || (*end && *end != ','))
			return -1;
		found |= v == port;
		if (!*end)
			return found;
		p = end + 1;
	}
}

int cells_filter_check(const struct cells_filter *f, struct fail *fail)
{
	if ((f->local_ports && in_list(f->local_ports, -1) < 0) ||
	    (f->remote_ports && in_list(f->remote_ports, -1) < 0))
		return fail_set(fail, STATUS_USAGE,
				"lists take ports with commas between them: 80,443");
	return 0;
}

bool cells_filter_has(const struct cells_filter *f, const struct flow *flow)
{
	if (!f->v4 && !f->v6 && !f->local_ports && !f->remote_ports)
		return true;
	if (!flow || ((f->v4 || f->v6) && !(flow_version(flow) == 4 ? f->v4 : f->v6)))
		return false;
	return (!f->local_ports || in_list(f->local_ports, flow->lport) > 0) &&
	       (!f->remote_ports || in_list(f->remote_ports, flow->rport) > 0);
}

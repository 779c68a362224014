// SPDX-License-Identifier: GPL-2.0-or-later
/* How a group of by.h is shown: in a table, as fields of an object, as a line. */
#include <inttypes.h>
#include <string.h>

#include "by.h"
#include "cells.h"

/* What a key tells of its group. */
enum {
	HAS_PID = 1,
	HAS_TID = 2,
	HAS_COMM = 4,
	HAS_CGROUP = 8,
	HAS_NETNS = 16,
	HAS_INTERFACE = 32,
	HAS_LADDR = 64,
	HAS_LPORT = 128,
	HAS_RADDR = 256,
	HAS_RPORT = 512,
	HAS_COOKIE = 1024,
	HAS_TASK = HAS_PID | HAS_COMM | HAS_CGROUP,
	HAS_ENDS = HAS_LADDR | HAS_LPORT | HAS_RADDR | HAS_RPORT,
	HAS_CONN = HAS_TASK | HAS_NETNS | HAS_ENDS | HAS_COOKIE,
};
static const unsigned told[BY_N] = {
	[BY_CALLER] = HAS_CONN,
	[BY_TARGET] = HAS_LADDR | HAS_RADDR | HAS_RPORT,
	[BY_CONN] = HAS_CONN,
	[BY_PID] = HAS_TASK,
	[BY_TID] = HAS_TASK | HAS_TID,
	[BY_COMM] = HAS_COMM,
	[BY_CGROUP] = HAS_CGROUP,
	[BY_NETNS] = HAS_NETNS,
	[BY_REMOTE] = HAS_RADDR,
	[BY_LOCAL] = HAS_LADDR,
	[BY_LISTENER] = HAS_NETNS | HAS_LADDR | HAS_LPORT,
	[BY_INTERFACE] = HAS_NETNS | HAS_INTERFACE,
};

/* What is known of it: a group of what events did not tell has nothing. */
static unsigned known(enum by_key key, const struct by_group *g)
{
	static const struct by_id none;
	unsigned has = told[key];

	if (!memcmp(&g->id, &none, sizeof(none)))
		return 0;
	if (!g->task.pid)
		has &= ~(unsigned)(HAS_TASK | HAS_TID);
	if (!g->task.tid)
		has &= ~(unsigned)HAS_TID;
	if (!g->task.cgroup)
		has &= ~(unsigned)HAS_CGROUP;
	if (!g->sock.netns)
		has &= ~(unsigned)HAS_NETNS;
	if (!g->sock.has_flow)
		has &= ~(unsigned)HAS_ENDS;
	if (!g->sock.cookie)
		has &= ~(unsigned)HAS_COOKIE;
	return has;
}

/* ---- a table ---- */

enum {
	C_PID,
	C_TID,
	C_COMM,
	C_CGROUP,
	C_PATH,
	C_NETNS,
	C_NAME,
	C_IFINDEX,
	C_INTERFACE,
	C_ADDR,
	C_ENDS
};
static const struct out_col columns[] = {
	{"PID", "pid", 7, true},
	{"TID", "tid", 7, true},
	{"COMM", "comm", 15, true},
	{NULL, "cgroup", 0, false},
	{"CGROUP", "cgroup_path", 40, true},
	{"NETNS", "netns", 10, true},
	{"NAME", "netns_name", 15, true},
	{NULL, "ifindex", 0, false},
	{"INTERFACE", "interface", 15, true},
	{"ADDR", NULL, 39, true},
	{"LADDR:LPORT", NULL, 21, true},
	{"", NULL, 3, true},
	{"RADDR:RPORT", NULL, 21, true},
	{NULL, "laddr", 0, false},
	{NULL, "lport", 0, false},
	{NULL, "raddr", 0, false},
	{NULL, "rport", 0, false},
	{NULL, "conn", 0, false},
};
_Static_assert(sizeof(columns) / sizeof(columns[0]) == BY_N_COLS, "BY_N_COLS");

void by_cols(enum by_key key, struct out_col cols[BY_N_COLS])
{
	unsigned has = told[key];
	bool conn = has & HAS_COOKIE;

	memcpy(cols, columns, sizeof(columns));
	cols[C_PID].hidden = !(has & HAS_PID);
	cols[C_TID].hidden = !(has & HAS_TID);
	cols[C_COMM].hidden = !(has & HAS_COMM);
	cols[C_PATH].hidden = key != BY_CGROUP;
	cols[C_NETNS].hidden = cols[C_NAME].hidden = key != BY_NETNS && key != BY_INTERFACE;
	cols[C_INTERFACE].hidden = key != BY_INTERFACE;
	cols[C_ADDR].hidden = key != BY_REMOTE && key != BY_LOCAL && key != BY_TARGET;
	if (key == BY_TARGET)
		cols[C_ADDR].width = 15;
	cols[C_ADDR].title = key == BY_REMOTE ? "RADDR" : "LADDR";
	cols[C_ENDS].hidden = !conn && key != BY_LISTENER;
	if (key == BY_LISTENER)
		cols[C_ENDS].title = "LISTENER";
	cols[C_ENDS + 1].hidden = !conn;
	cols[C_ENDS + 2].hidden = !conn && key != BY_TARGET;
}

static void cell_name(struct out *o, const char *name)
{
	if (name)
		out_str(o, name);
	else
		out_none(o);
}

static void cells_task_of(struct out *o, const struct by_who *w, unsigned has,
			  const struct by_group *g)
{
	const char *path = by_cgroup_name(w, g->task.cgroup);
	bool text = !out_is_json(o) && !out_is_csv(o);

	cell_known(o, has & HAS_PID, g->task.pid);
	cell_known(o, has & HAS_TID, g->task.tid);
	if (has & HAS_COMM)
		out_str_cut(o, g->task.comm);
	else
		out_none(o);
	cell_known(o, has & HAS_CGROUP, g->task.cgroup);
	if (text && !path)
		cell_known(o, has & HAS_CGROUP, g->task.cgroup);
	else
		cell_name(o, has & HAS_CGROUP ? path : NULL);
}

static void cells_place(struct out *o, const struct by_who *w, unsigned has,
			const struct by_group *g)
{
	const char *name = by_interface_name(w, g->sock.netns, g->ifindex);
	bool text = !out_is_json(o) && !out_is_csv(o);

	cell_known(o, has & HAS_NETNS, g->sock.netns);
	cell_name(o, has & HAS_NETNS ? by_netns_name(w, g->sock.netns) : NULL);
	cell_known(o, has & HAS_INTERFACE, g->ifindex);
	if (text && !name)
		cell_known(o, has & HAS_INTERFACE, g->ifindex);
	else
		cell_name(o, has & HAS_INTERFACE ? name : NULL);
}

static void cells_ends_of(struct out *o, unsigned has, const struct flow *f)
{
	const uint8_t *addr = has & HAS_LADDR ? f->laddr : has & HAS_RADDR ? f->raddr : NULL;
	char text[FLOW_TEXT_LEN];

	out_const(o, addr ? flow_addr_text(addr, text) : "-");
	cell_addr_port(o, has & HAS_LPORT ? f->laddr : NULL, f->lport);
	out_const(o, "-");
	cell_addr_port(o, has & HAS_RPORT ? f->raddr : NULL, f->rport);
	cell_addr(o, has & HAS_LADDR ? f->laddr : NULL);
	cell_known(o, has & HAS_LPORT, f->lport);
	cell_addr(o, has & HAS_RADDR ? f->raddr : NULL);
	cell_known(o, has & HAS_RPORT, f->rport);
}

void by_cells(struct out *o, const struct by_who *w, enum by_key key, const struct by_group *g)
{
	unsigned has = known(key, g);

	cells_task_of(o, w, has, g);
	cells_place(o, w, has, g);
	cells_ends_of(o, has, &g->sock.flow);
	cell_cookie(o, has & HAS_COOKIE ? g->sock.cookie : 0);
}

/* ---- an object ---- */

static void json_cstr(struct json *j, const char *key, const char *s)
{
	if (s)
		json_str(j, key, s, strlen(s));
}

void by_json(struct json *j, const struct by_who *w, enum by_key key, const struct by_group *g)
{
	const struct flow *f = &g->sock.flow;
	const struct {
		unsigned bit;
		const char *name;
		uint64_t v;
	} numbers[] = {
		{HAS_PID, "pid", g->task.pid},		{HAS_TID, "tid", g->task.tid},
		{HAS_CGROUP, "cgroup", g->task.cgroup}, {HAS_NETNS, "netns", g->sock.netns},
		{HAS_INTERFACE, "ifindex", g->ifindex}, {HAS_LPORT, "lport", f->lport},
		{HAS_RPORT, "rport", f->rport},
	};
	unsigned has = known(key, g);
	char text[FLOW_TEXT_LEN];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (has & numbers[i].bit)
			json_u64(j, numbers[i].name, numbers[i].v);
	if (has & HAS_COMM)
		json_cstr(j, "comm", g->task.comm);
	if (has & HAS_CGROUP)
		json_cstr(j, "cgroup_path", by_cgroup_name(w, g->task.cgroup));
	if (has & HAS_NETNS)
		json_cstr(j, "netns_name", by_netns_name(w, g->sock.netns));
	if (has & HAS_INTERFACE)
		json_cstr(j, "interface", by_interface_name(w, g->sock.netns, g->ifindex));
	if (has & HAS_LADDR)
		json_cstr(j, "laddr", flow_addr_text(f->laddr, text));
	if (has & HAS_RADDR)
		json_cstr(j, "raddr", flow_addr_text(f->raddr, text));
	if (has & HAS_COOKIE)
		json_cookie(j, "conn", g->sock.cookie);
}

/* ---- a line ---- */

static const char *const headings[BY_N] = {
	[BY_CALLER] = "Connection",
	[BY_TARGET] = "Target",
	[BY_CONN] = "Connection",
	[BY_PID] = "PID",
	[BY_TID] = "TID",
	[BY_COMM] = "COMM",
	[BY_CGROUP] = "Cgroup",
	[BY_NETNS] = "Namespace",
	[BY_REMOTE] = "Remote Address",
	[BY_LOCAL] = "Local Address",
	[BY_LISTENER] = "Listener",
	[BY_INTERFACE] = "Interface",
};

static void text_name(struct text *t, const char *name)
{
	if (name) {
		text_putc(t, ' ');
		text_safe(t, name, strlen(name));
	}
}

static void text_addr(struct text *t, const uint8_t addr[FLOW_ADDR_LEN])
{
	char text[FLOW_TEXT_LEN];

	text_fmt(t, " %s", flow_addr_text(addr, text));
}

static void text_end(struct text *t, const uint8_t addr[FLOW_ADDR_LEN], uint16_t port)
{
	char text[FLOW_END_LEN];

	text_fmt(t, " %s", flow_end_text(addr, port, text));
}

void by_text(struct text *t, const struct by_who *w, enum by_key key, const struct by_group *g)
{
	unsigned has = known(key, g);
	const struct flow *f = &g->sock.flow;

	text_fmt(t, "%s =", headings[key]);
	if (!has)
		text_puts(t, " -");
	if (has & HAS_LPORT)
		text_end(t, f->laddr, f->lport);
	else if (has & HAS_LADDR)
		text_addr(t, f->laddr);
	if (has & HAS_RPORT) {
		text_puts(t, " -");
		text_end(t, f->raddr, f->rport);
	} else if (has & HAS_RADDR) {
		text_addr(t, f->raddr);
	}
	if (has & HAS_TID)
		text_fmt(t, " %" PRIu32, g->task.tid);
	else if (has & HAS_PID)
		text_fmt(t, " %" PRIu32, g->task.pid);
	if (has & HAS_COMM)
		text_name(t, g->task.comm);
	if (key == BY_CGROUP && has) {
		text_fmt(t, " %" PRIu64, g->task.cgroup);
		text_name(t, by_cgroup_name(w, g->task.cgroup));
	}
	if (key == BY_INTERFACE && has) {
		text_fmt(t, " %" PRIu32, g->ifindex);
		text_name(t, by_interface_name(w, g->sock.netns, g->ifindex));
		text_puts(t, " in");
	}
	if ((key == BY_NETNS || key == BY_INTERFACE) && has & HAS_NETNS) {
		text_fmt(t, " %" PRIu32, g->sock.netns);
		text_name(t, by_netns_name(w, g->sock.netns));
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets that the kernel dropped, and resets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evidence_parts.h"
#include "packet.h"

#define MAX_PATHS 65536
#define FLAG_SYN 2
#define NO_REASON 65535
#define RST_SENT 1 /* unit rst_direction */
#define SEQUENCE "TCP_INVALID_SEQUENCE"
#define OLD_SEQUENCE "TCP_OLD_SEQUENCE" /* since 6.6; before that the same as the other */
#define MAX_WINDOW (1u << 30)		/* RFC 7323, 2.3 */

/*
 * Names of enum skb_drop_reason (include/net/dropreason-core.h), since numbers differ from kernel
 * to kernel; and, for kernels before 5.17, the place in the code. What is not here is no trouble,
 * or none that a cause tells of: TCP_OLD_SEQUENCE, for one, is what every keepalive probe is.
 */
static const struct {
	const char *name;
	enum drop_class class;
} reasons[] = {
	{"NETFILTER_DROP", DROP_FIREWALL},
	{"SOCKET_FILTER", DROP_FIREWALL},
	{"BPF_CGROUP_EGRESS", DROP_FIREWALL},
	{"TC_INGRESS", DROP_FIREWALL},
	{"TC_EGRESS", DROP_FIREWALL},
	{"XDP", DROP_FIREWALL},
	{"SECURITY_HOOK", DROP_FIREWALL},
	{"XFRM_POLICY", DROP_FIREWALL},
	{"IP_RPFILTER", DROP_FIREWALL},
	{"TCP_CSUM", DROP_CHECKSUM},
	{"SKB_CSUM", DROP_CHECKSUM},
	{"IP_CSUM", DROP_CHECKSUM},
	{SEQUENCE, DROP_SEQUENCE},
	{"TCP_INVALID_END_SEQUENCE", DROP_SEQUENCE},
	{"TCP_RFC7323_PAWS", DROP_SEQUENCE},
	{"TCP_RFC7323_TSECR", DROP_SEQUENCE},
	{"TCP_INVALID_ACK_SEQUENCE", DROP_SEQUENCE},
	{"TCP_ACK_UNSENT_DATA", DROP_SEQUENCE},
	{"TCP_FLAGS", DROP_SEQUENCE},
	{"PKT_TOO_SMALL", DROP_SEQUENCE},
	{"HDR_TRUNC", DROP_SEQUENCE},
	{"IP_INHDR", DROP_SEQUENCE},
	{"QDISC_DROP", DROP_QDISC},
	{"QDISC_OVERLIMIT", DROP_QDISC},
	{"QDISC_CONGESTED", DROP_QDISC},
	{"FQ_FLOW_LIMIT", DROP_QDISC},
	{"FQ_BAND_LIMIT", DROP_QDISC},
	{"FQ_HORIZON_LIMIT", DROP_QDISC},
	{"CAKE_FLOOD", DROP_QDISC},
	{"FULL_RING", DROP_QDISC},
	{"SOCKET_RCVBUFF", DROP_BUFFER},
	{"SOCKET_BACKLOG", DROP_BUFFER},
	{"PROTO_MEM", DROP_BUFFER},
	{"NOMEM", DROP_BUFFER},
	{"PFMEMALLOC", DROP_BUFFER},
	{"TCP_OFO_QUEUE_PRUNE", DROP_BUFFER},
	{"TCP_OFO_DROP", DROP_BUFFER},
	{"TCP_ZEROWINDOW", DROP_WINDOW},
	{"TCP_OVERWINDOW", DROP_WINDOW},
	{"CPU_BACKLOG", DROP_BACKLOG},
	{"PKT_TOO_BIG", DROP_MTU},
	{"IP_OUTNOROUTES", DROP_ROUTE},
	{"IP_INNOROUTES", DROP_ROUTE},
	{"NEIGH_FAILED", DROP_ROUTE},
	{"NEIGH_CREATEFAIL", DROP_ROUTE},
	{"NEIGH_DEAD", DROP_ROUTE},
	{"TCP_LISTEN_OVERFLOW", DROP_ACCEPT},
	/* places */
	{"nf_hook_slow+", DROP_FIREWALL},
	{"nft_do_chain+", DROP_FIREWALL},
	{"enqueue_to_backlog+", DROP_BACKLOG},
};
#define N_REASONS (sizeof(reasons) / sizeof(reasons[0]))

static enum drop_class class_of(const char *name, const char *where)
{
	for (size_t i = 0; i < N_REASONS; i++) {
		size_t len = strlen(reasons[i].name);

		if (reasons[i].name[len - 1] == '+'
			    ? !name && where && !strncmp(where, reasons[i].name, len)
			    : name && !strcmp(name, reasons[i].name))
			return reasons[i].class;
	}
	return DROP_OTHER;
}

enum trouble evid_trouble_of(enum drop_class c, enum trouble otherwise)
{
	static const enum trouble troubles[DROP_CLASSES] = {
		[DROP_FIREWALL] = TROUBLE_FIREWALL, [DROP_CHECKSUM] = TROUBLE_BAD,
		[DROP_SEQUENCE] = TROUBLE_BAD,	    [DROP_BUFFER] = TROUBLE_MEMORY,
		[DROP_WINDOW] = TROUBLE_WINDOW,	    [DROP_BACKLOG] = TROUBLE_SOFTIRQ,
		[DROP_MTU] = TROUBLE_MTU,	    [DROP_ROUTE] = TROUBLE_UNREACHABLE,
		[DROP_ACCEPT] = TROUBLE_OVERFLOW,   [DROP_QDISC] = TROUBLE_LOSS,
	};

	return c == DROP_OTHER || c == DROP_QDISC ? otherwise : troubles[c];
}

/* ---- flows that lost packets here ---- */

static bool goes_back(const struct flow *f)
{
	int order = memcmp(f->laddr, f->raddr, FLOW_ADDR_LEN);

	return order > 0 || (!order && f->lport > f->rport);
}

/* The same for both directions. */
static uint64_t path_key(const struct flow *f)
{
	struct flow turned = {.lport = f->rport, .rport = f->lport};

	memcpy(turned.laddr, f->raddr, FLOW_ADDR_LEN);
	memcpy(turned.raddr, f->laddr, FLOW_ADDR_LEN);
	if (goes_back(f))
		f = &turned;
	return map_hash(f, sizeof(*f));
}

static struct evid_path *path_of(struct gather *g, const struct flow *f)
{
	uint64_t key = path_key(f);
	struct evid_path *p = map_get(&g->paths, key);

	if (p || g->paths.n >= MAX_PATHS)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p || map_put(&g->paths, key, p)) {
		free(p);
		g->failed = true;
		return NULL;
	}
	return p;
}

enum drop_class evid_dropped(const struct gather *g, const struct flow *f)
{
	const struct evid_path *p = g->paths.n ? map_get(&g->paths, path_key(f)) : NULL;
	enum drop_class most = DROP_OTHER;

	for (unsigned i = DROP_OTHER + 1; p && i < DROP_CLASSES; i++)
		if (p->n[i] > p->n[most] || (most == DROP_OTHER && p->n[i]))
			most = i;
	return most;
}

enum drop_class evid_take_credit(struct gather *g, const struct flow *f, uint32_t segs)
{
	struct evid_path *p = g->paths.n ? map_get(&g->paths, path_key(f)) : NULL;

	for (unsigned i = DROP_OTHER + 1; p && i < DROP_CLASSES; i++) {
		if (!p->credit[i])
			continue;
		p->credit[i] -= segs < p->credit[i] ? segs : p->credit[i];
		return i;
	}
	return DROP_OTHER;
}

/* ---- drops ---- */

enum { D_SOCK, D_FLOW, D_LOCATION, D_REASON, D_SEQ, D_PAYLOAD, D_FLAGS, D_HEADERS, D_N };
static const struct bind_field drop_fields[D_N] = {
	{"sock", BIND_SOCK}, {"flow", BIND_FLOW},   {"location", BIND_INT},  {"reason", BIND_INT},
	{"seq", BIND_INT},   {"payload", BIND_INT}, {"tcp_flags", BIND_INT}, {"headers", BIND_INT}};

static void count(struct gather *g, const struct bind_row *row, enum drop_class class,
		  const char *name, const char *where)
{
	struct drop_tally *t = &g->e->drops[class];

	if (!t->n++) {
		t->first_ns = row->ts_ns;
		snprintf(t->what, sizeof(t->what), "%s%s%s", name ? name : "no reason given",
			 where ? " at " : "", where ? where : "");
	}
	t->last_ns = row->ts_ns;
}

/*
 * Refused for its sequence number, by a kernel that calls what is merely old the same: a keepalive,
 * or a segment that came twice. Those lie within a window of each other; of two that are farther
 * apart one is wrong, whichever it is.
 */
static bool is_surely_wrong(struct evid_path *p, const struct flow *f, uint32_t seq)
{
	struct evid_refused *r = &p->refused[goes_back(f)];
	uint32_t apart = r->n_near ? seq - r->seq : 0;
	bool far = apart > MAX_WINDOW && -apart > MAX_WINDOW;

	if (!r->n_near)
		r->seq = seq;
	if (far)
		return r->n_far++ < r->n_near;
	return r->n_near++ < r->n_far;
}

static int on_drop(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	uint64_t reason = bind_get(row, D_REASON, 0), payload = bind_get(row, D_PAYLOAD, 0);
	uint64_t place = bind_get(row, D_LOCATION, 0);
	const char *where = labels_get(&g->places, place);
	const char *name = reason ? names_get(&g->reasons, reason) : NULL;
	enum drop_class class = class_of(name, where);
	bool syn = bind_get(row, D_FLAGS, 0) & FLAG_SYN;
	struct flow flow;
	struct evid_path *p = NULL;

	if (!evid_wants(g, row))
		return 0;
	if (class != DROP_OTHER && bind_has(row, D_FLOW) &&
	    bind_flow(row->tables, bind_get(row, D_FLOW, 0), &flow))
		p = path_of(g, &flow);
	/* behind a window that memory, or the reader, has made smaller: not the segment's fault */
	if (class == DROP_SEQUENCE && p && (p->n[DROP_WINDOW] || p->n[DROP_BUFFER]))
		class = DROP_WINDOW;
	if (class == DROP_SEQUENCE && g->calls_old_wrong && !strcmp(name, SEQUENCE) &&
	    !(p && is_surely_wrong(p, &flow, (uint32_t)bind_get(row, D_SEQ, 0))))
		class = DROP_OTHER;
	count(g, row, class, name, where);
	if (!p || class == DROP_OTHER)
		return 0;
	p->n[class]++;
	p->credit[class] += 1 + (uint32_t)(payload ? (payload - 1) / 1448 : 0);
	if (syn && p->n_syns++)
		g->e->drops[class].n_retried++;
	return 0;
}

static const struct bind_field csum_fields[] = {{"sock", BIND_SOCK}};

/* Where the kernel gives reasons, it is among the drops too. */
static int on_csum(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;

	g->n_bad_csum += evid_wants(g, row);
	return 0;
}

static int on_symbol(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;

	labels_take(&g->places, row);
	return 0;
}

/* ---- resets ---- */

enum { X_SOCK, X_TASK, X_REASON, X_DIRECTION, X_STATE, X_ACTIVE, X_N };
static const struct bind_field reset_fields[X_N] = {{"sock", BIND_SOCK},  {"task", BIND_TASK},
						    {"reason", BIND_INT}, {"direction", BIND_INT},
						    {"state", BIND_INT},  {"active", BIND_INT}};

static bool is_alike(const struct evid_reset *a, const struct evid_reset *b)
{
	return a->state == b->state && a->sent == b->sent && a->active == b->active &&
	       a->by_process == b->by_process && !strcmp(a->reason, b->reason);
}

/* Those of a handshake, or without a socket, are other causes' business. */
static int on_reset(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	uint64_t reason = bind_get(row, X_REASON, NO_REASON);
	const char *name = reason == NO_REASON ? NULL : names_get(&g->rst_reasons, reason);
	struct evid_reset r = {.n = 1,
			       .state = (uint8_t)bind_get(row, X_STATE, 0),
			       .sent = bind_get(row, X_DIRECTION, 0) == RST_SENT,
			       .active = bind_get(row, X_ACTIVE, 0)};
	struct evidence *e = g->e;

	if (!evid_wants(g, row) || !r.state || r.state == TCP_S_SYN_SENT ||
	    r.state == TCP_S_LISTEN || r.state == TCP_S_NEW_SYN_RECV)
		return 0;
	r.by_process = r.active && row->task;
	snprintf(r.reason, sizeof(r.reason), "%s", name ? name : "");
	for (unsigned i = 0; i < e->n_resets; i++)
		if (is_alike(&e->resets[i], &r)) {
			e->resets[i].n++;
			return 0;
		}
	if (e->n_resets < EVID_RESET_KINDS)
		e->resets[e->n_resets++] = r;
	return 0;
}

int evid_drop_begin(struct gather *g)
{
	const struct tape_schema *schema = input_schema(g->run->in);
	bool has_sequence = false, has_old = false;

	if (names_init(&g->reasons, schema, "drop_reason") ||
	    names_init(&g->rst_reasons, schema, "rst_reason"))
		return -1;
	for (size_t i = 0; i < g->reasons.n; i++) {
		has_sequence |= !strcmp(g->reasons.rows[i]->name, SEQUENCE);
		has_old |= !strcmp(g->reasons.rows[i]->name, OLD_SEQUENCE);
	}
	g->calls_old_wrong = has_sequence && !has_old;
	g->e->tells_reasons = g->reasons.n;
	return 0;
}

void evid_drop_bind(struct bind *ret)
{
	ret[0] = (struct bind){
		.record = "drop", .fields = drop_fields, .n_fields = D_N, .on = on_drop};
	ret[1] = (struct bind){
		.record = "bad_csum", .fields = csum_fields, .n_fields = 1, .on = on_csum};
	ret[2] = (struct bind){
		.record = "reset", .fields = reset_fields, .n_fields = X_N, .on = on_reset};
	ret[3] = (struct bind){.record = "snap_symbol",
			       .fields = symbol_fields,
			       .n_fields = LABEL_N,
			       .on = on_symbol};
}

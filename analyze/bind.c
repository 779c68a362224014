// SPDX-License-Identifier: GPL-2.0-or-later
#include "bind.h"

#include <stdlib.h>
#include <string.h>

/* ---- records ---- */

static bool is_ref_to(const struct tape_schema *s, const struct tape_field *f, const char *table)
{
	const struct tape_record *rec =
		f->type == TAPE_REF ? tape_schema_record(s, f->table) : NULL;

	return rec && !strcmp(rec->name, table);
}

static bool is_of_kind(const struct tape_schema *s, const struct tape_field *f, enum bind_kind kind)
{
	switch (kind) {
	case BIND_ADDR: return f->type == TAPE_ADDR;
	case BIND_SOCK: return is_ref_to(s, f, "sock");
	case BIND_TASK: return is_ref_to(s, f, "task");
	case BIND_PACKET: return is_ref_to(s, f, "packet");
	case BIND_FLOW: return f->type == TAPE_DREF;
	case BIND_STR: return f->type == TAPE_STR;
	case BIND_COMM: return f->type == TAPE_COMM;
	default: return f->type <= TAPE_I64;
	}
}

void bind_schema(struct bind *b, const struct tape_schema *schema)
{
	b->rec = tape_schema_record_by_name(schema, b->record);
	b->ends_socket = !strcmp(b->record, "tcp_destroy");
	b->sock_field = b->task_field = b->packet_field = b->flow_field = -1;
	b->daddr_field = b->dport_field = -1;
	if (b->rec && b->rec->is_table)
		b->rec = NULL;
	for (unsigned i = 0; i < b->n_fields; i++) {
		const struct bind_field *f = &b->fields[i];
		int at = b->rec ? tape_record_field(b->rec, f->name) : -1;

		if (at >= 0 && !is_of_kind(schema, &b->rec->fields[at], f->kind))
			at = -1;
		b->index[i] = at;
		if (f->kind == BIND_SOCK)
			b->sock_field = (int)i;
		if (f->kind == BIND_TASK)
			b->task_field = (int)i;
		if (f->kind == BIND_PACKET)
			b->packet_field = (int)i;
		if (f->kind == BIND_FLOW)
			b->flow_field = (int)i;
		if (!strcmp(f->name, "daddr") && f->kind == BIND_ADDR)
			b->daddr_field = (int)i;
		if (!strcmp(f->name, "dport") && f->kind == BIND_INT)
			b->dport_field = (int)i;
	}
}

int bind_column(struct tape_chunk *chunk, unsigned record, unsigned field, struct tape_column *ret,
		struct tape_error *err)
{
	int rc = tape_chunk_column(chunk, record, field, ret, err);

	if (rc == TAPE_E_ABSENT || rc == TAPE_E_UNKNOWN)
		return 0;
	return rc ? rc : 1;
}

static const uint32_t *refs_of(const struct bind *b, int field)
{
	return field >= 0 && b->have[field] ? b->cols[field].values : NULL;
}

int bind_chunk(struct bind *b, struct tape_chunk *chunk, struct tape_error *err)
{
	b->n_rows = b->rec ? tape_chunk_rows(chunk, b->rec->id) : 0;
	for (unsigned i = 0; i < b->n_fields; i++) {
		int rc = 0;

		if (b->n_rows && b->index[i] >= 0)
			rc = bind_column(chunk, b->rec->id, (unsigned)b->index[i], &b->cols[i],
					 err);
		if (rc < 0)
			return rc;
		b->have[i] = rc > 0 && b->cols[i].n >= b->n_rows;
	}
	b->socks = refs_of(b, b->sock_field);
	b->tasks = refs_of(b, b->task_field);
	b->packets = refs_of(b, b->packet_field);
	return 0;
}

/* ---- tables ---- */

void bind_tables_fini(struct bind_tables *t)
{
	free(t->socks);
	free(t->tasks);
	free(t->packets);
	*t = (struct bind_tables){0};
}

/* Room for n items of that size; the count is below the ceiling of a chunk, the reader saw to it.
 */
static int room(void **p, uint32_t *cap, uint32_t n, size_t size, struct tape_error *err)
{
	void *more;

	if (n <= *cap)
		return 0;
	more = realloc(*p, n * size);
	if (!more)
		return tape_fail(err, TAPE_E_NOMEM, 0, "no memory for the tables of a chunk");
	*p = more;
	*cap = n;
	return 0;
}

/* A column of a table by name, of that type (or any integer, for TAPE_U64). */
static int table_column(struct tape_chunk *chunk, const struct tape_record *rec, const char *name,
			enum tape_type type, struct tape_column *ret, struct tape_error *err)
{
	int at = tape_record_field(rec, name);

	if (at < 0)
		return 0;
	if (type == TAPE_U64 ? rec->fields[at].type > TAPE_I64 : rec->fields[at].type != type)
		return 0;
	return bind_column(chunk, rec->id, (unsigned)at, ret, err);
}

/* Columns of table flow. A trace that lacks one of them has no flows. */
static int load_flows(struct bind_tables *t, const struct tape_schema *schema,
		      struct tape_chunk *chunk, struct tape_error *err)
{
	const struct tape_record *rec = tape_schema_record_by_name(schema, "flow");
	struct bind_flows *f = &t->flows;
	int rc = 0;

	f->n = 0;
	if (!(t->want_flows || t->want_socks || t->want_packets) || !rec || !rec->is_table)
		return 0;
	rc = table_column(chunk, rec, "laddr", TAPE_ADDR, &f->laddr, err);
	if (rc > 0)
		rc = table_column(chunk, rec, "raddr", TAPE_ADDR, &f->raddr, err);
	if (rc > 0)
		rc = table_column(chunk, rec, "lport", TAPE_U64, &f->lport, err);
	if (rc > 0)
		rc = table_column(chunk, rec, "rport", TAPE_U64, &f->rport, err);
	if (rc > 0)
		f->n = tape_chunk_rows(chunk, rec->id);
	return rc < 0 ? rc : 0;
}

bool bind_flow(const struct bind_tables *t, uint64_t ref, struct flow *ret)
{
	const struct bind_flows *f = &t->flows;
	uint32_t row = (uint32_t)((ref - 1) >> 1);
	bool swapped = (ref - 1) & 1;
	const uint8_t *l, *r;

	if (!ref || (ref - 1) >> 1 >= f->n)
		return false;
	l = (const uint8_t *)f->laddr.values + (size_t)row * FLOW_ADDR_LEN;
	r = (const uint8_t *)f->raddr.values + (size_t)row * FLOW_ADDR_LEN;
	memcpy(ret->laddr, swapped ? r : l, FLOW_ADDR_LEN);
	memcpy(ret->raddr, swapped ? l : r, FLOW_ADDR_LEN);
	ret->lport = (uint16_t)tape_column_get(swapped ? &f->rport : &f->lport, row);
	ret->rport = (uint16_t)tape_column_get(swapped ? &f->lport : &f->rport, row);
	return true;
}

static int load_socks(struct bind_tables *t, const struct tape_schema *schema,
		      struct tape_chunk *chunk, struct tape_error *err)
{
	const struct tape_record *rec = tape_schema_record_by_name(schema, "sock");
	uint32_t n = rec && t->want_socks ? tape_chunk_rows(chunk, rec->id) : 0;
	int rc = room((void **)&t->socks, &t->cap_socks, n, sizeof(*t->socks), err), flow = 0;
	struct tape_column cookie, netns, protocol, uid, ref;
	bool has_cookie, has_netns, has_protocol, has_uid;

	t->n_socks = 0;
	if (rc || !n)
		return rc;
	rc = table_column(chunk, rec, "cookie", TAPE_U64, &cookie, err);
	has_cookie = rc > 0;
	if (rc >= 0)
		rc = table_column(chunk, rec, "netns", TAPE_U64, &netns, err);
	has_netns = rc > 0;
	if (rc >= 0)
		rc = table_column(chunk, rec, "protocol", TAPE_U64, &protocol, err);
	has_protocol = rc > 0;
	if (rc >= 0)
		rc = t->want_uids ? table_column(chunk, rec, "uid", TAPE_U64, &uid, err) : 0;
	has_uid = rc > 0;
	if (rc >= 0)
		rc = flow = table_column(chunk, rec, "flow", TAPE_DREF, &ref, err);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < n; i++) {
		struct sock *s = &t->socks[i];

		*s = (struct sock){0};
		s->cookie = has_cookie ? tape_column_get(&cookie, i) : 0;
		s->netns = has_netns ? (uint32_t)tape_column_get(&netns, i) : 0;
		s->protocol = has_protocol ? (uint16_t)tape_column_get(&protocol, i) : 0;
		s->uid = has_uid ? (uint32_t)tape_column_get(&uid, i) : 0;
		s->has_uid = has_uid;
		if (flow > 0)
			s->has_flow = bind_flow(t, tape_column_get(&ref, i), &s->flow);
	}
	t->n_socks = n;
	return 0;
}

static int load_tasks(struct bind_tables *t, const struct tape_schema *schema,
		      struct tape_chunk *chunk, struct tape_error *err)
{
	const struct tape_record *rec = tape_schema_record_by_name(schema, "task");
	uint32_t n = rec && t->want_tasks ? tape_chunk_rows(chunk, rec->id) : 0;
	int rc = room((void **)&t->tasks, &t->cap_tasks, n, sizeof(*t->tasks), err);
	struct tape_column pid, tid, comm, cgroup;
	bool has_pid, has_tid, has_comm, has_cgroup;

	t->n_tasks = 0;
	if (rc || !n)
		return rc;
	rc = table_column(chunk, rec, "pid", TAPE_U64, &pid, err);
	has_pid = rc > 0;
	if (rc >= 0)
		rc = table_column(chunk, rec, "tid", TAPE_U64, &tid, err);
	has_tid = rc > 0;
	if (rc >= 0)
		rc = table_column(chunk, rec, "cgroup", TAPE_U64, &cgroup, err);
	has_cgroup = rc > 0;
	if (rc >= 0)
		rc = table_column(chunk, rec, "comm", TAPE_COMM, &comm, err);
	has_comm = rc > 0;
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < n; i++) {
		struct task *k = &t->tasks[i];

		*k = (struct task){0};
		k->cgroup = has_cgroup ? tape_column_get(&cgroup, i) : 0;
		k->pid = has_pid ? (uint32_t)tape_column_get(&pid, i) : 0;
		k->tid = has_tid ? (uint32_t)tape_column_get(&tid, i) : 0;
		if (has_comm)
			memcpy(k->comm, (const char *)comm.values + (size_t)i * EV_COMM_LEN,
			       EV_COMM_LEN);
	}
	t->n_tasks = n;
	return 0;
}

/* Integer columns of table packet. */
enum { WIRE_SEQ, WIRE_ACK, WIRE_PAYLOAD, WIRE_SEGS, WIRE_FLAGS, WIRE_VLAN, WIRE_HEADERS, WIRE_N };
static const char *const wire_names[WIRE_N] = {
	[WIRE_SEQ] = "seq",	    [WIRE_ACK] = "ack_seq",	[WIRE_PAYLOAD] = "payload",
	[WIRE_SEGS] = "segs",	    [WIRE_FLAGS] = "tcp_flags", [WIRE_VLAN] = "vlan",
	[WIRE_HEADERS] = "headers",
};

static void fill_packet(struct wire *w, const struct tape_column cols[WIRE_N],
			const bool have[WIRE_N], uint32_t k)
{
	uint64_t v[WIRE_N];

	for (unsigned i = 0; i < WIRE_N; i++)
		v[i] = have[i] ? tape_column_get(&cols[i], k) : 0;
	w->seq = (uint32_t)v[WIRE_SEQ];
	w->ack_seq = (uint32_t)v[WIRE_ACK];
	w->payload = (uint32_t)v[WIRE_PAYLOAD];
	w->segs = (uint16_t)v[WIRE_SEGS];
	w->tcp_flags = (uint16_t)v[WIRE_FLAGS];
	w->vlan = (uint16_t)v[WIRE_VLAN];
	w->headers = (uint16_t)v[WIRE_HEADERS];
}

static int load_packets(struct bind_tables *t, const struct tape_schema *schema,
			struct tape_chunk *chunk, struct tape_error *err)
{
	const struct tape_record *rec = tape_schema_record_by_name(schema, "packet");
	bool known = t->want_packets && rec && rec->is_table;
	uint32_t n = known ? tape_chunk_rows(chunk, rec->id) : 0;
	struct tape_column cols[WIRE_N], ref;
	bool have[WIRE_N], has_flow;
	int rc = room((void **)&t->packets, &t->cap_packets, n, sizeof(*t->packets), err);

	t->n_packets = 0;
	if (rc || !n)
		return rc;
	for (unsigned i = 0; rc >= 0 && i < WIRE_N; i++) {
		rc = table_column(chunk, rec, wire_names[i], TAPE_U64, &cols[i], err);
		have[i] = rc > 0;
	}
	if (rc >= 0)
		rc = table_column(chunk, rec, "flow", TAPE_DREF, &ref, err);
	if (rc < 0)
		return rc;
	has_flow = rc > 0;
	for (uint32_t i = 0; i < n; i++) {
		struct wire *w = &t->packets[i];

		*w = (struct wire){0};
		fill_packet(w, cols, have, i);
		if (!has_flow)
			continue;
		w->ends = ((const uint32_t *)ref.values)[i];
		w->has_flow = bind_flow(t, w->ends, &w->flow);
	}
	t->n_packets = n;
	return 0;
}

int bind_tables_load(struct bind_tables *t, const struct tape_schema *schema,
		     struct tape_chunk *chunk, struct tape_error *err)
{
	int rc = load_flows(t, schema, chunk, err);

	if (!rc)
		rc = load_socks(t, schema, chunk, err);
	if (!rc)
		rc = load_tasks(t, schema, chunk, err);
	return rc ? rc : load_packets(t, schema, chunk, err);
}
